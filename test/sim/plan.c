/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a seed. */
#include "plan.h"

#include <string.h>

#include "chance.h"
#include "stranger.h"

#define PICK(c, ...)                                                                               \
    pick(c, (const uint32_t[]){__VA_ARGS__},                                                       \
         sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static uint32_t pick(struct chance *c, const uint32_t *from, size_t n)
{
    return from[chance_below(c, n)];
}

static uint32_t below(struct chance *c, uint64_t limit)
{
    return (uint32_t)chance_below(c, limit);
}

static void make_servers(struct plan *p, struct chance *c)
{
    p->n_servers = chance_one_in(c, 3) ? 5 : 3;
    p->timeout_ms = PICK(c, 400, 1000, 1000, 2000);
    p->tick_ms = p->timeout_ms / PICK(c, 2, 2, 3, 5, 8, 20, 25);
    p->sync_ticks = PICK(c, 2, 5, 10);
    p->link = PICK(c, 0, 200, 200, 1000, 5000);
    p->inside = PICK(c, 0, 0, 0, 100, 5000);
    p->disk = PICK(c, 0, 500, 500, 3000);
    p->apart_ppm = PICK(c, 0, 200, 5000, 9900);
    p->heal_ms = p->timeout_ms / 2 + below(c, p->timeout_ms * 3 / 2);
}

static unsigned make_processes(struct plan *p, struct chance *c)
{
    unsigned n = 3 + below(c, 3);
    if (chance_one_in(c, 5)) {
        n = 6 + below(c, 5);
    } else if (chance_one_in(c, 16)) {
        n = 11 + below(c, 20);
    }
    uint64_t delay = PICK(c, 0, 200, 500, 2000, 10000);
    for (unsigned i = 0; i < n; i++) {
        struct plan_process *q = &p->processes[p->n_processes++];
        q->ppm = (int64_t)chance_below(c, 2 * (uint64_t)p->apart_ppm + 1) - p->apart_ppm;
        q->delay = delay;
        q->lag = chance_one_in(c, 4) ? PICK(c, 100, 5000, 50000) : 0;
        q->tricks = chance_one_in(c, 16) ? PICK(c, 20, 100) : 0;
    }
    return n;
}

static struct plan_step *add_step(struct plan_actor *a, enum what what)
{
    struct plan_step *s = &a->steps[a->n_steps++];
    *s = (struct plan_step){.what = what, .wait_ms = -1, .cancel_ms = -1};
    return s;
}

/* How patient somebody is. */
static void any_patience(const struct plan *p, struct chance *c, struct plan_step *s)
{
    switch (below(c, 8)) {
    case 0:
        s->wait_ms = 0;
        break;
    case 1:
    case 2:
        s->wait_ms = 1 + (int32_t)chance_span(c, 2 * p->timeout_ms);
        break;
    default:
        break;
    }
    if (chance_one_in(c, 6)) {
        s->cancel_ms = (int32_t)chance_span(c, p->timeout_ms);
    }
}

static void make_locker(struct plan *p, struct chance *c, struct plan_actor *a, unsigned readers)
{
    unsigned turns = 1 + below(c, 3);
    for (unsigned i = 0; i < turns; i++) {
        bool reads = below(c, 4) < readers;
        struct plan_step *s = add_step(a, reads ? DO_RDLOCK : DO_WRLOCK);
        any_patience(p, c, s);
        s->rest_ms = (int32_t)chance_span(c, p->timeout_ms / 4);
        if (!reads && chance_one_in(c, 5)) {
            s = add_step(a, DO_DOWNGRADE);
            any_patience(p, c, s);
            s->rest_ms = (int32_t)chance_span(c, p->timeout_ms / 8);
        }
        if (!chance_one_in(c, 12)) {
            s = add_step(a, DO_UNLOCK);
            any_patience(p, c, s);
            s->rest_ms = (int32_t)chance_span(c, 20);
        }
    }
}

/* Those who hold for long, so that it is the lease that counts. */
static void make_keepers(struct plan *p, struct chance *c, unsigned thing)
{
    p->n_processes = p->n_processes > 4 ? 4 : p->n_processes;
    p->tick_ms = p->timeout_ms / PICK(c, 2, 8, 10);
    p->heal_ms = p->timeout_ms * 3 + below(c, p->timeout_ms * 3);
    for (unsigned i = 0; i < p->n_processes; i++) {
        struct plan_actor *a = &p->actors[p->n_actors++];
        *a = (struct plan_actor){.process = i, .thing = thing};
        for (unsigned j = 0; j < 3; j++) {
            bool reads = chance_one_in(c, 5);
            add_step(a, reads ? DO_RDLOCK : DO_WRLOCK)->rest_ms =
                (int32_t)below(c, 3 * p->timeout_ms);
            add_step(a, DO_UNLOCK)->rest_ms = (int32_t)below(c, 20);
        }
    }
}

static void make_lockers(struct plan *p, struct chance *c, unsigned thing)
{
    unsigned readers = below(c, 4);
    for (unsigned i = 0; i < p->n_processes && p->n_actors < ACTORS_MAX; i++) {
        unsigned handles = chance_one_in(c, 6) ? 2 : 1;
        for (unsigned j = 0; j < handles && p->n_actors < ACTORS_MAX; j++) {
            struct plan_actor *a = &p->actors[p->n_actors++];
            *a = (struct plan_actor){.process = i, .thing = thing, .strict = chance_one_in(c, 8)};
            make_locker(p, c, a, readers);
        }
    }
}

static void make_gatekeepers(struct plan *p, struct chance *c, unsigned thing)
{
    for (unsigned i = 0; i < p->n_processes && p->n_actors < ACTORS_MAX; i++) {
        struct plan_actor *a = &p->actors[p->n_actors++];
        *a = (struct plan_actor){.process = i, .thing = thing};
        unsigned turns = 1 + below(c, p->n_processes <= 5 ? 8 : 3);
        for (unsigned j = 0; j < turns; j++) {
            static const enum what any[] = {DO_SET, DO_UNSET, DO_WAIT};
            struct plan_step *s = add_step(a, any[below(c, 3)]);
            any_patience(p, c, s);
            s->rest_ms = (int32_t)chance_span(c, p->timeout_ms / PICK(c, 8, 64));
        }
    }
}

static void make_party(struct plan *p, struct chance *c, struct plan_actor *a)
{
    unsigned turns = 1 + below(c, 2);
    for (unsigned i = 0; i < turns; i++) {
        struct plan_step *s = add_step(a, DO_ENTER);
        any_patience(p, c, s);
        s->rest_ms = (int32_t)chance_span(c, p->timeout_ms / 8);
        s = add_step(a, DO_LEAVE);
        any_patience(p, c, s);
        s->rest_ms = (int32_t)chance_span(c, 20);
    }
}

/* The n that make a round, and now and then one who does not belong there. */
static void make_parties(struct plan *p, struct chance *c, unsigned thing)
{
    struct plan_thing *t = &p->things[thing];
    bool shared = chance_one_in(c, 4);
    t->n = chance_one_in(c, 3) ? p->n_processes : 1 + below(c, p->n_processes);
    t->home = chance_one_in(c, 4);
    for (unsigned i = 0; i < t->n && p->n_actors < ACTORS_MAX - 2; i++) {
        struct plan_actor *a = &p->actors[p->n_actors++];
        *a = (struct plan_actor){.process = i % p->n_processes, .thing = thing, .id = i, .n = t->n};
        if (shared) {
            a->process = below(c, p->n_processes);
        }
        make_party(p, c, a);
    }
    for (unsigned i = below(c, 6); i >= 4 && p->n_actors < ACTORS_MAX; i--) {
        struct plan_actor *a = &p->actors[p->n_actors++];
        *a = (struct plan_actor){.process = below(c, p->n_processes),
                                 .thing = thing,
                                 .id = chance_one_in(c, 2) ? below(c, t->n) : 100 + i,
                                 .n = chance_one_in(c, 3) ? t->n + 1 : t->n};
        make_party(p, c, a);
        /* One whose id is taken can wait for longer than a dead one's session lives. */
        bool namesake = a->id < t->n && a->n == t->n;
        int32_t most = (int32_t)p->timeout_ms * (namesake ? 2 : 1);
        for (unsigned j = 0; j < a->n_steps; j++) {
            if (a->steps[j].wait_ms < 0 || a->steps[j].wait_ms > most) {
                a->steps[j].wait_ms = most / 2;
            }
        }
    }
}

static void make_thing(struct plan *p, struct chance *c, enum thing_kind kind)
{
    unsigned thing = p->n_things++;
    p->things[thing].kind = kind;
    if (kind == THING_RWLOCK) {
        p->things[thing].reset = chance_one_in(c, 8) ? 1 + (int32_t)below(c, 5) : 0;
        make_lockers(p, c, thing);
    } else if (kind == THING_BARRIER) {
        make_gatekeepers(p, c, thing);
    } else {
        make_parties(p, c, thing);
    }
}

static void make_things(struct plan *p, struct chance *c)
{
    switch (below(c, 10)) {
    case 0:
        make_thing(p, c, THING_BARRIER);
        break;
    case 9:
        p->n_things = 1;
        make_keepers(p, c, 0);
        break;
    case 1:
        make_thing(p, c, THING_RWLOCK);
        make_thing(p, c, chance_one_in(c, 2) ? THING_RWLOCK : THING_DOUBLE);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        make_thing(p, c, THING_DOUBLE);
        break;
    default:
        make_thing(p, c, THING_RWLOCK);
        break;
    }
}

/* What can befall somebody in a history, and when. */
struct fates {
    const enum fault *kinds;
    size_t n_kinds;
    uint32_t longest_ms;
    uint32_t from_ms; /* Some histories have it all within a short while. */
    uint32_t width_ms;
};

static struct plan_fault *add_fault(struct plan *p, enum fault fault, uint32_t when)
{
    struct plan_fault *f = &p->faults[p->n_faults++];
    *f = (struct plan_fault){.fault = fault, .when = when};
    return f;
}

static void aim(const struct plan *p, struct chance *c, struct plan_fault *f)
{
    uint32_t servers = (uint32_t)1 << p->n_servers;
    switch (f->fault) {
    case FAULT_CRASH:
    case FAULT_FREEZE:
        f->target = below(c, p->n_servers);
        return;
    case FAULT_LAG:
    case FAULT_PART:
        f->target = 1 + below(c, servers - 2);
        return;
    case FAULT_CANCEL:
    case FAULT_ABANDON:
        f->target = below(c, p->n_actors);
        break;
    case FAULT_NOMEM:
        f->target = 1 + below(c, 12);
        return;
    case FAULT_FOREIGN:
        f->target = below(c, p->n_things);
        f->more = below(c, MISCHIEFS);
        return;
    default:
        f->target = below(c, p->n_processes);
        break;
    }
    if (chance_one_in(c, 2)) {
        bool of_actor = f->fault == FAULT_CANCEL || f->fault == FAULT_ABANDON;
        f->by_step = true;
        f->of = of_actor ? p->actors[f->target].process : f->target;
        f->when = 4 + below(c, 60);
    }
}

static void make_fault(struct plan *p, struct chance *c, const struct fates *fates)
{
    struct plan_fault *f = add_fault(p, fates->kinds[chance_below(c, fates->n_kinds)],
                                     fates->from_ms + below(c, fates->width_ms));
    f->ms = (uint32_t)chance_span(c, fates->longest_ms) + 1;
    aim(p, c, f);
    uint32_t when = f->by_step ? 0 : f->when;
    if (f->fault == FAULT_KILL && chance_one_in(c, 2)) {
        add_fault(p, FAULT_RESTART, when + below(c, p->timeout_ms))->target = f->target;
    } else if (f->fault == FAULT_CUT && !f->by_step && chance_one_in(c, 2)) {
        /* Whoever turns to another server then finds one that lags. */
        struct plan_fault *lag = add_fault(p, FAULT_LAG, when > 2 ? when - below(c, 3) : 0);
        lag->ms = 1 + below(c, p->timeout_ms / 2);
        lag->target = 1 + below(c, ((uint64_t)1 << p->n_servers) - 2);
    }
}

static void make_faults(struct plan *p, struct chance *c)
{
    static const enum fault all[] = {
        FAULT_CUT,    FAULT_CUT,   FAULT_STALL,  FAULT_PAUSE, FAULT_KILL,    FAULT_KILL,
        FAULT_EXPIRE, FAULT_CRASH, FAULT_FREEZE, FAULT_LAG,   FAULT_PART,    FAULT_CANCEL,
        FAULT_NOMEM,  FAULT_CUT,   FAULT_PAUSE,  FAULT_KILL,  FAULT_ABANDON, FAULT_FOREIGN};
    static const enum fault network[] = {FAULT_CUT,   FAULT_STALL, FAULT_PAUSE, FAULT_CRASH,
                                         FAULT_CRASH, FAULT_PART,  FAULT_PART,  FAULT_PART,
                                         FAULT_LAG,   FAULT_FREEZE};
    static const uint32_t counts[] = {0, 1, 1, 1, 2, 3, 4, 6, 9, 11};
    uint32_t n = counts[below(c, sizeof counts / sizeof counts[0])];
    struct fates fates = {all, sizeof all / sizeof all[0], p->timeout_ms * 3 / 2, 0, p->heal_ms};
    enum fault few[2];
    if (p->heal_ms >= 3 * p->timeout_ms) {
        fates.kinds = network; /* They hold for long. */
        fates.n_kinds = sizeof network / sizeof network[0];
        fates.longest_ms = 4 * p->timeout_ms;
    } else if (chance_one_in(c, 2)) {
        /* Only one or two kinds, so that not everything blurs. */
        few[0] = all[chance_below(c, fates.n_kinds)];
        few[1] = all[chance_below(c, fates.n_kinds)];
        fates.kinds = few;
        fates.n_kinds = 2;
    }
    if (chance_one_in(c, 2)) {
        fates.width_ms = 1 + p->timeout_ms / PICK(c, 4, 16);
        fates.from_ms = below(c, p->heal_ms - fates.width_ms);
    }
    for (uint32_t i = 0; i < n; i++) {
        make_fault(p, c, &fates);
    }
}

/* Of a storm: several servers stand still, or crash, together. */
static void add_spells(struct plan *p, struct chance *c)
{
    for (uint32_t n = 1 + below(c, 3); n > 0 && p->n_faults + p->n_servers <= FAULTS_MAX; n--) {
        enum fault fault = chance_one_in(c, 4) ? FAULT_CRASH : FAULT_FREEZE;
        uint32_t when = below(c, p->heal_ms);
        uint32_t ms = 1 + below(c, p->timeout_ms * PICK(c, 1, 3));
        for (unsigned i = 0; i < p->n_servers; i++) {
            if (!chance_one_in(c, 3)) {
                struct plan_fault *f = add_fault(p, fault, when);
                f->target = i;
                f->ms = ms;
            }
        }
    }
}

/* Servers that have lost what somebody has seen, now and then. From a stream of its own, so that all else in
 * the plan of a seed is as it was before there was this. */
static void lose_data(struct plan *p)
{
    struct chance c = chance_of(p->seed, 3);
    if (p->n_faults > 0 && p->n_faults < FAULTS_MAX && chance_one_in(&c, 32)) {
        aim(p, &c, add_fault(p, FAULT_AHEAD, below(&c, p->heal_ms)));
    }
}

/* Where nothing befalls anybody, everybody waits, so that the messages can be counted. */
static void calm_down(struct plan *p)
{
    for (unsigned i = 0; i < p->n_processes; i++) {
        p->processes[i].tricks = 0;
    }
    for (unsigned i = 0; i < p->n_actors; i++) {
        bool stays = p->things[p->actors[i].thing].kind != THING_DOUBLE || plan_regular(p, i);
        for (unsigned j = 0; stays && j < p->actors[i].n_steps; j++) {
            p->actors[i].steps[j].cancel_ms = -1;
            p->actors[i].steps[j].wait_ms = -1;
        }
    }
}

/* One who is so far from the servers that its lease is short, or cannot be proved at all.  It waits for its first
 * lock longer than those behind it may have to. */
static void send_away(struct plan *p, struct chance *c)
{
    unsigned process = below(c, p->n_processes);
    p->processes[process].far = (uint64_t)p->timeout_ms * 1000 / PICK(c, 6, 8, 10, 13, 16, 24, 40);
    for (unsigned i = 0; i < p->n_actors; i++) {
        struct plan_actor *a = &p->actors[i];
        int32_t patience = (int32_t)p->timeout_ms * 16;
        for (unsigned j = 0; a->process == process && j < a->n_steps; j++) {
            if (what_is_lock((int)a->steps[j].what) && a->steps[j].wait_ms < 0) {
                a->steps[j].wait_ms = patience;
                patience = (int32_t)p->timeout_ms * 4;
            }
        }
    }
}

void plan_make(struct plan *p, uint64_t seed)
{
    struct chance c = chance_of(seed, 0);
    bool storm = (seed & PLAN_STORM) != 0;
    memset(p, 0, sizeof *p);
    p->seed = seed;
    make_servers(p, &c);
    if (storm) {
        p->apart_ppm = PICK(&c, 0, 9900);
        p->heal_ms += below(&c, 4 * p->timeout_ms);
    }
    make_processes(p, &c);
    make_things(p, &c);
    make_faults(p, &c);
    if (storm) {
        add_spells(p, &c);
    }
    lose_data(p);
    p->carry = PICK(&c, 0, 0, 200, 5000, 20000);
    if (p->n_faults == 0 && chance_one_in(&c, 2)) {
        calm_down(p);
    }
    if (chance_one_in(&c, 32)) {
        send_away(p, &c);
    }
}

bool plan_regular(const struct plan *p, unsigned actor)
{
    const struct plan_actor *a = &p->actors[actor];
    const struct plan_thing *t = &p->things[a->thing];
    if (t->kind != THING_DOUBLE || a->id >= t->n || a->n != t->n) {
        return false;
    }
    for (unsigned i = 0; i < actor; i++) {
        if (p->actors[i].thing == a->thing && p->actors[i].id == a->id && p->actors[i].n == a->n) {
            return false; /* It is the second one with that id. */
        }
    }
    return true;
}

bool plan_full(const struct plan *p, unsigned thing)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < p->n_actors; i++) {
        n += p->actors[i].thing == thing && plan_regular(p, i);
    }
    return n == p->things[thing].n && !p->things[thing].home;
}

bool plan_quiet(const struct plan *p)
{
    bool quiet = p->n_faults == 0;
    for (unsigned i = 0; quiet && i < p->n_processes; i++) {
        quiet = p->processes[i].tricks == 0;
    }
    return quiet;
}

uint32_t plan_granted_ms(const struct plan *p)
{
    uint32_t most = 20 * p->tick_ms;
    return p->timeout_ms < most ? p->timeout_ms : most;
}

bool plan_is_far(const struct plan *p, unsigned process)
{
    const struct plan_process *q = &p->processes[process];
    uint64_t way = q->far + q->delay + q->lag + p->link + p->inside + p->disk + p->carry;
    return q->far > 0 && 2 * way > (uint64_t)p->timeout_ms * 1000 / 15;
}

uint64_t plan_longest_delay(const struct plan *p)
{
    uint64_t longest = 0;
    for (unsigned i = 0; i < p->n_processes; i++) {
        const struct plan_process *q = &p->processes[i];
        uint64_t delay = q->far + q->delay + q->lag;
        longest = delay > longest ? delay : longest;
    }
    return longest + p->link + p->inside + p->disk + p->carry;
}

bool plan_calm(const struct plan *p)
{
    bool calm = plan_quiet(p);
    for (unsigned i = 0; calm && i < p->n_processes; i++) {
        calm = p->processes[i].far == 0; /* What it holds may be lost soon. */
    }
    for (unsigned i = 0; calm && i < p->n_actors; i++) {
        const struct plan_actor *a = &p->actors[i];
        const struct plan_thing *t = &p->things[a->thing];
        calm = t->kind != THING_DOUBLE || (plan_regular(p, i) && plan_full(p, a->thing));
        for (unsigned j = 0; calm && j < a->n_steps; j++) {
            calm = a->steps[j].cancel_ms < 0 && a->steps[j].wait_ms < 0;
        }
    }
    return calm;
}
