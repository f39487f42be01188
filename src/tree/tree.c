/* SPDX-License-Identifier: Apache-2.0 */
/* The tree as a whole, its sessions, and reads; writes are in write.c. */
#include "tree.h"

#include <string.h>

#include "node.h"

static struct zks__znode *plant(struct zks__tree *tree, const char *path, struct zks__znode *parent)
{
    struct zks__znode *node = zks__node_make(tree, path, strlen(path), "", 0);
    if (node != NULL) {
        node->parent = parent;
        node->next = parent != NULL ? parent->first_child : NULL;
        zks__node_link(tree, node);
    }
    return node;
}

/* What every server has.  Only the configuration is not open to everybody; changing its list counts. */
static bool plant_all(struct zks__tree *tree)
{
    static const struct zks__ace readable = {ZKS__PERM_READ, {"world", "anyone"}};
    static const struct zks__ids nobody = {NULL, 0};
    tree->root = plant(tree, "/", NULL);
    struct zks__znode *own = tree->root != NULL ? plant(tree, "/zookeeper", tree->root) : NULL;
    struct zks__znode *config = own != NULL ? plant(tree, "/zookeeper/config", own) : NULL;
    if (config == NULL || plant(tree, "/zookeeper/quota", own) == NULL) {
        return false;
    }
    config->aversion = (uint32_t)-1;
    if (zks__acl_make(&tree->acls, &readable, 1, &nobody, &config->acl) != 0) {
        return false;
    }
    tree->acl_bytes += zks__acl_size(config->acl);
    return true;
}

static size_t limit(size_t given)
{
    return given != 0 ? given : SIZE_MAX;
}

/* All but those of watches. */
static void take_limits(struct zks__tree *tree, const struct zks__tree_limits *limits)
{
    size_t watches = tree->limits.watches;
    size_t watch_bytes = tree->limits.watch_bytes;
    tree->limits = (struct zks__tree_limits){.nodes = limit(limits->nodes),
                                             .bytes = limit(limits->bytes),
                                             .watches = watches,
                                             .sessions = limit(limits->sessions),
                                             .acl_entries = limit(limits->acl_entries),
                                             .acl_size = limit(limits->acl_size),
                                             .acl_bytes = limit(limits->acl_bytes),
                                             .watch_bytes = watch_bytes};
    tree->acls.max_entries = tree->limits.acl_entries;
    tree->acls.max_size = tree->limits.acl_size;
}

struct zks__tree *zks__tree_new(const struct zks__mem *mem, const struct zks__tree_limits *limits,
                                void (*tell)(void *arg, struct zks__watcher *watcher,
                                             enum zks__event event, const char *path),
                                void *arg)
{
    struct zks__tree *tree = zks__mem_alloc(mem, sizeof *tree);
    if (tree == NULL) {
        return NULL;
    }
    memset(tree, 0, sizeof *tree);
    tree->mem = *mem;
    tree->limits.watches = limit(limits->watches);
    tree->limits.watch_bytes = limit(limits->watch_bytes);
    tree->tell = tell;
    tree->arg = arg;
    tree->event_zxid = -1;
    bool made =
        zks__map_init(&tree->nodes, &tree->mem) && zks__map_init(&tree->sessions, &tree->mem) &&
        zks__acls_init(&tree->acls, &tree->mem) &&
        zks__watch_table_init(&tree->watches, &tree->mem, tree->limits.watches) && plant_all(tree);
    if (!made) {
        zks__tree_free(tree);
        return NULL;
    }
    tree->watches.max_bytes = tree->limits.watch_bytes;
    take_limits(tree, limits);
    return tree;
}

static void free_links(struct zks__tree *tree, struct zks__map *map)
{
    size_t bucket = 0;
    for (struct zks__link *l = zks__map_take(map, &bucket); l != NULL;
         l = zks__map_take(map, &bucket)) {
        zks__mem_free(&tree->mem, l);
    }
    zks__map_close(map);
}

void zks__tree_free(struct zks__tree *tree)
{
    if (tree == NULL) {
        return;
    }
    const struct zks__txn none = {0, 0};
    struct zks__mem mem = tree->mem;
    zks__tree_begin(tree, &none);
    size_t bucket = 0;
    for (struct zks__link *l = zks__map_each(&tree->nodes, &bucket, NULL); l != NULL;
         l = zks__map_each(&tree->nodes, &bucket, l)) {
        zks__mem_free(&mem, ((struct zks__znode *)l)->data);
    }
    free_links(tree, &tree->nodes);
    free_links(tree, &tree->sessions);
    zks__acls_close(&tree->acls);
    zks__watch_table_close(&tree->watches);
    zks__mem_free(&mem, tree);
}

const struct zks__acl *zks__tree_event_acl(const struct zks__tree *tree)
{
    return tree->event_acl;
}

int64_t zks__tree_event_zxid(const struct zks__tree *tree)
{
    return tree->event_zxid;
}

int64_t zks__tree_zxid(const struct zks__tree *tree)
{
    return tree->zxid;
}

void zks__tree_count(const struct zks__tree *tree, struct zks__tree_counts *counts)
{
    *counts = (struct zks__tree_counts){.nodes = tree->nodes.n,
                                        .bytes = tree->bytes,
                                        .acl_bytes = tree->acl_bytes,
                                        .ephemerals = tree->ephemerals,
                                        .sessions = tree->sessions.n,
                                        .watches = tree->watches.entries.n};
}

void zks__tree_idle(struct zks__tree *tree, const struct zks__txn *txn)
{
    zks__tree_begin(tree, txn);
}

/* ---- Sessions ---- */

int zks__tree_open_session(struct zks__tree *tree, const struct zks__txn *txn,
                           const struct zks__session *session)
{
    zks__tree_begin(tree, txn);
    if (session->id == 0 || zks__session_find(tree, session->id) != NULL) {
        return ZKS__Z_NODEEXISTS;
    }
    if (tree->sessions.n >= tree->limits.sessions) {
        return ZKS__Z_QUOTAEXCEEDED;
    }
    struct zks__session_entry *s = zks__mem_alloc(&tree->mem, sizeof *s);
    if (s == NULL) {
        return ZKS__Z_SYSTEMERROR;
    }
    memset(s, 0, sizeof *s);
    s->session = *session;
    s->ephemerals.session = session->id;
    zks__map_add(&tree->sessions, &s->link, zks__hash_number((uint64_t)session->id));
    return 0;
}

void zks__tree_close_session(struct zks__tree *tree, const struct zks__txn *txn, int64_t id)
{
    struct zks__session_entry *s = zks__session_find(tree, id);
    zks__tree_begin(tree, txn);
    if (s == NULL) {
        return;
    }
    while (s->ephemerals.first != NULL) {
        struct zks__znode *node = s->ephemerals.first;
        zks__node_unlink(tree, node);
        node->parent->pzxid = txn->zxid;
        zks__tree_tell_deleted(tree, node);
        zks__node_free(tree, node);
    }
    zks__map_remove(&tree->sessions, &s->link);
    zks__mem_free(&tree->mem, s);
}

const struct zks__session *zks__tree_session(const struct zks__tree *tree, int64_t id)
{
    const struct zks__session_entry *s = zks__session_find(tree, id);
    return s != NULL ? &s->session : NULL;
}

const struct zks__session *zks__tree_next_session(const struct zks__tree *tree,
                                                  const struct zks__session *last)
{
    size_t bucket = 0;
    struct zks__link *l = NULL;
    if (last != NULL) {
        l = &zks__session_find(tree, last->id)->link;
        bucket = (size_t)(l->hash & (tree->sessions.n_buckets - 1)) + 1;
    }
    l = zks__map_each(&tree->sessions, &bucket, l);
    return l != NULL ? &((struct zks__session_entry *)l)->session : NULL;
}

/* The next of a list of kin, from the first one where `last` is NULL. */
static const struct zks__znode *next_kin(const struct zks__tree *tree,
                                         const struct zks__kindred *kindred, const char *last)
{
    return last != NULL ? zks__node_find(tree, last)->next_kin : kindred->first;
}

const char *zks__tree_ephemerals(const struct zks__tree *tree, int64_t session, const char *prefix,
                                 const char *last)
{
    const struct zks__session_entry *s = zks__session_find(tree, session);
    const struct zks__znode *node = s != NULL ? next_kin(tree, &s->ephemerals, last) : NULL;
    while (node != NULL && strncmp(node->path, prefix, strlen(prefix)) != 0) {
        node = node->next_kin;
    }
    return node != NULL ? node->path : NULL;
}

static bool is_reapable(const struct zks__znode *node, int64_t time_ms)
{
    bool due = node->kin == ZKS__KIN_TTL ? time_ms - node->mtime > node->ttl_ms : node->creates > 0;
    return due && node->n_children == 0;
}

const char *zks__tree_reapable(const struct zks__tree *tree, int64_t time_ms, const char *last)
{
    const struct zks__znode *node = next_kin(tree, &tree->containers, last);
    bool in_ttls = last != NULL && zks__node_find(tree, last)->kin == ZKS__KIN_TTL;
    for (;;) {
        if (node == NULL) {
            if (in_ttls) {
                return NULL;
            }
            in_ttls = true;
            node = tree->ttls.first;
        } else if (is_reapable(node, time_ms)) {
            return node->path;
        } else {
            node = node->next_kin;
        }
    }
}

/* ---- Reads ---- */

/* The znode of a read that needs a permission and may set a watch. */
static int read(struct zks__tree *tree, const struct zks__who *who, const char *path, int32_t perms,
                enum zks__watched what, struct zks__watcher *watcher, struct zks__znode **node)
{
    *node = zks__node_find(tree, path);
    if (*node == NULL) {
        return ZKS__Z_NONODE;
    }
    if (!zks__acl_allows((*node)->acl, perms, &who->ids)) {
        return ZKS__Z_NOAUTH;
    }
    return watcher != NULL ? zks__watch_add(&tree->watches, what, path, watcher) : 0;
}

int zks__tree_exists(struct zks__tree *tree, const struct zks__who *who, const char *path,
                     struct zks__watcher *watcher, struct zks__znode_stat *stat)
{
    struct zks__znode *node;
    int code = read(tree, who, path, ZKS__PERM_READ, ZKS__WATCHED_NODE, watcher, &node);
    if (code == 0) {
        zks__node_stat(node, stat);
    } else if (code == ZKS__Z_NONODE && watcher != NULL) {
        int added = zks__watch_add(&tree->watches, ZKS__WATCHED_NODE, path, watcher);
        code = added != 0 ? added : code;
    }
    return code;
}

int zks__tree_get(struct zks__tree *tree, const struct zks__who *who, const char *path,
                  struct zks__watcher *watcher, const void **data, struct zks__znode_stat *stat)
{
    struct zks__znode *node;
    int code = read(tree, who, path, ZKS__PERM_READ, ZKS__WATCHED_NODE, watcher, &node);
    if (code == 0) {
        *data = node->data;
        zks__node_stat(node, stat);
    }
    return code;
}

int zks__tree_children(struct zks__tree *tree, const struct zks__who *who, const char *path,
                       struct zks__watcher *watcher, const struct zks__znode **child,
                       struct zks__znode_stat *stat)
{
    struct zks__znode *node;
    int code = read(tree, who, path, ZKS__PERM_READ, ZKS__WATCHED_CHILDREN, watcher, &node);
    if (code == 0) {
        *child = node->first_child;
        zks__node_stat(node, stat);
    }
    return code;
}

const struct zks__znode *zks__tree_next_child(const struct zks__znode *child)
{
    return child->next;
}

const char *zks__tree_child_name(const struct zks__znode *child)
{
    return child->path + child->name_at;
}

const char *zks__tree_child_path(const struct zks__znode *child)
{
    return child->path;
}

int zks__tree_get_acl(struct zks__tree *tree, const struct zks__who *who, const char *path,
                      const struct zks__acl **acl, bool *veiled, struct zks__znode_stat *stat)
{
    struct zks__znode *node;
    int code =
        read(tree, who, path, ZKS__PERM_READ | ZKS__PERM_ADMIN, ZKS__WATCHED_NODE, NULL, &node);
    if (code == 0) {
        *acl = node->acl;
        *veiled = !zks__acl_allows(node->acl, ZKS__PERM_ADMIN, &who->ids);
        zks__node_stat(node, stat);
    }
    return code;
}

const struct zks__acl *zks__tree_parent_acl(const struct zks__tree *tree, const char *path)
{
    const struct zks__znode *node = zks__node_find(tree, path);
    return node != NULL && node->parent != NULL ? node->parent->acl : NULL;
}

/* The znode after this one in a walk through all below `top`, parents first. */
static const struct zks__znode *walk(const struct zks__znode *top, const struct zks__znode *node)
{
    if (node->first_child != NULL) {
        return node->first_child;
    }
    while (node != top && node->next == NULL) {
        node = node->parent;
    }
    return node != top ? node->next : NULL;
}

int zks__tree_descendants(struct zks__tree *tree, const struct zks__who *who, const char *path,
                          size_t *count)
{
    struct zks__znode *top;
    int code = read(tree, who, path, ZKS__PERM_READ, ZKS__WATCHED_CHILDREN, NULL, &top);
    if (code == 0) {
        /* The server has the root under both its names, and finds one of them below the other. */
        *count = path[0] == '\0' ? 1 : 0;
        for (const struct zks__znode *node = walk(top, top); node != NULL; node = walk(top, node)) {
            (*count)++;
        }
    }
    return code;
}

/* ---- To keep a tree elsewhere ---- */

const struct zks__znode *zks__tree_next_znode(const struct zks__tree *tree,
                                              const struct zks__znode *last)
{
    return last != NULL ? walk(tree->root, last) : tree->root;
}

struct zks__tree_limits zks__tree_set_limits(struct zks__tree *tree,
                                             const struct zks__tree_limits *limits)
{
    struct zks__tree_limits before = tree->limits;
    take_limits(tree, limits);
    return before;
}

/* ---- Watches ---- */

int zks__tree_rewatch(struct zks__tree *tree, enum zks__watched what, bool existed,
                      const char *path, int64_t zxid, struct zks__watcher *watcher)
{
    const struct zks__znode *node = zks__node_find(tree, path);
    bool children = what == ZKS__WATCHED_CHILDREN;
    if (existed && node == NULL) {
        tree->tell(tree->arg, watcher, ZKS__EVENT_DELETED, path);
    } else if (!existed && node != NULL) {
        tree->tell(tree->arg, watcher, ZKS__EVENT_CREATED, path);
    } else if (existed && (children ? node->pzxid : node->mzxid) > zxid) {
        enum zks__event event = children ? ZKS__EVENT_CHILDREN_CHANGED : ZKS__EVENT_DATA_CHANGED;
        tree->tell(tree->arg, watcher, event, path);
    } else {
        return zks__watch_add(&tree->watches, what, path, watcher);
    }
    return 0;
}

int zks__tree_watch(struct zks__tree *tree, const char *path, bool recursive,
                    struct zks__watcher *watcher)
{
    return zks__watch_keep(&tree->watches, path, recursive, watcher);
}

/* The modes that a type means, of the watches on the znode and on its children. */
struct meant {
    unsigned node;
    unsigned children;
};

static struct meant modes_of(enum zks__watch_type type)
{
    switch (type) {
    case ZKS__TYPE_CHILDREN:
        return (struct meant){.children = ZKS__WATCH_ONCE};
    case ZKS__TYPE_DATA:
        return (struct meant){.node = ZKS__WATCH_ONCE};
    case ZKS__TYPE_PERSISTENT:
        return (struct meant){ZKS__WATCH_PERSISTENT, ZKS__WATCH_PERSISTENT};
    case ZKS__TYPE_RECURSIVE:
        return (struct meant){.node = ZKS__WATCH_RECURSIVE};
    case ZKS__TYPE_ANY:
        break;
    }
    return (struct meant){ZKS__WATCH_ANY, ZKS__WATCH_ANY};
}

bool zks__tree_has_watch(const struct zks__tree *tree, const char *path, enum zks__watch_type type,
                         const struct zks__watcher *watcher)
{
    const struct zks__watch_table *t = &tree->watches;
    struct meant modes = modes_of(type);
    return zks__watch_has(t, ZKS__WATCHED_CHILDREN, path, watcher, modes.children) ||
           zks__watch_has(t, ZKS__WATCHED_NODE, path, watcher, modes.node);
}

bool zks__tree_unwatch(struct zks__tree *tree, const char *path, enum zks__watch_type type,
                       const struct zks__watcher *watcher)
{
    struct zks__watch_table *t = &tree->watches;
    struct meant modes = modes_of(type);
    bool had = zks__watch_drop(t, ZKS__WATCHED_CHILDREN, path, watcher, modes.children);
    return zks__watch_drop(t, ZKS__WATCHED_NODE, path, watcher, modes.node) || had;
}

struct zks__watch_table *zks__tree_watches(struct zks__tree *tree)
{
    return &tree->watches;
}
