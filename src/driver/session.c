/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/session.h"

#include "driver/clock.h"
#include "driver/deliveries.h"
#include "driver/machine.h"

enum { REOPEN_MS = 500, POLL_MS = 20 };

const char *zks_client_state_name(enum zks_client_state state)
{
    static const char *const names[] = {[ZKS_CLIENT_CONNECTING] = "connecting",
                                        [ZKS_CLIENT_CONNECTED] = "connected",
                                        [ZKS_CLIENT_SUSPENDED] = "suspended",
                                        [ZKS_CLIENT_LOST] = "lost",
                                        [ZKS_CLIENT_RECONNECTED] = "reconnected",
                                        [ZKS_CLIENT_AUTH_FAILED] = "auth-failed",
                                        [ZKS_CLIENT_CLOSED] = "closed"};
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "?";
}

void zks__session_state(struct zks_client *c, enum zks_client_state state)
{
    static const enum zks_log_level levels[] = {
        [ZKS_CLIENT_CONNECTING] = ZKS_LOG_INFO,  [ZKS_CLIENT_CONNECTED] = ZKS_LOG_INFO,
        [ZKS_CLIENT_SUSPENDED] = ZKS_LOG_WARN,   [ZKS_CLIENT_LOST] = ZKS_LOG_WARN,
        [ZKS_CLIENT_RECONNECTED] = ZKS_LOG_INFO, [ZKS_CLIENT_AUTH_FAILED] = ZKS_LOG_ERROR,
        [ZKS_CLIENT_CLOSED] = ZKS_LOG_INFO};
    zks__client_log(c, levels[state], "zksync: %s, session 0x%llx", zks_client_state_name(state),
                    (unsigned long long)atomic_load(&c->session));
    pthread_mutex_lock(&c->lock);
    c->state = state;
    zks__tell_state(c, state);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void publish_lease(struct zks_client *c)
{
    atomic_store(&c->safe_until_ms, zks__lease_safe_until(&c->lease));
}

static void open_error(struct zks_client *c, int error)
{
    pthread_mutex_lock(&c->lock);
    c->open_error = error;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void close_handle(struct zks_client *c)
{
    if (c->handle != NULL) {
        struct zks__handle *h = c->handle;
        c->handle = NULL;
        c->n_closing++;
        zks__handle_close(h);
    }
}

static void open_handle(struct zks_client *c)
{
    c->asked_ms = c->polled_ms = zks__now_ms();
    int rc = zks__handle_open(&c->handle_options, &c->handle);
    if (rc != 0) {
        close_handle(c);
        zks__client_log(c, ZKS_LOG_ERROR, "zksync: cannot begin a session with %s: %s",
                        c->options.servers, zks_strerror(rc));
        if (rc == ZKS_ENOMEM) {
            open_error(c, rc);
        }
        c->open_at_ms = zks__after(zks__now_ms(), REOPEN_MS);
    } else {
        c->open_at_ms = ZKS__NEVER;
    }
}

static bool call(struct zks_client *c, const struct zks__req *req,
                 void (*done)(struct zks__call *call, void *arg), void *arg)
{
    return c->handle != NULL && zks__handle_call(c->handle, req, NULL, NULL, done, arg);
}

/* The first request on a connection: it tells whether the root of the connect string exists. */
static void root_looked_at(struct zks__call *call, void *arg)
{
    struct zks_client *c = arg;
    if (call->reply.rc == 0) {
        c->no_chroot = false;
    } else if (call->reply.rc == ZKS_ENOENT && c->has_chroot) {
        if (!c->no_chroot) {
            zks__client_log(c, ZKS_LOG_ERROR, "zksync: the root in \"%s\" does not exist",
                            c->options.servers);
        }
        c->no_chroot = true;
        open_error(c, ZKS_ENOCHROOT);
    }
    if (call->heard && !c->was_connected) {
        c->was_connected = true;
        zks__session_state(c, ZKS_CLIENT_CONNECTED);
    }
}

static void look_at_root(struct zks_client *c)
{
    const struct zks__req req = {.kind = ZKS__EXISTS, .dir = "/"};
    call(c, &req, root_looked_at, c);
}

static void ignore_reply(struct zks__call *call, void *arg)
{
    (void)call;
    (void)arg;
}

/* Keeps the lease up: see lease.h.  The write is of a znode that does not exist, which the leader
 * answers without looking at any access control list, and a quorum notes the refusal.  Its name is a
 * random one, so that nobody can create it and forbid us to write to it.  It is no
 * multi, of which libzookeeper loses some memory whenever a connection breaks before the answer. */
static void beat(struct zks_client *c)
{
    bool write = c->n_holding > 0 && c->now_ms >= c->write_at_ms;
    const struct zks__req req = {
        .kind = write ? ZKS__BEAT : ZKS__SYNC, .dir = "/", .name = write ? c->beat_name : NULL};
    c->beat_at_ms = zks__after(c->now_ms, zks__lease_beat_ms(&c->lease));
    if (write) {
        c->write_at_ms = zks__after(c->now_ms, zks__lease_write_ms(&c->lease));
    }
    call(c, &req, ignore_reply, NULL);
}

/* The root is looked at until it is known to be there. */
static void look_again(struct zks_client *c)
{
    if (c->no_chroot || !c->was_connected) {
        look_at_root(c);
    }
}

static void on_connected(struct zks_client *c)
{
    int64_t session = zks__handle_session(c->handle);
    bool new_session = session != atomic_load(&c->session);
    uint32_t timeout = zks__handle_timeout(c->handle);
    zks__lease_begin(&c->lease, c->asked_ms, timeout, new_session);
    publish_lease(c);
    atomic_store(&c->session, session);
    atomic_store(&c->timeout_ms, timeout);
    c->connected = true;
    c->told_lost = false;
    look_at_root(c); /* First of all, so that a missing root is known before other replies. */
    beat(c);
    if (c->was_connected) {
        zks__session_state(c, ZKS_CLIENT_RECONNECTED);
    }
    zks__machines_event(c, ZKS__IN_CONNECTED);
}

static void on_suspended(struct zks_client *c)
{
    if (!c->connected) {
        return;
    }
    c->connected = false;
    c->polled_ms = c->asked_ms = 0;
    if (c->was_connected) {
        zks__session_state(c, ZKS_CLIENT_SUSPENDED);
    }
    zks__machines_event(c, ZKS__IN_SUSPENDED);
}

void zks__session_over(struct zks_client *c)
{
    c->connected = false;
    c->epoch++;
    zks__lease_end(&c->lease);
    publish_lease(c);
    atomic_store(&c->session, 0);
}

/* Once for each session; one from which no answer ever came was never said to be there. */
static void tell_lost(struct zks_client *c)
{
    if (!c->told_lost && c->was_connected) {
        zks__session_state(c, ZKS_CLIENT_LOST);
    }
    c->told_lost = true;
}

void zks__session_expired(struct zks_client *c)
{
    zks__session_over(c);
    close_handle(c);
    tell_lost(c);
    zks__machines_event(c, ZKS__IN_EXPIRED);
    c->open_at_ms = c->now_ms;
}

static void on_auth_failed(struct zks_client *c)
{
    open_error(c, ZKS_EAUTH); /* First, for whoever waits for the state looks at it. */
    zks__session_state(c, ZKS_CLIENT_AUTH_FAILED);
    zks__session_over(c);
    close_handle(c);
    zks__machines_fail(c, ZKS_EAUTH);
}

void zks__session_event(struct zks_client *c, const struct zks__message *message)
{
    if (message->handle != c->handle) {
        return; /* One that is being closed. */
    }
    switch (message->state) {
    case ZKS__SESSION_CONNECTED:
        on_connected(c);
        break;
    case ZKS__SESSION_SUSPENDED:
        on_suspended(c);
        break;
    case ZKS__SESSION_EXPIRED:
        zks__session_expired(c);
        break;
    case ZKS__SESSION_AUTH_FAILED:
        on_auth_failed(c);
        break;
    }
}

void zks__session_answered(struct zks_client *c, const struct zks__call *call)
{
    zks__lease_answered(&c->lease, zks__route_of(call->kind), call->sent_ms, c->now_ms);
    publish_lease(c);
}

void zks__session_poll(struct zks_client *c)
{
    if (!c->connected && c->handle != NULL) {
        uint64_t now = zks__now_ms();
        if (zks__handle_idle(c->handle) && now >= c->polled_ms + POLL_MS) {
            c->asked_ms = c->polled_ms;
            c->polled_ms = now;
        }
    }
}

void zks__session_on_time(struct zks_client *c)
{
    if (c->failed == 0 && c->handle == NULL && c->now_ms >= c->open_at_ms) {
        open_handle(c);
    }
    if (c->connected && c->now_ms >= c->beat_at_ms) {
        beat(c);
        look_again(c);
    }
    if (!c->connected && c->lease.valid && !c->told_lost &&
        c->now_ms >= zks__lease_heard_until(&c->lease)) {
        tell_lost(c);
    }
}

uint64_t zks__session_next_time(const struct zks_client *c)
{
    if (c->handle == NULL) {
        return c->failed == 0 ? c->open_at_ms : ZKS__NEVER;
    }
    return c->connected ? c->beat_at_ms : zks__after(c->now_ms, POLL_MS);
}
