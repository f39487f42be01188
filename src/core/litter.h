/* SPDX-License-Identifier: Apache-2.0 */
/* What a handle may have left on the servers, and its removal in the background.
 *
 * A create may have been carried out although nobody waits for it any more; a delete may not have
 * been.  Whichever it is, the znode would block everyone until the session ends, so the litter is
 * followed until the server has shown that nothing of it is left, or the session has ended.
 *
 * A create of which nothing was heard can even be carried out after a listing has shown nothing.  A
 * server that stands still, and goes on when we have turned to another one, can take up the session
 * once more, with an attempt of ours to reconnect that it finds in its buffers, before it passes on
 * the create that it finds there too.  So after such a create we look again now and then.
 *
 * While the servers refuse to list or to delete, it is tried again less and less often, at the least once in a
 * session timeout, until they allow it or the session ends. */
#ifndef ZKS_CORE_LITTER_H
#define ZKS_CORE_LITTER_H

#include "name.h"

struct zks__litter {
    uint32_t t_create; /* A create nobody waits for is on its way. */
    uint32_t t_delete; /* A delete is on its way. */
    uint32_t t_list;   /* A listing to find what is left is on its way. */
    uint32_t t_sweep;  /* The first delete of what a listing has shown is on its way. */
    int refused;       /* How the server refuses to list or delete, as long as it does; or 0. */
    bool dirty;        /* Something may be left: look and delete until nothing is. */
    uint64_t retry_at; /* Not before this. */
    unsigned refusals; /* In a row: each doubles the time until the next attempt. */
    unsigned looks;    /* How often to look again, although nothing is known to be left. */
    uint64_t look_at;  /* When. */
    unsigned late;     /* How many creates have an unknown outcome, while `looks` is not 0. */
};

/* What the litter needs to know of its handle. */
struct zks__owner {
    const char *dir;
    const struct zks__stem *stem;
    bool spare;       /* The present attempt's znode is wanted. */
    uint32_t attempt; /* The present attempt. */
    uint32_t *ticket; /* The handle's counter of tickets. */
};

void zks__litter_reset(struct zks__litter *l);

/* zks__litter_session_over: the session has ended, and the servers removed what was left together with it.
 * Where it was only given up, what there may be is looked for in the next session: `made` tells of a znode
 * that the litter does not know of. */
void zks__litter_session_over(struct zks__litter *l, const struct zks__in *in, bool made);

/* zks__litter_none: nothing is known to be left. */
static inline bool zks__litter_none(const struct zks__litter *l)
{
    return !l->t_create && !l->t_delete && !l->dirty;
}

/* zks__litter_over: nor can anything turn up any more. */
static inline bool zks__litter_over(const struct zks__litter *l)
{
    return zks__litter_none(l) && l->looks == 0;
}

/* What a handle has on the servers in the present session. */
struct zks__owned {
    const char *name; /* A znode; NULL for none. */
    unsigned late;    /* How many creates with an unknown outcome may still be carried out. */
};

static inline unsigned zks__litter_late(const struct zks__litter *l)
{
    return l->looks > 0 ? l->late : 0;
}

/* zks__litter_blocks: whether a new create must wait.  It need not wait for a delete on its way,
 * since the server keeps the order of a session's operations. */
static inline bool zks__litter_blocks(const struct zks__litter *l)
{
    return l->t_create || l->dirty;
}

/* zks__litter_hurry: somebody waits for what blocks.  It is tried again at once, and only how that is answered
 * counts: the cause of an earlier refusal may be mended. */
void zks__litter_hurry(struct zks__litter *l);

/* zks__litter_doubt: nothing was heard of a create. */
void zks__litter_doubt(struct zks__litter *l, const struct zks__in *in);

/* zks__litter_delete: deletes a znode whose name is known. */
void zks__litter_delete(struct zks__litter *l, const struct zks__owner *own, const char *name,
                        const struct zks__in *in, struct zks__out *out);

/* zks__litter_reply: whether the reply was the litter's; `*rc` is then set to how the delete ended,
 * or to 0. */
bool zks__litter_reply(struct zks__litter *l, const struct zks__owner *own,
                       const struct zks__in *in, struct zks__out *out, int *rc);

/* zks__litter_work: called at the end of each step; looks where that is due. */
void zks__litter_work(struct zks__litter *l, const struct zks__owner *own, const struct zks__in *in,
                      struct zks__out *out);

static inline uint64_t zks__litter_deadline(const struct zks__litter *l)
{
    bool due = !l->t_list && !l->t_create && !l->t_delete && !(l->t_sweep && l->refused != 0);
    return l->dirty && due ? l->retry_at : l->looks > 0 && !l->dirty ? l->look_at : ZKS__NEVER;
}

#endif
