/* SPDX-License-Identifier: Apache-2.0 */
/* A multi is all or nothing: one that fails leaves no trace, and one that does not is the same as its
 * operations one by one.  Random ones are carried out on a tree, and one by one on its twin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree_dump.h"

/* ---- By hand ---- */

static bool multi(struct garden *g, const struct zks__op *ops, size_t n,
                  struct zks__op_result *results)
{
    memset(results, 0x5a, n * sizeof *results);
    return zks__tree_multi(g->tree, garden_next(g), &super, ops, n, results);
}

static void test_empty(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_true(zks__tree_multi(g.tree, garden_next(&g), &super, NULL, 0, NULL));
    assert_true(zks__tree_zxid(g.tree) == g.txn.zxid);
    garden_close(&g);
}

/* Each operation sees what those before it have done. */
static void test_one_after_the_other(void **state)
{
    (void)state;
    struct zks__op_result r[8];
    struct zks__znode_stat stat;
    struct garden g;
    garden_open(&g, NULL, NULL);
    (void)zks__tree_exists(g.tree, &super, "/p/a0000000001", &g.watchers[0], &stat);
    (void)zks__tree_exists(g.tree, &super, "/p", &g.watchers[1], &stat);
    const struct zks__op ops[] = {
        op_create("/p", ZKS__PERSISTENT),
        op_create("/p/x", ZKS__PERSISTENT),
        op_create("/p/a", ZKS__PERSISTENT_SEQUENTIAL),
        op_set("/p/a0000000001", "abc", 0),
        op_check("/p/a0000000001", 1),
        op_delete("/p/a0000000001", 1),
        op_set_acl("/p", open_acl, 1, 0),
        op_create("/p/a", ZKS__PERSISTENT_SEQUENTIAL),
    };
    assert_true(multi(&g, ops, COUNT(ops), r));
    for (size_t i = 0; i < COUNT(ops); i++) {
        assert_int_equal(r[i].code, ZKS__Z_OK);
    }
    assert_string_equal(r[0].path, "/p");
    /* This one has gone again, but its path is good until the next write. */
    assert_string_equal(r[2].path, "/p/a0000000001");
    assert_string_equal(r[7].path, "/p/a0000000002");
    assert_null(r[5].path);
    assert_int_equal(r[0].stat.num_children, 0);
    assert_int_equal(r[3].stat.version, 1);
    assert_int_equal(r[3].stat.data_length, 3);
    assert_int_equal(r[6].stat.aversion, 1);
    assert_int_equal(r[6].stat.num_children, 1);
    assert_true(r[2].stat.czxid == g.txn.zxid && r[7].stat.czxid == g.txn.zxid);
    /* A watch is used up by the first event. */
    assert_string_equal(garden_events(&g), "1 CREATED /p\n0 CREATED /p/a0000000001\n");
    garden_check(&g);
    garden_close(&g);
}

/* The children and the kin are where they were, whatever was taken out and put in. */
static void test_undone_in_order(void **state)
{
    (void)state;
    static const char *const kinds[] = {"/e", "/c", "/t", "/p"};
    static const int modes[] = {ZKS__EPHEMERAL, ZKS__CONTAINER, ZKS__PERSISTENT_TTL, 0};
    const struct zks__who who = session_of(3);
    struct zks__op ops[11];
    struct zks__op_result r[11];
    struct text before = {0};
    struct text after = {0};
    char path[8][8];
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (unsigned order = 0; order < 120; order++) {
            struct garden g;
            garden_open(&g, NULL, NULL);
            assert_int_equal(garden_open_session(&g, 3), ZKS__Z_OK);
            for (unsigned i = 0; i < 5; i++) {
                (void)snprintf(path[i], sizeof path[i], "%s%u", kinds[k], i);
                const struct zks__op op = op_create(path[i], modes[k]);
                assert_int_equal(garden_write(&g, &who, &op, r), ZKS__Z_OK);
            }
            garden_dump(&g, &before);
            /* In each order out, every other one in again. */
            unsigned left = order;
            unsigned gone = 0;
            size_t n = 0;
            for (unsigned i = 5; i > 0; i--) {
                unsigned skip = left % i;
                unsigned which = 0;
                left /= i;
                while (gone >> which & 1 || skip-- > 0) {
                    which++;
                }
                gone |= 1U << which;
                ops[n++] = op_delete(path[which], -1);
                if (i % 2) {
                    ops[n++] = op_create(path[which], modes[(k + i) % 4]);
                }
            }
            ops[n++] = op_check("/none", -1);
            assert_false(zks__tree_multi(g.tree, garden_next(&g), &who, ops, n, r));
            assert_int_equal(r[n - 1].code, ZKS__Z_NONODE);
            garden_dump(&g, &after);
            assert_text_equal(&after, &before, kinds[k]);
            garden_check(&g);
            garden_close(&g);
        }
    }
    text_free(&before);
    text_free(&after);
}

static void test_large(void **state)
{
    (void)state;
    enum { LARGE = 3000 };
    static struct zks__op ops[LARGE];
    static struct zks__op_result r[LARGE];
    struct text before = {0};
    struct text after = {0};
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/p", ZKS__PERSISTENT);
    garden_create(&g, "/p/x", ZKS__PERSISTENT);
    for (size_t i = 0; i < LARGE; i++) {
        ops[i] = i % 3 == 0   ? op_create("/p/s", ZKS__PERSISTENT_SEQUENTIAL)
                 : i % 3 == 1 ? op_set("/p/x", "another value", -1)
                              : op_set_acl("/p/x", open_acl, 1, -1);
    }
    garden_dump(&g, &before);
    ops[LARGE - 1] = op_check("/p/x", 12345);
    assert_false(multi(&g, ops, LARGE, r));
    assert_int_equal(r[LARGE - 2].code, ZKS__Z_OK);
    assert_null(r[0].path);
    assert_int_equal(r[LARGE - 1].code, ZKS__Z_BADVERSION);
    garden_dump(&g, &after);
    assert_text_equal(&after, &before, "large");
    garden_check(&g);
    assert_true(multi(&g, ops, LARGE - 1, r));
    assert_string_equal(r[LARGE - 3].path, "/p/s0000001000");
    assert_int_equal(garden_stat(&g, "/p").num_children, LARGE / 3 + 1);
    garden_check(&g);
    text_free(&before);
    text_free(&after);
    garden_close(&g);
}

/* ---- Random ones ---- */

enum { STEPS = 18, OPS = 7, PATH = 48 };

static const char *const pool[] = {"/a",     "/b",     "/c",   "/e",   "/a/x", "/a/y",
                                   "/a/x/p", "/a/x/q", "/b/x", "/b/y", "/c/x", "/"};
static const char *const watched[] = {"/a",     "/b",   "/c",   "/e",   "/a/x", "/a/y", "/a/x/p",
                                      "/a/x/q", "/b/x", "/b/y", "/c/x", "/",    NULL};
static const char *const odd[] = {"/zookeeper",
                                  "/zookeeper/config",
                                  "/zookeeper/quota",
                                  "/zookeeper/q",
                                  "x",
                                  "",
                                  "/a/",
                                  "/a/.",
                                  "/none/x",
                                  "/b//x"};
static const char *const values[] = {NULL, "", "x", "some more data than that"};

static const struct zks__id ids[] = {
    {"ip", "10.0.0.1"}, {"digest", "me:1"}, {"digest", "you:2"}, {"super", ""}};
static const struct zks__who whos[] = {
    {0, {NULL, 0}},    {1, {ids, 1}},     {2, {ids, 2}},     {3, {ids + 1, 2}}, {4, {NULL, 0}},
    {1, {ids + 1, 3}}, {2, {ids + 2, 2}}, {3, {ids + 3, 1}}, {1, {ids, 4}},     {2, {ids, 4}},
    {3, {ids, 4}},     {1, {ids + 1, 3}}, {2, {ids + 1, 3}}, {3, {ids + 1, 3}}, {0, {ids, 4}}};

static const struct zks__ace lists[][2] = {
    {{31, {"world", "anyone"}}, {1, {"ip", "10.0.0.0/8"}}},
    {{31, {"digest", "me:1"}}, {1, {"world", "anyone"}}},
    {{31, {"auth", ""}}, {1, {"world", "anyone"}}},
    {{27, {"world", "anyone"}}, {31, {"digest", "you:2"}}},
    {{31, {"ip", "10.0.0.1"}}, {1, {"nonsense", ""}}},
};

enum act { MULTI, OPEN, CLOSE, WATCH, REWATCH };

struct step {
    enum act act;
    struct zks__txn txn;
    const struct zks__who *who;
    size_t n;
    struct zks__op ops[OPS];
    char paths[OPS][PATH];
    int64_t session;
    unsigned watcher;
    bool failed;
};

struct play {
    uint64_t seed;
    struct garden a; /* Multis. */
    struct garden b; /* One by one. */
    struct zks__tree_limits limits;
    uint32_t creates; /* Of /a, to begin with. */
    struct step steps[STEPS];
    size_t n;
    struct text before;
    struct text dump_a;
    struct text dump_b;
};

static struct {
    unsigned done;
    unsigned failed[OPS]; /* By the place of the operation that failed. */
    unsigned codes[128];
    unsigned ran_out;
    unsigned undone[ZKS__OP_REAP + 1];
} tally;

static bool one_in(struct play *p, uint32_t n)
{
    return unit_below(&p->seed, n) == 0;
}

/* A znode that is there: down from the root by chance. */
static const struct zks__znode *existing(struct play *p)
{
    const struct zks__znode *node = p->a.tree->root;
    while (node->n_children > 0 && !one_in(p, 4)) {
        const struct zks__znode *down = node->first_child;
        for (uint32_t k = unit_below(&p->seed, node->n_children); k > 0; k--) {
            down = zks__tree_next_child(down);
        }
        if (strcmp(down->path, "/zookeeper") == 0 && !one_in(p, 20)) {
            break;
        }
        node = down;
    }
    return node;
}

/* One that is likely to do. */
static void choose_path(struct play *p, const struct zks__op *op, char *path)
{
    static const char *const names[] = {"a", "b", "c", "x", "y", "p"};
    const struct zks__znode *node = existing(p);
    bool sequential = op->mode == ZKS__PERSISTENT_SEQUENTIAL ||
                      op->mode == ZKS__EPHEMERAL_SEQUENTIAL ||
                      op->mode == ZKS__PERSISTENT_SEQUENTIAL_TTL;
    if (op->kind == ZKS__OP_CREATE) {
        const char *name = names[unit_below(&p->seed, COUNT(names))];
        for (int i = 0; i < 2 && node->kin == ZKS__KIN_EPHEMERAL; i++) {
            node = existing(p);
        }
        const char *parent = node->parent != NULL ? node->path : "";
        (void)snprintf(path, PATH, "%s/%s", strlen(parent) < 30 ? parent : "",
                       sequential ? "s" : name);
        return;
    }
    if (op->kind == ZKS__OP_REAP) {
        const struct zks__kindred *list = one_in(p, 2) ? &p->a.tree->containers : &p->a.tree->ttls;
        node = list->first != NULL ? list->first : node;
    }
    for (int i = 0; i < 9 && op->kind == ZKS__OP_DELETE && node->n_children > 0; i++) {
        node = existing(p);
    }
    (void)snprintf(path, PATH, "%s", node->path);
}

static void choose_op(struct play *p, struct zks__op *op, char *path)
{
    static const enum zks__op_kind kinds[] = {
        ZKS__OP_CREATE,  ZKS__OP_CREATE, ZKS__OP_CREATE, ZKS__OP_CREATE, ZKS__OP_CREATE,
        ZKS__OP_DELETE,  ZKS__OP_DELETE, ZKS__OP_DELETE, ZKS__OP_SET,    ZKS__OP_SET,
        ZKS__OP_SET_ACL, ZKS__OP_CHECK,  ZKS__OP_REAP};
    memset(op, 0, sizeof *op);
    op->kind = kinds[unit_below(&p->seed, COUNT(kinds))];
    if (op->kind == ZKS__OP_REAP && p->a.tree->containers.first == NULL) {
        op->kind = ZKS__OP_CREATE;
    }
    op->version = one_in(p, 20) ? (int32_t)unit_below(&p->seed, 3) : -1;
    op->data = values[unit_below(&p->seed, COUNT(values))];
    op->data_len = op->data != NULL ? strlen(op->data) : 0;
    op->mode = one_in(p, 60) ? 7 : (int)unit_below(&p->seed, 7);
    bool ttl = op->mode == ZKS__PERSISTENT_TTL || op->mode == ZKS__PERSISTENT_SEQUENTIAL_TTL;
    op->ttl_ms = ttl ? (int64_t)(one_in(p, 20) ? 0 : 1 + unit_below(&p->seed, 100)) : 0;
    const struct zks__ace *list = lists[one_in(p, 3) ? unit_below(&p->seed, COUNT(lists)) : 0];
    op->aces = list;
    op->n_aces = one_in(p, 60) ? 0 : 1 + unit_below(&p->seed, 2);
    choose_path(p, op, path);
    if (one_in(p, 16)) {
        strcpy(path, pool[unit_below(&p->seed, COUNT(pool))]);
    } else if (one_in(p, 60)) {
        strcpy(path, odd[unit_below(&p->seed, COUNT(odd))]);
    }
    op->path = path;
}

static void choose_step(struct play *p, struct step *s)
{
    static const enum act acts[] = {OPEN, OPEN, OPEN, CLOSE, WATCH, WATCH, WATCH, REWATCH};
    memset(s, 0, sizeof *s);
    uint32_t dice = unit_below(&p->seed, 2 * COUNT(acts));
    s->act = p->n < 3 ? OPEN : dice < COUNT(acts) ? acts[dice] : MULTI;
    s->txn = *garden_next(&p->a);
    s->session = 1 + (p->n < 3 ? (int64_t)p->n : unit_below(&p->seed, 3));
    s->watcher = unit_below(&p->seed, WATCHERS);
    s->who = &whos[unit_below(&p->seed, COUNT(whos))];
    if (s->act == MULTI) {
        s->n = 1 + unit_below(&p->seed, OPS);
        for (size_t i = 0; i < s->n; i++) {
            choose_op(p, &s->ops[i], s->paths[i]);
        }
        if (one_in(p, 4)) { /* So that something before it is undone for sure. */
            s->ops[s->n - 1] = op_check("/none", -1);
        }
    } else {
        s->n = 4;
        for (size_t i = 0; i < s->n; i++) {
            strcpy(s->paths[i], pool[unit_below(&p->seed, COUNT(pool))]);
        }
    }
}

static void watch(struct garden *g, const struct step *s)
{
    struct zks__watcher *w = &g->watchers[s->watcher];
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    const void *data;
    (void)zks__tree_exists(g->tree, &super, s->paths[0], w, &stat);
    (void)zks__tree_get(g->tree, &super, s->paths[1], w, &data, &stat);
    (void)zks__tree_children(g->tree, &super, s->paths[2], w, &child, &stat);
    (void)zks__tree_children(g->tree, &super, s->paths[3], w, &child, &stat);
}

static void rewatch(struct garden *g, const struct step *s)
{
    for (unsigned i = 0; i < 4; i++) {
        (void)zks__tree_rewatch(g->tree, i < 2 ? ZKS__WATCHED_NODE : ZKS__WATCHED_CHILDREN, i > 0,
                                s->paths[i], s->txn.zxid - 4, &g->watchers[s->watcher]);
    }
}

/* All but multis, which the trees differ in. */
static void other_step(struct garden *g, const struct step *s)
{
    struct zks__session session = {.id = s->session, .timeout_ms = 1000};
    switch (s->act) {
    case OPEN:
        (void)zks__tree_open_session(g->tree, &s->txn, &session);
        break;
    case CLOSE:
        zks__tree_close_session(g->tree, &s->txn, s->session);
        break;
    case WATCH:
        watch(g, s);
        break;
    default:
        rewatch(g, s);
    }
}

/* Carries out as many as go; returns how many those are. */
static size_t one_by_one(struct garden *g, const struct step *s, struct zks__op_result *r,
                         char paths[OPS][PATH])
{
    for (size_t i = 0; i < s->n; i++) {
        zks__tree_write(g->tree, &s->txn, s->who, &s->ops[i], &r[i]);
        if (r[i].code != ZKS__Z_OK) {
            return i;
        }
        paths[i][0] = '\0';
        if (r[i].path != NULL) {
            strcpy(paths[i], r[i].path);
        }
    }
    return s->n;
}

static void begin_tree(struct play *p, struct garden *g)
{
    static const char *const paths[] = {"/a", "/b", "/a/x", "/a/y", "/a/x/p"};
    garden_open(g, &p->limits, watched);
    for (size_t i = 0; i < COUNT(paths); i++) {
        garden_create(g, paths[i], i % 2 ? ZKS__CONTAINER : ZKS__PERSISTENT);
    }
    garden_node(g, "/a")->creates += p->creates;
}

/* The twin from its beginning, without what has failed. */
static void rebuild(struct play *p)
{
    garden_close(&p->b);
    begin_tree(p, &p->b);
    for (size_t i = 0; i < p->n; i++) {
        const struct step *s = &p->steps[i];
        struct zks__op_result r[OPS];
        char paths[OPS][PATH];
        if (s->act != MULTI) {
            other_step(&p->b, s);
        } else if (s->failed) {
            zks__tree_idle(p->b.tree, &s->txn);
        } else {
            assert_int_equal(one_by_one(&p->b, s, r, paths), s->n);
        }
    }
    text_clear(&p->b.events);
}

static void compare(struct play *p)
{
    garden_dump(&p->a, &p->dump_a);
    garden_dump(&p->b, &p->dump_b);
    assert_text_equal(&p->dump_a, &p->dump_b, "the trees");
    assert_text_equal(&p->a.events, &p->b.events, "the events");
}

static void check_done(struct play *p, const struct step *s, const struct zks__op_result *r)
{
    struct zks__op_result want[OPS];
    char paths[OPS][PATH];
    assert_int_equal(one_by_one(&p->b, s, want, paths), s->n);
    for (size_t i = 0; i < s->n; i++) {
        assert_int_equal(r[i].code, ZKS__Z_OK);
        assert_string_equal(r[i].path != NULL ? r[i].path : "", paths[i]);
        if (s->ops[i].kind != ZKS__OP_DELETE && s->ops[i].kind != ZKS__OP_CHECK &&
            s->ops[i].kind != ZKS__OP_REAP) {
            assert_true(stat_equal(&r[i].stat, &want[i].stat));
        }
    }
    tally.done++;
    compare(p);
}

static void check_failed(struct play *p, const struct step *s, const struct zks__op_result *r)
{
    struct zks__op_result want[OPS];
    char paths[OPS][PATH];
    assert_string_equal(text_get(&p->a.events), "");
    garden_dump(&p->a, &p->dump_a);
    assert_text_equal(&p->dump_a, &p->before, "a multi that failed");
    size_t at = one_by_one(&p->b, s, want, paths);
    assert_true(at < s->n);
    for (size_t i = 0; i < s->n; i++) {
        assert_null(r[i].path);
        assert_int_equal(r[i].code, i < at    ? ZKS__Z_OK
                                    : i == at ? want[at].code
                                              : ZKS__Z_RUNTIMEINCONSISTENCY);
        tally.undone[s->ops[i].kind] += i < at;
    }
    tally.failed[at]++;
    tally.codes[-want[at].code]++;
}

/* The tree has run out of memory: that is no different from other failures, and can pass. */
static bool ran_out(struct play *p, const struct step *s, const struct zks__op_result *r)
{
    size_t at = 0;
    while (at < s->n && r[at].code == ZKS__Z_OK) {
        at++;
    }
    if (at == s->n || r[at].code != ZKS__Z_SYSTEMERROR) {
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        assert_null(r[i].path);
        assert_true(i <= at || r[i].code == ZKS__Z_RUNTIMEINCONSISTENCY);
    }
    assert_string_equal(text_get(&p->a.events), "");
    garden_dump(&p->a, &p->dump_a);
    assert_text_equal(&p->dump_a, &p->before, "a multi without memory");
    tally.ran_out++;
    return true;
}

static void try_multi(struct play *p, struct step *s, struct zks__op_result *r)
{
    struct heap *heap = &p->a.heap;
    bool again = false;
    do {
        heap->for_good = one_in(p, 2);
        heap->fail_at = !again && one_in(p, 2) ? heap->asked + 1 + unit_below(&p->seed, 20) : 0;
        memset(r, 0x5a, OPS * sizeof *r);
        s->failed = !zks__tree_multi(p->a.tree, &s->txn, s->who, s->ops, s->n, r);
        heap->fail_at = 0;
        again = !again && s->failed && ran_out(p, s, r);
        if (again) {
            s->txn = *garden_next(&p->a);
        }
    } while (again);
}

static void take_step(struct play *p)
{
    struct step *s = &p->steps[p->n];
    struct zks__op_result r[OPS];
    choose_step(p, s);
    text_clear(&p->a.events);
    text_clear(&p->b.events);
    if (s->act != MULTI) {
        other_step(&p->a, s);
        other_step(&p->b, s);
        p->n++;
        compare(p);
    } else {
        try_multi(p, s, r);
        p->n++;
        if (s->failed) {
            check_failed(p, s, r);
            rebuild(p);
        } else {
            check_done(p, s, r);
        }
    }
    garden_check(&p->a);
    struct text t = p->before;
    p->before = p->dump_a;
    p->dump_a = t;
}

static void play(uint64_t seed)
{
    static struct play p;
    memset(&p, 0, sizeof p);
    p.seed = seed;
    p.limits.nodes = one_in(&p, 4) ? 14 : 0;
    p.limits.bytes = one_in(&p, 4) ? 150 : 0;
    p.limits.watches = one_in(&p, 8) ? 5 : 0;
    p.creates = one_in(&p, 8) ? INT32_MAX - 5 : 0;
    begin_tree(&p, &p.a);
    begin_tree(&p, &p.b);
    garden_dump(&p.a, &p.before);
    while (p.n < STEPS) {
        take_step(&p);
    }
    garden_close(&p.a);
    garden_close(&p.b);
    text_free(&p.before);
    text_free(&p.dump_a);
    text_free(&p.dump_b);
}

enum { PLAYS = 4000, FEW = 60 };

static void test_random(void **state)
{
    (void)state;
    uint64_t plays = PLAYS / unit_step(PLAYS / FEW);
    for (uint64_t seed = 1; seed <= plays; seed++) {
        play(seed);
    }
    print_message("# %u done, %u without memory; failed at %u %u %u %u %u %u %u\n", tally.done,
                  tally.ran_out, tally.failed[0], tally.failed[1], tally.failed[2], tally.failed[3],
                  tally.failed[4], tally.failed[5], tally.failed[6]);
    for (unsigned i = 0; i < COUNT(tally.codes); i++) {
        if (tally.codes[i] > 0) {
            print_message("# %u with -%u\n", tally.codes[i], i);
        }
    }
    /* Or else the plays would prove nothing. */
    assert_true(tally.done > plays && tally.ran_out > plays / 2);
    for (size_t i = 0; i < OPS; i++) {
        assert_true(tally.failed[i] > plays / 60);
    }
    for (size_t i = 0; i < COUNT(tally.undone); i++) {
        print_message("# %u of kind %zu undone\n", tally.undone[i], i);
        assert_true(tally.undone[i] > plays / 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_undone_in_order), cmocka_unit_test(test_large),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
