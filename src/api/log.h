/* SPDX-License-Identifier: Apache-2.0 */
/* The log that the environment asks for: ZKSYNC_LOG=error, warn, info or debug. */
#ifndef ZKS_API_LOG_H
#define ZKS_API_LOG_H

#include "zksync/client.h"

/* zks__log_choose: if the options have no log and ZKSYNC_LOG is set, the log is standard error. */
void zks__log_choose(zks_client_options *options);

#endif
