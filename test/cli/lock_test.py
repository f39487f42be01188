#!/usr/bin/python3 -B
"""zksync lock and hold where nothing goes wrong, and where nobody is there but the user to get it wrong."""

import hashlib
import os
import resource
import signal
import subprocess
import tempfile

from harness import (NOBODY, SHORT, Case, SERVERS, ZKSYNC, await_true, die_with_parent, events_of, keeper_of,
                     main)

COMMANDS = ("lock", "hold", "release", "held", "barrier", "double-barrier", "status", "ls", "watch", "break",
            "ping", "serve", "config", "completion", "help", "version")


class Lock(Case):
    def test_exit_code_is_the_commands(self):
        for code in (0, 1, 7, 64, 75, 76, 255):
            result = self.zksync("lock", self.path, "--", "sh", "-c", f"exit {code}")
            self.assertEqual((result.code, result.out, result.err), (code, "", ""))
        self.assert_nothing_left()

    def test_a_signal_is_128_and_its_number(self):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGUSR1):
            result = self.zksync("lock", self.path, "--", "sh", "-c", f"kill -{int(number)} $$")
            self.assertEqual((result.code, result.err), (128 + number, ""))

    def test_what_cannot_be_run(self):
        result = self.zksync("lock", self.path, "no-such-command")
        self.assertEqual((result.code, result.err),
                         (127, "zksync: no-such-command: No such file or directory\n"))
        result = self.zksync("lock", self.path, "/")
        self.assertEqual((result.code, result.err), (126, "zksync: /: Permission denied\n"))
        result = self.zksync("lock", self.path, 300 * "x")  # Longer than the identity of a client may be.
        self.assertEqual((result.code, result.err), (126, f"zksync: {300 * 'x'}: File name too long\n"))
        self.assert_nothing_left()

    def test_words_are_passed_on_as_they_are(self):
        words = ["-n", "--", "a  b", "", "*", "$HOME", "-x", "--help"]
        for between in ([], ["--"]):
            result = self.zksync("lock", self.path, *between, "printf", "[%s]", *words)
            self.assertEqual(result.out, "".join(f"[{word}]" for word in words))

    def test_a_shell_on_demand(self):
        script = 'printf "%s %s" "$0" $((1 + 2)); exit 3'
        for words in (["-c", script, self.path], [self.path, "-c", script],
                      ["--command", script, self.path], [self.path, "--command", script]):
            result = self.zksync("lock", *words)
            self.assertEqual((result.code, result.out), (3, "/bin/sh 3"), words)

    def test_busy(self):
        holder = self.hold()
        for options, code in ((["-n"], 75), (["-w", "0"], 75), (["-w", SHORT], 75),
                              (["-w", SHORT, "-E", "9"], 9), (["-s", "-n", "-E", "0"], 0)):
            result = self.zksync("lock", *options, self.path, "echo", "ran")
            self.assertEqual((result.code, result.out, result.err), (code, "", ""))
            self.assertEqual(len(self.contenders()), 1)
        self.release(holder)
        self.assertEqual(self.zksync("lock", "-n", self.path, "echo", "ran").out, "ran\n")
        self.assert_nothing_left()

    def test_shared(self):
        first = self.hold(shared=True)
        second = self.hold(shared=True)
        self.assertEqual(self.zksync("lock", "-n", "-x", self.path, "true").code, 75)
        self.release(first)
        self.assertEqual(self.zksync("lock", "-n", self.path, "true").code, 75)
        self.release(second)
        self.assertEqual(self.zksync("lock", "-n", self.path, "true").code, 0)

    def test_first_come_first_served(self):
        holder = self.hold()
        with tempfile.TemporaryDirectory() as folder:
            order = os.path.join(folder, "order")
            waiting = []
            for i in range(4):
                waiting.append(self.start("lock", self.path, "-c", f"echo {i} >> {order}"))
                self.await_contenders(i + 2)
            self.release(holder)
            for run in waiting:
                self.assertEqual(run.wait(), 0, run.err)
            with open(order, encoding="ascii") as file:
                self.assertEqual(file.read().split(), ["0", "1", "2", "3"])

    def test_the_command_knows(self):
        result = self.zksync("lock", "-s", self.path, "-c", "env | grep ^ZKSYNC_ | grep -v -e SERVERS= -e CONFIG=")
        facts = dict(line.split("=", 1) for line in result.lines)
        self.assertEqual(sorted(facts), ["ZKSYNC_HELD", "ZKSYNC_MODE", "ZKSYNC_NODE", "ZKSYNC_PATH",
                                         "ZKSYNC_TOKEN"])
        self.assertEqual((facts["ZKSYNC_PATH"], facts["ZKSYNC_MODE"]), (self.path, "read"))
        self.assertTrue(facts["ZKSYNC_NODE"].startswith(self.path + "/_c_"))
        self.assertEqual(facts["ZKSYNC_HELD"], f"{SERVERS}{facts['ZKSYNC_NODE']}@{facts['ZKSYNC_TOKEN']}")
        later = self.zksync("lock", self.path, "-c", "echo $ZKSYNC_TOKEN $ZKSYNC_MODE").out.split()
        self.assertGreater(int(later[0]), int(facts["ZKSYNC_TOKEN"]))
        self.assertEqual(later[1], "write")

    def test_the_node_is_the_znode_and_the_token_its_czxid(self):
        run = self.start("lock", self.path, "-c", "echo $ZKSYNC_NODE $ZKSYNC_TOKEN; read x",
                         stdin=subprocess.PIPE)
        run.await_out("\n")
        node, token = run.out.split()
        data, stat = self.outside.get(node)
        self.assertEqual(stat.czxid, int(token))
        self.assertIn(f'"pid":{run.pid}'.encode(), data)

    def test_nesting_is_refused(self):
        inner = f"{ZKSYNC} lock -s {self.path} echo inside"
        result = self.zksync("lock", self.path, "-c", inner)
        self.assertEqual((result.code, result.out), (64, ""))
        self.assertIn(f"{self.path}: this process runs under this lock already", result.err)
        self.assertEqual(len(result.err.splitlines()), 2)
        # Another path is another lock, and whoever knows better can say so.
        result = self.zksync("lock", self.path, "-c", f"{ZKSYNC} lock {self.path}/b echo inside")
        self.assertEqual((result.code, result.out), (0, "inside\n"))
        result = self.zksync("lock", "-s", self.path, "-c", f"env -u ZKSYNC_HELD {inner}")
        self.assertEqual((result.code, result.out), (0, "inside\n"))
        nested = f"{ZKSYNC} lock {self.path}/b {ZKSYNC} lock -n {self.path} true"
        self.assertEqual(self.zksync("lock", self.path, "-c", nested).code, 64)

    def test_a_root_and_paths_without_a_slash(self):
        env = self.environment(ZKSYNC_ROOT=self.path)
        show = "echo $ZKSYNC_PATH; echo $ZKSYNC_NODE"
        for path in ("a/b", "/a/b"):
            result = self.zksync("lock", path, "-c", show, env=env)
            self.assertEqual(result.lines[0], "/a/b")
            self.assertTrue(result.lines[1].startswith(self.path + "/a/b/_c_"), result.lines)
        result = self.zksync("--root", self.path, "lock", "/c", "-c", show)
        self.assertTrue(result.lines[1].startswith(self.path + "/c/_c_"), result.lines)

    def test_global_options_stand_before_or_behind(self):
        env = self.environment(ZKSYNC_SERVERS=NOBODY)
        for words in (["--servers", SERVERS, "lock", self.path],
                      ["lock", "--servers", SERVERS, self.path]):
            self.assertEqual(self.zksync(*words, "echo", "ran", env=env).out, "ran\n")

    def test_settings_of_the_environment(self):
        env = self.environment(ZKSYNC_SESSION_TIMEOUT="7s")
        result = self.zksync("ping", "--json", env=env)
        self.assertEqual(result.json()["session_timeout_ms"], 7000)
        result = self.zksync("lock", self.path, "true", env=self.environment(ZKSYNC_VERBOSE="1"))
        self.assertIn(": held, token ", result.err)
        result = self.zksync("ping", env=self.environment(ZKSYNC_AUTH_FILE="/no/such/file"))
        self.assertEqual(result.code, 78)
        self.assertIn("/no/such/file", result.err)
        for name in ("ZKSYNC_SESSION_TIMEOUT", "ZKSYNC_CONNECT_TIMEOUT"):
            result = self.zksync("ping", env=self.environment(**{name: "soon"}))
            self.assertEqual(result.code, 78)
            self.assertIn(name, result.err)

    def test_credentials_come_from_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            secret = os.path.join(folder, "secret")
            with open(secret, "w", encoding="ascii") as file:
                file.write("digest:user:password\n")
            os.chmod(secret, 0o600)
            with_secret = f"{ZKSYNC} status --auth-file {secret} {self.path}"
            result = self.zksync("--auth-file", secret, "lock", self.path, "-c",
                                 f"{with_secret}; {ZKSYNC} status {self.path}")
            self.assertEqual(result.code, 77, result.err)
            self.assertIn(": lock, held by 1", result.out)
            self.assertEqual(self.zksync("lock", self.path, "true").code, 77)
            os.chmod(secret, 0o644)
            result = self.zksync("--auth-file", secret, "lock", self.path, "true")
            self.assertEqual(result.code, 64)
            self.assertIn(f"chmod 600 {secret}", result.err)
            with open(secret, "w", encoding="ascii") as file:
                file.write("nothing\n")
            os.chmod(secret, 0o600)
            result = self.zksync("--auth-file", secret, "lock", self.path, "true")
            self.assertEqual(result.code, 64)
            self.assertNotIn("nothing", result.err)
            owner = self.outside.__class__(hosts=SERVERS, auth_data=[("digest", "user:password")])
            owner.start()
            owner.delete(self.path, recursive=True)
            owner.stop()
            owner.close()

    def test_events(self):
        holder = self.hold()
        read_end, write_end = os.pipe()
        run = self.start("lock", "--status-fd", write_end, self.path, "--", "sh", "-c",
                         f"test ! -e /proc/self/fd/{write_end} && exit 5", pass_fds=[write_end])
        os.close(write_end)
        with open(read_end, encoding="utf-8") as stream:
            first = stream.readline()
            self.release(holder)
            rest = stream.read()
        self.assertEqual(run.wait(), 5)
        events = events_of(first + rest)
        self.assertEqual([event["event"] for event in events],
                         ["waiting", "acquired", "exited", "released"])
        self.assertEqual(events[0]["position"], 1)
        self.assertEqual(events[0]["holder"]["pid"], holder.pid)
        self.assertGreater(events[1]["token"], events[0]["holder"]["token"])
        self.assertEqual((events[2]["code"], events[3]["confirmed"]), (5, True))

    def test_events_tell_our_codes_from_the_commands(self):
        for command, last in (("exit 75", {"code": 75}), ("kill -9 $$", {"signal": 9})):
            read_end, write_end = os.pipe()
            run = self.start("lock", "--status-fd", write_end, self.path, "-c", command,
                             pass_fds=[write_end])
            os.close(write_end)
            with open(read_end, encoding="utf-8") as stream:
                events = events_of(stream.read())
            run.wait()
            exited = [e for e in events if e["event"] == "exited"]
            self.assertEqual(len(exited), 1)
            self.assertEqual({k: exited[0][k] for k in last}, last)
        holder = self.hold()
        read_end, write_end = os.pipe()
        run = self.start("lock", "-n", "--status-fd", write_end, self.path, "true",
                         pass_fds=[write_end])
        os.close(write_end)
        with open(read_end, encoding="utf-8") as stream:
            self.assertEqual([e for e in events_of(stream.read()) if e["event"] == "exited"], [])
        self.assertEqual(run.wait(), 75)
        self.release(holder)

    def test_verbose_tells_who_holds(self):
        holder = self.hold()
        run = self.start("lock", "-v", self.path, "true")
        run.await_err(f"zksync: {self.path}: 1 ahead, held by ")
        self.assertIn(f":{holder.pid} ", run.err)
        self.release(holder)
        self.assertEqual(run.wait(), 0)
        self.assertIn(f"zksync: {self.path}: held, token ", run.err)


class Inheritance(Case):
    def test_descriptors(self):
        read_end, write_end = os.pipe()
        ours = self.spawn([ZKSYNC, "lock", self.path, "sh", "-c", "ls /proc/self/fd"],
                          pass_fds=[write_end])
        plain = self.spawn(["sh", "-c", "ls /proc/self/fd"], pass_fds=[write_end])
        self.assertEqual((ours.wait(), plain.wait()), (0, 0))
        self.assertEqual(ours.out, plain.out)
        os.close(read_end)
        os.close(write_end)

    def test_closed_descriptors_stay_closed(self):
        with tempfile.TemporaryDirectory() as folder:
            ours, plain = os.path.join(folder, "ours"), os.path.join(folder, "plain")
            show = "ls /proc/$$/fd >"
            run = self.spawn(["bash", "-c",
                              f"{ZKSYNC} lock {self.path} -- bash -c '{show} {ours}' 0<&- 1>&- 2>&-; "
                              f"echo $?; bash -c '{show} {plain}' 0<&- 1>&- 2>&-"])
            self.assertEqual((run.wait(), run.out), (0, "0\n"))
            with open(ours, encoding="ascii") as one, open(plain, encoding="ascii") as other:
                self.assertEqual(one.read(), other.read())

    def test_more_descriptors_than_most_have(self):
        """All that the program was started with are the command's, however many."""
        many, hard = 5000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard < 2 * many:
            self.skipTest(f"no more than {hard} descriptors are allowed")

        def open_many():
            die_with_parent()
            resource.setrlimit(resource.RLIMIT_NOFILE, (2 * many, hard))
            for _ in range(many):
                os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)

        run = self.spawn([ZKSYNC, "lock", self.path, "-c", "ls /proc/$$/fd | wc -l"],
                         preexec_fn=open_many, close_fds=False)
        self.assertEqual(run.wait(), 0, run.err)
        self.assertGreaterEqual(int(run.out), many)

    def test_signals(self):
        """The command finds the mask and the ignored signals as they were when zksync was started."""
        show = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]

        def unusual():
            for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGALRM])

        for prepare in (unusual, None):
            ours = self.spawn([ZKSYNC, "lock", self.path, *show], preexec_fn=prepare,
                              restore_signals=False)
            plain = self.spawn(show, preexec_fn=prepare, restore_signals=False)
            self.assertEqual((ours.wait(), plain.wait()), (0, 0), ours.err)
            self.assertEqual(ours.out, plain.out)

    def test_100_mb_through_standard_input(self):
        block = hashlib.sha256(b"x").digest() * 32768
        run = self.start("lock", self.path, "sha256sum", stdin=subprocess.PIPE)
        expected = hashlib.sha256()
        for _ in range(100):
            run.process.stdin.write(block)
            expected.update(block)
        run.process.stdin.close()
        self.assertEqual(run.wait(), 0)
        self.assertEqual(run.out.split()[0], expected.hexdigest())

    def test_binary_output(self):
        everything = bytes(range(256)) * 4096
        run = self.start("lock", self.path, "cat", stdin=subprocess.PIPE)
        os.set_blocking(run.process.stdin.fileno(), False)
        left = everything
        while left:
            try:
                left = left[os.write(run.process.stdin.fileno(), left):]
            except BlockingIOError:
                run.pump(0.01)
        run.process.stdin.close()
        self.assertEqual(run.wait(), 0)
        self.assertEqual(run.text["stdout"], everything)

    def test_the_folder_and_the_rest_of_the_environment(self):
        result = self.zksync("lock", self.path, "-c", "pwd; echo $GREETING", cwd="/usr",
                             env=self.environment(GREETING="hello"))
        self.assertEqual(result.out, "/usr\nhello\n")


class Hold(Case):
    def test_until_a_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            run = self.start("hold", "-v", self.path)
            run.await_err(": held, token ")
            self.assertEqual(len(self.contenders()), 1)
            run.signal(number)
            self.assertEqual(run.wait(), 0)
            self.assert_nothing_left()

    def test_until_the_end_of_input(self):
        run = self.start("hold", "-v", self.path, stdin=subprocess.PIPE)
        run.process.stdin.write(b"a line is no end\n")
        run.process.stdin.flush()
        run.await_err(": held, token ")
        self.assertEqual(len(self.contenders()), 1)
        run.process.stdin.close()
        self.assertEqual(run.wait(), 0)
        self.assert_nothing_left()

    def test_ended_before_it_is_held(self):
        """Nothing was held, which is not to be taken for a hold that has ended well."""
        holder = self.hold()
        ward = self.spawn(["cat"], stdin=subprocess.PIPE)
        for options, ends, why in (((), None, "standard input has ended"),
                                   (("-E", "3"), None, "standard input has ended"),
                                   (("--for", str(ward.pid)), ward, "the process to hold it for has ended")):
            run = self.start("hold", *options, self.path, stdin=subprocess.PIPE)
            self.await_contenders(2)
            (ends or run).process.stdin.close()
            self.assertEqual((run.wait(), run.out), (3 if "-E" in options else 75, ""), run.err)
            self.assertIn(f"{self.path}: not held: {why}\n", run.err)
            self.await_contenders(1)
        run = self.start("hold", "--status-fd", 1, self.path, stdin=subprocess.PIPE)
        self.await_contenders(2)
        run.process.stdin.close()
        self.assertEqual(run.wait(), 75)
        last = events_of(run.out)[-1]
        self.assertEqual((last["event"], last["path"]), ("busy", self.path))
        # A hold that is ended by a signal prints nothing, also if its input ends right after it.
        run = self.start("hold", self.path, stdin=subprocess.PIPE)
        self.await_contenders(2)
        run.signal(signal.SIGSTOP)
        run.signal(signal.SIGINT)
        run.process.stdin.close()
        run.signal(signal.SIGCONT)
        self.assertEqual((run.wait(), run.err), (-signal.SIGINT, ""))
        self.release(holder)

    def test_in_the_background(self):
        script = f'eval "$({ZKSYNC} hold -b {self.path})" && echo $ZKSYNC_HOLD_PID $ZKSYNC_TOKEN ' \
                 f'&& {ZKSYNC} lock {self.path} true; echo $?; kill $ZKSYNC_HOLD_PID'
        run = self.spawn(["sh", "-c", script])
        self.assertEqual(run.wait(), 0, run.err)
        self.assertIn("already", run.err)
        (pid, token), code = (run.out.splitlines()[0].split(), run.out.splitlines()[1])
        self.assertGreater(int(token), 0)
        self.assertEqual(code, "64")
        await_true(lambda: not self.contenders(), f"{pid} releases it")

    def test_in_the_background_for_a_process(self):
        script = f'eval "$({ZKSYNC} hold -b --for $$ {self.path})"; echo held; read x'
        run = self.spawn(["sh", "-c", script], stdin=subprocess.PIPE)
        run.await_out("held\n")
        self.assertEqual(len(self.contenders()), 1)
        run.process.stdin.close()
        run.wait()
        await_true(lambda: not self.contenders(), "it is released with the process")

    def test_in_the_background_when_busy(self):
        holder = self.hold()
        result = self.zksync("hold", "-b", "-n", self.path)
        self.assertEqual((result.code, result.out), (75, "/bin/sh -c 'exit 75'\n"))
        # A shell that evals it does not go on as if it were held, whatever was wrong.
        for words in (f"-n {self.path}", "--foo", "/a//", f"-w 0.1 {self.path}"):
            run = self.spawn(["sh", "-c", f'eval "$({ZKSYNC} hold -b {words})" || exit; echo unlocked'])
            # 69: it was over before there was a connection.
            self.assertEqual((run.wait() in (64, 69, 75), run.out), (True, ""), words)
        # One who does not want to wait any longer leaves nothing behind.
        run = self.start("hold", "-b", self.path)
        self.await_contenders(2)
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(), -signal.SIGINT)
        self.await_contenders(1)
        self.release(holder)

    def test_either_process_killed_ends_the_one_it_is_held_for(self):
        for which in ("front", "keeper"):
            victim = self.spawn(["sleep", "1000"])
            run = self.start("hold", "-v", "--for", victim.pid, self.path)
            run.await_err(": held, token ")
            os.kill(run.pid if which == "front" else keeper_of(run.pid), signal.SIGKILL)
            self.assertEqual(victim.wait(), -signal.SIGKILL)
            run.wait()
            victim = self.spawn(["sleep", "1000"])
            run = self.start("hold", "-v", "--for", victim.pid, "--on-loss=warn", "-T", 20, self.path)
            run.await_err(": held, token ")
            os.kill(run.pid if which == "front" else keeper_of(run.pid), signal.SIGKILL)
            run.wait()
            self.await_contenders(0)
            self.assertFalse(victim.ended())


class Usage(Case):
    def refused(self, *words):
        result = self.zksync(*words)
        self.assertEqual((result.code, result.out), (64, ""), words)
        self.assertEqual(len(result.err.splitlines()), 2, result.err)
        self.assertRegex(result.err, r"\Azksync: .*\nTry 'zksync.* --help'\.\n\Z")
        return result.err

    def test_errors_name_the_thing(self):
        for words, named in ((["frobnicate"], '"frobnicate"'), ([], "missing command"),
                             (["lock"], "missing PATH"), (["lock", "/a"], "missing COMMAND"),
                             (["lock", "", "true"], "empty"), (["lock", "/a", "-c"], '"-c"'),
                             (["lock", "--foo", "/a", "true"], '"--foo"'),
                             (["lock", "-Z", "/a", "true"], '"-Z"'),
                             (["lock", "-w"], '"-w"'), (["lock", "-w", "soon", "/a", "true"], '"soon"'),
                             (["lock", "-w", "-1", "/a", "true"], '"-1"'),
                             (["lock", "-E", "256", "/a", "true"], '"256"'),
                             (["lock", "-k", "x", "/a", "true"], '"x"'),
                             (["lock", "-k", "6", "/a", "true"], "at most 4.5 s"),
                             (["lock", "--on-loss", "never", "/a", "true"], '"never"'),
                             (["lock", "--status-fd", "77", "/a", "true"], '"77"'),
                             (["lock", "-T", "0", "/a", "true"], '"0"'),
                             (["lock", "-T", "1ms", "/a", "true"], "from 1s to 24h"),
                             (["lock", "-T", "0.999", "/a", "true"], "from 1s to 24h"),
                             (["lock", "-T", "13d", "/a", "true"], "from 1s to 24h"),
                             (["lock", "-T", "86400.001", "/a", "true"], "from 1s to 24h"),
                             (["lock", "-c", "true", "/a", "true"], '"true"'),
                             (["--root", "a", "lock", "/a", "true"], '"a"'),
                             (["double-barrier", "/a", "true"], "-n"),
                             (["double-barrier", "-n", "0", "/a", "true"], '"0"'),
                             (["barrier", "jump", "/a"], '"jump"'), (["barrier", "set"], "missing PATH"), (["barrier"], "missing action"),
                             (["status", "/a", "/b"], '"/b"'), (["hold", "--for", "x", "/a"], '"x"'),
                             (["break", "--all", "--node", "x", "/a"], "not both"),
                             (["completion", "tcsh"], "bash, zsh or fish"), (["ping", "/a"], '"/a"')):
            self.assertIn(named, self.refused(*words))

    def test_paths_that_are_not_valid_say_why(self):
        long = "/" + 1100 * "x"
        for words, path, why in ((["lock", "/a//b", "true"], "/a//b", 'empty component ("//")'),
                                 (["status", "/a/../b"], "/a/../b", 'the component ".."'),
                                 (["hold", "/."], "/.", 'the component "."'),
                                 (["barrier", "set", "/a\tb"], "/a?b", "a control character"),
                                 (["ls", "/a//"], "/a//", 'empty component ("//")'),
                                 (["watch", "//"], "//", 'empty component ("//")'),
                                 (["break", long], long[:100], "1101 bytes, more than 1023"),
                                 (["double-barrier", "-n", "2", "a//b", "true"], "/a//b", "empty"),
                                 (["--root", "/r//s", "lock", "/a", "true"], "/r//s", "empty component")):
            # Nobody listens there: a path is checked before any server is asked.
            result = self.zksync(*words, env=self.environment(ZKSYNC_SERVERS="127.0.0.1:9"))
            self.assertEqual((result.code, result.out), (64, ""), (words, result.err))
            self.assertIn(path, result.err)
            self.assertIn(why, result.err)
        for words in (["barrier", "set", "/"], ["lock", "/", "true"]):
            self.assertEqual(self.zksync(*words).code, 64)

    def test_slashes_at_either_end_of_a_path_are_mended(self):
        holder = self.hold(path=self.path[1:] + "/")
        for words in (["status", self.path], ["status", self.path + "/"], ["status", self.path[1:] + "/"]):
            self.assertEqual(self.zksync(*words).code, 0)
        self.assertEqual(self.zksync("lock", "-n", self.path + "/", "true").code, 75)
        self.assertIn(self.path, self.zksync("ls", self.path[:self.path.rindex("/")] + "/").out)
        self.release(holder)

    def test_help_begins_with_examples_and_fits_a_screen(self):
        for words in ([], *([command] for command in COMMANDS)):
            for option in ("--help", "-h"):
                result = self.zksync(*words, option)
                self.assertEqual((result.code, result.err), (0, ""))
                self.assertLessEqual(len(result.lines), 24, words)
                self.assertLessEqual(max(map(len, result.lines)), 80, words)
                self.assertTrue(result.lines[0].startswith("  "), result.lines[0])
                self.assertTrue(any(line.startswith("usage: zksync") for line in result.lines))

    def test_version(self):
        for words in (["--version"], ["-V"], ["version"], ["lock", "--version"]):
            result = self.zksync(*words)
            self.assertEqual((result.code, result.err), (0, ""))
            self.assertRegex(result.out, r"\Azksync \d+\.\d+\.\d+\n\Z")
        self.assertIn('"lock"', self.refused("version", "lock"))


if __name__ == "__main__":
    main()
