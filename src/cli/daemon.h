/* SPDX-License-Identifier: Apache-2.0 */
/* A process that goes on in the background, with nothing of its starter's. */
#ifndef ZKS_CLI_DAEMON_H
#define ZKS_CLI_DAEMON_H

#include <sys/types.h>

/* cli_daemon_fork: fork() with a pipe: what the new process writes to *ready_fd says that it is ready.  SIGCHLD gets
 * its default action first: if a parent has had it ignored, nobody could learn the exit code.  0 in the new process,
 * its process id in the starter, or -1 with errno set. */
pid_t cli_daemon_fork(int *ready_fd);

/* cli_daemon: cli_daemon_fork, and 0 in the new process, which has a session of its own, the folder /, no input, no output, and no
 * descriptor but standard error and *ready_fd. */
pid_t cli_daemon(int *ready_fd);

/* cli_daemon_await: in the starter: waits until it is ready, and prints what it has written; an exit code, its own
 * where it has ended before.  CLI_SYSTEM, with the process alive, if that cannot be printed. */
int cli_daemon_await(pid_t daemon, int ready_fd);

#endif
