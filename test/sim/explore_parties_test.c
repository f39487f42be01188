/* SPDX-License-Identifier: Apache-2.0 */
/* All interleavings of two and three at a double barrier, with one fault at most, up to a depth; also of
 * those who share an id. */
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
    explore_parties(2, true, 7, "two who enter and leave");
}

static void test_three(void **state)
{
    (void)state;
    explore_parties(3, false, 10, "three who enter and leave");
    explore_parties(3, true, 4, "three who enter and leave");
}

/* `actors` of them have `n` ids: the first and the last one share theirs. */
static void explore_namesakes(unsigned actors, unsigned n, bool faults, unsigned depth,
                              const char *what)
{
    struct exploration e = {.faults = faults, .depth = depth};
    explore_begin(&e, THING_DOUBLE, actors);
    e.plan.things[0].n = n;
    for (unsigned i = 0; i < actors; i++) {
        e.plan.actors[i].id = i % n;
        e.plan.actors[i].n = n;
        /* The one with an id of its own comes to a round with each of the others. */
        for (unsigned turns = i > 0 && i < n ? 2 : 1; turns > 0; turns--) {
            explore_add(&e, i, DO_ENTER);
            explore_add(&e, i, DO_LEAVE);
        }
    }
    explore_finish(&e, what);
}

static void test_namesakes(void **state)
{
    (void)state;
    explore_namesakes(2, 1, false, 20, "two with one id");
    explore_namesakes(2, 1, true, 7, "two with one id");
    explore_namesakes(3, 2, false, 9, "three with two ids");
    explore_namesakes(3, 2, true, 4, "three with two ids");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two), cmocka_unit_test(test_three),
                                       cmocka_unit_test(test_namesakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
