/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper's data model: znodes, sessions, watches and access control lists, in memory.
 *
 * A tree is one replica's state.  It does no I/O, reads no clock and has no lock: its owner puts the
 * writes in order, gives each a zxid that is larger than the last one and the time, and the same
 * writes make the same tree.  Where memory is short, or a limit is reached, a call says so and has
 * changed nothing.
 *
 * What a real server of ZooKeeper 3.9 answers to the same requests, one after the other, this answers:
 * the same error where several would fit, the same Stat, and the same events in the same order. */
#ifndef ZKS_TREE_TREE_H
#define ZKS_TREE_TREE_H

#include "acl.h"
#include "code.h"
#include "watch_table.h"

struct zks__tree;
struct zks__znode;

/* 0 stands for no limit of its own. */
struct zks__tree_limits {
    size_t nodes;
    size_t bytes; /* Of paths and data. */
    size_t watches;
    size_t sessions;
    size_t acl_entries; /* Of one list. */
    size_t acl_size;    /* Of one list, in bytes. */
    size_t acl_bytes;   /* Of the lists of all znodes, each counted for each of them. */
    size_t watch_bytes; /* Of the paths that are watched. */
};

/* What a znode says of itself; the names and their meaning are ZooKeeper's. */
struct zks__znode_stat {
    int64_t czxid;
    int64_t mzxid;
    int64_t pzxid;
    int64_t ctime;
    int64_t mtime;
    int64_t ephemeral_owner; /* The session; 0 for all but ephemerals. */
    int32_t version;
    int32_t cversion;
    int32_t aversion;
    int32_t data_length;
    int32_t num_children;
};

/* Who asks.  A session of 0 is the server itself, of which nothing is asked but the ACLs. */
struct zks__who {
    int64_t session;
    struct zks__ids ids;
};

/* zks__tree_new: a tree as a new server has it: "/", "/zookeeper" and what is in there.  `tell` is
 * called for each watch that fires, in the order of the events and before the call returns that fired
 * it; it may not call the tree.  NULL where there is no memory. */
struct zks__tree *zks__tree_new(const struct zks__mem *mem, const struct zks__tree_limits *limits,
                                void (*tell)(void *arg, struct zks__watcher *watcher,
                                             enum zks__event event, const char *path),
                                void *arg);

/* zks__tree_event_acl: only in `tell`: the list of the znode that the event names, as it is at that moment,
 * by which a server decides whether the watcher may hear of it; NULL where everybody may. */
const struct zks__acl *zks__tree_event_acl(const struct zks__tree *tree);

/* zks__tree_event_zxid: only in `tell`: the zxid of the write that causes the event; -1 for an event that
 * zks__tree_rewatch() causes. */
int64_t zks__tree_event_zxid(const struct zks__tree *tree);

/* zks__tree_free: NULL is fine.  Watchers must be closed first, or be forgotten with it. */
void zks__tree_free(struct zks__tree *tree);

/* zks__tree_zxid: the zxid of the last write, whether or not it changed anything. */
int64_t zks__tree_zxid(const struct zks__tree *tree);

/* How much there is in a tree. */
struct zks__tree_counts {
    size_t nodes;
    size_t bytes;     /* Of paths and data. */
    size_t acl_bytes; /* Of the lists of all znodes. */
    size_t ephemerals;
    size_t sessions;
    size_t watches;
};

void zks__tree_count(const struct zks__tree *tree, struct zks__tree_counts *counts);

/* ---- Writes ---- */

enum zks__op_kind {
    ZKS__OP_CREATE,  /* path, data, aces, mode, ttl_ms */
    ZKS__OP_DELETE,  /* path, version */
    ZKS__OP_SET,     /* path, data, version */
    ZKS__OP_SET_ACL, /* path, aces, version: of the list */
    ZKS__OP_CHECK,   /* path, version */
    ZKS__OP_REAP     /* path: deletes what zks__tree_reapable() has named, if it still may go */
};

/* The numbers are those of the wire. */
enum zks__create_mode {
    ZKS__PERSISTENT = 0,
    ZKS__EPHEMERAL = 1,
    ZKS__PERSISTENT_SEQUENTIAL = 2,
    ZKS__EPHEMERAL_SEQUENTIAL = 3,
    ZKS__CONTAINER = 4,
    ZKS__PERSISTENT_TTL = 5,
    ZKS__PERSISTENT_SEQUENTIAL_TTL = 6
};

struct zks__op {
    enum zks__op_kind kind;
    const char *path;
    const void *data; /* NULL: none, which is not the same as none of its bytes. */
    size_t data_len;
    const struct zks__ace *aces;
    size_t n_aces;
    int32_t version; /* -1 for any. */
    int mode;        /* An enum zks__create_mode, or any number that came over the wire. */
    int64_t ttl_ms;  /* 1 to 2^40 - 1 for the two modes with one. */
};

struct zks__op_result {
    int code;                    /* An enum zks__code. */
    const char *limit;           /* With ZKS__Z_QUOTAEXCEEDED: of what there is too much. */
    const char *path;            /* Of what was created, until the next write; else NULL. */
    struct zks__znode_stat stat; /* After a create, a set and a set of the ACL. */
};

struct zks__txn {
    int64_t zxid;
    int64_t time_ms; /* Since 1970. */
};

/* zks__tree_write: carries out one operation. */
void zks__tree_write(struct zks__tree *tree, const struct zks__txn *txn, const struct zks__who *who,
                     const struct zks__op *op, struct zks__op_result *result);

/* zks__tree_multi: carries out all of them or none, and sets a result for each: where one fails those
 * before it have ZKS__Z_OK and those behind it ZKS__Z_RUNTIMEINCONSISTENCY, and no paths and Stats.
 * Returns whether they were carried out. */
bool zks__tree_multi(struct zks__tree *tree, const struct zks__txn *txn, const struct zks__who *who,
                     const struct zks__op *ops, size_t n, struct zks__op_result *results);

/* zks__tree_idle: a write that was refused before it got here, and used up a zxid for all that. */
void zks__tree_idle(struct zks__tree *tree, const struct zks__txn *txn);

/* zks__tree_reapable: goes through the containers that have lost their last child and the znodes whose
 * time to live is over.  `last` is NULL at first and the path of before then; NULL at the end. */
const char *zks__tree_reapable(const struct zks__tree *tree, int64_t time_ms, const char *last);

/* ---- Sessions ---- */

enum { ZKS__PASSWORD_LEN = 16 };

struct zks__session {
    int64_t id;
    uint32_t timeout_ms;
    unsigned char password[ZKS__PASSWORD_LEN];
};

/* zks__tree_open_session, zks__tree_close_session: writes too.  To open one may fail with
 * ZKS__Z_SYSTEMERROR or ZKS__Z_QUOTAEXCEEDED, or ZKS__Z_NODEEXISTS for a number that is in use.  With
 * its end its ephemerals go; one that is not there is no error. */
int zks__tree_open_session(struct zks__tree *tree, const struct zks__txn *txn,
                           const struct zks__session *session);
void zks__tree_close_session(struct zks__tree *tree, const struct zks__txn *txn, int64_t id);

/* zks__tree_session: a session, or NULL where there is none of that number. */
const struct zks__session *zks__tree_session(const struct zks__tree *tree, int64_t id);

/* zks__tree_next_session: goes through all sessions in no order; NULL at first and at the end. */
const struct zks__session *zks__tree_next_session(const struct zks__tree *tree,
                                                  const struct zks__session *last);

/* zks__tree_ephemerals: goes through a session's ephemerals whose paths begin with `prefix`, as
 * zks__tree_reapable() does. */
const char *zks__tree_ephemerals(const struct zks__tree *tree, int64_t session, const char *prefix,
                                 const char *last);

/* ---- Reads ---- */

/* Each returns an enum zks__code.  `watcher` is NULL where no watch is to be set; pointers are good
 * until the next write. */

/* zks__tree_exists: needs the permission to read if the znode exists.  If it does not, the watch is set all the
 * same. */
int zks__tree_exists(struct zks__tree *tree, const struct zks__who *who, const char *path,
                     struct zks__watcher *watcher, struct zks__znode_stat *stat);

/* `data` is NULL where the znode has none. */
int zks__tree_get(struct zks__tree *tree, const struct zks__who *who, const char *path,
                  struct zks__watcher *watcher, const void **data, struct zks__znode_stat *stat);

/* `child` is the first of them for zks__tree_next_child(), or NULL. */
int zks__tree_children(struct zks__tree *tree, const struct zks__who *who, const char *path,
                       struct zks__watcher *watcher, const struct zks__znode **child,
                       struct zks__znode_stat *stat);

/* zks__tree_next_child: the next one, or NULL; zks__tree_child_name: its name without the path, and
 * zks__tree_child_path: with it. */
const struct zks__znode *zks__tree_next_child(const struct zks__znode *child);
const char *zks__tree_child_name(const struct zks__znode *child);
const char *zks__tree_child_path(const struct zks__znode *child);

/* `acl` is NULL where everybody may do everything.  Whoever may not administer the znode is to see no
 * secrets: `veiled` is then true, and of an id of the scheme "digest" what is behind the first colon
 * is not to be shown. */
int zks__tree_get_acl(struct zks__tree *tree, const struct zks__who *who, const char *path,
                      const struct zks__acl **acl, bool *veiled, struct zks__znode_stat *stat);

/* zks__tree_parent_acl: the list of the parent of a znode that is there, by which it is decided who may list it;
 * NULL where everybody may. */
const struct zks__acl *zks__tree_parent_acl(const struct zks__tree *tree, const char *path);

/* zks__tree_descendants: how many there are below a path. */
int zks__tree_descendants(struct zks__tree *tree, const struct zks__who *who, const char *path,
                          size_t *count);

/* ---- To keep a tree elsewhere ---- */

/* All that a znode is made of. */
struct zks__znode_parts {
    const char *path;
    const void *data; /* NULL for none. */
    size_t data_len;
    const struct zks__ace *aces;
    size_t n_aces;   /* 0 where everybody may do everything. */
    int mode;        /* PERSISTENT, EPHEMERAL, CONTAINER or PERSISTENT_TTL. */
    int64_t session; /* Of an ephemeral. */
    int64_t czxid;
    int64_t mzxid;
    int64_t pzxid;
    int64_t ctime;
    int64_t mtime;
    int64_t ttl_ms;
    uint32_t version;
    uint32_t creates; /* Of children, over all time. */
    uint32_t aversion;
};

/* zks__tree_next_znode: goes through all znodes, parents first; NULL at first and at the end. */
const struct zks__znode *zks__tree_next_znode(const struct zks__tree *tree,
                                              const struct zks__znode *last);
void zks__tree_take_apart(const struct zks__znode *node, struct zks__znode_parts *parts);

/* zks__tree_restore: puts a znode into a tree that is being made as another one was: sessions first
 * (zks__tree_open_session), then znodes, parents first, at last the zxid (zks__tree_idle).  The znodes
 * that every tree has are changed.  No limits are looked at: what was there stays there.  An enum
 * zks__code; ZKS__Z_BADARGUMENTS for what cannot have been in a tree. */
int zks__tree_restore(struct zks__tree *tree, const struct zks__znode_parts *parts);

/* zks__tree_set_limits: sets all but those of watches, and returns what they were.  Nothing that is there
 * goes. */
struct zks__tree_limits zks__tree_set_limits(struct zks__tree *tree,
                                             const struct zks__tree_limits *limits);

/* ---- Watches ---- */

/* zks__tree_rewatch: sets a watch that a client had on another server, where it had last seen `zxid`;
 * what happened since fires it at once.  `existed` is whether the znode was there. */
int zks__tree_rewatch(struct zks__tree *tree, enum zks__watched what, bool existed,
                      const char *path, int64_t zxid, struct zks__watcher *watcher);

/* zks__tree_watch: a persistent or recursive watch, as addWatch sets it, on any path, whether or not
 * there is a znode or one may read it.  A client that comes back sets it in the same way: it never
 * fires for what was missed. */
int zks__tree_watch(struct zks__tree *tree, const char *path, bool recursive,
                    struct zks__watcher *watcher);

/* Which of a watcher's watches on a path are meant; the numbers are those of the wire. */
enum zks__watch_type {
    ZKS__TYPE_CHILDREN = 1, /* The one on the children that fires once, */
    ZKS__TYPE_DATA = 2,     /* and the one on the znode. */
    ZKS__TYPE_ANY = 3,
    ZKS__TYPE_PERSISTENT = 4,
    ZKS__TYPE_RECURSIVE = 5
};

/* zks__tree_has_watch: whether the watcher has such a watch on that very path.  zks__tree_unwatch: removes
 * it, and says whether there was one. */
bool zks__tree_has_watch(const struct zks__tree *tree, const char *path, enum zks__watch_type type,
                         const struct zks__watcher *watcher);
bool zks__tree_unwatch(struct zks__tree *tree, const char *path, enum zks__watch_type type,
                       const struct zks__watcher *watcher);

/* zks__tree_watches: the table, to look a watch up or to take it away. */
struct zks__watch_table *zks__tree_watches(struct zks__tree *tree);

#endif
