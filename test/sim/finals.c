/* SPDX-License-Identifier: Apache-2.0 */
#include "finals.h"

#include <stdlib.h>

#include "refusal.h"

/* ONE_IN has no factor in common with what a number is made of. */
enum { FIRST = 3, STEPS = 40, TIMEOUT_MS = 400, HEAL_MS = 12 * TIMEOUT_MS, ONE_IN = 29 };

static const uint32_t whats[] = {REFUSE_LIST,
                                 REFUSE_GET,
                                 REFUSE_GET | REFUSE_EXISTS,
                                 REFUSE_READS,
                                 REFUSE_CREATE,
                                 REFUSE_DELETE,
                                 REFUSE_MULTI,
                                 REFUSE_SYNC,
                                 REFUSE_CREATE | REFUSE_DELETE | REFUSE_MULTI,
                                 REFUSE_READS | REFUSE_DELETE | REFUSE_MULTI,
                                 REFUSE_ALL};

/* How many steps ahead of the refusal the connection is cut; the first one is for not. */
static const unsigned cuts[] = {0, 1, 2, 3, 4, 5, 7};

enum base {
    LOCK,            /* One, alone. */
    BARRIER,         /* The same. */
    ROUND,           /* The same: a round of one. */
    CONTENDED_LOCK,  /* Another one holds it. */
    CONTENDED_ROUND, /* Another one is there. */
    NAMESAKES,       /* Another one has the same id. */
    BASES
};

enum { PATIENCES = 3 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const enum what locks[] = {DO_WRLOCK, DO_DOWNGRADE, DO_UNLOCK, DO_RDLOCK,
                                  DO_UNLOCK, DO_WRLOCK,    DO_UNLOCK};
static const enum what barriers[] = {DO_WAIT, DO_SET, DO_WAIT, DO_UNSET, DO_WAIT, DO_SET, DO_UNSET};
static const enum what rounds[] = {DO_ENTER, DO_LEAVE, DO_ENTER, DO_LEAVE};

static void add_actor(struct plan *p, const enum what *what, size_t n, int32_t wait_ms)
{
    unsigned i = p->n_actors++;
    struct plan_actor *a = &p->actors[i];
    *a = (struct plan_actor){.process = i, .id = i, .n = p->things[0].n};
    p->processes[p->n_processes++] = (struct plan_process){.delay = 500};
    for (size_t j = 0; j < n; j++) {
        /* Where a barrier cannot be unset one would wait for ever. */
        int32_t wait = what[j] == DO_WAIT && j > 0 && wait_ms < 0 ? TIMEOUT_MS : wait_ms;
        a->steps[a->n_steps++] = (struct plan_step){what[j], wait, -1, TIMEOUT_MS / 8};
    }
}

static void add_actors(struct plan *p, enum base base, int32_t wait_ms)
{
    enum thing_kind kind = base == LOCK || base == CONTENDED_LOCK ? THING_RWLOCK
                           : base == BARRIER                      ? THING_BARRIER
                                                                  : THING_DOUBLE;
    p->n_things = 1;
    p->things[0] = (struct plan_thing){.kind = kind, .n = base > CONTENDED_LOCK ? 2 : 1};
    if (kind == THING_RWLOCK) {
        add_actor(p, locks, COUNT(locks), wait_ms);
    } else if (kind == THING_BARRIER) {
        add_actor(p, barriers, COUNT(barriers), wait_ms);
    } else {
        add_actor(p, rounds, COUNT(rounds), wait_ms);
    }
    if (base == CONTENDED_LOCK) {
        add_actor(p, locks, 3, -1);
        p->actors[1].steps[1].rest_ms = HEAL_MS;
    } else if (base > CONTENDED_LOCK) {
        add_actor(p, rounds, 2, -1);
        p->actors[1].id = base == NAMESAKES ? 0 : 1;
        p->things[0].home = base == NAMESAKES;
        p->actors[1].steps[0].wait_ms = base == NAMESAKES ? HEAL_MS : -1;
    }
}

/* The next digit of a number with mixed bases. */
static unsigned digit(uint64_t *number, uint64_t base)
{
    unsigned d = (unsigned)(*number % base);
    *number /= base;
    return d;
}

static uint64_t apart(void)
{
    return getenv("ZKSYNC_SIM_SWEEP") != NULL ? 1 : ONE_IN;
}

uint64_t finals_all(void)
{
    return (uint64_t)STEPS * COUNT(cuts) * COUNT(whats) * REFUSE_CODES * BASES * PATIENCES;
}

uint64_t finals_count(void)
{
    return finals_all() / apart();
}

bool finals_make(struct plan *p, uint64_t number)
{
    static const int32_t patiences[PATIENCES] = {-1, 0, 3 * TIMEOUT_MS / 2};
    number *= apart();
    unsigned step = FIRST + digit(&number, STEPS);
    unsigned cut = cuts[digit(&number, COUNT(cuts))];
    uint32_t what = whats[digit(&number, COUNT(whats))];
    uint32_t code = digit(&number, REFUSE_CODES);
    enum base base = (enum base)digit(&number, BASES);
    int32_t wait_ms = patiences[digit(&number, PATIENCES)];
    if ((refusal_is_of_creates(code) && (what & ~(uint32_t)(REFUSE_CREATE | REFUSE_MULTI)) != 0) ||
        (!refusal_is_final(code) && wait_ms >= 0)) {
        return false; /* No server does that; and what ends must know how. */
    }
    *p = (struct plan){.seed = step,
                       .n_servers = 3,
                       .tick_ms = TIMEOUT_MS / 4,
                       .sync_ticks = 5,
                       .link = 200,
                       .timeout_ms = TIMEOUT_MS,
                       .heal_ms = HEAL_MS};
    add_actors(p, base, wait_ms);
    p->faults[p->n_faults++] = (struct plan_fault){.fault = FAULT_REFUSE,
                                                   .more = what | code << REFUSE_SHIFT,
                                                   .ms = HEAL_MS,
                                                   .by_step = true,
                                                   .when = step};
    if (cut > 0) {
        p->faults[p->n_faults++] = (struct plan_fault){
            .fault = FAULT_CUT, .by_step = true, .when = step > cut ? step - cut : 0};
    }
    return true;
}
