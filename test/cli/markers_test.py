#!/usr/bin/python3 -B
"""Markers of held locks, and the manual page's recipes in a hostile environment."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from harness import NOBODY, SHORT, Case, Proxy, SERVERS, ZKSYNC, await_true, comm, descendants, main
from local import Local

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.append(os.path.join(ROOT, "test", "install"))
from blocks import of_manual  # noqa: E402  pylint: disable=wrong-import-position

EXAMPLES = [text for _, text in of_manual(os.path.join(ROOT, "man", "zksync.1"))]


def example(beginning):
    """The one example that begins so, as it is printed."""
    chosen = [text for text in EXAMPLES if text.startswith(beginning)]
    assert len(chosen) == 1, f"{len(chosen)} examples begin with {beginning!r}"
    return chosen[0]


# A shell, and the name by which it is called: as sh it behaves as POSIX wants.
SHELLS = [(shell, name) for shell, name in (("dash", "sh"), ("bash", "bash"), ("bash", "sh"), ("zsh", "zsh"),
                                            ("zsh", "sh")) if shutil.which(shell)]
ALL_SHELLS = SHELLS + ([("fish", "fish")] if shutil.which("fish") else [])
SELF_LOCKING = example("#!/bin/sh\nzksync held")
PART = {shell: example("set lock (" if shell[0] == "fish" else "lock=$(") for shell in ALL_SHELLS}
MARKER = re.compile(r"(\S+?)(/\S*)/(_c_[0-9a-f]{32}-(?:read|write)-\d{10})@(\d+)$")


class Markers(Case):
    """Recipes are run as they are printed: paths begin at ZKSYNC_ROOT, and zksync is found in PATH."""

    def setUp(self):
        super().setUp()
        # pylint: disable-next=consider-using-with
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.tools = os.path.join(self.folder, "bin")
        os.mkdir(self.tools)
        os.symlink(ZKSYNC, os.path.join(self.tools, "zksync"))

    def called(self, shell):
        """The path of a shell by the name by which it is to be called."""
        path = os.path.join(self.folder, *shell)
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(shutil.which(shell[0]), path)
        return path

    def script(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path

    def settings(self, **variables):
        """An environment in which the recipes' paths are below the test's own."""
        variables.setdefault("PATH", self.tools + ":" + os.environ["PATH"])
        variables.setdefault("HOME", self.folder)  # fish writes there.
        return self.environment(ZKSYNC_ROOT=self.path, **variables)

    def without_zksync(self):
        """(what is wrong, environment) for each way in which zksync cannot be started."""
        broken = os.path.join(self.folder, "broken")
        os.makedirs(broken, exist_ok=True)
        for name in os.listdir(os.path.join(os.path.dirname(ZKSYNC), "..", "..")):
            if name.startswith("libzksync.so"):
                open(os.path.join(broken, name), "wb").close()
        self.assertNotEqual(os.listdir(broken), [])
        clean = os.path.join(self.folder, "clean")
        os.makedirs(clean, exist_ok=True)
        for tool in ("sh", "cat", "grep", "mktemp"):
            if not os.path.lexists(os.path.join(clean, tool)):
                os.symlink(shutil.which(tool), os.path.join(clean, tool))
        yield "missing", self.settings(PATH=clean)
        yield "without its library", self.settings(LD_LIBRARY_PATH=broken)

    def environment_of(self, *words, **options):
        """The variables that a command finds under a lock which is released by now."""
        options.setdefault("env", self.settings())
        result = self.zksync("lock", *words, "env", "-0", **options)
        self.assertEqual(result.code, 0, result.err)
        return dict(line.split("=", 1) for line in result.out.split("\0") if line)

    def holder(self, path, *options, env=None):
        """A holder of a lock below the root, and its environment."""
        run = self.start("lock", *options, path, "--", "sh", "-c", "env -0; echo held; cat >/dev/null",
                         env=env or self.settings(), stdin=subprocess.PIPE)
        run.await_out("held\n")
        return run, dict(line.split("=", 1) for line in run.out.rsplit("\0", 1)[0].split("\0"))

    def other_servers(self):
        """The address of another server, without a root."""
        run = self.start("serve", "--memory", "--listen", "127.0.0.1:0",
                         env=self.environment(ZKSYNC_SERVERS=None))
        run.await_out("\n")
        return run.out.split()[-1]

    def held(self, path, *options, env):
        result = self.zksync("held", *options, path, env=env)
        self.assertEqual(result.out, "")
        return result.code


class Held(Markers):
    def test_held_under_a_lock_and_only_there(self):
        self.assertEqual(self.held("/x", env=self.settings()), 1)
        run, env = self.holder("/x")
        for path, code in (("/x", 0), ("x", 0), ("/y", 1), ("/x/y", 1)):
            result = self.zksync("held", path, env=env)
            self.assertEqual((result.code, result.out, result.err), (code, "", ""), path)
        self.assertEqual(self.held("/x", env=self.settings()), 1)
        self.release(run)
        self.assertEqual(self.held("/x", env=env), 1)
        run, _ = self.holder("/x")
        self.assertEqual(self.held("/x", env=env), 1)
        self.release(run)

    def test_a_shared_lock_counts_on_demand(self):
        run, env = self.holder("/x", "-s")
        self.assertEqual([self.held("/x", *options, env=env)
                          for options in ([], ["-x"], ["-s"], ["--shared"], ["--exclusive"])],
                         [1, 1, 0, 0, 1])
        self.release(run)
        self.assertEqual(self.held("/x", "-s", env=env), 1)
        run, env = self.holder("/x")
        self.assertEqual(self.held("/x", "-s", env=env), 0)
        self.release(run)

    def test_held_says_who_holds(self):
        run, env = self.holder("/x")
        result = self.zksync("-v", "held", "/x", env=env)
        self.assertEqual((result.code, result.out), (0, ""))
        self.assertIn(f":{run.pid} ", result.err)
        self.assertIn(f"token {env['ZKSYNC_TOKEN']}", result.err)
        self.release(run)
        self.assertIn("released", self.zksync("-v", "held", "/x", env=env).err)
        self.assertIn("does not name", self.zksync("-v", "held", "/x", env=self.settings()).err)

    def test_a_holder_that_was_removed_does_not_hold(self):
        run, env = self.holder("/x")
        self.assertEqual(self.held("/x", env=env), 0)
        self.assertEqual(self.zksync("break", "--yes", "/x", env=self.settings()).code, 0)
        self.assertEqual(self.held("/x", env=env), 1)
        run.process.stdin.close()
        self.assertIn(run.wait(), (0, 76))  # It may end before it has noticed.

    def test_another_token_is_another_lock(self):
        run, env = self.holder("/x")
        real = env["ZKSYNC_HELD"]
        for marker in (real + "0", real[:-1], real.replace("@", "@0"), real.replace("-write-", "-read-"),
                       real.replace("_c_", "_d_"), real.split("@", maxsplit=1)[0], f"/x/@{env['ZKSYNC_TOKEN']}",
                       "", " ", "@", "/", "//", "x", f"{SERVERS}\t{self.path}/x", " ".join("a/b@1" * 99)):
            env["ZKSYNC_HELD"] = marker
            self.assertEqual(self.held("/x", env=env), 1, marker)
        for marker in (f"{NOBODY}/x/_c_@1 {real}", f"{real} nonsense /", f"  {real}  "):
            env["ZKSYNC_HELD"] = marker
            self.assertEqual(self.held("/x", env=env), 0, marker)
        self.release(run)

    def test_no_answer_is_not_a_yes(self):
        run, env = self.holder("/x")
        env.update(ZKSYNC_SERVERS=NOBODY, ZKSYNC_CONNECT_TIMEOUT="200ms")
        result = self.zksync("held", "/x", env=env)
        self.assertEqual((result.code, result.out), (69, ""))
        self.assertIn(NOBODY, result.err)
        # Without a marker there is nothing to ask.
        self.assertEqual(self.held("/y", env=env), 1)
        self.release(run)

    @unittest.skipUnless("127.0.0.1" in SERVERS, "no other name of the servers is known")
    def test_other_names_of_the_same_servers(self):
        run, env = self.holder("/x")
        env["ZKSYNC_SERVERS"] = SERVERS.replace("127.0.0.1", "localhost")
        self.assertEqual(self.held("/x", env=env), 0)
        env.pop("ZKSYNC_ROOT")
        self.assertEqual(self.held(self.path + "/x", env=env), 0)
        env["ZKSYNC_SERVERS"] += self.path
        self.assertEqual(self.held("/x", env=env), 0)
        self.assertEqual(self.zksync("lock", "-n", "/x", "true", env=env).code, 64)
        self.release(run)

    def test_usage(self):
        for words in ([], ["/x", "/y"], ["-n", "/x"], [""]):
            self.assertEqual(self.zksync("held", *words).code, 64, words)


class Environment(Markers):
    def test_a_marker_names_servers_znode_and_token(self):
        env = self.environment_of("-s", "/x")
        servers, path, node, token = MARKER.match(env["ZKSYNC_HELD"]).groups()
        self.assertEqual((servers, path, node, token), (SERVERS, self.path + "/x", os.path.basename(
            env["ZKSYNC_NODE"]), env["ZKSYNC_TOKEN"]))

    def test_a_released_lock_does_not_stop_a_nested_request(self):
        env = self.environment_of("/x")
        result = self.zksync("-v", "lock", "-n", "/x", "echo", "ran", env=env)
        self.assertEqual((result.code, result.out), (0, "ran\n"))
        self.assertIn("ignoring ZKSYNC_HELD", result.err)
        run, _ = self.holder("/x")
        self.assertEqual(self.zksync("lock", "-n", "/x", "echo", "ran", env=env).code, 75)
        self.assertEqual(self.zksync("lock", "-w", SHORT, "/x", "echo", "ran", env=env).code, 75)
        self.release(run)

    def test_a_nested_request_names_the_holder(self):
        run, env = self.holder("/x")
        for words in (["lock"], ["lock", "-s"], ["lock", "-n"], ["lock", "-w", SHORT], ["hold"], ["hold", "-n"]):
            command = ["true"] if words[0] == "lock" else []
            result = self.zksync(*words, "/x", *command, env=env)
            self.assertEqual((result.code, result.out), (64, ""), words)
            self.assertIn("under this lock already", result.err)
            self.assertIn(f":{run.pid} ", result.err)
            self.assertIn("unset ZKSYNC_HELD", result.err)
        result = self.zksync("hold", "-b", "/x", env=env)
        self.assertEqual((result.code, result.out), (64, "/bin/sh -c 'exit 64'\n"))
        self.assertEqual(len(self.contenders(self.path + "/x")), 1)
        self.release(run)

    def test_a_shared_request_under_a_shared_lock_is_refused(self):
        run, env = self.holder("/x", "-s")
        self.assertEqual(self.zksync("lock", "-s", "/x", "true", env=env).code, 64)
        env.pop("ZKSYNC_HELD")
        self.assertEqual(self.zksync("lock", "-s", "/x", "true", env=env).code, 0)
        self.release(run)

    def test_several_locks(self):
        first, env = self.holder("/x")
        second, env = self.holder("/y", env=env)
        third, env = self.holder("/z", env=env)
        self.assertEqual(len(env["ZKSYNC_HELD"].split(" ")), 3)
        self.assertEqual([self.held(path, env=env) for path in ("/x", "/y", "/z", "/w")], [0, 0, 0, 1])
        for path in ("/x", "/y", "/z"):
            self.assertEqual(self.zksync("lock", "-n", path, "true", env=env).code, 64)
        self.release(second)
        self.assertEqual([self.held(path, env=env) for path in ("/x", "/y", "/z")], [0, 1, 0])
        self.assertEqual(self.zksync("lock", "-n", "/y", "true", env=env).code, 0)
        self.release(first)
        self.release(third)

    def test_a_chain_of_jobs_keeps_one_marker(self):
        env = self.environment_of("/x")
        for _ in range(3):
            env = self.environment_of("/x", env={**env, "PATH": os.environ["PATH"]})
            self.assertEqual(len(env["ZKSYNC_HELD"].split(" ")), 1)
        run, other = self.holder("/y")
        env["ZKSYNC_HELD"] = f"{env['ZKSYNC_HELD']} {other['ZKSYNC_HELD']}"
        env = self.environment_of("/x", env=env)
        self.assertEqual(self.held("/y", env=env), 0)
        self.assertEqual(len(env["ZKSYNC_HELD"].split(" ")), 2)
        self.release(run)

    def test_the_markers_of_many_locks_stay_short(self):
        """A longer variable than 128 KiB would keep any command from being run."""
        many = " ".join(f"a:1/jobs/{n}/_c_{n:032x}-write-{n:010}@{n}" for n in range(1000))
        env = self.environment(ZKSYNC_HELD=many)
        result = self.zksync("lock", self.path, "-c", f"echo $ZKSYNC_HELD; {ZKSYNC} held {self.path}", env=env)
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertLess(len(result.out), 40000)
        self.assertIn(many[-1000:], result.out)

    def test_a_lock_of_other_servers_is_another_lock(self):
        other = self.other_servers()
        theirs, env = self.holder("/x", env=self.settings(ZKSYNC_SERVERS=other))
        env["ZKSYNC_SERVERS"] = SERVERS
        self.assertEqual(self.held("/x", env=env), 1)
        ours, env = self.holder("/x", env=env)
        for servers in (SERVERS, other):
            env["ZKSYNC_SERVERS"] = servers
            self.assertEqual(self.held("/x", env=env), 0)
            self.assertEqual(self.zksync("lock", "-n", "/x", "true", env=env).code, 64)
        self.release(ours)
        self.assertEqual(self.held("/x", env=env), 0)
        self.release(theirs)

    def test_servers_that_cannot_be_asked(self):
        env = self.environment_of("/x")
        env.update(ZKSYNC_SERVERS=NOBODY, ZKSYNC_CONNECT_TIMEOUT="200ms")
        for words in (["lock", "-n", "/x", "echo", "ran"], ["lock", "/x", "echo", "ran"],
                      ["lock", "-w", "100ms", "/x", "echo", "ran"], ["hold", "-n", "/x"]):
            result = self.zksync(*words, env=env)
            self.assertEqual((result.code, result.out), (69, ""), words)

    @Proxy.needed
    def test_servers_that_do_not_answer_do_not_hold_up_a_signal(self):
        env = self.environment_of("/x")
        self.addCleanup(Proxy.heal)
        Proxy.silence()
        run = self.start("lock", "/x", "echo", "ran", env=env)
        await_true(lambda: "zksync-keeper" in [comm(pid) for pid in descendants(run.pid)], "a keeper")
        run.signal(signal.SIGTERM)
        self.assertEqual((run.wait(), run.out), (-signal.SIGTERM, ""))
        result = self.zksync("lock", "-w", "300ms", "/x", "echo", "ran", env=env)
        self.assertEqual((result.code, result.out), (69, ""))

    def test_exports_survive_shells(self):
        """Also quotes, blanks and what shells expand, and an eval that forgets its own quotes."""
        path = "/a 'b' \"c\" $d %20 *"
        for shell in SHELLS:
            for quote in ('"', ""):
                text = (f"lock=$(zksync hold -b --for $$ \"$1\") || exit\neval {quote}$lock{quote}\n"
                        "zksync held \"$1\" || exit\nzksync lock -n \"$1\" true\necho $?\n")
                run = self.spawn([self.called(shell), "-c", text, "part", path], env=self.settings())
                self.assertEqual((run.wait(), run.out), (0, "64\n"), (shell, quote, run.err))
                self.await_contenders(0, self.path + path)


class OfTheLocalServer(Local):
    """Markers of the user's local server, whose address may change."""

    def test_across_restarts(self):
        holder = self.start("lock", "/x", "--", "sh", "-c", "echo $ZKSYNC_HELD; cat >/dev/null", env=self.local(),
                            stdin=subprocess.PIPE)
        holder.await_out("\n")
        marker = holder.out.strip()
        self.assertTrue(marker.startswith(self.record()["address"] + "/x/"), marker)
        self.assertEqual(self.use("held", "/x", ZKSYNC_HELD=marker).code, 0)
        self.kill_server()
        self.assertEqual(self.use("held", "/x", ZKSYNC_HELD=marker).code, 0)
        self.release(holder)
        self.assertEqual(self.use("held", "/x", ZKSYNC_HELD=marker).code, 1)
        self.assertEqual(self.use("lock", "-n", "/x", "true", ZKSYNC_HELD=marker).code, 0)

    def test_at_another_port(self):
        holder = self.start("lock", "/x", "--", "sh", "-c", "echo $ZKSYNC_HELD; cat >/dev/null", env=self.local(),
                            stdin=subprocess.PIPE)
        holder.await_out("\n")
        port = self.record()["address"].split(":")[1]
        self.kill_server()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", int(port)))
            other.listen(1)
            marker = holder.out.strip()
            self.assertEqual(self.use("held", "/x", ZKSYNC_HELD=marker).code, 0)
            self.assertNotEqual(self.record()["address"].split(":")[1], port)
            self.assertEqual(self.use("lock", "-n", "/x", "true", ZKSYNC_HELD=marker).code, 64)
            holder.close()

    def test_of_another_user(self):
        """The path is that of another user's lock, on another server."""
        holder = self.start("lock", "/x", "--", "sh", "-c", "echo $ZKSYNC_HELD; cat >/dev/null", env=self.local(),
                            stdin=subprocess.PIPE)
        holder.await_out("\n")
        others = {"ZKSYNC_HELD": holder.out.strip(), "XDG_STATE_HOME": os.path.join(self.home, "other")}
        self.assertEqual(self.use("held", "/x", **others).code, 1)
        self.assertEqual(self.use("lock", "-n", "/x", "echo", "ran", **others).out, "ran\n")
        self.release(holder)


class SelfLocking(Markers):
    """The script of the manual page, with something to do behind its first lines."""

    WORK = 'echo "works $*"\nzksync held /jobs/x; echo "held $?"\ncat\n'

    def locked(self, shell):
        """The script, once for each shell."""
        text = SELF_LOCKING.replace("#!/bin/sh", f"#!{self.called(shell)}", 1) + self.WORK
        return self.script("job", text)

    def run_script(self, script, env, *words):
        run = self.spawn([script, *words], env=env)
        return run.wait(), run.out, run.err

    def test_runs_once_under_its_lock(self):
        for shell in SHELLS:
            code, out, err = self.run_script(self.locked(shell), self.settings(), "a b", "*")
            self.assertEqual((code, out, err), (0, "works a b *\nheld 0\n", ""), shell)
        self.assert_nothing_left(self.path + "/jobs/x")

    def test_busy(self):
        run, _ = self.holder("/jobs/x")
        for shell in SHELLS:
            self.assertEqual(self.run_script(self.locked(shell), self.settings())[:2], (75, ""), shell)
        self.release(run)

    def test_without_zksync(self):
        stale = self.environment_of("/jobs/x")
        for what, env in self.without_zksync():
            for shell in SHELLS:
                for more in ({}, stale):
                    env = {**more, **env}
                    code, out, _ = self.run_script(self.locked(shell), env)
                    self.assertEqual((code, out), (127, ""), (what, shell))

    def test_in_the_environment_of_a_lock_that_was_released(self):
        env = self.environment_of("/jobs/x")
        for shell in SHELLS:
            run = self.spawn([self.locked(shell)], env=env, stdin=subprocess.PIPE)
            run.await_out("held 0\n")
            self.assertEqual(len(self.contenders(self.path + "/jobs/x")), 1, shell)
            self.assertEqual(self.zksync("lock", "-n", "/jobs/x", "true", env=self.settings()).code, 75)
            self.release(run)

    def test_in_the_environment_of_a_lock_that_another_now_holds(self):
        env = self.environment_of("/jobs/x")
        run, _ = self.holder("/jobs/x")
        for shell in SHELLS:
            self.assertEqual(self.run_script(self.locked(shell), env)[:2], (75, ""), shell)
        self.release(run)

    def test_in_the_environment_of_a_lock_of_other_servers(self):
        other = self.other_servers()
        theirs, env = self.holder("/jobs/x", env=self.settings(ZKSYNC_SERVERS=other))
        ours, _ = self.holder("/jobs/x")
        env["ZKSYNC_SERVERS"] = SERVERS
        for shell in SHELLS:
            self.assertEqual(self.run_script(self.locked(shell), env)[:2], (75, ""), shell)
        self.release(ours)
        self.release(theirs)

    def test_with_servers_that_cannot_be_asked(self):
        run, env = self.holder("/jobs/x")
        for env in (env, self.settings()):
            env.update(ZKSYNC_SERVERS=NOBODY, ZKSYNC_CONNECT_TIMEOUT="200ms")
            for shell in SHELLS:
                self.assertEqual(self.run_script(self.locked(shell), env)[:2], (69, ""), shell)
        self.release(run)

    def test_with_no_servers_named(self):
        """As under cron or sudo, which drop the variables."""
        for env in (self.settings(), self.environment_of("/jobs/x")):
            env.pop("ZKSYNC_SERVERS")
            for shell in SHELLS:
                self.assertEqual(self.run_script(self.locked(shell), env)[:2], (78, ""), shell)

    def test_with_a_shared_lock(self):
        """Exclusive is what the script wants, so a shared lock around it does not do."""
        run, env = self.holder("/jobs/x", "-s")
        self.assertEqual(self.run_script(self.locked(SHELLS[0]), env)[:2], (64, ""))
        self.release(run)

    def test_what_a_daemon_of_the_job_starts_later(self):
        """The job starts a daemon and ends; the daemon then starts the script, which has to take its lock."""
        script = self.locked(SHELLS[0])
        go = os.path.join(self.folder, "go")
        out = os.path.join(self.folder, "out")
        os.mkfifo(go)
        daemon = f'read x <"{go}"; exec "{script}" >"{out}" 2>&1'
        env = self.settings(DAEMON=daemon)
        result = self.zksync("lock", "/jobs/x", "--", "sh", "-c",
                             'setsid sh -c "$DAEMON" </dev/null >/dev/null 2>&1 &', env=env)
        self.assertEqual(result.code, 0, result.err)
        holder, _ = self.holder("/jobs/x")
        with open(go, "w", encoding="ascii") as file:
            file.write("\n")
        await_true(lambda: not descendants(os.getpid()) or
                   all(pid in (holder.pid, *descendants(holder.pid)) for pid in descendants(os.getpid())),
                   "the daemon ends")
        with open(out, encoding="utf-8") as file:
            self.assertEqual(file.read(), "")
        self.release(holder)

    def test_scripts_side_by_side_under_one_lock_share_it(self):
        script = self.locked(SHELLS[0])
        result = self.zksync("lock", "/jobs/x", "--", "sh", "-c", f'"{script}" 1 & "{script}" 2; wait',
                             env=self.settings())
        self.assertEqual((result.code, sorted(result.lines)), (0, ["held 0", "held 0", "works 1", "works 2"]))


class PartOfAScript(Markers):
    """The recipe with hold -b, and what it guards: ./migrate, which tells what it was given."""

    def setUp(self):
        super().setUp()
        self.script("migrate", '#!/bin/sh\necho "migrates $*"\nzksync held /deploy/prod; echo "held $?"\n')

    def part(self, shell, env, wait="-w 1m", repeat=1):
        text = PART[shell].replace("-w 1m", wait) * repeat + 'echo "ends"\n'
        return self.spawn([self.called(shell), "-c", text], env=env, cwd=self.folder)

    def test_runs_under_the_lock(self):
        for shell in ALL_SHELLS:
            run = self.part(shell, self.settings())
            self.assertEqual((run.wait(), run.err), (0, ""), shell)
            self.assertRegex(run.out, r"^migrates --token \d+\nheld 0\nends\n$")
            self.await_contenders(0, self.path + "/deploy/prod")

    def test_busy(self):
        holder, _ = self.holder("/deploy/prod")
        for shell in ALL_SHELLS:
            run = self.part(shell, self.settings(), wait="-n")
            self.assertEqual((run.wait(), run.out), (75, ""), shell)
        self.release(holder)

    def test_without_zksync(self):
        for what, env in self.without_zksync():
            for shell in ALL_SHELLS:
                run = self.part(shell, env)
                self.assertEqual((run.wait(), run.out), (127, ""), (what, shell))

    def test_with_servers_that_cannot_be_asked(self):
        for env in (self.settings(), self.environment_of("/deploy/prod")):
            env.update(ZKSYNC_SERVERS=NOBODY, ZKSYNC_CONNECT_TIMEOUT="200ms")
            for shell in ALL_SHELLS:
                run = self.part(shell, env)
                self.assertEqual((run.wait(), run.out), (69, ""), shell)

    def test_again_and_again(self):
        """The variables of the first time are stale in the second, and the lock is released before it."""
        for shell in ALL_SHELLS:
            run = self.part(shell, self.settings(), repeat=5)
            self.assertEqual((run.wait(), run.err), (0, ""), shell)
            self.assertEqual(len(re.findall("held 0\n", run.out)), 5, shell)
            self.assertEqual(len(set(re.findall(r"token (\d+)", run.out))), 5, shell)

    def test_with_no_servers_named(self):
        for env in (self.settings(), self.environment_of("/deploy/prod")):
            env.pop("ZKSYNC_SERVERS")
            for shell in ALL_SHELLS:
                run = self.part(shell, env)
                self.assertEqual((run.wait(), run.out), (78, ""), shell)

    def test_killed_before_it_prints(self):
        holder, _ = self.holder("/deploy/prod")
        for shell in ALL_SHELLS:
            run = self.part(shell, self.settings())
            self.await_contenders(2, self.path + "/deploy/prod")
            starter = next(pid for pid in descendants(run.pid)
                           if comm(pid) == "zksync" and os.getsid(pid) == os.getsid(run.pid))
            os.kill(starter, signal.SIGKILL)
            self.assertEqual((run.wait(), run.out), (137, ""), shell)
            self.await_contenders(1, self.path + "/deploy/prod")
        self.release(holder)

    def test_in_the_environment_of_a_lock_that_was_released(self):
        env = self.environment_of("/deploy/prod")
        for shell in ALL_SHELLS:
            run = self.part(shell, env)
            self.assertEqual((run.wait(), run.err), (0, ""), shell)
            self.assertIn("held 0\n", run.out)
            self.await_contenders(0, self.path + "/deploy/prod")


class OtherRecipes(Markers, Local):
    """All other examples that a shell or cron runs: without zksync nothing runs, and stale markers do no harm.
    Some use the local server."""

    RUN = {"make": "/jobs/thumbnails", "backup": "/jobs/nightly", "deploy.sh": "/deploy/prod", "rank": "/mpi/run1",
           "job": "/jobs/x"}

    def setUp(self):
        super().setUp()
        self.ran = os.path.join(self.folder, "ran")
        for name in self.RUN:
            text = f'#!/bin/sh\necho "$ZKSYNC_PATH {name}" >>"{self.ran}"\n'
            self.script(name, text)
            self.script("tools/" + name, text)
        self.script("tools/ssh", '#!/bin/sh\nshift\nexec "$@"\n')

    @staticmethod
    def recipes():
        for text in EXAMPLES:
            if "zksync" in text and not text.startswith(("#!/bin/sh\nzksync held", "lock=$(", "set lock (",
                                                         "[Service]")):
                cron = re.search(r"^(?:[0-9*]+ ){5} *(.*)", text, re.MULTILINE)
                yield cron[1].replace("/usr/sbin/", "") if cron else text  # Where ours is in PATH.

    def run_recipe(self, text, env):
        """Runs a recipe by sh; the names of what ran, with the path of the lock under which each did."""
        env = {**env, "PATH": f"{self.folder}/tools:{env['PATH']}", "TMPDIR": self.folder,
               "XDG_STATE_HOME": self.home}
        run = self.spawn(["sh", "-c", text], env=env, cwd=self.folder)
        run.wait()
        if not os.path.exists(self.ran):
            return set()
        with open(self.ran, encoding="ascii") as file:
            ran = {tuple(line.split()) for line in file}
        os.unlink(self.ran)
        return ran

    def test_without_zksync(self):
        for what, env in self.without_zksync():
            for text in self.recipes():
                self.assertEqual(self.run_recipe(text, env), set(), (what, text))

    def test_with_no_servers_named(self):
        env = self.settings()
        env.pop("ZKSYNC_SERVERS")
        for text in self.recipes():
            if "--local" not in text:
                self.assertEqual(self.run_recipe(text, env), set(), text)

    def test_in_the_environment_of_locks_that_were_released(self):
        env = self.settings()
        for path in self.RUN.values():
            env = self.environment_of(path, env=env)
        self.assertEqual(len(env["ZKSYNC_HELD"].split(" ")), len(self.RUN))
        ran = set().union(*(self.run_recipe(text, env) for text in self.recipes()))
        self.assertEqual(ran, {(path, name) for name, path in self.RUN.items()})


if __name__ == "__main__":
    main()
