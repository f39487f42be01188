/* SPDX-License-Identifier: Apache-2.0 */
#include "local/ask.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/last_error.h"
#include "local/limit.h"
#include "zksync/local.h"

static void fail(struct zks__ask *a, int error)
{
    a->state = ZKS__ASK_FAILED;
    a->error = error;
}

void zks__ask_begin(struct zks__ask *a, const struct sockaddr *to, socklen_t len, const char *word,
                    char *buf, size_t size)
{
    *a = (struct zks__ask){.word = word, .buf = buf, .size = size};
    buf[0] = '\0';
    a->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0 || (connect(a->fd, to, len) != 0 && errno != EINPROGRESS && errno != EINTR)) {
        fail(a, errno);
    }
}

short zks__ask_events(const struct zks__ask *a)
{
    return a->state == ZKS__ASK_CONNECTING ? POLLOUT : a->state == ZKS__ASK_ASKED ? POLLIN : 0;
}

static void connected(struct zks__ask *a)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error == 0 && send(a->fd, a->word, strlen(a->word), MSG_NOSIGNAL) < 0) {
        error = errno;
    }
    if (error != 0) {
        fail(a, error);
    } else {
        a->state = ZKS__ASK_ASKED;
    }
}

/* The server closes the connection after its answer; what does not fit is read all the same. */
static void receive(struct zks__ask *a)
{
    char rest[512];
    bool full = a->len + 1 >= a->size;
    ssize_t got =
        recv(a->fd, full ? rest : a->buf + a->len, full ? sizeof rest : a->size - 1 - a->len, 0);
    if (got > 0) {
        a->len += full ? 0 : (size_t)got;
        a->buf[a->len] = '\0';
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
        a->state = ZKS__ASK_ENDED;
    }
}

void zks__ask_step(struct zks__ask *a)
{
    if (a->state == ZKS__ASK_CONNECTING) {
        connected(a);
    } else if (a->state == ZKS__ASK_ASKED) {
        receive(a);
    }
}

void zks__ask_close(struct zks__ask *a)
{
    if (a->fd >= 0) {
        (void)close(a->fd);
    }
    a->fd = -1;
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

/* False where the time is over. */
static bool await(const struct zks__ask *a, const struct zks__limit *limit)
{
    bool over;
    do {
        over = zks__limit_left(limit) == 0;
        if (zks__limit_poll(limit, a->fd, zks__ask_events(a), INT_MAX)) {
            return true;
        }
    } while (!over);
    return false;
}

static int ask(struct zks__ask *a, const char *address, const struct zks__limit *limit)
{
    while (zks__ask_events(a) != 0) {
        if (!await(a, limit)) {
            return zks__error_set(ZKS_ETIMEDOUT, "%s: no answer in time", address);
        }
        zks__ask_step(a);
    }
    if (a->state == ZKS__ASK_FAILED) {
        return zks__error_set(a->fd < 0 ? ZKS_ESYSTEM : ZKS_EDISCONNECTED, "%s: %s", address,
                              strerror(a->error));
    }
    return a->len > 0 ? 0
                      : zks__error_set(ZKS_EDISCONNECTED, "%s: connection closed without an answer",
                                       address);
}

int zks__ask(const char *address, const char *word, const struct zks__limit *limit, char *buf,
             size_t size)
{
    struct sockaddr_storage to;
    socklen_t len = 0;
    struct zks__ask a;
    int rc = parse(address, &to, &len);
    if (rc != 0) {
        return zks__error_set(rc, "\"%s\": not a numeric address with a port",
                              address != NULL ? address : "");
    }
    zks__ask_begin(&a, (const struct sockaddr *)&to, len, word, buf, size);
    rc = ask(&a, address, limit);
    zks__ask_close(&a);
    return rc;
}

int zks_local_ask(const char *address, const char *word, int64_t timeout_ms, char *buf, size_t size)
{
    struct zks__limit limit = zks__limit_of(timeout_ms, -1);
    zks__error_begin();
    if (word == NULL || strlen(word) != 4 || buf == NULL || size < 2 || timeout_ms < ZKS_FOREVER) {
        return zks__error_end(ZKS_EINVAL);
    }
    return zks__ask(address, word, &limit, buf, size);
}
