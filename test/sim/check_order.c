/* SPDX-License-Identifier: Apache-2.0 */
/* First come, first served, among those whose connection stayed.
 *
 * One who knows that he is in the queue comes before everybody who asks later, unless both only read.
 * If he is overtaken all the same it is judged when his own wait ends: was his connection lost
 * meanwhile, he may have lost his place with it.  Who stood still until his session was over and his
 * time was up learns of the second first, so whoever has given up is judged at the end. */
#include <string.h>

#include "check.h"

struct wait {
    bool waits;
    bool queued;    /* ... and knows it, since `queued_at`. */
    bool disturbed; /* He may have lost his place. */
    bool writes;
    uint64_t asked_at;
    uint64_t queued_at;
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

static void begin(const struct plan *p)
{
    plan = p;
    memset(waits, 0, sizeof waits);
    n_doubts = 0;
}

static void asked(const struct seen *s)
{
    if (what_is_lock(s->what)) {
        waits[s->actor] = (struct wait){
            .waits = true, .writes = s->what == DO_WRLOCK, .asked_at = s->at, .overtaken_by = -1};
    }
}

static void given(const struct seen *s)
{
    const struct wait *mine = &waits[s->actor];
    for (unsigned i = 0; i < plan->n_actors; i++) {
        struct wait *w = &waits[i];
        if ((int)i != s->actor && (int)plan->actors[i].thing == s->thing && w->waits && w->queued &&
            w->queued_at < mine->asked_at && (w->writes || mine->writes) && w->overtaken_by < 0) {
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
        if (s->until >= waits[s->actor].asked_at) {
            waits[s->actor].queued = true;
            waits[s->actor].queued_at = s->at;
        }
        break;
    case SEEN_DONE:
        ended(s);
        break;
    case SEEN_STATE:
        if (s->result == ZKS_CLIENT_SUSPENDED || s->result == ZKS_CLIENT_LOST) {
            disturb(s->process);
        }
        break;
    case SEEN_DEATH:
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
