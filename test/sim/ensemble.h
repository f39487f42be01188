/* SPDX-License-Identifier: Apache-2.0 */
/* The ensemble: three or five replicas of the tree, one of which leads.
 *
 * The leader gives each write its place, sends it to the followers, and carries it out when a majority
 * has it on disk; each follower does so when it is told, which can be much later.  Reads are answered
 * by the server that is asked.  The leader keeps the sessions: it hears of those of other servers when
 * it pings them, every half tick.  A new leader has all that a majority had accepted, and counts the
 * sessions' times anew. */
#ifndef ZKS_SIM_ENSEMBLE_H
#define ZKS_SIM_ENSEMBLE_H

#include "wire.h"

enum { SERVERS_MAX = 5 };

/* Sessions from here on are of strangers, whom the servers always hear. */
#define STRANGERS (INT64_C(1) << 62)

struct ensemble_style {
    unsigned n_servers;
    uint32_t tick_ms;
    uint32_t sync_ticks; /* For so many a server trusts in a leader, or a leader in its quorum. */
    uint64_t longest;    /* Between two servers, in us. */
    uint64_t inside;     /* Until a server passes on what it has read, likewise. */
    uint64_t disk;       /* Until a write is on disk, likewise. */
    uint64_t carry;      /* Until a follower carries out what it knows to be committed, likewise. */
    uint64_t clock_apart; /* How unequal the servers' clocks can be, in ppm. */
};

void ensemble_begin(const struct ensemble_style *style, uint64_t seed);

/* ensemble_connect: a connection to a server; NULL where it takes none. */
struct conn *ensemble_connect(unsigned server, void *client, int number, uint64_t least,
                              uint64_t longest, struct chance chance);

/* What can happen to servers, for a time in us.  Where there are several there is a bit for each: those
 * whose leader is heard late, those who are cut off from the others. */
void ensemble_crash(unsigned server, uint64_t us);
void ensemble_pause(unsigned server, uint64_t us);
void ensemble_lag(uint64_t servers, uint64_t us);
void ensemble_part(uint64_t apart, uint64_t us);
void ensemble_heal(void);

/* ensemble_lives_until: how long a session lives at least if nothing more is heard of it, on the true
 * clock; NEVER where no server leads, or it has ended. */
uint64_t ensemble_lives_until(int64_t session);

/* ensemble_inject: a write of somebody with a good connection to the leader; false where there is no
 * leader.  `session` is 0 for no session.  The result comes with the commit, where `done` is called
 * unless it is NULL. */
bool ensemble_inject(int64_t session, const struct zks__op *ops, size_t n, bool multi,
                     void (*done)(void *arg, int code, const char *path), void *arg);

/* ensemble_open_session: a session that is never heard of, and never ends of itself; 0 where there is
 * no leader. */
int64_t ensemble_open_session(void);

/* ensemble_close_session: somebody else ends a session. */
void ensemble_close_session(int64_t session);

/* ensemble_tree: the tree of the server with the longest log, to be looked at at the end. */
struct zks__tree *ensemble_tree(void);

/* ensemble_idle: whether a leader has nothing under way, so that nothing of an earlier one can come. */
bool ensemble_idle(void);

/* ensemble_settled: whether all servers have carried out all there is. */
bool ensemble_settled(void);

uint64_t ensemble_hash(uint64_t hash);

#endif
