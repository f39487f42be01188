/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[CLI_SERVICE_VARIABLES] = {
    "LISTEN_PID=", "WATCHDOG_PID=", "SYSTEMD_EXEC_PID="};

static bool is_number(const char *text, pid_t pid)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%ld", (long)pid);
    return text != NULL && strcmp(text, digits) == 0;
}

char *cli_service_variable(struct cli_service *s, char *variable, pid_t service)
{
    for (size_t i = 0; i < CLI_SERVICE_VARIABLES; i++) {
        size_t len = strlen(names[i]);
        if (strncmp(variable, names[i], len) == 0 && is_number(variable + len, service)) {
            memcpy(s->variables[i], names[i], len + 1);
            return s->variables[i];
        }
    }
    /* It identifies the process of LISTEN_PID by more than its number. */
    bool of_ours = strncmp(variable, "LISTEN_PIDFDID=", 15) == 0;
    return of_ours && is_number(getenv("LISTEN_PID"), service) ? NULL : variable;
}

void cli_service_fill(struct cli_service *s, pid_t pid)
{
    for (size_t i = 0; i < CLI_SERVICE_VARIABLES; i++) {
        char digits[24];
        size_t n = 0;
        char *at = s->variables[i];
        for (long left = pid; *at != '\0' && left > 0; left /= 10) {
            digits[n++] = (char)('0' + left % 10);
        }
        at += strlen(at);
        while (n > 0) {
            *at++ = digits[--n];
        }
    }
}
