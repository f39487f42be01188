/* SPDX-License-Identifier: Apache-2.0 */
/* All interleavings of two and three who want a lock, with one fault at most, up to a depth. */
#include "explore_cases.h"
#include "test.h"

static void explore_locks(unsigned n, bool faults, unsigned depth, const char *what)
{
    struct exploration e = {.faults = faults, .depth = depth};
    explore_begin(&e, THING_RWLOCK, n);
    for (unsigned i = 0; i < n; i++) {
        explore_add(&e, i, i == 2 ? DO_RDLOCK : DO_WRLOCK);
        explore_add(&e, i, DO_UNLOCK);
    }
    explore_finish(&e, what);
}

static void test_two(void **state)
{
    (void)state;
    explore_locks(2, false, 60, "two writers");
    explore_locks(2, true, 10, "two writers");
}

static void test_three(void **state)
{
    (void)state;
    explore_locks(3, false, 11, "two writers and a reader");
    explore_locks(3, true, 5, "two writers and a reader");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two), cmocka_unit_test(test_three)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
