/* SPDX-License-Identifier: Apache-2.0 */
/* The watches that are set in a session, and which machines want to know: for each path one for the
 * znode itself, and one for its children.
 *
 * A watch that no machine wants any more is removed from the server.  The server has one watch for
 * each connection, path and kind, and the removal takes away whatever is set there.  So it is sent
 * only while nobody wants that path and no request that sets a watch there is on its way; a request
 * that is sent later sets the watch anew, because a session's requests are carried out in order.
 *
 * libzookeeper gets a number for a context, not a pointer: it may hold on to a watch that has fired.
 * All but zks__watches_fire is for the driver's thread. */
#ifndef ZKS_DRIVER_WATCHES_H
#define ZKS_DRIVER_WATCHES_H

#include <pthread.h>
#include <sys/queue.h>

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

/* Which of the lists of unwanted watches a watch is in. */
enum zks__watch_list { ZKS__WATCH_UNLISTED, ZKS__WATCH_UNWANTED, ZKS__WATCH_KEPT };

TAILQ_HEAD(zks__watch_tail, zks__watch);

struct zks__watch {
    struct zks__message message;
    struct zks__watches *watches;
    struct zks__watch *next; /* In its bucket. */
    uint64_t id;
    bool children; /* It is for children that come and go. */
    bool fired;    /* Under the lock. */
    bool unlinked; /* Nothing finds it any more; the last request that asked for it frees it. */
    bool set;      /* A server has confirmed it: libzookeeper will call. */
    bool removing; /* A removal is on its way. */
    unsigned asks; /* Requests on their way that set it. */
    enum zks__watch_list list;
    TAILQ_ENTRY(zks__watch) listed; /* In the list that `list` names. */
    enum zks__watch_kind what;
    struct zks__subscription *subscribers;
    char path[];
};

enum { ZKS__WATCH_BUCKETS = 256 };

struct zks__watches {
    pthread_mutex_t lock; /* Against the thread that fires. */
    struct zks__watch *buckets[ZKS__WATCH_BUCKETS];
    uint64_t last_id;
    bool keeps_root;                 /* "/" is watched by the session as well. */
    struct zks__watch_tail unwanted; /* May have to be removed. */
    struct zks__watch_tail kept;     /* Could not be removed on this connection. */
    size_t root_len;                 /* Of what the servers put in front of each path. */
    size_t
        bytes; /* Of what libzookeeper sends of them when it reconnects, at the most.  Under the lock. */
};

void zks__watches_init(struct zks__watches *w);

/* zks__watches_close: forgets them all. */
void zks__watches_close(struct zks__watches *w);

/* zks__watch_ask: the watch of a path or of its children, for a request of the machine that sets it;
 * NULL where there is no memory.  zks__watch_asked ends what it begins. */
struct zks__watch *zks__watch_ask(struct zks__watches *w, const char *path, bool children,
                                  struct zks__machine *machine,
                                  struct zks__subscription **of_machine);

/* zks__watches_has_room: whether there is that watch, or may be without more than so many bytes of all. */
bool zks__watches_has_room(struct zks__watches *w, const char *path, bool children, size_t most);

/* zks__watches_bytes: of all of them.  Any thread. */
size_t zks__watches_bytes(struct zks__watches *w);

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

/* zks__unsubscribe: ends those subscriptions of a machine's list that it does not want: all of them
 * where `wants` is NULL. */
void zks__unsubscribe(struct zks__subscription **subscriptions,
                      bool (*wants)(const struct zks__machine *m, const struct zks__watch *watch));

/* zks__watches_unwanted: a watch that is set, and that is to be removed; NULL for none.  The caller
 * sends the removal and calls zks__watch_removed when it has ended. */
struct zks__watch *zks__watches_unwanted(struct zks__watches *w);

enum zks__removal {
    ZKS__REMOVED,    /* There is no such watch any more. */
    ZKS__UNREMOVED,  /* Unknown, or refused: to be tried again on the next connection. */
    ZKS__NOT_REMOVED /* The removal was not sent: to be tried again. */
};

void zks__watch_removed(struct zks__watch *watch, enum zks__removal how);

/* zks__watches_connected: there is a new connection, on which libzookeeper has set the watches
 * anew that were not removed. */
void zks__watches_connected(struct zks__watches *w);

#endif
