import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCacheEvent;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** Curator's recipes against the server at ZKSYNC_DIRECT, told as TAP. Each test has a path of its own. */
public class Recipes {
    private static final String SERVER = System.getenv("ZKSYNC_DIRECT");
    private static final boolean REAPED = System.getenv("ZKSYNC_COMPAT_REAP_MS") != null;
    private static final String TOOL = System.getenv("ZKSYNC_ENSEMBLE_TOOL");
    private static final long LIMIT_S = 60;

    private static class Skip extends Exception {
        Skip(String reason) { super(reason); }
    }

    private final String path;
    private final List<CuratorFramework> clients = new ArrayList<>();
    private final ExecutorService threads = Executors.newCachedThreadPool(r -> {
        Thread thread = new Thread(r);
        thread.setDaemon(true);
        return thread;
    });
    private final CuratorFramework one;

    private Recipes(String name) throws Exception {
        path = "/compat-" + ProcessHandle.current().pid() + "/" + name;
        one = client();
    }

    private CuratorFramework client() throws Exception { return client(20000, null); }

    private CuratorFramework client(int sessionMs, String digest) throws Exception {
        CuratorFrameworkFactory.Builder builder = CuratorFrameworkFactory.builder().connectString(SERVER)
            .sessionTimeoutMs(sessionMs).connectionTimeoutMs(15000).retryPolicy(new RetryForever(50));
        if (digest != null) {
            builder.authorization("digest", bytes(digest));
        }
        CuratorFramework made = builder.build();
        made.start();
        clients.add(made);
        check(made.blockUntilConnected((int) LIMIT_S, TimeUnit.SECONDS), "connected");
        return made;
    }

    private void close() {
        for (CuratorFramework client : clients) {
            client.close();
        }
        threads.shutdownNow();
    }

    private static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    private static void check(boolean fact, String what) {
        if (!fact) {
            throw new AssertionError("not so: " + what);
        }
    }

    private static void same(Object expected, Object found) {
        check(expected.equals(found), "expected " + expected + ", found " + found);
    }

    private static <T> T get(Future<T> future) throws Exception { return future.get(LIMIT_S, TimeUnit.SECONDS); }

    private static <T> T next(BlockingQueue<T> queue) throws Exception {
        T found = queue.poll(LIMIT_S, TimeUnit.SECONDS);
        check(found != null, "something came");
        return found;
    }

    private static void await(CountDownLatch latch) throws Exception {
        check(latch.await(LIMIT_S, TimeUnit.SECONDS), "the latch has opened");
    }

    private static <E extends Exception> E fails(Class<E> kind, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (Exception e) {
            check(kind.isInstance(e), "a " + kind.getSimpleName() + "; it was " + e);
            return kind.cast(e);
        }
        throw new AssertionError("did not fail with " + kind.getSimpleName());
    }

    private static void tool(String what) throws Exception {
        Process process = new ProcessBuilder("python3", TOOL, what, "1").inheritIO().start();
        same(0, process.waitFor());
    }

    /** Ends the session of a client as the servers would, by closing it over another connection. */
    private static void endSession(CuratorFramework client) throws Exception {
        ZooKeeper theirs = client.getZookeeperClient().getZooKeeper();
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper ours = new ZooKeeper(SERVER, 20000, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        }, theirs.getSessionId(), theirs.getSessionPasswd());
        await(connected);
        ours.close();
    }

    private static BlockingQueue<ConnectionState> states(CuratorFramework client) {
        BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();
        client.getConnectionStateListenable().addListener((c, state) -> states.add(state));
        return states;
    }

    private static void awaitState(BlockingQueue<ConnectionState> states, ConnectionState wanted) throws Exception {
        while (next(states) != wanted) {
        }
    }

    // ---- Locks ----

    public void mutex() throws Exception {
        InterProcessMutex first = new InterProcessMutex(one, path);
        InterProcessMutex second = new InterProcessMutex(client(), path);
        first.acquire();
        first.acquire();
        check(!second.acquire(100, TimeUnit.MILLISECONDS), "the other must wait");
        first.release();
        Future<Boolean> waits = threads.submit(() -> {
            boolean held = second.acquire(LIMIT_S, TimeUnit.SECONDS);
            second.release();
            return held;
        });
        first.release();
        check(get(waits), "the other has it");
    }

    public void mutexOfManyThreads() throws Exception {
        AtomicInteger inside = new AtomicInteger();
        List<Future<Void>> all = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            CuratorFramework client = client();
            all.add(threads.submit(() -> {
                for (int k = 0; k < 10; k++) {
                    InterProcessMutex mutex = new InterProcessMutex(client, path);
                    mutex.acquire();
                    same(1, inside.incrementAndGet());
                    inside.decrementAndGet();
                    mutex.release();
                }
                return null;
            }));
        }
        for (Future<Void> each : all) {
            get(each);
        }
    }

    public void mutexOfAnEndedSession() throws Exception {
        CuratorFramework ended = client();
        InterProcessMutex first = new InterProcessMutex(ended, path);
        InterProcessMutex second = new InterProcessMutex(one, path);
        BlockingQueue<ConnectionState> states = states(ended);
        first.acquire();
        endSession(ended);
        check(second.acquire(LIMIT_S, TimeUnit.SECONDS), "it went with the session");
        awaitState(states, ConnectionState.LOST);
        awaitState(states, ConnectionState.RECONNECTED);
        second.release();
    }

    public void readWriteLock() throws Exception {
        InterProcessReadWriteLock first = new InterProcessReadWriteLock(one, path);
        InterProcessReadWriteLock second = new InterProcessReadWriteLock(client(), path);
        first.readLock().acquire();
        check(second.readLock().acquire(LIMIT_S, TimeUnit.SECONDS), "two may read");
        check(!second.writeLock().acquire(100, TimeUnit.MILLISECONDS), "nobody may write");
        second.readLock().release();
        first.readLock().release();
        first.writeLock().acquire();
        first.readLock().acquire();
        first.writeLock().release();
        check(second.readLock().acquire(LIMIT_S, TimeUnit.SECONDS), "downgraded");
        first.readLock().release();
        second.readLock().release();
    }

    public void semaphore() throws Exception {
        InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(one, path, 3);
        InterProcessSemaphoreV2 other = new InterProcessSemaphoreV2(client(), path, 3);
        Collection<Lease> leases = semaphore.acquire(2);
        Lease third = other.acquire();
        check(semaphore.acquire(100, TimeUnit.MILLISECONDS) == null, "no fourth");
        Future<Lease> fourth = threads.submit(() -> semaphore.acquire(LIMIT_S, TimeUnit.SECONDS));
        other.returnLease(third);
        check(get(fourth) != null, "one is free again");
        semaphore.returnAll(leases);
    }

    public void multiLock() throws Exception {
        InterProcessMultiLock both = new InterProcessMultiLock(one, Arrays.asList(path + "/a", path + "/b"));
        InterProcessMutex a = new InterProcessMutex(client(), path + "/a");
        a.acquire();
        check(!both.acquire(100, TimeUnit.MILLISECONDS), "one of them is held");
        a.release();
        check(both.acquire(LIMIT_S, TimeUnit.SECONDS), "both");
        both.release();
    }

    // ---- Barriers ----

    public void barrier() throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(one, path);
        barrier.setBarrier();
        DistributedBarrier other = new DistributedBarrier(client(), path);
        check(!other.waitOnBarrier(100, TimeUnit.MILLISECONDS), "it is set");
        Future<Boolean> waits = threads.submit(() -> other.waitOnBarrier(LIMIT_S, TimeUnit.SECONDS));
        barrier.removeBarrier();
        check(get(waits), "it was removed");
    }

    public void doubleBarrier() throws Exception {
        AtomicInteger entered = new AtomicInteger();
        List<Future<Boolean>> all = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            CuratorFramework client = client();
            all.add(threads.submit(() -> {
                DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, path, 5);
                entered.incrementAndGet();
                boolean in = barrier.enter(LIMIT_S, TimeUnit.SECONDS);
                same(5, entered.get());
                return in && barrier.leave(LIMIT_S, TimeUnit.SECONDS);
            }));
        }
        for (Future<Boolean> each : all) {
            check(get(each), "entered and left");
        }
    }

    // ---- Leaders ----

    public void leaderLatch() throws Exception {
        LeaderLatch first = new LeaderLatch(one, path, "first");
        LeaderLatch second = new LeaderLatch(client(), path, "second");
        first.start();
        check(first.await(LIMIT_S, TimeUnit.SECONDS), "the first leads");
        second.start();
        same("first", second.getLeader().getId());
        first.close();
        check(second.await(LIMIT_S, TimeUnit.SECONDS), "the second leads");
        second.close();
    }

    public void leaderSelector() throws Exception {
        BlockingQueue<Integer> led = new LinkedBlockingQueue<>();
        for (int i = 0; i < 3; i++) {
            int number = i;
            new LeaderSelector(client(), path, new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) { led.add(number); }
            }).start();
        }
        int sum = next(led) + next(led) + next(led);
        same(3, sum);
    }

    // ---- Caches and watches ----

    public void pathChildrenCache() throws Exception {
        one.create().creatingParentsIfNeeded().forPath(path);
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        PathChildrenCache cache = new PathChildrenCache(client(), path, true);
        cache.getListenable().addListener((client, event) -> events.add(event.getType()
            + (event.getData() != null ? " " + new String(event.getData().getData(), StandardCharsets.UTF_8) : "")));
        cache.start(PathChildrenCache.StartMode.POST_INITIALIZED_EVENT);
        same("INITIALIZED", next(events));
        one.create().forPath(path + "/a", bytes("1"));
        same("CHILD_ADDED 1", next(events));
        one.setData().forPath(path + "/a", bytes("2"));
        same("CHILD_UPDATED 2", next(events));
        one.delete().forPath(path + "/a");
        same("CHILD_REMOVED 2", next(events));
        cache.close();
    }

    public void curatorCache() throws Exception {
        one.create().creatingParentsIfNeeded().forPath(path, bytes("root"));
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        CuratorCache cache = CuratorCache.build(client(), path);
        cache.listenable().addListener(CuratorCacheListener.builder()
            .forInitialized(() -> events.add("initialized"))
            .forAll((type, old, now) -> {
                ChildData data = now != null ? now : old;
                events.add(type + " " + data.getPath().substring(path.length()) + " "
                    + new String(data.getData(), StandardCharsets.UTF_8));
            }).build());
        cache.start();
        same("NODE_CREATED  root", next(events));
        same("initialized", next(events));
        one.create().forPath(path + "/a", bytes("1"));
        same("NODE_CREATED /a 1", next(events));
        one.create().forPath(path + "/a/b", bytes("2"));
        same("NODE_CREATED /a/b 2", next(events));
        one.setData().forPath(path + "/a/b", bytes("3"));
        same("NODE_CHANGED /a/b 3", next(events));
        one.delete().deletingChildrenIfNeeded().forPath(path + "/a");
        same("NODE_DELETED /a/b 3", next(events));
        same("NODE_DELETED /a 1", next(events));
        cache.close();
    }

    private void persistentWatch(boolean recursive, String... expected) throws Exception {
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        CuratorFramework watches = client();
        CountDownLatch set = new CountDownLatch(1);
        PersistentWatcher watcher = new PersistentWatcher(watches, path, recursive);
        watcher.getListenable().addListener(
            event -> events.add(event.getType() + " " + event.getPath().substring(path.length())));
        watcher.getResetListenable().addListener(set::countDown);
        watcher.start();
        await(set);
        one.create().creatingParentsIfNeeded().forPath(path);
        one.setData().forPath(path, bytes("1"));
        one.create().forPath(path + "/a");
        one.setData().forPath(path + "/a", bytes("2"));
        one.delete().forPath(path + "/a");
        one.delete().forPath(path);
        for (String event : expected) {
            same(event, next(events));
        }
        check(events.isEmpty(), "no more events; there were " + events);
        watcher.close();
    }

    public void persistentWatch() throws Exception {
        persistentWatch(false, "NodeCreated ", "NodeDataChanged ", "NodeChildrenChanged ", "NodeChildrenChanged ",
            "NodeDeleted ");
    }

    public void persistentRecursiveWatch() throws Exception {
        persistentWatch(true, "NodeCreated ", "NodeDataChanged ", "NodeCreated /a", "NodeDataChanged /a",
            "NodeDeleted /a", "NodeDeleted ");
    }

    public void watchesRemoved() throws Exception {
        one.create().creatingParentsIfNeeded().forPath(path);
        BlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        Watcher watcher = events::add;
        one.checkExists().usingWatcher(watcher).forPath(path);
        one.watchers().remove(watcher).forPath(path);
        same(Watcher.Event.EventType.DataWatchRemoved, next(events).getType());
        fails(KeeperException.NoWatcherException.class, () -> one.watchers().remove(watcher).forPath(path));
    }

    // ---- Nodes ----

    public void persistentNode() throws Exception {
        CuratorFramework ended = client();
        PersistentNode node = new PersistentNode(ended, CreateMode.EPHEMERAL, false, path, bytes("here"), true);
        node.start();
        check(node.waitForInitialCreate(LIMIT_S, TimeUnit.SECONDS), "it was created");
        BlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
        long owner = one.checkExists().usingWatcher((Watcher) events::add).forPath(path).getEphemeralOwner();
        endSession(ended);
        same(Watcher.Event.EventType.NodeDeleted, next(events).getType());
        Stat again;
        while ((again = one.checkExists().usingWatcher((Watcher) events::add).forPath(path)) == null) {
            next(events);
        }
        check(again.getEphemeralOwner() != owner, "it is another session's");
        node.close();
    }

    public void persistentTtlNode() throws Exception {
        PersistentTtlNode node = new PersistentTtlNode(one, path, 60000, bytes("here"));
        node.start();
        check(node.waitForInitialCreate(LIMIT_S, TimeUnit.SECONDS), "it was created");
        same(0L, one.checkExists().forPath(path).getEphemeralOwner());
        node.close();
    }

    public void groupMember() throws Exception {
        GroupMember first = new GroupMember(one, path, "first");
        GroupMember second = new GroupMember(client(), path, "second", bytes("two"));
        first.start();
        second.start();
        CuratorCache cache = CuratorCache.build(one, path);
        CountDownLatch both = new CountDownLatch(3);
        cache.listenable().addListener(CuratorCacheListener.builder().forCreates(n -> both.countDown()).build());
        cache.start();
        await(both);
        cache.close();
        first.close();
        second.close();
    }

    public void ttlAndContainers() throws Exception {
        // What the tree has in the place of an owner is not told to clients.
        one.createContainers(path);
        same(0L, one.checkExists().forPath(path).getEphemeralOwner());
        one.create().withTtl(5000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(path + "/t");
        same(0L, one.checkExists().forPath(path + "/t").getEphemeralOwner());
        String sequential = one.create().withTtl(5000).withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL)
            .forPath(path + "/s");
        check(sequential.matches(".*/s\\d{10}"), sequential);
        fails(IllegalArgumentException.class, () -> one.create().withTtl(0)
            .withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(path + "/bad"));
        Stat stat = new Stat();
        one.create().storingStatIn(stat).withMode(CreateMode.CONTAINER).forPath(path + "/c");
        same(0L, stat.getEphemeralOwner());
        fails(KeeperException.NoChildrenForEphemeralsException.class, () -> {
            one.create().withMode(CreateMode.EPHEMERAL).forPath(path + "/e");
            return one.create().withMode(CreateMode.CONTAINER).forPath(path + "/e/c");
        });
    }

    public void ttlAndContainersReaped() throws Exception {
        if (!REAPED) {
            throw new Skip("the servers of tools/ensemble reap nothing");
        }
        CountDownLatch gone = new CountDownLatch(2);
        Watcher watcher = event -> {
            if (event.getType() == Watcher.Event.EventType.NodeDeleted) {
                gone.countDown();
            }
        };
        one.create().creatingParentsIfNeeded().forPath(path);
        one.create().withMode(CreateMode.CONTAINER).forPath(path + "/c");
        one.create().forPath(path + "/c/child");
        one.create().withTtl(100).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(path + "/t");
        one.checkExists().usingWatcher(watcher).forPath(path + "/c");
        one.checkExists().usingWatcher(watcher).forPath(path + "/t");
        one.delete().forPath(path + "/c/child");
        check(gone.await(LIMIT_S, TimeUnit.SECONDS), "both are gone");
    }

    public void protectedCreation() throws Exception {
        one.create().creatingParentsIfNeeded().forPath(path);
        String made = one.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(path + "/p-");
        check(made.matches(".*/_c_[-0-9a-f]{36}-p-\\d{10}"), made);
        one.delete().guaranteed().forPath(made);
    }

    public void acl() throws Exception {
        CuratorFramework knows = client(20000, "user:secret");
        one.create().creatingParentsIfNeeded().forPath(path);
        knows.create().withACL(ZooDefs.Ids.CREATOR_ALL_ACL).forPath(path + "/mine", bytes("x"));
        same("[31,s{'digest,'user:" + Ids.hash("user:secret") + "}\n]",
            knows.getACL().forPath(path + "/mine").toString());
        fails(KeeperException.NoAuthException.class, () -> one.getData().forPath(path + "/mine"));
        fails(KeeperException.NoAuthException.class, () -> one.create().forPath(path + "/mine/child"));
        knows.setACL().withACL(ZooDefs.Ids.READ_ACL_UNSAFE).forPath(path + "/mine");
        same("x", new String(one.getData().forPath(path + "/mine"), StandardCharsets.UTF_8));
        fails(KeeperException.InvalidACLException.class,
            () -> one.create().withACL(ZooDefs.Ids.CREATOR_ALL_ACL).forPath(path + "/nobody"));
    }

    private static class Ids {
        static String hash(String credentials) throws Exception {
            return org.apache.zookeeper.server.auth.DigestAuthenticationProvider.generateDigest(credentials)
                .split(":")[1];
        }
    }

    public void transactions() throws Exception {
        one.create().creatingParentsIfNeeded().forPath(path);
        List<CuratorTransactionResult> results = one.transaction().forOperations(
            one.transactionOp().create().forPath(path + "/a", bytes("1")),
            one.transactionOp().setData().withVersion(0).forPath(path + "/a", bytes("2")),
            one.transactionOp().check().withVersion(1).forPath(path + "/a"),
            one.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(path + "/s"),
            one.transactionOp().create().withMode(CreateMode.CONTAINER).forPath(path + "/c"),
            one.transactionOp().create().withTtl(60000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(path + "/t"),
            one.transactionOp().delete().forPath(path + "/a"));
        same(7, results.size());
        same(1, results.get(1).getResultStat().getVersion());
        check(results.get(3).getResultPath().matches(".*/s\\d{10}"), results.get(3).getResultPath());
        same(3, one.checkExists().forPath(path).getNumChildren());
    }

    public void transactionThatFails() throws Exception {
        one.create().creatingParentsIfNeeded().forPath(path);
        KeeperException failed = fails(KeeperException.class, () -> one.transaction().forOperations(
            one.transactionOp().create().forPath(path + "/a"),
            one.transactionOp().check().withVersion(7).forPath(path),
            one.transactionOp().delete().forPath(path + "/a")));
        same(KeeperException.Code.BADVERSION, failed.code());
        List<Integer> codes = new ArrayList<>();
        for (org.apache.zookeeper.OpResult result : failed.getResults()) {
            codes.add(((org.apache.zookeeper.OpResult.ErrorResult) result).getErr());
        }
        same(Arrays.asList(0, -103, -2), codes);
        check(one.checkExists().forPath(path + "/a") == null, "nothing was done");
    }

    // ---- Counters and queues ----

    public void sharedCount() throws Exception {
        SharedCount first = new SharedCount(one, path, 3);
        SharedCount second = new SharedCount(client(), path, 3);
        BlockingQueue<Integer> counts = new LinkedBlockingQueue<>();
        second.addListener(new SharedCountListener() {
            @Override
            public void countHasChanged(SharedCountReader reader, int count) { counts.add(count); }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) { }
        });
        first.start();
        second.start();
        first.setCount(5);
        same(5, next(counts));
        check(first.trySetCount(first.getVersionedValue(), 6), "nobody was there before");
        same(6, next(counts));
        first.close();
        second.close();
    }

    public void atomicLong() throws Exception {
        List<Future<Void>> all = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            DistributedAtomicLong number = new DistributedAtomicLong(client(), path, new RetryForever(5));
            all.add(threads.submit(() -> {
                for (int k = 0; k < 20; k++) {
                    check(number.increment().succeeded(), "incremented");
                }
                return null;
            }));
        }
        for (Future<Void> each : all) {
            get(each);
        }
        same(80L, new DistributedAtomicLong(one, path, new RetryForever(5)).get().postValue());
    }

    public void queue() throws Exception {
        BlockingQueue<String> taken = new LinkedBlockingQueue<>();
        QueueConsumer<String> consumer = new QueueConsumer<String>() {
            @Override
            public void consumeMessage(String message) { taken.add(message); }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) { }
        };
        QueueSerializer<String> serializer = new QueueSerializer<String>() {
            @Override
            public byte[] serialize(String item) { return bytes(item); }

            @Override
            public String deserialize(byte[] data) { return new String(data, StandardCharsets.UTF_8); }
        };
        DistributedQueue<String> in = QueueBuilder.builder(one, null, serializer, path).buildQueue();
        DistributedQueue<String> out = QueueBuilder.builder(client(), consumer, serializer, path).buildQueue();
        in.start();
        for (int i = 0; i < 5; i++) {
            in.put("m" + i);
        }
        out.start();
        for (int i = 0; i < 5; i++) {
            same("m" + i, next(taken));
        }
        in.close();
        out.close();
    }

    public void backgroundInOrder() throws Exception {
        one.create().creatingParentsIfNeeded().forPath(path);
        BlockingQueue<String> done = new LinkedBlockingQueue<>();
        for (int i = 0; i < 200; i++) {
            one.create().inBackground((client, event) -> done.add(event.getPath())).forPath(path + "/" + i);
        }
        for (int i = 0; i < 200; i++) {
            same(path + "/" + i, next(done));
        }
        same(200, one.getChildren().forPath(path).size());
    }

    // ---- The server restarts ----

    /** Tells of znodes only, not of the connection. */
    private static Watcher told(BlockingQueue<String> events, String name) {
        return event -> {
            if (event.getType() != Watcher.Event.EventType.None) {
                events.add(name + " " + event.getType());
            }
        };
    }

    public void restart() throws Exception {
        BlockingQueue<ConnectionState> states = states(one);
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        InterProcessMutex mutex = new InterProcessMutex(one, path + "/lock");
        mutex.acquire();
        one.create().creatingParentsIfNeeded().withMode(CreateMode.EPHEMERAL).forPath(path + "/e", bytes("e"));
        one.getData().usingWatcher(told(events, "data")).forPath(path + "/e");
        one.getChildren().usingWatcher(told(events, "children")).forPath(path);
        one.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher(told(events, "recursive"))
            .forPath(path + "/e");
        long session = one.getZookeeperClient().getZooKeeper().getSessionId();
        tool("kill");
        awaitState(states, ConnectionState.SUSPENDED);
        tool("start");
        awaitState(states, ConnectionState.RECONNECTED);
        same(session, one.getZookeeperClient().getZooKeeper().getSessionId());
        same("e", new String(one.getData().forPath(path + "/e"), StandardCharsets.UTF_8));
        check(!new InterProcessMutex(client(), path + "/lock").acquire(100, TimeUnit.MILLISECONDS), "still held");
        one.setData().forPath(path + "/e", bytes("f"));
        List<String> both = new ArrayList<>(Arrays.asList(next(events), next(events)));
        both.sort(Comparator.naturalOrder());
        same(Arrays.asList("data NodeDataChanged", "recursive NodeDataChanged"), both);
        one.create().forPath(path + "/new");
        same("children NodeChildrenChanged", next(events));
        mutex.release();
    }

    public void restartUnderWork() throws Exception {
        one.create().creatingParentsIfNeeded().forPath(path);
        CountDownLatch begun = new CountDownLatch(100);
        Future<Integer> work = threads.submit(() -> {
            int written = 0;
            while (written < 400) {
                one.setData().forPath(path, bytes(String.valueOf(++written)));
                begun.countDown();
            }
            return written;
        });
        await(begun);
        tool("kill");
        tool("start");
        same(400, get(work));
        same("400", new String(one.getData().forPath(path), StandardCharsets.UTF_8));
    }

    public static void main(String[] words) throws Exception {
        List<Method> tests = new ArrayList<>();
        for (Method method : Recipes.class.getDeclaredMethods()) {
            boolean chosen = words.length == 0 || Arrays.asList(words).contains(method.getName());
            if (Modifier.isPublic(method.getModifiers()) && method.getParameterCount() == 0 && chosen) {
                tests.add(method);
            }
        }
        tests.sort(Comparator.comparing(Method::getName));
        System.out.println("1.." + tests.size());
        int number = 0;
        int failed = 0;
        for (Method test : tests) {
            String behind = "";
            boolean ok = true;
            Recipes recipes = new Recipes(test.getName());
            try {
                test.invoke(recipes);
            } catch (java.lang.reflect.InvocationTargetException e) {
                if (e.getCause() instanceof Skip) {
                    behind = " # SKIP " + e.getCause().getMessage();
                } else {
                    ok = false;
                    java.io.StringWriter text = new java.io.StringWriter();
                    e.getCause().printStackTrace(new java.io.PrintWriter(text));
                    System.out.print(text.toString().replaceAll("(?m)^(?=.)", "# "));
                }
            }
            recipes.close();
            failed += ok ? 0 : 1;
            System.out.println((ok ? "ok " : "not ok ") + ++number + " - " + test.getName() + behind);
            System.out.flush();
        }
        System.exit(failed == 0 ? 0 : 1);
    }
}
