/* SPDX-License-Identifier: Apache-2.0 */
/* After all has healed everybody comes through within a bound: no wake-up is lost, nobody waits for
 * somebody who waits for him.  The bound is when a history is given up: see history.c.  Whoever need not
 * wait for others comes through soon. */
#include "check.h"
#include "units.h"

enum { SOON = 8 }; /* Session timeouts: a leader may have to be found, and a session to end. */

static const struct plan *plan;
static uint64_t healed_at;
static uint64_t asked_at[ACTORS_MAX];

static void begin(const struct plan *p)
{
    plan = p;
    healed_at = NEVER;
}

static bool waits_for_others(enum what what)
{
    return what_is_lock((int)what) || what == DO_WAIT || what == DO_ENTER || what == DO_LEAVE;
}

static void done(const struct seen *s)
{
    uint64_t from = asked_at[s->actor] > healed_at ? asked_at[s->actor] : healed_at;
    if (!waits_for_others((enum what)s->what) && healed_at != NEVER &&
        s->at > from + (uint64_t)SOON * plan->timeout_ms * MS) {
        check_fail(&check_progress, "actor %d: %s #%u has taken %lu ms", s->actor,
                   what_name((enum what)s->what), s->number, (unsigned long)((s->at - from) / MS));
    }
}

static void over(const struct seen *s)
{
    if (s->result == 0 && s->actor >= 0) {
        check_fail(&check_progress, "actor %d has not come through (%s)", s->actor, s->text);
    } else if (s->result == 0) {
        check_fail(&check_progress, "a handle that was freed is still not done with");
    }
}

static void see(const struct seen *s)
{
    switch (s->kind) {
    case SEEN_HEALED:
        healed_at = s->at;
        break;
    case SEEN_ASK:
        asked_at[s->actor] = s->at;
        break;
    case SEEN_DONE:
        done(s);
        break;
    case SEEN_OVER:
        over(s);
        break;
    default:
        break;
    }
}

static void end(void)
{
}

const struct checker check_progress = {"progress", begin, see, end};
