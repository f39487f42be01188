/* SPDX-License-Identifier: Apache-2.0 */
/* The watches that are set in a session, and which machines want to know: for each path one for the
 * znode itself, and one for its children.
 *
 * libzookeeper gets a number for a context, not a pointer: it may hold on to a watch that has fired.
 * All but zks__watches_fire is for the driver's thread. */
#ifndef ZKS_DRIVER_WATCHES_H
#define ZKS_DRIVER_WATCHES_H

#include <pthread.h>

#include "core/step.h"
#include "driver/message.h"

struct zks__machine;

struct zks__subscription {
    struct zks__subscription *next;            /* Of the watch. */
    struct zks__subscription *next_of_machine; /* Of the machine. */
    struct zks__subscription **of_machine;     /* The list that it is in. */
    struct zks__machine *machine;
    struct zks__watch *watch;
};

struct zks__watch {
    struct zks__message message;
    struct zks__watches *watches;
    struct zks__watch *next; /* In its bucket. */
    uint64_t id;
    bool children; /* It is for children that come and go. */
    bool fired;    /* Under the lock. */
    bool unlinked; /* Nothing finds it any more; the last request that asked for it frees it. */
    bool set;      /* A server has confirmed it: libzookeeper will call. */
    unsigned asks; /* Requests on their way that set it. */
    enum zks__watch_kind what;
    struct zks__subscription *subscribers;
    char path[];
};

enum { ZKS__WATCH_BUCKETS = 256 };

struct zks__watches {
    pthread_mutex_t lock; /* Against the thread that fires. */
    struct zks__watch *buckets[ZKS__WATCH_BUCKETS];
    uint64_t last_id;
};

void zks__watches_init(struct zks__watches *w);

/* zks__watches_close: forgets them all. */
void zks__watches_close(struct zks__watches *w);

/* zks__watch_ask: the watch of a path or of its children, for a request of the machine that sets it;
 * NULL where there is no memory.  zks__watch_asked ends what it begins. */
struct zks__watch *zks__watch_ask(struct zks__watches *w, const char *path, bool children,
                                  struct zks__machine *machine,
                                  struct zks__subscription **of_machine);

/* zks__watch_asked: the request has been answered, and the watch was set by it or was not.  One that
 * is not set, and that no other request asks for, is forgotten. */
void zks__watch_asked(struct zks__watch *watch, bool set);

/* zks__watches_fire: marks a watch as fired and returns it, or NULL.  Any thread. */
struct zks__watch *zks__watches_fire(struct zks__watches *w, uint64_t id, const char *path,
                                     enum zks__watch_kind what);

/* zks__watch_take: ends a watch that has fired, and tells each machine that wants to know, unless
 * `tell` is NULL. */
void zks__watch_take(struct zks__watch *watch,
                     void (*tell)(struct zks__machine *m, const struct zks__watch *watch));

/* zks__unsubscribe: the machine, whose list it is, goes away. */
void zks__unsubscribe(struct zks__subscription **subscriptions);

#endif
