/* SPDX-License-Identifier: Apache-2.0 */
/* A counter in a file that only the lock guards: many processes add to it while servers die and
 * connections break, and no addition is lost. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "locks.h"

enum { WORKERS = 8, ADDITIONS = 100, LONE_ROUNDS = 8 };

struct record {
    uint64_t count;
    uint64_t token; /* Of whoever wrote it. */
};

/* The file: the record, and what needs no guard. */
struct file {
    struct record record;
    atomic_bool enough;         /* There was enough trouble: the workers may end. */
    atomic_uint added[WORKERS]; /* How much each of them has added. */
};

static struct file *map_file(int fd)
{
    struct file *file = mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return file != MAP_FAILED ? file : NULL;
}

/* The exit statuses of a worker. */
enum { DONE, BROKEN, STALE };

static int give_up(const char *what, int rc)
{
    (void)fprintf(stderr, "worker %ld: %s: %s\n", (long)getpid(), what, zks_err_name(rc));
    return BROKEN;
}

/* Adds one, if the lock is still held when it comes to writing; an older token must not write
 * behind a newer one. */
static int add(zks_rwlock *lock, int fd, bool *added)
{
    struct record record = {0, 0};
    uint64_t token = zks_rwlock_token(lock);
    *added = false;
    if (pread(fd, &record, sizeof record, offsetof(struct file, record)) != sizeof record) {
        return give_up("read", ZKS_ESYSTEM);
    }
    record.count++;
    if (token < record.token && zks_rwlock_held(lock) == ZKS_RWLOCK_WRITE) {
        (void)fprintf(stderr, "worker %ld: token %llu after %llu\n", (long)getpid(),
                      (unsigned long long)token, (unsigned long long)record.token);
        return STALE;
    }
    record.token = token;
    if (zks_rwlock_held(lock) == ZKS_RWLOCK_WRITE) {
        if (pwrite(fd, &record, sizeof record, offsetof(struct file, record)) != sizeof record) {
            return give_up("write", ZKS_ESYSTEM);
        }
        *added = true;
    }
    return DONE;
}

static int work(const char *path, int fd, unsigned number)
{
    struct file *file = map_file(fd);
    zks_client *client = NULL;
    zks_rwlock *lock = NULL;
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = ens_servers();
    options.session_timeout_ms = IT_SESSION_MS;
    options.connect_timeout_ms = IT_LIMIT_MS;
    int rc = file != NULL ? zks_client_open(&options, &client) : ZKS_ESYSTEM;
    rc = rc ? rc : zks_rwlock_new(client, path, NULL, &lock);
    if (rc != 0) {
        return give_up("zks_client_open", rc);
    }
    int status = DONE;
    for (unsigned i = 0; status == DONE && (atomic_load(&file->added[number]) < ADDITIONS ||
                                            !atomic_load(&file->enough));
         i++) {
        bool added = false;
        rc = zks_rwlock_wrlock(lock, ZKS_FOREVER);
        if (rc != 0) {
            return give_up("zks_rwlock_wrlock", rc);
        }
        status = add(lock, fd, &added);
        atomic_fetch_add(&file->added[number], added);
        rc = zks_rwlock_unlock(lock, i % 4 ? ZKS_FOREVER : 0);
        if (rc != 0 && rc != ZKS_ELOST) {
            return give_up("zks_rwlock_unlock", rc);
        }
    }
    zks_rwlock_free(lock);
    rc = zks_client_close(client);
    return status == DONE && rc != 0 ? give_up("zks_client_close", rc) : status;
}

struct worker {
    pid_t pid;
    bool running;
};

/* How many still run.  One that has ended must have ended well. */
static unsigned running(struct worker *workers)
{
    unsigned count = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        int status = 0;
        if (workers[i].running && waitpid(workers[i].pid, &status, WNOHANG) == workers[i].pid) {
            workers[i].running = false;
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), DONE);
        }
        count += workers[i].running;
    }
    return count;
}

static void start_workers(struct worker *workers, const struct it *it, int fd)
{
    for (size_t i = 0; i < WORKERS; i++) {
        char number[16];
        char descriptor[16];
        (void)snprintf(number, sizeof number, "%u", (unsigned)i);
        (void)snprintf(descriptor, sizeof descriptor, "%d", fd);
        const char *const words[] = {"--work", it->path, descriptor, number, NULL};
        workers[i] = (struct worker){it_spawn(words), true};
    }
}

/* One server after the other is killed and started again, and the connections through the proxy of
 * another one are broken meanwhile.  On a machine that is too busy for all of them in good time, the
 * workers may end earlier. */
static void make_trouble(struct worker *workers, struct file *file)
{
    size_t rounds = 0;
    size_t killed = 0;
    uint64_t until = zks_clock_ms() + IT_LIMIT_MS / 2;
    for (; running(workers) > 0; rounds++) {
        size_t i = rounds % ens_count();
        /* While a lone server is dead, or cut off, nobody gets on. */
        bool trouble = ens_count() > 2 || rounds < LONE_ROUNDS;
        bool kills = ens_can_kill() && trouble;
        if (rounds == ens_count() || !ens_can_kill() || zks_clock_ms() > until) {
            atomic_store(&file->enough, true);
        }
        if (kills) {
            ens_kill(i);
        }
        if (ens_has_proxy() && trouble) {
            size_t other = (i + 2) % ens_count();
            proxy_cut(other);
            proxy_heal(other);
        }
        if (kills) {
            ens_start(i);
        }
        killed += kills;
        it_pause();
    }
    printf("# servers killed: %zu\n", killed);
}

static void no_addition_is_lost(void **state)
{
    struct it *it = *state;
    struct worker workers[WORKERS];
    int fd = memfd_create("counter", 0); /* The workers inherit it. */
    uint64_t sum = 0;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof(struct file)), 0);
    struct file *file = map_file(fd);
    assert_non_null(file);
    start_workers(workers, it, fd);
    make_trouble(workers, file);
    for (size_t i = 0; i < WORKERS; i++) {
        unsigned added = atomic_load(&file->added[i]);
        assert_true(added >= ADDITIONS);
        sum += added;
    }
    printf("# counted to %llu\n", (unsigned long long)file->record.count);
    assert_int_equal(file->record.count, sum);
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    (void)munmap(file, sizeof *file);
    (void)close(fd);
    if (ens_can_kill()) {
        ens_await();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(no_addition_is_lost),
    };
    if (argc == 5 && strcmp(argv[1], "--work") == 0) {
        return work(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]) % WORKERS);
    }
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("counter", tests, NULL, NULL);
}
