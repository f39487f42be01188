/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_BARRIER_H
#define ZKSYNC_BARRIER_H

#include "zksync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A barrier: while it is set, those who wait at it stand; when it is unset they go on.  It belongs
 * to nobody: it stands until it is unset, whatever becomes of whoever set it.
 *
 * A handle does one thing at a time; who wants to wait with several threads makes several. */
typedef struct zks_barrier zks_barrier;

/* zks_barrier_new: makes a handle for the barrier at `path`, without asking a server.
 *  ZKS_EINVAL (as zks_rwlock_new), ZKS_ENOMEM, ZKS_EFORKED.  Since 0.1. */
ZKS_EXPORT int zks_barrier_new(zks_client *client, const char *path, zks_barrier **barrier);

/* zks_barrier_free: frees the handle; NULL is fine.  The barrier stays as it is.  An operation
 * under way completes with ZKS_ECLOSED.  As to callbacks see zks_rwlock_free.  Since 0.1. */
ZKS_EXPORT void zks_barrier_free(zks_barrier *barrier);

/* zks_barrier_set: sets the barrier.  Where the servers' answer is lost and the barrier is then found
 * unset, it is set again: it may have been unset by somebody in between.  Where somebody else has set
 * it by then it is ZKS_EEXIST, although ours may have stood for a while.  A server that stood still can
 * carry out a request of which nothing was heard when this call has long returned.
 *  0              this call has set it.
 *  ZKS_EEXIST     it stood already.
 *  ZKS_ENOTEMPTY, ZKS_ELAYOUT: the znode at the path is not a barrier, and is left as it is.  It has children,
 *                 or else has had some and has no data, or is ephemeral.
 *  ZKS_ETIMEDOUT, ZKS_ECANCELED, ZKS_ECLOSED, ZKS_ESESSION, ZKS_EDISCONNECTED (both 0 ms): it may or
 *                 may not have been set by this call.
 *  ZKS_EDEADLK    the handle is in use, or this is a callback.
 *  ZKS_EACCES, ZKS_ESERVER, ZKS_EAUTH: the servers refuse it, however long is waited.  It has not been set, unless
 *                 an answer got lost and the servers then refuse to tell: it may have been set by this call.
 *  ZKS_EEPHEMERAL, ZKS_ENOCHROOT, ZKS_EFORKED, ZKS_EINVAL
 * `timeout_ms`: 0 tries once, ZKS_FOREVER goes on until it is known.  Since 0.1. */
ZKS_EXPORT int zks_barrier_set(zks_barrier *barrier, int64_t timeout_ms);

/* zks_barrier_unset: removes the barrier and frees whoever waits.  Where the servers' answer is lost and
 * that setting of the barrier is then gone, this call is taken to have done it.  A server that stood
 * still can carry out a request of which nothing was heard much later: it then lifts a later setting.
 *  0              it stood, and is gone.
 *  ZKS_ENOENT     it did not stand.
 *  ZKS_ENOTEMPTY, ZKS_ELAYOUT: as for zks_barrier_set.
 *  The others as for zks_barrier_set.  Since 0.1. */
ZKS_EXPORT int zks_barrier_unset(zks_barrier *barrier, int64_t timeout_ms);

/* zks_barrier_wait: returns once the barrier is not set, at once where it is not.  A new setting
 * that comes right behind an unsetting does not hold back who waited before.  0 means that there was a
 * moment during the call at which the barrier was not set.  Each call costs the servers a write, also
 * with 0 ms; to look again and again, use an observer (observer.h).
 *  0
 *  ZKS_EBUSY      (0 ms) it is set.
 *  ZKS_ENOTEMPTY, ZKS_ELAYOUT: as for zks_barrier_set, where the call found that at its first look.  What it has
 *                 found to be a barrier counts as set until it is deleted.
 *  ZKS_ETIMEDOUT, ZKS_ECANCELED, ZKS_ECLOSED, ZKS_EDISCONNECTED (0 ms), ZKS_ESESSION (0 ms),
 *  ZKS_ELIMIT     the client has as many watches as it may: see max_session_bytes.
 *  ZKS_EDEADLK, ZKS_EACCES, ZKS_ENOCHROOT, ZKS_ESERVER, ZKS_EAUTH, ZKS_EFORKED, ZKS_EINVAL
 * Since 0.1. */
ZKS_EXPORT int zks_barrier_wait(zks_barrier *barrier, int64_t timeout_ms);

/* The same as operations; see zks_rwlock_rdlock_op.  Since 0.1. */
ZKS_EXPORT int zks_barrier_set_op(zks_barrier *barrier, int64_t timeout_ms, zks_op *op);
ZKS_EXPORT int zks_barrier_unset_op(zks_barrier *barrier, int64_t timeout_ms, zks_op *op);
ZKS_EXPORT int zks_barrier_wait_op(zks_barrier *barrier, int64_t timeout_ms, zks_op *op);

#ifdef __cplusplus
}
#endif
#endif
