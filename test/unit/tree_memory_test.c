/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at each place in turn: whoever is refused has changed nothing, and succeeds
 * when there is memory again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree_dump.h"

static const struct zks__id ids[] = {{"digest", "me:1"}, {"super", ""}};
static const struct zks__who me = {1, {ids, 2}};

static const struct zks__ace new_acl[] = {{31, {"auth", ""}}, {1, {"ip", "10.0.0.0/8"}}};
static const char *const paths[] = {"/p", "/p/kid", "/p/new", "/none", "/", NULL};

/* Sizes at which a table has to grow are among these. */
enum { SIZES = 36 };

/* Everything there is, and `size` more of each. */
static void plant(struct garden *g, unsigned size)
{
    static const int modes[] = {ZKS__EPHEMERAL_SEQUENTIAL, ZKS__PERSISTENT_SEQUENTIAL,
                                ZKS__PERSISTENT_SEQUENTIAL_TTL};
    struct zks__op_result result;
    struct zks__znode_stat stat;
    char text[2][32];
    garden_open(g, NULL, paths);
    assert_int_equal(garden_open_session(g, 1), ZKS__Z_OK);
    garden_create(g, "/p", ZKS__PERSISTENT);
    garden_create(g, "/p/kid", ZKS__PERSISTENT);
    for (size_t i = 0; i < COUNT(modes); i++) {
        const struct zks__op op = op_create("/p/s", modes[i]);
        assert_int_equal(garden_write(g, &me, &op, &result), ZKS__Z_OK);
    }
    garden_create(g, "/p/c", ZKS__CONTAINER);
    for (unsigned i = 0; i < size; i++) {
        (void)snprintf(text[0], sizeof text[0], "/%u", i);
        (void)snprintf(text[1], sizeof text[1], "user:%u", i);
        const struct zks__ace asked[] = {{31, {"digest", text[1]}}};
        struct zks__op op = op_create(text[0], i % 3 ? ZKS__PERSISTENT : ZKS__EPHEMERAL);
        op.aces = asked;
        assert_int_equal(garden_write(g, &me, &op, &result), ZKS__Z_OK);
        assert_int_equal(garden_open_session(g, 100 + i), ZKS__Z_OK);
        assert_int_equal(zks__tree_exists(g->tree, &super, text[0], &g->watchers[3], &stat),
                         ZKS__Z_OK);
    }
}

static void watch(struct garden *g, const char *path, unsigned w)
{
    struct zks__znode_stat stat;
    (void)zks__tree_exists(g->tree, &super, path, &g->watchers[w], &stat);
}

static int write_op(struct garden *g, struct zks__op op)
{
    struct zks__op_result result;
    int code = garden_write(g, &me, &op, &result);
    assert_true(result.path == NULL || code == ZKS__Z_OK);
    return code;
}

static int create(struct garden *g, const char *path, int mode, const char *data,
                  const struct zks__ace *aces, size_t n)
{
    struct zks__op op = op_create(path, mode);
    op.data = data;
    op.data_len = data != NULL ? strlen(data) : 0;
    op.aces = aces;
    op.n_aces = n;
    return write_op(g, op);
}

/* ---- Calls, each of which succeeds if there is memory ---- */

static int create_plain(struct garden *g)
{
    return create(g, "/p/new", ZKS__PERSISTENT, NULL, open_acl, 1);
}

static int create_with_all(struct garden *g)
{
    return create(g, "/p/new", ZKS__PERSISTENT, "some data", new_acl, 2);
}

static int create_sequential(struct garden *g)
{
    return create(g, "/p/new", ZKS__PERSISTENT_SEQUENTIAL, "some data", new_acl, 2);
}

static int create_ephemeral(struct garden *g)
{
    return create(g, "/p/new", ZKS__EPHEMERAL, "some data", new_acl, 2);
}

static int create_ephemeral_sequential(struct garden *g)
{
    return create(g, "/p/new", ZKS__EPHEMERAL_SEQUENTIAL, "", new_acl, 2);
}

static int create_container(struct garden *g)
{
    return create(g, "/p/new", ZKS__CONTAINER, "some data", new_acl, 1);
}

static int create_ttl(struct garden *g)
{
    return create(g, "/p/new", ZKS__PERSISTENT_TTL, "some data", new_acl, 1);
}

static int create_ttl_sequential(struct garden *g)
{
    return create(g, "/p/new", ZKS__PERSISTENT_SEQUENTIAL_TTL, "some data", new_acl, 1);
}

static int create_long(struct garden *g)
{
    static char path[3000];
    memset(path, 'x', sizeof path - 1);
    memcpy(path, "/p/", 3);
    return create(g, path, ZKS__PERSISTENT_SEQUENTIAL, path, new_acl, 2);
}

static int set_data(struct garden *g)
{
    return write_op(g, op_set("/p", "other data", 0));
}

static int set_empty(struct garden *g)
{
    return write_op(g, op_set("/p", "", 0));
}

static int set_none(struct garden *g)
{
    return write_op(g, op_set("/p", NULL, 0));
}

static int set_acl(struct garden *g)
{
    return write_op(g, op_set_acl("/p", new_acl, 2, 0));
}

static int set_acl_to_the_same(struct garden *g)
{
    return write_op(g, op_set_acl("/p", open_acl, 1, 0));
}

static int delete_kid(struct garden *g)
{
    return write_op(g, op_delete("/p/kid", 0));
}

static int check(struct garden *g)
{
    return write_op(g, op_check("/p", 0));
}

static int reap(struct garden *g)
{
    return write_op(g, op_reap("/p/c"));
}

/* The first code that is not ZKS__Z_OK; the results are as they should be. */
static int multi(struct garden *g, const struct zks__op *ops, size_t n)
{
    struct zks__op_result r[12];
    int code = ZKS__Z_OK;
    memset(r, 0x5a, sizeof r);
    bool done = zks__tree_multi(g->tree, garden_next(g), &me, ops, n, r);
    for (size_t i = 0; i < n; i++) {
        if (code != ZKS__Z_OK) {
            assert_int_equal(r[i].code, ZKS__Z_RUNTIMEINCONSISTENCY);
        } else {
            code = r[i].code;
        }
        assert_true(done || r[i].path == NULL);
    }
    assert_int_equal(done, code == ZKS__Z_OK);
    return code;
}

/* At the end one fails of its own, with `last`. */
static int multi_of_all(struct garden *g, const char *last)
{
    struct zks__op all = op_create("/p/new", ZKS__EPHEMERAL);
    all.data = "data";
    all.data_len = 4;
    all.aces = new_acl;
    all.n_aces = COUNT(new_acl);
    const struct zks__op ops[] = {
        all,
        op_set("/p", "longer than it was", 0),
        op_set_acl("/p", new_acl, 1, 0),
        op_delete("/p/kid", 0),
        op_create("/p/kid", ZKS__CONTAINER),
        op_create("/p/kid/", ZKS__PERSISTENT_SEQUENTIAL_TTL),
        op_set("/p/new", "again", 0),
        op_reap("/p/c"),
        op_delete("/p/new", 1),
        op_set_acl("/p", open_acl, 1, 1),
        op_create("/p/new", ZKS__PERSISTENT),
        op_check(last, -1),
    };
    return multi(g, ops, COUNT(ops));
}

static int multi_that_is_done(struct garden *g)
{
    return multi_of_all(g, "/p/new");
}

static int multi_that_fails(struct garden *g)
{
    return multi_of_all(g, "/none");
}

static int open_session(struct garden *g)
{
    return garden_open_session(g, 77);
}

static int open_session_again(struct garden *g)
{
    return garden_open_session(g, 1);
}

static int close_session(struct garden *g)
{
    garden_close_session(g, 1);
    return ZKS__Z_OK;
}

static int watch_what_is_not_there(struct garden *g)
{
    struct zks__znode_stat stat;
    return zks__tree_exists(g->tree, &super, "/none", &g->watchers[2], &stat);
}

static int watch_by_exists(struct garden *g)
{
    struct zks__znode_stat stat;
    return zks__tree_exists(g->tree, &super, "/p/kid", &g->watchers[2], &stat);
}

static int watch_by_get(struct garden *g)
{
    struct zks__znode_stat stat;
    const void *data;
    return zks__tree_get(g->tree, &me, "/p/kid", &g->watchers[2], &data, &stat);
}

static int watch_children(struct garden *g)
{
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    return zks__tree_children(g->tree, &me, "/p/kid", &g->watchers[2], &child, &stat);
}

static int rewatch_node(struct garden *g)
{
    return zks__tree_rewatch(g->tree, ZKS__WATCHED_NODE, true, "/p", 1000, &g->watchers[2]);
}

static int rewatch_absent(struct garden *g)
{
    return zks__tree_rewatch(g->tree, ZKS__WATCHED_NODE, false, "/none", 0, &g->watchers[2]);
}

static int rewatch_children(struct garden *g)
{
    return zks__tree_rewatch(g->tree, ZKS__WATCHED_CHILDREN, true, "/p", 1000, &g->watchers[2]);
}

static int rewatch_what_has_changed(struct garden *g)
{
    return zks__tree_rewatch(g->tree, ZKS__WATCHED_CHILDREN, true, "/p", 1, &g->watchers[2]);
}

static int idle(struct garden *g)
{
    zks__tree_idle(g->tree, garden_next(g));
    return ZKS__Z_OK;
}

static const struct scene {
    const char *what;
    int (*call)(struct garden *g);
    int code;    /* Where there is memory. */
    bool frugal; /* It needs none, and succeeds without. */
} scenes[] = {
    {"create", create_plain, ZKS__Z_OK, false},
    {"create with data and a new list", create_with_all, ZKS__Z_OK, false},
    {"create, sequential", create_sequential, ZKS__Z_OK, false},
    {"create, ephemeral", create_ephemeral, ZKS__Z_OK, false},
    {"create, ephemeral and sequential", create_ephemeral_sequential, ZKS__Z_OK, false},
    {"create, container", create_container, ZKS__Z_OK, false},
    {"create, ttl", create_ttl, ZKS__Z_OK, false},
    {"create, ttl and sequential", create_ttl_sequential, ZKS__Z_OK, false},
    {"create, long", create_long, ZKS__Z_OK, false},
    {"set", set_data, ZKS__Z_OK, false},
    {"set, empty", set_empty, ZKS__Z_OK, false},
    {"set, none", set_none, ZKS__Z_OK, false},
    {"set the list", set_acl, ZKS__Z_OK, false},
    {"set the list to the same", set_acl_to_the_same, ZKS__Z_OK, false},
    {"delete", delete_kid, ZKS__Z_OK, false},
    {"check", check, ZKS__Z_OK, false},
    {"reap", reap, ZKS__Z_OK, false},
    {"multi", multi_that_is_done, ZKS__Z_OK, false},
    {"multi that fails", multi_that_fails, ZKS__Z_NONODE, false},
    {"open a session", open_session, ZKS__Z_OK, false},
    {"open a session that is there", open_session_again, ZKS__Z_NODEEXISTS, false},
    {"close a session", close_session, ZKS__Z_OK, true},
    {"exists and it does not", watch_what_is_not_there, ZKS__Z_NONODE, false},
    {"exists", watch_by_exists, ZKS__Z_OK, false},
    {"get", watch_by_get, ZKS__Z_OK, false},
    {"children", watch_children, ZKS__Z_OK, false},
    {"rewatch", rewatch_node, ZKS__Z_OK, false},
    {"rewatch, absent", rewatch_absent, ZKS__Z_OK, false},
    {"rewatch, children", rewatch_children, ZKS__Z_OK, false},
    {"rewatch that fires", rewatch_what_has_changed, ZKS__Z_OK, true},
    {"idle", idle, ZKS__Z_OK, true},
};

/* ---- Each with memory that runs out at the k-th request ---- */

struct outcome {
    struct text dump;
    struct text events;
};

static void look(struct garden *g, struct outcome *o)
{
    garden_dump(g, &o->dump);
    text_clear(&o->events);
    text_add(&o->events, text_get(&g->events));
    text_clear(&g->events);
}

static void free_outcome(struct outcome *o)
{
    text_free(&o->dump);
    text_free(&o->events);
}

static void begin(struct garden *g, unsigned size, struct outcome *before)
{
    plant(g, size);
    for (size_t i = 0; paths[i] != NULL; i++) {
        struct zks__znode_stat stat;
        const struct zks__znode *child;
        watch(g, paths[i], 0);
        (void)zks__tree_children(g->tree, &super, paths[i], &g->watchers[1], &child, &stat);
    }
    look(g, before);
}

/* With memory: at once, and after a zxid that was used up. */
static void rehearse(const struct scene *s, unsigned size, unsigned late, struct outcome *want)
{
    struct garden g;
    begin(&g, size, want);
    if (late) {
        zks__tree_idle(g.tree, garden_next(&g));
    }
    assert_int_equal(s->call(&g), s->code);
    look(&g, want);
    garden_close(&g);
}

/* Returns whether memory has run out at all. */
static bool run_out(const struct scene *s, unsigned size, size_t k, bool for_good,
                    const struct outcome want[2])
{
    struct outcome before = {{0}, {0}};
    struct outcome after = {{0}, {0}};
    struct garden g;
    begin(&g, size, &before);
    int64_t zxid = g.txn.zxid;
    g.heap.fail_at = g.heap.asked + k;
    g.heap.for_good = for_good;
    int code = s->call(&g);
    g.heap.fail_at = 0;
    bool refused = g.heap.refused > 0;
    look(&g, &after);
    if (code == ZKS__Z_SYSTEMERROR && s->code != ZKS__Z_SYSTEMERROR) {
        assert_true(refused);
        assert_false(s->frugal);
        assert_text_equal(&after.dump, &before.dump, "after the failure");
        assert_text_equal(&after.events, &before.events, "the events of the failure");
        assert_int_equal(s->call(&g), s->code);
        look(&g, &after);
        assert_text_equal(&after.dump, &want[g.txn.zxid > zxid + 1].dump, "repeated");
        assert_text_equal(&after.events, &want[0].events, "the events when repeated");
    } else {
        assert_int_equal(code, s->code);
        assert_text_equal(&after.dump, &want[0].dump, "done");
        assert_text_equal(&after.events, &want[0].events, "the events");
    }
    garden_check(&g);
    garden_close(&g);
    free_outcome(&before);
    free_outcome(&after);
    return refused;
}

static void test_each_request(void **state)
{
    (void)state;
    unsigned step = (unsigned)unit_step(7);
    size_t most = 0;
    for (size_t i = 0; i < COUNT(scenes); i++) {
        print_message("# %s\n", scenes[i].what);
        for (unsigned size = 0; size < SIZES; size += step) {
            struct outcome want[2];
            memset(want, 0, sizeof want);
            rehearse(&scenes[i], size, 0, &want[0]);
            rehearse(&scenes[i], size, 1, &want[1]);
            size_t k = 1;
            while (run_out(&scenes[i], size, k, false, want)) {
                k++;
            }
            assert_true(!scenes[i].frugal || k == 1);
            most = k > most ? k : most;
            for (k = 1; run_out(&scenes[i], size, k, true, want);) {
                k++;
            }
            free_outcome(&want[0]);
            free_outcome(&want[1]);
        }
    }
    assert_true(most > 10);
}

static void test_new_tree(void **state)
{
    (void)state;
    struct garden g;
    struct text want = {0};
    struct text is = {0};
    garden_open(&g, NULL, NULL);
    garden_dump(&g, &want);
    garden_close(&g);
    for (size_t k = 1;; k++) {
        memset(&g, 0, sizeof g);
        heap_init(&g.heap);
        g.heap.fail_at = k;
        bool made = garden_try_open(&g, NULL, NULL);
        if (!made) {
            assert_true(g.heap.refused > 0);
            g.heap.fail_at = 0;
            assert_true(garden_try_open(&g, NULL, NULL));
        }
        garden_dump(&g, &is);
        assert_text_equal(&is, &want, "a new tree");
        bool refused = g.heap.refused > 0;
        garden_close(&g);
        if (!refused) {
            assert_true(k > 5);
            break;
        }
    }
    text_free(&want);
    text_free(&is);
    zks__tree_free(NULL);
}

/* Whatever is in it when it is freed; and with nothing of what was asked for left over. */
static void test_everything_is_freed(void **state)
{
    (void)state;
    for (unsigned size = 0; size < SIZES; size++) {
        struct garden g;
        plant(&g, size);
        for (unsigned w = 0; w < WATCHERS; w++) {
            watch(&g, "/p", w);
            watch(&g, "/none", w);
        }
        for (size_t i = 0; i < COUNT(scenes); i++) {
            (void)scenes[i].call(&g);
        }
        for (unsigned w = 0; w < WATCHERS; w += 2) {
            zks__watcher_close(zks__tree_watches(g.tree), &g.watchers[w]);
        }
        garden_check(&g);
        garden_close(&g);
    }
}

/* To take away what has been put in gives all of its memory back. */
static void test_nothing_piles_up(void **state)
{
    (void)state;
    struct garden g;
    size_t blocks = 0;
    size_t bytes = 0;
    plant(&g, 3);
    for (unsigned round = 0; round < 50; round++) {
        assert_int_equal(garden_open_session(&g, 50), ZKS__Z_OK);
        const struct zks__who who = session_of(50);
        struct zks__op op = op_create("/p/e", ZKS__EPHEMERAL_SEQUENTIAL);
        struct zks__op_result result;
        for (int i = 0; i < 5; i++) {
            assert_int_equal(garden_write(&g, &who, &op, &result), ZKS__Z_OK);
            watch(&g, result.path, 2);
        }
        assert_int_equal(create_with_all(&g), ZKS__Z_OK);
        assert_int_equal(multi_that_fails(&g), ZKS__Z_NODEEXISTS);
        assert_int_equal(write_op(&g, op_set_acl("/p/new", open_acl, 1, -1)), ZKS__Z_OK);
        assert_int_equal(write_op(&g, op_set("/p/new", "x", -1)), ZKS__Z_OK);
        assert_int_equal(write_op(&g, op_delete("/p/new", -1)), ZKS__Z_OK);
        garden_close_session(&g, 50);
        zks__tree_idle(g.tree, garden_next(&g));
        assert_true(round == 0 || (g.heap.blocks == blocks && g.heap.bytes == bytes));
        blocks = g.heap.blocks;
        bytes = g.heap.bytes;
    }
    garden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_request),
        cmocka_unit_test(test_new_tree),
        cmocka_unit_test(test_everything_is_freed),
        cmocka_unit_test(test_nothing_piles_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
