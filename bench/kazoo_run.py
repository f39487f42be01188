#!/usr/bin/python3
"""What somebody writes who has kazoo and wants flock(1): runs a command under a lock.

  kazoo_run.py SERVERS PATH COMMAND [ARGUMENT...]
"""

import subprocess
import sys

from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1])
client.start()
with client.Lock(sys.argv[2]):
    code = subprocess.call(sys.argv[3:])
client.stop()
client.close()
sys.exit(code)
