#!/usr/bin/python3 -B
"""zksync hold in the background: what it prints, what it inherits and how it is ended."""

import os
import shutil
import signal
import tempfile

from harness import Case, ZKSYNC, await_true, die_with_parent, main

SHELLS = {name: found for name in ("sh", "bash", "dash", "zsh", "fish") if (found := shutil.which(name))}
POSIX = [name for name in SHELLS if name != "fish"]
FISH = {"eval": "eval ({} | string collect)", "source": "{} | source"}
HOSTILE = ("plain", "it's", "''", "a b", "$HOME", "`id`", "\\", "\\\\", "a\\'b\\", "\"q\"", "*?[x]", "~",
           "#x", "a;b&c|d", "!x", "{a,b}", "%s", "a:b", "é", "(exit 1)", "-n", "<x>", "'\\''", "\\n")


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
                self.assertIn(path, told["ZKSYNC_HELD"], shell)
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


class Inherited(Case):
    """What the parent leaves behind: dispositions, descriptors, a working directory."""

    def test_a_parent_that_ignores_sigchld(self):
        holder = self.hold()

        def ignore():
            die_with_parent()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

        for words, code in ((["-n"], 75), (["-w", "0.1", "-E", "3"], 3)):
            result = self.zksync("hold", "-b", *words, self.path, preexec_fn=ignore)
            self.assertEqual((result.code, result.out, result.err),
                             (code, f"/bin/sh -c 'exit {code}'\n", ""))
        result = self.zksync("hold", "-n", self.path, preexec_fn=ignore)
        self.assertEqual(result.code, 75)
        self.release(holder)
        result = self.zksync("lock", "-n", self.path, "sh", "-c", "exit 7", preexec_fn=ignore)
        self.assertEqual((result.code, result.err), (7, ""))

    def hold_in_background(self, *words, **options):
        result = self.zksync("hold", "-b", *words, self.path, **options)
        self.assertEqual((result.code, result.err), (0, ""))
        told = dict(line[len("export "):].rstrip(";").split("=", 1) for line in result.lines)
        pid = int(told["ZKSYNC_HOLD_PID"].strip("'"))
        self.addCleanup(self.end, pid)
        return pid

    def end(self, pid):
        with_it = os.pidfd_open(pid) if os.path.exists(f"/proc/{pid}") else None
        if with_it is not None:
            signal.pidfd_send_signal(with_it, signal.SIGTERM)
            os.close(with_it)
        await_true(lambda: not self.contenders(), "it is released")

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


if __name__ == "__main__":
    main()
