#!/usr/bin/python3 -B
"""Two users with one server that both have configured, and credentials of their own."""

import os
import subprocess
import tempfile

from harness import ZKSYNC, Case, Result, main

OTHER = 65534  # nobody
AS_ANOTHER = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups"]


class Users(Case):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="zksync-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.chmod(self.folder, 0o755)
        server = self.start("serve", "--listen", "127.0.0.1:0", "--memory",
                            env=self.environment(XDG_STATE_HOME=self.folder))
        server.await_out("serving on ")
        self.addCleanup(server.close)
        self.server = server.out.split()[-1]

    def user(self, name):
        """The environment of one with credentials, and what runs its commands: as another user where we can."""
        auth = os.path.join(self.folder, name)
        with open(auth, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f"digest:{name}:secret-of-{name}\n")
        run = []
        if name == "bob" and os.geteuid() == 0 and self.spawn([*AS_ANOTHER, ZKSYNC, "--version"]).wait() == 0:
            os.chown(auth, OTHER, OTHER)
            run = AS_ANOTHER
        return self.environment(ZKSYNC_SERVERS=self.server, ZKSYNC_AUTH_FILE=auth, HOME="/"), run

    def test_neither_breaks_what_the_other_has(self):
        alice, bob = self.user("alice"), self.user("bob")

        def does(user, *words):
            env, run = user
            return Result(self.spawn([*run, ZKSYNC, *words], env=env))

        env, run = alice
        holder = self.spawn([*run, ZKSYNC, "lock", "/alice", "--", "sh", "-c", "echo held; cat >/dev/null"], env=env,
                            stdin=subprocess.PIPE)
        holder.await_out("held\n")
        self.assertEqual(does(alice, "barrier", "set", "/gate").code, 0)
        for words in (["break", "--yes", "--all", "/alice"], ["lock", "-n", "/alice", "true"],
                      ["lock", "-s", "-w", "5s", "/alice", "true"], ["barrier", "unset", "/gate"],
                      ["barrier", "set", "/gate/inner"], ["double-barrier", "-n", "1", "/alice", "true"]):
            refused = does(bob, *words)
            self.assertEqual(refused.code, 77, (words, refused.err))
            self.assertNotEqual(refused.err, "")
        self.assertTrue(does(alice, "status", "--json", "/alice").json()["contenders"][0]["holds"])
        self.assertEqual(does(alice, "barrier", "wait", "-n", "/gate").code, 75)
        # Each has its own beside that.
        self.assertEqual(does(bob, "lock", "-n", "/bob", "true").code, 0)
        self.release(holder)
        self.assertEqual(does(alice, "barrier", "unset", "/gate").code, 0)


if __name__ == "__main__":
    main()
