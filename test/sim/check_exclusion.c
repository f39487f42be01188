/* SPDX-License-Identifier: Apache-2.0 */
/* At most one writer, or any number of readers, at a time.
 *
 * Whoever has been given a lock has it until it asks to let it go, is told that it is lost, dies, or
 * its clock reaches the time until which it was sure of its session: whichever comes first. */
#include <string.h>

#include "broken.h"
#include "check.h"

struct hold {
    bool holds;
    bool writes;
};

static const struct plan *plan;
static struct hold holds[ACTORS_MAX];
static uint64_t until[PROCESSES_MAX];
static unsigned strangers[THINGS_MAX]; /* Who hold, as writers. */

static void begin(const struct plan *p)
{
    plan = p;
    memset(holds, 0, sizeof holds);
    memset(until, 0, sizeof until);
    memset(strangers, 0, sizeof strangers);
}

static bool has(int actor, uint64_t now)
{
    return holds[actor].holds && now < until[plan->actors[actor].process];
}

/* Whether somebody has what the actor has. */
static void judge(int actor, uint64_t now)
{
    unsigned thing = plan->actors[actor].thing;
    if (!has(actor, now)) {
        return;
    }
    if (strangers[thing] > 0) {
        check_fail(&check_exclusion, "actor %d has lock %u, and so has a stranger", actor, thing);
    }
    for (int i = 0; i < (int)plan->n_actors; i++) {
        if (i != actor && plan->actors[i].thing == thing && has(i, now) &&
            (holds[i].writes || holds[actor].writes)) {
            check_fail(&check_exclusion, "actors %d (%s) and %d (%s) have lock %u at once", i,
                       holds[i].writes ? "writer" : "reader", actor,
                       holds[actor].writes ? "writer" : "reader", thing);
        }
    }
}

static void given(const struct seen *s)
{
    struct hold *h = &holds[s->actor];
    h->holds = !broken(s->actor);
    h->writes = s->what == DO_WRLOCK;
    judge(s->actor, s->at);
}

static void asked(const struct seen *s)
{
    struct hold *h = &holds[s->actor];
    if (s->what == DO_UNLOCK) {
        h->holds = false;
    } else if (s->what == DO_DOWNGRADE) {
        h->writes = false; /* Readers may come in from now on. */
    }
}

static void leave_all(int process)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].process == process) {
            holds[i].holds = false;
        }
    }
}

static void sure(const struct seen *s)
{
    until[s->process] = s->until;
    for (int i = 0; i < (int)plan->n_actors; i++) {
        if ((int)plan->actors[i].process == s->process) {
            judge(i, s->at);
        }
    }
}

static void stranger(const struct seen *s)
{
    if (s->what == 3) {
        strangers[s->thing]--;
    } else if (s->what == 2) {
        strangers[s->thing]++;
        for (int i = 0; i < (int)plan->n_actors; i++) {
            if ((int)plan->actors[i].thing == s->thing) {
                judge(i, s->at);
            }
        }
    }
}

static void see(const struct seen *s)
{
    switch (s->kind) {
    case SEEN_ASK:
        asked(s);
        break;
    case SEEN_DONE:
        if (s->result == 0 && what_is_lock(s->what)) {
            given(s);
        }
        break;
    case SEEN_LOST:
    case SEEN_FREED:
    case SEEN_BROKEN:
        holds[s->actor].holds = false;
        break;
    case SEEN_DEATH:
        leave_all(s->process);
        until[s->process] = 0;
        break;
    case SEEN_LEASE:
        sure(s);
        break;
    case SEEN_CONTENDER:
        stranger(s);
        break;
    default:
        break;
    }
}

static void end(void)
{
}

const struct checker check_exclusion = {"exclusion", begin, see, end};
