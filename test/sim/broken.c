/* SPDX-License-Identifier: Apache-2.0 */
#include "broken.h"

#include <string.h>

static const struct plan *plan;
static bool has[ACTORS_MAX]; /* A lock, as far as it knows. */
static bool is_broken[ACTORS_MAX];
static uint64_t broken_at[ACTORS_MAX];
static uint64_t lost_at[ACTORS_MAX]; /* When it was told of the end of its session; 0 for not. */

void broken_begin(const struct plan *p)
{
    plan = p;
    memset(has, 0, sizeof has);
    memset(is_broken, 0, sizeof is_broken);
    memset(lost_at, 0, sizeof lost_at);
}

bool broken(int actor)
{
    return is_broken[actor];
}

static void forget(bool what[ACTORS_MAX], int process)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        what[i] &= (int)plan->actors[i].process != process;
    }
}

/* What it is given in its next session counts.  What was given to it before can be reported just behind the end. */
static void pass(uint64_t now)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if (lost_at[i] != 0 && now > lost_at[i]) {
            is_broken[i] = false;
            lost_at[i] = 0;
        }
    }
}

void broken_see(const struct seen *s)
{
    pass(s->at);
    switch (s->kind) {
    case SEEN_ASK:
        has[s->actor] &= s->what != DO_UNLOCK;
        is_broken[s->actor] &= !what_is_lock(s->what) || has[s->actor];
        break;
    case SEEN_DONE:
        has[s->actor] |= s->result == 0 && what_is_lock(s->what);
        break;
    case SEEN_LOST:
    case SEEN_FREED:
        has[s->actor] = false;
        break;
    case SEEN_DEATH:
        forget(has, s->process);
        break;
    case SEEN_STATE:
        for (unsigned i = 0; s->result == ZKS_CLIENT_LOST && i < plan->n_actors; i++) {
            lost_at[i] = (int)plan->actors[i].process == s->process ? s->at : lost_at[i];
        }
        break;
    case SEEN_BROKEN:
        is_broken[s->actor] = true;
        lost_at[s->actor] = 0;
        broken_at[s->actor] = s->at;
        break;
    case SEEN_QUEUED:
        /* A znode that was asked for later is not the one that was deleted. */
        is_broken[s->actor] &= s->until <= broken_at[s->actor];
        break;
    default:
        break;
    }
}
