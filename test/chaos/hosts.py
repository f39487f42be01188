"""What runs on the hosts: ZooKeeper servers, and the participants whose histories are judged."""

import os
import select
import signal
import socket
import struct
import subprocess
import time

CLIENT_PORT, QUORUM_PORT, ELECTION_PORT = 2181, 2888, 3888
ZOOKEEPER_CONF = "/etc/zookeeper/conf"
JARS = ("/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar")
DISK = "192m"
ANSWER_S = 0.4  # For a question to a server that may be stopped or cut off.


def ask(addresses, word):
    """The servers' answers to one of ZooKeeper's four-letter words, of those that answer soon."""
    answers, open_sockets = {}, {}
    until = time.monotonic() + ANSWER_S
    for address in addresses:
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((address, CLIENT_PORT))
        open_sockets[connection] = address
    asked = set()
    while open_sockets and time.monotonic() < until:
        waiting = [s for s in open_sockets if s not in asked]
        readable, writable, _ = select.select([s for s in asked if s in open_sockets], waiting, [],
                                              max(0.0, until - time.monotonic()))
        for connection in [*readable, *writable]:
            try:
                if connection in asked:
                    piece = connection.recv(65536)
                    answers[open_sockets[connection]] = answers.get(open_sockets[connection], b"") + piece
                    done = not piece
                else:
                    connection.send(word.encode("ascii"))
                    asked.add(connection)
                    done = False
            except OSError:
                done = True
            if done:
                del open_sockets[connection]
                connection.close()
    for connection in open_sockets:
        connection.close()
    return {address: answer.decode("utf-8", "replace") for address, answer in answers.items()}


class Process:
    """A program on a host that can be stopped, killed and started again."""

    def __init__(self, world, name, host, address):
        self.world = world
        self.name = name
        self.host = host
        self.address = address
        self.rate = 1.0
        self.process = None
        self.paused = False
        self.busy = False      # A fault of its own is under way.
        self.ended = False     # On purpose.

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def well(self):
        return self.alive and not self.paused and not self.busy

    def faked(self):
        """The environment of a program whose clock runs at another rate."""
        if self.rate == 1.0:
            return []
        return [self.world.faketime]

    def environment(self, preload, **more):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("ZKSYNC_", "FAKETIME", "LD_"))}
        libraries = [*preload, *self.faked()]
        if libraries:
            env["LD_PRELOAD"] = ":".join(libraries)
        if self.faked():
            env["FAKETIME"] = f"+0 x{self.rate}"
        env.update(more)
        return env

    def pause(self):
        if self.alive:
            self.world.tell(f"stop {self.name}")
            self.process.send_signal(signal.SIGSTOP)
            self.paused = True

    def resume(self):
        if self.paused:
            self.paused = False
            if self.alive:
                self.process.send_signal(signal.SIGCONT)
                self.world.tell(f"continue {self.name}")

    def kill(self):
        if self.alive:
            self.ended = True
            self.process.kill()
            self.process.wait()
            self.world.tell(f"kill {self.name}")
        self.paused = False

    def terminate(self):
        if self.alive:
            self.ended = True
            self.world.tell(f"terminate {self.name}")
            self.process.terminate()


class Server(Process):
    """A ZooKeeper server, on a disk of its own that can be slow or full."""

    def __init__(self, world, number, host, address):
        super().__init__(world, f"s{number}", host, address)
        self.number = number
        self.folder = os.path.join(world.folder, self.name)
        self.data = os.path.join(self.folder, "data")
        os.makedirs(self.data)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.data], check=True)
        self.delay = os.path.join(self.folder, "delay")
        self.slow_disk(0.0)

    def slow_disk(self, seconds):
        descriptor = os.open(self.delay, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(descriptor, struct.pack("Q", int(seconds * 1e6)), 0)
        os.close(descriptor)

    def fill_disk(self):
        """Tried again, as the server may write meanwhile, and a tmpfs cannot be made smaller than its contents."""
        self.world.tell(f"full disk of {self.name}")
        for _ in range(20):
            usage = os.statvfs(self.data)
            used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
            result = subprocess.run(["mount", "-o", f"remount,size={max(used, 4096)}", self.data],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if result.returncode == 0:
                return
        raise RuntimeError(f"the disk of {self.name} cannot be filled: {result.stdout.strip()}")

    def empty_disk(self):
        subprocess.run(["mount", "-o", f"remount,size={DISK}", self.data], check=True)

    def configure(self, servers, tick, sync_limit):
        with open(os.path.join(self.data, "myid"), "w", encoding="ascii") as file:
            file.write(f"{self.number}\n")
        lines = [f"dataDir={self.data}", f"tickTime={tick}", "initLimit=20", f"syncLimit={sync_limit}",
                 f"clientPort={CLIENT_PORT}", "maxClientCnxns=0", "4lw.commands.whitelist=*",
                 "admin.enableServer=false"]
        lines += [f"server.{s.number}={s.address}:{QUORUM_PORT}:{ELECTION_PORT}" for s in servers]
        with open(os.path.join(self.folder, "zoo.cfg"), "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")

    def start(self):
        command = [
            "java", "-Xmx96m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            "-XX:-UsePerfData", f"-Djava.io.tmpdir={self.folder}", "-Djava.net.preferIPv4Stack=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-Dzookeeper.jmx.log4j.disable=true",
            "-Dzookeeper.extendedTypesEnabled=true", "-Dzookeeper.preAllocSize=64",
            "-Dzookeeper.cnxTimeout=500", "-Dznode.container.checkIntervalMs=5000",
            "-cp", ":".join([ZOOKEEPER_CONF, *JARS]),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", os.path.join(self.folder, "zoo.cfg")]
        self.ended = self.paused = False
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = self.world.network.spawn(
                self.host, command, stdout=log, stderr=log, cwd=self.folder,
                env=self.environment([self.world.program("slow_disk.so")], ZKSYNC_SLOW_DISK=self.delay))
        self.world.tell(f"start {self.name}")

    def log_tail(self, lines=15):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()[-lines:]


class Participant(Process):
    """A client process, whose history goes on over its restarts in further files."""

    def __init__(self, world, name, host, address, session_ms):
        super().__init__(world, name, host, address)
        self.session_ms = session_ms
        self.starts = 0

    def idle(self):
        """Whether it has freed its handles, as its journal says."""
        with open(self.journal, "rb") as file:
            file.seek(max(0, os.stat(self.journal).st_size - 400))
            return b" - 0 idle\n" in file.read()

    def start(self):
        self.starts += 1
        self.ended = self.paused = False
        self.journal = os.path.join(self.world.folder, f"{self.name}-{self.starts}.log")
        peers = ",".join(f"{server.address}:{CLIENT_PORT}" for server in self.world.servers)
        with open(os.path.join(self.world.folder, f"{self.name}.err"), "ab") as err:
            self.process = self.world.network.spawn(
                self.host,
                [self.world.program("participant"), peers, self.journal, self.name, str(self.rate),
                 str(self.session_ms), str(self.world.members),
                 str(self.world.seed * 1000 + self.starts * 100 + int(self.name[1:])), *self.world.roles],
                stdout=err, stderr=err,
                env=self.environment([], LD_LIBRARY_PATH=self.world.library, **self.world.sanitizer()))
        self.world.tell(f"start {self.name}")
