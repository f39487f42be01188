/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between a primitive's state machine and whoever drives it.
 *
 * A machine is a struct and one step function that takes one event and returns what is to be done.
 * It does no I/O, reads no clock, starts no thread and allocates nothing, so that the same object
 * code runs under the real driver and under a simulator. */
#ifndef ZKS_CORE_STEP_H
#define ZKS_CORE_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zksync/err.h"

enum {
    ZKS__PATH_MAX = 1023, /* Bytes in a path, without the terminating zero. */
    ZKS__NAME_MAX = 255,  /* Bytes in the name of a child that a machine must remember. */
    ZKS__OUT_MAX = 12,    /* Operations that one step may ask for. */
    ZKS__RETRY_MS = 100,  /* Between two attempts at what was refused for now. */
    ZKS__HOLDER_MAX = 255 /* Bytes kept of the description of whoever is waited for. */
};

#define ZKS__NEVER UINT64_MAX

/* Outcomes of operations that no caller of the library ever sees. */
enum {
    ZKS__UNKNOWN = -1001, /* The operation may or may not have been carried out. */
    ZKS__VERSION = -1002  /* The version that was named is not the znode's. */
};

/* What a machine asks for.  `dir` is the primitive's path, `name` a child of it. */
enum zks__req_kind {
    ZKS__SYNC,          /* dir */
    ZKS__BEAT,          /* dir/name: a write that changes nothing, whether or not it exists */
    ZKS__CHILDREN,      /* dir: its children and its Stat; watch, for children that come and go */
    ZKS__GET,           /* dir/name, or dir where name is NULL; watch */
    ZKS__EXISTS,        /* dir/name; watch */
    ZKS__CREATE,        /* dir, persistent, with data */
    ZKS__CREATE_QUEUED, /* dir/name, ephemeral and sequential, with data */
    ZKS__DELETE,        /* dir/name, or dir where name is NULL; version */
    ZKS__MKPATH,        /* every missing parent, and dir itself if `leaf`, as containers */
    ZKS__SWAP,          /* in one: create dir/name2, ephemeral, with data; delete dir/name */
    ZKS__DELETE_BOTH,   /* in one: delete dir/name and dir */
    ZKS__LOOK,          /* exists(dir/ready) with a watch, get(dir/ready), children(dir) */
    ZKS__OPEN,          /* in one: mark each of names (from version 0), create the ready pair */
    ZKS__CLOSE          /* in one: delete dir/ready/name, dir/ready, and dir if `leaf` */
};

/* What a read may prove.  A leader that has been deposed and does not know it yet answers syncs and
 * reads by itself, for up to a tick, but no write: that takes a quorum.  So a read behind a sync can be
 * older than the request that it is for, and a decision that rests on an absence, or on one znode having
 * taken another's place, needs `quorum`.  The write is answered after the request has begun, and a server
 * answers a read behind it on the same session from a state that contains it.  So does every later read
 * of the session, for no server that is behind takes it up; a new session begins anew.  Any other write
 * of the session that a quorum has answered does as well. */
struct zks__req {
    enum zks__req_kind kind;
    uint32_t ticket; /* Comes back with the reply. */
    int32_t version;
    bool watch;
    bool no_watch; /* ZKS__LOOK: nothing is waited for. */
    bool may_poll; /* The watch can be left out: the reply is then `unwatched`. */
    bool leaf;
    bool sync;   /* A read: a sync goes first, and without it the reply is ZKS__UNKNOWN. */
    bool quorum; /* A read: a write that changes nothing goes first; see above. */
    const char *dir;
    const char *name; /* These point into the machine or into the event, and are used at once. */
    const char *name2;
    const void *data;
    size_t data_len;
    const char *const *names;
    size_t n_names;
};

/* zks__next_ticket: the next ticket after `*last`, skipping 0, which means "none". */
static inline uint32_t zks__next_ticket(uint32_t *last)
{
    *last = *last == UINT32_MAX ? 1 : *last + 1;
    return *last;
}

struct zks__stat {
    int64_t czxid;
    int64_t owner; /* ephemeralOwner */
    int64_t ctime_ms;
    int32_t version;
    int32_t cversion; /* How often children have come and gone. */
    int32_t data_len;
    int32_t n_children;
};

struct zks__reply {
    uint32_t ticket;
    int rc;              /* 0, an error of err.h, ZKS__UNKNOWN or ZKS__VERSION. */
    bool unwatched;      /* No watch has been set. */
    const char *created; /* The name, without dir, that ZKS__CREATE_QUEUED made. */
    struct zks__stat stat;
    const void *data; /* NULL where the znode has none; for ZKS__LOOK where it is absent. */
    size_t data_len;
    const char **children; /* The step may reorder them. */
    size_t n_children;
};

enum zks__in_kind {
    ZKS__IN_REQUEST,   /* The caller wants something: `request`. */
    ZKS__IN_CANCEL,    /* The caller wants the request in hand no more. */
    ZKS__IN_ABANDON,   /* The handle is being freed: leave, complete nothing. */
    ZKS__IN_REPLY,     /* An operation has ended: `reply`. */
    ZKS__IN_WATCH,     /* A watch fired: `watch`. */
    ZKS__IN_CONNECTED, /* The session has a connection (again). */
    ZKS__IN_SUSPENDED, /* The session has lost its connection. */
    ZKS__IN_EXPIRED,   /* The session is over: `epoch` counts the next one. */
    ZKS__IN_TICK /* The time that ..._deadline() named has come, or more of the lease is proved. */
};

/* What a machine needs of the lease: see lease.h. */
enum zks__needs {
    ZKS__NEEDS_NO_LEASE,
    ZKS__NEEDS_LEASE_SOON, /* It may hold something soon. */
    ZKS__RESTS_ON_LEASE,   /* It holds something. */
    ZKS__WAITS_FOR_LEASE,  /* It goes on once more of it is proved: a tick then, please. */
    ZKS__NEEDS_KINDS
};

struct zks__request {
    int what;             /* A primitive's own enum. */
    uint64_t deadline_ms; /* ZKS__NEVER for none; at most now for a try. */
};

enum zks__watch_kind { ZKS__WATCH_CREATED, ZKS__WATCH_DELETED, ZKS__WATCH_CHANGED };

struct zks__watch_event {
    enum zks__watch_kind kind;
    const char *name; /* The child it happened to; NULL for dir itself. */
};

struct zks__in {
    enum zks__in_kind kind;
    bool connected;
    bool
        given_up; /* ZKS__IN_EXPIRED: no server has ended the session; what it made may still exist. */
    uint64_t now_ms;
    uint64_t epoch;         /* Which session the event belongs to. */
    uint64_t safe_until_ms; /* Until when the session is sure to live: see lease.h. */
    int64_t session;
    uint32_t timeout_ms; /* The session timeout that was negotiated. */
    union {
        struct zks__request request;
        struct zks__reply reply;
        struct zks__watch_event watch;
    };
};

struct zks__out {
    struct zks__req req[ZKS__OUT_MAX];
    unsigned n;
    bool done;   /* The request in hand has ended with `result`. */
    bool refuse; /* The request of this very step is refused with `result`. */
    bool lost;   /* What was held is lost: tell the owner. */
    int result;
};

/* zks__out_add: the next free place in the batch, zeroed but for what is given.  The capacity is an
 * invariant of the machines, so running over it is a defect and ends the process. */
struct zks__req *zks__out_add(struct zks__out *out, enum zks__req_kind kind, const char *dir);

/* zks__refuse: the request of this very step is refused; one that is in hand goes on. */
void zks__refuse(struct zks__out *out, int result);

/* zks__is_final: whether an outcome ends what was asked for, because the servers would refuse it again until
 * somebody mends the cause: rights, the root, the layout, a limit.  Not final are success, ZKS__UNKNOWN, which is
 * asked again after a while, and what only says which znodes there are (ZKS_ENOENT, ZKS_EEXIST, ZKS_ENOTEMPTY,
 * ZKS__VERSION), which each state has an answer to.  This is the only place that decides it: no state of any
 * machine waits, or asks the same again, after a final outcome. */
bool zks__is_final(int rc);

/* zks__assert: an invariant of the core's own.  It holds in release builds too, for a lock that has
 * lost its bearings must not go on. */
#define ZKS_ASSERT(cond) ((cond) ? (void)0 : zks__assert_failed())
_Noreturn void zks__assert_failed(void);

static inline uint64_t zks__min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t zks__after(uint64_t now, uint64_t ms)
{
    return ms > ZKS__NEVER - now ? ZKS__NEVER : now + ms;
}

#endif
