/* SPDX-License-Identifier: Apache-2.0 */
/* zksync: locks and barriers for processes on many hosts, on Apache ZooKeeper. */
#ifndef ZKSYNC_ZKSYNC_H
#define ZKSYNC_ZKSYNC_H

#include "zksync/barrier.h"
#include "zksync/client.h"
#include "zksync/config.h"
#include "zksync/double_barrier.h"
#include "zksync/err.h"
#include "zksync/local.h"
#include "zksync/observer.h"
#include "zksync/op.h"
#include "zksync/rwlock.h"

#define ZKS_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* zks_version: the version of the library that runs, "0.1.0".  Since 0.1. */
ZKS_EXPORT const char *zks_version(void);

#ifdef __cplusplus
}
#endif
#endif
