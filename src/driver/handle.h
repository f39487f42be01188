/* SPDX-License-Identifier: Apache-2.0 */
/* A handle: one session of libzookeeper, from its opening to its end.  handle.c is the only file
 * that knows libzookeeper.  Its callbacks copy and post a message; whoever owns the handle takes
 * the messages on its own thread. */
#ifndef ZKS_DRIVER_HANDLE_H
#define ZKS_DRIVER_HANDLE_H

#include "core/lease.h"
#include "driver/message.h"
#include "driver/watches.h"
#include "zksync/client.h"

/* A request on its way.  The handle owns it until its message is posted, then the driver. */
struct zks__call {
    struct zks__message message;
    struct zks__call *prev_call;
    struct zks__call *next_call;
    struct zks__machine *machine;                    /* NULL for a heartbeat. */
    void (*done)(struct zks__call *call, void *arg); /* For calls of no machine; may be NULL. */
    void *arg;
    enum zks__req_kind kind;
    uint64_t sent_ms;
    size_t bytes;             /* About how large it is, where it creates something. */
    bool heard;               /* A server has answered it. */
    bool expired;             /* ... that there is no such session. */
    _Atomic int parts;        /* libzookeeper's calls that have not come back. */
    _Atomic int unsent;       /* Why a part could not be sent, or 0. */
    int ahead;                /* How the sync or the write that went first has ended. */
    struct zks__watch *watch; /* The one it sets, or NULL. */
    bool watch_set;
    void *results; /* Of a multi. */
    int n_results;
    void *buffer; /* What reply.data points to. */
    char *created;
    struct zks__reply reply;
};

struct zks__handle_options {
    const char *servers;
    uint32_t timeout_ms;
    const char *secret; /* Of the servers' own; NULL for none. */
    const char *auth_scheme;
    const char *auth;
    const struct zks_acl *acl;
    size_t n_acl;
    bool (*wants_log)(void *arg, enum zks_log_level level);
    void (*log)(void *arg, enum zks_log_level level, const char *line);
    void (*post)(void *arg, struct zks__message *message); /* Any thread. */
    void *arg;
};

/* zks__handle_open: begins a session in the background.  The options' strings must outlive the
 * handle.  0, ZKS_ENOMEM, ZKS_ESYSTEM (no thread or descriptor can be had; errno says why) or
 * ZKS_EDISCONNECTED (the servers' names cannot be resolved). */
int zks__handle_open(const struct zks__handle_options *options, struct zks__handle **handle);

/* zks__handle_close: ends the session on a thread of its own, since the answers that are outstanding
 * are awaited for up to two seconds, and libzookeeper's close can block as long; ZKS__MSG_CLOSED comes
 * last of all. */
void zks__handle_close(struct zks__handle *h);

/* zks__handle_free: after ZKS__MSG_CLOSED.  `lost_call` is called for each call that never came
 * back, and frees it. */
void zks__handle_free(struct zks__handle *h, void (*lost_call)(struct zks__call *call, void *arg),
                      void *arg);

/* zks__handle_call: sends a request.  Where it could not be sent, and nothing will come back, ZKS__UNKNOWN, or an
 * error where libzookeeper would never send it.  A watch of no machine is on the root, and comes as an event of the
 * session's. */
int zks__handle_call(struct zks__handle *h, const struct zks__req *req,
                     struct zks__machine *machine, struct zks__subscription **subscriptions,
                     void (*done)(struct zks__call *call, void *arg), void *arg);

/* zks__handle_connected: there is a connection (again).
 * zks__handle_unwatch: removes from the server the watches that no machine wants any more.  To be
 * called while there is a connection, when all that has come has been dealt with. */
void zks__handle_connected(struct zks__handle *h);
void zks__handle_unwatch(struct zks__handle *h);

/* zks__call_free: after its message has been dealt with. */
void zks__call_free(struct zks__call *call);

/* zks__event_free: after a session's message has been dealt with. */
void zks__event_free(struct zks__message *event);

/* zks__log_after_fork: in a child process. */
void zks__log_after_fork(void);

int64_t zks__handle_session(struct zks__handle *h);
uint32_t zks__handle_timeout(struct zks__handle *h);

/* zks__handle_watches: those of its session; they are the driver's thread's but for what any may ask. */
struct zks__watches *zks__handle_watches(struct zks__handle *h);

/* zks__handle_server: puts the address of the server that the handle is connected to into a buffer, or
 * an empty text. */
void zks__handle_server(struct zks__handle *h, char *buf, size_t size);

/* zks__handle_idle: whether the handle is not connected and has not asked a server to be. */
bool zks__handle_idle(struct zks__handle *h);

#endif
