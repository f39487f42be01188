/* SPDX-License-Identifier: Apache-2.0 */
#include "explore_cases.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "test.h"

enum { STATES_MAX = 20 * 1000 * 1000 };

void explore_begin(struct exploration *e, enum thing_kind kind, unsigned n)
{
    struct plan *p = &e->plan;
    p->seed = 1;
    p->n_servers = 2;
    p->tick_ms = 100;
    p->sync_ticks = 5;
    p->timeout_ms = 1000;
    p->heal_ms = 100000;
    p->n_things = 1;
    p->things[0] = (struct plan_thing){.kind = kind, .n = n, .home = true};
    p->n_processes = p->n_actors = n;
    e->states_max = STATES_MAX;
    for (unsigned i = 0; i < n; i++) {
        p->actors[i] = (struct plan_actor){.process = i, .id = i, .n = n};
    }
    if (e->faults) {
        /* It never comes, but without one checkers would take the history for a calm one. */
        p->faults[p->n_faults++] =
            (struct plan_fault){.fault = FAULT_CUT, .by_step = true, .when = UINT32_MAX};
    }
}

void explore_add(struct exploration *e, unsigned actor, enum what what)
{
    struct plan_actor *a = &e->plan.actors[actor];
    a->steps[a->n_steps++] = (struct plan_step){.what = what, .wait_ms = -1, .cancel_ms = -1};
}

void explore_finish(struct exploration *e, const char *what)
{
    const char *more = getenv("ZKSYNC_SIM_DEEPER");
    e->depth += more != NULL ? (unsigned)strtoul(more, NULL, 10) : 0;
    clock_t begun = clock();
    explore(e);
    print_message(REPORT "%s%s: %" PRIu64 " states, %" PRIu64 " histories, depth %u%s, %.1f s\n",
                  what, e->faults ? " and one fault" : "", e->states, e->histories, e->deepest,
                  e->deepest < e->depth ? " (all there is)" : "",
                  (double)(clock() - begun) / CLOCKS_PER_SEC);
    if (e->failed) {
        fail_msg("%s: %s", e->failure.checker, e->failure.failure);
    }
    assert_true(e->complete);
    assert_true(e->ends > 0);
}
