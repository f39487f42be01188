#!/usr/bin/python3 -B
"""The user's local server, which starts and ends by itself."""

import os
import pwd
import signal
import socket
import subprocess

from harness import BUILD, SERVERS, ZKSYNC, alive, await_true, descendants, keeper_of, main
from local import Local, command_line, record_text, servers_below

EXAMPLE = os.path.join(BUILD, "examples", "rwlock")


class ByItself(Local):
    def test_it_is_started_and_found(self):
        first = self.use("-v", "ping", "--json")
        self.assertEqual(first.code, 0, first.err)
        address = self.record()["address"]
        self.assertIn(f"the local server at {address}, process {self.server()}, which was started", first.err)
        self.assertEqual(first.json()["server"], address)
        second = self.use("-v", "ping")
        self.assertIn("which runs already", second.err)
        self.assertEqual(self.use("ping").err, "")
        for name in ("secret", "server.lock", "start.lock", "server.log", "port"):
            self.assertEqual(self.mode(name), 0o600, name)
        for name in ("", "data"):
            self.assertEqual(self.mode(name), 0o700, name)
        with open(self.file("secret"), encoding="ascii") as file:
            self.assertRegex(file.read(), "^[0-9a-f]{64}$")
        self.assertEqual(os.listdir(self.home), ["state"])

    def test_home_without_xdg(self):
        self.assertEqual(self.use("ping", XDG_STATE_HOME=None, XDG_RUNTIME_DIR=None).code, 0)
        self.state = os.path.join(self.home, ".local", "state", "zksync")
        pid = self.server()
        # As cron has it, which sets less: it is the same server.
        self.assertEqual(self.use("ping", XDG_STATE_HOME="", XDG_RUNTIME_DIR=self.home).code, 0)
        self.assertEqual(servers_below(os.getpid()), [pid])

    def test_a_hundred_first_users(self):
        env = self.local()
        runs = [self.start("-v", "--connect-timeout", "60", "barrier", "wait", "-n", "/a", env=env) for _ in range(100)]
        said = []
        for run in runs:
            self.assertEqual(run.wait(), 0, run.err)
            said.append(run.err)
        started = [text for text in said if "which was started" in text]
        found = [text for text in said if "which runs already" in text]
        self.assertEqual((len(started), len(found)), (1, 99))
        self.assertEqual(len(servers_below(os.getpid())), 1)
        self.assertEqual(len({text.split(", process ")[1].split(",")[0] for text in said}), 1)

    def test_a_killed_server(self):
        """Its record does not stand in the way, and what it had is there again."""
        self.assertEqual(self.use("barrier", "set", "/gate").code, 0)
        holder = self.start("lock", "/a", "--", "sh", "-c", "echo held; cat >/dev/null", env=self.local(),
                            stdin=subprocess.PIPE)
        holder.await_out("held\n")
        before = self.record()
        token = self.use("status", "--json", "/a").json()["contenders"][0]["token"]
        self.kill_server()
        self.assertEqual(self.use("barrier", "wait", "-n", "/gate").code, 75)
        after = self.record()
        self.assertNotEqual(before["pid"], after["pid"])
        self.assertEqual(before["address"], after["address"])
        # Who held holds on, in the same session.
        contender = self.use("status", "--json", "/a").json()["contenders"][0]
        self.assertEqual((contender["token"], contender["holds"]), (token, True))
        self.release(holder)
        self.assertEqual(self.use("status", "/a").code, 1)

    def test_a_port_that_is_taken(self):
        self.assertEqual(self.use("ping").code, 0)
        port = self.record()["address"].split(":")[1]
        self.kill_server()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", int(port)))
            other.listen(1)
            self.assertEqual(self.use("ping").code, 0)
            self.assertNotEqual(self.record()["address"].split(":")[1], port)

    def test_a_wrong_call_starts_nothing(self):
        for words in (["lock", "/a"], ["status"], ["lock", "-k", "1h", "/a", "true"], ["--help"],
                      ["ls", "--help"], ["completion", "bash"]):
            self.use(*words)
        self.assertFalse(os.path.exists(self.state))

    def test_completion_starts_nothing(self):
        patient = {"ZKSYNC_COMPLETION_TIMEOUT": "30s"}
        self.assertEqual(self.use("__complete", "--", "ls", "/", **patient).out, "")
        self.assertFalse(os.path.exists(self.state))
        self.assertEqual(self.use("barrier", "set", "/gate").code, 0)
        self.assertEqual(self.use("__complete", "--", "ls", "/", **patient).out, "/gate\n")

    def test_the_program_is_not_there(self):
        result = self.use("ping", ZKSYNC_COMMAND="/no/such/program")
        self.assertEqual(result.code, 69)
        self.assertIn("/no/such/program", result.err)
        result = self.use("ping", ZKSYNC_COMMAND="/bin/false")
        self.assertEqual(result.code, 69)
        self.assertIn("cannot be started", result.err)

    def test_why_it_cannot_serve_is_told(self):
        os.makedirs(self.file("data"))
        os.chmod(self.state, 0o700)
        with open(self.file("data") + "/snapshot.x", "w", encoding="ascii"):
            pass
        os.chmod(self.state, 0o500)
        self.addCleanup(os.chmod, self.state, 0o700)
        if os.geteuid() != 0:
            result = self.use("ping")
            self.assertIn(result.code, (69, 71))
            self.assertIn("Permission denied", result.err)

    def test_it_does_not_run_a_lock_within_itself(self):
        result = self.use("lock", "/a", ZKSYNC, "lock", "/a", "true")
        self.assertEqual(result.code, 64)
        self.assertIn("runs under this lock already", result.err)


class Secret(Local):
    def test_a_secret_that_others_can_read(self):
        self.assertEqual(self.use("ping").code, 0)
        for mode in (0o640, 0o604, 0o666):
            os.chmod(self.file("secret"), mode)
            result = self.use("ping")
            self.assertEqual(result.code, 77)
            self.assertIn("chmod 600 " + self.file("secret"), result.err)
        self.assertEqual(self.use("serve", "--stop").code, 0)
        result = self.use("ping")
        self.assertEqual(result.code, 77)
        self.assertIn("chmod 600 " + self.file("secret"), result.err)
        self.assertEqual(self.use("serve").code, 77)
        os.chmod(self.file("secret"), 0o600)
        self.assertEqual(self.use("ping").code, 0)

    def test_a_damaged_secret(self):
        self.assertEqual(self.use("ping").code, 0)
        self.assertEqual(self.use("serve", "--stop").code, 0)
        with open(self.file("secret"), "w", encoding="ascii") as file:
            file.write("0123")
        result = self.use("ping")
        self.assertEqual(result.code, 71)
        self.assertIn("damaged", result.err)
        os.remove(self.file("secret"))
        self.assertEqual(self.use("ping").code, 0)

    def test_a_secret_that_has_gone(self):
        self.assertEqual(self.use("ping").code, 0)
        os.remove(self.file("secret"))
        result = self.use("ping")
        self.assertEqual(result.code, 71)
        self.assertIn("serve --stop", result.err)

    def test_pipes_in_the_place_of_files(self):
        self.assertEqual(self.use("ping").code, 0)
        self.assertEqual(self.use("serve", "--stop").code, 0)
        for name, code in (("secret", 71), ("port", 0), ("server.lock", 71)):
            os.rename(self.file(name), self.file("away"))
            os.mkfifo(self.file(name), 0o600)
            result = self.use("ping")
            self.assertEqual(result.code, code, (name, result.err))
            if code == 0:
                self.assertEqual(self.use("serve", "--stop").code, 0)
            else:
                self.assertIn(f"{self.file(name)} cannot be read: Not a regular file", result.err)
            os.replace(self.file("away"), self.file(name))

    def test_a_folder_that_others_can_write_to(self):
        os.makedirs(self.state)
        os.chmod(self.state, 0o777)
        for words in (["ping"], ["serve"], ["serve", "--status"]):
            result = self.use(*words)
            self.assertEqual(result.code, 77, words)
            self.assertIn("chmod 700 " + self.state, result.err)

    @staticmethod
    def nobody():
        return pwd.getpwnam("nobody").pw_uid

    def test_a_folder_of_somebody_elses(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a folder away")
        os.makedirs(self.state, mode=0o700)
        os.chown(self.state, self.nobody(), -1)
        result = self.use("ping")
        self.assertEqual(result.code, 77)
        self.assertIn(f"{self.state}: owned by nobody, not by", result.err)

    def test_who_does_not_know_it(self):
        self.assertEqual(self.use("barrier", "set", "/gate").code, 0)
        address = self.record()["address"]
        with open(self.file("secret"), encoding="ascii") as file:
            secret = file.read()
        wrong = self.private("wrong", "zksync:" + "0" * 64)
        right = self.private("right", "zksync:" + secret)
        env = self.environment(ZKSYNC_SERVERS=address, ZKSYNC_CONNECT_TIMEOUT="20")
        self.assertEqual(self.zksync("status", "/gate", env=env).code, 77)
        self.assertEqual(self.zksync("--auth-file", wrong, "status", "/gate", env=env).code, 77)
        self.assertEqual(self.zksync("--auth-file", right, "status", "/gate", env=env).code, 0)
        # It says nothing of who somebody is: what is made with it is everybody's who is let in.
        self.assertEqual(self.zksync("--auth-file", right, "barrier", "set", "/b", env=env).code, 0)
        self.assertEqual(self.use("barrier", "unset", "/b").code, 0)
        self.assertEqual(self.use("barrier", "unset", "/gate").code, 0)

    def test_credentials_of_the_users_own_besides(self):
        """Both are presented, also to a server that comes back."""
        auth = self.private("auth", "digest:user:password")
        env = self.local(ZKSYNC_AUTH_FILE=auth)
        self.assertEqual(self.zksync("barrier", "set", "/gate", env=env).code, 0)
        self.assertEqual(self.zksync("status", "/gate", env=env).code, 0)
        self.assertEqual(self.use("status", "/gate").code, 77)
        holder = self.start("lock", "-v", "/a", "--", "sh", "-c", "echo held; cat >/dev/null", env=env,
                            stdin=subprocess.PIPE)
        holder.await_out("held\n")
        self.kill_server()
        self.assertEqual(self.use("ping").code, 0)
        holder.await_err("in contact with the servers again")
        self.assertEqual(self.zksync("status", "/a", env=env).code, 0)
        self.release(holder)
        self.assertEqual(self.zksync("barrier", "unset", "/gate", env=env).code, 0)


class Records(Local):
    """What the record says counts only while it is locked; here the test is what has the lock."""

    def test_a_stale_one(self):
        self.lock_record(text=record_text())
        self.assertEqual(self.use("ping").code, 0)

    def test_one_that_does_not_answer(self):
        self.lock_record(0, 1, text=record_text())
        result = self.use("--connect-timeout", "0.3", "ping")
        self.assertEqual(result.code, 69)
        self.assertIn("does not answer", result.err)

    def test_one_that_is_being_started_for_long(self):
        self.lock_record(0, text=record_text())
        result = self.use("--connect-timeout", "0.3", "ping")
        self.assertEqual(result.code, 69)
        self.assertIn("being started or ended", result.err)
        result = self.use("--connect-timeout", "0.3", "serve", "--stop")
        self.assertEqual((result.code, result.err), (75, "zksync: a local server is being started or ended\n"))
        self.assertEqual(self.use("serve").code, 75)
        self.assertEqual([name for name, _ in self.calls("pid", "claim")], ["ZKS_EBUSY", "ZKS_EEXIST"])

    def test_one_that_ends(self):
        """Who comes then waits until it has gone, and starts another."""
        os.makedirs(self.state, mode=0o700)
        held = subprocess.Popen(
            ["python3", "-c", "import fcntl, os, struct, sys\n"
             f"fd = os.open({self.file('server.lock')!r}, os.O_RDWR | os.O_CREAT, 0o600)\n"
             "fcntl.fcntl(fd, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 1, 0))\n"
             "print('locked', flush=True)\nsys.stdin.read()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(held.wait)
        self.addCleanup(held.kill)
        held.stdout.readline()
        run = self.start("-v", "ping", env=self.local(ZKSYNC_CONNECT_TIMEOUT="forever"))
        await_true(lambda: self.looks(run.pid), "it looks")
        self.assertFalse(run.ended())
        held.stdin.close()
        held.stdout.close()
        self.assertEqual(run.wait(), 0, run.err)
        self.assertIn("which was started", run.err)

    @staticmethod
    def looks(pid):
        """Whether a process has slept a few times, as one does that looks again and again."""
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt")) > 5


class Jobs(Local):
    """A job kills all that its command has started, but not the user's server."""

    # What the command does: it uses the local server, and goes on.
    INNER = f"env ZKSYNC_SERVERS=local {ZKSYNC} barrier set /gate && echo used; cat >/dev/null"

    def job(self, servers=SERVERS):
        run = self.start("lock", "-T", 20, self.path, "--", "sh", "-c", self.INNER,
                         env=self.local(ZKSYNC_SERVERS=servers), stdin=subprocess.PIPE)
        run.await_out("used\n")
        return run

    def server_lives(self, pid):
        self.assertTrue(alive(pid))
        result = self.use("-v", "barrier", "wait", "-n", "/gate")
        self.assertEqual(result.code, 75, result.err)
        self.assertIn(f"process {pid}, which runs already", result.err)

    def test_the_keeper_ends_the_job(self):
        job = self.job()
        server, command = self.server(), [p for p in descendants(job.pid) if p != keeper_of(job.pid)]
        self.assertIn(server, command)
        self.outside.delete(f"{self.path}/{self.contenders()[0]}")
        self.assertEqual(job.wait(), 76, job.err)
        self.assertEqual([p for p in command if alive(p)], [server])
        self.server_lives(server)

    def test_front_is_killed(self):
        job = self.job()
        server, keeper = self.server(), keeper_of(job.pid)
        command = [p for p in descendants(job.pid) if p != keeper]
        job.signal(signal.SIGKILL)
        await_true(lambda: not alive(keeper), "the keeper has ended")
        self.assertEqual([p for p in command if alive(p)], [server])
        self.server_lives(server)

    def test_the_keeper_is_killed(self):
        job = self.job()
        server, keeper = self.server(), keeper_of(job.pid)
        command = [p for p in descendants(job.pid) if p != keeper]
        os.kill(keeper, signal.SIGKILL)
        self.assertEqual(job.wait(), 76, job.err)
        self.assertEqual([p for p in command if alive(p)], [server])
        self.server_lives(server)

    def test_the_folder_is_not_needed_to_end_a_job(self):
        """It may be on a file system that is gone when the servers are; nobody waits for it then."""
        job = self.job()
        server, command = self.server(), [p for p in descendants(job.pid) if p != keeper_of(job.pid)]
        os.kill(server, signal.SIGSTOP)  # It would end.
        os.rename(self.file("server.lock"), self.file("away"))
        os.mkfifo(self.file("server.lock"), 0o600)
        self.outside.delete(f"{self.path}/{self.contenders()[0]}")
        self.assertEqual(job.wait(), 76, job.err)
        self.assertEqual([p for p in command if alive(p)], [server])
        os.replace(self.file("away"), self.file("server.lock"))
        os.kill(server, signal.SIGCONT)
        self.server_lives(server)

    def test_a_server_that_is_the_command_is_killed(self):
        """In the foreground, or one of its own, it is a command like any other."""
        for words in ([], ["-b", "--listen", "127.0.0.1:0", "--memory"]):
            command = f"env ZKSYNC_SERVERS=local {ZKSYNC} serve {' '.join(words)}; echo ends; cat >/dev/null"
            job = self.start("lock", "-T", 20, self.path, "--", "sh", "-c", command,
                             env=self.local(ZKSYNC_SERVERS=SERVERS), stdin=subprocess.PIPE)
            job.await_out("ends\n" if words else "serving on ")
            below = [p for p in descendants(job.pid) if p != keeper_of(job.pid)]
            self.assertTrue(any(b"serve" in command_line(p) for p in below))
            self.outside.delete(f"{self.path}/{self.contenders()[0]}")
            self.assertEqual(job.wait(), 76, job.err)
            self.assertEqual([p for p in below if alive(p)], [])

    def test_a_job_that_ends(self):
        job = self.job()
        server = self.server()
        self.release(job)
        self.server_lives(server)

    def test_it_is_no_child_of_the_first_job(self):
        job = self.job(servers="local")
        server = self.server()
        self.assertNotIn(server, descendants(job.pid))
        job.signal(signal.SIGKILL)
        self.assertEqual(job.wait(), -signal.SIGKILL)
        self.server_lives(server)


class Library(Local):
    def test_an_example_on_the_local_server(self):
        run = self.spawn([EXAMPLE, "write", "/a", "0"], env=self.local())
        self.assertEqual(run.wait(), 0, run.err)
        self.assertIn("released", run.out)
        self.assertEqual(self.status()["running"], True)

    def test_nothing_of_the_program_is_left_to_the_server(self):
        """Nor does it matter which of the first three descriptors the program has."""
        ours, theirs = os.pipe()

        def strange():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGCHLD, signal.SIGTERM])
            for number in (signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2):
                signal.signal(number, signal.SIG_IGN)
            os.close(0)

        run = self.spawn([EXAMPLE, "write", "/a", "0"], env=self.local(), pass_fds=[theirs],
                         preexec_fn=strange, cwd=self.home)
        os.close(theirs)
        self.assertEqual(run.wait(), 0, run.err)
        self.let_go(self.server(), ours)
        os.close(ours)


if __name__ == "__main__":
    main()
