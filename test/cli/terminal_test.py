#!/usr/bin/python3 -B
"""zksync on a terminal: job control, programs that use the terminal, scripts and pipelines."""

import fcntl
import os
import re
import select
import shutil
import socket
import signal
import struct
import tempfile
import termios
import time
import unittest

from harness import Case, ZKSYNC, alive, await_true, descendants, die_with_parent, main, stat_of

SESSION = 8  # One that stands still for 2 s on a busy machine does not lose its lock.
CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
PROMPT = "<ready>"
SHELL = ["bash", "--norc", "--noediting", "-i"]

# Reads single keys; Ctrl-Z stops it, and when it goes on it sets the terminal up again.
KEYS = """
import os, signal, termios
tty = os.open("/dev/tty", os.O_RDWR)
before = termios.tcgetattr(tty)
def set_up(*_):
    now = termios.tcgetattr(tty)
    now[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(tty, termios.TCSADRAIN, now)
    os.write(tty, b"up:")
signal.signal(signal.SIGCONT, set_up)
set_up()
while (key := os.read(tty, 1)) != b"q":
    os.write(tty, b"key-" + key + b":")
termios.tcsetattr(tty, termios.TCSADRAIN, before)
"""


def state(pid):
    stat = stat_of(pid)
    return "" if stat is None else stat[2]


class Terminal:
    """A program on a terminal of its own, which does not show what is typed, and what is on the screen."""

    def __init__(self, case, command, columns=80, **variables):
        self.case = case
        self.master, slave = os.openpty()
        modes = termios.tcgetattr(slave)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        def prepare():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            die_with_parent()

        env = case.environment(PATH=os.path.dirname(ZKSYNC) + ":" + os.environ["PATH"], P=case.path,
                               PS1=PROMPT, TERM="vt100", HISTFILE="/dev/null", FIFO=case.fifo, **variables)
        self.run = case.spawn(command, env=env, stdin=slave, stdout=slave, stderr=slave,
                              preexec_fn=prepare)
        self.pid = self.run.pid
        os.close(slave)
        self.text = ""
        self.at = 0
        case.addCleanup(self.hang_up)

    def pump(self):
        while self.master >= 0 and select.select([self.master], [], [], 0)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # Nobody has it open any more.
                return
            self.text += piece.decode("utf-8", "replace")

    def hang_up(self):
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def type(self, text):
        os.write(self.master, text.encode("utf-8"))

    def foreground(self):
        return os.tcgetpgrp(self.master)

    def await_screen(self, pattern):
        """Waits for a text behind what has been waited for before; what is in front of it, and itself."""
        def seen():
            self.pump()
            return re.compile(pattern).search(self.text, self.at)

        try:
            match = await_true(seen, f"the screen shows {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows {self.text[self.at:]!r}") from None
        before = self.text[self.at:match.start()]
        self.at = match.end()
        return before, match

    def await_prompt(self):
        return self.await_screen(PROMPT)[0]

    def do(self, line):
        """What a line typed to the shell writes."""
        self.type(line + "\n")
        return self.await_prompt()

    def code(self):
        return self.do("echo $?").strip()

    def wait(self):
        await_true(self.ended, f"{self.run.command} ends; the screen shows {self.text[self.at:]!r}")
        self.pump()
        return self.run.process.returncode

    def ended(self):
        self.pump()  # A screen that is full would hold it up.
        return self.run.ended()

    def leave(self):
        """The shell still reads, in a sane mode, and nothing is left of what it has started."""
        self.case.assertEqual(self.do("echo a; echo b"), "a\r\nb\r\n")
        self.case.assertEqual(self.do("stty -a | grep -ow -e '-*icanon' -e '-*isig'").split(),
                              ["isig", "icanon"])
        self.case.assertEqual(self.foreground(), self.pid)
        await_true(lambda: not descendants(self.pid), "all of its processes end")
        self.type("exit 7\n")
        self.case.assertEqual(self.wait(), 7)


class OnTerminal(Case):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.fifo = os.path.join(self.folder.name, "fifo")
        os.mkfifo(self.fifo)

    def shell(self, **options):
        shell = Terminal(self, SHELL, **options)
        shell.await_prompt()
        return shell

    def feed(self, text="go\n"):
        """Writes to whoever reads from $FIFO."""
        with open(self.fifo, "w", encoding="ascii") as file:
            file.write(text)

    def await_state(self, pid, states):
        await_true(lambda: state(pid) and state(pid) in states, f"{pid} is in state {states}")

    def command(self, shell):
        """The pid that a command has shown as up:PID: ."""
        return int(shell.await_screen(r"up:(\d+):")[1].group(1))

    def under_lock(self, what, *options):
        """A shell in which zksync runs this, which shows its pid, and that pid."""
        shell = self.shell()
        shell.type(f"zksync lock {' '.join(map(str, options))} $P -- {what}\n")
        return shell, self.command(shell)

    def assert_stays_held(self, contenders):
        """For longer than a session that nobody cares for would last."""
        until = time.monotonic() + 1.5 * SESSION
        while time.monotonic() < until:
            self.assertEqual(self.contenders(), contenders)
            time.sleep(0.1)

    def stop(self, shell, command=None):
        shell.type(CTRL_Z)
        shell.await_screen("Stopped")
        shell.await_prompt()
        if command is not None:
            self.await_state(command, "T")


SLEEP = "sh -c 'echo up:$$:; exec sleep 100'"
READ = "sh -c 'echo up:$$:; read x; echo got:$x:'"
FEED = "sh -c 'echo up:$$:; read x <$FIFO; echo got:$x:'"


class Output(OnTerminal):
    def test_nothing_of_ours_is_seen(self):
        shell = self.shell()
        self.assertEqual(shell.do("zksync lock $P -- echo text"), "text\r\n")
        holder = self.hold()
        shell.type("zksync lock $P -- echo text\n")
        self.await_contenders(2)
        self.release(holder)
        self.assertEqual(shell.await_prompt(), "text\r\n")
        shell.leave()

    def test_verbose_shows_who_is_ahead(self):
        holder = self.hold()
        other = self.start("lock", self.path, "true")
        self.await_contenders(2)
        shell = self.shell(columns=200)
        shell.type("zksync -v lock $P -- echo ran\n")
        who = f"{socket.gethostname()}:{holder.pid}"
        before, _ = shell.await_screen(f"zksync: {self.path}: 2 ahead, held by {re.escape(who)} ")
        self.assertRegex(before, r"\A(zksync: using [^\r\n]*\r\n)?\r\x1b\[K\Z")
        other.signal(15)
        updates, _ = shell.await_screen(f"\r\x1b\\[Kzksync: {self.path}: 1 ahead, held by {re.escape(who)} ")
        self.assertNotIn("\n", updates)
        self.release(holder)
        self.assertRegex(shell.await_prompt(),
                         rf"\A[^\n]*\r\x1b\[Kzksync: {self.path}: held, token \d+\r\nran\r\n\Z")
        shell.leave()

    def test_hold_says_that_it_waits_and_that_it_holds(self):
        holder = self.hold()
        shell = self.shell(columns=200)
        shell.type("zksync hold $P\n")
        shell.await_screen(f"\r\x1b\\[Kzksync: {self.path}: 1 ahead, held by ")
        self.release(holder)
        shell.await_screen(rf"zksync: {self.path}: held, token \d+; Ctrl-D or Ctrl-C releases it\r\n")
        shell.type(CTRL_D)
        shell.await_prompt()
        self.assertEqual(shell.code(), "0")
        shell.type("zksync hold $P </dev/null\n")
        shell.await_screen("; Ctrl-C releases it\r\n")
        shell.type(CTRL_C)
        shell.await_prompt()
        # Nobody sees standard error.
        shell.type("zksync hold --status-fd 1 $P 2>$FIFO\n")
        with open(self.fifo, encoding="utf-8") as file:
            shell.await_screen('"acquired"')
            shell.type(CTRL_D)
            self.assertEqual(file.read(), "")
        shell.await_prompt()
        shell.leave()

    def test_the_line_is_wiped_when_it_is_given_up(self):
        holder = self.hold()
        shell = self.shell()
        shell.type("zksync -v lock $P -- echo ran\n")
        shell.await_screen("1 ahead, held by [^ ]* ")
        shell.type(CTRL_C)
        self.assertRegex(shell.await_prompt(), r"\A[^\n]*\r\x1b\[K[\r\n]*\Z")
        self.release(holder)
        shell.leave()

    def test_the_line_fits_the_terminal(self):
        holder = self.hold()
        shell = self.shell(columns=50)
        shell.type("zksync -v lock $P -- echo ran\n")
        shell.await_screen(r"\r\x1b\[K(zksync: [^\r]*)\r\x1b\[K")
        shell.type(CTRL_C)
        shell.await_prompt()
        for line in re.findall(r"\x1b\[K(zksync: [^\r]+)", shell.text):
            self.assertLessEqual(len(line), 50)
        self.release(holder)
        shell.leave()


class CtrlC(OnTerminal):
    def test_while_waiting(self):
        holder = self.hold()
        shell = self.shell()
        shell.type("zksync lock $P -- echo ran\n")
        self.await_contenders(2)
        shell.type(CTRL_C)
        self.assertEqual(shell.await_prompt().strip(), "")
        self.assertEqual(len(self.contenders()), 1)
        self.assertEqual(shell.code(), "130")
        self.release(holder)
        shell.leave()

    def test_while_the_command_runs(self):
        shell = self.shell()
        shell.type(f"zksync lock $P -- {SLEEP}\n")
        self.command(shell)
        shell.type(CTRL_C)
        self.assertEqual(shell.await_prompt().strip(), "")
        self.assert_nothing_left()
        self.assertEqual(shell.code(), "130")
        shell.leave()

    def test_a_command_with_a_code_of_its_own(self):
        shell = self.shell()
        shell.type("zksync lock $P -- sh -c 'trap \"exit 9\" INT; echo up:$$:; read x <$FIFO'\n")
        self.command(shell)
        shell.type(CTRL_C)
        shell.await_prompt()
        self.assertEqual(shell.code(), "9")
        shell.leave()

    def test_ends_a_loop(self):
        shell = self.shell()
        shell.type(f"for i in 1 2 3; do zksync lock $P -- {SLEEP}; done\n")
        self.command(shell)
        shell.type(CTRL_C)
        self.assertEqual(shell.await_prompt().strip(), "")
        self.assertEqual(shell.code(), "130")
        shell.leave()

    def test_ends_a_loop_while_waiting(self):
        holder = self.hold()
        shell = self.shell()
        shell.type("for i in 1 2 3; do zksync lock $P -- true; done\n")
        self.await_contenders(2)
        shell.type(CTRL_C)
        self.assertEqual(shell.await_prompt().strip(), "")
        self.release(holder)
        shell.leave()

    def test_the_terminal_goes_away(self):
        holder = self.hold()
        for waits in (True, False):
            for direct in (True, False):
                line = f"zksync lock $P -- {SLEEP}"
                shell = Terminal(self, ["sh", "-c", f"exec {line}"]) if direct else self.shell()
                if not direct:
                    shell.type(line + "\n")
                if waits:
                    self.await_contenders(2)
                else:
                    self.command(shell)
                shell.hang_up()
                shell.wait()
                await_true(lambda: len(self.contenders()) == waits, "it is released")
            if waits:
                self.release(holder)


    def test_front_is_killed_where_it_leads_the_session(self):
        """The terminal hangs up, so the command may be gone before the keeper knows why."""
        for _ in range(8):
            terminal = Terminal(self, [ZKSYNC, "lock", self.path, "--", "sh", "-c",
                                       "setsid sh -c 'echo up:$$:; exec sleep 100' & exec sleep 100"])
            child = self.command(terminal)
            terminal.run.signal(signal.SIGKILL)
            await_true(lambda: not self.contenders(), "it is released")
            self.assertFalse(alive(child))
            terminal.wait()


class CtrlZ(OnTerminal):
    def test_stopped_and_let_go_on(self):
        shell, command = self.under_lock(READ, "-T", SESSION)
        held = self.contenders()
        self.stop(shell, command)
        self.assertEqual(shell.foreground(), shell.pid)
        self.assert_stays_held(held)
        shell.type("fg\n")
        self.await_state(command, "SR")
        self.stop(shell, command)  # As often as one likes.
        shell.type("fg\n")
        self.await_state(command, "SR")
        shell.type("hello\n")
        shell.await_screen("got:hello:\r\n")
        shell.await_prompt()
        self.assertEqual(shell.code(), "0")
        self.assert_nothing_left()
        shell.leave()

    def test_goes_on_in_the_background(self):
        shell, command = self.under_lock(FEED)
        self.stop(shell, command)
        shell.do("bg")
        self.await_state(command, "SRD")
        self.assertEqual(shell.do("echo here"), "here\r\n")
        self.assertEqual(shell.foreground(), shell.pid)
        self.feed()
        shell.await_screen("got:go:")
        self.assertIn("code:0:", shell.do("wait %1; echo code:$?:"))
        shell.leave()

    def test_ctrl_c_after_it(self):
        shell, command = self.under_lock(SLEEP)
        self.stop(shell, command)
        shell.type("fg\n")
        self.await_state(command, "SR")
        shell.type(CTRL_C)
        shell.await_prompt()
        self.assertEqual(shell.code(), "130")
        shell.leave()

    def test_a_stopped_one_is_killed(self):
        shell, command = self.under_lock(SLEEP)
        self.stop(shell, command)
        shell.do("kill %1")  # With CONT behind it, by the shell.
        await_true(lambda: not self.contenders(), "it is released")
        # For a shell that has not heard of its end it is still a stopped job, which it does not wait for.
        await_true(lambda: not descendants(shell.pid), "it has ended")
        self.assertIn("code:143:", shell.do("wait %1; echo code:$?:"))
        shell.leave()

    def test_while_waiting(self):
        holder = self.hold()
        shell = self.shell()
        shell.type("zksync lock $P -- echo ran\n")
        self.await_contenders(2)
        self.stop(shell)
        self.assertEqual(len(self.contenders()), 2)
        shell.type("fg\n")
        await_true(lambda: shell.foreground() != shell.pid, "it is in the foreground")
        # The SIGCONT that follows would take back a Ctrl-Z that is typed before it.
        self.await_state(shell.foreground(), "SR")
        self.stop(shell)
        self.release(holder)
        self.await_contenders(1)
        self.assertEqual(shell.do("echo here"), "here\r\n")
        shell.type("fg\n")
        shell.await_screen("ran\r\n")
        shell.await_prompt()
        self.assertEqual(shell.code(), "0")
        shell.leave()

    def test_in_a_pipeline(self):
        """What comes behind us can still use the terminal when the job goes on."""
        shell = self.shell()
        shell.type(f"zksync lock $P -- {FEED} | "
                   "sh -c 'read x; echo line:$x; read y </dev/tty; echo typed:$y:; read z; echo last:$z'\n")
        command = int(shell.await_screen(r"line:up:(\d+):")[1].group(1))
        self.stop(shell, command)
        shell.type("fg\n")
        self.await_state(command, "SRD")
        shell.type("hello\n")
        shell.await_screen("typed:hello:")
        self.feed()
        shell.await_screen("last:got:go:")
        shell.await_prompt()
        shell.leave()

    def test_in_a_script(self):
        shell = self.shell()
        inner = FEED.replace("$", "\\$")
        shell.type(f"sh -c \"zksync lock $P -- {inner}; read y; echo then:\\$y:\"\n")
        command = self.command(shell)
        self.stop(shell, command)
        shell.type("fg\n")
        self.await_state(command, "SRD")
        self.feed()
        shell.await_screen("got:go:")
        shell.type("hello\n")
        shell.await_screen("then:hello:")
        shell.await_prompt()
        shell.leave()


class Programs(OnTerminal):
    def test_single_keys(self):
        shell = self.shell(KEYS=KEYS)
        shell.type('zksync lock $P -- /usr/bin/python3 -B -E -S -c "$KEYS"\n')
        shell.await_screen("up:")
        for key in "ab":
            shell.type(key)
            shell.await_screen(f"key-{key}:")
        for _ in range(2):
            self.stop(shell)
            self.assertEqual(len(self.contenders()), 1)
            shell.type("fg\n")
            shell.await_screen("up:")
            shell.type("x")
            shell.await_screen("key-x:")
        shell.type("q")
        shell.await_prompt()
        self.assertEqual(shell.code(), "0")
        shell.leave()

    @unittest.skipUnless(shutil.which("vim"), "no vim")
    def test_vim(self):
        name = os.path.join(self.folder.name, "text")
        with open(name, "w", encoding="ascii") as file:
            file.write("first\n")

        def content():
            with open(name, encoding="ascii") as file:
                return file.read()

        shell = self.shell(NAME=name)
        shell.type("zksync lock $P -- vim -u NONE -N -n $NAME\n")
        shell.await_screen("first")
        shell.type("osecond\x1b:w\r")
        await_true(lambda: content() == "first\nsecond\n", "it is written")
        self.stop(shell)
        shell.type("fg\n")
        shell.await_screen("second")
        shell.type("othird\x1b:wq\r")
        shell.await_prompt()
        self.assertEqual(content(), "first\nsecond\nthird\n")
        self.assertEqual(shell.code(), "0")
        shell.leave()

    @unittest.skipUnless(shutil.which("less"), "no less")
    def test_less(self):
        name = os.path.join(self.folder.name, "text")
        with open(name, "w", encoding="ascii") as file:
            file.write("".join(f"line-{i}.\n" for i in range(500)))
        shell = self.shell(NAME=name)
        shell.type("zksync lock $P -- less $NAME\n")
        shell.await_screen(r"line-5\.")
        shell.type("G")
        shell.await_screen(r"line-499\.")
        self.stop(shell)
        shell.type("fg\n")
        shell.await_screen(r"line-499\.")
        shell.type("g")
        shell.await_screen(r"line-5\.")
        shell.type("q")
        shell.await_prompt()
        shell.leave()

    def test_an_interactive_shell(self):
        shell = self.shell()
        shell.type(f"PS1='<inner>' zksync lock $P -- {' '.join(SHELL)}\n")
        self.assertEqual(shell.await_screen("<inner>")[0], "")
        shell.type("sh -c 'echo up:$$:; exec sleep 100'\n")
        inner = self.command(shell)
        shell.type(CTRL_Z)
        shell.await_screen("Stopped")
        shell.await_screen("<inner>")
        self.await_state(inner, "T")
        shell.type("fg\n")
        self.await_state(inner, "SR")
        shell.type(CTRL_C)
        shell.await_screen("<inner>")
        shell.type("echo code:$?:\n")
        shell.await_screen("code:130:")
        self.assertEqual(len(self.contenders()), 1)
        shell.type("exit 3\n")
        shell.await_prompt()
        self.assertEqual(shell.code(), "3")
        shell.leave()

    def test_the_end_of_input(self):
        shell = self.shell()
        shell.type("zksync lock $P -- sh -c 'echo up:$$:; cat; echo end'\n")
        self.command(shell)
        shell.type("text\n")
        shell.await_screen("text\r\n")
        shell.type(CTRL_D)
        self.assertEqual(shell.await_prompt(), "end\r\n")
        shell.leave()


class Jobs(OnTerminal):
    def test_pipelines(self):
        shell = self.shell()
        self.assertEqual(shell.do("zksync lock $P -- sh -c 'echo a' | cat"), "a\r\n")
        self.assertEqual(shell.do("echo b | zksync lock $P -- cat"), "b\r\n")
        self.assertEqual(shell.do("echo c | zksync lock $P -- cat | cat"), "c\r\n")
        shell.leave()

    def test_a_pipeline_reads_from_the_terminal(self):
        shell = self.shell()
        shell.type("zksync lock $P -- sh -c 'echo up:$$: >&2; read x </dev/tty; echo got:$x:' | cat\n")
        self.command(shell)
        shell.type("hello\n")
        shell.await_screen("got:hello:\r\n")
        shell.await_prompt()
        shell.leave()

    def test_ctrl_c_ends_a_pipeline(self):
        shell = self.shell()
        shell.type(f"zksync lock $P -- {SLEEP} | cat\n")
        self.command(shell)
        shell.type(CTRL_C)
        shell.await_prompt()
        await_true(lambda: not self.contenders(), "it is released")
        shell.leave()

    def test_ctrl_c_ends_a_script(self):
        script = f"zksync lock $P -- {SLEEP}; echo after"
        alone = Terminal(self, ["sh", "-c", script])
        self.command(alone)
        alone.type(CTRL_C)
        alone.wait()
        self.assertNotIn("after", alone.text)
        self.assert_nothing_left()
        shell = self.shell(SCRIPT=script)
        for program in ("sh", "bash"):
            shell.type(f'{program} -c "$SCRIPT"\n')
            self.command(shell)
            shell.type(CTRL_C)
            self.assertEqual(shell.await_prompt().strip(), "")
            self.assertEqual(shell.code(), "130")
            self.assert_nothing_left()
        shell.leave()

    def test_a_script_reads_from_the_terminal(self):
        script = f"zksync lock $P -- {READ}; read y; echo then:$y:"

        def check(terminal):
            self.command(terminal)
            terminal.type("one\n")
            terminal.await_screen("got:one:\r\n")
            terminal.type("two\n")
            terminal.await_screen("then:two:\r\n")

        alone = Terminal(self, ["sh", "-c", script])
        check(alone)
        self.assertEqual(alone.wait(), 0)
        shell = self.shell(SCRIPT=script)
        shell.type('sh -c "$SCRIPT"\n')
        check(shell)
        shell.await_prompt()
        shell.leave()

    def test_in_the_background(self):
        shell = self.shell()
        shell.type(f"zksync lock $P -- {FEED} &\n")
        self.command(shell)
        self.assertEqual(shell.foreground(), shell.pid)
        shell.type("echo he''re\n")
        shell.await_screen("here\r\n")
        self.feed()
        shell.await_screen("got:go:")
        shell.type("wait %1; echo code:$?:\n")
        shell.await_screen("code:0:")
        self.assertEqual(shell.foreground(), shell.pid)
        shell.await_prompt()
        shell.do("")
        shell.leave()

    def test_a_background_command_reads_from_the_terminal(self):
        shell = self.shell()
        shell.type(f"zksync lock $P -- {READ} &\n")
        command = self.command(shell)
        self.await_state(command, "T")
        await_true(lambda: "Stopped" in shell.do("jobs"), "the shell says so")
        self.assertEqual(shell.foreground(), shell.pid)
        self.assertEqual(len(self.contenders()), 1)
        shell.type("fg\n")
        self.await_state(command, "SR")
        shell.type("hello\n")
        shell.await_screen("got:hello:\r\n")
        shell.await_prompt()
        self.assertEqual(shell.code(), "0")
        shell.leave()

    def test_waiting_in_the_background(self):
        holder = self.hold()
        shell = self.shell()
        shell.do(f"zksync lock $P -- {SLEEP} &")
        self.await_contenders(2)
        self.assertEqual(shell.do("echo here"), "here\r\n")
        shell.type(CTRL_C)  # Not for one in the background.
        shell.await_prompt()
        self.release(holder)
        command = self.command(shell)
        self.assertEqual(shell.foreground(), shell.pid)
        shell.type("fg\n")
        await_true(lambda: shell.foreground() != shell.pid, "the job is in the foreground")
        shell.type(CTRL_C)
        await_true(lambda: not alive(command), "it ends")
        shell.await_prompt()
        self.assertEqual(shell.code(), "130")
        shell.leave()


if __name__ == "__main__":
    main()
