/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs to make small values durable, in batches: SQLite, LMDB, the journal of the local server, and
 * what that could be made of, a file that is written and synced.
 *
 *   bench_stores FOLDER [SECONDS]
 *
 * In FOLDER, which is on the disk that is meant, for so long (1) in each of ROUNDS rounds, in which all take
 * turns.  Tells the median of the rounds. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/journal.h"

enum { VALUE = 200, KEYS = 10000, ROUNDS = 3, CHUNK = 1 << 20, MAX_BATCH = 128 };

/* What else a frame and an entry of the journal need. */
enum { FRAME = 32, ENTRY = 75 };

static char folder[256];
static unsigned char value[VALUE];

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_stores: %s: %s\n", what, why);
    exit(1);
}

static void must(int ok, const char *what)
{
    if (!ok) {
        die(what, strerror(errno));
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *inside(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void key_of(uint64_t put, char key[32])
{
    snprintf(key, 32, "/bench/%08" PRIu64, put % KEYS);
}

/* ---- SQLite ---- */

static sqlite3 *db;
static sqlite3_stmt *insert;

static void sql(const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        die(text, sqlite3_errmsg(db));
    }
}

static void sqlite_open(void)
{
    if (sqlite3_open(inside("sqlite"), &db) != SQLITE_OK) {
        die("sqlite", sqlite3_errmsg(db));
    }
    sql("PRAGMA journal_mode=WAL");
    sql("PRAGMA synchronous=FULL");
    sql("CREATE TABLE kv(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID");
    if (sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO kv VALUES(?,?)", -1, &insert, NULL) !=
        SQLITE_OK) {
        die("sqlite", sqlite3_errmsg(db));
    }
}

static void sqlite_batch(uint64_t first, size_t n)
{
    char key[32];
    sql("BEGIN");
    for (size_t i = 0; i < n; i++) {
        key_of(first + i, key);
        sqlite3_bind_text(insert, 1, key, -1, SQLITE_STATIC);
        sqlite3_bind_blob(insert, 2, value, VALUE, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) {
            die("sqlite", sqlite3_errmsg(db));
        }
        sqlite3_reset(insert);
    }
    sql("COMMIT");
}

static void sqlite_close(void)
{
    sqlite3_finalize(insert);
    sqlite3_close(db);
}

/* ---- LMDB ---- */

static MDB_env *env;
static MDB_dbi dbi;

static void mdb(int rc)
{
    if (rc != 0) {
        die("lmdb", mdb_strerror(rc));
    }
}

static void lmdb_open(void)
{
    MDB_txn *txn;
    mdb(mdb_env_create(&env));
    mdb(mdb_env_set_mapsize(env, (size_t)1 << 30));
    mdb(mdb_env_open(env, inside("lmdb"), MDB_NOSUBDIR, 0600));
    mdb(mdb_txn_begin(env, NULL, 0, &txn));
    mdb(mdb_dbi_open(txn, NULL, 0, &dbi));
    mdb(mdb_txn_commit(txn));
}

static void lmdb_batch(uint64_t first, size_t n)
{
    MDB_txn *txn;
    char key[32];
    mdb(mdb_txn_begin(env, NULL, 0, &txn));
    for (size_t i = 0; i < n; i++) {
        key_of(first + i, key);
        MDB_val k = {strlen(key), key};
        MDB_val v = {VALUE, value};
        mdb(mdb_put(txn, dbi, &k, &v, 0));
    }
    mdb(mdb_txn_commit(txn));
}

static void lmdb_close(void)
{
    mdb_env_close(env);
}

/* ---- A file ---- */

static int fd;
static off_t at;
static off_t size;
static unsigned char frame[FRAME + MAX_BATCH * (ENTRY + VALUE)];

static void file_open(const char *name, int flags)
{
    fd = open(inside(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | flags, 0600);
    must(fd >= 0, name);
    at = size = 0;
    memset(frame, 'f', sizeof frame);
}

static void file_close(void)
{
    close(fd);
}

static size_t put_frame(size_t n)
{
    size_t len = (FRAME + n * (ENTRY + VALUE) + 7) / 8 * 8;
    must(pwrite(fd, frame, len, at) == (ssize_t)len, "pwrite");
    at += (off_t)len;
    return len;
}

static void append_open(void)
{
    file_open("append", 0);
}

static void append_batch(uint64_t first, size_t n)
{
    (void)first;
    put_frame(n);
    must(fdatasync(fd) == 0, "fdatasync");
}

static void dsync_open(void)
{
    file_open("dsync", O_DSYNC);
}

static void fallocate_open(void)
{
    file_open("fallocate", 0);
}

static void fallocate_batch(uint64_t first, size_t n)
{
    (void)first;
    put_frame(n);
    if (at > size) {
        must(fallocate(fd, 0, size, at + CHUNK - size) == 0, "fallocate");
        size = at + CHUNK;
    }
    must(fdatasync(fd) == 0, "fdatasync");
}

static void zeros_open(void)
{
    file_open("zeros", 0);
}

static void add_zeros(off_t chunk)
{
    static const unsigned char zeros[1 << 16];
    if (at > size) {
        off_t end = (at / chunk + 1) * chunk;
        for (size = at; size < end;) {
            size_t len = end - size < (off_t)sizeof zeros ? (size_t)(end - size) : sizeof zeros;
            must(pwrite(fd, zeros, len, size) == (ssize_t)len, "pwrite");
            size += (off_t)len;
        }
    }
}

static void zeros_batch(uint64_t first, size_t n)
{
    (void)first;
    put_frame(n);
    add_zeros(CHUNK);
    must(fdatasync(fd) == 0, "fdatasync");
}

static void more_zeros_batch(uint64_t first, size_t n)
{
    (void)first;
    put_frame(n);
    add_zeros(8 * CHUNK);
    must(fdatasync(fd) == 0, "fdatasync");
}

static void dsync_batch(uint64_t first, size_t n)
{
    (void)first;
    put_frame(n);
    add_zeros(CHUNK);
}

/* ---- The journal ---- */

static struct zks__tree *tree;
static struct zks__journal *journal;

static void *heap_alloc(void *arg, size_t len)
{
    (void)arg;
    return malloc(len);
}

static void heap_free(void *arg, void *block)
{
    (void)arg;
    free(block);
}

static void tell(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path)
{
    (void)arg;
    (void)watcher;
    (void)event;
    (void)path;
}

static void journal_put(enum zks__op_kind kind, const char *key)
{
    static const struct zks__ace open_acl = {31, {"world", "anyone"}};
    static const struct zks__who who = {0, {NULL, 0}};
    const struct zks__op op = {.kind = kind,
                               .path = key,
                               .data = value,
                               .data_len = VALUE,
                               .aces = &open_acl,
                               .n_aces = 1,
                               .version = -1};
    struct zks__op_result result;
    const struct zks__txn txn = {zks__tree_zxid(tree) + 1, 0};
    zks__tree_write(tree, &txn, &who, &op, &result);
    if (result.code != 0) {
        die(key, "refused");
    }
    zks__journal_write(journal, &txn, &who, &op, 1);
}

static void journal_sync(void)
{
    char why[ZKS__WHY_SIZE];
    if (zks__journal_sync(journal, why) != 0) {
        die("journal", why);
    }
}

static void journal_open(void)
{
    static const struct zks__mem mem = {heap_alloc, heap_free, NULL};
    static const struct zks__tree_limits none;
    char why[ZKS__WHY_SIZE];
    char key[32];
    const struct zks__journal_options options = {
        .folder = inside("journal"), .compact_bytes = (size_t)1 << 30, .mem = mem};
    tree = zks__tree_new(&mem, &none, tell, NULL);
    if (tree == NULL || zks__journal_open(&options, tree, &journal, why) != 0) {
        die("journal", tree == NULL ? "no memory" : why);
    }
    journal_put(ZKS__OP_CREATE, "/bench");
    for (uint64_t i = 0; i < KEYS; i++) {
        key_of(i, key);
        journal_put(ZKS__OP_CREATE, key);
    }
    journal_sync();
}

static void journal_batch(uint64_t first, size_t n)
{
    char key[32];
    for (size_t i = 0; i < n; i++) {
        key_of(first + i, key);
        journal_put(ZKS__OP_SET, key);
    }
    journal_sync();
}

static void journal_close(void)
{
    zks__journal_close(journal);
    zks__tree_free(tree);
}

/* ---- All of them ---- */

struct store {
    const char *name;
    void (*open)(void);
    void (*batch)(uint64_t first, size_t n);
    void (*close)(void);
};

static const struct store stores[] = {
    {"SQLite, WAL, synchronous=FULL", sqlite_open, sqlite_batch, sqlite_close},
    {"LMDB, default", lmdb_open, lmdb_batch, lmdb_close},
    {"journal", journal_open, journal_batch, journal_close},
    {"append, fdatasync", append_open, append_batch, file_close},
    {"fallocate 1 MiB, fdatasync", fallocate_open, fallocate_batch, file_close},
    {"zeros 1 MiB, fdatasync", zeros_open, zeros_batch, file_close},
    {"zeros 8 MiB, fdatasync", zeros_open, more_zeros_batch, file_close},
    {"zeros 1 MiB, O_DSYNC", dsync_open, dsync_batch, file_close},
};
static const size_t sizes[] = {1, 16, 128};

enum { STORES = sizeof stores / sizeof stores[0], SIZES = sizeof sizes / sizeof sizes[0] };

static void clean(void)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    must(system(command) == 0, "rm");
    must(mkdir(folder, 0700) == 0, folder);
}

/* Batches a second. */
static double measure(const struct store *s, size_t n, double seconds)
{
    uint64_t batches = 0;
    clean();
    s->open();
    double begin = now();
    while (now() - begin < seconds) {
        s->batch(batches * n, n);
        batches++;
    }
    double took = now() - begin;
    s->close();
    return (double)batches / took;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static double got[STORES][SIZES][ROUNDS];
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_stores FOLDER [SECONDS]\n");
        return 2;
    }
    double seconds = argc == 3 ? atof(argv[2]) : 1;
    snprintf(folder, sizeof folder, "%s/bench-stores-%ld", argv[1], (long)getpid());
    memset(value, 'v', sizeof value);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t k = 0; k < SIZES; k++) {
            for (size_t i = 0; i < STORES; i++) {
                got[i][k][round] = measure(&stores[i], sizes[k], seconds);
            }
        }
    }
    clean();
    must(rmdir(folder) == 0, folder);
    printf("%-30s", "values of 200 bytes, per second");
    for (size_t k = 0; k < SIZES; k++) {
        printf("  %3zu a batch: puts  batches", sizes[k]);
    }
    for (size_t i = 0; i < STORES; i++) {
        printf("\n%-31s", stores[i].name);
        for (size_t k = 0; k < SIZES; k++) {
            qsort(got[i][k], ROUNDS, sizeof(double), by_number);
            double batches = got[i][k][ROUNDS / 2];
            printf("  %17.0f %8.0f", batches * (double)sizes[k], batches);
        }
    }
    printf("\n");
    return 0;
}
