"""What the tests of the command share: the real program, run as a user would, beside real servers.

A test program is linked into the build folder whose zksync it tests. Everything that waits has a
generous limit; time itself is never judged. Whatever a test has started is ended with it, and a test
that leaves a process behind fails.
"""

import contextlib
import ctypes
import datetime
import functools
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
import unittest
import urllib.error
import urllib.request
import uuid

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError

sys.path.insert(1, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "tools"))

from ensemble_base import default_signals, proxy_url
from leftovers import Leftovers

LIMIT = 60.0
ROOT = "/zksync-test"
NOBODY = "127.0.0.1:9"  # Nothing listens at the discard port.
SHORT = "SHORT"  # For -w: see in_time().
BUILD = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))))
ZKSYNC = os.path.join(BUILD, "src", "cli", "zksync")
SERVERS = os.environ.get("ZKSYNC_SERVERS", "")
DIRECT = os.environ.get("ZKSYNC_DIRECT", SERVERS)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)


class Limit:
    """A limit of some seconds, by a clock that slows down while the machine is overloaded."""

    def __init__(self, seconds=LIMIT):
        self.left = seconds
        self.last = time.monotonic()

    def over(self):
        now = time.monotonic()
        self.left -= (now - self.last) / max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        self.last = now
        return self.left < 0


def await_true(condition, what):
    """Waits until condition() is true, and returns what it gave.  A long wait looks less often: others compute."""
    limit = Limit()
    pause = 0.01
    while not (found := condition()):
        if limit.over():
            raise AssertionError(f"never came true: {what}")
        time.sleep(pause)
        pause = min(pause * 1.05, 0.05)
    return found


def clock_ms():
    """The clock of all processes of this machine, which the library uses too."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def stat_of(pid):
    """Parent, process group and state of a process; None where there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[2]), fields[0]


def processes():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def children_of(pid):
    """Those that it has at this moment, zombies too; a look through all processes would take much longer."""
    found = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    return found


def below(root):
    """All below a process, as far as they do not change meanwhile."""
    ahead = children_of(root)
    for pid in ahead:
        ahead += children_of(pid)
    return ahead


def descendants(root):
    """The same, zombies left out."""
    return [pid for pid in below(root) if alive(pid)]


def alive(pid):
    stat = stat_of(pid)
    return stat is not None and stat[2] not in "ZX"


def comm(pid):
    """Its name; "" where it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
        return file.read().strip()
    return ""


def open_files(pid):
    """What its descriptors refer to; one can be closed meanwhile."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def keeper_of(pid):
    """The keeper of a zksync process, or None."""
    return next((child for child in children_of(pid) if comm(child) == "zksync-keeper"), None)


class Run:
    """A program that runs, with what it writes."""

    def __init__(self, command, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("preexec_fn", die_with_parent)
        self.command = command
        self.process = subprocess.Popen(command, **options)
        self.pid = self.process.pid
        self.text = {"stdout": b"", "stderr": b""}

    def pump(self, seconds=0.0):
        """Takes what has been written so far."""
        streams = {stream.fileno(): name for name in self.text
                   if (stream := getattr(self.process, name)) is not None and not stream.closed}
        for fd in select.select(list(streams), [], [], seconds)[0] if streams else []:
            piece = os.read(fd, 65536)
            self.text[streams[fd]] += piece
            if not piece:
                getattr(self.process, streams[fd]).close()

    @property
    def out(self):
        self.pump()
        return self.text["stdout"].decode("utf-8", "replace")

    @property
    def err(self):
        self.pump()
        return self.text["stderr"].decode("utf-8", "replace")

    def await_out(self, text):
        """Waits until standard output contains a text, or fails where nothing more can come. What the program
        has left running may write it later than it ends."""
        await_true(lambda: text in self.out or self.silent(), f"{self.command} says {text!r}")
        if text not in self.out:
            raise AssertionError(f"{self.command} ended without {text!r}: {self.out!r} {self.err!r}")

    def await_err(self, text):
        """The same of standard error."""
        await_true(lambda: text in self.err or self.silent(), f"{self.command} says {text!r}")
        if text not in self.err:
            raise AssertionError(f"{self.command} ended without {text!r}: {self.out!r} {self.err!r}")

    def silent(self):
        """Whether it has ended, and all has been read that it and those it has left running wrote."""
        return self.ended() and all(stream is None or stream.closed
                                    for stream in (self.process.stdout, self.process.stderr))

    def ended(self):
        self.pump()
        return self.process.poll() is not None

    def wait(self):
        """Waits for the end and all output; the exit code, below 0 for a signal."""
        await_true(self.ended, f"{self.command} ends; it said {self.text}")
        limit = Limit()
        while not self.silent():
            self.pump(1.0)
            if limit.over():
                raise AssertionError(f"{self.command}: somebody keeps its output open")
        return self.process.returncode

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Result:
    """What a program that has ended did."""

    def __init__(self, run):
        self.code = run.wait()
        self.out, self.err, self.raw = run.out, run.err, run.text["stdout"]
        self.lines = self.out.splitlines()

    def json(self):
        return json.loads(self.raw)


def in_time(words, ask):
    """The result of ask(words). On a busy machine a wait of SHORT can end before there is a connection, with
    69: then it is made longer."""
    for wait in ("200ms", "2s", "20s", "60s"):
        result = ask([wait if word is SHORT else word for word in words])
        if SHORT not in words or result.code != 69:
            break
    return result


def keep_root(client):
    """Keeps /zksync-test, which the last of the programs that run side by side deletes."""
    while True:
        client.ensure_path(ROOT)
        with contextlib.suppress(NoNodeError):
            client.create(f"{ROOT}/keep-", ephemeral=True, sequence=True)
            return


def leave_root(client):
    """Ends the session, and with it what keeps the root."""
    client.stop()
    client.start(timeout=LIMIT)
    with contextlib.suppress(KazooException):
        client.delete(ROOT)


class Case(unittest.TestCase):
    """A test with a place of its own on the servers, and a view of them from outside."""

    outside = None
    count = 0

    @classmethod
    def setUpClass(cls):
        if Case.outside is None:
            Case.outside = KazooClient(hosts=DIRECT, timeout=30)
            Case.outside.start(timeout=LIMIT)
            keep_root(Case.outside)

    def setUp(self):
        Case.count += 1
        # Containers have one host name and few pids.
        self.path = f"{ROOT}/cli-{uuid.uuid4().hex[:8]}-{Case.count}"
        self.runs = []
        self.leftovers = Leftovers(DIRECT, self.path, but=self.outside.client_id[0])
        self.addCleanup(self.clean)

    def spared(self):
        """Processes below this one that need not end by themselves.  They are ended when no other one is left."""
        return []

    def clean(self):
        for run in self.runs:
            run.close()
        left = []

        def gone():
            try:
                while os.waitpid(-1, os.WNOHANG)[0] > 0:
                    pass
            except ChildProcessError:
                left.clear()  # What loses its parent becomes our child, so there is nobody at all.
                return True
            left[:] = below(os.getpid())
            return False

        def only_spared():
            return gone() or set(left) <= set(self.spared())

        limit = Limit(20)
        while not only_spared() and not limit.over():
            time.sleep(0.01)
        kept = set(self.spared())
        guilty = [pid for pid in left if pid not in kept]
        names = [self.command_line(pid) for pid in guilty]
        # In this order: a client that lives starts a server again.
        for pid in [*guilty, *kept]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        await_true(gone, "all processes end")
        # Before anything is deleted, which would fire the watches.
        found = self.left_on_servers()
        self.outside.delete(self.path, recursive=True)
        self.assertEqual(names, [], "processes were left behind")
        self.assertEqual(found, [], "watches or znodes were left behind")

    def left_on_servers(self):
        """What is left there when the servers have had time to notice that all have ended."""
        limit = Limit(20)
        while (found := self.leftovers.find()) and not limit.over():
            time.sleep(0.02)
        return found

    @staticmethod
    def command_line(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            return f"{pid}, which has gone"

    def environment(self, **variables):
        """The environment of this program with other variables; None takes one out."""
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("ZKSYNC_") or k == "ZKSYNC_SERVERS"}
        env["ZKSYNC_CONFIG"] = "/dev/null"  # No settings of this machine's.
        # With an unsearchable folder in it, as after su(1), execvp() reports EACCES instead of ENOENT.
        folders = env.get("PATH", os.defpath).split(os.pathsep)
        env["PATH"] = os.pathsep.join(folder for folder in folders if os.access(folder, os.X_OK))
        env.update({k: v for k, v in variables.items() if v is not None})
        for name in (k for k, v in variables.items() if v is None):
            env.pop(name, None)
        return env

    def start(self, *words, env=None, **options):
        """Starts zksync with these words."""
        return self.spawn([ZKSYNC, *map(str, words)], env=env, **options)

    def spawn(self, command, env=None, **options):
        run = Run(command, env=env if env is not None else self.environment(), **options)
        self.runs.append(run)
        return run

    def zksync(self, *words, **options):
        """Runs zksync with these words to its end."""
        return in_time(words, lambda chosen: Result(self.start(*chosen, **options)))

    def zksync_tells(self, text, code, *words, **options):
        """The same, for a message that tells what the servers say about others. It ends without that where they do
        not answer within a second, and is then run again."""
        limit = Limit(20)
        while (result := self.zksync(*words, **options)).code == code and text not in result.err:
            if limit.over():
                break
        return result

    def hold(self, *options, path=None, shared=False, session=20):
        """Somebody who holds the lock until its standard input is closed."""
        run = self.start("lock", "-T", session, *options, *(["-s"] if shared else []),
                         path or self.path, "--", "sh", "-c", "echo held; cat >/dev/null",
                         stdin=subprocess.PIPE)
        run.await_out("held\n")
        return run

    def release(self, run):
        run.process.stdin.close()
        self.assertEqual(run.wait(), 0, run.err)

    def contenders(self, path=None):
        """The znodes that stand in the queue, by a look from outside, in its order."""
        self.outside.sync(path or self.path)
        if self.outside.exists(path or self.path) is None:
            return []
        names = [name for name in self.outside.get_children(path or self.path) if name[:3] == "_c_"]
        return sorted(names, key=lambda name: int(name[-10:]))

    def await_contenders(self, count, path=None):
        await_true(lambda: len(self.contenders(path)) == count, f"{count} contenders")

    def assert_nothing_left(self, path=None):
        self.assertEqual(self.contenders(path), [])


def events_of(text):
    """The events that --status-fd has brought."""
    return [json.loads(line) for line in text.splitlines()]


class Proxy:
    """The proxies in front of the servers; where no Toxiproxy answers their tests are skipped."""

    NAMES = [name for name in os.environ.get("ZKSYNC_PROXIES", "").split(",") if name]
    there = None

    @classmethod
    def answers(cls):
        if cls.there is None:
            cls.there = False
            if cls.NAMES and os.environ.get("TOXIPROXY"):
                with contextlib.suppress(OSError, ValueError):
                    cls.call("GET", "/version")
                    cls.there = True
        return cls.there

    @classmethod
    def needed(cls, test):
        @functools.wraps(test)
        def run(self):
            if not cls.answers():
                self.skipTest("there is no Toxiproxy in front of the servers")
            test(self)
        return run

    @staticmethod
    def call(method, path, body=None):
        data = None if body is None else json.dumps(body).encode("utf-8")
        request = urllib.request.Request(proxy_url(os.environ["TOXIPROXY"]) + path, data=data,
                                         method=method, headers={"Content-Type": "application/json"})
        # The proxy is on this machine, whatever proxy for the web the environment names.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(request, timeout=30).close()

    @classmethod
    def silence(cls):
        """Nothing gets through any more, in either direction, and no connection is closed."""
        for name in cls.NAMES:
            for stream in ("upstream", "downstream"):
                cls.call("POST", f"/proxies/{name}/toxics",
                         {"name": f"silent-{stream}", "type": "timeout", "stream": stream,
                          "attributes": {"timeout": 0}})

    @classmethod
    def cut(cls):
        """Connections are closed, and new ones refused."""
        for name in cls.NAMES:
            cls.call("POST", f"/proxies/{name}", {"enabled": False})

    @classmethod
    def heal(cls):
        """Brings them back to forwarding; a shared Toxiproxy's other proxies stay as they are."""
        for name in cls.NAMES:
            for stream in ("upstream", "downstream"):
                try:
                    cls.call("DELETE", f"/proxies/{name}/toxics/silent-{stream}")
                except urllib.error.HTTPError as error:
                    if error.code != 404:
                        raise
            cls.call("POST", f"/proxies/{name}", {"enabled": True})


class Tap(unittest.TestResult):
    """Tells the results as the test runner wants them."""

    def __init__(self, total):
        super().__init__()
        print(f"1..{total}", flush=True)

    def tell(self, ok, test, behind=""):
        name = test.id().rsplit(".", 1)[-1]
        print(f"{'ok' if ok else 'not ok'} {self.testsRun} - {name}{behind}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.tell(True, test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell(True, test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.fail(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.fail(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.fail(subtest, err)

    def fail(self, test, err):
        print("\n".join("# " + line for line in "".join(
            traceback.format_exception(*err)).splitlines()))
        self.tell(False, test)


def share(tests):
    """One in ZKSYNC_TEST_SHARE of them, where tools/run-tests asks for that: others each day."""
    n = max(1, min(int(os.environ.get("ZKSYNC_TEST_SHARE", "1")), len(tests)))
    turn = int(os.environ.get("ZKSYNC_TEST_TURN") or datetime.date.today().toordinal())
    if n > 1:
        print(f"# one in {n} of {len(tests)} tests: ZKSYNC_TEST_SHARE={n} ZKSYNC_TEST_TURN={turn}")
    return tests[turn % n::n]


def main():
    """Runs the tests of the program, those whose name contains the first argument where there is one."""
    default_signals()
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    cases = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    tests = [test for case in cases for test in case]
    if len(sys.argv) > 1:
        tests = [test for test in tests if sys.argv[1] in test.id()]
    else:
        tests = share(tests)
    suite = unittest.TestSuite(tests)
    result = Tap(suite.countTestCases())
    try:
        suite.run(result)
    finally:
        if Case.outside is not None:
            leave_root(Case.outside)
            Case.outside.stop()
            Case.outside.close()
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)
