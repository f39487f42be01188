/* SPDX-License-Identifier: Apache-2.0 */
/* Histories from seeds: the same ones each time, and with ZKSYNC_SIM_FIRST others. */
#include <inttypes.h>
#include <stdlib.h>

#include "test.h"
#include "workers.h"

enum { HISTORIES = 200000 };

static uint64_t first = 1;

static bool make(struct plan *plan, uint64_t number)
{
    plan_make(plan, first + number);
    return true;
}

static void test_seeds(void **state)
{
    struct tally t;
    const char *given = getenv("ZKSYNC_SIM_FIRST");
    (void)state;
    if (given != NULL) {
        first = strtoull(given, NULL, 10);
    }
    workers_run(workers_count(HISTORIES), make, &t);
    print_message(REPORT "%" PRIu64 " histories from seed %" PRIu64 ", %" PRIu64
                         " steps of processes; what befell them:",
                  t.histories, first, t.steps);
    for (int i = 0; i < FAULTS; i++) {
        print_message(" %s %" PRIu64, fault_name((enum fault)i), t.faults[i]);
    }
    print_message("\n");
    assert_int_equal(t.failed, 0);
    /* Or else they would prove nothing. */
    for (int i = 0; i < FAULTS && t.histories >= 10000; i++) {
        assert_true(t.faults[i] > t.histories / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
