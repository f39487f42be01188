#!/usr/bin/env python3
"""The Go package zksync and the command zksync on the same paths of the servers at ZKSYNC_DIRECT, told as TAP.

  mixed.py GO-PROGRAM ZKSYNC

GO-PROGRAM is made of go-package/main.go, which says what work is done under a lock.
"""

import collections
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback

GO_PROCESSES, GO_ROUNDS = 3, 80
OUR_PROCESSES, OUR_ROUNDS = 4, 60
LIMIT_S = 300
# Each of the shells takes the lock once per round with a command of its own.
OURS = 'i=0; while [ $i -lt $1 ]; do mode=write; option=-x; ' \
       '[ $((i % 2)) -eq 1 ] && mode=read && option=-s; ' \
       '"$2" lock $option "$3" -- "$4" work $mode "$5" zksync || exit; i=$((i + 1)); done'


class Mixed:
    def __init__(self, go, zksync, folder):
        self.go, self.zksync, self.folder = go, zksync, folder
        self.path = f"/compat-mixed-{os.getpid()}"
        self.environment = {**os.environ, "ZKSYNC_SERVERS": os.environ["ZKSYNC_DIRECT"]}
        self.started = []

    def start(self, *command):
        process = subprocess.Popen(list(map(str, command)), env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.started.append(process)
        return process

    def ends(self, process, expected=0):
        said, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == expected, f"{process.args} ended with {process.returncode}: {said}"
        return said

    def runs(self, *command, expected=0):
        return self.ends(self.start(*command), expected)

    @staticmethod
    def says(process, expected):
        line = process.stdout.readline()
        assert line == expected + "\n", f"{process.args} says {line!r}"

    def one_lock(self):
        """Both take it for reading and writing, and no update of the counter is lost."""
        with open(os.path.join(self.folder, "counter"), "w", encoding="ascii") as file:
            file.write("0")
        everyone = [self.start(self.go, "lock", self.path, self.folder, GO_ROUNDS) for _ in range(GO_PROCESSES)]
        everyone += [self.start("sh", "-c", OURS, "sh", OUR_ROUNDS, self.zksync, self.path, self.go, self.folder)
                     for _ in range(OUR_PROCESSES)]
        for process in everyone:
            self.ends(process)
        with open(os.path.join(self.folder, "log"), encoding="ascii") as file:
            log = file.read().splitlines()
        with open(os.path.join(self.folder, "counter"), encoding="ascii") as file:
            counter = int(file.read())
        done = collections.Counter(log)
        assert done == {"go write": GO_PROCESSES * GO_ROUNDS // 2, "go read": GO_PROCESSES * GO_ROUNDS // 2,
                        "zksync write": OUR_PROCESSES * OUR_ROUNDS // 2,
                        "zksync read": OUR_PROCESSES * OUR_ROUNDS // 2}, done
        writes = done["go write"] + done["zksync write"]
        passed = sum(one.split()[0] != other.split()[0] for one, other in zip(log, log[1:]))
        print(f"# {len(log)} rounds, {writes} increments, the counter is {counter}; "
              f"{passed} times the lock passed from one kind to the other")
        assert counter == writes
        # Otherwise one kind would have been done before the other began.
        assert passed >= 50, f"it passed {passed} times only"

    def a_go_holder_dies(self):
        holder = self.start(self.go, "hold", self.path)
        self.says(holder, "held")
        self.runs(self.zksync, "lock", "-n", self.path, "true", expected=75)
        self.runs(self.zksync, "lock", "-s", "-n", self.path, "true", expected=75)
        holder.kill()
        self.runs(self.zksync, "lock", "-w", "60", self.path, "true")

    def our_holder_dies(self):
        holder = self.start(self.zksync, "-T", "4", "lock", self.path, "-c", "echo held; exec sleep 1000")
        self.says(holder, "held")
        waiter = self.start(self.go, "hold", self.path)
        self.await_contenders(2)
        holder.kill()
        self.says(waiter, "held")
        waiter.kill()

    def await_contenders(self, count):
        """Follows what `watch` tells until so many contend."""
        watch = self.start(self.zksync, "watch", self.path)
        seen = 0
        while seen < count and (line := watch.stdout.readline()):
            seen += " waits" in line or " acquired" in line or "holds" in line
        watch.send_signal(signal.SIGINT)
        assert seen >= count

    def barriers(self):
        self.runs(self.go, "barrier", "set", self.path)
        self.runs(self.zksync, "barrier", "wait", "-n", self.path, expected=75)
        self.runs(self.zksync, "barrier", "set", self.path, expected=1)
        self.runs(self.go, "barrier", "unset", self.path)
        self.runs(self.zksync, "barrier", "wait", self.path)
        self.runs(self.zksync, "barrier", "set", self.path)
        self.runs(self.go, "barrier", "set", self.path, expected=1)
        waiter = self.start(self.go, "barrier", "wait", self.path)
        self.runs(self.zksync, "barrier", "unset", self.path)
        self.ends(waiter)
        self.runs(self.go, "barrier", "set", self.path)
        self.runs(self.zksync, "barrier", "unset", self.path)

    def a_lock_below(self):
        """What zksync(7) warns of: the package cannot write-lock a path that has other children."""
        inner = self.start(self.zksync, "lock", self.path + "/below", "-c", "echo held; exec sleep 1000")
        self.says(inner, "held")
        self.runs(self.zksync, "lock", "-w", "60", self.path, "true")
        said = self.runs(self.go, "lock", self.path, self.folder, 1, expected=1)
        assert "not a valid lock" in said, said
        inner.send_signal(signal.SIGTERM)
        inner.wait(LIMIT_S)


TESTS = {"one lock": Mixed.one_lock, "a Go process that holds the lock dies": Mixed.a_go_holder_dies,
         "a zksync process that holds the lock dies": Mixed.our_holder_dies, "a barrier": Mixed.barriers,
         "a lock below the path": Mixed.a_lock_below}


def main():
    print(f"1..{len(TESTS)}", flush=True)
    code = 0
    for number, (name, test) in enumerate(TESTS.items(), 1):
        result = "ok"
        with tempfile.TemporaryDirectory(prefix="zksync-compat-") as folder:
            mixed = Mixed(sys.argv[1], sys.argv[2], folder)
            mixed.path += f"-{number}"
            try:
                test(mixed)
            except Exception:
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
                result, code = "not ok", 1
            for process in mixed.started:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                process.wait()
        print(f"{result} {number} - {name}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
