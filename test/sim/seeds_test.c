/* SPDX-License-Identifier: Apache-2.0 */
/* Histories from seeds: the same ones each time; with ZKSYNC_SIM_FIRST others, and with
 * ZKSYNC_SIM_SECONDS as many as can be played in that time. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "test.h"
#include "workers.h"

enum { HISTORIES = 200000 };

static uint64_t first;

static bool make(struct plan *plan, uint64_t number)
{
    plan_make(plan, first + number);
    return true;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *given = getenv(variable);
    return given != NULL ? strtoull(given, NULL, 10) : otherwise;
}

static void test_seeds(void **state)
{
    struct tally t = {0};
    struct tally part;
    const uint64_t from = number_from("ZKSYNC_SIM_FIRST", 1);
    const uint64_t count = workers_count(HISTORIES);
    const time_t until = time(NULL) + (time_t)number_from("ZKSYNC_SIM_SECONDS", 0);
    (void)state;
    first = from;
    do {
        workers_run(count, make, &part);
        tally_add(&t, &part);
        first += count;
    } while (t.failed == 0 && time(NULL) < until);
    print_message(REPORT "%" PRIu64 " histories from seed %" PRIu64 ", %" PRIu64
                         " steps of processes; what befell them:",
                  t.histories, from, t.steps);
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
