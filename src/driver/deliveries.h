/* SPDX-License-Identifier: Apache-2.0 */
/* What is told to the program by callbacks, on the driver's thread or, where dispatch is manual, in a
 * dispatch: changes of state first, then losses and results in the order in which they came about, so
 * that nobody is told of the loss of what he does not yet know to hold. */
#ifndef ZKS_DRIVER_DELIVERIES_H
#define ZKS_DRIVER_DELIVERIES_H

#include "driver/client.h"

struct zks__machine;

/* zks__tell_state: to the listener.  The client's lock is held. */
void zks__tell_state(struct zks_client *c, enum zks_client_state state);

/* zks__tell_lost, zks__untell_lost: to the owner of the machine, or not any more.  The client's lock
 * is held. */
void zks__tell_lost(struct zks__machine *m);
void zks__untell_lost(struct zks__machine *m);

/* zks__tell_done: to the owner of the operation. */
void zks__tell_done(struct zks_client *c, struct zks_op *op);

/* zks__deliver: runs the callbacks that are due, with no lock held; returns how many. */
int zks__deliver(struct zks_client *c);

/* zks__hand_out: the end of every pass of the driver: delivers, or says that there is something to
 * dispatch. */
void zks__hand_out(struct zks_client *c);

/* zks__in_callback: whether the calling thread runs a callback of any client. */
bool zks__in_callback(void);

#endif
