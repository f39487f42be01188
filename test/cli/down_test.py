#!/usr/bin/python3 -B
# For tools/run-tests. zksync-test: takes long
"""Servers that do not answer, or that go away while something is wanted of them."""

import contextlib
import signal
import socket
import subprocess
import threading

from harness import NOBODY, Case, DIRECT, Proxy, SERVERS, main



class Down(Case):
    def setUp(self):
        super().setUp()
        self.silent = socket.create_server(("127.0.0.1", 0))  # It accepts, and says nothing.
        self.addCleanup(self.silent.close)
        self.mute = f"127.0.0.1:{self.silent.getsockname()[1]}"

    def unreachable(self, *words, servers):
        result = self.zksync(*words, env=self.environment(ZKSYNC_SERVERS=servers,
                                                          ZKSYNC_CONNECT_TIMEOUT="0.5"))
        self.assertEqual((result.code, result.out), (69, "/bin/sh -c 'exit 69'\n" if "-b" in words else ""),
                         (words, result.err))
        self.assertIn(servers, result.err)
        self.assertEqual(len(result.err.splitlines()), 1, result.err)

    def test_nobody_answers(self):
        for servers in (NOBODY, self.mute):
            for options in (["-n"], ["-w", "0.3"], ["-w", "1h"], []):
                self.unreachable("lock", *options, "/a", "true", servers=servers)
        for words in (["hold", "/a"], ["hold", "-b", "/a"], ["barrier", "set", "/a"],
                      ["barrier", "wait", "-w", "0.3", "/a"], ["status", "/a"], ["ls", "/"],
                      ["watch", "/a"], ["break", "--yes", "/a"], ["ping"],
                      ["double-barrier", "-n", "2", "/a", "true"]):
            self.unreachable(*words, servers=NOBODY)

    @staticmethod
    def serve_page(web):
        """As a web server answers the question srvr, but without waiting for the end of its line, which a busy
        machine could take too long for. Who wants to begin a session gets no answer."""
        def answer(peer):
            with peer, contextlib.suppress(OSError):
                while piece := peer.recv(64):
                    if piece.startswith(b"srvr"):
                        peer.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                        return

        with contextlib.suppress(OSError):  # The test is over.
            while True:
                threading.Thread(target=answer, args=(web.accept()[0],), daemon=True).start()

    def test_each_cause_is_named(self):
        web = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(web.close)
        threading.Thread(target=self.serve_page, args=(web,), daemon=True).start()
        page = f"127.0.0.1:{web.getsockname()[1]}"
        for servers, code, why in (
                (NOBODY, 69, f"{NOBODY}: Connection refused"),
                ("nohost.invalid:2181", 69, r"nohost.invalid:2181: (unknown host|.*cannot be resolved) \("),
                (self.mute, 69, f"{self.mute}: accepts the connection, but does not answer within"),
                (page, 69, f"{page}: answers, but not as a ZooKeeper server"),
                (f"{NOBODY},{self.mute}", 69, f"{NOBODY}: Connection refused; {self.mute}: accepts"),
                ("zk1:21x1", 78, 'ZKSYNC_SERVERS: "zk1:21x1": the port is not a number'),
                ("zk1", 78, 'ZKSYNC_SERVERS: "zk1": the port is missing')):
            started = []
            for words in (["status", "/a"], ["ping"], ["lock", "-n", "/a", "true"],
                          ["double-barrier", "-n", "2", "/a", "true"]):
                env = self.environment(ZKSYNC_SERVERS=servers, ZKSYNC_CONNECT_TIMEOUT="4")
                started.append((self.start(*words, env=env), words))
            for run, words in started:
                self.assertEqual((run.wait(), run.out), (code, ""), (words, run.err))
                self.assertRegex(run.err, r"\Azksync: " + why, words)

    def test_an_ipv6_address_in_brackets(self):
        """The mapped address reaches a server that listens on IPv4 alone."""
        try:
            socket.create_connection(("::ffff:127.0.0.1", int(DIRECT.split(",")[0].rsplit(":", 1)[1]))).close()
        except OSError as error:
            self.skipTest(f"no IPv6 here: {error}")
        mapped = f"[::ffff:127.0.0.1]:{DIRECT.split(',')[0].rsplit(':', 1)[1]}"
        result = self.zksync("ping", env=self.environment(ZKSYNC_SERVERS=mapped))
        self.assertEqual(result.code, 0, result.err)

    def test_w_is_shorter_than_the_connect_timeout(self):
        """The limit of the test's runner would be over first."""
        result = self.zksync("lock", "-w", "0.3", "--connect-timeout", "forever", "/a", "true",
                             env=self.environment(ZKSYNC_SERVERS=NOBODY))
        self.assertEqual(result.code, 69)

    def test_a_signal_while_connecting(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            run = self.start("lock", "--connect-timeout", "forever", "/a", "true",
                             env=self.environment(ZKSYNC_SERVERS=self.mute))
            self.silent.accept()[0].close()
            run.signal(number)
            self.assertEqual(run.wait(), -number)

    def test_a_root_that_does_not_exist(self):
        env = self.environment(ZKSYNC_SERVERS=SERVERS + "/no-such-root")
        for words in (["lock", "/a", "true"], ["lock", "-n", "/a", "true"], ["status", "/a"], ["ping"]):
            result = self.zksync(*words, env=env)
            self.assertEqual(result.code, 69)
            self.assertIn("/no-such-root", result.err)

    def test_one_server_of_many(self):
        env = self.environment(ZKSYNC_SERVERS=f"{NOBODY},{DIRECT.split(',')[0]},{self.mute}")
        self.assertEqual(self.zksync("lock", "-T", 4, self.path, "echo", "ran", env=env).out, "ran\n")

    @Proxy.needed
    def test_servers_that_go_away_while_it_waits(self):
        self.addCleanup(Proxy.heal)
        direct = self.environment(ZKSYNC_SERVERS=DIRECT)
        holder = self.start("hold", "-v", self.path, env=direct)
        holder.await_err(": held, token ")
        patient = self.start("lock", "-T", 4, self.path, "echo", "ran")
        self.await_contenders(2)
        # Last, so that its time is not over before the servers are gone.
        limited = self.start("lock", "-T", 4, "-w", "20", self.path, "echo", "ran")
        self.await_contenders(3)
        Proxy.cut()
        # Whether the lock is free is not known.
        self.assertEqual((limited.wait(), limited.out), (69, ""))
        Proxy.heal()
        # Whatever of it was left goes with its session; the other one waits still.
        self.await_contenders(2)
        self.assertFalse(patient.ended())
        holder.signal(signal.SIGTERM)
        self.assertEqual(holder.wait(), 0)
        self.assertEqual((patient.wait(), patient.out), (0, "ran\n"), patient.err)
        self.assert_nothing_left()

    @Proxy.needed
    def test_a_release_that_cannot_be_confirmed(self):
        self.addCleanup(Proxy.heal)
        run = self.start("lock", "-v", self.path, "-c", "echo on; read x; exit 6",
                         stdin=subprocess.PIPE)
        run.await_out("on\n")
        Proxy.cut()
        run.await_err("cut off from the servers")
        run.process.stdin.close()
        self.assertEqual(run.wait(), 6, run.err)
        self.assertIn("released when the session ends", run.err)
        self.await_contenders(0)


if __name__ == "__main__":
    main()
