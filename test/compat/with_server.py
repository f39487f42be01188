#!/usr/bin/env python3
"""Runs a command with a server of zkServer.sh around it, at ZKSYNC_DIRECT: with_server.py LOG CMD..."""

import os
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# No compiled copy of the module is to appear in the source folder.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))

from ensemble_base import POLL_INTERVAL, READY_LIMIT, end, free_ports, spawn


def serves(port):
    said = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"srvr")
            while piece := connection.recv(4096):
                said += piece
    except OSError:
        return False
    return b"Mode: " in said


def main():
    port = free_ports(1)[0]
    with tempfile.TemporaryDirectory(prefix="zksync-compat-") as folder, open(sys.argv[1], "wb") as log:
        config = os.path.join(folder, "zoo.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"dataDir={folder}\ntickTime=250\nclientPort={port}\n"
                       "4lw.commands.whitelist=*\nadmin.enableServer=false\n")
        server = spawn([os.path.join(HERE, "zkServer.sh"), "start-foreground", config],
                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            until = time.monotonic() + READY_LIMIT
            while not serves(port):
                if server.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"with_server: the server does not serve, see {sys.argv[1]}")
                time.sleep(POLL_INTERVAL)
            environment = {**os.environ, "ZKSYNC_DIRECT": f"127.0.0.1:{port}"}
            return subprocess.run(sys.argv[2:], env=environment, check=False).returncode
        finally:
            end(server)


if __name__ == "__main__":
    sys.exit(main())
