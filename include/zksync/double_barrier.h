/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_DOUBLE_BARRIER_H
#define ZKSYNC_DOUBLE_BARRIER_H

#include "zksync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A double barrier: n participants start a computation together and end it together.  Entering is
 * all or none: all n of a round enter, or none does.  A participant that is killed while it waits
 * counts until its session expires, so a round can include it.  The barrier can be used again at once. */
typedef struct zks_double_barrier zks_double_barrier;

/* The most participants, and the longest id in bytes. */
enum { ZKS_DOUBLE_BARRIER_N_MAX = 4096, ZKS_DOUBLE_BARRIER_ID_MAX = 120 };

/* zks_double_barrier_new: makes a handle for the participant `id` of the barrier at `path`, without
 * asking a server.  The path and its parents are created when needed; the last one out deletes the
 * path, where nobody waits there and it carries no data.  `id` is any text without '/'; NULL
 * makes one: "HOST-PID-" and 64 random bits in hexadecimal, so that no two are the same.
 * The opening of a round is one request, which must fit ZooKeeper's limit of 1 MiB: with long paths
 * and ids fewer than ZKS_DOUBLE_BARRIER_N_MAX can take part.  The other participants' ids count as if they
 * were as long; where they are longer and do not fit, entering fails with ZKS_ETOOMANY.
 *  ZKS_EINVAL   the path (as zks_rwlock_new), n or the id is not valid.
 *  ZKS_ETOOMANY n participants would not fit a request.
 *  ZKS_ENOMEM, ZKS_EFORKED
 * Since 0.1. */
ZKS_EXPORT int zks_double_barrier_new(zks_client *client, const char *path, uint32_t n,
                                      const char *id, zks_double_barrier **barrier);

/* zks_double_barrier_id: the participant's id, which is valid as long as the handle; NULL for no handle.
 * Since 0.1. */
ZKS_EXPORT const char *zks_double_barrier_id(const zks_double_barrier *barrier);

/* zks_double_barrier_free: frees the handle; NULL is fine.  Whoever is inside leaves, in the
 * background and without waiting for the others.  An operation under way completes with
 * ZKS_ECLOSED.  As to callbacks see zks_rwlock_free.  Since 0.1. */
ZKS_EXPORT void zks_double_barrier_free(zks_double_barrier *barrier);

/* zks_double_barrier_enter: waits until n participants are there; 0 ms succeeds only for the one
 * that completes them.
 *  0              the round has begun, with us in it.  A timeout or a cancel that comes too late,
 *                 when the round has begun already, also ends so.
 *  ZKS_EBUSY      (0 ms) others are missing.                               Not entered.
 *  ZKS_ETIMEDOUT, ZKS_ECANCELED                                            Not entered.
 *  ZKS_ETOOMANY   n others are there already, or n do not fit a request.   Not entered.
 *  ZKS_EEXIST     another participant has our id: at once with 0 ms, else when the time is over
 *                 and it is still there.  zks_last_error() names the id.   Not entered.
 *  ZKS_EMISMATCH  the first of the round gave another n.                   Not entered.
 *  ZKS_ELIMIT     the client has as many znodes or watches as it may: see max_session_bytes.
 *                                                                          Not entered.
 *  ZKS_ELOST      the round has begun with us in it, but our session has ended since, and to the
 *                 others we have died; or a timeout or cancel came while we were cut off from the
 *                 servers for as long as a session lasts, or they answered too slowly, and that may
 *                 be so; or it has begun with a request of ours that had been given up for lost.
 *  ZKS_ECLOSED    not known.
 *  ZKS_EDEADLK    the handle is in use, or this is a callback.
 *  ZKS_EDISCONNECTED, ZKS_ESESSION (0 ms), ZKS_ELAYOUT (there is something else at `path`),
 *  ZKS_EACCES, ZKS_EEPHEMERAL, ZKS_ENOCHROOT, ZKS_EVERSION, ZKS_ESERVER, ZKS_EAUTH, ZKS_EFORKED,
 *  ZKS_EINVAL                                                              Not entered.
 * Where the servers refuse to remove our znode (ZKS_EACCES, ZKS_ESERVER) it stays until it can be
 * removed or our session ends, and the others may begin a round with it.  The same can happen with a
 * znode that a server which stood still has created too late, when we have been told that we are not
 * in, or have entered with another one.
 *
 * A participant that finds another one with its id waits until the znode of the earlier one has gone,
 * as that of a process which was restarted while its old session lives: the old znode goes with that
 * session, at most a session timeout after the process has died.  Until then the later one does not
 * count, and a round that begins with the earlier one leaves it waiting for the next.  A leave deletes
 * the znode first, so that the id is free also while the leave waits for the others.
 *
 * Whoever comes while an earlier round is still leaving waits for the next one.  A participant whose
 * session expires while it waits queues again; it does not get to know of a round that has begun
 * and ended with it meanwhile.
 *
 * To find out whether the round has begun, a timeout or cancel needs an answer of the servers: while
 * they cannot be reached the call can last up to two session timeouts longer.  Since 0.1. */
ZKS_EXPORT int zks_double_barrier_enter(zks_double_barrier *barrier, int64_t timeout_ms);

/* zks_double_barrier_leave: waits until all of the round have left or died; 0 ms does not wait for
 * them.  Whatever it returns but ZKS_EPERM and ZKS_EDEADLK, we have left, or are leaving in the
 * background.  If the servers refuse to remove the round (ZKS_EACCES, ZKS_ESERVER; after ZKS_ELOST this is not
 * reported), the next participant that comes removes it.
 *  0              all have left; with 0 ms: the leave was started.
 *  ZKS_ELOST      our session ended while we were inside: the others may have gone on without us.  With
 *                 0 ms it is returned only if the client already knows.
 *  ZKS_EPERM      we are not inside.
 *  ZKS_ETIMEDOUT, ZKS_ECANCELED, ZKS_ECLOSED: others are still inside, or it is not known.
 *  ZKS_EDEADLK, ZKS_EACCES, ZKS_ELAYOUT, ZKS_ELIMIT, ZKS_ESERVER, ZKS_EAUTH, ZKS_EFORKED, ZKS_EINVAL
 * Since 0.1. */
ZKS_EXPORT int zks_double_barrier_leave(zks_double_barrier *barrier, int64_t timeout_ms);

/* The same as operations; see zks_rwlock_rdlock_op.  Since 0.1. */
ZKS_EXPORT int zks_double_barrier_enter_op(zks_double_barrier *barrier, int64_t timeout_ms,
                                           zks_op *op);
ZKS_EXPORT int zks_double_barrier_leave_op(zks_double_barrier *barrier, int64_t timeout_ms,
                                           zks_op *op);

#ifdef __cplusplus
}
#endif
#endif
