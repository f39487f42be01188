"""For each example of the manual pages and of README.md: its stand-ins, how it is run, and what it does.

Examples are found by their first line. The text is run as it is written. Stand-ins take the part of the
programs that are the reader's own, and of the other hosts.
"""

import os
import re
import shlex
import socket
import sqlite3

from harness import LIMIT, await_true
from world import GUEST, SERVERS, SSH_PATH, Result

BUSY = 75


def one_writer(check, seen):
    """A lock that one process has alone, and its entry."""
    holders = [contender for contender in seen["contenders"] if contender["holds"]]
    check.assertEqual([holder["mode"] for holder in holders], ["write"], seen)
    return holders[0]


def free(check, place, path):
    check.assertFalse(place.status(path)["held"], path)


def ended(check, result, code, out="", err=""):
    """It has ended so, and has printed this; any error messages if err is None."""
    check.assertEqual((result.code, result.out, result.err),
                      (code, out, result.err if err is None else err))


def thumbnails(check, place, text):
    place.witness("paint", options="--local")
    place.stand_in("./Makefile", "thumbnails:\n\t@paint --all\n")
    result = place.script(text)
    if place.as_uid == GUEST:  # Without a home folder there is no place for a local server.
        check.assertIn("local server's folder cannot be created", result.err)
        check.assertNotEqual(result.code, 0)
        return
    ended(check, result, 0)
    one_writer(check, place.seen("paint"))
    check.assertEqual(place.noted("paint")["ZKSYNC_PATH"], "/jobs/thumbnails")


def crontab(check, place, text):
    """As cron does it: assignments make the environment, SHELL runs what stands behind the five fields."""
    if place.environment != "cron":
        return
    env, commands = place.env(), []
    for line in text.splitlines():
        assigned = re.fullmatch(r"(\w+)\s*=\s*(.*)", line)
        if assigned:
            env[assigned[1]] = assigned[2]
        elif line:
            commands.append(re.fullmatch(r"(?:[\d*/,-]+\s+){5}(.*)", line)[1])
    check.assertEqual(len(commands), 1)

    def run():
        return Result(place.start([place.shell, "-c", commands[0]], env))

    place.witness("/usr/sbin/backup")
    ended(check, run(), 0)
    one_writer(check, place.seen("backup"))
    check.assertEqual(place.read("backup.args"), "--full\n")
    place.stand_in("/usr/sbin/backup", "#!/bin/sh\nexit 5\n")
    ended(check, run(), 5)
    with place.held("/jobs/nightly"):
        ended(check, run(), 0)


def unit_of(text):
    """The settings of a unit."""
    settings = {}
    for line in text.splitlines():
        if "=" in line:
            name, value = line.split("=", 1)
            settings.setdefault(name, []).append(value)
    return settings


def start_service(check, place, unit):
    """The command line of a unit, run without a shell."""
    env = {**place.env(), **dict(item.split("=", 1) for item in unit.get("Environment", []))}
    if unit.get("Type") == ["notify"]:
        env["NOTIFY_SOCKET"] = place.file("notify")
    words = shlex.split(unit["ExecStart"][0])
    check.assertEqual(words[0], f"{place.host.prefix}/bin/zksync")
    return place.start(words, env)


def stop_service(check, place, run, pid):
    """TERM to the main process alone."""
    place.host.run_root(f"kill {pid}")
    code = run.wait()
    free(check, place, "/services/mail")
    return code


def mail_service(check, place, text):
    if place.environment != "systemd":
        return
    unit = unit_of(text)
    place.witness("/usr/sbin/maild", "exec sleep 1000")
    run = start_service(check, place, unit)
    holder = one_writer(check, place.await_held("/services/mail"))
    check.assertEqual(unit["KillMode"], ["mixed"])
    check.assertIn(str(stop_service(check, place, run, holder["pid"])), unit["SuccessExitStatus"])


def mail_lock(check, place, text):
    """The service is ready once the lock is held."""
    if place.environment != "systemd":
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(place.file("notify"))
        notified.settimeout(LIMIT)
        os.chmod(place.file("notify"), 0o777)
        with place.held("/services/mail"):
            run = start_service(check, place, unit_of(text))
            await_true(lambda: len(place.status("/services/mail")["contenders"]) == 2, "it waits")
        while b"READY=1" not in notified.recv(4096):
            pass
        holder = one_writer(check, place.status("/services/mail"))
        check.assertEqual(stop_service(check, place, run, holder["pid"]), 0)
    os.unlink(place.file("notify"))


def locks_itself(check, place, text):
    place.stand_in("./job", text + 'echo "$@" >HERE/job.args\nzksync status --json /jobs/x >HERE/job.seen\n')
    ended(check, place.script('./job a "b  c"\n'), 0)
    one_writer(check, place.seen("job"))
    check.assertEqual(place.read("job.args"), "a b  c\n")
    with place.held("/jobs/x"):
        ended(check, place.script("./job\n"), BUSY)


def deployment(check, place, text):
    place.witness("./deploy.sh", "exit 7")
    result = place.script(text)
    check.assertEqual((result.code, result.out), (7, ""), result.err)
    one_writer(check, place.seen("deploy.sh"))
    for code, said in ((0, ""), (75, "another deployment is still at work\n"),
                       (76, "the lock was lost: see how far it came\n")):
        place.stand_in("./deploy.sh", f"#!/bin/sh\nexit {code}\n")
        result = place.script(text)
        check.assertEqual((result.code, result.out), (code, said), result.err)


def ranks(check, place, text):
    # Another host has no variable of this one, its shell splits the words anew, and begins in the home folder.
    place.stand_in("ssh", "#!/bin/sh\nshift\ncd HERE/home && exec env -i HOME=HERE/home "
                   f'PATH={place.host.prefix}/bin:{SSH_PATH} {place.shell} -c "$*"\n')
    place.stand_in("./home/rank", '#!/bin/sh\nzksync status --json "$ZKSYNC_PATH" >HERE/rank$1.seen\n')
    ended(check, place.script(text), 0)
    for rank in range(8):
        inside = {one["id"] for one in place.seen(f"rank{rank}")["participants"] if one["inside"]}
        # Those that have ended have left; none has started before all were there.
        check.assertIn(f"rank{rank}", inside)
        check.assertTrue(place.seen(f"rank{rank}")["open"])


def migration(check, place, text, shell=None):
    place.witness("./migrate")
    ended(check, place.script(text, init=True, shell=shell), 0)
    token = one_writer(check, place.seen("migrate"))["token"]
    check.assertEqual(place.read("migrate.args"), f"--token {token}\n")
    with place.held("/deploy/prod"):
        run = place.start_script(text, init=True, shell=shell)
        await_true(lambda: len(place.status("/deploy/prod")["contenders"]) == 2, "it waits")
    ended(check, Result(run), 0)
    check.assertGreater(one_writer(check, place.seen("migrate"))["token"], token)
    place.stand_in("./migrate", "#!/bin/sh\necho migrated\n")
    ended(check, place.script("export PATH=/usr/bin:/bin\n" + text, init=True, shell=shell), 127, err=None)
    if place.environment == "container":
        # The first process of a container cannot be ended from inside of it.
        result = place.script(text, shell=shell)
        check.assertEqual((result.code, result.out), (64, ""))
        check.assertIn("init", result.err)


def migration_in_fish(check, place, text):
    if place.shell == "bash" and place.as_uid != GUEST:  # Without a home folder fish complains.
        migration(check, place, text, "fish")


def whose_code(check, place, text):
    place.stand_in("./job", "#!/bin/sh\nexit 4\n")
    ended(check, place.script(text), 0, "the job ended with 4\n")
    with place.held("/jobs/x"):
        ended(check, place.script(text), 0, "zksync ended with 75\n")


def fencing_in_sql(check, place, text):
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE report (id INTEGER, body TEXT, token INTEGER)")
    database.execute("INSERT INTO report VALUES (1, 'old', 5)")
    for token, rows in ((4, 0), (5, 1), (9, 1), (8, 0)):
        update = database.execute(text, {"body": f"by {token}", "token": token})
        check.assertEqual(update.rowcount, rows)
    check.assertEqual(database.execute("SELECT body FROM report").fetchall(), [("by 9",)])


def fencing_in_a_file(check, place, text):
    place.stand_in("./publish", text)
    for token, code, now in ((4, 0, "4"), (9, 0, "9"), (9, 0, "9"), (8, 1, "9")):
        result = place.script(f'echo "by {token}" >report\n./publish {token} <report\ncode=$?\n'
                              "cat /srv/report\nrm -f report\nexit $code\n")
        check.assertEqual((result.code, result.out), (code, f"by {now}\n"), result.err)
    place.script("rm -f /srv/report*")


def settings(check, place, text):
    """The text is the host's file; each setting is that of its line, for each user."""
    check.assertEqual(place.script("cat /etc/zksync.conf\n").out, text)
    result = place.script("zksync config\n")
    check.assertEqual((result.code, result.err), (0, ""))
    for number, line in enumerate(text.splitlines(), 1):
        name, value = line.split(" = ")
        check.assertRegex(result.out, rf"(?m)^{name} +{value} +\(/etc/zksync.conf:{number}\)$")
    place.stand_in("./job", "#!/bin/sh\necho $ZKSYNC_NODE\n")
    result = place.script("zksync lock /jobs/x ./job\n")
    check.assertRegex(result.out, r"^/team/jobs/x/", result.err)


def own_settings(check, place, text):
    """The text is the user's file. The credentials are those of the host's servers; others have no access then."""
    name, value = text.strip().split(" = ")
    home = os.path.dirname(os.path.dirname(value))
    env = {**place.env(), "HOME": home}
    ended(check, Result(place.start_other("lock", "/jobs/x", "true")), 0)  # The root is there, and is everybody's.
    place.host.run_root(f"rm -rf {home} && mkdir {home} && chown {place.as_uid}:{place.as_uid} {home}")
    result = place.script(f"umask 077 && mkdir ~/.config && echo digest:ada:secret >{value} && "
                          f"printf %s {shlex.quote(text)} >~/.config/zksync.conf && zksync config\n", env=env)
    check.assertEqual((result.code, result.err), (0, ""))
    check.assertRegex(result.out, rf"(?m)^{name} +{value} +\({home}/.config/zksync.conf:1\)$")
    check.assertRegex(result.out, rf"(?m)^servers +{SERVERS} +\(/etc/zksync.conf:1\)$")
    place.stand_in("./job", "#!/bin/sh\nzksync status /ada/x >&2; echo $?; HOME=/ zksync status /ada/x; echo $?\n")
    result = place.script("zksync lock /ada/x ./job\n", env=env)
    check.assertEqual((result.code, result.out), (0, "0\n77\n"), result.err)


# By the first line; None for what shows a form and is not run.
MANUAL = {
    "now ......... TERM <---- grace ----> KILL <- margin -> safe_until": None,
    "UPDATE report SET body = :body, token = :token": fencing_in_sql,
    "#!/bin/sh\nexec 9>>/srv/report.lock && flock 9 || exit": fencing_in_a_file,
    "zksync --local lock -n /jobs/thumbnails -- make thumbnails": thumbnails,
    "servers = zk1:2181,zk2:2181,zk3:2181": settings,
    "auth-file = /home/ada/.config/zksync.auth": own_settings,
    f"ZKSYNC_SERVERS={SERVERS}": crontab,
    f"[Service]\nEnvironment=ZKSYNC_SERVERS={SERVERS}": mail_service,
    "[Service]\nType=notify": mail_lock,
    "NotifyAccess=all": None,
    '#!/bin/sh\nzksync held /jobs/x || exec zksync lock -n /jobs/x -- "$0" "$@"': locks_itself,
    "code=0": deployment,
    "for i in 0 1 2 3 4 5 6 7; do": ranks,
    "lock=$(zksync hold -b -w 1m --for $$ /deploy/prod) || exit": migration,
    "set lock (zksync hold -b -w 1m --for $fish_pid /deploy/prod); or exit": migration_in_fish,
    "events=$(mktemp)": whose_code,
    "_c_<32 hex digits>-write-<number>": None,
    '{"v":1,"host":"web1","pid":4242,"user":"root",': None,
    "<id>-<32 hex digits>-<n>-<number>": None,
}


def backup(check, place, text):
    place.witness("backup.sh", "exit 3")
    ended(check, place.script(text), 3)
    one_writer(check, place.seen("backup.sh"))
    with place.held("/jobs/nightly"):
        ended(check, place.script(text), BUSY)


def report(check, place, text):
    place.witness("report", "echo done")
    with place.held("/data", "-s"):
        ended(check, place.script(text), 0)
    check.assertEqual(place.read("out"), "done\n")
    check.assertEqual([one["mode"] for one in place.seen("report")["contenders"]], ["read", "read"])


def gate(check, place, text):
    place.stand_in("start-service", '#!/bin/sh\nzksync status --json /deploy/gate >HERE/gate.seen\nexit 0\n')
    Result(place.start_other("barrier", "set", "/deploy/gate"))
    run = place.start_script("echo waiting\n" + text)
    run.await_out("waiting\n")
    check.assertFalse(run.ended())
    Result(place.start_other("barrier", "unset", "/deploy/gate"))
    ended(check, Result(run), 0, "waiting\n")
    check.assertEqual(place.seen("gate")["kind"], "free")


def eight(check, place, text):
    place.stand_in("./rank", '#!/bin/sh\nzksync status --json "$ZKSYNC_PATH" >HERE/rank.$ZKSYNC_ID\n'
                             'echo "$ZKSYNC_N"\n')
    runs = [place.start_script(text) for _ in range(8)]
    for run in runs:
        ended(check, Result(run), 0, "8\n")


def status(check, place, text):
    with place.held("/jobs/nightly"):
        result = place.script(text)
        check.assertEqual((result.code, result.err), (0, ""))
        check.assertIn("/jobs/nightly", result.out)
        check.assertIn(f"  {place.host.name}:", result.out)
    check.assertEqual(place.script(text).code, 1)


def config(check, place, text):
    result = place.script(text)
    check.assertEqual((result.code, result.err), (0, ""))
    chosen = "local" if place.servers == ["--local"] else SERVERS
    check.assertRegex(result.out, rf"(?m)^servers +{chosen} +\(ZKSYNC_SERVERS\)$")


# The lines of README's part on the shell, by how they begin.
README = {
    "export ZKSYNC_SERVERS=local": None,
    "export ZKSYNC_SERVERS=zk1:2181,zk2:2181,zk3:2181": None,
    "zksync lock -n /jobs/nightly -- backup.sh": backup,
    "zksync lock -s -w 2m /data -c 'report > out'": report,
    "zksync barrier wait /deploy/gate && start-service": gate,
    "zksync double-barrier -n 8 /mpi/run1 -- ./rank": eight,
    "zksync status /jobs/nightly": status,
    "zksync config": config,
}


def of_block(text):
    """The entry of a block of a manual page; a shebang or the name of a section is no first line yet."""
    lines = text.splitlines()
    return "\n".join(lines[:2]) if lines[0].startswith(("#!", "[")) else lines[0]


def of_line(line):
    """The entry of a line of README.md, or None."""
    return next((begin for begin in README if line.startswith(begin)), None)
