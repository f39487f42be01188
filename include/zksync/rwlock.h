/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_RWLOCK_H
#define ZKSYNC_RWLOCK_H

#include "zksync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A read-write lock for processes on many hosts: many readers or one writer, first come, first
 * served.  A handle stands for one holder: whoever wants to hold twice makes two.
 *
 * What is held can be lost: when this process is cut off from the servers for too long, they give
 * the lock to the next one.  The handle then says so at the latest at zks_rwlock_safe_until(), which
 * comes before the next one can get it, under the assumptions in zksync(7), "The lease".  A
 * holder that writes somewhere should send zks_rwlock_token() along, so that the place written to
 * can refuse an older one. */
typedef struct zks_rwlock zks_rwlock;

enum zks_rwlock_mode { ZKS_RWLOCK_READ = 1, ZKS_RWLOCK_WRITE = 2 };

/* Called once when what the handle holds is lost, where completions run (see zks_op_cb), and after the
 * completion of the operation by which it got it; but a blocking call may not have returned yet.  With
 * manual dispatch it is left out where an unlock has said so first and the handle has been used again. */
typedef void (*zks_rwlock_lost_cb)(zks_rwlock *lock, void *arg);

typedef struct zks_rwlock_options {
    size_t size; /* Set by ZKS_RWLOCK_OPTIONS_INIT. */
    zks_rwlock_lost_cb lost;
    void *lost_arg;

    /* A session that expires while a lock is waited for is an error (ZKS_ESESSION).  Otherwise the
     * handle queues again, at the end, within the same deadline. */
    bool expiry_is_error;
} zks_rwlock_options;

#define ZKS_RWLOCK_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(zks_rwlock_options), NULL, NULL, false                                              \
    }

/* zks_rwlock_new: makes a handle for the lock at `path`, without asking a server.  The path and its
 * parents are created when the lock is first taken, and removed by the servers about a minute after
 * they were last used.  `options` may be NULL.  On success *lock is set and is the caller's.
 *  ZKS_EINVAL   the path is not a valid one ("/a/b", not "/", at most 1,023 bytes).
 *  ZKS_ENOMEM, ZKS_EFORKED
 * Since 0.1. */
ZKS_EXPORT int zks_rwlock_new(zks_client *client, const char *path,
                              const zks_rwlock_options *options, zks_rwlock **lock);

/* zks_rwlock_free: frees the handle; NULL is fine.  What it holds is released in the background; an
 * operation under way completes with ZKS_ECLOSED: before this returns, or in the next dispatch where
 * dispatch is manual.  The lost callback does not run any more once it has returned, unless it was
 * called in a callback.  Since 0.1. */
ZKS_EXPORT void zks_rwlock_free(zks_rwlock *lock);

/* zks_rwlock_rdlock, zks_rwlock_wrlock: take the lock for reading or writing, waiting for at most
 * `timeout_ms`: 0 tries once and does not wait for others, ZKS_FOREVER waits without limit.  The first lock
 * after a long time in which none was held takes a fiftieth of the session timeout and three requests longer than
 * others, until it is known how long the session is sure to live: see lease_linger_ms.  A shorter wait than that
 * ends with ZKS_ETIMEDOUT though the lock is free; 0 does not, and it is known soon after.  If slow
 * requests prevent the client from proving its session alive for two session timeouts of an unbroken connection, the
 * handle queues again at the end, so that others can acquire the lock.
 *  0                  it is held.
 *  ZKS_EBUSY          (0 ms) others hold it or are before us.          Not held.
 *  ZKS_ETIMEDOUT      not held; with 0 ms: the servers were too slow, for a session timeout.
 *  ZKS_EDISCONNECTED  (0 ms) no server can be reached.                 Not held.
 *  ZKS_ESESSION       the session expired, and this is to be an error, or with 0 ms. Not held.
 *  ZKS_EDEADLK        this handle holds or waits already (as before), or this is a callback.
 *  ZKS_ELOST          what this handle held was lost and has not been unlocked since.
 *  ZKS_ELIMIT         the client has as many znodes or watches as it may: see max_session_bytes.
 *                     Not held.
 *  ZKS_EACCES, ZKS_EEPHEMERAL, ZKS_ENOCHROOT, ZKS_ELAYOUT, ZKS_EVERSION, ZKS_ESERVER: the servers
 *                     refuse it; a later call fares no better unless something is mended.  Not held.
 *  ZKS_EAUTH, ZKS_ECLOSED, ZKS_EFORKED, ZKS_EINVAL (a negative time)   Not held.
 * After any failure our znode is gone, or is being removed in the background until it is or the
 * session ends.  Since 0.1. */
ZKS_EXPORT int zks_rwlock_rdlock(zks_rwlock *lock, int64_t timeout_ms);
ZKS_EXPORT int zks_rwlock_wrlock(zks_rwlock *lock, int64_t timeout_ms);

/* zks_rwlock_unlock: releases the lock and waits until the servers have confirmed it, for at most
 * `timeout_ms`; 0 does not wait for them.  Whatever it returns, the handle holds nothing
 * afterwards, and the znode is removed in the background where that has not been confirmed.
 *  0              it is released; also where the session ends meanwhile, or was ended by somebody
 *                 and this client had not noticed it yet.
 *  ZKS_ELOST      it had been lost before; this call acknowledges that.
 *  ZKS_EPERM      this handle does not hold it.  (Nothing has changed.)
 *  ZKS_ETIMEDOUT, ZKS_ECLOSED: the servers have not confirmed it yet.
 *  ZKS_EACCES, ZKS_ESERVER, ZKS_ELAYOUT: the servers refuse it for now, or refuse to remove what an
 *                 earlier attempt has left; it is tried again and again.
 *  ZKS_EAUTH      the client's credentials were refused; the session is over, and the lock with it.
 *  ZKS_EDEADLK    an operation is under way on this handle, or this is a callback (with 0 ms it is
 *                 allowed in a callback).  (Nothing has changed.)
 *  ZKS_EFORKED, ZKS_EINVAL
 * Since 0.1. */
ZKS_EXPORT int zks_rwlock_unlock(zks_rwlock *lock, int64_t timeout_ms);

/* zks_rwlock_downgrade: a writer becomes a reader, keeping its place: other readers may come in,
 * and no writer can slip between.  The token stays what it was.
 *  0              held for reading; with 0 ms it may still be on its way there.
 *  ZKS_EPERM      this handle does not hold it as a writer.
 *  ZKS_ELOST      it was lost.
 *  ZKS_ETIMEDOUT, ZKS_ECANCELED: still held; it becomes a reader in the background.  While it is
 *                 on its way zks_rwlock_held() says so already.
 *  ZKS_EACCES, ZKS_ESERVER: refused, still held as a writer; or, where zks_rwlock_held() says that
 *                 it is held for reading, still in doubt and followed in the background.
 *  ZKS_EDEADLK, ZKS_ECLOSED, ZKS_EFORKED, ZKS_EINVAL
 * Since 0.1. */
ZKS_EXPORT int zks_rwlock_downgrade(zks_rwlock *lock, int64_t timeout_ms);

/* The same as operations: they return 0 if the completion will come, with the results above, or an
 * error at once if it will not (ZKS_EINVAL, also for an operation that is under way already;
 * ZKS_EFORKED, ZKS_ECLOSED).  Since 0.1. */
ZKS_EXPORT int zks_rwlock_rdlock_op(zks_rwlock *lock, int64_t timeout_ms, zks_op *op);
ZKS_EXPORT int zks_rwlock_wrlock_op(zks_rwlock *lock, int64_t timeout_ms, zks_op *op);
ZKS_EXPORT int zks_rwlock_unlock_op(zks_rwlock *lock, int64_t timeout_ms, zks_op *op);
ZKS_EXPORT int zks_rwlock_downgrade_op(zks_rwlock *lock, int64_t timeout_ms, zks_op *op);

/* zks_rwlock_held: the mode in which this handle holds the lock, 0 where it does not: because it
 * was never taken, was released or lost, or because zks_rwlock_safe_until() has passed.
 * Since 0.1. */
ZKS_EXPORT int zks_rwlock_held(zks_rwlock *lock);

/* zks_rwlock_token: the fencing token while held, else 0.  It grows strictly from one writer to the
 * next, also when the lock's znode was deleted in between.  Since 0.1. */
ZKS_EXPORT uint64_t zks_rwlock_token(zks_rwlock *lock);

/* zks_rwlock_safe_until: until when the lock is sure to be held, on the clock of zks_clock_ms(); 0
 * where it is not held.  It moves on while the client is connected; it goes back if a server grants
 * a shorter session timeout, so do not cache it.  Since 0.1. */
ZKS_EXPORT uint64_t zks_rwlock_safe_until(zks_rwlock *lock);

/* zks_rwlock_node: the path of our znode while held, for a `check` in one's own multi.  It is
 * copied to `buf` and cut to `size` bytes with its zero; returns its whole length, 0 where not
 * held.  Since 0.1. */
ZKS_EXPORT size_t zks_rwlock_node(zks_rwlock *lock, char *buf, size_t size);

/* zks_rwlock_waits_for: the data of the znode right before ours while waiting, that is who is
 * waited for, cut to 255 bytes; empty otherwise.  Like zks_rwlock_node.  Since 0.1. */
ZKS_EXPORT size_t zks_rwlock_waits_for(zks_rwlock *lock, char *buf, size_t size);

/* zks_rwlock_place: the path of our znode while waiting, by which it can be told in a listing; empty
 * otherwise.  Like zks_rwlock_node.  Since 0.1. */
ZKS_EXPORT size_t zks_rwlock_place(zks_rwlock *lock, char *buf, size_t size);

/* One that holds a lock or waits for it.  What zksync itself writes as data is a JSON object with
 * "v" (1), "host", "pid", "user", "identity", "started_ms" (when the client was opened, ms since
 * 1970) and, where one was given, "reason"; more keys may come.  Others may write anything. */
struct zks_contender {
    char *path; /* Of its znode. */
    enum zks_rwlock_mode mode;
    bool holds;
    int32_t sequence; /* The place in the queue: compare by the sign of the 32-bit difference. */
    uint64_t token;
    int64_t session;
    int64_t since_ms; /* When it queued: the server's clock, ms since 1970. */
    int64_t age_ms;   /* How long ago that is, by this machine's clock; never below 0. */
    char *data;       /* What it wrote, with a zero behind it that data_len does not count. */
    size_t data_len;
};

/* zks_rwlock_list: who holds the lock at `path` and who waits, in the order of the queue.  On
 * success *list is the caller's, to be freed with zks_contenders_free(); it is NULL where *count is
 * 0, as it is for a lock that does not exist.  Children with foreign names are left out; of those whose
 * data may not be read it is left out, and where the server is of ZooKeeper 3.9 or later so are token, session and
 * times, which are 0.
 *  ZKS_ETIMEDOUT, ZKS_EDISCONNECTED (0 ms), ZKS_EACCES, ZKS_EINVAL, ZKS_ENOMEM, ZKS_ENOCHROOT,
 *  ZKS_EDEADLK (in a callback), ZKS_ECLOSED, ZKS_EAUTH, ZKS_ESERVER, ZKS_EFORKED
 * Since 0.1. */
ZKS_EXPORT int zks_rwlock_list(zks_client *client, const char *path, int64_t timeout_ms,
                               struct zks_contender **list, size_t *count);
ZKS_EXPORT void zks_contenders_free(struct zks_contender *list, size_t count);

#ifdef __cplusplus
}
#endif
#endif
