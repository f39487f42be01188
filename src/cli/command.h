/* SPDX-License-Identifier: Apache-2.0 */
/* The command: how it is started, and what it finds in its environment. */
#ifndef ZKS_CLI_COMMAND_H
#define ZKS_CLI_COMMAND_H

#include "job.h"

/* What a command, or the shell that evals, is told. */
struct cli_facts {
    const char *path; /* As the user can give it. */
    const char *node;
    uint64_t token; /* 0 for a double barrier. */
    const char *id; /* Of a participant of a double barrier. */
};

/* cli_command_start: returns its process id, in a group of its own and with `terminal_now` in the
 * foreground, or -1 with errno set.  It dies with the thread that calls this.  *exec_fd becomes a pipe that
 * ends once the command itself runs; see cli_command_exec_error. */
pid_t cli_command_start(const struct cli_job *job, const struct cli_facts *facts, bool terminal_now,
                        int *exec_fd);

/* cli_command_exec_error: what the pipe, which polls readable, has brought: 0, or the errno for which the
 * command could not be run. */
int cli_command_exec_error(int exec_fd);

/* cli_command_exports: the same facts, and which process holds it, as commands that sh, bash, dash, zsh and fish
 * all take.  The caller frees the text; NULL if there is no memory. */
char *cli_command_exports(const struct cli_job *job, const struct cli_facts *facts, pid_t holder);

#endif
