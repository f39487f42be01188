/* SPDX-License-Identifier: Apache-2.0 */
/* Participants of a double barrier that are led by the test's one thread, with operations.  The
 * functions are inline so that a test need not use all of them. */
#ifndef ZKSYNC_TEST_INTEGRATION_SIDES_H
#define ZKSYNC_TEST_INTEGRATION_SIDES_H

#include "common.h"
#include "frameproxy.h"

enum { SIDES = 3 };

/* One participant.  The first one of a test is connected through a proxy of its own. */
struct side {
    struct frameproxy *proxy;
    struct it_states states;
    zks_client *client;
    zks_barrier *none; /* Nobody sets it. */
    zks_double_barrier *barrier;
    struct it_op op;
};

static inline void side_open(struct side *s, const struct it *it, uint32_t n, size_t number)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    char id[16];
    char *none = it_child(it, "none");
    (void)snprintf(id, sizeof id, "s%zu", number);
    s->proxy = number == 0 ? frameproxy_start(ens_direct_server(0)) : NULL;
    it_states_init(&s->states);
    options.servers = s->proxy != NULL ? frameproxy_address(s->proxy) : ens_direct();
    options.session_timeout_ms = IT_SESSION_MS;
    options.connect_timeout_ms = IT_LIMIT_MS;
    options.listener = it_states_listener;
    options.listener_arg = &s->states;
    s->client = it_open_with(&options);
    s->none = it_barrier(s->client, none);
    s->barrier = it_double_barrier(s->client, it->path, n, id);
    it_op_init(&s->op);
    free(none);
}

static inline void side_close(struct side *s)
{
    zks_double_barrier_free(s->barrier);
    zks_barrier_free(s->none);
    it_ok(zks_client_close(s->client));
    if (s->proxy != NULL) {
        frameproxy_stop(s->proxy);
    }
}

static inline void open_all(struct side *s, const struct it *it, size_t count, uint32_t n)
{
    for (size_t i = 0; i < count; i++) {
        side_open(&s[i], it, n, i);
    }
}

static inline void close_all(struct side *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        side_close(&s[i]);
    }
}

static inline void begin_enter(struct side *s)
{
    it_ok(zks_double_barrier_enter_op(s->barrier, ZKS_FOREVER, &s->op.op));
}

static inline void begin_leave(struct side *s)
{
    it_ok(zks_double_barrier_leave_op(s->barrier, ZKS_FOREVER, &s->op.op));
}

static inline void wait_all(struct side *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        it_ok(it_op_wait(&s[i].op));
    }
}

static inline void enter_all(struct side *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        begin_enter(&s[i]);
    }
    wait_all(s, from, to);
}

static inline void leave_all(struct side *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        begin_leave(&s[i]);
    }
    wait_all(s, from, to);
}

static inline void begin_waiting(struct side *s, const struct it *it, size_t children)
{
    begin_enter(s);
    rawzk_await_children(it->raw, it->path, children, IT_LIMIT_MS);
}

static inline void still_waits(struct side *s)
{
    it_ok(zks_barrier_wait(s->none, ZKS_FOREVER));
    assert_false(it_op_done(&s->op));
}

/* Cuts the first participant off, until frameproxy_release(). */
static inline size_t cut(struct side *s)
{
    size_t from = it_states_count(&s->states);
    frameproxy_hold(s->proxy);
    /* It may be cut off already, by a reply that was swallowed. */
    it_await(zks_client_get_state(s->client) == ZKS_CLIENT_SUSPENDED ||
             zks_client_get_state(s->client) == ZKS_CLIENT_LOST);
    return from;
}

static inline void cut_shortly(struct side *s)
{
    size_t from = cut(s);
    frameproxy_release(s->proxy);
    (void)it_states_await(&s->states, from, ZKS_CLIENT_RECONNECTED);
}

#endif
