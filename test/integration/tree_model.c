/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_model.h"

#include <stdlib.h>
#include <string.h>

#include "ensemble.h"
#include "tree_hearing.h"

static void *heap_alloc(void *arg, size_t size)
{
    (void)arg;
    return malloc(size);
}

static void heap_free(void *arg, void *block)
{
    (void)arg;
    free(block);
}

const struct zks__who model_super = {0, {(const struct zks__id[]){{"super", ""}}, 1}};

/* ---- What is to be heard ---- */

static struct item *add_item(struct member *member)
{
    if (member->n_items == member->max_items) {
        member->max_items = 2 * member->max_items + 64;
        member->items = realloc(member->items, member->max_items * sizeof member->items[0]);
        if (member->items == NULL) {
            abort();
        }
    }
    struct item *item = &member->items[member->n_items++];
    memset(item, 0, sizeof *item);
    return item;
}

static void hear(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path)
{
    struct model *m = arg;
    for (size_t i = 0; i < m->n_members; i++) {
        if (&m->members[i]->watcher == watcher) {
            struct item *item = add_item(m->members[i]);
            item->event = event;
            item->path = arena_copy(m->arena, path, strlen(path));
            item->event_zxid = m->before_39 ? -1 : zks__tree_event_zxid(m->tree);
            item->group = m->group;
            return;
        }
    }
    ens_fail("the tree tells somebody who is not there of %s", path);
}

void model_forget(struct member *member)
{
    member->n_items = 0;
    member->next_item = 0;
}

/* ---- Writes ---- */

/* Times are zxids too: each write has one of its own. */
static struct zks__txn next_txn(struct model *m)
{
    m->zxid++;
    return (struct zks__txn){m->zxid, m->zxid};
}

/* Outside of a multi the request's type says what kind of znode it is, and the flags the rest; inside it
 * is all in the flags. */
static int mode_of(const struct ask *ask, bool in_multi)
{
    if (in_multi) {
        return ask->flags;
    }
    switch (ask->kind) {
    case ASK_CREATE_TTL:
        return flags_are_ttl(ask->flags) ? ask->flags : -1;
    case ASK_CREATE_CONTAINER:
        return ask->flags == ZKS__PERSISTENT ? ZKS__CONTAINER : ask->flags;
    default:
        return ask->flags == ZKS__CONTAINER ? ZKS__PERSISTENT : ask->flags;
    }
}

static struct zks__op op_of(const struct ask *ask, bool in_multi)
{
    struct zks__op op = {.path = ask->path,
                         .data = ask->data,
                         .data_len = ask->data_len,
                         .aces = ask->aces,
                         .n_aces = ask->n_aces,
                         .version = ask->version,
                         .ttl_ms = ask->kind == ASK_CREATE_TTL ? ask->ttl_ms : -1};
    switch (ask->kind) {
    case ASK_DELETE:
        op.kind = ZKS__OP_DELETE;
        break;
    case ASK_SET:
        op.kind = ZKS__OP_SET;
        break;
    case ASK_SET_ACL:
        op.kind = ZKS__OP_SET_ACL;
        break;
    case ASK_CHECK:
        op.kind = ZKS__OP_CHECK;
        break;
    default:
        op.kind = ZKS__OP_CREATE;
        op.mode = mode_of(ask, in_multi);
        break;
    }
    return op;
}

static void set_result(struct model *m, const struct zks__op_result *result, unsigned has,
                       struct answer *answer)
{
    answer->code = result->code;
    answer->has = result->code == 0 ? has : 0;
    if (answer->has & HAS_PATH) {
        answer->path = arena_copy(m->arena, result->path, strlen(result->path));
    }
    if (answer->has & HAS_STAT) {
        answer->stat = result->stat;
    }
}

static void write_one(struct model *m, const struct member *member, const struct ask *ask,
                      struct answer *answer)
{
    const struct zks__op op = op_of(ask, false);
    const struct zks__txn txn = next_txn(m);
    struct zks__op_result result;
    zks__tree_write(m->tree, &txn, &member->who, &op, &result);
    unsigned has = ask->kind == ASK_CREATE    ? HAS_PATH
                   : ask_is_create(ask->kind) ? HAS_PATH | HAS_STAT
                   : ask->kind == ASK_DELETE  ? 0
                                              : HAS_STAT;
    set_result(m, &result, has, answer);
}

/* A server before 3.9 goes by the flags alone. */
static bool has_stat_in_multi(const struct model *m, const struct ask *part)
{
    bool by_kind = part->kind == ASK_CREATE2 || part->kind == ASK_CREATE_CONTAINER;
    return part->flags == ZKS__CONTAINER || flags_are_ttl(part->flags) ||
           (by_kind && !m->before_39);
}

static void set_part(struct model *m, const struct ask *part, const struct zks__op_result *result,
                     bool done, struct answer *answer)
{
    bool stat = has_stat_in_multi(m, part);
    unsigned has = 0;
    answer->type = WIRE_ERROR;
    if (done && ask_is_create(part->kind)) {
        answer->type = stat ? WIRE_CREATE2 : WIRE_CREATE;
        has = stat ? HAS_PATH | HAS_STAT : HAS_PATH;
    } else if (done && part->kind == ASK_SET) {
        answer->type = WIRE_SET_DATA;
        has = HAS_STAT;
    } else if (done) {
        answer->type = part->kind == ASK_DELETE ? WIRE_DELETE : WIRE_CHECK;
    }
    set_result(m, result, has, answer);
}

/* From 3.9 on a create with flags that are none, or that need a time to live, is no request. */
static bool is_unreadable(const struct model *m, const struct ask *ask)
{
    bool unreadable = false;
    for (size_t i = 0; i < ask->n_parts && !m->before_39; i++) {
        const struct ask *part = &ask->parts[i];
        unreadable |= ask_is_create(part->kind) && part->kind != ASK_CREATE_TTL &&
                      (part->flags < ZKS__PERSISTENT || part->flags > ZKS__CONTAINER);
    }
    return unreadable;
}

static void write_several(struct model *m, const struct member *member, const struct ask *ask,
                          struct answer *answer)
{
    size_t n = ask->n_parts;
    if (is_unreadable(m, ask)) {
        const struct zks__txn used_up = next_txn(m);
        zks__tree_idle(m->tree, &used_up);
        answer->code = CODE_MARSHALLINGERROR;
        return;
    }
    struct zks__op *ops = arena_get(m->arena, n * sizeof *ops);
    struct zks__op_result *results = arena_get(m->arena, n * sizeof *results);
    const struct zks__txn txn = next_txn(m);
    for (size_t i = 0; i < n; i++) {
        ops[i] = op_of(&ask->parts[i], true);
    }
    bool done = zks__tree_multi(m->tree, &txn, &member->who, ops, n, results);
    answer->has = HAS_PARTS;
    answer->n_parts = n;
    answer->parts = arena_get(m->arena, n * sizeof answer->parts[0]);
    for (size_t i = 0; i < n; i++) {
        set_part(m, &ask->parts[i], &results[i], done, &answer->parts[i]);
    }
}

/* The server tells of the end of ephemerals in the order of a hash set. */
static void close_session(struct model *m, struct member *member)
{
    const struct zks__txn txn = next_txn(m);
    m->group = ++m->last_group;
    zks__tree_close_session(m->tree, &txn, member->session.id);
    m->group = 0;
}

/* ---- Reads ---- */

static void add_name(struct model *m, struct answer *answer, size_t *max, const char *name)
{
    if (answer->n_names == *max) {
        const char **old = answer->names;
        *max = 2 * *max + 16;
        answer->names = arena_get(m->arena, *max * sizeof answer->names[0]);
        for (size_t i = 0; i < answer->n_names; i++) {
            answer->names[i] = old[i];
        }
    }
    answer->names[answer->n_names++] = arena_copy(m->arena, name, strlen(name));
}

static void get(struct model *m, struct member *member, const struct ask *ask,
                struct answer *answer)
{
    const void *data = NULL;
    answer->code = zks__tree_get(m->tree, &member->who, ask->path,
                                 ask->watch ? &member->watcher : NULL, &data, &answer->stat);
    if (answer->code == 0) {
        answer->has = HAS_DATA | HAS_STAT;
        answer->data_len = (size_t)answer->stat.data_length;
        answer->data = data != NULL ? arena_copy(m->arena, data, answer->data_len) : NULL;
    }
}

static void children(struct model *m, struct member *member, const struct ask *ask,
                     struct answer *answer)
{
    const struct zks__znode *child = NULL;
    size_t max = 0;
    answer->code = zks__tree_children(m->tree, &member->who, ask->path,
                                      ask->watch ? &member->watcher : NULL, &child, &answer->stat);
    if (answer->code != 0) {
        return;
    }
    answer->has = ask->kind == ASK_CHILDREN2 ? HAS_NAMES | HAS_STAT : HAS_NAMES;
    for (; child != NULL; child = zks__tree_next_child(child)) {
        add_name(m, answer, &max, zks__tree_child_name(child));
    }
    answer_sort(answer);
}

/* "user:hash" becomes "user:x". */
static const char *veil(struct model *m, const char *id)
{
    const char *colon = strchr(id, ':');
    size_t len = colon != NULL ? (size_t)(colon + 1 - id) : strlen(id);
    char *veiled = arena_get(m->arena, len + 2);
    memcpy(veiled, id, len);
    veiled[len] = colon != NULL ? 'x' : '\0';
    return veiled;
}

static void get_acl(struct model *m, const struct member *member, const struct ask *ask,
                    struct answer *answer)
{
    static const struct zks__ace open = {31, {"world", "anyone"}};
    const struct zks__acl *acl = NULL;
    bool veiled = false;
    answer->code =
        zks__tree_get_acl(m->tree, &member->who, ask->path, &acl, &veiled, &answer->stat);
    if (answer->code != 0) {
        return;
    }
    answer->has = HAS_ACL | HAS_STAT;
    answer->n_aces = acl != NULL ? acl->n : 1;
    answer->aces = arena_get(m->arena, answer->n_aces * sizeof answer->aces[0]);
    for (size_t i = 0; i < answer->n_aces; i++) {
        const struct zks__ace *from = acl != NULL ? &acl->aces[i] : &open;
        struct zks__ace *to = &answer->aces[i];
        bool hide = veiled && strcmp(from->id.scheme, "digest") == 0;
        to->perms = from->perms;
        to->id.scheme = arena_copy(m->arena, from->id.scheme, strlen(from->id.scheme));
        to->id.id =
            hide ? veil(m, from->id.id) : arena_copy(m->arena, from->id.id, strlen(from->id.id));
    }
}

static void ephemerals(struct model *m, const struct member *member, const struct ask *ask,
                       struct answer *answer)
{
    const char *path = NULL;
    size_t max = 0;
    answer->has = HAS_NAMES;
    while ((path = zks__tree_ephemerals(m->tree, member->session.id, ask->path, path)) != NULL) {
        add_name(m, answer, &max, path);
    }
    answer_sort(answer);
}

static void read_several(struct model *m, struct member *member, const struct ask *ask,
                         struct answer *answer)
{
    answer->has = HAS_PARTS;
    answer->n_parts = ask->n_parts;
    answer->parts = arena_get(m->arena, ask->n_parts * sizeof answer->parts[0]);
    for (size_t i = 0; i < ask->n_parts; i++) {
        struct answer *part = &answer->parts[i];
        if (ask->parts[i].kind == ASK_GET) {
            get(m, member, &ask->parts[i], part);
            part->type = WIRE_GET_DATA;
        } else {
            children(m, member, &ask->parts[i], part);
            part->type = WIRE_GET_CHILDREN;
        }
        part->type = part->code == 0 ? part->type : WIRE_ERROR;
    }
}

/* ---- Watches ---- */

struct watched {
    struct watched *next;
    const char *path;
};

/* The tree's table cannot be gone through. */
static void note_watched(struct member *member, const char *path)
{
    for (const struct watched *w = member->watched; w != NULL; w = w->next) {
        if (strcmp(w->path, path) == 0) {
            return;
        }
    }
    struct watched *w = arena_get(&member->watched_arena, sizeof *w);
    *w = (struct watched){member->watched, arena_copy(&member->watched_arena, path, strlen(path))};
    member->watched = w;
}

static void add_watch(struct model *m, struct ask *ask, size_t list, const char *path)
{
    ask->lists[list][ask->n_lists[list]++] = arena_copy(m->arena, path, strlen(path));
}

void model_watches(struct model *m, const struct member *member, struct ask *ask)
{
    const struct zks__watcher *watcher = &member->watcher;
    struct zks__znode_stat stat;
    size_t n = 0;
    for (const struct watched *w = member->watched; w != NULL; w = w->next) {
        n++;
    }
    *ask = (struct ask){.kind = m->before_39 ? ASK_SET_WATCHES : ASK_SET_WATCHES2};
    for (size_t i = 0; i < LISTS; i++) {
        ask->lists[i] = arena_get(m->arena, n * sizeof ask->lists[i][0]);
    }
    for (const struct watched *w = member->watched; w != NULL; w = w->next) {
        if (zks__tree_has_watch(m->tree, w->path, ZKS__TYPE_DATA, watcher)) {
            bool exists = zks__tree_exists(m->tree, &model_super, w->path, NULL, &stat) == 0;
            add_watch(m, ask, exists ? LIST_DATA : LIST_EXISTS, w->path);
        }
        if (zks__tree_has_watch(m->tree, w->path, ZKS__TYPE_CHILDREN, watcher)) {
            add_watch(m, ask, LIST_CHILDREN, w->path);
        }
        if (zks__tree_has_watch(m->tree, w->path, ZKS__TYPE_PERSISTENT, watcher)) {
            add_watch(m, ask, LIST_PERSISTENT, w->path);
        }
        if (zks__tree_has_watch(m->tree, w->path, ZKS__TYPE_RECURSIVE, watcher)) {
            add_watch(m, ask, LIST_RECURSIVE, w->path);
        }
    }
}

static int set_again(struct model *m, struct member *member, const struct ask *ask, size_t list,
                     const char *path)
{
    enum zks__watched what = list == LIST_CHILDREN ? ZKS__WATCHED_CHILDREN : ZKS__WATCHED_NODE;
    return list >= LIST_PERSISTENT
               ? zks__tree_watch(m->tree, path, list == LIST_RECURSIVE, &member->watcher)
               : zks__tree_rewatch(m->tree, what, list != LIST_EXISTS, path, ask->model_zxid,
                                   &member->watcher);
}

static void set_watches(struct model *m, struct member *member, const struct ask *ask)
{
    for (size_t i = 0; i < LISTS; i++) {
        for (size_t k = 0; k < ask->n_lists[i]; k++) {
            note_watched(member, ask->lists[i][k]);
            int code = set_again(m, member, ask, i, ask->lists[i][k]);
            if (code != 0) {
                ens_fail("zks__tree_rewatch: %d", code);
            }
        }
    }
}

/* A server before 3.9 does not look whose watch it is: any of its clients' will do.  It fails over a path
 * without a slash, and sees no watch of the empty one. */
static int check_watches(const struct model *m, const struct member *member, const struct ask *ask)
{
    bool found = false;
    if (m->before_39 && ask->path[0] != '\0' && strchr(ask->path, '/') == NULL) {
        return CODE_MARSHALLINGERROR;
    }
    for (size_t i = 0; i < m->n_members; i++) {
        const struct member *other = m->members[i];
        bool counts = m->before_39 ? other->server == member->server && ask->path[0] != '\0'
                                   : other == member;
        found |=
            counts && zks__tree_has_watch(m->tree, ask->path, ask->watch_type, &other->watcher);
    }
    return found ? 0 : ZKS__Z_NOWATCHER;
}

/* ---- All of it ---- */

static void read(struct model *m, struct member *member, const struct ask *ask,
                 struct answer *answer)
{
    size_t count = 0;
    switch (ask->kind) {
    case ASK_EXISTS:
        answer->code =
            zks__tree_exists(m->tree, m->before_39 ? &model_super : &member->who, ask->path,
                             ask->watch ? &member->watcher : NULL, &answer->stat);
        answer->has = answer->code == 0 ? HAS_STAT : 0;
        break;
    case ASK_GET:
        get(m, member, ask, answer);
        break;
    case ASK_GET_ACL:
        get_acl(m, member, ask, answer);
        break;
    case ASK_CHILDREN:
    case ASK_CHILDREN2:
        children(m, member, ask, answer);
        break;
    case ASK_EPHEMERALS:
        ephemerals(m, member, ask, answer);
        break;
    case ASK_DESCENDANTS:
        answer->code = zks__tree_descendants(m->tree, &member->who, ask->path, &count);
        answer->has = answer->code == 0 ? HAS_COUNT : 0;
        answer->count = (int32_t)count;
        break;
    case ASK_MULTI_READ:
        read_several(m, member, ask, answer);
        break;
    default:
        answer->has = HAS_PATH;
        answer->path = ask->path;
        break;
    }
}

static void write(struct model *m, struct member *member, const struct ask *ask,
                  struct answer *answer)
{
    struct hearing hearing;
    hearing_begin(&hearing, m, member, ask);
    if (ask->kind == ASK_MULTI) {
        write_several(m, member, ask, answer);
    } else if (ask->kind == ASK_CLOSE) {
        close_session(m, member);
    } else {
        write_one(m, member, ask, answer);
    }
    hearing_end(&hearing, m, ask, answer);
}

const struct item *model_ask(struct model *m, struct member *member, const struct ask *ask,
                             int32_t xid)
{
    struct answer answer = {0};
    bool removed;
    if (ask->watch) {
        note_watched(member, ask->path);
    }
    switch (ask->kind) {
    case ASK_SET_WATCHES:
    case ASK_SET_WATCHES2:
        set_watches(m, member, ask);
        break;
    case ASK_CHECK_WATCHES:
        answer.code = check_watches(m, member, ask);
        break;
    case ASK_REMOVE_WATCHES:
        removed = zks__tree_unwatch(m->tree, ask->path, ask->watch_type, &member->watcher);
        answer.code = removed ? 0 : ZKS__Z_NOWATCHER;
        break;
    case ASK_ADD_WATCH:
        note_watched(member, ask->path);
        answer.code = zks__tree_watch(m->tree, ask->path, ask->recursive, &member->watcher);
        answer.has = HAS_RESULT;
        break;
    default:
        if (ask_is_write(ask->kind)) {
            write(m, member, ask, &answer);
        } else {
            read(m, member, ask, &answer);
        }
        break;
    }
    struct item *item = add_item(member);
    item->ask = ask;
    item->xid = xid;
    item->zxid = m->zxid;
    item->answer = answer;
    return item;
}

void model_open_session(struct model *m, struct member *member)
{
    const struct zks__txn txn = next_txn(m);
    int code = zks__tree_open_session(m->tree, &txn, &member->session);
    if (code != 0) {
        ens_fail("zks__tree_open_session: %d", code);
    }
    member->who.session = member->session.id;
}

void model_leave(struct model *m, struct member *member)
{
    zks__watcher_close(zks__tree_watches(m->tree), &member->watcher);
    member->watched = NULL;
    arena_clear(&member->watched_arena);
}

void model_open(struct model *m, struct arena *arena, struct member *const *members,
                size_t n_members)
{
    static const struct zks__tree_limits none;
    *m = (struct model){.mem = {heap_alloc, heap_free, NULL},
                        .arena = arena,
                        .members = members,
                        .n_members = n_members};
    m->tree = zks__tree_new(&m->mem, &none, hear, m);
    if (m->tree == NULL) {
        abort();
    }
}

void model_close(struct model *m)
{
    zks__tree_free(m->tree);
    m->tree = NULL;
}
