/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper's words of four letters. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "local/clock.h"
#include "zksync/local.h"

/* False where the time is over. */
static bool await(int fd, short events, int64_t until_ms)
{
    struct pollfd poll_it = {.fd = fd, .events = events};
    for (;;) {
        int left = zks__local_left(until_ms);
        int n = poll(&poll_it, 1, left);
        if (n > 0) {
            return true;
        }
        if (left == 0 && n == 0) {
            return false;
        }
    }
}

static int parse(const char *address, struct sockaddr_storage *to, socklen_t *len)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                          .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = address != NULL ? strrchr(address, ':') : NULL;
    struct addrinfo *found = NULL;
    char host[72];
    if (colon == NULL) {
        return ZKS_EINVAL;
    }
    bool bracketed = address[0] == '[' && colon > address && colon[-1] == ']';
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address) - 2 * bracketed,
                   address + bracketed);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        return ZKS_EINVAL;
    }
    memcpy(to, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int reach(int fd, const struct sockaddr_storage *to, socklen_t len, int64_t until_ms)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(fd, (const struct sockaddr *)to, len) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS && errno != EINTR) {
        return ZKS_EDISCONNECTED;
    }
    if (!await(fd, POLLOUT, until_ms)) {
        return ZKS_ETIMEDOUT;
    }
    bool known = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0;
    return known && error == 0 ? 0 : ZKS_EDISCONNECTED;
}

/* The server ends the connection behind its answer; what does not fit is read all the same. */
static int converse(int fd, const char *word, int64_t until_ms, char *buf, size_t size)
{
    char rest[512];
    size_t len = 0;
    if (send(fd, word, 4, MSG_NOSIGNAL) != 4) {
        return ZKS_EDISCONNECTED;
    }
    for (;;) {
        bool full = len + 1 >= size;
        if (!await(fd, POLLIN, until_ms)) {
            return ZKS_ETIMEDOUT;
        }
        ssize_t got = recv(fd, full ? rest : buf + len, full ? sizeof rest : size - 1 - len, 0);
        if (got > 0) {
            len += full ? 0 : (size_t)got;
        } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
            buf[len] = '\0';
            return len > 0 ? 0 : ZKS_EDISCONNECTED;
        }
    }
}

int zks_local_ask(const char *address, const char *word, int64_t timeout_ms, char *buf, size_t size)
{
    struct sockaddr_storage to;
    socklen_t len = 0;
    int64_t until_ms = zks__local_until(timeout_ms);
    if (word == NULL || strlen(word) != 4 || buf == NULL || size < 2 || timeout_ms < ZKS_FOREVER) {
        return ZKS_EINVAL;
    }
    int rc = parse(address, &to, &len);
    if (rc != 0) {
        return rc;
    }
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ZKS_ESYSTEM;
    }
    rc = reach(fd, &to, len, until_ms);
    rc = rc == 0 ? converse(fd, word, until_ms, buf, size) : rc;
    (void)close(fd);
    return rc;
}
