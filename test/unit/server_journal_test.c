/* SPDX-License-Identifier: Apache-2.0 */
/* What was synced is there again, or else nobody was told that it would be. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "journal_box.h"
#include "server/entry.h"
#include "server/frame.h"

enum { NEVER = 1 << 30 };

static const struct zks__who anyone = {0, {NULL, 0}};

/* ---- Round trips ---- */

static void test_nothing(void **state)
{
    (void)state;
    struct box b;
    struct states states = {0};
    char folder[128];
    struct stat info;
    folder_make(folder, "nothing");
    box_open(&b, folder, NEVER);
    assert_false(zks__journal_dirty(b.journal));
    box_sync(&b);
    states_add(&states, &b);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    box_close(&b);
    for (int i = 0; i < 3; i++) {
        box_open(&b, folder, NEVER);
        (void)states_find(&states, 0, 0, &b);
        box_close(&b);
    }
    states_free(&states);
    folder_remove(folder);
}

static void test_unsynced_is_dropped(void **state)
{
    (void)state;
    struct box b;
    struct states states = {0};
    char folder[128];
    folder_make(folder, "dropped");
    box_open(&b, folder, NEVER);
    assert_true(box_do(&b, &super, op_create("/a", ZKS__PERSISTENT)));
    box_sync(&b);
    states_add(&states, &b);
    assert_true(box_do(&b, &super, op_create("/b", ZKS__PERSISTENT)));
    assert_true(zks__journal_dirty(b.journal));
    box_close(&b);
    box_open(&b, folder, NEVER);
    (void)states_find(&states, 0, 0, &b);
    box_close(&b);
    states_free(&states);
    folder_remove(folder);
}

static void round_trip(uint64_t seed, size_t compact_bytes)
{
    struct states states = {0};
    char folder[128];
    folder_make(folder, "trip");
    for (int part = 0; part < 8; part++) {
        struct box b;
        box_open(&b, folder, compact_bytes);
        if (part > 0) {
            (void)states_find(&states, 0, 0, &b);
            states_free(&states);
        }
        for (int batch = 0; batch < 20; batch++) {
            for (uint32_t n = unit_below(&seed, 10); n > 0; n--) {
                box_random(&b, &seed);
            }
            box_sync(&b);
        }
        states_add(&states, &b);
        box_close(&b);
    }
    states_free(&states);
    folder_remove(folder);
}

static void test_round_trips(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed += unit_step(5)) {
        round_trip(seed, NEVER);
        round_trip(seed, 500 * seed);
    }
}

/* The longest and the shortest of all. */
static void test_sizes(void **state)
{
    (void)state;
    struct box b;
    struct states states = {0};
    char folder[128];
    static char data[3 << 20];
    static char path[5000];
    memset(data, 'd', sizeof data);
    memset(path, 'p', sizeof path - 1);
    path[0] = '/';
    folder_make(folder, "sizes");
    for (int compact = 0; compact < 2; compact++) {
        box_open(&b, folder, compact > 0 ? 1 : NEVER);
        struct zks__op op = op_create("/large", ZKS__PERSISTENT);
        op.data = data;
        op.data_len = sizeof data;
        (void)box_do(&b, &super, op);
        (void)box_do(&b, &super, op_create(path, ZKS__PERSISTENT));
        op = op_create("/none", ZKS__PERSISTENT);
        op.data = NULL;
        (void)box_do(&b, &super, op);
        (void)box_do(&b, &super, op_create("/empty", ZKS__PERSISTENT));
        box_sync(&b);
        (void)box_do(&b, &super, op_set("/empty", NULL, -1));
        (void)box_do(&b, &super, op_set("/none", "", -1));
        box_sync(&b);
        states_add(&states, &b);
        box_close(&b);
        box_open(&b, folder, NEVER);
        (void)states_find(&states, 0, 1, &b);
        box_close(&b);
    }
    states_free(&states);
    folder_remove(folder);
}

/* What was acknowledged is there even if by now there may not be so much. */
static void test_lower_limits(void **state)
{
    (void)state;
    static const struct zks__tree_limits few = {
        .nodes = 5, .bytes = 60, .sessions = 1, .acl_entries = 1, .acl_size = 20, .acl_bytes = 30};
    /* As an earlier version took them: it had no limit of them. */
    static char id[200001];
    const struct zks__id ids[] = {{"digest", id}, {"digest", id + 100000}};
    const struct zks__who long_one = {0, {ids, 2}};
    const struct zks__ace aces[] = {{31, {"auth", ""}}, {1, {"world", "anyone"}}};
    char folder[128];
    char why[ZKS__WHY_SIZE];
    struct box b;
    struct garden g;
    struct zks__journal *j;
    struct zks__op_result result;
    const struct zks__op op = op_create("/more", ZKS__PERSISTENT);
    folder_make(folder, "limits");
    box_open(&b, folder, NEVER);
    for (int i = 0; i < 10; i++) {
        assert_true(box_do(&b, &super, op_create("/s", ZKS__PERSISTENT_SEQUENTIAL)));
        box_begin_session(&b, i + 1);
    }
    memset(id, 'u', sizeof id - 1);
    assert_true(box_do(&b, &long_one, op_set_acl("/s0000000003", aces, 2, -1)));
    box_sync(&b);
    box_close(&b);
    /* From the log, and then from a snapshot. */
    for (size_t compact = 1; compact <= NEVER; compact += NEVER - 1) {
        box_open(&b, folder, compact);
        assert_int_equal(garden_node(&b.g, "/s0000000003")->acl->n, 3);
        assert_true(box_do(&b, &super, op_set("/", "x", -1)));
        box_sync(&b);
        box_close(&b);
    }
    garden_open(&g, &few, NULL);
    const struct zks__journal_options options = {
        .folder = folder, .compact_bytes = NEVER, .mem = g.heap.mem};
    assert_int_equal(zks__journal_open(&options, g.tree, &j, why), 0);
    assert_int_equal(garden_stat(&g, "/").num_children, 11);
    g.txn.zxid = zks__tree_zxid(g.tree);
    assert_int_equal(garden_write(&g, &super, &op, &result), ZKS__Z_QUOTAEXCEEDED);
    assert_int_equal(garden_open_session(&g, 77), ZKS__Z_QUOTAEXCEEDED);
    const struct zks__op acl = op_set_acl("/s0000000003", aces, 2, -1);
    assert_int_equal(garden_write(&g, &super, &acl, &result), ZKS__Z_QUOTAEXCEEDED);
    zks__journal_close(j);
    garden_close(&g);
    folder_remove(folder);
}

/* ---- Who has the folder ---- */

static void test_in_use(void **state)
{
    (void)state;
    struct box b;
    struct box other;
    char folder[128];
    folder_make(folder, "in-use");
    box_open(&b, folder, NEVER);
    assert_int_equal(box_try(&other, folder, NEVER), ZKS__J_INUSE);
    assert_non_null(strstr(other.why, folder));
    box_close(&other);
    box_close(&b);
    box_open(&b, folder, NEVER);
    box_close(&b);
    folder_remove(folder);
}

static void test_no_folder(void **state)
{
    (void)state;
    struct box b;
    assert_int_equal(box_try(&b, "/nonexistent/folder", NEVER), ZKS__J_SYSTEM);
    assert_non_null(strstr(b.why, "/nonexistent/folder"));
    box_close(&b);
    assert_int_equal(box_try(&b, "/dev/null", NEVER), ZKS__J_SYSTEM);
    box_close(&b);
}

/* ---- No room ---- */

/* As many znodes as were acknowledged. */
static void fill(size_t room, size_t data_len)
{
    static char data[20000];
    struct box b;
    char folder[128];
    char again[ZKS__WHY_SIZE];
    struct rlimit before;
    int acknowledged = -1;
    int rc = 0;
    folder_make(folder, "full");
    box_open(&b, folder, NEVER);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = {room, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct zks__op op = op_create("/s", ZKS__PERSISTENT_SEQUENTIAL);
    op.data = data;
    op.data_len = data_len;
    for (; rc == 0; acknowledged++) {
        assert_true(box_do(&b, &super, op));
        rc = zks__journal_sync(b.journal, b.why);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(rc, ZKS__J_SYSTEM);
    assert_non_null(strstr(b.why, "the disk is full: "));
    assert_non_null(strstr(b.why, folder));
    /* There is room again, but nobody may rely on what has failed once: that is to be asked for. */
    assert_true(zks__journal_dirty(b.journal));
    assert_false(zks__journal_tend(b.journal, true));
    for (int n = 0; n < 3; n++) {
        (void)box_do(&b, &super, op);
        assert_int_equal(zks__journal_sync(b.journal, again), rc);
        assert_string_equal(again, b.why);
    }
    box_close(&b);
    box_open(&b, folder, NEVER);
    assert_true(acknowledged > 0);
    assert_int_equal(garden_stat(&b.g, "/").num_children, 1 + acknowledged);
    assert_true(box_do(&b, &super, op));
    box_sync(&b);
    box_close(&b);
    folder_remove(folder);
}

static void test_full(void **state)
{
    (void)state;
    fill(5000, 10);
    fill(1 << 20, 20000);
    fill((1 << 20) + 3000, 20000);
}

/* ---- No memory ---- */

static void test_no_memory_to_append(void **state)
{
    (void)state;
    for (size_t fail_at = 1;; fail_at += unit_step(5)) {
        struct box b;
        struct states states = {0};
        char folder[128];
        static char data[200000];
        int rc = 0;
        folder_make(folder, "append");
        box_open(&b, folder, NEVER);
        states_add(&states, &b);
        b.pool.fail_at = b.pool.asked + fail_at;
        for (size_t i = 1; i <= 4 && rc == 0; i++) {
            struct zks__op op = op_create("/s", ZKS__PERSISTENT_SEQUENTIAL);
            op.data = data;
            op.data_len = i * 50000;
            assert_true(box_do(&b, &super, op));
            assert_true(box_do(&b, &super, op));
            assert_true(zks__journal_dirty(b.journal));
            rc = zks__journal_sync(b.journal, b.why);
            if (rc == 0) {
                states_free(&states);
                states_add(&states, &b);
            }
        }
        if (rc != 0) {
            assert_int_equal(rc, ZKS__J_NOMEM);
            (void)box_do(&b, &super, op_create("/x", ZKS__PERSISTENT));
            assert_int_equal(zks__journal_sync(b.journal, b.why), ZKS__J_NOMEM);
        }
        box_close(&b);
        box_open(&b, folder, NEVER);
        (void)states_find(&states, 0, 0, &b);
        box_close(&b);
        states_free(&states);
        folder_remove(folder);
        if (rc == 0) {
            return;
        }
    }
}

/* ---- The server's own ---- */

/* A reaped znode, an ephemeral that goes with its session, a sequence that goes on. */
static void test_by_hand(void **state)
{
    (void)state;
    char folder[128];
    struct box b;
    struct zks__znode_stat stat;
    folder_make(folder, "hand");
    for (size_t compact = 1; compact <= NEVER; compact += NEVER - 1) {
        box_open(&b, folder, compact);
        const struct zks__who one = session_of(1);
        box_begin_session(&b, 1);
        assert_true(box_do(&b, &super, op_create("/c", ZKS__CONTAINER)));
        assert_true(box_do(&b, &one, op_create("/c/n-", ZKS__EPHEMERAL_SEQUENTIAL)));
        assert_true(box_do(&b, &super, op_create("/c/n-", ZKS__PERSISTENT_SEQUENTIAL)));
        assert_true(box_do(&b, &super, op_delete("/c/n-0000000001", -1)));
        box_sync(&b);
        box_close(&b);
        box_open(&b, folder, compact);
        stat = garden_stat(&b.g, "/c/n-0000000000");
        assert_true(stat.ephemeral_owner == 1);
        assert_int_equal(zks__tree_session(b.g.tree, 1)->timeout_ms, 4000);
        assert_true(box_do(&b, &super, op_create("/c/n-", ZKS__PERSISTENT_SEQUENTIAL)));
        (void)garden_node(&b.g, "/c/n-0000000002");
        box_end_session(&b, 1);
        assert_true(box_do(&b, &super, op_delete("/c/n-0000000002", 0)));
        assert_string_equal(zks__tree_reapable(b.g.tree, b.g.txn.time_ms, NULL), "/c");
        assert_true(box_do(&b, &anyone, op_reap("/c")));
        box_sync(&b);
        box_close(&b);
        box_open(&b, folder, compact);
        assert_int_equal(zks__tree_exists(b.g.tree, &super, "/c", NULL, &stat), ZKS__Z_NONODE);
        assert_null(zks__tree_session(b.g.tree, 1));
        box_close(&b);
    }
    folder_remove(folder);
}

/* ---- Threads ---- */

/* The newest snapshot's number; 0 for none. */
static unsigned long long newest(const char *folder)
{
    unsigned long long newest = 0;
    unsigned long long zxid;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (sscanf(entry->d_name, "snapshot.%16llx", &zxid) == 1 &&
            strstr(entry->d_name, ".new") == NULL) {
            newest = zxid > newest ? zxid : newest;
        }
    }
    (void)closedir(dir);
    return newest;
}

/* How large the newest snapshot is. */
static size_t newest_size(const char *folder)
{
    char path[256];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/snapshot.%016llx", folder, newest(folder));
    assert_int_equal(stat(path, &info), 0);
    return (size_t)info.st_size;
}

static size_t files(const char *folder)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        n += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return n;
}

/* From the size of a snapshot that there would be it is known how much of the files is of no use. */
static void test_size_of_a_snapshot(void **state)
{
    (void)state;
    char folder[128];
    struct box b;
    struct zks__tree_counts counts;
    uint64_t seed = 11;
    folder_make(folder, "size");
    box_open(&b, folder, NEVER);
    for (int i = 0; i < 300; i++) {
        box_random(&b, &seed);
    }
    box_sync(&b);
    box_close(&b);
    box_open(&b, folder, 1);
    (void)box_do(&b, &super, op_set("/", "more", -1));
    zks__tree_count(b.g.tree, &counts);
    box_sync(&b);
    uint64_t entries = zks__entry_total(&counts);
    assert_in_range(newest_size(folder), ZKS__HEADER_LEN + ZKS__FRAME_HEAD + entries,
                    ZKS__HEADER_LEN + ZKS__FRAME_HEAD + entries + 7);
    assert_true(counts.nodes > 10 && counts.sessions > 0);
    box_close(&b);
    folder_remove(folder);
}

static void write_much(struct box *b, bool delete)
{
    static char data[20000];
    char path[32];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof path, "/%d", i);
        struct zks__op op = delete ? op_delete(path, -1) : op_create(path, ZKS__PERSISTENT);
        op.data = delete ? NULL : data;
        op.data_len = delete ? 0 : sizeof data;
        assert_true(box_do(b, &super, op));
        box_sync(b);
    }
}

/* Where the tree needs little of what is in the files they are compacted, even if nothing more is written;
 * once, and not before all that was appended is synced. */
static void test_useless_files(void **state)
{
    (void)state;
    char folder[128];
    struct box b;
    folder_make(folder, "useless");
    box_open(&b, folder, NEVER);
    write_much(&b, false);
    assert_false(zks__journal_tend(b.journal, true)); /* All of it is needed. */
    write_much(&b, true);
    assert_false(zks__journal_tend(b.journal, false));
    assert_true(box_do(&b, &super, op_set("/", "not synced yet", -1)));
    assert_false(zks__journal_tend(b.journal, true));
    box_sync(&b);
    assert_int_equal(newest(folder), 0);
    assert_true(zks__journal_tend(b.journal, true));
    unsigned long long now = newest(folder);
    assert_true(now == (unsigned long long)b.g.txn.zxid);
    assert_in_range(newest_size(folder), 1, 2000);
    assert_int_equal(files(folder), 3); /* And the log, and the lock. */
    for (int i = 0; i < 3; i++) {
        assert_false(zks__journal_tend(b.journal, true));
    }
    assert_true(newest(folder) == now);
    box_close(&b);
    /* With what a sync looks at, the tree's size matters too: here it is none. */
    box_open(&b, folder, 1 << 20);
    write_much(&b, false);
    write_much(&b, true);
    assert_true(newest(folder) > now);
    assert_in_range(newest_size(folder), 1, 2 << 20);
    box_close(&b);
    folder_remove(folder);
}

/* A compaction that cannot be made is not tried again and again while nothing is written. */
static void test_useless_files_that_stay(void **state)
{
    (void)state;
    char folder[128];
    struct box b;
    folder_make(folder, "stay");
    box_open(&b, folder, NEVER);
    write_much(&b, false);
    write_much(&b, true);
    for (int i = 0; i < 5; i++) {
        b.pool.fail_at = b.pool.asked + 1; /* The tree that a snapshot is made of. */
        (void)zks__journal_tend(b.journal, true);
        b.pool.fail_at = 0;
    }
    const char *told = text_get(&b.told);
    const char *first = strstr(told, "which is tried again later");
    assert_non_null(first);
    assert_null(strstr(first + 1, "which is tried again later"));
    write_much(&b, false);
    write_much(&b, true);
    assert_true(zks__journal_tend(b.journal, true));
    assert_true(newest(folder) > 0);
    box_close(&b);
    folder_remove(folder);
}

/* A compaction that has failed is tried again behind a start, though nothing was written since: the log that was
 * begun for it is empty, and another one would have its name. */
static void test_an_empty_log(void **state)
{
    static const bool starts[] = {false, true};
    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        char folder[128];
        struct box b;
        folder_make(folder, "empty");
        box_open(&b, folder, NEVER);
        for (int times = 0; times < 2; times++) {
            write_much(&b, false);
            write_much(&b, true);
        }
        b.pool.fail_at = b.pool.asked + 1; /* The tree that a snapshot is made of. */
        (void)zks__journal_tend(b.journal, true);
        b.pool.fail_at = 0;
        if (starts[i]) {
            box_close(&b);
            box_open(&b, folder, NEVER);
        }
        (void)zks__journal_tend(b.journal, true);
        (void)zks__journal_tend(b.journal, true);
        assert_true(box_do(&b, &super, op_create("/precious", ZKS__PERSISTENT)));
        box_sync(&b);
        box_close(&b);
        box_open(&b, folder, NEVER);
        assert_false(box_do(&b, &super, op_create("/precious", ZKS__PERSISTENT)));
        box_close(&b);
        folder_remove(folder);
    }
}

/* However much is of no use: after a failure as much again must have come. */
static void test_failures_in_a_row(void **state)
{
    enum { ROUNDS = 5, TRIES = 20 };
    (void)state;
    char folder[128];
    struct box b;
    unsigned n = 0;
    folder_make(folder, "row");
    box_open(&b, folder, NEVER);
    for (int i = 0; i < ROUNDS; i++) {
        write_much(&b, false);
        write_much(&b, true);
    }
    for (int i = 0; i < TRIES; i++) {
        b.pool.fail_at = b.pool.asked + 1;
        (void)zks__journal_tend(b.journal, true);
    }
    b.pool.fail_at = 0;
    for (const char *at = text_get(&b.told);
         (at = strstr(at, "which is tried again later")) != NULL; at++) {
        n++;
    }
    assert_int_equal(n, 1);
    box_close(&b);
    folder_remove(folder);
}

/* It writes on while snapshots are made. */
static void test_threads(void **state)
{
    (void)state;
    char folder[128];
    struct box b;
    struct states states = {0};
    uint64_t seed = 4;
    unsigned long long before = 0;
    folder_make(folder, "threads");
    box_pace = BOX_THREAD;
    box_open(&b, folder, 20000);
    for (unsigned n = 0, changes = 0; changes < 4; n++) {
        assert_true(n < 1000000);
        box_random(&b, &seed);
        box_sync(&b);
        unsigned long long now = n % 16 == 0 ? newest(folder) : before;
        changes += now != before;
        before = now;
    }
    states_add(&states, &b);
    assert_int_equal(b.told.len, 0);
    box_close(&b);
    box_open(&b, folder, NEVER);
    (void)states_find(&states, 0, 0, &b);
    box_close(&b);
    states_free(&states);
    folder_remove(folder);
    box_pace = BOX_AT_ONCE;
}

/* To close it does not wait for a snapshot. */
static void test_closed_meanwhile(void **state)
{
    (void)state;
    char folder[128];
    struct box b;
    struct states states = {0};
    uint64_t seed = 5;
    folder_make(folder, "meanwhile");
    box_pace = BOX_THREAD;
    for (size_t i = 0; i < 50; i += unit_step(5)) {
        box_open(&b, folder, 1);
        if (i > 0) {
            (void)states_find(&states, 0, 0, &b);
            states_free(&states);
        }
        for (int n = 0; n < 4; n++) {
            box_random(&b, &seed);
            box_sync(&b);
        }
        states_add(&states, &b);
        assert_int_equal(b.told.len, 0);
        box_close(&b);
    }
    states_free(&states);
    folder_remove(folder);
    box_pace = BOX_AT_ONCE;
}

/* ---- Many ---- */

static bool same_bytes(const void *a, const void *b, size_t len)
{
    return (a == NULL) == (b == NULL) && (a == NULL || memcmp(a, b, len) == 0);
}

static void assert_same(const struct zks__tree *is, const struct zks__tree *want)
{
    struct zks__tree_counts counts[2];
    zks__tree_count(is, &counts[0]);
    zks__tree_count(want, &counts[1]);
    assert_memory_equal(&counts[0], &counts[1], sizeof counts[0]);
    assert_true(zks__tree_zxid(is) == zks__tree_zxid(want));
    const struct zks__znode *node = NULL;
    while ((node = zks__tree_next_znode(want, node)) != NULL) {
        struct zks__znode_parts a;
        struct zks__znode_parts b;
        zks__tree_take_apart(node, &b);
        const struct zks__znode *other = zks__node_find(is, b.path);
        assert_non_null(other);
        zks__tree_take_apart(other, &a);
        assert_true(same_bytes(a.data, b.data, b.data_len) && a.n_aces == b.n_aces);
        assert_true(a.mode == b.mode && a.session == b.session && a.ttl_ms == b.ttl_ms);
        assert_true(a.czxid == b.czxid && a.mzxid == b.mzxid && a.pzxid == b.pzxid);
        assert_true(a.ctime == b.ctime && a.mtime == b.mtime && a.creates == b.creates);
        assert_true(a.version == b.version && a.aversion == b.aversion);
    }
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* How long it takes to open is only told: ZKSYNC_TEST_ZNODES=1000000, ZKSYNC_TEST_FOLDER on a disk. */
static void test_many(void **state)
{
    (void)state;
    const char *asked = getenv("ZKSYNC_TEST_ZNODES");
    const char *where = getenv("ZKSYNC_TEST_FOLDER");
    unsigned n = asked != NULL ? (unsigned)atoi(asked) : 100000 / (unsigned)unit_step(10);
    char folder[128];
    char data[100];
    struct box b;
    struct box again;
    folder_make(folder, "many");
    if (where != NULL) {
        (void)snprintf(folder, sizeof folder, "%s", where);
    }
    memset(data, 'd', sizeof data);
    box_open(&b, folder, NEVER);
    box_begin_session(&b, 1);
    const struct zks__who one = session_of(1);
    for (unsigned i = 0; i < n; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, i % 100 == 0 ? "/%u" : "/%u/%u", i / 100, i);
        struct zks__op op =
            op_create(path, i % 100 > 0 && i % 7 == 0 ? ZKS__EPHEMERAL : ZKS__PERSISTENT);
        op.data = data;
        op.data_len = sizeof data;
        assert_true(box_do(&b, &one, op));
        if (i % 128 == 0) {
            box_sync(&b);
        }
    }
    box_sync(&b);
    zks__journal_close(b.journal);
    for (size_t from_snapshot = 0; from_snapshot < 2; from_snapshot++) {
        double begin = seconds();
        box_open(&again, folder, from_snapshot > 0 ? NEVER : 1);
        printf("# %u znodes are there from a %s after %.2f s\n", n,
               from_snapshot > 0 ? "snapshot" : "log", seconds() - begin);
        assert_same(again.g.tree, b.g.tree);
        if (from_snapshot == 0) {
            begin = seconds();
            again.g.txn = b.g.txn;
            assert_true(box_do(&again, &super, op_set("/0", "x", -1)));
            assert_int_equal(garden_do(&b.g, op_set("/0", "x", -1)), 0);
            box_sync(&again);
            printf("# compacted after %.2f s\n", seconds() - begin);
        }
        box_close(&again);
    }
    b.journal = NULL;
    box_close(&b);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_unsynced_is_dropped),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_lower_limits),
        cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_no_folder),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_memory_to_append),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_closed_meanwhile),
        cmocka_unit_test(test_size_of_a_snapshot),
        cmocka_unit_test(test_useless_files),
        cmocka_unit_test(test_useless_files_that_stay),
        cmocka_unit_test(test_an_empty_log),
        cmocka_unit_test(test_failures_in_a_row),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
