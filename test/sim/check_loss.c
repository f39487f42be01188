/* SPDX-License-Identifier: Apache-2.0 */
/* A holder whose lease has run out is told: at the latest when its driver has had its next turn.  And
 * nobody is told of a loss without a cause: a lease that has run out, a session that has ended, or a
 * stranger. */
#include <string.h>

#include "broken.h"
#include "check.h"

static const struct plan *plan;
static bool holds[ACTORS_MAX];
static uint64_t given_after[ACTORS_MAX]; /* The last turn before the one in which it was given. */
static uint64_t until[PROCESSES_MAX];
static uint64_t turned_at[PROCESSES_MAX];
static uint64_t ended_at[PROCESSES_MAX]; /* The session, 0 for not. */

static void begin(const struct plan *p)
{
    plan = p;
    memset(holds, 0, sizeof holds);
    memset(given_after, 0, sizeof given_after);
    memset(until, 0, sizeof until);
    memset(turned_at, 0, sizeof turned_at);
    memset(ended_at, 0, sizeof ended_at);
}

/* In a turn in which something is given and lost the state of the connection is told before both. */
static void lost(const struct seen *s)
{
    uint64_t ended = ended_at[s->process];
    if (s->at < until[s->process] && !broken(s->actor) &&
        (ended == 0 || ended < given_after[s->actor])) {
        check_fail(&check_loss, "actor %d is told of a loss, and nothing has happened", s->actor);
    }
    holds[s->actor] = false;
}

static void turn(const struct seen *s)
{
    turned_at[s->process] = s->at;
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
        if (s->result == 0 && what_is_lock(s->what)) {
            holds[s->actor] = true;
            given_after[s->actor] = turned_at[s->process];
        }
        break;
    case SEEN_ASK:
        holds[s->actor] &= s->what != DO_UNLOCK;
        break;
    case SEEN_LOST:
        lost(s);
        break;
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
    case SEEN_STATE:
        ended_at[s->process] = s->result == ZKS_CLIENT_LOST ? s->at : ended_at[s->process];
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
