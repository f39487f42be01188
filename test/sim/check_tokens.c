/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens grow: whoever is given a lock has a larger one than every writer before.  It is another matter
 * where a stranger has deleted his znode or ended his session: he may be told that he has the lock when
 * he has it no more, and then it is by his token that he can be told. */
#include <string.h>

#include "broken.h"
#include "check.h"

static uint64_t largest[THINGS_MAX];

static void begin(const struct plan *p)
{
    (void)p;
    memset(largest, 0, sizeof largest);
}

static void given(const struct seen *s)
{
    if (broken(s->actor)) {
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

static void see(const struct seen *s)
{
    if (s->kind == SEEN_DONE && s->result == 0 && what_is_lock(s->what)) {
        given(s);
    }
}

static void end(void)
{
}

const struct checker check_tokens = {"tokens", begin, see, end};
