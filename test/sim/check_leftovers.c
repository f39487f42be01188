/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is left behind once all have left: no watch, no znode of a session that lives, and no round,
 * unless the participant that was to remove it has been told that the servers forbid that, or had lost its session
 * before it could be told. */
#include <string.h>

#include "check.h"
#include "stranger.h"

static const struct plan *plan;
static bool forbidden[THINGS_MAX]; /* To remove the double barrier's latest round. */

static void begin(const struct plan *p)
{
    plan = p;
    memset(forbidden, 0, sizeof forbidden);
}

/* Whether a stranger forbids for a while to write there. */
static bool is_closed(int thing)
{
    bool closed = false;
    for (unsigned i = 0; i < plan->n_faults; i++) {
        const struct plan_fault *f = &plan->faults[i];
        closed |= f->fault == FAULT_FOREIGN && f->more % MISCHIEFS == MISCHIEF_ACL &&
                  f->target % plan->n_things == (unsigned)thing;
    }
    return closed;
}

static void done(const struct seen *s)
{
    if (s->what == DO_LEAVE &&
        (s->result == ZKS_EACCES || (s->result == ZKS_ELOST && is_closed(s->thing)))) {
        forbidden[s->thing] = true;
    } else if (s->what == DO_ENTER && s->result == 0) {
        forbidden[s->thing] = false;
    }
}

static void left(const struct seen *s)
{
    if (s->actor >= 0) {
        check_fail(&check_leftovers, "%s of actor %d is left at thing %d", s->text, s->actor,
                   s->thing);
    } else if (plan->things[s->thing].kind == THING_DOUBLE && plan_full(plan, (unsigned)s->thing) &&
               !forbidden[s->thing]) {
        check_fail(&check_leftovers, "%s is left at double barrier %d", s->text, s->thing);
    }
}

static void see(const struct seen *s)
{
    if (s->kind == SEEN_DONE) {
        done(s);
    } else if (s->kind == SEEN_LEFT) {
        left(s);
    } else if (s->kind == SEEN_WATCHED) {
        check_fail(&check_leftovers, "process %d still watches %s", s->process, s->text);
    }
}

static void end(void)
{
}

const struct checker check_leftovers = {"leftovers", begin, see, end};
