/* SPDX-License-Identifier: Apache-2.0 */
/* The participant of a double barrier that has the id of another. */
#ifndef ZKS_CLI_NAMESAKE_H
#define ZKS_CLI_NAMESAKE_H

#include "zksync/zksync.h"

#include "settings.h"

/* cli_namesake: that the id is in use, and as far as known by which participant.  Asks the servers, for
 * at most `limit_ms`. */
void cli_namesake(zks_client *client, const char *path, const char *id, int64_t limit_ms,
                  char message[CLI_MESSAGE_SIZE]);

#endif
