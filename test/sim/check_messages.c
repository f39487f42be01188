/* SPDX-License-Identifier: Apache-2.0 */
/* Messages stay few where nothing goes wrong: a hand-over of a lock wakes one waiter, or those readers
 * who all may in, and costs a fixed number of requests; a round costs a fixed number for each. */
#include <string.h>

#include "check.h"
#include "units.h"

static const struct plan *plan;
static uint64_t requests;
static uint64_t events;
static uint64_t locks;   /* Given. */
static uint64_t readers; /* ... of which for reading. */
static uint64_t ends;    /* Of holding, or of holding as a writer. */
static uint64_t passes;  /* Through a double barrier, in or out. */
static uint64_t deeds;   /* At a barrier. */
static uint64_t looks;   /* At the queue, of those who wait. */
static uint64_t asked_at[ACTORS_MAX];

static void begin(const struct plan *p)
{
    plan = p;
    requests = events = locks = readers = ends = passes = deeds = looks = 0;
}

static void done(const struct seen *s)
{
    switch ((enum what)s->what) {
    case DO_RDLOCK:
        readers++;
        locks++;
        looks += (s->at - asked_at[s->actor]) / (plan_granted_ms(plan) * MS / 4);
        break;
    case DO_WRLOCK:
        locks++;
        looks += (s->at - asked_at[s->actor]) / (plan_granted_ms(plan) * MS / 4);
        break;
    case DO_UNLOCK:
    case DO_DOWNGRADE:
        ends++;
        break;
    case DO_ENTER:
    case DO_LEAVE:
        passes++;
        break;
    default:
        deeds++;
        break;
    }
}

static void see(const struct seen *s)
{
    switch (s->kind) {
    case SEEN_SENT:
        requests += !s->heartbeat;
        break;
    case SEEN_EVENT:
        events++;
        break;
    case SEEN_ASK:
        asked_at[s->actor] = s->at;
        break;
    case SEEN_DONE:
        done(s);
        break;
    case SEEN_FREED:
        ends++;
        break;
    default:
        break;
    }
}

static void end(void)
{
    if (!plan_calm(plan)) {
        return;
    }
    /* The end of a holding is an event for one waiter or for readers, and for the holder itself. */
    uint64_t events_max = 2 * ends + readers + 2 * passes + 2 * deeds;
    /* A lock: create, list, look at oneself, delete, and with each event look and list, as four times in a
     * session timeout while it is waited for.  A pass: create or delete, three reads twice, open or
     * close. */
    uint64_t requests_max =
        locks * 8 + 2 * (looks + events) + 12 * passes + 8 * deeds + 8 * (uint64_t)plan->n_actors;
    if (events > events_max) {
        check_fail(&check_messages, "%lu events where %lu are enough", (unsigned long)events,
                   (unsigned long)events_max);
    }
    if (requests > requests_max) {
        check_fail(&check_messages, "%lu requests where %lu are enough", (unsigned long)requests,
                   (unsigned long)requests_max);
    }
}

const struct checker check_messages = {"messages", begin, see, end};
