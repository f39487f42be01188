/* SPDX-License-Identifier: Apache-2.0 */
/* How much of the servers a session may take up, in bytes of paths: its ephemeral znodes, and its watches.
 *
 * The servers remove a session's ephemerals in one transaction, which has all of their paths.  They write one
 * that is too large to their logs, and cannot read it any more: with jute.maxbuffer at its default of
 * 1,048,575 bytes the limit is about twice that, and beyond it a whole ensemble of 3.8.0 stays down
 * (ZOOKEEPER-4306).  libzookeeper sends all of a session's watches in one request whenever it reconnects, and a
 * server closes the connection over one that is above jute.maxbuffer, each time (ZOOKEEPER-706).
 *
 * So a create that would exceed the limit is refused, and so is a request that would set one watch too many.
 * What a machine may own is counted when it asks for it, and counts until it is known what there is.
 * A holder's watch on its own znode is left out instead where there is no room: it looks now and then.
 *
 * Machines with znodes of their own are bounded by these, so that their watches may take half as much
 * again: one that waits in a queue is not refused a watch because there are many observers.
 *
 * The driver's thread's. */
#ifndef ZKS_DRIVER_QUOTA_H
#define ZKS_DRIVER_QUOTA_H

#include "driver/client.h"

/* zks__quota_admit: 0, or ZKS_ELIMIT for a request of the machine's that would exceed the limit.  What it may
 * create counts from then on.  `req->watch` is unset where the watch is left out. */
int zks__quota_admit(struct zks__machine *m, struct zks__req *req);

/* zks__quota_recount: the machine has taken a step, and may know now what it owns. */
void zks__quota_recount(struct zks__machine *m);

/* zks__quota_release: the machine goes away. */
void zks__quota_release(struct zks__machine *m);

#endif
