/* SPDX-License-Identifier: Apache-2.0 */
/* Markers: the variable ZKSYNC_HELD has a line "servers<TAB>path" for each lock that a process runs under. */
#ifndef ZKS_CLI_MARKER_H
#define ZKS_CLI_MARKER_H

#include "job.h"

/* cli_marker_find: whether the environment has a marker for the job's lock. */
bool cli_marker_find(const struct cli_job *job);

/* cli_marker_add: the value of ZKSYNC_HELD with a marker for the job's lock added.  The caller frees it; NULL
 * if there is no memory. */
char *cli_marker_add(const struct cli_job *job);

#endif
