/* SPDX-License-Identifier: Apache-2.0 */
/* addWatch and removeWatches: what a tree tells those whose watches stay. */
#include <string.h>

#include "tree/code.h"
#include "tree_dump.h"

static void watch(struct garden *g, const char *path, bool recursive, unsigned w)
{
    assert_int_equal(zks__tree_watch(g->tree, path, recursive, &g->watchers[w]), ZKS__Z_OK);
}

static void test_events_of_writes(void **state)
{
    (void)state;
    struct zks__znode_stat stat;
    struct garden g;
    garden_open(&g, NULL, NULL);
    watch(&g, "/a", true, 0); /* Before there is such a znode. */
    garden_create(&g, "/a", ZKS__PERSISTENT);
    garden_create(&g, "/a/b", ZKS__PERSISTENT);
    assert_int_equal(garden_do(&g, op_set("/a/b", "x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/a/b", "x", 7)), ZKS__Z_BADVERSION);
    assert_int_equal(garden_do(&g, op_delete("/a/b", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "0 CREATED /a\n0 CREATED /a/b\n0 DATA /a/b\n"
                                           "0 DELETED /a/b\n");
    watch(&g, "/a", false, 0);
    garden_create(&g, "/a/b", ZKS__PERSISTENT);
    assert_int_equal(garden_do(&g, op_set("/a/b", "x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/a/b", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "0 CHILDREN /a\n0 DATA /a\n0 CHILDREN /a\n");
    /* The order is a server's: the znode, then its parent. */
    watch(&g, "/", true, 1);
    garden_create(&g, "/a/b", ZKS__PERSISTENT);
    assert_string_equal(garden_events(&g), "1 CREATED /a/b\n0 CHILDREN /a\n");
    assert_int_equal(zks__tree_exists(g.tree, "/a", &g.watchers[0], &stat), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/a/b", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/", "x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/a", -1)), ZKS__Z_OK);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    const char *events = garden_events(&g);
    assert_ptr_equal(strstr(events, "1 DELETED /a/b\n0 CHILDREN /a\n1 DATA /\n"), events);
    assert_non_null(strstr(events, "0 DELETED /a\n"));
    assert_null(strstr(events, "0 CREATED"));
    garden_close(&g);
}

static void test_events_of_a_session_that_ends(void **state)
{
    (void)state;
    struct zks__op_result result;
    const struct zks__who who = session_of(9);
    const struct zks__op op = op_create("/p/e", ZKS__EPHEMERAL);
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_int_equal(garden_open_session(&g, 9), ZKS__Z_OK);
    garden_create(&g, "/p", ZKS__PERSISTENT);
    watch(&g, "/", true, 0);
    watch(&g, "/p", false, 1);
    assert_int_equal(garden_write(&g, &who, &op, &result), ZKS__Z_OK);
    garden_close_session(&g, 9);
    assert_string_equal(garden_events(&g), "0 CREATED /p/e\n1 CHILDREN /p\n"
                                           "0 DELETED /p/e\n1 CHILDREN /p\n");
    garden_close(&g);
}

/* Which half is taken away, and what is told of a set, a new child and a deleted one afterwards. */
static const struct {
    bool recursive;
    bool children;
    bool node;
    const char *events;
    bool still;
} unwatch_rows[] = {
    {false, false, false, "DATA CHILDREN CHILDREN ", true},
    {false, true, false, "DATA ", true},
    {false, false, true, "CHILDREN CHILDREN ", true},
    {false, true, true, "", false},
    {true, false, false, "DATA CREATED DELETED ", true},
    {true, true, false, "DATA CREATED DELETED ", true},
    {true, false, true, "DELETED ", true},
    {true, true, true, "", false},
};

static void test_unwatch(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(unwatch_rows); i++) {
        bool children = unwatch_rows[i].children;
        bool node = unwatch_rows[i].node;
        struct garden g;
        char told[100] = "";
        garden_open(&g, NULL, NULL);
        garden_create(&g, "/a", ZKS__PERSISTENT);
        print_message("# %d %d %d\n", unwatch_rows[i].recursive, children, node);
        struct zks__watcher *w = &g.watchers[0];
        watch(&g, "/a", unwatch_rows[i].recursive, 0);
        assert_int_equal(zks__tree_has_watch(g.tree, "/a", children, node, w), children || node);
        assert_int_equal(zks__tree_unwatch(g.tree, "/a", children, node, w), children || node);
        assert_false(zks__tree_has_watch(g.tree, "/a", children, node, w));
        assert_false(zks__tree_unwatch(g.tree, "/a", children, node, w));
        assert_false(zks__tree_unwatch(g.tree, "/a", true, true, &g.watchers[1]));
        assert_int_equal(zks__tree_has_watch(g.tree, "/a", true, true, NULL),
                         unwatch_rows[i].still);
        assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
        garden_create(&g, "/a/b", ZKS__PERSISTENT);
        assert_int_equal(garden_do(&g, op_delete("/a/b", -1)), ZKS__Z_OK);
        for (const char *e = garden_events(&g); *e != '\0'; e = strchr(e, '\n') + 1) {
            strncat(told, e + 2, strcspn(e + 2, " ") + 1);
        }
        assert_string_equal(told, unwatch_rows[i].events);
        garden_close(&g);
    }
}

/* One that comes back tells of nothing that was missed; the list of the others goes on top of it. */
static void test_rewatch(void **state)
{
    (void)state;
    static const struct zks__tree_limits limits = {.watches = 3};
    struct garden g;
    garden_open(&g, &limits, NULL);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    watch(&g, "/a", false, 0);
    assert_string_equal(garden_events(&g), "");
    /* What fires at once leaves it. */
    assert_int_equal(zks__tree_rewatch(g.tree, ZKS__WATCHED_NODE, true, "/a", 0, &g.watchers[0]),
                     ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "0 DATA /a\n0 DATA /a\n0 DATA /a\n");
    assert_int_equal(zks__tree_rewatch(g.tree, ZKS__WATCHED_NODE, true, "/a", 99, &g.watchers[0]),
                     ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    garden_create(&g, "/a/b", ZKS__PERSISTENT);
    assert_string_equal(garden_events(&g), "0 DATA /a\n0 CHILDREN /a\n");
    watch(&g, "/b", true, 1);
    assert_int_equal(zks__tree_watch(g.tree, "/c", true, &g.watchers[1]), ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(zks__tree_watches(g.tree)->entries.n, 3);
    garden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_of_writes),
        cmocka_unit_test(test_events_of_a_session_that_ends),
        cmocka_unit_test(test_unwatch),
        cmocka_unit_test(test_rewatch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
