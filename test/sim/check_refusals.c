/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever is refused for good is told so soon, and what is left to be done is tried again less and less
 * often. */
#include <string.h>

#include "check.h"
#include "refusal.h"
#include "units.h"

/* In session timeouts, but for the numbers of requests in one. */
enum { SOON = 4, SETTLED = 6, REQUESTS = 60, IDLE_REQUESTS = 12 };

static const struct plan *plan;
static struct {
    bool final;
    uint64_t since;
    uint64_t until; /* 0 for none. */
    uint64_t window;
    unsigned requests;  /* Since `window` began. */
    uint64_t idle_from; /* Since then none of its actors has anything under way. */
} refused[PROCESSES_MAX];
static struct {
    bool busy;
    uint64_t asked_at;
} actors[ACTORS_MAX];

static void begin(const struct plan *p)
{
    plan = p;
    memset(refused, 0, sizeof refused);
    memset(actors, 0, sizeof actors);
}

static uint64_t timeouts(unsigned n)
{
    return (uint64_t)n * plan->timeout_ms * MS;
}

/* Nobody else uses the thing, so there is nobody to wait for. */
static bool is_alone(unsigned actor)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if (i != actor && plan->actors[i].thing == plan->actors[actor].thing) {
            return false;
        }
    }
    return true;
}

static void look_at(unsigned actor, uint64_t now)
{
    unsigned p = plan->actors[actor].process;
    if (!actors[actor].busy) {
        return;
    }
    refused[p].idle_from = now;
    uint64_t from =
        actors[actor].asked_at > refused[p].since ? actors[actor].asked_at : refused[p].since;
    if (refused[p].final && now < refused[p].until && is_alone(actor) &&
        now > from + timeouts(SOON)) {
        check_fail(&check_refusals, "actor %u is refused and does not come to an end", actor);
    }
}

static void sent(unsigned p, uint64_t now)
{
    if (now >= refused[p].until) {
        return;
    }
    if (now >= refused[p].window + timeouts(1)) {
        refused[p].window = now;
        refused[p].requests = 0;
    }
    refused[p].requests++;
    if (refused[p].requests > REQUESTS) {
        check_fail(&check_refusals, "process %u asks %u times, and is refused", p,
                   refused[p].requests);
    }
    bool settled = refused[p].final && refused[p].window > refused[p].since + timeouts(SETTLED) &&
                   refused[p].window > refused[p].idle_from + timeouts(SETTLED);
    if (settled && refused[p].requests > IDLE_REQUESTS) {
        check_fail(&check_refusals,
                   "process %u asks %u times for what it has been refused for long", p,
                   refused[p].requests);
    }
}

static void see(const struct seen *s)
{
    switch (s->kind) {
    case SEEN_REFUSED:
        refused[s->process].final = refusal_is_final(s->number >> REFUSE_SHIFT);
        refused[s->process].since = s->at;
        refused[s->process].until = s->until;
        break;
    case SEEN_ASK:
        actors[s->actor].busy = true;
        actors[s->actor].asked_at = s->at;
        break;
    case SEEN_DONE:
        actors[s->actor].busy = false;
        break;
    case SEEN_SENT:
        if (!s->heartbeat) {
            sent((unsigned)s->process, s->at);
        }
        break;
    case SEEN_TURN:
        for (unsigned i = 0; i < plan->n_actors; i++) {
            if ((int)plan->actors[i].process == s->process) {
                look_at(i, s->at);
            }
        }
        break;
    default:
        break;
    }
}

static void end(void)
{
}

const struct checker check_refusals = {"refusals", begin, see, end};
