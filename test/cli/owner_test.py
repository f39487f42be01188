#!/usr/bin/python3 -B
"""Whom a user's local server lets in, and what of the user's folder is believed."""

import os
import subprocess
import sys
import unittest

from harness import ZKSYNC, Result, main
from local import Local, cannot_unshare, unshare

OTHER = 65534

# Whether a server begins a session with who knows the secret, or any.
ASK = """
import sys
from kazoo.client import KazooClient
from kazoo.handlers.threading import KazooTimeoutError
client = KazooClient(hosts=sys.argv[1], auth_data=[("zksync", sys.argv[2])])
try:
    client.start(timeout=float(sys.argv[3]))
    print("served", client.exists("/").czxid)
    client.stop()
except KazooTimeoutError:
    print("refused")
"""

TAKE = """
import socket, sys
with socket.socket(socket.AF_UNIX) as name:
    name.bind("\\0" + sys.argv[1])
    name.listen()
    print("taken", flush=True)
    sys.stdin.read()
"""


class Owner(Local):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be another user")
        super().setUp()

    def secret(self):
        with open(self.file("secret"), encoding="ascii") as file:
            return file.read().strip()

    def name(self):
        root = os.stat("/")
        number = 0xcbf29ce484222325
        for byte in f"{self.state}{os.readlink('/proc/self/ns/mnt')}{root.st_dev}:{root.st_ino}".encode():
            number = (number ^ byte) * 0x100000001b3 % 2 ** 64
        return f"{number:016x}"

    def ask(self, user, address, secret, seconds=60):
        """What a process of the user gets from a server."""
        result = subprocess.run([sys.executable, "-c", ASK, address, secret, str(seconds)], user=user,
                                group=user, extra_groups=[], cwd="/", stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
        return result.stdout.strip()

    def test_another_user_who_knows_the_secret(self):
        run, address = self.serve()
        self.assertEqual(self.ask(OTHER, address, self.secret(), 5), "refused")
        self.assertEqual(self.ask(os.geteuid(), address, self.secret()), "served 0")
        self.assertIn("another user's process", run.err)

    def test_a_name_that_is_another_users(self):
        """A socket with the server's name is ignored if another user listens on it."""
        taken = subprocess.Popen([sys.executable, "-c", TAKE, f"zksync-local-{os.geteuid()}-{self.name()}"],
                                 user=OTHER, group=OTHER, extra_groups=[], cwd="/", stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        with taken:
            self.assertEqual(taken.stdout.readline(), "taken\n")
            self.assertEqual(self.use("lock", "-n", "/a", "true").code, 0)
            taken.stdin.close()

    def test_the_name_is_taken_from_the_folder(self):
        """The test above binds the right name."""
        self.assertEqual(self.use("ping").code, 0)
        with open("/proc/net/unix", encoding="ascii") as file:
            named = [line.split()[-1] for line in file if f"@zksync-local-{os.geteuid()}-{self.name()}" in line]
        self.assertNotEqual(named, [])

    @unittest.skipIf(cannot_unshare("mount"), f"no mount namespace: {cannot_unshare('mount')}")
    def test_another_root_has_another_server(self):
        """In a container with the host's network the same path is another folder."""
        self.assertEqual(self.use("ping").code, 0)
        script = f'mount -t tmpfs tmpfs {self.home} && exec "$0" lock -n /a true'
        result = Result(self.spawn([*unshare("mount"), "sh", "-c", script, ZKSYNC], env=self.local()))
        self.assertEqual(result.code, 0, result.err)

    def test_all_users_where_no_secret_is_wanted(self):
        _, address = self.serve("--no-secret")
        self.assertEqual(self.ask(OTHER, address, "none"), "served 0")


class Folder(Local):
    def test_a_folder_that_a_group_can_write_to(self):
        os.makedirs(self.state)
        os.chmod(self.state, 0o770)
        result = self.use("ping")
        self.assertEqual(result.code, 77)
        self.assertIn("chmod 700 " + self.state, result.err)

    def test_a_secret_of_other_characters(self):
        self.assertEqual(self.use("ping").code, 0)
        self.assertEqual(self.use("serve", "--stop").code, 0)
        with open(self.file("secret"), "r+", encoding="ascii") as file:
            file.write("x")
        result = self.use("ping")
        self.assertEqual(result.code, 71)
        self.assertIn("damaged", result.err)

    def test_a_server_that_never_gets_ready(self):
        """It is ended where the time is over."""
        program = os.path.join(self.home, "program")
        with open(program, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexec sleep 1000\n")
        os.chmod(program, 0o755)
        result = self.use("--connect-timeout", "0.5", "ping", ZKSYNC_COMMAND=program)
        self.assertEqual(result.code, 69, result.err)


if __name__ == "__main__":
    main()
