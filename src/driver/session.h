/* SPDX-License-Identifier: Apache-2.0 */
/* The session of a client: opened and opened anew, kept up, given up for lost, and what is told of it.
 * All of it is the driver's thread's. */
#ifndef ZKS_DRIVER_SESSION_H
#define ZKS_DRIVER_SESSION_H

#include "driver/client.h"

/* zks__session_event: the handle's state has changed. */
void zks__session_event(struct zks_client *c, const struct zks__message *message);

/* zks__session_answered: a server has answered a call of the present handle's. */
void zks__session_answered(struct zks_client *c, const struct zks__call *call);

/* zks__session_expired: the session is over; a new one begins at once. */
void zks__session_expired(struct zks_client *c);

/* zks__session_moved: see zks__client_move. */
void zks__session_moved(struct zks_client *c, const char *servers, const char *secret);

/* zks__session_over: what comes of the session from now on belongs to an earlier epoch. */
void zks__session_over(struct zks_client *c);

/* zks__session_state: sets the client's state, and tells the listener. */
void zks__session_state(struct zks_client *c, enum zks_client_state state);

/* zks__session_poll: before each wait.  While there is no connection the handle is looked at now and
 * then, to know a time before which it had certainly not asked a server to take the session up: the
 * lease counts from there.  The look before the last one is taken, since this process may have been
 * stopped between reading the clock and reading the state. */
void zks__session_poll(struct zks_client *c);

/* zks__session_on_time: does what is due; zks__session_next_time: when something will be. */
void zks__session_on_time(struct zks_client *c);
uint64_t zks__session_next_time(const struct zks_client *c);

#endif
