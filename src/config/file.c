/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool zks__config_fail(char *why, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, size, format, arguments);
    va_end(arguments);
    return false;
}

/* Another user who can change the file could name servers of their own. */
static bool is_trusted(const char *path, int fd, uid_t owner, char *why, size_t why_size)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return zks__config_fail(why, why_size, "%s: %s", path, strerror(errno));
    }
    if (S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3)) {
        return true; /* /dev/null: no settings. */
    }
    if (!S_ISREG(info.st_mode)) {
        return zks__config_fail(why, why_size, "%s: not a regular file", path);
    }
    if (info.st_uid != owner && info.st_uid != 0) {
        return zks__config_fail(
            why, why_size,
            "%s: it belongs to user %lu, not to user %lu or root: change its owner, or set "
            "ZKSYNC_CONFIG to the file to use",
            path, (unsigned long)info.st_uid, (unsigned long)owner);
    }
    if ((info.st_mode & 022) != 0) {
        return zks__config_fail(why, why_size, "%s: others can write to it: chmod go-w %s", path,
                                path);
    }
    return true;
}

static char *trim(char *text)
{
    static const char blanks[] = " \t\r\n";
    text += strspn(text, blanks);
    size_t len = strlen(text);
    while (len > 0 && strchr(blanks, text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

static bool take_line(const char *path, char *text, unsigned number, zks__config_line_cb take,
                      void *arg, char *why, size_t why_size)
{
    char what[512] = "";
    char *name = trim(text);
    if (name[0] == '\0' || name[0] == '#') {
        return true;
    }
    char *equals = strchr(name, '=');
    if (equals == NULL) {
        return zks__config_fail(why, why_size,
                                "%s:%u: not a line such as \"servers = host:port\": \"%.80s\"",
                                path, number, name);
    }
    *equals = '\0';
    if (!take(trim(name), trim(equals + 1), number, arg, what, sizeof what)) {
        return zks__config_fail(why, why_size, "%s:%u: %s", path, number, what);
    }
    return true;
}

static bool read_lines(FILE *file, const char *path, zks__config_line_cb take, void *arg, char *why,
                       size_t why_size)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t len = 0;
    bool ok = true;
    errno = 0;
    for (unsigned number = 1; ok && (len = getline(&text, &size, file)) > 0; number++) {
        ok = strlen(text) == (size_t)len
                 ? take_line(path, text, number, take, arg, why, why_size)
                 : zks__config_fail(why, why_size, "%s:%u: the line has a zero byte", path, number);
    }
    if (ok && !feof(file)) {
        ok = zks__config_fail(why, why_size, "%s: %s", path, strerror(errno));
    }
    free(text);
    return ok;
}

/* Whether the nearest folder above that can be looked at belongs to the user. */
static bool is_below_own(const char *path, uid_t owner)
{
    char folder[PATH_MAX];
    struct stat info;
    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strrchr(folder, '/'); slash != NULL && slash > folder;
         slash = strrchr(folder, '/')) {
        *slash = '\0';
        if (lstat(folder, &info) == 0) {
            return info.st_uid == owner;
        }
    }
    return false;
}

/* Whether there is no file.  A folder of somebody else's that the user may not search has none of the user's: system
 * users have homes that are another's, or no folders at all. */
static bool is_absent(const char *path, uid_t owner, int error)
{
    struct stat info;
    if (error == EACCES) {
        return lstat(path, &info) != 0 && !is_below_own(path, owner);
    }
    return (error == ENOENT || error == ENOTDIR) && lstat(path, &info) != 0;
}

static bool cannot_open(const char *path, int error, char *why, size_t why_size)
{
    return error == ENOENT
               ? zks__config_fail(why, why_size, "%s: a symbolic link to nothing", path)
               : zks__config_fail(why, why_size, "%s: %s; to use another file, set ZKSYNC_CONFIG",
                                  path, strerror(error));
}

bool zks__config_read(const char *path, uid_t owner, zks__config_line_cb take, void *arg,
                      bool *exists, char *why, size_t why_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    int error = errno;
    *exists = fd >= 0 || !is_absent(path, owner, error);
    if (file == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return !*exists || cannot_open(path, error, why, why_size);
    }
    bool ok = is_trusted(path, fd, owner, why, why_size) &&
              read_lines(file, path, take, arg, why, why_size);
    (void)fclose(file);
    return ok;
}
