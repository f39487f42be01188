/* SPDX-License-Identifier: Apache-2.0 */
#include "api/local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/common.h"
#include "api/servers.h"
#include "base/thread.h"
#include "driver/clock.h"
#include "local/local.h"

enum {
    OPEN_MS = 30000,  /* For it to start, where no shorter limit is given. */
    START_MS = 30000, /* The same, later. */
    FIRST_MS = 500,   /* For a connection to come by itself. */
    AGAIN_MS = 50,    /* From one look to the next, doubled each time ... */
    SOON_MS = 1000,   /* ... up to this, as long as the lease may last ... */
    SELDOM_MS = 5000, /* ... and later up to this. */
    LONG_MS = 30000,
    FAILED_MS = 1000, /* From one start that fails to the next, of all clients. */
    LASTING_MS = 5000
};

struct zks__local_server {
    zks_client *client;
    struct zks__local_way way;
    struct zks_local present;
    pthread_t thread;
    bool running;
    int cancel_fd;
    bool ended;                 /* Under the client's lock. */
    char said[ZKS__ERROR_MAX];  /* The last complaint, which is logged once. */
    char heard[ZKS__ERROR_MAX]; /* The complaint of the present look; "" for none. */
};

static void log_line(enum zks_log_level level, const char *line, void *arg)
{
    struct zks__local_server *s = arg;
    if (s->running && level == ZKS_LOG_ERROR) {
        (void)snprintf(s->heard, sizeof s->heard, "%s", line);
    } else {
        zks__client_log(s->client, level, "%s", line);
    }
}

static bool has_moved(const struct zks__local_server *s, const struct zks_local *local)
{
    return strcmp(s->present.address, local->address) != 0 ||
           strcmp(s->present.secret, local->secret) != 0;
}

static void log_found(const struct zks__local_server *s, const struct zks_local *local)
{
    zks__client_log(s->client, ZKS_LOG_INFO, "zksync: the local server at %s, process %lld, %s",
                    local->address, (long long)local->pid,
                    local->started ? "was started" : "runs already");
}

int zks__local_open(zks_client *c)
{
    struct zks__local_server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return ZKS_ENOMEM;
    }
    c->local = s;
    s->client = c;
    s->cancel_fd = -1;
    int64_t limit_ms = c->options.connect_timeout_ms;
    limit_ms = limit_ms > 0 && limit_ms < OPEN_MS ? limit_ms : OPEN_MS;
    struct zks__limit limit = zks__limit_of(limit_ms, -1);
    int rc = zks__local_way_init(&s->way, log_line, s);
    rc = rc == 0 ? zks__local_start(&s->way, 0, &limit, &s->present) : rc;
    if (rc != 0) {
        return rc;
    }
    log_found(s, &s->present);
    c->options.servers = strdup(s->present.address);
    return c->options.servers != NULL ? 0 : ZKS_ENOMEM;
}

const char *zks__local_secret(const struct zks__local_server *s)
{
    return s->present.secret;
}

/* ---- Finding it again ---- */

static bool is_connected(const zks_client *c)
{
    return c->state == ZKS_CLIENT_CONNECTED || c->state == ZKS_CLIENT_RECONNECTED;
}

/* False where the client is to be closed. */
static bool await_outage(struct zks__local_server *s)
{
    zks_client *c = s->client;
    pthread_mutex_lock(&c->lock);
    while (!s->ended && is_connected(c)) {
        zks__cond_wait(&c->changed, &c->lock, ZKS__NEVER);
    }
    bool ended = s->ended;
    pthread_mutex_unlock(&c->lock);
    return !ended;
}

/* Waits; false where the client has a connection meanwhile, or is to be closed. */
static bool await_look(struct zks__local_server *s, uint64_t until_ms)
{
    zks_client *c = s->client;
    pthread_mutex_lock(&c->lock);
    while (!s->ended && !is_connected(c) && zks__now_ms() < until_ms) {
        zks__cond_wait(&c->changed, &c->lock, until_ms);
    }
    bool needed = !s->ended && !is_connected(c);
    pthread_mutex_unlock(&c->lock);
    return needed;
}

/* Each look of a server that cannot be started would say the same.  One that is canceled has nothing to say. */
static void complain(struct zks__local_server *s)
{
    pthread_mutex_lock(&s->client->lock);
    bool ended = s->ended;
    pthread_mutex_unlock(&s->client->lock);
    if (!ended && strcmp(s->heard, s->said) != 0 && s->heard[0] != '\0') {
        zks__client_log(s->client, ZKS_LOG_ERROR, "%s", s->heard);
        memcpy(s->said, s->heard, sizeof s->said);
    }
}

/* False where there is no memory: the next look tries it again. */
static bool move(struct zks__local_server *s, const struct zks_local *local)
{
    zks_client *c = s->client;
    struct zks__servers *servers;
    if (zks__servers_parse(local->address, &servers) != 0) {
        return false;
    }
    if (zks__servers_set_secret(servers, local->secret) != 0) {
        zks__servers_free(servers);
        return false;
    }
    servers->former = c->list;
    c->list = servers;
    zks__client_move(c, servers->connect, servers->secret);
    return true;
}

static void look(struct zks__local_server *s)
{
    struct zks_local local;
    struct zks__limit limit = zks__limit_of(START_MS, s->cancel_fd);
    s->heard[0] = '\0';
    zks__error_begin();
    int rc = zks__local_start(&s->way, FAILED_MS, &limit, &local);
    if (rc != 0) {
        complain(s);
        return;
    }
    s->said[0] = '\0';
    if (local.started || has_moved(s, &local)) {
        log_found(s, &local);
    }
    if (has_moved(s, &local) && move(s, &local)) {
        s->present = local;
    }
    explicit_bzero(local.secret, sizeof local.secret);
}

/* Half of it is chance, so that many clients do not look at the same time. */
static uint64_t varied(uint64_t ms)
{
    uint32_t random = 0;
    (void)zks__fill_random(&random, sizeof random);
    return ms / 2 + random % (ms / 2 + 1);
}

/* A service manager that restarts the server is given the time to do so.  A short lease has less. */
static uint64_t first_ms(const struct zks__local_server *s)
{
    uint32_t timeout_ms = atomic_load(&s->client->timeout_ms);
    return timeout_ms != 0 ? zks__min(FIRST_MS, timeout_ms / 10) : FIRST_MS;
}

/* After a connection that did not last, as with a server whose disk is full, the pauses go on growing. */
static void *run(void *arg)
{
    struct zks__local_server *s = arg;
    uint64_t again_ms = AGAIN_MS;
    uint64_t connected_ms = 0;
    while (await_outage(s)) {
        uint64_t now_ms = zks__now_ms();
        uint64_t long_ms = zks__after(now_ms, LONG_MS);
        bool lasted = now_ms >= zks__after(connected_ms, LASTING_MS);
        again_ms = lasted ? AGAIN_MS : again_ms;
        uint64_t next_ms = lasted ? first_ms(s) : first_ms(s) + varied(again_ms);
        while (await_look(s, zks__after(zks__now_ms(), next_ms))) {
            look(s);
            next_ms = varied(again_ms);
            again_ms = zks__min(2 * again_ms, zks__now_ms() < long_ms ? SOON_MS : SELDOM_MS);
        }
        connected_ms = zks__now_ms();
    }
    return NULL;
}

int zks__local_keep(zks_client *c)
{
    struct zks__local_server *s = c->local;
    if (s == NULL) {
        return 0;
    }
    s->cancel_fd = eventfd(0, EFD_CLOEXEC);
    if (s->cancel_fd < 0) {
        return errno;
    }
    s->running = true; /* The thread reads it. */
    int rc = zks__thread_start(&s->thread, run, s);
    if (rc != 0) {
        s->running = false;
    }
    return rc;
}

void zks__local_end(struct zks__local_server *s)
{
    const uint64_t one = 1;
    if (s == NULL || !s->running) {
        return;
    }
    pthread_mutex_lock(&s->client->lock);
    s->ended = true;
    pthread_cond_broadcast(&s->client->changed);
    pthread_mutex_unlock(&s->client->lock);
    (void)!write(s->cancel_fd, &one, sizeof one);
    (void)pthread_join(s->thread, NULL);
    s->running = false;
}

void zks__local_free(struct zks__local_server *s)
{
    if (s == NULL) {
        return;
    }
    if (s->cancel_fd >= 0) {
        (void)close(s->cancel_fd);
    }
    zks__local_way_close(&s->way);
    explicit_bzero(s->present.secret, sizeof s->present.secret);
    free(s);
}
