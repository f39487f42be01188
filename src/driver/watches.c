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
}

/* The one of a path, made where there is none.  One that has fired but has not been taken yet does
 * not count: what is asked for now may be newer than what it told of. */
static struct zks__watch *find_or_make(struct zks__watches *w, const char *path, bool children)
{
    struct zks__watch **bucket = &w->buckets[bucket_of(path)];
    pthread_mutex_lock(&w->lock);
    struct zks__watch *watch = *bucket;
    while (watch != NULL &&
           (watch->fired || watch->children != children || strcmp(watch->path, path) != 0)) {
        watch = watch->next;
    }
    if (watch == NULL) {
        size_t len = strlen(path);
        watch = calloc(1, sizeof *watch + len + 1);
        if (watch != NULL) {
            memcpy(watch->path, path, len + 1);
            watch->watches = w;
            watch->children = children;
            watch->id = ++w->last_id;
            watch->next = *bucket;
            *bucket = watch;
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
            break;
        }
    }
    pthread_mutex_unlock(&w->lock);
    while (pop_subscriber(watch) != NULL) {
    }
    watch->unlinked = true;
    if (watch->asks == 0) {
        free(watch);
    }
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
    watch->asks--;
    watch->set |= set;
    if (watch->unlinked) {
        if (watch->asks == 0) {
            free(watch);
        }
        return;
    }
    pthread_mutex_lock(&watch->watches->lock);
    bool fired = watch->fired;
    pthread_mutex_unlock(&watch->watches->lock);
    if (!watch->set && !fired && watch->asks == 0) {
        forget(watch);
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
    watch->unlinked = true;
    for (struct zks__machine *m = pop_subscriber(watch); m != NULL; m = pop_subscriber(watch)) {
        if (tell != NULL) {
            tell(m, watch);
        }
    }
    zks__watch_asked(watch, false);
}

void zks__unsubscribe(struct zks__subscription **subscriptions)
{
    while (*subscriptions != NULL) {
        struct zks__subscription *s = *subscriptions;
        *subscriptions = s->next_of_machine;
        for (struct zks__subscription **at = &s->watch->subscribers; *at != NULL;
             at = &(*at)->next) {
            if (*at == s) {
                *at = s->next;
                break;
            }
        }
        free(s);
    }
}
