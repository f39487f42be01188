/* SPDX-License-Identifier: Apache-2.0 */
/* The double barrier as a pure state machine; the promises are in docs/design.md.
 *
 * Why a round is all or none.  It opens in one multi that sets the data of every member's znode
 * from version 0 and creates `ready`.  It fails if any of them has gone, or is in a round already.
 * A participant that gives up deletes its znode only at version 0.  The server carries out one of the
 * two first, and the other then fails: a member either is not in the round, or knows that it is.
 *
 * Why nobody joins a dead round.  Only the names in the roster are in a round.  `ready` is removed
 * together with a child that bears the round's own name, so a late remover cannot hit a later
 * round.  A member of the roster that is missing from a listing read after `ready` has gone for
 * good, for it was there when the round opened.
 *
 * Why no id is in a round twice.  Of several znodes with one id only the first to arrive counts, and
 * arrival is the order of the sequence numbers: a listing that shows the later znode shows the
 * earlier one too, or that one has gone.
 *
 * What is believed of an absence (see step.h).  In the session that made our znode every look comes
 * behind a write, the create, and shows all that came before it: who is missing has gone, and so has a
 * round that is not there.  Leaving looks behind the delete.  But what became of a create or an opening
 * whose reply was lost, and what there is in a new session, is read behind a write of its own. */
#ifndef ZKS_CORE_DOUBLE_BARRIER_H
#define ZKS_CORE_DOUBLE_BARRIER_H

#include <string.h>

#include "litter.h"
#include "round.h"

enum { ZKS__ID_MAX = 120, ZKS__N_MAX = 4096 };

enum zks__double_barrier_what { ZKS__DOUBLE_BARRIER_ENTER, ZKS__DOUBLE_BARRIER_LEAVE };

enum zks__double_barrier_state {
    ZKS__DB_OUT,      /* Nothing is wanted; litter may still be on its way out. */
    ZKS__DB_STARTING, /* Waits for a connection, or for litter that blocks. */
    ZKS__DB_MKPATH,   /* The parents are being created. */
    ZKS__DB_JOINING,  /* The create and a look are on their way. */
    ZKS__DB_SETTLING, /* What became of a create, an opening or a session is being found out. */
    ZKS__DB_CHECKING, /* Our own znode is being read: has the round opened with us in it? */
    ZKS__DB_LOOKING,  /* A look is on its way or due. */
    ZKS__DB_WAITING,  /* For the round to open, or for an earlier one to end. */
    ZKS__DB_BLOCKED,  /* Another participant has our id: for its znode to go. */
    ZKS__DB_OPENING,  /* We are the last to come: the opening is on its way. */
    ZKS__DB_CLEARING, /* A dead round is being removed. */
    ZKS__DB_EXITING,  /* Our znode is being deleted, unless the round has opened. */
    ZKS__DB_JUDGING,  /* ... and a look is to tell whether it has. */
    ZKS__DB_INSIDE,
    ZKS__DB_LEAVING, /* Our znode is being deleted, or is and the others are waited for. */
    ZKS__DB_CLOSING, /* We are the last to go: the round is being removed. */
    ZKS__DB_STATES
};

struct zks__double_barrier {
    enum zks__double_barrier_state state;
    char dir[ZKS__PATH_MAX + 1];
    char id[ZKS__ID_MAX + 1];
    uint32_t n;
    struct zks__stem stem;
    const void *data; /* What our znode says before the round opens; the owner keeps it. */
    size_t data_len;

    bool pending; /* A request is in hand: `what`. */
    enum zks__double_barrier_what what;
    bool try_only;
    uint64_t deadline;

    bool connected;
    uint64_t epoch;
    uint64_t own_epoch; /* The session that made our znode. */
    uint32_t attempt;
    uint32_t first_attempt; /* Of this enter. */
    uint32_t ticket;
    uint32_t expect;
    uint32_t t_create;
    uint32_t t_delete; /* The last delete of a leave. */
    int leave_error;   /* How it was refused, or 0. */
    uint64_t retry_at;
    uint64_t exit_by;    /* When an exit's outcome is waited for no longer. */
    uint64_t exit_limit; /* At the latest, also if we are not cut off. */
    int exit_result;
    uint32_t misses; /* Openings that failed one after the other. */
    uint32_t clears; /* Removals of a dead round that found it incomplete, likewise. */
    bool opened;     /* While exiting: the round is known to have opened with us in it. */
    bool stirred;    /* The watch fired while a look was on its way: look again. */
    bool unread;     /* BLOCKED: the namesake's data may not be read. */
    bool id_taken;   /* By the last look another participant had our id. */
    bool lost;       /* While inside: our session has ended. */
    bool proven;     /* Leaving: a look has been behind a write of this session. */
    bool bare;       /* CLOSING: the parent is to stay. */

    char prefix[ZKS__NAME_MAX + 1];
    char own[ZKS__NAME_MAX + 1]; /* Our znode, or empty where there is none or it is unknown. */
    char round[ZKS__UUID_LEN + 1];
    char namesake[ZKS__NAME_MAX + 1]; /* BLOCKED: the znode of the other one with our id. */

    struct zks__litter litter;
};

/* zks__double_barrier_init: `data` must outlive the machine; the path, the id (no '/', at most
 * ZKS__ID_MAX bytes) and n (1 to ZKS__N_MAX) are valid. */
void zks__double_barrier_init(struct zks__double_barrier *m, const char *dir, const char *id,
                              uint32_t n, const struct zks__stem *stem, const void *data,
                              size_t data_len);

void zks__double_barrier_step(struct zks__double_barrier *m, const struct zks__in *in,
                              struct zks__out *out);

uint64_t zks__double_barrier_deadline(const struct zks__double_barrier *m);

/* zks__double_barrier_watches: whether a watch of the child is still waited for.  Those who are on
 * their way out wait for no watch. */
static inline bool zks__double_barrier_watches(const struct zks__double_barrier *m,
                                               const char *name)
{
    bool waits =
        m->pending && !m->try_only && m->state != ZKS__DB_EXITING && m->state != ZKS__DB_JUDGING;
    return waits && name != NULL && (strcmp(name, "ready") == 0 || strcmp(name, m->namesake) == 0);
}

/* zks__double_barrier_clean: nothing is wanted, and nothing is left behind. */
static inline bool zks__double_barrier_clean(const struct zks__double_barrier *m)
{
    return m->state == ZKS__DB_OUT && zks__litter_over(&m->litter);
}

/* zks__double_barrier_own: like zks__rwlock_own(). */
static inline bool zks__double_barrier_own(const struct zks__double_barrier *m,
                                           struct zks__owned *owned)
{
    bool under_way = m->t_create || m->state == ZKS__DB_JOINING || m->state == ZKS__DB_SETTLING ||
                     m->state == ZKS__DB_JUDGING;
    owned->name = m->own[0] != '\0' ? m->own : NULL;
    owned->late = zks__litter_late(&m->litter);
    return !under_way && zks__litter_none(&m->litter);
}

const char *zks__double_barrier_state_name(enum zks__double_barrier_state state);

#endif
