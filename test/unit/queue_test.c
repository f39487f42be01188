/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "core/queue.h"
#include "listing.h"
#include "unit.h"

#define STEM "000102030405060708090a0b"
#define OURS "_c_" STEM "00000003"
#define OLD "_c_" STEM "00000002"

static const struct zks__stem us = {STEM};

struct row {
    const char *what;
    enum zks__mode mode;
    int32_t seq;
    const char *passed;
    const char *children[8];
    const char *ahead;
};

static const struct row rows[] = {
    {"nobody", ZKS__WRITE, 5, "", {OURS "-write-0000000005"}, NULL},
    {"later ones do not count",
     ZKS__WRITE,
     5,
     "",
     {"a-write-0000000006", OURS "-write-0000000005", "b-read-0000000007"},
     NULL},
    {"a writer waits for the nearest writer",
     ZKS__WRITE,
     5,
     "",
     {"a-write-0000000004", "b-write-0000000002", "c-write-0000000003"},
     "a-write-0000000004"},
    {"a writer waits for the nearest reader",
     ZKS__WRITE,
     5,
     "",
     {"b-write-0000000002", "c-read-0000000003", "a-read-0000000004"},
     "a-read-0000000004"},
    {"a reader looks past readers",
     ZKS__READ,
     5,
     "",
     {"a-read-0000000004", "b-write-0000000002", "c-read-0000000003", "d-write-0000000001"},
     "b-write-0000000002"},
    {"a reader among readers", ZKS__READ, 5, "", {"a-read-0000000004", "c-read-0000000003"}, NULL},
    {"a downgraded writer is a reader",
     ZKS__READ,
     5,
     "",
     {"_c_0123456789abcdef0123456789abcdef-0000000000000001-read-0000000004"},
     NULL},
    {"foreign names do not count",
     ZKS__WRITE,
     5,
     "",
     {"a-lock-0000000004", "lock", "x__lock__0000000003", "write-0000000004-x", "read-"},
     NULL},
    {"our own earlier znode does not count",
     ZKS__WRITE,
     5,
     "",
     {OLD "-write-0000000002", "b-read-0000000001"},
     "b-read-0000000001"},
    {"over the end: the last numbers are before the first negative one",
     ZKS__WRITE,
     INT32_MIN,
     "",
     {"a-write-2147483646", "b-write-2147483647"},
     "b-write-2147483647"},
    {"over the end: negative numbers are after the last ones",
     ZKS__WRITE,
     INT32_MAX,
     "",
     {"a-write--2147483648", "b-write--2147483647"},
     NULL},
    {"over the end: a reader",
     ZKS__READ,
     -2147483640,
     "",
     {"a-read--2147483641", "b-write-2147483640", "c-write--2147483639"},
     "b-write-2147483640"},
    {"from -1 to 0", ZKS__WRITE, 0, "", {"a-write--000000001"}, "a-write--000000001"},
    {"equals are offered by name",
     ZKS__WRITE,
     INT32_MAX,
     "",
     {"c-write-2147483647", "b-write-2147483647", "a-write-2147483646"},
     "b-write-2147483647"},
    {"equals that were passed are not offered again",
     ZKS__WRITE,
     INT32_MAX,
     "b-write-2147483647",
     {"c-write-2147483647", "b-write-2147483647", "a-write-2147483646"},
     "c-write-2147483647"},
    {"all equals passed",
     ZKS__WRITE,
     INT32_MAX,
     "c-write-2147483647",
     {"c-write-2147483647", "b-write-2147483647", "a-write-2147483646"},
     "a-write-2147483646"},
    {"an equal reader does not hold a reader up",
     ZKS__READ,
     INT32_MAX,
     "",
     {"b-read-2147483647"},
     NULL},
};

static void test_ahead(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        const char *children[COUNT(row->children)];
        memcpy(children, row->children, sizeof children);
        struct zks__reply reply = unit_listing(children, COUNT(children));
        const struct zks__place place = {&us, row->mode, row->seq, row->passed};
        const char *ahead = zks__queue_ahead(&reply, &place);
        print_message("# %s\n", row->what);
        if (row->ahead == NULL) {
            assert_null(ahead);
        } else {
            assert_non_null(ahead);
            assert_string_equal(ahead, row->ahead);
        }
    }
}

/* Who is ahead, in order: w for a writer, r for a reader; behind us are more of both. */
static unsigned turns(const char *ahead, enum zks__mode mode)
{
    char text[24][32];
    const char *children[COUNT(text)];
    size_t len = strlen(ahead);
    assert_true(len + 3 <= COUNT(text));
    for (size_t i = 0; i < len + 3; i++) {
        bool writes = i < len ? ahead[i] == 'w' : i == len + 1;
        (void)snprintf(text[i], sizeof text[i], "%zu-%s-%010zu", i, writes ? "write" : "read",
                       i < len ? i : i + 100);
        children[i] = text[i];
    }
    struct zks__reply reply = unit_listing(children, len + 3);
    const struct zks__place place = {&us, mode, 50, ""};
    return zks__queue_turns(&reply, &place);
}

static void test_turns(void **state)
{
    (void)state;
    assert_int_equal(turns("", ZKS__WRITE), 0);
    assert_int_equal(turns("w", ZKS__WRITE), 1);
    assert_int_equal(turns("www", ZKS__WRITE), 3);
    assert_int_equal(turns("rrr", ZKS__WRITE), 1); /* All of them hold it. */
    assert_int_equal(turns("rwrr", ZKS__WRITE), 4);
    assert_int_equal(turns("", ZKS__READ), 0);
    assert_int_equal(turns("rrr", ZKS__READ), 0);
    assert_int_equal(turns("w", ZKS__READ), 1);
    assert_int_equal(turns("rww", ZKS__READ), 3);
    assert_int_equal(turns("wrr", ZKS__READ), 1); /* The two come in with us. */
    assert_int_equal(turns("wrrrrrrrrrrrrrrr", ZKS__READ), 1);
    assert_int_equal(turns("wrrrrrrrrrrrrrrrr", ZKS__READ), 2); /* Not all of a crowd is next. */
}

/* The longest name that ZooKeeper lets through is far longer than what a machine can remember; it
 * still counts, whole, and it is the machine's business to refuse it. */
static void test_long_name(void **state)
{
    (void)state;
    static char name[5000];
    memset(name, 'n', sizeof name);
    memcpy(name + sizeof name - 17, "write-0000000001", 17);
    const char *children[] = {name, OURS "-write-0000000005"};
    struct zks__reply reply = unit_listing(children, COUNT(children));
    const struct zks__place place = {&us, ZKS__WRITE, 5, ""};
    assert_ptr_equal(zks__queue_ahead(&reply, &place), name);
}

enum { CROWD = 12 };

/* A naive oracle: whoever blocks us and is nearest by distance, in 64-bit arithmetic around our own
 * number; it knows the numbers and modes it made and parses nothing. */
static void random_crowd(uint64_t *seed)
{
    char text[CROWD][64];
    const char *children[CROWD];
    int64_t nearest = INT64_MAX;
    int expected = -1;
    int32_t seq = (int32_t)unit_random(seed);
    enum zks__mode mode = unit_below(seed, 2) ? ZKS__WRITE : ZKS__READ;
    for (int i = 0; i < CROWD; i++) {
        int64_t distance = (int64_t)i * 97 + (int64_t)unit_below(seed, 97) - 400;
        distance += distance >= 0 ? 1 : 0; /* No ties here. */
        int32_t number = (int32_t)((uint32_t)seq - (uint32_t)distance);
        bool writes = unit_below(seed, 3) == 0;
        bool alien = unit_below(seed, 5) == 0;
        (void)snprintf(text[i], sizeof text[i], "%d%s%s%010d", i, alien ? "-lock" : "",
                       alien ? "-" : (writes ? "-write-" : "-read-"), number);
        if (!alien && distance > 0 && (writes || mode == ZKS__WRITE) && distance < nearest) {
            nearest = distance;
            expected = i;
        }
    }
    for (int i = 0, at = (int)unit_below(seed, CROWD); i < CROWD; i++, at = (at + 5) % CROWD) {
        children[i] = text[at];
    }
    struct zks__reply reply = unit_listing(children, CROWD);
    const struct zks__place place = {&us, mode, seq, ""};
    const char *ahead = zks__queue_ahead(&reply, &place);
    assert_ptr_equal(ahead, expected < 0 ? NULL : text[expected]);
}

static void test_random(void **state)
{
    (void)state;
    uint64_t seed = 20240601;
    for (int i = 0; i < 20000; i++) {
        random_crowd(&seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
