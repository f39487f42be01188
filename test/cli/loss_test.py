#!/usr/bin/python3 -B
# For tools/run-tests. zksync-test: takes long
"""A lock that is being lost: the command has ended before anybody else can have it."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

from harness import BUILD, Case, DIRECT, Proxy, await_true, clock_ms, events_of, keeper_of, main

# As stubborn as a command can be, and it says when it was last alive, to the millisecond.
STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if sys.argv[2] == "grandchild" and os.fork() == 0:
    os.setsid()
while True:
    time.sleep(0.0005)
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    fd = os.open(sys.argv[1] + "." + str(os.getpid()), os.O_CREAT | os.O_WRONLY)
    os.pwrite(fd, b"%020d" % now, 0)
    os.close(fd)
"""
ROUNDS = 20 if os.path.basename(BUILD) == "dev" else 2
ABREAST = 5


class Status:
    """A pipe for --status-fd."""

    def __init__(self):
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.text = b""

    def started(self):
        os.close(self.write_end)

    def events(self):
        try:
            while piece := os.read(self.read_end, 65536):
                self.text += piece
        except BlockingIOError:
            pass
        whole = self.text[:self.text.rfind(b"\n") + 1]
        return events_of(whole.decode("utf-8"))

    def names(self):
        return [event["event"] for event in self.events()]

    def await_event(self, name):
        await_true(lambda: name in self.names(), f"the event {name}; there were {self.names()}")
        return next(event for event in self.events() if event["event"] == name)

    def close(self):
        os.close(self.read_end)


class Loss(Case):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.direct = self.environment(ZKSYNC_SERVERS=DIRECT)

    def status(self):
        status = Status()
        self.addCleanup(status.close)
        return status

    def last_alive(self, mark):
        stamps = []
        for name in os.listdir(self.folder):
            if name.startswith(mark + "."):
                with open(os.path.join(self.folder, name), "rb") as file:
                    stamps.append(int(file.read() or b"0"))
        return stamps

    def hold_and_wait(self, mark, what):
        """One holds and the next one waits, at a path of their own."""
        path = f"{self.path}/{mark}"
        holder = self.start("lock", "-T", 7, path, "--", sys.executable, "-c", STUBBORN,
                            os.path.join(self.folder, mark), what)
        processes = 2 if what == "grandchild" else 1
        await_true(lambda: len(self.last_alive(mark)) == processes and all(self.last_alive(mark)),
                   "the command runs")
        follower = self.start("lock", path, "--", sys.executable, "-c",
                              "import time; print(time.clock_gettime_ns(time.CLOCK_BOOTTIME))",
                              env=self.direct)
        self.await_contenders(2, path)
        return holder, follower

    @Proxy.needed
    def test_the_command_is_dead_before_the_next_one_begins(self):
        """Several holders at a time have their network go silent."""
        self.addCleanup(Proxy.heal)
        for first in range(0, ROUNDS, ABREAST):
            pairs = {}
            for number in range(first, min(first + ABREAST, ROUNDS)):
                pairs[str(number)] = self.hold_and_wait(str(number), "grandchild" if number % 2 else "alone")
            Proxy.silence()
            for mark, (holder, follower) in pairs.items():
                self.assertEqual(holder.wait(), 76, holder.err)
                self.assertEqual(follower.wait(), 0, follower.err)
                for stamp in self.last_alive(mark):
                    self.assertLess(stamp, int(follower.out))
            Proxy.heal()
        print(f"#: lost by silence {ROUNDS} times; each time the command was dead before the next began")

    @Proxy.needed
    def test_a_disconnect_that_heals_in_time_disturbs_nothing(self):
        self.addCleanup(Proxy.heal)
        status = self.status()
        run = self.start("lock", "-v", "--status-fd", status.write_end, self.path, "-c",
                         "trap 'echo disturbed' TERM CONT USR1; echo on; read x; echo $x",
                         stdin=subprocess.PIPE, pass_fds=[status.write_end])
        status.started()
        run.await_out("on\n")
        for _ in range(2):
            Proxy.cut()
            await_true(lambda: status.names()[-1] == "suspended", "it is suspended")
            Proxy.heal()
            await_true(lambda: status.names()[-1] == "resumed", "it is resumed")
        run.process.stdin.write(b"undisturbed\n")
        run.process.stdin.close()
        self.assertEqual(run.wait(), 0)
        self.assertEqual(run.out, "on\nundisturbed\n")
        self.assertGreater(status.await_event("suspended")["safe_ms"], 0)
        self.assertIn("cut off from the servers; it is safe for", run.err)

    @Proxy.needed
    def test_term_comes_first_and_the_grace_can_be_used(self):
        self.addCleanup(Proxy.heal)
        status = self.status()
        run = self.start("lock", "-T", 20, "-k", 4, "--status-fd", status.write_end, self.path, "-c",
                         "trap 'echo cleaned up; exit 3' TERM; echo on; while :; do sleep 0.01; done",
                         pass_fds=[status.write_end])
        status.started()
        run.await_out("on\n")
        Proxy.silence()
        self.assertEqual(run.wait(), 76)
        self.assertEqual(run.out, "on\ncleaned up\n")
        self.assertIn("TERM was sent", run.err)
        self.assertEqual(status.await_event("exited")["code"], 3)
        names = status.names()
        self.assertLess(names.index("lost"), names.index("exited"))
        self.assertNotIn("released", names)

    @Proxy.needed
    def test_a_stopped_command_hears_of_it(self):
        self.addCleanup(Proxy.heal)
        run = self.start("lock", "-T", 20, self.path, "-c",
                         "trap 'echo cleaned up; exit 3' TERM; echo $$; while :; do sleep 0.01; done")
        run.await_out("\n")
        os.kill(int(run.out), signal.SIGSTOP)
        Proxy.silence()
        self.assertEqual(run.wait(), 76)
        self.assertIn("cleaned up", run.out)

    @Proxy.needed
    def test_a_rank_that_loses_its_session(self):
        self.addCleanup(Proxy.heal)
        lost = self.start("double-barrier", "-n", 2, "-T", 10, self.path, "-c", "echo on; sleep 1000")
        other = self.start("double-barrier", "-n", 2, self.path, "-c", "echo on; cat",
                           stdin=subprocess.PIPE, env=self.direct)
        lost.await_out("on\n")
        other.await_out("on\n")
        Proxy.silence()
        self.assertEqual(lost.wait(), 76)
        other.process.stdin.close()
        self.assertEqual(other.wait(), 0)

    # ---- Losses that the holder is told of ----

    def take_away(self):
        """Deletes the holder's znode from outside, once it watches it."""
        self.outside.delete(f"{self.path}/{self.contenders()[0]}")

    def test_kill_is_the_default(self):
        run = self.start("lock", "-T", 20, self.path, "-c", "trap '' TERM; echo on; sleep 1000")
        run.await_out("on\n")
        self.take_away()
        self.assertEqual(run.wait(), 76)
        self.assertIn(f"zksync: {self.path}: lost; the command is killed\n", run.err)

    @unittest.skipIf(os.path.basename(BUILD) in ("asan", "tsan"), "a sanitizer must be loaded first")
    def test_front_stands_still_between_two_instructions(self):
        """It must not judge by what the keeper has said before, and kill a command whose lock is held."""
        file = os.path.join(self.folder, "stall")
        clock = os.path.join(BUILD, "test", "cli", "late_clock.so")
        run = self.start("lock", "-T", 15, self.path, "-c", "echo on; read x; echo $x", stdin=subprocess.PIPE,
                         env=self.environment(LD_PRELOAD=clock, ZKSYNC_TEST_STALL=file))
        run.await_out("on\n")
        with open(file, "wb"):
            pass
        await_true(lambda: os.path.exists(file + ".stalled"), "front is about to read its clock")
        since = clock_ms()
        await_true(lambda: clock_ms() > since + 20000, "the time is over that it had read before")
        os.unlink(file)
        run.process.stdin.write(b"undisturbed\n")
        run.process.stdin.close()
        self.assertEqual((run.wait(), run.err), (0, ""))
        self.assertEqual(run.out, "on\nundisturbed\n")

    @Proxy.needed
    def test_the_keeper_stands_still_while_it_ends_the_command(self):
        """What has been said already, that the servers are cut off, is why; not the keeper."""
        self.addCleanup(Proxy.heal)
        run = self.start("lock", "-T", 20, "-k", 4, self.path, "-c", "trap '' TERM; echo on; while :; do sleep 0.01; done")
        run.await_out("on\n")
        keeper = keeper_of(run.pid)
        Proxy.silence()
        run.await_err("TERM was sent")
        os.kill(keeper, signal.SIGSTOP)
        self.assertEqual(run.wait(), 76)
        self.assertIn("the process that kept it did not end the command in time; the command has been killed\n", run.err)
        self.assertNotIn("stood still", run.err)

    def test_warn_lets_it_go_on(self):
        status = self.status()
        run = self.start("lock", "-T", 20, "--on-loss=warn", "--status-fd", status.write_end, self.path,
                         "-c", "trap 'echo TERM' TERM; echo on; read x; exit 4", stdin=subprocess.PIPE,
                         pass_fds=[status.write_end])
        status.started()
        run.await_out("on\n")
        self.take_away()
        run.await_err(f"zksync: {self.path}: lost\n")
        self.assertFalse(run.ended())
        run.process.stdin.write(b"\n")
        run.process.stdin.close()
        self.assertEqual(run.wait(), 76)
        self.assertEqual(run.out, "on\n")
        self.assertEqual(status.await_event("exited")["code"], 4)

    def test_a_signal_of_ones_own(self):
        for name in ("USR1", "SIGUSR1", str(int(signal.SIGUSR1))):
            run = self.start("lock", "-T", 20, f"--on-loss={name}", self.path, "-c",
                             "trap 'echo told; exit 4' USR1; echo on; while :; do sleep 0.01; done")
            run.await_out("on\n")
            self.take_away()
            self.assertEqual(run.wait(), 76)
            self.assertEqual(run.out, "on\ntold\n")

    def test_hold_ends(self):
        run = self.start("hold", "-v", "-T", 20, self.path, stdin=subprocess.PIPE)
        run.await_err(": held, token ")
        self.take_away()
        self.assertEqual(run.wait(), 76)

    def test_hold_for_a_process_ends_the_process(self):
        victim = self.spawn(["sh", "-c", "trap '' TERM; exec sleep 1000"])
        run = self.start("hold", "-v", "-T", 20, "--for", victim.pid, self.path, stdin=subprocess.PIPE)
        run.await_err(": held, token ")
        self.take_away()
        self.assertEqual(run.wait(), 76)
        self.assertEqual(victim.process.wait(), -signal.SIGKILL)

    def test_a_grace_that_does_not_fit_what_is_granted(self):
        """The servers grant 120 s at most."""
        result = self.zksync("lock", "-T", 200, "-k", 40, self.path, "echo", "ran")
        self.assertEqual((result.code, result.out), (64, ""))
        self.assertIn("a grace of 40 s does not fit a session timeout of 120 s", result.err)
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
