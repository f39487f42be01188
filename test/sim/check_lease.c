/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever knows his session to live until then is right, whatever happens meanwhile: the servers let it
 * live for so long if they hear no more of it.  They mostly let it live for a tick or two longer, so that
 * a wrong belief seldom does harm; this looks at the belief itself. */
#include "check.h"
#include "units.h"

static void begin(const struct plan *p)
{
    (void)p;
}

static void see(const struct seen *s)
{
    if (s->kind == SEEN_LEASE && s->until > s->truth) {
        check_fail(&check_lease,
                   "process %d is sure of its session for %lu us more than the servers grant",
                   s->process, (unsigned long)(s->until - s->truth));
    }
}

static void end(void)
{
}

const struct checker check_lease = {"lease", begin, see, end};
