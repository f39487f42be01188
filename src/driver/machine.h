/* SPDX-License-Identifier: Apache-2.0 */
/* A machine: a primitive's core together with what drives it.  The primitives' handles begin with
 * one. */
#ifndef ZKS_DRIVER_MACHINE_H
#define ZKS_DRIVER_MACHINE_H

#include "core/litter.h"
#include "driver/client.h"

struct zks__machine_type {
    void (*step)(struct zks__machine *m, const struct zks__in *in, struct zks__out *out);
    uint64_t (*deadline)(const struct zks__machine *m);
    bool (*clean)(const struct zks__machine *m);            /* Nothing is wanted or left behind. */
    enum zks__needs (*needs)(const struct zks__machine *m); /* NULL: never any lease. */
    /* Whether it still waits for a watch of a child, or of `dir` where the name is NULL; where this
     * is NULL it does until its owner frees it. */
    bool (*watches)(const struct zks__machine *m, const char *name);
    void (*publish)(struct zks__machine *m); /* Copies what getters read; the lock is held. */
    void (*lost)(struct zks__machine *m);    /* Calls the owner's callback. */
    void (*destroy)(struct zks__machine *m);
    /* Fills in what it has on the servers; false while that is unknown.  NULL if it creates no ephemerals. */
    bool (*own)(const struct zks__machine *m, struct zks__owned *owned);
    bool rests_on_absence; /* That something is absent is a result of it: not where the root is. */
};

struct zks__machine {
    const struct zks__machine_type *type;
    struct zks_client *client; /* NULL once the client is closed. */
    const char *dir;           /* What the primitive is about. */

    /* Under the client's lock. */
    struct zks__machine *prev;
    struct zks__machine *next;
    struct zks__machine *next_freed;
    struct zks__machine *next_lost;
    bool lost_due;
    uint64_t lost_behind; /* So many operations are delivered before. */
    bool free_asked;
    bool free_done;
    bool free_waits;
    unsigned submitted; /* Operations that the driver has not yet taken. */

    /* The driver's thread only. */
    struct zks_op *op; /* The one in hand. */
    struct zks__timer timer;
    struct zks__subscription *subscriptions;
    unsigned calls;        /* On their way. */
    enum zks__needs needs; /* Counted by the client. */
    bool cut_off;  /* The operation in hand is ended, for the servers do not take its request. */
    unsigned cuts; /* How often in a row a large request has been lost with its connection. */
    size_t owned_bytes; /* Of paths of ephemerals, at the most; see quota.h. */
    uint64_t owned_epoch;
    size_t create_bytes; /* Of the longest path it has asked to create. */
    bool orphan;         /* The owner has freed it. */
};

/* zks__machine_attach: makes the machine known to its client. */
int zks__machine_attach(struct zks__machine *m, const struct zks__machine_type *type,
                        struct zks_client *c, const char *dir);

/* zks__machine_free: the owner lets go of it; the driver destroys it once it is clean. */
void zks__machine_free(struct zks__machine *m);

/* zks__machine_submit: starts an operation of the caller's. */
int zks__machine_submit(struct zks__machine *m, struct zks_op *op, int what, int64_t timeout_ms);

/* zks__machine_submit_if: the same where `admit` allows it, which is called with the client's lock
 * held; `*result`, 0 at first, is what is returned in either case. */
int zks__machine_submit_if(struct zks__machine *m, struct zks_op *op, int what, int64_t timeout_ms,
                           bool (*admit)(struct zks__machine *m, int *result));

/* zks__machine_run: starts an operation and waits for it. */
int zks__machine_run(struct zks__machine *m, int what, int64_t timeout_ms);

/* The driver's thread's. */
void zks__machine_take(struct zks_op *op);
void zks__machine_event(struct zks__machine *m, enum zks__in_kind kind);
void zks__machine_reply(struct zks__machine *m, struct zks__call *call);
void zks__machine_watch(struct zks__machine *m, const struct zks__watch *watch);
void zks__machine_abandon(struct zks__machine *m);

/* The same for all machines of a client.  zks__machines_look: has them ask again what they wait for.
 * zks__machines_fail: the client cannot go on: whatever waits ends with the error, and whatever is held is
 * lost. */
void zks__machines_event(struct zks_client *c, enum zks__in_kind kind);
void zks__machines_look(struct zks_client *c);
void zks__machines_cancel(struct zks_client *c);
void zks__machines_fail(struct zks_client *c, int error);
void zks__machines_destroy_orphans(struct zks_client *c);

/* zks__machines_close: the driver's thread has ended, and nothing of the client may be used from now
 * on. */
void zks__machines_close(struct zks_client *c);

/* zks__op_after_fork: in a child process. */
void zks__op_after_fork(void);

/* zks__op_deliver: hands the operation back to its owner. */
void zks__op_deliver(struct zks_op *op);

/* zks__op_ignore: the completion of an operation whose end nobody wants to know. */
void zks__op_ignore(struct zks_op *op, int result, void *arg);

/* zks__op_end: the operation has ended; it is delivered where that is due. */
void zks__op_end(struct zks_client *c, struct zks_op *op, int result);

#endif
