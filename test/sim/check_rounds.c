/* SPDX-License-Identifier: Apache-2.0 */
/* A double barrier's rounds are all or none.
 *
 * No id is in a round twice.  Who is in a round has asked before the first of them learns that it is open; there are n of them, of
 * whom each learns it too, unless its session or its process has ended; and nobody is told that all
 * have left before they have asked to.  A znode that a server makes when its owner does not expect it
 * any more can be one of the n. */
#include <string.h>

#include "check.h"
#include "units.h"

enum { VISITS_MAX = 1024, ROUNDS_MAX = 256, LATES_MAX = 256, NAME_MAX_LEN = 33 };

/* From an enter to the leave behind it. */
struct visit {
    int thing;
    int actor;
    unsigned number;
    int round;      /* -1 for none that is known of. */
    bool ambiguous; /* It may have been in a round all the same. */
    bool doubtful;  /* Its connection was lost, or worse, before it was told that it is inside. */
    bool gone;      /* Its session has ended, or was not sure for a while, or worse. */
    bool waits;     /* Its leave waits for the others. */
    uint64_t asked_at;
    uint64_t ended_at; /* Of the enter. */
    uint64_t leave_at;
    uint64_t left_at; /* NEVER for not, or not for certain. */
};

struct round {
    int thing;
    char name[NAME_MAX_LEN];
    uint64_t not_before; /* It was opened then or later, */
    uint64_t seen_at;    /* ... and by then somebody knew. */
    uint32_t n;
};

/* A znode that was created late. */
struct late {
    int thing;
    uint64_t at;
};

static const struct plan *plan;
static struct late lates[LATES_MAX];
static unsigned n_lates;
static struct visit visits[VISITS_MAX];
static unsigned n_visits;
static struct round rounds[ROUNDS_MAX];
static unsigned n_rounds;
static int present[ACTORS_MAX]; /* The visit that an actor makes, -1 for none. */
static bool spoilt[THINGS_MAX];
static bool overrun; /* There was no room for all of them, so nothing that is missing is judged. */
static uint64_t sure_until[PROCESSES_MAX];

static void begin(const struct plan *p)
{
    plan = p;
    n_visits = n_rounds = n_lates = 0;
    overrun = false;
    memset(spoilt, 0, sizeof spoilt);
    memset(sure_until, 0, sizeof sure_until);
    for (int i = 0; i < ACTORS_MAX; i++) {
        present[i] = -1;
    }
}

static struct visit *of(int actor)
{
    return present[actor] >= 0 ? &visits[present[actor]] : NULL;
}

/* It wants to leave.  If it is not sure of its session then, that may have ended. */
static void leaves(struct visit *v, const struct seen *s)
{
    if (v != NULL && v->leave_at == NEVER) {
        v->leave_at = s->at;
        v->gone |= s->at > sure_until[s->process];
    }
}

/* An enter that has certainly failed is of no round: there can be thousands, of one that is turned away again
 * and again.  What disturbs it can be seen after its end, but at that time. */
static void forget_failed(struct visit *v, uint64_t now)
{
    if (v->round >= 0 || v->ambiguous || v->doubtful || v->ended_at >= now) {
        return;
    }
    int last = (int)--n_visits;
    for (int i = 0; i < ACTORS_MAX; i++) {
        present[i] = present[i] == last ? (int)(v - visits) : present[i];
    }
    *v = visits[last];
}

static void asked(const struct seen *s)
{
    struct visit *v = of(s->actor);
    if (s->what == DO_LEAVE) {
        if (v != NULL && v->leave_at == NEVER) {
            v->waits = s->wait_ms != 0;
        }
        leaves(v, s);
        return;
    }
    /* An enter while the last visit still goes on is refused, and begins none. */
    if (s->what != DO_ENTER || (v != NULL && v->round >= 0 && v->leave_at == NEVER)) {
        return;
    }
    if (v != NULL) {
        forget_failed(v, s->at);
    }
    present[s->actor] = -1;
    overrun |= n_visits == VISITS_MAX;
    if (overrun) {
        return;
    }
    present[s->actor] = (int)n_visits;
    visits[n_visits++] = (struct visit){.thing = s->thing,
                                        .actor = s->actor,
                                        .number = s->number,
                                        .round = -1,
                                        .asked_at = s->at,
                                        .ended_at = NEVER,
                                        .leave_at = NEVER,
                                        .left_at = NEVER};
}

static int find_round(const struct seen *s)
{
    for (unsigned i = 0; i < n_rounds; i++) {
        if (rounds[i].thing == s->thing && strncmp(rounds[i].name, s->text, 32) == 0) {
            return (int)i;
        }
    }
    if (n_rounds == ROUNDS_MAX) {
        overrun = true;
        return -1;
    }
    struct round *r = &rounds[n_rounds];
    *r = (struct round){.thing = s->thing, .seen_at = s->at};
    memcpy(r->name, s->text, 32);
    return (int)n_rounds++;
}

/* No id is in a round twice. */
static void once(const struct visit *v)
{
    for (unsigned i = 0; i < n_visits; i++) {
        const struct visit *w = &visits[i];
        if (w != v && w->round == v->round &&
            plan->actors[w->actor].id == plan->actors[v->actor].id) {
            check_fail(&check_rounds, "actors %d and %d have entered round %.32s with one id",
                       w->actor, v->actor, rounds[v->round].name);
        }
    }
}

static void entered(const struct seen *s, struct visit *v)
{
    int number = find_round(s);
    if (number < 0) {
        return;
    }
    struct round *r = &rounds[number];
    v->round = number;
    r->not_before = v->asked_at > r->not_before ? v->asked_at : r->not_before;
    if (spoilt[s->thing]) {
        return;
    }
    once(v);
    if (v->asked_at > r->seen_at) {
        check_fail(&check_rounds,
                   "actor %d has entered round %.32s, which others were in before "
                   "it asked",
                   s->actor, r->name);
    }
    if (++r->n > plan->things[s->thing].n && plan->actors[s->actor].n == plan->things[s->thing].n) {
        check_fail(&check_rounds, "actor %d is one too many in round %.32s", s->actor, r->name);
    }
}

static void ended(const struct seen *s)
{
    struct visit *v = of(s->actor);
    if (v == NULL) {
        return;
    }
    if (s->what == DO_ENTER && v->number == s->number) {
        v->ended_at = s->at;
        v->ambiguous = s->result == ZKS_ELOST || s->result == ZKS_ECLOSED ||
                       s->result == ZKS_EACCES || s->result == ZKS_ESERVER;
        if (s->result == 0) {
            entered(s, v);
        }
    } else if (s->what == DO_LEAVE && s->result == 0 && v->round >= 0 && v->waits) {
        v->left_at = s->at;
    }
}

static void disturb_one(int actor, bool gone)
{
    struct visit *v = of(actor);
    if (v != NULL) {
        v->doubtful |= v->round < 0;
        v->gone |= gone;
    }
}

static void disturb(int process, bool gone)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].process == process) {
            disturb_one((int)i, gone);
        }
    }
}

static void died(int process)
{
    disturb(process, true);
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].process == process) {
            present[i] = -1;
        }
    }
}

/* A session can end, and another begin, without a word about it to a program that stood still. */
static void sure(const struct seen *s)
{
    uint64_t *until = &sure_until[s->process];
    if (*until != 0 && (s->until == 0 || s->at > *until)) {
        disturb(s->process, true);
    }
    *until = s->until;
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
    case SEEN_STATE:
        if (s->result == ZKS_CLIENT_SUSPENDED || s->result == ZKS_CLIENT_LOST) {
            disturb(s->process, s->result == ZKS_CLIENT_LOST);
        }
        break;
    case SEEN_LEASE:
        sure(s);
        break;
    case SEEN_DEATH:
        died(s->process);
        break;
    case SEEN_BROKEN:
        disturb_one(s->actor, true);
        break;
    case SEEN_FREED:
        leaves(of(s->actor), s);
        break;
    case SEEN_LATE:
        overrun |= n_lates == LATES_MAX;
        if (!overrun) {
            lates[n_lates++] = (struct late){s->thing, s->at};
        }
        break;
    case SEEN_SPOILT:
        spoilt[s->thing] = true;
        break;
    default:
        break;
    }
}

/* Who can have been in a round without having learnt of it: whose session ended while he waited, and
 * the round with it before he looked again; whose enter ended so that he cannot know; or who died. */
static bool may_have_been_in(const struct visit *v, int round)
{
    const struct round *r = &rounds[round];
    return v->thing == r->thing && v->round != round && v->asked_at <= r->seen_at &&
           (v->ambiguous || (v->doubtful && v->ended_at >= r->not_before));
}

static void judge_number(int round)
{
    const struct round *r = &rounds[round];
    uint32_t n = r->n;
    for (unsigned i = 0; i < n_visits; i++) {
        n += may_have_been_in(&visits[i], round);
    }
    for (unsigned i = 0; i < n_lates; i++) {
        n += lates[i].thing == r->thing && lates[i].at <= r->seen_at;
    }
    if (n < plan->things[r->thing].n) {
        check_fail(&check_rounds,
                   "round %.32s had %u members who know of it, and at most %u in all", r->name,
                   r->n, n);
    }
}

/* Whoever is told that all have left: each of the others had asked to, or has gone otherwise. */
static void judge_leave(const struct visit *v)
{
    for (unsigned i = 0; i < n_visits; i++) {
        const struct visit *w = &visits[i];
        if (w->round == v->round && w != v && !w->gone && w->leave_at > v->left_at) {
            check_fail(&check_rounds, "actor %d has left round %.32s, but actor %d was inside",
                       v->actor, rounds[v->round].name, w->actor);
        }
    }
}

static bool waited(const struct visit *v)
{
    return v->left_at != NEVER && v->round >= 0;
}

static void end(void)
{
    for (unsigned i = 0; i < n_rounds && !overrun; i++) {
        if (!spoilt[rounds[i].thing]) {
            judge_number((int)i);
        }
    }
    for (unsigned i = 0; i < n_visits; i++) {
        if (waited(&visits[i]) && !spoilt[visits[i].thing]) {
            judge_leave(&visits[i]);
        }
    }
}

const struct checker check_rounds = {"rounds", begin, see, end};
