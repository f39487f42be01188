/* SPDX-License-Identifier: Apache-2.0 */
/* Who is the local server: the file server.lock.
 *
 * Its first byte is locked by the server from its claim to its end.  Its second byte is locked too once the
 * server has written down where it is: only then does the text count, which may be an earlier server's
 * before.  The locks are of the open file (F_OFD_SETLK): to test one does not take it, so nobody who looks
 * is ever in a server's way, and the system lets go of them however the server ends. */
#ifndef ZKS_LOCAL_LOCKFILE_H
#define ZKS_LOCAL_LOCKFILE_H

#include "local/place.h"

struct zks__server_record {
    char address[80];
    char host[72];
    int64_t pid;
    bool open; /* It wants no secret. */
};

enum zks__lockfile_state {
    ZKS__LOCKFILE_NONE,      /* There is no server. */
    ZKS__LOCKFILE_UNSETTLED, /* There is one that is being started, or ended. */
    ZKS__LOCKFILE_SETTLED    /* *record is the server's. */
};

enum zks__lockfile_state zks__lockfile_read(const struct zks__place *p,
                                            struct zks__server_record *record);

/* zks__lockfile_claim: the descriptor that has the claim, or -1: errno is EAGAIN where another has it. */
int zks__lockfile_claim(const struct zks__place *p);

/* zks__lockfile_publish: 0, or -1 with errno set. */
int zks__lockfile_publish(int claim, const struct zks__server_record *record);

/* zks__local_host: what this host is called in a record. */
void zks__local_host(char host[72]);

/* zks__lockfile_try: locks a byte of an open file; false where another has it, or errno is not EAGAIN. */
bool zks__lockfile_try(int fd, int byte);

#endif
