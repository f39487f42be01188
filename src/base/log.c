/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The thread that logs is the one that keeps the lease, so a line is lost where it would have to be waited for: a
 * pipe that is full, a terminal that is stopped.  One write that a pipe takes whole, so that lines do not mix. */
static void to_stderr(enum zks_log_level level, const char *line, void *arg)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    (void)level;
    (void)arg;
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0) {
        (void)dprintf(STDERR_FILENO, "%.*s\n", PIPE_BUF - 1, line);
    }
}

void zks__log_choose(zks_log_cb *log, enum zks_log_level *level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const char *value = getenv("ZKSYNC_LOG");
    if (*log != NULL || value == NULL || value[0] == '\0') {
        return;
    }
    *log = to_stderr;
    *level = ZKS_LOG_ERROR;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(value, names[i]) == 0) {
            *level = (enum zks_log_level)(ZKS_LOG_ERROR + i);
            return;
        }
    }
    char text[200];
    (void)snprintf(text, sizeof text,
                   "zksync: ZKSYNC_LOG: \"%.80s\" is not error, warn, info or debug; using error",
                   value);
    to_stderr(ZKS_LOG_ERROR, text, NULL);
}
