/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/figures.h"

/* As Java writes what ZooKeeper has rounded to four digits, but for 1.0E-4. */
static void averages(void **state)
{
    static const struct {
        uint64_t n;
        uint64_t total_ms;
        const char *text;
    } rows[] = {
        {0, 0, "0.0"},       {1, 0, "0.0"},       {1, 7, "7.0"},        {2, 1, "0.5"},
        {3, 1, "0.3333"},    {3, 2, "0.6667"},    {8, 1, "0.125"},      {10000, 1, "0.0001"},
        {20001, 1, "0.0"},   {1000, 1, "0.001"},  {100, 1999, "19.99"}, {30000, 29999, "1.0"},
        {4, 4000, "1000.0"}, {7, 100, "14.2857"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct zks__figures f = {.answered = rows[i].n, .total_ms = rows[i].total_ms};
        char text[ZKS__AVERAGE_SIZE];
        zks__figures_average(&f, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void least_and_most(void **state)
{
    struct zks__figures f = {0};
    (void)state;
    zks__figures_answered(&f, 0, 99);
    assert_int_equal(f.answered + f.max_ms, 0);
    zks__figures_answered(&f, 3, 5);
    assert_int_equal(f.min_ms, 5);
    assert_int_equal(f.max_ms, 5);
    zks__figures_answered(&f, 1, 2);
    zks__figures_answered(&f, 2, 9);
    assert_int_equal(f.min_ms, 2);
    assert_int_equal(f.max_ms, 9);
    assert_int_equal(f.last_ms, 9);
    assert_int_equal(f.answered, 6);
    assert_int_equal(f.total_ms, 3 * 5 + 2 + 2 * 9);
}

static void descriptors(void **state)
{
    uint64_t before;
    uint64_t after;
    uint64_t most;
    (void)state;
    zks__figures_descriptors(&before, &most);
    int fd = dup(0);
    zks__figures_descriptors(&after, &most);
    assert_int_equal(after, before + 1);
    assert_true(most >= after);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages),
        cmocka_unit_test(least_and_most),
        cmocka_unit_test(descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
