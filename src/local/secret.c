/* SPDX-License-Identifier: Apache-2.0 */
#include "local/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char file_name[] = "secret";

static int check_owner(const struct zks__place *p, int fd)
{
    struct stat info;
    zks__place_path path;
    zks__place_file(p, file_name, path);
    if (fstat(fd, &info) != 0) {
        return zks__place_fails(p, file_name, "cannot be read");
    }
    if (info.st_uid != geteuid()) {
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

static int read_file(const struct zks__place *p, int fd, char secret[ZKS__SECRET_SIZE])
{
    char text[ZKS__SECRET_SIZE + 1];
    zks__place_path path;
    ssize_t len = read(fd, text, sizeof text);
    if (len < 0) {
        return zks__place_fails(p, file_name, "cannot be read");
    }
    bool whole = len >= ZKS__SECRET_SIZE - 1;
    text[whole ? ZKS__SECRET_SIZE - 1 : 0] = '\0';
    if (!whole || strspn(text, "0123456789abcdef") != ZKS__SECRET_SIZE - 1) {
        zks__place_say(p, ZKS_LOG_ERROR,
                       "zksync: %s is damaged: remove it, so that a new one is made",
                       zks__place_file(p, file_name, path));
        return ZKS_ESYSTEM;
    }
    memcpy(secret, text, ZKS__SECRET_SIZE);
    explicit_bzero(text, sizeof text);
    return 0;
}

int zks__secret_read(const struct zks__place *p, char secret[ZKS__SECRET_SIZE])
{
    int fd = zks__place_open(p, file_name, O_RDONLY);
    if (fd < 0) {
        return errno == ENOENT ? ZKS__NONE : zks__place_fails(p, file_name, "cannot be read");
    }
    int rc = check_owner(p, fd);
    rc = rc == 0 ? read_file(p, fd, secret) : rc;
    (void)close(fd);
    return rc;
}

int zks__secret_make(const struct zks__place *p, char secret[ZKS__SECRET_SIZE])
{
    unsigned char bytes[ZKS__SECRET_BYTES];
    int rc = zks__secret_read(p, secret);
    if (rc != ZKS__NONE) {
        return rc;
    }
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return zks__place_fails(p, file_name, "cannot be made");
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    }
    explicit_bzero(bytes, sizeof bytes);
    return zks__place_write(p, file_name, secret);
}
