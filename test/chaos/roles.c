/* SPDX-License-Identifier: Apache-2.0 */
#include "roles.h"

#include "journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How long a path is used before the next one is.  Short histories are judged fast, and what a lost reply of an unset
 * may still do is confined to one of them.  The locks come back to each of their paths, whose parents have been reaped
 * meanwhile. */
enum { LOCK_PERIOD_MS = 15000, LOCK_PATHS = 4, GATE_PERIOD_MS = 5000, ROUND_PERIOD_MS = 12000 };
enum { LOOK_MS = 10, LOOK_TELL_MS = 100, PATH_SIZE = 64 };

static uint64_t draw(struct actor *a)
{
    a->random ^= a->random << 13;
    a->random ^= a->random >> 7;
    a->random ^= a->random << 17;
    return a->random;
}

static unsigned below(struct actor *a, unsigned limit)
{
    return (unsigned)(draw(a) >> 16) % limit;
}

/* One of the values, each as probable as the next. */
#define ONE_OF(a, ...)                                                                             \
    ((const int64_t[]){                                                                            \
        __VA_ARGS__}[below(a, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))])

static bool stopping(const struct actor *a)
{
    return atomic_load(&a->setting->stopping);
}

/* The time that a user of the primitive spends on something else. */
static void work(int64_t ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static unsigned period(unsigned ms)
{
    return (unsigned)(journal_now() / 1000000U / ms);
}

static void path_of(const struct actor *a, char *path)
{
    if (strcmp(a->role, "gate") == 0) {
        snprintf(path, PATH_SIZE, "/chaos/gate-%u", period(GATE_PERIOD_MS));
    } else if (strcmp(a->role, "round") == 0) {
        snprintf(path, PATH_SIZE, "/chaos/round-%u", period(ROUND_PERIOD_MS));
    } else {
        snprintf(path, PATH_SIZE, "/chaos/%s-%u", a->role, period(LOCK_PERIOD_MS) % LOCK_PATHS);
    }
}

static unsigned begin(struct actor *a, const char *op, const char *path, int64_t timeout_ms)
{
    unsigned number = atomic_load(&a->number);
    journal(journal_now(), a->role, number, "call op=%s path=%s timeout=%" PRId64, op, path,
            timeout_ms);
    return number;
}

static void end(struct actor *a, const char *op, int rc)
{
    journal(journal_now(), a->role, atomic_load(&a->number), "ret op=%s rc=%s", op,
            zks_err_name(rc));
}

/* ---- Locks ---- */

static void on_lost(zks_rwlock *lock, void *arg)
{
    struct actor *a = arg;
    (void)lock;
    journal(journal_now(), a->role, atomic_load(&a->number), "lost");
}

/* Writes down what the handle says of itself.  The time comes first and the end of the lease after `held`, so each is a
 * bound for what was true when `held` was asked.  Returns whether it is held. */
static bool look(struct actor *a, zks_rwlock *lock, uint64_t *told_ns, uint64_t *told_safe)
{
    uint64_t now = journal_now();
    uint64_t clock = zks_clock_ms();
    int mode = zks_rwlock_held(lock);
    uint64_t token = zks_rwlock_token(lock);
    uint64_t safe = zks_rwlock_safe_until(lock);
    if (safe != *told_safe || mode == 0 || now - *told_ns >= LOOK_TELL_MS * UINT64_C(1000000)) {
        journal(now, a->role, atomic_load(&a->number),
                "held mode=%d token=%" PRIu64 " safe=%" PRIu64 " clock=%" PRIu64, mode, token, safe,
                clock);
        *told_ns = now;
        *told_safe = safe;
    }
    return mode != 0;
}

static void hold(struct actor *a, zks_rwlock *lock, int64_t ms)
{
    uint64_t until = journal_now() + (uint64_t)ms * 1000000U;
    uint64_t told_ns = 0;
    uint64_t told_safe = 0;
    while (look(a, lock, &told_ns, &told_safe) && journal_now() < until && !stopping(a)) {
        work(LOOK_MS);
    }
}

static void lock_once(struct actor *a, zks_rwlock *lock, const char *path)
{
    bool shared = strcmp(a->role, "rw") == 0;
    bool reads = shared && below(a, 10) < 6;
    int64_t timeout_ms = ONE_OF(a, 0, 50, 300, 1000, 3000, 10000);
    const char *op = reads ? "rdlock" : "wrlock";
    atomic_fetch_add(&a->number, 1);
    begin(a, op, path, timeout_ms);
    int rc = reads ? zks_rwlock_rdlock(lock, timeout_ms) : zks_rwlock_wrlock(lock, timeout_ms);
    end(a, op, rc);
    if (rc != 0) {
        return;
    }
    hold(a, lock, ONE_OF(a, 5, 20, 50, 100, 200, 500, 2000, 6000));
    if (shared && !reads && below(a, 3) == 0) {
        timeout_ms = ONE_OF(a, 0, 300, 2000);
        begin(a, "downgrade", path, timeout_ms);
        end(a, "downgrade", zks_rwlock_downgrade(lock, timeout_ms));
        hold(a, lock, ONE_OF(a, 20, 300, 2000));
    }
    timeout_ms = ONE_OF(a, 0, 200, 2000);
    begin(a, "unlock", path, timeout_ms);
    end(a, "unlock", zks_rwlock_unlock(lock, timeout_ms));
}

static void *lock_loop(void *arg)
{
    struct actor *a = arg;
    zks_rwlock_options options = ZKS_RWLOCK_OPTIONS_INIT;
    options.lost = on_lost;
    options.lost_arg = a;
    char last[PATH_SIZE] = "";
    zks_rwlock *lock = NULL;
    while (!stopping(a)) {
        char path[PATH_SIZE];
        path_of(a, path);
        if (strcmp(path, last) != 0) {
            zks_rwlock_free(lock);
            lock = NULL;
            if (zks_rwlock_new(a->setting->client, path, &options, &lock) != 0) {
                break;
            }
            strcpy(last, path);
        }
        lock_once(a, lock, path);
        work(ONE_OF(a, 0, 5, 20, 100, 400));
    }
    zks_rwlock_free(lock);
    return NULL;
}

/* ---- Barriers ---- */

/* Whoever `writes` sets and unsets; the others only wait.  A write that a server has not carried out holds up the answers
 * to reads behind it. */
static void gate_once(struct actor *a, zks_barrier *barrier, const char *path, bool writes)
{
    unsigned what = writes ? below(a, 1000) : 999;
    const char *op = what < 150 ? "set" : what < 160 ? "unset" : "wait";
    /* What is not known to have unset it may do so until the end, and then nothing can be wrong. */
    int64_t timeout_ms = what < 160 ? 5000 : ONE_OF(a, 0, 100, 200, 400, 400, 3000);
    atomic_fetch_add(&a->number, 1);
    begin(a, op, path, timeout_ms);
    int rc = what < 150   ? zks_barrier_set(barrier, timeout_ms)
             : what < 160 ? zks_barrier_unset(barrier, timeout_ms)
                          : zks_barrier_wait(barrier, timeout_ms);
    end(a, op, rc);
}

static void *gate_loop(void *arg)
{
    struct actor *a = arg;
    char last[PATH_SIZE] = "";
    zks_barrier *barrier = NULL;
    bool writes = false;
    while (!stopping(a)) {
        char path[PATH_SIZE];
        path_of(a, path);
        if (strcmp(path, last) != 0) {
            zks_barrier_free(barrier);
            barrier = NULL;
            if (zks_barrier_new(a->setting->client, path, &barrier) != 0) {
                break;
            }
            strcpy(last, path);
            writes = below(a, 2) == 0;
        }
        gate_once(a, barrier, path, writes);
        work(ONE_OF(a, 20, 50, 100, 200));
    }
    zks_barrier_free(barrier);
    return NULL;
}

/* ---- Double barriers ---- */

static void round_once(struct actor *a, zks_double_barrier *barrier, const char *path)
{
    int64_t timeout_ms = ONE_OF(a, 0, 200, 1000, 3000, 5000);
    atomic_fetch_add(&a->number, 1);
    begin(a, "enter", path, timeout_ms);
    int rc = zks_double_barrier_enter(barrier, timeout_ms);
    end(a, "enter", rc);
    if (rc != 0) {
        return;
    }
    work(ONE_OF(a, 0, 10, 100, 500));
    timeout_ms = ONE_OF(a, 0, 500, 3000, 5000);
    begin(a, "leave", path, timeout_ms);
    end(a, "leave", zks_double_barrier_leave(barrier, timeout_ms));
}

static void *round_loop(void *arg)
{
    struct actor *a = arg;
    char last[PATH_SIZE] = "";
    zks_double_barrier *barrier = NULL;
    while (!stopping(a)) {
        char path[PATH_SIZE];
        path_of(a, path);
        if (strcmp(path, last) != 0) {
            zks_double_barrier_free(barrier);
            barrier = NULL;
            if (zks_double_barrier_new(a->setting->client, path, a->setting->members,
                                       a->setting->name, &barrier) != 0) {
                break;
            }
            strcpy(last, path);
        }
        round_once(a, barrier, path);
        work(ONE_OF(a, 0, 20, 100, 300));
    }
    zks_double_barrier_free(barrier);
    return NULL;
}

void *(*role_loop(const char *role))(void *)
{
    static const struct {
        const char *role;
        void *(*loop)(void *);
    } loops[] = {
        {"lock", lock_loop}, {"rw", lock_loop}, {"gate", gate_loop}, {"round", round_loop}};
    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        if (strcmp(role, loops[i].role) == 0) {
            return loops[i].loop;
        }
    }
    return NULL;
}
