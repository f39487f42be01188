/* SPDX-License-Identifier: Apache-2.0 */
#include "local/alive.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ASKING = 4096 /* At a time. */, AGAIN_MS = 10, TRIES = 100 };

/* FNV-1a: the name is shorter than a path can be. */
static uint64_t add_hash(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    }
    return hash;
}

/* The path means the same folder only where the root and the mounts are the same: not in a container that shares the
 * network alone. */
static uint64_t hash_of(const struct zks__place *p)
{
    char mounts[64];
    char root[64] = "";
    struct stat info;
    ssize_t len = readlink("/proc/self/ns/mnt", mounts, sizeof mounts - 1);
    mounts[len > 0 ? len : 0] = '\0';
    if (stat("/", &info) == 0) {
        (void)snprintf(root, sizeof root, "%llu:%llu", (unsigned long long)info.st_dev,
                       (unsigned long long)info.st_ino);
    }
    return add_hash(add_hash(add_hash(0xcbf29ce484222325, p->folder), mounts), root);
}

/* Behind a zero byte: in no folder. */
static socklen_t name_of(const struct zks__place *p, struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "zksync-local-%lu-%016llx",
                       (unsigned long)geteuid(), (unsigned long long)hash_of(p));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

enum owner { NOT_OURS, OURS, NOT_KNOWN };

/* Not known where the queue is full, and where whoever has the name does not listen: not yet, or not any more. */
static enum owner find_owner(const struct zks__place *p)
{
    struct sockaddr_un name;
    socklen_t len = name_of(p, &name);
    struct ucred theirs;
    socklen_t size = sizeof theirs;
    enum owner owner = NOT_OURS;
    int fd = new_socket();
    if (fd >= 0 && connect(fd, (struct sockaddr *)&name, len) != 0) {
        owner = errno == EAGAIN || errno == ECONNREFUSED ? NOT_KNOWN : NOT_OURS;
    } else if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &theirs, &size) == 0) {
        owner = theirs.uid == geteuid() ? OURS : NOT_OURS;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return owner;
}

bool zks__alive_is(const struct zks__place *p)
{
    return find_owner(p) == OURS;
}

/* Also where the name cannot be had, with -1. */
static enum owner try_claim(const struct zks__place *p, int *claim)
{
    struct sockaddr_un name;
    socklen_t len = name_of(p, &name);
    int fd = new_socket();
    *claim = -1;
    if (fd < 0 || (bind(fd, (struct sockaddr *)&name, len) == 0 && listen(fd, ASKING) == 0)) {
        *claim = fd;
        return NOT_OURS;
    }
    (void)close(fd);
    return find_owner(p);
}

/* Of a server that was killed a moment ago the system can have taken the locks alone by now. */
int zks__alive_claim(const struct zks__place *p, int *claim)
{
    const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
    enum owner owner = try_claim(p, claim);
    for (int i = 0; i < TRIES && owner != NOT_OURS; i++) {
        (void)nanosleep(&pause, NULL);
        owner = try_claim(p, claim);
    }
    return owner == OURS ? ZKS_EBUSY : 0;
}

/* Else those who have asked and gone would fill the queue. */
void zks__alive_answer(int fd)
{
    int asking = 0;
    for (int i = 0; i < ASKING && fd >= 0 && asking >= 0; i++) {
        asking = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (asking >= 0) {
            (void)close(asking);
        }
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
