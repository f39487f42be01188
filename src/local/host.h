/* SPDX-License-Identifier: Apache-2.0 */
/* Which host, and which container of it, a process runs in. */
#ifndef ZKS_LOCAL_HOST_H
#define ZKS_LOCAL_HOST_H

#include <stdbool.h>

enum { ZKS__HOST_NAME = 72, ZKS__HOST_ID = 40 };

/* Texts without blanks, "-" for one that is not known. */
struct zks__host {
    char name[ZKS__HOST_NAME]; /* It can change while a process runs. */
    char boot[ZKS__HOST_ID];   /* The running kernel, by its boot ID. */
    char net[ZKS__HOST_ID];    /* The network namespace, which 127.0.0.1 belongs to. */
    char pids[ZKS__HOST_ID];   /* The PID namespace. */
};

/* zks__host_get: those of the calling process. */
void zks__host_get(struct zks__host *h);

/* zks__host_same: the same kernel, by its boot ID, or by the host name where /proc does not show that.
 * zks__host_same_net, _same_pids: the same kernel and namespace.  A namespace that is not known counts as
 * the same. */
bool zks__host_same(const struct zks__host *a, const struct zks__host *b);
bool zks__host_same_net(const struct zks__host *a, const struct zks__host *b);
bool zks__host_same_pids(const struct zks__host *a, const struct zks__host *b);

#endif
