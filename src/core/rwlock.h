/* SPDX-License-Identifier: Apache-2.0 */
/* The read-write lock as a pure state machine; the promises are in docs/design.md. */
#ifndef ZKS_CORE_RWLOCK_H
#define ZKS_CORE_RWLOCK_H

#include "litter.h"
#include "name.h"

enum zks__rwlock_what {
    ZKS__RWLOCK_RDLOCK,
    ZKS__RWLOCK_WRLOCK,
    ZKS__RWLOCK_UNLOCK,
    ZKS__RWLOCK_DOWNGRADE
};

enum zks__rwlock_state {
    ZKS__RWLOCK_IDLE,       /* Nothing is wanted; litter may still be on its way out. */
    ZKS__RWLOCK_STARTING,   /* Waits for a connection, or for litter that blocks. */
    ZKS__RWLOCK_MKPATH,     /* The parents are being created. */
    ZKS__RWLOCK_QUEUING,    /* The create and a listing are on their way. */
    ZKS__RWLOCK_SETTLING,   /* Whether the create was carried out is being found out. */
    ZKS__RWLOCK_ADOPTING,   /* The znode that was found is being looked at. */
    ZKS__RWLOCK_LISTING,    /* In the queue; a listing is on its way or due. */
    ZKS__RWLOCK_WATCHING,   /* A watch on whoever is ahead is being set. */
    ZKS__RWLOCK_WAITING,    /* The watch is set. */
    ZKS__RWLOCK_CONFIRMING, /* First in the queue, and not yet sure that the session lives. */
    ZKS__RWLOCK_HELD,
    ZKS__RWLOCK_DOWNGRADING, /* Held as a writer; the swap is on its way. */
    ZKS__RWLOCK_LOST,        /* The owner has been told and has not yet released. */
    ZKS__RWLOCK_STATES
};

struct zks__rwlock {
    enum zks__rwlock_state state;
    enum zks__mode mode; /* Wanted or held. */
    char dir[ZKS__PATH_MAX + 1];
    struct zks__stem stem;
    const void *data; /* What the contender's znode says; the owner keeps it. */
    size_t data_len;
    bool expiry_is_error;
    int32_t reset_past; /* Past this sequence number a lone release starts the counter anew. */

    bool pending; /* A request is in hand. */
    bool try_only;
    bool in_doubt; /* DOWNGRADING: whether the swap was carried out is being found out. */
    bool stirred;  /* The watch fired while its get was on its way: list again. */
    bool soon;     /* Our turn may come before we look again. */
    bool modest;   /* The lease has been too short for long: less of it will do. */
    bool unread;   /* WATCHING: its data may not be read, so only whether it exists is asked. */
    uint64_t deadline;

    bool connected;
    uint64_t epoch;
    uint32_t attempt;
    size_t listed;      /* How many contenders were seen last. */
    unsigned turns;     /* How many came before ours when the queue was looked at, */
    uint64_t looked_at; /* which was then; 0 for never. */
    uint64_t turn_at;   /* Estimate of when our turn comes: ZKS__NEVER if the queue does not
                        * move, 0 if not measured yet. */
    uint32_t ticket;    /* The last one given out. */
    uint32_t expect;    /* The reply that the state waits for. */
    uint32_t t_create;  /* The create, while QUEUING. */
    uint32_t t_own;     /* A look at our own znode while it is held. */
    uint32_t t_reset;   /* The listing before the parent is deleted. */
    uint64_t retry_at;  /* When to ask again in this state. */
    uint64_t
        confirmed_by; /* Until when much of the lease is waited for; 0 where it was not short. */
    uint64_t look_at; /* When to set a watch on our own znode. */
    uint64_t safe_until;

    char prefix[ZKS__NAME_MAX + 1]; /* Of the znode that is being created. */
    char own[ZKS__NAME_MAX + 1];
    int32_t seq;
    uint64_t token;
    char ahead[ZKS__NAME_MAX + 1];
    char passed[ZKS__NAME_MAX + 1];   /* Equals in number up to this name are known to be later. */
    char holder[ZKS__HOLDER_MAX + 1]; /* What `ahead` says of itself. */

    struct zks__litter litter;
};

/* zks__rwlock_init: `data` must outlive the machine; `dir` is a valid path. */
void zks__rwlock_init(struct zks__rwlock *m, const char *dir, const struct zks__stem *stem,
                      const void *data, size_t data_len);

void zks__rwlock_step(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out);

/* zks__rwlock_deadline: when the machine wants a ZKS__IN_TICK. */
uint64_t zks__rwlock_deadline(const struct zks__rwlock *m);

/* zks__rwlock_watches: whether a watch of the child is still waited for.  The one on our own znode is
 * until a delete that is on its way has fired it. */
bool zks__rwlock_watches(const struct zks__rwlock *m, const char *name);

/* zks__rwlock_needs: what it needs of the lease.  Who waits far from its turn needs none. */
enum zks__needs zks__rwlock_needs(const struct zks__rwlock *m);

/* zks__rwlock_clean: nothing is wanted, held or left behind. */
bool zks__rwlock_clean(const struct zks__rwlock *m);

/* zks__rwlock_own: fills in what the machine has on the servers in this session; false while unknown. */
bool zks__rwlock_own(const struct zks__rwlock *m, struct zks__owned *owned);

const char *zks__rwlock_state_name(enum zks__rwlock_state state);

static inline bool zks__rwlock_holds(const struct zks__rwlock *m)
{
    return m->state == ZKS__RWLOCK_HELD || m->state == ZKS__RWLOCK_DOWNGRADING;
}

#endif
