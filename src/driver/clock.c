/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/clock.h"

#include <time.h>

#include "core/step.h"

uint64_t zks__now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void zks__cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

/* Conditions know no CLOCK_BOOTTIME: after a sleep of the machine this is late by as long, at most. */
void zks__cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ms)
{
    if (until_ms == ZKS__NEVER) {
        pthread_cond_wait(cond, lock);
        return;
    }
    uint64_t now_ms = zks__now_ms();
    uint64_t ms = until_ms > now_ms ? until_ms - now_ms : 0;
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(cond, lock, &at);
}
