#!/usr/bin/python3 -B
"""zksync serve: the local server as it is run by hand or by systemd, and servers of their own."""

import os
import resource
import shutil
import signal
import socket
import subprocess

from kazoo.client import KazooClient

from harness import LIMIT, ZKSYNC, alive, await_true, clock_ms, die_with_parent, keeper_of, main
from local import Local


class Serve(Local):
    def test_it_serves_until_a_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            run, address = self.serve()
            self.assertEqual(self.record()["address"], address)
            self.assertEqual(self.server(), run.pid)
            result = self.use("-v", "ping")
            self.assertIn(f"{address}, process {run.pid}, which runs already", result.err)
            run.signal(number)
            self.assertEqual((run.wait(), run.err), (0, ""))
            self.assertEqual(self.status()["running"], False)

    def test_a_second_one(self):
        run, address = self.serve()
        for words in ([], ["--background"]):
            result = self.use("serve", *words)
            self.assertEqual((result.code, result.out), (75, ""))
            self.assertIn(f"runs already, at {address}, process {run.pid}", result.err)

    def test_in_the_background_where_sigchld_is_ignored(self):
        def ignore():
            die_with_parent()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

        for code, text in ((0, "ready "), (75, "")):
            result = self.zksync("serve", "-b", env=self.local(), preexec_fn=ignore)
            self.assertEqual(result.code, code, result.err)
            self.assertEqual(result.out[:6], text)
            self.assertEqual("runs already" in result.err, code == 75)

    def test_status(self):
        self.assertEqual(self.status(), {"running": False, "folder": self.state})
        self.assertFalse(os.path.exists(self.state))
        result = self.use("serve", "--status")
        self.assertEqual(result.code, 1)
        self.assertIn("no local server runs", result.out)
        holder = self.start("hold", "-v", "/a", env=self.local())
        holder.await_err(": held, token ")
        status = self.status()
        self.assertEqual((status["running"], status["pid"], status["address"], status["folder"]),
                         (True, self.server(), self.record()["address"], self.state))
        self.assertEqual((status["sessions"], status["ephemerals"], status["state"]), (1, 1, "standalone"))
        for key in ("connections", "znodes", "watches", "bytes"):
            self.assertGreater(status[key], -1, key)
        self.assertEqual(status["secret"], True)
        result = self.use("serve", "--status")
        self.assertEqual(result.code, 0)
        self.assertIn(f"process {self.server()}, folder {self.state}\n", result.out)
        self.assertIn("1 sessions", result.out)
        holder.signal(signal.SIGTERM)
        self.assertEqual(holder.wait(), 0)

    def test_stop(self):
        result = self.use("serve", "--stop")
        self.assertEqual((result.code, result.err), (1, "zksync: no local server runs\n"))
        self.assertEqual(self.use("ping").code, 0)
        pid = self.server()
        self.assertEqual(self.use("serve", "--stop").code, 0)
        self.assertFalse(alive(pid))
        self.assertEqual(self.status()["running"], False)

    def test_it_ends_when_nobody_needs_it(self):
        run, _ = self.serve("--idle", "300ms")
        self.assertEqual((run.wait(), run.err), (0, ""))

    def test_a_session_keeps_it(self):
        holder = self.start("hold", "-v", "/a", env=self.local())
        holder.await_err(": held, token ")
        os.kill(keeper_of(holder.pid), signal.SIGSTOP)  # It would start a server.
        self.kill_server()
        # From its first moment on it has a session, so that it need not be fast to connect to.
        run, _ = self.serve("--idle", "200ms")
        os.kill(keeper_of(holder.pid), signal.SIGCONT)
        holder.await_err("in contact with the servers again")
        beyond = clock_ms() + 1000
        await_true(lambda: clock_ms() > beyond, "more than the idle time")
        self.assertFalse(run.ended())
        holder.signal(signal.SIGTERM)
        self.assertEqual(holder.wait(), 0)
        self.assertEqual(run.wait(), 0)

    def test_in_the_background(self):
        ours, theirs = os.pipe()
        result = self.zksync("serve", "--background", env=self.local(), pass_fds=[theirs], cwd=self.home)
        os.close(theirs)
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertEqual(result.out, f"ready {self.record()['address']}\n")
        self.let_go(self.server(), ours)
        os.close(ours)

    def test_one_of_its_own_in_the_background(self):
        """Who reads what it prints, its errors too, is not kept waiting."""
        result = self.use("serve", "-b", "--memory")
        ready, address, pid = result.out.split()
        self.assertEqual((ready, result.code, result.err), ("ready", 0, f"zksync: serving on {address}\n"))
        try:
            self.assertEqual(self.use("ping", ZKSYNC_SERVERS=address).code, 0)
            self.assertEqual(os.readlink(f"/proc/{pid}/fd/2"), "/dev/null")
        finally:
            os.kill(int(pid), signal.SIGTERM)
        await_true(lambda: not alive(int(pid)), "it has ended")

    def test_what_it_says_in_the_background_goes_to_a_file(self):
        name = os.path.join(self.home, "log")
        with open(name, "wb") as log:
            run = subprocess.run([ZKSYNC, "-v", "serve", "-b", "--memory"], env=self.local(), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=log, check=True, timeout=LIMIT)
        os.kill(int(run.stdout.split()[2]), signal.SIGTERM)

        def ended():
            with open(name, encoding="utf-8") as log:
                return "ends" in log.read()
        await_true(ended, "it says that it ends")

    def test_notify(self):
        for name in (os.path.join(self.home, "notify"), f"\0zksync-test-{os.getpid()}-{self.count}"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
                listener.bind(name)
                listener.settimeout(LIMIT)
                run, address = self.serve(NOTIFY_SOCKET=name.replace("\0", "@"))
                self.assertEqual(listener.recv(4096).decode(), f"READY=1\nSTATUS=serving on {address}")
                run.signal(signal.SIGTERM)
                self.assertEqual(listener.recv(4096).decode(), "STOPPING=1")
                self.assertEqual(run.wait(), 0)

    def test_a_service_that_uses_it_is_not_ready_by_that(self):
        name = os.path.join(self.home, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(name)
            listener.setblocking(False)
            self.assertEqual(self.use("ping", NOTIFY_SOCKET=name).code, 0)
            self.assertEqual(self.use("serve", "--stop").code, 0)
            self.assertRaises(BlockingIOError, listener.recv, 4096)

    def test_usage(self):
        for words in (["x"], ["--json"], ["--stop", "--status"], ["--stop", "--memory"], ["--tick", "0"],
                      ["--idle", "0"], ["--listen", "127.0.0.1:0"], ["--data", "x", "--memory"],
                      ["--secret-file", "x"], ["--allow-remote"], ["--min-session-timeout", "x"],
                      ["--memory", "--min-session-timeout", "9s", "--max-session-timeout", "8s"],
                      ["--memory", "--no-secret", "--secret-file", "x"],
                      ["--memory", "--listen", "127.0.0.1"], ["--memory", "--listen", "0.0.0.0:0"],
                      ["--memory", "--listen", "0.0.0.0:0", "--allow-remote"]):
            result = self.use("serve", *words)
            self.assertEqual((result.code, result.out), (64, ""), words)
            self.assertNotEqual(result.err, "")
        self.assertFalse(os.path.exists(self.state))

    def test_a_folder_that_cannot_be_its_own(self):
        self.assertEqual(self.use("ping").code, 0)
        for folder in "", self.state, self.state + "/", self.file("data"), self.home + "/state/../state/zksync/data":
            result = self.use("serve", "--data", folder)
            self.assertEqual((result.code, result.out), (64, ""), folder)
            self.assertIn("--data", result.err)
        self.assertEqual(self.use("ping").code, 0)

    def test_whatever_the_umask_is(self):
        for umask in 0o777, 0o277, 0o177:
            result = self.zksync("ping", env=self.local(), preexec_fn=lambda mask=umask: os.umask(mask))
            self.assertEqual(result.code, 0, result.err)
            self.assertEqual([oct(self.mode(name)) for name in (".", "start.lock", "server.lock", "secret", "data")],
                             ["0o700", "0o600", "0o600", "0o600", "0o700"])
            self.assertEqual(self.use("serve", "--stop").code, 0)
            shutil.rmtree(os.path.dirname(self.state))


class OfItsOwn(Local):
    """A server that nobody finds by itself."""

    def test_in_memory(self):
        run, address = self.serve("--listen", "127.0.0.1:0", "--memory")
        self.assertEqual(self.status()["running"], False)
        self.assertEqual(os.listdir(self.home), [])
        env = self.environment(ZKSYNC_SERVERS=address)
        self.assertEqual(self.zksync("lock", "/a", "echo", "ran", env=env).out, "ran\n")
        other = self.start("serve", "--listen", address, "--memory", env=self.local())
        self.assertEqual(other.wait(), 75)
        self.assertIn(address, other.err)
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 0)

    def test_in_memory_and_started_again(self):
        """Its clients have seen what it has no more: their sessions are over, and they go on with new ones."""
        run, address = self.serve("--listen", "127.0.0.1:0", "--memory")
        env = self.environment(ZKSYNC_SERVERS=address)
        holder = self.start("lock", "-v", "/a", "sleep", "1000", env=env)
        holder.await_err(": held, token ")
        waiter = self.start("lock", "-v", "/a", "echo", "ran", env=env)
        waiter.await_err("1 ahead")
        watcher = self.start("watch", "/a", env=env)
        watcher.await_out("waits")
        run.signal(signal.SIGKILL)
        run.wait()
        self.serve("--listen", address, "--memory")
        self.assertEqual(holder.wait(), 76)
        waiter.await_out("ran")
        self.assertEqual(waiter.wait(), 0)
        self.start("lock", "/a", "sleep", "1000", env=env)
        await_true(lambda: watcher.out.count("acquired") > 1, "it is seen who has the lock now")

    def test_on_disk(self):
        folder = os.path.join(self.home, "folder")
        for code in (0, 1):
            run = self.start("serve", "--data", "folder", env=self.local(), cwd=self.home)
            run.await_out("zksync: serving on ")
            env = self.environment(ZKSYNC_SERVERS=run.out.split()[-1])
            self.assertEqual(self.zksync("barrier", "set", "/gate", env=env).code, code)
            other = self.use("serve", "--data", folder)
            self.assertEqual(other.code, 75)
            self.assertIn(folder, other.err)
            run.signal(signal.SIGTERM)
            self.assertEqual(run.wait(), 0)
        self.assertEqual(self.status()["running"], False)

    def test_a_disk_that_fails(self):
        def small():
            die_with_parent()
            resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))

        run = self.start("serve", "--data", os.path.join(self.home, "folder"), env=self.local(),
                         preexec_fn=small)
        run.await_out("zksync: serving on ")
        client = KazooClient(hosts=run.out.split()[-1], timeout=30)
        self.addCleanup(client.close)
        self.addCleanup(client.stop)
        client.start(timeout=LIMIT)
        asked = client.create_async("/a", b"x" * 500000)
        self.assertEqual(run.wait(), 71, run.err)
        self.assertIn("cannot keep what it would promise", run.err)
        self.assertEqual(len(run.err.splitlines()), 1, run.err)
        self.assertFalse(asked.ready() and asked.successful())

    def test_a_tick_and_bounds(self):
        run, address = self.serve("--memory", "--tick", "100ms", "--min-session-timeout", "2s",
                                  "--max-session-timeout", "4s")
        for asked, granted in (("1s", 2000), ("3s", 3000), ("9s", 4000)):
            result = self.zksync("ping", "-T", asked, "--json", env=self.environment(ZKSYNC_SERVERS=address))
            self.assertEqual(result.json()["session_timeout_ms"], granted)
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 0)

    def test_a_secret(self):
        file = self.private("secret", "not so secret")
        run, address = self.serve("--listen", "0.0.0.0:0", "--allow-remote", "--memory", "--secret-file", file)
        env = self.environment(ZKSYNC_SERVERS=address.replace("0.0.0.0", "127.0.0.1"))
        self.assertEqual(self.zksync("ping", env=env).code, 77)
        auth = self.private("auth", "zksync:not so secret")
        self.assertEqual(self.zksync("--auth-file", auth, "ping", env=env).code, 0)
        os.chmod(file, 0o644)
        result = self.use("serve", "--memory", "--secret-file", file)
        self.assertEqual(result.code, 64)
        self.assertIn("chmod 600", result.err)
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 0)


if __name__ == "__main__":
    main()
