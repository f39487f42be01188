/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are not as they were written: what a crash has cut off is no damage; what else is different is
 * refused, or makes no difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal_box.h"
#include "server/entry.h"

enum { NEVER = 1 << 30, HEADER = 48, HEAD = 32 };

/* ---- A folder with some batches in it ---- */

struct sample {
    char folder[128];
    struct image image;
    struct states states; /* [i]: after i batches. */
    size_t ends[STATES];  /* Where in the log the i-th batch ends. */
    size_t before;        /* How many of them are in the snapshot. */
};

static size_t number(const unsigned char *at, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        n = n << 8 | at[i];
    }
    return n;
}

/* `batches` of them in the log, and as many in a snapshot before where that is asked for. */
static void sample_make(struct sample *s, size_t batches, bool snapshot)
{
    struct box b;
    uint64_t seed = 7;
    memset(s, 0, sizeof *s);
    folder_make(s->folder, "sample");
    box_open(&b, s->folder, NEVER);
    states_add(&s->states, &b);
    for (size_t i = 0; i < batches && snapshot; i++) {
        box_random(&b, &seed);
        box_sync(&b);
        states_add(&s->states, &b);
    }
    box_close(&b);
    if (snapshot) {
        /* The first sync is after the log has grown. */
        box_open(&b, s->folder, 1);
        box_random(&b, &seed);
        box_sync(&b);
        states_add(&s->states, &b);
        box_close(&b);
    }
    s->before = s->states.n - 1;
    box_open(&b, s->folder, NEVER);
    for (size_t i = 0; i < batches; i++) {
        for (uint32_t n = 1 + unit_below(&seed, 3); n > 0; n--) {
            box_random(&b, &seed);
        }
        box_sync(&b);
        states_add(&s->states, &b);
    }
    box_close(&b);
    image_take(&s->image, s->folder);
    struct image_file *log = image_find(&s->image, "log.");
    size_t at = HEADER;
    for (size_t i = s->before; i < s->states.n; i++) {
        s->ends[i] = at;
        if (i + 1 < s->states.n) {
            at += HEAD + (number(log->bytes + at + 16, 8) + 7) / 8 * 8;
        }
    }
    assert_true(at + ZEROS / 2 < log->len && number(log->bytes + at, 8) == 0);
    log->len = at + ZEROS / 2;
}

static void sample_free(struct sample *s)
{
    folder_remove(s->folder);
    states_free(&s->states);
    image_free(&s->image);
}

/* ---- A crash cuts off the end ---- */

/* Which batches there are in a log that is cut off at `len`. */
static size_t whole(const struct sample *s, size_t len)
{
    size_t i = s->before;
    while (i + 1 < s->states.n && s->ends[i + 1] <= len) {
        i++;
    }
    return i;
}

/* What is behind goes on as if nothing had been. */
static void expect(struct sample *s, size_t which, bool goes_on)
{
    struct box b;
    struct states after = {0};
    uint64_t seed = 99;
    box_open(&b, s->folder, NEVER);
    (void)states_find(&s->states, which, which, &b);
    if (goes_on) {
        box_random(&b, &seed);
        box_sync(&b);
        states_add(&after, &b);
        box_close(&b);
        box_open(&b, s->folder, NEVER);
        assert_int_equal(b.told.len, 0);
        (void)states_find(&after, 0, 0, &b);
        states_free(&after);
    }
    box_close(&b);
}

static void cut(struct sample *s, size_t at, bool goes_on)
{
    struct image_file *log = image_find(&s->image, "log.");
    size_t len = log->len;
    unsigned char *bytes = log->bytes;
    log->len = at;
    image_put(&s->image, s->folder);
    expect(s, whole(s, at), goes_on);
    /* The same where the size was durable, but not what was written: zeros. */
    log->len = len;
    log->bytes = calloc(1, len);
    assert_non_null(log->bytes);
    memcpy(log->bytes, bytes, at);
    image_put(&s->image, s->folder);
    /* What ends with zeros may be there as a whole for all that. */
    size_t i = whole(s, at);
    bool same = i + 1 < s->states.n && memcmp(log->bytes, bytes, s->ends[i + 1]) == 0;
    expect(s, same ? i + 1 : i, goes_on);
    free(log->bytes);
    log->bytes = bytes;
}

static void test_cut(void **state)
{
    (void)state;
    struct sample s;
    for (int snapshot = 0; snapshot < 2; snapshot++) {
        sample_make(&s, 12, snapshot > 0);
        for (size_t i = s.before; i < s.states.n; i++) {
            cut(&s, s.ends[i], true);
        }
        size_t last = s.states.n - 1;
        for (size_t at = s.ends[last - 3]; at < s.ends[last]; at += unit_step(7)) {
            cut(&s, at, at % 5 == 0);
        }
        sample_free(&s);
    }
}

/* Pages of the last batch come to disk in any order. */
static void test_torn_pages(void **state)
{
    (void)state;
    struct sample s;
    uint64_t seed = 3;
    sample_make(&s, 8, false);
    struct image_file *log = image_find(&s.image, "log.");
    size_t last = s.states.n - 1;
    unsigned char *whole_log = malloc(log->len);
    assert_non_null(whole_log);
    memcpy(whole_log, log->bytes, log->len);
    for (size_t i = 0; i < 300; i += unit_step(7)) {
        memcpy(log->bytes, whole_log, log->len);
        for (size_t at = s.ends[last - 1]; at < s.ends[last]; at += 16) {
            if (unit_below(&seed, 2) > 0) {
                size_t n = s.ends[last] - at < 16 ? s.ends[last] - at : 16;
                memset(log->bytes + at, 0, n);
            }
        }
        bool same = memcmp(log->bytes, whole_log, log->len) == 0;
        image_put(&s.image, s.folder);
        expect(&s, same ? last : last - 1, true);
    }
    free(whole_log);
    sample_free(&s);
}

/* Data that looks like a log, in a batch that is cut off. */
static void test_log_in_a_log(void **state)
{
    (void)state;
    struct sample s;
    struct box b;
    sample_make(&s, 6, false);
    struct image_file *log = image_find(&s.image, "log.");
    size_t last = s.states.n - 1;
    size_t len = s.ends[last] / 8 * 8;
    for (size_t shift = 0; shift < 8; shift++) {
        image_put(&s.image, s.folder);
        box_open(&b, s.folder, NEVER);
        struct zks__op op = op_create("/copy", ZKS__PERSISTENT);
        op.data = log->bytes + shift;
        op.data_len = len - shift;
        assert_true(box_do(&b, &super, op));
        box_sync(&b);
        box_close(&b);
        struct image again;
        image_take(&again, s.folder);
        struct image_file *f = image_find(&again, "log.");
        f->bytes[s.ends[last] + 40] ^= 1;
        image_put(&again, s.folder);
        image_free(&again);
        expect(&s, last, true);
    }
    sample_free(&s);
}

/* ---- What is not as it was written ---- */

static bool refused(int rc)
{
    return rc == ZKS__J_DAMAGED || rc == ZKS__J_NEWER;
}

/* Refused, with the name of the file in it and what to do, or no different. */
static void flip(struct sample *s, struct image_file *f, size_t at, size_t from)
{
    struct box b;
    for (int i = 0; i < 2; i++) {
        unsigned char bit = (unsigned char)(1 << (at * 5 + (size_t)i * 3) % 8);
        f->bytes[at] ^= bit;
        image_put(&s->image, s->folder);
        int rc = box_try(&b, s->folder, NEVER);
        if (rc == 0) {
            (void)states_find(&s->states, from, s->states.n - 1, &b);
        } else {
            assert_true(refused(rc));
            assert_non_null(strstr(b.why, f->name));
            assert_non_null(strstr(b.why, "copy"));
        }
        box_close(&b);
        f->bytes[at] ^= bit;
    }
}

static void test_flips(void **state)
{
    (void)state;
    struct sample s;
    sample_make(&s, 10, true);
    size_t last = s.states.n - 1;
    struct image_file *log = image_find(&s.image, "log.");
    for (size_t at = 0; at < s.ends[last] + 64; at += unit_step(7)) {
        /* Whether the last batch was written as a whole nobody can tell. */
        flip(&s, log, at, at < s.ends[last - 1] || at >= s.ends[last] ? last : last - 1);
    }
    struct image_file *snapshot = image_find(&s.image, "snapshot.");
    for (size_t at = 0; at < snapshot->len; at += unit_step(7)) {
        flip(&s, snapshot, at, last);
    }
    sample_free(&s);
}

static void test_cut_snapshot(void **state)
{
    (void)state;
    struct sample s;
    struct box b;
    sample_make(&s, 4, true);
    struct image_file *snapshot = image_find(&s.image, "snapshot.");
    for (size_t len = snapshot->len; len > 0; len--) {
        snapshot->len--;
        image_put(&s.image, s.folder);
        assert_int_equal(box_try(&b, s.folder, NEVER), ZKS__J_DAMAGED);
        box_close(&b);
    }
    sample_free(&s);
}

static void test_missing(void **state)
{
    (void)state;
    struct sample s;
    struct box b;
    sample_make(&s, 4, true);
    assert_int_equal(s.image.n, 2);
    const struct image_file all[2] = {s.image.files[0], s.image.files[1]};
    s.image.n = 1;
    for (int i = 0; i < 2; i++) {
        s.image.files[0] = all[i];
        image_put(&s.image, s.folder);
        assert_int_equal(box_try(&b, s.folder, NEVER), ZKS__J_DAMAGED);
        assert_non_null(strstr(b.why, "missing"));
        box_close(&b);
    }
    s.image.n = 2;
    s.image.files[0] = all[0];
    s.image.files[1] = all[1];
    sample_free(&s);
}

/* One of several logs that no snapshot covers yet. */
static void test_missing_between(void **state)
{
    struct box b;
    struct image image = {0};
    char folder[128];
    uint64_t seed = 5;
    (void)state;
    folder_make(folder, "between");
    for (int i = 0; i < 3; i++) {
        box_pace = BOX_LATER;
        box_open(&b, folder, 1);
        box_random(&b, &seed);
        box_sync(&b);
        box_close(&b);
    }
    box_pace = BOX_AT_ONCE;
    image_take(&image, folder);
    assert_true(image.n >= 3);
    image.files[1].name[0] = 'x';
    image_put(&image, folder);
    assert_int_equal(box_try(&b, folder, NEVER), ZKS__J_DAMAGED);
    assert_non_null(strstr(b.why, "the log before it is missing, or its end"));
    box_close(&b);
    image_free(&image);
    folder_remove(folder);
}

/* What others have put there is nobody's concern. */
static void test_strangers(void **state)
{
    (void)state;
    struct sample s;
    sample_make(&s, 4, true);
    static const char *const names[] = {"log.0",
                                        "log.000000000000000G",
                                        "snapshot.",
                                        "log.0000000000000000.old",
                                        "x",
                                        "log.0000000000000000~",
                                        "log.00000000000000000"};
    static const char *const gone[] = {"snapshot.00000000000000ff.new", "log.0000000000000003.new"};
    for (size_t i = 0; i < COUNT(names); i++) {
        image_add(&s.image, names[i], (const unsigned char *)"hello", 5);
    }
    for (size_t i = 0; i < COUNT(gone); i++) {
        image_add(&s.image, gone[i], (const unsigned char *)"hello", 5);
    }
    image_put(&s.image, s.folder);
    expect(&s, s.states.n - 1, true);
    struct image after;
    image_take(&after, s.folder);
    assert_int_equal(after.n, s.image.n - COUNT(gone));
    image_free(&after);
    sample_free(&s);
}

/* A later version's header has the same checksum, but says more than we know. */
static void test_newer(void **state)
{
    (void)state;
    char path[256];
    struct box b;
    char folder[128];
    /* magic, 2, a log, 0, 1, a number of its own and the checksum of that. */
    unsigned char h[HEADER] = "zksjrnl\n\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < HEADER - 4; i++) {
        crc ^= h[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    crc = ~crc;
    for (size_t i = 0; i < 4; i++) {
        h[HEADER - 4 + i] = (unsigned char)(crc >> 8 * (3 - i));
    }
    struct image image = {0};
    image_add(&image, "log.0000000000000000", h, sizeof h);
    folder_make(folder, "newer");
    image_put(&image, folder);
    assert_int_equal(box_try(&b, folder, NEVER), ZKS__J_NEWER);
    (void)snprintf(path, sizeof path, "%s/log.0000000000000000 was written by a later version",
                   folder);
    assert_non_null(strstr(b.why, path));
    box_close(&b);
    image_free(&image);
    folder_remove(folder);
}

/* ---- Entries that are none ---- */

/* A frame's entries, with a few bytes changed, in memory that ends where they end. */
static unsigned char *spoil(const struct image_file *f, size_t at, size_t *len, uint64_t *seed)
{
    static const unsigned char bytes[] = {0, 1, 2, 5, 16, 17, 18, 127, 128, 255};
    *len = number(f->bytes + at + 16, 8);
    unsigned char *copy = malloc(*len);
    assert_non_null(copy);
    memcpy(copy, f->bytes + at + HEAD, *len);
    for (uint32_t n = unit_below(seed, 5); n > 0; n--) {
        uint32_t where = unit_below(seed, (uint32_t)*len);
        copy[where] = unit_below(seed, 2) > 0 ? bytes[unit_below(seed, COUNT(bytes))]
                                              : (unsigned char)unit_below(seed, 256);
    }
    if (unit_below(seed, 4) == 0) {
        *len = 1 + unit_below(seed, (uint32_t)*len);
        copy = realloc(copy, *len);
        assert_non_null(copy);
    }
    return copy;
}

/* Some make a tree, which is one. */
static bool try_entries(unsigned char *bytes, size_t len, bool snapshot)
{
    struct garden g;
    struct zks__reader e = {bytes, bytes + len, false};
    struct zks__entry_counts counts = {0, 0};
    enum zks__entry_result result = ZKS__ENTRY_DONE;
    const char *what = NULL;
    garden_open(&g, NULL, NULL);
    g.heap.plain = true;
    while (result == ZKS__ENTRY_DONE && e.at < e.end) {
        const unsigned char *before = e.at;
        result = snapshot ? zks__entry_restore(&e, g.tree, &g.heap.mem, &counts, &what)
                          : zks__entry_replay(&e, g.tree, &g.heap.mem, &what);
        assert_true(e.at <= e.end && (e.at > before || result != ZKS__ENTRY_DONE));
    }
    assert_true(result != ZKS__ENTRY_NOMEM);
    assert_true((result == ZKS__ENTRY_WRONG) == (what != NULL));
    garden_check(&g);
    garden_close(&g);
    return result != ZKS__ENTRY_WRONG;
}

static void test_entries(void **state)
{
    (void)state;
    struct sample s;
    uint64_t seed = 17;
    unsigned fine = 0;
    sample_make(&s, 10, true);
    const struct image_file *files[] = {image_find(&s.image, "log."),
                                        image_find(&s.image, "snapshot.")};
    for (size_t i = 0; i < 20000; i += unit_step(7)) {
        size_t batches = s.states.n - 1 - s.before;
        size_t batch = s.before + unit_below(&seed, (uint32_t)batches);
        bool snapshot = i % 2 > 0;
        size_t len;
        unsigned char *bytes =
            spoil(files[snapshot], snapshot ? HEADER : s.ends[batch], &len, &seed);
        fine += try_entries(bytes, len, snapshot);
        free(bytes);
    }
    assert_true(fine > 100 && fine < 19900);
    sample_free(&s);
}

/* Of the entries of a frame, from `at` on, those before the `skipped`-th and those behind it. */
static enum zks__entry_result restore_without(const struct image_file *f, size_t at, size_t skipped,
                                              size_t *n)
{
    struct garden g;
    struct garden rest;
    const char *what = NULL;
    struct zks__entry_counts counts = {0, 0};
    struct zks__entry_counts others = {0, 0};
    enum zks__entry_result result = ZKS__ENTRY_DONE;
    size_t len = number(f->bytes + at + 16, 8);
    unsigned char *bytes = malloc(len);
    assert_non_null(bytes);
    memcpy(bytes, f->bytes + at + HEAD, len);
    struct zks__reader e = {bytes, bytes + len, false};
    garden_open(&g, NULL, NULL);
    garden_open(&rest, NULL, NULL);
    for (*n = 0; result == ZKS__ENTRY_DONE && e.at < e.end; ++*n) {
        /* An entry that is skipped is read into another tree, which shows where it ends. */
        bool skips = *n == skipped;
        result =
            zks__entry_restore(&e, skips ? rest.tree : g.tree, skips ? &rest.heap.mem : &g.heap.mem,
                               skips ? &others : &counts, &what);
        result = skips && result != ZKS__ENTRY_END ? ZKS__ENTRY_DONE : result;
    }
    garden_close(&rest);
    garden_close(&g);
    free(bytes);
    return result;
}

/* A snapshot that lacks any of its entries is not taken for whole. */
static void test_incomplete_snapshot(void **state)
{
    struct sample s;
    size_t n = 0;
    (void)state;
    sample_make(&s, 40, true);
    const struct image_file *f = image_find(&s.image, "snapshot.");
    assert_int_equal(restore_without(f, HEADER, SIZE_MAX, &n), ZKS__ENTRY_END);
    assert_true(n > 3);
    for (size_t i = 0; i + 1 < n; i++) {
        size_t seen;
        assert_int_equal(restore_without(f, HEADER, i, &seen), ZKS__ENTRY_WRONG);
    }
    sample_free(&s);
}

/* A batch is replayed once. */
static void test_replayed_twice(void **state)
{
    struct garden g;
    unsigned char bytes[64];
    const char *what = NULL;
    const struct zks__txn txn = {7, 1000};
    (void)state;
    garden_open(&g, NULL, NULL);
    struct zks__writer w = {.mem = &g.heap.mem};
    zks__entry_idle(&w, &txn);
    memcpy(bytes, w.bytes, w.len);
    for (int i = 0; i < 2; i++) {
        struct zks__reader e = {bytes, bytes + w.len, false};
        assert_int_equal(zks__entry_replay(&e, g.tree, &g.heap.mem, &what),
                         i == 0 ? ZKS__ENTRY_DONE : ZKS__ENTRY_WRONG);
    }
    assert_non_null(strstr(what, "do not grow"));
    zks__writer_close(&w);
    garden_close(&g);
}

/* ---- No memory ---- */

static void test_no_memory_to_open(void **state)
{
    (void)state;
    struct sample s;
    sample_make(&s, 6, true);
    for (size_t fail_at = 1, opened = 0; opened == 0; fail_at++) {
        struct garden g;
        struct pool pool;
        struct zks__journal *j = NULL;
        char why[ZKS__WHY_SIZE];
        garden_open(&g, NULL, NULL);
        pool_init(&pool);
        pool.fail_at = fail_at;
        const struct zks__journal_options options = {
            .folder = s.folder, .compact_bytes = NEVER, .mem = pool.mem};
        int rc = zks__journal_open(&options, g.tree, &j, why);
        opened = rc == 0 && pool.asked < fail_at;
        if (rc != 0) {
            assert_int_equal(rc, ZKS__J_NOMEM);
            assert_null(j);
        }
        zks__journal_close(j);
        assert_int_equal(pool.blocks, 0);
        garden_close(&g);
    }
    /* The tree's own memory. */
    for (size_t fail_at = 1, opened = 0; opened == 0; fail_at++) {
        struct garden g;
        struct zks__journal *j = NULL;
        char why[ZKS__WHY_SIZE];
        garden_open(&g, NULL, NULL);
        struct pool pool;
        pool_init(&pool);
        g.heap.fail_at = g.heap.asked + fail_at;
        const struct zks__journal_options options = {
            .folder = s.folder, .compact_bytes = NEVER, .mem = pool.mem};
        int rc = zks__journal_open(&options, g.tree, &j, why);
        opened = rc == 0 && g.heap.refused == 0;
        assert_true(rc == 0 || rc == ZKS__J_NOMEM);
        zks__journal_close(j);
        garden_close(&g);
    }
    sample_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_torn_pages),
        cmocka_unit_test(test_log_in_a_log),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_cut_snapshot),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_newer),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_no_memory_to_open),
        cmocka_unit_test(test_missing_between),
        cmocka_unit_test(test_incomplete_snapshot),
        cmocka_unit_test(test_replayed_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
