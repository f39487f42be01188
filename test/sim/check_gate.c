/* SPDX-License-Identifier: Apache-2.0 */
/* A barrier stands from a set to an unset.
 *
 * Each operation takes effect at one moment between its beginning and its end; one whose outcome is not
 * known may do so at any moment from its beginning on, or never.  There must be an order of these
 * moments in which every answer is right: it is searched for, one operation after the other, until all
 * that have ended are in it.  What is done once strangers lift the barriers is not judged. */
#include <string.h>

#include "check.h"
#include "units.h"

enum { DEEDS_MAX = 60, SEEN_MAX = 1 << 14, TRIES_MAX = 200000 };

/* Who has set the barrier: nobody, anybody, or the lost attempt of the operation with that number. */
enum { NOBODY = 0, ANYBODY = UINT32_MAX };

struct deed {
    int actor;
    enum what what;
    int result;
    unsigned number;
    bool known;      /* How it ended; else it may have an effect or none. */
    unsigned doubts; /* How often an answer may have been lost on the way to its result. */
    uint64_t from;
    uint64_t to;
};

/* A place in the search: what is in the order so far, and by whom the barrier stands then. */
struct place {
    uint64_t done;
    uint32_t by;
    bool used;
};

static const struct plan *plan;
static struct deed deeds[THINGS_MAX][DEEDS_MAX];
static unsigned n_deeds[THINGS_MAX];
static bool closed;              /* Nothing more is taken down. */
static bool unsure;              /* Any request may go astray in this history. */
static bool defaced[THINGS_MAX]; /* A stranger has written over what tells whose it is. */
static struct place been[SEEN_MAX];
static unsigned tries;

static void begin(const struct plan *p)
{
    plan = p;
    memset(n_deeds, 0, sizeof n_deeds);
    memset(defaced, 0, sizeof defaced);
    closed = unsure = false;
    for (unsigned i = 0; i < p->n_processes; i++) {
        unsure |= p->processes[i].tricks > 0;
    }
    for (unsigned i = 0; i < p->n_faults; i++) {
        unsure |= p->faults[i].fault == FAULT_NOMEM;
    }
}

static bool is_gate(int thing)
{
    return thing >= 0 && plan->things[thing].kind == THING_BARRIER;
}

static void asked(const struct seen *s)
{
    unsigned *n = &n_deeds[s->thing];
    if (*n == DEEDS_MAX) {
        closed = true;
        return;
    }
    deeds[s->thing][(*n)++] = (struct deed){.actor = s->actor,
                                            .what = (enum what)s->what,
                                            .number = s->number,
                                            .doubts = unsure,
                                            .from = s->at,
                                            .to = NEVER};
}

/* With these an operation ends that has certainly had its effect, or none. */
static bool is_known(int result)
{
    return result == 0 || result == ZKS_EEXIST || result == ZKS_ENOENT || result == ZKS_EBUSY;
}

static void ended(const struct seen *s)
{
    for (unsigned i = n_deeds[s->thing]; i-- > 0;) {
        struct deed *d = &deeds[s->thing][i];
        if (d->number == s->number) {
            d->result = s->result;
            d->known = is_known(s->result);
            d->to = d->known ? s->at : NEVER;
            return;
        }
    }
}

static void disturb(int process)
{
    for (int t = 0; t < THINGS_MAX; t++) {
        for (unsigned i = 0; i < n_deeds[t]; i++) {
            struct deed *d = &deeds[t][i];
            d->doubts += !d->known && (int)plan->actors[d->actor].process == process;
        }
    }
}

static void see(const struct seen *s)
{
    if (s->kind == SEEN_UNSET) {
        closed = true;
    } else if (closed) {
        return;
    } else if (s->kind == SEEN_ASK && is_gate(s->thing)) {
        asked(s);
    } else if (s->kind == SEEN_DONE && is_gate(s->thing)) {
        ended(s);
    } else if (s->kind == SEEN_SPOILT) {
        defaced[s->thing] = true;
    } else if (s->kind == SEEN_STATE &&
               (s->result == ZKS_CLIENT_SUSPENDED || s->result == ZKS_CLIENT_CONNECTED)) {
        /* The loss of a connection on which nothing was answered yet is not reported. */
        disturb(s->process);
    }
}

/* Whether the operation can come next where the barrier stands by somebody or does not, and what becomes
 * of that. */
static bool can_be(const struct deed *d, uint32_t *by)
{
    uint32_t was = *by;
    switch (d->what) {
    case DO_SET:
        if (was == NOBODY && (!d->known || d->result == 0)) {
            *by = d->result == ZKS_EEXIST && !defaced[plan->actors[d->actor].thing] ? d->number
                                                                                    : ANYBODY;
        }
        return !d->known || (d->result == 0 ? !was : was && was != d->number);
    case DO_UNSET:
        *by = d->known && d->result != 0 ? was : NOBODY;
        /* One whose answer was lost takes what it does not find any more for its own doing. */
        return !d->known || (d->result == 0 ? was || d->doubts > 0 : !was);
    default:
        return d->result == 0 ? !was : was;
    }
}

static bool has_been(uint64_t done, uint32_t by)
{
    uint64_t hash = (done * 2 + by) * UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < SEEN_MAX; i++) {
        struct place *p = &been[(hash >> 40 ^ i) % SEEN_MAX];
        if (!p->used) {
            *p = (struct place){done, by, true};
            return false;
        }
        if (p->done == done && p->by == by) {
            return true;
        }
    }
    return false;
}

/* An operation that can come next and changes nothing: it may as well come now.  An unset may change
 * something later on.  Returns n for none. */
static unsigned find_idle(const struct deed *d, unsigned n, uint64_t done, uint64_t until,
                          uint32_t by)
{
    for (unsigned i = 0; i < n; i++) {
        uint32_t then = by;
        bool idle = d[i].known && (d[i].result != 0 || d[i].what == DO_WAIT);
        if ((done >> i & 1) == 0 && idle && d[i].from <= until && can_be(&d[i], &then)) {
            return i;
        }
    }
    return n;
}

static bool order(const struct deed *d, unsigned n, uint64_t done, uint32_t by);

/* Those whose end is not known come only where they change something, and of those that do the same only
 * the first one is tried. */
static bool order_next(const struct deed *d, unsigned n, uint64_t done, uint64_t until, uint32_t by)
{
    bool tried[WHATS] = {false};
    for (unsigned i = 0; i < n; i++) {
        uint32_t then = by;
        if ((done >> i & 1) != 0 || d[i].from > until || !can_be(&d[i], &then) ||
            (!d[i].known && (then == by || (tried[d[i].what] && then != d[i].number)))) {
            continue;
        }
        tried[d[i].what] |= !d[i].known && then != d[i].number;
        if (order(d, n, done | UINT64_C(1) << i, then)) {
            return true;
        }
    }
    return false;
}

/* Whether the rest can be put in order.  Where the search takes too long it is given up for well. */
static bool order(const struct deed *d, unsigned n, uint64_t done, uint32_t by)
{
    uint64_t first_end = NEVER;
    bool complete = true;
    for (unsigned i = 0; i < n; i++) {
        if ((done >> i & 1) == 0 && d[i].known) {
            complete = false;
            first_end = d[i].to < first_end ? d[i].to : first_end;
        }
    }
    if (complete || ++tries > TRIES_MAX) {
        return true;
    }
    if (has_been(done, by)) {
        return false;
    }
    unsigned idle = find_idle(d, n, done, first_end, by);
    return idle < n ? order(d, n, done | UINT64_C(1) << idle, by)
                    : order_next(d, n, done, first_end, by);
}

/* A wait of which it is not known how it ended has no effect, and does not count.  A set whose answer was
 * lost, and that another process has undone since, is done once more, or finds the next one: as often as that happens,
 * and also if its time is over in the end. */
static unsigned keep_effects(struct deed *d, unsigned n)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < n; i++) {
        if (d[i].known || d[i].what != DO_WAIT) {
            d[kept++] = d[i];
        }
    }
    n = kept;
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < d[i].doubts && d[i].what == DO_SET && kept < DEEDS_MAX; j++) {
            d[kept] = d[i];
            d[kept++].known = false;
        }
    }
    return kept;
}

static void end(void)
{
    for (unsigned t = 0; t < plan->n_things; t++) {
        unsigned n = is_gate((int)t) ? keep_effects(deeds[t], n_deeds[t]) : 0;
        memset(been, 0, n > 0 ? sizeof been : 0);
        tries = 0;
        if (n > 0 && !order(deeds[t], n, 0, NOBODY)) {
            check_fail(&check_gate, "the answers of barrier %u fit no order of its %u operations",
                       t, n);
        }
    }
}

const struct checker check_gate = {"gate", begin, see, end};
