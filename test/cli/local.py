"""A user's folder for the local server, of a test's own."""

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import struct
import subprocess
import tempfile

from harness import BUILD, Case, Result, descendants, open_files, stat_of

CALLS = os.path.join(BUILD, "test", "cli", "local_calls")
F_OFD_SETLK = 37


def command_line(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().split(b"\0")[:-1]
    return []


def servers_below(pid):
    """The processes below one that serve, without those that wait for such to be ready."""
    return [p for p in descendants(pid) if command_line(p)[1:2] == [b"serve"]
            and not [c for c in descendants(p) if command_line(c)[1:2] == [b"serve"]]]


def unshare(*kinds):
    """What runs a command in new namespaces, as root of a user namespace where we are not root."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, *(f"--{kind}" for kind in kinds)]


def cannot_unshare(*kinds):
    """Why there can be no new namespaces, or None."""
    tried = subprocess.run([*unshare(*kinds), "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode != 0 else None


def record_text(**changed):
    """What a server in this process would write into server.lock."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    record = {"address": "127.0.0.1:9", "pid": os.getpid(), "host": os.uname().nodename, "boot": boot,
              "net": os.readlink("/proc/self/ns/net"), "pids": os.readlink("/proc/self/ns/pid"),
              "access": "open"}
    record.update(changed)
    return "".join(f"{key} {value}\n" for key, value in record.items())


class Local(Case):
    """A test with a user's folder of its own."""

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="zksync-test-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)  # The last of all.
        super().setUp()
        self.state = os.path.join(self.home, "state", "zksync")

    def spared(self):
        return servers_below(os.getpid())

    def local(self, **variables):
        """The environment of a user who has chosen the local server."""
        given = {"ZKSYNC_SERVERS": "local", "HOME": self.home,
                 "XDG_STATE_HOME": os.path.join(self.home, "state")}
        given.update(variables)
        return self.environment(**given)

    def use(self, *words, **variables):
        return self.zksync(*words, env=self.local(**variables))

    def hold_local(self, *words, **variables):
        holder = self.start(*words, "--", "sh", "-c", "echo held; cat >/dev/null", env=self.local(**variables),
                            stdin=subprocess.PIPE)
        holder.await_out("held\n")
        return holder

    def calls(self, *words, **variables):
        """What the library's functions return: name of the error, and the sentence or the result."""
        result = Result(self.spawn([CALLS, *words], env=self.local(**variables)))
        self.assertEqual((result.code, result.err), (0, ""))
        return [tuple(line.split(": ", 2)[1:]) for line in result.lines]

    def file(self, name):
        return os.path.join(self.state, name)

    def record(self):
        with open(self.file("server.lock"), encoding="ascii") as file:
            return dict(line.split(" ", 1) for line in file.read().splitlines())

    def lock_record(self, *numbers, text=""):
        """Makes this process hold the locks of a server, and the record say this."""
        os.makedirs(self.state, mode=0o700)
        fd = os.open(self.file("server.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        self.addCleanup(os.close, fd)
        os.write(fd, text.encode())
        for number in numbers:
            fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0))

    def server(self):
        return int(self.record()["pid"])

    def status(self):
        result = self.use("serve", "--status", "--json")
        self.assertEqual(result.code, 0 if result.json()["running"] else 1, result.err)
        return result.json()

    def serve(self, *words, **variables):
        run = self.start("serve", *words, env=self.local(**variables))
        run.await_out("zksync: serving on ")
        return run, run.out.split()[-1]

    def kill_server(self):
        pid = self.server()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)  # Its first thread alone looks dead before all of it has gone.

    def mode(self, name):
        return stat.S_IMODE(os.stat(self.file(name)).st_mode)

    def private(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text + "\n")
        return path

    def let_go(self, pid, pipe):
        """It has nothing of whoever has started it."""
        self.assertEqual(os.read(pipe, 1), b"")
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        self.assertEqual(os.getsid(pid), pid)
        self.assertEqual(stat_of(pid)[1], pid)
        named = open_files(pid)
        self.assertEqual([name for name in named if name.startswith("pipe:")], [])
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            masks = {line.split()[0]: int(line.split()[1], 16) for line in file if line.startswith("Sig")
                     and "Q" not in line}
        ending = sum(1 << (n - 1) for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
        self.assertEqual(masks["SigBlk:"], ending)
        internal = 3 << 31  # The C library's own, which it does not let anybody change.
        self.assertEqual(masks["SigIgn:"] & ~internal,
                         1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))
