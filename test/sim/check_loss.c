/* SPDX-License-Identifier: Apache-2.0 */
/* A holder whose lease has run out is told: at the latest when its driver has had its next turn. */
#include <string.h>

#include "check.h"

static const struct plan *plan;
static bool holds[ACTORS_MAX];
static uint64_t until[PROCESSES_MAX];

static void begin(const struct plan *p)
{
    plan = p;
    memset(holds, 0, sizeof holds);
    memset(until, 0, sizeof until);
}

static void turn(const struct seen *s)
{
    if (s->at < until[s->process]) {
        return;
    }
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].process == s->process && holds[i]) {
            check_fail(&check_loss, "actor %u believes that it holds, and its lease has run out",
                       i);
        }
    }
}

static void see(const struct seen *s)
{
    switch (s->kind) {
    case SEEN_DONE:
        if (s->result == 0 && (s->what == DO_RDLOCK || s->what == DO_WRLOCK)) {
            holds[s->actor] = true;
        }
        break;
    case SEEN_ASK:
        holds[s->actor] &= s->what != DO_UNLOCK;
        break;
    case SEEN_LOST:
    case SEEN_FREED:
        holds[s->actor] = false;
        break;
    case SEEN_DEATH:
        for (unsigned i = 0; i < plan->n_actors; i++) {
            holds[i] &= (int)plan->actors[i].process != s->process;
        }
        break;
    case SEEN_LEASE:
        until[s->process] = s->until;
        break;
    case SEEN_TURN:
        turn(s);
        break;
    default:
        break;
    }
}

static void end(void)
{
}

const struct checker check_loss = {"loss", begin, see, end};
