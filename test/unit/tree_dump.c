/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_dump.h"

#include <stdlib.h>
#include <string.h>

/* ---- Memory ---- */

struct block {
    size_t size;
    uint64_t mark;
};

#define MARK UINT64_C(0x6b6c6f636b73217a)

static void *heap_alloc(void *arg, size_t size)
{
    struct heap *heap = arg;
    heap->asked++;
    bool after = heap->for_good && heap->fail_at > 0 && heap->asked > heap->fail_at;
    if (heap->dry || after || heap->asked == heap->fail_at) {
        heap->refused++;
        return NULL;
    }
    struct block *b = malloc(sizeof *b + size);
    assert_non_null(b);
    b->size = size;
    b->mark = MARK;
    /* Nobody may rely on zeros; valgrind sees that by itself, if it is left to. */
    if (!heap->plain) {
        memset(b + 1, 0xa5, size);
    }
    heap->blocks++;
    heap->bytes += size;
    return b + 1;
}

static void heap_free(void *arg, void *block)
{
    struct heap *heap = arg;
    assert_non_null(block);
    struct block *b = (struct block *)block - 1;
    assert_true(b->mark == MARK);
    assert_true(heap->blocks > 0 && heap->bytes >= b->size);
    heap->blocks--;
    heap->bytes -= b->size;
    /* Who reads it after all reads nonsense. */
    memset(b, 0xdd, sizeof *b + b->size);
    free(b);
}

void heap_init(struct heap *heap)
{
    memset(heap, 0, sizeof *heap);
    heap->mem = (struct zks__mem){heap_alloc, heap_free, heap};
    heap->plain = getenv("ZKSYNC_TEST_VALGRIND") != NULL;
}

/* ---- Text ---- */

void text_clear(struct text *text)
{
    text->len = 0;
    if (text->at != NULL) {
        text->at[0] = '\0';
    }
}

void text_free(struct text *text)
{
    free(text->at);
    memset(text, 0, sizeof *text);
}

const char *text_get(const struct text *text)
{
    return text->at != NULL ? text->at : "";
}

static void text_add_bytes(struct text *text, const char *what, size_t len)
{
    if (text->size - text->len <= len) {
        text->size = 2 * (text->len + len) + 256;
        text->at = realloc(text->at, text->size);
        assert_non_null(text->at);
    }
    memcpy(text->at + text->len, what, len);
    text->len += len;
    text->at[text->len] = '\0';
}

void text_add(struct text *text, const char *what)
{
    text_add_bytes(text, what, strlen(what));
}

/* By hand, for the random tests write a hundred million digits. */
void text_number(struct text *text, int64_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        digits[--at] = '-';
    }
    text_add_bytes(text, digits + at, sizeof digits - at);
}

void assert_text_equal(const struct text *is, const struct text *want, const char *what)
{
    const char *a = text_get(is);
    const char *b = text_get(want);
    if (is->len == want->len && memcmp(a, b, is->len) == 0) {
        return;
    }
    size_t line = 0;
    for (size_t i = 0; a[i] == b[i] && a[i] != '\0'; i++) {
        line = a[i] == '\n' ? i + 1 : line;
    }
    fail_msg("%s: it is\n%.*s\nand should be\n%.*s", what, (int)strcspn(a + line, "\n"), a + line,
             (int)strcspn(b + line, "\n"), b + line);
}

/* ---- A tree ---- */

static void hear(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path)
{
    static const char *const names[] = {"", "CREATED", "DELETED", "DATA", "CHILDREN"};
    struct garden *g = arg;
    assert_true(watcher >= g->watchers && watcher < g->watchers + WATCHERS);
    assert_true(event >= ZKS__EVENT_CREATED && event <= ZKS__EVENT_CHILDREN_CHANGED);
    text_number(&g->events, watcher - g->watchers);
    text_add(&g->events, " ");
    text_add(&g->events, names[event]);
    text_add(&g->events, " ");
    text_add(&g->events, path);
    text_add(&g->events, "\n");
}

/* The allocator's owner must not move, so this is to be called on the garden's own place. */
bool garden_try_open(struct garden *g, const struct zks__tree_limits *limits,
                     const char *const *paths)
{
    static const struct zks__tree_limits none;
    static const char *const no_paths[] = {NULL};
    g->paths = paths != NULL ? paths : no_paths;
    memset(g->watchers, 0, sizeof g->watchers);
    g->txn = (struct zks__txn){0, 1000000};
    g->tree = zks__tree_new(&g->heap.mem, limits != NULL ? limits : &none, hear, g);
    if (g->tree == NULL) {
        assert_int_equal(g->heap.blocks, 0);
    }
    return g->tree != NULL;
}

void garden_open(struct garden *g, const struct zks__tree_limits *limits, const char *const *paths)
{
    memset(g, 0, sizeof *g);
    heap_init(&g->heap);
    assert_true(garden_try_open(g, limits, paths));
}

void garden_close(struct garden *g)
{
    zks__tree_free(g->tree);
    g->tree = NULL;
    assert_int_equal(g->heap.blocks, 0);
    assert_int_equal(g->heap.bytes, 0);
    text_free(&g->events);
    text_free(&g->scratch);
}

const struct zks__txn *garden_next(struct garden *g)
{
    g->txn.zxid++;
    g->txn.time_ms += 10;
    return &g->txn;
}

int garden_write(struct garden *g, const struct zks__who *who, const struct zks__op *op,
                 struct zks__op_result *result)
{
    memset(result, 0x5a, sizeof *result);
    zks__tree_write(g->tree, garden_next(g), who, op, result);
    assert_true(zks__tree_zxid(g->tree) == g->txn.zxid);
    return result->code;
}

int garden_open_session(struct garden *g, int64_t id)
{
    struct zks__session session = {.id = id, .timeout_ms = 4000};
    memset(session.password, (int)(id & 0x7f), sizeof session.password);
    return zks__tree_open_session(g->tree, garden_next(g), &session);
}

void garden_close_session(struct garden *g, int64_t id)
{
    zks__tree_close_session(g->tree, garden_next(g), id);
}

const char *garden_events(struct garden *g)
{
    text_clear(&g->scratch);
    text_add(&g->scratch, text_get(&g->events));
    text_clear(&g->events);
    return text_get(&g->scratch);
}

struct zks__znode *garden_node(const struct garden *g, const char *path)
{
    struct zks__znode *node = zks__node_find(g->tree, path);
    assert_non_null(node);
    return node;
}

struct zks__znode_stat garden_stat(const struct garden *g, const char *path)
{
    struct zks__znode_stat stat;
    assert_int_equal(zks__tree_exists(g->tree, &super, path, NULL, &stat), ZKS__Z_OK);
    return stat;
}

/* ---- The dump ---- */

void dump_stat(struct text *text, const struct zks__znode_stat *stat)
{
    const int64_t fields[] = {stat->czxid,       stat->mzxid,       stat->pzxid,
                              stat->ctime,       stat->mtime,       stat->version,
                              stat->cversion,    stat->aversion,    stat->ephemeral_owner,
                              stat->data_length, stat->num_children};
    for (size_t i = 0; i < COUNT(fields); i++) {
        text_add(text, " ");
        text_number(text, fields[i]);
    }
}

bool stat_equal(const struct zks__znode_stat *a, const struct zks__znode_stat *b)
{
    return a->czxid == b->czxid && a->mzxid == b->mzxid && a->pzxid == b->pzxid &&
           a->ctime == b->ctime && a->mtime == b->mtime && a->version == b->version &&
           a->cversion == b->cversion && a->aversion == b->aversion &&
           a->ephemeral_owner == b->ephemeral_owner && a->data_length == b->data_length &&
           a->num_children == b->num_children;
}

static void dump_data(struct text *text, const unsigned char *data, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    text_add(text, data == NULL ? " none" : " =");
    for (size_t i = 0; data != NULL && i < len; i++) {
        const char byte[] = {hex[data[i] >> 4], hex[data[i] & 15], '\0'};
        text_add(text, byte);
    }
}

/* How many znodes have the list; those that the next write frees do not count. */
static size_t users(const struct garden *g, const struct zks__acl *acl)
{
    size_t n = acl->uses;
    for (const struct zks__znode *gone = g->tree->gone; gone != NULL; gone = gone->next_kin) {
        n -= gone->acl == acl;
    }
    return n;
}

static void dump_acl(const struct garden *g, struct text *text, const struct zks__acl *acl)
{
    text_add(text, " [");
    text_number(text, acl != NULL ? (int64_t)users(g, acl) : 0);
    for (size_t i = 0; acl != NULL && i < acl->n; i++) {
        text_add(text, " ");
        text_number(text, acl->aces[i].perms);
        text_add(text, acl->aces[i].id.scheme);
        text_add(text, ":");
        text_add(text, acl->aces[i].id.id);
    }
    text_add(text, "]\n");
}

static void dump_node(struct garden *g, struct text *text, const char *path)
{
    const void *data;
    struct zks__znode_stat stat;
    struct zks__znode_stat again;
    const struct zks__acl *acl;
    bool veiled;
    const struct zks__znode *child;
    assert_int_equal(zks__tree_get(g->tree, &super, path, NULL, &data, &stat), ZKS__Z_OK);
    assert_int_equal(zks__tree_get_acl(g->tree, &super, path, &acl, &veiled, &again), ZKS__Z_OK);
    assert_true(stat_equal(&stat, &again));
    assert_false(veiled);
    text_add(text, path);
    dump_stat(text, &stat);
    dump_data(text, data, (size_t)stat.data_length);
    dump_acl(g, text, acl);
    assert_int_equal(zks__tree_children(g->tree, &super, path, NULL, &child, &again), ZKS__Z_OK);
    assert_true(stat_equal(&stat, &again));
    for (; child != NULL; child = zks__tree_next_child(child)) {
        const char *child_path = zks__tree_child_path(child);
        assert_string_equal(zks__tree_child_name(child), strrchr(child_path, '/') + 1);
        dump_node(g, text, child_path);
    }
}

static int by_id(const void *a, const void *b)
{
    int64_t x = (*(const struct zks__session *const *)a)->id;
    int64_t y = (*(const struct zks__session *const *)b)->id;
    return x < y ? -1 : x > y;
}

static void dump_sessions(struct garden *g, struct text *text)
{
    const struct zks__session *list[64];
    const struct zks__session *s = NULL;
    size_t n = 0;
    while ((s = zks__tree_next_session(g->tree, s)) != NULL) {
        assert_true(n < COUNT(list));
        list[n++] = s;
    }
    qsort(list, n, sizeof list[0], by_id);
    for (size_t i = 0; i < n; i++) {
        text_add(text, "session ");
        text_number(text, list[i]->id);
        text_add(text, " ");
        text_number(text, list[i]->timeout_ms);
        dump_data(text, list[i]->password, ZKS__PASSWORD_LEN);
        const char *path = NULL;
        while ((path = zks__tree_ephemerals(g->tree, list[i]->id, "", path)) != NULL) {
            text_add(text, " ");
            text_add(text, path);
        }
        text_add(text, "\n");
    }
}

static void dump_kin(struct text *text, const char *what, const struct zks__kindred *kindred)
{
    text_add(text, what);
    for (const struct zks__znode *n = kindred->first; n != NULL; n = n->next_kin) {
        text_add(text, " ");
        text_add(text, n->path);
        text_add(text, " ");
        text_number(text, n->ttl_ms);
    }
    text_add(text, "\n");
}

static void dump_watches(struct garden *g, struct text *text)
{
    const struct zks__watch_table *t = zks__tree_watches(g->tree);
    text_add(text, "watches ");
    text_number(text, (int64_t)t->entries.n);
    text_add(text, " of paths ");
    text_number(text, (int64_t)t->paths.n);
    text_add(text, "\n");
    for (size_t i = 0; t->entries.n > 0 && g->paths[i] != NULL; i++) {
        for (size_t w = 0; w < WATCHERS; w++) {
            bool node =
                zks__watch_has(t, ZKS__WATCHED_NODE, g->paths[i], &g->watchers[w], ZKS__WATCH_ANY);
            bool kids = zks__watch_has(t, ZKS__WATCHED_CHILDREN, g->paths[i], &g->watchers[w],
                                       ZKS__WATCH_ANY);
            if (node || kids) {
                text_number(text, (int64_t)w);
                text_add(text, node ? kids ? " both " : " node " : " children ");
                text_add(text, g->paths[i]);
                text_add(text, "\n");
            }
        }
    }
}

void garden_dump(struct garden *g, struct text *text)
{
    text_clear(text);
    dump_node(g, text, "/");
    dump_sessions(g, text);
    dump_kin(text, "containers", &g->tree->containers);
    dump_kin(text, "with a time to live", &g->tree->ttls);
    dump_watches(g, text);
    text_add(text, "bytes ");
    text_number(text, (int64_t)g->tree->bytes);
    text_add(text, " znodes ");
    text_number(text, (int64_t)g->tree->nodes.n);
    text_add(text, "\n");
}

/* ---- What holds of every tree ---- */

struct census {
    size_t nodes;
    size_t bytes;
    size_t with_acl;
    size_t acl_bytes;
    size_t ephemerals;
    size_t kin;
};

static void check_node(const struct garden *g, const struct zks__znode *node, struct census *c)
{
    const struct zks__znode *before = NULL;
    size_t n = 0;
    assert_ptr_equal(zks__node_find(g->tree, node->path), node);
    c->nodes++;
    c->bytes += strlen(node->path) + node->data_len;
    c->with_acl += node->acl != NULL;
    for (size_t i = 0; node->acl != NULL && i < node->acl->n; i++) {
        const struct zks__id *id = &node->acl->aces[i].id;
        c->acl_bytes += 12 + strlen(id->scheme) + strlen(id->id);
    }
    c->ephemerals += node->kin == ZKS__KIN_EPHEMERAL;
    assert_true((node->kin == ZKS__KIN_NONE) == (node->kindred == NULL));
    c->kin += node->kin != ZKS__KIN_NONE;
    for (const struct zks__znode *k = node->first_child; k != NULL; k = k->next) {
        assert_ptr_equal(k->parent, node);
        assert_ptr_equal(k->prev, before);
        assert_ptr_equal(k->path + k->name_at, strrchr(k->path, '/') + 1);
        size_t len = node->parent != NULL ? strlen(node->path) : 0;
        assert_int_equal(k->name_at, len + 1);
        assert_memory_equal(k->path, node->path, len);
        before = k;
        n++;
        check_node(g, k, c);
    }
    assert_int_equal(node->n_children, n);
}

static size_t check_kin(const struct zks__kindred *kindred, enum zks__kin kin)
{
    const struct zks__znode *before = NULL;
    size_t n = 0;
    for (const struct zks__znode *k = kindred->first; k != NULL; k = k->next_kin) {
        assert_ptr_equal(k->kindred, kindred);
        assert_ptr_equal(k->prev_kin, before);
        assert_int_equal(k->kin, kin);
        before = k;
        n++;
    }
    return n;
}

void garden_check(const struct garden *g)
{
    struct census c = {0};
    check_node(g, g->tree->root, &c);
    assert_int_equal(g->tree->nodes.n, c.nodes);
    assert_int_equal(g->tree->bytes, c.bytes);
    assert_int_equal(g->tree->acl_bytes, c.acl_bytes);
    assert_int_equal(g->tree->ephemerals, c.ephemerals);
    size_t kin = check_kin(&g->tree->containers, ZKS__KIN_CONTAINER);
    kin += check_kin(&g->tree->ttls, ZKS__KIN_TTL);
    const struct zks__session *s = NULL;
    while ((s = zks__tree_next_session(g->tree, s)) != NULL) {
        const struct zks__session_entry *e = zks__session_find(g->tree, s->id);
        assert_ptr_equal(&e->session, s);
        assert_true(e->ephemerals.session == s->id);
        kin += check_kin(&e->ephemerals, ZKS__KIN_EPHEMERAL);
    }
    assert_int_equal(c.kin, kin);
    size_t uses = 0;
    size_t bucket = 0;
    struct zks__link *link = NULL;
    while ((link = zks__map_each(&g->tree->acls.lists, &bucket, link)) != NULL) {
        const struct zks__acl *acl = (const struct zks__acl *)link;
        assert_true(acl->uses > 0);
        uses += users(g, acl);
    }
    assert_int_equal(c.with_acl, uses);
}

/* ---- Requests ---- */

static const struct zks__id super_id[] = {{"super", ""}};

const struct zks__who super = {0, {super_id, 1}};
const struct zks__who nobody = {0, {NULL, 0}};
const struct zks__ace open_acl[1] = {{PERM_ALL, {"world", "anyone"}}};

struct zks__who session_of(int64_t session)
{
    return (struct zks__who){session, {NULL, 0}};
}

struct zks__op op_create(const char *path, int mode)
{
    bool ttl = mode == ZKS__PERSISTENT_TTL || mode == ZKS__PERSISTENT_SEQUENTIAL_TTL;
    return (struct zks__op){.kind = ZKS__OP_CREATE,
                            .path = path,
                            .aces = open_acl,
                            .n_aces = COUNT(open_acl),
                            .mode = mode,
                            .ttl_ms = ttl ? 100 : 0};
}

struct zks__op op_delete(const char *path, int32_t version)
{
    return (struct zks__op){.kind = ZKS__OP_DELETE, .path = path, .version = version};
}

struct zks__op op_set(const char *path, const char *data, int32_t version)
{
    return (struct zks__op){.kind = ZKS__OP_SET,
                            .path = path,
                            .data = data,
                            .data_len = data != NULL ? strlen(data) : 0,
                            .version = version};
}

struct zks__op op_set_acl(const char *path, const struct zks__ace *aces, size_t n, int32_t version)
{
    return (struct zks__op){
        .kind = ZKS__OP_SET_ACL, .path = path, .aces = aces, .n_aces = n, .version = version};
}

struct zks__op op_check(const char *path, int32_t version)
{
    return (struct zks__op){.kind = ZKS__OP_CHECK, .path = path, .version = version};
}

struct zks__op op_reap(const char *path)
{
    return (struct zks__op){.kind = ZKS__OP_REAP, .path = path};
}

int garden_do(struct garden *g, struct zks__op op)
{
    struct zks__op_result result;
    return garden_write(g, &super, &op, &result);
}

void garden_create(struct garden *g, const char *path, int mode)
{
    assert_int_equal(garden_do(g, op_create(path, mode)), ZKS__Z_OK);
}
