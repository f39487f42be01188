/* SPDX-License-Identifier: Apache-2.0 */
/* Watches that stay, those of a path and those of all that is below one too: the table alone. */
#include <string.h>

#include "tree/code.h"
#include "watch_box.h"

static void keep(struct fixture *f, const char *path, bool recursive, unsigned w)
{
    assert_int_equal(zks__watch_keep(&f->table, path, recursive, &f->w[w]), ZKS__Z_OK);
    unsigned mode = recursive ? ZKS__WATCH_RECURSIVE : ZKS__WATCH_PERSISTENT;
    assert_true(zks__watch_has(&f->table, NODE, path, &f->w[w], mode));
    assert_int_equal(zks__watch_has(&f->table, KIDS, path, &f->w[w], mode), !recursive);
}

static void add(struct fixture *f, enum zks__watched what, const char *path, unsigned w)
{
    assert_int_equal(zks__watch_add(&f->table, what, path, &f->w[w]), ZKS__Z_OK);
}

/* ---- Who is told of what ---- */

/* The last ones only look as if they were below the others. */
static const char *const around[] = {"/",        "/a",    "/a/b",  "/a/b/c", "/a/b/c/d",
                                     "/a/b/c/e", "/a/bc", "/a/x",  "/ab",    "/b/a/b",
                                     "/a/b2/c",  "/A/b",  "/a/b/", "/a/b/c2"};

static const struct {
    const char *watched;
    bool recursive;
    enum zks__event event;
    const char *told; /* One letter for each path around. */
} reach_rows[] = {
    {"/a/b", false, ZKS__EVENT_CREATED, "--x-----------"},
    {"/a/b", false, ZKS__EVENT_DELETED, "--x-----------"},
    {"/a/b", false, ZKS__EVENT_DATA_CHANGED, "--x-----------"},
    {"/a/b", false, ZKS__EVENT_CHILDREN_CHANGED, "--x-----------"},
    {"/a/b", true, ZKS__EVENT_CREATED, "--xxxx------xx"},
    {"/a/b", true, ZKS__EVENT_DELETED, "--xxxx------xx"},
    {"/a/b", true, ZKS__EVENT_DATA_CHANGED, "--xxxx------xx"},
    {"/a/b", true, ZKS__EVENT_CHILDREN_CHANGED, "--------------"},
    {"/", false, ZKS__EVENT_CREATED, "x-------------"},
    {"/", false, ZKS__EVENT_DELETED, "x-------------"},
    {"/", false, ZKS__EVENT_DATA_CHANGED, "x-------------"},
    {"/", false, ZKS__EVENT_CHILDREN_CHANGED, "x-------------"},
    {"/", true, ZKS__EVENT_CREATED, "xxxxxxxxxxxxxx"},
    {"/", true, ZKS__EVENT_DELETED, "xxxxxxxxxxxxxx"},
    {"/", true, ZKS__EVENT_DATA_CHANGED, "xxxxxxxxxxxxxx"},
    {"/", true, ZKS__EVENT_CHILDREN_CHANGED, "--------------"},
    {"/a", true, ZKS__EVENT_CREATED, "-xxxxxxx--x-xx"},
    /* Nobody but the root is above its children. */
    {"", true, ZKS__EVENT_CREATED, "--------------"},
    {"/a/", true, ZKS__EVENT_CREATED, "--------------"},
    {"a", true, ZKS__EVENT_CREATED, "--------------"},
};

static void test_reach(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reach_rows); i++) {
        struct fixture f;
        begin(&f, SIZE_MAX);
        print_message("# %s %d %d\n", reach_rows[i].watched, reach_rows[i].recursive,
                      (int)reach_rows[i].event);
        assert_int_equal(strlen(reach_rows[i].told), COUNT(around));
        keep(&f, reach_rows[i].watched, reach_rows[i].recursive, 1);
        /* It stays, so the second time is as the first one. */
        for (size_t k = 0; k < 2 * COUNT(around); k++) {
            bool told = reach_rows[i].told[k / 2] == 'x';
            assert_int_equal(fire(&f, reach_rows[i].event, around[k / 2]), told ? 2 : 0);
        }
        assert_int_equal(f.table.entries.n, reach_rows[i].recursive ? 1 : 2);
        end(&f);
    }
}

static void test_told_once_however_many_watches(void **state)
{
    (void)state;
    static const enum zks__event events[] = {ZKS__EVENT_CREATED, ZKS__EVENT_DATA_CHANGED,
                                             ZKS__EVENT_DELETED, ZKS__EVENT_CREATED};
    struct fixture f;
    begin(&f, SIZE_MAX);
    for (size_t i = 0; i < 5; i++) {
        keep(&f, around[i], true, 0);
        keep(&f, around[i], i % 2 == 0, 1);
        keep(&f, around[i], false, 2);
    }
    add(&f, NODE, "/a/b/c/d", 3);
    add(&f, KIDS, "/a/b/c/d", 3);
    assert_int_equal(fire(&f, ZKS__EVENT_CHILDREN_CHANGED, "/a/b/c"), 6);
    for (size_t i = 0; i < COUNT(events); i++) {
        assert_int_equal(fire(&f, events[i], "/a/b/c/d"), i % 2 == 0 ? 15 : 7);
    }
    /* The first event has used up one of the two that fire once, and the deletion the other. */
    assert_int_equal(f.table.entries.n, 5 * 1 + (3 * 1 + 2 * 2) + 5 * 2);
    end(&f);
}

/* ---- One who watches in several ways ---- */

/* Steps: p, r: a persistent or recursive watch; n, k: a read sets a watch of the znode, of its children;
 * N, K, P, R, A: the one on the znode that fires once is removed, the one on the children, the persistent
 * one, the recursive one, all; C, D, S, L: created, deleted, set, children changed; and in small letters the
 * same of a child: c, d, s, l.  After each removal and event comes whether there was one, and whether it
 * has been told. */
static const struct {
    const char *steps;
    size_t entries;
    size_t recursive;
} mixed_rows[] = {
    {"p S+ S+ C+ D+ L+ L+ c- d- s- l-", 2, 0},
    {"r S+ S+ C+ D+ L- c+ d+ s+ l-", 1, 1},
    /* Each mode is as if it were alone. */
    {"p r L+ s+ S+ l-", 2, 1},
    {"r p L+ s+ S+ l-", 2, 1},
    {"r r s+", 1, 1},
    {"n p S+ S+ L+ L+", 2, 0},
    {"k p S+ S+ L+ L+", 2, 0},
    {"n k r S+ S+ L+ L- s+ s+", 1, 1},
    /* A watch that fires once leaves those that stay. */
    {"p n S+ S+ C+ L+ L+ D+ D+", 2, 0},
    {"p n D+ D+ S+ C+ L+", 2, 0},
    {"p k L+ L+ S+ S+ D+ D+", 2, 0},
    {"p k D+ L+ D+ S+", 2, 0},
    {"r n S+ S+ C+ L- D+ c+ s+ d+ D+", 1, 1},
    {"r n s+ d+ c+ S+ s+ d+", 1, 1},
    {"r k L+ L- S+ C+ D+ c+ s+ d+ l-", 1, 1},
    {"r k s+ d+ D+ L- D+", 1, 1},
    {"p n k D+ D+ L+ S+", 2, 0},
    {"r n k s+ D+ D+ L- s+", 1, 1},
    {"p r n k D+ D+ L+ s+", 2, 1},
    /* Each is removed by itself, and those that fire once are no part of the others. */
    {"p N- K- R- S+ L+ P+ P- S- L-", 0, 0},
    {"r N- K- P- s+ S+ R+ R- S- s-", 0, 0},
    {"p n N+ N- S+ S+", 2, 0},
    {"p n P+ S+ S- L-", 0, 0},
    {"p k P+ L+ L-", 0, 0},
    {"p k K+ K- L+ L+", 2, 0},
    {"r n R+ s- S+ S-", 0, 0},
    {"r n N+ S+ s+", 1, 1},
    {"p r P+ L- s+ S+", 1, 1},
    {"p r R+ L+ s- S+", 2, 0},
    {"p r n k A+ S- L- s- A-", 0, 0},
    {"k A+ L-", 0, 0},
    {"A- N- K- P- R-", 0, 0},
};

static bool drop(struct fixture *f, unsigned node, unsigned children)
{
    bool had = zks__watch_drop(&f->table, NODE, "/a/b", &f->w[0], node);
    return zks__watch_drop(&f->table, KIDS, "/a/b", &f->w[0], children) || had;
}

static bool play(struct fixture *f, const char *step)
{
    static const char removals[] = "NKPRA";
    static const struct {
        unsigned node;
        unsigned children;
    } modes[] = {{ZKS__WATCH_ONCE, 0},
                 {0, ZKS__WATCH_ONCE},
                 {ZKS__WATCH_PERSISTENT, ZKS__WATCH_PERSISTENT},
                 {ZKS__WATCH_RECURSIVE, 0},
                 {ZKS__WATCH_ANY, ZKS__WATCH_ANY}};
    static const char letters[] = "CDSL";
    static const char small[] = "cdsl";
    const char *own = strchr(letters, step[0]);
    const char *child = strchr(small, step[0]);
    switch (step[0]) {
    case 'p':
    case 'r':
        keep(f, "/a/b", step[0] == 'r', 0);
        return true;
    case 'n':
    case 'k':
        add(f, step[0] == 'n' ? NODE : KIDS, "/a/b", 0);
        return true;
    default:
        break;
    }
    const char *removal = strchr(removals, step[0]);
    if (removal != NULL) {
        return drop(f, modes[removal - removals].node, modes[removal - removals].children) ==
               (step[1] == '+');
    }
    size_t event = own != NULL ? (size_t)(own - letters) : (size_t)(child - small);
    unsigned told = fire(f, (enum zks__event)(1 + event), own != NULL ? "/a/b" : "/a/b/c");
    return told == (step[1] == '+' ? 1 : 0);
}

static void test_mixed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mixed_rows); i++) {
        struct fixture f;
        begin(&f, SIZE_MAX);
        for (const char *s = mixed_rows[i].steps; s != NULL; s = strchr(s, ' ')) {
            s += s[0] == ' ';
            if (!play(&f, s)) {
                fail_msg("%s, at %s", mixed_rows[i].steps, s);
            }
        }
        print_message("# %s\n", mixed_rows[i].steps);
        assert_int_equal(f.table.entries.n, mixed_rows[i].entries);
        assert_int_equal(f.table.recursive, mixed_rows[i].recursive);
        end(&f);
    }
}

/* ---- Many, and the end of them ---- */

static void test_crowd(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SIZE_MAX);
    size_t blocks = f.heap.blocks;
    for (unsigned w = 0; w < CROWD; w++) {
        keep(&f, w % 3 == 0 ? "/" : "/a", w % 2 == 0, w);
        add(&f, w % 5 == 0 ? NODE : KIDS, "/a/b", w);
    }
    for (unsigned round = 0; round < 3; round++) {
        (void)fire(&f, ZKS__EVENT_DATA_CHANGED, "/a/b");
        for (unsigned w = 0; w < CROWD; w++) {
            assert_int_equal(f.told[w], w % 2 == 0 || (round == 0 && w % 5 == 0));
        }
        (void)fire(&f, ZKS__EVENT_CHILDREN_CHANGED, "/a");
        for (unsigned w = 0; w < CROWD; w++) {
            assert_int_equal(f.told[w], w % 2 != 0 && w % 3 != 0);
        }
    }
    assert_int_equal(f.table.recursive, CROWD / 2);
    for (unsigned w = 0; w < CROWD; w += 2) {
        zks__watcher_close(&f.table, &f.w[w]);
        assert_null(f.w[w].first);
    }
    assert_int_equal(f.table.recursive, 0);
    assert_int_equal(fire(&f, ZKS__EVENT_CREATED, "/a/b"), 0);
    for (unsigned w = 1; w < CROWD; w += 2) {
        zks__watcher_close(&f.table, &f.w[w]);
    }
    assert_int_equal(f.table.entries.n + f.table.paths.n, 0);
    assert_int_equal(f.heap.blocks, blocks);
    end(&f);
}

/* So deep a path, and each one above it watched. */
static void test_deep(void **state)
{
    (void)state;
    enum { DEEP = 500 };
    struct fixture f;
    char path[2 * DEEP + 1];
    begin(&f, SIZE_MAX);
    for (size_t i = 0; i < DEEP; i++) {
        memcpy(path + 2 * i, "/x", 3);
        keep(&f, path, true, (unsigned)i % CROWD);
    }
    (void)fire(&f, ZKS__EVENT_DELETED, path);
    for (unsigned w = 0; w < CROWD; w++) {
        assert_int_equal(f.told[w], 1);
    }
    assert_int_equal(f.table.recursive, DEEP);
    end(&f);
}

/* ---- Without room ---- */

/* What is there before: nothing, a watch of the znode, of the children, and both. */
static void before(struct fixture *f, unsigned which)
{
    if (which & 1) {
        add(f, NODE, "/a", 0);
    }
    if (which & 2) {
        add(f, KIDS, "/a", 0);
    }
    add(f, NODE, "/b", 0);
}

/* ... and is as it was: it fires once. */
static void as_before(struct fixture *f, unsigned which)
{
    size_t entries = (which & 1) + (which >> 1) + 1;
    assert_int_equal(f->table.entries.n, entries);
    assert_int_equal(f->table.paths.n, entries);
    assert_int_equal(f->table.recursive, 0);
    assert_int_equal(zks__watch_has(&f->table, NODE, "/a", &f->w[0], ZKS__WATCH_ANY), which & 1);
    assert_int_equal(zks__watch_has(&f->table, KIDS, "/a", &f->w[0], ZKS__WATCH_ANY), which >> 1);
    assert_int_equal(fire(f, ZKS__EVENT_CREATED, "/a/b"), 0);
    assert_int_equal(fire(f, ZKS__EVENT_DATA_CHANGED, "/a"), which & 1);
    assert_int_equal(fire(f, ZKS__EVENT_CHILDREN_CHANGED, "/a"), which >> 1);
    assert_int_equal(fire(f, ZKS__EVENT_DELETED, "/a"), 0);
}

/* How many entries there are for the path then. */
static size_t entries_after(unsigned which, bool recursive)
{
    return recursive ? 1 + (which >> 1) : 2;
}

static void test_limit(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 4 * 3 * 2; k++) {
        struct fixture f;
        unsigned which = k % 4;
        size_t room = k / 4 % 3;
        bool recursive = k / 12 == 1;
        size_t there = (which & 1) + (which >> 1);
        bool fits = there + room >= entries_after(which, recursive);
        begin(&f, there + 1 + room);
        before(&f, which);
        size_t blocks = f.heap.blocks;
        assert_int_equal(zks__watch_keep(&f.table, "/a", recursive, &f.w[0]),
                         fits ? ZKS__Z_OK : ZKS__Z_QUOTAEXCEEDED);
        if (fits) {
            assert_int_equal(f.table.entries.n, entries_after(which, recursive) + 1);
            assert_int_equal(fire(&f, ZKS__EVENT_CREATED, "/a/b"), recursive);
            assert_int_equal(fire(&f, ZKS__EVENT_CREATED, "/a"), 1);
        } else {
            assert_int_equal(f.heap.blocks, blocks);
            as_before(&f, which);
        }
        end(&f);
    }
}

static void without_memory(unsigned which, bool recursive)
{
    bool done = false;
    for (size_t k = 1; !done; k++) {
        struct fixture f;
        begin(&f, SIZE_MAX);
        before(&f, which);
        size_t blocks = f.heap.blocks;
        f.heap.asked = f.heap.refused = 0;
        f.heap.fail_at = k;
        int code = zks__watch_keep(&f.table, "/a", recursive, &f.w[0]);
        done = f.heap.refused == 0;
        assert_int_equal(code, done ? ZKS__Z_OK : ZKS__Z_SYSTEMERROR);
        if (done) {
            /* A path and an entry for each that was not there. */
            size_t there = (which & 1) + (which >> 1);
            assert_int_equal(k - 1, 2 * (entries_after(which, recursive) - there));
            f.heap.dry = true;
            keep(&f, "/a", recursive, 0);
            assert_int_equal(fire(&f, ZKS__EVENT_CREATED, "/a/b"), recursive);
            assert_int_equal(fire(&f, ZKS__EVENT_DATA_CHANGED, "/a"), 1);
        } else {
            assert_int_equal(f.heap.blocks, blocks);
            as_before(&f, which);
        }
        end(&f);
    }
}

static void test_without_memory(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 4; which++) {
        without_memory(which, false);
        without_memory(which, true);
    }
}

/* ---- The table against sets, as a server keeps them ---- */

static const char *const paths[] = {"/", "/a", "/a/b", "/a/b/c", "/a/bc", "/d"};

enum { PATHS = COUNT(paths) };

struct model {
    unsigned modes[2][PATHS][WATCHERS];
};

static bool is_above(size_t a, size_t b)
{
    size_t len = strlen(paths[a]);
    return a != b && (a == 0 || (strncmp(paths[a], paths[b], len) == 0 && paths[b][len] == '/'));
}

static unsigned model_trigger(struct model *m, unsigned what, size_t path)
{
    unsigned bits = 0;
    for (size_t p = 0; p < PATHS; p++) {
        for (unsigned w = 0; w < WATCHERS; w++) {
            unsigned *modes = &m->modes[what][p][w];
            if (p == path && *modes != 0) {
                bits |= 1U << w;
                *modes &= ~(unsigned)ZKS__WATCH_ONCE;
            } else if (is_above(p, path) && (*modes & ZKS__WATCH_RECURSIVE) != 0) {
                bits |= 1U << w;
            }
        }
    }
    return bits;
}

static unsigned model_fire(struct model *m, enum zks__event event, size_t path)
{
    bool children = event == ZKS__EVENT_CHILDREN_CHANGED;
    unsigned bits = children ? 0 : model_trigger(m, NODE, path);
    if (children || event == ZKS__EVENT_DELETED) {
        bits |= model_trigger(m, KIDS, path);
    }
    return bits;
}

static void model_compare(const struct fixture *f, const struct model *m)
{
    size_t n = 0;
    size_t recursive = 0;
    for (unsigned what = 0; what < 2; what++) {
        for (size_t p = 0; p < PATHS; p++) {
            for (unsigned w = 0; w < WATCHERS; w++) {
                unsigned modes = m->modes[what][p][w];
                for (unsigned mode = 1; mode < ZKS__WATCH_ANY; mode <<= 1) {
                    assert_int_equal(zks__watch_has(&f->table, (enum zks__watched)what, paths[p],
                                                    &f->w[w], mode),
                                     (modes & mode) != 0);
                }
                n += modes != 0;
                recursive += (modes & ZKS__WATCH_RECURSIVE) != 0;
            }
        }
    }
    assert_int_equal(f->table.entries.n, n);
    assert_int_equal(f->table.recursive, recursive);
}

static void random_step(struct fixture *f, struct model *m, uint64_t *seed)
{
    size_t p = unit_below(seed, PATHS);
    unsigned w = unit_below(seed, WATCHERS);
    unsigned what = unit_below(seed, 2);
    uint32_t dice = unit_below(seed, 100);
    if (dice < 20) {
        add(f, (enum zks__watched)what, paths[p], w);
        m->modes[what][p][w] |= ZKS__WATCH_ONCE;
    } else if (dice < 32) {
        keep(f, paths[p], what == 1, w);
        m->modes[NODE][p][w] |= what == 1 ? ZKS__WATCH_RECURSIVE : ZKS__WATCH_PERSISTENT;
        m->modes[KIDS][p][w] |= what == 1 ? 0 : ZKS__WATCH_PERSISTENT;
    } else if (dice < 50) {
        unsigned some = 1 + unit_below(seed, ZKS__WATCH_ANY);
        assert_int_equal(
            zks__watch_drop(&f->table, (enum zks__watched)what, paths[p], &f->w[w], some),
            (m->modes[what][p][w] & some) != 0);
        m->modes[what][p][w] &= ~some;
    } else if (dice < 96) {
        enum zks__event event = (enum zks__event)(1 + unit_below(seed, 4));
        unsigned want = model_fire(m, event, p);
        assert_int_equal(fire(f, event, paths[p]), want);
    } else {
        zks__watcher_close(&f->table, &f->w[w]);
        for (size_t i = 0; i < PATHS; i++) {
            m->modes[NODE][i][w] = m->modes[KIDS][i][w] = 0;
        }
    }
}

static void test_random(void **state)
{
    (void)state;
    struct fixture f;
    struct model m;
    uint64_t seed = 7;
    memset(&m, 0, sizeof m);
    begin(&f, SIZE_MAX);
    for (unsigned round = 0; round < 60000; round++) {
        random_step(&f, &m, &seed);
        if (round % 8 == 0) {
            model_compare(&f, &m);
        }
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_told_once_however_many_watches),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
