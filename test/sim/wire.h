/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over a connection between a client and a server, and the connection. */
#ifndef ZKS_SIM_WIRE_H
#define ZKS_SIM_WIRE_H

#include "channel.h"
#include "tree/tree.h"

struct server;

enum ask {
    ASK_CONNECT,
    ASK_CLOSE,
    ASK_SYNC,
    ASK_EXISTS,
    ASK_GET,
    ASK_CHILDREN,
    ASK_WRITE,
    ASK_REWATCH,
    ASK_UNWATCH,
    ASK_END /* The connection ends here. */
};

/* A watch that a client had on another server. */
struct had_watch {
    enum zks__watched what;
    bool existed;
    const char *path;
};

struct request {
    struct parcel parcel;
    enum ask ask;
    struct conn *conn;
    uint64_t asked_at;
    unsigned number; /* Of the operation that an actor had begun last. */
    const char *path;
    bool watch;
    bool multi;
    struct zks__op *ops; /* Of a write. */
    size_t n_ops;
    struct had_watch *watches; /* Of a rewatch; of an unwatch one, which is to go. */
    size_t n_watches;
    int64_t session; /* Of a connect: 0 for a new one. */
    uint32_t timeout_ms;
    int64_t zxid; /* Of a connect and a rewatch: the latest that the client has seen. */

    /* The server's. */
    struct request *next_pending;
    bool done; /* `answer` is ready; a read is made when its turn comes. */
    struct answer *answer;
    void (*injected)(void *arg, int code, const char *path); /* Of a request of no connection. */
    void *arg;
};

enum tell { TELL_CONNECTED, TELL_EXPIRED, TELL_REPLY, TELL_EVENT, TELL_END };

struct answer {
    struct parcel parcel;
    enum tell tell;
    struct request *request;
    int code; /* Of a multi: that of the operation at fault. */
    int64_t zxid;
    int64_t session;
    uint32_t timeout_ms;
    struct zks__znode_stat stat;
    const char *path; /* Of what was created, or of an event. */
    enum zks__event event;
    void *data; /* NULL for none. */
    const char **children;
    size_t n_children;
};

struct conn {
    struct channel up;
    struct channel down;
    void *client;          /* NULL once the client has let go of it. */
    struct server *server; /* NULL once the server has. */
    int number;            /* Of the process, for traces. */

    /* The server's. */
    struct conn *next;
    struct zks__watcher watcher;
    int64_t session;
    bool connected;
    struct request *first_pending; /* Not answered yet, in order. */
    struct request **last_pending;
};

/* request_path: of a write, that of its first operation.  request_is_heartbeat: whether it only keeps the session
 * up, or asks for the root, which is always there. */
const char *request_path(const struct request *r);
bool request_is_heartbeat(const struct request *r);

/* fold_request, fold_answer: what they say. */
uint64_t fold_request(uint64_t hash, const struct request *r);
uint64_t fold_answer(uint64_t hash, const struct answer *a);

/* conn_cut: the network between the two is cut: what is on its way is lost from some place on, and both
 * get to know of it.  While exploring all that comes back is lost, and what goes if `both` says so. */
void conn_cut(struct conn *c, bool both);

/* client_arrived: the client's side has got something; see client.c. */
void client_arrived(struct conn *c, struct answer *a);

/* conn_drop: the client goes away; what it has sent may still arrive. */
void conn_drop(struct conn *c);

#endif
