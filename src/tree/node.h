/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree is made of, for the files of this folder: znodes and how they hang together. */
#ifndef ZKS_TREE_NODE_H
#define ZKS_TREE_NODE_H

#include "tree.h"

/* A znode that goes with its session, or that may be reaped, is in a list of those. */
enum zks__kin { ZKS__KIN_NONE, ZKS__KIN_EPHEMERAL, ZKS__KIN_CONTAINER, ZKS__KIN_TTL };

struct zks__znode {
    struct zks__link link;
    struct zks__znode *parent;
    struct zks__znode *first_child; /* In the order of their creation, the latest first. */
    struct zks__znode *prev;
    struct zks__znode *next;
    struct zks__kindred *kindred; /* The list of its kin that it is in, or NULL. */
    struct zks__znode *prev_kin;
    struct zks__znode *next_kin;
    struct zks__acl *acl; /* Counted in the tree's bytes when the znode is linked. */
    void *data;           /* NULL for none. */
    int64_t czxid;
    int64_t mzxid;
    int64_t pzxid;
    int64_t ctime;
    int64_t mtime;
    int64_t ttl_ms;
    uint32_t version;
    uint32_t creates; /* Of children, over all time. */
    uint32_t aversion;
    uint32_t data_len;
    uint32_t n_children;
    enum zks__kin kin;
    size_t name_at; /* Where in the path its own name begins. */
    char path[];
};

struct zks__kindred {
    struct zks__znode *first;
    int64_t session; /* Of ephemerals. */
};

struct zks__session_entry {
    struct zks__link link;
    struct zks__session session;
    struct zks__kindred ephemerals;
};

struct zks__tree {
    struct zks__mem mem;
    struct zks__tree_limits limits;
    void (*tell)(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path);
    void *arg;
    int64_t zxid;
    size_t bytes;
    size_t acl_bytes;
    size_t ephemerals;
    struct zks__map nodes;
    struct zks__map sessions;
    struct zks__acls acls;
    struct zks__watch_table watches;
    struct zks__kindred containers;
    struct zks__kindred ttls;
    struct zks__znode *root;
    const struct zks__acl *event_acl; /* Of the znode that is told of, */
    int64_t event_zxid;               /* and of the write; -1 while nothing is told. */
    struct zks__znode *gone;          /* What the last write has taken out, by next_kin. */
};

/* zks__tree_begin: at the beginning of each write. */
void zks__tree_begin(struct zks__tree *tree, const struct zks__txn *txn);

/* zks__node_find: "" is another name of the root. */
struct zks__znode *zks__node_find(const struct zks__tree *tree, const char *path);

/* zks__node_make: a znode that is not in the tree yet, with a copy of the data; NULL where there is no
 * memory. */
struct zks__znode *zks__node_make(struct zks__tree *tree, const char *path, size_t path_len,
                                  const void *data, size_t data_len);
void zks__node_free(struct zks__tree *tree, struct zks__znode *node);

/* zks__node_bury: one that has been taken out; the next write frees it. */
void zks__node_bury(struct zks__tree *tree, struct zks__znode *node);

/* zks__node_link, zks__node_unlink: into the tree and out of it, without its children.  What was taken
 * out last and is put back in is where it was. */
void zks__node_link(struct zks__tree *tree, struct zks__znode *node);
void zks__node_unlink(struct zks__tree *tree, struct zks__znode *node);

/* zks__node_copy_data: a copy for a znode; false where there is no memory. */
bool zks__node_copy_data(struct zks__tree *tree, const void *data, size_t data_len, void **copy);

void zks__node_stat(const struct zks__znode *node, struct zks__znode_stat *stat);

struct zks__session_entry *zks__session_find(const struct zks__tree *tree, int64_t id);

/* zks__tree_tell_deleted: the events of a znode that has been taken out. */
void zks__tree_tell_deleted(struct zks__tree *tree, const struct zks__znode *node);

/* zks__tree_tell: the events of one znode. */
void zks__tree_tell(struct zks__tree *tree, enum zks__event event, const struct zks__znode *node);

#endif
