/* SPDX-License-Identifier: Apache-2.0 */
/* Exploring: all interleavings of a small history, up to a depth.
 *
 * Time stands still.  What can happen next is chosen: which message arrives, who takes his next step, and
 * once in a history what befalls somebody.  When nothing else can happen time goes on to the next thing
 * that waits for it.  All choices are tried, each history anew from its beginning; one that comes to a
 * state that another one has been in ends there.  Beyond the depth the first choice is taken each time,
 * to the end. */
#ifndef ZKS_SIM_EXPLORE_H
#define ZKS_SIM_EXPLORE_H

#include "history.h"

struct exploration {
    struct plan plan;
    unsigned depth;      /* How many choices are tried in all ways. */
    bool faults;         /* One thing may befall somebody. */
    uint64_t states_max; /* It ends there, incomplete. */

    uint64_t states;
    uint64_t histories;
    uint64_t ends; /* Histories that came to their end. */
    unsigned deepest;
    bool complete;
    bool failed;
    struct history_result failure;
};

void explore(struct exploration *e);

#endif
