/* SPDX-License-Identifier: Apache-2.0 */
#include "hold_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAME "zksync-hold"

int cli_hold_file_new(size_t size)
{
    int fd = memfd_create(NAME, MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, (off_t)size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool is_hold_file(int folder, const char *fd)
{
    static const char name[] = "/memfd:" NAME " ";
    char target[sizeof name + 16];
    ssize_t len = readlinkat(folder, fd, target, sizeof target);
    return len >= (ssize_t)sizeof name - 1 && memcmp(target, name, sizeof name - 1) == 0;
}

int cli_hold_file_open(pid_t pid)
{
    char path[40];
    struct dirent *entry;
    int found = -1;
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return -1;
    }
    errno = ENOENT;
    while (found < 0 && (entry = readdir(dir)) != NULL) {
        if (is_hold_file(dirfd(dir), entry->d_name)) {
            found = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
        }
    }
    int error = found < 0 && entry == NULL ? ENOENT : errno;
    closedir(dir);
    errno = error;
    return found;
}

enum cli_hold_state cli_hold_file_state(int fd)
{
    uint32_t state = CLI_HOLD_WAITS;
    (void)!pread(fd, &state, sizeof state, 0);
    return (enum cli_hold_state)state;
}

/* The name, in parentheses, may contain anything.  It is the 20th of the fields behind it. */
uint64_t cli_start_time(pid_t pid)
{
    char path[40];
    char text[1024];
    uint64_t start = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    text[len > 0 ? len : 0] = '\0';
    const char *at = strrchr(text, ')');
    for (int field = 0; at != NULL && field < 20; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL && sscanf(at, " %" SCNu64, &start) == 1 ? start : 0;
}
