/* SPDX-License-Identifier: Apache-2.0 */
/* How long a session has been without an answer from the servers, and when it is given up.
 *
 * "Expired" comes only from a server that takes the connection.  Some never do: servers that have lost
 * their data close each connection of a client that has seen more than they have, and one that cannot
 * take what the client sends first on a connection, its watches, closes that connection each time while
 * the session lives on.  So a session that has not been answered for long is given up, and a new one
 * begun.  The servers may know the old one for another session timeout; to the new session its znodes
 * are those of another one.
 *
 * How long is long: three session timeouts since the last connection that had an answer.  After the first one
 * nothing that was held can still be held.  The other two leave time for a session that the servers would
 * take up again: for an election, and for libzookeeper, which waits for up to two thirds of a timeout for
 * each server that does not answer, to come past the three that a working ensemble of seven can lack.
 * Where servers have taken the session up and closed each of the connections before any answer, three
 * times in a row, they are there and waiting helps nobody: then one session timeout is enough. */
#ifndef ZKS_DRIVER_OUTAGE_H
#define ZKS_DRIVER_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

struct zks__outage {
    uint64_t
        since_ms; /* When the last connection that had an answer was lost; 0 while there is none. */
    unsigned cuts; /* Connections since then that were lost before any answer. */
    bool heard;    /* The present connection has had an answer. */
};

/* All zero at the beginning of a session. */
void zks__outage_connected(struct zks__outage *o);
void zks__outage_answered(struct zks__outage *o);
void zks__outage_cut(struct zks__outage *o, uint64_t now_ms);

/* zks__outage_over_ms: when a session with this timeout is given up unless it is connected then. */
uint64_t zks__outage_over_ms(const struct zks__outage *o, uint32_t timeout_ms);

#endif
