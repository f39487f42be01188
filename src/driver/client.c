/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"
#include "driver/clock.h"
#include "driver/deliveries.h"
#include "driver/machine.h"
#include "driver/session.h"

void zks__client_log(struct zks_client *c, enum zks_log_level level, const char *format, ...)
{
    char line[1200];
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

/* In this order: each cut before the last load is known then, or counted. */
uint64_t zks__client_safe_until(const struct zks_client *c)
{
    unsigned known = atomic_load(&c->known_cuts);
    uint64_t until_ms = atomic_load(&c->safe_until_ms);
    uint64_t cut_until_ms = atomic_load(&c->cut_until_ms);
    return atomic_load(&c->cuts) == known ? until_ms : zks__min(until_ms, cut_until_ms);
}

static void post(void *arg, struct zks__message *message)
{
    struct zks_client *c = arg;
    if (message->kind == ZKS__MSG_SESSION && message->state == ZKS__SESSION_SUSPENDED) {
        atomic_fetch_add(&c->cuts, 1);
    }
    message->next = NULL;
    pthread_mutex_lock(&c->lock);
    *c->last_message = message;
    c->last_message = &message->next;
    pthread_mutex_unlock(&c->lock);
    zks__client_wake(c); /* Without the lock, which the woken thread wants at once. */
}

static void on_reply(struct zks_client *c, struct zks__call *call)
{
    bool current = call->message.handle == c->handle;
    bool expired = current && call->expired;
    if (current && call->heard) {
        zks__session_answered(c, call);
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
        zks__session_expired(c);
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
        zks__session_event(c, message);
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

static void on_time(struct zks_client *c)
{
    for (struct zks__timer *t = zks__timers_take(&c->timers, c->now_ms); t != NULL;
         t = zks__timers_take(&c->timers, c->now_ms)) {
        zks__machine_event(
            (struct zks__machine *)((char *)t - offsetof(struct zks__machine, timer)),
            ZKS__IN_TICK);
    }
    zks__session_on_time(c);
}

/* Waits until there is something to do; the lock is held. */
static void await_work(struct zks_client *c, uint64_t until_ms)
{
    while (c->first_message == NULL && c->first_op == NULL && c->freed == NULL && !c->canceling &&
           !c->closing && !c->roused && zks__now_ms() < until_ms) {
        zks__cond_wait(&c->work, &c->lock, until_ms);
    }
}

struct work {
    struct zks__message *message;
    struct zks_op *op;
    struct zks__machine *freed;
    const char *moved_servers;
    const char *moved_secret;
    bool canceling;
    bool closing;
};

uint64_t zks__client_next_time(const struct zks_client *c)
{
    return zks__min(zks__timers_next(&c->timers), zks__session_next_time(c));
}

static struct work take_work(struct zks_client *c, bool wait)
{
    pthread_mutex_lock(&c->lock);
    if (wait) {
        await_work(c, zks__client_next_time(c));
    }
    struct work w = {.message = c->first_message,
                     .op = c->first_op,
                     .freed = c->freed,
                     .moved_servers = c->moved_servers,
                     .moved_secret = c->moved_secret,
                     .canceling = c->canceling,
                     .closing = c->closing};
    c->first_message = NULL;
    c->last_message = &c->first_message;
    c->first_op = NULL;
    c->last_op = &c->first_op;
    c->freed = NULL;
    c->moved_servers = c->moved_secret = NULL;
    c->canceling = c->roused = false;
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
            zks__deliver(c); /* Before its owner is told that nothing comes any more. */
        }
        pthread_mutex_lock(&c->lock);
        m->free_done = true;
        c->n_orphans++;
        pthread_cond_broadcast(&c->changed);
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
    if (w->moved_servers != NULL) {
        zks__session_moved(c, w->moved_servers, w->moved_secret);
    }
    if (w->canceling) {
        zks__machines_cancel(c);
    }
    on_time(c);
    free_machines(c, w->freed);
    zks__machines_destroy_orphans(c);
    if (c->connected && c->handle != NULL) {
        zks__handle_unwatch(c->handle);
    }
}

static void pass(struct zks_client *c, bool wait)
{
    struct work w = take_work(c, wait);
    do_work(c, &w);
}

static bool is_used(struct zks_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool used = c->first_op != NULL || c->freed != NULL || c->guests > 0;
    pthread_mutex_unlock(&c->lock);
    return used;
}

/* Everything ends: operations first, then the session, then what the handles still have. */
static void shut_down(struct zks_client *c)
{
    struct zks__handle *h = c->handle;
    c->handle = NULL; /* Nothing is sent any more. */
    pthread_mutex_lock(&c->lock);
    c->closing = false; /* It has been seen, and must not keep us from waiting. */
    pthread_mutex_unlock(&c->lock);
    zks__session_over(c);
    zks__machines_fail(c, ZKS_ECLOSED);
    if (h != NULL) {
        c->n_closing++;
        zks__handle_close(h);
    }
    while (c->n_closing > 0) {
        pass(c, true);
    }
    while (is_used(c)) {
        pass(c, true);
    }
    zks__session_state(c, ZKS_CLIENT_CLOSED);
    zks__hand_out(c);
}

bool zks__client_turn(struct zks_client *c, bool wait)
{
    zks__session_poll(c);
    struct work w = take_work(c, wait);
    do_work(c, &w);
    zks__hand_out(c);
    return !w.closing;
}

static void *run(void *arg)
{
    while (zks__client_turn(arg, true)) {
    }
    shut_down(arg);
    return NULL;
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
    c->handle_options = (struct zks__handle_options){.servers = c->servers,
                                                     .timeout_ms = c->options.session_timeout_ms,
                                                     .secret = c->secret,
                                                     .auth_scheme = c->options.auth_scheme,
                                                     .auth = c->options.auth,
                                                     .acl = c->acl,
                                                     .n_acl = c->options.n_acl,
                                                     .wants_log = wants_log,
                                                     .log = forward_log,
                                                     .post = post,
                                                     .arg = c};
    return zks__thread_start(&c->thread, run, c);
}

int zks__client_enter(struct zks_client *c)
{
    if (c->pid != getpid()) {
        return ZKS_EFORKED;
    }
    pthread_mutex_lock(&c->lock);
    bool closed = c->failed == ZKS_ECLOSED;
    c->guests += closed ? 0 : 1;
    pthread_mutex_unlock(&c->lock);
    return closed ? ZKS_ECLOSED : 0;
}

void zks__client_leave(struct zks_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->guests--;
    c->roused = true;
    zks__client_wake(c);
    pthread_mutex_unlock(&c->lock);
}

void zks__client_move(struct zks_client *c, const char *servers, const char *secret)
{
    pthread_mutex_lock(&c->lock);
    c->moved_servers = servers;
    c->moved_secret = secret;
    c->roused = true;
    zks__client_wake(c);
    pthread_mutex_unlock(&c->lock);
}

void zks__client_stop(struct zks_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    zks__client_wake(c);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
}
