/* SPDX-License-Identifier: Apache-2.0 */
/* The variables by which systemd(1) addresses one process, such as LISTEN_PID.  They name the process that it has
 * started, so a command of that process would not take them for its own. */
#ifndef ZKS_CLI_SERVICE_H
#define ZKS_CLI_SERVICE_H

#include <sys/types.h>

enum { CLI_SERVICE_VARIABLES = 3, CLI_SERVICE_SIZE = 40 };

/* Variables that are to get the process id of a command that has not been forked yet; "" for none. */
struct cli_service {
    char variables[CLI_SERVICE_VARIABLES][CLI_SERVICE_SIZE];
};

/* cli_service_variable: what a command finds in the place of "NAME=value": the same, a variable of `s` if it names the
 * process `service`, or NULL if it is to be left out. */
char *cli_service_variable(struct cli_service *s, char *variable, pid_t service);

/* cli_service_fill: puts the process id into the variables of `s`.  For a new process: it takes no lock. */
void cli_service_fill(struct cli_service *s, pid_t pid);

#endif
