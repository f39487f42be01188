/* SPDX-License-Identifier: Apache-2.0 */
/* The log that the environment asks for: ZKSYNC_LOG=error, warn, info or debug.  It is in both libraries. */
#ifndef ZKS_BASE_LOG_H
#define ZKS_BASE_LOG_H

#include "zksync/client.h"

/* zks__log_choose: if there is no log and ZKSYNC_LOG is set, the log becomes standard error. */
void zks__log_choose(zks_log_cb *log, enum zks_log_level *level);

#endif
