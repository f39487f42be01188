/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 512 };

static int file = -1;

void journal_open(const char *path)
{
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) {
        fprintf(stderr, "participant: %s: %s\n", path, strerror(errno));
        exit(2);
    }
}

uint64_t journal_now(void)
{
    struct timespec now = {0};
    syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void journal(uint64_t at, const char *role, unsigned number, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    int head = snprintf(line, sizeof(line), "%" PRIu64 " %s %u ", at, role, number);
    va_list values;
    va_start(values, format);
    int length = vsnprintf(line + head, sizeof(line) - (size_t)head, format, values);
    va_end(values);
    if (head + length + 1 >= LINE_MAX_BYTES) {
        abort(); /* A line that is cut off would be a wrong history. */
    }
    line[head + length] = '\n';
    size_t size = (size_t)(head + length) + 1;
    if (write(file, line, size) != (ssize_t)size) {
        abort();
    }
}
