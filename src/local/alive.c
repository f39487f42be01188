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

enum { BACKLOG = 4096, AGAIN_MS = 10, TRIES = 100 };

/* FNV-1a: a path can be longer than a socket's name. */
static uint64_t add_hash(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    }
    return hash;
}

/* A container can share the host's network, and so its abstract names, but not its file systems: there the same path is
 * another folder. */
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

/* An abstract name begins with a zero byte. */
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

/* NOT_KNOWN if the backlog is full, or if the socket does not listen yet or any more. */
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

/* NOT_OURS with *claim -1 if the name cannot be bound and belongs to another user. */
static enum owner try_claim(const struct zks__place *p, int *claim)
{
    struct sockaddr_un name;
    socklen_t len = name_of(p, &name);
    int fd = new_socket();
    *claim = -1;
    if (fd < 0 || (bind(fd, (struct sockaddr *)&name, len) == 0 && listen(fd, BACKLOG) == 0)) {
        *claim = fd;
        return NOT_OURS;
    }
    (void)close(fd);
    return find_owner(p);
}

/* The kernel can release the locks of a killed server before it closes its sockets. */
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

/* Connections stay in the backlog until they are accepted, even if the client has closed them. */
void zks__alive_answer(int fd)
{
    int peer = 0;
    for (int i = 0; i < BACKLOG && fd >= 0 && peer >= 0; i++) {
        peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (peer >= 0) {
            (void)close(peer);
        }
    }
}

/* A forked child may still have the descriptor, so close() alone is not enough. */
void zks__alive_release(int fd)
{
    if (fd >= 0) {
        (void)shutdown(fd, SHUT_RDWR);
        (void)close(fd);
    }
}
