/* SPDX-License-Identifier: Apache-2.0 */
/* Until when a session is sure to live, known from what the servers have acknowledged.
 *
 * Only a leader ends a session, when it has not heard of it for the session timeout.  So two things
 * must be known: when the present leader last heard of the session, and that no later leader had
 * begun to count before.
 *
 * 1. The leader hears of a session when it is created or taken up by a server, and when a follower
 * answers one of its pings, sent every half tick, with the list of those it has heard from.  Reads
 * prove nothing: a follower cut off from the leader, or whose leader stands still, goes on
 * answering them for long.  What counts are requests that go through the leader, syncs and writes:
 *   A is answered: the follower has noted the session;
 *   B is sent a relay interval after A's answer, and answered: the leader has pinged in between, and
 *     since the answer came behind that ping, the follower has replied to it;
 *   C is sent after B's answer, and answered: the leader has read that reply, which came before C.
 * Then the leader heard of the session at the time A was sent, or later.  The leader pings within a
 * half tick, at most a quarter of the session timeout by ZooKeeper's defaults, unless it stands
 * still just then.  A standstill lies between two answers, so the relay interval is that quarter and
 * the longest gap, from the sending of one request to the answer of the next, since A, and a little
 * for a leader's clock that runs slower than ours.
 *
 * 2. A write is answered once a quorum has it.  A leader of later date counts from its own start,
 * which comes after that.
 *
 * The session lives for its timeout from the earlier of the two.  Times are taken before sending,
 * on the client's clock; a fiftieth is taken off for clocks that do not run equally fast. */
#ifndef ZKS_CORE_LEASE_H
#define ZKS_CORE_LEASE_H

#include "step.h"

enum { ZKS__LEASE_MAX = 32 };

enum zks__route {
    ZKS__ROUTE_FOLLOWER, /* Any server answers by itself: a read. */
    ZKS__ROUTE_LEADER,   /* Through the leader: a sync. */
    ZKS__ROUTE_QUORUM    /* Through the leader and a quorum: a write. */
};

struct zks__lease_answer {
    uint64_t sent_ms;
    uint64_t answered_ms;
    uint64_t gap_ms; /* The longest that the leader may have stood still since. */
};

struct zks__lease {
    uint32_t timeout_ms;
    bool valid;
    uint64_t heard_ms;  /* The leader heard of the session at this time or later. */
    uint64_t quorum_ms; /* No other leader has begun to count before this time. */
    bool chained;
    uint64_t last_sent_ms;                            /* Of the chain's last answer. */
    struct zks__lease_answer answers[ZKS__LEASE_MAX]; /* Of the chain, oldest first: the As. */
    unsigned n;
    bool relayed;             /* A pair of A and B waits for its C. */
    uint64_t relayed_sent_ms; /* When A was sent. */
    uint64_t relayed_by_ms;   /* When B was answered. */
};

/* zks__lease_begin: a connection was made, for a new session or for the old one again; the client
 * asked for it at `asked_ms` or later. */
void zks__lease_begin(struct zks__lease *l, uint64_t asked_ms, uint32_t timeout_ms,
                      bool new_session);

/* zks__lease_answered: a request that was sent at `sent_ms` or later on the present connection has
 * been answered at `now_ms` or before. */
void zks__lease_answered(struct zks__lease *l, enum zks__route route, uint64_t sent_ms,
                         uint64_t now_ms);

/* zks__lease_end: the session is over. */
void zks__lease_end(struct zks__lease *l);

/* zks__lease_safe_until: 0 where nothing is known. */
uint64_t zks__lease_safe_until(const struct zks__lease *l);

/* zks__lease_heard_until: the same for the present leader alone.  It needs no writes, and is good
 * enough to say that a session is to be taken for lost, not that a lock is safe. */
uint64_t zks__lease_heard_until(const struct zks__lease *l);

/* zks__lease_beat_ms: how often a request must go through the leader to keep the lease up. */
uint64_t zks__lease_beat_ms(const struct zks__lease *l);

/* zks__lease_write_ms: how often one must go through a quorum while something is held. */
uint64_t zks__lease_write_ms(const struct zks__lease *l);

#endif
