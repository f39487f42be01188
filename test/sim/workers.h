/* SPDX-License-Identifier: Apache-2.0 */
/* Histories on all processors: a world is a process's own, so each worker is one. */
#ifndef ZKS_SIM_WORKERS_H
#define ZKS_SIM_WORKERS_H

#include "history.h"

struct tally {
    uint64_t histories;
    uint64_t failed;
    uint64_t steps;
    uint64_t faults[FAULTS];
    uint64_t first_failed; /* The lowest number, UINT64_MAX for none. */
};

/* workers_run: carries out the plans with the numbers 0 to `count` - 1, which `make` makes; prints those
 * that fail, up to a few, with how to have them again.  `make` returns false for a number that is no
 * plan. */
void workers_run(uint64_t count, bool (*make)(struct plan *plan, uint64_t number),
                 struct tally *tally);

/* tally_add: adds what another one counts. */
void tally_add(struct tally *to, const struct tally *t);

/* workers_count: how many histories a test is to play: fewer where each is slow. */
uint64_t workers_count(uint64_t usual);

#endif
