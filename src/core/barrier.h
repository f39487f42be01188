/* SPDX-License-Identifier: Apache-2.0 */
/* The barrier as a pure state machine: a znode that stands or does not. */
#ifndef ZKS_CORE_BARRIER_H
#define ZKS_CORE_BARRIER_H

#include "step.h"

enum zks__barrier_what { ZKS__BARRIER_SET, ZKS__BARRIER_UNSET, ZKS__BARRIER_WAIT };

enum zks__barrier_state {
    ZKS__BARRIER_IDLE,
    ZKS__BARRIER_STARTING, /* Waits for a connection, or for a retry. */
    ZKS__BARRIER_CREATING, /* set: the create is on its way. */
    ZKS__BARRIER_MKPATH,   /* set: the parents are being created. */
    ZKS__BARRIER_GETTING,  /* What stands is being read. */
    ZKS__BARRIER_DELETING, /* unset: the delete is on its way. */
    ZKS__BARRIER_WAITING,  /* wait: the watch is set. */
    ZKS__BARRIER_STATES
};

struct zks__barrier {
    enum zks__barrier_state state;
    enum zks__barrier_what what;
    char path[ZKS__PATH_MAX + 1];
    const void *data; /* What a set writes; no other set of anybody writes the same bytes. */
    size_t data_len;

    bool pending;
    bool try_only;
    bool maybe_done; /* A create or delete of this request may have been carried out. */
    bool proven;     /* Reads in this session are no older than the request, or than that. */
    bool connected;
    bool stirred; /* The watch fired while a get was on its way: get again. */
    uint64_t deadline;
    uint64_t retry_at;
    uint64_t epoch;
    uint32_t ticket;
    uint32_t expect;
    int64_t seen; /* czxid of the znode that was found standing, 0 for none yet. */
};

/* zks__barrier_init: `data` must outlive the machine and may be replaced while it is idle. */
void zks__barrier_init(struct zks__barrier *m, const char *path, const void *data, size_t data_len);

/* zks__is_barrier: whether what there is at a path is a barrier that is set: a persistent znode without children
 * that has data or never had a child.  Barriers of other clients carry any data or none, and servers do not
 * tell containers apart: an empty one in which something has been is a lock's or a folder. */
bool zks__is_barrier(const struct zks__stat *stat);

void zks__barrier_step(struct zks__barrier *m, const struct zks__in *in, struct zks__out *out);

uint64_t zks__barrier_deadline(const struct zks__barrier *m);

/* zks__barrier_watches: whether a watch of the child, or of the path itself where `name` is NULL, is
 * still waited for. */
bool zks__barrier_watches(const struct zks__barrier *m, const char *name);

const char *zks__barrier_state_name(enum zks__barrier_state state);

#endif
