/* SPDX-License-Identifier: Apache-2.0 */
/* What is appended goes to the log that is being written.  When that has grown, a new one is begun, and a
 * thread makes a snapshot of what the logs before it hold: from the files, into a tree of its own, so that
 * nothing of it ever waits for the thread that appends, or the other way round. */
#include "journal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "entry.h"
#include "recover.h"

enum {
    LINE_SIZE = ZKS__WHY_SIZE + 256,
    FULL_BATCH = 4 << 20, /* So that neither writing nor reading one needs much memory. */
    KEEP_BATCH = 4 << 20,
    EAGER_BYTES = 4 << 20
};

struct zks__journal {
    struct zks__journal_options options;
    const struct zks__tree *tree;
    struct zks__store store;
    struct zks__file log;
    struct zks__writer batch;
    int64_t zxid; /* Of the last write in the batch. */
    int failed;   /* An enum zks__journal_error, and why. */
    char why[ZKS__WHY_SIZE];

    uint64_t closed_bytes; /* Of the logs before this one that no snapshot covers. */
    uint64_t snapshot_bytes;
    uint64_t failed_log;     /* How long the log was when the last compaction failed, 0 for none; */
    uint64_t failed_useless; /* and how much was of no use. */

    /* The thread; while it runs it has what is below, and reads `options` and `store`. */
    bool running;
    pthread_t thread;
    atomic_bool stop;
    atomic_bool done;
    int64_t until;       /* The zxid of the log that is being written. */
    uint64_t made_bytes; /* Of the snapshot; 0 for none. */
};

static void say(const struct zks__journal *j, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (j->options.log != NULL) {
        j->options.log(j->options.arg, line);
    }
}

/* ---- To make a snapshot ---- */

static void tell_nobody(void *arg, struct zks__watcher *watcher, enum zks__event event,
                        const char *path)
{
    (void)arg;
    (void)watcher;
    (void)event;
    (void)path;
}

static int compact(struct zks__journal *j, struct zks__tree *tree, char why[ZKS__WHY_SIZE])
{
    struct zks__recovery r = {
        .store = &j->store, .tree = tree, .until = j->until, .stop = &j->stop};
    uint64_t bytes = 0;
    int rc = zks__recover(&r, why);
    if (rc == 0) {
        rc = zks__dump(&j->store, tree, r.next, &j->stop, &bytes, why);
    }
    if (rc == 0) {
        j->made_bytes = bytes;
    }
    return rc;
}

static void *run(void *arg)
{
    static const struct zks__tree_limits none;
    struct zks__journal *j = arg;
    char why[ZKS__WHY_SIZE];
    struct zks__tree *tree = zks__tree_new(&j->options.mem, &none, tell_nobody, NULL);
    int rc = tree != NULL ? compact(j, tree, why) : zks__store_no_memory(why);
    zks__tree_free(tree);
    if (rc == 0) {
        rc = zks__tidy(&j->store, j->until, false, why);
    }
    if (rc != 0 && !atomic_load(&j->stop)) {
        say(j, "the log could not be compacted, which is tried again later: %s", why);
    }
    atomic_store(&j->done, true);
    return NULL;
}

/* Of the logs, and of all files what a snapshot would not need. */
struct burden {
    uint64_t log;
    uint64_t useless;
    uint64_t needed;
};

static struct burden weigh(const struct zks__journal *j)
{
    struct zks__tree_counts counts;
    zks__tree_count(j->tree, &counts);
    struct burden b = {.log = j->closed_bytes + j->log.at, .needed = zks__entry_total(&counts)};
    uint64_t all = j->snapshot_bytes + b.log;
    b.useless = all > b.needed ? all - b.needed : 0;
    return b;
}

/* Before it is tried again, as much again must have come. */
static void note_failure(struct zks__journal *j)
{
    struct burden b = weigh(j);
    j->failed_log = b.log;
    j->failed_useless = b.useless;
}

static void start(struct zks__journal *j)
{
    j->until = j->log.zxid;
    j->made_bytes = 0;
    atomic_store(&j->stop, false);
    atomic_store(&j->done, false);
    int error = zks__thread_start(&j->thread, run, j);
    j->running = error == 0;
    if (error != 0) {
        note_failure(j);
        say(j, "the log could not be compacted, which is tried again later: %s", strerror(error));
    }
}

static void join(struct zks__journal *j)
{
    if (!j->running) {
        return;
    }
    (void)pthread_join(j->thread, NULL);
    j->running = false;
    if (j->made_bytes > 0) {
        j->closed_bytes = 0;
        j->snapshot_bytes = j->made_bytes;
        j->failed_log = j->failed_useless = 0;
    } else {
        note_failure(j);
    }
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether the log is long, or the files hold far more than the tree that they are of: most of it may have
 * been deleted.  Either way a compaction costs no more than what was written for it to be due.  After one
 * that failed as much again is needed. */
static bool is_due(const struct zks__journal *j, bool eager)
{
    struct burden b = weigh(j);
    uint64_t least = j->options.compact_bytes;
    if (b.log >= j->failed_log + larger(least, j->snapshot_bytes)) {
        return true;
    }
    least = eager && least > EAGER_BYTES ? EAGER_BYTES : least;
    return b.useless >= j->failed_useless + larger(least, b.needed);
}

static int mark_end(struct zks__journal *j, char why[ZKS__WHY_SIZE])
{
    zks__frame_begin(&j->batch);
    int rc = zks__file_append(&j->log, &j->batch, why);
    zks__frame_begin(&j->batch);
    return rc == 0 ? zks__file_sync(&j->log, why) : rc;
}

/* Goes on in a new log, which is there before the mark at the end of the old one says so.  Where no new
 * one can be made the old one is as good as before, but where it is half there nobody knows which of
 * the two will be. */
static bool change_log(struct zks__journal *j)
{
    struct zks__file fresh;
    char why[ZKS__WHY_SIZE];
    bool seen = false;
    if (j->zxid == j->log.zxid) {
        return true; /* Nothing is in this one.  A new one would have its name, and take its place. */
    }
    int rc = zks__file_create(&fresh, &j->store, ZKS__FILE_LOG, j->zxid, j->log.next + 1, why);
    if (rc == 0) {
        rc = zks__file_publish(&fresh, &seen, why);
    }
    if (rc != 0 && !seen) {
        note_failure(j);
        say(j, "no new log could be begun, which is tried again later: %s", why);
        return false;
    }
    if (rc == 0) {
        rc = mark_end(j, why);
    }
    if (rc != 0) {
        j->failed = rc;
        memcpy(j->why, why, sizeof why);
        zks__file_close(&fresh);
        return false;
    }
    j->closed_bytes += j->log.at;
    zks__file_close(&j->log);
    j->log = fresh;
    return true;
}

static void consider(struct zks__journal *j, bool eager)
{
    if (j->running && atomic_load(&j->done)) {
        join(j);
    }
    if (!j->running && is_due(j, eager) && change_log(j)) {
        start(j);
    }
}

/* ---- Open and close ---- */

static int begin_log(struct zks__journal *j, char why[ZKS__WHY_SIZE])
{
    bool seen;
    int rc = zks__file_create(&j->log, &j->store, ZKS__FILE_LOG, 0, 1, why);
    return rc == 0 ? zks__file_publish(&j->log, &seen, why) : rc;
}

/* What a crash has left undone.  What the folder says of its files is durable before any is removed that it
 * has made useless. */
static int mend(struct zks__journal *j, const struct zks__recovery *r, char why[ZKS__WHY_SIZE])
{
    char name[ZKS__NAME_SIZE];
    int rc = 0;
    if (r->torn > 0) {
        uint64_t at = j->log.at;
        rc = zks__file_cut(&j->log, why);
        if (rc == 0) {
            rc = zks__file_sync(&j->log, why);
        }
        say(j,
            "%.200s/%s: a crash has cut off the last batch, of which nobody was told: what was "
            "behind "
            "offset %llu is dropped",
            j->store.path, j->log.name, (unsigned long long)at);
    }
    if (rc == 0 && r->spare >= 0) {
        zks__file_name(ZKS__FILE_LOG, r->spare, name);
        rc = zks__store_remove(&j->store, name, why);
    }
    if (rc == 0) {
        rc = zks__store_sync(&j->store, why);
    }
    return rc == 0 ? zks__tidy(&j->store, r->snapshot, true, why) : rc;
}

static int recover(struct zks__journal *j, struct zks__tree *tree, char why[ZKS__WHY_SIZE])
{
    static const struct zks__tree_limits none;
    struct zks__recovery r = {.store = &j->store, .tree = tree, .until = INT64_MAX};
    /* What was acknowledged stays, even where the limits are lower by now. */
    const struct zks__tree_limits limits = zks__tree_set_limits(tree, &none);
    int rc = zks__recover(&r, why);
    (void)zks__tree_set_limits(tree, &limits);
    j->log = r.last;
    if (rc == 0) {
        rc = j->log.fd < 0 ? begin_log(j, why) : mend(j, &r, why);
    }
    j->zxid = zks__tree_zxid(tree);
    j->closed_bytes = r.log_bytes;
    j->snapshot_bytes = r.snapshot_bytes;
    return rc;
}

int zks__journal_open(const struct zks__journal_options *options, struct zks__tree *tree,
                      struct zks__journal **journal, char why[ZKS__WHY_SIZE])
{
    struct zks__journal *j = zks__mem_alloc(&options->mem, sizeof *j);
    if (j == NULL) {
        return zks__store_no_memory(why);
    }
    memset(j, 0, sizeof *j);
    j->options = *options;
    j->tree = tree;
    j->log.fd = -1;
    j->batch.mem = &j->options.mem;
    int rc = zks__store_open(&j->store, options->folder, &j->options.mem, why);
    if (rc == 0) {
        rc = recover(j, tree, why);
    }
    if (rc != 0) {
        zks__journal_close(j);
        return rc;
    }
    *journal = j;
    return 0;
}

void zks__journal_close(struct zks__journal *j)
{
    if (j == NULL) {
        return;
    }
    const struct zks__mem mem = j->options.mem;
    atomic_store(&j->stop, true);
    join(j);
    zks__file_close(&j->log);
    zks__store_close(&j->store);
    zks__writer_close(&j->batch);
    zks__mem_free(&mem, j);
}

/* ---- To append ---- */

static struct zks__writer *batch(struct zks__journal *j, const struct zks__txn *txn)
{
    if (j->batch.len == 0) {
        zks__frame_begin(&j->batch);
    }
    j->zxid = txn->zxid;
    return &j->batch;
}

void zks__journal_write(struct zks__journal *j, const struct zks__txn *txn,
                        const struct zks__who *who, const struct zks__op *ops, size_t n)
{
    zks__entry_write(batch(j, txn), txn, who, ops, n);
}

void zks__journal_idle(struct zks__journal *j, const struct zks__txn *txn)
{
    zks__entry_idle(batch(j, txn), txn);
}

void zks__journal_open_session(struct zks__journal *j, const struct zks__txn *txn,
                               const struct zks__session *session)
{
    zks__entry_open_session(batch(j, txn), txn, session);
}

void zks__journal_close_session(struct zks__journal *j, const struct zks__txn *txn, int64_t id)
{
    zks__entry_close_session(batch(j, txn), txn, id);
}

bool zks__journal_dirty(const struct zks__journal *j)
{
    return j->batch.len > ZKS__FRAME_HEAD || j->batch.failed || j->failed != 0;
}

bool zks__journal_full(const struct zks__journal *j)
{
    return j->batch.len >= FULL_BATCH && j->failed == 0;
}

static int fail(struct zks__journal *j, int rc, char why[ZKS__WHY_SIZE])
{
    j->failed = rc;
    memcpy(j->why, why, ZKS__WHY_SIZE);
    return rc;
}

void zks__journal_id(const struct zks__journal *j, char id[ZKS__FOLDER_ID])
{
    zks__store_id(&j->store, id);
}

int zks__journal_check(const struct zks__journal *j, char why[ZKS__WHY_SIZE])
{
    return zks__store_check(&j->store, why);
}

int zks__journal_sync(struct zks__journal *j, char why[ZKS__WHY_SIZE])
{
    if (j->failed != 0) {
        memcpy(why, j->why, ZKS__WHY_SIZE);
        return j->failed;
    }
    if (!zks__journal_dirty(j)) {
        return 0;
    }
    int rc = zks__file_append(&j->log, &j->batch, why);
    if (rc == 0) {
        rc = zks__file_sync(&j->log, why);
    }
    if (rc != 0) {
        return fail(j, rc, why);
    }
    if (j->batch.size > KEEP_BATCH) {
        zks__writer_close(&j->batch);
    } else {
        zks__frame_begin(&j->batch);
    }
    consider(j, false);
    return 0;
}

bool zks__journal_tend(struct zks__journal *j, bool eager)
{
    if (!zks__journal_dirty(j)) {
        consider(j, eager);
    }
    return j->running;
}
