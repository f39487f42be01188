/* SPDX-License-Identifier: Apache-2.0 */
/* A history: a plan carried out, and what the checkers say of it. */
#ifndef ZKS_SIM_HISTORY_H
#define ZKS_SIM_HISTORY_H

#include "plan.h"

struct history_result {
    bool failed;
    char checker[32];
    char failure[512];
    uint64_t faults[FAULTS]; /* How many of each befell somebody. */
    uint64_t steps;          /* Of all processes. */
    uint64_t ended_ms;
};

/* history_run: carries a plan out; with a trace where `trace` is not NULL. */
void history_run(const struct plan *plan, FILE *trace, struct history_result *result);

/* The same in parts, for whoever chooses what happens next: see explore.h.  history_befall lets a fault
 * happen at once. */
void history_begin(const struct plan *plan, FILE *trace, struct history_result *result);
void history_heal(void);
bool history_over(void);
void history_befall(const struct plan_fault *fault);
void history_end(void);
void history_abort(void); /* ... without a verdict. */

struct process;
struct process *history_process(unsigned i);

#endif
