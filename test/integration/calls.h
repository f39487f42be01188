/* SPDX-License-Identifier: Apache-2.0 */
/* Every public function that asks a server, under a few signatures, so that tests can go through
 * all of them.  The functions are inline so that a test need not use all of them. */
#ifndef ZKSYNC_TEST_INTEGRATION_CALLS_H
#define ZKSYNC_TEST_INTEGRATION_CALLS_H

#include "common.h"

/* Long enough for any refusal; what is asked for here is never to be waited for in vain. */
enum { REFUSED_MS = 20000, CALLS = 9 };

enum kind { RWLOCK, BARRIER, DOUBLE_BARRIER, KINDS };

/* One of each, made from a client. */
struct handles {
    zks_rwlock *rwlock;
    zks_barrier *barrier;
    zks_double_barrier *double_barrier;
};

static inline void handles_open(struct handles *h, zks_client *client, const char *path)
{
    h->rwlock = it_rwlock(client, path);
    h->barrier = it_barrier(client, path);
    h->double_barrier = it_double_barrier(client, path, 2, "a");
}

static inline void handles_free(struct handles *h)
{
    zks_rwlock_free(h->rwlock);
    zks_barrier_free(h->barrier);
    zks_double_barrier_free(h->double_barrier);
}

/* Every function that waits, under one signature; without handles it is called with NULL. */
#define CALL(type, name)                                                                           \
    static inline int type##_##name(struct handles *h, int64_t timeout_ms)                         \
    {                                                                                              \
        return zks_##type##_##name(h != NULL ? h->type : NULL, timeout_ms);                        \
    }                                                                                              \
    static inline int type##_##name##_op(struct handles *h, int64_t timeout_ms, zks_op *op)        \
    {                                                                                              \
        return zks_##type##_##name##_op(h != NULL ? h->type : NULL, timeout_ms, op);               \
    }

CALL(rwlock, rdlock)
CALL(rwlock, wrlock)
CALL(rwlock, unlock)
CALL(rwlock, downgrade)
CALL(barrier, set)
CALL(barrier, unset)
CALL(barrier, wait)
CALL(double_barrier, enter)
CALL(double_barrier, leave)

static const struct call {
    const char *name;
    bool needs_hold; /* It ends what another one has begun: without that it is ZKS_EPERM. */
    int (*run)(struct handles *h, int64_t timeout_ms);
    int (*start)(struct handles *h, int64_t timeout_ms, zks_op *op);
} calls[CALLS] = {
    {"rdlock", false, rwlock_rdlock, rwlock_rdlock_op},
    {"wrlock", false, rwlock_wrlock, rwlock_wrlock_op},
    {"unlock", true, rwlock_unlock, rwlock_unlock_op},
    {"downgrade", true, rwlock_downgrade, rwlock_downgrade_op},
    {"set", false, barrier_set, barrier_set_op},
    {"unset", false, barrier_unset, barrier_unset_op},
    {"wait", false, barrier_wait, barrier_wait_op},
    {"enter", false, double_barrier_enter, double_barrier_enter_op},
    {"leave", true, double_barrier_leave, double_barrier_leave_op},
};

static inline void expect(const char *what, int got, int want)
{
    if (got != want) {
        ens_fail("%s: %s, not %s", what, zks_err_name(got), zks_err_name(want));
    }
}

/* Makes a handle of that kind; whatever fails must leave the pointer as it was. */
static inline int make(enum kind kind, zks_client *client, const char *path)
{
    static char mark;
    void *untouched = &mark;
    zks_rwlock *rwlock = untouched;
    zks_barrier *barrier = untouched;
    zks_double_barrier *both = untouched;
    int rc = kind == RWLOCK    ? zks_rwlock_new(client, path, NULL, &rwlock)
             : kind == BARRIER ? zks_barrier_new(client, path, &barrier)
                               : zks_double_barrier_new(client, path, 2, "a", &both);
    if (rc != 0) {
        assert_ptr_equal(rwlock, untouched);
        assert_ptr_equal(barrier, untouched);
        assert_ptr_equal(both, untouched);
        return rc;
    }
    zks_rwlock_free(kind == RWLOCK ? rwlock : NULL);
    zks_barrier_free(kind == BARRIER ? barrier : NULL);
    zks_double_barrier_free(kind == DOUBLE_BARRIER ? both : NULL);
    return 0;
}

/* The same for the listing, and for opening a client. */
static inline int list(zks_client *client, const char *path, int64_t timeout_ms)
{
    struct zks_contender mark;
    struct zks_contender *found = &mark;
    size_t count = 4711;
    int rc = zks_rwlock_list(client, path, timeout_ms, &found, &count);
    if (rc != 0) {
        assert_ptr_equal(found, &mark);
        assert_int_equal(count, 4711);
        return rc;
    }
    zks_contenders_free(found, count);
    return 0;
}

static inline int try_open(const zks_client_options *options)
{
    static char mark;
    void *untouched = &mark;
    zks_client *client = untouched;
    int rc = zks_client_open(options, &client);
    if (rc != 0) {
        assert_ptr_equal(client, untouched);
        return rc;
    }
    it_ok(zks_client_close(client));
    return 0;
}

static inline zks_client_options sane(void)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = ens_direct();
    options.connect_timeout_ms = IT_LIMIT_MS;
    return options;
}

#endif
