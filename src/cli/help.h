/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_CLI_HELP_H
#define ZKS_CLI_HELP_H

/* cli_help: prints the help for a subcommand, or for "" that of all, to standard output; 0. */
int cli_help(const char *command);

#endif
