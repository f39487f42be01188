/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_CLI_HELP_H
#define ZKS_CLI_HELP_H

#include <stdbool.h>
#include <stddef.h>

/* cli_help: prints the help for a subcommand, or for "" that of all, to standard output.  False if there is
 * none of this name. */
bool cli_help(const char *command);

/* cli_help_command: the i-th name that there is help for; NULL after the last. */
const char *cli_help_command(size_t i);

#endif
