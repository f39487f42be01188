/* SPDX-License-Identifier: Apache-2.0 */
/* All interleavings of two and three at a double barrier, with one fault at most, up to a depth. */
#include "explore_cases.h"
#include "test.h"

static void explore_parties(unsigned n, bool faults, unsigned depth, const char *what)
{
    struct exploration e = {.faults = faults, .depth = depth};
    explore_begin(&e, THING_DOUBLE, n);
    for (unsigned i = 0; i < n; i++) {
        explore_add(&e, i, DO_ENTER);
        explore_add(&e, i, DO_LEAVE);
    }
    explore_finish(&e, what);
}

static void test_two(void **state)
{
    (void)state;
    explore_parties(2, false, 20, "two who enter and leave");
    explore_parties(2, true, 8, "two who enter and leave");
}

static void test_three(void **state)
{
    (void)state;
    explore_parties(3, false, 11, "three who enter and leave");
    explore_parties(3, true, 5, "three who enter and leave");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two), cmocka_unit_test(test_three)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
