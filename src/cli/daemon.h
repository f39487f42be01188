/* SPDX-License-Identifier: Apache-2.0 */
/* A process that goes on in the background, with nothing of its starter's. */
#ifndef ZKS_CLI_DAEMON_H
#define ZKS_CLI_DAEMON_H

#include <sys/types.h>

/* cli_daemon: 0 in the new process, which has a session of its own, the folder /, no input, no output, and no
 * descriptor but standard error and *ready_fd: what it writes there says that it is ready.  In the starter the
 * process id, or -1 with errno set. */
pid_t cli_daemon(int *ready_fd);

/* cli_daemon_await: in the starter: waits until it is ready, and prints what it has written; an exit code, its own
 * where it has ended before. */
int cli_daemon_await(pid_t daemon, int ready_fd);

#endif
