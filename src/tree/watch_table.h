/* SPDX-License-Identifier: Apache-2.0 */
/* One-shot watches: who is to be told of the next change of a path. */
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

/* Somebody who watches, as a connection: memory of the owner's, all zeros at first. */
struct zks__watcher {
    struct zks__watch_entry *first;
};

struct zks__watch_table {
    struct zks__map paths;   /* Paths that are watched. */
    struct zks__map entries; /* Who watches which. */
    size_t max;              /* Watches at most. */
};

bool zks__watch_table_init(struct zks__watch_table *t, const struct zks__mem *mem, size_t max);
void zks__watch_table_close(struct zks__watch_table *t);

/* zks__watch_add: sets a watch, or leaves the one that is there.  ZKS__Z_SYSTEMERROR without memory,
 * ZKS__Z_QUOTAEXCEEDED where there are as many as there may be. */
int zks__watch_add(struct zks__watch_table *t, enum zks__watched what, const char *path,
                   struct zks__watcher *watcher);

/* zks__watch_has: whether the watch is set. */
bool zks__watch_has(const struct zks__watch_table *t, enum zks__watched what, const char *path,
                    const struct zks__watcher *watcher);

/* zks__watch_drop: takes a watch away; false where there was none. */
bool zks__watch_drop(struct zks__watch_table *t, enum zks__watched what, const char *path,
                     const struct zks__watcher *watcher);

/* zks__watch_fire: uses up the watches that an event is about, and tells each of the watchers, which
 * may not change the table meanwhile.  Who watches a znode and its children is told once that it has
 * gone. */
void zks__watch_fire(struct zks__watch_table *t, enum zks__event event, const char *path,
                     void (*tell)(void *arg, struct zks__watcher *watcher, enum zks__event event,
                                  const char *path),
                     void *arg);

/* zks__watcher_close: forgets all that somebody watches. */
void zks__watcher_close(struct zks__watch_table *t, struct zks__watcher *watcher);

#endif
