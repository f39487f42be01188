/* SPDX-License-Identifier: Apache-2.0 */
/* Job control.  The command has a process group of its own, so that signals for it reach nobody else;
 * on a terminal that group must be the one in the foreground while the job is. */
#ifndef ZKS_CLI_TERMINAL_H
#define ZKS_CLI_TERMINAL_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* cli_terminal_open: the controlling terminal, or -1. */
int cli_terminal_open(void);

/* cli_terminal_ours: whether our own process group is in the foreground. */
bool cli_terminal_ours(int terminal);

/* cli_terminal_at_once: whether the command is to be put into the foreground when it starts.  Where we
 * are alone in our job it is, so that Ctrl-C is the command's alone.  Where others are in it, as in a
 * pipeline or a script, the terminal's signals go to all of them, and the command gets the terminal once
 * it wants to use it. */
bool cli_terminal_at_once(int terminal);

/* cli_terminal_give: puts a group into the foreground.  SIGTTOU must be blocked.
 * cli_terminal_take: the same for our own, where that group is in it. */
void cli_terminal_give(int terminal, pid_t group);
void cli_terminal_take(int terminal, pid_t group);

/* cli_stop_self: stops this process, and where `all` is true its group, by a signal that is blocked;
 * returns when it goes on, or at once where the system does not let it stop. */
void cli_stop_self(int sig, bool all);

/* cli_die_by: ends the program by a signal. */
_Noreturn void cli_die_by(int sig);

#endif
