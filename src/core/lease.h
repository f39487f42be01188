/* SPDX-License-Identifier: Apache-2.0 */
/* Until when a session is sure to live, known from what the servers have acknowledged.
 *
 * Only a leader ends a session, when it has not heard of it for the session timeout.  So two things
 * must be known: when the present leader last heard of the session, and that no later leader had
 * begun to count before.
 *
 * 1. The leader hears of a session when it is created or taken up by a server, and when a follower
 * answers one of its pings, sent every half tick, with the list of those it has heard from.  An answer
 * to a read proves nothing of the leader: a follower cut off from it, or whose leader stands still, goes on
 * answering them for long.  What is needed is four requests, the last three of which go through the
 * leader, as syncs and writes do:
 *   A, of any kind, is answered: the follower has noted the session;
 *   W is sent a quarter of the session timeout after A's answer, and answered: the leader runs, and since
 *     A's answer its next ping has been sent or has fallen due, for by ZooKeeper's defaults half a tick is
 *     at most that quarter;
 *   B is sent a while after W's answer, and answered: a ping that was due has been sent meanwhile, and since
 *     the answer came behind that ping, the follower has replied to it;
 *   C is sent after B's answer, and answered: the leader has read that reply, which came before C.  A
 *     leader that has begun to end the session no longer heeds that reply, and answers syncs all the same, but
 *     refuses writes: so C is a write, unless it is answered while the lease that was known before still lasts.
 * Then the leader heard of the session at the time A was sent, or later.  A leader that has stood still can
 * answer W before it gets to a ping that is overdue, for they are different threads of its; the while is what it is
 * given to do so, a fiftieth of the session timeout.  The quarter is a little longer, for a leader's clock
 * that runs slower than ours.  Times are whole milliseconds, so each answer can have come up to one later than
 * it seems.
 *
 * 2. A write is answered once a quorum has it.  A leader of later date counts from its own start,
 * which comes after that.
 *
 * The session lives for its timeout from the earlier of the two.  Times are taken before sending,
 * on the client's clock; a fiftieth, rounded up, is taken off for clocks that do not run equally
 * fast.
 *
 * 3. Each server grants the session timeout that its own bounds allow, and the leader ends the session by
 * the latest grant that it has heard of: from a server that takes the session up, also where its answer is
 * lost, or late, from one that the client has left.  So the lease counts with the shortest timeout that was
 * granted to this session.  While there is no connection it counts with the shortest that any server has
 * granted to this client, from the last request that was answered: a server may have taken the session up
 * since.  What a server would grant that the client has never met cannot be known: all servers must grant
 * the client the same timeout. */
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
    uint64_t answered_ms; /* Rounded down, as clocks are. */
};

/* How far an A has got. */
struct zks__lease_proof {
    bool under_way;
    uint64_t sent_ms; /* When A was sent. */
    uint64_t by_ms;   /* When W, or B, was answered. */
};

struct zks__lease {
    uint32_t
        timeout_ms; /* The shortest that was granted to the session, or to the client before it was taken up again. */
    uint32_t least_ms; /* ... to the client. */
    bool valid;
    bool cut;             /* There is no connection. */
    uint64_t answered_ms; /* The last request that any server has answered was sent then. */
    uint64_t heard_ms;    /* The leader heard of the session at this time or later. */
    uint64_t quorum_ms;   /* No other leader has begun to count before this time. */
    struct zks__lease_answer
        answers[ZKS__LEASE_MAX]; /* Of this connection, oldest first: the As. */
    unsigned n;
    struct zks__lease_proof due;     /* W is answered: waits for its B. */
    struct zks__lease_proof relayed; /* B is answered: waits for its C. */
};

/* zks__lease_begin: a connection was made, for a new session or for the old one again; the client
 * asked for it at `asked_ms` or later. */
void zks__lease_begin(struct zks__lease *l, uint64_t asked_ms, uint32_t timeout_ms,
                      bool new_session);

/* zks__lease_answered: a request that was sent at `sent_ms` or later on the present connection has
 * been answered at `now_ms` or before. */
void zks__lease_answered(struct zks__lease *l, enum zks__route route, uint64_t sent_ms,
                         uint64_t now_ms);

/* zks__lease_cut: the connection is lost. */
void zks__lease_cut(struct zks__lease *l);

/* zks__lease_end: the session is over. */
void zks__lease_end(struct zks__lease *l);

/* zks__lease_safe_until: 0 where nothing is known. */
uint64_t zks__lease_safe_until(const struct zks__lease *l);

/* zks__lease_over_ms: when a session that no server has answered since is to be taken for ended.  The servers may
 * have ended it before. */
uint64_t zks__lease_over_ms(const struct zks__lease *l);

/* zks__lease_beat_ms: how often a request must go through the leader to keep the lease up. */
uint64_t zks__lease_beat_ms(const struct zks__lease *l);

/* zks__lease_note_ms: how often any request must be answered, so that a proof that begins now is of use. */
uint64_t zks__lease_note_ms(const struct zks__lease *l);

/* zks__lease_wants_write: whether C is the next, and has to be a write. */
bool zks__lease_wants_write(const struct zks__lease *l, uint64_t now_ms);

/* zks__lease_next_ms: from when on the next request through the leader can bring the proof forward; 0 where a write
 * does so at once, for the last one is older than what the leader has heard. */
uint64_t zks__lease_next_ms(const struct zks__lease *l);

#endif
