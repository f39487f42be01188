#!/usr/bin/python3 -B
"""The local server's folder: what is wrong with it is an error that names it, and never an answer."""

import os
import pwd
import shutil
import stat
import unittest

from harness import BUILD, ZKSYNC, Result, alive, main
from local import CALLS, Local, cannot_unshare, record_text, unshare

EXAMPLE = os.path.join(BUILD, "examples", "rwlock")
LOOKS = (["serve", "--status"], ["serve", "--status", "--json"], ["serve", "--stop"])
STARTS = (["ping"], ["status", "/a"], ["lock", "-n", "/a", "true"], ["barrier", "wait", "-n", "/a"], ["serve"],
          ["serve", "-b"])
CLIENTS = [words for words in STARTS if words[0] != "serve"]
USER = os.geteuid()


def needs(*kinds):
    """Skips a test where there can be no such namespaces."""
    why = cannot_unshare(*kinds)
    return unittest.skipIf(why is not None, f"no namespaces of its own: {why}")


class Place(Local):
    def refused(self, code, name, *texts, commands=LOOKS + STARTS, **variables):
        """Each command ends with this code and one line, which has these texts."""
        for words in commands:
            result = self.use(*words, **variables)
            self.assertEqual((result.code, result.out), (code, ""), (words, result.err))
            self.assertEqual(len(result.err.splitlines()), 1, (words, result.err))
            for text in texts:
                self.assertIn(text, result.err, words)
        calls = ["find", "pid"] * (LOOKS[0] in commands) + ["start"] * (STARTS[0] in commands) + \
            ["claim"] * (["serve"] in commands)
        for call in self.calls(*calls, **variables):
            self.assertEqual(call[0], name, call)
            for text in texts:
                self.assertIn(text, call[1])

    def unusable(self, *texts, commands=LOOKS + STARTS, **variables):
        self.refused(71, "ZKS_ESYSTEM", *texts, commands=commands, **variables)


class Unreachable(Place):
    """The folder, or one above it, is something else."""

    def test_a_dangling_link(self):
        os.makedirs(os.path.dirname(self.state))
        os.symlink("nowhere", self.state)
        self.unusable(f"{self.state}: dangling symbolic link: No such file or directory")

    def test_a_dangling_link_above(self):
        above = os.path.dirname(self.state)
        os.symlink("nowhere", above)
        self.unusable(f"{above}: dangling symbolic link: No such file or directory")

    def test_a_dangling_link_in_the_home_folder(self):
        link = os.path.join(self.home, ".local")
        os.symlink("nowhere/at/all", link)
        self.unusable(f"{link}: dangling symbolic link: No such file or directory", XDG_STATE_HOME=None)

    def test_a_loop_of_links(self):
        for path in (self.state, os.path.dirname(self.state)):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(os.path.basename(path), path)
            self.unusable(f"{path}: ", "Too many levels of symbolic links")
            shutil.rmtree(os.path.join(self.home, "state"), ignore_errors=True)

    def test_a_file_in_its_place(self):
        for path in (self.state, os.path.dirname(self.state)):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii"):
                pass
            self.unusable(f"{path}: ", "Not a directory")
            shutil.rmtree(os.path.join(self.home, "state"), ignore_errors=True)

    def test_a_name_that_is_too_long(self):
        self.unusable("File name too long", os.path.join(self.home, "x" * 300),
                      XDG_STATE_HOME=os.path.join(self.home, "x" * 300))
        self.unusable("File name too long", self.home,
                      XDG_STATE_HOME=os.path.join(self.home, *["x" * 200] * 10))

    @unittest.skipIf(USER == 0, "root has all permissions")
    def test_folders_without_permissions(self):
        os.makedirs(self.state, mode=0o700)
        for path in (self.state, os.path.dirname(self.state), self.home):
            os.chmod(path, 0)
            try:
                self.unusable(path, "Permission denied")
            finally:
                os.chmod(path, 0o700)

    @unittest.skipIf(USER == 0, "root has all permissions")
    def test_a_folder_that_nothing_can_be_created_in(self):
        os.makedirs(os.path.dirname(self.state), mode=0o700)
        for path in (os.path.dirname(self.state), self.home):
            os.chmod(path, 0o500)
            try:
                self.unusable(f"{path}, owned by {pwd.getpwuid(USER).pw_name}: ", "Permission denied",
                              commands=STARTS)
            finally:
                os.chmod(path, 0o700)
            os.rmdir(os.path.dirname(self.state)) if path != self.home else None

    def test_a_home_folder_that_does_not_exist(self):
        home = os.path.join(self.home, "missing")
        self.unusable(f"{home}: the home folder does not exist", "XDG_STATE_HOME", HOME=home,
                      XDG_STATE_HOME=None)
        self.assertEqual(os.listdir(self.home), [])

    def test_a_home_folder_that_is_no_path(self):
        """The user database names it then."""
        expected = pwd.getpwuid(USER).pw_dir
        for home in ("", "relative", None):
            result = Result(self.spawn([CALLS, "folder"], env=self.local(HOME=home, XDG_STATE_HOME="relative")))
            self.assertEqual(result.out, f"folder: 0: {expected.rstrip('/')}/.local/state/zksync\n")

    def test_slashes_behind_the_home_folder(self):
        for home, folder in (("/", ""), ("//", ""), (self.home + "//", self.home)):
            self.assertEqual(self.calls("folder", HOME=home, XDG_STATE_HOME=None),
                             [("0", f"{folder}/.local/state/zksync")])


class Files(Place):
    """A file in the folder is something else."""

    def put(self, kind, name):
        """Puts something there in the place of a file."""
        path = self.file(name)
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        if kind == "folder":
            os.mkdir(path)
        elif kind == "pipe":
            os.mkfifo(path, 0o600)
        elif kind == "link":
            os.symlink("nowhere", path)
        else:
            with open(path, "w", encoding="ascii") as file:
                os.fchmod(file.fileno(), 0)
        return path

    def take(self, path):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)

    def each_kind(self, name, commands):
        for kind in ("folder", "pipe", "link") + (("closed",) if USER != 0 else ()):
            path = self.put(kind, name)
            with self.subTest(kind=kind):
                self.unusable(path, commands=commands)
            self.take(path)

    def test_server_lock(self):
        self.each_kind("server.lock", LOOKS + STARTS)

    def test_start_lock(self):
        self.each_kind("start.lock", CLIENTS)

    def test_secret(self):
        self.each_kind("secret", STARTS)

    def test_data(self):
        for kind in ("pipe", "link") + (("closed",) if USER != 0 else ()):
            path = self.put(kind, "data")
            self.unusable_to_the_server(path)
            self.take(path)

    def test_port(self):
        """The last port is only a hint, but the next one must be written."""
        path = self.put("folder", "port")
        self.unusable_to_the_server(path)

    def test_server_log(self):
        for kind in ("folder", "pipe", "link"):
            path = self.put(kind, "server.log")
            self.assertEqual(self.serve_fails("-b", path), 71)
            self.unusable(path, commands=CLIENTS)
            self.take(path)

    def test_what_the_server_needs_where_its_exit_code_is_lost(self):
        """A program that ignores SIGCHLD, or reaps all its children, has only the server's sentence."""
        path = self.put("pipe", "data")
        for word in ("nocldwait", "reap"):
            (name, sentence), = self.calls(word, "start")
            self.assertEqual(name, "ZKS_ESYSTEM")
            self.assertIn(path, sentence)

    def test_a_long_path(self):
        """The server's sentence has only its beginning."""
        above = os.path.join(self.home, "x" * 200, "y" * 200)
        self.state = os.path.join(above, "zksync")
        self.put("pipe", "data")
        self.unusable(self.state[:200], commands=CLIENTS, XDG_STATE_HOME=above)

    def test_a_server_that_ends_for_another_reason(self):
        program = os.path.join(self.home, "program")
        for sentence, code in ("no thread", 71), (f"another server has {self.file('data')}", 75):
            with open(program, "w", encoding="ascii") as file:
                os.fchmod(file.fileno(), 0o755)
                file.write(f"#!/bin/sh\necho 'zksync: {sentence}' >&2; exit {code}\n")
            self.refused(69, "ZKS_EDISCONNECTED", f"cannot be started: {sentence}", commands=CLIENTS,
                         ZKSYNC_COMMAND=program)

    def serve_fails(self, option, path):
        result = self.use("serve", option)
        self.assertIn(path, result.err)
        self.assertEqual((result.out, len(result.err.splitlines())), ("", 1))
        return result.code

    def unusable_to_the_server(self, path):
        for option in ("--idle=forever", "-b"):
            self.assertEqual(self.serve_fails(option, path), 71)
        self.unusable(path, commands=CLIENTS)


class FileSystem(Place):
    """The file system does not take what is to be created."""

    def use_on(self, options, *words):
        script = f'mount -t tmpfs -o mode=700,{options} none "$0" && exec "$@"'
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        return Result(self.spawn([*unshare("mount"), "sh", "-c", script, self.state, ZKSYNC, *words],
                                 env=self.local()))

    @needs("mount")
    def test_no_room(self):
        for words in STARTS:
            result = self.use_on("nr_inodes=1", *words)
            self.assertEqual((result.code, result.out), (71, ""), words)
            self.assertIn(self.state, result.err)
            self.assertIn("No space left on device", result.err)

    @needs("mount")
    def test_read_only(self):
        for words in [*STARTS, ["serve", "--data", self.state + "/other"]]:
            result = self.use_on("ro", *words)
            self.assertEqual((result.code, result.out), (71, ""), words)
            self.assertIn(self.state, result.err)
            self.assertIn("Read-only file system", result.err)


@unittest.skipUnless(USER == 0, "only root can give a folder away")
class Owners(Place):
    """Root creates nothing in another user's home."""

    OWNER = "nobody"

    def give(self, path):
        os.makedirs(path, mode=0o700, exist_ok=True)
        os.chown(path, pwd.getpwnam(self.OWNER).pw_uid, -1)
        return path

    def not_ours(self, path, **variables):
        before = sorted(os.walk(self.home))
        self.refused(77, "ZKS_EACCES", f"{path}: owned by {self.OWNER}, ", "runs as root", "sudo -H",
                     "XDG_STATE_HOME", "ZKSYNC_SERVERS", **variables)
        self.assertEqual(sorted(os.walk(self.home)), before)

    def test_a_home_folder_of_another_user(self):
        self.give(self.home)
        self.not_ours(self.home, XDG_STATE_HOME=None)

    def test_a_state_folder_of_another_user(self):
        self.give(self.home)
        self.not_ours(self.home)
        self.not_ours(self.home, XDG_STATE_HOME=os.path.join(self.home, "a", "b"))
        os.chown(self.home, 0, -1)
        above = self.give(os.path.dirname(self.state))
        self.not_ours(above)

    def test_a_folder_between_of_another_user(self):
        between = self.give(os.path.join(self.home, ".local"))
        self.not_ours(between, XDG_STATE_HOME=None)
        os.makedirs(os.path.join(between, "state"))
        self.not_ours(between, XDG_STATE_HOME=None)

    def test_a_folder_of_ours_in_a_home_of_another_user(self):
        """As an earlier version of zksync has left it: its owner can put another one there."""
        os.makedirs(os.path.join(self.home, ".local", "state", "zksync"), mode=0o700)
        self.give(self.home)
        self.not_ours(self.home, XDG_STATE_HOME=None)

    def test_a_user_who_was_shut_out(self):
        """The error names what root has created."""
        os.makedirs(os.path.join(self.home, ".local"), mode=0o755)
        self.give(self.home)
        user = pwd.getpwnam(self.OWNER)
        command = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", CALLS]
        if Result(self.spawn([*command, "folder"], env=self.local())).code != 0:
            self.skipTest(f"{CALLS} cannot be run by another user")
        result = Result(self.spawn([*command, "pid", "start"], env=self.local(XDG_STATE_HOME=None)))
        self.assertEqual(result.lines[0], "pid: 0: 0")
        self.assertIn(f"start: ZKS_ESYSTEM: zksync: {self.home}/.local, owned by root: ", result.lines[1])
        self.assertIn("Permission denied", result.lines[1])

    @needs("mount")
    def test_a_program_with_rights_of_another_user(self):
        """Neither it nor the server that it starts follows the environment of its caller."""
        user = pwd.getpwnam(self.OWNER)
        home = self.give(os.path.join(self.home, "home"))
        os.chmod(self.home, 0o755)
        program = os.path.join(self.home, "program")
        shutil.copy(CALLS, program)
        os.chown(program, user.pw_uid, user.pw_gid)
        os.chmod(program, 0o4755)
        users = os.path.join(self.home, "passwd")
        with open(users, "w", encoding="ascii") as file:
            file.write(f"root:x:0:0:root:/root:/bin/sh\n"
                       f"{self.OWNER}:x:{user.pw_uid}:{user.pw_gid}:{self.OWNER}:{home}:/bin/sh\n")
        script = f'mount --bind {users} /etc/passwd && exec "$0" "$@"'
        result = Result(self.spawn([*unshare("mount"), "sh", "-c", script, program, "setuid", "folder", "start"],
                                   env=self.local()))
        if result.code != 0:
            self.skipTest("such a program cannot be run here: " + result.err)
        self.state = os.path.join(home, ".local", "state", "zksync")
        self.assertEqual(result.lines[0], f"folder: 0: {self.state}")
        self.assertRegex(result.lines[1], r"^start: 0: .* started$")
        self.assertFalse(os.path.exists(os.path.join(self.home, "state")))
        self.assertEqual(os.stat(self.file("server.lock")).st_uid, user.pw_uid)


class Hosts(Place):
    """A folder that several hosts or containers share."""

    @needs("uts")
    def test_the_host_name_changes(self):
        script = """hostname zksync-before && $0 serve -b >/dev/null && hostname zksync-after || exit 9
            $0 ping >/dev/null && $0 lock /a true && $0 serve --status >/dev/null || exit 8
            $0 serve && exit 7
            $0 serve --stop || exit 6
            $0 serve --status >/dev/null"""
        result = Result(self.spawn([*unshare("uts"), "sh", "-c", script, ZKSYNC], env=self.local()))
        self.assertEqual(result.code, 1, result.err)
        self.assertRegex(result.err, r"^zksync: a local server runs already, at [0-9.:]+, process [0-9]+\n$")

    def test_another_host(self):
        self.lock_record(0, 1, text=record_text(boot="00000000-0000-4000-8000-000000000000", host="elsewhere"))
        where = "runs on another host, elsewhere: "
        for words in (["ping"], ["status", "/a"], ["serve", "--status"], ["serve", "--stop"]):
            result = self.use(*words)
            self.assertEqual((result.code, result.out), (69, ""), words)
            self.assertIn(where, result.err)
        result = self.use("serve")
        self.assertEqual((result.code, result.err),
                         (75, "zksync: a local server runs already, on another host, elsewhere\n"))
        for name, sentence in self.calls("find", "start", "pid"):
            self.assertEqual(name, "ZKS_EDISCONNECTED")
            self.assertIn(where, sentence)

    def test_another_host_of_the_same_name(self):
        self.lock_record(0, 1, text=record_text(boot="00000000-0000-4000-8000-000000000000"))
        result = self.use("ping")
        self.assertEqual(result.code, 69)
        self.assertIn("on another host, ", result.err)

    def test_a_boot_id_that_is_not_known(self):
        """Where /proc is hidden the host name counts."""
        for host, name in ((os.uname().nodename, "0"), ("elsewhere", "ZKS_EDISCONNECTED")):
            self.lock_record(0, 1, text=record_text(boot="-", net="-", pids="-", host=host))
            self.assertEqual(self.calls("pid")[0][0], name)
            shutil.rmtree(self.state)

    @needs("net")
    def test_another_network_namespace(self):
        run, _ = self.serve()
        inside = unshare("net")
        for words in (["ping"], ["serve", "--status"]):
            result = Result(self.spawn([*inside, ZKSYNC, *words], env=self.local()))
            self.assertEqual((result.code, result.out), (69, ""), words)
            self.assertIn("in another container (network namespace) of this host, " + os.uname().nodename,
                          result.err)
        # Its process is the same there.
        result = Result(self.spawn([*inside, ZKSYNC, "serve", "--stop"], env=self.local()))
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertEqual(run.wait(), 0)

    @needs("pid", "fork", "mount-proc")
    def test_another_pid_namespace(self):
        """The number of the server's process may be that of another one there."""
        run, address = self.serve()
        inside = unshare("pid", "fork", "mount-proc")
        result = Result(self.spawn([*inside, ZKSYNC, "ping", "--json"], env=self.local()))
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertEqual(result.json()["server"], address)
        result = Result(self.spawn([*inside, ZKSYNC, "serve", "--stop"], env=self.local()))
        self.assertEqual((result.code, result.out), (69, ""))
        self.assertIn(f"runs at {address}, in another container (PID namespace) of this host", result.err)
        self.assertTrue(alive(run.pid))
        result = Result(self.spawn([*inside, ZKSYNC, "serve"], env=self.local()))
        self.assertEqual(result.code, 75)


class Children(Place):
    """The children of a program are its own business."""

    def test_programs_that_do_not_wait_for_children(self):
        for word in ("nocldwait", "reap"):
            outcome = self.calls(word, "start", "find")
            self.assertRegex(outcome[0][1], " started$")
            self.assertRegex(outcome[1][1], " found$")
            self.assertEqual(self.use("serve", "--stop").code, 0)
            outcome = self.calls(word, "start", ZKSYNC_COMMAND="/bin/false")
            self.assertEqual(outcome[0][0], "ZKS_EDISCONNECTED")
            self.assertIn("cannot be started", outcome[0][1])


if __name__ == "__main__":
    main()
