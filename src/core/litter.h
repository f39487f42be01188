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
 * the create that it finds there too.  So after such a create we look again now and then. */
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
    unsigned looks;    /* How often to look again, although nothing is known to be left. */
    uint64_t look_at;  /* When. */
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

/* zks__litter_blocks: whether a new create must wait.  It need not wait for a delete on its way,
 * since the server keeps the order of a session's operations. */
static inline bool zks__litter_blocks(const struct zks__litter *l)
{
    return l->t_create || l->dirty;
}

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
    bool waits = !l->t_list && !l->t_create && !l->t_delete;
    return l->dirty && waits ? l->retry_at : l->looks > 0 && !l->dirty ? l->look_at : ZKS__NEVER;
}

#endif
