/* SPDX-License-Identifier: Apache-2.0 */
/* A server of the ensemble, for the files that it is made of: server.c serves clients, replica.c keeps
 * the log, quorum.c chooses leaders. */
#ifndef ZKS_SIM_SERVER_H
#define ZKS_SIM_SERVER_H

#include "ensemble.h"
#include "tree/sessions.h"
#include "wire.h"

enum { SESSIONS_MAX = 512, HEARD_WORDS = SESSIONS_MAX / 64 };

enum entry_kind { ENTRY_WRITE, ENTRY_OPEN, ENTRY_CLOSE, ENTRY_REFUSED };

/* A write in its place in the order.  Every replica carries it out. */
struct entry {
    struct zks__txn txn;
    enum entry_kind kind;
    int64_t session;
    int code;                /* Of one that the leader has refused. */
    struct request *request; /* NULL for what no client has asked for. */
    struct server *origin;   /* Which server the client has asked. */
    struct zks__session opening;
    uint64_t hash;                     /* While exploring: of the log up to here. */
    uint64_t accepted_at[SERVERS_MAX]; /* When it is on whose disk. */
    uint64_t commit_at;
};

/* A leader's log; its followers' are beginnings of it. */
struct log {
    struct entry **entries;
    size_t n;
    size_t max;
};

struct server {
    unsigned number;
    bool up;
    struct server *leader; /* Itself where it leads, NULL while it looks for one. */
    struct zks__tree *tree;
    struct log *log;
    size_t accepted; /* Of the log, while it has no leader. */
    size_t applied;
    struct conn *conns;
    uint64_t heard[HEARD_WORDS]; /* Of which sessions, since the leader has been told. */
    int64_t clock_ppm;
    uint64_t paused_until;
    struct channel inside; /* What it has read and not passed on yet. */
    struct channel behind; /* What it knows to be committed and has not carried out yet. */
    struct channel to_leader;
    struct channel from_leader;
    struct happening end_of_trust; /* It finds that its leader, or its quorum, is gone. */
    struct happening joining;
    struct happening going_up;

    /* Of a leader. */
    uint64_t epoch;
    size_t committed;
    uint64_t last_commit_at;
    struct zks__sessions sessions;
    uint64_t heard_at[SESSIONS_MAX]; /* When it last heard of which. */
    struct happening commit;
    struct happening ping;
    struct happening look;
};

/* The ensemble's state. */
struct ensemble {
    struct ensemble_style style;
    struct server servers[SERVERS_MAX];
    unsigned n;
    uint64_t epoch;    /* The latest. */
    int64_t sessions;  /* Made so far. */
    int64_t strangers; /* Of these so far. */
    struct happening election;
    uint64_t apart; /* A bit for each server that is cut off from the others. */
    const struct conn *latest[SESSIONS_MAX]; /* By which each session was taken up last. */
    struct happening together;
    struct chance chance;
};

extern struct ensemble ensemble;

static inline uint64_t server_ms(const struct server *s)
{
    int64_t now = (int64_t)sched_now();
    return (uint64_t)(now + now / 1000000 * s->clock_ppm) / MS;
}

/* follows: whether the one is a follower of the other, in its present time as a leader. */
static inline bool follows(const struct server *s, const struct server *leader)
{
    return s != leader && s->up && s->leader == leader && leader->leader == leader &&
           s->log == leader->log;
}

/* server_wait: true, and the happening is put off, where the server stands still. */
bool server_wait(const struct server *s, struct happening *h);

/* ---- server.c ---- */

void server_begin(struct server *s, unsigned number);

/* server_done: what became of a write, a sync or a connect that this server has passed on. */
void server_done(struct request *r, struct answer *a);

/* server_answer: an answer for the request, with the zxid of the server's tree. */
struct answer *server_answer(struct server *s, struct request *r, int code);

/* server_close_conns: all of them, or those of a session but one. */
void server_close_conns(struct server *s);
void server_close_session(struct server *s, int64_t session, const struct conn *but);

/* server_hash, replica_hash: of what a server has in hand, for exploring. */
uint64_t server_hash(const struct server *s, uint64_t hash);
uint64_t replica_hash(const struct server *s, uint64_t hash);

/* ---- replica.c ---- */

/* replica_heard: the leader has heard of a session. */
void replica_heard(struct server *leader, int64_t session);

/* replica_forward: passes a request of a client to the leader. */
void replica_forward(struct server *s, struct request *r);

/* replica_append: the leader puts a write at the end of the log. */
struct entry *replica_append(struct server *leader, enum entry_kind kind, int64_t session,
                             struct request *r, struct server *origin);

/* replica_carries_out: takes what waits in its server's `behind`. */
void replica_carries_out(struct channel *ch, struct parcel *p);

/* replica_accepted: how much of the log is on the server's disk by now. */
size_t replica_accepted(const struct server *s);

/* replica_lead, replica_follow: the server takes up one part or the other; replica_stop: neither. */
void replica_lead(struct server *s);
void replica_follow(struct server *s, struct server *leader);
void replica_stop(struct server *s);

#endif
