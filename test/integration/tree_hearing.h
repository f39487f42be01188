/* SPDX-License-Identifier: Apache-2.0 */
/* Who hears of what a write changes.  A server uses up the watches that an event is about, but keeps it
 * from those who may not read the znode that it names; the tree tells all of them, for it does not know
 * who they are.  See docs/tree.md. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_HEARING_H
#define ZKSYNC_TEST_INTEGRATION_TREE_HEARING_H

#include "tree_model.h"

/* What one write does to one znode. */
struct deed {
    enum ask_kind kind;
    const char *path;
    const char *parent;
    uint32_t readers; /* Of a create: a bit for each member who may read what it creates. */
    bool done;        /* It was not refused. */
};

struct hearing {
    struct deed *deeds;
    size_t n_deeds;
    struct readers *before; /* Who may read which znode before the write. */
    size_t n_items[32];     /* How much each member was to hear before. */
};

/* hearing_begin: before the write. */
void hearing_begin(struct hearing *h, struct model *m, const struct member *member,
                   const struct ask *ask);

/* hearing_end: after the write, which has had this answer: takes away what a member will not hear. */
void hearing_end(struct hearing *h, struct model *m, const struct ask *ask,
                 const struct answer *answer);

/* hearing_fits: whether the item at `at` may be heard after those before `next`.  In a group the znodes
 * come in any order, but the event of the parent comes right after that of the first child. */
bool hearing_fits(const struct member *member, size_t next, size_t at);

#endif
