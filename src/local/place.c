/* SPDX-License-Identifier: Apache-2.0 */
#include "local/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/home.h"
#include "base/last_error.h"

void zks__place_say(const struct zks__place *p, enum zks_log_level level, const char *format, ...)
{
    char line[ZKS__PLACE_MAX + 512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (level == ZKS_LOG_ERROR) {
        (void)zks__error_set(0, "%s", line);
    }
    if (p->log != NULL) {
        p->log(level, line, p->log_arg);
    }
}

/* The same folder for all of a user's programs: not the run-time folder, which is there for a login
 * alone, so that a job of cron would start a second server on the same data. */
int zks__place_init(struct zks__place *p, zks_log_cb log, void *log_arg)
{
    char home[ZKS__PLACE_MAX];
    const char *state = secure_getenv("XDG_STATE_HOME");
    p->log = log;
    p->log_arg = log_arg;
    p->in_home = state == NULL || state[0] != '/';
    if (p->in_home && !zks__home(home, sizeof home)) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: no folder for the local server: neither XDG_STATE_HOME nor HOME is "
                       "an absolute path, and the user has no home: set one, or name servers with "
                       "ZKSYNC_SERVERS");
        return ZKS_ESYSTEM;
    }
    const char *base = p->in_home ? home : state;
    p->base = strlen(base);
    while (p->base > 0 && base[p->base - 1] == '/') {
        p->base--;
    }
    int len = snprintf(p->folder, sizeof p->folder, "%.*s%s/zksync", (int)p->base, base,
                       p->in_home ? "/.local/state" : "");
    if (len < 0 || (size_t)len >= sizeof p->folder) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: %.64s...: the path of the local server's folder: %s", base,
                       strerror(ENAMETOOLONG));
        return ZKS_ESYSTEM;
    }
    return 0;
}

/* ---- The folder, and those that it is in ---- */

/* Cuts a path to the part that exists.  0 where all that it lacks can be created, or an errno.  A symbolic
 * link to nothing exists: nothing can be created in its place. */
static int find_nearest(char path[ZKS__PLACE_MAX], struct stat *info)
{
    int error = 0;
    while (lstat(path, info) != 0 && path[1] != '\0') {
        char *slash = strrchr(path, '/');
        error = errno;
        slash[slash == path ? 1 : 0] = '\0';
    }
    if (S_ISLNK(info->st_mode) && stat(path, info) != 0) {
        return errno;
    }
    return !S_ISDIR(info->st_mode) ? ENOTDIR : error == ENOENT ? 0 : error;
}

static int check_owner(const struct zks__place *p, const char *path, const struct stat *info)
{
    char owner[ZKS__USER_MAX];
    char user[ZKS__USER_MAX];
    if (info->st_uid == geteuid() || info->st_uid == 0) {
        return 0;
    }
    zks__place_say(p, ZKS_LOG_ERROR,
                   "zksync: %s: owned by %s, but this process runs as %s: set HOME and "
                   "XDG_STATE_HOME to folders of %s (sudo -H), or name servers with ZKSYNC_SERVERS",
                   path, zks__user_name(info->st_uid, owner), zks__user_name(geteuid(), user),
                   user);
    return ZKS_EACCES;
}

/* The folders above are the user's or root's: root would shut a user out of what it creates in the home
 * of that user, and the owner of a folder can replace those in it. */
static int check_above(const struct zks__place *p)
{
    char path[ZKS__PLACE_MAX];
    struct stat info;
    int rc = 0;
    (void)snprintf(path, sizeof path, "%s", p->folder);
    for (char *at = path + p->base; rc == 0 && at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        const char *above = at == path ? "/" : path;
        if (stat(above, &info) != 0) {
            return 0; /* The folder cannot be looked at either. */
        }
        rc = check_owner(p, above, &info);
        *at = '/';
    }
    return rc;
}

/* ZKS__NONE, or why it cannot be said that the folder does not exist. */
static int check_missing(const struct zks__place *p)
{
    char path[ZKS__PLACE_MAX];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s", p->folder);
    int error = find_nearest(path, &info);
    if (error == 0 && p->in_home && strlen(path) < p->base) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: %.*s: the home folder does not exist: %s: set HOME or "
                       "XDG_STATE_HOME, or name servers with ZKSYNC_SERVERS",
                       (int)p->base, p->folder, strerror(ENOENT));
        return ZKS_ESYSTEM;
    }
    if (error != 0) {
        bool culprit = error == ENOENT || error == ELOOP || error == ENOTDIR || error == EACCES;
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: %s: %s: %s", culprit ? path : p->folder,
                       error == ENOENT ? "dangling symbolic link"
                                       : "the local server's folder cannot be reached",
                       strerror(error));
        return ZKS_ESYSTEM;
    }
    int rc = check_owner(p, path, &info);
    return rc == 0 ? ZKS__NONE : rc;
}

/* What others can write to can lead a client to a server of theirs. */
int zks__place_check(const struct zks__place *p)
{
    struct stat info;
    char owner[ZKS__USER_MAX];
    char user[ZKS__USER_MAX];
    int rc = check_above(p);
    if (rc != 0) {
        return rc;
    }
    if (stat(p->folder, &info) != 0 || !S_ISDIR(info.st_mode)) {
        return check_missing(p);
    }
    if (info.st_uid != geteuid()) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: %s: owned by %s, not by %s", p->folder,
                       zks__user_name(info.st_uid, owner), zks__user_name(geteuid(), user));
        return ZKS_EACCES;
    }
    if ((info.st_mode & 022) != 0) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: others can write to %s: chmod 700 %s", p->folder,
                       p->folder);
        return ZKS_EACCES;
    }
    return 0;
}

static int cannot_make(const struct zks__place *p, int error)
{
    char path[ZKS__PLACE_MAX];
    char owner[ZKS__USER_MAX];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s", p->folder);
    (void)find_nearest(path, &info);
    zks__place_say(
        p, ZKS_LOG_ERROR,
        "zksync: %s, owned by %s: the local server's folder cannot be created there: %s: "
        "set XDG_STATE_HOME, or name servers with ZKSYNC_SERVERS",
        path, zks__user_name(info.st_uid, owner), strerror(error));
    return ZKS_ESYSTEM;
}

/* With mode 0700 whatever the umask. */
static bool make_folder(const char *path)
{
    bool made = mkdir(path, 0700) == 0;
    if (made) {
        (void)chmod(path, 0700);
    }
    return made;
}

int zks__place_make(const struct zks__place *p)
{
    char path[ZKS__PLACE_MAX];
    struct stat info;
    int rc = zks__place_check(p);
    if (rc != ZKS__NONE) {
        return rc;
    }
    (void)snprintf(path, sizeof path, "%s", p->folder);
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        int error = make_folder(path) ? 0 : errno;
        if (error != 0 && stat(path, &info) != 0) {
            return cannot_make(p, error);
        }
        *at = '/';
    }
    if (!make_folder(path) && errno != EEXIST) {
        return cannot_make(p, errno);
    }
    rc = zks__place_check(p);
    return rc == ZKS__NONE ? cannot_make(p, ENOENT) : rc; /* It has been removed meanwhile. */
}

/* ---- Files in it ---- */

const char *zks__place_file(const struct zks__place *p, const char *name, zks__place_path path)
{
    (void)snprintf(path, sizeof(zks__place_path), "%s/%s", p->folder, name);
    return path;
}

const char *zks__place_beside(const struct zks__place *p, zks__place_path path)
{
    int above = (int)(strrchr(p->folder, '/') - p->folder);
    (void)snprintf(path, sizeof(zks__place_path), "%.*s/.zksync.lock", above, p->folder);
    return path;
}

int zks__place_fails(const struct zks__place *p, const char *name, const char *what)
{
    int error = errno;
    zks__place_path path;
    zks__place_say(p, ZKS_LOG_ERROR, "zksync: %s %s: %s", zks__place_file(p, name, path), what,
                   error != 0 ? strerror(error) : "Not a regular file");
    errno = error;
    return ZKS_ESYSTEM;
}

int zks__place_open_path(const char *path, int flags)
{
    struct stat info;
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd >= 0 && (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))) {
        (void)close(fd);
        errno = 0;
        return -1;
    }
    if (fd >= 0 && (flags & O_CREAT) != 0 && (info.st_mode & 0600) != 0600) {
        (void)fchmod(fd, info.st_mode | 0600); /* The umask removed it. */
    }
    if (fd >= 0 && fd <= STDERR_FILENO) {
        int other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        int error = errno;
        (void)close(fd);
        errno = error;
        fd = other;
    }
    return fd;
}

int zks__place_open(const struct zks__place *p, const char *name, int flags)
{
    zks__place_path path;
    return zks__place_open_path(zks__place_file(p, name, path), flags);
}

int zks__place_write(const struct zks__place *p, const char *name, const char *text)
{
    zks__place_path path;
    zks__place_path new;
    size_t len = strlen(text);
    (void)snprintf(new, sizeof new, "%s/new-XXXXXX", p->folder);
    int fd = mkostemp(new, O_CLOEXEC);
    if (fd < 0) {
        return zks__place_fails(p, name, "cannot be written");
    }
    /* On disk before it has its name: half a secret would be one that nobody can mend. */
    errno = ENOSPC; /* Of a write that is cut off. */
    bool ok = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(new, zks__place_file(p, name, path)) != 0) {
        int rc = zks__place_fails(p, name, "cannot be written");
        (void)unlink(new);
        return rc;
    }
    return 0;
}
