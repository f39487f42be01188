#!/usr/bin/python3 -B
"""What a user gets wrong, asks the command itself, or cannot be told."""

import contextlib
import os
import signal
import subprocess
import tempfile

from harness import Case, main

COMMANDS = ("lock", "hold", "held", "barrier", "double-barrier", "status", "ls", "watch", "break", "ping",
            "serve", "config", "completion", "help", "version")


class Usage(Case):
    def refused(self, *words):
        result = self.zksync(*words)
        self.assertEqual((result.code, result.out), (64, ""), words)
        self.assertRegex(result.err, r"\Azksync: .*\nTry 'zksync.* --help'\.\n\Z")
        return result.err

    def test_help_as_a_command(self):
        self.assertEqual(self.zksync("help").out, self.zksync("--help").out)
        for command in COMMANDS:
            result = self.zksync("help", command)
            self.assertEqual((result.code, result.err), (0, ""))
            self.assertEqual(result.out, self.zksync(command, "--help").out)
            self.assertIn(f"usage: zksync {command}", result.out)
        self.assertIn('unknown command "lok" (did you mean "lock"?)', self.refused("help", "lok"))
        self.assertIn('"hold"', self.refused("help", "lock", "hold"))

    def test_a_mistyped_name_gets_a_suggestion(self):
        for words, hint in ((["lokc", "/a"], 'unknown command "lokc" (did you mean "lock"?)'),
                            (["doublebarrier"], '(did you mean "double-barrier"?)'),
                            (["stat", "/a"], '(did you mean "status"?)'),
                            (["lock", "--wiat", "2", "/a", "true"],
                             'lock: unknown option "--wiat" (did you mean "--wait"?)'),
                            (["lock", "--exlcusive", "/a", "true"], '(did you mean "--exclusive"?)'),
                            (["lock", "--exclusive=1", "/a", "true"],
                             'option "--exclusive" takes no value: "--exclusive=1"'),
                            (["status", "--jsn", "/a"], '(did you mean "--json"?)'),
                            (["--sever", "x"], '(did you mean "--servers"?)')):
            self.assertIn(hint, self.refused(*words))
        for words in (["frobnicate"], ["x"], ["lock", "--frobnicate", "/a", "true"],
                      ["lock", "-Z", "/a", "true"], [100 * "x"]):
            self.assertNotIn("did you mean", self.refused(*words))

    def test_the_root_is_no_lock(self):
        """Nor is one's own root, which is somebody else's znode; both can be looked at."""
        for options in ((), ("--root", self.path)):
            for words in (["lock", "/", "true"], ["hold", "/"], ["held", "/"], ["barrier", "set", "/"],
                          ["double-barrier", "-n", "1", "/", "true"], ["break", "--yes", "/"]):
                self.assertIn('"/": not a valid path: the root itself', self.refused(*options, *words))
        self.assertEqual(self.contenders(), [])
        self.assertEqual(self.zksync("--root", self.path, "status", "/").code, 1)

    def test_options_after_the_path(self):
        for word in ("-n", "-w", "-w5", "--wait=5", "--busy", "--servers", "-vn"):
            for words in (["lock", "/a", word, "true"], ["double-barrier", "-n", "1", "/a", word, "true"]):
                said = self.refused(*words)
                self.assertIn(f'"{word}" after the path', said)
                self.assertIn("options go before the path", said)
        # A folder in PATH that may not be searched would make it 126.
        result = self.zksync("lock", self.path, "--", "-n", env=self.environment(PATH="/usr/bin:/bin"))
        self.assertEqual(result.code, 127, result.err)
        self.assertEqual(self.zksync("lock", self.path, "-nonesuch").code, 64)
        self.assertEqual(self.zksync("lock", self.path, "-c", "exit 7").code, 7)

    def test_standard_output_that_cannot_be_written(self):
        self.outside.create(self.path, b"", makepath=True)
        with self.hold_at("/leaf"), tempfile.TemporaryDirectory() as state:
            env = self.environment(XDG_STATE_HOME=state, ZKSYNC_COMPLETION_TIMEOUT="30s")
            for words in (["--help"], ["lock", "--help"], ["help", "ls"], ["--version"], ["version"],
                          ["completion", "bash"], ["status", self.path], ["status", "--json", self.path],
                          ["ls", self.path], ["ls", "--json", self.path], ["ping"], ["ping", "--json"],
                          ["watch", self.path + "/leaf"], ["break", "--yes", self.path + "/leaf"],
                          ["serve", "--status"], ["__complete", "--", "l"],
                          ["__complete", "--", "ls", self.path + "/"]):
                with open("/dev/full", "w", encoding="ascii") as full:
                    result = self.zksync(*words, env=env, stdout=full)
                self.assertEqual((result.code, result.err),
                                 (71, "zksync: standard output: No space left on device\n"), words)
                reader, writer = os.pipe()
                os.close(reader)
                with open(writer, "w", encoding="ascii") as broken:
                    result = self.zksync(*words, env=env, stdout=broken, preexec_fn=lambda: signal.signal(
                        signal.SIGPIPE, signal.SIG_IGN))
                self.assertEqual((result.code, result.err), (71, ""), words)

    @contextlib.contextmanager
    def hold_at(self, name):
        run = self.start("hold", self.path + name, stdin=subprocess.PIPE)
        self.await_contenders(1, self.path + name)
        yield
        run.process.stdin.close()
        run.wait()


if __name__ == "__main__":
    main()
