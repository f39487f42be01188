/* SPDX-License-Identifier: Apache-2.0 */
/* Which process is the local server: the file server.lock.
 *
 * Its first byte is locked by the server from its claim to its end.  Its second byte is locked too once the
 * server has written down where it is: only then does the text count, which may be an earlier server's
 * before.  The locks are of the open file (F_OFD_SETLK): to test one does not take it, so nobody who looks
 * is ever in a server's way, and the system lets go of them however the server ends.
 *
 * server.lock is gone when the folder has been removed or renamed, though its server still serves.  So the
 * server locks a file beside the folder in the same way, where it can: no other server of the folder can
 * start before that lock has gone as well.  That file also records the longest lease of the server's clients and the
 * data folder, for a successor that starts after the server was killed and its folder removed. */
#ifndef ZKS_LOCAL_LOCKFILE_H
#define ZKS_LOCAL_LOCKFILE_H

#include <stdbool.h>

#include "local/host.h"
#include "local/place.h"

enum { ZKS__DATA_ID = 48 };

struct zks__server_record {
    char address[80];
    struct zks__host host;
    int64_t pid; /* In the server's PID namespace. */
    bool open;   /* It wants no secret. */

    /* Only in the file next to the folder. */
    char data[ZKS__DATA_ID]; /* Identifies the data folder; "-" if unknown. */
    int64_t lease_ms;        /* The longest lease of its clients. */
    int64_t until_ms;        /* When that expires, by zks_clock_ms(); 0 while it runs. */
};

struct zks__claim {
    int file;
    int beside; /* -1 where that file cannot be had. */
    int alive;  /* See alive.h. */
};

#define ZKS__CLAIM_INIT                                                                            \
    {                                                                                              \
        -1, -1, -1                                                                                 \
    }

/* zks__lockfile_read: 0 and the record of the server that runs, or
 *  ZKS__NONE       none runs.
 *  ZKS__UNSETTLED  one is being started or ended.
 *  ZKS_ESYSTEM     the file cannot be read; the log says why.
 * zks__lockfile_read_beside: the same for the file next to the folder; ZKS__NONE if it cannot be read.  If there is no
 * such file, but the abstract socket of a server (alive.h), ZKS__UNSETTLED. */
int zks__lockfile_read(const struct zks__place *p, struct zks__server_record *record);
int zks__lockfile_read_beside(const struct zks__place *p, struct zks__server_record *record);

/* zks__lockfile_read_former: the record of the last server in the file next to the folder; false if there is none, or if
 * the host was restarted since. */
bool zks__lockfile_read_former(const struct zks__place *p, struct zks__server_record *record);

/* zks__lockfile_claim: of a claim that was ZKS__CLAIM_INIT.  Also after an error it is to be released.
 *  ZKS_EBUSY    another process has it; nothing is logged.
 *  ZKS_ESYSTEM
 * zks__lockfile_release: also of what a forked child has a copy of. */
int zks__lockfile_claim(const struct zks__place *p, struct zks__claim *claim);
void zks__lockfile_release(struct zks__claim *claim);

/* zks__lockfile_is_ours: whether server.lock is still where it was.  What keeps the system from telling is no
 * reason to say no. */
bool zks__lockfile_is_ours(const struct zks__place *p, const struct zks__claim *claim);

/* zks__lockfile_publish: 0 or ZKS_ESYSTEM.
 * zks__lockfile_write_beside: writes only the file next to the folder; false if that fails. */
int zks__lockfile_publish(const struct zks__place *p, const struct zks__claim *claim,
                          const struct zks__server_record *record);
bool zks__lockfile_write_beside(const struct zks__claim *claim,
                                const struct zks__server_record *record);

/* zks__lockfile_start: 0 and a descriptor that has the claim to start a server, or as zks__lockfile_claim.
 * zks__lockfile_started: gives that up.
 * zks__lockfile_note: replaces the text of the claimed file.
 * zks__lockfile_read_note: reads it; "" if there is none. */
int zks__lockfile_start(const struct zks__place *p, int *claim);
void zks__lockfile_started(int claim);
void zks__lockfile_note(int claim, const char *text);
void zks__lockfile_read_note(int claim, char *text, size_t size);

#endif
