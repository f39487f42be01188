/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that succeed, and what they leave in the Stats.  tree_rules_test.c has those that do not. */
#include <string.h>

#include "tree_dump.h"

/* The n-th write has the zxid n and the time 1000000 + 10 n; see garden_next(). */

/* czxid mzxid pzxid, ctime mtime, version cversion aversion, owner, data, children */
static void assert_stat(const struct zks__znode_stat *stat, const char *want)
{
    struct text text = {0};
    dump_stat(&text, stat);
    assert_string_equal(text_get(&text) + 1, want);
    text_free(&text);
}

static void assert_stat_of(const struct garden *g, const char *path, const char *want)
{
    struct zks__znode_stat stat = garden_stat(g, path);
    assert_stat(&stat, want);
}

static void test_new_tree(void **state)
{
    (void)state;
    static const char *const empty[] = {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"};
    const struct zks__acl *acl;
    struct zks__znode_stat stat;
    const void *data;
    bool veiled;
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_true(zks__tree_zxid(g.tree) == 0);
    assert_stat_of(&g, "/", "0 0 0 0 0 0 -1 0 0 0 1");
    assert_stat_of(&g, "/zookeeper", "0 0 0 0 0 0 -2 0 0 0 2");
    assert_stat_of(&g, "/zookeeper/quota", "0 0 0 0 0 0 0 0 0 0 0");
    assert_stat_of(&g, "/zookeeper/config", "0 0 0 0 0 0 0 -1 0 0 0");
    for (size_t i = 0; i < COUNT(empty); i++) {
        assert_int_equal(zks__tree_get(g.tree, &nobody, empty[i], NULL, &data, &stat), ZKS__Z_OK);
        assert_non_null(data); /* There are data, of no bytes. */
        assert_int_equal(zks__tree_get_acl(g.tree, &nobody, empty[i], &acl, &veiled, &stat),
                         ZKS__Z_OK);
        assert_int_equal(acl == NULL, i < 3);
        assert_int_equal(veiled, i == 3);
    }
    assert_int_equal(acl->n, 1);
    assert_int_equal(acl->aces[0].perms, ZKS__PERM_READ);
    assert_string_equal(acl->aces[0].id.scheme, "world");
    assert_null(zks__tree_next_session(g.tree, NULL));
    assert_null(zks__tree_reapable(g.tree, INT64_MAX, NULL));
    garden_check(&g);
    garden_close(&g);
}

/* ---- Creates ---- */

static const struct {
    int mode;
    const char *path;
    int64_t owner;
    bool reaped; /* Once its time is over; a container that had no child stays. */
} modes[] = {
    {ZKS__PERSISTENT, "/p/x", 0, false},
    {ZKS__EPHEMERAL, "/p/x", 7, false},
    {ZKS__PERSISTENT_SEQUENTIAL, "/p/x0000000000", 0, false},
    {ZKS__EPHEMERAL_SEQUENTIAL, "/p/x0000000000", 7, false},
    {ZKS__CONTAINER, "/p/x", 0, false},
    {ZKS__PERSISTENT_TTL, "/p/x", 0, true},
    {ZKS__PERSISTENT_SEQUENTIAL_TTL, "/p/x0000000000", 0, true},
};

static void test_modes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(modes); i++) {
        const struct zks__who who = session_of(7);
        struct zks__op op = op_create("/p/x", modes[i].mode);
        struct zks__op_result result;
        struct garden g;
        print_message("# %d\n", modes[i].mode);
        garden_open(&g, NULL, NULL);
        assert_int_equal(garden_open_session(&g, 7), ZKS__Z_OK);
        garden_create(&g, "/p", ZKS__PERSISTENT);
        op.data = "abc";
        op.data_len = 3;
        assert_int_equal(garden_write(&g, &who, &op, &result), ZKS__Z_OK);
        assert_string_equal(result.path, modes[i].path);
        assert_true(result.stat.ephemeral_owner == modes[i].owner);
        result.stat.ephemeral_owner = 0;
        assert_stat(&result.stat, "3 3 3 1000030 1000030 0 0 0 0 3 0");
        result.stat.ephemeral_owner = modes[i].owner;
        struct zks__znode_stat stat = garden_stat(&g, modes[i].path);
        assert_true(stat_equal(&stat, &result.stat));
        assert_stat_of(&g, "/p", "2 2 3 1000020 1000020 0 1 0 0 0 1");
        assert_stat_of(&g, "/", "0 0 2 0 0 0 0 0 0 0 2");
        const char *reaped = zks__tree_reapable(g.tree, 2000000, NULL);
        assert_int_equal(reaped != NULL, modes[i].reaped);
        const char *ephemeral = zks__tree_ephemerals(g.tree, 7, "", NULL);
        assert_int_equal(ephemeral != NULL, modes[i].owner == 7);
        garden_check(&g);
        garden_close(&g);
    }
}

/* No data, empty data and data with zeros, of which the tree has a copy. */
static void test_data(void **state)
{
    (void)state;
    static const size_t none = SIZE_MAX;
    const size_t lengths[] = {none, 0, 1, 5, 4096, none, 3};
    unsigned char bytes[4096];
    struct zks__op_result result;
    struct zks__znode_stat stat;
    const void *data;
    struct garden g;
    garden_open(&g, NULL, NULL);
    for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
        bool first = i == COUNT(lengths);
        size_t len = lengths[i % COUNT(lengths)];
        bool set = i > COUNT(lengths);
        struct zks__op op = set ? op_set("/s", NULL, -1) : op_create("/s", first ? 0 : 2);
        memset(bytes, (int)i, sizeof bytes);
        bytes[0] = 0;
        op.data = len != none ? bytes : NULL;
        op.data_len = len != none ? len : 0;
        assert_int_equal(garden_write(&g, &super, &op, &result), ZKS__Z_OK);
        memset(bytes, 0x77, sizeof bytes);
        const char *path = set ? "/s" : result.path;
        assert_int_equal(zks__tree_get(g.tree, &nobody, path, NULL, &data, &stat), ZKS__Z_OK);
        assert_int_equal(data == NULL, len == none);
        assert_int_equal(stat.data_length, op.data_len);
        for (size_t k = 0; k < op.data_len; k++) {
            assert_int_equal(((const unsigned char *)data)[k], k == 0 ? 0 : i);
        }
        garden_check(&g);
    }
    garden_close(&g);
}

/* The path of what was created, and the pointers of a read, are good until the next write. */
static void test_results_last(void **state)
{
    (void)state;
    struct zks__op op = op_create("/a-", ZKS__PERSISTENT_SEQUENTIAL);
    struct zks__op_result result;
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_int_equal(garden_write(&g, &super, &op, &result), ZKS__Z_OK);
    for (int i = 0; i < 100; i++) {
        (void)zks__tree_exists(g.tree, &super, "/x", &g.watchers[0], &stat);
        (void)zks__tree_children(g.tree, &super, "/", &g.watchers[1], &child, &stat);
    }
    assert_string_equal(result.path, "/a-0000000000");
    op = op_delete("/a-0000000000", -1);
    assert_int_equal(garden_write(&g, &super, &op, &result), ZKS__Z_OK);
    assert_null(result.path);
    garden_close(&g);
}

/* ---- Sequence numbers ---- */

static void assert_next(struct garden *g, const char *prefix, const char *path)
{
    struct zks__op op = op_create(prefix, ZKS__PERSISTENT_SEQUENTIAL);
    struct zks__op_result result;
    int code = garden_write(g, &super, &op, &result);
    if (path == NULL) {
        assert_int_equal(code, ZKS__Z_NODEEXISTS);
        assert_null(result.path);
    } else {
        assert_int_equal(code, ZKS__Z_OK);
        assert_string_equal(result.path, path);
    }
}

/* It counts how many children have ever been created, of whichever kind. */
static void test_sequence(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_next(&g, "/", "/0000000000");
    garden_create(&g, "/q", ZKS__PERSISTENT);
    assert_next(&g, "/x-", "/x-0000000002");
    assert_next(&g, "/q/", "/q/0000000000");
    assert_next(&g, "/q/a", "/q/a0000000001");
    assert_next(&g, "/q/.", "/q/.0000000002");
    assert_next(&g, "/q/..", "/q/..0000000003");
    garden_create(&g, "/q/c", ZKS__CONTAINER);
    garden_create(&g, "/q/t", ZKS__PERSISTENT_TTL);
    assert_next(&g, "/q/a", "/q/a0000000006");
    assert_int_equal(garden_do(&g, op_delete("/q/a0000000006", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/q/c", -1)), ZKS__Z_OK);
    assert_next(&g, "/q/a", "/q/a0000000007");
    /* What fails does not count. */
    assert_int_equal(garden_do(&g, op_create("/q/t", ZKS__PERSISTENT)), ZKS__Z_NODEEXISTS);
    assert_next(&g, "/q/a", "/q/a0000000008");
    /* Children of children do not count, nor do writes. */
    assert_next(&g, "/q/t/", "/q/t/0000000000");
    assert_int_equal(garden_do(&g, op_set("/q", "x", -1)), ZKS__Z_OK);
    assert_next(&g, "/q/a", "/q/a0000000009");
    garden_create(&g, "/q/a0000000011", ZKS__PERSISTENT);
    assert_next(&g, "/q/a", NULL);
    assert_next(&g, "/q/b", "/q/b0000000011");
    assert_next(&g, "/q/a", "/q/a0000000012");
    /* A znode that comes again counts from 0. */
    garden_create(&g, "/r", ZKS__PERSISTENT);
    assert_next(&g, "/r/", "/r/0000000000");
    assert_int_equal(garden_do(&g, op_delete("/r/0000000000", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/r", -1)), ZKS__Z_OK);
    garden_create(&g, "/r", ZKS__PERSISTENT);
    assert_next(&g, "/r/", "/r/0000000000");
    garden_check(&g);
    garden_close(&g);
}

static void test_long_numbers(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/q", ZKS__PERSISTENT);
    garden_node(&g, "/q")->creates = 999999999;
    assert_next(&g, "/q/", "/q/0999999999");
    assert_next(&g, "/q/", "/q/1000000000");
    garden_node(&g, "/q")->creates = INT32_MAX - 1;
    assert_next(&g, "/q/", "/q/2147483646");
    garden_close(&g);
}

/* The counter does not go beyond 2^31 - 1: the server takes over a larger one only.  With it the
 * pzxid stays, though children come and go. */
static void test_end_of_the_counter(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/q", ZKS__PERSISTENT);
    garden_node(&g, "/q")->creates = INT32_MAX - 1;
    assert_next(&g, "/q/a", "/q/a2147483646");
    assert_stat_of(&g, "/q", "1 1 2 1000010 1000010 0 -3 0 0 0 1");
    assert_next(&g, "/q/a", "/q/a2147483647");
    assert_stat_of(&g, "/q", "1 1 2 1000010 1000010 0 -4 0 0 0 2");
    assert_next(&g, "/q/a", NULL);
    assert_next(&g, "/q/b", "/q/b2147483647");
    garden_create(&g, "/q/c", ZKS__PERSISTENT);
    assert_stat_of(&g, "/q", "1 1 2 1000010 1000010 0 -6 0 0 0 4");
    assert_int_equal(garden_do(&g, op_delete("/q/a2147483647", -1)), ZKS__Z_OK);
    assert_stat_of(&g, "/q", "1 1 7 1000010 1000010 0 -5 0 0 0 3");
    assert_next(&g, "/q/a", "/q/a2147483647");
    assert_stat_of(&g, "/q", "1 1 7 1000010 1000010 0 -6 0 0 0 4");
    garden_check(&g);
    garden_close(&g);
}

/* ---- Stats ---- */

static void test_stat_of_children(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/p", ZKS__PERSISTENT);
    garden_create(&g, "/p/a", ZKS__PERSISTENT);
    garden_create(&g, "/p/b", ZKS__PERSISTENT);
    assert_stat_of(&g, "/p", "1 1 3 1000010 1000010 0 2 0 0 0 2");
    garden_create(&g, "/p/a/x", ZKS__PERSISTENT);
    assert_stat_of(&g, "/p", "1 1 3 1000010 1000010 0 2 0 0 0 2");
    assert_int_equal(garden_do(&g, op_delete("/p/b", -1)), ZKS__Z_OK);
    assert_stat_of(&g, "/p", "1 1 5 1000010 1000010 0 3 0 0 0 1");
    assert_int_equal(garden_do(&g, op_delete("/p/b", -1)), ZKS__Z_NONODE);
    assert_stat_of(&g, "/p", "1 1 5 1000010 1000010 0 3 0 0 0 1");
    assert_int_equal(garden_do(&g, op_delete("/p/a/x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/p/a", -1)), ZKS__Z_OK);
    assert_stat_of(&g, "/p", "1 1 8 1000010 1000010 0 4 0 0 0 0");
    assert_stat_of(&g, "/", "0 0 1 0 0 0 0 0 0 0 2");
    garden_close(&g);
}

static void test_stat_of_sets(void **state)
{
    (void)state;
    struct zks__op op;
    struct zks__op_result result;
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/p", ZKS__PERSISTENT);
    garden_create(&g, "/p/a", ZKS__PERSISTENT);
    op = op_set("/p", "hello", 0);
    assert_int_equal(garden_write(&g, &nobody, &op, &result), ZKS__Z_OK);
    assert_null(result.path);
    assert_stat(&result.stat, "1 3 2 1000010 1000030 1 1 0 0 5 1");
    assert_stat_of(&g, "/p", "1 3 2 1000010 1000030 1 1 0 0 5 1");
    op = op_set("/p", NULL, 1);
    assert_int_equal(garden_write(&g, &nobody, &op, &result), ZKS__Z_OK);
    assert_stat(&result.stat, "1 4 2 1000010 1000040 2 1 0 0 0 1");
    op = op_set_acl("/p", open_acl, 1, 0);
    assert_int_equal(garden_write(&g, &nobody, &op, &result), ZKS__Z_OK);
    assert_stat(&result.stat, "1 4 2 1000010 1000040 2 1 1 0 0 1");
    op = op_set_acl("/p", open_acl, 1, -1);
    assert_int_equal(garden_write(&g, &nobody, &op, &result), ZKS__Z_OK);
    assert_stat(&result.stat, "1 4 2 1000010 1000040 2 1 2 0 0 1");
    op = op_check("/p", 2);
    assert_int_equal(garden_write(&g, &nobody, &op, &result), ZKS__Z_OK);
    assert_stat_of(&g, "/p", "1 4 2 1000010 1000040 2 1 2 0 0 1");
    assert_stat_of(&g, "/", "0 0 1 0 0 0 0 0 0 0 2");
    garden_check(&g);
    garden_close(&g);
}

/* The znodes that are always there can be written to like others. */
static void test_sets_of_special_znodes(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_int_equal(garden_do(&g, op_set("/", "root", 0)), ZKS__Z_OK);
    assert_stat_of(&g, "/", "0 1 0 0 1000010 1 -1 0 0 4 1");
    assert_int_equal(garden_do(&g, op_set_acl("/", open_acl, 1, 0)), ZKS__Z_OK);
    assert_stat_of(&g, "/", "0 1 0 0 1000010 1 -1 1 0 4 1");
    assert_int_equal(garden_do(&g, op_set("/zookeeper", "x", 0)), ZKS__Z_OK);
    assert_stat_of(&g, "/zookeeper", "0 3 0 0 1000030 1 -2 0 0 1 2");
    garden_create(&g, "/zookeeper/mine", ZKS__PERSISTENT);
    assert_stat_of(&g, "/zookeeper", "0 3 4 0 1000030 1 -1 0 0 1 3");
    assert_int_equal(garden_do(&g, op_delete("/zookeeper/mine", -1)), ZKS__Z_OK);
    /* The list of this one began with the version -1. */
    assert_int_equal(garden_do(&g, op_set_acl("/zookeeper/config", open_acl, 1, -1)), ZKS__Z_OK);
    assert_int_equal(garden_stat(&g, "/zookeeper/config").aversion, 0);
    garden_check(&g);
    garden_close(&g);
}

/* ---- Versions ---- */

static const struct {
    int32_t is;
    int32_t asked;
    int code;
    int32_t becomes;
} versions[] = {
    {0, -1, ZKS__Z_OK, 1},
    {0, 0, ZKS__Z_OK, 1},
    {0, 1, ZKS__Z_BADVERSION, 0},
    {0, -2, ZKS__Z_BADVERSION, 0},
    {0, INT32_MIN, ZKS__Z_BADVERSION, 0},
    {5, 4, ZKS__Z_BADVERSION, 5},
    {5, 5, ZKS__Z_OK, 6},
    {INT32_MAX, INT32_MAX, ZKS__Z_OK, INT32_MIN},
    {INT32_MAX, -1, ZKS__Z_OK, INT32_MIN},
    {INT32_MIN, INT32_MIN, ZKS__Z_OK, INT32_MIN + 1},
    {INT32_MIN, INT32_MAX, ZKS__Z_BADVERSION, INT32_MIN},
    {-2, -2, ZKS__Z_OK, -1},
    {-2, -1, ZKS__Z_OK, -1},
    {-1, -1, ZKS__Z_OK, 0},
    {-1, 0, ZKS__Z_BADVERSION, -1},
};

static void test_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct garden g;
        garden_open(&g, NULL, NULL);
        print_message("# %d asked %d\n", (int)versions[i].is, (int)versions[i].asked);
        garden_create(&g, "/a", ZKS__PERSISTENT);
        garden_node(&g, "/a")->version = (uint32_t)versions[i].is;
        garden_node(&g, "/a")->aversion = (uint32_t)versions[i].is;
        assert_int_equal(garden_do(&g, op_check("/a", versions[i].asked)), versions[i].code);
        assert_int_equal(garden_do(&g, op_set("/a", "x", versions[i].asked)), versions[i].code);
        assert_int_equal(garden_stat(&g, "/a").version, versions[i].becomes);
        assert_int_equal(garden_stat(&g, "/a").aversion, versions[i].is);
        assert_int_equal(garden_do(&g, op_set_acl("/a", open_acl, 1, versions[i].asked)),
                         versions[i].code);
        assert_int_equal(garden_stat(&g, "/a").aversion, versions[i].becomes);
        garden_node(&g, "/a")->version = (uint32_t)versions[i].is;
        assert_int_equal(garden_do(&g, op_delete("/a", versions[i].asked)), versions[i].code);
        garden_close(&g);
    }
}

/* Twice the creates less the children that are left, as Java counts with 32 bits. */
static void test_cversions(void **state)
{
    (void)state;
    static const struct {
        uint32_t creates;
        int32_t cversion; /* With one child, after one more create. */
    } rows[] = {
        {0, 1},
        {100, 201},
        {0x3ffffffe, 0x7ffffffd},
        {0x3fffffff, 0x7fffffff},
        {0x40000000, -0x7fffffff},
        {0x7ffffffd, -5},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct garden g;
        garden_open(&g, NULL, NULL);
        garden_create(&g, "/a", ZKS__PERSISTENT);
        garden_node(&g, "/a")->creates = rows[i].creates;
        garden_create(&g, "/a/b", ZKS__PERSISTENT);
        assert_int_equal(garden_stat(&g, "/a").cversion, rows[i].cversion);
        garden_close(&g);
    }
}

/* ---- What holds of all of them ---- */

/* A write that is refused uses up its zxid, and so does one that never got here. */
static void test_zxid(void **state)
{
    (void)state;
    struct zks__op_result result[2];
    const struct zks__op ops[] = {op_create("/a", 0), op_create("/a", 0)};
    struct garden g;
    garden_open(&g, NULL, NULL);
    g.txn.zxid = INT64_C(0x500000000);
    assert_int_equal(garden_do(&g, op_delete("/a", -1)), ZKS__Z_NONODE);
    assert_true(zks__tree_zxid(g.tree) == INT64_C(0x500000001));
    zks__tree_idle(g.tree, garden_next(&g));
    assert_true(zks__tree_zxid(g.tree) == INT64_C(0x500000002));
    assert_false(zks__tree_multi(g.tree, garden_next(&g), &super, ops, 2, result));
    assert_true(zks__tree_zxid(g.tree) == INT64_C(0x500000003));
    garden_close_session(&g, 99);
    assert_true(zks__tree_zxid(g.tree) == INT64_C(0x500000004));
    assert_int_equal(garden_open_session(&g, 99), ZKS__Z_OK);
    assert_int_equal(garden_open_session(&g, 99), ZKS__Z_NODEEXISTS);
    assert_true(zks__tree_zxid(g.tree) == INT64_C(0x500000006));
    g.txn.zxid = INT64_MAX - 1;
    garden_create(&g, "/z", ZKS__PERSISTENT);
    assert_true(garden_stat(&g, "/z").czxid == INT64_MAX);
    garden_close(&g);
}

/* What a tree is depends on the writes alone. */
static void test_deep_and_wide(void **state)
{
    (void)state;
    enum { DEEP = 400, WIDE = 3000 };
    char path[2 * DEEP + 1] = "";
    size_t count;
    struct garden g;
    garden_open(&g, NULL, NULL);
    for (int i = 0; i < DEEP; i++) {
        strcat(path, "/d");
        garden_create(&g, path, ZKS__PERSISTENT);
    }
    for (int i = 0; i < WIDE; i++) {
        garden_create(&g, "/d/w", ZKS__PERSISTENT_SEQUENTIAL);
    }
    garden_check(&g);
    assert_int_equal(garden_stat(&g, "/d").num_children, WIDE + 1);
    assert_int_equal(zks__tree_descendants(g.tree, &nobody, "/d", &count), ZKS__Z_OK);
    assert_int_equal(count, DEEP + WIDE - 1);
    assert_int_equal(zks__tree_descendants(g.tree, &nobody, "/", &count), ZKS__Z_OK);
    assert_int_equal(count, DEEP + WIDE + 3);
    for (int i = DEEP; i > 1; i--) {
        assert_int_equal(garden_do(&g, op_delete(path, 0)), ZKS__Z_OK);
        path[strlen(path) - 2] = '\0';
    }
    assert_int_equal(garden_stat(&g, "/d").num_children, WIDE);
    garden_check(&g);
    garden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_tree),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_results_last),
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_end_of_the_counter),
        cmocka_unit_test(test_stat_of_children),
        cmocka_unit_test(test_stat_of_sets),
        cmocka_unit_test(test_sets_of_special_znodes),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_cversions),
        cmocka_unit_test(test_zxid),
        cmocka_unit_test(test_deep_and_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
