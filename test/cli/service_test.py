#!/usr/bin/python3 -B
"""zksync as the main process of a service of systemd(1): socket activation, the watchdog and notifications."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from harness import LIMIT, Case, ZKSYNC, keeper_of, main

VARIABLES = ("LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
             "WATCHDOG_USEC")
TELL = "import os; print(os.getpid(), *(os.environ.get(name, '-') for name in %r), flush=True)" % (VARIABLES,)


class Activated(Case):
    """The variables that name a process by its number."""

    def service(self, assignments, *words, **options):
        """Starts zksync as systemd would: the process sets the variables, then becomes the program."""
        script = f'export {assignments}; exec "$@"'
        return self.spawn(["bash", "-c", script, "-", ZKSYNC, *words], **options)

    def told(self, run):
        self.assertEqual((run.wait(), run.err), (0, ""))
        pid, *values = run.out.split()
        return pid, dict(zip(VARIABLES, values))

    def test_what_names_zksync_names_the_command(self):
        command = [sys.executable, "-c", TELL]
        for words in (["lock", self.path, "--", *command], ["double-barrier", "-n", "1", self.path, "--", *command]):
            run = self.service("LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$ LISTEN_FDS=0 LISTEN_FDNAMES=a:b "
                               "WATCHDOG_USEC=5 LISTEN_PIDFDID=7", *words)
            pid, values = self.told(run)
            self.assertNotEqual(int(pid), run.pid)
            self.assertEqual(values, {"LISTEN_PID": pid, "WATCHDOG_PID": pid, "SYSTEMD_EXEC_PID": pid,
                                      "LISTEN_FDS": "0", "LISTEN_FDNAMES": "a:b", "WATCHDOG_USEC": "5",
                                      "LISTEN_PIDFDID": "-"})

    def test_what_names_another_process_stays(self):
        run = self.service("LISTEN_PID=1 WATCHDOG_PID=$$0 SYSTEMD_EXEC_PID= LISTEN_PIDFDID=7", "lock", self.path, "--",
                           sys.executable, "-c", TELL.replace("'-'", "'none'").replace("print(", "print(*'', "))
        self.assertEqual((run.wait(), run.err), (0, ""))
        self.assertEqual(run.out.rstrip("\n").split(" ")[1:],
                         ["1", f"{run.pid}0", "", "none", "none", "7", "none"])
        run = self.start("lock", self.path, "--", sys.executable, "-c", TELL)
        self.assertEqual(set(self.told(run)[1].values()), {"-"})

    def test_the_command_accepts_on_the_sockets(self):
        program = """
import os, socket
assert os.environ["LISTEN_PID"] == str(os.getpid())
for fd in range(3, 3 + int(os.environ["LISTEN_FDS"])):
    connection, _ = socket.socket(fileno=fd).accept()
    connection.sendall(b"socket %d" % fd)
    connection.close()
"""
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            fds = (one.fileno(), other.fileno())
            run = self.service(f"LISTEN_PID=$$ LISTEN_FDS=2; exec 3<&{fds[0]} 4<&{fds[1]}", "lock", self.path, "--",
                               sys.executable, "-c", program, pass_fds=fds)
            for server, answer in ((one, b"socket 3"), (other, b"socket 4")):
                with socket.create_connection(server.getsockname(), timeout=LIMIT) as connection:
                    self.assertEqual(connection.makefile("rb").read(), answer)
            self.assertEqual((run.wait(), run.err), (0, ""))


class Notified(Case):
    """What the manager is told, and by which process."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.settimeout(LIMIT)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.name = os.path.join(folder.name, "notify")
        self.socket.bind(self.name)
        self.env = self.environment(NOTIFY_SOCKET=self.name)

    def message(self):
        """The next message: its lines, and the process that has sent it."""
        text, ancillary, _, _ = self.socket.recvmsg(4096, 256)
        pid, _, _ = struct.unpack("3i", ancillary[0][2])
        return text.decode("utf-8").split("\n"), pid

    def assert_no_message(self):
        self.socket.setblocking(False)
        self.assertRaises(BlockingIOError, self.socket.recv, 1)
        self.socket.settimeout(LIMIT)

    def test_hold_tells_from_its_main_process(self):
        holder = self.hold()
        for end in (signal.SIGTERM, None):
            run = self.start("hold", self.path, env=self.env, stdin=subprocess.PIPE)
            self.assertEqual(self.message(), ([f"STATUS=waiting for {self.path}"], run.pid))
            self.await_contenders(2 if holder else 1)
            if holder:
                self.assert_no_message()
                self.release(holder)
                holder = None
            lines, pid = self.message()
            self.assertEqual((lines[0], pid), ("READY=1", run.pid))
            self.assertRegex(lines[1], rf"\ASTATUS=holding {self.path}, token [1-9][0-9]*\Z")
            self.assertEqual(len(self.contenders()), 1)
            if end is None:
                run.process.stdin.close()
            else:
                run.signal(end)
            self.assertEqual(self.message(), (["STOPPING=1"], run.pid))
            self.assertEqual(run.wait(), 0)
            self.assert_no_message()

    def test_a_lock_that_is_lost_or_not_acquired(self):
        run = self.start("hold", "-T", 20, self.path, env=self.env)
        self.assertEqual([self.message()[0][0], self.message()[0][0]], [f"STATUS=waiting for {self.path}", "READY=1"])
        self.outside.delete(f"{self.path}/{self.contenders()[0]}")
        self.assertEqual(self.message(), (["STOPPING=1"], run.pid))
        self.assertEqual(run.wait(), 76)
        holder = self.hold()
        run = self.start("hold", "-n", self.path, env=self.env)
        self.assertEqual(run.wait(), 75)
        self.assertEqual([self.message()[0][0], self.message()[0][0]], [f"STATUS=waiting for {self.path}", "STOPPING=1"])
        self.assert_no_message()
        self.release(holder)

    def test_in_the_background_nothing_is_told(self):
        """Its starter is the service, or a part of it."""
        run = self.spawn(["sh", "-c", 'lock=$("$Z" hold -b "$P") && eval "$lock" && "$Z" release'],
                         env={**self.env, "Z": ZKSYNC, "P": self.path})
        self.assertEqual((run.wait(), run.err), (0, ""))
        self.assert_no_message()

    def test_what_a_command_tells_comes_from_the_command(self):
        """Hence NotifyAccess=all in the unit."""
        run = self.start("lock", self.path, "--", sys.executable, "-c", """
import os, socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
print(os.getpid(), flush=True)
input()""", env=self.env, stdin=subprocess.PIPE)
        run.await_out("\n")
        lines, pid = self.message()
        self.assertEqual((lines, pid), (["READY=1"], int(run.out)))
        self.assertNotIn(pid, (run.pid, keeper_of(run.pid)))
        run.process.stdin.write(b"\n")
        run.process.stdin.close()
        self.assertEqual((run.wait(), run.err), (0, ""))
        self.assert_no_message()

    def test_a_manager_that_does_not_read(self):
        """Its socket is full, which must not hold up the process that ends by a signal."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.sendto(b"x", self.name)
        run = self.start("-v", "hold", self.path, env=self.env)
        run.await_err(": held, token ")
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 0)
        self.assert_nothing_left()

    def test_a_manager_that_does_not_listen(self):
        for name in (self.name + "-none", "@zksync-test-none", "relative", "", "/" + "x" * 200):
            run = self.start("-v", "hold", self.path, env=self.environment(NOTIFY_SOCKET=name))
            run.await_err(": held, token ")
            run.signal(signal.SIGTERM)
            self.assertEqual(run.wait(), 0)


if __name__ == "__main__":
    main()
