/* SPDX-License-Identifier: Apache-2.0 */
#include "local/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/last_error.h"
#include "local/home.h"

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

static int fail(const struct zks__place *p, const char *what, const char *path)
{
    int error = errno;
    zks__place_say(p, ZKS_LOG_ERROR, "zksync: %s %s: %s", path, what, strerror(error));
    return ZKS_ESYSTEM;
}

/* The same folder for all of a user's programs: not the run-time folder, which is there for a login
 * alone, so that a job of cron would start a second server on the same data. */
int zks__place_init(struct zks__place *p, zks_log_cb log, void *log_arg)
{
    char home[ZKS__PLACE_MAX];
    const char *state = secure_getenv("XDG_STATE_HOME");
    int len;
    p->log = log;
    p->log_arg = log_arg;
    if (state != NULL && state[0] == '/') {
        len = snprintf(p->folder, sizeof p->folder, "%s/zksync", state);
    } else {
        if (!zks__home(home, sizeof home)) {
            zks__place_say(
                p, ZKS_LOG_ERROR,
                "zksync: there is no folder for a local server: neither XDG_STATE_HOME nor "
                "HOME is set; set one, or name servers with ZKSYNC_SERVERS");
            return ZKS_ESYSTEM;
        }
        len = snprintf(p->folder, sizeof p->folder, "%s/.local/state/zksync", home);
    }
    if (len < 0 || (size_t)len >= sizeof p->folder) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: the folder for a local server is too long");
        return ZKS_ESYSTEM;
    }
    return 0;
}

const char *zks__place_file(const struct zks__place *p, const char *name, zks__place_path path)
{
    (void)snprintf(path, sizeof(zks__place_path), "%s/%s", p->folder, name);
    return path;
}

/* What others can write to can lead a client to a server of theirs. */
int zks__place_check(const struct zks__place *p)
{
    struct stat info;
    if (stat(p->folder, &info) != 0) {
        return errno == ENOENT ? ZKS_ENOENT : fail(p, "cannot be looked at", p->folder);
    }
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid()) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: %s is not a folder of this user's", p->folder);
        return ZKS_EACCES;
    }
    if ((info.st_mode & 022) != 0) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: others can write to %s: chmod 700 %s", p->folder,
                       p->folder);
        return ZKS_EACCES;
    }
    return 0;
}

int zks__place_make(const struct zks__place *p)
{
    char path[ZKS__PLACE_MAX];
    int rc = zks__place_check(p);
    if (rc != ZKS_ENOENT) {
        return rc;
    }
    (void)snprintf(path, sizeof path, "%s", p->folder);
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0700); /* Where that fails the last one does too. */
        *at = '/';
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return fail(p, "cannot be made", path);
    }
    return zks__place_check(p);
}

int zks__place_open(const struct zks__place *p, const char *name, int flags)
{
    zks__place_path path;
    struct stat info;
    int fd = open(zks__place_file(p, name, path),
                  flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd >= 0 && (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))) {
        (void)close(fd); /* Somebody has put a pipe there, say. */
        errno = EINVAL;
        return -1;
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

int zks__place_write(const struct zks__place *p, const char *name, const char *text)
{
    zks__place_path path;
    zks__place_path new;
    size_t len = strlen(text);
    (void)snprintf(new, sizeof new, "%s/new-XXXXXX", p->folder);
    int fd = mkostemp(new, O_CLOEXEC);
    if (fd < 0) {
        return fail(p, "cannot be written", new);
    }
    /* On disk before it has its name: half a secret would be one that nobody can mend. */
    bool ok = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(new, zks__place_file(p, name, path)) != 0) {
        int rc = fail(p, "cannot be written", new);
        (void)unlink(new);
        return rc;
    }
    return 0;
}

static int make_secret(const struct zks__place *p, char secret[ZKS__SECRET_SIZE])
{
    unsigned char bytes[ZKS__SECRET_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return fail(p, "cannot be made", "a secret");
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    }
    explicit_bzero(bytes, sizeof bytes);
    return zks__place_write(p, "secret", secret);
}

static int trust_secret(const struct zks__place *p, int fd, const char *path)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return fail(p, "cannot be looked at", path);
    }
    if (!S_ISREG(info.st_mode) || info.st_uid != geteuid()) {
        zks__place_say(p, ZKS_LOG_ERROR, "zksync: %s is not a file of this user's", path);
        return ZKS_EACCES;
    }
    if ((info.st_mode & 077) != 0) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: the local server's secret can be read or written by others; remove "
                       "it, so that a new one is made, or chmod 600 %s",
                       path);
        return ZKS_EACCES;
    }
    return 0;
}

int zks__place_secret(const struct zks__place *p, bool make, char secret[ZKS__SECRET_SIZE])
{
    char text[ZKS__SECRET_SIZE + 1];
    zks__place_path path;
    zks__place_file(p, "secret", path);
    int fd = zks__place_open(p, "secret", O_RDONLY);
    if (fd < 0 && errno == ENOENT) {
        return make ? make_secret(p, secret) : ZKS_ENOENT;
    }
    if (fd < 0) {
        return fail(p, "cannot be read", path);
    }
    int rc = trust_secret(p, fd, path);
    ssize_t len = rc == 0 ? read(fd, text, sizeof text) : -1;
    (void)close(fd);
    if (rc != 0) {
        return rc;
    }
    bool whole = len >= ZKS__SECRET_SIZE - 1;
    text[whole ? ZKS__SECRET_SIZE - 1 : 0] = '\0';
    if (!whole || strspn(text, "0123456789abcdef") != ZKS__SECRET_SIZE - 1) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: %s is damaged: remove it, so that a new one is made", path);
        return ZKS_ESYSTEM;
    }
    memcpy(secret, text, ZKS__SECRET_SIZE);
    explicit_bzero(text, sizeof text);
    return 0;
}
