/* SPDX-License-Identifier: Apache-2.0 */
#include "watch_table.h"

#include <string.h>

#include "code.h"

/* A path that is watched. */
struct watched_path {
    struct zks__link link;
    enum zks__watched what;
    struct zks__watch_entry *first;
    char text[];
};

struct zks__watch_entry {
    struct zks__link link;
    struct watched_path *path;
    struct zks__watcher *watcher;
    struct zks__watch_entry *prev; /* Of the path. */
    struct zks__watch_entry *next;
    struct zks__watch_entry *prev_of_watcher;
    struct zks__watch_entry *next_of_watcher;
};

bool zks__watch_table_init(struct zks__watch_table *t, const struct zks__mem *mem, size_t max)
{
    memset(t, 0, sizeof *t);
    t->max = max;
    return zks__map_init(&t->paths, mem) && zks__map_init(&t->entries, mem);
}

static void empty(struct zks__map *map)
{
    size_t bucket = 0;
    for (struct zks__link *l = zks__map_take(map, &bucket); l != NULL;
         l = zks__map_take(map, &bucket)) {
        zks__mem_free(map->mem, l);
    }
    zks__map_close(map);
}

void zks__watch_table_close(struct zks__watch_table *t)
{
    empty(&t->entries);
    empty(&t->paths);
}

static uint64_t hash_path(enum zks__watched what, const char *path)
{
    return zks__hash_text(path) + (uint64_t)what;
}

static uint64_t hash_entry(const struct watched_path *path, const struct zks__watcher *watcher)
{
    return zks__hash_number(path->link.hash ^ zks__hash_number((uint64_t)(uintptr_t)watcher));
}

static struct watched_path *find_path(const struct zks__watch_table *t, enum zks__watched what,
                                      const char *path)
{
    struct zks__link *l = zks__map_first(&t->paths, hash_path(what, path));
    for (; l != NULL; l = zks__map_next(l)) {
        struct watched_path *p = (struct watched_path *)l;
        if (p->what == what && strcmp(p->text, path) == 0) {
            return p;
        }
    }
    return NULL;
}

static struct zks__watch_entry *find(const struct zks__watch_table *t, enum zks__watched what,
                                     const char *path, const struct zks__watcher *watcher)
{
    const struct watched_path *p = find_path(t, what, path);
    struct zks__link *l = p != NULL ? zks__map_first(&t->entries, hash_entry(p, watcher)) : NULL;
    for (; l != NULL; l = zks__map_next(l)) {
        struct zks__watch_entry *e = (struct zks__watch_entry *)l;
        if (e->path == p && e->watcher == watcher) {
            return e;
        }
    }
    return NULL;
}

static struct watched_path *make_path(struct zks__watch_table *t, enum zks__watched what,
                                      const char *path)
{
    size_t len = strlen(path) + 1;
    struct watched_path *p = zks__mem_alloc(t->paths.mem, sizeof *p + len);
    if (p != NULL) {
        p->what = what;
        p->first = NULL;
        memcpy(p->text, path, len);
        zks__map_add(&t->paths, &p->link, hash_path(what, path));
    }
    return p;
}

static void drop_path(struct zks__watch_table *t, struct watched_path *p)
{
    zks__map_remove(&t->paths, &p->link);
    zks__mem_free(t->paths.mem, p);
}

int zks__watch_add(struct zks__watch_table *t, enum zks__watched what, const char *path,
                   struct zks__watcher *watcher)
{
    if (find(t, what, path, watcher) != NULL) {
        return 0;
    }
    if (t->entries.n >= t->max) {
        return ZKS__Z_QUOTAEXCEEDED;
    }
    struct watched_path *p = find_path(t, what, path);
    if (p == NULL) {
        p = make_path(t, what, path);
    }
    struct zks__watch_entry *e = p != NULL ? zks__mem_alloc(t->entries.mem, sizeof *e) : NULL;
    if (e == NULL) {
        if (p != NULL && p->first == NULL) {
            drop_path(t, p);
        }
        return ZKS__Z_SYSTEMERROR;
    }
    memset(e, 0, sizeof *e);
    e->path = p;
    e->watcher = watcher;
    e->next = p->first;
    if (e->next != NULL) {
        e->next->prev = e;
    }
    p->first = e;
    e->next_of_watcher = watcher->first;
    if (e->next_of_watcher != NULL) {
        e->next_of_watcher->prev_of_watcher = e;
    }
    watcher->first = e;
    zks__map_add(&t->entries, &e->link, hash_entry(p, watcher));
    return 0;
}

bool zks__watch_has(const struct zks__watch_table *t, enum zks__watched what, const char *path,
                    const struct zks__watcher *watcher)
{
    return find(t, what, path, watcher) != NULL;
}

/* Takes an entry away, and its path with the last one. */
static void drop(struct zks__watch_table *t, struct zks__watch_entry *e)
{
    struct watched_path *p = e->path;
    if (e->prev != NULL) {
        e->prev->next = e->next;
    } else {
        p->first = e->next;
    }
    if (e->next != NULL) {
        e->next->prev = e->prev;
    }
    if (e->prev_of_watcher != NULL) {
        e->prev_of_watcher->next_of_watcher = e->next_of_watcher;
    } else {
        e->watcher->first = e->next_of_watcher;
    }
    if (e->next_of_watcher != NULL) {
        e->next_of_watcher->prev_of_watcher = e->prev_of_watcher;
    }
    zks__map_remove(&t->entries, &e->link);
    zks__mem_free(t->entries.mem, e);
    if (p->first == NULL) {
        drop_path(t, p);
    }
}

bool zks__watch_drop(struct zks__watch_table *t, enum zks__watched what, const char *path,
                     const struct zks__watcher *watcher)
{
    struct zks__watch_entry *e = find(t, what, path, watcher);
    if (e != NULL) {
        drop(t, e);
    }
    return e != NULL;
}

void zks__watch_fire(struct zks__watch_table *t, enum zks__event event, const char *path,
                     void (*tell)(void *arg, struct zks__watcher *watcher, enum zks__event event,
                                  const char *path),
                     void *arg)
{
    bool children = event == ZKS__EVENT_CHILDREN_CHANGED;
    bool gone = event == ZKS__EVENT_DELETED;
    struct watched_path *node = children ? NULL : find_path(t, ZKS__WATCHED_NODE, path);
    struct watched_path *below =
        children || gone ? find_path(t, ZKS__WATCHED_CHILDREN, path) : NULL;
    struct zks__watch_entry *e = node != NULL ? node->first : NULL;
    while (e != NULL) {
        struct zks__watch_entry *next = e->next;
        tell(arg, e->watcher, event, path);
        /* A watcher of the children too is told once that the znode has gone. */
        struct zks__watch_entry *too =
            below != NULL ? find(t, ZKS__WATCHED_CHILDREN, path, e->watcher) : NULL;
        if (too != NULL) {
            below = below->first == too && too->next == NULL ? NULL : below;
            drop(t, too);
        }
        drop(t, e);
        e = next;
    }
    e = below != NULL ? below->first : NULL;
    while (e != NULL) {
        struct zks__watch_entry *next = e->next;
        tell(arg, e->watcher, event, path);
        drop(t, e);
        e = next;
    }
}

void zks__watcher_close(struct zks__watch_table *t, struct zks__watcher *watcher)
{
    while (watcher->first != NULL) {
        drop(t, watcher->first);
    }
}
