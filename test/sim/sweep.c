/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

#include "stranger.h"

enum { PROCESSES = 3, BASES = 12, WORLDS = 2, STEPS = 120, FIRST_STEPS = 60, BEHIND = 16 };

/* A pause is a deadline at every step too: it lasts until what the process waits for is up. */
static const struct plan_fault singles[] = {
    {.fault = FAULT_KILL},
    {.fault = FAULT_CANCEL},
    {.fault = FAULT_ABANDON},
    {.fault = FAULT_PAUSE, .ms = 310},
    {.fault = FAULT_PAUSE, .ms = 900},
    {.fault = FAULT_CUT},
    {.fault = FAULT_EXPIRE},
    {.fault = FAULT_STALL, .ms = 310},
    {.fault = FAULT_NOMEM, .target = 1},
    {.fault = FAULT_RESTART, .ms = 350},
    {.fault = FAULT_FOREIGN, .more = MISCHIEF_BREAK, .ms = 10},
    {.fault = FAULT_FOREIGN, .more = MISCHIEF_ACL, .ms = 200},
    {.fault = FAULT_FOREIGN, .more = MISCHIEF_DATA, .ms = 200}};

static const struct plan_fault firsts[] = {
    {.fault = FAULT_CUT},
    {.fault = FAULT_EXPIRE},
    {.fault = FAULT_STALL, .ms = 310},
    {.fault = FAULT_PAUSE, .ms = 310},
    {.fault = FAULT_LAG, .target = 1, .ms = 300},
    {.fault = FAULT_LAG, .target = 2, .ms = 300},
    {.fault = FAULT_LAG, .target = 4, .ms = 300},
    {.fault = FAULT_FREEZE, .target = 1, .ms = 300},
    {.fault = FAULT_FOREIGN, .more = MISCHIEF_ACL, .ms = 200}};

static const struct plan_fault seconds[] = {
    {.fault = FAULT_CUT},
    {.fault = FAULT_EXPIRE},
    {.fault = FAULT_CANCEL},
    {.fault = FAULT_KILL},
    {.fault = FAULT_STALL, .ms = 900},
    {.fault = FAULT_PAUSE, .ms = 900},
    {.fault = FAULT_FOREIGN, .more = MISCHIEF_BREAK, .ms = 10},
    {.fault = FAULT_FOREIGN, .more = MISCHIEF_ACL, .ms = 200}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t count_singles(void)
{
    return COUNT(singles) * STEPS * PROCESSES * BASES * WORLDS;
}

static uint64_t count_pairs(void)
{
    return COUNT(firsts) * COUNT(seconds) * FIRST_STEPS * BEHIND * BASES * WORLDS;
}

/* They have no factor in common with what a number is made of. */
enum { SINGLES_ONE_IN = 7, PAIRS_ONE_IN = 251 };

static uint64_t apart(uint64_t one_in)
{
    return getenv("ZKSYNC_SIM_SWEEP") != NULL ? 1 : one_in;
}

static uint64_t taken_singles(void)
{
    return count_singles() / apart(SINGLES_ONE_IN);
}

uint64_t sweep_count(void)
{
    return taken_singles() + count_pairs() / apart(PAIRS_ONE_IN);
}

static void add(struct plan_actor *a, enum what what, int32_t wait_ms, int32_t rest_ms)
{
    a->steps[a->n_steps++] = (struct plan_step){what, wait_ms, -1, rest_ms};
}

/* What the three use: a lock, a double barrier, a barrier, or a double barrier of two in which the first and
 * the last of them have one id. */
static enum thing_kind kind_of(unsigned base)
{
    static const enum thing_kind kinds[] = {THING_RWLOCK, THING_DOUBLE, THING_BARRIER,
                                            THING_DOUBLE};
    return kinds[base / 3];
}

static unsigned ids_of(unsigned base)
{
    return base / 3 == 3 ? 2 : PROCESSES;
}

/* Who waits for ever, for a while, or does not wait to let go. */
static void add_actor(struct plan *p, unsigned base)
{
    unsigned i = p->n_actors++;
    struct plan_actor *a = &p->actors[i];
    int32_t wait_ms = base % 3 == 1 ? 300 : -1;
    int32_t end_ms = base % 3 == 2 ? 0 : wait_ms;
    *a = (struct plan_actor){.process = i, .id = i % ids_of(base), .n = ids_of(base)};
    for (int turn = 0; turn < 2; turn++) {
        switch (kind_of(base)) {
        case THING_RWLOCK:
            add(a, (i + (unsigned)turn) % 3 == 0 ? DO_RDLOCK : DO_WRLOCK, wait_ms, 30);
            if (i == 1) {
                add(a, DO_DOWNGRADE, wait_ms, 10);
            }
            add(a, DO_UNLOCK, end_ms, 5);
            break;
        case THING_DOUBLE:
            add(a, DO_ENTER, wait_ms, 20);
            add(a, DO_LEAVE, end_ms, 5);
            break;
        default:
            add(a, i == 0 ? DO_SET : DO_WAIT, wait_ms, 20);
            add(a, i == 0 ? DO_UNSET : DO_WAIT, wait_ms, 5);
            break;
        }
    }
}

static void begin(struct plan *p, unsigned base, unsigned world)
{
    memset(p, 0, sizeof *p);
    p->seed = world * 1000 + base + 1;
    p->n_servers = 3;
    p->tick_ms = 100;
    p->sync_ticks = 5;
    p->link = world == 0 ? 0 : 2000;
    p->carry = world == 0 ? 0 : 50000;
    p->timeout_ms = 400;
    p->heal_ms = 1300;
    p->n_things = 1;
    p->things[0] = (struct plan_thing){.kind = kind_of(base), .n = ids_of(base)};
    for (unsigned i = 0; i < PROCESSES; i++) {
        p->processes[p->n_processes++] = (struct plan_process){.delay = world == 0 ? 0 : 1000};
        add_actor(p, base);
    }
}

static void add_fault(struct plan *p, const struct plan_fault *what, unsigned victim, unsigned step)
{
    struct plan_fault *f = &p->faults[p->n_faults++];
    *f = *what;
    f->by_step = true;
    f->when = step;
    f->of = victim;
    if (what->fault < FAULT_NOMEM) {
        f->target = victim;
    }
    if (what->fault == FAULT_RESTART) {
        f->fault = FAULT_KILL;
        p->faults[p->n_faults++] =
            (struct plan_fault){.fault = FAULT_RESTART, .target = victim, .when = what->ms};
    }
}

/* The next digit of a number with mixed bases. */
static unsigned digit(uint64_t *number, uint64_t base)
{
    unsigned d = (unsigned)(*number % base);
    *number /= base;
    return d;
}

bool sweep_make(struct plan *p, uint64_t number)
{
    bool pair = number >= taken_singles();
    number =
        pair ? (number - taken_singles()) * apart(PAIRS_ONE_IN) : number * apart(SINGLES_ONE_IN);
    unsigned step = digit(&number, pair ? FIRST_STEPS : STEPS);
    unsigned behind = pair ? digit(&number, BEHIND) : 0;
    unsigned first = digit(&number, pair ? COUNT(firsts) : COUNT(singles));
    unsigned second = pair ? digit(&number, COUNT(seconds)) : 0;
    unsigned victim = pair ? step % PROCESSES : digit(&number, PROCESSES);
    unsigned base = digit(&number, BASES);
    begin(p, base, digit(&number, WORLDS));
    add_fault(p, pair ? &firsts[first] : &singles[first], victim, step);
    if (pair) {
        add_fault(p, &seconds[second], victim, step + behind);
    }
    return true;
}
