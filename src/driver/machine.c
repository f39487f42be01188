/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/machine.h"

#include <string.h>
#include <unistd.h>

#include "driver/clock.h"
#include "driver/deliveries.h"
#include "driver/quota.h"

/* So often a connection must end over a request of so many bytes until it is taken for too large. */
enum { CUTS_MAX = 8, LARGE_BYTES = 4096 };

enum op_state { OP_IDLE, OP_UNDER_WAY, OP_ENDED };

/* Protects the states of all operations, so that a cancel from any thread never meets a client that
 * is gone or memory that is its owner's again.  Held for a few instructions only. */
static pthread_mutex_t op_lock = PTHREAD_MUTEX_INITIALIZER;

void zks__op_after_fork(void)
{
    pthread_mutex_init(&op_lock, NULL);
}

/* A blocking call: an operation on the caller's stack. */
struct waiter {
    struct zks_op op;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    int result;
};

static void wake_waiter(struct zks_op *op, int result, void *arg)
{
    struct waiter *w = arg;
    (void)op;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    w->result = result;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

void zks__op_ignore(struct zks_op *op, int result, void *arg)
{
    (void)op;
    (void)result;
    (void)arg;
}

void zks_op_init(zks_op *op, zks_op_cb cb, void *arg)
{
    if (op != NULL) {
        memset(op, 0, sizeof *op);
        op->zks__cb = cb;
        op->zks__arg = arg;
    }
}

void zks_op_cancel(zks_op *op)
{
    if (op == NULL) {
        return;
    }
    pthread_mutex_lock(&op_lock);
    if (op->zks__state == OP_UNDER_WAY && !op->zks__cancel && op->zks__client->pid == getpid()) {
        struct zks_client *c = op->zks__client;
        op->zks__cancel = true;
        pthread_mutex_lock(&c->lock);
        c->canceling = true;
        zks__client_wake(c);
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_unlock(&op_lock);
}

static bool is_canceled(const struct zks_op *op)
{
    pthread_mutex_lock(&op_lock);
    bool canceled = op->zks__cancel;
    pthread_mutex_unlock(&op_lock);
    return canceled;
}

int zks__machine_attach(struct zks__machine *m, const struct zks__machine_type *type,
                        struct zks_client *c, const char *dir)
{
    if (c->pid != getpid()) {
        return ZKS_EFORKED;
    }
    m->type = type;
    m->client = c;
    m->dir = dir;
    pthread_mutex_lock(&c->lock);
    m->next = c->machines;
    if (m->next != NULL) {
        m->next->prev = m;
    }
    c->machines = m;
    pthread_mutex_unlock(&c->lock);
    return 0;
}

/* The operation is its owner's again. */
static void withdraw(struct zks_op *op)
{
    pthread_mutex_lock(&op_lock);
    op->zks__state = OP_IDLE;
    op->zks__client = NULL;
    pthread_mutex_unlock(&op_lock);
}

int zks__machine_submit(struct zks__machine *m, struct zks_op *op, int what, int64_t timeout_ms)
{
    return zks__machine_submit_if(m, op, what, timeout_ms, NULL);
}

int zks__machine_submit_if(struct zks__machine *m, struct zks_op *op, int what, int64_t timeout_ms,
                           bool (*admit)(struct zks__machine *m, int *result))
{
    struct zks_client *c = m->client;
    if (timeout_ms < ZKS_FOREVER || op == NULL || op->zks__cb == NULL) {
        return ZKS_EINVAL;
    }
    if (c == NULL) {
        return ZKS_ECLOSED;
    }
    if (c->pid != getpid()) {
        return ZKS_EFORKED;
    }
    pthread_mutex_lock(&op_lock);
    if (op->zks__state != OP_IDLE) {
        pthread_mutex_unlock(&op_lock);
        return ZKS_EINVAL;
    }
    op->zks__state = OP_UNDER_WAY;
    op->zks__cancel = false;
    op->zks__client = c;
    pthread_mutex_unlock(&op_lock);
    op->zks__machine = m;
    op->zks__what = what;
    op->zks__next = NULL;
    op->zks__deadline_ms = timeout_ms == 0 ? 0
                           : timeout_ms == ZKS_FOREVER
                               ? ZKS__NEVER
                               : zks__after(zks__now_ms(), (uint64_t)timeout_ms);
    pthread_mutex_lock(&c->lock);
    int result = c->failed == ZKS_ECLOSED ? ZKS_ECLOSED : 0;
    bool admitted = result == 0 && (admit == NULL || admit(m, &result));
    if (admitted) {
        *c->last_op = op;
        c->last_op = &op->zks__next;
        m->submitted++;
        zks__client_wake(c); /* Under the lock: once it is let go the client may come to its end. */
    }
    pthread_mutex_unlock(&c->lock);
    if (!admitted) {
        withdraw(op);
    }
    return result;
}

int zks__machine_run(struct zks__machine *m, int what, int64_t timeout_ms)
{
    struct waiter w = {.done = false};
    if (timeout_ms < ZKS_FOREVER) {
        return ZKS_EINVAL;
    }
    if (zks__in_callback()) {
        return ZKS_EDEADLK;
    }
    zks_op_init(&w.op, wake_waiter, &w);
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.cond, NULL);
    int rc = zks__machine_submit(m, &w.op, what, timeout_ms);
    if (rc == 0) {
        pthread_mutex_lock(&w.lock);
        while (!w.done) {
            pthread_cond_wait(&w.cond, &w.lock);
        }
        rc = w.result;
        pthread_mutex_unlock(&w.lock);
    }
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
    return rc;
}

void zks__op_deliver(struct zks_op *op)
{
    zks_op_cb cb = op->zks__cb;
    void *arg = op->zks__arg;
    int result = op->zks__result;
    withdraw(op);
    cb(op, result, arg);
}

void zks__op_end(struct zks_client *c, struct zks_op *op, int result)
{
    pthread_mutex_lock(&op_lock);
    op->zks__state = OP_ENDED; /* A cancel comes too late from now on. */
    pthread_mutex_unlock(&op_lock);
    op->zks__result = result;
    if (op->zks__cb == wake_waiter || op->zks__cb == zks__op_ignore) {
        zks__op_deliver(op); /* The library's own: it must not depend on a dispatch. */
    } else {
        zks__tell_done(c, op);
    }
}

static struct zks__in event(struct zks__machine *m, enum zks__in_kind kind)
{
    struct zks_client *c = m->client;
    struct zks__in in;
    memset(&in, 0, sizeof in);
    in.kind = kind;
    in.connected = c->connected;
    in.given_up = c->given_up;
    in.now_ms = c->now_ms;
    in.epoch = c->epoch;
    in.safe_until_ms = zks__client_safe_until(c);
    in.session = atomic_load(&c->session);
    in.timeout_ms = atomic_load(&c->timeout_ms);
    return in;
}

static void count_needs(struct zks__machine *m)
{
    unsigned *needs = m->client->needs;
    needs[m->needs] -= m->needs != ZKS__NEEDS_NO_LEASE;
    m->needs = m->type->needs != NULL ? m->type->needs(m) : ZKS__NEEDS_NO_LEASE;
    needs[m->needs] += m->needs != ZKS__NEEDS_NO_LEASE;
}

/* A machine is never woken twice in one pass, so that it cannot keep the others from their turn. */
static void arm(struct zks__machine *m)
{
    uint64_t at = m->type->deadline(m);
    uint64_t soonest = m->client->now_ms + 1;
    zks__timer_set(&m->client->timers, &m->timer, at < soonest ? soonest : at);
}

static void step(struct zks__machine *m, const struct zks__in *in);

/* A request that could not be sent is one whose outcome is unknown, which the machines know how to
 * deal with: they ask again a little later.  One that libzookeeper would never send is refused. */
static void send_all(struct zks__machine *m, const struct zks__out *out)
{
    struct zks_client *c = m->client;
    struct zks__reply unsent[ZKS__OUT_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < out->n; i++) {
        struct zks__req req = out->req[i];
        int rc = zks__quota_admit(m, &req);
        if (rc == 0) {
            rc = c->handle != NULL
                     ? zks__handle_call(c->handle, &req, m, &m->subscriptions, NULL, NULL)
                     : ZKS__UNKNOWN;
        }
        if (rc == 0) {
            m->calls++;
        } else {
            unsent[n++] = (struct zks__reply){.ticket = req.ticket, .rc = rc};
        }
    }
    for (unsigned i = 0; i < n; i++) {
        struct zks__in in = event(m, ZKS__IN_REPLY);
        in.reply = unsent[i];
        step(m, &in);
    }
}

/* The child's name, or NULL where it is the watch of the machine's path. */
static const char *name_in(const struct zks__machine *m, const struct zks__watch *watch)
{
    return strcmp(watch->path, m->dir) == 0 ? NULL : watch->path + strlen(m->dir) + 1;
}

static bool wants(const struct zks__machine *m, const struct zks__watch *watch)
{
    return m->type->watches != NULL ? m->type->watches(m, name_in(m, watch)) : !m->orphan;
}

/* What every step of a machine ends with.  `ended` is the operation that it has completed or refused,
 * or NULL. */
static void conclude(struct zks__machine *m, const struct zks__out *out, struct zks_op *ended)
{
    struct zks_client *c = m->client;
    count_needs(m);
    zks__quota_recount(m);
    pthread_mutex_lock(&c->lock);
    m->type->publish(m);
    if (out->lost) {
        zks__tell_lost(m);
    } else if (m->lost_due && m->op != NULL) {
        zks__untell_lost(
            m); /* Nobody has dispatched it, but an unlock has said so: no news any more. */
    }
    pthread_mutex_unlock(&c->lock);
    int result = out->result; /* The names in `out` are used up by sending. */
    send_all(m, out);
    zks__unsubscribe(&m->subscriptions, wants);
    if (ended != NULL) {
        zks__op_end(c, ended, result);
    }
    arm(m);
}

static void step(struct zks__machine *m, const struct zks__in *in)
{
    struct zks__out out;
    struct zks_op *ended = NULL;
    m->type->step(m, in, &out);
    if (out.done || out.refuse) {
        if (m->cut_off && out.result == ZKS_ECANCELED) {
            out.result = ZKS_ESERVER;
        }
        m->cut_off = false;
        ended = m->op;
        m->op = NULL;
    }
    conclude(m, &out, ended);
}

static void cancel(struct zks__machine *m)
{
    if (m->op != NULL && is_canceled(m->op)) {
        zks__machine_event(m, ZKS__IN_CANCEL);
    }
}

/* A refusal is of this operation alone: the one in hand, if any, goes on. */
void zks__machine_take(struct zks_op *op)
{
    struct zks__machine *m = op->zks__machine;
    struct zks_client *c = m->client;
    struct zks__in in = event(m, ZKS__IN_REQUEST);
    struct zks__out out;
    pthread_mutex_lock(&c->lock);
    m->submitted--;
    pthread_mutex_unlock(&c->lock);
    if (m->orphan || c->failed != 0) {
        zks__op_end(c, op, m->orphan ? ZKS_ECLOSED : c->failed);
        return;
    }
    in.request.what = op->zks__what;
    /* Only 0 ms is a try, not a deadline that has passed on the way here. */
    in.request.deadline_ms = op->zks__deadline_ms;
    if (in.request.deadline_ms != 0 && in.request.deadline_ms <= c->now_ms) {
        in.request.deadline_ms = c->now_ms + 1;
    }
    m->type->step(m, &in, &out);
    if (!out.refuse) {
        m->op = out.done ? NULL : op;
    }
    conclude(m, &out, out.refuse || out.done ? op : NULL);
    if (m->op == op) {
        cancel(m); /* It may have been cancelled before it was taken. */
    }
}

void zks__machine_event(struct zks__machine *m, enum zks__in_kind kind)
{
    struct zks__in in = event(m, kind);
    step(m, &in);
}

/* The servers can have a jute.maxbuffer that is smaller than ours.  They do not say so, they close the
 * connection, and would each time again.  What may have been made is looked after as with any cancel. */
static void give_up(struct zks__machine *m, size_t bytes)
{
    zks__client_log(m->client, ZKS_LOG_ERROR,
                    "zksync: %s: the servers have closed the connection %d times over a request of "
                    "some %zu bytes, which may be more than their jute.maxbuffer",
                    m->dir, CUTS_MAX, bytes);
    m->cuts = 0;
    m->cut_off = true;
    zks__machine_event(m, ZKS__IN_CANCEL);
}

void zks__machine_reply(struct zks__machine *m, struct zks__call *call)
{
    struct zks__in in = event(m, ZKS__IN_REPLY);
    m->calls--;
    in.reply = call->reply;
    in.reply.unwatched = call->watch == NULL;
    /* What has ended with the root has ended all the same; but nothing can begin. */
    if (in.reply.rc == ZKS_ENOENT && m->client->no_chroot &&
        (call->kind == ZKS__MKPATH || m->type->rests_on_absence)) {
        in.reply.rc = ZKS_ENOCHROOT;
    }
    if (call->bytes >= LARGE_BYTES) {
        m->cuts = in.reply.rc == ZKS__UNKNOWN ? m->cuts + 1 : 0;
    }
    step(m, &in);
    if (m->cuts >= CUTS_MAX && m->op != NULL) {
        give_up(m, call->bytes);
    }
}

void zks__machine_watch(struct zks__machine *m, const struct zks__watch *watch)
{
    struct zks__in in = event(m, ZKS__IN_WATCH);
    in.watch.kind = watch->what;
    in.watch.name = name_in(m, watch);
    step(m, &in);
}

static void fail(struct zks__machine *m, int result)
{
    struct zks_op *op = m->op;
    m->op = NULL;
    if (op != NULL) {
        zks__op_end(m->client, op, result);
        zks__machine_event(m, ZKS__IN_CANCEL);
    }
    zks__machine_event(m, ZKS__IN_EXPIRED);
}

void zks__machine_abandon(struct zks__machine *m)
{
    struct zks_client *c = m->client;
    struct zks_op *op = m->op;
    m->op = NULL;
    m->orphan = true;
    if (op != NULL) {
        zks__op_end(c, op, ZKS_ECLOSED);
    }
    zks__machine_event(m, ZKS__IN_ABANDON);
}

static void unlink_machine(struct zks__machine *m)
{
    if (m->prev != NULL) {
        m->prev->next = m->next;
    } else {
        m->client->machines = m->next;
    }
    if (m->next != NULL) {
        m->next->prev = m->prev;
    }
}

static bool try_destroy(struct zks__machine *m)
{
    struct zks_client *c = m->client;
    if (!m->orphan || m->calls > 0 || !m->type->clean(m)) {
        return false;
    }
    pthread_mutex_lock(&c->lock);
    if (m->free_waits || c->telling == m) {
        pthread_mutex_unlock(&c->lock);
        return false; /* Its owner is still looking at it, or told of its loss just now. */
    }
    unlink_machine(m);
    pthread_mutex_unlock(&c->lock);
    zks__timer_set(&c->timers, &m->timer, ZKS__NEVER);
    zks__unsubscribe(&m->subscriptions, NULL);
    zks__quota_release(m);
    m->type->destroy(m);
    return true;
}

void zks__machine_free(struct zks__machine *m)
{
    struct zks_client *c = m->client;
    if (c == NULL || c->pid != getpid()) {
        if (c != NULL) {
            unlink_machine(
                m); /* A child process has one thread, and its lock may be held for ever. */
        }
        m->type->destroy(m);
        return;
    }
    pthread_mutex_lock(&c->lock);
    m->free_asked = true;
    zks__untell_lost(m);
    m->next_freed = c->freed;
    c->freed = m;
    if (zks__in_callback()) {
        zks__client_wake(c); /* Waiting here could wait for ourselves. */
        pthread_mutex_unlock(&c->lock);
        return;
    }
    m->free_waits = true;
    zks__client_wake(c);
    while (!m->free_done || c->telling == m) {
        pthread_cond_wait(&c->changed, &c->lock);
    }
    m->free_waits = false;
    pthread_cond_broadcast(&c->changed);
    zks__client_wake(c);
    pthread_mutex_unlock(&c->lock);
}

/* ---- All machines of a client ---- */

/* The first one, or the one behind another.  The lock is let go in between: other threads only add
 * in front, and only the driver's takes out. */
static struct zks__machine *following(struct zks_client *c, const struct zks__machine *m)
{
    pthread_mutex_lock(&c->lock);
    struct zks__machine *next = m != NULL ? m->next : c->machines;
    pthread_mutex_unlock(&c->lock);
    return next;
}

void zks__machines_event(struct zks_client *c, enum zks__in_kind kind)
{
    for (struct zks__machine *m = following(c, NULL); m != NULL; m = following(c, m)) {
        zks__machine_event(m, kind);
    }
}

void zks__machines_look(struct zks_client *c)
{
    for (struct zks__machine *m = following(c, NULL); m != NULL; m = following(c, m)) {
        struct zks__in in = event(m, m->type->rests_on_absence ? ZKS__IN_WATCH : ZKS__IN_CONNECTED);
        if (in.kind == ZKS__IN_WATCH) {
            in.watch = (struct zks__watch_event){.kind = ZKS__WATCH_CHANGED};
        }
        step(m, &in);
    }
}

void zks__machines_cancel(struct zks_client *c)
{
    for (struct zks__machine *m = following(c, NULL); m != NULL; m = following(c, m)) {
        cancel(m);
    }
}

void zks__machines_fail(struct zks_client *c, int error)
{
    pthread_mutex_lock(&c->lock);
    c->failed = error;
    pthread_mutex_unlock(&c->lock);
    for (struct zks__machine *m = following(c, NULL); m != NULL; m = following(c, m)) {
        fail(m, error);
    }
}

void zks__machines_close(struct zks_client *c)
{
    while (c->machines != NULL) {
        struct zks__machine *m = c->machines;
        c->machines = m->next;
        zks__unsubscribe(&m->subscriptions, NULL);
        m->client = NULL;
        if (m->orphan || m->free_asked) {
            m->type->destroy(m);
        }
    }
}

void zks__machines_destroy_orphans(struct zks_client *c)
{
    struct zks__machine *m = c->n_orphans > 0 ? following(c, NULL) : NULL;
    while (m != NULL) {
        struct zks__machine *next = following(c, m);
        if (try_destroy(m)) {
            c->n_orphans--;
        }
        m = next;
    }
}
