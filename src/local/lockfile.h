/* SPDX-License-Identifier: Apache-2.0 */
/* Who is the local server: the file server.lock.
 *
 * Its first byte is locked by the server from its claim to its end.  Its second byte is locked too once the
 * server has written down where it is: only then does the text count, which may be an earlier server's
 * before.  The locks are of the open file (F_OFD_SETLK): to test one does not take it, so nobody who looks
 * is ever in a server's way, and the system lets go of them however the server ends. */
#ifndef ZKS_LOCAL_LOCKFILE_H
#define ZKS_LOCAL_LOCKFILE_H

#include "local/host.h"
#include "local/place.h"

struct zks__server_record {
    char address[80];
    struct zks__host host;
    int64_t pid; /* In the server's PID namespace. */
    bool open;   /* It wants no secret. */
};

/* zks__lockfile_read: 0 and the record of the server that runs, or
 *  ZKS__NONE       none runs.
 *  ZKS__UNSETTLED  one is being started or ended.
 *  ZKS_ESYSTEM     the file cannot be read; the log says why. */
int zks__lockfile_read(const struct zks__place *p, struct zks__server_record *record);

/* zks__lockfile_claim: 0 and the descriptor that has the claim.
 *  ZKS_EBUSY    another process has it; nothing is logged.
 *  ZKS_ESYSTEM */
int zks__lockfile_claim(const struct zks__place *p, int *claim);

/* zks__lockfile_is_ours: whether the file of the claim is still where it was.  What keeps the system from telling is
 * no reason to say no. */
bool zks__lockfile_is_ours(const struct zks__place *p, int claim);

/* zks__lockfile_publish: 0 or ZKS_ESYSTEM. */
int zks__lockfile_publish(const struct zks__place *p, int claim,
                          const struct zks__server_record *record);

/* zks__lockfile_start: as zks__lockfile_claim, of the claim to start a server. */
int zks__lockfile_start(const struct zks__place *p, int *claim);

#endif
