/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the benchmark that goes through libzksync, and its baseline.  It is a worker:
 * bench/run writes a command to its standard input, "WHAT COUNT", and it answers with a line when
 * it has done that, "NANOSECONDS", the time for all COUNT together.  So blocks of all that is
 * measured can take turns on one server, with those of other programs too.
 *
 *   baseline N     N times: zoo_create of an ephemeral sequential znode, zoo_delete of it
 *   bare N         the same requests and the listing that a lock needs, in libzookeeper's asynchronous
 *                  calls and with nothing around them: what a lock built on those can reach
 *   awaited N      N times: write lock, unlock that waits for the servers
 *   unawaited N    N times: write lock, unlock that does not wait; between them, while the clock
 *                  stands, the server carries out the unlock, as it would while a program goes on
 *   unbroken N     N times: the same with nothing in between
 *   read N         N times: read lock, unlock that waits
 *   shared N       the same while SHARERS others hold it for reading
 *   handover N     N writers are queued, and each that gets the lock gives it to the next */
#include <inttypes.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zksync/zksync.h>

/* The header declares the calls that wait for their answer only where this is defined. */
#define THREADED
#include <zookeeper/zookeeper.h>

enum { CLIENTS = 4, SHARERS = 100, WRITERS_MAX = 1000, SESSION_MS = 40000, LIMIT_MS = 60000 };

#define ROOT "/zksync-bench"

static zks_client *clients[CLIENTS];
static zhandle_t *plain;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static void must(int error, const char *what)
{
    if (error) {
        die(what, zks_strerror(error));
    }
}

static void must_zk(int code, const char *what)
{
    if (code != ZOK) {
        die(what, zerror(code));
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static zks_rwlock *new_lock(zks_client *client, const char *path)
{
    zks_rwlock *lock = NULL;
    must(zks_rwlock_new(client, path, NULL, &lock), "zks_rwlock_new");
    return lock;
}

/* The baseline's znodes are to be as large as those of a lock. */
static int contender_data(char *buf, int size)
{
    zks_rwlock *lock = new_lock(clients[0], ROOT "/size");
    must(zks_rwlock_wrlock(lock, LIMIT_MS), "lock");
    char path[1100];
    zks_rwlock_node(lock, path, sizeof path);
    must_zk(zoo_get(plain, path, 0, buf, &size, NULL), "zoo_get");
    must(zks_rwlock_unlock(lock, LIMIT_MS), "unlock");
    zks_rwlock_free(lock);
    return size;
}

/* What the baseline and the bare requests create: as long a name and as much data as a lock's. */
static const char prefix[] = ROOT "/baseline/_c_0123456789abcdef0123456789abcdef-write-";
static char data[4096];
static int data_size;

static void prepare(void)
{
    if (data_size == 0) {
        data_size = contender_data(data, (int)sizeof data);
        int code = zoo_create(plain, ROOT "/baseline", NULL, -1, &ZOO_OPEN_ACL_UNSAFE,
                              ZOO_PERSISTENT, NULL, 0);
        must_zk(code == ZNODEEXISTS ? ZOK : code, "zoo_create");
    }
}

static int64_t baseline(long n)
{
    prepare();
    int64_t begin = now_ns();
    for (long i = 0; i < n; i++) {
        char path[256];
        must_zk(zoo_create(plain, prefix, data, data_size, &ZOO_OPEN_ACL_UNSAFE,
                           ZOO_EPHEMERAL | ZOO_SEQUENCE, path, sizeof path),
                "zoo_create");
        must_zk(zoo_delete(plain, path, -1), "zoo_delete");
    }
    return now_ns() - begin;
}

struct bare {
    char path[256];
    sem_t done;
};

static void bare_created(int rc, const char *path, const struct Stat *stat, const void *arg)
{
    struct bare *bare = (struct bare *)(uintptr_t)arg;
    (void)stat;
    must_zk(rc, "zoo_acreate2");
    snprintf(bare->path, sizeof bare->path, "%s", path);
}

static void bare_listed(int rc, const struct String_vector *names, const struct Stat *stat,
                        const void *arg)
{
    (void)names;
    (void)stat;
    must_zk(rc, "zoo_aget_children2");
    sem_post(&((struct bare *)(uintptr_t)arg)->done);
}

static void bare_deleted(int rc, const void *arg)
{
    must_zk(rc, "zoo_adelete");
    sem_post(&((struct bare *)(uintptr_t)arg)->done);
}

static void await(sem_t *done)
{
    while (sem_wait(done) != 0) {
    }
}

static int64_t bare(long n)
{
    struct bare bare;
    prepare();
    sem_init(&bare.done, 0, 0);
    int64_t begin = now_ns();
    for (long i = 0; i < n; i++) {
        must_zk(zoo_acreate2(plain, prefix, data, data_size, &ZOO_OPEN_ACL_UNSAFE,
                             ZOO_EPHEMERAL_SEQUENTIAL, bare_created, &bare),
                "zoo_acreate2");
        must_zk(zoo_aget_children2(plain, ROOT "/baseline", 0, bare_listed, &bare),
                "zoo_aget_children2");
        await(&bare.done);
        must_zk(zoo_adelete(plain, bare.path, -1, bare_deleted, &bare), "zoo_adelete");
        await(&bare.done);
    }
    int64_t took = now_ns() - begin;
    sem_destroy(&bare.done);
    return took;
}

static int64_t uncontended(const char *path, long n, bool write, int64_t unlock_ms)
{
    zks_rwlock *lock = new_lock(clients[0], path);
    int64_t begin = now_ns();
    for (long i = 0; i < n; i++) {
        must(write ? zks_rwlock_wrlock(lock, LIMIT_MS) : zks_rwlock_rdlock(lock, LIMIT_MS), "lock");
        must(zks_rwlock_unlock(lock, unlock_ms), "unlock");
    }
    int64_t took = now_ns() - begin;
    zks_rwlock_free(lock);
    return took;
}

static void await_gone(const char *path)
{
    int code;
    do {
        code = zoo_exists(plain, path, 0, NULL);
    } while (code == ZOK);
    must_zk(code == ZNONODE ? ZOK : code, "zoo_exists");
}

static int64_t unawaited(long n)
{
    zks_rwlock *lock = new_lock(clients[0], ROOT "/unawaited");
    int64_t took = 0;
    for (long i = 0; i < n; i++) {
        char path[1100];
        int64_t begin = now_ns();
        must(zks_rwlock_wrlock(lock, LIMIT_MS), "lock");
        took += now_ns() - begin;
        zks_rwlock_node(lock, path, sizeof path);
        begin = now_ns();
        must(zks_rwlock_unlock(lock, 0), "unlock");
        took += now_ns() - begin;
        await_gone(path);
    }
    zks_rwlock_free(lock);
    return took;
}

/* The others go on reading until the program ends. */
static int64_t shared(long n)
{
    static zks_rwlock *sharers[SHARERS];
    for (int i = 0; i < SHARERS && sharers[i] == NULL; i++) {
        sharers[i] = new_lock(clients[1 + i % (CLIENTS - 1)], ROOT "/shared");
        must(zks_rwlock_rdlock(sharers[i], LIMIT_MS), "lock");
    }
    return uncontended(ROOT "/shared", n, false, LIMIT_MS);
}

struct queue {
    atomic_long left;
    sem_t done;
};

struct writer {
    zks_rwlock *lock;
    zks_op op;
    struct queue *queue;
};

/* The next one is served before this has returned, maybe on another client's thread. */
static void passed_on(zks_op *op, int result, void *arg)
{
    (void)op;
    struct writer *writer = arg;
    must(result, "lock in the queue");
    must(zks_rwlock_unlock(writer->lock, 0), "unlock in the queue");
    if (atomic_fetch_sub(&writer->queue->left, 1) == 1) {
        sem_post(&writer->queue->done);
    }
}

/* Until the server shows so many children; a plain list tells nobody's data and costs little. */
static void await_children(const char *path, int32_t count)
{
    for (int64_t limit = now_ns() + LIMIT_MS * INT64_C(1000000);;) {
        struct String_vector names = {0, NULL};
        int code = zoo_get_children(plain, path, 0, &names);
        if (code != ZNONODE) {
            must_zk(code, "zoo_get_children");
        }
        bool there = names.count == count;
        deallocate_String_vector(&names);
        if (there) {
            return;
        }
        if (now_ns() > limit) {
            die(path, "the queue does not become as long as it must");
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static int64_t handover(long n)
{
    static struct writer writers[WRITERS_MAX];
    const char *path = ROOT "/handover";
    if (n < 1 || n > WRITERS_MAX) {
        die("handover", "too many");
    }
    struct queue queue;
    atomic_init(&queue.left, n);
    sem_init(&queue.done, 0, 0);
    zks_rwlock *first = new_lock(clients[0], path);
    must(zks_rwlock_wrlock(first, LIMIT_MS), "lock");
    for (long i = 0; i < n; i++) {
        writers[i].queue = &queue;
        writers[i].lock = new_lock(clients[i % CLIENTS], path);
        zks_op_init(&writers[i].op, passed_on, &writers[i]);
        must(zks_rwlock_wrlock_op(writers[i].lock, ZKS_FOREVER, &writers[i].op), "lock");
    }
    await_children(path, (int32_t)n + 1);

    int64_t begin = now_ns();
    must(zks_rwlock_unlock(first, 0), "unlock");
    await(&queue.done);
    int64_t took = now_ns() - begin;

    zks_rwlock_free(first);
    for (long i = 0; i < n; i++) {
        zks_rwlock_free(writers[i].lock);
    }
    await_children(path, 0);
    sem_destroy(&queue.done);
    return took;
}

static void log_line(enum zks_log_level level, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    fprintf(stderr, "bench: %s\n", line);
}

static void connected(zhandle_t *zh, int type, int state, const char *path, void *arg)
{
    (void)zh;
    (void)path;
    if (type == ZOO_SESSION_EVENT && state == ZOO_CONNECTED_STATE) {
        sem_post(arg);
    }
}

static void set_up(const char *servers)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = servers;
    options.session_timeout_ms = SESSION_MS;
    options.log = log_line;
    for (int i = 0; i < CLIENTS; i++) {
        must(zks_client_open(&options, &clients[i]), "zks_client_open");
    }
    static sem_t up;
    sem_init(&up, 0, 0);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    plain = zookeeper_init(servers, connected, SESSION_MS, NULL, &up, 0);
    if (plain == NULL) {
        die("zookeeper_init", "failed");
    }
    await(&up);
}

static int64_t measure(const char *what, long n)
{
    if (strcmp(what, "baseline") == 0) {
        return baseline(n);
    } else if (strcmp(what, "bare") == 0) {
        return bare(n);
    } else if (strcmp(what, "awaited") == 0) {
        return uncontended(ROOT "/awaited", n, true, LIMIT_MS);
    } else if (strcmp(what, "unawaited") == 0) {
        return unawaited(n);
    } else if (strcmp(what, "unbroken") == 0) {
        return uncontended(ROOT "/unbroken", n, true, 0);
    } else if (strcmp(what, "read") == 0) {
        return uncontended(ROOT "/read", n, false, LIMIT_MS);
    } else if (strcmp(what, "shared") == 0) {
        return shared(n);
    } else if (strcmp(what, "handover") == 0) {
        return handover(n);
    }
    die(what, "no such measurement");
}

int main(void)
{
    const char *servers = getenv("ZKSYNC_SERVERS");
    if (servers == NULL) {
        die("ZKSYNC_SERVERS", "is not set; bench/run starts this program");
    }
    set_up(servers);
    char what[32];
    long n = 0;
    while (scanf("%31s %ld", what, &n) == 2) {
        printf("%" PRId64 "\n", measure(what, n));
        fflush(stdout);
    }
    for (int i = 0; i < CLIENTS; i++) {
        zks_client_close(clients[i]);
    }
    zookeeper_close(plain);
    return 0;
}
