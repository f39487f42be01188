"""One run, inside namespaces of its own: the hosts, the faults, what is awaited at the end, and the judge.

This is process 1 of a process namespace, so nothing that it starts outlives it; nor do the mounts and the networks.
"""

import glob
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import faults
from hosts import Participant, Server, ask
from network import Network

FOLDER = "/run/chaos"
HOSTS = 3
PARTICIPANTS = 6
MEMBERS = 3  # Of a round.
STEP_S = 0.05
READY_S, PROGRESS_S, END_S, GONE_S, SETTLED_S = 120.0, 120.0, 60.0, 60.0, 20.0
LOOK_EVERY_S, TELL_EVERY_S = 15.0, 60.0
DONE = ("0", "ZKS_EEXIST", "ZKS_ENOENT")


class Limit:
    """A limit of some seconds, by a clock that slows down while the machine is overloaded, to a quarter at most."""

    def __init__(self, seconds):
        self.left = seconds
        self.last = time.monotonic()

    def over(self):
        now = time.monotonic()
        self.left -= (now - self.last) / min(4.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
        self.last = now
        return self.left < 0


class Interrupted(Exception):
    """A signal asked for the end."""


class World:
    def __init__(self, options):
        self.options = options
        self.seed = options.seed
        self.profile = faults.PROFILES[options.profile]
        self.roles = options.roles.split(",") if options.roles else self.profile.roles
        self.members = MEMBERS
        self.folder = FOLDER
        self.library = options.library or options.build
        self.faketime = (glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") or [None])[0]
        self.over = False
        self.diverged = ""
        self.counts = {}
        self.deposed = 0  # Leaders that stood still until another one led.
        self.wrong = []  # What was found without the judge.
        self.began = time.monotonic()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        os.makedirs(self.folder)
        self.log = open(os.path.join(self.folder, "world.txt"), "w", encoding="utf-8", buffering=1)
        self.draw_setting(random.Random(f"{self.seed} setting"))
        self.network = Network()
        self.servers = [Server(self, n, f"server{n}", self.network.add(f"server{n}")) for n in range(1, 6)]
        hosts = {f"host{n}": self.network.add(f"host{n}") for n in range(1, HOSTS + 1)}
        self.participants = [
            Participant(self, f"p{n}", f"host{n % HOSTS + 1}", hosts[f"host{n % HOSTS + 1}"],
                        self.sessions.choice(self.profile.sessions)) for n in range(1, PARTICIPANTS + 1)]
        self.draw_rates(random.Random(f"{self.seed} rates"))

    def draw_setting(self, r):
        self.tick = self.profile.tick
        self.sync_limit = r.choice(self.profile.sync_limits)
        self.notice_s = self.tick * self.sync_limit / 1000.0
        self.sessions = r

    def draw_rates(self, r):
        """Clocks that differ by 1.4 % at most: the lease allows for 2 %."""
        for process in [*self.servers, *self.participants]:
            rate = r.choice([1.0, 0.993, 0.997, 1.003, 1.007])
            if self.profile.rates and self.faketime:
                process.rate = rate

    # ---- What hosts and faults ask for ----

    def program(self, name):
        return os.path.join(self.options.build, "test", "chaos", name)

    def sanitizer(self):
        return {name: value for name, value in os.environ.items() if re.match(r"\w+SAN_OPTIONS$", name)}

    def tell(self, text):
        self.log.write(f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME)} {text}\n")

    @staticmethod
    def now():
        return time.monotonic()

    def facts(self, servers):
        addresses = {server.address: server for server in servers if server.alive and not server.paused}
        found = {}
        for address, text in ask(addresses, "srvr").items():
            mode = re.search(r"^Mode: (\w+)", text, re.M)
            zxid = re.search(r"^Zxid: (0x[0-9a-f]+)", text, re.M)
            if mode and zxid:
                found[addresses[address]] = (mode.group(1), int(zxid.group(1), 16))
        return found

    def serves(self, server):
        return server in self.facts([server])

    def leader(self, other_than=None):
        """The server that leads; of two that believe it, the one of the later epoch."""
        servers = [server for server in self.servers if server is not other_than]
        leaders = [(zxid, server.number, server) for server, (mode, zxid) in self.facts(servers).items()
                   if mode == "leader"]
        return max(leaders)[2] if leaders else None

    # ---- The parts of a run ----

    def await_true(self, condition, seconds, what):
        limit = Limit(seconds)
        while not condition():
            if limit.over():
                self.wrong.append(f"{what}: not within {seconds:.0f} s")
                return False
            self.keep_up()
            time.sleep(STEP_S)
        return True

    def start(self):
        for server in self.servers:
            server.configure(self.servers, self.tick, self.sync_limit)
            server.start()
        if not self.await_true(lambda: len(self.facts(self.servers)) == len(self.servers), READY_S,
                               "five servers serve"):
            return False
        for participant in self.participants:
            participant.start()
        return True

    def keep_up(self):
        """Starts what has ended without a fault of ours; a participant must not."""
        for process in [*self.servers, *self.participants]:
            if process.process is None or process.alive or process.busy or process.ended:
                continue
            code = process.process.returncode
            self.tell(f"{process.name} has ended: {code}")
            if process in self.participants:
                self.wrong.append(f"{process.name} has ended with {code}")
            process.start()

    def lane(self, name, table):
        """One fault after the other, as the seed has it."""
        r = random.Random(f"{self.seed} {name}")
        kinds, weights = list(table), list(table.values())
        count, seconds = self.profile.count, self.options.seconds
        number = 0
        while count is None or number < count:
            if count is None:
                yield r.uniform(*self.profile.gap)
            else:
                at = self.began + seconds * number / count
                yield lambda t=at: self.now() >= t
            number += 1
            kind = r.choices(kinds, weights)[0]
            self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1
            yield from kind(self, random.Random(f"{self.seed} {name} {number}"))

    def trouble(self):
        """Lets the faults happen for as long as was asked for."""
        lanes = [[self.lane(f"lane {n}", table), 0.0, None] for n, table in enumerate(self.profile.lanes)]
        self.began = self.now()
        until = self.began + self.options.seconds
        look_at, tell_at = self.began + LOOK_EVERY_S, self.began + TELL_EVERY_S
        try:
            # With a number of faults all of them happen, however long they take.
            while self.now() < until or (self.profile.count and lanes):
                for lane in list(lanes):
                    self.advance(lane, lanes)
                self.keep_up()
                if self.options.until_found and self.now() > look_at:
                    if self.judge(live=True).returncode == 1:
                        break
                    look_at = self.now() + LOOK_EVERY_S
                if self.now() > tell_at:
                    print(f"# {self.now() - self.began:.0f} s: {sum(self.counts.values())} faults", flush=True)
                    tell_at = self.now() + TELL_EVERY_S
                time.sleep(STEP_S)
        finally:
            for lane, _, _ in lanes:
                lane.close()
        self.seconds = self.now() - self.began

    def advance(self, lane, lanes):
        generator, at, condition = lane
        if (condition is not None and not condition()) or self.now() < at:
            return
        try:
            wish = next(generator)
        except StopIteration:
            lanes.remove(lane)
            return
        lane[1], lane[2] = (0.0, wish) if callable(wish) else (self.now() + wish, None)

    def await_progress(self):
        """Everybody can do everything again, once the faults are over."""
        for process in [*self.servers, *self.participants]:
            process.resume()
            if not process.alive:
                process.start()
        since = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.tell("the faults are over")
        missing = {(p.name, role): p for p in self.participants for role in self.roles}

        def all_done():
            for (name, role), participant in list(missing.items()):
                if succeeded(participant.journal, role, since):
                    del missing[name, role]
            return not missing

        if not self.await_true(all_done, PROGRESS_S, "progress of everybody"):
            self.wrong.append("no progress: " + ", ".join(f"{name} {role}" for name, role in sorted(missing)))

    def end(self):
        """The participants free their handles, and then close their clients; neither may leave anything."""
        self.over = True
        for participant in self.participants:
            participant.terminate()
        self.await_true(lambda: all(not p.alive or p.idle() for p in self.participants), END_S,
                        "the participants become idle")
        if not self.await_true(lambda: self.count("zk_watch_count") == 0, GONE_S, "no watch is left"):
            self.wrong.append(f"{self.count('zk_watch_count')} watches are left")
        for participant in self.participants:
            participant.terminate()
        self.await_true(lambda: not any(p.alive for p in self.participants), END_S, "the participants end")
        for participant in self.participants:
            if participant.process.poll() not in (0, None):
                self.wrong.append(f"{participant.name} has ended with {participant.process.returncode}")
        self.await_true(self.without_ephemerals, GONE_S, "no ephemeral znode is left")
        self.compare()
        for server in self.servers:
            server.kill()

    def count(self, name):
        """The sum of what all servers count; None where one does not answer."""
        answers = ask([server.address for server in self.servers], "mntr").values()
        counts = [re.search(rf"^{name}\t(\d+)", text, re.M) for text in answers]
        return sum(int(c.group(1)) for c in counts) if all(counts) and len(counts) == len(self.servers) else None

    def without_ephemerals(self):
        """Whether the leader has none, but for those of sessions that it does not know: its own fault."""
        leader = self.leader()
        text = ask([leader.address], "dump").get(leader.address, "") if leader else ""
        if "ephemeral nodes dump:" not in text:
            return False
        sessions, owners = (set(re.findall(r"^\s*(0x[0-9a-f]+)", part, re.M))
                            for part in text.split("Connections dump:")[0].split("ephemeral nodes dump:"))
        if owners and not owners & sessions:
            self.diverged = f"{len(owners)} sessions that {leader.name} does not know own ephemeral znodes"
        return not owners & sessions

    def compare(self):
        """Finds out whether the servers' trees differ when only containers are still reaped."""
        limit = Limit(SETTLED_S)
        while not self.diverged:
            answers = ask([server.address for server in self.servers], "mntr").values()
            counts = sorted({c for text in answers for c in re.findall(r"^zk_znode_count\t(\d+)", text, re.M)})
            if len(counts) == 1:
                return
            if limit.over():
                self.diverged = f"the servers count {', '.join(counts)} znodes"
            time.sleep(STEP_S)

    def suspect(self):
        """The servers that have found a difference of the digests of their trees, which need not last."""
        found = []
        for server in self.servers:
            with open(os.path.join(server.folder, "log"), encoding="utf-8", errors="replace") as file:
                if "Digests are not matching" in file.read():
                    found.append(server.name)
        return found

    def judge(self, live=False):
        return subprocess.run([self.options.judge, *(["-live"] if live else []), self.folder],
                              stdout=subprocess.PIPE, text=True, check=False)

    def keep_evidence(self):
        """The histories and the servers' logs."""
        place = self.options.evidence
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
        for path in glob.glob(os.path.join(self.folder, "*.*")):
            shutil.copy(path, place)
        for server in self.servers:
            log = os.path.join(server.folder, "log")
            if os.path.exists(log):
                shutil.copy(log, os.path.join(place, f"{server.name}.servers"))
        return place


def succeeded(journal, role, since):
    """Whether the role has done something after that time."""
    try:
        with open(journal, encoding="ascii") as file:
            lines = file.read().splitlines()
    except OSError:
        return False
    for line in reversed(lines):
        at, who, _, event, *values = line.split(" ")
        if int(at) < since:
            return False
        if who == role and event == "ret" and values[1][3:] in DONE:
            return True
    return False


class Tap:
    """What run prints: the Test Anything Protocol."""

    def __init__(self):
        self.number = 0
        self.failed = 0

    def test(self, passed, name, lines=(), excuse=""):
        """What has failed is skipped where there is an excuse."""
        self.number += 1
        self.failed += not passed and not excuse
        for line in lines:
            print(f"# {line}")
        skip = f" # SKIP {excuse}" if excuse and not passed else ""
        print(f"{'' if passed or skip else 'not '}ok {self.number} - {name}{skip}", flush=True)


def report(world, verdict):
    """Prints the results; gives the exit code."""
    text = verdict.stdout.splitlines()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = ", ".join(f"{name} {count}" for name, count in sorted(world.counts.items())) or "none"
    print("1..2")
    print(f"#: seed {world.seed}, {world.options.profile}, {world.seconds:.0f} s, tick {world.tick} ms, "
          f"syncLimit {world.sync_limit}, {used.ru_utime + used.ru_stime:.0f} s of CPU"
          f"{'' if world.faketime else ', without libfaketime'}")
    print(f"#: faults: {told}{f'; {world.deposed} leaders deposed' if world.deposed else ''}")
    for line in text[-1:]:
        print(f"#: {line}")
    differing = f"the servers' own trees differ: {world.diverged}" if world.diverged else ""
    if differing or world.suspect():
        print(f"#: faults of ZooKeeper's: {differing or 'digests of trees differed on ' + ' '.join(world.suspect())}")
    tap = Tap()
    tap.test(verdict.returncode == 0, "no participant has seen anything wrong", text[:-1], differing)
    tap.test(not world.wrong, "everybody goes on after the faults, and nothing is left", world.wrong, differing)
    if tap.failed or verdict.returncode != 0 or world.wrong:
        print(f"# the histories are in {world.keep_evidence()}")
        print(f"# again: test/chaos/run --profile {world.options.profile} --seconds {world.options.seconds} "
              f"--seed {world.seed}")
    elif world.options.keep:
        print(f"# the histories are in {world.keep_evidence()}")
    return 1 if tap.failed else 0


def interrupted(*_):
    raise Interrupted


def main(options):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        world = World(options)
        if not world.start():
            for server in world.servers:
                print(f"# {server.name}:", *server.log_tail(), sep="\n# ")
            print("1..1\nnot ok 1 - five servers serve")
            return 1
        world.trouble()
        if not options.until_found:
            world.await_progress()
        world.end()
        return report(world, world.judge())
    except Interrupted:
        print("# interrupted", file=sys.stderr)
        return 130
