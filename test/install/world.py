"""Places to run examples in: a host of its own, and who runs what on it in which environment.

A host is a set of namespaces: mounts, network, host name and processes. It has the names that the
examples give to servers, and a server; nothing of the source folder is there, and all that was started in
it ends with it. An ordinary user's tests have them too, in a user namespace.
"""

import contextlib
import json
import os
import subprocess
import tempfile

import blocks
from harness import Run, await_true, processes, stat_of

UID, GUEST = 61234, 61235  # A user with a name and a home folder, and one without either.
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
AS_ROOT = os.geteuid() == 0
SYSTEM_PATH = "/usr/bin:/bin"
# What cron(8), systemd(1) and sshd(8) give.
CRON_PATH = "/usr/bin:/bin"
SYSTEMD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
SSH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/games"
# In an ordinary user's namespace there is one user only, who is root there.
UIDS = (0, UID) if AS_ROOT else (0,)
SERVERS = "zk1:2181,zk2:2181,zk3:2181"
# The first block of the manual page on settings is the file of every host.
SETTINGS = next(text for section, text in blocks.of_manual(f"{ROOT}/man/zksync.1") if section == "SETTINGS")


def unavailable():
    """Why there can be no namespaces, or None."""
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no namespaces: {tried.stderr.strip()}"


UNSHARE = ["unshare", *([] if AS_ROOT else ["--map-root-user"]), "--mount", "--net", "--uts", "--pid",
           "--fork", "--mount-proc", "--kill-child"]


def user_words(uid):
    """What runs a command as this user in a host."""
    if uid == 0:
        return []
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--"]


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    return path


class Host:
    """A host on which a prefix is installed. With `local` that folder is its /usr/local, with `etc` that
    one its /etc."""

    def __init__(self, folder, prefix, name, local=None, etc=None, source=False):
        self.folder = os.path.join(folder, name)
        self.prefix, self.name = prefix, name
        self.bin = self.made("bin")
        self.homes = {uid: self.made(f"home-{uid}", uid) for uid in (0, UID)}
        added = etc or f"{self.folder}/etc"
        write(f"{added}/hosts", f"127.0.0.1 localhost zk1 zk2 zk3\n127.0.1.1 {name}\n")
        write(f"{added}/zksync.conf", SETTINGS)
        with open("/etc/passwd", encoding="utf-8") as file:
            write(f"{added}/passwd", f"root:x:0:0::{self.homes[0]}:/bin/sh\n{file.read()}"
                                     f"worker:x:{UID}:{UID}::{self.homes[UID]}:/bin/sh\n")
        self.made("sbin")
        # The source folder first: it can be in one of the others.
        hidden = (*([] if source else [ROOT]), "/srv", "/root", "/home")
        mounts = [["mount", "-t", "tmpfs", "none", folder] for folder in hidden]
        mounts += [["mount", "-t", "overlay", "-o", f"lowerdir={self.folder}/sbin:/usr/sbin", "none", "/usr/sbin"]]
        mounts += [["mount", "--bind", local, "/usr/local"] if local else
                   ["mount", "-t", "tmpfs", "none", "/usr/local"]]
        mounts += [["mount", "--bind", etc, "/etc"] if etc else
                   ["mount", "-t", "overlay", "-o", f"lowerdir={added}:/etc", "none", "/etc"]]
        mounts += [["hostname", name], ["ip", "link", "set", "lo", "up"], ["chmod", "1777", "/srv"]]
        # Ignored so that the first process leaves no zombies.
        script = "trap '' CHLD; set -e; umask 022\n" + "".join(
            " ".join(f"'{word}'" for word in words) + "\n" for words in mounts) + "echo ready; exec cat"
        self.run = Run([*UNSHARE, "sh", "-c", script], stdin=subprocess.PIPE, cwd="/")
        self.started = [self.run]
        self.run.await_out("ready\n")
        self.pid = next(pid for pid in processes() if (stat_of(pid) or [0])[0] == self.run.pid)

    def made(self, name, uid=0):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        if AS_ROOT:
            os.chown(path, uid, uid)
        return path

    def serve(self):
        """Starts the server that the examples name."""
        words = ["zksync", "serve", "--memory", "--listen", "127.0.0.1:2181"]
        self.start(words, self.login(0)).await_out("serving on")

    def login(self, uid):
        return {"HOME": self.homes.get(uid, "/"), "PATH": f"{self.prefix}/bin:{self.bin}:{SYSTEM_PATH}"}

    def words(self, command, env, uid=0, folder="/", container=False):
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--uts", "--pid"]
        if not AS_ROOT:
            enter += ["--user", "--preserve-credentials"]
        alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if container else []
        assigned = [f"{name}={value}" for name, value in env.items()]
        return [*enter, *alone, *user_words(uid), "env", "-i", "-C", folder, *assigned, *command]

    def start(self, command, env, uid=0, folder="/", container=False, **options):
        run = Run(self.words(command, env, uid, folder, container), **options)
        self.started.append(run)
        return run

    def run_root(self, text):
        """Runs a command of a shell as root of this host."""
        ended = Result(self.start(["sh", "-c", text], self.login(0)))
        if ended.code != 0:
            raise AssertionError(f"{text}: {ended.err}")

    def close(self):
        for run in reversed(self.started):
            run.close()


class Result:
    def __init__(self, run):
        self.code, self.out, self.err = run.wait(), run.out, run.err


class Place:
    """Who runs an example: a user of a host, in an environment, with a shell."""

    ENVIRONMENTS = ("login", "cron", "systemd", "container")

    def __init__(self, host, environment, uid, shell, local=False):
        self.host, self.environment, self.uid, self.shell = host, environment, uid, shell
        self.servers = ["--local"] if local else ["--servers", SERVERS]
        self.name = f"{environment}, {'root' if uid == 0 else 'user'}, {shell}"
        self.folder = tempfile.mkdtemp(prefix="place-", dir=host.folder)
        os.chmod(self.folder, 0o755)
        self.as_uid = GUEST if uid and environment == "container" else uid
        self.own(".")
        self.count = 0

    def env(self):
        """The variables that this environment sets, and no others."""
        host, path = self.host, self.host.login(self.uid)["PATH"]
        name = "root" if self.uid == 0 else "worker"
        user = {"HOME": host.homes.get(self.uid, "/"), "LOGNAME": name, "USER": name, "SHELL": "/bin/sh"}
        if self.environment == "login":
            return {**user, "PATH": path, "SHELL": f"/bin/{self.shell}", "TERM": "dumb", "LANG": "C.UTF-8"}
        if self.environment == "cron":
            return {"HOME": user["HOME"], "LOGNAME": name, "SHELL": "/bin/sh", "PATH": CRON_PATH}
        if self.environment == "systemd":
            # A service without User= has no home folder.
            return {"PATH": SYSTEMD_PATH, "LANG": "C.UTF-8", "INVOCATION_ID": "5f0e2d0c8e0d4b1c9d6f8a7b6c5d4e3f",
                    "JOURNAL_STREAM": "8:12345", **({} if self.uid == 0 else user)}
        return {"PATH": path, "HOSTNAME": host.name, **({} if self.uid == 0 else {"HOME": "/"})}

    def path_line(self, shell):
        """What a script begins with where PATH has neither zksync nor the reader's own programs."""
        if self.environment not in ("cron", "systemd"):
            return ""
        folders = [f"{self.host.prefix}/bin", self.host.bin]
        if shell == "fish":
            return f"set -x PATH {' '.join(folders)} $PATH\n"
        return f"PATH={':'.join(folders)}:$PATH; export PATH\n"

    def file(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.file(name), encoding="utf-8") as file:
            return file.read()

    def own(self, name):
        """Gives a file to the user of this place."""
        if AS_ROOT:
            os.chown(self.file(name), self.as_uid, self.as_uid)

    def stand_in(self, name, text):
        """An executable script, at its path or, for a bare name, in a folder of PATH."""
        if name.startswith("./"):
            path = self.file(name)
        elif name.startswith("/usr/sbin/"):
            path = f"{self.host.folder}/sbin/{os.path.basename(name)}"
        else:
            path = f"{self.host.bin}/{name}"
        write(path, text.replace("HERE", self.folder), 0o755)

    def witness(self, name, more="", options=""):
        """A stand-in that notes its arguments, its variables and who holds the lock at its path."""
        label = os.path.basename(name)
        self.stand_in(name, f'#!/bin/sh\necho "$@" >HERE/{label}.args\nenv >HERE/{label}.env\n'
                            f'{self.host.prefix}/bin/zksync {options} status --json "$ZKSYNC_PATH" >HERE/{label}.seen\n{more}\n')

    def seen(self, label):
        """What a witness saw: the object of `zksync status --json`."""
        return json.loads(self.read(label + ".seen"))

    def noted(self, label):
        """The variables that a witness had."""
        return dict(line.split("=", 1) for line in self.read(label + ".env").splitlines() if "=" in line)

    def start(self, command, env=None, init=False, **options):
        """Starts a command; in a container it is the first process, or with `init` not."""
        container = self.environment == "container"
        if container and init:
            command = ["sh", "-c", '"$@"; exit', "init", *command]
        return self.host.start(command, env or self.env(), self.as_uid, self.folder, container, **options)

    def start_script(self, text, *arguments, shell=None, **options):
        self.count += 1
        shell = shell or self.shell
        script = write(self.file(f"script{self.count}"), self.path_line(shell) + text)
        return self.start([shell, script, *arguments], **options)

    def script(self, text, *arguments, **options):
        """Runs a script with the shell of this place to its end."""
        return Result(self.start_script(text, *arguments, **options))

    def start_other(self, *words, **options):
        """Starts zksync in another process of this host, which has the same servers."""
        uid = self.uid if self.servers == ["--local"] else 0
        return self.host.start(["zksync", *self.servers, *words], self.host.login(uid), uid, **options)

    def status(self, path):
        run = self.start_other("status", "--json", path)
        run.wait()
        return json.loads(run.out)

    @contextlib.contextmanager
    def held(self, path, *options):
        """Another process holds the lock meanwhile."""
        run = self.start_other("lock", *options, path, "sh", "-c", "echo held; cat >/dev/null",
                               stdin=subprocess.PIPE)
        run.await_out("held\n")
        try:
            yield
        finally:
            run.process.stdin.close()
            run.wait()

    def await_held(self, path):
        """A znode that is new and empty looks like a barrier that is set."""

        def held():
            seen = self.status(path)
            return seen if any(one["holds"] for one in seen.get("contenders", [])) else None

        return await_true(held, f"{path} is held")
