/* SPDX-License-Identifier: Apache-2.0 */
#include "local/mutex.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The folder above is there where the folder itself has been removed; it tells two spellings of one path. */
static void find_path(const struct zks__place *p, zks__place_path path)
{
    char above[ZKS__PLACE_MAX];
    (void)snprintf(above, sizeof above, "%s", p->folder);
    char *slash = strrchr(above, '/');
    slash[slash == above ? 1 : 0] = '\0';
    char *real = realpath(above, NULL);
    const char *name = strrchr(p->folder, '/');
    (void)snprintf(path, sizeof(zks__place_path), "%s%s", real != NULL ? real : above, name);
    free(real);
}

static socklen_t make_name(const struct zks__place *p, struct sockaddr_un *name)
{
    zks__place_path path;
    uint64_t hash = 14695981039346656037U; /* FNV-1a */
    find_path(p, path);
    for (const char *at = path; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 1099511628211U;
    }
    memset(name, 0, sizeof *name);
    name->sun_family = AF_UNIX;
    int len = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "zksync-%lu-%016" PRIx64,
                       (unsigned long)geteuid(), hash);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static int make_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

pid_t zks__mutex_owner(const struct zks__place *p)
{
    struct sockaddr_un name;
    struct ucred owner;
    socklen_t len = make_name(p, &name);
    socklen_t size = sizeof owner;
    int fd = make_socket();
    bool ours = fd >= 0 && connect(fd, (struct sockaddr *)&name, len) == 0 &&
                getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &size) == 0 &&
                owner.uid == geteuid();
    if (fd >= 0) {
        (void)close(fd);
    }
    return ours ? owner.pid : 0;
}

int zks__mutex_lock(const struct zks__place *p, int *fd)
{
    struct sockaddr_un name;
    socklen_t len = make_name(p, &name);
    *fd = make_socket();
    if (*fd >= 0 && bind(*fd, (struct sockaddr *)&name, len) == 0 && listen(*fd, SOMAXCONN) == 0) {
        return 0;
    }
    int error = errno;
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
    if (error == EADDRINUSE && zks__mutex_owner(p) != 0) {
        return ZKS_EBUSY;
    }
    zks__place_say(p, ZKS_LOG_WARN,
                   "zksync: only %s/server.lock keeps a second local server out: %s", p->folder,
                   error == EADDRINUSE ? "another user has the name of the socket"
                                       : strerror(error));
    return 0;
}

void zks__mutex_tend(int fd)
{
    int one;
    while (fd >= 0 && (one = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        (void)close(one);
    }
}
