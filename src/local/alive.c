/* SPDX-License-Identifier: Apache-2.0 */
#include "local/alive.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ASKING = 4096 /* At a time. */, AGAIN_MS = 10, TRIES = 100 };

/* FNV-1a: the name is shorter than a path can be. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    }
    return hash;
}

/* Behind a zero byte: in no folder. */
static socklen_t name_of(const struct zks__place *p, struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "zksync-local-%lu-%016llx",
                       (unsigned long)geteuid(), (unsigned long long)hash_of(p->folder));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

bool zks__alive_is(const struct zks__place *p)
{
    struct sockaddr_un name;
    socklen_t len = name_of(p, &name);
    struct ucred theirs;
    socklen_t size = sizeof theirs;
    int fd = new_socket();
    bool ours = fd >= 0 && connect(fd, (struct sockaddr *)&name, len) == 0 &&
                getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &theirs, &size) == 0 &&
                theirs.uid == geteuid();
    if (fd >= 0) {
        (void)close(fd);
    }
    return ours;
}

static int try_claim(const struct zks__place *p, int *claim)
{
    struct sockaddr_un name;
    socklen_t len = name_of(p, &name);
    int fd = new_socket();
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&name, len) != 0 || listen(fd, ASKING) != 0)) {
        (void)close(fd);
        fd = -1;
        if (zks__alive_is(p)) {
            return ZKS_EBUSY;
        }
    }
    *claim = fd;
    return 0;
}

/* Of a server that was killed a moment ago the system can have taken the locks alone by now. */
int zks__alive_claim(const struct zks__place *p, int *claim)
{
    const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
    int rc = try_claim(p, claim);
    for (int i = 0; i < TRIES && rc == ZKS_EBUSY; i++) {
        (void)nanosleep(&pause, NULL);
        rc = try_claim(p, claim);
    }
    return rc;
}

/* Else those who have asked and gone would fill the queue. */
void zks__alive_answer(int fd)
{
    for (int asking = fd >= 0 ? accept4(fd, NULL, NULL, SOCK_CLOEXEC) : -1; asking >= 0;
         asking = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) {
        (void)close(asking);
    }
}

/* A child that was forked may still have the descriptor, so it is not the close that ends it. */
void zks__alive_release(int fd)
{
    if (fd >= 0) {
        (void)shutdown(fd, SHUT_RDWR);
        (void)close(fd);
    }
}
