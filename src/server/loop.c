/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "owner.h"
#include "zksync/client.h"

enum {
    READ_SIZE = 64 << 10, /* At a time from one connection, so that each gets its turn. */
    EVENTS = 256,
    ACCEPTS = 64,
    BACKLOG = 4096
};

/* A peer with its socket. */
struct connection {
    struct zks__peer peer;
    int fd;
    uint32_t interest;
    bool shut; /* All was sent; now the client is to close it. */
    struct connection *next_more;
};

int zks__loop_listen(struct sockaddr_storage *address, socklen_t *len)
{
    const int on = 1;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)address, *len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)address, len) != 0) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    return fd;
}

/* ---- Connections ---- */

static void set_interest(struct zks__loop *loop, struct connection *c, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data = {.ptr = c}};
    if (interest != c->interest) {
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
        c->interest = interest;
    }
}

/* A process that our host has forked may still have the socket: then it is not our close that ends the
 * connection, and epoll would go on to tell of it. */
static void close_connection(struct zks__loop *loop, struct connection *c)
{
    zks__peer_close(&c->peer);
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    (void)shutdown(c->fd, SHUT_RDWR);
    (void)close(c->fd);
    free(c);
}

/* Java's way to write an address, which access control lists know; one of IPv4 in IPv6 is of IPv4. */
static void write_address(const struct sockaddr_storage *from, char ip[64], char address[80])
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
    if (from->ss_family == AF_INET6) {
        const uint8_t *a = six->sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
            (void)snprintf(ip, 64, "%d.%d.%d.%d", a[12], a[13], a[14], a[15]);
        } else {
            (void)snprintf(ip, 64, "%x:%x:%x:%x:%x:%x:%x:%x", a[0] << 8 | a[1], a[2] << 8 | a[3],
                           a[4] << 8 | a[5], a[6] << 8 | a[7], a[8] << 8 | a[9], a[10] << 8 | a[11],
                           a[12] << 8 | a[13], a[14] << 8 | a[15]);
        }
        (void)snprintf(address, 80, "[%s]:%d", ip, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)from;
        (void)inet_ntop(AF_INET, &four->sin_addr, ip, 64);
        (void)snprintf(address, 80, "%s:%d", ip, ntohs(four->sin_port));
    }
}

static bool add_connection(struct zks__loop *loop, int fd, const struct sockaddr_storage *from)
{
    const int on = 1;
    char ip[64] = "";
    char address[80];
    struct connection *c = calloc(1, sizeof *c);
    write_address(from, ip, address);
    if (c == NULL || !zks__peer_open(&c->peer, &loop->peers, ip, address)) {
        free(c);
        return false;
    }
    c->fd = fd;
    c->interest = EPOLLIN;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = c->interest, .data = {.ptr = c}};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        zks__peer_close(&c->peer);
        free(c);
        return false;
    }
    return true;
}

static void set_accepting(struct zks__loop *loop, bool on)
{
    struct epoll_event event = {.events = on ? EPOLLIN : 0, .data = {.ptr = &loop->listen_fd}};
    if (on != loop->accepting) {
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, loop->listen_fd, &event);
        loop->accepting = on;
    }
}

static void tell_refused(struct zks__loop *loop, const char *why)
{
    char line[256];
    (void)snprintf(line, sizeof line, "connections are refused: %s", why);
    zks__peers_say_seldom(&loop->peers, line);
}

/* Another user of the machine cannot use what it may have learnt of the secret: from a client, say, that it
 * has waited for at the server's address while there was no server.  Whose socket has gone already is nobody
 * who would wait for an answer. */
static bool may_connect(struct zks__loop *loop, int fd, const struct sockaddr_storage *from)
{
    struct sockaddr_storage to;
    socklen_t len = sizeof to;
    uid_t uid = 0;
    if (loop->owner_fd < 0) {
        return true;
    }
    if (getsockname(fd, (struct sockaddr *)&to, &len) != 0 ||
        !zks__owner_find(loop->owner_fd, from, &to, &uid)) {
        return false;
    }
    bool may = uid == 0 || uid == geteuid();
    if (!may) {
        tell_refused(loop, "another user's process has tried");
    }
    return may;
}

/* Returns how many there were. */
static int accept_some(struct zks__loop *loop)
{
    int n = 0;
    while (n < ACCEPTS) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd =
            accept4(loop->listen_fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            /* They wait until the next sweep, when one may have gone. */
            tell_refused(loop, strerror(errno));
            set_accepting(loop, false);
            return n;
        }
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return n;
        }
        if (fd < 0) {
            n++; /* It has gone already. */
            continue;
        }
        n++;
        if (!may_connect(loop, fd, &from)) {
            (void)close(fd);
        } else if (loop->peers.n >= loop->max_connections) {
            tell_refused(loop, "there are as many as there may be");
            loop->peers.rejected++;
            (void)close(fd);
        } else if (!add_connection(loop, fd, &from)) {
            tell_refused(loop, "there is not enough memory");
            (void)close(fd);
        }
    }
    return n;
}

/* ---- In and out ---- */

static void receive(struct connection *c)
{
    unsigned char *to = zks__writer_room(&c->peer.in, READ_SIZE);
    if (to == NULL) {
        zks__peer_say(&c->peer, ZKS_LOG_ERROR, "no memory for what it sends: cut off");
        zks__peer_cut(&c->peer);
        return;
    }
    ssize_t n = recv(c->fd, to, READ_SIZE, 0);
    if (n > 0) {
        if (c->peer.in.len == 0) {
            zks__peer_arrived(&c->peer, zks__service_clock_ms());
        }
        c->peer.in.len += (size_t)n;
    } else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        zks__peer_cut(&c->peer);
        return;
    }
    if (c->peer.ending) {
        zks__writer_close(&c->peer.in); /* Nobody listens any more. */
    } else {
        zks__peer_take(&c->peer);
    }
}

/* False where the connection is of no use any more. */
static bool transmit(struct connection *c)
{
    struct zks__peer *p = &c->peer;
    size_t len;
    for (const unsigned char *bytes = zks__outbox_next(&p->out, &len); bytes != NULL;
         bytes = zks__outbox_next(&p->out, &len)) {
        ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            return false;
        }
        zks__outbox_sent(&p->out, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* What a peer that is due needs; whatever it is to be told of is durable now. */
static void attend(struct zks__loop *loop, struct connection *c)
{
    struct zks__peer *p = &c->peer;
    zks__peer_released(p, zks__service_clock_ms());
    if (p->ended || !transmit(c)) {
        close_connection(loop, c);
        return;
    }
    bool all_sent = zks__outbox_unsent(&p->out) == 0;
    if (p->ending && all_sent && !c->shut) {
        /* To close it with something unread would take the answer away from the client. */
        c->shut = true;
        (void)shutdown(c->fd, SHUT_WR);
    }
    set_interest(loop, c, (zks__peer_hears(p) ? EPOLLIN : 0u) | (all_sent ? 0u : EPOLLOUT));
    if (p->more && zks__peer_wants(p)) {
        c->next_more = loop->more;
        loop->more = c;
    }
}

/* ---- Turns ---- */

static void sweep(struct zks__loop *loop)
{
    uint64_t now = loop->service->now_ms;
    if (now < loop->sweep_ms) {
        return;
    }
    loop->sweep_ms = now + loop->service->options.tick_ms;
    set_accepting(loop, true);
    for (struct zks__peer *p = loop->peers.first; p != NULL; p = p->next) {
        bool slow = p->ending || p->session.id == 0 || !p->authorised;
        if (slow && now - p->since_ms > ZKS__PATIENCE_MS) {
            zks__peer_cut(p);
        }
    }
}

static void expire(struct zks__loop *loop)
{
    for (int64_t id = zks__service_expired(loop->service); id != 0;
         id = zks__service_expired(loop->service)) {
        zks__peers_end_session(&loop->peers, id);
    }
}

static bool is_idle(const struct zks__loop *loop)
{
    return loop->peers.n == 0 && zks__tree_next_session(loop->service->tree, NULL) == NULL;
}

/* Whether nobody has needed the server for too long; whoever is just connecting does. */
static bool idle_too_long(struct zks__loop *loop)
{
    if (!is_idle(loop)) {
        loop->idle_since_ms = loop->service->now_ms;
        return false;
    }
    return loop->idle_ms >= 0 &&
           loop->service->now_ms - loop->idle_since_ms >= (uint64_t)loop->idle_ms &&
           accept_some(loop) == 0;
}

static int wait_ms(const struct zks__loop *loop)
{
    uint64_t ms = zks__service_wait_ms(loop->service);
    if (loop->peers.due != NULL || loop->more != NULL) {
        return 0;
    }
    if (loop->idle_ms >= 0 && is_idle(loop)) {
        uint64_t end = loop->idle_since_ms + (uint64_t)loop->idle_ms;
        uint64_t left = end > loop->service->now_ms ? end - loop->service->now_ms : 0;
        ms = left < ms ? left : ms;
    }
    return ms > 0 ? (int)ms : 1;
}

/* Returns whether somebody has orders. */
static bool take_events(struct zks__loop *loop, const struct epoll_event *events, int n)
{
    bool woken = false;
    for (int i = 0; i < n; i++) {
        void *what = events[i].data.ptr;
        if (what == &loop->listen_fd) {
            (void)accept_some(loop);
        } else if (what == &loop->wake_fd) {
            uint64_t count;
            (void)!read(loop->wake_fd, &count, sizeof count);
            woken = true;
        } else {
            struct connection *c = what;
            if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !c->peer.ended &&
                (zks__peer_hears(&c->peer) || (events[i].events & (EPOLLHUP | EPOLLERR)) != 0)) {
                receive(c);
            }
            zks__peer_mark(&c->peer);
        }
    }
    return woken;
}

/* Requests that had to wait until the answers to earlier ones were sent. */
static void take_more(struct zks__loop *loop)
{
    struct connection *c = loop->more;
    loop->more = NULL;
    for (; c != NULL; c = c->next_more) {
        if (!c->peer.ended) {
            zks__peer_take(&c->peer);
            zks__peer_mark(&c->peer); /* It may be heard again. */
        }
    }
}

/* Waits, and takes what has come: from everybody, so that nobody's session ends while what would have kept
 * it alive lies there.  Returns whether somebody has orders. */
static bool hear_all(struct zks__loop *loop)
{
    struct epoll_event events[EVENTS];
    size_t most = loop->peers.n / EVENTS + 1;
    bool woken = false;
    int n = epoll_wait(loop->epoll_fd, events, EVENTS, wait_ms(loop));
    zks__service_time(loop->service, zks__service_clock_ms());
    take_more(loop);
    for (size_t i = 0; n > 0; i++) {
        woken = take_events(loop, events, n) || woken;
        n = n == EVENTS && i < most ? epoll_wait(loop->epoll_fd, events, EVENTS, 0) : 0;
    }
    return woken;
}

static void attend_all(struct zks__loop *loop)
{
    for (struct zks__peer *p = zks__peers_due(&loop->peers); p != NULL;
         p = zks__peers_due(&loop->peers)) {
        attend(loop, (struct connection *)p);
    }
}

enum zks__loop_end zks__loop_run(struct zks__loop *loop, char why[ZKS__WHY_SIZE])
{
    enum zks__loop_end end = ZKS__LOOP_TOLD;
    bool goes_on = true;
    loop->idle_since_ms = loop->service->now_ms;
    loop->accepting = true;
    while (goes_on) {
        bool woken = hear_all(loop);
        expire(loop);
        zks__service_reap(loop->service);
        sweep(loop);
        if (woken) {
            goes_on = loop->orders(loop->arg);
        }
        if (zks__service_check(loop->service, why) != 0 ||
            zks__service_sync(loop->service, why) != 0) {
            end = ZKS__LOOP_FAILED;
            break;
        }
        attend_all(loop);
        loop->done(loop->arg);
        if (goes_on) {
            zks__service_tidy(loop->service);
        }
        if (goes_on && idle_too_long(loop)) {
            end = ZKS__LOOP_IDLE;
            break;
        }
    }
    while (loop->peers.first != NULL) {
        close_connection(loop, (struct connection *)loop->peers.first);
    }
    return end;
}
