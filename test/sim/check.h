/* SPDX-License-Identifier: Apache-2.0 */
/* Checkers: each sees what the participants of a history saw, and says what must not have been. */
#ifndef ZKS_SIM_CHECK_H
#define ZKS_SIM_CHECK_H

#include "observe.h"

struct checker {
    const char *name;
    void (*begin)(const struct plan *plan);
    void (*see)(const struct seen *seen);
    void (*end)(void);
};

extern const struct checker check_exclusion;
extern const struct checker check_tokens;
extern const struct checker check_order;
extern const struct checker check_completion;
extern const struct checker check_progress;
extern const struct checker check_leftovers;
extern const struct checker check_rounds;
extern const struct checker check_gate;
extern const struct checker check_messages;
extern const struct checker check_lease;
extern const struct checker check_loss;
extern const struct checker check_calm;
extern const struct checker check_ids;
extern const struct checker check_idling;
extern const struct checker check_results;
extern const struct checker check_refusals;
extern const struct checker check_owned;

/* check_fail: what the checker has found; the first is kept. */
void check_fail(const struct checker *by, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* check_failure: what has been found, NULL for nothing; and by whom. */
const char *check_failure(const char **by);

#endif
