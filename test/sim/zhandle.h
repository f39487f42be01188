/* SPDX-License-Identifier: Apache-2.0 */
/* What a handle of the simulated libzookeeper consists of. */
#ifndef ZKS_SIM_ZHANDLE_H
#define ZKS_SIM_ZHANDLE_H

#include <stdlib.h>

#include <zookeeper/zookeeper.h>

#include "ensemble.h"
#include "process.h"

enum answer_kind { TO_VOID, TO_STAT, TO_DATA, TO_CHILDREN, TO_STRING, TO_CREATED };

union completion {
    void_completion_t to_void;
    stat_completion_t to_stat;
    data_completion_t to_data;
    strings_stat_completion_t to_children;
    string_completion_t to_string;
    string_stat_completion_t to_created;
};

/* A watch that is set once the answer is there, or that is set. */
struct registration {
    struct registration *next;
    enum zks__watched what;
    bool existed;
    watcher_fn fn;
    void *context;
    const char *path;
};

/* A request of the driver's, from the call to the completion. */
struct call {
    struct request request;
    struct call *next;
    enum answer_kind kind;
    union completion completion;
    const void *data;
    struct registration *watch; /* NULL for none. */
    uint64_t heard;             /* A hash of what its fellows have been answered. */
};

struct _zhandle {
    struct _zhandle *next;
    struct process *process;
    watcher_fn watcher;
    void *context;
    clientid_t id;
    int timeout_ms;
    int state;
    bool closed;
    struct conn *conn;
    struct call *first; /* Not answered, in order. */
    struct call **last;
    struct registration *watches;
    int64_t zxid; /* The latest seen. */
    unsigned order[SERVERS_MAX];
    unsigned tried;
    uint64_t heard_at;
    struct happening connect;
    struct happening silence;
};

/* Of the real one the memory is free then. */
static inline void must_be_open(const struct _zhandle *zh)
{
    if (zh->closed) {
        abort();
    }
}

/* call_complete: calls the completion; `a` is NULL where only an error is known. */
void call_complete(struct call *c, int rc, const struct answer *a);

/* client_send: puts a request on the connection. */
void client_send(struct _zhandle *zh, struct call *c);

#endif
