/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/round.h"
#include "unit.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccc"
#define STEM "000102030405060708090a0b"
#define MAGIC "zksync-round 1\n"

static const struct zks__stem us = {STEM};

static void test_prefix(void **state)
{
    (void)state;
    char name[ZKS__NAME_MAX + 1];
    zks__member_prefix(name, "a-b", &us, 0x2a, 4096);
    assert_string_equal(name, "a-b-" STEM "0000002a-4096-");
}

static const struct {
    const char *name;
    const char *id;
    uint32_t n;
    int32_t seq;
} members[] = {
    {"a-" HEX_A "-3-0000000000", "a", 3, 0},
    {"host-7.example-" HEX_A "-12-0000000042", "host-7.example", 12, 42},
    {"a--" HEX_A "-3-0000000001", "a-", 3, 1},
    {"--" HEX_A "-3-0000000001", "-", 3, 1},
    {"3-" HEX_A "-3-0000000001", "3", 3, 1},
    /* Ids that look like the rest of a name. */
    {"a-" HEX_A "-3-0000000001-" HEX_B "-4-0000000002", "a-" HEX_A "-3-0000000001", 4, 2},
    {"a-" HEX_A "-" HEX_B "-4-0000000002", "a-" HEX_A, 4, 2},
    {HEX_A "-" HEX_B "-1-0000000002", HEX_A, 1, 2},
    {"ready-" HEX_B "-1-0000000002", "ready", 1, 2},
    {"a-" HEX_A "-3-2147483647", "a", 3, INT32_MAX},
    {"a-" HEX_A "-3--000000001", "a", 3, -1},
};

static void test_members(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(members); i++) {
        struct zks__member m;
        print_message("# %s\n", members[i].name);
        assert_true(zks__member_parse(members[i].name, &m));
        assert_int_equal(m.id_len, strlen(members[i].id));
        assert_memory_equal(m.id, members[i].id, m.id_len);
        assert_int_equal(m.n, members[i].n);
        assert_int_equal(m.seq, members[i].seq);
    }
}

/* The counter's first number past its end is -2147483648, which "%010d" writes with 11 bytes. */
static void test_member_past_the_end(void **state)
{
    (void)state;
    static const int32_t numbers[] = {INT32_MIN, INT32_MIN + 1, -1000000000, -999999999};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char prefix[ZKS__NAME_MAX + 1];
        char name[ZKS__NAME_MAX + 16];
        struct zks__member m;
        zks__member_prefix(prefix, "id", &us, 1, 3);
        (void)snprintf(name, sizeof name, "%s%010d", prefix, numbers[i]);
        print_message("# %s\n", name);
        assert_true(zks__member_parse(name, &m));
        assert_int_equal(m.seq, numbers[i]);
        assert_int_equal(m.n, 3);
    }
}

static void test_no_members(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        "ready",
        "0000000001",
        "-0000000001",
        "a-0000000001",
        "a-3-0000000001",
        "-" HEX_A "-3-0000000001",
        HEX_A "-3-0000000001",
        "a-" HEX_A "-0000000001",
        "a-" HEX_A "--0000000001",
        "a-" HEX_A "-x-0000000001",
        "a-" HEX_A "-3-000000001",
        "a-" HEX_A "-3-00000000x1",
        "a-" HEX_A "-3-9999999999",
        "a-" HEX_A "-3_0000000001",
        "a-" HEX_A "3-0000000001",
        "a-" HEX_A "-1000000000-0000000001",
        "a-Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-3-0000000001",
        "a-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-3-0000000001",
        "a-aaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-3-0000000001",
        "ab" HEX_A "-3-0000000001",
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        struct zks__member m;
        print_message("# %s\n", names[i]);
        assert_false(zks__member_parse(names[i], &m));
    }
}

static void test_roster_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"a-" HEX_A "-2-0000000000", "b-" HEX_B "-2-0000000001"};
    struct zks__roster r;
    char text[512];
    size_t len = zks__roster_write(NULL, HEX_C, names, COUNT(names));
    assert_true(len < sizeof text);
    assert_int_equal(zks__roster_write(text, HEX_C, names, COUNT(names)), len);
    static const char whole[] =
        MAGIC HEX_C "\na-" HEX_A "-2-0000000000\nb-" HEX_B "-2-0000000001\n";
    assert_int_equal(len, sizeof whole - 1);
    assert_memory_equal(text, whole, len);

    assert_true(zks__roster_parse(text, len, &r));
    assert_string_equal(r.round, HEX_C);
    size_t at = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t name_len = 0;
        const char *name = zks__roster_next(&r, &at, &name_len);
        assert_non_null(name);
        assert_int_equal(name_len, strlen(names[i]));
        assert_memory_equal(name, names[i], name_len);
    }
    size_t unused;
    assert_null(zks__roster_next(&r, &at, &unused));
}

/* A copy without anything behind it, so that a sanitizer sees a read past the end. */
static char *exact(const char *text, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static void test_malformed_rosters(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "zksync-round 1",
        MAGIC,
        MAGIC HEX_A,
        MAGIC HEX_A "\na-x",
        MAGIC HEX_A "a\n",
        MAGIC "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        MAGIC "aaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaa\n",
        "zksync-round 2\n" HEX_A "\n",
        "Zksync-round 1\n" HEX_A "\n",
        HEX_A "\n",
        MAGIC "\taaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        MAGIC "aaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaa\n",
        MAGIC "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA\n",
    };
    struct zks__roster r;
    assert_false(zks__roster_parse(NULL, 0, &r));
    for (size_t i = 0; i < COUNT(texts); i++) {
        char *text = exact(texts[i], strlen(texts[i]));
        print_message("# %zu\n", i);
        assert_false(zks__roster_parse(text, strlen(texts[i]), &r));
        free(text);
    }
    static const char zero[] = MAGIC "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\n";
    assert_false(zks__roster_parse(zero, sizeof zero - 1, &r));
    assert_true(zks__roster_parse(MAGIC HEX_A "\n", strlen(MAGIC HEX_A "\n"), &r));
    assert_int_equal(r.len, 0);
}

/* `ready` is what anybody may write: whatever it says, nothing is read past the end of a name. */
static void test_roster_with_zeros(void **state)
{
    (void)state;
    static const char text[] = MAGIC HEX_A "\nx\0yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n";
    char *data = exact(text, sizeof text - 1);
    char *child = exact("x", 2);
    const char *children[] = {child};
    struct zks__roster r;
    if (zks__roster_parse(data, sizeof text - 1, &r)) {
        struct zks__presence p = zks__roster_presence(&r, children, 1);
        assert_int_equal(p.live, 0);
    }
    free(child);
    free(data);
}

static void test_roster_part(void **state)
{
    (void)state;
    static const char text[] =
        MAGIC HEX_A "\na-" HEX_A "-2-0000000000\nb-" STEM "00000007-2-0000000001\n";
    struct zks__roster r;
    assert_true(zks__roster_parse(text, sizeof text - 1, &r));
    assert_int_equal(zks__roster_part(&r, &us, 7, 7), ZKS__PART_OURS);
    assert_int_equal(zks__roster_part(&r, &us, 1, 7), ZKS__PART_OURS);
    assert_int_equal(zks__roster_part(&r, &us, 1, 9), ZKS__PART_EARLIER);
    assert_int_equal(zks__roster_part(&r, &us, 7, 8), ZKS__PART_EARLIER);
    assert_int_equal(zks__roster_part(&r, &us, 1, 6), ZKS__PART_NONE);
    assert_int_equal(zks__roster_part(&r, &us, 8, 70), ZKS__PART_NONE);
    assert_int_equal(zks__roster_part(&r, &us, 70, 70), ZKS__PART_NONE);
    static const char empty[] = MAGIC HEX_A "\n";
    assert_true(zks__roster_parse(empty, sizeof empty - 1, &r));
    assert_int_equal(zks__roster_part(&r, &us, 1, 7), ZKS__PART_NONE);
}

static struct zks__presence presence(const char *names, const char **children, size_t n)
{
    char text[2048];
    struct zks__roster r;
    int len = snprintf(text, sizeof text, MAGIC HEX_C "\n%s", names);
    assert_true(zks__roster_parse(text, (size_t)len, &r));
    return zks__roster_presence(&r, children, n);
}

static void test_presence(void **state)
{
    (void)state;
    static const char names[] =
        "a-" HEX_A "-3-0000000000\nb-" HEX_A "-3-0000000001\nc-d-" HEX_A "-3-0000000002\n";
    const char *children[] = {"ready", "z", "c-d-" HEX_A "-3-0000000002",
                              "b-" HEX_A "-3-00000000010", "a-" HEX_A "-3-0000000000"};
    struct zks__presence p = presence(names, children, COUNT(children));
    assert_int_equal(p.total, 3);
    assert_int_equal(p.live, 2);
    p = presence(names, children, 0);
    assert_int_equal(p.total, 3);
    assert_int_equal(p.live, 0);
    p = presence("", children, COUNT(children));
    assert_int_equal(p.total, 0);
}

struct standing_row {
    const char *what;
    const char *children[8];
    const char *own;
    struct zks__standing is;
    const char *order[8];
};

#define A0 "a-" HEX_A "-3-0000000000"
#define A5 "a-" HEX_B "-3-0000000005"
#define A7 "a-" HEX_C "-3-0000000007"
#define B1 "b-" HEX_A "-3-0000000001"
#define C2 "c-" HEX_A "-4-0000000002"
#define D3 "d-" HEX_A "-3-0000000003"
#define US1 "u-" STEM "00000001-3-0000000000"
#define US2 "u-" STEM "00000002-3-0000000004"
#define MAX "m-" HEX_A "-3-2147483647"
#define NEG "n-" HEX_A "-3--000000009"

static const struct standing_row standing_rows[] = {
    {"alone", {A0}, A0, {true, false, 0, 1}, {A0}},
    {"absent", {A0, "ready"}, B1, {false, false, 0, 0}, {NULL}},
    {"by arrival", {D3, "ready", A0, B1}, D3, {true, false, 2, 3}, {A0, B1, D3}},
    {"the first of two with an id counts", {A5, B1, A0}, A0, {true, false, 0, 2}, {A0, B1}},
    {"an id of the same beginning is another",
     {"ab-" HEX_A "-3-0000000007", A0},
     A0,
     {true, false, 0, 2},
     {A0, "ab-" HEX_A "-3-0000000007"}},
    {"whoever has another n is told", {A0, C2, D3}, C2, {true, true, 0, 2}, {A0, D3}},
    {"and does not count", {A0, C2, D3}, D3, {true, false, 1, 2}, {A0, D3}},
    {"who comes first decides on n", {C2, D3}, D3, {true, true, 0, 1}, {C2}},
    {"surplus has a rank too", {A0, B1, D3, US2}, US2, {true, false, 3, 4}, {A0, B1, D3, US2}},
    {"our stray gives way", {US1, US2, B1}, US2, {true, false, 1, 2}, {B1, US2}},
    {"over the end of the counter", {NEG, MAX}, NEG, {true, false, 1, 2}, {MAX, NEG}},
    {"strangers do not count",
     {"lock-0000000000", A0, "x-3-0000000000", "-"},
     A0,
     {true, false, 0, 1},
     {A0}},
};

/* Which of a listing is the namesake that a participant has to wait for. */
static void test_namesake(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *children[8];
        const char *own;
        const char *is;
    } rows[] = {
        {"alone", {A0, "ready"}, A0, NULL},
        {"another id", {A0, B1}, B1, NULL},
        {"an earlier one", {A5, B1, A0}, A5, A0},
        {"a later one", {A5, B1, A0}, A0, NULL},
        {"the first of several", {A7, A5, A0}, A7, A0},
        {"of another n", {"a-" HEX_C "-4-0000000002", A5}, A5, "a-" HEX_C "-4-0000000002"},
        {"an earlier one of ours", {US1, US2}, US2, NULL},
        {"our own is missing", {A0, B1}, A5, NULL},
        {"an id of the same beginning", {"ab-" HEX_A "-3-0000000000", A5}, A5, NULL},
        /* Somebody's id may begin with ours and something that looks like a uuid. */
        {"an id that looks like ours and more",
         {"a-" HEX_A "-7-" HEX_B "-3-0000000000", A5},
         A5,
         NULL},
        {"an id with a dash",
         {"c-d-" HEX_A "-3-0000000000", "c-d-" HEX_B "-3-0000000001"},
         "c-d-" HEX_B "-3-0000000001",
         "c-d-" HEX_A "-3-0000000000"},
        {"over the end of the counter",
         {"n-" HEX_B "-3-2147483647", NEG},
         NEG,
         "n-" HEX_B "-3-2147483647"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = 0;
        while (n < COUNT(rows[i].children) && rows[i].children[n] != NULL) {
            n++;
        }
        print_message("# %s\n", rows[i].what);
        const char *is = zks__namesake(rows[i].children, n, rows[i].own, &us);
        if (rows[i].is == NULL) {
            assert_null(is);
        } else {
            assert_non_null(is);
            assert_string_equal(is, rows[i].is);
        }
    }
}

static void test_standing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(standing_rows); i++) {
        const struct standing_row *row = &standing_rows[i];
        const char *children[COUNT(row->children)];
        size_t n = 0;
        memcpy(children, row->children, sizeof children);
        while (n < COUNT(children) && children[n] != NULL) {
            n++;
        }
        print_message("# %s\n", row->what);
        struct zks__standing s = zks__round_standing(children, n, row->own, &us);
        assert_int_equal(s.present, row->is.present);
        assert_int_equal(s.mismatch, row->is.mismatch);
        assert_int_equal(s.count, row->is.count);
        if (!s.mismatch) {
            assert_int_equal(s.rank, row->is.rank);
        }
        for (size_t k = 0; k < s.count; k++) {
            assert_string_equal(children[k], row->order[k]);
        }
    }
}

enum { CROWD = 24 };

struct person {
    char name[128];
    int id;
    uint32_t n;
    int32_t seq;
    int age; /* The order of arrival: the oracle's truth. */
    bool stray;
};

static void make_crowd(struct person *p, int count, int own, uint64_t *seed)
{
    uint32_t seq = unit_below(seed, 3) == 0 ? (uint32_t)INT32_MAX - 150U : 100;
    for (int i = 0; i < count; i++) {
        char uuid[ZKS__UUID_LEN + 1];
        bool alien = unit_below(seed, 6) == 0 && i != own;
        p[i].age = i;
        p[i].id = (int)unit_below(seed, 12);
        p[i].n = unit_below(seed, 5) == 0 ? 7 : 6;
        p[i].stray = i != own && unit_below(seed, 8) == 0;
        p[i].seq = (int32_t)seq;
        seq += 1 + unit_below(seed, 30);
        if (p[i].stray || i == own) {
            zks__uuid(uuid, &us, (uint32_t)i);
        } else {
            (void)snprintf(uuid, sizeof uuid, "f%031x", (unsigned)unit_random(seed));
        }
        if (alien) {
            p[i].id = -1;
            p[i].stray = false;
            (void)snprintf(p[i].name, sizeof p[i].name, "alien-%d-%010d", i, p[i].seq);
        } else {
            (void)snprintf(p[i].name, sizeof p[i].name, "p-%d-%s-%u-%010d", p[i].id, uuid, p[i].n,
                           p[i].seq);
        }
    }
}

/* The first who came before with the same id; -1 for none. */
static int earlier_namesake(const struct person *p, int i)
{
    for (int k = 0; k < i; k++) {
        if (p[k].id == p[i].id && !p[k].stray) {
            return k;
        }
    }
    return -1;
}

/* By the words of round.h alone, in quadratic time. */
static struct zks__standing naive(const struct person *p, int count, int own, int *order)
{
    struct zks__standing s = {.present = true};
    int first = -1;
    for (int i = 0; i < count; i++) {
        if (p[i].id < 0 || p[i].stray || earlier_namesake(p, i) >= 0) {
            continue;
        }
        first = first < 0 ? i : first;
        if (p[i].n != p[first].n) {
            s.mismatch |= i == own;
            continue;
        }
        if (i == own) {
            s.rank = s.count;
        }
        order[s.count++] = i;
    }
    return s;
}

static void random_standing(uint64_t *seed)
{
    struct person p[CROWD];
    const char *children[CROWD];
    int order[CROWD] = {0};
    int count = 1 + (int)unit_below(seed, CROWD);
    int own = (int)unit_below(seed, (uint32_t)count);
    make_crowd(p, count, own, seed);
    for (int i = 0; i < count; i++) {
        children[i] = p[i].name;
    }
    for (int i = count - 1; i > 0; i--) {
        int k = (int)unit_below(seed, (uint32_t)i + 1);
        const char *t = children[i];
        children[i] = children[k];
        children[k] = t;
    }
    const char *namesake = zks__namesake(children, (size_t)count, p[own].name, &us);
    int earlier = earlier_namesake(p, own);
    if (earlier >= 0) {
        assert_ptr_equal(namesake, p[earlier].name);
        return;
    }
    assert_null(namesake);
    struct zks__standing want = naive(p, count, own, order);
    struct zks__standing s = zks__round_standing(children, (size_t)count, p[own].name, &us);
    assert_true(s.present);
    assert_int_equal(s.mismatch, want.mismatch);
    assert_int_equal(s.count, want.count);
    if (!s.mismatch) {
        assert_int_equal(s.rank, want.rank);
    }
    for (size_t i = 0; i < s.count; i++) {
        assert_string_equal(children[i], p[order[i]].name);
    }
}

static void test_random_standing(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (size_t i = 0; i < 20000; i += unit_step(7)) {
        random_standing(&seed);
    }
}

/* Presence against a search one by one. */
static void test_random_presence(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (size_t round = 0; round < 5000; round += unit_step(5)) {
        char names[4096] = "";
        char text[CROWD][64];
        const char *children[CROWD];
        size_t n = 0;
        size_t total = 0;
        size_t live = 0;
        for (int i = 0; i < CROWD; i++) {
            bool in_roster = unit_below(&seed, 2) == 0;
            bool alive = unit_below(&seed, 2) == 0;
            (void)snprintf(text[i], sizeof text[i], "%u-%s-9-%010d", unit_below(&seed, 12),
                           i % 3 ? HEX_A : HEX_B, i);
            if (in_roster) {
                strcat(strcat(names, text[i]), "\n");
                total++;
                live += alive;
            }
            if (alive) {
                children[n++] = text[i];
            }
        }
        struct zks__presence p = presence(names, children, n);
        assert_int_equal(p.total, total);
        assert_int_equal(p.live, live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_member_past_the_end),
        cmocka_unit_test(test_no_members),
        cmocka_unit_test(test_roster_round_trip),
        cmocka_unit_test(test_malformed_rosters),
        cmocka_unit_test(test_roster_with_zeros),
        cmocka_unit_test(test_roster_part),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_namesake),
        cmocka_unit_test(test_standing),
        cmocka_unit_test(test_random_standing),
        cmocka_unit_test(test_random_presence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
