#!/usr/bin/python3 -B
"""The user's local server is killed while it is in use: its clients start it again, and lose nothing."""

import contextlib
import os
import re
import signal
import socket
import subprocess

from harness import alive, await_true, keeper_of, main
from local import Local


class Heals(Local):
    def hold_local(self, *words, **variables):
        holder = self.start(*words, "--", "sh", "-c", "echo held; cat >/dev/null", env=self.local(**variables),
                            stdin=subprocess.PIPE)
        holder.await_out("held\n")
        return holder

    def token(self, path="/a"):
        contenders = self.use("status", "--json", path).json().get("contenders", [])
        return [(one["token"], one["holds"]) for one in contenders]

    def kill_and_await(self):
        """Nobody but those who are connected can start it again."""
        before = self.server()
        os.kill(before, signal.SIGKILL)
        self.await_another(before)

    def await_another(self, before):
        def there():
            with contextlib.suppress(OSError, ValueError, KeyError):
                return self.server() != before and alive(self.server())
            return False
        await_true(there, "another server")

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
            self.await_another(pid)
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

    def test_it_cannot_be_started(self):
        """Who waits for a lock that nobody can ask about is not told that it is busy."""
        self.assertEqual(self.use("ping").code, 0)
        holder = self.hold_local("lock", "/a", ZKSYNC_COMMAND="/bin/false")
        waiter = self.start("-v", "lock", "-w", "3s", "/a", "true", env=self.local(ZKSYNC_COMMAND="/bin/false"))
        await_true(lambda: len(self.token()) == 2, "two contenders")
        self.kill_server()
        self.assertEqual(waiter.wait(), 69, waiter.err)
        self.assertEqual(self.use("ping").code, 0)
        self.release(holder)


if __name__ == "__main__":
    main()
