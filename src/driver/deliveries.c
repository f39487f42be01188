/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/deliveries.h"

#include <string.h>
#include <unistd.h>

#include "driver/machine.h"

static _Thread_local bool in_callback;

bool zks__in_callback(void)
{
    return in_callback;
}

static bool has_deliveries(const struct zks_client *c)
{
    return c->n_states > 0 || c->lost != NULL || c->done_op != NULL;
}

/* A program that polls the descriptor must not find it readable for callbacks that a dispatch has run already or is
 * running.  So the descriptor changes only together with the list of callbacks, under the lock. */
static void update_event_fd(struct zks_client *c)
{
    bool due = has_deliveries(c) && !c->delivering;
    uint64_t count = 1;
    if (c->event_fd < 0 || due == c->event_fd_set) {
        return;
    }
    (void)!(due ? write(c->event_fd, &count, sizeof count)
                : read(c->event_fd, &count, sizeof count));
    c->event_fd_set = due;
}

void zks__tell_state(struct zks_client *c, enum zks_client_state state)
{
    if (c->options.listener == NULL) {
        return;
    }
    if (c->n_states == ZKS__STATES_MAX) {
        /* Nobody has dispatched for long: the oldest changes are of no interest any more. */
        memmove(c->states, c->states + 1, --c->n_states * sizeof c->states[0]);
    }
    c->states[c->n_states++] = state;
}

void zks__tell_lost(struct zks__machine *m)
{
    struct zks_client *c = m->client;
    if (m->lost_due || m->free_asked || c->failed == ZKS_ECLOSED) {
        return;
    }
    m->lost_due = true;
    m->lost_behind = c->n_done;
    m->next_lost = NULL;
    *c->last_lost = m;
    c->last_lost = &m->next_lost;
}

void zks__untell_lost(struct zks__machine *m)
{
    struct zks_client *c = m->client;
    for (struct zks__machine **at = &c->lost; *at != NULL; at = &(*at)->next_lost) {
        if (*at == m) {
            *at = m->next_lost;
            break;
        }
    }
    c->last_lost = &c->lost;
    while (*c->last_lost != NULL) {
        c->last_lost = &(*c->last_lost)->next_lost;
    }
    m->lost_due = false;
    update_event_fd(c);
}

void zks__tell_done(struct zks_client *c, struct zks_op *op)
{
    op->zks__next = NULL;
    pthread_mutex_lock(&c->lock);
    c->n_done++;
    *c->last_done_op = op;
    c->last_done_op = &op->zks__next;
    pthread_mutex_unlock(&c->lock);
}

/* A loss is told when all results before it have been. */
static bool loss_is_next(const struct zks_client *c)
{
    return c->lost != NULL && c->n_delivered >= c->lost->lost_behind;
}

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
    if (loss_is_next(c)) {
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
        c->roused = true; /* A machine that was freed meanwhile can be destroyed. */
        zks__client_wake(c);
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        return true;
    }
    if (c->done_op != NULL) {
        struct zks_op *op = c->done_op;
        c->n_delivered++;
        c->done_op = op->zks__next;
        if (c->done_op == NULL) {
            c->last_done_op = &c->done_op;
        }
        pthread_mutex_unlock(&c->lock);
        zks__op_deliver(op);
        return true;
    }
    c->delivering = false; /* With the same look: what comes from now on is another delivery's. */
    pthread_mutex_unlock(&c->lock);
    return false;
}

int zks__deliver(struct zks_client *c)
{
    int count = 0;
    pthread_mutex_lock(&c->lock);
    bool delivering = c->delivering;
    c->delivering = true;
    update_event_fd(c);
    pthread_mutex_unlock(&c->lock);
    if (delivering) {
        return 0; /* Another thread goes on until nothing is due. */
    }
    in_callback = true;
    while (deliver_one(c)) {
        count++;
    }
    in_callback = false;
    return count;
}

void zks__hand_out(struct zks_client *c)
{
    if (c->event_fd < 0) {
        zks__deliver(c);
        return;
    }
    pthread_mutex_lock(&c->lock);
    update_event_fd(c);
    pthread_mutex_unlock(&c->lock);
}
