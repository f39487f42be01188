/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zksync/config.h"

bool zks_read_private(const char *path, char *line, size_t size, char *why, size_t why_size)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    line[0] = '\0';
    if (file == NULL || fstat(fd, &info) != 0) {
        (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
        if (file != NULL) {
            (void)fclose(file);
        } else if (fd >= 0) {
            (void)close(fd);
        }
        return false;
    }
    if (S_ISREG(info.st_mode) && (info.st_mode & 077) != 0) {
        (void)fclose(file);
        (void)snprintf(why, why_size, "%s: others have access to it: chmod 600 %s", path, path);
        return false;
    }
    errno = 0;
    bool got = fgets(line, (int)size, file) != NULL;
    bool failed = ferror(file) != 0;
    if (failed) {
        (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
    }
    (void)fclose(file);
    line[got && !failed ? strcspn(line, "\r\n") : 0] = '\0';
    return !failed;
}
