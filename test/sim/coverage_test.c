/* SPDX-License-Identifier: Apache-2.0 */
/* Every transition that a machine allows is taken by some history, or there is a reason why not.  The
 * core is patched to tell: see coverage/transitions.patch. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/barrier.h"
#include "core/double_barrier.h"
#include "core/rwlock.h"
#include "sweep.h"
#include "test.h"
#include "workers.h"

/* sim_seeds goes on behind SEEDS. */
enum { SEEDS = 20000, MORE_SEEDS = 40000, STATES_MAX = 16 };

static bool whole; /* All of the sweep. */

/* All workers count here. */
static struct counts {
    _Atomic uint64_t rwlock[STATES_MAX][STATES_MAX];
    _Atomic uint64_t barrier[STATES_MAX][STATES_MAX];
    _Atomic uint64_t party[STATES_MAX][STATES_MAX];
} * counts;

void coverage_rwlock(int from, int to);
void coverage_barrier(int from, int to);
void coverage_double_barrier(int from, int to);
unsigned coverage_rwlock_next(int state);
unsigned coverage_barrier_next(int state);
unsigned coverage_double_barrier_next(int state);

void coverage_rwlock(int from, int to)
{
    counts->rwlock[from][to]++;
}

void coverage_barrier(int from, int to)
{
    counts->barrier[from][to]++;
}

void coverage_double_barrier(int from, int to)
{
    counts->party[from][to]++;
}

static uint64_t count_seeds(void)
{
    return whole ? MORE_SEEDS : SEEDS;
}

static bool make(struct plan *plan, uint64_t number)
{
    const uint64_t seeds = count_seeds();
    if (number >= seeds) {
        return sweep_make(plan, number - seeds);
    }
    plan_make(plan, 1 + number);
    return true;
}

static const char *rwlock_name(int state)
{
    return zks__rwlock_state_name((enum zks__rwlock_state)state);
}

static const char *barrier_name(int state)
{
    return zks__barrier_state_name((enum zks__barrier_state)state);
}

static const char *party_name(int state)
{
    return zks__double_barrier_state_name((enum zks__double_barrier_state)state);
}

/* What no history has taken, and why; and what only the whole sweep takes. */
static const struct {
    const char *machine;
    const char *from;
    const char *to;
    const char *why; /* NULL for the latter. */
} exceptions[] = {
    {"double barrier", "settling", "out", "somebody forbids to delete an earlier znode, just then"},
    {"double barrier", "checking", "out", "the same"},
    {"double barrier", "looking", "out", "the same"},
    {"double barrier", "looking", "leaving", "a round opens with the old znode between two looks"},
    {"double barrier", "checking", "judging",
     "a server lags, the session expires, it is cancelled"},
    {"double barrier", "looking", "judging", "the same"},
    {"double barrier", "waiting", "judging", "the same, and nobody may read the old znode"},
    {"double barrier", "blocked", "judging", "the same as that"},
    {"double barrier", "opening", "judging", "the same as that"},
    {"double barrier", "clearing", "judging", "the same as that"},
    {"double barrier", "leaving", "starting", "the next enter waits, and litter turns up"},
    {"double barrier", "closing", "starting", "the same"},
    {"rwlock", "adopting", "idle", NULL},
    {"rwlock", "adopting", "starting", NULL},
    {"rwlock", "adopting", "queuing", NULL},
    {"rwlock", "confirming", "queuing", NULL},
    {"double barrier", "checking", "starting", NULL},
    {"double barrier", "looking", "starting", NULL},
    {"double barrier", "clearing", "settling", NULL},
    {"double barrier", "clearing", "exiting", NULL},
};

/* Whether a transition may be missing, in a run of the whole sweep or not. */
static bool is_exception(const char *machine, const char *from, const char *to, const char **why)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++) {
        if (strcmp(exceptions[i].machine, machine) == 0 && strcmp(exceptions[i].from, from) == 0 &&
            strcmp(exceptions[i].to, to) == 0) {
            *why = exceptions[i].why;
            return *why != NULL || !whole;
        }
    }
    *why = NULL;
    return false;
}

/* Returns how many allowed transitions have never been taken for no reason. */
static unsigned judge(const char *machine, _Atomic uint64_t taken[STATES_MAX][STATES_MAX], int n,
                      unsigned (*next)(int state), const char *(*name)(int state))
{
    unsigned missing = 0;
    unsigned unexplained = 0;
    unsigned allowed = 0;
    for (int from = 0; from < n; from++) {
        for (int to = 0; to < n; to++) {
            bool may = from != to && (next(from) >> to & 1) != 0;
            allowed += may;
            if (may && taken[from][to] == 0) {
                const char *why;
                unexplained += !is_exception(machine, name(from), name(to), &why);
                print_message(REPORT "%s: never from %s to %s: %s\n", machine, name(from), name(to),
                              why != NULL ? why : "left to the whole sweep");
                missing++;
            }
        }
    }
    print_message(REPORT "%s: %u of %u allowed transitions taken\n", machine, allowed - missing,
                  allowed);
    return unexplained;
}

static void test_transitions(void **state)
{
    struct tally t;
    (void)state;
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(counts != MAP_FAILED);
    whole = getenv("ZKSYNC_SIM_SWEEP") != NULL;
    const uint64_t all = count_seeds() + (whole ? sweep_count() : 0);
    uint64_t histories = workers_count(all);
    workers_run(histories, make, &t);
    unsigned missing =
        judge("rwlock", counts->rwlock, ZKS__RWLOCK_STATES, coverage_rwlock_next, rwlock_name);
    missing +=
        judge("barrier", counts->barrier, ZKS__BARRIER_STATES, coverage_barrier_next, barrier_name);
    missing += judge("double barrier", counts->party, ZKS__DB_STATES, coverage_double_barrier_next,
                     party_name);
    assert_int_equal(t.failed, 0);
    if (histories >= all) {
        assert_int_equal(missing, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transitions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
