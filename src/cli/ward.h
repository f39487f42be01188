/* SPDX-License-Identifier: Apache-2.0 */
/* The process for which something is held, and no longer than it lives: by a descriptor, which never stands
 * for another process of the same number.  It polls readable when the process has ended. */
#ifndef ZKS_CLI_WARD_H
#define ZKS_CLI_WARD_H

#include <stdbool.h>
#include <sys/types.h>

/* cli_ward_open: the descriptor, or -1 with errno set. */
int cli_ward_open(pid_t pid);

/* cli_ward_signal: false where that is not allowed. */
bool cli_ward_signal(int ward, int sig);

#endif
