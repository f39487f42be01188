/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: who is to be told of the next change of a path, or of all of them. */
#ifndef ZKS_TREE_WATCH_TABLE_H
#define ZKS_TREE_WATCH_TABLE_H

#include "map.h"

/* The numbers are those of the wire. */
enum zks__event {
    ZKS__EVENT_CREATED = 1,
    ZKS__EVENT_DELETED = 2,
    ZKS__EVENT_DATA_CHANGED = 3,
    ZKS__EVENT_CHILDREN_CHANGED = 4
};

/* What is watched: the znode itself (by exists and get), or its children. */
enum zks__watched { ZKS__WATCHED_NODE, ZKS__WATCHED_CHILDREN };

/* How long a watch stays: until it has fired; until it is removed; until it is removed, and for everything below
 * the path too.  A watcher can have one of each mode on the same path, and none of them changes another. */
enum zks__watch_mode {
    ZKS__WATCH_ONCE = 1,
    ZKS__WATCH_PERSISTENT = 2,
    ZKS__WATCH_RECURSIVE = 4,
    ZKS__WATCH_ANY = 7 /* A set of modes, as are the others. */
};

/* Somebody who watches, as a connection: memory of the owner's, all zeros at first. */
struct zks__watcher {
    struct zks__watch_entry *first;
    uint64_t told; /* Of which event last. */
};

struct zks__watch_table {
    struct zks__map paths;   /* Paths that are watched. */
    struct zks__map entries; /* Who watches which. */
    size_t max;              /* Watches at most. */
    size_t max_bytes;        /* Of paths that are watched, with a zero byte each. */
    size_t bytes;
    size_t recursive; /* Only where there are some does anybody look above a path. */
    uint64_t events;
};

/* zks__watch_table_init: for so many watches; how long their paths may be together is not limited yet. */
bool zks__watch_table_init(struct zks__watch_table *t, const struct zks__mem *mem, size_t max);
void zks__watch_table_close(struct zks__watch_table *t);

/* zks__watch_add: sets a watch that fires once.  ZKS__Z_SYSTEMERROR without memory, ZKS__Z_QUOTAEXCEEDED if
 * the limit of watches, or of the length of their paths, is reached.  All modes of a watcher on a path count as one
 * watch. */
int zks__watch_add(struct zks__watch_table *t, enum zks__watched what, const char *path,
                   struct zks__watcher *watcher);

/* zks__watch_keep: sets a watch that stays: a persistent one on the znode and on its children, a recursive
 * one on the znode alone, since each child is told of for itself.  Codes are those of zks__watch_add(), and
 * each of the two counts. */
int zks__watch_keep(struct zks__watch_table *t, const char *path, bool recursive,
                    struct zks__watcher *watcher);

/* zks__watch_has: whether a watch of one of these modes is set. */
bool zks__watch_has(const struct zks__watch_table *t, enum zks__watched what, const char *path,
                    const struct zks__watcher *watcher, unsigned modes);

/* zks__watch_drop: removes the watches of these modes; false where there was none. */
bool zks__watch_drop(struct zks__watch_table *t, enum zks__watched what, const char *path,
                     const struct zks__watcher *watcher, unsigned modes);

/* zks__watch_fire: uses up the watches that an event is about and that do not stay, and tells each of
 * the watchers, which may not change the table meanwhile.  A watcher that watches in several ways is told
 * once. */
void zks__watch_fire(struct zks__watch_table *t, enum zks__event event, const char *path,
                     void (*tell)(void *arg, struct zks__watcher *watcher, enum zks__event event,
                                  const char *path),
                     void *arg);

/* How much is watched of a kind. */
struct zks__watch_counts {
    size_t watchers;
    size_t paths;
    size_t watches;
};

void zks__watch_count(struct zks__watch_table *t, enum zks__watched what,
                      struct zks__watch_counts *counts);

/* zks__watcher_close: forgets all that somebody watches. */
void zks__watcher_close(struct zks__watch_table *t, struct zks__watcher *watcher);

#endif
