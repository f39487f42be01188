/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens grow: whoever is given a lock has a larger one than every writer before.  It is another matter
 * where a stranger has deleted his znode or ended his session: he may be told that he has the lock when
 * he has it no more, and then it is by his token that he can be told. */
#include <string.h>

#include "check.h"

static uint64_t largest[THINGS_MAX];
static bool broken[ACTORS_MAX];
static uint64_t broken_at[ACTORS_MAX];
static const struct plan *plan;

static void begin(const struct plan *p)
{
    plan = p;
    memset(largest, 0, sizeof largest);
    memset(broken, 0, sizeof broken);
}

static void begin_anew(int process)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        broken[i] &= (int)plan->actors[i].process != process;
    }
}

static void given(const struct seen *s)
{
    if (broken[s->actor]) {
        return;
    }
    if (s->token <= largest[s->thing]) {
        check_fail(&check_tokens, "actor %d has got token %lx of lock %d, where %lx was given out",
                   s->actor, (unsigned long)s->token, s->thing, (unsigned long)largest[s->thing]);
    }
    if (s->what == DO_WRLOCK) {
        largest[s->thing] = s->token;
    }
}

static bool is_lock(const struct seen *s)
{
    return s->what == DO_RDLOCK || s->what == DO_WRLOCK;
}

static void see(const struct seen *s)
{
    if (s->kind == SEEN_DONE && s->result == 0 && is_lock(s)) {
        given(s);
    } else if (s->kind == SEEN_BROKEN) {
        broken[s->actor] = true;
        broken_at[s->actor] = s->at;
    } else if (s->kind == SEEN_QUEUED) {
        broken[s->actor] &= s->until <= broken_at[s->actor]; /* It was another znode. */
    } else if (s->kind == SEEN_ASK && is_lock(s)) {
        broken[s->actor] = false;
    } else if (s->kind == SEEN_STATE && s->result == ZKS_CLIENT_LOST) {
        begin_anew(s->process);
    }
}

static void end(void)
{
}

const struct checker check_tokens = {"tokens", begin, see, end};
