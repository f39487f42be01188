/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_compare.h"

#include <stdlib.h>
#include <string.h>

#include "ensemble.h"

/* A server is never ahead by more than a few writes of others; more is another leader's epoch. */
enum { AHEAD_MAX = 10000 };

/* ---- Zxids and times ---- */

void relation_close(struct relation *r)
{
    free(r->zxids);
    free(r->times);
    arena_clear(&r->arena);
    memset(r, 0, sizeof *r);
}

static int64_t *grow(int64_t *list, size_t from, size_t to)
{
    list = realloc(list, to * sizeof *list);
    if (list == NULL) {
        abort();
    }
    memset(list + from, 0, (to - from) * sizeof *list);
    return list;
}

static void set_zxid(struct relation *r, int64_t model_zxid, int64_t server_zxid)
{
    size_t at = (size_t)model_zxid;
    if (at >= r->size) {
        size_t size = 2 * at + 1024;
        r->zxids = grow(r->zxids, r->size, size);
        r->times = grow(r->times, r->size, size);
        r->size = size;
    }
    r->zxids[at] = server_zxid;
    r->model_zxid = model_zxid;
    r->server_zxid = server_zxid;
}

void relation_begin(struct relation *r, int64_t model_zxid, int64_t server_zxid)
{
    set_zxid(r, model_zxid, server_zxid);
}

int64_t relation_zxid(const struct relation *r, int64_t model_zxid)
{
    if (model_zxid <= 0 || (size_t)model_zxid >= r->size || r->zxids[model_zxid] == 0) {
        ens_fail("the model's zxid %lld has not been seen on the server", (long long)model_zxid);
    }
    return r->zxids[model_zxid];
}

bool relation_advance(struct relation *r, int64_t model_zxid, int64_t server_zxid)
{
    int64_t expected = r->server_zxid + (model_zxid - r->model_zxid);
    if (model_zxid < r->model_zxid || server_zxid < expected ||
        server_zxid - expected > AHEAD_MAX) {
        return false;
    }
    r->foreign += (uint64_t)(server_zxid - expected);
    /* Those between are of sessions that were opened: no znode has them. */
    for (int64_t z = r->model_zxid + 1; z < model_zxid; z++) {
        set_zxid(r, z, r->server_zxid + 1);
    }
    if (model_zxid > r->model_zxid) {
        set_zxid(r, model_zxid, server_zxid);
    }
    r->server_zxid = server_zxid;
    return true;
}

/* Zero is what the root has been created with, and nothing else. */
static bool same_zxid(const struct relation *r, int64_t by_model, int64_t by_server)
{
    if (r == NULL) {
        return by_model == by_server;
    }
    if (by_model == 0) {
        return by_server == 0;
    }
    return by_model > 0 && (size_t)by_model < r->size && by_server > 0 &&
           r->zxids[by_model] == by_server;
}

bool relation_event(struct relation *r, int64_t model_zxid, int64_t server_zxid)
{
    if (model_zxid < 0) {
        return server_zxid == model_zxid;
    }
    return model_zxid > r->model_zxid ? relation_advance(r, model_zxid, server_zxid)
                                      : same_zxid(r, model_zxid, server_zxid);
}

/* The time of a write is learnt where it is first seen, and must be the same from then on. */
static bool same_time(struct relation *r, int64_t by_model, int64_t by_server)
{
    if (r == NULL) {
        return by_model == by_server;
    }
    if (by_model == 0) {
        return by_server == 0;
    }
    if (by_model < 0 || (size_t)by_model >= r->size || by_server <= 0) {
        return false;
    }
    if (r->times[by_model] == 0) {
        r->times[by_model] = by_server;
    }
    return r->times[by_model] == by_server;
}

/* ---- Answers ---- */

static bool same_stat(struct relation *r, const struct zks__znode_stat *a,
                      const struct zks__znode_stat *b)
{
    return same_zxid(r, a->czxid, b->czxid) && same_zxid(r, a->mzxid, b->mzxid) &&
           same_zxid(r, a->pzxid, b->pzxid) && same_time(r, a->ctime, b->ctime) &&
           same_time(r, a->mtime, b->mtime) && a->ephemeral_owner == b->ephemeral_owner &&
           a->version == b->version && a->cversion == b->cversion && a->aversion == b->aversion &&
           a->data_length == b->data_length && a->num_children == b->num_children;
}

static bool same_data(const struct answer *a, const struct answer *b)
{
    return (a->data == NULL) == (b->data == NULL) && a->data_len == b->data_len &&
           (a->data_len == 0 || memcmp(a->data, b->data, a->data_len) == 0);
}

static bool same_names(const struct answer *a, const struct answer *b)
{
    bool same = a->n_names == b->n_names;
    for (size_t i = 0; same && i < a->n_names; i++) {
        same = strcmp(a->names[i], b->names[i]) == 0;
    }
    return same;
}

static bool same_aces(const struct answer *a, const struct answer *b)
{
    bool same = a->n_aces == b->n_aces;
    for (size_t i = 0; same && i < a->n_aces; i++) {
        same = a->aces[i].perms == b->aces[i].perms &&
               strcmp(a->aces[i].id.scheme, b->aces[i].id.scheme) == 0 &&
               strcmp(a->aces[i].id.id, b->aces[i].id.id) == 0;
    }
    return same;
}

/* Two answers but for their parts; zxids and times are compared as they are where `r` is NULL. */
static bool same_plain(struct relation *r, const struct answer *a, const struct answer *b)
{
    if (a->code != b->code || a->has != b->has || a->n_parts != b->n_parts) {
        return false;
    }
    return ((a->has & HAS_PATH) == 0 || strcmp(a->path, b->path) == 0) &&
           ((a->has & HAS_DATA) == 0 || same_data(a, b)) &&
           ((a->has & HAS_NAMES) == 0 || same_names(a, b)) &&
           ((a->has & HAS_ACL) == 0 || same_aces(a, b)) &&
           ((a->has & HAS_COUNT) == 0 || a->count == b->count) &&
           ((a->has & HAS_RESULT) == 0 || a->result == b->result) &&
           ((a->has & HAS_STAT) == 0 || same_stat(r, &a->stat, &b->stat));
}

/* ---- Znodes that were there before ---- */

const char root_child[] = "/zksync-tree-x";

bool path_is_root(const char *path)
{
    return path != NULL && (path[0] == '\0' || strcmp(path, "/") == 0);
}

enum { OUTER_EXISTS = 0, OUTER_CHILDREN = 3, OUTER_DESCENDANTS = 5 };

static const enum ask_kind outer_kinds[OUTER_KINDS] = {
    ASK_EXISTS, ASK_GET, ASK_GET_ACL, ASK_CHILDREN, ASK_CHILDREN2, ASK_DESCENDANTS};

void outer_asks(const char *path, struct ask asks[OUTER_KINDS])
{
    for (size_t i = 0; i < OUTER_KINDS; i++) {
        asks[i] = (struct ask){.kind = outer_kinds[i], .path = path};
    }
}

static const struct outer *find_outer(const struct relation *r, size_t server, const char *path)
{
    for (size_t i = 0; i < r->n_outers && path != NULL; i++) {
        if (r->outers[i].server == server && strcmp(r->outers[i].path, path) == 0) {
            return &r->outers[i];
        }
    }
    return NULL;
}

/* The two names of the root, "/" and "", differ in one thing, which must be the same in the tree. */
static void check_names_of_root(const struct outer *slash, const struct outer *empty)
{
    for (size_t i = 0; i < OUTER_KINDS; i++) {
        int32_t by_model = empty->by_model[i].count - slash->by_model[i].count;
        int32_t by_server = empty->by_server[i].count - slash->by_server[i].count;
        if (by_model != by_server) {
            ens_fail("%s of \"\" is %d more than of \"/\", and %d more in the tree",
                     ask_name(outer_kinds[i]), by_server, by_model);
        }
    }
}

/* Whether the children are those of before, besides the test's own; whether that is there too. */
static bool same_children(const struct answer *now, const struct answer *before, bool *own)
{
    size_t n = 0;
    *own = false;
    for (size_t i = 0; i < now->n_names; i++) {
        if (strcmp(now->names[i], root_child + 1) == 0) {
            *own = true;
        } else if (n == before->n_names || strcmp(now->names[i], before->names[n++]) != 0) {
            return false;
        }
    }
    return n == before->n_names;
}

/* The model's Stat, with what the server had counted more before the test. */
static struct zks__znode_stat counted_before(const struct outer *o, struct zks__znode_stat stat)
{
    const struct zks__znode_stat *a = &o->by_model[OUTER_EXISTS].stat;
    const struct zks__znode_stat *b = &o->by_server[OUTER_EXISTS].stat;
    stat.version += b->version - a->version;
    stat.cversion += b->cversion - a->cversion;
    stat.aversion += b->aversion - a->aversion;
    stat.num_children += b->num_children - a->num_children;
    return stat;
}

/* Before the test the root had other children, and more changes. */
static bool same_root(struct relation *r, const struct outer *o, const struct answer *by_model,
                      const struct answer *by_server)
{
    struct answer a = *by_model;
    struct answer b = *by_server;
    bool own[2];
    if ((a.has & b.has & HAS_NAMES) != 0) {
        if (!same_children(&a, &o->by_model[OUTER_CHILDREN], &own[0]) ||
            !same_children(&b, &o->by_server[OUTER_CHILDREN], &own[1]) || own[0] != own[1]) {
            return false;
        }
        a.has &= ~(unsigned)HAS_NAMES;
        b.has &= ~(unsigned)HAS_NAMES;
    }
    a.stat = counted_before(o, a.stat);
    a.count += o->by_server[OUTER_DESCENDANTS].count - o->by_model[OUTER_DESCENDANTS].count;
    return same_plain(r, &a, &b);
}

/* A server of an ensemble puts its own text in there, see docs/tree.md. */
static bool same_config(struct answer by_model, struct answer by_server)
{
    by_model.data = by_server.data;
    by_model.data_len = by_server.data_len;
    by_model.stat.mzxid = by_server.stat.mzxid;
    by_model.stat.mtime = by_server.stat.mtime;
    by_model.stat.version = by_server.stat.version;
    by_model.stat.data_length = by_server.stat.data_length;
    return same_plain(NULL, &by_model, &by_server);
}

/* Nobody touches these in any server. */
static bool is_untouched(const char *path)
{
    return strcmp(path, "/zookeeper") == 0 || strcmp(path, "/zookeeper/quota") == 0;
}

/* Whether the two are alike at the beginning. */
static bool begins_alike(struct relation *r, const struct outer *o, size_t kind)
{
    const struct answer *a = &o->by_model[kind];
    const struct answer *b = &o->by_server[kind];
    if (path_is_root(o->path)) {
        return same_root(r, o, a, b);
    }
    if (strcmp(o->path, "/zookeeper/config") == 0) {
        return same_config(*a, *b);
    }
    if (is_untouched(o->path)) {
        return same_plain(NULL, a, b);
    }
    return a->code == b->code && a->has == b->has && same_aces(a, b);
}

void relation_add_outer(struct relation *r, size_t server, const char *path,
                        const struct answer *by_model, const struct answer *by_server)
{
    struct outer *o = r->n_outers < OUTER_MAX ? &r->outers[r->n_outers++] : NULL;
    if (o == NULL) {
        ens_fail("there is no room for %s", path);
    }
    o->server = server;
    o->path = path;
    memcpy(o->by_model, by_model, sizeof o->by_model);
    memcpy(o->by_server, by_server, sizeof o->by_server);
    for (size_t i = 0; i < OUTER_KINDS; i++) {
        if (!begins_alike(r, o, i)) {
            (void)fputs("# the tree: ", stdout);
            answer_print(stdout, &by_model[i]);
            (void)fputs("\n# the server: ", stdout);
            answer_print(stdout, &by_server[i]);
            (void)putchar('\n');
            ens_fail("%s of \"%s\" is something else in the tree", ask_name(outer_kinds[i]), path);
        }
    }
    const struct outer *root = find_outer(r, server, "/");
    if (root != NULL && path[0] == '\0') {
        check_names_of_root(root, o);
    }
}

/* Neither may have changed; but there may be more or fewer znodes below it, as many for the one as for
 * the other. */
static bool same_outer(const struct outer *o, size_t kind, const struct answer *by_model,
                       const struct answer *by_server)
{
    if (outer_kinds[kind] == ASK_DESCENDANTS) {
        return by_model->code == by_server->code && by_model->has == by_server->has &&
               by_model->count - o->by_model[kind].count ==
                   by_server->count - o->by_server[kind].count;
    }
    return same_plain(NULL, by_model, &o->by_model[kind]) &&
           same_plain(NULL, by_server, &o->by_server[kind]);
}

bool relation_same(struct relation *r, size_t server, const struct ask *ask,
                   const struct answer *by_model, const struct answer *by_server)
{
    const struct outer *o = find_outer(r, server, ask->path);
    if (by_model->type != by_server->type) {
        return false;
    }
    /* Of what is asked of the root only this has other names than those of children. */
    if (o != NULL && path_is_root(o->path) && ask->kind != ASK_EPHEMERALS) {
        return same_root(r, o, by_model, by_server);
    }
    for (size_t i = 0; o != NULL && i < OUTER_KINDS; i++) {
        if (outer_kinds[i] == ask->kind) {
            return same_outer(o, i, by_model, by_server);
        }
    }
    bool same = same_plain(r, by_model, by_server);
    for (size_t i = 0; same && i < by_model->n_parts; i++) {
        same = relation_same(r, server, &ask->parts[i], &by_model->parts[i], &by_server->parts[i]);
    }
    return same;
}
