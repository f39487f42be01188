/* SPDX-License-Identifier: Apache-2.0 */
/* The paths that a word can be completed to, asked of the servers. */
#ifndef ZKS_CLI_COMPLETE_PATH_H
#define ZKS_CLI_COMPLETE_PATH_H

#include "settings.h"

/* cli_complete_path: prints the paths that begin with a word, a line each, with a slash at the end of those
 * below which there are more.  It may end the process. */
void cli_complete_path(struct cli_settings *s, const char *begin);

#endif
