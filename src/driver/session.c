/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/session.h"

#include <errno.h>
#include <string.h>

#include "driver/clock.h"
#include "driver/deliveries.h"
#include "driver/machine.h"

enum { REOPEN_MS = 500, POLL_MS = 20 };

/* A request through the leader must take less than this share of the session timeout: see design.md, 2. */
enum { REQUEST_SHARE = 15 };

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
    atomic_store(&c->cut_until_ms, zks__lease_over_ms(&c->lease));
    atomic_store(&c->safe_until_ms, zks__lease_safe_until(&c->lease));
}

static void open_error(struct zks_client *c, int error, int error_number)
{
    pthread_mutex_lock(&c->lock);
    c->open_error = error;
    c->open_errno = error_number;
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
        int error = rc == ZKS_ESYSTEM ? errno : 0;
        zks__client_log(c, ZKS_LOG_ERROR, "zksync: cannot begin a session with %s: %s",
                        c->handle_options.servers, error != 0 ? strerror(error) : zks_strerror(rc));
        if (rc != ZKS_EDISCONNECTED) {
            open_error(c, rc, error);
        }
        c->open_at_ms = zks__after(zks__now_ms(), REOPEN_MS);
    } else {
        zks__handle_watches(c->handle)->root_len = c->root_len;
        c->open_at_ms = ZKS__NEVER;
    }
}

static bool call(struct zks_client *c, const struct zks__req *req,
                 void (*done)(struct zks__call *call, void *arg), void *arg)
{
    return c->handle != NULL && zks__handle_call(c->handle, req, NULL, NULL, done, arg) == 0;
}

static void root_is_missing(struct zks_client *c)
{
    if (!c->no_chroot) {
        zks__client_log(c, ZKS_LOG_ERROR, "zksync: the root in \"%s\" does not exist",
                        c->options.servers);
    }
    c->no_chroot = true;
}

/* The first request on a connection: it tells whether the root of the connect string exists. */
static void root_looked_at(struct zks__call *call, void *arg)
{
    struct zks_client *c = arg;
    bool current = call->message.handle == c->handle;
    if (current && call->reply.rc == 0) {
        c->no_chroot = false;
        c->root_watched = true;
    } else if (current && call->reply.rc == ZKS_ENOENT && c->root_len > 0) {
        root_is_missing(c);
        c->root_watched = true;
        open_error(c, ZKS_ENOCHROOT, 0);
    }
    if (call->heard && !c->was_connected) {
        c->was_connected = true;
        zks__session_state(c, ZKS_CLIENT_CONNECTED);
    }
}

static void look_at_root(struct zks_client *c)
{
    const struct zks__req req = {.kind = ZKS__EXISTS, .dir = "/", .watch = c->root_len > 0};
    c->root_watched = c->root_len == 0;
    call(c, &req, root_looked_at, c);
}

static uint64_t renewal_ms(const struct zks_client *c)
{
    uint64_t beat_ms = zks__lease_beat_ms(&c->lease);
    uint64_t asked_ms = c->options.lease_renewal_ms;
    uint64_t least_ms = beat_ms / 5;
    /* The servers can have granted less than was asked for, or more. */
    return asked_ms == 0         ? beat_ms
           : asked_ms < least_ms ? least_ms
                                 : zks__min(asked_ms, 2 * beat_ms);
}

static uint64_t linger_ms(const struct zks_client *c)
{
    uint32_t asked_ms = c->options.lease_linger_ms;
    return asked_ms == UINT32_MAX ? ZKS__NEVER
           : asked_ms != 0        ? asked_ms
                                  : 3 * (uint64_t)c->lease.timeout_ms;
}

static bool needs_lease(const struct zks_client *c)
{
    const unsigned *n = c->needs;
    return n[ZKS__NEEDS_LEASE_SOON] + n[ZKS__RESTS_ON_LEASE] + n[ZKS__WAITS_FOR_LEASE] > 0;
}

static bool keeps_lease(const struct zks_client *c)
{
    return needs_lease(c) || c->now_ms < c->kept_until_ms;
}

static uint64_t next_beat_ms(const struct zks_client *c)
{
    uint64_t answered_ms =
        c->lease.answered_ms > c->beaten_ms ? c->lease.answered_ms : c->beaten_ms;
    return keeps_lease(c) ? zks__after(c->beaten_ms, renewal_ms(c))
                          : zks__after(answered_ms, zks__lease_note_ms(&c->lease));
}

/* Whether the lease is too short for somebody. */
static bool is_pressed(const struct zks_client *c)
{
    return c->needs[ZKS__WAITS_FOR_LEASE] > 0 ||
           (c->needs[ZKS__RESTS_ON_LEASE] > 0 &&
            zks__lease_safe_until(&c->lease) <= zks__after(c->now_ms, c->lease.timeout_ms / 4));
}

/* One heartbeat after the other, as soon as each can bring the proof forward. */
static uint64_t hurry_ms(const struct zks_client *c)
{
    uint64_t next_ms = zks__lease_next_ms(&c->lease);
    if (c->beating || !is_pressed(c)) {
        return ZKS__NEVER;
    }
    return next_ms > c->hurry_from_ms ? next_ms : c->hurry_from_ms;
}

static void beaten(struct zks__call *call, void *arg)
{
    struct zks_client *c = arg;
    if (call->message.handle == c->handle) {
        c->beating = false;
        c->beat_took_ms = c->now_ms - call->sent_ms;
        c->hurry_from_ms = call->heard ? 0 : zks__after(c->now_ms, ZKS__RETRY_MS);
    }
}

/* Keeps the lease up: see lease.h.  While nobody needs it a read of our own server does, which costs no more
 * than libzookeeper's pings, that it replaces.  The write is of a znode that does not exist, which the leader
 * answers without looking at any access control list, and a quorum notes the refusal.  Its name is a
 * random one, so that nobody can create it and forbid us to write to it.  It is no
 * multi, of which libzookeeper loses some memory whenever a connection breaks before the answer. */
static void beat(struct zks_client *c)
{
    bool keeps = keeps_lease(c);
    bool due = needs_lease(c) && c->now_ms >= zks__after(c->lease.quorum_ms, 3 * renewal_ms(c));
    bool write = keeps && (due || zks__lease_wants_write(&c->lease, c->now_ms));
    const struct zks__req req = {.kind = !keeps  ? ZKS__EXISTS
                                         : write ? ZKS__BEAT
                                                 : ZKS__SYNC,
                                 .dir = "/",
                                 .name = write ? c->beat_name : NULL};
    c->beaten_ms = c->now_ms;
    c->beating = call(c, &req, beaten, c);
    c->hurry_from_ms = c->beating ? 0 : zks__after(c->now_ms, ZKS__RETRY_MS);
}

/* A machine that begins to need the lease sends a write itself, which serves as the first heartbeat. */
static void keep_lease(struct zks_client *c)
{
    bool keeps = keeps_lease(c);
    if (keeps && !c->kept) {
        c->beaten_ms = c->now_ms;
    }
    if (c->needs[ZKS__RESTS_ON_LEASE] + c->needs[ZKS__WAITS_FOR_LEASE] > 0) {
        c->kept_until_ms = zks__after(c->now_ms, linger_ms(c));
    }
    c->kept = keeps;
}

/* Warns once per session if the lease could not be proved for a session timeout because requests are too slow.
 * A machine that waits because this process was stopped is not such a case. */
static void warn_if_far(struct zks_client *c)
{
    bool near = c->beat_took_ms * REQUEST_SHARE < c->lease.timeout_ms;
    if (!c->connected || c->needs[ZKS__WAITS_FOR_LEASE] == 0 || near) {
        c->short_since_ms = 0;
    } else if (c->short_since_ms == 0) {
        c->short_since_ms = c->now_ms;
    } else if (!c->told_far && c->now_ms >= zks__after(c->short_since_ms, c->lease.timeout_ms)) {
        c->told_far = true;
        zks__client_log(
            c, ZKS_LOG_WARN,
            "zksync: cannot acquire a lock: a request through the leader takes %llu ms, too "
            "long for a session timeout of %u ms",
            (unsigned long long)c->beat_took_ms, (unsigned)c->lease.timeout_ms);
    }
}

/* The root is looked at until it is known to be there, and is watched. */
static void look_again(struct zks_client *c)
{
    if (c->no_chroot || !c->root_watched || !c->was_connected) {
        look_at_root(c);
    }
}

/* See lease.h: the lease cannot know what a server grants that the client has never met. */
static void compare_grants(struct zks_client *c, uint32_t granted)
{
    uint32_t least = c->lease.least_ms;
    if (least != 0 && granted != least) {
        zks__client_log(
            c, ZKS_LOG_WARN,
            "zksync: the servers grant session timeouts of %u and %u ms: while they differ, "
            "a lock can be held twice",
            (unsigned)least, (unsigned)granted);
    }
}

static void on_connected(struct zks_client *c)
{
    int64_t session = zks__handle_session(c->handle);
    bool new_session = session != atomic_load(&c->session);
    uint32_t timeout = zks__handle_timeout(c->handle);
    compare_grants(c, timeout);
    zks__lease_begin(&c->lease, c->asked_ms, timeout, new_session);
    publish_lease(c);
    atomic_store(&c->session, session);
    atomic_store(&c->timeout_ms, c->lease.timeout_ms);
    c->connected = true;
    c->told_lost = false;
    zks__handle_connected(c->handle);
    zks__outage_connected(&c->outage);
    look_at_root(c); /* First of all, so that a missing root is known before other replies. */
    c->beating = false;
    beat(c);
    if (c->was_connected) {
        zks__session_state(c, ZKS_CLIENT_RECONNECTED);
    }
    zks__machines_event(c, ZKS__IN_CONNECTED);
}

static void on_suspended(struct zks_client *c)
{
    zks__outage_cut(&c->outage, c->now_ms);
    if (!c->connected) {
        return; /* It was gone before it could be used. */
    }
    c->connected = false;
    zks__lease_cut(&c->lease);
    publish_lease(c);
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
    c->outage = (struct zks__outage){0};
    c->owned_bytes = 0;
    c->told_far = false;
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

static uint64_t given_up_ms(const struct zks_client *c)
{
    uint32_t timeout_ms = atomic_load(&c->timeout_ms);
    return zks__outage_over_ms(&c->outage,
                               timeout_ms != 0 ? timeout_ms : c->options.session_timeout_ms);
}

static void lose_session(struct zks_client *c)
{
    c->given_up = true;
    zks__session_expired(c);
    c->given_up = false;
}

/* See outage.h. */
static void give_up(struct zks_client *c)
{
    zks__client_log(c, ZKS_LOG_WARN,
                    "zksync: session 0x%llx is given up: no server has answered it for %llu ms",
                    (unsigned long long)atomic_load(&c->session),
                    (unsigned long long)(c->now_ms - c->outage.since_ms));
    lose_session(c);
}

/* libzookeeper could be told of another address, but closes the descriptor that its thread polls then. */
void zks__session_moved(struct zks_client *c, const char *servers, const char *secret)
{
    c->handle_options.servers = servers;
    c->handle_options.secret = secret;
    if (c->failed != 0) {
        return;
    }
    if (c->handle != NULL) {
        zks__client_log(c, ZKS_LOG_WARN, "zksync: session 0x%llx is given up: the server is now %s",
                        (unsigned long long)atomic_load(&c->session), servers);
        lose_session(c);
    }
    c->open_at_ms = c->now_ms;
}

static void on_auth_failed(struct zks_client *c)
{
    if (c->local != NULL && c->was_connected) {
        /* Another server listens at this address.  The API looks for ours. */
        lose_session(c);
        c->open_at_ms = zks__after(c->now_ms, REOPEN_MS);
        return;
    }
    open_error(c, ZKS_EAUTH, 0); /* Before the state, whose waiter reads the error. */
    zks__session_state(c, ZKS_CLIENT_AUTH_FAILED);
    zks__session_over(c);
    close_handle(c);
    zks__machines_fail(c, ZKS_EAUTH);
}

static void on_event(struct zks_client *c, enum zks__session_state state)
{
    switch (state) {
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
    case ZKS__SESSION_ROOT_GONE:
        root_is_missing(c);
        look_at_root(c);
        if (c->connected) {
            zks__machines_look(c); /* What they wait for may never come. */
        }
        break;
    case ZKS__SESSION_ROOT_THERE:
        look_at_root(c);
        break;
    }
}

void zks__session_event(struct zks_client *c, const struct zks__message *message)
{
    if (message->handle == c->handle) { /* Not one that is being closed. */
        on_event(c, message->state);
    }
    if (message->state == ZKS__SESSION_SUSPENDED) {
        atomic_fetch_add(&c->known_cuts, 1);
    }
}

/* Which way a request goes: see lease.h. */
static enum zks__route route_of(enum zks__req_kind kind)
{
    switch (kind) {
    case ZKS__SYNC:
        return ZKS__ROUTE_LEADER;
    case ZKS__CHILDREN:
    case ZKS__GET:
    case ZKS__EXISTS:
    case ZKS__LOOK:
        return ZKS__ROUTE_FOLLOWER;
    default:
        return ZKS__ROUTE_QUORUM;
    }
}

void zks__session_answered(struct zks_client *c, const struct zks__call *call)
{
    if (c->connected) { /* Else the rest of it has gone with the connection. */
        zks__outage_answered(&c->outage);
    }
    zks__lease_answered(&c->lease, route_of(call->kind), call->sent_ms, c->now_ms);
    uint64_t before_ms = atomic_load(&c->safe_until_ms);
    publish_lease(c);
    if (c->needs[ZKS__WAITS_FOR_LEASE] > 0 && atomic_load(&c->safe_until_ms) > before_ms) {
        zks__machines_event(c, ZKS__IN_TICK);
    }
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
    keep_lease(c);
    warn_if_far(c);
    if (c->connected && c->now_ms >= next_beat_ms(c)) {
        beat(c);
        look_again(c);
    } else if (c->connected && c->now_ms >= hurry_ms(c)) {
        beat(c);
    }
    if (!c->connected && c->lease.valid && !c->told_lost &&
        c->now_ms >= zks__lease_over_ms(&c->lease)) {
        tell_lost(c);
    }
    if (!c->connected && c->handle != NULL && c->now_ms >= given_up_ms(c)) {
        give_up(c);
    }
}

uint64_t zks__session_next_time(const struct zks_client *c)
{
    if (c->handle == NULL) {
        return c->failed == 0 ? c->open_at_ms : ZKS__NEVER;
    }
    return c->connected ? zks__min(next_beat_ms(c), hurry_ms(c)) : zks__after(c->now_ms, POLL_MS);
}
