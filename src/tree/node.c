/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include <string.h>

#include "core/path.h"

struct zks__znode *zks__node_find(const struct zks__tree *tree, const char *path)
{
    if (path[0] == '\0') {
        return tree->root;
    }
    struct zks__link *l = zks__map_first(&tree->nodes, zks__hash_text(path));
    for (; l != NULL; l = zks__map_next(l)) {
        struct zks__znode *node = (struct zks__znode *)l;
        if (strcmp(node->path, path) == 0) {
            return node;
        }
    }
    return NULL;
}

struct zks__session_entry *zks__session_find(const struct zks__tree *tree, int64_t id)
{
    struct zks__link *l = zks__map_first(&tree->sessions, zks__hash_number((uint64_t)id));
    for (; l != NULL; l = zks__map_next(l)) {
        struct zks__session_entry *s = (struct zks__session_entry *)l;
        if (s->session.id == id) {
            return s;
        }
    }
    return NULL;
}

bool zks__node_copy_data(struct zks__tree *tree, const void *data, size_t data_len, void **copy)
{
    *copy = NULL;
    if (data == NULL) {
        return true;
    }
    *copy = zks__mem_alloc(&tree->mem, data_len > 0 ? data_len : 1);
    if (*copy == NULL) {
        return false;
    }
    memcpy(*copy, data, data_len);
    return true;
}

struct zks__znode *zks__node_make(struct zks__tree *tree, const char *path, size_t path_len,
                                  const void *data, size_t data_len)
{
    struct zks__znode *node = zks__mem_alloc(&tree->mem, sizeof *node + path_len + 1);
    if (node == NULL) {
        return NULL;
    }
    memset(node, 0, sizeof *node);
    memcpy(node->path, path, path_len);
    node->path[path_len] = '\0';
    node->name_at = (size_t)(strrchr(node->path, '/') + 1 - node->path);
    node->data_len = data != NULL ? (uint32_t)data_len : 0;
    if (!zks__node_copy_data(tree, data, data_len, &node->data)) {
        zks__mem_free(&tree->mem, node);
        return NULL;
    }
    return node;
}

void zks__node_free(struct zks__tree *tree, struct zks__znode *node)
{
    zks__acl_drop(&tree->acls, node->acl);
    zks__mem_free(&tree->mem, node->data);
    zks__mem_free(&tree->mem, node);
}

void zks__node_bury(struct zks__tree *tree, struct zks__znode *node)
{
    node->next_kin = tree->gone;
    tree->gone = node;
}

void zks__tree_begin(struct zks__tree *tree, const struct zks__txn *txn)
{
    tree->zxid = txn->zxid;
    while (tree->gone != NULL) {
        struct zks__znode *node = tree->gone;
        tree->gone = node->next_kin;
        zks__node_free(tree, node);
    }
}

static size_t size_of(const struct zks__znode *node)
{
    return strlen(node->path) + node->data_len;
}

/* A znode that is put back keeps its neighbours in the two lists, which have not changed meanwhile. */
void zks__node_link(struct zks__tree *tree, struct zks__znode *node)
{
    struct zks__znode *parent = node->parent;
    zks__map_add(&tree->nodes, &node->link, zks__hash_text(node->path));
    tree->bytes += size_of(node);
    tree->acl_bytes += zks__acl_size(node->acl);
    tree->ephemerals += node->kin == ZKS__KIN_EPHEMERAL;
    if (parent != NULL) {
        *(node->prev != NULL ? &node->prev->next : &parent->first_child) = node;
        if (node->next != NULL) {
            node->next->prev = node;
        }
        parent->n_children++;
    }
    if (node->kindred != NULL) {
        *(node->prev_kin != NULL ? &node->prev_kin->next_kin : &node->kindred->first) = node;
        if (node->next_kin != NULL) {
            node->next_kin->prev_kin = node;
        }
    }
}

void zks__node_unlink(struct zks__tree *tree, struct zks__znode *node)
{
    struct zks__znode *parent = node->parent;
    zks__map_remove(&tree->nodes, &node->link);
    tree->bytes -= size_of(node);
    tree->acl_bytes -= zks__acl_size(node->acl);
    tree->ephemerals -= node->kin == ZKS__KIN_EPHEMERAL;
    if (parent != NULL) {
        *(node->prev != NULL ? &node->prev->next : &parent->first_child) = node->next;
        if (node->next != NULL) {
            node->next->prev = node->prev;
        }
        parent->n_children--;
    }
    if (node->kindred != NULL) {
        *(node->prev_kin != NULL ? &node->prev_kin->next_kin : &node->kindred->first) =
            node->next_kin;
        if (node->next_kin != NULL) {
            node->next_kin->prev_kin = node->prev_kin;
        }
    }
}

/* ---- To keep a tree elsewhere ---- */

static int mode_of(enum zks__kin kin)
{
    static const int modes[] = {[ZKS__KIN_NONE] = ZKS__PERSISTENT,
                                [ZKS__KIN_EPHEMERAL] = ZKS__EPHEMERAL,
                                [ZKS__KIN_CONTAINER] = ZKS__CONTAINER,
                                [ZKS__KIN_TTL] = ZKS__PERSISTENT_TTL};
    return modes[kin];
}

void zks__tree_take_apart(const struct zks__znode *node, struct zks__znode_parts *parts)
{
    *parts = (struct zks__znode_parts){
        .path = node->path,
        .data = node->data,
        .data_len = node->data_len,
        .aces = node->acl != NULL ? node->acl->aces : NULL,
        .n_aces = node->acl != NULL ? node->acl->n : 0,
        .mode = mode_of(node->kin),
        .session = node->kin == ZKS__KIN_EPHEMERAL ? node->kindred->session : 0,
        .czxid = node->czxid,
        .mzxid = node->mzxid,
        .pzxid = node->pzxid,
        .ctime = node->ctime,
        .mtime = node->mtime,
        .ttl_ms = node->ttl_ms,
        .version = node->version,
        .creates = node->creates,
        .aversion = node->aversion};
}

/* Finds its place and its kin; false where it cannot have been in a tree. */
static bool place(struct zks__tree *tree, struct zks__znode *node,
                  const struct zks__znode_parts *parts)
{
    struct zks__session_entry *s = NULL;
    node->path[node->name_at - 1] = '\0';
    node->parent = zks__node_find(tree, node->path);
    node->path[node->name_at - 1] = '/';
    if (node->parent == NULL || node->parent->kin == ZKS__KIN_EPHEMERAL) {
        return false;
    }
    switch (parts->mode) {
    case ZKS__PERSISTENT:
        break;
    case ZKS__EPHEMERAL:
        s = zks__session_find(tree, parts->session);
        node->kin = ZKS__KIN_EPHEMERAL;
        node->kindred = s != NULL ? &s->ephemerals : NULL;
        break;
    case ZKS__CONTAINER:
        node->kin = ZKS__KIN_CONTAINER;
        node->kindred = &tree->containers;
        break;
    case ZKS__PERSISTENT_TTL:
        node->kin = ZKS__KIN_TTL;
        node->kindred = &tree->ttls;
        break;
    default:
        return false;
    }
    node->next = node->parent->first_child;
    node->next_kin = node->kindred != NULL ? node->kindred->first : NULL;
    return (node->kin == ZKS__KIN_NONE) == (node->kindred == NULL);
}

/* A new tree's own znode becomes what is to be there instead of it. */
static void exchange(struct zks__tree *tree, struct zks__znode *there, struct zks__znode *node)
{
    const struct zks__znode old = *there;
    tree->bytes += node->data_len;
    tree->bytes -= old.data_len;
    tree->acl_bytes += zks__acl_size(node->acl);
    tree->acl_bytes -= zks__acl_size(old.acl);
    there->acl = node->acl;
    there->data = node->data;
    there->data_len = node->data_len;
    there->czxid = node->czxid;
    there->mzxid = node->mzxid;
    there->pzxid = node->pzxid;
    there->ctime = node->ctime;
    there->mtime = node->mtime;
    there->ttl_ms = node->ttl_ms;
    there->version = node->version;
    there->creates = node->creates;
    there->aversion = node->aversion;
    node->acl = old.acl;
    node->data = old.data;
    zks__node_free(tree, node);
}

/* Its own znodes were not made by any write. */
static bool is_own(const struct zks__znode *there, const struct zks__znode_parts *parts)
{
    return there->czxid == 0 && there->kin == ZKS__KIN_NONE && parts->mode == ZKS__PERSISTENT;
}

int zks__tree_restore(struct zks__tree *tree, const struct zks__znode_parts *parts)
{
    bool valid = strcmp(parts->path, "/") == 0 || zks__path_valid(parts->path);
    struct zks__znode *there = valid ? zks__node_find(tree, parts->path) : NULL;
    if (!valid || parts->data_len > INT32_MAX || (there != NULL && !is_own(there, parts))) {
        return ZKS__Z_BADARGUMENTS;
    }
    struct zks__znode *node =
        zks__node_make(tree, parts->path, strlen(parts->path), parts->data, parts->data_len);
    if (node == NULL) {
        return ZKS__Z_SYSTEMERROR;
    }
    node->czxid = parts->czxid;
    node->mzxid = parts->mzxid;
    node->pzxid = parts->pzxid;
    node->ctime = parts->ctime;
    node->mtime = parts->mtime;
    node->ttl_ms = parts->ttl_ms;
    node->version = parts->version;
    node->creates = parts->creates;
    node->aversion = parts->aversion;
    int code = there != NULL || place(tree, node, parts) ? 0 : ZKS__Z_BADARGUMENTS;
    if (code == 0 && parts->n_aces > 0) {
        node->acl = zks__acl_restore(&tree->acls, parts->aces, parts->n_aces);
        code = node->acl != NULL ? 0 : ZKS__Z_SYSTEMERROR;
    }
    if (code != 0) {
        zks__node_free(tree, node);
    } else if (there != NULL) {
        exchange(tree, there, node);
    } else {
        zks__node_link(tree, node);
    }
    return code;
}

/* ---- What a znode says, and whom it tells ---- */

/* The server counts creates; what it tells is creates and deletes, for each child that was created and
 * is not there has been deleted. */
void zks__node_stat(const struct zks__znode *node, struct zks__znode_stat *stat)
{
    *stat = (struct zks__znode_stat){
        .czxid = node->czxid,
        .mzxid = node->mzxid,
        .pzxid = node->pzxid,
        .ctime = node->ctime,
        .mtime = node->mtime,
        .ephemeral_owner = node->kin == ZKS__KIN_EPHEMERAL ? node->kindred->session : 0,
        .version = (int32_t)node->version,
        .cversion = (int32_t)(2 * node->creates - node->n_children),
        .aversion = (int32_t)node->aversion,
        .data_length = (int32_t)node->data_len,
        .num_children = (int32_t)node->n_children};
}

void zks__tree_tell(struct zks__tree *tree, enum zks__event event, const struct zks__znode *node)
{
    tree->event_acl = node->acl;
    tree->event_zxid = tree->zxid;
    zks__watch_fire(&tree->watches, event, node->path, tree->tell, tree->arg);
    tree->event_acl = NULL;
    tree->event_zxid = -1;
}

void zks__tree_tell_deleted(struct zks__tree *tree, const struct zks__znode *node)
{
    zks__tree_tell(tree, ZKS__EVENT_DELETED, node);
    zks__tree_tell(tree, ZKS__EVENT_CHILDREN_CHANGED, node->parent);
}
