/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_LOCAL_CLOCK_H
#define ZKS_LOCAL_CLOCK_H

#include <stdint.h>

#include "zksync/client.h"

static inline int64_t zks__local_now_ms(void)
{
    return (int64_t)zks_clock_ms();
}

/* zks__local_until: when a time limit is over. */
static inline int64_t zks__local_until(int64_t timeout_ms)
{
    int64_t now = zks__local_now_ms();
    return timeout_ms == ZKS_FOREVER || timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
}

/* zks__local_left: what is left until then, as poll() takes it: never more than a minute. */
static inline int zks__local_left(int64_t until_ms)
{
    int64_t left = until_ms - zks__local_now_ms();
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

#endif
