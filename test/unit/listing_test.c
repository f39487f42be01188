/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/listing.h"
#include "listing.h"
#include "unit.h"

#define STEM "000102030405060708090a0b"
#define OURS "_c_" STEM "00000003"
#define OLD "_c_" STEM "00000002"

static const struct zks__stem us = {STEM};

static void test_contains(void **state)
{
    (void)state;
    const char *children[] = {"a", "bc", ""};
    struct zks__reply reply = unit_listing(children, COUNT(children));
    assert_true(zks__listing_contains(&reply, "bc"));
    assert_true(zks__listing_contains(&reply, ""));
    assert_false(zks__listing_contains(&reply, "b"));
    assert_false(zks__listing_contains(&reply, "bcd"));
    reply.n_children = 0;
    assert_false(zks__listing_contains(&reply, "a"));
}

static void test_made(void **state)
{
    (void)state;
    char longer[ZKS__NAME_MAX + 2] = OURS;
    memset(longer + strlen(OURS), 'x', sizeof longer - 1 - strlen(OURS));
    longer[sizeof longer - 1] = '\0';
    const char *children[] = {"a-read-0000000001", OLD "-write-0000000004", longer,
                              OURS "-write-0000000005"};
    struct zks__reply reply = unit_listing(children, COUNT(children));
    assert_string_equal(zks__listing_made(&reply, &us, 3), OURS "-write-0000000005");
    assert_string_equal(zks__listing_made(&reply, &us, 2), OLD "-write-0000000004");
    assert_null(zks__listing_made(&reply, &us, 4));
    reply.n_children = 3;
    assert_null(zks__listing_made(&reply, &us, 3)); /* No name of ours is as long as that. */
}

static void test_stray(void **state)
{
    (void)state;
    const char *none[] = {OURS "-write-0000000005", "a-read-0000000001"};
    const char *some[] = {"a-read-0000000001", OURS "-write-0000000005", OLD "-read-0000000000"};
    struct zks__reply reply = unit_listing(none, COUNT(none));
    assert_false(zks__listing_has_stray(&reply, &us, 3));
    reply = unit_listing(some, COUNT(some));
    assert_true(zks__listing_has_stray(&reply, &us, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contains),
        cmocka_unit_test(test_made),
        cmocka_unit_test(test_stray),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
