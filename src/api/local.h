/* SPDX-License-Identifier: Apache-2.0 */
/* The user's local server as a client's servers: found or started when the client is opened, and again each
 * time the client has lost its connection, since no other process may ever look. */
#ifndef ZKS_API_LOCAL_H
#define ZKS_API_LOCAL_H

#include "driver/client.h"

/* zks__local_open: finds or starts the server, and sets c->options.servers.  As zks_local_start.
 * zks__local_secret: what that server wants; "" for nothing.
 * zks__local_keep: starts the thread that finds or starts it again; 0 or an errno value.  Both do
 * nothing for a client of other servers.
 * zks__local_end: ends that thread, at once.  NULL is fine.
 * zks__local_free: after the driver has ended. */
int zks__local_open(zks_client *c);
const char *zks__local_secret(const struct zks__local_server *s);
int zks__local_keep(zks_client *c);
void zks__local_end(struct zks__local_server *s);
void zks__local_free(struct zks__local_server *s);

#endif
