"""The queue of tools/run-tests: what runs beside what, and the ensembles that programs run in."""

import concurrent.futures
import os
import re
import signal
import subprocess
import threading
import time

from test_processes import CHILDREN, Outcome

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ensemble")


class Task:
    """Something to be run: what it needs while it runs, and what must have ended before."""

    def __init__(self, group, title, run, needs, after=(), seconds=0.0):
        self.group = group
        self.title = title
        self.run = run  # Gives an Outcome; may raise KeyboardInterrupt.
        self.needs = needs
        self.after = set(after)
        self.seconds = seconds  # How long it is expected to take.


class Queue:
    """Starts the task that takes longest as soon as what it needs is free.

    A task that lacks something reserves all it needs, so that smaller ones cannot keep it waiting for ever.
    """

    def __init__(self, free):
        self.free = free
        self.total = dict(free)
        self.ended = set()

    def startable(self, waiting):
        reserved = set()
        for task in waiting:
            if not task.after <= self.ended:
                continue
            needs = {name: min(count, self.total[name]) for name, count in task.needs.items()}
            if reserved.isdisjoint(needs) and all(self.free[n] >= c for n, c in needs.items()):
                return task, needs
            reserved |= {name for name, count in needs.items() if count > 1 or self.free[name] < count}
        return None, {}

    def run(self, tasks, ended):
        """Runs all; ended(task, outcome, start) is called after each and gives further tasks."""
        waiting = sorted(tasks, key=lambda task: -task.seconds)
        running = {}
        # Each of them waits for a process, so the threads cost nothing; the tasks' needs are the limit.
        with concurrent.futures.ThreadPoolExecutor(sum(self.total.values())) as pool:
            try:
                while waiting or running:
                    while (found := self.startable(waiting))[0] is not None:
                        task, needs = found
                        waiting.remove(task)
                        for name, count in needs.items():
                            self.free[name] -= count
                        running[pool.submit(task.run)] = (task, needs, time.monotonic())
                    done, _ = concurrent.futures.wait(
                        running, return_when=concurrent.futures.FIRST_COMPLETED)
                    for future in done:
                        task, needs, began = running.pop(future)
                        for name, count in needs.items():
                            self.free[name] += count
                        self.ended.add(task.title)
                        waiting += ended(task, future.result(), began)
                    waiting.sort(key=lambda task: -task.seconds)
            except BaseException:
                CHILDREN.end_all()
                raise


class Ensemble:
    """Servers of tools/ensemble, started when they are first asked for."""

    def __init__(self, *options):
        self.options = options
        self.lock = threading.Lock()
        self.process = None
        self.values = {}
        self.trouble = None

    def environment(self):
        """What tools/ensemble exports; None where it has not started, which `trouble` explains."""
        with self.lock:
            if self.process is None:
                self.start()
            return None if self.trouble else self.values

    def start(self):
        self.process = CHILDREN.start([TOOL, "up", *self.options], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("#"):
                return
            if found := re.match(r"export (\w+)='(.*)'$", line):
                self.values[found[1]] = found[2]
        self.trouble = "its ensemble of servers did not start; see the message above"

    def restore(self):
        """Brings back the servers that a program which did not come to its end may have left dead."""
        subprocess.run([TOOL, "restore"], env={**os.environ, **self.values}, check=False)

    def end(self):
        """Stops the servers; gives the CPU seconds that they have used."""
        # By os, since subprocess would reap it without its usage.
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.stdout.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        CHILDREN.forget(self.process.pid)
        return usage.ru_utime + usage.ru_stime


class Ensembles:
    """Servers that programs share, and servers for one program at a time."""

    def __init__(self, lanes):
        self.shared = Ensemble("--no-proxy", "--servers", "3")
        self.own = [Ensemble("--servers", "5") for _ in range(lanes)]
        self.unused = list(self.own)

    def in_shared(self, run):
        """Runs with servers that other programs use as well; run(environment) starts proxies of its own."""
        if os.environ.get("ZOOKEEPER_PEERS"):
            return run({})
        values = self.shared.environment()
        if values is None:
            return broken(self.shared)
        return run({"ZOOKEEPER_PEERS": values["ZKSYNC_DIRECT"]})

    def in_own(self, run):
        """Runs with servers that no other program uses meanwhile."""
        ensemble = self.unused.pop()
        try:
            values = ensemble.environment()
            if values is None:
                return broken(ensemble)
            outcome = run(values)
            if outcome.status != 0 or outcome.trouble is not None:
                ensemble.restore()
            return outcome
        finally:
            self.unused.append(ensemble)

    def end(self, times):
        for ensemble in [self.shared, *self.own]:
            began = time.monotonic()
            if ensemble.process is not None:
                times.add("servers", None, began, 0.0, ensemble.end())
                ensemble.process = None


def broken(ensemble):
    outcome = Outcome()
    outcome.trouble = ensemble.trouble
    return outcome
