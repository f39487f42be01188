/* SPDX-License-Identifier: Apache-2.0 */
/* After all has healed everybody comes through within a bound: no wake-up is lost, nobody waits for
 * somebody who waits for him.  The bound is when a history is given up: see history.c.  Whoever need not
 * wait for others comes through soon; and so does whoever waits for a lock that nobody holds, but for one who is so far
 * from the servers that its lease may never do. */
#include <string.h>

#include "check.h"
#include "units.h"

enum { SOON = 8 }; /* Session timeouts: a leader may have to be found, and a session to end. */

static const struct plan *plan;
static uint64_t healed_at;
static uint64_t asked_at[ACTORS_MAX];
static bool holds[ACTORS_MAX];
static unsigned strangers[THINGS_MAX]; /* Who want it, or hold it. */
static uint64_t free_since[THINGS_MAX];

static void begin(const struct plan *p)
{
    plan = p;
    healed_at = NEVER;
    memset(holds, 0, sizeof holds);
    memset(strangers, 0, sizeof strangers);
    memset(free_since, 0, sizeof free_since);
}

static bool waits_for_others(enum what what)
{
    return what == DO_WAIT || what == DO_ENTER || what == DO_LEAVE;
}

static bool is_free(int thing)
{
    bool held = strangers[thing] > 0;
    for (unsigned i = 0; i < plan->n_actors; i++) {
        held |= holds[i] && (int)plan->actors[i].thing == thing;
    }
    return !held;
}

static void let_go(unsigned actor, uint64_t at)
{
    unsigned thing = plan->actors[actor].thing;
    free_since[thing] = holds[actor] ? at : free_since[thing];
    holds[actor] = false;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Since when nothing has kept it from coming through; NEVER where something has. */
static uint64_t unhindered_since(const struct seen *s)
{
    uint64_t from = later(asked_at[s->actor], healed_at);
    if (!what_is_lock(s->what)) {
        return waits_for_others((enum what)s->what) ? NEVER : from;
    }
    bool far = plan_is_far(plan, plan->actors[s->actor].process);
    return far || !is_free(s->thing) ? NEVER : later(from, free_since[s->thing]);
}

static void done(const struct seen *s)
{
    uint64_t from = unhindered_since(s);
    if (from != NEVER && s->at > from + (uint64_t)SOON * plan->timeout_ms * MS) {
        check_fail(&check_progress, "actor %d: %s #%u has taken %lu ms", s->actor,
                   what_name((enum what)s->what), s->number, (unsigned long)((s->at - from) / MS));
    }
    if (what_is_lock(s->what) && s->result == 0) {
        holds[s->actor] = true;
    }
}

static void leave_all(const struct seen *s)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].process == s->process) {
            let_go(i, s->at);
        }
    }
}

/* 1: it asks for it, 3: it lets it go. */
static void stranger(const struct seen *s)
{
    strangers[s->thing] += s->what == 1;
    if (s->what == 3) {
        strangers[s->thing]--;
        free_since[s->thing] = s->at;
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
        if (s->what == DO_UNLOCK) {
            let_go((unsigned)s->actor, s->at);
        }
        break;
    case SEEN_DONE:
        done(s);
        break;
    case SEEN_LOST:
    case SEEN_FREED:
        let_go((unsigned)s->actor, s->at);
        break;
    case SEEN_DEATH:
        leave_all(s);
        break;
    case SEEN_CONTENDER:
        stranger(s);
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
