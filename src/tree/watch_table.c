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
    unsigned modes;                /* A set of enum zks__watch_mode. */
    struct zks__watch_entry *prev; /* Of the path. */
    struct zks__watch_entry *next;
    struct zks__watch_entry *prev_of_watcher;
    struct zks__watch_entry *next_of_watcher;
};

bool zks__watch_table_init(struct zks__watch_table *t, const struct zks__mem *mem, size_t max)
{
    memset(t, 0, sizeof *t);
    t->max = max;
    t->max_bytes = SIZE_MAX;
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

/* The hash of a path grows with it, so that all those above it are hashed on the way (FNV-1a). */
static const uint64_t no_path = UINT64_C(14695981039346656037);

static uint64_t longer(uint64_t sum, char c)
{
    return (sum ^ (unsigned char)c) * UINT64_C(1099511628211);
}

static uint64_t hash_sum(enum zks__watched what, uint64_t sum)
{
    return zks__hash_number(sum) + (uint64_t)what;
}

static uint64_t hash_path(enum zks__watched what, const char *path)
{
    uint64_t sum = no_path;
    for (; *path != '\0'; path++) {
        sum = longer(sum, *path);
    }
    return hash_sum(what, sum);
}

static uint64_t hash_entry(const struct watched_path *path, const struct zks__watcher *watcher)
{
    return zks__hash_number(path->link.hash ^ zks__hash_number((uint64_t)(uintptr_t)watcher));
}

/* The path of these `len` bytes, of which the hash is known. */
static struct watched_path *find_bytes(const struct zks__watch_table *t, enum zks__watched what,
                                       const char *path, size_t len, uint64_t hash)
{
    struct zks__link *l = zks__map_first(&t->paths, hash);
    for (; l != NULL; l = zks__map_next(l)) {
        struct watched_path *p = (struct watched_path *)l;
        if (p->what == what && strncmp(p->text, path, len) == 0 && p->text[len] == '\0') {
            return p;
        }
    }
    return NULL;
}

static struct watched_path *find_path(const struct zks__watch_table *t, enum zks__watched what,
                                      const char *path)
{
    return find_bytes(t, what, path, strlen(path), hash_path(what, path));
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
        t->bytes += len;
    }
    return p;
}

static void drop_path(struct zks__watch_table *t, struct watched_path *p)
{
    t->bytes -= strlen(p->text) + 1;
    zks__map_remove(&t->paths, &p->link);
    zks__mem_free(t->paths.mem, p);
}

static bool is_recursive(const struct zks__watch_entry *e)
{
    return (e->modes & ZKS__WATCH_RECURSIVE) != 0;
}

static void set_modes(struct zks__watch_table *t, struct zks__watch_entry *e, unsigned modes)
{
    t->recursive -= is_recursive(e);
    e->modes = modes;
    t->recursive += is_recursive(e);
}

/* The entry that is there, as it is, or a new one. */
static int enter(struct zks__watch_table *t, enum zks__watched what, const char *path,
                 struct zks__watcher *watcher, struct zks__watch_entry **entry)
{
    *entry = find(t, what, path, watcher);
    if (*entry != NULL) {
        return 0;
    }
    if (t->entries.n >= t->max) {
        return ZKS__Z_QUOTAEXCEEDED;
    }
    struct watched_path *p = find_path(t, what, path);
    if (p == NULL && (t->bytes >= t->max_bytes || strlen(path) >= t->max_bytes - t->bytes)) {
        return ZKS__Z_QUOTAEXCEEDED;
    }
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
    *entry = e;
    return 0;
}

/* Takes an entry away, and its path with the last one. */
static void drop(struct zks__watch_table *t, struct zks__watch_entry *e)
{
    struct watched_path *p = e->path;
    set_modes(t, e, 0);
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

int zks__watch_add(struct zks__watch_table *t, enum zks__watched what, const char *path,
                   struct zks__watcher *watcher)
{
    struct zks__watch_entry *e;
    int code = enter(t, what, path, watcher, &e);
    if (code == 0) {
        set_modes(t, e, e->modes | ZKS__WATCH_ONCE);
    }
    return code;
}

/* Removes modes, and the entry with the last one. */
static void remove_modes(struct zks__watch_table *t, struct zks__watch_entry *e, unsigned modes)
{
    set_modes(t, e, e->modes & ~modes);
    if (e->modes == 0) {
        drop(t, e);
    }
}

int zks__watch_keep(struct zks__watch_table *t, const char *path, bool recursive,
                    struct zks__watcher *watcher)
{
    struct zks__watch_entry *node;
    struct zks__watch_entry *children;
    int code = enter(t, ZKS__WATCHED_NODE, path, watcher, &node);
    if (code != 0) {
        return code;
    }
    if (recursive) {
        set_modes(t, node, node->modes | ZKS__WATCH_RECURSIVE);
        return 0;
    }
    code = enter(t, ZKS__WATCHED_CHILDREN, path, watcher, &children);
    if (code == 0) {
        set_modes(t, node, node->modes | ZKS__WATCH_PERSISTENT);
        set_modes(t, children, children->modes | ZKS__WATCH_PERSISTENT);
    } else if (node->modes == 0) {
        drop(t, node);
    }
    return code;
}

bool zks__watch_has(const struct zks__watch_table *t, enum zks__watched what, const char *path,
                    const struct zks__watcher *watcher, unsigned modes)
{
    const struct zks__watch_entry *e = find(t, what, path, watcher);
    return e != NULL && (e->modes & modes) != 0;
}

bool zks__watch_drop(struct zks__watch_table *t, enum zks__watched what, const char *path,
                     const struct zks__watcher *watcher, unsigned modes)
{
    struct zks__watch_entry *e = find(t, what, path, watcher);
    bool had = e != NULL && (e->modes & modes) != 0;
    if (had) {
        remove_modes(t, e, modes);
    }
    return had;
}

/* An event, and how it is told. */
struct firing {
    struct zks__watch_table *t;
    enum zks__event event;
    const char *path;
    void (*tell)(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path);
    void *arg;
};

/* Who watches the path in several ways, or several above it, is told once. */
static void tell_once(const struct firing *f, struct zks__watcher *watcher)
{
    if (watcher->told != f->t->events) {
        watcher->told = f->t->events;
        f->tell(f->arg, watcher, f->event, f->path);
    }
}

static void fire_at(const struct firing *f, enum zks__watched what)
{
    const struct watched_path *p = find_path(f->t, what, f->path);
    struct zks__watch_entry *e = p != NULL ? p->first : NULL;
    while (e != NULL) {
        struct zks__watch_entry *next = e->next;
        tell_once(f, e->watcher);
        remove_modes(f->t, e, ZKS__WATCH_ONCE);
        e = next;
    }
}

/* The first `len` bytes are a path above. */
static void fire_from(const struct firing *f, size_t len, uint64_t sum)
{
    const struct watched_path *p =
        find_bytes(f->t, ZKS__WATCHED_NODE, f->path, len, hash_sum(ZKS__WATCHED_NODE, sum));
    const struct zks__watch_entry *e = p != NULL ? p->first : NULL;
    for (; e != NULL; e = e->next) {
        if (is_recursive(e)) {
            tell_once(f, e->watcher);
        }
    }
}

/* Downwards, for so each byte is hashed once. */
static void fire_above(const struct firing *f)
{
    uint64_t sum = no_path;
    for (size_t i = 0; f->path[i] != '\0'; i++) {
        if (f->path[i] == '/' && i > 0) {
            fire_from(f, i, sum);
        }
        sum = longer(sum, f->path[i]);
        if (i == 0 && f->path[1] != '\0') {
            fire_from(f, 1, sum);
        }
    }
}

void zks__watch_fire(struct zks__watch_table *t, enum zks__event event, const char *path,
                     void (*tell)(void *arg, struct zks__watcher *watcher, enum zks__event event,
                                  const char *path),
                     void *arg)
{
    const struct firing f = {t, event, path, tell, arg};
    t->events++;
    if (event != ZKS__EVENT_CHILDREN_CHANGED) {
        fire_at(&f, ZKS__WATCHED_NODE);
        if (t->recursive > 0) {
            fire_above(&f);
        }
    }
    if (event == ZKS__EVENT_CHILDREN_CHANGED || event == ZKS__EVENT_DELETED) {
        fire_at(&f, ZKS__WATCHED_CHILDREN);
    }
}

/* Each watcher is marked when it is counted, as when it is told. */
void zks__watch_count(struct zks__watch_table *t, enum zks__watched what,
                      struct zks__watch_counts *counts)
{
    size_t bucket = 0;
    memset(counts, 0, sizeof *counts);
    t->events++;
    for (struct zks__link *l = zks__map_each(&t->paths, &bucket, NULL); l != NULL;
         l = zks__map_each(&t->paths, &bucket, l)) {
        const struct watched_path *p = (struct watched_path *)l;
        const struct zks__watch_entry *e = p->what == what ? p->first : NULL;
        counts->paths += e != NULL;
        for (; e != NULL; e = e->next) {
            counts->watches++;
            counts->watchers += e->watcher->told != t->events;
            e->watcher->told = t->events;
        }
    }
}

void zks__watcher_close(struct zks__watch_table *t, struct zks__watcher *watcher)
{
    while (watcher->first != NULL) {
        drop(t, watcher->first);
    }
    watcher->told = 0;
}
