/* SPDX-License-Identifier: Apache-2.0 */
#include "timer.h"

#include <sys/timerfd.h>

int cli_timer_open(void)
{
    return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
}

/* Setting it makes it unreadable until the new time, so it need not be read. */
void cli_timer_set(int timer, uint64_t at_ms)
{
    struct itimerspec when = {{0, 0}, {0, 0}};
    if (at_ms != UINT64_MAX) {
        at_ms = at_ms > 0 ? at_ms : 1; /* 0 would switch it off. */
        when.it_value.tv_sec = (time_t)(at_ms / 1000);
        when.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000;
    }
    (void)timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}
