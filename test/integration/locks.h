/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the read-write lock share. */
#ifndef ZKSYNC_TEST_INTEGRATION_LOCKS_H
#define ZKSYNC_TEST_INTEGRATION_LOCKS_H

#include <stdatomic.h>

#include "common.h"

/* One that contends for a lock: a client of its own, a handle and an operation.  It must not be
 * moved while it is open. */
struct party {
    zks_client *client;
    zks_rwlock *lock;
    struct it_op op;
    struct it_states states;
    atomic_uint lost;         /* How often the lost callback was called, */
    _Atomic uint64_t lost_at; /* and when. */
};

/* party_open: `servers` and the session timeout are as for it_open(). */
void party_open(struct party *p, const char *servers, uint32_t session_timeout_ms,
                const char *path);
void party_open_expiry_is_error(struct party *p, const char *servers, uint32_t session_timeout_ms,
                                const char *path);
/* party_open_with: with these options of the client's, but for the listener, which is the party's. */
void party_open_with(struct party *p, const zks_client_options *client_options, const char *path);
/* party_close: frees the handle and closes the client; may be called twice. */
void party_close(struct party *p);

/* Locks that must be granted, and an unlock that must succeed. */
void party_read(struct party *p);
void party_write(struct party *p);
void party_unlock(struct party *p);

/* party_start: starts to lock. */
void party_start(struct party *p, enum zks_rwlock_mode mode);
/* party_queue: starts to lock, and returns when there are `contenders` znodes at the path. */
void party_queue(struct party *p, enum zks_rwlock_mode mode, const struct it *it, const char *path,
                 size_t contenders);
/* party_granted: waits for the end of party_start() and looks at what the handle says. */
void party_granted(struct party *p, enum zks_rwlock_mode mode);

/* The two that most tests have.  two_open: for the test's own path; two_queued: the same, the first
 * one has the lock for writing and the second one is queued behind it; two_close: both. */
void two_open(struct party *a, struct party *b, const struct it *it);
void two_queued(struct party *a, struct party *b, enum zks_rwlock_mode mode, const struct it *it);
void two_close(struct party *a, struct party *b);

/* party_await_waiting: waits until the handle knows whom it waits for, so that its watch is set. */
void party_await_waiting(struct party *p);

/* party_node: the path of the znode, to be freed; fails the test when the lock is not held. */
char *party_node(struct party *p);

#endif
