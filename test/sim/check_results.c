/* SPDX-License-Identifier: Apache-2.0 */
/* What ends ends in time, with a result that has a cause. */
#include <string.h>

#include "check.h"
#include "units.h"

/* In fourths of a session timeout.  What needs the servers' answers can be without for long, while
 * connections come back again and again to servers that have no leader: two timeouts, and clocks
 * differ. */
enum { PROMPT = 1, ANSWERED = 9 };

/* An actor's latest operation. */
struct operation {
    bool under_way;
    bool canceled;
    bool expired;   /* The session has ended since the driver took it. */
    unsigned turns; /* Of the driver since it was asked for. */
    int what;
    int32_t wait_ms;
    uint64_t asked_at;
    uint64_t over_at; /* From then on it is to end soon; NEVER for not. */
    bool counted;     /* There has been a turn since then. */
    uint64_t waited;  /* Since that turn, as far as it counts. */
};

static const struct plan *plan;
static struct operation latest[ACTORS_MAX];
static uint64_t tokens[ACTORS_MAX]; /* Of what they were given. */
static uint64_t turned_at[PROCESSES_MAX];

static void begin(const struct plan *p)
{
    plan = p;
    memset(latest, 0, sizeof latest);
    memset(tokens, 0, sizeof tokens);
    memset(turned_at, 0, sizeof turned_at);
}

/* An enter has to find out whether the round has begun, and a try waits for answers. */
static bool needs_answers(const struct operation *o)
{
    return o->what == DO_ENTER || (o->wait_ms == 0 && !o->canceled);
}

/* Clocks differ by a little. */
static uint64_t percent(int32_t wait_ms, int share)
{
    return (uint64_t)wait_ms * MS / 100 * (uint64_t)share;
}

static void asked(const struct seen *s)
{
    latest[s->actor] =
        (struct operation){.under_way = true,
                           .what = s->what,
                           .wait_ms = s->wait_ms,
                           .asked_at = s->at,
                           .over_at = s->wait_ms < 0 ? NEVER : s->at + percent(s->wait_ms, 103)};
}

static void canceled(const struct seen *s)
{
    struct operation *o = &latest[s->actor];
    o->canceled = true;
    if (s->at < o->over_at || !needs_answers(o)) {
        o->over_at = s->at;
        o->counted = false;
        o->waited = 0;
    }
}

/* What is wrong with a result, NULL for nothing. */
static const char *objection(const struct seen *s, const struct operation *o)
{
    bool strict = plan->actors[s->actor].strict && what_is_lock(s->what);
    /* A try of a lock is over when the servers have let a session timeout pass. */
    int32_t wait_ms =
        o->wait_ms == 0 && what_is_lock(s->what) ? (int32_t)plan_granted_ms(plan) : o->wait_ms;
    bool early = wait_ms <= 0 || s->at + MS < o->asked_at + percent(wait_ms, 97);
    switch (s->result) {
    case 0:
        return strict && o->expired ? "although the session has ended" : NULL;
    case ZKS_ECANCELED:
        return o->canceled ? NULL : "and nobody has cancelled it";
    case ZKS_ETIMEDOUT:
        return !early ? NULL : "and its time is not over";
    case ZKS_EEXIST: /* An id can become free: only a try fails at once. */
        return s->what != DO_ENTER || o->wait_ms == 0 || !early ? NULL : "and its time is not over";
    case ZKS_EBUSY:
    case ZKS_EDISCONNECTED:
        return o->wait_ms == 0 ? NULL : "and is no try";
    case ZKS_ESESSION:
        return o->wait_ms == 0 || strict ? NULL : "which is no error to it";
    default:
        return NULL;
    }
}

static void done(const struct seen *s)
{
    struct operation *o = &latest[s->actor];
    const char *wrong = objection(s, o);
    if (wrong != NULL) {
        check_fail(&check_results, "actor %d: %s #%u ends with %s, %s", s->actor,
                   what_name((enum what)s->what), s->number, zks_err_name(s->result), wrong);
    }
    o->under_way = false;
    if (s->result == 0 && what_is_lock(s->what)) {
        tokens[s->actor] = s->token;
    } else if (s->result == 0 && s->what == DO_DOWNGRADE && s->token != tokens[s->actor]) {
        check_fail(&check_results, "actor %d: a downgrade has made token %lx of %lx", s->actor,
                   (unsigned long)s->token, (unsigned long)tokens[s->actor]);
    }
}

/* `passed`: since the driver's last turn, as far as it counts. */
static void wait_on(unsigned actor, uint64_t now, uint64_t passed)
{
    struct operation *o = &latest[actor];
    uint64_t bound = (uint64_t)plan->timeout_ms * MS / 4 * (needs_answers(o) ? ANSWERED : PROMPT);
    o->turns++;
    if (!o->under_way || now < o->over_at) {
        return;
    }
    o->waited += o->counted ? passed : 0;
    o->counted = true;
    if (o->waited > bound) {
        check_fail(&check_results, "actor %u: %s is overdue", actor, what_name((enum what)o->what));
    }
}

static void turn(const struct seen *s)
{
    /* A process can stand still again and again; one that turns for nothing does so more often. */
    uint64_t most = (uint64_t)plan->timeout_ms * MS / 8;
    uint64_t passed = s->at - turned_at[s->process];
    turned_at[s->process] = s->at;
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if ((int)plan->actors[i].process == s->process) {
            wait_on(i, s->at, passed < most ? passed : most);
        }
    }
}

/* No lease is the end of a session for certain, where ZKS_CLIENT_LOST can be a guess.  What is asked for
 * in one turn is taken in the next. */
static void lease(const struct seen *s)
{
    for (unsigned i = 0; i < plan->n_actors && s->until == 0; i++) {
        latest[i].expired |= (int)plan->actors[i].process == s->process && latest[i].turns >= 2;
    }
}

static void died(int process)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        latest[i].under_way &= (int)plan->actors[i].process != process;
    }
}

static void see(const struct seen *s)
{
    switch (s->kind) {
    case SEEN_ASK:
        asked(s);
        break;
    case SEEN_CANCEL:
        canceled(s);
        break;
    case SEEN_DONE:
        done(s);
        break;
    case SEEN_LEASE:
        lease(s);
        break;
    case SEEN_TURN:
        turn(s);
        break;
    case SEEN_DEATH:
        died(s->process);
        break;
    default:
        break;
    }
}

static void end(void)
{
}

const struct checker check_results = {"results", begin, see, end};
