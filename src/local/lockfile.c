/* SPDX-License-Identifier: Apache-2.0 */
#include "local/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CLAIM, WRITTEN, TEXT_MAX = 512 };

static const char file_name[] = "server.lock";

bool zks__lockfile_try(int fd, int byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        return true;
    }
    errno = errno == EACCES ? EAGAIN : errno;
    return false;
}

static bool is_locked(int fd, int byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

void zks__local_host(char host[72])
{
    char name[72] = "";
    (void)gethostname(name, sizeof name - 1);
    (void)snprintf(host, 72, "%.70s", name[0] != '\0' ? name : "-");
}

static bool parse(int fd, struct zks__server_record *record)
{
    char text[TEXT_MAX];
    char mode[8];
    long long pid;
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    if (sscanf(text, "address %79s\npid %lld\nhost %71s\naccess %7s\n", record->address, &pid,
               record->host, mode) != 4 ||
        pid <= 0) {
        return false;
    }
    record->pid = pid;
    record->open = strcmp(mode, "open") == 0;
    return true;
}

enum zks__lockfile_state zks__lockfile_read(const struct zks__place *p,
                                            struct zks__server_record *record)
{
    enum zks__lockfile_state state = ZKS__LOCKFILE_NONE;
    int fd = zks__place_open(p, file_name, O_RDONLY);
    if (fd < 0) {
        return state;
    }
    if (is_locked(fd, WRITTEN) && parse(fd, record)) {
        state = ZKS__LOCKFILE_SETTLED;
    } else if (is_locked(fd, CLAIM)) {
        state = ZKS__LOCKFILE_UNSETTLED;
    }
    (void)close(fd);
    return state;
}

int zks__lockfile_claim(const struct zks__place *p)
{
    int fd = zks__place_open(p, file_name, O_RDWR | O_CREAT);
    if (fd >= 0 && !zks__lockfile_try(fd, CLAIM)) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int zks__lockfile_publish(int claim, const struct zks__server_record *record)
{
    char text[TEXT_MAX];
    int len =
        snprintf(text, sizeof text, "address %s\npid %lld\nhost %s\naccess %s\n", record->address,
                 (long long)record->pid, record->host, record->open ? "open" : "secret");
    return len > 0 && (size_t)len < sizeof text && ftruncate(claim, 0) == 0 &&
                   pwrite(claim, text, (size_t)len, 0) == len && zks__lockfile_try(claim, WRITTEN)
               ? 0
               : -1;
}
