#!/usr/bin/python3 -B
"""What of a command's descendants is killed with it: all but a local server that it has started."""

import signal
import sys

from harness import Case, alive, await_true, main

NAMESAKE = """
import ctypes, os, time
PR_SET_NAME = 15
ctypes.CDLL(None).prctl(PR_SET_NAME, b"zksync-local", 0, 0, 0)
os.setsid()
print(os.getpid(), flush=True)
time.sleep(100)
"""


class Spared(Case):
    def test_the_name_of_the_local_server_is_not_enough(self):
        run = self.start("lock", "-T", 20, self.path, "--", "sh", "-c", '"$@" & wait', "sh", sys.executable,
                         "-c", NAMESAKE)
        run.await_out("\n")
        namesake = int(run.out)
        run.signal(signal.SIGKILL)
        await_true(lambda: not alive(namesake), "it is killed")
        self.await_contenders(0)


if __name__ == "__main__":
    main()
