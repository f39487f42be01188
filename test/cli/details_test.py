#!/usr/bin/python3 -B
"""Details of the command that no other test depends on."""

import os
import signal

from harness import NOBODY, Case, ZKSYNC, await_true, main


class Details(Case):
    def test_help_is_that_of_the_subcommand(self):
        for command in ("lock", "status", "serve", "watch"):
            self.assertIn(f"usage: zksync {command} ", self.zksync(command, "--help").out)

    def test_a_barrier_waits_no_longer_than_it_is_told_to(self):
        """The limit of the test's runner would be over first."""
        result = self.zksync("barrier", "wait", "-w", "0.3", "--connect-timeout", "forever", "/a",
                             env=self.environment(ZKSYNC_SERVERS=NOBODY))
        self.assertEqual(result.code, 69)

    def test_a_hold_for_a_process_that_has_ended(self):
        gone = self.spawn(["true"])
        gone.wait()
        result = self.zksync("hold", "--for", gone.pid, self.path)
        self.assertEqual((result.code, result.out), (64, ""))
        self.assertIn(str(gone.pid), result.err)
        self.assert_nothing_left()

    def test_a_hold_where_standard_input_is_closed(self):
        """It has no end to wait for, and nothing of the program's own has got its number."""
        run = self.spawn(["bash", "-c", f"exec {ZKSYNC} hold -v {self.path} 0<&-"])
        run.await_err(": held, token ")
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 0, run.err)
        self.assert_nothing_left()

    def test_events_that_nobody_reads(self):
        """A pipe that is full holds up neither the command nor the release."""
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        os.set_blocking(write_end, False)
        try:
            while True:
                os.write(write_end, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(write_end, True)
        result = self.zksync("lock", "--status-fd", write_end, self.path, "echo", "ran", pass_fds=[write_end])
        self.assertEqual((result.code, result.out), (0, "ran\n"))
        self.assert_nothing_left()

    def test_a_watch_that_nobody_reads_ends_by_itself(self):
        """Nothing changes, so nothing is written that could fail."""
        watch = self.start("watch", self.path)
        watch.await_out("free")
        watch.process.stdout.close()
        self.assertNotEqual(watch.wait(), 0)

    def test_an_id_that_is_in_use_names_its_user(self):
        """Not any other participant."""
        runs = []
        for name, command in (("one", "echo"), ("two", "sleep")):
            runs.append(self.start("double-barrier", "-n", 3, "--id", name, self.path, command, "100"))
            await_true(lambda: self.outside.exists(self.path) and
                       len(self.outside.get_children(self.path)) == len(runs), "it is there")
        result = self.zksync_tells("in use by", 1, "double-barrier", "-n", 3, "--id", "two", "-w", 0, self.path, "true")
        self.assertEqual(result.code, 1, result.err)
        self.assertIn("(sleep)", result.err)
        for run in runs:
            run.signal(signal.SIGTERM)
            self.assertEqual(run.wait(), -signal.SIGTERM)

    def test_one_command_or_the_other(self):
        for words in (("-c", "echo one", self.path, "echo", "two"), (self.path, "-c", "echo one", "two")):
            result = self.zksync("lock", *words)
            self.assertEqual((result.code, result.out), (64, ""))


if __name__ == "__main__":
    main()
