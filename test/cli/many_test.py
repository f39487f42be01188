#!/usr/bin/python3 -B
"""zksync where many run at once: nobody is beside a writer, and all of a round start and end together."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import tempfile

from harness import SHORT, Case, ZKSYNC, await_true, keeper_of, main


class Many(Case):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "w", encoding="ascii"):
            pass

    def lines(self):
        with open(self.log, encoding="ascii") as file:
            return [tuple(line.split()) for line in file.read().splitlines()]

    def count(self, word):
        return sum(line[0] == word for line in self.lines())

    def quiet(self, *command, **options):
        """One of so many that a pipe to each would be too much; all complaints go to one file."""
        with open(os.path.join(self.folder, "errors"), "ab") as errors:
            return self.spawn(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=errors, **options)

    def assert_codes(self, runs, code=0):
        codes = [run.wait() for run in runs]
        with open(os.path.join(self.folder, "errors"), encoding="utf-8", errors="replace") as file:
            self.assertEqual([c for c in codes if c != code], [], file.read()[-2000:])

    # ---- Double barriers ----

    def rank(self, name, n, *options, rounds=1, stdin=subprocess.DEVNULL, inside=":", before=":"):
        """A shell that logs when it is here, when its command starts and ends, and when it is back."""
        command = f'echo start {name} $r >>{self.log}; {inside}; echo end {name} $r >>{self.log}'
        script = f'for r in {" ".join(map(str, range(rounds)))}; do export r; {before}; ' \
                 f'echo here {name} $r >>{self.log}; "$@" || exit; echo back {name} $r >>{self.log}; done'
        return self.spawn(["sh", "-c", script, "sh", ZKSYNC, "--connect-timeout", "60", "double-barrier",
                           "-n", str(n), "--id", name, *map(str, options), self.path, "-c", command],
                          stdin=stdin)

    def participants(self):
        self.outside.sync("/")
        if self.outside.exists(self.path) is None:
            return []
        with contextlib.suppress(Exception):
            return sorted(c for c in self.outside.get_children(self.path) if c != "ready")
        return []

    def await_participants(self, count):
        await_true(lambda: len(self.participants()) == count, f"{count} participants")

    def assert_rounds(self, names, rounds):
        lines = self.lines()
        for r in range(rounds):
            at = {word: [i for i, line in enumerate(lines) if line[0] == word and line[2] == str(r)]
                  for word in ("here", "start", "end", "back")}
            for word, places in at.items():
                self.assertEqual(sorted(lines[i][1] for i in places), sorted(names), (word, r))
            self.assertLess(max(at["here"]), min(at["start"]), lines)
            self.assertLess(max(at["end"]), min(at["back"]), lines)

    def open_pipe(self):
        """An input that does not end until ours is closed."""
        read_end, write_end = os.pipe()
        self.addCleanup(lambda: os.close(read_end))
        return read_end, write_end

    def kill_all_of(self, pid):
        """A host that dies: the zksync process and its keeper."""
        victims = [p for p in (keeper_of(pid), pid) if p is not None]
        for victim in victims:
            os.kill(victim, signal.SIGSTOP)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        return victims


class Locks(Many):
    def test_200_writers(self):
        counter = os.path.join(self.folder, "counter")
        with open(counter, "w", encoding="ascii") as file:
            file.write("0\n")
        script = f'read n <{counter}; echo "$ZKSYNC_TOKEN" >>{self.log}; echo $((n + 1)) >{counter}'
        runs = [self.quiet(ZKSYNC, "-T", "60", "--connect-timeout", "forever", "lock", self.path, "-c", script)
                for _ in range(200)]
        self.assert_codes(runs)
        with open(counter, encoding="ascii") as file:
            self.assertEqual(file.read(), "200\n")
        tokens = [int(line[0]) for line in self.lines()]
        self.assertEqual(len(tokens), 200)
        self.assertEqual(tokens, sorted(set(tokens)))
        self.assert_nothing_left()

    def test_readers_and_writers(self):
        script = f'echo begin $0 $$ >>{self.log}; cat /proc/self/stat >/dev/null; echo end $0 $$ >>{self.log}'
        runs = []
        for i in range(60):
            mode = "w" if i % 4 == 0 else "r"
            runs.append(self.quiet(ZKSYNC, "-T", "60", "--connect-timeout", "forever", "lock",
                                   "-x" if mode == "w" else "-s", self.path, "--", "sh", "-c", script, mode))
        self.assert_codes(runs)
        inside = {}
        for what, mode, pid in self.lines():
            if what == "end":
                self.assertEqual(inside.pop(pid), mode)
                continue
            self.assertNotIn("w", inside.values())
            self.assertTrue(mode == "r" or not inside, inside)
            inside[pid] = mode
        self.assertEqual((inside, len(self.lines())), ({}, 120))
        self.assert_nothing_left()

    def test_readers_are_together(self):
        """Each waits for all of the others, so they end only where they hold it at once."""
        script = f'echo in >>{self.log}; until [ $(grep -c in {self.log}) -ge 10 ]; do sleep 0.05; done'
        self.assert_codes([self.quiet(ZKSYNC, "--connect-timeout", "60", "lock", "-s", self.path, "-c", script)
                           for _ in range(10)])
        self.assert_nothing_left()


class DoubleBarriers(Many):
    def test_20_ranks_twice(self):
        moments = random.Random(20)
        names = [f"r{i}" for i in range(20)]
        runs = [self.rank(name, 20, "-T", 60, rounds=2, before=f"sleep {moments.uniform(0, 0.2):.3f}",
                          inside=f"sleep {moments.uniform(0, 0.1):.3f}") for name in names]
        for run in runs:
            self.assertEqual(run.wait(), 0, run.err)
        self.assert_rounds(names, 2)
        await_true(lambda: self.outside.exists(self.path) is None, "the last one out removes it")

    def test_the_21st(self):
        read_end, write_end = self.open_pipe()
        names = [f"r{i}" for i in range(20)]
        runs = [self.rank(name, 20, "-T", 60, stdin=read_end, inside="cat >/dev/null") for name in names]
        await_true(lambda: self.count("start") == 20, "all start")
        result = self.zksync("double-barrier", "-n", 20, "--id", "late", self.path, "echo", "ran")
        self.assertEqual((result.code, result.out), (75, ""), result.err)
        self.assertEqual(len(self.participants()), 20)
        os.close(write_end)
        for run in runs:
            self.assertEqual(run.wait(), 0, run.err)
        self.assert_rounds(names, 1)

    def round_of_3(self, *options):
        """Three whose commands run until the end of an input of their own."""
        script = 'echo in; cat >/dev/null'
        runs = [self.start("double-barrier", "-n", 3, "--id", i, "-T", 5, *options, self.path, "-c", script,
                           stdin=subprocess.PIPE) for i in "abc"]
        for run in runs:
            run.await_out("in\n")
        return runs

    def test_one_killed_while_its_command_runs(self):
        for kill in (lambda pid: os.kill(pid, signal.SIGKILL), self.kill_all_of):
            runs = self.round_of_3()
            kill(runs[0].pid)
            self.assertEqual(runs[0].process.wait(), -signal.SIGKILL)
            runs[1].process.stdin.close()
            runs[2].process.stdin.close()
            for run in runs[1:]:
                self.assertEqual(run.wait(), 0, run.err)
            runs[0].process.stdin.close()
            await_true(lambda: self.participants() == [], "nothing is left")

    def test_one_killed_while_it_waits(self):
        for i, kill in enumerate((lambda pid: os.kill(pid, signal.SIGKILL), self.kill_all_of)):
            names = [f"{word}{i}" for word in ("a", "b", "c")]
            a = self.rank(names[0], 3)
            self.await_participants(1)
            victim = self.start("double-barrier", "-n", 3, "--id", "victim", "-T", 2, self.path, "echo", "ran")
            self.await_participants(2)
            kill(victim.pid)
            self.assertEqual(victim.wait(), -signal.SIGKILL)
            self.assertEqual(victim.out, "")
            self.await_participants(1)
            b = self.rank(names[1], 3)
            self.await_participants(2)
            self.assertEqual(self.count("start"), 3 * i)
            c = self.rank(names[2], 3)
            for run in (a, b, c):
                self.assertEqual(run.wait(), 0, run.err)
            lines = [line for line in self.lines() if line[1] in names]
            self.assertEqual(sorted(line[0] for line in lines[:3]), ["here"] * 3)
            await_true(lambda: self.participants() == [], "nothing is left")

    def test_another_n(self):
        a = self.rank("a", 2)
        self.await_participants(1)
        for n in (1, 3):
            result = self.zksync("double-barrier", "-n", n, "--id", "b", self.path, "echo", "ran")
            self.assertEqual((result.code, result.out), (65, ""), result.err)
            self.assertEqual(len(result.err.splitlines()), 1)
            self.assertEqual(len(self.participants()), 1)
        self.assertEqual(self.count("start"), 0)
        b = self.rank("b", 2)
        self.assertEqual((a.wait(), b.wait()), (0, 0))
        self.assert_rounds(["a", "b"], 1)

    def test_the_same_id(self):
        a = self.rank("a", 2)
        self.await_participants(1)
        for wait in ("0", SHORT):
            result = self.zksync_tells("in use by", 1, "double-barrier", "-n", 2, "--id", "a", "-w", wait, self.path,
                                       "echo", "ran")
            self.assertEqual((result.code, result.out), (1, ""), result.err)
            self.assertEqual(len(result.err.splitlines()), 1)
            self.assertIn(f'zksync: {self.path}: the id "a" is in use by {socket.gethostname()}:', result.err)
            self.assertEqual((len(self.participants()), self.count("start")), (1, 0))
        later = self.start("-v", "double-barrier", "-n", 2, "--id", "a", self.path, "echo", "ran")
        later.await_err('1 of 2 are here, and another with the id "a"')
        self.assertEqual(len(self.participants()), 2)
        self.assertIn(": double barrier, 1 of 2, waiting\n", self.zksync("status", self.path).out)
        later.signal(signal.SIGINT)
        self.assertEqual((later.wait(), later.out), (-signal.SIGINT, ""))
        b = self.rank("b", 2)
        self.assertEqual((a.wait(), b.wait()), (0, 0))

    def test_a_killed_rank_is_started_again(self):
        """A batch system restarts it before its first session has ended."""
        first = self.start("double-barrier", "-n", 2, "--id", "rank3", "-T", 15, self.path, "-c", "echo in; cat",
                           stdin=subprocess.PIPE)
        other = self.start("double-barrier", "-n", 2, "--id", "other", self.path, "-c", "echo in; cat",
                           stdin=subprocess.PIPE)
        first.await_out("in\n")
        other.await_out("in\n")
        self.kill_all_of(first.pid)
        self.assertEqual(first.process.wait(), -signal.SIGKILL)
        result = self.zksync_tells("in use by", 1, "double-barrier", "-n", 2, "--id", "rank3", "-w", 0, self.path,
                                   "echo", "ran")
        self.assertEqual((result.code, result.out), (1, ""))
        self.assertRegex(result.err, r'the id "rank3" is in use by a participant inside \(session 0x[0-9a-f]+\)')
        again = self.start("double-barrier", "-n", 2, "--id", "rank3", "-w", "1m", self.path, "echo", "again")
        self.await_participants(3)
        self.assertIn(": double barrier, 2 of 2, a round is on\n", self.zksync("status", self.path).out)
        other.process.stdin.close()
        self.assertEqual(other.wait(), 0, other.err)
        self.await_participants(1)
        self.assertIsNone(again.process.poll())
        result = self.zksync("double-barrier", "-n", 2, "--id", "other", self.path, "echo", "other")
        self.assertEqual((result.code, result.out), (0, "other\n"), result.err)
        self.assertEqual((again.wait(), again.out), (0, "again\n"), again.err)
        first.process.stdin.close()
        self.assertEqual(self.participants(), [])

    def test_not_all_come_in_time(self):
        for options, code in ((["-w", SHORT], 75), (["-w", "0"], 75), (["-w", SHORT, "-E", "9"], 9)):
            result = self.zksync("double-barrier", "-n", 2, *options, self.path, "echo", "ran")
            self.assertEqual((result.code, result.out), (code, ""), result.err)
            self.assertEqual(self.participants(), [])
        # One who is there in time does not make the other wait any less.
        a = self.start("double-barrier", "-n", 3, self.path, "echo", "ran")
        self.await_participants(1)
        self.assertEqual(self.zksync("double-barrier", "-n", 3, "-w", SHORT, self.path, "true").code, 75)
        self.assertEqual(len(self.participants()), 1)
        a.signal(signal.SIGINT)
        self.assertEqual((a.wait(), a.out), (-signal.SIGINT, ""))
        self.assertEqual(self.participants(), [])

    def test_a_signal_while_it_waits(self):
        run = self.start("double-barrier", "-n", 2, self.path, "echo", "ran")
        self.await_participants(1)
        run.signal(signal.SIGTERM)
        self.assertEqual((run.wait(), run.out), (-signal.SIGTERM, ""))
        self.assertEqual(self.participants(), [])

    def test_what_the_commands_know_and_return(self):
        show = "env | grep ^ZKSYNC_ | grep -v SERVERS= | sort; exit"
        given = self.start("double-barrier", "-n", 2, "--id", "x y", self.path, "-c", show + " 3")
        made = self.start("double-barrier", "-n", 2, self.path, "-c", show + " 4")
        self.assertEqual((given.wait(), made.wait()), (3, 4), given.err + made.err)
        facts = [dict(line.split("=", 1) for line in run.out.splitlines()) for run in (given, made)]
        for fact in facts:
            self.assertEqual((fact["ZKSYNC_N"], fact["ZKSYNC_PATH"]), ("2", self.path))
            self.assertNotIn("ZKSYNC_TOKEN", fact)
        self.assertEqual(facts[0]["ZKSYNC_ID"], "x y")
        host = re.sub("[^A-Za-z0-9.-]", "_", socket.gethostname())
        self.assertRegex(facts[1]["ZKSYNC_ID"], f"^{re.escape(host)}-{made.pid}-[0-9a-f]{{16}}$")

    def test_one_alone(self):
        result = self.zksync("double-barrier", "-n", 1, self.path, "echo", "ran")
        self.assertEqual((result.code, result.out, result.err), (0, "ran\n", ""))
        self.assertEqual(self.participants(), [])

    def test_one_that_cannot_be_run(self):
        """The others are not to wait for it."""
        a = self.rank("a", 2)
        self.await_participants(1)
        result = self.zksync("double-barrier", "-n", 2, "--id", "b", self.path, "no-such-command")
        self.assertEqual(result.code, 127)
        self.assertEqual(a.wait(), 0, a.err)

    def test_return_waits_for_all(self):
        script = 'echo in; cat >/dev/null'
        a = self.start("double-barrier", "-n", 2, "--id", "a", self.path, "echo", "done")
        b = self.start("double-barrier", "-n", 2, "--id", "b", self.path, "-c", script, stdin=subprocess.PIPE)
        a.await_out("done\n")
        b.await_out("in\n")
        await_true(lambda: len(self.participants()) == 1, "a has left")
        self.assertIsNone(a.process.poll())
        b.process.stdin.close()
        self.assertEqual((a.wait(), b.wait()), (0, 0))


if __name__ == "__main__":
    main()
