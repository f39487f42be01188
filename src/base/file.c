/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <sys/stat.h>

bool zks__file_is_at(int fd, const char *path)
{
    struct stat there;
    struct stat ours;
    if (fstat(fd, &ours) != 0) {
        return true;
    }
    if (stat(path, &there) != 0) {
        return errno != ENOENT && errno != ENOTDIR;
    }
    return there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}
