/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions: a server's thread, and what other threads ask of it. */
#include "zksync/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "loop.h"
#include "options.h"
#include "owner.h"

enum {
    COMPACT_BYTES = 64 << 20,
    ACL_ENTRIES = 1000, /* Each is compared with each. */
    ACL_SIZE = 64 << 10
};

enum order_kind { ORDER_STOP, ORDER_EXPIRE, ORDER_CUT, ORDER_DROP_REPLY, ORDER_STATS };

/* What a thread waits for. */
struct order {
    enum order_kind kind;
    int64_t session;
    struct zks_server_stats *stats;
    int rc;
    bool done;
    struct order *next;
};

struct zks_server {
    zks_server_options options; /* Its texts are copies. */
    struct sockaddr_storage at;
    socklen_t at_len;
    char address[80];
    struct zks__service service;
    struct zks__loop loop;
    bool has_thread; /* To be joined. */
    pthread_t thread;
    pthread_mutex_t control; /* Of who starts and stops it. */
    pthread_mutex_t lock;    /* Of what follows. */
    pthread_cond_t changed;
    struct order *orders;
    struct order *carried_out; /* They are done when all is durable. */
    bool running;
    int outcome;       /* Of the last run: 0 or ZKS_ESYSTEM. */
    uint32_t lease_ms; /* At the end of it, */
    bool lost;         /* and whether the folder had gone. */
};

static void log_of_peers(void *arg, int level, const char *line)
{
    zks__options_log(&((struct zks_server *)arg)->options, level, line);
}

static void log_of_service(void *arg, const char *line)
{
    log_of_peers(arg, ZKS_LOG_WARN, line);
}

static void granted(void *arg, uint32_t longest_ms)
{
    const zks_server_options *o = &((struct zks_server *)arg)->options;
    o->lease(longest_ms, o->lease_arg);
}

static void tell(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path)
{
    zks__peers_tell(&((struct zks_server *)arg)->loop.peers, watcher, event, path);
}

static void free_server(struct zks_server *s)
{
    (void)pthread_mutex_destroy(&s->control);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->changed);
    zks__options_free(&s->options);
    free(s);
}

/* ---- What other threads ask for ---- */

static void get_stats(struct zks_server *s, struct zks_server_stats *stats)
{
    struct zks__tree_counts counts;
    zks__tree_count(s->service.tree, &counts);
    *stats = (struct zks_server_stats){.zxid = zks__tree_zxid(s->service.tree),
                                       .connections = s->loop.peers.n,
                                       .sessions = counts.sessions,
                                       .znodes = counts.nodes,
                                       .ephemerals = counts.ephemerals,
                                       .watches = counts.watches,
                                       .bytes = counts.bytes,
                                       .requests = s->loop.peers.requests,
                                       .syncs = s->service.syncs};
}

static int carry_out(struct zks_server *s, const struct order *order)
{
    struct zks__peer *peer = zks__peers_find(&s->loop.peers, order->session);
    if (order->kind == ORDER_STATS) {
        get_stats(s, order->stats);
        return 0;
    }
    if (zks__tree_session(s->service.tree, order->session) == NULL) {
        return ZKS_ENOENT;
    }
    if (order->kind == ORDER_EXPIRE) {
        zks__peers_end_session(&s->loop.peers, order->session);
        return 0;
    }
    if (peer == NULL || peer->ended || peer->ending) {
        return ZKS_EDISCONNECTED;
    }
    if (order->kind == ORDER_CUT) {
        zks__peer_cut(peer);
    } else {
        peer->drop_reply = true;
    }
    return 0;
}

static bool take_orders(void *arg)
{
    struct zks_server *s = arg;
    bool goes_on = true;
    (void)pthread_mutex_lock(&s->lock);
    while (s->orders != NULL) {
        struct order *order = s->orders;
        s->orders = order->next;
        goes_on = goes_on && order->kind != ORDER_STOP;
        order->rc = order->kind == ORDER_STOP ? 0 : carry_out(s, order);
        order->next = s->carried_out;
        s->carried_out = order;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return goes_on;
}

static void finish(struct order **orders, bool failed)
{
    while (*orders != NULL) {
        struct order *order = *orders;
        *orders = order->next;
        if (failed && order->kind != ORDER_STOP) {
            order->rc = ZKS_EDISCONNECTED;
        }
        order->done = true;
    }
}

static void orders_done(void *arg)
{
    struct zks_server *s = arg;
    (void)pthread_mutex_lock(&s->lock);
    if (s->carried_out != NULL) {
        finish(&s->carried_out, false);
        (void)pthread_cond_broadcast(&s->changed);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static int give_order(struct zks_server *s, struct order *order)
{
    const uint64_t one = 1;
    (void)pthread_mutex_lock(&s->lock);
    if (!s->running) {
        (void)pthread_mutex_unlock(&s->lock);
        return order->kind == ORDER_STOP ? 0 : ZKS_EDISCONNECTED;
    }
    struct order **at = &s->orders;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = order;
    (void)!write(s->loop.wake_fd, &one, sizeof one);
    while (!order->done) {
        (void)pthread_cond_wait(&s->changed, &s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return order->rc;
}

/* ---- The thread ---- */

/* A process that was forked may still have it, and is to hold up no other server. */
static void close_listener(struct zks__loop *loop)
{
    if (loop->listen_fd >= 0) {
        (void)shutdown(loop->listen_fd, SHUT_RDWR);
        (void)close(loop->listen_fd);
        loop->listen_fd = -1;
    }
}

static void close_fds(struct zks__loop *loop)
{
    int *fds[] = {&loop->epoll_fd, &loop->wake_fd, &loop->owner_fd};
    close_listener(loop);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0) {
            (void)close(*fds[i]);
        }
        *fds[i] = -1;
    }
}

static void *run(void *arg)
{
    struct zks_server *s = arg;
    char why[ZKS__WHY_SIZE] = "";
    enum zks__loop_end end = zks__loop_run(&s->loop, why);
    if (end == ZKS__LOOP_FAILED) {
        zks__options_say(&s->options, ZKS_LOG_ERROR,
                         "the server stops, for it cannot keep what it would promise: %s", why);
    } else {
        zks__options_say(&s->options, ZKS_LOG_INFO, "the server at %s ends%s", s->address,
                         end == ZKS__LOOP_IDLE ? ": nobody has needed it for long" : "");
    }
    close_listener(&s->loop);
    zks__peers_close(&s->loop.peers);
    uint32_t lease_ms = zks__service_lease_ms(&s->service);
    bool lost = zks__service_is_lost(&s->service);
    zks__service_pause(&s->service);
    (void)pthread_mutex_lock(&s->lock);
    close_fds(&s->loop);
    s->running = false;
    s->lease_ms = lease_ms;
    s->lost = lost;
    s->outcome = end == ZKS__LOOP_FAILED ? ZKS_ESYSTEM : 0;
    finish(&s->carried_out, true);
    finish(&s->orders, true);
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int start_thread(struct zks_server *s)
{
    int rc = zks__thread_start(&s->thread, run, s);
    if (rc != 0) {
        zks__options_say(&s->options, ZKS_LOG_ERROR, "no thread can be started: %s", strerror(rc));
        return ZKS_ESYSTEM;
    }
    (void)pthread_setname_np(s->thread, "zksync-server");
    s->has_thread = true;
    return 0;
}

/* ---- Start and stop ---- */

static void write_address(struct zks_server *s)
{
    char host[64] = "";
    char port[8] = "";
    (void)getnameinfo((struct sockaddr *)&s->at, s->at_len, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(s->address, sizeof s->address, s->at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
                   host, port);
}

static int listen_error(struct zks_server *s, int error)
{
    zks__options_say(&s->options, ZKS_LOG_ERROR, "%s cannot be listened at: %s", s->options.listen,
                     strerror(error));
    switch (error) {
    case EADDRINUSE:
        return ZKS_EEXIST;
    case EACCES:
        return ZKS_EACCES;
    case EADDRNOTAVAIL:
        return ZKS_EINVAL;
    default:
        return ZKS_ESYSTEM;
    }
}

static int service_error(struct zks_server *s, int error, const char *why)
{
    zks__options_say(&s->options, ZKS_LOG_ERROR, "%s", why);
    switch (error) {
    case ZKS__J_INUSE:
        return ZKS_EEXIST;
    case ZKS__J_ACCESS:
        return ZKS_EACCES;
    case ZKS__J_NOMEM:
        return ZKS_ENOMEM;
    default:
        return ZKS_ESYSTEM;
    }
}

static int open_fds(struct zks_server *s)
{
    struct zks__loop *loop = &s->loop;
    int fd = zks__loop_listen(&s->at, &s->at_len);
    if (fd < 0) {
        return listen_error(s, -fd);
    }
    loop->listen_fd = fd;
    if (s->options.only_user) {
        loop->owner_fd = zks__owner_open(&s->at, s->at_len);
        if (loop->owner_fd < 0) {
            zks__options_say(
                &s->options, ZKS_LOG_WARN,
                "the system does not tell whose processes connect: only the secret keeps others "
                "out");
        }
    }
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event listens = {.events = EPOLLIN, .data = {.ptr = &loop->listen_fd}};
    struct epoll_event wakes = {.events = EPOLLIN, .data = {.ptr = &loop->wake_fd}};
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->listen_fd, &listens) != 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &wakes) != 0) {
        zks__options_say(&s->options, ZKS_LOG_ERROR, "the server cannot be started: %s",
                         strerror(errno));
        return ZKS_ESYSTEM;
    }
    return 0;
}

static void prepare_loop(struct zks_server *s)
{
    const zks_server_options *o = &s->options;
    s->loop = (struct zks__loop){.service = &s->service,
                                 .peers = {.secret = o->secret,
                                           .max_frame = o->max_frame,
                                           .max_outstanding = o->max_outstanding,
                                           .max_unread = o->max_unread,
                                           .all_words = o->secret == NULL || o->only_user,
                                           .log = log_of_peers,
                                           .arg = s},
                                 .max_connections = o->max_connections,
                                 .idle_ms = o->idle_ms,
                                 .owner_fd = -1,
                                 .epoll_fd = -1,
                                 .listen_fd = -1,
                                 .wake_fd = -1,
                                 .orders = take_orders,
                                 .done = orders_done,
                                 .arg = s};
}

static int tell_opened(const struct zks_server *s)
{
    const zks_server_options *o = &s->options;
    char id[ZKS__FOLDER_ID];
    if (o->opened == NULL || s->service.journal == NULL) {
        return 0;
    }
    zks__journal_id(s->service.journal, id);
    return o->opened(id, zks__tree_zxid(s->service.tree) == 0, o->lease_arg);
}

static int open_service(struct zks_server *s, bool first)
{
    const zks_server_options *o = &s->options;
    const struct zks__service_options options = {
        .folder = o->folder,
        .compact_bytes = COMPACT_BYTES,
        .tick_ms = o->tick_ms,
        .min_session_timeout_ms = o->min_session_timeout_ms,
        .max_session_timeout_ms = o->max_session_timeout_ms,
        .reap_ms = o->reap_ms,
        .limits = {.nodes = o->max_znodes,
                   .bytes = o->max_bytes,
                   .watches = o->max_watches,
                   .sessions = o->max_sessions,
                   .acl_entries = ACL_ENTRIES,
                   .acl_size = ACL_SIZE,
                   .acl_bytes = o->max_bytes,
                   .watch_bytes = o->max_bytes},
        .tell = tell,
        .granted = o->lease != NULL ? granted : NULL,
        .log = log_of_service,
        .arg = s};
    char why[ZKS__WHY_SIZE] = "";
    uint64_t now_ms = zks__service_clock_ms();
    int rc = first ? zks__service_open(&s->service, &options, now_ms, why)
                   : zks__service_resume(&s->service, now_ms, why);
    return rc == 0 ? tell_opened(s) : service_error(s, rc, why);
}

static void set_running(struct zks_server *s, bool running)
{
    (void)pthread_mutex_lock(&s->lock);
    s->running = running;
    s->outcome = 0;
    (void)pthread_mutex_unlock(&s->lock);
}

/* The socket comes first, so that who connects meanwhile waits. */
static int start(struct zks_server *s, bool first)
{
    prepare_loop(s);
    int rc = open_fds(s);
    if (rc == 0) {
        rc = open_service(s, first);
    }
    if (rc == 0 && !zks__peers_init(&s->loop.peers, &s->service)) {
        rc = ZKS_ENOMEM;
    }
    if (rc == 0) {
        if (first) {
            write_address(s);
        }
        set_running(s, true); /* Before there is a thread, which may end at once. */
        rc = start_thread(s);
        if (rc != 0) {
            set_running(s, false);
            zks__peers_close(&s->loop.peers);
        }
    }
    if (rc != 0) {
        close_fds(&s->loop);
        if (first) {
            zks__service_close(&s->service);
        } else {
            zks__service_pause(&s->service);
        }
    }
    return rc;
}

int zks_server_open(const zks_server_options *options, zks_server **server)
{
    struct zks_server *s = server != NULL ? calloc(1, sizeof *s) : NULL;
    if (s == NULL) {
        return server != NULL ? ZKS_ENOMEM : ZKS_EINVAL;
    }
    (void)pthread_mutex_init(&s->control, NULL);
    (void)pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t clock;
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    int rc = zks__options_take(&s->options, options, &s->at, &s->at_len);
    if (rc == 0) {
        rc = start(s, true);
    }
    if (rc != 0) {
        free_server(s);
        return rc;
    }
    zks__options_say(&s->options, ZKS_LOG_INFO, "serving on %s", s->address);
    *server = s;
    return 0;
}

/* With `control` held. */
static void stop(struct zks_server *s)
{
    struct order order = {.kind = ORDER_STOP};
    (void)give_order(s, &order);
    if (s->has_thread) {
        (void)pthread_join(s->thread, NULL);
        s->has_thread = false;
    }
}

void zks_server_stop(zks_server *server)
{
    (void)pthread_mutex_lock(&server->control);
    stop(server);
    (void)pthread_mutex_unlock(&server->control);
}

int zks_server_start(zks_server *server)
{
    int rc = 0;
    (void)pthread_mutex_lock(&server->control);
    (void)pthread_mutex_lock(&server->lock);
    bool running = server->running;
    (void)pthread_mutex_unlock(&server->lock);
    if (!running) {
        stop(server);
        rc = start(server, false);
    }
    (void)pthread_mutex_unlock(&server->control);
    return rc;
}

void zks_server_close(zks_server *server)
{
    if (server != NULL) {
        zks_server_stop(server);
        zks__service_close(&server->service);
        free_server(server);
    }
}

const char *zks_server_address(const zks_server *server)
{
    return server->address;
}

int zks_server_wait(zks_server *server, int64_t timeout_ms)
{
    struct timespec until;
    int rc = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    if (timeout_ms != ZKS_FOREVER) {
        int64_t ns = until.tv_nsec + timeout_ms % 1000 * 1000000;
        until.tv_sec += timeout_ms / 1000 + ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
    }
    (void)pthread_mutex_lock(&server->lock);
    while (server->running && rc == 0) {
        rc = timeout_ms == ZKS_FOREVER
                 ? pthread_cond_wait(&server->changed, &server->lock)
                 : pthread_cond_timedwait(&server->changed, &server->lock, &until);
    }
    rc = server->running ? ZKS_ETIMEDOUT : server->outcome;
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

int64_t zks_server_lease_ms(zks_server *server, bool *lost)
{
    int64_t lease_ms = ZKS_EBUSY;
    if (lost == NULL) {
        return ZKS_EINVAL;
    }
    (void)pthread_mutex_lock(&server->lock);
    if (!server->running) {
        lease_ms = server->lease_ms;
        *lost = server->lost;
    }
    (void)pthread_mutex_unlock(&server->lock);
    return lease_ms;
}

static int order_of_session(zks_server *server, enum order_kind kind, int64_t session)
{
    struct order order = {.kind = kind, .session = session};
    return give_order(server, &order);
}

int zks_server_expire_session(zks_server *server, int64_t session)
{
    return order_of_session(server, ORDER_EXPIRE, session);
}

int zks_server_cut(zks_server *server, int64_t session)
{
    return order_of_session(server, ORDER_CUT, session);
}

int zks_server_drop_reply(zks_server *server, int64_t session)
{
    return order_of_session(server, ORDER_DROP_REPLY, session);
}

int zks_server_get_stats(zks_server *server, struct zks_server_stats *stats)
{
    struct zks_server_stats found;
    struct order order = {.kind = ORDER_STATS, .stats = &found};
    int rc = give_order(server, &order);
    if (rc == 0) {
        *stats = found;
    }
    return rc;
}
