/* SPDX-License-Identifier: Apache-2.0 */
/* One participant of the show that tools/demo stages (`make demo`), which starts several of them:
 *
 *     demo write NAME PATH WORK_MS [SESSION_MS]
 *     demo read NAME PATH WORK_MS [SESSION_MS]
 *     demo set|unset|wait NAME PATH
 *     demo together NAME PATH WORK_MS N
 *
 * With a WORK_MS of -1 the work lasts until standard input ends.  What happens is told on standard
 * output, a line for each event: ms of the monotonic clock, NAME, a sentence.  The events that give
 * something up are told before it is done and the others after it, so that on a common clock two
 * participants never seem to overlap that did not. */
#include <inttypes.h>
#include <poll.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zksync/zksync.h>

static const char *name;

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    /* A line is one write, and so comes out whole also where others write to the same pipe. */
    printf("%lld %s %s\n", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, name, line);
    fflush(stdout);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void work(long ms)
{
    if (ms >= 0) {
        sleep_ms(ms);
    } else {
        poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, -1);
    }
}

struct wait {
    sem_t done;
    int result;
};

static void locked(zks_op *op, int result, void *arg)
{
    (void)op;
    struct wait *wait = arg;
    wait->result = result;
    sem_post(&wait->done);
}

static bool is_done(struct wait *wait, long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_timedwait(&wait->done, &until) == 0;
}

/* The value of "identity" in what the one before us wrote; names in this show need no unescaping.
 */
static void whom(const char *data, char *buf, size_t size)
{
    static const char key[] = "\"identity\":\"";
    const char *value = strstr(data, key);
    value = value ? value + strlen(key) : "somebody";
    snprintf(buf, size, "%.*s", (int)strcspn(value, "\""), value);
}

/* Takes the lock as an operation, to be able to tell meanwhile who is waited for. */
static int take(zks_rwlock *lock, bool write)
{
    struct wait wait = {.result = 0};
    sem_init(&wait.done, 0, 0);
    zks_op op;
    zks_op_init(&op, locked, &wait);
    int error = write ? zks_rwlock_wrlock_op(lock, ZKS_FOREVER, &op)
                      : zks_rwlock_rdlock_op(lock, ZKS_FOREVER, &op);
    char before[256] = "";
    while (!error && !is_done(&wait, 20)) {
        char data[256];
        char now[256];
        if (zks_rwlock_waits_for(lock, data, sizeof data) > 0) {
            whom(data, now, sizeof now);
            if (strcmp(now, before) != 0) {
                tell("waits behind %s", now);
                memcpy(before, now, sizeof before);
            }
        }
    }
    sem_destroy(&wait.done);
    return error ? error : wait.result;
}

static int lock_and_work(zks_client *client, const char *path, bool write, long work_ms)
{
    zks_rwlock *lock = NULL;
    int error = zks_rwlock_new(client, path, NULL, &lock);
    if (error) {
        return error;
    }
    tell("asks for the lock, to %s", write ? "write" : "read");
    error = take(lock, write);
    if (error) {
        goto out;
    }
    tell("holds the lock to %s, token %" PRIu64, write ? "write" : "read", zks_rwlock_token(lock));
    tell("works");
    work(work_ms);
    if (!zks_rwlock_held(lock)) {
        error = ZKS_ELOST;
        goto out;
    }
    tell("releases the lock");
    error = zks_rwlock_unlock(lock, 10000);
out:
    zks_rwlock_free(lock);
    return error;
}

static int use_barrier(zks_client *client, const char *path, const char *what)
{
    zks_barrier *barrier = NULL;
    int error = zks_barrier_new(client, path, &barrier);
    if (error) {
        return error;
    }
    if (strcmp(what, "set") == 0) {
        error = zks_barrier_set(barrier, 10000);
        if (!error) {
            tell("has set the barrier");
        }
    } else if (strcmp(what, "unset") == 0) {
        tell("removes the barrier");
        error = zks_barrier_unset(barrier, 10000);
    } else {
        /* Without waiting at first, to tell of the waiting only when it is so. */
        error = zks_barrier_wait(barrier, 0);
        if (error == ZKS_EBUSY) {
            tell("stands at the barrier");
            error = zks_barrier_wait(barrier, ZKS_FOREVER);
        }
        if (!error) {
            tell("goes on");
        }
    }
    zks_barrier_free(barrier);
    return error;
}

static int compute_together(zks_client *client, const char *path, long work_ms, uint32_t n)
{
    zks_double_barrier *barrier = NULL;
    int error = zks_double_barrier_new(client, path, n, name, &barrier);
    if (error) {
        return error;
    }
    tell("enters, and waits for all %" PRIu32 " to be there", n);
    error = zks_double_barrier_enter(barrier, ZKS_FOREVER);
    if (error) {
        goto out;
    }
    tell("starts to compute");
    work(work_ms);
    tell("finished, and waits for the others");
    error = zks_double_barrier_leave(barrier, ZKS_FOREVER);
    if (!error) {
        tell("leaves");
    }
out:
    zks_double_barrier_free(barrier);
    return error;
}

static int play(zks_client *client, int argc, char **argv)
{
    const char *role = argv[1];
    const char *path = argv[3];
    long work_ms = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
    if (strcmp(role, "write") == 0 || strcmp(role, "read") == 0) {
        return lock_and_work(client, path, strcmp(role, "write") == 0, work_ms);
    }
    if (strcmp(role, "together") == 0 && argc > 5) {
        return compute_together(client, path, work_ms, (uint32_t)strtoul(argv[5], NULL, 10));
    }
    if (strcmp(role, "set") == 0 || strcmp(role, "unset") == 0 || strcmp(role, "wait") == 0) {
        return use_barrier(client, path, role);
    }
    return ZKS_EINVAL;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: demo write|read|set|unset|wait|together NAME PATH ...\n");
        return 2;
    }
    name = argv[2];

    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.identity = name;
    if (argc > 5 && strcmp(argv[1], "together") != 0) {
        options.session_timeout_ms = (uint32_t)strtoul(argv[5], NULL, 10);
    }
    zks_client *client = NULL;
    int error = zks_client_open(&options, &client);
    if (!error) {
        error = play(client, argc, argv);
    }
    if (error) {
        tell("failed: %s", zks_strerror(error));
    }
    zks_client_close(client);
    return error ? 1 : 0;
}
