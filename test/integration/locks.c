/* SPDX-License-Identifier: Apache-2.0 */
#include "locks.h"

static void lost(zks_rwlock *lock, void *arg)
{
    struct party *p = arg;
    (void)lock;
    atomic_store(&p->lost_at, zks_clock_ms());
    atomic_fetch_add(&p->lost, 1);
}

static void open_party(struct party *p, zks_client_options options, const char *path,
                       bool expiry_is_error)
{
    memset(p, 0, sizeof *p);
    it_op_init(&p->op);
    it_states_init(&p->states);
    options.listener = it_states_listener;
    options.listener_arg = &p->states;
    p->client = it_open_with(&options);
    zks_rwlock_options how = ZKS_RWLOCK_OPTIONS_INIT;
    how.lost = lost;
    how.lost_arg = p;
    how.expiry_is_error = expiry_is_error;
    it_ok(zks_rwlock_new(p->client, path, &how, &p->lock));
}

void party_open(struct party *p, const char *servers, uint32_t session_timeout_ms, const char *path)
{
    open_party(p, it_options(servers, session_timeout_ms), path, false);
}

void party_open_expiry_is_error(struct party *p, const char *servers, uint32_t session_timeout_ms,
                                const char *path)
{
    open_party(p, it_options(servers, session_timeout_ms), path, true);
}

void party_open_with(struct party *p, const zks_client_options *client_options, const char *path)
{
    open_party(p, *client_options, path, false);
}

void party_close(struct party *p)
{
    zks_rwlock_free(p->lock);
    p->lock = NULL;
    it_ok(zks_client_close(p->client));
    p->client = NULL;
}

void party_read(struct party *p)
{
    it_ok(zks_rwlock_rdlock(p->lock, IT_LIMIT_MS));
    assert_int_equal(zks_rwlock_held(p->lock), ZKS_RWLOCK_READ);
}

void party_write(struct party *p)
{
    it_ok(zks_rwlock_wrlock(p->lock, IT_LIMIT_MS));
    assert_int_equal(zks_rwlock_held(p->lock), ZKS_RWLOCK_WRITE);
}

void party_unlock(struct party *p)
{
    it_ok(zks_rwlock_unlock(p->lock, IT_LIMIT_MS));
    assert_int_equal(zks_rwlock_held(p->lock), 0);
}

void party_start(struct party *p, enum zks_rwlock_mode mode)
{
    if (mode == ZKS_RWLOCK_READ) {
        it_ok(zks_rwlock_rdlock_op(p->lock, ZKS_FOREVER, &p->op.op));
    } else {
        it_ok(zks_rwlock_wrlock_op(p->lock, ZKS_FOREVER, &p->op.op));
    }
}

void party_queue(struct party *p, enum zks_rwlock_mode mode, const struct it *it, const char *path,
                 size_t contenders)
{
    party_start(p, mode);
    rawzk_await_children(it->raw, path, contenders, IT_LIMIT_MS);
}

void party_granted(struct party *p, enum zks_rwlock_mode mode)
{
    it_ok(it_op_wait(&p->op));
    assert_int_equal(zks_rwlock_held(p->lock), mode);
}

void two_open(struct party *a, struct party *b, const struct it *it)
{
    party_open(a, NULL, 0, it->path);
    party_open(b, NULL, 0, it->path);
}

void two_queued(struct party *a, struct party *b, enum zks_rwlock_mode mode, const struct it *it)
{
    two_open(a, b, it);
    party_write(a);
    party_queue(b, mode, it, it->path, 2);
}

void two_close(struct party *a, struct party *b)
{
    party_close(a);
    party_close(b);
}

void party_await_waiting(struct party *p)
{
    char holder[256];
    it_await(zks_rwlock_waits_for(p->lock, holder, sizeof holder) > 0);
}

char *party_node(struct party *p)
{
    size_t length = zks_rwlock_node(p->lock, NULL, 0);
    assert_true(length > 0);
    char *node = malloc(length + 1);
    assert_non_null(node);
    assert_int_equal(zks_rwlock_node(p->lock, node, length + 1), length);
    return node;
}
