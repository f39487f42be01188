/* SPDX-License-Identifier: Apache-2.0 */
/* Timers as a pairing heap whose nodes are part of what is timed: no allocation, nothing can fail.
 */
#ifndef ZKS_DRIVER_TIMERS_H
#define ZKS_DRIVER_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

struct zks__timer {
    uint64_t at_ms;
    bool armed;
    struct zks__timer *child;
    struct zks__timer *sibling;
    struct zks__timer *before; /* The parent for a first child, else the sibling before. */
};

struct zks__timers {
    struct zks__timer *root;
};

/* zks__timer_set: arms, moves, or for UINT64_MAX disarms a timer. */
void zks__timer_set(struct zks__timers *timers, struct zks__timer *timer, uint64_t at_ms);

/* zks__timers_next: when the first one is due, UINT64_MAX for never. */
uint64_t zks__timers_next(const struct zks__timers *timers);

/* zks__timers_take: disarms and returns one that is due, or NULL. */
struct zks__timer *zks__timers_take(struct zks__timers *timers, uint64_t now_ms);

#endif
