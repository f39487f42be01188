/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/watches.h"

#include <stdlib.h>
#include <string.h>

static size_t bucket_of(const char *path)
{
    uint32_t hash = 2166136261u;
    for (; *path != '\0'; path++) {
        hash = (hash ^ (unsigned char)*path) * 16777619u;
    }
    return hash % ZKS__WATCH_BUCKETS;
}

void zks__watches_init(struct zks__watches *w)
{
    memset(w, 0, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    TAILQ_INIT(&w->unwanted);
    TAILQ_INIT(&w->kept);
}

static void put_in_list(struct zks__watch *watch, enum zks__watch_list list)
{
    struct zks__watches *w = watch->watches;
    if (watch->list != ZKS__WATCH_UNLISTED) {
        TAILQ_REMOVE(watch->list == ZKS__WATCH_KEPT ? &w->kept : &w->unwanted, watch, listed);
    }
    watch->list = list;
    if (list != ZKS__WATCH_UNLISTED) {
        TAILQ_INSERT_TAIL(list == ZKS__WATCH_KEPT ? &w->kept : &w->unwanted, watch, listed);
    }
}

static bool is_wanted(const struct zks__watch *watch)
{
    return watch->subscribers != NULL || watch->asks > 0;
}

static bool has_fired(struct zks__watch *watch)
{
    pthread_mutex_lock(&watch->watches->lock);
    bool fired = watch->fired;
    pthread_mutex_unlock(&watch->watches->lock);
    return fired;
}

static bool same_place(const struct zks__watch *a, const struct zks__watch *b)
{
    return a->children == b->children && strcmp(a->path, b->path) == 0;
}

/* Where the session watches the root itself a removal would take that watch away too. */
static bool is_root(const struct zks__watch *watch)
{
    return watch->watches->keeps_root && !watch->children && strcmp(watch->path, "/") == 0;
}

/* A watch that is in the table or not, and that may have lost what it was kept for. */
static void settle(struct zks__watch *watch)
{
    if (watch->unlinked) {
        if (watch->asks == 0 && !watch->removing) {
            free(watch);
        }
    } else if (watch->set && !watch->removing && !is_wanted(watch) &&
               watch->list == ZKS__WATCH_UNLISTED && !is_root(watch)) {
        put_in_list(watch, ZKS__WATCH_UNWANTED);
    }
}

/* One of the same place has gone.  While it was wanted this one was not to be removed. */
static void settle_others(const struct zks__watch *gone)
{
    struct zks__watch *watch = gone->watches->buckets[bucket_of(gone->path)];
    for (; watch != NULL; watch = watch->next) {
        if (same_place(watch, gone)) {
            settle(watch);
        }
    }
}

/* Its path, with its length in front. */
static size_t bytes_of(const struct zks__watches *w, const char *path)
{
    return 4 + w->root_len + strlen(path);
}

/* The lock is held. */
static void put_in_table(struct zks__watch *watch)
{
    struct zks__watch **bucket = &watch->watches->buckets[bucket_of(watch->path)];
    watch->next = *bucket;
    *bucket = watch;
    watch->watches->bytes += bytes_of(watch->watches, watch->path);
}

/* The one of a path; the lock is held.  One that has fired but has not been taken yet does
 * not count: what is asked for now may be newer than what it told of. */
static struct zks__watch *find(struct zks__watches *w, const char *path, bool children)
{
    struct zks__watch *watch = w->buckets[bucket_of(path)];
    while (watch != NULL &&
           (watch->fired || watch->children != children || strcmp(watch->path, path) != 0)) {
        watch = watch->next;
    }
    return watch;
}

bool zks__watches_has_room(struct zks__watches *w, const char *path, bool children, size_t most)
{
    pthread_mutex_lock(&w->lock);
    bool room = w->bytes + bytes_of(w, path) <= most || find(w, path, children) != NULL;
    pthread_mutex_unlock(&w->lock);
    return room;
}

size_t zks__watches_bytes(struct zks__watches *w)
{
    pthread_mutex_lock(&w->lock);
    size_t bytes = w->bytes;
    pthread_mutex_unlock(&w->lock);
    return bytes;
}

static struct zks__watch *find_or_make(struct zks__watches *w, const char *path, bool children)
{
    pthread_mutex_lock(&w->lock);
    struct zks__watch *watch = find(w, path, children);
    if (watch == NULL) {
        size_t len = strlen(path);
        watch = calloc(1, sizeof *watch + len + 1);
        if (watch != NULL) {
            memcpy(watch->path, path, len + 1);
            watch->watches = w;
            watch->children = children;
            watch->id = ++w->last_id;
            put_in_table(watch);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return watch;
}

static bool subscribe(struct zks__watch *watch, struct zks__machine *machine,
                      struct zks__subscription **of_machine)
{
    for (struct zks__subscription *s = *of_machine; s != NULL; s = s->next_of_machine) {
        if (s->watch == watch) {
            return true;
        }
    }
    struct zks__subscription *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return false;
    }
    s->machine = machine;
    s->of_machine = of_machine;
    s->watch = watch;
    s->next = watch->subscribers;
    watch->subscribers = s;
    s->next_of_machine = *of_machine;
    *of_machine = s;
    return true;
}

struct zks__watch *zks__watch_ask(struct zks__watches *w, const char *path, bool children,
                                  struct zks__machine *machine,
                                  struct zks__subscription **of_machine)
{
    struct zks__watch *watch = find_or_make(w, path, children);
    if (watch == NULL) {
        return NULL;
    }
    watch->asks++;
    if (!subscribe(watch, machine, of_machine)) {
        zks__watch_asked(watch, false);
        return NULL;
    }
    return watch;
}

/* The machine of the first subscription, which is taken away; NULL where there is none. */
static struct zks__machine *pop_subscriber(struct zks__watch *watch)
{
    struct zks__subscription *s = watch->subscribers;
    if (s == NULL) {
        return NULL;
    }
    struct zks__machine *m = s->machine;
    struct zks__subscription **at = s->of_machine;
    while (*at != s) {
        at = &(*at)->next_of_machine;
    }
    *at = s->next_of_machine;
    watch->subscribers = s->next;
    free(s);
    return m;
}

/* Nothing finds it any more.  Requests that asked for it may still be on their way. */
static void forget(struct zks__watch *watch)
{
    struct zks__watches *w = watch->watches;
    pthread_mutex_lock(&w->lock);
    for (struct zks__watch **at = &w->buckets[bucket_of(watch->path)]; *at != NULL;
         at = &(*at)->next) {
        if (*at == watch) {
            *at = watch->next;
            w->bytes -= watch->fired ? 0 : bytes_of(w, watch->path);
            break;
        }
    }
    pthread_mutex_unlock(&w->lock);
    while (pop_subscriber(watch) != NULL) {
    }
    put_in_list(watch, ZKS__WATCH_UNLISTED);
    watch->unlinked = true;
    settle_others(watch);
    settle(watch);
}

void zks__watches_close(struct zks__watches *w)
{
    for (size_t i = 0; i < ZKS__WATCH_BUCKETS; i++) {
        while (w->buckets[i] != NULL) {
            forget(w->buckets[i]);
        }
    }
    pthread_mutex_destroy(&w->lock);
}

void zks__watch_asked(struct zks__watch *watch, bool set)
{
    pthread_mutex_t *lock = &watch->watches->lock;
    watch->asks--;
    watch->set |= set;
    pthread_mutex_lock(lock);
    if (watch->unlinked && set) {
        /* It had fired when this request set it anew, so that it is on the server again. */
        put_in_table(watch);
        watch->unlinked = watch->fired = false;
    }
    pthread_mutex_unlock(lock);
    if (!watch->unlinked && !watch->set && watch->asks == 0 && !has_fired(watch)) {
        forget(watch);
    } else {
        settle(watch);
    }
}

struct zks__watch *zks__watches_fire(struct zks__watches *w, uint64_t id, const char *path,
                                     enum zks__watch_kind what)
{
    struct zks__watch *found = NULL;
    pthread_mutex_lock(&w->lock);
    for (struct zks__watch *watch = w->buckets[bucket_of(path)]; watch != NULL;
         watch = watch->next) {
        if (watch->id == id && !watch->fired) {
            watch->fired = true;
            w->bytes -= bytes_of(w, path);
            watch->what = what;
            found = watch;
            break;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return found;
}

void zks__watch_take(struct zks__watch *watch,
                     void (*tell)(struct zks__machine *m, const struct zks__watch *watch))
{
    struct zks__watches *w = watch->watches;
    pthread_mutex_lock(&w->lock);
    struct zks__watch **at = &w->buckets[bucket_of(watch->path)];
    while (*at != watch) {
        at = &(*at)->next;
    }
    *at = watch->next; /* First, so that whoever is told can ask for a new one. */
    pthread_mutex_unlock(&w->lock);
    watch->asks++; /* Kept until all have been told. */
    put_in_list(watch, ZKS__WATCH_UNLISTED);
    watch->unlinked = true;
    watch->set = false;
    settle_others(watch);
    for (struct zks__machine *m = pop_subscriber(watch); m != NULL; m = pop_subscriber(watch)) {
        if (tell != NULL) {
            tell(m, watch);
        }
    }
    zks__watch_asked(watch, false);
}

void zks__unsubscribe(struct zks__subscription **subscriptions,
                      bool (*wants)(const struct zks__machine *m, const struct zks__watch *watch))
{
    struct zks__subscription **at = subscriptions;
    while (*at != NULL) {
        struct zks__subscription *s = *at;
        struct zks__watch *watch = s->watch;
        if (wants != NULL && wants(s->machine, watch)) {
            at = &s->next_of_machine;
            continue;
        }
        *at = s->next_of_machine;
        struct zks__subscription **of_watch = &watch->subscribers;
        while (*of_watch != s) {
            of_watch = &(*of_watch)->next;
        }
        *of_watch = s->next;
        free(s);
        settle(watch);
    }
}

/* Whether the removal would take away a watch that is wanted.  There is more than one for a path
 * where one had fired, but had not been taken yet, when the path was asked for anew. */
static bool is_wanted_there(const struct zks__watch *watch)
{
    const struct zks__watch *other = watch->watches->buckets[bucket_of(watch->path)];
    while (other != NULL && !(same_place(watch, other) && is_wanted(other))) {
        other = other->next;
    }
    return other != NULL;
}

struct zks__watch *zks__watches_unwanted(struct zks__watches *w)
{
    struct zks__watch *found = NULL;
    pthread_mutex_lock(&w->lock);
    while (found == NULL && !TAILQ_EMPTY(&w->unwanted)) {
        struct zks__watch *watch = TAILQ_FIRST(&w->unwanted);
        put_in_list(watch, ZKS__WATCH_UNLISTED);
        if (!watch->fired && !is_wanted_there(watch)) {
            watch->removing = true;
            found = watch;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return found;
}

/* What a request has set that was sent behind the removal is told of behind it, too. */
static void nothing_is_set(struct zks__watches *w, const struct zks__watch *where)
{
    struct zks__watch *next;
    for (struct zks__watch *watch = w->buckets[bucket_of(where->path)]; watch != NULL;
         watch = next) {
        next = watch->next;
        if (same_place(watch, where)) {
            watch->set = false;
            if (watch->asks == 0 && !watch->removing && !has_fired(watch)) {
                forget(watch);
            }
        }
    }
}

void zks__watch_removed(struct zks__watch *watch, enum zks__removal how)
{
    watch->removing = false;
    if (how == ZKS__REMOVED) {
        watch->asks++; /* Kept until the others are dealt with. */
        nothing_is_set(watch->watches, watch);
        zks__watch_asked(watch, false);
    } else if (watch->unlinked || is_wanted(watch)) {
        settle(watch);
    } else {
        put_in_list(watch, how == ZKS__UNREMOVED ? ZKS__WATCH_KEPT : ZKS__WATCH_UNWANTED);
    }
}

void zks__watches_connected(struct zks__watches *w)
{
    while (!TAILQ_EMPTY(&w->kept)) {
        put_in_list(TAILQ_FIRST(&w->kept), ZKS__WATCH_UNWANTED);
    }
}
