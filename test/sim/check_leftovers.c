/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is left behind once all have left: no znode of a session that lives, and no round. */
#include <string.h>

#include "check.h"

static const struct plan *plan;

static void begin(const struct plan *p)
{
    plan = p;
}

static void see(const struct seen *s)
{
    if (s->kind != SEEN_LEFT) {
        return;
    }
    if (s->actor >= 0) {
        check_fail(&check_leftovers, "%s of actor %d is left at thing %d", s->text, s->actor,
                   s->thing);
    } else if (plan->things[s->thing].kind == THING_DOUBLE && plan_full(plan, (unsigned)s->thing)) {
        check_fail(&check_leftovers, "%s is left at double barrier %d", s->text, s->thing);
    }
}

static void end(void)
{
}

const struct checker check_leftovers = {"leftovers", begin, see, end};
