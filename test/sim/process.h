/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated process: a clock of its own, and one client of the library, whose driver takes its turns
 * when the world lets it. */
#ifndef ZKS_SIM_PROCESS_H
#define ZKS_SIM_PROCESS_H

#include <stdbool.h>

#include "chance.h"
#include "schedule.h"
#include "zksync/client.h"

struct zks_client;

struct process_style {
    unsigned n_servers;
    uint32_t timeout_ms;
    int64_t clock_ppm;   /* How much faster its clock goes. */
    uint64_t clock_from; /* What it shows at the beginning, in us. */
    uint64_t least;      /* Between it and a server, in us, */
    uint64_t longest;    /* and at the most so much more. */
    uint64_t laggard;    /* How late the driver's thread can be, likewise. */
    unsigned tricks;     /* One in so many requests cannot be sent; 0 for none. */
};

struct process {
    int number;
    struct process_style style;
    struct chance chance;
    struct zks_client *client;
    bool alive;
    uint64_t paused_until;
    uint64_t steps; /* Turns that it has had, and messages. */
    struct happening turn;
    struct _zhandle *handles;           /* See client.c. */
    uint64_t safe_until_ms;             /* What has been told of the lease. */
    size_t owned_bytes;                 /* What was last known of what its session owns. */
    void (*stepped)(struct process *p); /* Before each step. */
};

/* process_begin: starts it with a client that connects in the background. */
void process_begin(struct process *p, int number, const struct process_style *style,
                   struct chance chance);

/* process_kill: it is gone, with all that it had. */
void process_kill(struct process *p);

/* process_pause: it stands still for a time. */
void process_pause(struct process *p, uint64_t us);

/* process_wake: its driver has something to do. */
void process_wake(struct process *p);

/* process_told: libzookeeper's threads have been at work; if they have told the driver anything it has
 * something to do. */
void process_told(struct process *p);

/* process_enter, process_leave: what happens in between happens in the process. */
void process_enter(struct process *p);
void process_leave(struct process *p);
struct process *process_current(void);

/* process_step: something is about to happen to it; false where it is dead or was killed by that. */
bool process_step(struct process *p);

/* process_at: when its clock will show that. */
uint64_t process_at(const struct process *p, uint64_t ms);

/* ---- client.c: its side of libzookeeper ---- */

struct conn;

/* client_cut: the connection is cut by the network.  While exploring it is said what is lost: what comes
 * back, or also what goes. */
void client_cut(struct process *p, bool both);

/* client_ahead: each server refuses its present session from now on, for it is behind what it has seen. */
void client_ahead(struct process *p);

/* client_stall: nothing comes or goes on the connection for a time. */
void client_stall(struct process *p, uint64_t us);

/* client_drop_all: the process has died. */
void client_drop_all(struct process *p);

/* client_hold: nothing arrives while it is paused. */
void client_hold(struct process *p);

/* client_session: its session, 0 for none. */
int64_t client_session(const struct process *p);

/* client_watched: the path of a watch that a server has for it, or that would be set anew on the next
 * connection; NULL for none. */
const char *client_watched(const struct process *p);

/* client_hash: of all that is under way, for exploring. */
uint64_t client_hash(const struct process *p, uint64_t hash);

#endif
