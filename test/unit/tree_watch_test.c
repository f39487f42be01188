/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "tree/code.h"
#include "watch_box.h"

/* ---- The table alone ---- */

static void add(struct fixture *f, enum zks__watched what, const char *path, unsigned w)
{
    assert_int_equal(zks__watch_add(&f->table, what, path, &f->w[w]), ZKS__Z_OK);
    assert_true(zks__watch_has(&f->table, what, path, &f->w[w], ZKS__WATCH_ANY));
}

static void test_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SIZE_MAX);
    for (int event = ZKS__EVENT_CREATED; event <= ZKS__EVENT_CHILDREN_CHANGED; event++) {
        assert_int_equal(fire(&f, (enum zks__event)event, "/a"), 0);
    }
    assert_false(zks__watch_has(&f.table, NODE, "/a", &f.w[0], ZKS__WATCH_ANY));
    assert_false(zks__watch_drop(&f.table, NODE, "/a", &f.w[0], ZKS__WATCH_ANY));
    zks__watcher_close(&f.table, &f.w[0]);
    end(&f);
}

/* Who hears of what, and that the rest of the watches stays: 1 watches the znode, 2 its children. */
static const struct {
    enum zks__event event;
    unsigned told;
    bool node_stays;
    bool children_stay;
} kinds[] = {
    {ZKS__EVENT_CREATED, 1, false, true},
    {ZKS__EVENT_DELETED, 3, false, false},
    {ZKS__EVENT_DATA_CHANGED, 1, false, true},
    {ZKS__EVENT_CHILDREN_CHANGED, 2, true, false},
};

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct fixture f;
        begin(&f, SIZE_MAX);
        print_message("# %d\n", (int)kinds[i].event);
        add(&f, NODE, "/a", 0);
        add(&f, KIDS, "/a", 1);
        assert_false(zks__watch_has(&f.table, KIDS, "/a", &f.w[0], ZKS__WATCH_ANY));
        assert_int_equal(fire(&f, kinds[i].event, "/a"), kinds[i].told);
        assert_int_equal(zks__watch_has(&f.table, NODE, "/a", &f.w[0], ZKS__WATCH_ANY),
                         kinds[i].node_stays);
        assert_int_equal(zks__watch_has(&f.table, KIDS, "/a", &f.w[1], ZKS__WATCH_ANY),
                         kinds[i].children_stay);
        assert_int_equal(fire(&f, kinds[i].event, "/a"), 0);
        end(&f);
    }
}

/* One watcher with both watches: a deletion uses up both and is told once. */
static void test_both_watches(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct fixture f;
        begin(&f, SIZE_MAX);
        add(&f, KIDS, "/a", 3);
        add(&f, NODE, "/a", 3);
        assert_int_equal(fire(&f, kinds[i].event, "/a"), 8);
        assert_int_equal(zks__watch_has(&f.table, NODE, "/a", &f.w[3], ZKS__WATCH_ANY),
                         kinds[i].node_stays);
        assert_int_equal(zks__watch_has(&f.table, KIDS, "/a", &f.w[3], ZKS__WATCH_ANY),
                         kinds[i].children_stay);
        zks__watcher_close(&f.table, &f.w[3]);
        assert_int_equal(f.table.entries.n, 0);
        end(&f);
    }
}

static void test_set_twice_is_told_once(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SIZE_MAX);
    add(&f, NODE, "/a", 0);
    size_t blocks = f.heap.blocks;
    add(&f, NODE, "/a", 0);
    assert_int_equal(f.heap.blocks, blocks);
    assert_int_equal(f.table.entries.n, 1);
    assert_int_equal(fire(&f, ZKS__EVENT_DATA_CHANGED, "/a"), 1);
    assert_int_equal(fire(&f, ZKS__EVENT_DATA_CHANGED, "/a"), 0);
    /* And then it can be set again. */
    add(&f, NODE, "/a", 0);
    assert_int_equal(fire(&f, ZKS__EVENT_DATA_CHANGED, "/a"), 1);
    end(&f);
}

/* A path is its bytes and nothing else: no path is below another one here. */
static void test_other_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {"/a", "/", "", "/a/", "/a/b", "/b", "/A", "/aa"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct fixture f;
        char copy[8];
        begin(&f, SIZE_MAX);
        strcpy(copy, paths[i]);
        add(&f, NODE, copy, 0);
        memset(copy, 'x', sizeof copy - 1); /* Whoever watches may forget the path. */
        for (size_t k = 0; k < COUNT(paths); k++) {
            assert_int_equal(zks__watch_has(&f.table, NODE, paths[k], &f.w[0], ZKS__WATCH_ANY),
                             i == k);
            assert_false(zks__watch_has(&f.table, NODE, paths[k], &f.w[1], ZKS__WATCH_ANY));
        }
        for (size_t k = 0; k < COUNT(paths); k++) {
            assert_int_equal(fire(&f, ZKS__EVENT_DELETED, paths[k]), i == k);
        }
        end(&f);
    }
}

static void test_drop(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SIZE_MAX);
    add(&f, NODE, "/a", 0);
    add(&f, NODE, "/a", 1);
    add(&f, KIDS, "/a", 0);
    assert_false(zks__watch_drop(&f.table, KIDS, "/a", &f.w[1], ZKS__WATCH_ANY));
    assert_false(zks__watch_drop(&f.table, NODE, "/b", &f.w[0], ZKS__WATCH_ANY));
    assert_false(zks__watch_drop(&f.table, NODE, "/a", &f.w[2], ZKS__WATCH_ANY));
    assert_true(zks__watch_drop(&f.table, NODE, "/a", &f.w[0], ZKS__WATCH_ANY));
    assert_false(zks__watch_drop(&f.table, NODE, "/a", &f.w[0], ZKS__WATCH_ANY));
    assert_true(zks__watch_has(&f.table, KIDS, "/a", &f.w[0], ZKS__WATCH_ANY));
    assert_int_equal(fire(&f, ZKS__EVENT_DELETED, "/a"), 3);
    end(&f);
}

static void test_close_a_watcher(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SIZE_MAX);
    size_t blocks = f.heap.blocks;
    for (unsigned w = 0; w < 3; w++) {
        add(&f, NODE, "/a", w);
        add(&f, KIDS, "/a", w);
        add(&f, NODE, "/b", w);
    }
    add(&f, NODE, "/own", 1);
    zks__watcher_close(&f.table, &f.w[1]);
    assert_null(f.w[1].first);
    assert_int_equal(f.table.entries.n, 6);
    assert_int_equal(fire(&f, ZKS__EVENT_DELETED, "/own"), 0);
    assert_int_equal(fire(&f, ZKS__EVENT_DELETED, "/a"), 5);
    zks__watcher_close(&f.table, &f.w[1]);
    zks__watcher_close(&f.table, &f.w[0]);
    zks__watcher_close(&f.table, &f.w[2]);
    assert_int_equal(f.table.entries.n, 0);
    assert_int_equal(f.table.paths.n, 0);
    assert_int_equal(f.heap.blocks, blocks);
    /* It may come back. */
    add(&f, NODE, "/b", 1);
    assert_int_equal(fire(&f, ZKS__EVENT_CREATED, "/b"), 2);
    assert_null(f.w[1].first);
    end(&f);
}

static void test_limit(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    add(&f, NODE, "/a", 0);
    add(&f, KIDS, "/a", 0);
    add(&f, NODE, "/a", 1);
    size_t blocks = f.heap.blocks;
    size_t watched = f.table.paths.n;
    assert_int_equal(zks__watch_add(&f.table, NODE, "/b", &f.w[2]), ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(zks__watch_add(&f.table, KIDS, "/a", &f.w[1]), ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(f.heap.blocks, blocks);
    assert_int_equal(f.table.paths.n, watched);
    add(&f, NODE, "/a", 1); /* It is there already. */
    assert_true(zks__watch_drop(&f.table, NODE, "/a", &f.w[0], ZKS__WATCH_ANY));
    add(&f, NODE, "/b", 2);
    assert_int_equal(zks__watch_add(&f.table, NODE, "/c", &f.w[2]), ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(fire(&f, ZKS__EVENT_DELETED, "/a"), 3);
    add(&f, NODE, "/c", 2);
    add(&f, NODE, "/d", 3);
    zks__watcher_close(&f.table, &f.w[2]);
    add(&f, NODE, "/e", 0);
    add(&f, NODE, "/f", 0);
    assert_int_equal(zks__watch_add(&f.table, NODE, "/g", &f.w[3]), ZKS__Z_QUOTAEXCEEDED);
    end(&f);
}

/* ---- The table against bits ---- */

static const char *const paths[] = {"/a", "/b", "/a/x", "/a/y", "/", "/a/x/z"};

struct model {
    unsigned watches[2][COUNT(paths)]; /* By watchers, as bits. */
};

static unsigned model_fire(struct model *m, enum zks__event event, size_t path)
{
    unsigned bits = 0;
    if (event != ZKS__EVENT_CHILDREN_CHANGED) {
        bits |= m->watches[NODE][path];
        m->watches[NODE][path] = 0;
    }
    if (event == ZKS__EVENT_CHILDREN_CHANGED || event == ZKS__EVENT_DELETED) {
        bits |= m->watches[KIDS][path];
        m->watches[KIDS][path] = 0;
    }
    return bits;
}

static void model_compare(const struct fixture *f, const struct model *m)
{
    size_t n = 0;
    for (unsigned what = 0; what < 2; what++) {
        for (size_t p = 0; p < COUNT(paths); p++) {
            for (unsigned w = 0; w < WATCHERS; w++) {
                bool is = m->watches[what][p] >> w & 1;
                assert_int_equal(zks__watch_has(&f->table, (enum zks__watched)what, paths[p],
                                                &f->w[w], ZKS__WATCH_ANY),
                                 is);
                n += is;
            }
        }
    }
    assert_int_equal(f->table.entries.n, n);
}

static void test_random(void **state)
{
    (void)state;
    struct fixture f;
    struct model m;
    uint64_t seed = 5;
    memset(&m, 0, sizeof m);
    begin(&f, SIZE_MAX);
    size_t blocks = f.heap.blocks;
    for (unsigned round = 0; round < 40000; round++) {
        size_t p = unit_below(&seed, COUNT(paths));
        unsigned w = unit_below(&seed, WATCHERS);
        unsigned what = unit_below(&seed, 2);
        unsigned *bits = &m.watches[what][p];
        uint32_t dice = unit_below(&seed, 100);
        if (dice < 60) {
            add(&f, (enum zks__watched)what, paths[p], w);
            *bits |= 1U << w;
        } else if (dice < 75) {
            assert_int_equal(zks__watch_drop(&f.table, (enum zks__watched)what, paths[p], &f.w[w],
                                             ZKS__WATCH_ANY),
                             *bits >> w & 1);
            *bits &= ~(1U << w);
        } else if (dice < 98) {
            enum zks__event event = (enum zks__event)(1 + unit_below(&seed, 4));
            unsigned want = model_fire(&m, event, p);
            assert_int_equal(fire(&f, event, paths[p]), want);
        } else {
            zks__watcher_close(&f.table, &f.w[w]);
            for (size_t i = 0; i < COUNT(paths); i++) {
                m.watches[0][i] &= ~(1U << w);
                m.watches[1][i] &= ~(1U << w);
            }
        }
        if (round % 8 == 0) {
            model_compare(&f, &m);
        }
    }
    for (unsigned w = 0; w < WATCHERS; w++) {
        zks__watcher_close(&f.table, &f.w[w]);
    }
    assert_true(f.heap.blocks == blocks);
    end(&f);
}

/* Enough that both tables grow; and where they cannot, the watches are there all the same. */
static void test_many(void **state)
{
    (void)state;
    struct fixture f;
    char path[32];
    begin(&f, SIZE_MAX);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2000; i++) {
            (void)snprintf(path, sizeof path, "/%u", i);
            add(&f, NODE, path, i % WATCHERS);
            add(&f, KIDS, path, i / 3 % WATCHERS);
        }
        /* The next round is on top of the first one's second half. */
        for (unsigned i = 0; i < (round == 0 ? 1000U : 2000U); i++) {
            (void)snprintf(path, sizeof path, "/%u", i);
            assert_int_equal(fire(&f, ZKS__EVENT_DELETED, path),
                             1U << i % WATCHERS | 1U << i / 3 % WATCHERS);
        }
    }
    assert_int_equal(f.table.entries.n, 0);
    end(&f);
}

/* A watch that could not be set leaves nothing; to fire and to drop need no memory. */
static void test_without_memory(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SIZE_MAX);
    size_t blocks = f.heap.blocks;
    for (size_t k = 1;; k++) {
        f.heap.asked = f.heap.refused = 0;
        f.heap.fail_at = k;
        int rc = zks__watch_add(&f.table, NODE, "/a", &f.w[0]);
        if (f.heap.refused == 0) {
            assert_int_equal(rc, ZKS__Z_OK);
            assert_true(k > 1);
            break;
        }
        assert_int_equal(rc, ZKS__Z_SYSTEMERROR);
        assert_int_equal(f.heap.blocks, blocks);
        assert_int_equal(f.table.paths.n + f.table.entries.n, 0);
        assert_null(f.w[0].first);
        assert_false(zks__watch_has(&f.table, NODE, "/a", &f.w[0], ZKS__WATCH_ANY));
    }
    f.heap.fail_at = 0;
    add(&f, KIDS, "/a", 0);
    add(&f, NODE, "/b", 0);
    add(&f, NODE, "/c", 0);
    f.heap.dry = true;
    add(&f, NODE, "/a", 0);
    assert_int_equal(fire(&f, ZKS__EVENT_DELETED, "/a"), 1);
    assert_true(zks__watch_drop(&f.table, NODE, "/b", &f.w[0], ZKS__WATCH_ANY));
    zks__watcher_close(&f.table, &f.w[0]);
    assert_int_equal(f.heap.blocks, blocks);
    end(&f);
    assert_false(zks__watch_table_init(&f.table, &f.heap.mem, SIZE_MAX));
    assert_int_equal(f.heap.blocks, 0);
}

/* ---- What the tree tells ---- */

static void watch(struct garden *g, const char *path, unsigned w)
{
    struct zks__znode_stat stat;
    int rc = zks__tree_exists(g->tree, &super, path, &g->watchers[w], &stat);
    assert_true(rc == ZKS__Z_OK || rc == ZKS__Z_NONODE);
}

static void watch_children(struct garden *g, const char *path, unsigned w)
{
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    assert_int_equal(zks__tree_children(g->tree, &nobody, path, &g->watchers[w], &child, &stat),
                     ZKS__Z_OK);
}

/* The order: the znode, then its parent; and each watch once. */
static void test_events_of_writes(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    watch(&g, "/a", 0);
    watch_children(&g, "/", 1);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    assert_string_equal(garden_events(&g), "0 CREATED /a\n1 CHILDREN /\n");
    garden_create(&g, "/a/b", ZKS__PERSISTENT);
    assert_string_equal(garden_events(&g), "");
    watch(&g, "/a", 0);
    watch_children(&g, "/a", 0);
    watch_children(&g, "/a", 1);
    watch(&g, "/", 2);
    garden_create(&g, "/a/c", ZKS__PERSISTENT_SEQUENTIAL);
    const char *events = garden_events(&g);
    assert_true(strcmp(events, "0 CHILDREN /a\n1 CHILDREN /a\n") == 0 ||
                strcmp(events, "1 CHILDREN /a\n0 CHILDREN /a\n") == 0);
    assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "0 DATA /a\n");
    assert_int_equal(garden_do(&g, op_set("/", "x", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "2 DATA /\n");
    watch(&g, "/a/b", 0);
    watch_children(&g, "/a/b", 0);
    watch_children(&g, "/a", 0);
    assert_int_equal(garden_do(&g, op_delete("/a/b", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "0 DELETED /a/b\n0 CHILDREN /a\n");
    watch_children(&g, "/a", 3);
    watch(&g, "/a", 3);
    assert_int_equal(garden_do(&g, op_set_acl("/a", open_acl, 1, -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_check("/a", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/a", -1)), ZKS__Z_NOTEMPTY);
    assert_int_equal(garden_do(&g, op_set("/a", "y", 7)), ZKS__Z_BADVERSION);
    assert_string_equal(garden_events(&g), "");
    garden_close(&g);
}

/* A watcher of a znode that is not there waits; one of its data or children is not set at all. */
static void test_watches_of_what_is_not_there(void **state)
{
    (void)state;
    static const char *const list[] = {"/a", NULL};
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    const void *data;
    struct garden g;
    garden_open(&g, NULL, list);
    assert_int_equal(zks__tree_get(g.tree, &nobody, "/a", &g.watchers[0], &data, &stat),
                     ZKS__Z_NONODE);
    assert_int_equal(zks__tree_children(g.tree, &nobody, "/a", &g.watchers[1], &child, &stat),
                     ZKS__Z_NONODE);
    assert_int_equal(zks__tree_watches(g.tree)->entries.n, 0);
    assert_int_equal(zks__tree_exists(g.tree, &super, "/a", &g.watchers[2], &stat), ZKS__Z_NONODE);
    assert_int_equal(zks__tree_watches(g.tree)->entries.n, 1);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    assert_string_equal(garden_events(&g), "2 CREATED /a\n");
    assert_int_equal(zks__tree_get(g.tree, &nobody, "/a", &g.watchers[0], &data, &stat), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/a", -1)), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "0 DELETED /a\n");
    garden_close(&g);
}

/* The end of a session: each of its ephemerals goes with its own events. */
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
    assert_int_equal(garden_write(&g, &who, &op, &result), ZKS__Z_OK);
    watch(&g, "/p/e", 0);
    watch_children(&g, "/p/e", 0);
    watch_children(&g, "/p", 1);
    garden_close_session(&g, 9);
    assert_string_equal(garden_events(&g), "0 DELETED /p/e\n1 CHILDREN /p\n");
    garden_close(&g);
}

/* ---- Watches that were set elsewhere ---- */

static const struct {
    const char *what;
    enum zks__watched watched;
    bool existed;
    const char *path;
    int64_t seen;
    const char *events;
    bool set;
} rewatch_rows[] = {
    /* /a: created with 2, data set with 3, a child of its own with 4; /a/b: 4. */
    {"data, unchanged", NODE, true, "/a", 3, "", true},
    {"data, the latest", NODE, true, "/a", 4, "", true},
    {"data, from the future", NODE, true, "/a", 99, "", true},
    {"data, changed", NODE, true, "/a", 2, "0 DATA /a\n", false},
    {"data, another znode by now", NODE, true, "/a", 0, "0 DATA /a\n", false},
    {"data, gone", NODE, true, "/x", 4, "0 DELETED /x\n", false},
    {"was not there, is", NODE, false, "/a", 1, "0 CREATED /a\n", false},
    {"was not there, is, though nothing is new", NODE, false, "/a", 99, "0 CREATED /a\n", false},
    {"was not there, is not", NODE, false, "/x", 0, "", true},
    {"was not there, is not", NODE, false, "/x", 99, "", true},
    {"children, unchanged", KIDS, true, "/a", 4, "", true},
    {"children, changed", KIDS, true, "/a", 3, "0 CHILDREN /a\n", false},
    {"children, no child ever", KIDS, true, "/a/b", 4, "", true},
    {"children, created since", KIDS, true, "/a/b", 3, "0 CHILDREN /a/b\n", false},
    {"children, gone", KIDS, true, "/x", 99, "0 DELETED /x\n", false},
    {"the root", KIDS, true, "/", 2, "", true},
    {"the root, changed", KIDS, true, "/", 1, "0 CHILDREN /\n", false},
    {"the root's data", NODE, true, "/", 0, "", true},
};

static void test_rewatch(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rewatch_rows); i++) {
        struct garden g;
        garden_open(&g, NULL, NULL);
        zks__tree_idle(g.tree, garden_next(&g));
        garden_create(&g, "/a", ZKS__PERSISTENT);
        assert_int_equal(garden_do(&g, op_set("/a", "x", -1)), ZKS__Z_OK);
        garden_create(&g, "/a/b", ZKS__PERSISTENT);
        print_message("# %s\n", rewatch_rows[i].what);
        int rc = zks__tree_rewatch(g.tree, rewatch_rows[i].watched, rewatch_rows[i].existed,
                                   rewatch_rows[i].path, rewatch_rows[i].seen, &g.watchers[0]);
        assert_int_equal(rc, ZKS__Z_OK);
        assert_string_equal(garden_events(&g), rewatch_rows[i].events);
        assert_int_equal(zks__watch_has(zks__tree_watches(g.tree), rewatch_rows[i].watched,
                                        rewatch_rows[i].path, &g.watchers[0], ZKS__WATCH_ANY),
                         rewatch_rows[i].set);
        assert_int_equal(zks__tree_watches(g.tree)->entries.n, rewatch_rows[i].set);
        assert_true(zks__tree_zxid(g.tree) == 4);
        garden_close(&g);
    }
}

/* What fires at once is not the watch that is set here already, and that one stays. */
static void test_rewatch_beside_a_watch(void **state)
{
    (void)state;
    static const struct zks__tree_limits limits = {.watches = 1};
    struct garden g;
    garden_open(&g, &limits, NULL);
    garden_create(&g, "/a", ZKS__PERSISTENT);
    watch(&g, "/a", 0);
    assert_int_equal(zks__tree_rewatch(g.tree, NODE, true, "/a", 0, &g.watchers[0]), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "0 DATA /a\n");
    assert_int_equal(zks__tree_watches(g.tree)->entries.n, 1);
    assert_int_equal(zks__tree_rewatch(g.tree, NODE, true, "/a", 1, &g.watchers[0]), ZKS__Z_OK);
    assert_int_equal(zks__tree_watches(g.tree)->entries.n, 1);
    /* What fires needs no room, what is to be set does. */
    assert_int_equal(zks__tree_rewatch(g.tree, NODE, false, "/a", 1, &g.watchers[1]), ZKS__Z_OK);
    assert_string_equal(garden_events(&g), "1 CREATED /a\n");
    assert_int_equal(zks__tree_rewatch(g.tree, NODE, true, "/a", 1, &g.watchers[1]),
                     ZKS__Z_QUOTAEXCEEDED);
    assert_string_equal(garden_events(&g), "");
    garden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_both_watches),
        cmocka_unit_test(test_set_twice_is_told_once),
        cmocka_unit_test(test_other_paths),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_close_a_watcher),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_events_of_writes),
        cmocka_unit_test(test_watches_of_what_is_not_there),
        cmocka_unit_test(test_events_of_a_session_that_ends),
        cmocka_unit_test(test_rewatch),
        cmocka_unit_test(test_rewatch_beside_a_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
