#!/usr/bin/python3 -B
# For tools/run-tests. zksync-test: takes long
"""The user's local server is killed while it is in use: its clients start it again, and lose nothing."""

import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import ZKSYNC, Result, alive, await_true, descendants, keeper_of, main
from local import Local, cannot_unshare, servers_below, unshare


def await_another(case, before):
    def there():
        with contextlib.suppress(OSError, ValueError, KeyError):
            return case.server() != before and alive(case.server())
        return False
    await_true(there, "another server")


class Heals(Local):
    def token(self, path="/a"):
        contenders = self.use("status", "--json", path).json().get("contenders", [])
        return [(one["token"], one["holds"]) for one in contenders]

    def holding(self, path):
        return [token for token, holds in self.token(path) if holds]

    def kill_and_await(self):
        """Nobody but those who are connected can start it again."""
        before = self.server()
        os.kill(before, signal.SIGKILL)
        await_another(self, before)

    def test_a_lone_holder(self):
        holder = self.hold_local("lock", "/a")
        before, address = self.token(), self.record()["address"]
        self.kill_and_await()
        self.assertEqual(self.record()["address"], address)
        self.assertEqual(self.token(), before)
        self.kill_and_await()
        self.assertEqual(self.token(), before)
        server = self.server()
        self.release(holder)
        # What a job has started for itself is not one of the processes that it ends.
        self.assertTrue(alive(server))
        self.assertEqual(self.use("status", "/a").code, 1)

    def test_at_another_port(self):
        """Somebody has taken the old one: what was held is lost, and whoever waits goes on at the new one."""
        holder = self.hold_local("lock", "/a")
        waiter = self.start("lock", "/a", "echo", "got it", env=self.local())
        await_true(lambda: len(self.token()) == 2, "two contenders")
        pid, old = self.server(), self.record()["address"]
        keepers = [keeper_of(run.pid) for run in (holder, waiter)]
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for keeper in keepers:
                os.kill(keeper, signal.SIGSTOP)  # They must not be faster.
            self.kill_server()
            other.bind(("127.0.0.1", int(old.split(":")[1])))
            other.listen(1)
            for keeper in keepers:
                os.kill(keeper, signal.SIGCONT)
            await_another(self, pid)
            self.assertNotEqual(self.record()["address"], old)
            self.assertEqual(holder.wait(), 76, holder.err)
            self.assertEqual(waiter.wait(), 0, waiter.err)
        self.assertIn("got it", waiter.out)
        self.assertEqual(self.use("status", "/a").code, 1)

    def test_a_waiter(self):
        holder = self.hold_local("lock", "/a")
        waiter = self.start("lock", "/a", "echo", "got it", env=self.local())
        await_true(lambda: len(self.token()) == 2, "two contenders")
        self.kill_and_await()
        self.release(holder)
        self.assertEqual(waiter.wait(), 0, waiter.err)
        self.assertIn("got it", waiter.out)

    def test_all_kinds(self):
        self.assertEqual(self.use("barrier", "set", "/gate").code, 0)
        begun = self.use("hold", "-b", "--for", os.getpid(), "/held")
        self.assertEqual(begun.code, 0, begun.err)
        hold = re.search(r"ZKSYNC_HOLD_PID='?(\d+)", begun.out).group(1)
        passer = self.start("barrier", "wait", "/gate", env=self.local())
        party = self.start("double-barrier", "-n", "2", "/party", "echo", "entered", env=self.local())
        await_true(lambda: self.use("status", "--json", "/party").json().get("participants"), "one participant")
        held = self.token("/held")
        self.kill_and_await()
        self.assertEqual(self.token("/held"), held)
        other = self.start("double-barrier", "-n", "2", "/party", "echo", "entered", env=self.local())
        self.kill_and_await()
        self.assertEqual([run.wait() for run in (party, other)], [0, 0], party.err + other.err)
        self.assertFalse(passer.ended())
        self.assertEqual(self.use("barrier", "unset", "/gate").code, 0)
        self.assertEqual(passer.wait(), 0, passer.err)
        self.assertEqual(self.use("release", hold).code, 0)

    def loop(self, script):
        """A shell that does something again and again, until its folder has a file "stop" or something fails."""
        folder = tempfile.mkdtemp(dir=self.home)
        run = self.spawn(["sh", "-c", f"cd {folder} && while [ ! -e stop ]; do {script} || exit; echo >>rounds; done"],
                         env=self.local(PATH=f"{os.path.dirname(ZKSYNC)}:{os.environ['PATH']}"))
        run.folder = folder
        return run

    @staticmethod
    def rounds(run):
        with contextlib.suppress(OSError):
            return os.stat(os.path.join(run.folder, "rounds")).st_size
        return 0

    @staticmethod
    def told_to_end(run):
        for pid in descendants(run.pid):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
        return run.ended()

    def go_on(self, workers, others):
        """Each worker does more than it has begun by now."""
        wanted = [self.rounds(run) + 2 for run in workers]

        def done():
            ended = [run.err for run in workers + others if run.ended()]
            self.assertEqual(ended, [])
            return all(self.rounds(run) >= least for run, least in zip(workers, wanted))
        await_true(done, "more rounds")

    def test_again_and_again(self):
        """No job is killed, no waiter is forgotten, and no two hold: for 3 kills, or ZKSYNC_SOAK_SECONDS."""
        until = time.monotonic() + int(os.environ.get("ZKSYNC_SOAK_SECONDS", "0"))
        place = os.path.join(self.home, "held")
        holders = [self.hold_local("lock", *options, path) for options, path in
                   (((), "/alone"), (("-s",), "/shared"), (("-s",), "/shared"))]
        begun = self.use("hold", "-b", "--for", os.getpid(), "/background")
        self.assertEqual(begun.code, 0, begun.err)
        hold = re.search(r"ZKSYNC_HOLD_PID='?(\d+)", begun.out).group(1)
        self.assertEqual(self.use("barrier", "set", "/gate").code, 0)
        passer = self.start("barrier", "wait", "/gate", env=self.local())
        paths = ("/alone", "/shared", "/background")
        held = [self.holding(path) for path in paths]
        exclusive = f"zksync lock /work -- sh -c 'mkdir {place} && rmdir {place}'"
        workers = [self.loop(script) for script in (
            exclusive, exclusive, exclusive, "zksync lock -n -E 0 /alone false",
            "zksync barrier set /door && zksync barrier unset /door", "zksync barrier wait /door")]
        parties = [self.loop("zksync double-barrier -n 2 /party true") for _ in range(2)]
        kills = 0
        while kills < 3 or time.monotonic() < until:
            self.kill_and_await()
            kills += 1
            self.go_on(workers + parties, [*holders, passer])
        self.assertEqual([self.holding(path) for path in paths], held)
        for run in workers + parties:
            with open(os.path.join(run.folder, "stop"), "w", encoding="ascii"):
                pass
        self.assertEqual([run.wait() for run in workers], [0] * len(workers), [run.err for run in workers])
        print(f"# killed {kills} times; rounds: {[self.rounds(run) for run in workers + parties]}", flush=True)
        # One of them can be alone now: it leaves when it is told to.
        await_true(lambda: all([self.told_to_end(run) for run in parties]), "both have left")
        self.assertEqual(self.use("barrier", "unset", "/gate").code, 0)
        self.assertEqual(passer.wait(), 0, passer.err)
        self.assertEqual(self.use("release", hold).code, 0)
        for holder in holders:
            self.release(holder)

    def test_it_cannot_be_started(self):
        """Who waits for a lock that nobody can ask about is not told that it is busy."""
        self.assertEqual(self.use("ping").code, 0)
        # It is cut off for as long as the other one waits.
        holder = self.hold_local("lock", "-T", 100, "/a", ZKSYNC_COMMAND="/bin/false")
        waiter = self.start("-v", "lock", "-w", "20s", "/a", "true", env=self.local(ZKSYNC_COMMAND="/bin/false"))
        await_true(lambda: len(self.token()) == 2, "two contenders")
        self.kill_server()
        self.assertEqual(waiter.wait(), 69, waiter.err)
        self.assertEqual(self.use("ping").code, 0)
        self.release(holder)


class Folder(Local):
    """Its folder is taken from a server in use: it ends, and no other server grants what its clients count on."""

    def taken(self, take):
        holder = self.start("lock", "-T", "4s", "/a", "--", "sh", "-c", "echo held by $$.; exec cat >/dev/null",
                            env=self.local(), stdin=subprocess.PIPE)
        holder.await_out(".\n")
        command = holder.out.split()[2].rstrip(".")
        server = self.server()
        # It would find the next server and learn that its session is lost; the lease must do without that.
        os.kill(keeper_of(holder.pid), signal.SIGSTOP)
        take()
        # Who asks at once waits until the first server has ended, and the holder's command before it.
        other = self.start("lock", "-T", "8s", "/a", "--", "sh", "-c", f"! kill -0 {command}",
                           env=self.local(ZKSYNC_CONNECT_TIMEOUT="forever"))
        self.assertEqual(holder.wait(), 76, holder.err)
        self.assertEqual(other.wait(), 0, other.err)
        await_true(lambda: not alive(server), "the first server has ended")
        self.assertEqual(servers_below(os.getpid()), [self.server()])

    def test_removed(self):
        self.taken(lambda: shutil.rmtree(self.state))

    def test_all_is_removed(self):
        self.taken(lambda: shutil.rmtree(os.path.dirname(self.state)))

    def test_renamed(self):
        self.taken(lambda: os.rename(self.state, self.state + ".away"))

    def test_replaced(self):
        def replace():
            os.rename(self.state, self.state + ".away")
            shutil.copytree(self.state + ".away", self.state)
        self.taken(replace)

    def test_its_lock_removed(self):
        self.taken(lambda: os.unlink(self.file("server.lock")))

    def test_its_data_removed(self):
        self.taken(lambda: shutil.rmtree(self.file("data")))

    def killed(self, take):
        """The next server waits for the leases, since the killed one cannot."""
        def take_killed():
            self.kill_server()
            take()
        self.taken(take_killed)
        with open(self.file("server.log"), encoding="ascii") as file:
            self.assertIn("waiting 4 s before serving", file.read())

    def test_removed_after_a_kill(self):
        def remove():
            shutil.rmtree(self.state)
            result = self.use("ping", ZKSYNC_CONNECT_TIMEOUT="1s")
            self.assertEqual(result.code, 69, result.err)
            self.assertIn(f"server of {self.state} starts serving in ", result.err)
        self.killed(remove)

    def test_its_data_removed_after_a_kill(self):
        self.killed(lambda: shutil.rmtree(self.file("data")))

    def test_its_journal_removed_after_a_kill(self):
        def remove():
            for name in os.listdir(self.file("data")):
                if name != "lock":
                    os.unlink(os.path.join(self.file("data"), name))
        self.killed(remove)

    def test_a_copy_in_its_place_after_a_kill(self):
        """It was made before the lock was taken."""
        self.assertEqual(self.use("lock", "-T", "4s", "/b", "true").code, 0)
        subprocess.run(["cp", "-a", self.state, self.state + ".old"], check=True)
        self.killed(self.put_back)

    def put_back(self):
        shutil.rmtree(self.state)
        os.rename(self.state + ".old", self.state)

    def test_who_holds_goes_on_where_the_data_are(self):
        holder = self.hold_local("lock", "-T", "8s", "/a")
        for name in self.file("server.lock"), os.path.join(os.path.dirname(self.state), ".zksync.lock"):
            before = self.server()
            os.unlink(name)
            with contextlib.suppress(ProcessLookupError):
                os.kill(before, signal.SIGKILL)
            await_another(self, before)
            self.assertEqual(self.use("lock", "-n", "/a", "true").code, 75)
        self.release(holder)

    def test_replaced_after_a_kill(self):
        """By what an earlier server has left."""
        self.assertEqual(self.use("ping").code, 0)
        self.assertEqual(self.use("serve", "--stop").code, 0)
        os.rename(self.state, self.state + ".old")
        self.killed(self.put_back)

    def test_nobody_waits_longer_than_wanted(self):
        holder = self.hold_local("lock", "-T", "4s", "/a")
        server = self.server()
        shutil.rmtree(self.state)
        result = self.use("lock", "-n", "/a", "true", ZKSYNC_CONNECT_TIMEOUT="1s")
        self.assertEqual(result.code, 69, result.err)
        self.assertIn(f"process {server}, ends, since that folder was removed", result.err)
        self.assertEqual(self.use("serve").code, 75)
        stop = self.use("--connect-timeout", "1s", "serve", "--stop")
        self.assertEqual((stop.code, stop.err), (75, "zksync: a local server is being started or ended\n"))
        # Not by a signal, which would let the next server grant the lock.
        os.kill(server, signal.SIGTERM)
        self.assertEqual(self.use("ping", ZKSYNC_CONNECT_TIMEOUT="1s").code, 69)
        self.assertTrue(alive(server))
        holder.close()
        os.kill(server, signal.SIGKILL)
        await_true(lambda: not alive(server), "the first server has ended")
        self.assertEqual(self.use("lock", "-n", "/a", "true").code, 0)

    def test_of_an_idle_server(self):
        self.assertEqual(self.use("ping").code, 0)
        server = self.server()
        shutil.rmtree(self.state)
        self.assertEqual(self.use("-v", "ping").code, 0)
        self.assertNotEqual(self.server(), server)

    def test_of_a_server_of_its_own(self):
        data = os.path.join(self.home, "data")
        run = self.start("serve", "--listen", "127.0.0.1:0", "--data", data, env=self.local())
        run.await_out("serving on ")
        os.rename(data, data + ".away")
        self.assertEqual(run.wait(), 71, run.err)
        self.assertIn(f"{data} has been removed, renamed or replaced", run.err)


@unittest.skipIf(cannot_unshare("mount"), f"no mount namespace: {cannot_unshare('mount')}")
class FileSystem(Local):
    """Its folder is on a file system that fills up, turns read-only, or is mounted over."""

    def setUp(self):
        super().setUp()
        self.base = os.path.dirname(self.state)
        os.makedirs(self.base)
        self.space = self.spawn([*unshare("mount"), "sh", "-c",
                                 f"mount -t tmpfs -o size=8m,mode=700 tmpfs {self.base} && echo there && exec cat"],
                                stdin=subprocess.PIPE)
        self.space.await_out("there\n")
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        self.enter = ["nsenter", f"--target={self.space.pid}", "--mount", *user]
        self.holder = self.spawn([*self.enter, ZKSYNC, "-vv", "lock", "/a", "--", "sh", "-c",
                                  "echo held; cat >/dev/null"], env=self.local(), stdin=subprocess.PIPE)
        self.holder.await_out("held\n")

    def inside(self, *words, limit="20s"):
        return Result(self.spawn([*self.enter, *words], env=self.local(ZKSYNC_CONNECT_TIMEOUT=limit)))

    def server_inside(self):
        return int(self.inside("cat", self.file("server.lock")).out.split("pid ")[1].split()[0])

    def kill_and_break(self, *words):
        """The server is killed, and before anybody can start it again this happens to the file system."""
        server, keeper = self.server_inside(), keeper_of(self.holder.pid)
        os.kill(keeper, signal.SIGSTOP)
        os.kill(server, signal.SIGKILL)
        await_true(lambda: not alive(server), "the server has ended")
        self.inside(*words)
        os.kill(keeper, signal.SIGCONT)

    def holds_on(self):
        self.holder.await_err("in contact with the servers again")
        self.assertEqual(self.inside(ZKSYNC, "lock", "-n", "/a", "true").code, 75)
        self.release(self.holder)
        self.assertEqual(self.inside(ZKSYNC, "lock", "-n", "/a", "true").code, 0)

    def test_read_only(self):
        self.kill_and_break("mount", "-o", "remount,ro", self.base)
        self.holder.await_err(os.strerror(errno.EROFS))
        self.assertEqual(self.inside(ZKSYNC, "ping", limit="2s").code, 71)
        self.assertEqual(self.inside("mount", "-o", "remount,rw", self.base).code, 0)
        self.holds_on()

    def test_full(self):
        """A start needs no room for what was there before."""
        full = os.path.join(self.base, "full")
        self.kill_and_break("dd", "if=/dev/zero", f"of={full}", "bs=1k")
        self.holds_on()

    def test_mounted_over(self):
        """The folder above has gone too."""
        server = self.server_inside()
        self.assertEqual(self.inside("mount", "-t", "tmpfs", "tmpfs", self.base).code, 0)
        self.assertEqual(self.holder.wait(), 76, self.holder.err)
        await_true(lambda: not alive(server), "the server has ended")
        self.assertEqual(self.inside(ZKSYNC, "ping").code, 0)


if __name__ == "__main__":
    main()
