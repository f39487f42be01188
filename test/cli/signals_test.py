#!/usr/bin/python3 -B
# For tools/run-tests. zksync-test: takes long
"""What signals do to zksync and to its command, and that no command outlives either of our processes."""

import ctypes
import os
import resource
import signal
import sys
import tempfile
import time

from harness import (Case, LIBC, ZKSYNC, alive, await_true, die_with_parent, events_of, keeper_of, main,
                     processes, stat_of)

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
PASSED_ON = (*ENDING, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)

# All numbers from 1 to 64, by what they do.
REALTIME = tuple(range(signal.SIGRTMIN, signal.SIGRTMAX + 1))
FATAL = (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS,
         *range(32, signal.SIGRTMIN))  # Faults, and those that the C library keeps for itself.
ALL_ENDING = (*ENDING, signal.SIGABRT, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR,
              signal.SIGXCPU, signal.SIGXFSZ, signal.SIGPIPE, 16)  # 16 is STKFLT.
NEVER_ENDING = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGURG, signal.SIGCONT, *REALTIME)
UNHEARD = (signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU)
STOPPING = (signal.SIGSTOP, signal.SIGTSTP)
TERMINATING = (*ALL_ENDING, signal.SIGUSR1, signal.SIGUSR2, *REALTIME)  # By default.
ALL = range(1, 65)
SESSION = 2
LONG = 15  # Where nothing may be lost before the test wants it, on a busy machine neither.
PYTHON = ("/usr/bin/python3", "-B", "-E", "-S", "-c")

# Itself and a child of its group tell each signal that reaches them; TERM ends both.
LISTENER = """
import os, signal
heard = {getattr(signal, "SIG" + name) for name in "INT TERM HUP QUIT USR1 USR2 CONT".split()}
signal.pthread_sigmask(signal.SIG_BLOCK, heard)
name = "child" if os.fork() == 0 else "command"
os.write(1, f"{name} ready\\n".encode())
while (got := signal.sigwait(heard)) != signal.SIGTERM:
    os.write(1, f"{name} {got.name}\\n".encode())
os.write(1, f"{name} ends\\n".encode())
os._exit(5)
"""

# Itself, a child of its group, one in a session of its own and an orphan in yet another one write the
# time over and over.
TREE = """
import os, time
def beat(name):
    while True:
        os.write(1, f"{name} {os.getpid()} {time.time_ns()}\\n".encode())
        time.sleep(0.002)
if os.fork() == 0:
    beat("child")
if os.fork() == 0:
    os.setsid()
    parent = os.getpid()
    if os.fork() == 0:
        os.setsid()
        while os.getppid() == parent:
            time.sleep(0.002)
        beat("orphan")
    os._exit(0)
if os.fork() == 0:
    os.setsid()
    beat("session")
beat("command")
"""


def pending(pid):
    """The signals that a process has not taken yet, as a mask."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        facts = dict(line.split(":", 1) for line in file)
    return int(facts["SigPnd"], 16) | int(facts["ShdPnd"], 16)


def state(pid):
    stat = stat_of(pid)
    return "" if stat is None else stat[2]


class Signals(Case):
    def start(self, *words, **options):
        """Without a terminal, whoever runs the tests."""
        return super().start(*words, start_new_session=True, **options)

    def send(self, run, number):
        """Returns when zksync has taken the signal."""
        run.signal(number)
        await_true(lambda: run.ended() or not pending(run.pid), f"{number} is taken")

    def watch(self, *words, **options):
        """Starts zksync with a stream of its events."""
        read_end, write_end = os.pipe()
        run = self.start(words[0], "--status-fd", write_end, *words[1:], pass_fds=[write_end],
                         **options)
        os.close(write_end)
        stream = open(read_end, encoding="utf-8")
        self.addCleanup(stream.close)
        return run, stream

    def await_event(self, stream, name):
        for line in stream:
            if events_of(line)[0]["event"] == name:
                return
        self.fail(f"no event {name}")

    def keeper(self, run):
        return await_true(lambda: keeper_of(run.pid), "a keeper")


class Waiting(Signals):
    def test_the_znode_goes_and_we_die_by_the_signal(self):
        holder = self.hold()
        for number in ENDING:
            run = self.start("lock", self.path, "echo", "ran")
            self.await_contenders(2)
            run.signal(number)
            self.assertEqual((run.wait(), run.out, run.err), (-number, "", ""))
            self.assertEqual(len(self.contenders()), 1)
        self.release(holder)

    def test_it_is_the_first_signal_that_counts(self):
        holder = self.hold()
        for first, second in ((signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
            run = self.start("lock", "-T", SESSION, self.path, "echo", "ran")
            self.await_contenders(2)
            keeper = self.keeper(run)
            os.kill(keeper, signal.SIGSTOP)
            self.send(run, first)
            self.assertFalse(run.ended())
            run.signal(second)  # Enough is enough: it does not wait for the keeper any more.
            self.assertEqual((run.wait(), run.out, run.err), (-first, "", ""))
            self.assertFalse(alive(keeper))
            self.await_contenders(1)
        self.release(holder)

    def test_what_was_ignored_has_no_effect(self):
        holder = self.hold()

        def ignore():
            die_with_parent()
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)

        run = self.start("lock", self.path, "echo", "ran", preexec_fn=ignore)
        self.await_contenders(2)
        for number in ENDING:
            self.send(run, number)
        self.assertEqual(len(self.contenders()), 2)
        self.release(holder)
        self.assertEqual((run.wait(), run.out, run.err), (0, "ran\n", ""))

    def test_nohup_and_trap(self):
        holder = self.hold()
        env = self.environment(Z=ZKSYNC, P=self.path)
        for script, number, harmless in (("exec nohup $Z lock $P echo ran", signal.SIGTERM, signal.SIGHUP),
                                         ("trap '' INT; exec $Z lock $P echo ran", signal.SIGHUP,
                                          signal.SIGINT)):
            run = self.spawn(["sh", "-c", script], env=env, start_new_session=True)
            self.await_contenders(2)
            self.send(run, harmless)
            self.assertEqual((run.ended(), len(self.contenders())), (False, 2))
            run.signal(number)
            self.assertEqual((run.wait(), run.out), (-number, ""))
            self.assertEqual(len(self.contenders()), 1)
        self.release(holder)

    def test_those_that_are_not_for_us_have_no_effect(self):
        holder = self.hold()
        run = self.start("lock", self.path, "echo", "ran")
        self.await_contenders(2)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGWINCH, signal.SIGCHLD):
            self.send(run, number)
        self.release(holder)
        self.assertEqual((run.wait(), run.out, run.err), (0, "ran\n", ""))

    def test_killed(self):
        holder = self.hold()
        run = self.start("lock", self.path, "echo", "ran")
        self.await_contenders(2)
        keeper = self.keeper(run)
        run.signal(signal.SIGKILL)
        self.assertEqual(run.wait(), -signal.SIGKILL)
        await_true(lambda: not alive(keeper), "the keeper ends too")
        self.assertEqual(len(self.contenders()), 1)
        self.release(holder)

    def test_the_keeper_is_killed(self):
        holder = self.hold()
        run = self.start("lock", "-T", SESSION, self.path, "echo", "ran")
        self.await_contenders(2)
        os.kill(self.keeper(run), signal.SIGKILL)
        self.assertEqual((run.wait(), run.out), (71, ""))
        self.assertRegex(run.err, rf"\Azksync: {self.path}: .*killed\n\Z")
        self.await_contenders(1)
        self.release(holder)


class All(Signals):
    """Every number from 1 to 64."""

    # Tells each signal that it and a child get; those it is started with are blocked already.
    TELLS = """
import os, signal
name = "child" if os.fork() == 0 else "command"
os.write(1, f"{name} ready\\n".encode())
while True:
    os.write(1, f"{name} {int(signal.sigwait(range(1, 65)))}\\n".encode())
"""

    @staticmethod
    def block_all():
        die_with_parent()
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))

    def running(self, *command, options=(), **more):
        run = self.start("lock", *options, self.path, "--", *command, **more)
        run.await_out("ready\n")
        return run

    def test_each_number_is_in_one_class(self):
        known = sorted((*FATAL, *ALL_ENDING, *NEVER_ENDING, *UNHEARD, *STOPPING))
        self.assertEqual(known, list(ALL))

    def test_while_the_command_runs(self):
        """Also those that were blocked when zksync was started: they are pending in the command as they would be
        without it."""
        run = self.running(*PYTHON, self.TELLS, preexec_fn=self.block_all)
        run.await_out("child ready\n")
        for number in sorted((*ALL_ENDING, *NEVER_ENDING, signal.SIGTSTP)):
            run.signal(number)
            for name in ("child", "command"):
                run.await_out(f"{name} {int(number)}\n")
        for number in UNHEARD:
            run.signal(number)
            self.assertFalse(run.ended())
        run.signal(signal.SIGKILL)
        run.wait()
        self.assertEqual(run.out.count("\n"), 2 * (1 + len(ALL_ENDING) + len(NEVER_ENDING) + 1))

    def test_128_and_the_number(self):
        for number in TERMINATING:
            run = self.running("sh", "-c", "echo ready; exec sleep 100")
            run.signal(number)
            self.assertEqual((run.wait(), run.err), (128 + number, ""))
            self.assert_nothing_left()

    def test_faults_and_kill_end_the_command_too(self):
        # A sanitizer would take them for faults of its own, and exit.
        options = ":".join(["handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_sigtrap=0",
                            os.environ.get("ASAN_OPTIONS", "")])
        for number in FATAL:
            run = self.running("sh", "-c", "echo ready; echo $$ >&2; exec sleep 100",
                               env=self.environment(ASAN_OPTIONS=options))
            run.await_err("\n")
            command = int(run.err)
            run.signal(number)
            self.assertEqual(run.wait(), -number)
            self.await_contenders(0)
            self.assertFalse(alive(command), number)

    def test_while_waiting(self):
        holder = self.hold()
        run = self.start("lock", self.path, "echo", "ran")
        self.await_contenders(2)
        for number in NEVER_ENDING:
            self.send(run, number)
            self.assertEqual((run.ended(), len(self.contenders())), (False, 2), number)
        for number in UNHEARD:
            run.signal(number)
        self.release(holder)
        self.assertEqual((run.wait(), run.out, run.err), (0, "ran\n", ""))
        holder = self.hold()
        for number in ALL_ENDING:
            run = self.start("lock", self.path, "echo", "ran")
            self.await_contenders(2)
            run.signal(number)
            self.assertEqual((run.wait(), run.out, run.err), (-number, "", ""))
            self.assertEqual(len(self.contenders()), 1)
        self.release(holder)

    def test_while_holding(self):
        run = self.start("hold", "-v", self.path)
        run.await_err(": held, token ")
        for number in NEVER_ENDING:
            self.send(run, number)
            self.assertEqual((run.ended(), len(self.contenders())), (False, 1), number)
        for number in UNHEARD:
            run.signal(number)
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), 0)
        for number in ALL_ENDING:
            run = self.start("hold", "-v", self.path)
            run.await_err(": held, token ")
            run.signal(number)
            self.assertEqual(run.wait(), 0, number)
            self.assert_nothing_left()

    def test_while_the_command_is_started(self):
        for number in (*ALL_ENDING, *REALTIME[:2], *REALTIME[-2:]):
            holder = self.hold()
            run, events = self.watch("lock", self.path, "--", "sleep", "100")
            self.await_event(events, "waiting")
            run.signal(signal.SIGSTOP)
            await_true(lambda: state(run.pid) == "T", "it is stopped")
            self.release(holder)
            self.await_event(events, "acquired")
            run.signal(number)
            run.signal(signal.SIGCONT)
            code = run.wait()
            self.assertIn(code, (128 + number, -number) if number in ALL_ENDING else (128 + number,))
            self.assert_nothing_left()

    def test_none_but_kill_and_faults_ends_the_keeper(self):
        run = self.running("sh", "-c", "echo ready; read x; exit 3", stdin=-1)
        keeper = self.keeper(run)
        for number in ALL:
            if number not in FATAL and number not in STOPPING:
                os.kill(keeper, number)
        self.assertEqual(len(self.contenders()), 1)
        run.process.stdin.close()
        self.assertEqual((run.wait(), run.err), (3, ""))

    def test_what_was_ignored_has_no_effect(self):
        holder = self.hold()
        ignored = (*ALL_ENDING, signal.SIGUSR1, signal.SIGUSR2, *REALTIME)

        def ignore():
            die_with_parent()
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)

        run = self.start("lock", self.path, "--", "sh", "-c", "echo up; read x; exit 3", stdin=-1, preexec_fn=ignore)
        self.await_contenders(2)
        for number in ignored:
            self.send(run, number)
        self.assertEqual(len(self.contenders()), 2)
        self.release(holder)
        run.await_out("up\n")
        for number in ignored:
            self.send(run, number)
        self.assertEqual((run.ended(), len(self.contenders())), (False, 1))
        run.process.stdin.close()
        self.assertEqual((run.wait(), run.err), (3, ""))


class Realtime(Signals):
    """Signals with a value, which are queued."""

    # Tells the value of each, until it is 99.
    TELLS = """
import ctypes, os
libc = ctypes.CDLL(None)
every, info = (ctypes.c_ubyte * 128)(*[255] * 8), (ctypes.c_int * 32)()
libc.sigprocmask(0, every, None)
os.write(1, b"ready\\n")
while info[6] != 99:
    number = libc.sigwaitinfo(every, info)
    os.write(1, f"{number} {info[6]}\\n".encode())
"""

    @staticmethod
    def block():
        die_with_parent()
        signal.pthread_sigmask(signal.SIG_BLOCK, REALTIME)

    def queue(self, run, number, value):
        self.assertEqual(LIBC.sigqueue(run.pid, number, ctypes.c_void_p(value)), 0)

    def test_values_reach_the_command_in_order(self):
        run = self.start("lock", self.path, "--", *PYTHON, self.TELLS)
        run.await_out("ready\n")
        for value in (1, 2, 3, 4, 5, 99):
            self.queue(run, signal.SIGRTMIN + 3, value)
        self.assertEqual((run.wait(), run.err), (0, ""))
        self.assertEqual(run.out.splitlines()[1:], [f"{signal.SIGRTMIN + 3} {v}" for v in (1, 2, 3, 4, 5, 99)])

    def test_those_that_come_while_the_command_is_started_are_kept(self):
        holder = self.hold()
        run, events = self.watch("lock", self.path, "--", *PYTHON, self.TELLS, preexec_fn=self.block)
        self.await_event(events, "waiting")
        run.signal(signal.SIGSTOP)
        await_true(lambda: state(run.pid) == "T", "it is stopped")
        self.release(holder)
        self.await_event(events, "acquired")
        for value in (7, 8, 99):
            self.queue(run, signal.SIGRTMAX, value)
        run.signal(signal.SIGCONT)
        self.assertEqual((run.wait(), run.err), (0, ""))
        self.assertEqual(run.out.splitlines()[1:], [f"{signal.SIGRTMAX} {v}" for v in (7, 8, 99)])


class OfTheSystem(Signals):
    """Signals that the system sends for something that the parent has set."""

    def test_a_file_that_may_not_grow(self):
        def limit():
            die_with_parent()
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))

        with tempfile.TemporaryFile() as events:
            run = self.start("lock", "--status-fd", events.fileno(), self.path, "echo", "ran",
                             pass_fds=[events.fileno()], preexec_fn=limit)
            self.assertEqual((run.wait(), run.out, run.err), (0, "ran\n", ""))
            self.assertEqual(os.fstat(events.fileno()).st_size, 1)

    def test_a_reader_that_has_gone(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        run = self.start("lock", "--status-fd", write_end, self.path, "echo", "ran", pass_fds=[write_end])
        os.close(write_end)
        self.assertEqual((run.wait(), run.out, run.err), (0, "ran\n", ""))

    def test_a_timer_from_before_ends_the_command(self):
        """As with: perl -e 'alarm 1; exec @ARGV' zksync ..."""
        def wind_up():
            die_with_parent()
            signal.setitimer(signal.ITIMER_REAL, 0.5)

        run = self.start("lock", self.path, "sleep", "100", preexec_fn=wind_up)
        self.assertIn(run.wait(), (128 + signal.SIGALRM, -signal.SIGALRM))
        self.assertEqual(run.err, "")
        self.await_contenders(0)


class Running(Signals):
    def test_all_of_the_group_gets_each_of_them_once(self):
        order = [number for number in PASSED_ON if number != signal.SIGTERM] + [signal.SIGTERM]
        run = self.start("lock", self.path, "--", *PYTHON, LISTENER)
        for name in ("child", "command"):
            run.await_out(f"{name} ready\n")
        for number in order:
            run.signal(number)
            for name in ("child", "command"):
                run.await_out(f"{name} {'ends' if number == signal.SIGTERM else number.name}\n")
        self.assertEqual((run.wait(), run.err), (5, ""))
        for name in ("child", "command"):
            told = [line.split()[1] for line in run.out.splitlines() if line.split()[0] == name]
            self.assertEqual(told, ["ready", *(n.name for n in order[:-1]), "ends"])

    def test_128_and_the_number(self):
        for number in (*ENDING, signal.SIGUSR1, signal.SIGUSR2):
            run = self.start("lock", self.path, "--", "sh", "-c", "echo up; exec sleep 100")
            run.await_out("up\n")
            run.signal(number)
            self.assertEqual((run.wait(), run.err), (128 + number, ""))
            self.assert_nothing_left()

    def test_a_code_of_its_own(self):
        for number in PASSED_ON:
            run = self.start("lock", self.path, "--", *PYTHON, f"""
import os, signal
signal.signal({int(number)}, lambda *_: os._exit(9))
os.write(1, b"up")
signal.pause()""")
            run.await_out("up")
            run.signal(number)
            self.assertEqual((run.wait(), run.err), (9, ""))
            self.assert_nothing_left()

    def test_a_command_that_does_not_listen(self):
        run = self.start("lock", self.path, "--", "sh", "-c",
                         "trap '' TERM INT HUP QUIT; echo up; read x; echo $x; exit 3", stdin=-1)
        run.await_out("up\n")
        for number in ENDING:
            self.send(run, number)
        self.assertEqual((run.ended(), len(self.contenders())), (False, 1))
        run.process.stdin.write(b"done\n")
        run.process.stdin.close()
        self.assertEqual((run.wait(), run.out, run.err), (3, "up\ndone\n", ""))

    def test_what_was_ignored_has_no_effect(self):
        def ignore():
            die_with_parent()
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)

        run = self.start("lock", self.path, "--", "sh", "-c", "echo up; read x; exit 3", stdin=-1,
                         preexec_fn=ignore)
        run.await_out("up\n")
        for number in ENDING:
            self.send(run, number)
        self.assertEqual((run.ended(), len(self.contenders())), (False, 1))
        run.process.stdin.close()
        self.assertEqual((run.wait(), run.err), (3, ""))

    def test_released_only_after_the_command_has_ended(self):
        run = self.start("lock", self.path, "--", "sh", "-c",
                         "trap 'echo closing; read x; date +%s%N; exit 4' TERM; echo up; "
                         "while :; do read y </dev/null; done", stdin=-1)
        run.await_out("up\n")
        later = self.start("lock", self.path, "date", "+%s%N")
        self.await_contenders(2)
        run.signal(signal.SIGTERM)
        run.await_out("closing\n")
        self.assertEqual((later.out, len(self.contenders())), ("", 2))
        run.process.stdin.close()
        self.assertEqual((run.wait(), later.wait()), (4, 0))
        self.assertLess(int(run.out.split()[2]), int(later.out))

    def test_what_is_stopped_is_let_go_on(self):
        run = self.start("lock", self.path, "--", "sh", "-c", "echo $$; read x; exit 3", stdin=-1)
        run.await_out("\n")
        command = int(run.out)
        os.kill(command, signal.SIGSTOP)
        await_true(lambda: state(command) == "T", "it is stopped")
        run.process.stdin.close()
        self.assertEqual((run.ended(), len(self.contenders())), (False, 1))
        run.signal(signal.SIGCONT)
        self.assertEqual(run.wait(), 3)

    LEAVES = "exec 3<&0; {prefix} sh -c 'echo here >&2; read x <&3; date +%s%N >&2' >/dev/null & {end}"

    def test_wait_group(self):
        run = self.start("lock", "--wait-group", self.path, "-c",
                         self.LEAVES.format(prefix="", end="echo $$; exit 2"), stdin=-1)
        run.await_err("here\n")
        run.await_out("\n")
        command = int(run.out)
        await_true(lambda: not state(command), "the command has been reaped")
        later = self.start("lock", self.path, "date", "+%s%N")
        self.await_contenders(2)
        self.assertFalse(run.ended())
        run.process.stdin.close()
        self.assertEqual((run.wait(), later.wait()), (2, 0))
        self.assertLess(int(run.err.split()[1]), int(later.out))

    def test_no_wait_group_and_other_groups(self):
        for options, prefix in (([], ""), (["--wait-group"], "setsid")):
            run = self.start("lock", *options, self.path, "-c",
                             self.LEAVES.format(prefix=prefix, end="exit 2"), stdin=-1)
            run.await_err("here\n")
            await_true(lambda: run.process.poll() is not None, "zksync ends")
            self.assertEqual(run.process.returncode, 2)
            self.assert_nothing_left()
            self.assertEqual(run.err, "here\n")
            run.process.stdin.close()
            run.await_err("\n1")  # It has lived on, and says when it ends.

    def test_signals_reach_what_is_left_of_the_group(self):
        run = self.start("lock", "--wait-group", self.path, "-c", "sleep 100 & echo $$; exit 2")
        run.await_out("\n")
        command = int(run.out)
        await_true(lambda: not state(command), "the command has been reaped")
        run.signal(signal.SIGTERM)
        self.assertIn(run.wait(), (2, -signal.SIGTERM))
        self.assert_nothing_left()


class Starting(Signals):
    """Signals at the moment at which the command is started: no shell, since dash can lose a SIGINT then
    and bash ignores SIGQUIT; and not Python, which ends with 1 if a SIGINT comes before it has read a line."""

    def check(self, run, number, trap):
        code = run.wait()
        self.assertIn(code, (-number, 128 + number, 9) if trap else (-number, 128 + number))
        self.assertEqual(run.err, "")
        self.assert_nothing_left()

    TRAP = "$SIG{{{}}} = sub {{ exit 9 }}; sleep 100"

    def test_at_the_moment(self):
        for i in range(24):
            number = ENDING[i % len(ENDING)]
            trap = i % 8 >= 4
            command = ["perl", "-e", self.TRAP.format(number.name[3:])] if trap else ["sleep", "100"]
            run, events = self.watch("lock", self.path, "--", *command)
            self.await_event(events, "acquired")
            run.signal(number)
            self.check(run, number, trap)

    def test_at_any_moment(self):
        for i in range(20):
            number = ENDING[i % len(ENDING)]
            run = self.start("lock", self.path, "--", "sleep", "100")
            at = time.monotonic_ns() + i * 1_500_000
            while time.monotonic_ns() < at:
                pass
            run.signal(number)
            self.check(run, number, False)

    def test_between_the_lock_and_the_command(self):
        """Front is told of the lock and of the signal at once."""
        for number in ENDING:
            holder = self.hold()
            run, events = self.watch("lock", self.path, "--", "sleep", "100")
            self.await_event(events, "waiting")
            run.signal(signal.SIGSTOP)
            await_true(lambda: state(run.pid) == "T", "it is stopped")
            self.release(holder)
            self.await_event(events, "acquired")
            run.signal(number)
            run.signal(signal.SIGCONT)
            self.check(run, number, False)

    def test_the_keeper_is_killed_when_it_may_have_started_it(self):
        """Front cannot know whether the command has run, but the lock was held and is lost."""
        holder = self.hold()
        run, events = self.watch("lock", "-T", SESSION, self.path, "--", "echo", "ran")
        self.await_event(events, "waiting")
        run.signal(signal.SIGSTOP)
        await_true(lambda: state(run.pid) == "T", "it is stopped")
        self.release(holder)
        self.await_event(events, "acquired")
        os.kill(self.keeper(run), signal.SIGKILL)
        run.signal(signal.SIGCONT)
        self.assertEqual((run.wait(), run.out), (76, ""))

    def test_before_the_keeper_has_been_told_to_start_it(self):
        holder = self.hold()
        run, events = self.watch("lock", "-T", SESSION, self.path, "--", "sleep", "100")
        self.await_event(events, "waiting")
        run.signal(signal.SIGSTOP)
        await_true(lambda: state(run.pid) == "T", "it is stopped")
        self.release(holder)
        self.await_event(events, "acquired")
        keeper = self.keeper(run)
        os.kill(keeper, signal.SIGSTOP)
        await_true(lambda: state(keeper) == "T", "the keeper is stopped")
        run.signal(signal.SIGCONT)
        self.send(run, signal.SIGTERM)
        # Its session ends meanwhile, so no command is started at all.
        self.await_contenders(0)
        os.kill(keeper, signal.SIGCONT)
        self.assertEqual((run.wait(), run.out), (-signal.SIGTERM, ""))


class Tree:
    """A command of several processes that write the time as long as they live, and the next one to hold the lock.
    The session timeouts are long enough for a busy machine."""

    def __init__(self, case, session=LONG):
        self.case = case
        self.folder = tempfile.TemporaryDirectory()
        case.addCleanup(self.folder.cleanup)
        self.name = os.path.join(self.folder.name, "beats")
        with open(self.name, "ab") as file:
            self.run = case.start("lock", "-T", session, case.path, "--", *PYTHON, TREE, stdout=file)
        await_true(lambda: len(self.pids()) == 4, "all of the command's processes run")
        self.later = case.start("lock", "-T", 20, case.path, "date", "+%s%N")
        case.await_contenders(2)

    def beats(self):
        with open(self.name, encoding="ascii") as file:
            lines = [line.split() for line in file.read().split("\n")[:-1]]
        return [(name, int(pid), int(at)) for name, pid, at in lines]

    def pids(self):
        return {name: pid for name, pid, _ in self.beats()}

    def goes_on(self):
        size = os.path.getsize(self.name)
        await_true(lambda: os.path.getsize(self.name) > size, "the command goes on")

    def assert_dead_before_the_next_one(self):
        """Waits for the next holder; all had ended when its command was started."""
        self.case.assertEqual((self.later.wait(), self.later.err), (0, ""))
        for name, pid in self.pids().items():
            self.case.assertFalse(alive(pid), name)
        self.case.assertLess(max(at for _, _, at in self.beats()), int(self.later.out))


class Dying(Signals):
    def test_front_is_killed(self):
        tree = Tree(self)
        tree.run.signal(signal.SIGKILL)
        self.assertEqual(tree.run.wait(), -signal.SIGKILL)
        tree.assert_dead_before_the_next_one()

    def test_front_is_killed_while_the_command_is_stopped(self):
        tree = Tree(self)
        for pid in tree.pids().values():
            os.kill(pid, signal.SIGSTOP)
        tree.run.signal(signal.SIGKILL)
        tree.assert_dead_before_the_next_one()

    def test_the_keeper_is_killed(self):
        tree = Tree(self)
        os.kill(self.keeper(tree.run), signal.SIGKILL)
        self.assertEqual(tree.run.wait(), 76)
        for name, pid in tree.pids().items():
            self.assertFalse(alive(pid), name)
        self.assertRegex(tree.run.err, rf"\Azksync: {self.path}: .*killed\n\Z")
        tree.assert_dead_before_the_next_one()

    def test_one_whose_first_thread_has_ended(self):
        """It looks like a zombie, and goes on."""
        program = ("import ctypes, os, threading, time; os.setsid(); print(os.getpid(), flush=True); "
                   "threading.Thread(target=time.sleep, args=(100,)).start(); "
                   "ctypes.CDLL(None).syscall(60, 0)")
        for which in ("front", "keeper"):
            run = self.start("lock", "-T", LONG, self.path, "-c",
                             f'{sys.executable} -c "{program}" & wait')
            run.await_out("\n")
            child = int(run.out)
            await_true(lambda: state(child) == "Z", "its first thread ends")
            os.kill(run.pid if which == "front" else self.keeper(run), signal.SIGKILL)
            if which == "front":
                self.await_contenders(0)
            else:
                self.assertEqual(run.wait(), 76)
            self.assertFalse(os.path.exists(f"/proc/{child}"))
            run.wait()
            self.await_contenders(0)

    def test_children_from_before_are_left_alone(self):
        """What a script had started before it became zksync is nothing of the command's."""
        run = self.spawn(["bash", "-c", f"sleep 100 <&- >&- 2>&- & echo $!; exec {ZKSYNC} lock -T {LONG} "
                          f"{self.path} -- sh -c 'echo up; exec sleep 100'"])
        run.await_out("up\n")
        before = int(run.out.split()[0])
        os.kill(self.keeper(run), signal.SIGKILL)
        self.assertEqual(run.wait(), 76)
        self.assertTrue(alive(before))
        os.kill(before, signal.SIGKILL)

    def test_orphans_of_children_from_before_are_left_alone(self):
        """They come to zksync, which is a subreaper for the sake of the command's."""
        for how in (signal.SIGKILL, signal.SIGSTOP):
            run = self.spawn(["bash", "-c", "exec 3<&0; sh -c 'read x <&3; sleep 100 <&- >&- 2>&- & echo $!' & "
                              f"exec {ZKSYNC} lock -T {LONG // 3 * 2} {self.path} -- sh -c 'exec 3<&-; echo up; exec sleep 100'"],
                             stdin=-1)
            run.await_out("up\n")
            run.process.stdin.close()
            await_true(lambda: run.out.count("\n") == 2, "the orphan is there")
            orphan = int(run.out.split()[1])
            await_true(lambda: stat_of(orphan)[0] == run.pid, "it is ours")
            await_true(lambda: len([p for p in processes() if (stat := stat_of(p)) and stat[0] == run.pid]) == 2,
                       "its parent is reaped")
            os.kill(self.keeper(run), how)
            self.assertEqual(run.wait(), 76)
            self.assertTrue(alive(orphan), how)
            os.kill(orphan, signal.SIGKILL)
            self.await_contenders(0)

    def test_both_are_killed(self):
        """Nobody is left to look for its descendants then, but the command itself ends."""
        run = self.start("lock", "-T", LONG, self.path, "--", "sh", "-c", "echo $$; exec sleep 100")
        run.await_out("\n")
        command = int(run.out)
        keeper = self.keeper(run)
        run.signal(signal.SIGSTOP)
        os.kill(keeper, signal.SIGKILL)
        run.signal(signal.SIGKILL)
        await_true(lambda: not alive(command), "the command ends")
        run.wait()
        self.await_contenders(0)

    def test_front_is_stopped(self):
        tree = Tree(self)
        tree.run.signal(signal.SIGSTOP)
        await_true(lambda: state(tree.run.pid) == "T", "it is stopped")
        until = time.monotonic() + 1.5 * LONG
        while time.monotonic() < until:
            tree.goes_on()
            self.assertEqual(len(self.contenders()), 2)
            time.sleep(0.1)
        self.assertEqual(tree.later.out, "")
        tree.run.signal(signal.SIGTERM)
        tree.goes_on()
        tree.run.signal(signal.SIGCONT)
        await_true(lambda: tree.run.process.poll() is not None, "zksync ends")
        self.assertEqual((tree.run.process.returncode, tree.run.err), (128 + signal.SIGTERM, ""))
        for name in ("orphan", "session"):  # Not of its group, and nothing is lost: they go on.
            self.assertTrue(alive(tree.pids()[name]), name)
            os.kill(tree.pids()[name], signal.SIGKILL)
        self.assertEqual(tree.later.wait(), 0)

    def test_the_keeper_is_stopped(self):
        tree = Tree(self)
        os.kill(self.keeper(tree.run), signal.SIGSTOP)
        self.assertEqual(tree.run.wait(), 76)
        self.assertIn(f"zksync: {self.path}: ", tree.run.err)
        for name, pid in tree.pids().items():
            self.assertFalse(alive(pid), name)
        tree.assert_dead_before_the_next_one()


class Rounds(Signals):
    def participants(self):
        self.outside.sync(self.path)
        if self.outside.exists(self.path) is None:
            return []
        # One may go meanwhile.
        found = {name: self.outside.exists(f"{self.path}/{name}") for name in self.outside.get_children(self.path)}
        return [name for name, stat in found.items() if stat is not None and stat.ephemeralOwner != 0]

    def round(self, *words, **options):
        return self.start("double-barrier", "-n", 2, self.path, "--", *words, **options)

    def test_while_the_others_are_waited_for(self):
        for number in ENDING:
            run = self.round("echo", "ran")
            await_true(lambda: len(self.participants()) == 1, "it is there")
            run.signal(number)
            self.assertEqual((run.wait(), run.out, run.err), (-number, "", ""))
            self.assertEqual(self.participants(), [])

    def test_while_leaving(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            other = self.round("sh", "-c", "echo up; read x; exit 6", stdin=-1)
            run, events = self.watch("double-barrier", "-n", 2, self.path, "--", "echo", "ran")
            self.await_event(events, "exited")
            other.await_out("up\n")
            self.assertFalse(run.ended())
            run.signal(number)
            self.assertEqual((run.wait(), run.out, run.err), (-number, "ran\n", ""))
            self.assertEqual(len(self.participants()), 1)
            other.process.stdin.close()
            self.assertEqual((other.wait(), other.err), (6, ""))

    def test_while_the_command_runs(self):
        other = self.round("sh", "-c", "echo up; read x; exit 6", stdin=-1)
        run = self.round("sh", "-c", "echo up; exec sleep 100")
        run.await_out("up\n")
        other.await_out("up\n")
        run.signal(signal.SIGTERM)
        other.process.stdin.close()
        self.assertEqual((run.wait(), other.wait()), (128 + signal.SIGTERM, 6))
        self.assertEqual((run.err, other.err, self.participants()), ("", "", []))

    def test_a_signal_while_what_the_command_left_is_waited_for(self):
        """That one is for what is left; the next one is for us, when the others are waited for."""
        other = self.round("sh", "-c", "echo up; read x; exit 6", stdin=-1)
        run = self.start("double-barrier", "-n", 2, "--wait-group", self.path, "-c",
                         "exec 3<&0; (trap '' INT; read x <&3) & echo $$; exit 0", stdin=-1)
        run.await_out("\n")
        other.await_out("up\n")
        command = int(run.out)
        await_true(lambda: not state(command), "the command has been reaped")
        self.send(run, signal.SIGINT)
        self.assertFalse(run.ended())
        run.process.stdin.close()
        await_true(lambda: len(self.participants()) == 1, "it leaves")
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(), -signal.SIGINT)
        other.process.stdin.close()
        self.assertEqual(other.wait(), 6)


if __name__ == "__main__":
    main()
