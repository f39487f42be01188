/* SPDX-License-Identifier: Apache-2.0 */
/* What is begun ends, once. */
#include <string.h>

#include "check.h"

enum { OPERATIONS = 4096 };

enum progress { UNKNOWN, UNDER_WAY, ENDED, DIED };

static unsigned char operations[OPERATIONS];
static unsigned latest[ACTORS_MAX];
static unsigned n;
static const struct plan *plan;

static void begin(const struct plan *p)
{
    plan = p;
    memset(operations, 0, sizeof operations);
    memset(latest, 0, sizeof latest);
    n = 0;
}

static void asked(const struct seen *s)
{
    if (s->number >= OPERATIONS) {
        return;
    }
    operations[s->number] = UNDER_WAY;
    latest[s->actor] = s->number;
    n = s->number > n ? s->number : n;
}

static void ended(const struct seen *s)
{
    if (s->number >= OPERATIONS) {
        return;
    }
    if (operations[s->number] != UNDER_WAY) {
        check_fail(&check_completion, "actor %d: operation %u ends, which %s", s->actor, s->number,
                   operations[s->number] == ENDED ? "had ended" : "was not under way");
    }
    operations[s->number] = ENDED;
}

static void died(int process)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].process == process && operations[latest[i]] == UNDER_WAY) {
            operations[latest[i]] = DIED;
        }
    }
}

/* Where not all have left the time was up, which is for another checker to say. */
static void over(const struct seen *s)
{
    for (unsigned i = 1; s->result != 0 && i <= n; i++) {
        if (operations[i] == UNDER_WAY) {
            check_fail(&check_completion, "operation %u has never ended", i);
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
        ended(s);
        break;
    case SEEN_DEATH:
        died(s->process);
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

const struct checker check_completion = {"completion", begin, see, end};
