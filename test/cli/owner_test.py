#!/usr/bin/python3 -B
"""Whom a user's local server lets in: no other user, not even one who knows its secret."""

import os
import subprocess
import sys

from harness import main
from local import Local

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


class Owner(Local):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be another user")
        super().setUp()

    def secret(self):
        with open(self.file("secret"), encoding="ascii") as file:
            return file.read().strip()

    def ask(self, user, address, secret, seconds=60):
        """What a process of the user gets from a server."""
        result = subprocess.run([sys.executable, "-c", ASK, address, secret, str(seconds)], user=user,
                                group=user, extra_groups=[], cwd="/", stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
        return result.stdout.strip()

    def test_another_user_who_knows_the_secret(self):
        run, address = self.serve()
        self.assertEqual(self.ask(OTHER, address, self.secret(), 1), "refused")
        self.assertEqual(self.ask(os.geteuid(), address, self.secret()), "served 0")
        self.assertIn("another user's process", run.err)

    def test_all_users_where_no_secret_is_wanted(self):
        _, address = self.serve("--no-secret")
        self.assertEqual(self.ask(OTHER, address, "none"), "served 0")


if __name__ == "__main__":
    main()
