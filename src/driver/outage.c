/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/outage.h"

#include "core/lease.h"

enum { CUTS_MAX = 3, TIMEOUTS = 3 };

void zks__outage_connected(struct zks__outage *o)
{
    o->heard = false;
}

void zks__outage_answered(struct zks__outage *o)
{
    o->since_ms = 0;
    o->cuts = 0;
    o->heard = true;
}

void zks__outage_cut(struct zks__outage *o, uint64_t now_ms)
{
    if (o->since_ms == 0) {
        o->since_ms = now_ms;
    }
    o->cuts += o->heard ? 0 : 1;
    o->heard = false;
}

uint64_t zks__outage_over_ms(const struct zks__outage *o, uint32_t timeout_ms)
{
    uint64_t timeouts = o->cuts >= CUTS_MAX ? 1 : TIMEOUTS;
    return o->since_ms != 0 ? zks__after(o->since_ms, timeouts * timeout_ms) : ZKS__NEVER;
}
