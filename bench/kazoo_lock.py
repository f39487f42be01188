#!/usr/bin/python3
"""Kazoo's Lock, as a worker of bench/run (see bench.c): "lock N" acquires and releases N times.

The interpreter is the system's, for that is where Debian's python3-kazoo is installed.
"""

import os
import sys
import time

from kazoo.client import KazooClient


def main():
    client = KazooClient(hosts=os.environ["ZKSYNC_SERVERS"], timeout=40)
    client.start(timeout=60)
    lock = client.Lock("/zksync-bench/kazoo", "bench")
    for line in sys.stdin:
        count = int(line.split()[1])
        begin = time.perf_counter_ns()
        for _ in range(count):
            lock.acquire()
            lock.release()
        print(time.perf_counter_ns() - begin, flush=True)
    client.stop()
    client.close()


if __name__ == "__main__":
    main()
