/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands.  Each gets its name and what follows it, and returns the exit code. */
#ifndef ZKS_CLI_COMMANDS_H
#define ZKS_CLI_COMMANDS_H

#include "settings.h"

int cli_lock(struct cli_settings *s, int argc, char **argv);
int cli_barrier(struct cli_settings *s, int argc, char **argv);
int cli_double_barrier(struct cli_settings *s, int argc, char **argv);
int cli_hold(struct cli_settings *s, int argc, char **argv);
int cli_release(struct cli_settings *s, int argc, char **argv);
int cli_held(struct cli_settings *s, int argc, char **argv);
int cli_status(struct cli_settings *s, int argc, char **argv);
int cli_ls(struct cli_settings *s, int argc, char **argv);
int cli_watch(struct cli_settings *s, int argc, char **argv);
int cli_break(struct cli_settings *s, int argc, char **argv);
int cli_ping(struct cli_settings *s, int argc, char **argv);
int cli_serve(struct cli_settings *s, int argc, char **argv);
int cli_config(struct cli_settings *s, int argc, char **argv);
int cli_completion(struct cli_settings *s, int argc, char **argv);
int cli_show_help(struct cli_settings *s, int argc, char **argv);
int cli_show_version(struct cli_settings *s, int argc, char **argv);

/* cli_hold_failed: a shell that evaluates nothing succeeds, and would go on without the lock.  If the words have -b
 * and the code is a failure, prints a command that fails with it in sh and in fish; returns the code. */
int cli_hold_failed(int argc, char **argv, int code);

/* Of the completions' own: prints the paths that begin with a word. */
int cli_complete(struct cli_settings *s, int argc, char **argv);

#endif
