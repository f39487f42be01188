/* SPDX-License-Identifier: Apache-2.0 */
/* While it is held: the command is run, its lease is watched, and it is ended before that runs out. */
#ifndef ZKS_CLI_SUPERVISE_H
#define ZKS_CLI_SUPERVISE_H

#include "intake.h"

/* cli_supervise: runs the command to its end, or holds without one as long as is wanted.  The exit code. */
int cli_supervise(struct cli_keeper *k);

/* cli_supervise_tell_lost: says that it is lost, where nothing is to be ended for it. */
void cli_supervise_tell_lost(struct cli_keeper *k, const char *what);

#endif
