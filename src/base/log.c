/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void to_stderr(enum zks_log_level level, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    (void)dprintf(STDERR_FILENO, "%s\n", line); /* One write, so that lines do not mix. */
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
    (void)dprintf(STDERR_FILENO,
                  "zksync: ZKSYNC_LOG: \"%s\" is not error, warn, info or debug; using error\n",
                  value);
}
