/* SPDX-License-Identifier: Apache-2.0 */
/* addWatch and removeWatches: what a tree tells those whose watches stay. */
#include <string.h>

#include "tree/code.h"
#include "tree_dump.h"

static void watch(struct garden *g, const char *path, bool recursive, unsigned w)
{
    assert_int_equal(zks__tree_watch(g->tree, path, recursive, &g->watchers[w]), ZKS__Z_OK);
}

/* A watch that fires once leaves the persistent one on its path (ZOOKEEPER-4466), and a recursive one on it
 * goes beside that. */
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
    assert_true(zks__tree_unwatch(g.tree, "/a", ZKS__TYPE_RECURSIVE, &g.watchers[0]));
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
    assert_int_equal(zks__tree_exists(g.tree, &super, "/a", &g.watchers[0], &stat), ZKS__Z_OK);
    watch(&g, "/a", true, 0);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    size_t told = 0;
    const char *events = garden_events(&g);
    for (const char *e = events; (e = strstr(e, "0 DATA /a\n")) != NULL; e++) {
        told++;
    }
    assert_int_equal(told, 2);
    assert_int_equal(garden_do(&g, op_delete("/a/b", -1)), ZKS__Z_OK);
    assert_non_null(strstr(garden_events(&g), "0 DELETED /a/b\n0 CHILDREN /a\n"));
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

/* What is set: d, k: a read's watch of the znode, of the children; p, r: a persistent one, a recursive one.
 * What is removed, by its number on the wire, and what is there before; and what is told of a set, a new
 * child and a deleted one afterwards. */
static const struct {
    const char *set;
    enum zks__watch_type type;
    const char *has; /* One letter for each type. */
    bool removed;
    const char *events;
} unwatch_rows[] = {
    {"", ZKS__TYPE_ANY, "-----", false, ""},
    {"p", ZKS__TYPE_CHILDREN, "--xx-", false, "DATA CHILDREN CHILDREN "},
    {"p", ZKS__TYPE_DATA, "--xx-", false, "DATA CHILDREN CHILDREN "},
    {"p", ZKS__TYPE_RECURSIVE, "--xx-", false, "DATA CHILDREN CHILDREN "},
    {"p", ZKS__TYPE_PERSISTENT, "--xx-", true, ""},
    {"p", ZKS__TYPE_ANY, "--xx-", true, ""},
    {"r", ZKS__TYPE_CHILDREN, "--x-x", false, "DATA CREATED DELETED "},
    {"r", ZKS__TYPE_DATA, "--x-x", false, "DATA CREATED DELETED "},
    {"r", ZKS__TYPE_PERSISTENT, "--x-x", false, "DATA CREATED DELETED "},
    {"r", ZKS__TYPE_RECURSIVE, "--x-x", true, ""},
    {"r", ZKS__TYPE_ANY, "--x-x", true, ""},
    {"d", ZKS__TYPE_CHILDREN, "-xx--", false, "DATA "},
    {"d", ZKS__TYPE_PERSISTENT, "-xx--", false, "DATA "},
    {"d", ZKS__TYPE_DATA, "-xx--", true, ""},
    {"k", ZKS__TYPE_DATA, "x-x--", false, "CHILDREN "},
    {"k", ZKS__TYPE_CHILDREN, "x-x--", true, ""},
    {"dkpr", ZKS__TYPE_DATA, "xxxxx", true, "DATA CREATED CHILDREN DELETED CHILDREN "},
    {"dkpr", ZKS__TYPE_PERSISTENT, "xxxxx", true, "DATA CREATED CHILDREN DELETED "},
    {"dkpr", ZKS__TYPE_RECURSIVE, "xxxxx", true, "DATA CHILDREN CHILDREN "},
    {"dkpr", ZKS__TYPE_ANY, "xxxxx", true, ""},
};

static void set_watches(struct garden *g, const char *letters)
{
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    struct zks__watcher *w = &g->watchers[0];
    for (; *letters != '\0'; letters++) {
        if (*letters == 'd') {
            assert_int_equal(zks__tree_exists(g->tree, &super, "/a", w, &stat), ZKS__Z_OK);
        } else if (*letters == 'k') {
            assert_int_equal(zks__tree_children(g->tree, &super, "/a", w, &child, &stat),
                             ZKS__Z_OK);
        } else {
            watch(g, "/a", *letters == 'r', 0);
        }
    }
}

static void test_unwatch(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(unwatch_rows); i++) {
        enum zks__watch_type type = unwatch_rows[i].type;
        struct garden g;
        char told[100] = "";
        garden_open(&g, NULL, NULL);
        garden_create(&g, "/a", ZKS__PERSISTENT);
        print_message("# %s %d\n", unwatch_rows[i].set, (int)type);
        struct zks__watcher *w = &g.watchers[0];
        set_watches(&g, unwatch_rows[i].set);
        for (int k = ZKS__TYPE_CHILDREN; k <= ZKS__TYPE_RECURSIVE; k++) {
            bool has = zks__tree_has_watch(g.tree, "/a", (enum zks__watch_type)k, w);
            assert_int_equal(has, unwatch_rows[i].has[k - 1] == 'x');
            assert_false(
                zks__tree_has_watch(g.tree, "/a", (enum zks__watch_type)k, &g.watchers[1]));
            assert_false(zks__tree_unwatch(g.tree, "/a", (enum zks__watch_type)k, &g.watchers[1]));
        }
        assert_int_equal(zks__tree_unwatch(g.tree, "/a", type, w), unwatch_rows[i].removed);
        assert_false(zks__tree_has_watch(g.tree, "/a", type, w));
        assert_false(zks__tree_unwatch(g.tree, "/a", type, w));
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
    /* What fires at once, and what fires once, leaves it. */
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
    assert_string_equal(garden_events(&g), "0 DATA /a\n0 DATA /a\n0 CHILDREN /a\n");
    assert_int_equal(zks__tree_watch(g.tree, "/b", false, &g.watchers[1]), ZKS__Z_QUOTAEXCEEDED);
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
