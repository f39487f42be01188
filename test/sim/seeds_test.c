/* SPDX-License-Identifier: Apache-2.0 */
/* Histories from seeds: from 20,001 on, behind those that sim_coverage plays, or from ZKSYNC_SIM_FIRST, for which
 * make gives seeds that no run has played (tools/first-seed).  With ZKSYNC_SIM_SECONDS as many as can be played in that time, and with
 * ZKSYNC_SIM_STORMS=N every Nth is a storm. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "test.h"
#include "workers.h"

enum { HISTORIES = 40000, FIRST = 20001 };

static uint64_t first;
static uint64_t storms; /* Every so many histories one; 0 for none. */

static uint64_t seed_of(uint64_t number)
{
    uint64_t seed = first + number;
    return storms != 0 && seed % storms == 0 ? seed | PLAN_STORM : seed;
}

static bool make(struct plan *plan, uint64_t number)
{
    plan_make(plan, seed_of(number));
    return true;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *given = getenv(variable);
    return given != NULL ? strtoull(given, NULL, 10) : otherwise;
}

static void test_seeds(void **state)
{
    struct tally t = {.first_failed = UINT64_MAX};
    struct tally part;
    const uint64_t from = number_from("ZKSYNC_SIM_FIRST", FIRST);
    const uint64_t count = workers_count(HISTORIES);
    const time_t until = time(NULL) + (time_t)number_from("ZKSYNC_SIM_SECONDS", 0);
    (void)state;
    storms = number_from("ZKSYNC_SIM_STORMS", 0);
    uint64_t played = 0;
    do {
        first = from + played;
        workers_run(count, make, &part);
        tally_add(&t, &part);
        played += count;
    } while (t.failed == 0 && time(NULL) < until);
    print_message(REPORT "%" PRIu64 " histories from seed %" PRIu64 ", %" PRIu64
                         " steps of processes; what befell them:",
                  t.histories, from, t.steps);
    for (int i = 0; i < FAULTS; i++) {
        print_message(" %s %" PRIu64, fault_name((enum fault)i), t.faults[i]);
    }
    print_message("\n");
    print_message(REPORT "to play them again: ZKSYNC_SIM_FIRST=%" PRIu64
                         " ZKSYNC_SIM_HISTORIES=%" PRIu64 " ZKSYNC_SIM_STORMS=%" PRIu64 " %s\n",
                  from, played, storms, program_invocation_name);
    if (t.first_failed != UINT64_MAX) {
        print_message(REPORT "to tell the first one that fails: make sim SEED=%" PRIu64 "\n",
                      seed_of(t.first_failed));
    }
    assert_int_equal(t.failed, 0);
    /* Or else they would prove nothing. */
    for (int i = 0; i < FAULT_REFUSE && t.histories >= 10000; i++) {
        assert_true(t.faults[i] > t.histories / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
