/* SPDX-License-Identifier: Apache-2.0 */
/* At every step: see sweep.h. */
#include <inttypes.h>

#include "sweep.h"
#include "test.h"
#include "workers.h"

static void test_sweep(void **state)
{
    struct tally t;
    (void)state;
    workers_run(workers_count(sweep_count()), sweep_make, &t);
    print_message(REPORT "%" PRIu64 " histories with something at every step\n", t.histories);
    assert_int_equal(t.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
