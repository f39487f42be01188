/* SPDX-License-Identifier: Apache-2.0 */
/* First come, first served, among those whose connection stayed.
 *
 * One who knows that he is in the queue comes before everybody who asks later, unless both only read.
 * If he is overtaken all the same it is judged when his own wait ends: was his connection lost
 * meanwhile, he may have lost his place with it.  Who stood still until his session was over and his
 * time was up learns of the second first, so whoever has given up is judged at the end.  A client that
 * has not reported "connected" yet reports no loss either: there the end of its lease counts.  One who is far from
 * the servers, and cannot prove its lease when it is first, queues again at the end. */
#include <string.h>

#include "check.h"
#include "units.h"

struct wait {
    bool waits;
    bool queued;    /* ... and knows it. */
    bool disturbed; /* He may have lost his place. */
    bool writes;
    uint64_t since;
    unsigned number;  /* Of the request, in the order in which they begin. */
    unsigned before;  /* ... and of the last one that began before he knew that he is queued. */
    int overtaken_by; /* -1 for nobody. */
};

/* One who has given up after he was overtaken. */
struct doubt {
    int actor; /* -1 for one that is cleared up. */
    int by;
};

enum { DOUBTS_MAX = 64 };

static const struct plan *plan;
static struct wait waits[ACTORS_MAX];
static struct doubt doubts[DOUBTS_MAX];
static unsigned n_doubts;
static unsigned latest;             /* The number of what has begun last. */
static bool reports[PROCESSES_MAX]; /* The process has reported that it is connected. */

static void begin(const struct plan *p)
{
    plan = p;
    memset(waits, 0, sizeof waits);
    n_doubts = latest = 0;
    memset(reports, 0, sizeof reports);
}

static void asked(const struct seen *s)
{
    latest = s->number;
    if (what_is_lock(s->what)) {
        waits[s->actor] = (struct wait){.waits = true,
                                        .writes = s->what == DO_WRLOCK,
                                        .since = s->at,
                                        .number = s->number,
                                        .overtaken_by = -1};
    }
}

static bool may_give_way(unsigned actor, uint64_t now)
{
    return plan_is_far(plan, plan->actors[actor].process) &&
           now >= waits[actor].since + (uint64_t)plan->timeout_ms * MS * 3 / 2;
}

static void given(const struct seen *s)
{
    const struct wait *mine = &waits[s->actor];
    for (unsigned i = 0; i < plan->n_actors; i++) {
        struct wait *w = &waits[i];
        if ((int)i != s->actor && (int)plan->actors[i].thing == s->thing && w->waits && w->queued &&
            w->before < mine->number && (w->writes || mine->writes) && w->overtaken_by < 0 &&
            !may_give_way(i, s->at)) {
            w->overtaken_by = s->actor;
        }
    }
}

static void accuse(int actor, int by)
{
    check_fail(&check_order,
               "actor %d was queued for lock %u when actor %d asked, who got it first", actor,
               plan->actors[actor].thing, by);
}

static void ended(const struct seen *s)
{
    struct wait *w = &waits[s->actor];
    if (!what_is_lock(s->what)) {
        return;
    }
    if (s->result == 0) {
        given(s);
    }
    if (w->overtaken_by >= 0 && !w->disturbed && s->result == 0) {
        accuse(s->actor, w->overtaken_by);
    } else if (w->overtaken_by >= 0 && !w->disturbed && n_doubts < DOUBTS_MAX) {
        doubts[n_doubts++] = (struct doubt){s->actor, w->overtaken_by};
    }
    w->waits = false;
}

static void disturb(int process)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].process == process) {
            waits[i].disturbed = true;
        }
    }
    for (unsigned i = 0; i < n_doubts; i++) {
        int actor = doubts[i].actor;
        if (actor >= 0 && (int)plan->actors[actor].process == process) {
            doubts[i].actor = -1;
        }
    }
}

static void see(const struct seen *s)
{
    switch (s->kind) {
    case SEEN_ASK:
        asked(s);
        break;
    case SEEN_QUEUED:
        /* An earlier lock's znode, created after that was cancelled, is no place in the queue. */
        if (s->number >= waits[s->actor].number) {
            waits[s->actor].queued = true;
            waits[s->actor].before = latest;
        }
        break;
    case SEEN_DONE:
        ended(s);
        break;
    case SEEN_STATE:
        reports[s->process] = true;
        if (s->result == ZKS_CLIENT_SUSPENDED || s->result == ZKS_CLIENT_LOST) {
            disturb(s->process);
        }
        break;
    case SEEN_LEASE:
        if (s->until == 0 && !reports[s->process]) {
            disturb(s->process);
        }
        break;
    case SEEN_DEATH:
        reports[s->process] = false;
        disturb(s->process);
        break;
    case SEEN_BROKEN:
        waits[s->actor].disturbed = true;
        break;
    default:
        break;
    }
}

static void end(void)
{
    for (unsigned i = 0; i < n_doubts; i++) {
        if (doubts[i].actor >= 0) {
            accuse(doubts[i].actor, doubts[i].by);
        }
    }
}

const struct checker check_order = {"order", begin, see, end};
