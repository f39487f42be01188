#!/usr/bin/python3 -B
"""What shells complete: in bash and zsh also as it is typed on a terminal."""

import contextlib
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import tempfile
import time

from harness import Case, LIMIT, SERVERS, ZKSYNC, main

COMMANDS = ["barrier", "break", "completion", "config", "double-barrier", "held", "help", "hold", "lock",
            "ls", "ping", "release", "serve", "status", "version", "watch"]


class Completion(Case):
    def with_path(self, **variables):
        folder = os.path.dirname(ZKSYNC)
        # On a busy machine servers that are there can take longer than a person would want to wait.
        variables.setdefault("ZKSYNC_COMPLETION_TIMEOUT", "30s")
        return self.environment(PATH=f"{folder}:{os.environ['PATH']}", **variables)

    def bash(self, *words, env=None):
        """What bash would offer for the last of these words."""
        script = 'source <(zksync completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ' \
                 'COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; _zksync; ' \
                 'printf "%s\\n" "${COMPREPLY[@]}"'
        run = self.spawn(["bash", "-c", script, "bash", "zksync", *words], env=env or self.with_path())
        self.assertEqual(run.wait(), 0, run.err)
        return [line for line in run.out.splitlines() if line]

    def test_commands(self):
        self.assertEqual(sorted(self.bash("")), COMMANDS)
        self.assertEqual(self.bash("lo"), ["lock"])
        self.assertEqual(sorted(self.bash("b")), ["barrier", "break"])
        self.assertEqual(self.bash("x"), [])
        self.assertEqual(self.bash("-T", "5", "st"), ["status"])
        self.assertEqual(self.bash("barrier", ""), ["set", "unset", "wait"])
        self.assertEqual(self.bash("completion", ""), ["bash", "zsh", "fish"])
        self.assertEqual(self.bash("completion", "bash", ""), [])
        self.assertEqual(self.bash("help", "lo"), ["lock"])
        self.assertEqual(sorted(self.bash("help", "")), COMMANDS)
        self.assertEqual(self.bash("help", "lock", ""), [])
        self.assertIn("kill", self.bash("lock", "--on-loss", ""))

    def test_options_of_the_help(self):
        for command in COMMANDS:
            result = self.zksync(command, "--help")
            behind = result.out[result.out.index("usage:"):].splitlines()[1:]
            named = {option for line in behind if line.startswith("  -")
                     for option in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", line.split("   ")[0])}
            offered = set(self.bash(command, "-"))
            self.assertLessEqual(named, offered, command)
            self.assertLessEqual({"--servers", "--root", "--help", "-v", "-T"}, offered)
            # And each is one that the command knows.
            for option in offered:
                said = self.zksync(command, option, "--nonsense", "--nonsense").err
                self.assertNotIn(f'unknown option "{option}"', said, command)

    def test_paths(self):
        for name in ("alpha", "alphabet", "beta"):
            self.outside.create(f"{self.path}/{name}/deep", b"", makepath=True)
        for before in (["lock"], ["lock", "-s"], ["lock", "-w", "10"], ["status"], ["status", "--json"], ["hold"], ["held", "-s"],
                       ["barrier", "set"], ["watch"], ["ls", "-r"], ["break", "--yes"],
                       ["double-barrier", "-n", "3"]):
            self.assertEqual(self.bash(*before, self.path + "/al"),
                             [self.path + "/alpha/", self.path + "/alphabet/"], before)
        self.assertEqual(self.bash("ls", self.path + "/alpha/"), [self.path + "/alpha/deep"])
        self.assertEqual(len(self.bash("ls", self.path + "/")), 3)
        self.assertIn("/zksync-test/", self.bash("ls", "/zk"))
        self.assertIn("/zksync-test/", self.bash("ls", "/"))
        self.assertNotIn("/zookeeper", self.bash("ls", "/"))
        env = self.with_path(ZKSYNC_ROOT=self.path)
        self.assertEqual(self.bash("ls", "/be", env=env), ["/beta/"])
        self.assertEqual(self.bash("ls", "be", env=env), ["beta/"])
        self.assertEqual(self.bash("ls", self.path + "/no/such/"), [])

    def test_the_znodes_of_contenders_are_no_paths(self):
        holder = self.hold()
        self.outside.create(self.path + "/deep", b"")
        self.assertEqual(self.bash("status", self.path + "/"), [self.path + "/deep"])
        self.release(holder)

    def test_a_lock_with_contenders_is_no_folder(self):
        self.outside.create(self.path + "/jobs/deep", b"", makepath=True)
        holders = [self.hold(path=self.path + "/leaf"), self.hold(path=self.path + "/jobs")]
        self.assertEqual(self.bash("status", self.path + "/"), [self.path + "/jobs/", self.path + "/leaf"])
        for holder in holders:
            self.release(holder)

    def test_more_folders_than_are_looked_at(self):
        for i in range(70):
            self.outside.create(f"{self.path}/f{i:02}/deep", b"", makepath=True)
        found = self.bash("ls", self.path + "/")
        self.assertEqual([path.rstrip("/") for path in found], [f"{self.path}/f{i:02}" for i in range(70)])
        self.assertTrue(found[0].endswith("/"))

    def test_options_on_the_line_count(self):
        self.outside.create(self.path + "/alpha", b"", makepath=True)
        env = self.with_path(ZKSYNC_SERVERS="127.0.0.1:9")
        self.assertEqual(self.bash("--servers", SERVERS, "ls", self.path + "/al", env=env),
                         [self.path + "/alpha"])
        self.assertEqual(self.bash("--root", self.path, "ls", "/al"), ["/alpha"])
        self.assertEqual(self.bash("ls", "--root=" + self.path, "/al"), ["/alpha"])

    def test_servers_that_do_not_answer(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(1)
            for servers in ("127.0.0.1:9", f"127.0.0.1:{silent.getsockname()[1]}",
                            f"127.0.0.1:9,127.0.0.1:{silent.getsockname()[1]}"):
                env = self.with_path(ZKSYNC_SERVERS=servers, ZKSYNC_COMPLETION_TIMEOUT="")
                self.assertEqual(self.bash("lock", "/", env=env), [])
                self.assertEqual(self.bash("lock", "--wait-g", env=env), ["--wait-group"])
                self.assertEqual(self.fish("zksync ls /", env=env), [])
                self.assertEqual(self.zsh(["ls", "/"], env=env), [])

    def fish(self, line, env=None):
        with tempfile.TemporaryDirectory() as home:
            env = dict(env or self.with_path(), HOME=home, XDG_CONFIG_HOME=home, XDG_DATA_HOME=home)
            run = self.spawn(["fish", "--no-config", "-c",
                              f"zksync completion fish | source; complete -C '{line}'"], env=env)
            self.assertEqual(run.wait(), 0, run.err)
            return run.out.splitlines()

    def test_fish(self):
        self.assertEqual(self.fish("zksync lo"), ["lock"])
        self.assertEqual(sorted(self.fish("zksync ")), COMMANDS)
        self.assertEqual(self.fish("zksync lock --wait-"), ["--wait-group"])
        self.outside.create(self.path + "/alpha", b"", makepath=True)
        self.assertEqual(self.fish(f"zksync lock {self.path}/al"), [self.path + "/alpha"])
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "script-of-ours"), "w", encoding="ascii"):
                pass
            self.assertIn(f"{folder}/script-of-ours", self.fish(f"zksync lock /a {folder}/script"))

    def zsh(self, words, env=None):
        """What the function adds, with what zsh itself would provide replaced."""
        script = 'source <(zksync completion zsh); compadd() { while [[ $1 != -- ]]; do shift; done; shift; ' \
                 'print -rl -- "$@" }; _default() { print :default }; words=(zksync "$@"); ' \
                 'CURRENT=$#words; _zksync'
        run = self.spawn(["zsh", "-f", "-c", script, "zsh", *words], env=env or self.with_path())
        run.wait()
        return [line for line in run.out.splitlines() if line]

    def test_zsh(self):
        text = self.zksync("completion", "zsh").out
        run = self.spawn(["zsh", "-f", "-n", "/dev/stdin"], stdin=subprocess.PIPE)
        run.process.stdin.write(text.encode())
        run.process.stdin.close()
        self.assertEqual((run.wait(), run.err), (0, ""))
        self.assertEqual(self.zsh(["lo"]), ["lock"])
        self.assertEqual(sorted(self.zsh([""])), COMMANDS)
        self.outside.create(self.path + "/alpha", b"", makepath=True)
        self.assertEqual(self.zsh(["lock", self.path + "/al"]), [self.path + "/alpha"])
        self.assertEqual(self.zsh(["lock", "/a", "ca"]), [":default"])

    def typed(self, shell, setup, line, env=None):
        """What the command gets when a user types a line with tabs in it into a shell on a terminal."""
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "zksync")
            with open(program, "w", encoding="ascii") as file:
                file.write(f'#!/bin/sh\ncase "$1" in __complete|completion) exec {ZKSYNC} "$@" ;; esac\n'
                           f'printf "%s\\n" "$@" > {folder}/words.new && '
                           f'mv {folder}/words.new {folder}/words\n')
            os.chmod(program, stat.S_IRWXU)
            env = dict(env or self.with_path(), PATH=f"{folder}:{os.environ['PATH']}", HOME=folder,
                       TERM="dumb", LC_ALL="C.UTF-8", INPUTRC="/dev/null")
            ours, theirs = pty.openpty()

            def controlling():
                os.setsid()
                os.close(os.open(os.ttyname(0), os.O_RDWR))

            run = self.spawn(shell, env=env, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
                             preexec_fn=controlling)
            os.close(theirs)
            screen = b""

            def until(done, what):
                nonlocal screen
                end = time.monotonic() + LIMIT
                while not done():
                    if select.select([ours], [], [], 0.05)[0]:
                        with contextlib.suppress(OSError):
                            screen += os.read(ours, 4096)
                    if time.monotonic() > end:
                        raise AssertionError(f"never: {what}: {screen!r}")

            os.write(ours, setup.encode() + b"; echo re''ady\n")
            until(lambda: b"\nready" in screen, "the shell is ready")
            os.write(ours, line.encode())
            until(lambda: screen.count(line.split("\t")[0].encode()[:8]) > 0, "the line is seen")
            os.write(ours, b"\n")
            words = os.path.join(folder, "words")
            until(lambda: os.path.exists(words) or b"\n> " in screen, "the command is run")
            if not os.path.exists(words):
                run.signal(signal.SIGKILL)  # It wants more: a quote is open.
            os.write(ours, b"exit\n")
            until(run.ended, "the shell ends")
            os.close(ours)
            if not os.path.exists(words):
                return None, os.listdir(folder)
            with open(words, encoding="utf-8") as file:
                return file.read().splitlines(), os.listdir(folder)

    BASH = (["bash", "--norc", "--noprofile", "-i"], "source <(zksync completion bash)")
    ZSH = (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -D -u && source <(zksync completion zsh)")

    FISH = (["fish", "--no-config", "-i"], "zksync completion fish | source")

    def test_typed_in_bash(self):
        self.typed_in(self.BASH)

    def test_typed_in_zsh(self):
        self.typed_in(self.ZSH)

    def test_folders_typed_in_bash(self):
        self.folders_typed_in(self.BASH)

    def test_folders_typed_in_zsh(self):
        self.folders_typed_in(self.ZSH)

    def test_folders_typed_in_fish(self):
        self.folders_typed_in(self.FISH)

    def folders_typed_in(self, shell):
        """Behind a folder the word goes on; behind a leaf the next word begins."""
        self.outside.create(self.path + "/jobs/deep/leaf", b"", makepath=True)
        self.assertEqual(self.typed(*shell, f"zksync ls {self.path}/jo\tde\tle\t--json")[0],
                         ["ls", self.path + "/jobs/deep/leaf", "--json"])

    def typed_in(self, shell):
        self.outside.create(self.path + "/alpha", b"", makepath=True)
        self.assertEqual(self.typed(*shell, f"zksync ls {self.path}/al\t")[0], ["ls", self.path + "/alpha"])
        self.assertEqual(self.typed(*shell, f"zksync stat\t{self.path}/al\t--js\t")[0],
                         ["status", self.path + "/alpha", "--json"])

    def test_strange_names_typed_in_bash(self):
        self.strange_names(self.BASH)

    def test_strange_names_typed_in_zsh(self):
        self.strange_names(self.ZSH)

    def strange_names(self, shell):
        """What others have called their znodes is no command of the user's."""
        wrong = []
        for i, name in enumerate(("x y", "x$(touch ran)", "x;touch ran;", "x'y", "x:y")):
            self.outside.create(f"{self.path}/{i}/{name}", b"", makepath=True)
            words, folder = self.typed(*shell, f"zksync ls {self.path}/{i}/x\t")
            if "ran" in folder:
                wrong.append(f"{name!r} was run")
            if words != ["ls", f"{self.path}/{i}/{name}"]:
                wrong.append(f"{name!r} became {words}")
        self.assertEqual(wrong, [])

    def test_servers_typed_in_bash(self):
        self.outside.create(self.path + "/alpha", b"", makepath=True)
        server = SERVERS.split(",")[0]
        words, _ = self.typed(*self.BASH, f"zksync --servers {server} ls {self.path}/al\t")
        self.assertEqual(words, ["--servers", server, "ls", self.path + "/alpha"])


if __name__ == "__main__":
    main()
