"""The faults, each as a generator that yields for how many seconds, or until what, it goes on as it is.

What a fault has done is undone when it is closed, wherever it is then.
"""

import contextlib


@contextlib.contextmanager
def busy(process):
    process.busy = True
    try:
        yield
    finally:
        process.busy = False


def duration(world, r):
    """Short, about as long as the servers take to notice, or longer."""
    notice = world.notice_s
    return r.choice([r.uniform(0.1, 0.8), r.uniform(0.8, 1.3) * notice, notice + r.uniform(0.5, 4.0)])


def some(r, processes):
    well = [process for process in processes if process.well]
    return r.choice(well) if well else None


def leader_or_any(world, r):
    leader = world.leader()
    return leader if leader is not None and leader.well else some(r, world.servers)


# ---- Servers ----

def stopped(process, seconds):
    with busy(process):
        try:
            process.pause()
            yield seconds
        finally:
            process.resume()


def stop_leader(world, r):
    server = leader_or_any(world, r)
    if server:
        yield from stopped(server, duration(world, r))


def stop_leader_until_another_leads(world, r):
    """The one that wakes up does not know yet that it leads no more."""
    until = world.now() + 4 * world.notice_s
    yield lambda: world.now() > until or world.leader() is not None
    server = leader_or_any(world, r)
    if server:
        with busy(server):
            try:
                server.pause()
                until = world.now() + 4 * world.notice_s
                yield lambda: world.now() > until or world.leader(server) is not None
                world.deposed += world.leader(server) is not None
                yield r.uniform(0.0, world.profile.after_s)
            finally:
                server.resume()


def stop_follower(world, r):
    server = some(r, [s for s in world.servers if s is not world.leader()])
    if server:
        yield from stopped(server, duration(world, r))


def stutter(world, r):
    """A server or a participant that stands still for moments, again and again."""
    process = some(r, [*world.servers, *world.participants])
    if process:
        with busy(process):
            try:
                for _ in range(r.randrange(5, 25)):
                    process.pause()
                    yield r.uniform(0.02, 0.3)
                    process.resume()
                    yield r.uniform(0.01, 0.1)
            finally:
                process.resume()


def killed(world, process, seconds):
    with busy(process):
        try:
            process.kill()
            yield seconds
        finally:
            if not world.over:
                process.start()
        yield from served(world, process)


def served(world, process):
    """Until a server serves again, if it is one. While it takes over the leader's tree ZooKeeper 3.8.0 does not survive
    a kill with an unharmed tree (ZOOKEEPER-4643, ZOOKEEPER-4646)."""
    if process in world.servers:
        until = world.now() + 20.0
        yield lambda: world.now() > until or world.serves(process)


def kill_leader(world, r):
    server = leader_or_any(world, r)
    if server:
        yield from killed(world, server, duration(world, r))


def kill_server(world, r):
    server = some(r, world.facts(world.servers))
    if server:
        yield from killed(world, server, duration(world, r))


def rolling_restart(world, r):
    for server in r.sample(world.servers, len(world.servers)):
        if server.well:
            with busy(server):
                server.terminate()
                yield lambda s=server: not s.alive
                server.start()
                yield from served(world, server)


def slow_disk(world, r):
    server = r.choice([leader_or_any(world, r), some(r, world.servers)])
    if server:
        delay = r.choice([0.02, 0.1, 0.4, 1.5])
        world.tell(f"slow disk of {server.name}: {delay} s")
        try:
            server.slow_disk(delay)
            yield duration(world, r) + 2.0
        finally:
            server.slow_disk(0.0)


def full_disk(world, r):
    """A server that cannot write ends; it is started again when there is room."""
    server = r.choice([leader_or_any(world, r), some(r, world.servers)])
    if server:
        with busy(server):
            try:
                server.fill_disk()
                server.ended = True
                until = world.now() + 6.0
                yield lambda: world.now() > until or not server.alive
                yield r.uniform(0.0, 2.0)
            finally:
                server.empty_disk()
                if not server.alive and not world.over:
                    server.start()
            yield from served(world, server)


# ---- The network ----

def cut(world, pairs, seconds, what):
    world.tell(f"cut {what}")
    try:
        world.network.cut(pairs)
        yield seconds
    finally:
        world.network.mend(pairs)
        world.tell(f"mended {what}")


def between(ones, others, direction):
    """The pairs of addresses: "both" ways, "from" the ones or "to" them."""
    there = [(a.address, b.address) for a in ones for b in others]
    back = [(b, a) for a, b in there]
    return {"both": there + back, "from": there, "to": back}[direction]


def isolate_server(world, r, server=None, direction=None):
    """From the other servers; its clients still reach it."""
    server = server or r.choice([leader_or_any(world, r), some(r, world.servers)])
    if server:
        others = [s for s in world.servers if s is not server]
        direction = direction or r.choice(["both", "from", "to"])
        yield from cut(world, between([server], others, direction), duration(world, r),
                       f"{server.name} from the servers ({direction})")


def isolate_leader(world, r):
    yield from isolate_server(world, r, world.leader(), "both")


def isolate_follower(world, r):
    server = some(r, [s for s in world.servers if s is not world.leader()])
    if server:
        others = [s for s in world.servers if s is not server]
        yield from cut(world, between([server], others, "both"), world.notice_s + 1.0,
                       f"{server.name} from the servers (both)")


def split(world, r):
    servers = r.sample(world.servers, len(world.servers))
    ones, others = servers[:2], servers[2:]
    yield from cut(world, between(ones, others, "both"), duration(world, r),
                   " ".join(s.name for s in ones) + " from the other servers (both)")


def cut_link(world, r):
    one, other = r.sample(world.servers, 2)
    direction = r.choice(["both", "from"])
    yield from cut(world, between([one], [other], direction), duration(world, r),
                   f"{one.name} from {other.name} ({direction})")


def cut_participants(world, r):
    """The hosts of some participants from some or all servers."""
    participant = r.choice(world.participants)
    count = r.choice([1, 2, 3, len(world.servers), len(world.servers)])
    servers = r.sample(world.servers, count)
    direction = r.choice(["both", "from", "to"])
    yield from cut(world, between([participant], servers, direction), r.uniform(0.3, 9.0),
                   f"{participant.host} from {' '.join(s.name for s in servers)} ({direction})")


# ---- Participants ----

def stop_participant(world, r):
    participant = some(r, world.participants)
    if participant:
        yield from stopped(participant, r.choice([r.uniform(0.1, 1.5), r.uniform(1.5, 9.0)]))


def kill_participant(world, r):
    participant = some(r, world.participants)
    if participant:
        yield from killed(world, participant, r.choice([0.0, r.uniform(0.1, 6.0)]))


SERVERS = {stop_leader: 2, stop_leader_until_another_leads: 4, stop_follower: 2, stutter: 2, kill_leader: 2,
           kill_server: 2, rolling_restart: 1, slow_disk: 2, full_disk: 1}
NETWORK = {isolate_server: 4, isolate_leader: 2, split: 2, cut_link: 1}
PARTICIPANTS = {cut_participants: 4, stop_participant: 3, kill_participant: 3, stutter: 1}


class Profile:
    """Which faults, and how the servers and the participants are set up."""

    def __init__(self, *lanes, tick=500, sync_limits=(4, 10), sessions=(2000, 3000, 4000, 6000),
                 roles=("lock", "rw", "gate", "round"), gap=(0.2, 3.0), rates=True, count=None, after_s=1.0):
        self.lanes = lanes
        self.tick = tick
        self.sync_limits = sync_limits
        self.sessions = sessions
        self.roles = roles
        self.gap = gap
        self.after_s = after_s  # How long at most the next leader leads while the last one is stopped.
        self.rates = rates
        self.count = count  # Of faults, spread over the time; None: one after the other.


PROFILES = {
    "all": Profile(SERVERS, NETWORK, PARTICIPANTS),
    "calm": Profile(),
    "leader": Profile({stop_leader_until_another_leads: 1}, tick=1000, sync_limits=(2,),
                      sessions=(4000, 6000, 8000), count=100),
    "gate": Profile({stop_leader_until_another_leads: 1}, tick=1000, sync_limits=(2,), sessions=(8000, 12000),
                    roles=("gate",), gap=(1.0, 2.0), rates=False, after_s=2.5),
    "lag": Profile({isolate_follower: 1}, sync_limits=(12,), sessions=(2000,), gap=(1.0, 2.0),
                   roles=("lock", "rw"), rates=False),
    "participants": Profile(PARTICIPANTS, sync_limits=(4,), sessions=(2000, 3000), gap=(0.2, 1.5)),
}
