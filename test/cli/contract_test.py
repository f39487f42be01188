#!/usr/bin/python3 -B
# For tools/run-tests. zksync-test: takes long
"""How the tests can be started: with every combination of ZOOKEEPER_PEERS and TOXIPROXY, on servers of its
own, and with signals ignored and blocked."""

import json
import os
import re
import socket
import sys
import tempfile
import unittest
import urllib.request

from kazoo.client import KazooClient

from harness import BUILD, LIMIT, Result, Run, ZKSYNC, await_true, main
from ensemble_base import find_toxiproxy, free_ports  # The harness says where it is.

TOOLS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "tools")
# One test that needs proxies and one that needs servers to kill; and one of the command's with proxies.
TESTS = (("integration/integration_remove", "test_ping"), ("integration/integration_observer", "test_many_changes"),
         ("cli/integration_cli_loss", "test_a_disconnect_that_heals_in_time"))
# Tests that fail where they are started with signals ignored or blocked and leave it at that.
OF_SIGNALS = (("cli/integration_cli_lock", "test_until_a_signal"), ("cli/integration_cli_signals", "test_128"),
              ("integration/integration_examples", "*"), ("server/unit_server_protocol", "*"))
STRANGE = """
import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
if sys.argv[1] == "blocked":
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execv(sys.argv[2], sys.argv[2:])
"""
SOMEBODY = {"name": "somebody", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": False}


class Contract(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.runs = []
        self.addCleanup(self.close)

    def close(self):
        for run in self.runs:
            run.close()

    def start(self, *command, **variables):
        """Runs a command without anything that names servers or proxies but these variables."""
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("ZKSYNC_") and name not in ("ZOOKEEPER_PEERS", "TOXIPROXY")}
        env.update({"ZKSYNC_CONFIG": "/dev/null", "CMOCKA_MESSAGE_OUTPUT": "TAP"})
        env.update({name: value for name, value in variables.items() if value is not None})
        run = Run(list(command), env=env)
        self.runs.append(run)
        return run

    def server(self):
        run = self.start(ZKSYNC, "serve", "--listen", "127.0.0.1:0", "--memory", "--no-secret", "--tick", "250ms",
                         "--max-session-timeout", "120s")
        run.await_out("zksync: serving on ")
        return run.out.split()[-1]

    def toxiproxy(self):
        """A Toxiproxy that somebody else uses as well."""
        program = find_toxiproxy()
        if program is None:
            self.skipTest("there is no toxiproxy-server to be started")
        (port,) = free_ports(1)
        # It logs a lot, and would wait for a reader that does not read.
        run = self.start("sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", program, "-host", "127.0.0.1", "-port", str(port))
        await_true(lambda: run.ended() or self.answers(port), "Toxiproxy answers")
        self.ask(port, "/proxies", json.dumps(SOMEBODY).encode())
        return port

    @staticmethod
    def ask(port, path, body=None):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}{path}", body, timeout=LIMIT) as answer:
            return answer.read()

    def answers(self, port):
        try:
            return bool(self.ask(port, "/version"))
        except OSError:
            return False

    def silent_port(self):
        """One that refuses connections and that no other test gets."""
        holder = socket.socket()
        holder.bind(("127.0.0.1", 0))
        self.addCleanup(holder.close)
        return holder.getsockname()[1]

    def check(self, peers, proxy, toxiproxy):
        """Runs the tests, each of which passes or is skipped with its reason."""
        command = [os.path.join(TOOLS, "ensemble"), "run", *([] if peers else ["--local", ZKSYNC]), "--"]
        runs = [self.start(*command, os.path.join(BUILD, "test", program), test, ZOOKEEPER_PEERS=peers,
                           TOXIPROXY=toxiproxy, **self.without_installed(proxy)) for program, test in TESTS]
        ping, changes, heals = [Result(run) for run in runs]
        what = (peers, toxiproxy, ping.out, changes.out, heals.out, ping.err)
        self.assertEqual([result.code for result in (ping, changes, heals)], [0, 0, 0], what)
        for result in (ping, heals):
            self.assertEqual("SKIP there is no Toxiproxy" in result.out, not proxy, what)
            self.assertEqual("tests that need one are skipped" in result.err, not proxy, what)
        self.assertEqual("SKIP the servers were not started by tools/ensemble" in changes.out, bool(peers), what)

    def without_installed(self, proxy):
        """Where there is to be no proxy, none is found that could be started."""
        if proxy:
            return {}
        path = [folder for folder in os.environ["PATH"].split(":")
                if not os.path.exists(os.path.join(folder, "toxiproxy-server"))]
        return {"PATH": ":".join(path), "XDG_CACHE_HOME": self.folder, "TOXIPROXY_SERVER": None}

    def roots_children(self, address):
        client = KazooClient(hosts=address, timeout=30)
        client.start(timeout=LIMIT)
        try:
            return client.get_children("/")
        finally:
            client.stop()
            client.close()

    def each_with_and_without_peers(self, proxy, *toxiproxies):
        address = self.server()
        for toxiproxy in toxiproxies:
            self.check(None, proxy, toxiproxy)
            # A list: the same server twice is as good as two that agree.
            self.check(f"{address}, localhost:{address.split(':')[1]}", proxy, toxiproxy)
            self.assertEqual(self.roots_children(address), ["zookeeper"])

    def test_no_toxiproxy_is_named(self):
        if find_toxiproxy() is None:
            self.skipTest("there is no toxiproxy-server to be started")
        self.each_with_and_without_peers(True, None)

    def test_none_is_named_and_none_installed(self):
        self.each_with_and_without_peers(False, None, "")

    def test_a_toxiproxy(self):
        port = self.toxiproxy()
        self.each_with_and_without_peers(True, f"127.0.0.1:{port}", f"http://localhost:{port}/")
        # What somebody else has there is as it was, and nothing of ours is left.
        left = json.loads(self.ask(port, "/proxies"))
        self.assertEqual({name: proxy["enabled"] for name, proxy in left.items()}, {"somebody": False})

    def test_a_toxiproxy_that_does_not_answer(self):
        port = self.silent_port()
        self.each_with_and_without_peers(False, f"127.0.0.1:{port}", f"http://127.0.0.1:{port}")

    def test_peers_that_are_no_addresses(self):
        for peers in ("nonsense", "127.0.0.1", "127.0.0.1:2181,:2181", "a:b"):
            result = Result(self.start(os.path.join(TOOLS, "ensemble"), "run", "--", "true", ZOOKEEPER_PEERS=peers))
            self.assertEqual(result.code, 125)
            self.assertRegex(result.err, r"in ZOOKEEPER_PEERS: not host:port")

    def test_signals_that_are_ignored_or_blocked(self):
        command = [os.path.join(TOOLS, "ensemble"), "run", "--local", ZKSYNC, "--"]
        for how in ("ignored", "blocked"):
            runs = [self.start(sys.executable, "-c", STRANGE, how, *command, os.path.join(BUILD, "test", program), test)
                    for program, test in OF_SIGNALS]
            for run in runs:
                result = Result(run)
                self.assertEqual(result.code, 0, (how, run.command, result.out, result.err))

    def test_run_tests_deletes_all_of_it(self):
        """Also what a program that was killed has left."""
        address = self.server()
        client = KazooClient(hosts=address, timeout=30)
        client.start(timeout=LIMIT)
        client.ensure_path("/zksync-test/left/behind")
        client.stop()
        client.close()
        result = Result(self.start(sys.executable, "-B", os.path.join(TOOLS, "run-tests"), "--only", "^integration_list$",
                                   BUILD + ":integration", ZOOKEEPER_PEERS=address))
        self.assertEqual(result.code, 0, result.out + result.err)
        self.assertRegex(result.lines[-1], r"^\d+ passed, 0 failed, 0 skipped$")
        self.assertTrue(re.search(r"^where the time went", result.out, re.MULTILINE))
        self.assertEqual(self.roots_children(address), ["zookeeper"])


if __name__ == "__main__":
    main()
