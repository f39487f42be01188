/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* ---- Sentences ---- */

static int error_of(int number)
{
    switch (number) {
    case EACCES:
    case EPERM:
        return ZKS__J_ACCESS;
    case ENOMEM:
        return ZKS__J_NOMEM;
    default:
        return ZKS__J_SYSTEM;
    }
}

bool zks__is_full(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

/* The path is what is cut where it is long, not what to do. */
int zks__store_fails(const struct zks__store *s, const char *name, const char *done,
                     char why[ZKS__WHY_SIZE])
{
    int number = errno;
    (void)snprintf(why, ZKS__WHY_SIZE, "%s%.280s%s%s cannot be %s: %s%s",
                   zks__is_full(number) ? "the disk is full: " : "", s->path,
                   name != NULL ? "/" : "", name != NULL ? name : "", done, strerror(number),
                   zks__is_full(number) ? "; make room and start the server again" : "");
    return error_of(number);
}

int zks__store_damaged(const struct zks__store *s, const char *name, uint64_t at, const char *what,
                       char why[ZKS__WHY_SIZE])
{
    (void)snprintf(why, ZKS__WHY_SIZE,
                   "%.200s/%s is damaged at offset %" PRIu64
                   ": %s; put the folder back from a copy, or move it away to begin with nothing",
                   s->path, name, at, what);
    return ZKS__J_DAMAGED;
}

int zks__store_no_memory(char why[ZKS__WHY_SIZE])
{
    (void)snprintf(why, ZKS__WHY_SIZE, "there is not enough memory");
    return ZKS__J_NOMEM;
}

/* ---- The folder ---- */

/* A sync that failed may not be tried again: what it could not write may be gone.  One that a signal has
 * broken off has not failed. */
bool zks__sync_file(int fd)
{
    int rc;
    do {
        rc = fsync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0;
}

bool zks__sync_data(int fd)
{
    int rc;
    do {
        rc = fdatasync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0;
}

/* The entry of the folder itself is in the one above, which one may not be able to read. */
static int sync_above(const struct zks__store *s, char why[ZKS__WHY_SIZE])
{
    int fd = openat(s->folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || zks__sync_file(fd) || errno == EINVAL
                 ? 0
                 : zks__store_fails(s, NULL, "synced", why);
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

static int take(struct zks__store *s, char why[ZKS__WHY_SIZE])
{
    if (mkdir(s->path, 0700) != 0 && errno != EEXIST) {
        return zks__store_fails(s, NULL, "made", why);
    }
    s->folder = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder < 0) {
        return zks__store_fails(s, NULL, "opened", why);
    }
    /* It stays there for good: who removes a lock takes it from somebody who has just opened it. */
    s->lock = openat(s->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0) {
        return zks__store_fails(s, "lock", "opened", why);
    }
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return zks__store_fails(s, "lock", "locked", why);
        }
        (void)snprintf(why, ZKS__WHY_SIZE,
                       "another server has %.300s; stop that one, or choose another folder",
                       s->path);
        return ZKS__J_INUSE;
    }
    return sync_above(s, why);
}

int zks__store_open(struct zks__store *s, const char *path, const struct zks__mem *mem,
                    char why[ZKS__WHY_SIZE])
{
    size_t size = strlen(path) + 1;
    *s = (struct zks__store){.mem = mem, .folder = -1, .lock = -1};
    s->path = zks__mem_alloc(mem, size);
    if (s->path == NULL) {
        return zks__store_no_memory(why);
    }
    memcpy(s->path, path, size);
    int rc = take(s, why);
    if (rc != 0) {
        zks__store_close(s);
    }
    return rc;
}

/* The inode and birth time of its lock file, which is never replaced.  If the file system records no birth time, a
 * folder created after this one was removed can get the same inode, and so the same ID. */
void zks__store_id(const struct zks__store *s, char id[ZKS__FOLDER_ID])
{
    struct statx info = {.stx_ino = 0};
    struct stat plain;
    if (statx(s->lock, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0 &&
        fstat(s->lock, &plain) == 0) {
        info.stx_ino = plain.st_ino;
    }
    (void)snprintf(id, ZKS__FOLDER_ID, "%llu.%lld.%u", (unsigned long long)info.stx_ino,
                   (long long)info.stx_btime.tv_sec, info.stx_btime.tv_nsec);
}

int zks__store_check(const struct zks__store *s, char why[ZKS__WHY_SIZE])
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/lock", s->path);
    if (len >= (int)sizeof path || zks__file_is_at(s->lock, path)) {
        return 0;
    }
    (void)snprintf(why, ZKS__WHY_SIZE, "%.300s has been removed, renamed or replaced", s->path);
    return ZKS__J_GONE;
}

/* A child that was forked may still have the descriptor, so it is not the close that unlocks. */
void zks__store_close(struct zks__store *s)
{
    if (s->lock >= 0) {
        (void)flock(s->lock, LOCK_UN);
        (void)close(s->lock);
    }
    if (s->folder >= 0) {
        (void)close(s->folder);
    }
    if (s->path != NULL) {
        zks__mem_free(s->mem, s->path);
    }
    *s = (struct zks__store){.folder = -1, .lock = -1};
}

int zks__store_sync(const struct zks__store *s, char why[ZKS__WHY_SIZE])
{
    return zks__sync_file(s->folder) ? 0 : zks__store_fails(s, NULL, "synced", why);
}

int zks__store_remove(const struct zks__store *s, const char *name, char why[ZKS__WHY_SIZE])
{
    bool gone = unlinkat(s->folder, name, 0) == 0 || errno == ENOENT;
    return gone ? 0 : zks__store_fails(s, name, "removed", why);
}

static const char *const prefixes[] = {
    [ZKS__FILE_LOG] = "log.", [ZKS__FILE_SNAPSHOT] = "snapshot."};
static const char fresh_end[] = ".new";

void zks__file_name(enum zks__file_kind kind, int64_t zxid, char name[ZKS__NAME_SIZE])
{
    (void)snprintf(name, ZKS__NAME_SIZE, "%s%016" PRIx64, prefixes[kind], (uint64_t)zxid);
}

void zks__file_fresh_name(enum zks__file_kind kind, int64_t zxid, char name[ZKS__NAME_SIZE])
{
    zks__file_name(kind, zxid, name);
    (void)strcat(name, fresh_end);
}

/* Only what zks__file_name() says is a name. */
static bool parse_name(const char *name, enum zks__file_kind *kind, int64_t *zxid, bool *fresh)
{
    char again[ZKS__NAME_SIZE];
    uint64_t number = 0;
    *kind = strncmp(name, prefixes[ZKS__FILE_LOG], strlen(prefixes[ZKS__FILE_LOG])) == 0
                ? ZKS__FILE_LOG
                : ZKS__FILE_SNAPSHOT;
    if (strncmp(name, prefixes[*kind], strlen(prefixes[*kind])) != 0 ||
        sscanf(name + strlen(prefixes[*kind]), "%16" SCNx64, &number) != 1) {
        return false;
    }
    *zxid = (int64_t)number;
    zks__file_name(*kind, *zxid, again);
    size_t len = strlen(again);
    *fresh = strlen(name) > len && strcmp(name + len, fresh_end) == 0;
    return *zxid >= 0 && strncmp(name, again, len) == 0 && (*fresh || name[len] == '\0');
}

int zks__store_each(const struct zks__store *s,
                    bool (*see)(void *arg, enum zks__file_kind kind, int64_t zxid, bool fresh),
                    void *arg, char why[ZKS__WHY_SIZE])
{
    int fd = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        int rc = zks__store_fails(s, NULL, "read", why);
        if (fd >= 0) {
            (void)close(fd);
        }
        return rc;
    }
    const struct dirent *entry;
    bool on = true;
    errno = 0;
    while (on && (entry = readdir(dir)) != NULL) {
        enum zks__file_kind kind;
        int64_t zxid;
        bool fresh;
        if (parse_name(entry->d_name, &kind, &zxid, &fresh)) {
            on = see(arg, kind, zxid, fresh);
        }
        errno = 0;
    }
    int rc = errno == 0 ? 0 : zks__store_fails(s, NULL, "read", why);
    (void)closedir(dir);
    return rc;
}
