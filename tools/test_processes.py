"""What tools/run-tests starts: process groups with a limit, and what they used of the machine."""

import os
import select
import signal
import subprocess
import tempfile
import threading
import time

TIME_LIMIT_S = int(os.environ.get("ZKSYNC_TEST_LIMIT_S", "300"))
GRACE_S = 5  # For the last processes of a group, after its leader has ended.


class Children:
    """The process groups that run, so that an interruption can end them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.pids = set()
        self.ending = False

    def start(self, command, **options):
        with self.lock:
            if self.ending:
                raise KeyboardInterrupt
            child = subprocess.Popen(command, start_new_session=True, **options)
            self.pids.add(child.pid)
            return child

    def forget(self, pid):
        with self.lock:
            self.pids.discard(pid)

    def end_all(self):
        """Sends TERM to every group, and KILL to those that remain after 30 s."""
        with self.lock:
            self.ending = True
            pids = list(self.pids)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in pids:
                signal_group(pid, number)
            until = time.monotonic() + 30
            while time.monotonic() < until and any(group_lives(pid) for pid in pids):
                time.sleep(0.05)


CHILDREN = Children()


def signal_group(pid, number):
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def group_lives(pid):
    """Whether a process of the group runs; zombies do not count."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == pid and fields[0] not in "ZX":
            return True
    return False


class Silence:
    """How long a program has printed nothing, by a clock that slows down on an overloaded machine."""

    def __init__(self, output):
        self.output = output
        self.size = 0
        self.seconds = 0.0
        self.last = time.monotonic()

    def exceeds(self, limit):
        now = time.monotonic()
        size = os.fstat(self.output.fileno()).st_size
        if size != self.size:
            self.size, self.seconds = size, 0.0
        else:
            overload = os.getloadavg()[0] / (os.cpu_count() or 1)
            self.seconds += (now - self.last) / max(1.0, overload)
        self.last = now
        return self.seconds > limit


class Outcome:
    """How a program ended, what it printed, and the time it took."""

    def __init__(self):
        self.status = 0
        self.trouble = None  # A sentence, where it did not just exit.
        self.text = ""
        self.wall = self.cpu = 0.0


def wait_for(child, output):
    """Waits for the leader of a group; gives its resource usage, or None where it was silent for too long."""
    silence = Silence(output)
    descriptor = os.pidfd_open(child.pid)
    try:
        while not select.select([descriptor], [], [], 1.0)[0]:
            if silence.exceeds(TIME_LIMIT_S):
                return None
    finally:
        os.close(descriptor)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage


def leaves_something(pid):
    until = time.monotonic() + GRACE_S
    while group_lives(pid):
        if time.monotonic() > until:
            return True
        time.sleep(0.02)
    return False


def run_to_end(command, env=None):
    """Runs a command in a group of its own; whatever is left of the group is killed."""
    outcome = Outcome()
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = CHILDREN.start(command, stdin=subprocess.DEVNULL, stdout=output,
                               stderr=subprocess.STDOUT, env=env)
        usage = wait_for(child, output)
        if usage is None:
            outcome.trouble = f"printed nothing for {TIME_LIMIT_S} s"
        elif leaves_something(child.pid):
            outcome.trouble = "left a process behind"
        if outcome.trouble:
            signal_group(child.pid, signal.SIGKILL)
        if usage is None:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        CHILDREN.forget(child.pid)
        output.seek(0)
        outcome.text = output.read().decode("utf-8", "replace")
    outcome.wall = time.monotonic() - began
    outcome.cpu = usage.ru_utime + usage.ru_stime
    outcome.status = child.returncode
    if outcome.trouble is None and outcome.status < 0:
        outcome.trouble = f"was ended by {signal.Signals(-outcome.status).name}"
    return outcome
