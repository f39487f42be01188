/* SPDX-License-Identifier: Apache-2.0 */
#include "explore.h"

#include <stdlib.h>
#include <string.h>

#include "actor.h"
#include "channel.h"
#include "check.h"
#include "ensemble.h"
#include "fold.h"
#include "process.h"

enum { CHOICES_MAX = 4096, STEPS_TO_END = 20000 };

/* What can be chosen, in this order: that time goes on, where nothing else can happen; a channel that
 * delivers; an actor's next step; the end of a dead process's session; what befalls a process or an
 * actor.  A connection is cut so that the answers are lost, or the requests as well. */
static const struct plan_fault befalls_processes[] = {{.fault = FAULT_CUT},
                                                      {.fault = FAULT_CUT, .more = 1},
                                                      {.fault = FAULT_KILL},
                                                      {.fault = FAULT_EXPIRE}};
static const struct plan_fault befalls_actors[] = {{.fault = FAULT_CANCEL},
                                                   {.fault = FAULT_ABANDON}};

enum { PER_PROCESS = 4, PER_ACTOR = 2, QUIET_STEPS = 150 };

static struct exploration *e;
static unsigned path[CHOICES_MAX];   /* The choices of the present history. */
static unsigned widths[CHOICES_MAX]; /* How many there were. */
static struct visited {
    uint64_t hash;  /* 0 for none. */
    unsigned after; /* The fewest choices after which it was come to. */
} * seen;
static size_t seen_max;
static bool befallen;
static int64_t dead_session; /* Of the process that has died, 0 for none. */
static bool healed;

/* Whether all that can come of a state is tried already: whoever was there after more choices has tried
 * fewer. */
static bool has_been(uint64_t hash, unsigned after)
{
    hash = hash != 0 ? hash : 1;
    size_t i = hash % seen_max;
    while (seen[i].hash != 0 && seen[i].hash != hash) {
        i = (i + 1) % seen_max;
    }
    if (seen[i].hash == hash && seen[i].after <= after) {
        return true;
    }
    e->states += seen[i].hash == 0;
    seen[i] = (struct visited){hash, after};
    return false;
}

static uint64_t state(void)
{
    uint64_t hash = fold(sched_now(), (uint64_t)befallen << 1 | healed);
    hash = actors_hash(fold(hash, (uint64_t)dead_session));
    for (unsigned i = 0; i < e->plan.n_processes; i++) {
        hash = client_hash(history_process(i), fold(hash, history_process(i)->alive));
    }
    return ensemble_hash(hash);
}

static unsigned count_channels(void)
{
    unsigned n = 0;
    while (channel_nth(n) != NULL) {
        n++;
    }
    return n;
}

static unsigned count_ready(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < e->plan.n_actors; i++) {
        n += actor_ready(i);
    }
    return n;
}

/* How many things can happen by themselves, and how many could befall somebody. */
static unsigned count_ordinary(void)
{
    return count_channels() + count_ready() + (dead_session != 0);
}

static unsigned count_faults(void)
{
    return !e->faults || befallen || healed
               ? 0
               : PER_PROCESS * e->plan.n_processes + PER_ACTOR * e->plan.n_actors;
}

static void befall(unsigned choice)
{
    unsigned of_processes = PER_PROCESS * e->plan.n_processes;
    bool of_process = choice < of_processes;
    unsigned target = of_process ? choice / PER_PROCESS : (choice - of_processes) / PER_ACTOR;
    struct plan_fault f = of_process ? befalls_processes[choice % PER_PROCESS]
                                     : befalls_actors[(choice - of_processes) % PER_ACTOR];
    f.target = target;
    befallen = true;
    if (f.fault == FAULT_KILL) {
        dead_session = client_session(history_process(target));
    }
    history_befall(&f);
}

static void take_ordinary(unsigned choice)
{
    unsigned channels = count_channels();
    if (choice < channels) {
        channel_take(channel_nth(choice));
        return;
    }
    choice -= channels;
    for (unsigned i = 0; i < e->plan.n_actors; i++) {
        if (actor_ready(i) && choice-- == 0) {
            actor_go_on(i);
            return;
        }
    }
    ensemble_close_session(dead_session);
    dead_session = 0;
}

/* What needs no choice: turns of drivers, commits, attempts to connect. */
static void settle(void)
{
    while (sched_next() <= sched_now()) {
        sched_step();
    }
}

static bool all_connected(void)
{
    for (unsigned i = 0; i < e->plan.n_processes; i++) {
        if (client_session(history_process(i)) == 0) {
            return false;
        }
    }
    return count_channels() == 0;
}

/* Until all are connected, and the place of the thing is there, there is nothing to choose. */
static void prepare(void)
{
    static const struct zks__ace open_to_all = {31, {"world", "anyone"}};
    static const char *const paths[] = {"/z", "/z/one"};
    for (int i = 0; i < 2 && e->plan.things[0].kind != THING_BARRIER; i++) {
        const struct zks__op op = {.kind = ZKS__OP_CREATE,
                                   .path = paths[i],
                                   .aces = &open_to_all,
                                   .n_aces = 1,
                                   .mode = ZKS__CONTAINER};
        ensemble_inject(0, &op, 1, false, NULL, NULL);
    }
    while (!all_connected()) {
        settle();
        if (count_channels() > 0) {
            channel_take(channel_nth(0));
        } else if (!all_connected()) {
            sched_step();
        }
    }
    settle();
}

/* Nothing more can happen now: time goes on until something can, or for so long that nothing will; then
 * all heals. */
static void go_on(void)
{
    for (unsigned i = 0; i < QUIET_STEPS && count_ordinary() == 0; i++) {
        sched_step();
        settle();
    }
    if (count_ordinary() == 0 && !healed) {
        history_heal();
        healed = true;
    }
}

static void take(unsigned choice, unsigned ordinary)
{
    if (ordinary == 0 && choice == 0) {
        go_on();
    } else if (choice < ordinary) {
        take_ordinary(choice);
    } else {
        befall(choice - (ordinary > 0 ? ordinary : 1));
    }
}

/* One history: along the path for `known` choices, and beyond them the first one each time.  Returns how
 * many choices there were. */
static unsigned run(unsigned known)
{
    unsigned n = 0;
    history_begin(&e->plan, NULL, &e->failure);
    befallen = healed = false;
    dead_session = 0;
    prepare();
    for (unsigned steps = 0; steps < STEPS_TO_END && check_failure(NULL) == NULL; steps++) {
        settle();
        if (history_over()) {
            e->ends++;
            break;
        }
        unsigned ordinary = count_ordinary();
        if (n == e->depth || healed) {
            take(0, ordinary);
            continue;
        }
        if (n >= known && has_been(state(), n)) {
            history_abort();
            return n;
        }
        widths[n] = (ordinary > 0 ? ordinary : 1) + count_faults();
        path[n] = n < known ? path[n] : 0;
        take(path[n++], ordinary);
    }
    history_end();
    e->deepest = n > e->deepest ? n : e->deepest;
    return n;
}

void explore(struct exploration *what)
{
    e = what;
    seen_max = (size_t)e->states_max * 2 + 64;
    seen = calloc(seen_max, sizeof *seen);
    if (seen == NULL) {
        abort();
    }
    channel_explore(true);
    unsigned known = 0;
    for (;;) {
        unsigned n = run(known);
        e->histories++;
        e->failed = e->failure.failed;
        if (e->failed || e->states >= e->states_max) {
            break;
        }
        while (n > 0 && path[n - 1] + 1 >= widths[n - 1]) {
            n--;
        }
        if (n == 0) {
            e->complete = true;
            break;
        }
        path[n - 1]++;
        known = n;
    }
    channel_explore(false);
    free(seen);
}
