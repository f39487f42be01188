/* SPDX-License-Identifier: Apache-2.0 */
/* What a leader thinks of writes that it has not carried out yet.  It checks a write against plans for the
 * znodes that those before it change, and some plans are wrong, see docs/tree.md: a request that would
 * run into one of these has to wait until nothing is under way. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_PLANS_H
#define ZKSYNC_TEST_INTEGRATION_TREE_PLANS_H

#include "tree_ask.h"

struct plans {
    struct arena *arena;
    struct plan *with_acl; /* What has got another ACL; the plan still has the old one. */
    struct plan *changed;
    bool lost; /* A plan has been lost. */
};

/* plans_begin: nothing is under way. */
void plans_begin(struct plans *p, struct arena *arena);

/* plans_mislead: whether the request must wait. */
bool plans_mislead(const struct plans *p, const struct ask *ask);

/* plans_add: the request is under way, and will have this answer. */
void plans_add(struct plans *p, const struct ask *ask, const struct answer *answer);

#endif
