/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor for standard error that does not block: a pipe or a terminal is opened anew for that.  For a
 * regular file, or where it cannot be opened, it is standard error itself. */
static int open_again(mode_t type)
{
    int fd = S_ISFIFO(type) || S_ISCHR(type)
                 ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
                 : -1;
    return fd >= 0 ? fd : STDERR_FILENO;
}

/* The logging thread also keeps the lease, so it must not block: a line that standard error does not take at
 * once is dropped.  A line is one write that a pipe takes whole, so that lines do not mix. */
static void to_stderr(enum zks_log_level level, const char *line, void *arg)
{
    char text[PIPE_BUF];
    struct stat info;
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    int len = snprintf(text, sizeof text, "%.*s\n", PIPE_BUF - 2, line);
    (void)level;
    (void)arg;
    if (fstat(STDERR_FILENO, &info) != 0 || poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) {
        return;
    }
    if (S_ISSOCK(info.st_mode)) {
        (void)send(STDERR_FILENO, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    int fd = open_again(info.st_mode);
    (void)!write(fd, text, (size_t)len);
    if (fd != STDERR_FILENO) {
        (void)close(fd);
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
