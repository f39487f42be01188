"""What the clients of a test have left on the servers: see test/lib/leftovers.h.

A client of the command's ends with its process, so watches of children, which ZooKeeper's servers count but do
not name, are not looked for.
"""

import os
import re
import socket

LOCAL = "ZKSYNC_ENSEMBLE_LOCAL" in os.environ


def ask(address, word):
    """The answer of a server to a four-letter word, "" where there is none."""
    host, port = address.rsplit(":", 1)
    answer = b""
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as connection:
            connection.sendall(word.encode("ascii"))
            while piece := connection.recv(65536):
                answer += piece
    except OSError:
        return ""
    return answer.decode("utf-8", "replace")


def numbers(address):
    """Watches, ephemeral znodes and sessions, of zksync's own server."""
    answer = ask(address, "mntr")
    found = [re.search(rf"^zk_{name}\t(\d+)$", answer, re.MULTILINE)
             for name in ("watch_count", "ephemerals_count", "global_sessions")]
    return [int(number.group(1)) if number else 0 for number in found]


class Leftovers:
    """What is left of a test that begins now, with a path of its own."""

    def __init__(self, servers, path, but=None):
        """`but` is the session of somebody who does not count."""
        self.servers = [server for server in servers.split(",") if server]
        self.path = path
        self.but = but
        self.began = numbers(self.servers[0]) if LOCAL else None

    def find(self):
        if LOCAL:
            return self.more()
        return [*self.watches(), *self.ephemerals()]

    def more(self):
        """What there is more of than at the beginning. Of a session whose process was killed nothing counts."""
        watches, ephemerals, sessions = numbers(self.servers[0])
        found = [f"{watches} watches, not {self.began[0]}"] if watches > self.began[0] else []
        if ephemerals > self.began[1] and sessions <= self.began[2]:
            found.append(f"{ephemerals} ephemeral znodes, not {self.began[1]}")
        return found

    def ours(self, path):
        return path == self.path or path.startswith(self.path + "/")

    def watches(self):
        for server in self.servers:
            path = None
            for line in ask(server, "wchp").splitlines():
                if not line.startswith("\t"):
                    path = line
                elif path and self.ours(path) and int(line, 16) != self.but:
                    yield f"a watch of {path} by session {line.strip()}"

    def ephemerals(self):
        connected = {int(sid, 16) for server in self.servers
                     for sid in re.findall(r"sid=(0x[0-9a-f]+)", ask(server, "cons"))}
        session = None
        for line in next(filter(None, (ask(server, "dump") for server in self.servers)), "").splitlines():
            if owner := re.fullmatch(r"(0x[0-9a-f]+):", line):
                session = int(owner.group(1), 16)
            elif line.startswith("\t") and self.ours(line.strip()) and session in connected - {self.but}:
                yield f"{line.strip()} of session {session:#x}"
