#!/usr/bin/python3 -B
"""What the local server must not have from who happens to start it."""

import os
import resource
import socket
import stat
import unittest

from harness import main
from local import Local


def manager():
    """The socket of the user's service manager, or None."""
    path = os.path.join(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}"), "systemd", "private")
    try:
        return path if stat.S_ISSOCK(os.stat(path).st_mode) else None
    except OSError:
        return None


class Starter(Local):
    def started_by(self, change, *words):
        """What `serve --status` says of a server that a process after this change has started."""
        run = self.start(*(words or ["ping"]), env=self.local(), preexec_fn=change)
        self.assertEqual(run.wait(), 0, run.err)
        return self.status()["process"]

    def test_scheduling(self):
        cpu = min(os.sched_getaffinity(0))

        def change():
            os.nice(7)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            os.sched_setaffinity(0, {cpu})
            os.umask(0)

        process = self.started_by(change)
        server = self.server()
        self.assertEqual(os.sched_getscheduler(server), os.SCHED_OTHER)
        self.assertEqual(os.sched_getaffinity(server), os.sched_getaffinity(0))
        # To lower it needs a right; where it is not there, the user can see why the server is slow.
        left = os.getpriority(os.PRIO_PROCESS, server)
        self.assertIn(left, (0, 7))
        self.assertEqual(process.get("nice"), "7" if left else None)
        self.assertNotIn("scheduling", process)
        self.assertNotIn("cpus", process)
        text = self.use("serve", "--status").out
        self.assertEqual("runs with nice 7" in text, left == 7, text)

    def test_limits(self):
        kinds = {"rlimit_as": resource.RLIMIT_AS, "rlimit_cpu": resource.RLIMIT_CPU,
                 "rlimit_data": resource.RLIMIT_DATA, "rlimit_fsize": resource.RLIMIT_FSIZE}
        hard = {name: resource.getrlimit(kind)[1] for name, kind in kinds.items()}
        most = 1 << 60
        soft = {"rlimit_cpu": 1 << 30}  # More overflows.

        def change():
            for name, kind in kinds.items():
                resource.setrlimit(kind, (soft.get(name, most) if hard[name] == resource.RLIM_INFINITY else hard[name],
                                          hard[name]))
            resource.setrlimit(resource.RLIMIT_FSIZE, (most - 1, most))
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        process = self.started_by(change)
        server = self.server()
        for name, kind in [*kinds.items(), ("", resource.RLIMIT_NOFILE)]:
            soft, hard_one = resource.prlimit(server, kind)
            self.assertEqual(soft, hard_one, name)
        self.assertEqual(process["rlimit_fsize"], str(most))
        self.assertIn(f"rlimit_fsize {most}", self.use("serve", "--status").out)

    @unittest.skipUnless(os.access("/usr/bin/systemd-run", os.X_OK), "systemd-run is not installed")
    def test_a_service_manager_that_does_not_answer(self):
        """The server starts all the same, in the cgroup of its starter."""
        os.makedirs(os.path.join(self.home, "systemd"))
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(os.path.join(self.home, "systemd", "private"))
            silent.listen()
            result = self.use("-v", "ping", XDG_RUNTIME_DIR=self.home)
        self.assertEqual(result.code, 0, result.err)
        self.assertIn("which was started for this", result.err)

    @unittest.skipUnless(manager(), "the user has no service manager: systemd(1) does not run for it")
    def test_a_cgroup_of_its_own(self):
        cgroup = self.started_by(None)["cgroup"]
        self.assertTrue(cgroup.endswith(".scope"), cgroup)
        with open(f"/proc/{self.server()}/cgroup", encoding="ascii") as theirs, \
                open("/proc/self/cgroup", encoding="ascii") as ours:
            self.assertNotEqual(theirs.read(), ours.read())


if __name__ == "__main__":
    main()
