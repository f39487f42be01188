/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, and the tree's own limits. */
#include <stdio.h>
#include <string.h>

#include "tree_dump.h"

static const struct zks__id id_me[] = {{"digest", "me:1"}};
static const struct zks__who me = {0, {id_me, 1}};

static int get(const struct garden *g, const struct zks__who *who, const char *path)
{
    struct zks__znode_stat stat;
    const void *data;
    return zks__tree_get(g->tree, who, path, NULL, &data, &stat);
}

static int children(const struct garden *g, const struct zks__who *who, const char *path)
{
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    return zks__tree_children(g->tree, who, path, NULL, &child, &stat);
}

static int get_acl(const struct garden *g, const struct zks__who *who, const char *path,
                   bool *veiled)
{
    struct zks__znode_stat stat;
    const struct zks__acl *acl;
    return zks__tree_get_acl(g->tree, who, path, &acl, veiled, &stat);
}

/* ---- Reads ---- */

/* Nobody looks whether a path that is read could be one. */
static void test_paths_that_are_not_there(void **state)
{
    (void)state;
    static const char *const paths[] = {"x", "/a/", "//a", "//", "/.", "/a/.", "/none", "/a\n"};
    struct zks__znode_stat stat;
    size_t count;
    bool veiled;
    struct garden g;
    garden_open(&g, NULL, paths);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    for (size_t i = 0; i < COUNT(paths); i++) {
        print_message("# %s\n", paths[i]);
        assert_int_equal(zks__tree_exists(g.tree, &super, paths[i], NULL, &stat), ZKS__Z_NONODE);
        assert_int_equal(get(&g, &super, paths[i]), ZKS__Z_NONODE);
        assert_int_equal(children(&g, &super, paths[i]), ZKS__Z_NONODE);
        assert_int_equal(get_acl(&g, &super, paths[i], &veiled), ZKS__Z_NONODE);
        assert_int_equal(zks__tree_descendants(g.tree, &super, paths[i], &count), ZKS__Z_NONODE);
        /* One can wait for what can never come. */
        assert_int_equal(zks__tree_exists(g.tree, &super, paths[i], &g.watchers[0], &stat),
                         ZKS__Z_NONODE);
        assert_true(zks__watch_has(zks__tree_watches(g.tree), ZKS__WATCHED_NODE, paths[i],
                                   &g.watchers[0], ZKS__WATCH_ANY));
    }
    garden_close(&g);
}

/* The server knows its root by two names. */
static void test_the_empty_path(void **state)
{
    (void)state;
    struct zks__znode_stat stat;
    struct zks__znode_stat root;
    bool veiled;
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    root = garden_stat(&g, "/");
    assert_int_equal(zks__tree_exists(g.tree, &super, "", NULL, &stat), ZKS__Z_OK);
    assert_true(stat_equal(&stat, &root));
    assert_int_equal(get(&g, &nobody, ""), ZKS__Z_OK);
    assert_int_equal(children(&g, &nobody, ""), ZKS__Z_OK);
    assert_int_equal(get_acl(&g, &nobody, "", &veiled), ZKS__Z_OK);
    /* A watch is of the name that was given, of which no event tells. */
    assert_int_equal(zks__tree_exists(g.tree, &super, "", &g.watchers[0], &stat), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/", "x", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "");
    garden_close(&g);
}

/* What each read asks for: a znode whose list gives `perms` and no more. */
static void test_permissions(void **state)
{
    (void)state;
    for (int32_t perms = 0; perms <= PERM_ALL; perms++) {
        const struct zks__ace asked[] = {{perms, {"world", "anyone"}}};
        struct zks__op op = op_create("/a", ZKS__PERSISTENT);
        bool may_read = perms & ZKS__PERM_READ;
        bool may_administer = perms & ZKS__PERM_ADMIN;
        int read = may_read ? ZKS__Z_OK : ZKS__Z_NOAUTH;
        struct zks__znode_stat stat;
        bool veiled = true;
        size_t count;
        struct garden g;
        garden_open(&g, NULL, NULL);
        op.aces = asked;
        assert_int_equal(garden_do(&g, op), ZKS__Z_OK);
        assert_int_equal(zks__tree_exists(g.tree, &nobody, "/a", NULL, &stat), read);
        assert_int_equal(get(&g, &nobody, "/a"), read);
        assert_int_equal(children(&g, &nobody, "/a"), read);
        assert_int_equal(zks__tree_descendants(g.tree, &nobody, "/a", &count), read);
        int code = get_acl(&g, &nobody, "/a", &veiled);
        assert_int_equal(code, may_read || may_administer ? ZKS__Z_OK : ZKS__Z_NOAUTH);
        if (code == ZKS__Z_OK) {
            assert_int_equal(veiled, !may_administer);
        }
        assert_int_equal(get(&g, &super, "/a"), ZKS__Z_OK);
        assert_int_equal(get_acl(&g, &super, "/a", &veiled), ZKS__Z_OK);
        assert_false(veiled);
        garden_close(&g);
    }
}

/* A watcher that may not read gets no watch, not even by asking whether the znode exists. */
static void test_watches_of_what_one_may_not_read(void **state)
{
    (void)state;
    static const struct zks__ace deaf[] = {{PERM_ALL & ~ZKS__PERM_READ, {"world", "anyone"}}};
    struct zks__op op = op_create("/a", ZKS__PERSISTENT);
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    const void *data;
    struct garden g;
    garden_open(&g, NULL, NULL);
    op.aces = deaf;
    assert_int_equal(garden_do(&g, op), ZKS__Z_OK);
    assert_int_equal(zks__tree_get(g.tree, &nobody, "/a", &g.watchers[0], &data, &stat),
                     ZKS__Z_NOAUTH);
    assert_int_equal(zks__tree_children(g.tree, &nobody, "/a", &g.watchers[1], &child, &stat),
                     ZKS__Z_NOAUTH);
    assert_int_equal(zks__tree_watches(g.tree)->entries.n, 0);
    memset(&stat, 0, sizeof stat);
    assert_int_equal(zks__tree_exists(g.tree, &nobody, "/a", &g.watchers[2], &stat), ZKS__Z_NOAUTH);
    assert_int_equal(stat.czxid, 0);
    assert_int_equal(zks__tree_watches(g.tree)->entries.n, 0);
    /* That one is not there is told to all, and one can wait for it. */
    assert_int_equal(zks__tree_exists(g.tree, &nobody, "/b", &g.watchers[2], &stat), ZKS__Z_NONODE);
    assert_int_equal(zks__tree_watches(g.tree)->entries.n, 1);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "");
    garden_close(&g);
}

static void test_lists(void **state)
{
    (void)state;
    static const struct zks__ace asked[] = {
        {ZKS__PERM_READ, {"world", "anyone"}},
        {ZKS__PERM_ADMIN | ZKS__PERM_READ, {"digest", "me:1"}},
        {ZKS__PERM_READ, {"world", "anyone"}},
    };
    struct zks__op op = op_create("/a", ZKS__PERSISTENT);
    const struct zks__acl *acl;
    struct zks__znode_stat stat;
    struct zks__znode_stat want;
    bool veiled;
    struct garden g;
    garden_open(&g, NULL, NULL);
    op.aces = asked;
    op.n_aces = COUNT(asked);
    assert_int_equal(garden_do(&g, op), ZKS__Z_OK);
    assert_int_equal(zks__tree_get_acl(g.tree, &nobody, "/a", &acl, &veiled, &stat), ZKS__Z_OK);
    assert_true(veiled);
    assert_int_equal(zks__tree_get_acl(g.tree, &me, "/a", &acl, &veiled, &stat), ZKS__Z_OK);
    assert_false(veiled);
    want = garden_stat(&g, "/a");
    assert_true(stat_equal(&stat, &want));
    assert_int_equal(acl->n, 2);
    assert_string_equal(acl->aces[0].id.scheme, "world");
    assert_string_equal(acl->aces[1].id.id, "me:1");
    assert_int_equal(acl->aces[1].perms, ZKS__PERM_ADMIN | ZKS__PERM_READ);
    garden_close(&g);
}

static void test_children(void **state)
{
    (void)state;
    const struct zks__znode *child;
    struct zks__znode_stat stat;
    struct zks__znode_stat want;
    unsigned seen = 0;
    char path[16];
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/p", ZKS__PERSISTENT);
    assert_int_equal(zks__tree_children(g.tree, &nobody, "/p", NULL, &child, &stat), ZKS__Z_OK);
    assert_null(child);
    for (unsigned i = 0; i < 26; i++) {
        (void)snprintf(path, sizeof path, "/p/%c", 'a' + i);
        garden_create(&g, path, ZKS__PERSISTENT);
        (void)snprintf(path, sizeof path, "/p/%c/x", 'a' + i);
        garden_create(&g, path, ZKS__PERSISTENT);
    }
    assert_int_equal(garden_do(&g, op_delete("/p/c/x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/p/c", -1)), ZKS__Z_OK);
    assert_int_equal(zks__tree_children(g.tree, &nobody, "/p", NULL, &child, &stat), ZKS__Z_OK);
    want = garden_stat(&g, "/p");
    assert_true(stat_equal(&stat, &want));
    for (; child != NULL; child = zks__tree_next_child(child)) {
        const char *name = zks__tree_child_name(child);
        assert_int_equal(strlen(name), 1);
        assert_false(seen >> (name[0] - 'a') & 1);
        seen |= 1U << (name[0] - 'a');
    }
    assert_int_equal(seen, 0x3ffffff & ~4U);
    /* Of the root's children the name begins behind its only slash. */
    assert_int_equal(zks__tree_children(g.tree, &nobody, "/", NULL, &child, &stat), ZKS__Z_OK);
    assert_string_equal(zks__tree_child_name(child),
                        zks__tree_child_name(child)[0] == 'p' ? "p" : "zookeeper");
    garden_close(&g);
}

static void test_descendants(void **state)
{
    (void)state;
    static const struct zks__ace mine[] = {{PERM_ALL, {"digest", "me:1"}}};
    static const struct {
        const char *path;
        size_t n;
    } rows[] = {{"/", 9}, {"/a", 3}, {"/a/b", 1}, {"/a/b/c", 0}, {"/ab", 1}, {"/zookeeper", 2}};
    size_t count;
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    garden_create(&g, "/a/b", ZKS__PERSISTENT);
    garden_create(&g, "/a/b/c", ZKS__PERSISTENT);
    garden_create(&g, "/a/d", ZKS__PERSISTENT);
    garden_create(&g, "/ab", ZKS__PERSISTENT);
    garden_create(&g, "/ab/x", ZKS__PERSISTENT);
    /* What one may not read counts all the same. */
    assert_int_equal(garden_do(&g, op_set_acl("/a/b", mine, 1, -1)), ZKS__Z_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        print_message("# %s\n", rows[i].path);
        int code = zks__tree_descendants(g.tree, &me, rows[i].path, &count);
        assert_int_equal(code, ZKS__Z_OK);
        assert_int_equal(count, rows[i].n);
    }
    assert_int_equal(zks__tree_descendants(g.tree, &nobody, "/a/b", &count), ZKS__Z_NOAUTH);
    assert_int_equal(zks__tree_descendants(g.tree, &nobody, "/a", &count), ZKS__Z_OK);
    assert_int_equal(count, 3);
    garden_close(&g);
}

/* ---- Limits ---- */

/* Refused, and nothing has changed. */
static void assert_too_much(struct garden *g, struct zks__op op)
{
    struct text before = {0};
    struct text after = {0};
    garden_dump(g, &before);
    assert_int_equal(garden_do(g, op), ZKS__Z_QUOTAEXCEEDED);
    garden_dump(g, &after);
    assert_text_equal(&after, &before, op.path);
    text_free(&before);
    text_free(&after);
}

static void test_limit_of_znodes(void **state)
{
    (void)state;
    struct zks__op_result results[3];
    struct garden g;
    garden_open(&g, NULL, NULL);
    const struct zks__tree_limits limits = {.nodes = g.tree->nodes.n + 3};
    garden_close(&g);
    garden_open(&g, &limits, NULL);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    garden_create(&g, "/a/b", ZKS__PERSISTENT);
    garden_create(&g, "/a/", ZKS__PERSISTENT_SEQUENTIAL);
    assert_too_much(&g, op_create("/c", ZKS__PERSISTENT));
    assert_too_much(&g, op_create("/a/", ZKS__PERSISTENT_SEQUENTIAL));
    /* Other errors come first. */
    assert_int_equal(garden_do(&g, op_create("/a", ZKS__PERSISTENT)), ZKS__Z_NODEEXISTS);
    assert_int_equal(garden_do(&g, op_create("/x/y", ZKS__PERSISTENT)), ZKS__Z_NONODE);
    assert_int_equal(garden_do(&g, op_set("/a", "as long as one likes", -1)), ZKS__Z_OK);
    /* What counts is how many there are at any time of a multi. */
    const struct zks__op instead[] = {op_delete("/a/b", -1), op_create("/c", 0), op_check("/c", 0)};
    const struct zks__op too_late[] = {op_check("/c", 0), op_create("/d", 0), op_delete("/c", -1)};
    assert_true(zks__tree_multi(g.tree, garden_next(&g), &super, instead, 3, results));
    assert_false(zks__tree_multi(g.tree, garden_next(&g), &super, too_late, 3, results));
    assert_int_equal(results[0].code, ZKS__Z_OK);
    assert_int_equal(results[1].code, ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(results[2].code, ZKS__Z_RUNTIMEINCONSISTENCY);
    assert_too_much(&g, op_create("/d", ZKS__PERSISTENT));
    assert_int_equal(garden_do(&g, op_delete("/c", -1)), ZKS__Z_OK);
    garden_create(&g, "/d", ZKS__CONTAINER);
    assert_too_much(&g, op_create("/d/x", ZKS__PERSISTENT_TTL));
    garden_check(&g);
    garden_close(&g);
}

static void test_limit_of_bytes(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_int_equal(g.tree->bytes, strlen("//zookeeper/zookeeper/quota/zookeeper/config"));
    const struct zks__tree_limits limits = {.bytes = g.tree->bytes + 20};
    garden_close(&g);
    garden_open(&g, &limits, NULL);
    garden_create(&g, "/abcd", ZKS__PERSISTENT); /* 5 */
    assert_int_equal(garden_do(&g, op_set("/abcd", "0123456789", -1)), ZKS__Z_OK);
    assert_too_much(&g, op_create("/fghij", ZKS__PERSISTENT));
    assert_too_much(&g, op_create("/", ZKS__PERSISTENT_SEQUENTIAL));
    garden_create(&g, "/fgh", ZKS__PERSISTENT); /* 19 */
    assert_too_much(&g, op_set("/fgh", "01", -1));
    assert_int_equal(garden_do(&g, op_set("/fgh", "0", -1)), ZKS__Z_OK); /* 20 */
    assert_too_much(&g, op_set("/abcd", "0123456789a", -1));
    assert_int_equal(garden_do(&g, op_set("/abcd", "abcdefghij", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_set("/abcd", NULL, -1)), ZKS__Z_OK); /* 10 */
    assert_int_equal(garden_do(&g, op_delete("/fgh", -1)), ZKS__Z_OK);     /* 5 */
    assert_int_equal(garden_do(&g, op_set("/abcd", "0123456789abcde", -1)), ZKS__Z_OK);
    assert_too_much(&g, op_create("/x", ZKS__PERSISTENT));
    assert_int_equal(garden_do(&g, op_delete("/abcd", -1)), ZKS__Z_OK);
    struct zks__op op = op_create("/abcd", ZKS__PERSISTENT);
    op.data = "0123456789abcdef";
    op.data_len = 16;
    assert_too_much(&g, op);
    op.data_len = 15;
    assert_int_equal(garden_do(&g, op), ZKS__Z_OK);
    garden_check(&g);
    garden_close(&g);
}

/* Lists count for each znode that has them: so they are kept on disk. */
static void test_limits_of_lists(void **state)
{
    (void)state;
    static const struct zks__ace two[] = {{1, {"digest", "a:b"}}, {2, {"digest", "c:d"}}};
    static const struct zks__ace three[] = {
        {1, {"digest", "a:b"}}, {2, {"digest", "c:d"}}, {4, {"ip", "1.2.3.4"}}};
    static const struct zks__ace longer[] = {{1, {"digest", "a:0123456789012345678901234567890"}}};
    static const struct zks__ace same[] = {{1, {"digest", "a:b"}}, {1, {"digest", "a:b"}}};
    struct zks__op_result results[3];
    struct garden g;
    garden_open(&g, NULL, NULL);
    size_t before = g.tree->acl_bytes;
    assert_int_equal(before, 12 + strlen("worldanyone"));
    garden_close(&g);
    const struct zks__tree_limits limits = {
        .acl_entries = 2, .acl_size = 42, .acl_bytes = before + 2 * 42 + 23};
    garden_open(&g, &limits, NULL);
    garden_create(&g, "/a", ZKS__PERSISTENT); /* 23 */
    struct zks__op op = op_create("/b", ZKS__PERSISTENT);
    op.aces = three;
    op.n_aces = 3;
    assert_too_much(&g, op);
    op.aces = longer;
    op.n_aces = 1;
    assert_too_much(&g, op);
    assert_too_much(&g, op_set_acl("/a", three, 3, -1));
    assert_too_much(&g, op_set_acl("/a", longer, 1, -1));
    op.aces = two;
    op.n_aces = 2;
    assert_int_equal(garden_do(&g, op), ZKS__Z_OK);                           /* 65 */
    assert_int_equal(garden_do(&g, op_set_acl("/a", two, 2, -1)), ZKS__Z_OK); /* 84 */
    op.path = "/c";
    assert_too_much(&g, op);
    assert_int_equal(garden_do(&g, op_set_acl("/a", same, 2, -1)), ZKS__Z_OK); /* 63 */
    garden_create(&g, "/c", ZKS__PERSISTENT);                                  /* 86 */
    assert_int_equal(garden_do(&g, op_set_acl("/c", same, 2, -1)), ZKS__Z_OK); /* 84 */
    assert_int_equal(garden_do(&g, op_set_acl("/c", two, 2, -1)), ZKS__Z_OK);  /* 105 of 107 */
    assert_too_much(&g, op_set_acl("/a", two, 2, -1));
    assert_int_equal(garden_do(&g, op_set_acl("/c", same, 2, -1)), ZKS__Z_OK);
    garden_check(&g);
    /* What a multi has set and must take back counts no more. */
    const struct zks__op fails[] = {op_set_acl("/a", two, 2, -1), op_delete("/c", -1),
                                    op_check("/none", -1)};
    assert_false(zks__tree_multi(g.tree, garden_next(&g), &super, fails, 3, results));
    assert_int_equal(results[2].code, ZKS__Z_NONODE);
    assert_null(results[2].limit);
    garden_check(&g);
    const struct zks__op too_much[] = {op_set_acl("/a", two, 2, -1), op_set_acl("/c", two, 2, -1)};
    assert_false(zks__tree_multi(g.tree, garden_next(&g), &super, too_much, 2, results));
    assert_int_equal(results[1].code, ZKS__Z_QUOTAEXCEEDED);
    assert_string_equal(results[1].limit, "bytes of access control lists");
    garden_check(&g);
    assert_int_equal(garden_do(&g, op_delete("/b", -1)), ZKS__Z_OK);
    garden_check(&g);
    garden_close(&g);
}

/* With the end of a session what it had is free again. */
static void test_limits_and_sessions(void **state)
{
    (void)state;
    const struct zks__tree_limits limits = {.sessions = 2, .nodes = 6};
    const struct zks__who who = session_of(1);
    const struct zks__op op = op_create("/e", ZKS__EPHEMERAL_SEQUENTIAL);
    struct zks__op_result result;
    struct garden g;
    garden_open(&g, &limits, NULL);
    assert_int_equal(garden_open_session(&g, 1), ZKS__Z_OK);
    assert_int_equal(garden_open_session(&g, 2), ZKS__Z_OK);
    assert_int_equal(garden_open_session(&g, 3), ZKS__Z_QUOTAEXCEEDED);
    assert_null(zks__tree_session(g.tree, 3));
    assert_int_equal(garden_write(&g, &who, &op, &result), ZKS__Z_OK);
    assert_int_equal(garden_write(&g, &who, &op, &result), ZKS__Z_OK);
    assert_int_equal(garden_write(&g, &who, &op, &result), ZKS__Z_QUOTAEXCEEDED);
    garden_close_session(&g, 1);
    assert_int_equal(garden_open_session(&g, 3), ZKS__Z_OK);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    garden_create(&g, "/b", ZKS__PERSISTENT);
    assert_too_much(&g, op_create("/c", ZKS__PERSISTENT));
    garden_check(&g);
    garden_close(&g);
}

static void test_limit_of_watches(void **state)
{
    (void)state;
    const struct zks__tree_limits limits = {.watches = 2};
    struct zks__watcher *w;
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    const void *data;
    struct garden g;
    garden_open(&g, &limits, NULL);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    w = g.watchers;
    assert_int_equal(zks__tree_exists(g.tree, &super, "/x", w, &stat), ZKS__Z_NONODE);
    assert_int_equal(zks__tree_get(g.tree, &nobody, "/a", w, &data, &stat), ZKS__Z_OK);
    assert_int_equal(zks__tree_exists(g.tree, &super, "/y", w, &stat), ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(zks__tree_exists(g.tree, &super, "/", w, &stat), ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(zks__tree_get(g.tree, &nobody, "/", w, &data, &stat), ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(zks__tree_children(g.tree, &nobody, "/a", w, &child, &stat),
                     ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(zks__tree_rewatch(g.tree, ZKS__WATCHED_CHILDREN, true, "/a", 9, w),
                     ZKS__Z_QUOTAEXCEEDED);
    /* There already, or none to be set. */
    assert_int_equal(zks__tree_exists(g.tree, &super, "/a", w, &stat), ZKS__Z_OK);
    assert_int_equal(zks__tree_exists(g.tree, &super, "/", NULL, &stat), ZKS__Z_OK);
    assert_int_equal(zks__tree_get(g.tree, &nobody, "/none", w, &data, &stat), ZKS__Z_NONODE);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    assert_int_equal(zks__tree_children(g.tree, &nobody, "/a", w, &child, &stat), ZKS__Z_OK);
    garden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_that_are_not_there),
        cmocka_unit_test(test_the_empty_path),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_watches_of_what_one_may_not_read),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_children),
        cmocka_unit_test(test_descendants),
        cmocka_unit_test(test_limit_of_znodes),
        cmocka_unit_test(test_limit_of_bytes),
        cmocka_unit_test(test_limits_of_lists),
        cmocka_unit_test(test_limits_and_sessions),
        cmocka_unit_test(test_limit_of_watches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
