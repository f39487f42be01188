#!/usr/bin/python3 -B
"""Somebody else's client with the local server: kazoo's recipes, as Debian has them."""

import queue
import signal
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, InvalidACLError, NoAuthError, NodeExistsError, RolledBackError
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.security import CREATOR_ALL_ACL, READ_ACL_UNSAFE, make_digest_acl

from harness import Case, LIMIT, main


class Kazoo(Case):
    def setUp(self):
        super().setUp()
        self.server = self.start("serve", "--listen", "127.0.0.1:0", "--memory", "--no-secret")
        self.server.await_out("zksync: serving on ")
        self.address = self.server.out.split()[-1]
        self.addCleanup(self.end_server)
        self.one, self.two = self.client(), self.client()

    def end_server(self):
        """It is still there, and nothing that a client has asked for was against it."""
        self.server.signal(signal.SIGTERM)
        self.assertEqual((self.server.wait(), self.server.err), (0, ""))

    def client(self, **options):
        client = KazooClient(hosts=self.address, timeout=20, **options)
        client.start(timeout=LIMIT)
        self.addCleanup(client.close)
        self.addCleanup(client.stop)
        return client

    def in_thread(self, function):
        """Begins it, and gives what waits for its result."""
        results = queue.Queue()

        def carry_out():
            try:
                results.put((function(), None))
            except Exception as error:  # It is raised where the result is asked for.
                results.put((None, error))

        threading.Thread(target=carry_out, daemon=True).start()

        def await_result():
            result, error = results.get(timeout=LIMIT)
            if error is not None:
                raise error
            return result

        return await_result

    def test_lock(self):
        first, second = self.one.Lock("/lock", "first"), self.two.Lock("/lock", "second")
        self.assertTrue(first.acquire())
        self.assertFalse(second.acquire(blocking=False))
        waits = self.in_thread(lambda: second.acquire(timeout=LIMIT))
        first.release()
        self.assertTrue(waits())
        self.assertEqual(first.contenders(), ["second"])

    def test_lock_goes_with_the_session(self):
        first, second = self.one.Lock("/lock"), self.two.Lock("/lock")
        first.acquire()
        waits = self.in_thread(lambda: second.acquire(timeout=LIMIT))
        self.one.stop()
        self.assertTrue(waits())

    def test_read_and_write_lock(self):
        readers = [client.ReadLock("/lock") for client in (self.one, self.two)]
        for reader in readers:
            self.assertTrue(reader.acquire(timeout=LIMIT))
        self.assertFalse(self.one.WriteLock("/lock").acquire(blocking=False))
        for reader in readers:
            reader.release()
        self.assertTrue(self.one.WriteLock("/lock").acquire(timeout=LIMIT))

    def test_semaphore(self):
        first, second, third = (client.Semaphore("/semaphore", max_leases=2)
                                for client in (self.one, self.two, self.client()))
        self.assertTrue(first.acquire() and second.acquire())
        waits = self.in_thread(lambda: third.acquire(timeout=LIMIT))
        first.release()
        self.assertTrue(waits())

    def test_barriers(self):
        self.one.Barrier("/barrier").create()
        waits = self.in_thread(lambda: self.two.Barrier("/barrier").wait(LIMIT))
        self.one.Barrier("/barrier").remove()
        self.assertTrue(waits())
        sides = [client.DoubleBarrier("/double", 2) for client in (self.one, self.two)]
        for way in ("enter", "leave"):
            for waits in [self.in_thread(getattr(side, way)) for side in sides]:
                waits()

    def test_counter(self):
        def add(client):
            counter = client.Counter("/counter")
            for _ in range(20):
                counter += 1

        for waits in [self.in_thread(lambda c=client: add(c)) for client in (self.one, self.two)]:
            waits()
        self.assertEqual(self.one.Counter("/counter").value, 40)

    def test_election(self):
        led = queue.Queue()
        for client, name in ((self.one, "one"), (self.two, "two")):
            self.in_thread(lambda c=client, n=name: c.Election("/election", n).run(led.put, n))()
        self.assertEqual([led.get(timeout=LIMIT), led.get(timeout=LIMIT)], ["one", "two"])

    def test_queues(self):
        self.one.Queue("/queue").put(b"later", priority=200)
        self.one.Queue("/queue").put(b"now", priority=1)
        self.assertEqual([self.two.Queue("/queue").get() for _ in range(3)], [b"now", b"later", None])
        locking = self.two.LockingQueue("/locking")
        waits = self.in_thread(lambda: (locking.get(LIMIT), locking.consume()))
        self.one.LockingQueue("/locking").put(b"x")
        self.assertEqual(waits(), (b"x", True))

    def test_party(self):
        first, second = self.one.Party("/party", "first"), self.two.Party("/party", "second")
        first.join()
        second.join()
        self.assertEqual(sorted(first), ["first", "second"])
        second.leave()
        self.assertEqual(list(first), ["first"])

    def test_partitioner(self):
        def part(client, name):
            partitioner = client.SetPartitioner("/set", set("abcd"), identifier=name, time_boundary=0.1)
            while not (partitioner.acquired and len(list(partitioner)) == 2):
                self.assertFalse(partitioner.failed)
                if partitioner.release:
                    partitioner.release_set()
                else:
                    partitioner.wait_for_acquire(LIMIT)
            return set(partitioner)

        both = [self.in_thread(lambda c=client, n=name: part(c, n))
                for client, name in ((self.one, "one"), (self.two, "two"))]
        self.assertEqual(both[0]() | both[1](), set("abcd"))

    def test_watches(self):
        data, children = queue.Queue(), queue.Queue()
        self.one.create("/a", b"0")
        self.two.DataWatch("/a", lambda value, _: data.put(value))
        self.two.ChildrenWatch("/a", lambda names: children.put(sorted(names)))
        self.assertEqual((data.get(timeout=LIMIT), children.get(timeout=LIMIT)), (b"0", []))
        self.one.set("/a", b"1")
        self.one.create("/a/b")
        self.assertEqual((data.get(timeout=LIMIT), children.get(timeout=LIMIT)), (b"1", ["b"]))
        self.one.delete("/a/b")
        self.assertEqual(children.get(timeout=LIMIT), [])
        self.one.delete("/a")
        self.assertIsNone(data.get(timeout=LIMIT))

    def test_tree_cache(self):
        events = queue.Queue()
        cache = TreeCache(self.two, "/tree")
        cache.listen(lambda event: events.put((event.event_type, getattr(event.event_data, "path", None))))
        self.one.create("/tree")
        cache.start()
        self.addCleanup(cache.close)
        self.assertEqual(events.get(timeout=LIMIT), (TreeEvent.NODE_ADDED, "/tree"))
        self.assertEqual(events.get(timeout=LIMIT), (TreeEvent.INITIALIZED, None))
        self.one.create("/tree/a")
        self.assertEqual(events.get(timeout=LIMIT), (TreeEvent.NODE_ADDED, "/tree/a"))
        self.one.set("/tree/a", b"1")
        self.assertEqual(events.get(timeout=LIMIT), (TreeEvent.NODE_UPDATED, "/tree/a"))
        self.one.delete("/tree/a")
        self.assertEqual(events.get(timeout=LIMIT), (TreeEvent.NODE_REMOVED, "/tree/a"))

    def test_transaction(self):
        transaction = self.one.transaction()
        transaction.create("/a", b"0")
        transaction.set_data("/a", b"1", version=0)
        transaction.check("/a", version=1)
        created, changed, checked = transaction.commit()
        self.assertEqual((created, changed.version, checked), ("/a", 1, True))
        transaction = self.one.transaction()
        transaction.create("/b")
        transaction.delete("/a", version=7)
        self.assertEqual([type(result) for result in transaction.commit()], [RolledBackError, BadVersionError])
        self.assertIsNone(self.one.exists("/b"))
        self.assertRaises(NodeExistsError, self.one.create, "/a")

    def test_who_may(self):
        knows = self.client(auth_data=[("digest", "user:secret")])
        # Of "auth" kazoo names no identity at all, where others send an empty one.
        knows.create("/a", b"x", acl=CREATOR_ALL_ACL)
        self.assertEqual(knows.get_acls("/a")[0], [make_digest_acl("user", "secret", all=True)])
        self.assertRaises(NoAuthError, self.one.get, "/a")
        self.assertRaises(InvalidACLError, self.one.create, "/b", acl=CREATOR_ALL_ACL)
        knows.set_acls("/a", READ_ACL_UNSAFE)
        self.assertEqual(self.one.get("/a")[0], b"x")

    def test_words(self):
        self.assertEqual(self.one.server_version()[0], 3)
        self.assertEqual(self.one.command(b"ruok"), "imok")


if __name__ == "__main__":
    main()
