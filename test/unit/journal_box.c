/* SPDX-License-Identifier: Apache-2.0 */
#include "journal_box.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Memory ---- */

static void *pool_alloc(void *arg, size_t size)
{
    struct pool *p = arg;
    (void)pthread_mutex_lock(&p->lock);
    void *block = ++p->asked == p->fail_at ? NULL : malloc(size);
    p->blocks += block != NULL;
    (void)pthread_mutex_unlock(&p->lock);
    if (block != NULL) {
        memset(block, 0xa5, size < 10000 ? size : 10000);
    }
    return block;
}

static void pool_free(void *arg, void *block)
{
    struct pool *p = arg;
    free(block);
    (void)pthread_mutex_lock(&p->lock);
    p->blocks--;
    (void)pthread_mutex_unlock(&p->lock);
}

void pool_init(struct pool *pool)
{
    memset(pool, 0, sizeof *pool);
    pool->mem = (struct zks__mem){pool_alloc, pool_free, pool};
    assert_int_equal(pthread_mutex_init(&pool->lock, NULL), 0);
}

/* ---- Threads ---- */

enum box_pace box_pace;
static void *(*waiting)(void *arg);
static void *waiting_arg;

void box_catch_up(void)
{
    void *(*run)(void *arg) = waiting;
    waiting = NULL;
    if (run != NULL) {
        (void)run(waiting_arg);
    }
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg),
                          void *arg);
int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg),
                          void *arg)
{
    if (box_pace == BOX_THREAD) {
        return __real_pthread_create(thread, attr, run, arg);
    }
    memset(thread, 0, sizeof *thread);
    if (box_pace == BOX_AT_ONCE) {
        (void)run(arg);
        return 0;
    }
    assert_null(waiting);
    waiting = run;
    waiting_arg = arg;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    if (box_pace == BOX_THREAD) {
        return __real_pthread_join(thread, result);
    }
    if (box_pace == BOX_LATER) {
        box_catch_up();
    }
    return 0;
}

/* ---- Files ---- */

/* Of the zeros at the end of a log a few are enough. */
void image_add(struct image *image, const char *name, const unsigned char *bytes, size_t len)
{
    size_t used = len;
    while (used > 0 && bytes[used - 1] == 0) {
        used--;
    }
    len = len - used > ZEROS ? used + ZEROS : len;
    assert_true(image->n < IMAGE_FILES);
    struct image_file *f = &image->files[image->n++];
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    f->bytes = malloc(len + 1);
    assert_non_null(f->bytes);
    if (len > 0) {
        memcpy(f->bytes, bytes, len);
    }
    f->len = len;
}

static void read_file(struct image *image, const char *folder, const char *name)
{
    char path[512];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &info), 0);
    unsigned char *bytes = malloc((size_t)info.st_size + 1);
    assert_non_null(bytes);
    size_t len = fread(bytes, 1, (size_t)info.st_size, file);
    assert_int_equal(len, info.st_size);
    image_add(image, name, bytes, len);
    free(bytes);
    (void)fclose(file);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct image_file *)a)->name, ((const struct image_file *)b)->name);
}

void image_take(struct image *image, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    memset(image, 0, sizeof *image);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0) {
            read_file(image, folder, entry->d_name);
        }
    }
    (void)closedir(dir);
    qsort(image->files, image->n, sizeof image->files[0], by_name);
}

void image_put(const struct image *image, const char *folder)
{
    char path[512];
    folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < image->n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, image->files[i].name);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(image->files[i].bytes, 1, image->files[i].len, file),
                         image->files[i].len);
        assert_int_equal(fclose(file), 0);
    }
}

void image_free(struct image *image)
{
    for (size_t i = 0; i < image->n; i++) {
        free(image->files[i].bytes);
    }
    image->n = 0;
}

struct image_file *image_find(struct image *image, const char *prefix)
{
    struct image_file *found = NULL;
    for (size_t i = 0; i < image->n; i++) {
        if (strncmp(image->files[i].name, prefix, strlen(prefix)) == 0) {
            found = &image->files[i];
        }
    }
    assert_non_null(found);
    return found;
}

static char base[64];

static void remove_base(void)
{
    (void)rmdir(base);
}

/* In memory where there is such a place: the tests say thousands of times that all must be on disk. */
void folder_make(char path[128], const char *name)
{
    if (base[0] == '\0') {
        (void)snprintf(base, sizeof base, "/dev/shm/zksync-journal-XXXXXX");
        if (mkdtemp(base) == NULL) {
            (void)snprintf(base, sizeof base, "/tmp/zksync-journal-XXXXXX");
            assert_non_null(mkdtemp(base));
        }
        assert_int_equal(atexit(remove_base), 0);
    }
    (void)snprintf(path, 128, "%s/%s", base, name);
}

void folder_remove(const char *path)
{
    char file[512];
    DIR *dir = opendir(path);
    const struct dirent *entry;
    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            assert_int_equal(unlink(file), 0);
        }
    }
    (void)closedir(dir);
    assert_int_equal(rmdir(path), 0);
}

/* ---- A tree and its journal ---- */

static void hear(void *arg, const char *line)
{
    struct box *b = arg;
    (void)pthread_mutex_lock(&b->lock);
    text_add(&b->told, line);
    text_add(&b->told, "\n");
    (void)pthread_mutex_unlock(&b->lock);
}

int box_try(struct box *b, const char *folder, size_t compact_bytes)
{
    memset(b, 0, sizeof *b);
    garden_open(&b->g, NULL, NULL);
    b->g.heap.plain = true;
    pool_init(&b->pool);
    assert_int_equal(pthread_mutex_init(&b->lock, NULL), 0);
    const struct zks__journal_options options = {.folder = folder,
                                                 .compact_bytes = compact_bytes,
                                                 .mem = b->pool.mem,
                                                 .log = hear,
                                                 .arg = b};
    int rc = zks__journal_open(&options, b->g.tree, &b->journal, b->why);
    b->g.txn.zxid = zks__tree_zxid(b->g.tree);
    if (rc != 0) {
        assert_null(b->journal);
        assert_int_equal(b->pool.blocks, 0);
        assert_true(strlen(b->why) > 0);
    }
    return rc;
}

void box_open(struct box *b, const char *folder, size_t compact_bytes)
{
    if (box_try(b, folder, compact_bytes) != 0) {
        fail_msg("%s", b->why);
    }
}

void box_close(struct box *b)
{
    zks__journal_close(b->journal);
    assert_int_equal(b->pool.blocks, 0);
    garden_close(&b->g);
    text_free(&b->told);
    (void)pthread_mutex_destroy(&b->lock);
    (void)pthread_mutex_destroy(&b->pool.lock);
}

bool box_do(struct box *b, const struct zks__who *who, struct zks__op op)
{
    struct zks__op_result result;
    int code = garden_write(&b->g, who, &op, &result);
    assert_int_not_equal(code, ZKS__Z_SYSTEMERROR);
    if (code == 0) {
        zks__journal_write(b->journal, &b->g.txn, who, &op, 1);
    } else {
        zks__journal_idle(b->journal, &b->g.txn);
    }
    return code == 0;
}

bool box_multi(struct box *b, const struct zks__who *who, const struct zks__op *ops, size_t n)
{
    struct zks__op_result results[16];
    assert_true(n <= COUNT(results));
    bool done = zks__tree_multi(b->g.tree, garden_next(&b->g), who, ops, n, results);
    if (done) {
        zks__journal_write(b->journal, &b->g.txn, who, ops, n);
    } else {
        zks__journal_idle(b->journal, &b->g.txn);
    }
    return done;
}

void box_begin_session(struct box *b, int64_t id)
{
    if (garden_open_session(&b->g, id) == 0) {
        zks__journal_open_session(b->journal, &b->g.txn, zks__tree_session(b->g.tree, id));
    } else {
        zks__journal_idle(b->journal, &b->g.txn);
    }
}

void box_end_session(struct box *b, int64_t id)
{
    garden_close_session(&b->g, id);
    zks__journal_close_session(b->journal, &b->g.txn, id);
}

/* ---- Random writes ---- */

static const char *const paths[] = {"/a",     "/b",     "/c",     "/a/x",     "/a/y",
                                    "/b/x",   "/c/x",   "/c/y",   "/a/x/1",   "/a/x/2",
                                    "/c/x/1", "/a/seq", "/b/seq", "/a/x/seq", "/zookeeper/quota/q"};

static const struct zks__id ids[] = {{"digest", "me:1"}, {"ip", "10.1.2.3"}, {"super", ""}};
static const struct zks__ace lists[][2] = {{{31, {"world", "anyone"}}, {1, {"ip", "10.0.0.0/8"}}},
                                           {{31, {"auth", ""}}, {1, {"digest", "you:2"}}},
                                           {{15, {"digest", "me:1"}}, {16, {"world", "anyone"}}}};

static struct zks__op random_op(uint64_t *seed, unsigned char data[300])
{
    static const enum zks__op_kind kinds[] = {ZKS__OP_CREATE,  ZKS__OP_CREATE, ZKS__OP_CREATE,
                                              ZKS__OP_CREATE,  ZKS__OP_DELETE, ZKS__OP_SET,
                                              ZKS__OP_SET_ACL, ZKS__OP_CHECK,  ZKS__OP_REAP};
    struct zks__op op = {.kind = kinds[unit_below(seed, COUNT(kinds))],
                         .path = paths[unit_below(seed, COUNT(paths))],
                         .version = (int32_t)unit_below(seed, 3) - 1,
                         .mode = (int)unit_below(seed, 8),
                         .ttl_ms = 1 + unit_below(seed, 100)};
    op.aces = lists[unit_below(seed, COUNT(lists))];
    op.n_aces = 1 + unit_below(seed, 2);
    if (unit_below(seed, 4) > 0) {
        op.data = data;
        op.data_len = unit_below(seed, 5) > 0 ? unit_below(seed, 300) : 0;
        memset(data, (int)unit_below(seed, 3) * 77, 300);
        data[unit_below(seed, 300)] = (unsigned char)unit_below(seed, 256);
    }
    return op;
}

void box_random(struct box *b, uint64_t *seed)
{
    unsigned char data[4][300];
    struct zks__op ops[4];
    int64_t session = unit_below(seed, 6);
    const struct zks__who who = {session, {ids, 1 + unit_below(seed, 3)}};
    switch (unit_below(seed, 12)) {
    case 0:
    case 1:
        box_begin_session(b, session);
        break;
    case 2:
        box_end_session(b, session);
        break;
    case 3:
    case 4:
    case 5:
        for (size_t i = 0; i < COUNT(ops); i++) {
            ops[i] = random_op(seed, data[i]);
        }
        (void)box_multi(b, &who, ops, 1 + unit_below(seed, COUNT(ops)));
        break;
    default:
        (void)box_do(b, &who, random_op(seed, data[0]));
        break;
    }
}

void box_sync(struct box *b)
{
    if (zks__journal_sync(b->journal, b->why) != 0) {
        fail_msg("%s", b->why);
    }
    assert_false(zks__journal_dirty(b->journal));
}

/* ---- States ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Puts what is between the separators into order. */
static void sort_parts(char *text, const char *between)
{
    static char *parts[8192];
    size_t n = 0;
    char *rest = NULL;
    size_t len = strlen(text);
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, text, len + 1);
    for (char *p = strtok_r(copy, between, &rest); p != NULL; p = strtok_r(NULL, between, &rest)) {
        assert_true(n < COUNT(parts));
        parts[n++] = p;
    }
    qsort(parts, n, sizeof parts[0], by_text);
    char *to = text;
    for (size_t i = 0; i < n; i++) {
        size_t part = strlen(parts[i]);
        memcpy(to, parts[i], part);
        to[part] = between[0];
        to += part + 1;
    }
    to[-1] = '\0';
    free(copy);
}

/* Lists of znodes that belong together are a line each. */
void box_state(struct box *b, struct text *state)
{
    char zxid[64];
    garden_check(&b->g);
    garden_dump(&b->g, state);
    for (char *line = state->at; *line != '\0';) {
        char *end = strchr(line, '\n');
        *end = '\0';
        if (line[0] != '/' && strchr(line, '/') != NULL) {
            sort_parts(line, " ");
        }
        *end = '\n';
        line = end + 1;
    }
    sort_parts(state->at, "\n");
    state->len = strlen(state->at);
    (void)snprintf(zxid, sizeof zxid, "\nzxid %lld", (long long)zks__tree_zxid(b->g.tree));
    text_add(state, zxid);
}

void states_add(struct states *states, struct box *b)
{
    assert_true(states->n < STATES);
    box_state(b, &states->at[states->n++]);
}

void states_free(struct states *states)
{
    for (size_t i = 0; i < states->n; i++) {
        text_free(&states->at[i]);
    }
    states->n = 0;
}

size_t states_find(const struct states *states, size_t from, size_t to, struct box *b)
{
    struct text state = {0};
    box_state(b, &state);
    for (size_t i = from; i <= to && i < states->n; i++) {
        if (strcmp(text_get(&state), text_get(&states->at[i])) == 0) {
            text_free(&state);
            return i;
        }
    }
    (void)fprintf(stderr, "it is:\n%s\n", text_get(&state));
    for (size_t i = from; i <= to && i < states->n; i++) {
        (void)fprintf(stderr, "or %zu should be:\n%s\n", i, text_get(&states->at[i]));
    }
    fail_msg("what came back is none of the states from %zu to %zu", from, to);
    return 0;
}
