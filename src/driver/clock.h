/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_DRIVER_CLOCK_H
#define ZKS_DRIVER_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Leases are counted on a clock that goes on while the machine sleeps: the servers' clocks do. */
static inline uint64_t zks__now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
