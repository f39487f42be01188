/* SPDX-License-Identifier: Apache-2.0 */
/* The client: what all of the driver shares, the driver's thread and its queue. */
#ifndef ZKS_DRIVER_CLIENT_H
#define ZKS_DRIVER_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "core/lease.h"
#include "driver/handle.h"
#include "driver/outage.h"
#include "driver/timers.h"

struct zks__local_server;
struct zks__machine;
struct zks__servers;

enum { ZKS__STATES_MAX = 64 };

struct zks_client {
    /* Set once, before the thread starts. */
    zks_client_options options; /* Its strings are the client's own. */
    struct zks_acl *acl;
    struct zks__local_server *local; /* The API's: NULL for other servers than the user's own. */
    const char *servers;             /* As libzookeeper takes them, at first. */
    const char *secret;              /* Of the user's local server; NULL for none. */
    size_t root_len;                 /* Of the root in `servers`, in bytes. */
    char *description;               /* What our znodes say, as JSON. */
    char beat_name[40]; /* Of the znode that heartbeats write to, and that does not exist. */
    pid_t pid;
    pthread_t thread;
    _Atomic(struct zks__servers *) list; /* The API's: the servers as they were named, or found. */
    int event_fd; /* Readable while something is to be dispatched; -1 where delivery is automatic. */

    pthread_mutex_t lock;
    pthread_cond_t work;    /* For the driver's thread. */
    pthread_cond_t changed; /* For those who wait for a state, a free or a dispatch to end. */

    /* Under the lock. */
    struct zks__message *first_message;
    struct zks__message **last_message;
    struct zks_op *first_op; /* Submitted. */
    struct zks_op **last_op;
    struct zks__machine *freed;    /* Whose owners wait for the driver to let go of them. */
    struct zks__machine *machines; /* All of the client's. */
    struct zks_op *done_op;        /* To be delivered. */
    struct zks_op **last_done_op;
    uint64_t n_done;           /* Operations that were to be delivered so far ... */
    uint64_t n_delivered;      /* ... and have been. */
    struct zks__machine *lost; /* Whose owners are to be told. */
    struct zks__machine **last_lost;
    enum zks_client_state states[ZKS__STATES_MAX]; /* To be delivered. */
    unsigned n_states;
    enum zks_client_state state;
    int failed; /* Why the client cannot go on: ZKS_EAUTH, ZKS_ECLOSED. */
    int open_error;
    int open_errno; /* Of ZKS_ESYSTEM: why. */
    bool canceling;
    bool closing;
    struct zks__machine *telling; /* Whose callback runs in a dispatch just now. */
    bool delivering;              /* A thread runs callbacks. */
    bool event_fd_set;            /* The descriptor is readable. */
    unsigned guests;              /* Calls that must end before the client does. */
    bool roused;                  /* The driver's thread is to look again. */
    const char *moved_servers;    /* Where the servers are from now on; NULL for no news. */
    const char *moved_secret;

    atomic_uint cuts; /* How often libzookeeper has lost its connection. */

    /* Written by the driver's thread, read by any. */
    _Atomic uint64_t safe_until_ms; /* As far as it knows: see zks__client_safe_until(). */
    _Atomic uint64_t cut_until_ms;  /* The latest that it can be without a connection. */
    atomic_uint known_cuts;
    _Atomic int64_t session;
    _Atomic uint32_t timeout_ms;

    /* The driver's thread only. */
    struct zks__handle *handle;
    struct zks__handle_options handle_options;
    unsigned n_orphans; /* Machines that were freed and are not clean yet. */
    unsigned n_closing; /* Handles whose close has not ended. */
    struct zks__timers timers;
    struct zks__lease lease;
    struct zks__outage outage;
    uint64_t epoch;
    bool
        given_up; /* While machines are told that the session is over: the servers have not said so. */
    bool connected;
    bool was_connected; /* At least once. */
    bool no_chroot;     /* The root of the connect string is missing. */
    bool root_watched;  /* A watch is set on that root. */
    bool told_lost;
    uint64_t now_ms;
    uint64_t open_at_ms;    /* When to try again to open a handle. */
    uint64_t beaten_ms;     /* When the last heartbeat was sent. */
    bool beating;           /* It has not been answered. */
    uint64_t hurry_from_ms; /* No further one is sent before, however short the lease is. */
    bool kept;              /* The lease was kept up in the last turn. */
    uint64_t beat_took_ms;  /* Round trip of the last one that was answered. */
    uint64_t
        short_since_ms; /* Since when a machine has waited for the lease with slow requests; 0: none. */
    bool told_far;      /* The warning was logged in this session. */
    uint64_t kept_until_ms; /* For so long the lease is kept up where no machine needs it. */
    size_t owned_bytes;     /* Of paths of the session's ephemerals, at the most. */
    unsigned needs[ZKS__NEEDS_KINDS]; /* How many machines need what of the lease, if any. */
    uint64_t polled_ms;               /* When the handle was last seen idle; 0 for never. */
    uint64_t asked_ms;                /* The time of the look before that. */
};

/* zks__client_start: starts the driver of a client whose first part is set up.  0 or an errno value. */
int zks__client_start(struct zks_client *c);

/* zks__client_stop: ends the session and the thread; every operation has completed then. */
void zks__client_stop(struct zks_client *c);

/* zks__client_enter, zks__client_leave: around a call of which the client's end is to wait, since it
 * goes on with the client after its operation has ended.  0, ZKS_EFORKED or ZKS_ECLOSED. */
int zks__client_enter(struct zks_client *c);
void zks__client_leave(struct zks_client *c);

/* zks__client_turn: one turn of the driver's thread, which consists of nothing else: waits, unless it
 * is told not to, for something to do, and does it.  False where the client is to end.
 * zks__client_next_time: when the next turn is due at the latest. */
bool zks__client_turn(struct zks_client *c, bool wait);
uint64_t zks__client_next_time(const struct zks_client *c);

/* zks__client_safe_until: until when the session is sure to live; 0 where nothing is known.  Also while the
 * driver's thread, which a callback can keep, does not know yet that the connection is lost: what the lease then
 * counts with is shorter where servers grant different timeouts.  Any thread. */
uint64_t zks__client_safe_until(const struct zks_client *c);

/* zks__client_move: from now on the servers are somewhere else, or want another secret.  The session is given up.
 * The texts must live as long as the client.  Any thread. */
void zks__client_move(struct zks_client *c, const char *servers, const char *secret);

/* zks__client_wake: the driver's thread has something to do. */
void zks__client_wake(struct zks_client *c);

void zks__client_log(struct zks_client *c, enum zks_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
