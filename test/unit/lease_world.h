/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that do their worst, for the lease's model: see lease_model_test.c.
 *
 * They are written down here from what ZooKeeper does, not from lease.h.  A leader keeps the
 * session's clock and touches it when a server takes the session up and when a follower answers a
 * ping with a note that it has heard of the session.  It can stand still, and then its threads go on
 * in any order; the one that pings can be late by a fiftieth of the session timeout, but gets its turn before
 * the leader stands still once more.  Followers can be cut off, and die.  A majority can elect another leader, which then
 * counts from its own start, while the old one with a follower of its own still answers reads and
 * syncs and can commit no write. */
#ifndef ZKS_TEST_LEASE_WORLD_H
#define ZKS_TEST_LEASE_WORLD_H

#include "core/lease.h"
#include "unit.h"

enum {
    TIMEOUT_MS = 1000,
    MS = 1000,           /* The world counts in microseconds. */
    T = TIMEOUT_MS * MS, /* The session timeout. */
    TENTH = T / 10,
    LATE = T / 50,           /* The longest that a ping is late after a standstill. */
    HORIZON = 5 * T / 2,     /* How long a history is. */
    FOLLOWERS = 3,           /* Servers 0, 1 and 2; the first one stays with the old leader. */
    SERVERS = FOLLOWERS + 2, /* ... and the two leaders, which serve clients too. */
    UNANSWERED = 100,        /* Requests of the client. */
    EVENTS = 1024,
    INBOX = 256
};

enum kind { READ, SYNC, WRITE, CONNECT, PING };

struct message {
    enum kind kind;
    unsigned server;  /* Whose channel it is on. */
    unsigned link;    /* Which connection of that server to a leader. */
    unsigned conn;    /* Which connection of the client. */
    bool noted;       /* PING, on the way back: the session was heard of. */
    bool refused;     /* CONNECT, on the way back: there is no such session. */
    uint64_t sent_ms; /* By the client's clock, before it was sent. */
};

enum place {
    TO_SERVER, /* From the client to the server that it is connected to. */
    TO_LEADER,
    TO_FOLLOWER,
    TO_CLIENT,
    PING_DUE,
    PING_LATE,
    EXPIRY_DUE,
    STANDSTILL,
    ANOTHER_STANDSTILL,
    GO_ON,
    CLIENT_ACTS,
    CLIENT_SENDS,
    CLIENT_WAKES,
    DEATH,
    CUT,
    ELECTION
};

struct event {
    uint64_t at;
    uint64_t number; /* Of two at the same time the first one planned comes first. */
    enum place place;
    unsigned leader;
    struct message message;
};

struct leader {
    bool lives;
    bool stands_still;
    bool ping_due;
    bool ping_late; /* It goes on again, and has not got to its ping yet. */
    bool look_due;
    bool closing; /* The session's time was up. */
    bool closed;  /* ... and the end of it is under way to all servers. */
    uint64_t touched;
    uint64_t timeout; /* By its own clock, in the world's time. */
    uint64_t half_tick;
    struct message inbox[INBOX];
    unsigned n;
};

struct server {
    unsigned leader;
    unsigned link;
    bool dead;
    bool heard; /* Of the session, since the last answer to a ping. */
    uint64_t cut_until;
    uint64_t up; /* When the last message in each channel arrives. */
    uint64_t down;
};

/* How a history goes: what may happen in it, and how long things take. */
struct style {
    uint32_t delay;    /* The longest between a server and its leader. */
    uint32_t distance; /* The longest between the client and a server. */
    uint32_t spacing;  /* Between the client's requests. */
    bool steady;
    uint32_t silence; /* The longest that the client can be silent. */
    uint32_t standstill;
    unsigned writes; /* One request of so many is a write. */
    bool idle;       /* Only reads, until it hurries to a proof now and then. */
};

struct world {
    uint64_t seed;
    uint64_t now;
    uint64_t offset; /* Of the client's clock. */
    struct style style;
    struct event events[EVENTS]; /* A heap. */
    unsigned n_events;
    uint64_t numbers;
    struct leader leaders[2];
    struct server servers[SERVERS];

    struct zks__lease lease;
    unsigned server; /* Which one the client is connected to. */
    unsigned conn;
    bool connected;
    unsigned unanswered;
    uint64_t mishap_at;
    bool hurried;         /* It is about to prove that its session lives. */
    bool late;            /* The next message is sent a while after the clock was read. */
    bool over;            /* The client knows that the session has ended. */
    unsigned seen_leader; /* The latest leader of whom the client has seen anything. */
    uint64_t stalled_until;
    uint64_t sent; /* When the client's last message arrives. */
    uint64_t told;
    struct message inbox[INBOX];
    unsigned n;
    bool ended; /* A leader has ended the session. */
    bool broken;
    unsigned leases; /* How often the client came to believe in a later time. */
};

/* Chance, from the history's seed. */
uint64_t world_below(struct world *w, uint64_t limit);
bool world_one_in(struct world *w, uint32_t n);
uint64_t world_delay(struct world *w, uint32_t longest);

/* world_plan: what is to happen at a time; the event is good until the next call. */
struct event *world_plan(struct world *w, enum place place, uint64_t at);
struct event world_next_event(struct world *w);

/* world_send: sends a message along a channel, which keeps the order. */
void world_send(struct world *w, enum place place, const struct message *m, uint64_t *channel,
                uint64_t at);

uint64_t world_client_ms(const struct world *w);

/* world_judge: what the test is about; sets `broken`. */
void world_judge(struct world *w);

void world_begin_leader(struct world *w, unsigned number);
void world_leader_event(struct world *w, const struct event *e);
void world_at_leader(struct world *w, unsigned number, const struct message *m);
void world_at_server(struct world *w, const struct message *m);
void world_at_follower(struct world *w, const struct message *m);
void world_elect(struct world *w);

/* world_suspend_client: the client's connection is gone. */
void world_suspend_client(struct world *w);

#endif
