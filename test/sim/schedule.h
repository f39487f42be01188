/* SPDX-License-Identifier: Apache-2.0 */
/* The true time of a history, which no process knows, and what happens next.  In microseconds. */
#ifndef ZKS_SIM_SCHEDULE_H
#define ZKS_SIM_SCHEDULE_H

#include "driver/timers.h"
#include "units.h"

/* Memory of whatever it is that happens; `fire` is called at its time, once. */
struct happening {
    struct zks__timer timer;
    void (*fire)(struct happening *h);
};

void sched_begin(void);

uint64_t sched_now(void);

/* sched_at: plans or moves it; NEVER takes it back. */
void sched_at(struct happening *h, uint64_t at);

/* sched_after: plans it. */
void sched_after(struct happening *h, uint64_t us);

static inline bool sched_planned(const struct happening *h)
{
    return h->timer.armed;
}

/* sched_next: when the next thing happens, NEVER for nothing. */
uint64_t sched_next(void);

/* sched_step: lets the next thing happen. */
void sched_step(void);

#endif
