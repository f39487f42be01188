/* SPDX-License-Identifier: Apache-2.0 */
#include "local/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "local/alive.h"

enum { CLAIM, WRITTEN, TEXT_MAX = 512 };

static const char server_lock[] = "server.lock";
static const char start_lock[] = "start.lock";

/* False with errno set: EAGAIN where another open file has the lock. */
static bool lock(int fd, int byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        return true;
    }
    errno = errno == EACCES ? EAGAIN : errno;
    return false;
}

/* 1 or 0, or -1 with errno set. */
static int is_locked(int fd, int byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) != 0 ? -1 : lock.l_type != F_UNLCK;
}

static bool read_text(int fd, char text[TEXT_MAX])
{
    ssize_t len = pread(fd, text, TEXT_MAX - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    return len >= 0;
}

static bool parse(const char *text, struct zks__server_record *record)
{
    char mode[8];
    long long pid = 0;
    long long lease_ms = 0;
    long long until_ms = 0;
    struct zks__host *h = &record->host;
    (void)snprintf(record->data, sizeof record->data, "-");
    int found =
        sscanf(text,
               "address %79s\npid %lld\nhost %71s\nboot %39s\nnet %39s\npids %39s\naccess %7s\n"
               "data %47s\nlease %lld\nuntil %lld\n",
               record->address, &pid, h->name, h->boot, h->net, h->pids, mode, record->data,
               &lease_ms, &until_ms);
    record->pid = pid;
    record->lease_ms = lease_ms < 0 ? 0 : lease_ms > INT32_MAX ? INT32_MAX : lease_ms;
    record->until_ms = until_ms;
    record->open = found >= 7 && strcmp(mode, "open") == 0;
    return found >= 7 && pid > 0;
}

/* What is not known is never an answer: a lock that cannot be tested is not free. */
static int read_record(int fd, struct zks__server_record *record)
{
    char text[TEXT_MAX];
    int written = is_locked(fd, WRITTEN);
    if (written < 0 || (written > 0 && !read_text(fd, text))) {
        return ZKS_ESYSTEM;
    }
    if (written > 0 && parse(text, record)) {
        return 0;
    }
    int claimed = is_locked(fd, CLAIM);
    return claimed < 0 ? ZKS_ESYSTEM : claimed > 0 ? ZKS__UNSETTLED : ZKS__NONE;
}

int zks__lockfile_read(const struct zks__place *p, struct zks__server_record *record)
{
    int fd = zks__place_open(p, server_lock, O_RDONLY);
    if (fd < 0) {
        return errno == ENOENT ? ZKS__NONE : zks__place_fails(p, server_lock, "cannot be read");
    }
    int rc = read_record(fd, record);
    if (rc == ZKS_ESYSTEM) {
        (void)zks__place_fails(p, server_lock, "cannot be read");
    }
    (void)close(fd);
    return rc;
}

/* Another user may have made it where everybody may make files: then it says nothing. */
static int open_beside(const struct zks__place *p, int flags)
{
    zks__place_path path;
    struct stat info;
    int fd = zks__place_open_path(zks__place_beside(p, path), flags);
    if (fd >= 0 && (fstat(fd, &info) != 0 || info.st_uid != geteuid())) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

int zks__lockfile_read_beside(const struct zks__place *p, struct zks__server_record *record)
{
    int fd = open_beside(p, O_RDONLY);
    int rc = fd >= 0 ? read_record(fd, record) : ZKS__NONE;
    if (fd >= 0) {
        (void)close(fd);
    }
    bool none = rc == ZKS__NONE || rc == ZKS_ESYSTEM;
    return !none ? rc : zks__alive_is(p) ? ZKS__UNSETTLED : ZKS__NONE;
}

/* No client survives a restart of the host. */
static bool has_ended(const struct zks__host *h)
{
    struct zks__host here;
    zks__host_get(&here);
    return strcmp(h->name, here.name) == 0 && !zks__host_same(h, &here);
}

bool zks__lockfile_read_former(const struct zks__place *p, struct zks__server_record *record)
{
    char text[TEXT_MAX];
    int fd = open_beside(p, O_RDONLY);
    bool read = fd >= 0 && read_text(fd, text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return read && parse(text, record) && !has_ended(&record->host);
}

/* ---- Claims ---- */

/* A child that was forked may still have the descriptor, so it is not the close that unlocks. */
static void unlock(int fd)
{
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    if (fd >= 0) {
        (void)fcntl(fd, F_OFD_SETLK, &all);
        (void)close(fd);
    }
}

static int claim_file(const struct zks__place *p, const char *name, int *claim)
{
    int fd = zks__place_open(p, name, O_RDWR | O_CREAT);
    if (fd < 0) {
        return zks__place_fails(p, name, "cannot be opened");
    }
    if (!lock(fd, CLAIM)) {
        int rc = errno == EAGAIN ? ZKS_EBUSY : zks__place_fails(p, name, "cannot be locked");
        (void)close(fd);
        return rc;
    }
    *claim = fd;
    return 0;
}

/* Where it cannot be had at all, as in a folder that is root's, the other one has to do. */
static int claim_beside(const struct zks__place *p, int *claim)
{
    int fd = open_beside(p, O_RDWR | O_CREAT);
    if (fd >= 0 && !lock(fd, CLAIM)) {
        int error = errno;
        (void)close(fd);
        fd = -1;
        if (error == EAGAIN) {
            return ZKS_EBUSY;
        }
    }
    *claim = fd;
    return 0;
}

int zks__lockfile_claim(const struct zks__place *p, struct zks__claim *claim)
{
    int rc = claim_beside(p, &claim->beside);
    rc = rc == 0 ? claim_file(p, server_lock, &claim->file) : rc;
    return rc == 0 ? zks__alive_claim(p, &claim->alive) : rc;
}

bool zks__lockfile_is_ours(const struct zks__place *p, const struct zks__claim *claim)
{
    zks__place_path path;
    return zks__file_is_at(claim->file, zks__place_file(p, server_lock, path));
}

void zks__lockfile_release(struct zks__claim *claim)
{
    unlock(claim->file);
    unlock(claim->beside);
    zks__alive_release(claim->alive);
    *claim = (struct zks__claim)ZKS__CLAIM_INIT;
}

int zks__lockfile_start(const struct zks__place *p, int *claim)
{
    return claim_file(p, start_lock, claim);
}

void zks__lockfile_started(int claim)
{
    unlock(claim);
}

/* A write beyond RLIMIT_FSIZE would raise SIGXFSZ. */
void zks__lockfile_note(int claim, const char *text)
{
    struct rlimit limit;
    size_t len = strlen(text);
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur < len) {
        return;
    }
    (void)!pwrite(claim, text, len, 0);
    (void)!ftruncate(claim, (off_t)len);
}

void zks__lockfile_read_note(int claim, char *text, size_t size)
{
    ssize_t len = pread(claim, text, size - 1, 0);
    text[len > 0 ? len : 0] = '\0';
}

/* The length, 0 if it does not fit. */
static size_t format(char text[TEXT_MAX], const struct zks__server_record *record)
{
    const struct zks__host *h = &record->host;
    int len = snprintf(text, TEXT_MAX,
                       "address %s\npid %lld\nhost %s\nboot %s\nnet %s\npids %s\naccess %s\n",
                       record->address, (long long)record->pid, h->name, h->boot, h->net, h->pids,
                       record->open ? "open" : "secret");
    return len > 0 && len < TEXT_MAX ? (size_t)len : 0;
}

/* In this order a full disk has room for it if it had room for the last one. */
static bool write_text(int fd, const char *text, size_t len)
{
    return pwrite(fd, text, len, 0) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0;
}

bool zks__lockfile_write_beside(const struct zks__claim *claim,
                                const struct zks__server_record *record)
{
    char text[TEXT_MAX];
    size_t len = format(text, record);
    int more = snprintf(text + len, sizeof text - len, "data %s\nlease %lld\nuntil %lld\n",
                        record->data, (long long)record->lease_ms, (long long)record->until_ms);
    return claim->beside < 0 || write_text(claim->beside, text, len + (size_t)more);
}

int zks__lockfile_publish(const struct zks__place *p, const struct zks__claim *claim,
                          const struct zks__server_record *record)
{
    char text[TEXT_MAX];
    size_t len = format(text, record);
    if (claim->beside >= 0) {
        (void)lock(claim->beside, WRITTEN);
    }
    errno = ENOSPC; /* Of a write that is cut off. */
    return len > 0 && write_text(claim->file, text, len) && lock(claim->file, WRITTEN)
               ? 0
               : zks__place_fails(p, server_lock, "cannot be written");
}
