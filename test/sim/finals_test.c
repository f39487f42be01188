/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is refused for good comes to an end, and nothing runs hot: see finals.h. */
#include <inttypes.h>

#include "finals.h"
#include "test.h"
#include "workers.h"

static void test_finals(void **state)
{
    struct tally t;
    (void)state;
    workers_run(workers_count(finals_count()), finals_make, &t);
    print_message(REPORT "%" PRIu64 " histories in which a process is refused, of %" PRIu64 "\n",
                  t.histories, finals_all());
    assert_int_equal(t.failed, 0);
    assert_true(t.faults[FAULT_REFUSE] > t.histories / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_finals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
