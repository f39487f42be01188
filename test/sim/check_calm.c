/* SPDX-License-Identifier: Apache-2.0 */
/* Where nothing befalls anybody everything succeeds, nothing is lost, and a round begins soon after the
 * last of its n has come: nobody sleeps until a clock wakes him. */
#include <string.h>

#include "check.h"
#include "units.h"

static const struct plan *plan;
static bool calm;
static uint64_t soon;
static uint64_t asked_at[ACTORS_MAX]; /* NEVER for whoever does not wait to enter. */

static void begin(const struct plan *p)
{
    plan = p;
    calm = plan_calm(p);
    soon = 40 * plan_longest_delay(p) + 20 * MS;
    for (int i = 0; i < ACTORS_MAX; i++) {
        asked_at[i] = NEVER;
    }
}

/* Since when all n have been there, NEVER where they are not. */
static uint64_t complete_since(int thing)
{
    uint64_t since = 0;
    uint32_t n = 0;
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].thing == thing && asked_at[i] != NEVER) {
            n++;
            since = asked_at[i] > since ? asked_at[i] : since;
        }
    }
    return n == plan->things[thing].n ? since : NEVER;
}

static void done(const struct seen *s)
{
    if (s->result != 0 && s->result != ZKS_EEXIST && s->result != ZKS_ENOENT &&
        s->result != ZKS_EPERM && s->result != ZKS_EDEADLK) {
        check_fail(&check_calm, "actor %d: %s #%u ends with %s, and nothing was wrong", s->actor,
                   what_name((enum what)s->what), s->number, zks_err_name(s->result));
    }
    if (s->what != DO_ENTER || s->result != 0) {
        return;
    }
    /* Only the first of a round: then all n are still there. */
    uint64_t since = complete_since(s->thing);
    if (since != NEVER && soon < (uint64_t)plan->timeout_ms * MS / 2 && s->at > since + soon) {
        check_fail(&check_calm, "actor %d has entered %lu ms after all were there", s->actor,
                   (unsigned long)((s->at - since) / MS));
    }
}

static void see(const struct seen *s)
{
    if (!calm) {
        return;
    }
    if (s->kind == SEEN_ASK && s->what == DO_ENTER) {
        asked_at[s->actor] = s->at;
    } else if (s->kind == SEEN_DONE) {
        done(s);
        if (s->what == DO_ENTER) {
            asked_at[s->actor] = NEVER;
        }
    } else if (s->kind == SEEN_LOST) {
        check_fail(&check_calm, "actor %d has lost what it held, and nothing was wrong", s->actor);
    }
}

static void end(void)
{
}

const struct checker check_calm = {"calm", begin, see, end};
