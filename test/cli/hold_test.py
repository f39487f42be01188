#!/usr/bin/python3 -B
"""zksync hold in the background: what it prints, what it inherits and how it is ended."""

import contextlib
import os
import shutil
import signal
import tempfile
import unittest

from harness import (SHORT, Case, Proxy, ZKSYNC, alive, await_true, die_with_parent, keeper_of, main, open_files,
                     stat_of)

SHELLS = {name: found for name in ("sh", "bash", "dash", "zsh", "fish") if (found := shutil.which(name))}
POSIX = [name for name in SHELLS if name != "fish"]
FISH = {"eval": "eval ({} | string collect)", "source": "{} | source"}
HOSTILE = ("plain", "it's", "''", "a b", "$HOME", "`id`", "\\", "\\\\", "a\\'b\\", "\"q\"", "*?[x]", "~",
           "#x", "a;b&c|d", "!x", "{a,b}", "%s", "a:b", "é", "(exit 1)", "-n", "<x>", "'\\''", "\\n")


def pending(pid):
    """The signals that a process has not taken yet, as a mask."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        facts = dict(line.split(":", 1) for line in file)
    return int(facts["ShdPnd"], 16)


class Printed(Case):
    """What hold -b prints for a shell to evaluate."""

    def setUp(self):
        super().setUp()
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.home = home.name

    def shell(self, name, script, path):
        """Runs a script of a shell's, for which Z is the program and P the path."""
        options = {"zsh": ["-f"], "fish": ["--no-config"]}.get(name, [])
        env = self.environment(Z=ZKSYNC, P=path, HOME=self.home)
        return self.spawn([SHELLS[name], *options, "-c", script], env=env)

    def scripts(self, command):
        """Each way of each shell to evaluate what a command prints."""
        for name in POSIX:
            yield name, f'eval "$({command})"', "$?"
        if "fish" in SHELLS:
            for form in FISH.values():
                yield "fish", form.format(command), "$status"

    def test_all_shells_take_hostile_paths(self):
        for number, name in enumerate(HOSTILE):
            path = f"{self.path}/{number}{name}"
            for shell, script, _ in self.scripts('"$Z" hold -b -n "$P"'):
                run = self.shell(shell, f'{script}; env | grep "^ZKSYNC_[PNH]"; '
                                 'kill -TERM $ZKSYNC_HOLD_PID', path)
                self.assertEqual((run.wait(), run.err), (0, ""), (shell, path))
                told = dict(line.split("=", 1) for line in run.out.split("\n") if "=" in line)
                self.assertEqual(told["ZKSYNC_PATH"], path, shell)
                self.assertTrue(told["ZKSYNC_NODE"].startswith(path + "/_c_"), (shell, told))
                self.assertIn(os.path.basename(told["ZKSYNC_NODE"]), told["ZKSYNC_HELD"], shell)
                self.await_contenders(0, path)

    def test_all_shells_fail_where_it_is_busy(self):
        holder = self.hold()
        for options, code in (("-n", 75), ("-n -E 3", 3), ("-w", 64), ("--foo -b", 64), ("-nb", 75)):
            for shell, script, status in self.scripts(f'"$Z" hold -b {options} "$P"'):
                run = self.shell(shell, f"{script}; echo code={status}", self.path)
                run.wait()
                self.assertEqual(run.out, f"code={code}\n", (shell, options, run.err))
        self.release(holder)

    def test_b_among_other_letters_fails_too(self):
        """An empty text would be evaluated with success."""
        holder = self.hold()
        for words in (["-nb"], ["-bn"], ["-n", "--back"], ["-n", "--background"]):
            result = self.zksync("hold", *words, self.path)
            self.assertEqual((result.code, result.out), (75, "/bin/sh -c 'exit 75'\n"), words)
        self.release(holder)


    def test_what_is_wrong_before_the_subcommand(self):
        for words in (["-T", "0", "hold", "-b"], ["--auth-file", "/no/such", "hold", "-b"], ["--root", "", "hold", "-b"],
                      ["--nonsense", "hold", "-b"], ["hodl", "-b"], ["hold", "-b", "-E", "0"]):
            result = self.zksync(*words, self.path)
            self.assertEqual(result.out, f"/bin/sh -c 'exit {result.code}'\n", words)
            self.assertIn(result.code, (64, 78), words)


class Background(Case):
    """A test that holds a lock in the background."""

    def hold_in_background(self, *words, **options):
        result = self.zksync("hold", "-b", *words, self.path, **options)
        self.assertEqual((result.code, result.err), (0, ""))
        self.variables = {name: value.strip("'") for name, value in
                          (line[len("export "):].rstrip(";").split("=", 1) for line in result.lines)}
        pid = int(self.variables["ZKSYNC_HOLD_PID"])
        self.addCleanup(self.end, os.pidfd_open(pid))
        return pid

    def end(self, holder):
        for number in (signal.SIGTERM, signal.SIGCONT):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(holder, number)
        os.close(holder)
        self.await_contenders(0)

    def keeper(self, pid):
        return await_true(lambda: keeper_of(pid), "a keeper")


class Inherited(Background):
    """What the parent leaves behind: dispositions, descriptors, a working directory."""

    def test_a_parent_that_ignores_sigchld(self):
        holder = self.hold()

        def ignore():
            die_with_parent()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

        for words, code in ((["-n"], 75), (["-w", SHORT, "-E", "3"], 3)):
            result = self.zksync("hold", "-b", *words, self.path, preexec_fn=ignore)
            self.assertEqual((result.code, result.out, result.err),
                             (code, f"/bin/sh -c 'exit {code}'\n", ""))
        result = self.zksync("hold", "-n", self.path, preexec_fn=ignore)
        self.assertEqual(result.code, 75)
        self.release(holder)
        result = self.zksync("lock", "-n", self.path, "sh", "-c", "exit 7", preexec_fn=ignore)
        self.assertEqual((result.code, result.err), (7, ""))

    def test_it_keeps_no_descriptor_and_no_directory(self):
        read_end, write_end = os.pipe()
        folder = os.path.realpath("/usr")
        pid = self.hold_in_background(pass_fds=[write_end], cwd=folder)
        os.close(write_end)
        self.assertEqual(os.read(read_end, 1), b"")
        os.close(read_end)
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        self.assertEqual(os.getsid(pid), pid)

    def test_it_keeps_the_descriptor_for_events(self):
        read_end, write_end = os.pipe()
        self.hold_in_background("--status-fd", str(write_end), pass_fds=[write_end])
        os.close(write_end)
        with open(read_end, encoding="utf-8") as events:
            self.assertIn('"event":"acquired"', events.readline().replace('": "', '":"'))

    def test_what_cannot_be_printed_is_not_held(self):
        with open("/dev/full", "wb") as full:
            result = self.zksync("hold", "-b", self.path, stdout=full)
        self.assertEqual((result.code, result.err),
                         (71, "zksync: standard output: No space left on device\n"))
        self.assert_nothing_left()
        read_end, write_end = os.pipe()
        os.close(read_end)
        result = self.zksync("hold", "-b", self.path, stdout=write_end)
        os.close(write_end)
        self.assertEqual((result.code, result.err), (71, ""))
        self.assert_nothing_left()
        closed = self.spawn(["sh", "-c", 'exec "$0" hold -b "$1" >&-', ZKSYNC, self.path])
        self.assertEqual(closed.wait(), 71)
        self.assertIn("standard output: ", closed.err)
        self.assert_nothing_left()


class Release(Background):
    def start_release(self, *words, pid=None, start=None):
        variables = {"ZKSYNC_HOLD_PID": self.variables["ZKSYNC_HOLD_PID"] if pid is None else str(pid),
                     "ZKSYNC_HOLD_START": self.variables["ZKSYNC_HOLD_START"] if start is None else str(start)}
        return self.start("release", *words, env=self.environment(**variables))

    def released(self, *words, **variables):
        """The exit code, and what was said."""
        run = self.start_release(*words, **variables)
        return run.wait(), run.err

    def waits(self, run, holder):
        """Waits until a release has found the holder and waits for its end."""
        await_true(lambda: any(name.startswith("/memfd:zksync-hold") for name in open_files(run.pid)),
                   "it has found the holder")
        await_true(lambda: stat_of(run.pid)[2] == "S" and not pending(holder), "it waits")

    def stop(self, pid):
        os.kill(pid, signal.SIGSTOP)
        await_true(lambda: stat_of(pid)[2] == "T", "it is stopped")

    def test_the_lock_is_free_when_it_returns(self):
        run = self.spawn(["sh", "-c", """
i=0
while [ $i -lt 100 ]; do
    lock=$("$Z" hold -b -n "$P") || exit
    eval "$lock"
    "$Z" release || exit
    "$Z" lock -n "$P" true || exit
    i=$((i + 1))
done"""], env=self.environment(Z=ZKSYNC, P=self.path))
        self.assertEqual((run.wait(), run.out, run.err), (0, "", ""))

    def test_by_the_variables_and_by_the_number(self):
        for words in ([], ["-v"]):
            pid = self.hold_in_background()
            for given in (words, [*words, pid]):
                code, err = self.released(*given)
                self.assertEqual(code, 0 if given == words else 1, err)
                self.assert_nothing_left()
                self.assertFalse(alive(pid))
        pid = self.hold_in_background("-s")
        self.assertEqual(self.released(pid, pid="", start=""), (0, ""))
        self.assert_nothing_left()

    def test_a_hold_in_the_foreground(self):
        run = self.start("hold", "-v", self.path)
        run.await_err(": held, token ")
        self.variables = {"ZKSYNC_HOLD_PID": "", "ZKSYNC_HOLD_START": ""}
        self.assertEqual(self.released(run.pid), (0, ""))
        self.assertEqual(run.wait(), 0)
        holder = self.hold()
        run = self.start("hold", self.path)
        self.await_contenders(2)
        self.assertEqual(self.released(run.pid)[0], 1)
        self.assertEqual(run.wait(), -signal.SIGTERM)
        self.release(holder)

    def test_what_is_not_that_hold_is_left_alone(self):
        pid = self.hold_in_background()
        other = self.start("lock", f"{self.path}/other", "--", "sh", "-c", "echo up; exec sleep 100")
        other.await_out("up\n")
        sleeper = self.spawn(["sleep", "100"])
        for number in (self.keeper(pid), other.pid, keeper_of(other.pid), sleeper.pid, os.getpid()):
            code, err = self.released(number)
            self.assertEqual(code, 1, err)
            self.assertTrue(alive(number))
        # A number that has been taken by another hold since.
        code, err = self.released(start=int(self.variables["ZKSYNC_HOLD_START"]) - 1)
        self.assertEqual((code, len(self.contenders())), (1, 1), err)
        self.assertRegex(err, rf"\Azksync: process {pid}: .*\n\Z")
        other.signal(signal.SIGTERM)
        other.wait()
        self.outside.delete(f"{self.path}/other", recursive=True)

    def test_wrong_words(self):
        self.variables = {"ZKSYNC_HOLD_PID": "", "ZKSYNC_HOLD_START": ""}
        for words in ([], ["x"], ["-1"], ["0"], ["12 "], ["99999999999"], ["1", "2"]):
            self.assertEqual(self.released(*words)[0], 64, words)

    def test_a_signal_before_does_not_make_it_hurry(self):
        """A second TERM would kill the process that talks to the servers."""
        pid = self.hold_in_background()
        keeper = self.keeper(pid)
        self.stop(keeper)
        os.kill(pid, signal.SIGTERM)
        await_true(lambda: not pending(pid), "it is taken")
        runs = [self.start_release(), self.start_release()]
        for run in runs:
            self.waits(run, pid)
        os.kill(keeper, signal.SIGCONT)
        self.assertEqual([(run.wait(), run.err) for run in runs], [(0, ""), (0, "")])
        self.assert_nothing_left()

    def test_one_that_was_stopped_or_ignores_term(self):
        pid = self.hold_in_background()
        self.stop(pid)
        self.assertEqual(self.released(), (0, ""))

        def ignore():
            die_with_parent()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

        pid = self.hold_in_background(preexec_fn=ignore)
        os.kill(pid, signal.SIGTERM)
        await_true(lambda: not pending(pid), "it is taken")
        self.assertEqual(len(self.contenders()), 1)
        self.assertEqual(self.released(), (0, ""))
        self.assert_nothing_left()

    def test_a_lock_that_was_lost(self):
        pid = self.hold_in_background("-T", 15)
        self.stop(self.keeper(pid))
        code, err = self.released()
        self.assertEqual(code, 76, err)
        self.assertIn("lost", err)

    def test_a_lock_that_was_taken_away(self):
        self.hold_in_background()
        self.assertEqual(self.zksync("break", "--all", "--yes", self.path).code, 0)
        code, err = self.released()
        self.assertEqual(code, 76, err)
        self.assertIn("lost", err)

    def test_a_process_that_was_killed(self):
        for which in ("front", "keeper"):
            pid = self.hold_in_background("-T", 20)
            keeper = self.keeper(pid)
            self.stop(keeper)
            run = self.start_release()
            self.waits(run, pid)
            os.kill(pid if which == "front" else keeper, signal.SIGKILL)
            self.assertEqual(run.wait(), 69, run.err)
            self.assertIn("not confirmed", run.err)
            if which == "front":
                os.kill(keeper, signal.SIGCONT)
            self.await_contenders(0)

    @Proxy.needed
    def test_servers_that_do_not_answer(self):
        self.addCleanup(Proxy.heal)
        self.hold_in_background()
        Proxy.cut()
        code, err = self.released()
        Proxy.heal()
        self.assertEqual(code, 69, err)
        self.assertIn("not confirmed", err)

    @unittest.skipUnless(os.geteuid() == 0, "another user cannot be had without being root")
    def test_of_another_user(self):
        self.hold_in_background()
        program = os.path.join(tempfile.mkdtemp(prefix="zksync-test-"), "zksync")
        self.addCleanup(shutil.rmtree, os.path.dirname(program))

        def drop():
            die_with_parent()
            os.setgid(65534)
            os.setuid(65534)

        shutil.copy(ZKSYNC, program)
        os.chmod(os.path.dirname(program), 0o755)
        run = self.spawn([program, "release", self.variables["ZKSYNC_HOLD_PID"]], preexec_fn=drop)
        self.assertEqual(run.wait(), 77, run.err)
        self.assertEqual(len(self.contenders()), 1)


if __name__ == "__main__":
    main()
