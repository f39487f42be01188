/* SPDX-License-Identifier: Apache-2.0 */
/* Which sessions are alive: what the leader, or a lone server, knows of them besides the tree.
 *
 * A session ends when nothing has been heard of it for its timeout.  That is looked at once a tick, and
 * the time is rounded up to one, so a session lives at least its timeout and at most two ticks longer.
 * Times are of any clock that only goes on. */
#ifndef ZKS_TREE_SESSIONS_H
#define ZKS_TREE_SESSIONS_H

#include "map.h"

struct zks__tracked;

struct zks__sessions {
    const struct zks__mem *mem;
    struct zks__map map;
    uint32_t tick_ms;
    uint32_t min_ms; /* The timeouts that a client can get. */
    uint32_t max_ms;
    uint64_t next_ms;              /* When to look next: a whole tick. */
    struct zks__tracked **buckets; /* A ring: whose time is up at which tick. */
    size_t n_buckets;
};

/* zks__sessions_init: with timeouts from 2 to 20 ticks where the bounds are given as 0; false where
 * there is no memory. */
bool zks__sessions_init(struct zks__sessions *s, const struct zks__mem *mem, uint32_t tick_ms,
                        uint32_t min_ms, uint32_t max_ms, uint64_t now_ms);
void zks__sessions_close(struct zks__sessions *s);

/* zks__sessions_grant: the timeout that a client gets for the one it asks for. */
uint32_t zks__sessions_grant(const struct zks__sessions *s, int32_t asked_ms);

/* zks__sessions_add: a session begins, or is known from before; it has been heard of just now.
 * ZKS__Z_SYSTEMERROR where there is no memory. */
int zks__sessions_add(struct zks__sessions *s, int64_t id, uint32_t timeout_ms, uint64_t now_ms);

/* zks__sessions_touch: it has been heard of.  ZKS__Z_SESSIONEXPIRED where there is no such session, or
 * it is being closed. */
int zks__sessions_touch(struct zks__sessions *s, int64_t id, uint64_t now_ms);

/* zks__sessions_attach: from now on its requests come from `owner`: a connection or a server. */
int zks__sessions_attach(struct zks__sessions *s, int64_t id, const void *owner, uint64_t now_ms);

/* zks__sessions_check: whether a request of the session may come from there: ZKS__Z_SESSIONMOVED where
 * it has been taken up elsewhere since, ZKS__Z_SESSIONEXPIRED. */
int zks__sessions_check(struct zks__sessions *s, int64_t id, const void *owner);

/* zks__sessions_until: when its time is up if nothing more is heard of it; 0 where it is not known, or closing. */
uint64_t zks__sessions_until(const struct zks__sessions *s, int64_t id);

/* zks__sessions_closing: its end is under way, and nothing can save it. */
void zks__sessions_closing(struct zks__sessions *s, int64_t id);

/* zks__sessions_remove: it has ended. */
void zks__sessions_remove(struct zks__sessions *s, int64_t id);

/* zks__sessions_expired: one whose time is up, which is closing from now on; 0 where there is none. */
int64_t zks__sessions_expired(struct zks__sessions *s, uint64_t now_ms);

#endif
