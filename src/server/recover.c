/* SPDX-License-Identifier: Apache-2.0 */
#include "recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "entry.h"

enum { SNAPSHOT_FRAME = 1 << 20 };

static bool stopped(const atomic_bool *stop)
{
    return stop != NULL && atomic_load(stop);
}

static int broken_off(char why[ZKS__WHY_SIZE])
{
    (void)snprintf(why, ZKS__WHY_SIZE, "it was broken off");
    return ZKS__J_SYSTEM;
}

static int missing(const struct zks__store *s, int64_t zxid, char why[ZKS__WHY_SIZE])
{
    char name[ZKS__NAME_SIZE];
    zks__file_name(ZKS__FILE_LOG, zxid, name);
    (void)snprintf(
        why, ZKS__WHY_SIZE,
        "%.200s/%s is missing, without which there is no telling what was written last; put "
        "the folder back from a copy, or move it away to begin with nothing",
        s->path, name);
    return ZKS__J_DAMAGED;
}

/* What an entry has come to; `at` is where its frame begins. */
static int judge(const struct zks__file *f, enum zks__entry_result result, uint64_t at,
                 const char *what, char why[ZKS__WHY_SIZE])
{
    switch (result) {
    case ZKS__ENTRY_NOMEM:
        return zks__store_no_memory(why);
    case ZKS__ENTRY_WRONG:
        return zks__store_damaged(f->store, f->name, at, what, why);
    case ZKS__ENTRY_DONE:
    case ZKS__ENTRY_END:
        break;
    }
    return 0;
}

/* ---- Which files there are ---- */

struct scan {
    int64_t until;
    int64_t snapshot; /* The newest; -1 for none. */
    struct zks__writer logs;
};

static bool see(void *arg, enum zks__file_kind kind, int64_t zxid, bool fresh)
{
    struct scan *s = arg;
    if (fresh || zxid >= s->until) {
        return true;
    }
    if (kind == ZKS__FILE_LOG) {
        zks__put_bytes(&s->logs, &zxid, sizeof zxid);
    } else if (zxid > s->snapshot) {
        s->snapshot = zxid;
    }
    return !s->logs.failed;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* ---- A snapshot ---- */

static int restore_frame(struct zks__recovery *r, const struct zks__file *f, uint64_t at,
                         struct zks__reader *e, struct zks__entry_counts *counts, bool *end,
                         char why[ZKS__WHY_SIZE])
{
    const char *what = "it goes on behind its end";
    enum zks__entry_result result = *end ? ZKS__ENTRY_WRONG : ZKS__ENTRY_DONE;
    while (result == ZKS__ENTRY_DONE && e->at < e->end) {
        result = zks__entry_restore(e, r->tree, r->store->mem, counts, &what);
    }
    *end = result == ZKS__ENTRY_END;
    if (*end && e->at < e->end) {
        result = ZKS__ENTRY_WRONG;
    }
    return judge(f, result, at, what, why);
}

static int restore_all(struct zks__recovery *r, struct zks__file *f, struct zks__frames *frames,
                       char why[ZKS__WHY_SIZE])
{
    struct zks__entry_counts counts = {0, 0};
    bool end = false;
    for (;;) {
        unsigned char *bytes;
        size_t len;
        uint64_t at = f->at;
        int rc;
        switch (zks__frames_next(frames, &bytes, &len, why)) {
        case ZKS__FRAME_READ:
            rc = restore_frame(r, f, at, &(struct zks__reader){bytes, bytes + len, false}, &counts,
                               &end, why);
            if (rc == 0 && stopped(r->stop)) {
                rc = broken_off(why);
            }
            if (rc != 0) {
                return rc;
            }
            break;
        case ZKS__FRAME_NONE:
            return end && f->at == f->size
                       ? 0
                       : zks__store_damaged(r->store, f->name, at, "it does not end as it should",
                                            why);
        case ZKS__FRAME_BAD:
            return zks__store_damaged(r->store, f->name, at, "what is there was not written so",
                                      why);
        case ZKS__FRAME_FAILED:
            return frames->error;
        }
    }
}

static int restore(struct zks__recovery *r, int64_t zxid, char why[ZKS__WHY_SIZE])
{
    struct zks__file f;
    int rc = zks__file_open(&f, r->store, ZKS__FILE_SNAPSHOT, zxid, false, why);
    if (rc != 0) {
        return rc;
    }
    struct zks__frames frames = {.file = &f};
    rc = restore_all(r, &f, &frames, why);
    const struct zks__txn txn = {zxid, 0};
    zks__tree_idle(r->tree, &txn);
    r->next = f.first;
    r->snapshot_bytes = f.size;
    zks__frames_close(&frames);
    zks__file_close(&f);
    return rc;
}

/* ---- A log ---- */

/* How a log ends: with a mark that says that there is a next one; with its last batch; with something
 * that is no batch. */
enum end { END_MARK, END_BATCH, END_BAD };

/* A frame without anything in it is the mark. */
static int replay_frames(struct zks__recovery *r, struct zks__frames *frames, enum end *end,
                         uint64_t *last, char why[ZKS__WHY_SIZE])
{
    struct zks__file *f = frames->file;
    bool mark = false;
    for (;;) {
        struct zks__reader e = {0};
        size_t len = 0;
        uint64_t at = f->at;
        enum zks__frame frame = zks__frames_next(frames, &e.at, &len, why);
        if (frame == ZKS__FRAME_FAILED) {
            return frames->error;
        }
        if (mark && frame != ZKS__FRAME_NONE) {
            return zks__store_damaged(r->store, f->name, at, "it goes on behind its end", why);
        }
        if (frame != ZKS__FRAME_READ) {
            *end = frame == ZKS__FRAME_BAD ? END_BAD : mark ? END_MARK : END_BATCH;
            return 0;
        }
        *last = at;
        r->next = f->next;
        mark = len == 0;
        e.end = e.at + len;
        while (e.at < e.end) {
            const char *what = "";
            enum zks__entry_result result = zks__entry_replay(&e, r->tree, r->store->mem, &what);
            if (result != ZKS__ENTRY_DONE) {
                return judge(f, result, at, what, why);
            }
        }
        if (stopped(r->stop)) {
            return broken_off(why);
        }
    }
}

/* What is no batch is the beginning of one that a crash has cut off only where nothing was written after
 * it: a batch is written when the one before it is durable. */
static int judge_bad(struct zks__recovery *r, struct zks__frames *frames, bool may_be_torn,
                     char why[ZKS__WHY_SIZE])
{
    const struct zks__file *f = frames->file;
    bool later = true;
    int rc = may_be_torn ? zks__frames_later(frames, &later, why) : 0;
    if (rc == 0 && later) {
        rc = zks__store_damaged(r->store, f->name, f->at, "what is there was not written so", why);
    }
    r->torn = f->size - f->at;
    return rc;
}

/* Whether the log is one that was begun when the mark at the end of the one before was not yet there. */
static int is_spare(struct zks__recovery *r, int64_t zxid, bool *spare, char why[ZKS__WHY_SIZE])
{
    struct zks__file f;
    unsigned char *bytes;
    size_t len;
    int rc = zks__file_open(&f, r->store, ZKS__FILE_LOG, zxid, false, why);
    *spare = false;
    if (rc != 0) {
        return rc;
    }
    struct zks__frames frames = {.file = &f};
    enum zks__frame frame = zks__frames_next(&frames, &bytes, &len, why);
    *spare = frame == ZKS__FRAME_NONE && f.first == r->next + 1 && zxid == zks__tree_zxid(r->tree);
    rc = frame == ZKS__FRAME_FAILED ? frames.error : 0;
    zks__frames_close(&frames);
    zks__file_close(&f);
    return rc;
}

/* `more` is how many logs come behind this one. */
static int replay_log(struct zks__recovery *r, struct zks__file *f, const int64_t *behind,
                      size_t more, char why[ZKS__WHY_SIZE])
{
    enum end end = END_BAD;
    uint64_t last = UINT64_MAX; /* Where the last whole frame begins. */
    bool spare = false;
    if (f->first != r->next || f->zxid != zks__tree_zxid(r->tree)) {
        return zks__store_damaged(r->store, f->name, 0, "the log before it is missing, or its end",
                                  why);
    }
    struct zks__frames frames = {.file = f};
    int rc = replay_frames(r, &frames, &end, &last, why);
    if (rc == 0 && end != END_MARK && more == 1 && r->until == INT64_MAX) {
        rc = is_spare(r, behind[0], &spare, why);
        r->spare = spare ? behind[0] : -1;
    }
    bool is_last = r->until == INT64_MAX && (more == 0 || spare);
    if (rc == 0 && end == END_BAD) {
        rc = judge_bad(r, &frames, is_last, why);
    } else if (rc == 0 && is_last && end == END_MARK) {
        rc = missing(r->store, zks__tree_zxid(r->tree), why);
    } else if (rc == 0 && !is_last && end != END_MARK) {
        rc = zks__store_damaged(r->store, f->name, f->at, "its end is missing", why);
    }
    zks__frames_close(&frames);
    if (rc != 0 || r->until != INT64_MAX) {
        return rc;
    }
    /* What a killed server has written, but not synced, is seen from now on.  That can be no more than the
     * last frame, for one is written when the one before it is durable. */
    rc = zks__file_rewrite(f, last, why);
    return rc == 0 ? zks__file_sync(f, why) : rc;
}

/* The logs from the snapshot on, in order. */
static int replay(struct zks__recovery *r, const int64_t *logs, size_t n, char why[ZKS__WHY_SIZE])
{
    for (size_t i = 0; i < n && r->spare < 0; i++) {
        struct zks__file f;
        int rc = zks__file_open(&f, r->store, ZKS__FILE_LOG, logs[i], r->until == INT64_MAX, why);
        if (rc == 0) {
            rc = replay_log(r, &f, logs + i + 1, n - i - 1, why);
        }
        if (rc != 0) {
            zks__file_close(&f);
            return rc;
        }
        if (r->until == INT64_MAX && (i + 1 == n || r->spare >= 0)) {
            r->last = f;
        } else {
            r->log_bytes += f.at;
            zks__file_close(&f);
        }
    }
    return r->until == INT64_MAX || r->until == zks__tree_zxid(r->tree)
               ? 0
               : missing(r->store, zks__tree_zxid(r->tree), why);
}

int zks__recover(struct zks__recovery *r, char why[ZKS__WHY_SIZE])
{
    struct scan scan = {.until = r->until, .snapshot = -1, .logs = {.mem = r->store->mem}};
    r->last.fd = -1;
    r->spare = -1;
    r->next = 1;
    int rc = zks__store_each(r->store, see, &scan, why);
    r->snapshot = scan.snapshot;
    if (rc == 0 && scan.logs.failed) {
        rc = zks__store_no_memory(why);
    }
    if (rc == 0 && scan.snapshot >= 0) {
        rc = restore(r, scan.snapshot, why);
    }
    int64_t *logs = (int64_t *)scan.logs.bytes;
    size_t n = scan.logs.len / sizeof *logs;
    size_t from = 0;
    if (n > 0) {
        qsort(logs, n, sizeof *logs, by_number);
    }
    while (from < n && logs[from] < scan.snapshot) {
        from++;
    }
    int64_t first = scan.snapshot >= 0 ? scan.snapshot : 0;
    if (rc == 0 && (n > 0 || scan.snapshot >= 0) && (from == n || logs[from] != first)) {
        rc = missing(r->store, first, why);
    }
    if (rc == 0 && n > 0) {
        rc = replay(r, logs + from, n - from, why);
    }
    zks__writer_close(&scan.logs);
    return rc;
}

/* ---- From a tree ---- */

static int flush(struct zks__file *f, struct zks__writer *b, size_t from, const atomic_bool *stop,
                 char why[ZKS__WHY_SIZE])
{
    if (b->failed) {
        return zks__store_no_memory(why);
    }
    if (stopped(stop)) {
        return broken_off(why);
    }
    if (b->len < from) {
        return 0;
    }
    int rc = zks__file_append(f, b, why);
    zks__frame_begin(b);
    return rc;
}

static int dump_all(struct zks__file *f, struct zks__writer *b, const struct zks__tree *tree,
                    const atomic_bool *stop, char why[ZKS__WHY_SIZE])
{
    struct zks__entry_counts counts = {0, 0};
    struct zks__znode_parts parts;
    int rc = 0;
    zks__frame_begin(b);
    for (const struct zks__session *s = zks__tree_next_session(tree, NULL); s != NULL && rc == 0;
         s = zks__tree_next_session(tree, s)) {
        zks__entry_session(b, s);
        counts.sessions++;
        rc = flush(f, b, SNAPSHOT_FRAME, stop, why);
    }
    for (const struct zks__znode *n = zks__tree_next_znode(tree, NULL); n != NULL && rc == 0;
         n = zks__tree_next_znode(tree, n)) {
        zks__tree_take_apart(n, &parts);
        zks__entry_znode(b, &parts);
        counts.nodes++;
        rc = flush(f, b, SNAPSHOT_FRAME, stop, why);
    }
    zks__entry_end(b, &counts);
    return rc == 0 ? flush(f, b, 0, stop, why) : rc;
}

int zks__dump(const struct zks__store *s, const struct zks__tree *tree, uint64_t first,
              const atomic_bool *stop, uint64_t *bytes, char why[ZKS__WHY_SIZE])
{
    struct zks__file f;
    bool seen;
    struct zks__writer b = {.mem = s->mem};
    int rc = zks__file_create(&f, s, ZKS__FILE_SNAPSHOT, zks__tree_zxid(tree), first, why);
    if (rc != 0) {
        return rc;
    }
    rc = dump_all(&f, &b, tree, stop, why);
    *bytes = f.at;
    zks__writer_close(&b);
    if (rc != 0) {
        zks__file_abandon(&f);
        return rc;
    }
    rc = zks__file_publish(&f, &seen, why);
    zks__file_close(&f);
    return rc;
}

/* ---- To tidy up ---- */

struct broom {
    const struct zks__store *store;
    int64_t snapshot;
    bool fresh;
    int rc;
    char *why;
};

static bool sweep(void *arg, enum zks__file_kind kind, int64_t zxid, bool fresh)
{
    struct broom *b = arg;
    char name[ZKS__NAME_SIZE];
    if (fresh) {
        zks__file_fresh_name(kind, zxid, name);
    } else {
        zks__file_name(kind, zxid, name);
    }
    if (fresh ? b->fresh : zxid < b->snapshot) {
        b->rc = zks__store_remove(b->store, name, b->why);
    }
    return b->rc == 0;
}

int zks__tidy(const struct zks__store *s, int64_t snapshot, bool fresh, char why[ZKS__WHY_SIZE])
{
    struct broom b = {s, snapshot, fresh, 0, why};
    int rc = zks__store_each(s, sweep, &b, why);
    return rc != 0 ? rc : b.rc;
}
