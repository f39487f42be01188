/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "driver/clock.h"
#include "driver/machine.h"

enum { REOPEN_MS = 500, POLL_MS = 20, DRAIN_MS = 2000 };

static _Thread_local bool in_callback;

bool zks__client_in_callback(void)
{
    return in_callback;
}

void zks__client_log(struct zks_client *c, enum zks_log_level level, const char *format, ...)
{
    char line[512];
    va_list args;
    if (c->options.log == NULL || level > c->options.log_level) {
        return;
    }
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    c->options.log(level, line, c->options.log_arg);
}

static bool wants_log(void *arg, enum zks_log_level level)
{
    struct zks_client *c = arg;
    return c->options.log != NULL && level <= c->options.log_level;
}

static void forward_log(void *arg, enum zks_log_level level, const char *line)
{
    struct zks_client *c = arg;
    c->options.log(level, line, c->options.log_arg);
}

void zks__client_wake(struct zks_client *c)
{
    pthread_cond_signal(&c->work);
}

static void post(void *arg, struct zks__message *message)
{
    struct zks_client *c = arg;
    message->next = NULL;
    pthread_mutex_lock(&c->lock);
    *c->last_message = message;
    c->last_message = &message->next;
    pthread_mutex_unlock(&c->lock);
    zks__client_wake(c); /* Without the lock, which the woken thread wants at once. */
}

/* ---- Deliveries ---- */

/* What is told first is what was first: states before losses, losses before results. */
static bool deliver_one(struct zks_client *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->n_states > 0) {
        enum zks_client_state state = c->states[0];
        zks_client_listener listener = c->options.listener;
        memmove(c->states, c->states + 1, --c->n_states * sizeof c->states[0]);
        pthread_mutex_unlock(&c->lock);
        if (listener != NULL) {
            listener(c, state, c->options.listener_arg);
        }
        return true;
    }
    if (c->lost != NULL) {
        struct zks__machine *m = c->lost;
        c->lost = m->next_lost;
        if (c->lost == NULL) {
            c->last_lost = &c->lost;
        }
        m->lost_due = false;
        c->telling = m;
        pthread_mutex_unlock(&c->lock);
        m->type->lost(m);
        pthread_mutex_lock(&c->lock);
        c->telling = NULL;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        return true;
    }
    if (c->done_op != NULL) {
        struct zks_op *op = c->done_op;
        c->done_op = op->zks__next;
        if (c->done_op == NULL) {
            c->last_done_op = &c->done_op;
        }
        pthread_mutex_unlock(&c->lock);
        zks__op_deliver(op);
        return true;
    }
    pthread_mutex_unlock(&c->lock);
    return false;
}

int zks__client_deliver(struct zks_client *c)
{
    int count = 0;
    in_callback = true;
    while (deliver_one(c)) {
        count++;
    }
    in_callback = false;
    return count;
}

static bool has_deliveries(const struct zks_client *c)
{
    return c->n_states > 0 || c->lost != NULL || c->done_op != NULL;
}

/* The end of every pass of the driver: what it has found out goes to the callbacks. */
static void hand_out(struct zks_client *c)
{
    if (c->event_fd < 0) {
        zks__client_deliver(c);
        return;
    }
    pthread_mutex_lock(&c->lock);
    bool due = has_deliveries(c);
    pthread_mutex_unlock(&c->lock);
    if (due) {
        uint64_t one = 1;
        (void)!write(c->event_fd, &one, sizeof one);
    }
}

static void set_state(struct zks_client *c, enum zks_client_state state)
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
    if (c->options.listener != NULL) {
        if (c->n_states == ZKS__STATES_MAX) {
            /* Nobody has dispatched for long: the oldest changes are of no interest any more. */
            memmove(c->states, c->states + 1, --c->n_states * sizeof c->states[0]);
        }
        c->states[c->n_states++] = state;
    }
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* ---- The session ---- */

static void each_machine(struct zks_client *c, enum zks__in_kind kind)
{
    pthread_mutex_lock(&c->lock);
    struct zks__machine *m = c->machines;
    pthread_mutex_unlock(&c->lock);
    while (m != NULL) { /* Others only add in front, and only this thread takes out. */
        zks__machine_event(m, kind);
        pthread_mutex_lock(&c->lock);
        m = m->next;
        pthread_mutex_unlock(&c->lock);
    }
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
        set_state(c, ZKS_CLIENT_CONNECTED);
    }
}

static void look_at_root(struct zks_client *c)
{
    const struct zks__req req = {.kind = ZKS__EXISTS, .dir = "/"};
    zks__client_call(c, &req, root_looked_at, c);
}

static void ignore_reply(struct zks__call *call, void *arg)
{
    (void)call;
    (void)arg;
}

/* Keeps the lease up: see lease.h.  The write is of a znode that does not exist, which the leader
 * answers without looking at any access control list, and a quorum notes the refusal.  It is no
 * multi, of which libzookeeper loses some memory whenever a connection breaks before the answer. */
static void beat(struct zks_client *c)
{
    bool write = c->n_holding > 0 && c->now_ms >= c->write_at_ms;
    const struct zks__req req = {.kind = write ? ZKS__BEAT : ZKS__SYNC,
                                 .dir = "/",
                                 .name = write ? "zksync-heartbeat" : NULL};
    c->beat_at_ms = zks__after(c->now_ms, zks__lease_beat_ms(&c->lease));
    if (write) {
        c->write_at_ms = zks__after(c->now_ms, zks__lease_write_ms(&c->lease));
    }
    zks__client_call(c, &req, ignore_reply, NULL);
}

bool zks__client_call(struct zks_client *c, const struct zks__req *req,
                      void (*done)(struct zks__call *call, void *arg), void *arg)
{
    return c->handle != NULL && zks__handle_call(c->handle, req, NULL, NULL, done, arg);
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
        set_state(c, ZKS_CLIENT_RECONNECTED);
    }
    each_machine(c, ZKS__IN_CONNECTED);
}

static void on_suspended(struct zks_client *c)
{
    if (!c->connected) {
        return;
    }
    c->connected = false;
    c->polled_ms = c->asked_ms = 0;
    if (c->was_connected) {
        set_state(c, ZKS_CLIENT_SUSPENDED);
    }
    each_machine(c, ZKS__IN_SUSPENDED);
}

/* The session is over: what comes of it from now on belongs to an earlier epoch. */
static void session_over(struct zks_client *c)
{
    c->connected = false;
    c->epoch++;
    zks__lease_end(&c->lease);
    publish_lease(c);
    atomic_store(&c->session, 0);
}

static void on_expired(struct zks_client *c)
{
    session_over(c);
    close_handle(c);
    if (!c->told_lost) {
        c->told_lost = true;
        set_state(c, ZKS_CLIENT_LOST);
    }
    each_machine(c, ZKS__IN_EXPIRED);
    c->open_at_ms = c->now_ms;
}

/* The client cannot go on: whatever waits ends, and whatever is held is lost. */
static void fail_all(struct zks_client *c, int error)
{
    pthread_mutex_lock(&c->lock);
    c->failed = error;
    struct zks__machine *m = c->machines;
    pthread_mutex_unlock(&c->lock);
    while (m != NULL) {
        zks__machine_fail(m, error);
        pthread_mutex_lock(&c->lock);
        m = m->next;
        pthread_mutex_unlock(&c->lock);
    }
}

static void on_auth_failed(struct zks_client *c)
{
    open_error(c, ZKS_EAUTH); /* First, for whoever waits for the state looks at it. */
    set_state(c, ZKS_CLIENT_AUTH_FAILED);
    session_over(c);
    close_handle(c);
    fail_all(c, ZKS_EAUTH);
}

static void on_session(struct zks_client *c, const struct zks__message *message)
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
        on_expired(c);
        break;
    case ZKS__SESSION_AUTH_FAILED:
        on_auth_failed(c);
        break;
    }
}

static void on_reply(struct zks_client *c, struct zks__call *call)
{
    bool current = call->message.handle == c->handle;
    bool expired = current && call->expired;
    if (current && call->heard) {
        zks__lease_answered(&c->lease, zks__route_of(call->kind), call->sent_ms, c->now_ms);
        publish_lease(c);
    }
    if (call->done != NULL) {
        call->done(call, call->arg);
    } else if (call->machine != NULL && current) {
        zks__machine_reply(call->machine, call);
    } else if (call->machine != NULL) {
        call->machine->calls--; /* An earlier session's: it says nothing any more. */
    }
    zks__call_free(call);
    /* A server can take up a session that is being closed just then (seen with 3.8.0): the
     * connection stays, libzookeeper takes it for good, and every request fails.  There is no event
     * of that, so the answers must be believed. */
    if (expired && c->handle != NULL) {
        on_expired(c);
    }
}

static void lost_call(struct zks__call *call, void *arg)
{
    (void)arg;
    call->reply.rc = ZKS__UNKNOWN;
    if (call->done != NULL) {
        call->done(call, call->arg);
    } else if (call->machine != NULL) {
        call->machine->calls--;
    }
    zks__call_free(call);
}

static void on_message(struct zks_client *c, struct zks__message *message)
{
    switch (message->kind) {
    case ZKS__MSG_SESSION:
        on_session(c, message);
        zks__event_free(message);
        break;
    case ZKS__MSG_REPLY:
        on_reply(c, (struct zks__call *)message);
        break;
    case ZKS__MSG_WATCH:
        zks__watch_take((struct zks__watch *)message,
                        message->handle == c->handle ? zks__machine_watch : NULL);
        break;
    case ZKS__MSG_CLOSED:
        c->n_closing--;
        zks__handle_free(message->handle, lost_call, NULL);
        break;
    }
}

/* ---- The driver's thread ---- */

static void on_time(struct zks_client *c)
{
    for (struct zks__timer *t = zks__timers_take(&c->timers, c->now_ms); t != NULL;
         t = zks__timers_take(&c->timers, c->now_ms)) {
        zks__machine_event(
            (struct zks__machine *)((char *)t - offsetof(struct zks__machine, timer)),
            ZKS__IN_TICK);
    }
    if (c->failed == 0 && c->handle == NULL && c->now_ms >= c->open_at_ms) {
        open_handle(c);
    }
    if (c->connected && c->now_ms >= c->beat_at_ms) {
        beat(c);
        look_again(c);
    }
    if (!c->connected && c->lease.valid && !c->told_lost &&
        c->now_ms >= zks__lease_heard_until(&c->lease)) {
        c->told_lost = true;
        set_state(c, ZKS_CLIENT_LOST);
    }
}

/* While there is no connection the handle is looked at now and then, to know a time before which it
 * had certainly not asked a server to take the session up: the lease counts from there.  The look
 * before the last one is taken, since this process may have been stopped between reading the clock
 * and reading the state. */
static void poll_handle(struct zks_client *c)
{
    if (!c->connected && c->handle != NULL) {
        uint64_t now = zks__now_ms();
        if (zks__handle_idle(c->handle) && now >= c->polled_ms + POLL_MS) {
            c->asked_ms = c->polled_ms;
            c->polled_ms = now;
        }
    }
}

static uint64_t next_time(const struct zks_client *c)
{
    uint64_t at = zks__min(zks__timers_next(&c->timers), c->drain_until_ms);
    if (c->handle == NULL && c->failed == 0) {
        at = zks__min(at, c->open_at_ms);
    }
    if (c->connected) {
        at = zks__min(at, c->beat_at_ms);
    } else if (c->handle != NULL) {
        at = zks__min(at, zks__after(c->now_ms, POLL_MS));
    }
    return at;
}

/* Waits until there is something to do; the lock is held. */
static void await_work(struct zks_client *c, uint64_t until_ms)
{
    while (c->first_message == NULL && c->first_op == NULL && c->freed == NULL && !c->canceling &&
           !c->closing) {
        uint64_t now = zks__now_ms();
        if (now >= until_ms) {
            return;
        }
        if (until_ms == ZKS__NEVER) {
            pthread_cond_wait(&c->work, &c->lock);
            continue;
        }
        struct timespec at;
        uint64_t ms = until_ms - now;
        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_sec += (time_t)(ms / 1000);
        at.tv_nsec += (long)(ms % 1000) * 1000000;
        if (at.tv_nsec >= 1000000000) {
            at.tv_sec++;
            at.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&c->work, &c->lock, &at);
        if (zks__now_ms() >= until_ms) {
            return;
        }
    }
}

struct work {
    struct zks__message *message;
    struct zks_op *op;
    struct zks__machine *freed;
    bool canceling;
    bool closing;
};

static struct work take_work(struct zks_client *c, bool wait)
{
    pthread_mutex_lock(&c->lock);
    if (wait) {
        await_work(c, next_time(c));
    }
    struct work w = {c->first_message, c->first_op, c->freed, c->canceling, c->closing};
    c->first_message = NULL;
    c->last_message = &c->first_message;
    c->first_op = NULL;
    c->last_op = &c->first_op;
    c->freed = NULL;
    c->canceling = false;
    pthread_mutex_unlock(&c->lock);
    return w;
}

static void free_machines(struct zks_client *c, struct zks__machine *freed)
{
    while (freed != NULL) {
        struct zks__machine *m = freed;
        freed = m->next_freed;
        zks__machine_abandon(m);
        if (c->event_fd < 0) {
            zks__client_deliver(c); /* Before its owner is told that nothing comes any more. */
        }
        pthread_mutex_lock(&c->lock);
        m->free_done = true;
        c->n_orphans++;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
    }
}

static void destroy_orphans(struct zks_client *c)
{
    pthread_mutex_lock(&c->lock);
    struct zks__machine *m = c->n_orphans > 0 ? c->machines : NULL;
    pthread_mutex_unlock(&c->lock);
    while (m != NULL) {
        pthread_mutex_lock(&c->lock);
        struct zks__machine *next = m->next;
        pthread_mutex_unlock(&c->lock);
        if (zks__machine_try_destroy(m)) {
            c->n_orphans--;
        }
        m = next;
    }
}

static void cancel_machines(struct zks_client *c)
{
    pthread_mutex_lock(&c->lock);
    struct zks__machine *m = c->machines;
    pthread_mutex_unlock(&c->lock);
    while (m != NULL) {
        zks__machine_cancel(m);
        pthread_mutex_lock(&c->lock);
        m = m->next;
        pthread_mutex_unlock(&c->lock);
    }
}

static void do_work(struct zks_client *c, struct work *w)
{
    c->now_ms = zks__now_ms();
    while (w->message != NULL) {
        struct zks__message *message = w->message;
        w->message = message->next;
        on_message(c, message);
    }
    while (w->op != NULL) {
        struct zks_op *op = w->op;
        w->op = op->zks__next;
        zks__machine_take(op);
    }
    if (w->canceling) {
        cancel_machines(c);
    }
    on_time(c);
    free_machines(c, w->freed);
    destroy_orphans(c);
}

static void pass(struct zks_client *c, bool wait)
{
    struct work w = take_work(c, wait);
    do_work(c, &w);
}

/* Answers that have not been read when libzookeeper closes its socket make the system reset the
 * connection, and the server may then drop our request to end the session unread.  So the answers
 * are awaited first, for a while. */
static void drain(struct zks_client *c, struct zks__handle *h)
{
    c->drain_until_ms = zks__after(zks__now_ms(), DRAIN_MS);
    while (zks__handle_busy(h) && zks__now_ms() < c->drain_until_ms) {
        pass(c, true);
    }
    c->drain_until_ms = ZKS__NEVER;
}

/* Everything ends: operations first, then the session, then what the handles still have. */
static void shut_down(struct zks_client *c)
{
    struct zks__handle *h = c->handle;
    bool connected = c->connected;
    c->handle = NULL;
    pthread_mutex_lock(&c->lock);
    c->closing = false; /* It has been seen, and must not keep us from waiting. */
    pthread_mutex_unlock(&c->lock);
    session_over(c);
    fail_all(c, ZKS_ECLOSED);
    if (connected) {
        drain(c, h);
    }
    if (h != NULL) {
        c->n_closing++;
        zks__handle_close(h);
    }
    while (c->n_closing > 0) {
        pass(c, true);
    }
    do {
        pass(c, false);
    } while (c->first_op != NULL || c->freed != NULL); /* Of callbacks that it has run. */
    set_state(c, ZKS_CLIENT_CLOSED);
    while (c->machines != NULL) {
        struct zks__machine *m = c->machines;
        c->machines = m->next;
        zks__machine_close(m);
    }
    hand_out(c);
}

static void *run(void *arg)
{
    struct zks_client *c = arg;
    for (;;) {
        poll_handle(c);
        struct work w = take_work(c, true);
        do_work(c, &w);
        hand_out(c);
        if (w.closing) {
            shut_down(c);
            return NULL;
        }
    }
}

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* A child process has none of the parent's threads: locks that they held are free, and their
 * handles are of no use. */
static void after_fork(void)
{
    zks__op_after_fork();
    zks__log_after_fork();
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, after_fork);
}

int zks__client_start(struct zks_client *c)
{
    pthread_once(&fork_once, watch_forks);
    c->last_message = &c->first_message;
    c->last_op = &c->first_op;
    c->last_done_op = &c->done_op;
    c->last_lost = &c->lost;
    c->epoch = 1;
    c->beat_at_ms = ZKS__NEVER;
    c->drain_until_ms = ZKS__NEVER;
    c->handle_options = (struct zks__handle_options){.servers = c->servers,
                                                     .timeout_ms = c->options.session_timeout_ms,
                                                     .auth_scheme = c->options.auth_scheme,
                                                     .auth = c->options.auth,
                                                     .acl = c->acl,
                                                     .n_acl = c->options.n_acl,
                                                     .wants_log = wants_log,
                                                     .log = forward_log,
                                                     .post = post,
                                                     .arg = c};
    return pthread_create(&c->thread, NULL, run, c) == 0 ? 0 : ZKS_ESYSTEM;
}

void zks__client_stop(struct zks_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    zks__client_wake(c);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
}
