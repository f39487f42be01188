/* SPDX-License-Identifier: Apache-2.0 */
/* Participants of a double barrier with one id: only one of them counts, and the others wait for it.
 *
 * Where nothing befalls any process, ZKS_EEXIST says that another participant has had the id to the
 * end, ZKS_ETIMEDOUT that none has had it all the time, and a round begins soon after n ids are there:
 * a participant that waits for its id is woken when that becomes free.  It is free once the other one's
 * znode has gone: soon after that one has asked to leave, even if the leave then waits for the others, and
 * at most so long before its enter is seen to fail.  That a round never has an id twice is the rounds'
 * checker's. */
#include <string.h>

#include "check.h"
#include "units.h"

enum { RETRY_MS = 100 }; /* What the library waits where an opening fails twice. */

/* An actor's latest stay at its double barrier. */
struct stay {
    bool here;          /* It has asked to enter, and has not left. */
    bool waits;         /* It waits to enter. */
    uint64_t asked_at;  /* To enter. */
    uint64_t queued_at; /* NEVER where it is not known that its znode is there. */
    uint64_t leave_at;  /* NEVER where it has not asked to leave. */
    uint64_t over_at;   /* Where it is not here. */
    unsigned number;    /* Of the enter. */

    /* Another one's enter that ended with ZKS_ETIMEDOUT while this one waited, 0 for none. */
    unsigned doubt;
    int doubted_by;
    uint64_t doubted_at;
};

static const struct plan *plan;
static bool quiet;
static uint64_t soon;
static struct stay stays[ACTORS_MAX];
static char rounds[THINGS_MAX][33];  /* The latest that has been entered. */
static uint64_t left_at[THINGS_MAX]; /* When a participant has last gone. */

static void begin(const struct plan *p)
{
    plan = p;
    soon = 40 * plan_longest_delay(p) + (20 + RETRY_MS) * MS;
    quiet = plan_quiet(p) && soon < (uint64_t)p->timeout_ms * MS / 2;
    memset(stays, 0, sizeof stays);
    memset(rounds, 0, sizeof rounds);
    memset(left_at, 0, sizeof left_at);
}

static bool is_namesake(int actor, int other)
{
    const struct plan_actor *a = &plan->actors[actor];
    const struct plan_actor *b = &plan->actors[other];
    return actor != other && a->thing == b->thing && a->id == b->id;
}

/* When at the latest an actor has begun to take its znode away. */
static uint64_t going_at(const struct stay *o)
{
    uint64_t over_at = o->here ? NEVER : o->over_at;
    return o->leave_at < over_at ? o->leave_at : over_at;
}

/* Whether another one has had the actor's id until just now. */
static bool is_taken(const struct seen *s)
{
    for (int i = 0; i < (int)plan->n_actors; i++) {
        const struct stay *o = &stays[i];
        if (is_namesake(s->actor, i) && o->asked_at != 0 &&
            (going_at(o) == NEVER || going_at(o) + soon > s->at)) {
            return true;
        }
    }
    return false;
}

static void accuse(int actor, unsigned number, int other)
{
    check_fail(&check_ids, "actor %d: enter #%u ends with ETIMEDOUT, but actor %d has its id",
               actor, number, other);
}

/* Whether others were there before the actor came, and still are.  One that waits itself may be about to
 * fail. */
static void judge_timeout(const struct seen *s)
{
    for (int i = 0; i < (int)plan->n_actors; i++) {
        struct stay *o = &stays[i];
        if (!is_namesake(s->actor, i) || going_at(o) != NEVER ||
            o->queued_at >= stays[s->actor].asked_at) {
            continue;
        }
        if (!o->waits) {
            accuse(s->actor, s->number, i);
        } else if (o->doubt == 0) {
            o->doubt = s->number;
            o->doubted_by = s->actor;
            o->doubted_at = s->at;
        }
    }
}

/* The actor's enter has ended: where it has failed its znode had gone before. */
static void clear_up(int actor, bool failed, uint64_t at)
{
    struct stay *o = &stays[actor];
    if (o->doubt != 0 && !(failed && at <= o->doubted_at + soon)) {
        accuse(o->doubted_by, o->doubt, actor);
    }
    o->doubt = 0;
}

static void judge_failure(const struct seen *s)
{
    const struct stay *a = &stays[s->actor];
    bool has_looked = a->queued_at != NEVER && a->queued_at + soon < s->at;
    if (s->result == ZKS_EEXIST && !is_taken(s)) {
        check_fail(&check_ids, "actor %d: enter #%u ends with EEXIST, and no other has its id",
                   s->actor, s->number);
    } else if (s->result == ZKS_ETIMEDOUT && has_looked) {
        judge_timeout(s);
    }
}

/* Since when participants with n ids wait and all others want to leave, NEVER where that is not so, or
 * where those with another n are among the actors. */
static uint64_t complete_since(int thing)
{
    uint64_t since = left_at[thing];
    uint32_t n = 0;
    for (int i = 0; i < (int)plan->n_actors; i++) {
        if ((int)plan->actors[i].thing != thing) {
            continue;
        }
        if (plan->actors[i].n != plan->things[thing].n) {
            return NEVER;
        }
        bool counted = false;
        for (int j = 0; j < i; j++) {
            counted |= is_namesake(i, j) && stays[j].waits;
        }
        n += stays[i].waits && !counted;
        if (stays[i].here) {
            uint64_t from = stays[i].waits ? stays[i].asked_at : stays[i].leave_at;
            since = from > since ? from : since;
        }
    }
    return n == plan->things[thing].n ? since : NEVER; /* Also where one inside does not leave. */
}

static void judge_round(const struct seen *s)
{
    char *latest = rounds[s->thing];
    if (strncmp(latest, s->text, 32) == 0) {
        return; /* Only the first one's enter tells: then all are still there. */
    }
    memcpy(latest, s->text, 32);
    uint64_t since = complete_since(s->thing);
    if (since != NEVER && s->at > since + soon) {
        check_fail(&check_ids, "actor %d has entered %lu ms after all ids were there", s->actor,
                   (unsigned long)((s->at - since) / MS));
    }
}

static void gone(int actor, uint64_t at)
{
    stays[actor].here = stays[actor].waits = false;
    stays[actor].over_at = at;
    left_at[plan->actors[actor].thing] = at;
}

static void done(const struct seen *s)
{
    struct stay *a = &stays[s->actor];
    if (s->what == DO_ENTER && s->number == a->number) {
        clear_up(s->actor, s->result != 0, s->at);
        if (s->result == 0) {
            judge_round(s);
        } else {
            judge_failure(s);
            gone(s->actor, s->at);
        }
        a->waits = false;
    } else if (s->what == DO_LEAVE && s->result != ZKS_EPERM && s->result != ZKS_EDEADLK) {
        gone(s->actor, s->at);
    }
}

static void see(const struct seen *s)
{
    if (!quiet || s->actor < 0 || plan->things[plan->actors[s->actor].thing].kind != THING_DOUBLE) {
        return;
    }
    struct stay *a = &stays[s->actor];
    if (s->kind == SEEN_ASK && s->what == DO_ENTER && !a->here) {
        *a = (struct stay){.here = true,
                           .waits = true,
                           .asked_at = s->at,
                           .queued_at = NEVER,
                           .leave_at = NEVER,
                           .number = s->number};
    } else if (s->kind == SEEN_ASK && s->what == DO_LEAVE && a->leave_at == NEVER) {
        a->leave_at = s->at;
    } else if (s->kind == SEEN_QUEUED && a->queued_at == NEVER && s->number >= a->number) {
        a->queued_at = s->at;
    } else if (s->kind == SEEN_DONE) {
        done(s);
    } else if (s->kind == SEEN_FREED && a->here) {
        gone(s->actor, s->at);
    }
}

static void end(void)
{
    for (int i = 0; quiet && i < (int)plan->n_actors; i++) {
        clear_up(i, false, NEVER);
    }
}

const struct checker check_ids = {"ids", begin, see, end};
