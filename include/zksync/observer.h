/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_OBSERVER_H
#define ZKSYNC_OBSERVER_H

#include "zksync/rwlock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What there is at a path, for those who look on: tools, monitoring, a program that shows its place in
 * the queue.  Looking takes no part in anything.
 *
 * A persistent znode that has no children is a barrier that is set where it has data or never had a child:
 * servers do not tell the containers apart in which locks have been.  zks_barrier_wait, _set and _unset go by
 * the same rule.  A lock can be taken on a set barrier, and is what is seen there as long as somebody wants it. */

enum zks_view_kind {
    ZKS_VIEW_ABSENT = 0,         /* There is no such znode. */
    ZKS_VIEW_LOCK = 1,           /* Some hold a lock, or wait for it. */
    ZKS_VIEW_BARRIER = 2,        /* A barrier that is set: see above. */
    ZKS_VIEW_DOUBLE_BARRIER = 3, /* Some take part, or a round has not been cleared away. */
    ZKS_VIEW_OTHER = 4           /* None of these: a folder, or a lock that nobody wants. */
};

/* Who takes part in a double barrier. */
struct zks_participant {
    char *path; /* Of its znode. */
    char *id;
    uint32_t n;  /* How many it says there are to be. */
    bool inside; /* It is in the round that has begun; the others wait for the next. */
    int32_t sequence;
    int64_t session;
    int64_t since_ms; /* As for struct zks_contender, as all below. */
    int64_t age_ms;
    char *
        data; /* NULL where nothing is known of it, as of whoever is inside: there only the id tells. */
    size_t data_len;
};

struct zks_view {
    enum zks_view_kind kind;
    int64_t since_ms; /* When the znode at the path was made; 0 where there is none. */
    int64_t age_ms;
    char *data; /* Of the znode at the path, with a zero behind it; NULL where it has none. */
    size_t data_len;
    struct zks_contender *contenders; /* In the order of the queue. */
    size_t n_contenders;
    struct zks_participant *participants; /* In the order of arrival. */
    size_t n_participants;
    bool round_open; /* A round of the double barrier has begun and not ended. */
    char **others;   /* Names of the children that are none of these, sorted. */
    size_t n_others;
};

/* zks_view_free: NULL is fine.  Since 0.1. */
ZKS_EXPORT void zks_view_free(struct zks_view *view);

/* An observer of a path: a handle that does one thing at a time. */
typedef struct zks_observer zks_observer;

/* zks_observer_new: makes an observer, without asking a server.  `path` is as for zks_rwlock_new, or "/".
 * Where `brief` is true no more is read than is needed to know who stands where: session, since, age,
 * token and data are those of holders alone, and 0 and NULL for all others.  On a long queue that is
 * one request instead of one for each who waits.
 *  ZKS_EINVAL, ZKS_ENOMEM, ZKS_EFORKED
 * Since 0.1. */
ZKS_EXPORT int zks_observer_new(zks_client *client, const char *path, bool brief,
                                zks_observer **observer);

/* zks_observer_free: NULL is fine.  An operation under way completes with ZKS_ECLOSED; as to callbacks
 * see zks_rwlock_free.  The watches that an observer keeps on the servers between two calls are
 * removed in the background.  Since 0.1. */
ZKS_EXPORT void zks_observer_free(zks_observer *observer);

/* zks_observer_next: the first time it looks at once; later it waits until something may have changed
 * since its last look, then looks.  What comes and goes between two looks is not seen, and a look is not
 * one moment: it is several reads, each of which sees at least what the one before saw.  The first of
 * them comes behind a sync.
 *  0              *view is the caller's, to be freed with zks_view_free().
 *  ZKS_EBUSY      (0 ms) nothing has changed.
 *  ZKS_ELIMIT     the client has as many watches as it may: see max_session_bytes.
 *  ZKS_ETIMEDOUT, ZKS_ECANCELED, ZKS_EDISCONNECTED (0 ms), ZKS_EACCES, ZKS_ENOCHROOT, ZKS_ENOMEM,
 *  ZKS_ESERVER, ZKS_EAUTH, ZKS_EDEADLK, ZKS_ECLOSED, ZKS_EFORKED, ZKS_EINVAL
 * Since 0.1. */
ZKS_EXPORT int zks_observer_next(zks_observer *observer, int64_t timeout_ms,
                                 struct zks_view **view);

/* The same as an operation; see zks_rwlock_rdlock_op.  zks_observer_take: once it has completed with 0,
 * what it saw, which is the caller's; NULL where it has been taken or there is none.  Since 0.1. */
ZKS_EXPORT int zks_observer_next_op(zks_observer *observer, int64_t timeout_ms, zks_op *op);
ZKS_EXPORT struct zks_view *zks_observer_take(zks_observer *observer);

/* zks_look: one look, with an observer of its own.  The errors are those of zks_observer_new and
 * zks_observer_next, without ZKS_EBUSY.  Since 0.1. */
ZKS_EXPORT int zks_look(zks_client *client, const char *path, int64_t timeout_ms,
                        struct zks_view **view);

/* zks_remove: removes the znode of one that holds a lock, waits for it or takes part in a double barrier,
 * given by its whole path, as a view has it; the option `root` is not put in front.  A holder learns that it has lost what it held (see zks_rwlock_lost_cb), but
 * the next one may hold by then: this is for one that is known to be stuck.  A znode with any other name
 * is not touched.
 *  0            it is gone, and was there; also where the answer was lost and it is gone now.
 *  ZKS_ENOENT   it was not there.
 *  ZKS_EINVAL   the path is not that of such a znode, or a negative time.
 *  ZKS_ETIMEDOUT, ZKS_EDISCONNECTED (0 ms), ZKS_ECLOSED, ZKS_EAUTH: it may or may not have been removed.
 *  ZKS_EACCES, ZKS_ENOTEMPTY, ZKS_ENOCHROOT, ZKS_ESERVER, ZKS_ENOMEM, ZKS_EDEADLK, ZKS_EFORKED
 * Since 0.1. */
ZKS_EXPORT int zks_remove(zks_client *client, const char *path, int64_t timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
