"""What tools/ensemble is built on: signals, child processes, free ports, and Toxiproxy."""

import contextlib
import ctypes
import http.client
import json
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

READY_LIMIT = 120.0
POLL_INTERVAL = 0.05
PORT_ATTEMPTS = 5
TOXIPROXY_VERSION = "2.5.0"
PR_SET_PDEATHSIG = 1
LIBRARYS_OWN = (32, 33)
RT_SIGACTION = {"x86_64": 13, "aarch64": 134, "riscv64": 134}  # The system call's number.
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # It gives its children their defaults back.

LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """An error that the user is told about in one message, without a stack trace."""


class Died(Failure):
    """A server ended while it was starting, which a port taken in the meantime can explain."""


def say(text):
    print(f"ensemble: {text}", file=sys.stderr, flush=True)


def default_signals():
    """Gives what this program starts an empty signal mask and the default action for every signal.

    A program can be started with signals blocked or ignored: by nohup, in the background of a script, by
    a parent that ignores SIGCHLD. What is ignored at the start still has no effect here, but by a handler,
    which a child does not inherit.
    """
    for number in LIBRARYS_OWN:
        # What posix_spawn() starts has them ignored, and the C library lets nobody change that.
        LIBC.syscall(RT_SIGACTION.get(platform.machine(), -1), number, ctypes.create_string_buffer(64), None, 8)
    for number in signal.valid_signals():
        if signal.getsignal(number) == signal.SIG_IGN and number not in IGNORED_BY_PYTHON:
            signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def handle_unless_ignored(numbers, handler):
    """Installs a handler after default_signals(), except for signals that were ignored at the start."""
    for number in numbers:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, handler)


# Held for as long as this process lives: see reserve().
_reservations = []


def reserve(port):
    """Whether the port is ours against other programs like this one.

    A port that nobody listens at is not free for all that: an ensemble's server listens at its
    quorum port only while it leads, and at none while it is killed. So each port is reserved by a
    socket of that name, which leaves no file and goes with its process.
    """
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0zksync-port-{port}")
    except OSError:
        mark.close()
        return False
    _reservations.append(mark)
    return True


def free_ports(count):
    """Free ports below the range from which the kernel takes ports for outgoing connections.

    Binding port 0 would give one inside that range. While such a port's server is dead, a client
    that keeps trying to connect to it can be given the very same port as its own and then talks
    to itself, and the server cannot be restarted.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as stream:
        low = int(stream.read().split()[0])
    candidates = range(10240, low) if low > 12000 else range(61000, 65500)
    found = []
    for port in random.sample(candidates, len(candidates)):
        if not reserve(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise Failure("there are not enough free ports on 127.0.0.1")


def spawn(command, death_signal=signal.SIGKILL, **options):
    """Start a child that the kernel ends when this process dies, however it dies."""
    parent = os.getpid()

    def prepare():
        LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)

    return subprocess.Popen(command, preexec_fn=prepare, **options)


def end(process):
    """Kill a child that has no state worth keeping, and reap it."""
    if process is not None and process.poll() is None:
        process.kill()
        process.wait()


def proxy_url(text):
    """The URL of the HTTP API of a Toxiproxy that is named by host:port, with or without http://."""
    return (text if "://" in text else "http://" + text).rstrip("/")


class Proxies:
    """Toxiproxy with one proxy for each server, or nothing where there is no Toxiproxy."""

    def __init__(self):
        self.url = None
        self.process = None
        self.names = []
        self.addresses = []

    def begin(self, folder, targets):
        # Inside the environment of another ensemble, TOXIPROXY is that ensemble's own.
        given = os.environ.get("TOXIPROXY") if "ZKSYNC_ENSEMBLE" not in os.environ else None
        program = None if given else find_toxiproxy()
        if given:
            self.url = proxy_url(given)
            try:
                self.call("GET", "/version")
            except Failure as error:
                self.url = None
                say(f"no Toxiproxy at TOXIPROXY={given} ({error}); tests that need one are skipped")
        elif program is None:
            say("no toxiproxy-server found (tools/setup check installs it); tests that need one are skipped")
        else:
            self.launch(program, folder)
        for number, target in enumerate(targets if self.url else [], 1):
            self.add(number, target)

    def add(self, number, target):
        """A proxy with a name that no other ensemble uses, since a Toxiproxy can be shared."""
        name = f"zksync-{uuid.uuid4().hex[:16]}-{number}"
        host = urllib.parse.urlsplit(self.url).hostname or "localhost"
        local = host == "localhost" or host.startswith("127.") or host == "::1"
        for attempt in range(1, PORT_ATTEMPTS + 1):
            # On another host a port that is free here may be taken.
            port = free_ports(1)[0]
            try:
                self.call("POST", "/proxies", {"name": name, "enabled": True, "upstream": target,
                                               "listen": f"{'127.0.0.1' if local else '0.0.0.0'}:{port}"})
                break
            except Failure:
                if attempt == PORT_ATTEMPTS:
                    raise
        self.names.append(name)
        self.addresses.append(f"{'127.0.0.1' if local else host}:{port}")

    def launch(self, program, folder):
        port = free_ports(1)[0]
        with open(os.path.join(folder, "proxy.log"), "ab") as log:
            self.process = spawn([program, "-host", "127.0.0.1", "-port", str(port)],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
        self.url = f"http://127.0.0.1:{port}"
        limit = time.monotonic() + READY_LIMIT
        while self.process.poll() is None and time.monotonic() < limit:
            try:
                self.call("GET", "/version")
                return
            except Failure:
                time.sleep(POLL_INTERVAL)
        raise Died(f"{program} did not start")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode("utf-8")
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        # A proxy for the web that the environment names is not for it.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            raise Failure(f"{method} {self.url}{path}: {error.code} "
                          f"{error.read().decode('utf-8', 'replace').strip()}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Failure(f"{method} {self.url}{path}: {error}") from None

    def end(self):
        if self.process is None:
            for name in self.names:
                with contextlib.suppress(Failure):
                    self.call("DELETE", f"/proxies/{name}")
        end(self.process)


def find_toxiproxy():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cached = os.path.join(cache, "zksync", f"toxiproxy-v{TOXIPROXY_VERSION}", "toxiproxy-server")
    for candidate in (os.environ.get("TOXIPROXY_SERVER"), cached):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    return shutil.which("toxiproxy-server")
