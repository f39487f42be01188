#!/usr/bin/python3 -B
"""zksync status, ls, watch, break, ping and barrier: what they say of what is there, also
where others have written it, and what they do about it."""

import contextlib
import json
import os
import pty
import pwd
import re
import signal
import socket
import subprocess
import unicodedata

from kazoo.exceptions import NotEmptyError
from kazoo.security import make_acl

from harness import DIRECT, SHORT, Case, SERVERS, ZKSYNC, Run, alive, await_true, keeper_of, main
from leftovers import LOCAL, Leftovers

UUID = "0123456789abcdef0123456789abcdef"
ESCAPES = "\x1b[31mred\x1b]0;title\x07\x9b2J\x85\x7f\r\b"

# What others may have written.  All of it is data of znodes that look like ours.
STRANGE = [
    b"", b"\0", b"\0\0\0host", bytes(range(256)), b"\xff\xfe\xfd", b"\x80\x9b31m\x9d\x07", b"\xc2",
    b"caf\xe9", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x9b", b"\xe0\x82\x9b",
    ESCAPES.encode(), "\u0085\u009b31m\u202e".encode(), b"plain words", b"%s%n%s%n%d", b"\n\n\n{}\n",
    b"x" * 100_000, b"[" * 100_000, "é".encode() * 50_000, b"x" + "é".encode() * 100,
    b"xx" + "\u20ac".encode() * 100, b"null", b"true", b"1e999", b"[]", b"{}", b"{\"host\":", b"\"host\"",
    b'{"v":1,"host":"h\xff\x9b31m","pid":1,"user":"\xc3","identity":"\xe2\x82"}',
    json.dumps({"host": ESCAPES, "pid": 7, "user": ESCAPES, "identity": ESCAPES}).encode(),
    json.dumps({"host": ESCAPES, "pid": 7}, ensure_ascii=False).encode(),
    b'{"host":"a","pid":1e999,"started_ms":-1e999}', b'{"host":"a","pid":1e308,"started_ms":1e-308}',
    b'{"host":"a","pid":-1.5}', b'{"host":"a","pid":99999999999999999999999999}',
    b'{"host":1,"pid":"2","user":null,"identity":[1],"reason":{"a":1},"started_ms":false}',
    b'{"host":"a","host":"b","pid":1,"pid":2}', b'{"host":"\\u0000","pid":1}',
    b'{"host":"\\ud800","pid":1}', b'{"host":"\\ud83d\\ude00","pid":1}',
    b'{"node":"n","mode":"m","holds":7,"token":"t","session":[],"event":"free","path":"/","host":"h"}',
    b'{"host":"' + b"h" * 100_000 + b'","pid":3,"reason":"' + b"\\u001b" * 1000 + b'"}',
    b'{"host":"x' + "é".encode() * 300 + b'","pid":3}',
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
]

# Names that servers allow.
NAMES = ["a b", "$(touch x)", "`x`", "quote\"d", "it's", "back\\slash", "%s%n", "*", "-x", "--all", "é€",
         "a=b", "a:b", "a;b&c|d", "~", "#", "\u202eabc", "{a,b}", "n" * 200, "read-", "write-x", "_c_",
         f"_c_{UUID}-write-", f"id-{UUID}-x-0000000000", "0000000000", "Ready", "[a]", "<a>", "a?b", "!"]


def parse(raw):
    """What a program that takes JSON as it is specified makes of it."""
    def refuse(constant):
        raise ValueError(constant)
    return json.loads(raw.decode("utf-8", "strict"), parse_constant=refuse)


def complete_lines(run):
    """The JSON objects that have come so far."""
    return [parse(line) for line in run.raw_lines()]


class Watch(Run):
    def raw_lines(self):
        self.pump()
        return self.text["stdout"].split(b"\n")[:-1]


class Looks(Case):
    def foreign(self, name, data=b"", path=None):
        """A znode as others may have made it."""
        self.outside.create(f"{path or self.path}/{name}", data, makepath=True)

    def status(self, path=None, code=0):
        result = self.zksync("status", "--json", path or self.path)
        self.assertEqual((result.code, result.err), (code, ""))
        self.assertEqual((result.raw.count(b"\n"), result.raw[-1:]), (1, b"\n"))
        return parse(result.raw)

    def assert_clean(self, raw):
        """Nothing that a terminal would obey."""
        try:
            text = raw.decode("utf-8", "strict")
        except UnicodeDecodeError as error:
            raise AssertionError(f"{raw[error.start:error.end]!r} in the output: "
                                 f"...{raw[max(error.start - 40, 0):error.end + 8]!r}") from error
        bad = {c for c in text if c != "\n" and unicodedata.category(c) == "Cc"}
        self.assertEqual(bad, set(), text[:400])

    def tell_token(self, *options, path=None):
        """Starts one whose command says its token once it runs, and runs until its input ends."""
        return self.start("lock", *options, path or self.path, "--", "sh", "-c",
                          "echo $ZKSYNC_TOKEN; cat >/dev/null", stdin=subprocess.PIPE)

    def watch(self, path=None, *options):
        run = Watch([ZKSYNC, "watch", "--json", *options, path or self.path], env=self.environment())
        self.runs.append(run)
        return run

    def await_events(self, run, count):
        def enough():
            return len(run.raw_lines()) >= count or run.ended()
        await_true(enough, f"{count} events; they are {run.text}")
        events = complete_lines(run)
        self.assertEqual(len(events), count, (events, run.err))
        return events

    @staticmethod
    def names_of(events):
        return [event["event"] for event in events]


class Status(Looks):
    REASON = 'deploys "v2" \\ é; $x'

    def test_the_reason(self):
        jobs = (self.start("lock", "--reason", self.REASON, self.path, "--", "cat", stdin=subprocess.PIPE),
                self.start("hold", f"--reason={self.REASON}", self.path))
        self.await_contenders(2)
        contenders = await_true(lambda: [c for c in self.status()["contenders"] if c.get("reason")], "it is there")
        self.assertEqual([c["reason"] for c in contenders], [self.REASON] * 2)
        lines = self.zksync("status", self.path).lines[1:]
        self.assertEqual([line.split("  reason ")[1] for line in lines], [self.REASON] * 2)
        for job in jobs:
            job.signal(signal.SIGTERM)
            job.wait()
        round_path = self.path + "/round"
        job = self.start("double-barrier", "-n", 2, "--reason", self.REASON, round_path, "true")
        await_true(lambda: f"  reason {self.REASON}\n" in self.zksync("status", round_path).out, "it is there")
        job.signal(signal.SIGTERM)
        job.wait()
        for words in (["lock"], ["hold"], ["double-barrier", "-n", "2"]):
            result = self.zksync(*words, "--reason", "x" * 201, self.path, *(["true"] if words[0] != "hold" else []))
            self.assertEqual(result.code, 64)
            self.assertIn("at most 200 bytes", result.err)

    def test_free(self):
        result = self.zksync("status", self.path)
        self.assertEqual((result.code, result.out, result.err), (1, f"{self.path}: free\n", ""))
        self.assertEqual(self.status(code=1), {"path": self.path, "kind": "free", "held": False})
        self.foreign("a")
        self.assertEqual(self.status(code=1), {"path": self.path, "kind": "folder", "held": False})
        self.assertEqual(self.zksync("lock", self.path + "/b", "true").code, 0)
        self.assertEqual(self.status(self.path + "/b", code=1)["kind"], "free")

    def test_agrees_with_what_runs(self):
        runs = []
        for i, mode in enumerate(["-s", "-s", "-x", "-s", "-x"]):
            runs.append(self.tell_token(mode))
            self.await_contenders(i + 1)
            if i < 2:
                runs[i].await_out("\n")
        view = self.status()
        self.assertEqual((view["path"], view["kind"], view["held"]), (self.path, "lock", True))
        people = view["contenders"]
        self.assertEqual([c["pid"] for c in people], [run.pid for run in runs])
        self.assertEqual([c["mode"] for c in people], ["read", "read", "write", "read", "write"])
        self.assertEqual([c["holds"] for c in people], [True, True, False, False, False])
        self.assertEqual([c["node"] for c in people], self.contenders())
        self.assertEqual([c["token"] for c in people[:2]], [int(run.out) for run in runs[:2]])
        user = pwd.getpwuid(os.getuid()).pw_name
        for c in people:
            meta = self.outside.exists(f"{self.path}/{c['node']}")
            self.assertEqual((c["token"], c["since_ms"]), (meta.czxid, meta.ctime))
            self.assertEqual(int(c["session"], 16), meta.ephemeralOwner)
            self.assertEqual((c["host"], c["user"], c["identity"]), (socket.gethostname(), user, "sh"))
            self.assertLessEqual(c["started_ms"], c["since_ms"])
            self.assertGreaterEqual(c["age_ms"], 0)
        text = self.zksync("status", self.path)
        self.assertEqual((text.code, text.err, len(text.lines)), (0, "", 6))
        self.assertIn("held by 2, 3 waiting", text.lines[0])
        for line, c in zip(text.lines[1:], people):
            for what in ("holds" if c["holds"] else "waits", c["mode"], f"{c['host']}:{c['pid']} ",
                         f"token {c['token']} ", c["node"]):
                self.assertIn(what, line)
        # The queue moves on, and what is said with it.
        self.release(runs[0])
        self.release(runs[1])
        runs[2].await_out("\n")
        people = self.status()["contenders"]
        self.assertEqual([(c["pid"], c["holds"]) for c in people],
                         [(runs[2].pid, True), (runs[3].pid, False), (runs[4].pid, False)])
        self.assertEqual(people[0]["token"], int(runs[2].out))
        for run in runs[2:]:
            self.release(run)
        self.assertEqual(self.status(code=1)["kind"], "free")

    def test_who_holds_without_a_command(self):
        run = self.start("hold", "-v", "-s", self.path, stdin=subprocess.PIPE)
        run.await_err(": held, token ")
        (holder,) = self.status()["contenders"]
        self.assertEqual((holder["pid"], holder["identity"], holder["mode"], holder["holds"]),
                         (run.pid, "hold", "read", True))
        self.assertIn(f": held, token {holder['token']}", run.err)
        self.release(run)

    def test_barrier(self):
        setter = self.start("barrier", "set", self.path)
        self.assertEqual(setter.wait(), 0, setter.err)
        view = self.status()
        self.assertEqual((view["kind"], view["held"], view["pid"]), ("barrier", True, setter.pid))
        self.assertEqual(view["since_ms"], self.outside.exists(self.path).ctime)
        self.assertIn(f": barrier, set by {socket.gethostname()}:{setter.pid} ",
                      self.zksync("status", self.path).out)
        self.assertEqual(self.zksync("barrier", "unset", self.path).code, 0)
        self.assertEqual(self.status(code=1)["kind"], "free")

    def test_double_barrier(self):
        ranks = []
        for i in range(2):
            ranks.append(self.start("double-barrier", "-n", 3, "--id", f"r{i}", self.path, "--", "sh",
                                    "-c", "echo in; cat >/dev/null", stdin=subprocess.PIPE))
            await_true(lambda: self.outside.exists(self.path) and
                       len(self.outside.get_children(self.path)) == len(ranks), "it waits")
        view = self.status()
        self.assertEqual((view["kind"], view["held"], view["open"]), ("double-barrier", True, False))
        people = view["participants"]
        self.assertEqual([(p["id"], p["n"], p["inside"], p["pid"], p["identity"]) for p in people],
                         [(f"r{i}", 3, False, ranks[i].pid, "sh") for i in range(2)])
        for p in people:
            meta = self.outside.exists(f"{self.path}/{p['node']}")
            self.assertEqual((int(p["session"], 16), p["since_ms"]), (meta.ephemeralOwner, meta.ctime))
        self.assertIn(": double barrier, 2 of 3, waiting\n", self.zksync("status", self.path).out)
        ranks.append(self.start("double-barrier", "-n", 3, "--id", "r2", self.path, "--", "sh", "-c",
                                "echo in; cat >/dev/null", stdin=subprocess.PIPE))
        for rank in ranks:
            rank.await_out("in\n")
        view = self.status()
        self.assertTrue(view["open"])
        self.assertEqual([(p["id"], p["inside"]) for p in view["participants"]],
                         [("r0", True), ("r1", True), ("r2", True)])
        text = self.zksync("status", self.path).out
        self.assertEqual(text.count("inside"), 3)
        self.assertIn(": double barrier, 3 of 3, a round is on\n", text)
        for rank in ranks:
            rank.process.stdin.close()
        for rank in ranks:
            self.assertEqual(rank.wait(), 0, rank.err)
        self.assertEqual(self.status(code=1)["kind"], "free")

    def test_who_is_inside(self):
        """The opening of a round takes the place of what its participants say; the id tells who they are."""
        run = self.start("double-barrier", "-n", 1, self.path, "-c", "echo in; cat >/dev/null",
                         stdin=subprocess.PIPE)
        run.await_out("in\n")
        (inside,) = self.status()["participants"]
        text = self.zksync("status", self.path).out
        run.process.stdin.close()
        self.assertEqual(run.wait(), 0)
        host = re.sub("[^A-Za-z0-9.-]", "_", socket.gethostname())
        self.assertRegex(inside["id"], f"^{re.escape(host)}-{run.pid}-[0-9a-f]{{16}}$")
        self.assertNotIn("pid", inside)
        self.assertIn(f"  {inside['id']}  -  since", text)

    def test_no_server(self):
        for command in (["status", "/a"], ["ls", "/a"], ["watch", "/a"], ["break", "--yes", "/a"],
                        ["ping"], ["barrier", "set", "/a"]):
            result = self.zksync("--servers", "127.0.0.1:9", "--connect-timeout", "0.3", *command)
            self.assertEqual((result.code, result.out), (69, ""), command)
            self.assertEqual(len(result.err.splitlines()), 1, result.err)


class Foreign(Looks):
    """What others have left in znodes."""

    def test_data_of_contenders(self):
        for data in STRANGE:
            self.outside.create(f"{self.path}/_c_{UUID}-read-", data, makepath=True, sequence=True)
        self.everything(len(STRANGE))
        for command in (["break", "--all", self.path],):
            result = self.zksync(*command)
            self.assertEqual(result.code, 64)
            self.assertEqual(len(result.lines), len(STRANGE))
            self.assert_clean(result.raw)
        result = self.zksync("break", "--yes", self.path)
        self.assertEqual(result.code, 0, result.err)
        self.assert_clean(result.raw)
        self.assert_nothing_left()

    def test_data_of_participants(self):
        for data in STRANGE:
            self.outside.create(f"{self.path}/id-{UUID}-64-", data, makepath=True, sequence=True)
        self.everything(len(STRANGE))

    def everything(self, count):
        """The same znodes by all that look at them."""
        view = self.status()
        key = "contenders" if view["kind"] == "lock" else "participants"
        self.assertEqual(len(view[key]), count)
        for someone in view[key]:
            for name, types in (("host", str), ("user", str), ("identity", str), ("node", str),
                                ("session", str), ("since_ms", int)):
                self.assertIsInstance(someone.get(name, types()), types)
        for command in (["status"], ["ls"], ["ls", "-r"]):
            result = self.zksync(*command, self.path)
            self.assertEqual((result.code, result.err), (0, ""))
            self.assert_clean(result.raw)
            self.assertEqual(len(result.lines), 1 + count * (command == ["status"]))
        (listed,) = parse(self.zksync("ls", "--json", self.path).raw)
        self.assertEqual([c["node"] for c in listed[key]], [c["node"] for c in view[key]])
        events = self.await_events(self.watch(), count)
        self.assertEqual([e["node"] for e in events], [c["node"] for c in view[key]])
        self.assertEqual({e["event"] for e in events}, {"acquired" if key == "contenders" else "waits"})
        self.assertEqual({e["path"] for e in events}, {self.path})
        run = Watch([ZKSYNC, "watch", self.path], env=self.environment())
        self.runs.append(run)
        await_true(lambda: len(run.raw_lines()) >= count, f"{count} lines")
        self.assertEqual(len(run.raw_lines()), count)
        self.assert_clean(b"\n".join(run.raw_lines()))

    def test_data_of_barriers(self):
        for i, data in enumerate(STRANGE):
            self.foreign(f"{i:03d}", data)
        result = self.zksync("ls", "--json", self.path)
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual([(b["kind"], b["path"]) for b in parse(result.raw)],
                         [("barrier", f"{self.path}/{i:03d}") for i in range(len(STRANGE))])
        result = self.zksync("ls", self.path)
        self.assertEqual((result.code, len(result.lines)), (0, len(STRANGE)))
        self.assert_clean(result.raw)
        evil = STRANGE.index(ESCAPES.encode())
        for which in (evil, 4, 5):
            path = f"{self.path}/{which:03d}"
            self.assertEqual(self.status(path)["kind"], "barrier")
            self.assert_clean(self.zksync("status", path).raw)
            self.assertEqual(self.names_of(self.await_events(self.watch(path), 1)), ["set"])

    def test_what_one_who_waits_is_told(self):
        for i, data in enumerate(STRANGE[3:6] + STRANGE[30:33]):
            path = f"{self.path}/{i}"
            self.foreign(f"_c_{UUID}-write-0000000000", data, path)
            read_end, write_end = os.pipe()
            run = self.start("lock", "-v", "--status-fd", write_end, path, "true", pass_fds=[write_end])
            os.close(write_end)
            run.await_err(": 1 ahead")
            self.outside.delete(f"{path}/_c_{UUID}-write-0000000000")
            self.assertEqual(run.wait(), 0, run.err)
            self.assert_clean(run.text["stderr"])
            with open(read_end, "rb") as stream:
                events = [parse(line) for line in stream.read().splitlines()]
            self.assertEqual(self.names_of(events), ["waiting", "acquired", "exited", "released"])

    def test_names(self):
        for name in NAMES:
            self.foreign(name, b"{}")
        for options in ([], ["-r"]):
            found = parse(self.zksync("ls", *options, "--json", self.path).raw)
            self.assertEqual(sorted(b["path"] for b in found),
                             sorted(f"{self.path}/{name}" for name in NAMES))
            self.assertEqual({b["kind"] for b in found}, {"barrier"})
        result = self.zksync("ls", self.path)
        self.assert_clean(result.raw)
        self.assertEqual(len(result.lines), len(NAMES))
        for name in NAMES[:12]:
            path = f"{self.path}/{name}"
            self.assertEqual(self.status(path)["path"], path)
            self.assertEqual(self.await_events(self.watch(path), 1)[0]["path"], path)

    def test_names_of_contenders(self):
        """What counts is the end of the name; whatever stands before it is shown, and can be named."""
        names = ["read-0000000001", "é $(x)-lock-read-0000000002", "%n\"\\-read-0000000003",
                 "id\" \\-" + UUID + "-write-0000000004"]
        for name in names:
            self.foreign(name)
        view = self.status()
        self.assertEqual([c["node"] for c in view["contenders"]], names)
        self.assertEqual([c["holds"] for c in view["contenders"]], [True, True, True, False])
        for name in (names[3], names[1]):
            result = self.zksync("break", "--node", name, "--yes", self.path)
            self.assertEqual((result.code, result.err), (0, ""))
            self.assertIsNone(self.outside.exists(f"{self.path}/{name}"))
        self.assertEqual([c["node"] for c in self.status()["contenders"]], [names[0], names[2]])

    def test_what_may_not_be_read(self):
        """Who stands where is known without; what is written there is not."""
        closed = [make_acl("world", "anyone", create=True, delete=True, write=True)]
        self.foreign("l", b"")
        for name, data in ((f"l/_c_{UUID}-write-0000000000", b'{"host":"h","pid":1}'), ("k", b"")):
            self.outside.create(f"{self.path}/{name}", data, acl=closed)
            self.addCleanup(self.outside.delete, f"{self.path}/{name}")
        (holder,) = self.status(self.path + "/l")["contenders"]
        self.assertTrue(holder["holds"])
        self.assertNotIn("host", holder)
        self.outside.create(f"{self.path}/z", b"")
        self.assertEqual(self.zksync("status", self.path + "/k").code, 77)
        result = self.zksync("ls", "-r", "--json", self.path)
        self.assertEqual(result.code, 0)
        self.assertIn(f"{self.path}/k", result.err)
        self.assertEqual([(v["kind"], v["path"]) for v in parse(result.raw)],
                         [("lock", f"{self.path}/l"), ("barrier", f"{self.path}/z")])


class Watching(Looks):
    def used(self):
        """A znode in which something has been: one that is new and empty looks like a barrier for a moment."""
        self.foreign("note")

    def test_the_harness_finds_what_is_left(self):
        """After every test it looks for watches and ephemeral znodes: here while there are some."""
        self.assertEqual(self.leftovers.find(), [])
        watch = self.watch()
        self.await_events(watch, 1)
        found = self.leftovers.find()
        self.assertRegex(" ".join(found), "watch")
        # Those of another place are not a test's; zksync's own server tells no places.
        self.assertEqual(Leftovers(DIRECT, self.path + "-other").find(), [])
        watch.close()
        self.assertEqual(self.left_on_servers(), [])
        holder = self.hold()
        found = self.leftovers.find()
        if not LOCAL:  # There it could be of a process that was killed.
            self.assertRegex(" ".join(found), f"{self.path}/_c_.* of session")
        self.release(holder)
        self.assertEqual(self.left_on_servers(), [])

    def test_the_life_of_a_lock(self):
        self.used()
        watch = self.watch()
        text = self.start("watch", self.path)

        def both(count):
            """Waits until both have reported so many events: two changes between two looks have no order."""
            events = self.await_events(watch, count)
            await_true(lambda: text.out.count("\n") >= count, f"{count} lines")
            return events

        self.assertEqual(self.names_of(both(1)), ["free"])
        a = self.tell_token()
        a.await_out("\n")
        both(2)
        b = self.tell_token("-s")
        both(3)
        c = self.tell_token()
        both(4)
        self.release(a)
        b.await_out("\n")
        both(6)
        self.release(b)
        c.await_out("\n")
        both(8)
        self.release(c)
        events = both(10)
        self.assertEqual([(e["event"], e.get("pid")) for e in events],
                         [("free", None), ("acquired", a.pid), ("waits", b.pid), ("waits", c.pid),
                          ("released", a.pid), ("acquired", b.pid), ("released", b.pid),
                          ("acquired", c.pid), ("released", c.pid), ("free", None)])
        self.assertEqual({e["path"] for e in events}, {self.path})
        for e in events[1:-1]:
            run = {run.pid: run for run in (a, b, c)}[e["pid"]]
            self.assertEqual((e["token"], e["mode"]), (int(run.out), "read" if run is b else "write"))
            self.assertRegex(e["time"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        lines = text.out.splitlines()
        self.assertEqual([line.split()[1] for line in lines], self.names_of(events))
        for line, e in zip(lines[1:-1], events[1:-1]):
            self.assertIn(f":{e['pid']} ", line)
            self.assertIn(f"  {e['mode']} ", line)
        for run, number in ((watch, signal.SIGTERM), (text, signal.SIGINT)):
            run.signal(number)
            self.assertEqual(run.wait(), -number)

    def test_one_who_gives_up(self):
        holder = self.hold()
        watch = self.watch()
        self.await_events(watch, 1)
        waiter = self.start("lock", self.path, "true")
        self.assertEqual(self.await_events(watch, 2)[1]["event"], "waits")
        waiter.signal(signal.SIGTERM)
        self.assertEqual(waiter.wait(), -signal.SIGTERM)
        events = self.await_events(watch, 3)
        self.assertEqual([(e["event"], e["pid"]) for e in events],
                         [("acquired", holder.pid), ("waits", waiter.pid), ("left", waiter.pid)])
        self.release(holder)
        self.assertEqual(self.names_of(self.await_events(watch, 5))[3:], ["released", "free"])

    def test_how_it_is_comes_first(self):
        runs = [self.hold(shared=True), self.hold(shared=True)]
        runs.append(self.tell_token())
        self.await_contenders(3)
        watch = self.watch()
        events = self.await_events(watch, 3)
        self.assertEqual([(e["event"], e["pid"], e["mode"]) for e in events],
                         [("acquired", runs[0].pid, "read"), ("acquired", runs[1].pid, "read"),
                          ("waits", runs[2].pid, "write")])
        for run in runs:
            self.release(run)

    def test_barrier(self):
        watch = self.watch()
        self.await_events(watch, 1)
        for _ in range(2):
            before = len(complete_lines(watch))
            setter = self.start("barrier", "set", self.path)
            self.assertEqual(setter.wait(), 0)
            event = self.await_events(watch, before + 1)[-1]
            self.assertEqual((event["event"], event["pid"], event["path"]),
                             ("set", setter.pid, self.path))
            self.assertEqual(self.zksync("barrier", "unset", self.path).code, 0)
            events = self.await_events(watch, before + 3)
            self.assertEqual(self.names_of(events[before + 1:]), ["unset", "free"])
        self.assertEqual(self.zksync("barrier", "set", self.path).code, 0)
        self.assertEqual(self.names_of(self.await_events(self.watch(), 1)), ["set"])

    def test_double_barrier(self):
        self.used()
        watch = self.watch()
        self.await_events(watch, 1)
        script = ["--", "sh", "-c", "echo in; cat >/dev/null"]
        a = self.start("double-barrier", "-n", 2, "--id", "a", self.path, *script, stdin=subprocess.PIPE)
        event = self.await_events(watch, 2)[1]
        self.assertEqual((event["event"], event["id"], event["n"], event["pid"]),
                         ("waits", "a", 2, a.pid))
        b = self.start("double-barrier", "-n", 2, "--id", "b", self.path, *script, stdin=subprocess.PIPE)
        for run in (a, b):
            run.await_out("in\n")
        # That b has waited for the round to be opened may have been seen.
        await_true(lambda: self.names_of(complete_lines(watch)).count("entered") == 2, "both entered")
        inside = [e for e in complete_lines(watch) if e["event"] == "entered"]
        self.assertEqual([(e["id"], e["inside"]) for e in inside], [("a", True), ("b", True)])
        for run in (a, b):
            run.process.stdin.close()
        for run in (a, b):
            self.assertEqual(run.wait(), 0, run.err)
        await_true(lambda: complete_lines(watch)[-1]["event"] == "free", "free at the end")
        gone = [e["id"] for e in complete_lines(watch) if e["event"] in ("released", "left")]
        self.assertEqual(sorted(gone), ["a", "b"])
        self.assertEqual(self.names_of(complete_lines(watch)).count("free"), 2)

    def test_ends_when_nobody_reads_it(self):
        for restore in (True, False):  # Without, SIGPIPE is ignored.
            for options in ([], ["--json"]):
                watch = self.start("watch", *options, self.path, restore_signals=restore)
                watch.await_out("free")
                watch.process.stdout.close()
                holder = self.hold()  # What comes and goes at once may not be seen, and nothing written.
                await_true(watch.ended, "the watch ends")
                self.assertNotEqual(watch.wait(), 0)
                self.release(holder)

    def test_output_that_cannot_be_written(self):
        for command in (["status"], ["ls"], ["watch"], ["status", "--json"], ["ls", "--json"]):
            self.outside.ensure_path(self.path + "/a")
            with open("/dev/full", "w", encoding="ascii") as full:
                result = self.zksync(*command, self.path, stdout=full)
            self.assertEqual(result.code, 71, command)
            self.assertIn("standard output", result.err)


class Break(Looks):
    STUCK = 'trap "" TERM; echo $$; while :; do sleep 1000; done'

    def stuck(self, *options):
        run = self.start("lock", "-T", 20, *options, self.path, "--", "sh", "-c", self.STUCK)
        run.await_out("\n")
        return run

    def test_frees_a_stuck_lock(self):
        a = self.stuck()
        command = int(a.out)
        b = self.tell_token()
        self.await_contenders(2)
        first, second = self.contenders()
        result = self.zksync("break", "--yes", self.path)
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertIn(f":{a.pid} ", result.out)
        self.assertNotIn(f":{b.pid} ", result.out)
        self.assertIn(f"removed {first}\n", result.out)
        b.await_out("\n")
        self.assertEqual(self.contenders(), [second])
        self.assertEqual(a.wait(), 76)
        self.assertFalse(alive(command))
        self.release(b)

    def test_needs_to_be_told(self):
        a = self.hold()
        for options in ([], ["--all"], ["--node", self.contenders()[0]]):
            result = self.zksync("break", *options, self.path)
            self.assertEqual(result.code, 64)
            self.assertIn(f":{a.pid} ", result.out)
            self.assertIn("--yes", result.err)
            self.assertEqual(len(self.contenders()), 1)
        self.release(a)

    def ask(self, answer, *options):
        """A break at a terminal, and what somebody types once asked."""
        ours, theirs = pty.openpty()
        run = self.start("break", *options, self.path, stdin=theirs)
        os.close(theirs)
        run.await_out("? [y/N] ")
        os.write(ours, answer)
        run.wait()
        os.close(ours)
        return run

    def test_asks_at_a_terminal(self):
        a = self.stuck()
        for answer in (b"n\n", b"\n", b"no\n", b"maybe\n", b"\x04", b" \n"):
            run = self.ask(answer)
            self.assertEqual(run.process.returncode, 1, answer)
            self.assertIn(f":{a.pid} ", run.out)
            self.assertIn("not done", run.err)
            self.assertEqual(len(self.contenders()), 1)
        run = self.ask(b"y\n")
        self.assertEqual((run.process.returncode, run.err), (0, ""))
        self.assertIn("removed _c_", run.out)
        self.assertEqual(a.wait(), 76)
        self.assert_nothing_left()

    def test_one_who_waits(self):
        a = self.hold()
        b = self.tell_token()
        self.await_contenders(2)
        c = self.tell_token()
        self.await_contenders(3)
        nodes = {p["pid"]: p["node"] for p in self.status()["contenders"]}
        result = self.zksync("break", "--node", nodes[b.pid], "--yes", self.path)
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertIn(f"removed {nodes[b.pid]}\n", result.out)
        self.assertNotIn(nodes[a.pid], result.out)
        self.assertNotIn(nodes[b.pid], self.contenders())
        self.assertEqual([n for n in self.contenders() if n in nodes.values()],
                         [nodes[a.pid], nodes[c.pid]])
        self.release(a)
        # Who has lost its place may queue again, behind c, or give up.
        c.await_out("\n")
        self.assertEqual(b.out, "")
        self.release(c)
        b.process.stdin.close()
        self.assertEqual(b.wait(), 0, b.err)

    def test_a_node_by_its_whole_path(self):
        a = self.stuck()
        node = f"{self.path}/{self.contenders()[0]}"
        self.assertEqual(self.zksync("break", "--node", node, "--yes", self.path).code, 0)
        self.assertEqual(a.wait(), 76)

    def test_all(self):
        a = self.stuck()
        b = self.tell_token()
        self.await_contenders(2)
        before = self.contenders()
        result = self.zksync("break", "--all", "--yes", self.path)
        self.assertEqual(result.code, 0, result.err)
        for node in before:
            self.assertIn(f"removed {node}\n", result.out)
            self.assertNotIn(node, self.contenders())
        self.assertEqual(a.wait(), 76)
        b.process.stdin.close()
        # It queues again, or holds the lock by the time at which its znode is removed, and has lost it then.
        self.assertIn(b.wait(), (0, 76), b.err)

    def test_all_who_share(self):
        runs = [self.hold(shared=True) for _ in range(2)]
        result = self.zksync("break", "--yes", self.path)
        self.assertEqual((result.code, result.out.count("removed")), (0, 2))
        for run in runs:
            self.assertEqual(run.wait(), 76)

    def test_one_of_which_only_the_znode_remained(self):
        run = self.hold(session=100)
        (node,) = self.contenders()
        keeper = keeper_of(run.pid)
        for pid in (run.pid, keeper):
            os.kill(pid, signal.SIGSTOP)
        for pid in (keeper, run.pid):
            os.kill(pid, signal.SIGKILL)
        run.process.stdin.close()
        self.assertEqual(run.wait(), -signal.SIGKILL)
        b = self.tell_token()
        self.await_contenders(2)
        (holder, _) = self.status()["contenders"]
        self.assertEqual((holder["node"], holder["pid"], holder["holds"]), (node, run.pid, True))
        self.assertEqual(self.zksync("break", "--yes", self.path).code, 0)
        b.await_out("\n")
        self.release(b)

    def test_nobody_to_hit(self):
        for path in (self.path, self.path + "/f"):
            for options in ([], ["--all"], ["--node", "x"], ["--node", "_c_-read-0000000001"]):
                result = self.zksync("break", *options, "--yes", path)
                self.assertEqual((result.code, result.out), (1, ""))
                self.assertEqual(len(result.err.splitlines()), 1)
            self.outside.ensure_path(self.path + "/f/g")
        self.assertEqual(self.zksync("barrier", "set", self.path + "/b").code, 0)
        self.assertEqual(self.zksync("break", "--all", "--yes", self.path + "/b").code, 1)
        self.assertEqual(self.status(self.path + "/b")["kind"], "barrier")

    def test_what_is_no_contender_stays(self):
        others = ["data", "read-", f"_c_{UUID}-write-x", "ready", "lock-0000000001",
                  f"id-{UUID}-2-x"]
        for name in others:
            self.foreign(name, b"x")
        self.foreign("folder/deep", b"x")
        for name in [*others, "folder", "folder/deep", "..", ".", ""]:
            result = self.zksync("break", "--node", name, "--yes", self.path)
            self.assertEqual((result.code, result.out), (1, ""), name)
        self.foreign("read-0000000001/deep", b"x")  # One that has children: nobody's of ours.
        a = self.stuck("-s")
        self.assertEqual(len(self.status()["contenders"]), 2)
        result = self.zksync("break", "--all", "--yes", self.path)
        self.assertIn(result.code, (65, 70))
        self.assertIn("read-0000000001", result.err)
        self.assertEqual(result.out.count("removed"), 1)
        self.assertEqual(a.wait(), 76)
        self.assertEqual(sorted(self.outside.get_children(self.path)),
                         sorted([*others, "folder", "read-0000000001"]))
        self.assertIsNotNone(self.outside.exists(self.path + "/folder/deep"))
        self.assertIsNotNone(self.outside.exists(self.path + "/read-0000000001/deep"))

    def test_one_that_waits_at_a_double_barrier(self):
        a = self.start("double-barrier", "-n", 2, "--id", "a", self.path, "true")
        await_true(lambda: self.outside.exists(self.path) and self.outside.get_children(self.path),
                   "it waits")
        (node,) = self.outside.get_children(self.path)
        result = self.zksync("break", "--yes", self.path)
        self.assertEqual(result.code, 1)
        self.assertIn("--all", result.err)
        self.assertEqual(self.outside.get_children(self.path), [node])
        result = self.zksync("break", "--node", node, "--yes", self.path)
        self.assertEqual(result.code, 0, result.err)
        self.assertIn(f":{a.pid} ", result.out)
        self.outside.sync(self.path)
        self.assertIsNone(self.outside.exists(f"{self.path}/{node}"))

    def test_one_in_a_round(self):
        script = ["--", "sh", "-c", "echo in; cat >/dev/null"]
        runs = [self.start("double-barrier", "-n", 2, "--id", i, self.path, *script,
                           stdin=subprocess.PIPE) for i in "ab"]
        for run in runs:
            run.await_out("in\n")
        node = {p["id"]: p["node"] for p in self.status()["participants"]}["a"]
        self.assertEqual(self.zksync("break", "--node", node, "--yes", self.path).code, 0)
        runs[1].process.stdin.close()
        self.assertEqual(runs[1].wait(), 0, runs[1].err)  # Whom it does not wait for any more.
        runs[0].process.stdin.close()
        runs[0].wait()

    def test_with_a_root(self):
        a = self.hold(path=self.path + "/x")
        result = self.zksync("--root", self.path, "break", "--yes", "x")
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertEqual(a.wait(), 76)


class Ls(Looks):
    def tree(self):
        """A lock, a lock under it, a barrier, a double barrier, folders; and who is there."""
        runs = {"/l": self.hold(path=self.path + "/l"),
                "/l/m": self.hold(path=self.path + "/l/m", shared=True),
                "/f/g/n": self.hold(path=self.path + "/f/g/n")}
        self.assertEqual(self.zksync("barrier", "set", self.path + "/b").code, 0)
        self.assertEqual(self.zksync("barrier", "set", self.path + "/f/b").code, 0)
        self.assertEqual(self.zksync("lock", self.path + "/nobody", "true").code, 0)
        runs["/d"] = self.start("double-barrier", "-n", 2, self.path + "/d", "true")
        await_true(lambda: self.outside.exists(self.path + "/d") and
                   self.outside.get_children(self.path + "/d"), "it waits")
        return runs

    def test_a_tree(self):
        runs = self.tree()
        near = [("barrier", "/b"), ("double-barrier", "/d"), ("folder", "/f"), ("lock", "/l")]
        far = [("barrier", "/b"), ("barrier", "/f/b"), ("double-barrier", "/d"), ("lock", "/f/g/n"),
               ("lock", "/l"), ("lock", "/l/m")]
        for options, expected in (([], near), (["-r"], far), (["--recursive"], far)):
            for root, words, prefix in (([], [self.path], self.path),
                                        (["--root", self.path], ["/"], "")):
                result = self.zksync(*root, "ls", *options, "--json", *words)
                self.assertEqual((result.code, result.err), (0, ""))
                found = parse(result.raw)
                self.assertEqual(sorted((v["kind"], v["path"]) for v in found),
                                 [(kind, prefix + path) for kind, path in expected])
                self.assertEqual({v["held"] for v in found if v["kind"] == "folder"},
                                 {False} if ("folder", "/f") in expected else set())
                for v in found:
                    short = v["path"][len(prefix):]
                    for c in v.get("contenders", v.get("participants", [])):
                        self.assertEqual(c["pid"], runs[short].pid)
                text = self.zksync(*root, "ls", *options, *words)
                self.assertEqual((text.code, text.err), (0, ""))
                self.assertEqual(sorted(tuple(line.split()[:2]) for line in text.lines),
                                 [(kind, prefix + path) for kind, path in expected])
        # What stands at the path itself counts as well.
        found = parse(self.zksync("ls", "--json", self.path + "/l").raw)
        self.assertEqual([v["path"] for v in found], [self.path + "/l", self.path + "/l/m"])
        view = parse(self.zksync("ls", "--json", self.path + "/l/m").raw)
        self.assertEqual([v["contenders"][0]["node"] for v in view],
                         self.contenders(self.path + "/l/m"))
        for path, run in runs.items():
            if path != "/d":
                self.release(run)

    def test_nothing_there(self):
        for options in ([], ["-r"]):
            result = self.zksync("ls", *options, self.path)
            self.assertEqual((result.code, result.out, result.err), (0, "", ""))
            self.assertEqual(parse(self.zksync("ls", *options, "--json", self.path).raw), [])

    def test_a_root_that_is_removed(self):
        root = self.path + "/root"
        self.outside.ensure_path(root)
        words = ("--servers", DIRECT + root)
        watch = self.start(*words, "watch", "x")
        watch.await_out("\n")
        holder = self.start(*words, "lock", "y", "-c", "echo on; sleep 1000")
        holder.await_out("on")
        entering = self.start(*words, "double-barrier", "-n", "2", "z", "true")
        await_true(lambda: self.outside.exists(root + "/z") and self.outside.get_children(root + "/z"), "a participant")

        def gone():
            with contextlib.suppress(NotEmptyError):
                self.outside.delete(root, recursive=True)
            return self.outside.exists(root) is None

        await_true(gone, "the root to be gone")  # What enters may make its znode anew meanwhile.
        self.assertEqual(holder.wait(), 76)
        for run in (watch, entering):
            self.assertEqual(run.wait(), 69, run.err)
            self.assertIn(f"{root}: the root does not exist", run.err)
        for command in (("status", "x"), ("barrier", "wait", "x"), ("lock", "x", "true"), ("ping",)):
            result = self.zksync(*words, *command)
            self.assertEqual(result.code, 69, command)
            self.assertIn(f"{root}: the root does not exist", result.err)

    def test_the_root_of_all(self):
        """Recursively on a server of its own: what other programs have there can be forbidden to us."""
        server = self.start("serve", "--listen", "127.0.0.1:0", "--memory", "--no-secret")
        server.await_out("zksync: serving on ")
        env = self.environment(ZKSYNC_SERVERS=server.out.split()[-1])
        self.assertEqual(self.zksync("barrier", "set", self.path + "/a/b", env=env).code, 0)
        result = self.zksync("ls", "-r", "--json", "/", env=env)
        self.assertEqual(result.code, 0, result.err)
        paths = [v["path"] for v in parse(result.raw)]
        self.assertIn(self.path + "/a/b", paths)
        self.assertEqual([p for p in paths if p.startswith("/zookeeper") or p[:1] != "/" or "//" in p], [])
        near = [v["path"] for v in parse(self.zksync("ls", "--json", "/").raw)]
        self.assertIn("/zksync-test", near)

    def test_many_folders(self):
        count = 300
        for i in range(0, count, 50):
            change = self.outside.transaction()
            if i == 0:
                self.outside.ensure_path(self.path)
            for j in range(i, i + 50):
                change.create(f"{self.path}/{j:03d}", b"folder")
                change.create(f"{self.path}/{j:03d}/gate", b"")
            change.commit()
        found = parse(self.zksync("ls", "-r", "--json", self.path).raw)
        self.assertEqual([(v["kind"], v["path"]) for v in found],
                         [("barrier", f"{self.path}/{j:03d}/gate") for j in range(count)])
        text = self.zksync("ls", self.path)
        self.assertEqual([line.split() for line in text.lines],
                         [["folder", f"{self.path}/{j:03d}"] for j in range(count)])

    def test_deep(self):
        path = self.path + "/d" * 400
        self.assertLess(len(path), 1000)
        self.outside.create(path, b"", makepath=True)
        self.assertEqual([v["path"] for v in parse(self.zksync("ls", "-r", "--json", self.path).raw)],
                         [path])


class Ping(Looks):
    def test_json(self):
        result = self.zksync("ping", "--json", "-T", 7)
        self.assertEqual((result.code, result.err), (0, ""))
        facts = parse(result.raw)
        self.assertEqual(sorted(facts), ["read_us", "server", "session", "session_timeout_ms", "write_us"])
        self.assertIn(facts["server"], SERVERS.split(","))
        self.assertEqual(facts["session_timeout_ms"], 7000)
        self.assertRegex(facts["session"], r"\A0x[0-9a-f]+\Z")
        self.assertGreater(facts["read_us"], 0)
        self.assertGreater(facts["write_us"], 0)

    def test_text(self):
        result = self.zksync("ping")
        self.assertEqual((result.code, result.err, len(result.lines)), (0, "", 1))
        self.assertIn(result.out.split()[0], SERVERS.split(","))
        self.assertIn("session timeout 20 s", result.out)

    def test_the_server_that_is_asked(self):
        for server in SERVERS.split(",")[:2]:
            result = self.zksync("--servers", server, "ping", "--json")
            self.assertEqual(parse(result.raw)["server"], server)

    def test_leaves_nothing(self):
        before = set(self.outside.get_children("/"))
        self.assertEqual(self.zksync("--root", self.path, "ping").code, 0)
        self.assertEqual(set(self.outside.get_children("/")), before)
        self.assertIsNone(self.outside.exists(self.path))


class Barrier(Looks):
    def barrier(self, *words, code):
        result = self.zksync("barrier", *words)
        self.assertEqual((result.code, result.out), (code, ""), (words, result.err))
        return result.err

    def test_set_and_unset(self):
        for path in (self.path, self.path + "/a/b"):
            self.assertIn("not set", self.barrier("unset", path, code=1))
            self.assertEqual(self.barrier("set", path, code=0), "")
            meta = self.outside.exists(path)
            self.assertEqual(meta.ephemeralOwner, 0)  # It does not go with whoever has set it.
            self.assertIn("already set", self.barrier("set", path, code=1))
            self.assertEqual(self.outside.exists(path).czxid, meta.czxid)
            self.assertEqual(self.barrier("unset", path, code=0), "")
            self.assertIsNone(self.outside.exists(path))
            self.assertIn("not set", self.barrier("unset", path, code=1))

    def test_wait(self):
        self.assertEqual(self.barrier("wait", self.path, code=0), "")
        self.assertEqual(self.barrier("wait", "-n", self.path, code=0), "")
        self.barrier("set", self.path, code=0)
        for options, code in ((["-n"], 75), (["-w", "0"], 75), (["-w", SHORT], 75), (["-w", SHORT, "-E", "9"], 9),
                              (["-n", "-E", "0"], 0)):
            self.assertEqual(self.barrier("wait", *options, self.path, code=code), "")
            self.assertEqual(self.barrier("wait", self.path, *options, code=code), "")
        self.assertIsNotNone(self.outside.exists(self.path))

    def test_all_who_wait_go_on(self):
        self.barrier("set", self.path, code=0)
        waiting = [self.start("barrier", "wait", *options, self.path)
                   for options in ([], [], ["-w", "10m"], ["-w", "forever"])]
        # A look from outside cannot see them; each has its own session, and goes on either way.
        self.barrier("wait", "-w", SHORT, self.path, code=75)
        self.assertEqual([run.process.poll() for run in waiting], [None] * 4)
        self.barrier("unset", self.path, code=0)
        for run in waiting:
            self.assertEqual((run.wait(), run.err), (0, ""))

    def test_removed_by_others(self):
        self.barrier("set", self.path, code=0)
        run = self.start("barrier", "wait", self.path)
        self.barrier("wait", "-w", SHORT, self.path, code=75)
        self.assertIsNone(run.process.poll())
        self.outside.delete(self.path)
        self.assertEqual(run.wait(), 0)

    def test_what_has_children(self):
        self.outside.create(self.path + "/a", b"", makepath=True)
        self.assertEqual(len(self.barrier("unset", self.path, code=65).splitlines()), 1)
        self.assertIsNotNone(self.outside.exists(self.path + "/a"))
        holder = self.hold(path=self.path + "/l")
        self.barrier("unset", self.path + "/l", code=65)
        self.assertEqual(len(self.contenders(self.path + "/l")), 1)
        self.release(holder)

    def test_a_root(self):
        self.assertEqual(self.zksync("--root", self.path, "barrier", "set", "g").code, 0)
        self.assertEqual(self.status(self.path + "/g")["kind"], "barrier")
        self.assertEqual(self.zksync("barrier", "unset", "--root", self.path, "/g").code, 0)

    def test_one_who_does_not_wait_any_longer(self):
        self.barrier("set", self.path, code=0)
        run = self.start("barrier", "wait", self.path)
        self.barrier("wait", "-w", SHORT, self.path, code=75)
        run.signal(signal.SIGTERM)
        self.assertEqual(run.wait(), -signal.SIGTERM)
        self.assertEqual(self.status()["kind"], "barrier")


class OneUse(Looks):
    """What a path is used as: status, barrier and lock agree on it."""

    ROUND_MEMBER = f"id-{UUID}-2-"

    def make(self, state, path):
        data = b"" if state == "empty" else b"10.0.0.7"
        if state == "zksync's barrier":
            self.assertEqual(self.zksync("barrier", "set", path).code, 0)
        elif state in ("empty", "data"):  # A barrier of the Go package or of kazoo; of Curator.
            self.outside.create(path, data, makepath=True)
        elif state in ("lock has left", "lock with data has left"):
            self.outside.create(path, b"" if state == "lock has left" else data, makepath=True)
            self.assertEqual(self.zksync("lock", path, "true").code, 0)
            self.assertEqual(self.contenders(path), [])
        elif state in ("lock", "lock with data"):
            self.outside.create(path, b"" if state == "lock" else data, makepath=True)
            self.outside.create(f"{path}/_c_{UUID}-write-", ephemeral=True, sequence=True)
        elif state == "lock on a barrier":
            self.assertEqual(self.zksync("barrier", "set", path).code, 0)
            self.outside.create(f"{path}/_c_{UUID}-write-", ephemeral=True, sequence=True)
        elif state == "double barrier":
            self.outside.create(f"{path}/{self.ROUND_MEMBER}", ephemeral=True, sequence=True, makepath=True)
        elif state in ("folder", "folder with data"):
            self.outside.create(path, b"" if state == "folder" else data, makepath=True)
            self.outside.create(f"{path}/below")
        elif state == "ephemeral":
            self.outside.create(path, b"", ephemeral=True, makepath=True)
        else:
            self.assertEqual(state, "absent")

    #                           status,           wait -n, set, unset, lock -n: exit codes
    TABLE = [("absent",                  "free",           0, 0, 1, 0),
             ("zksync's barrier",        "barrier",        75, 1, 0, 0),
             ("empty",                   "barrier",        75, 1, 0, 0),
             ("data",                    "barrier",        75, 1, 0, 0),
             ("lock has left",           "free",           65, 65, 65, 0),
             ("lock with data has left", "barrier",        75, 1, 0, 0),
             ("lock",                    "lock",           65, 65, 65, 75),
             ("lock with data",          "lock",           65, 65, 65, 75),
             ("lock on a barrier",       "lock",           65, 65, 65, 75),
             ("double barrier",          "double-barrier", 65, 65, 65, 0),
             ("folder",                  "folder",         65, 65, 65, 0),
             ("folder with data",        "folder",         65, 65, 65, 0),
             ("ephemeral",               "free",           65, 65, 65, 65)]

    COMMANDS = (("barrier", "wait", "-n"), ("barrier", "set"), ("barrier", "unset"), ("lock", "-n"))

    def test_the_table(self):
        found = []
        for i, (state, *_) in enumerate(self.TABLE):
            row = [state]
            for j, words in enumerate(self.COMMANDS):
                path = f"{self.path}/{i:02d}{j}"
                self.make(state, path)
                result = self.zksync("status", "--json", path)
                kind = parse(result.raw)["kind"]
                self.assertEqual(result.code, 1 if kind in ("free", "folder") else 0)
                row += [kind] if j == 0 else []
                self.assertEqual(kind, row[1])
                before = self.outside.exists(path)
                result = self.zksync(*words, path, *(["true"] if words[0] == "lock" else []))
                row.append(result.code)
                if result.code == 65:  # It is left as it is, and a line says why.
                    self.assertEqual(len(result.err.splitlines()), 1, result.err)
                    self.assertIn("not a barrier" if words[0] == "barrier" else path, result.err)
                    after = self.outside.exists(path)
                    self.assertEqual((after.czxid, after.cversion), (before.czxid, before.cversion))
                self.outside.delete(path, recursive=True)
            found.append(tuple(row))
        self.maxDiff = None
        self.assertEqual("\n".join(map(str, found)), "\n".join(map(str, self.TABLE)))

    def test_a_wait_goes_on_where_a_lock_is_used(self):
        """A barrier that one has begun to wait for is set as long as its znode is there."""
        self.outside.create(self.path, b"")
        run = self.start("barrier", "wait", self.path)
        await_true(lambda: self.leftovers.find(), "its watch")
        self.outside.create(self.path + "/below")
        self.outside.set(self.path, b"")  # It looks again.
        await_true(lambda: self.leftovers.find(), "its watch")
        self.outside.delete(self.path + "/below")
        self.assertIsNone(run.process.poll())
        self.outside.delete(self.path)
        self.assertEqual((run.wait(), run.err), (0, ""))


if __name__ == "__main__":
    main()
