/* SPDX-License-Identifier: Apache-2.0 */
/* Which descriptors the program was started with: those, and no others, are the command's to have.
 * libzookeeper's sockets are not marked close-on-exec. */
#ifndef ZKS_CLI_FDS_H
#define ZKS_CLI_FDS_H

#include <stdbool.h>

/* cli_fds_note: called first of all.  Whichever of 0, 1 and 2 is closed is opened to /dev/null, so that
 * nothing of ours can take its place. */
void cli_fds_note(void);

/* cli_fds_close_ours: in a new process: closes all but what was noted, and `keep`; also `also`, although
 * it was noted, unless it is a standard one (-1 for none). */
void cli_fds_close_ours(int keep, int also);

/* cli_fds_close_given: closes what was noted but the standard ones and `keep` (-1 for none). */
void cli_fds_close_given(int keep);

/* cli_fds_null: puts /dev/null in the place of a descriptor; false with errno set where that fails. */
bool cli_fds_null(int fd);

#endif
