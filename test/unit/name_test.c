/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "core/name.h"
#include "unit.h"

#define GO "_c_0123456789abcdef0123456789abcdef"

static const unsigned char bytes[ZKS__STEM_LEN / 2] = {0x00, 0x1f, 0x2e, 0x3d, 0x4c, 0x5b,
                                                       0x6a, 0x79, 0x88, 0x97, 0xa6, 0xff};
#define STEM "001f2e3d4c5b6a798897a6ff"

static struct zks__stem stem(void)
{
    struct zks__stem s;
    zks__stem_init(&s, bytes);
    return s;
}

static void test_stem_and_uuid(void **state)
{
    (void)state;
    struct zks__stem s = stem();
    char uuid[ZKS__UUID_LEN + 1];
    assert_string_equal(s.hex, STEM);
    zks__uuid(uuid, &s, 0);
    assert_string_equal(uuid, STEM "00000000");
    zks__uuid(uuid, &s, 0xfedcba98U);
    assert_string_equal(uuid, STEM "fedcba98");
    zks__uuid(uuid, &s, UINT32_MAX);
    assert_string_equal(uuid, STEM "ffffffff");
}

static void test_ownership(void **state)
{
    (void)state;
    struct zks__stem s = stem();
    assert_true(zks__stem_owns(&s, "_c_" STEM "00000001-read-0000000000"));
    assert_true(zks__stem_owns(&s, "_c_" STEM "00000002-write-0000000009"));
    assert_false(zks__stem_owns(&s, "_c_001f2e3d4c5b6a798897a6fe00000001-read-0000000000"));
    assert_false(zks__stem_owns(&s, GO "-read-0000000007"));
    assert_false(zks__stem_owns(&s, ""));
    assert_true(zks__stem_made(&s, 1, "_c_" STEM "00000001-read-0000000000"));
    assert_false(zks__stem_made(&s, 2, "_c_" STEM "00000001-read-0000000000"));
    assert_true(zks__stem_made(&s, 0x1f, "id-" STEM "0000001f-3-0000000000"));
    assert_false(zks__stem_made(&s, 1, "_c_" STEM "0000001"));
}

static void test_prefixes(void **state)
{
    (void)state;
    struct zks__stem s = stem();
    char name[ZKS__NAME_MAX + 1];
    zks__contender_prefix(name, &s, 5, ZKS__READ);
    assert_string_equal(name, "_c_" STEM "00000005-read-");
    zks__contender_prefix(name, &s, 5, ZKS__WRITE);
    assert_string_equal(name, "_c_" STEM "00000005-write-");
    zks__contender_downgraded(name, &s, 5, 0x1234, 42);
    assert_string_equal(name, "_c_" STEM "00000005-0000000000001234-read-0000000042");
}

struct good {
    const char *name;
    enum zks__mode mode;
    int32_t seq;
    bool has_token;
    uint64_t token;
};

static const struct good good[] = {
    {GO "-read-0000000007", ZKS__READ, 7, false, 0},
    {GO "-write-0000000008", ZKS__WRITE, 8, false, 0},
    {GO "-write-2147483647", ZKS__WRITE, INT32_MAX, false, 0},
    {GO "-write--2147483648", ZKS__WRITE, INT32_MIN, false, 0},
    {GO "-read--000000001", ZKS__READ, -1, false, 0},
    {"read-0000000003", ZKS__READ, 3, false, 0},
    {"write-3", ZKS__WRITE, 3, false, 0},
    {"write-read-0000000003", ZKS__READ, 3, false, 0},
    {"read-write-0000000003", ZKS__WRITE, 3, false, 0},
    {"read-0000000001-read-0000000002", ZKS__READ, 2, false, 0},
    {GO "-00000000000000ff-read-0000000002", ZKS__READ, 2, true, 255},
    {GO "-ffffffffffffffff-read-0000000002", ZKS__READ, 2, true, UINT64_MAX},
    /* A token that is not sixteen small hex digits is none. */
    {GO "-00000000000000FF-read-0000000002", ZKS__READ, 2, false, 0},
    {GO "-0000000000000ff-read-0000000002", ZKS__READ, 2, false, 0},
    /* Writers carry none. */
    {GO "-00000000000000ff-write-0000000002", ZKS__WRITE, 2, false, 0},
};

static void test_contenders(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct zks__contender c;
        print_message("# %s\n", good[i].name);
        assert_true(zks__contender_parse(good[i].name, &c));
        assert_int_equal(c.mode, good[i].mode);
        assert_int_equal(c.seq, good[i].seq);
        assert_int_equal(c.has_token, good[i].has_token);
        if (c.has_token) {
            assert_true(c.token == good[i].token);
        }
    }
}

static const char *const foreign[] = {
    "",
    "-",
    "read",
    "read-",
    "write-",
    "write--",
    "read-12x",
    "read-x",
    "read- 1",
    "read-+1",
    "read-0x10",
    "read-2147483648",
    "read--2147483649",
    "read-9999999999",
    "read-00000000001",
    "read--1-",
    "write-0000000001-lock",
    "lock-0000000001",
    "read0000000001",
    "Read-0000000001",
    GO "-lock-0000000001",
    "_c_01234567-89ab-cdef-0123-456789abcdef-lock-0000000001",
    "_c_01234567-89ab-cdef-0123-456789abcdef-__READ__0000000001",
    "_c_01234567-89ab-cdef-0123-456789abcdef-__WRIT__0000000001",
    "0123456789abcdef0123456789abcdef__lock__0000000001",
    "0123456789abcdef0123456789abcdef__rlock__0000000001",
    "x-0123456789abcdef-0000000001",
};

static void test_foreign(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(foreign); i++) {
        struct zks__contender c;
        print_message("# %s\n", foreign[i]);
        assert_false(zks__contender_parse(foreign[i], &c));
    }
}

/* The server appends "%010d"; what it makes of every prefix of ours must be read back. */
static void test_round_trip(void **state)
{
    (void)state;
    static const int32_t numbers[] = {0,          1,           9,          1 << 30, 999999999,
                                      1000000000, INT32_MAX,   -1,         -999,    -999999999,
                                      INT32_MIN,  -1000000000, -1000000001};
    struct zks__stem s = stem();
    for (size_t i = 0; i < COUNT(numbers); i++) {
        for (int mode = 0; mode < 2; mode++) {
            char prefix[ZKS__NAME_MAX + 1];
            char name[ZKS__NAME_MAX + 32];
            struct zks__contender c;
            zks__contender_prefix(prefix, &s, 77, mode ? ZKS__WRITE : ZKS__READ);
            (void)snprintf(name, sizeof name, "%s%010d", prefix, numbers[i]);
            assert_true(zks__contender_parse(name, &c));
            assert_int_equal(c.seq, numbers[i]);
            assert_int_equal(c.mode, mode ? ZKS__WRITE : ZKS__READ);
            assert_true(zks__stem_made(&s, 77, name));
        }
    }
}

/* A downgrade keeps the place and the token, and writes the number as the server would. */
static void test_downgraded(void **state)
{
    (void)state;
    static const int32_t numbers[] = {0, 42, INT32_MAX, -1, -999999999, -1000000000, INT32_MIN};
    struct zks__stem s = stem();
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char name[ZKS__NAME_MAX + 1];
        char number[32];
        struct zks__contender c;
        zks__contender_downgraded(name, &s, 3, 0xabcdef0123456789U, numbers[i]);
        (void)snprintf(number, sizeof number, "-read-%010d", numbers[i]);
        assert_string_equal(name + strlen(name) - strlen(number), number);
        assert_true(zks__contender_parse(name, &c));
        assert_int_equal(c.mode, ZKS__READ);
        assert_int_equal(c.seq, numbers[i]);
        assert_true(c.has_token);
        assert_true(c.token == 0xabcdef0123456789U);
        assert_true(zks__stem_made(&s, 3, name));
    }
}

static void test_serial_order(void **state)
{
    (void)state;
    static const struct {
        int32_t a, b;
        bool before;
    } table[] = {
        {0, 1, true},
        {1, 0, false},
        {5, 5, false},
        {0, INT32_MAX, true},
        {INT32_MAX, INT32_MIN, true}, /* The step over the end. */
        {INT32_MIN, INT32_MAX, false},
        {INT32_MAX, -2147483000, true},
        {-1, 0, true},
        {0, -1, false},
        {-2147483000, 2147483000, false},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(zks__seq_before(table[i].a, table[i].b), table[i].before);
    }
}

static void test_append(void **state)
{
    (void)state;
    char buf[ZKS__NAME_MAX + 1] = "x";
    zks__append_uint(buf, UINT64_MAX, 10, 1);
    assert_string_equal(buf, "x18446744073709551615");
    buf[0] = '\0';
    zks__append_uint(buf, 0, 16, 4);
    zks__append(buf, "-");
    zks__append_uint(buf, 255, 16, 1);
    assert_string_equal(buf, "0000-ff");
    /* A name may fill the buffer to its last byte. */
    memset(buf, 'a', ZKS__NAME_MAX - 1);
    buf[ZKS__NAME_MAX - 1] = '\0';
    zks__append(buf, "b");
    assert_int_equal(strlen(buf), ZKS__NAME_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stem_and_uuid), cmocka_unit_test(test_ownership),
        cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_contenders),
        cmocka_unit_test(test_foreign),       cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_downgraded),    cmocka_unit_test(test_serial_order),
        cmocka_unit_test(test_append),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
