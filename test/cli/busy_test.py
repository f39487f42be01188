#!/usr/bin/python3 -B
"""What is said of a lock or barrier that was not acquired."""

import os
import socket
import types

from harness import SHORT, Case, Limit, await_true, events_of, in_time, main

SINCE = r"since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z \([^)]+\)"


class Busy(Case):
    def refused(self, *words, code=75):
        """What such a command writes, which writes nothing without -v."""
        quiet = self.zksync(*words)
        self.assertEqual((quiet.code, quiet.out, quiet.err), (code, "", ""))
        result = self.zksync_tells(" by ", code, "-v", *words)
        self.assertEqual((result.code, result.out), (code, ""))
        lines = [line for line in result.err.splitlines() if "using the" not in line]
        return lines[-1]

    def events(self, *words):
        def ask(chosen):
            read_end, write_end = os.pipe()
            run = self.start(*chosen[:1], "--status-fd", write_end, *chosen[1:], pass_fds=[write_end])
            os.close(write_end)
            with open(read_end, encoding="utf-8") as stream:
                found = events_of(stream.read())
            return types.SimpleNamespace(code=run.wait(), events=found)
        return in_time(words, ask).events

    def busy(self, key, *words):
        """The last event, which has this key unless the servers do not answer within a second: then once more."""
        limit = Limit(20)
        while key not in (event := self.events(*words)[-1]) and not limit.over():
            pass
        return event

    def who(self, run):
        return rf"{socket.gethostname()}:{run.pid} \S+ \(sh\)"

    def test_a_lock_that_is_held(self):
        holder = self.hold()
        for options, what in ((["-n"], "busy"), (["-w", SHORT], "timed out"), (["-s", "-n"], "busy")):
            self.assertRegex(self.refused("lock", *options, self.path, "true"),
                             rf"\Azksync: {self.path}: {what}, held by {self.who(holder)} {SINCE}\Z")
        self.assertRegex(self.refused("hold", "-n", "-E", "9", self.path, code=9), self.who(holder))
        busy = self.busy("holder", "lock", "-n", self.path, "true")
        self.assertEqual((busy["event"], busy["path"]), ("busy", self.path))
        self.assertEqual(busy["holder"]["pid"], holder.pid)
        self.release(holder)

    def test_several_who_share_it(self):
        first, second = self.hold(shared=True), self.hold(shared=True)
        self.assertRegex(self.refused("lock", "-n", self.path, "true"),
                         rf": busy, held by {self.who(first)} {SINCE} and 1 more\Z")
        self.release(first)
        self.release(second)

    def test_a_double_barrier_for_which_too_few_come(self):
        waiting = self.start("double-barrier", "-n", "3", "--id", "first", self.path, "true")
        await_true(lambda: any(name.startswith("first-") for name in self.outside.get_children(self.path))
                   if self.outside.exists(self.path) else False, "the first one is there")
        # A job of which a part is missing is told of also without -v.
        result = self.zksync_tells("were there", 75, "double-barrier", "-n", "3", "-w", SHORT, self.path, "true")
        self.assertEqual((result.code, result.out, result.err),
                         (75, "", f"zksync: {self.path}: timed out, 2 of 3 participants were there\n"))
        busy = self.busy("present", "double-barrier", "-n", "3", "-w", SHORT, self.path, "true")
        self.assertEqual([busy[key] for key in ("event", "path", "present", "n")],
                         ["busy", self.path, 2, 3])
        waiting.signal(15)
        waiting.wait()

    def test_a_barrier_that_stays_set(self):
        self.assertEqual(self.zksync("barrier", "set", self.path).code, 0)
        for options in (["-n"], ["-w", SHORT]):
            self.assertRegex(self.refused("barrier", "wait", *options, self.path),
                             rf"\Azksync: {self.path}: set by {socket.gethostname()}:\d+ \S+ \(zksync\) {SINCE}\Z")
        self.zksync("barrier", "unset", self.path)

    def test_success_sends_no_busy_event(self):
        self.assertNotIn("busy", [event["event"] for event in self.events("lock", self.path, "true")])


if __name__ == "__main__":
    main()
