"""A network of hosts, each in a network namespace of its own, around a router, which drops what it is told to drop."""

import ctypes
import os
import signal
import subprocess

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*lines):
    """Carries out commands of ip(8), in the router."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True,
                   stdin=None, stdout=subprocess.DEVNULL)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class Network:
    """The router is the namespace that this process is in.

    One pair of addresses is cut by one rule of the router's: what comes from the one for the other is dropped
    without a word, as a broken network does it. So a cut has a direction, and no host notices it but by silence.
    """

    def __init__(self):
        self.namespaces = {}  # A descriptor for each host.
        self.cuts = {}        # How often each (from, to) has been cut.
        ip("link set lo up")
        write("/proc/sys/net/ipv4/ip_forward", "1")
        for name in ("all", "default"):
            # A host whose answers are dropped is heard all the same.
            write(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "0")

    def add(self, name):
        """Adds a host; gives its address."""
        number = len(self.namespaces) + 1
        address = f"10.77.{number}.2"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.namespaces[name] = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        ip(f"link add to-{name} type veth peer name eth0 netns {name}",
           f"addr add 10.77.{number}.1/24 dev to-{name}",
           f"link set to-{name} up")
        for line in ("link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up",
                     f"route add default via 10.77.{number}.1"):
            subprocess.run(["ip", "-n", name, *line.split()], check=True)
        write(f"/proc/sys/net/ipv4/conf/to-{name}/rp_filter", "0")
        return address

    def spawn(self, name, command, **options):
        """Starts a program on a host, with every signal as it is by default."""
        namespace = self.namespaces[name]

        def prepare():
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            if LIBC.setns(namespace, CLONE_NEWNET) != 0:
                os._exit(127)

        return subprocess.Popen(command, preexec_fn=prepare, stdin=subprocess.DEVNULL, **options)

    def cut(self, pairs):
        lines = []
        for source, target in pairs:
            if self.cuts.setdefault((source, target), 0) == 0:
                lines.append(f"rule add pref 100 from {source} to {target} blackhole")
            self.cuts[source, target] += 1
        if lines:
            ip(*lines)

    def mend(self, pairs):
        lines = []
        for source, target in pairs:
            self.cuts[source, target] -= 1
            if self.cuts[source, target] == 0:
                lines.append(f"rule del pref 100 from {source} to {target} blackhole")
        if lines:
            ip(*lines)
