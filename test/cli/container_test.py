#!/usr/bin/python3 -B
"""zksync as process 1 of a container, where it inherits the orphans of others and no signal has a default action."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from harness import Case, ZKSYNC, await_true, keeper_of, main, processes, stat_of

ROOT = os.geteuid() == 0
UNSHARE = ["unshare", *([] if ROOT else ["--user", "--map-root-user"]), "--fork", "--pid", "--mount-proc",
           "--kill-child"]
# Runs a command with a child that has ended already.
LEAVE_ZOMBIE = """
import os, sys
if os.fork() == 0:
    os._exit(3)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
os.execv(sys.argv[1], sys.argv[1:])
"""


def why_not():
    if shutil.which("unshare") is None:
        return "no unshare(1)"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no process namespace here: {tried.stderr.strip()}"


def children(pid):
    return [p for p in processes() if (stat := stat_of(p)) is not None and stat[0] == pid]


def is_in(mask, number, status):
    """Whether a mask in the text of /proc/PID/status has the signal."""
    line = next(line for line in status.splitlines() if line.startswith(mask + ":"))
    return int(line.split()[1], 16) & 1 << (number - 1) != 0


@unittest.skipIf(WHY_NOT := why_not(), WHY_NOT)
class Container(Case):
    def contain(self, script, variables=None, **options):
        """A shell that becomes process 1."""
        env = self.environment(Z=ZKSYNC, P=self.path, **(variables or {}))
        return self.spawn([*UNSHARE, "sh", "-c", script], env=env, start_new_session=True, **options)

    def first(self, run):
        """Process 1 as it is seen from outside."""
        return await_true(lambda: children(run.pid), "process 1")[0]

    def test_no_zombie_stays_while_the_command_runs(self):
        """The command leaves orphans by a double fork; so does a process that was there before."""
        run = self.contain(
            "exec 3<&0 </dev/null; (sh -c 'read x; exit 3' <&3 &); sh -c '(sh -c \"read x\" &) <&3; read x; exit 4' <&3 & "
            "exec $Z lock $P -- sh -c '(sh -c \"read x; exit 3\" <&3 &); exec 3<&-; echo up; exec sleep 1000'", stdin=-1)
        run.await_out("up\n")
        first = self.first(run)
        keeper = await_true(lambda: keeper_of(first), "a keeper")
        await_true(lambda: len(children(first)) >= 3, "those from before are there")
        await_true(lambda: len(children(keeper)) == 2, "the orphan of the command is there")
        run.process.stdin.close()
        await_true(lambda: children(first) == [keeper], "those from before are reaped")
        await_true(lambda: len(children(keeper)) == 1, "the orphan of the command is reaped")
        self.assertEqual((run.ended(), len(self.contenders())), (False, 1))
        os.kill(first, signal.SIGTERM)
        self.assertEqual((run.wait(), run.err), (128 + signal.SIGTERM, ""))
        self.assert_nothing_left()

    def test_orphans_do_not_count_as_the_commands(self):
        """--wait-group and the exit code concern the command alone."""
        run = self.contain("sleep 1000 & exec $Z lock --wait-group $P -- sh -c 'echo up; read x; exit 7'", stdin=-1)
        run.await_out("up\n")
        first = self.first(run)
        self.assertEqual(len(children(first)), 2)
        run.process.stdin.close()
        self.assertEqual((run.wait(), run.err), (7, ""))
        self.assert_nothing_left()

    def test_signals_from_inside_and_outside_reach_the_command(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM, signal.SIGRTMIN + 2):
            run = self.contain("exec $Z lock $P -- sh -c 'echo up; exec sleep 1000'")
            run.await_out("up\n")
            os.kill(self.first(run), number)
            self.assertEqual((run.wait(), run.err), (128 + number, ""))
            run = self.contain(f"exec $Z lock $P -- sh -c 'kill -{int(number)} 1; exec sleep 1000'")
            self.assertEqual((run.wait(), run.err), (128 + number, ""))
            self.assert_nothing_left()

    def test_where_proc_is_of_another_namespace(self):
        """Numbers in it are those of other processes: none is looked up, none is signalled."""
        unshare = [word for word in UNSHARE if word != "--mount-proc"]
        run = self.spawn([*unshare, "sh", "-c", 'eval "$($Z hold -b $P)"; $Z release; echo $?; $Z lock $P/a true; echo $?; '
                          "$Z lock --on-loss=warn $P/a echo ran"],
                         # The leak detector needs a /proc of its own namespace.
                         env=self.environment(Z=ZKSYNC, P=self.path, ASAN_OPTIONS="detect_leaks=0"))
        self.assertEqual((run.wait(), run.out), (0, "71\n71\nran\n"), run.err)
        self.assertIn("/proc does not show the processes of this PID namespace", run.err)
        self.await_contenders(0)

    def test_the_exit_code(self):
        for command, code in (("exit 5", 5), ("kill -9 $$", 137), ("kill -34 $$", 128 + 34)):
            run = self.contain(f"exec $Z lock $P -- sh -c '{command}'")
            self.assertEqual((run.wait(), run.err), (code, ""))
        run = self.contain("exec $Z lock $P -- /no/such/program")
        self.assertEqual(run.wait(), 127)

    def test_the_command_gets_children_of_its_own(self):
        """Were SIGCHLD ignored for it, it could not wait for them."""
        run = self.contain("exec $Z lock $P -- cat /proc/self/status")
        self.assertEqual((run.wait(), run.err), (0, ""))
        self.assertFalse(is_in("SigIgn", signal.SIGCHLD, run.out))

    def test_while_waiting_it_ends_with_128_and_the_number(self):
        """The system does not let process 1 die by a signal of its own."""
        holder = self.hold()
        run = self.contain("exec $Z lock $P true")
        self.await_contenders(2)
        os.kill(self.first(run), signal.SIGTERM)
        self.assertEqual((run.wait(), run.err), (128 + signal.SIGTERM, ""))
        self.await_contenders(1)
        self.release(holder)

    def ends_by(self, run, number):
        os.kill(self.first(run), number)
        self.assertEqual(run.wait(), 128 + number, run.err)

    def test_commands_that_take_no_signals_themselves(self):
        """None has a default action."""
        self.outside.create(self.path)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            run = self.contain("exec $Z -v barrier wait $P")
            run.await_err("using the servers")
            self.ends_by(run, number)
        run = self.contain("trap '' HUP; exec $Z -v barrier wait $P")
        run.await_err("using the servers")
        with open(f"/proc/{self.first(run)}/status", encoding="ascii") as file:
            self.assertTrue(is_in("SigIgn", signal.SIGHUP, file.read()))
        self.ends_by(run, signal.SIGTERM)
        run = self.contain("exec $Z watch $P")
        run.await_out("set")
        self.ends_by(run, signal.SIGTERM)
        for words in ("status /a", "ls /", "ping", "break --yes /a", "barrier set /a"):
            run = self.contain(f"exec $Z -v --servers 127.0.0.1:1 --connect-timeout forever {words}")
            run.await_err("using the servers")
            self.ends_by(run, signal.SIGTERM)

    def test_no_zombie_stays_where_there_is_no_command(self):
        """Of those from before one has ended, and one has not."""
        before = ("exec 3<&0 </dev/null; (sh -c 'read x; exit 3' <&3 &); exec 3<&-; "
                  f"exec {sys.executable} -c '{LEAVE_ZOMBIE}' $Z ")
        self.outside.create(self.path)
        for command, said, code in (("watch $P", "set", 128 + signal.SIGTERM),
                                    ("serve --memory --listen=127.0.0.1:0", "serving on ", 0)):
            run = self.contain(before + command, stdin=-1)
            run.await_out(said)
            first = self.first(run)
            await_true(lambda: len(children(first)) == 1, "the one that had ended is reaped")
            run.process.stdin.close()
            await_true(lambda: children(first) == [], "the other one is reaped")
            os.kill(first, signal.SIGTERM)
            self.assertEqual((run.wait(), run.err), (code, ""))

    def test_the_local_server(self):
        """It is started, and why it cannot be is known, where children are reaped at once."""
        with tempfile.TemporaryDirectory(prefix="zksync-test-") as home:
            variables = {"HOME": home, "XDG_STATE_HOME": home}
            run = self.contain("exec $Z --local watch /a", variables)
            run.await_out("free")
            self.ends_by(run, signal.SIGTERM)
            data = os.path.join(home, "zksync", "data")
            shutil.rmtree(data)
            os.mkfifo(data)
            run = self.contain("exec $Z --local status /a", variables)
            self.assertEqual((run.wait(), run.out), (71, ""))
            self.assertIn(data, run.err)

    def test_hold(self):
        run = self.contain("(sh -c 'read x' <&3 &) 3<&0; sh -c 'read x' <&0 & exec $Z -v hold $P </dev/null",
                                  stdin=-1)
        run.await_err(": held, token ")
        run.process.stdin.close()
        first = self.first(run)
        keeper = await_true(lambda: keeper_of(first), "a keeper")
        await_true(lambda: children(first) == [keeper], "no child but the keeper is left")
        os.kill(first, signal.SIGTERM)
        self.assertEqual(run.wait(), 0)
        self.assert_nothing_left()

    def test_release_of_a_background_hold(self):
        run = self.contain('lock=$($Z hold -b $P) && eval "$lock" && $Z release && $Z lock -n $P echo ran')
        self.assertEqual((run.wait(), run.out, run.err), (0, "ran\n", ""))
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
