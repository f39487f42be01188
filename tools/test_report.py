"""What tools/run-tests prints: the results that programs report, and where the time went."""

import os
import re
import threading

RESULT = re.compile(r"^(not )?ok +\d+ *(?:- *)?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)\s*$")
SANITIZER = re.compile(
    r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|ThreadSanitizer:DEADLYSIGNAL"
    r"|: runtime error: |==\d+== (Invalid|Conditional jump|Use of uninit)"
)
LONGEST = 10
EXCERPT = 30


class Totals:
    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []  # A line for each; the last one of a program has the end of its output below.

    @property
    def failed(self):
        return len(self.failures)

    def fail(self, text):
        """Counts a failure; gives the line that tells of it."""
        self.failures.append(f"FAIL  {text}")
        return self.failures[-1]

    def explain(self, text):
        """Shows at the end of the run what a program that failed has printed last, but not what it passed."""
        told = [line for line in text.splitlines() if not line.startswith("ok ")]
        self.failures[-1] += "".join(f"\n  | {line}" for line in told[-EXCERPT:])

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skipped += other.skipped

    def sum(self):
        return self.passed + self.failed + self.skipped

    def line(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Report:
    """The tests of one program, as its output in the Test Anything Protocol reports them."""

    def __init__(self, title, outcome):
        self.title = title
        self.lines = []
        self.totals = Totals()
        self.reason = ""
        planned = None
        told = []
        for line in outcome.text.splitlines():
            plan = PLAN.match(line)
            planned = int(plan.group(1)) if plan else planned
            result = RESULT.match(line)
            if result:
                self.test(bool(result.group(1)), result.group(2))
            elif line.startswith("# SKIP"):
                self.reason = line[len("# SKIP"):].strip()
            elif line.startswith("#: "):
                told.append("      " + line[len("#: "):])
        trouble = outcome.trouble or self.trouble(outcome, planned)
        if trouble:
            self.lines.append(self.totals.fail(f"{title}: {trouble}"))
        if self.totals.failed:
            self.lines += [f"  | {line}" for line in outcome.text.splitlines()]
            self.totals.explain(outcome.text)
        else:
            self.lines += told

    def trouble(self, outcome, planned):
        done = self.totals.sum()
        if SANITIZER.search(outcome.text):
            return "reported by a sanitizer or valgrind"
        if outcome.status != 0 and self.totals.failed == 0:
            return f"ended with status {outcome.status}"
        if done == 0:
            return "ran no test"
        if planned is not None and done < planned:
            return f"ran {done} of {planned} tests"
        return None

    def test(self, failed, name):
        if name.startswith("# SKIP") or " # SKIP" in name:
            before, _, after = name.partition("# SKIP")
            name = before.strip() or after.strip()
            reason = self.reason or (after.strip() if before.strip() else "no reason given")
            self.totals.skipped += 1
            self.lines.append(f"skip  {self.title}: {name} ({reason})")
        elif failed:
            self.lines.append(self.totals.fail(f"{self.title}: {name}"))
        else:
            self.totals.passed += 1
            self.lines.append(f"ok    {self.title}: {name}")
        self.reason = ""


class Plain:
    """A program that reports no tests: it passes where it exits with 0."""

    def __init__(self, title, outcome):
        self.totals = Totals()
        if outcome.trouble or outcome.status != 0:
            why = outcome.trouble or f"ended with status {outcome.status}"
            self.lines = [self.totals.fail(f"{title}: {why}")]
            self.lines += [f"  | {line}" for line in outcome.text.splitlines()]
            self.totals.explain(outcome.text)
        else:
            self.totals.passed = 1
            self.lines = [f"ok    {title}"]


class Times:
    """Where the time went: wall and CPU seconds by group, and the programs that took longest."""

    def __init__(self):
        self.lock = threading.Lock()
        self.groups = {}  # name: [programs, first start, last end, wall, CPU]
        self.programs = []

    def add(self, group, title, began, wall, cpu):
        with self.lock:
            row = self.groups.setdefault(group, [0, began, began, 0.0, 0.0])
            row[0] += 1
            row[1] = min(row[1], began)
            row[2] = max(row[2], began + wall)
            row[3] += wall
            row[4] += cpu
            if title:
                self.programs.append((wall, cpu, title))

    def lines(self, wall):
        """The table. Programs run side by side, so the sum of their wall times exceeds the total's."""
        cores = os.cpu_count() or 1
        cpu = sum(row[4] for row in self.groups.values())
        yield f"{'where the time went':32}{'count':>6}{'from':>8}{'to':>8}{'wall s':>9}{'CPU s':>9}"
        start = min((row[1] for row in self.groups.values()), default=0.0)
        for name, (count, first, last, walls, cpus) in self.groups.items():
            yield f"  {name:30}{count:6}{first - start:8.1f}{last - start:8.1f}{walls:9.1f}{cpus:9.1f}"
        for what, column in (("took", 0), ("computed", 1)):
            yield f"the {LONGEST} programs that {what} longest"
            for row in sorted(self.programs, key=lambda row: row[column], reverse=True)[:LONGEST]:
                yield f"  {row[2]:52}{row[0]:9.1f}{row[1]:9.1f}"
        share = 100 * cpu / (wall * cores) if wall else 0
        yield f"{wall:.1f} s in all, {cpu:.1f} s of CPU: {share:.0f} % of {cores} cores"
