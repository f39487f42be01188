/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <string.h>

static struct zks__timers timers;
static uint64_t now;

void sched_begin(void)
{
    memset(&timers, 0, sizeof timers);
    now = (uint64_t)1000 * MS;
}

uint64_t sched_now(void)
{
    return now;
}

void sched_at(struct happening *h, uint64_t at)
{
    zks__timer_set(&timers, &h->timer, at < now ? now : at);
}

void sched_after(struct happening *h, uint64_t us)
{
    sched_at(h, now + us);
}

uint64_t sched_next(void)
{
    return zks__timers_next(&timers);
}

void sched_step(void)
{
    now = zks__timers_next(&timers);
    struct happening *h = (struct happening *)(void *)zks__timers_take(&timers, now);
    h->fire(h);
}
