/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers: others who use the same znodes, by other rules or by none, over a good connection. */
#ifndef ZKS_SIM_STRANGER_H
#define ZKS_SIM_STRANGER_H

#include "plan.h"

enum mischief {
    MISCHIEF_CONTENDER, /* A writer of another client's, by the rules of its recipe. */
    MISCHIEF_JUNK,      /* Children whose names say nothing, or almost something. */
    MISCHIEF_BREAK,     /* Somebody deletes the znode of one that is there. */
    MISCHIEF_ACL,       /* Nobody may write there for a while. */
    MISCHIEF_DATA,      /* Somebody writes to the znode itself. */
    MISCHIEF_READY,     /* Something stands where a round would. */
    MISCHIEFS
};

/* stranger_comes: and goes after a time, at the latest when all heals. */
void stranger_comes(const struct plan *plan, unsigned thing, enum mischief mischief, uint64_t us);

/* strangers_go: whoever is still there. */
void strangers_go(void);

/* strangers_lift: from now on barriers are lifted again and again. */
void strangers_lift(const struct plan *plan);

/* strangers_gone: whether all of them and what they have left has gone. */
bool strangers_gone(void);

void strangers_begin(uint64_t seed);

#endif
