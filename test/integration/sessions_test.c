/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that no server ever calls expired: they are given up, and the client goes on with a new one. */
#include "frameproxy.h"
#include "locks.h"

IT_TAKES_LONG

enum { CUTS = 2000 }; /* More than there can be in a few session timeouts. */

/* The first one last. */
static void kill_servers(void)
{
    for (size_t i = ens_count(); i > 0; i--) {
        ens_kill(i - 1);
    }
}

static void start_servers(void)
{
    for (size_t i = 0; i < ens_count(); i++) {
        ens_start_no_wait(i);
    }
    ens_await();
}

/* A loaded machine can lose a lock, and give it back to the same session, before it comes to what is tested. */
static void await_new_session(struct party *p, int64_t session)
{
    int64_t now = 0;
    it_await((now = zks_client_session_id(p->client)) != session && now != 0);
}

static void wipe_servers(struct it *it)
{
    rawzk_close(it->raw); /* It has seen what the servers are about to lose. */
    kill_servers();
    for (size_t i = 0; i < ens_count(); i++) {
        ens_wipe(i);
    }
    start_servers();
    it->raw = rawzk_open(ens_direct());
    rawzk_create_path(it->raw, "/zksync-test");
}

/* One client with one of everything: what it held is lost, what it waits for is waited for anew. */
struct everything {
    struct party holder;
    struct party waiter;
    zks_barrier *barrier;
    zks_barrier *lifted;
    zks_double_barrier *two;
    zks_observer *observer;
    struct it_op barrier_op;
    struct it_op lifted_op;
    struct it_op two_op;
    struct it_op observer_op;
    char *paths[5];
};

static void begin_everything(struct everything *e, const struct it *it)
{
    static const char *const names[] = {"lock", "set", "unset", "two", "seen"};
    memset(e, 0, sizeof *e);
    for (size_t i = 0; i < 5; i++) {
        e->paths[i] = it_child(it, names[i]);
    }
    party_open(&e->holder, ens_direct(), IT_SESSION_MS, e->paths[0]);
    party_open(&e->waiter, ens_direct(), IT_SESSION_MS, e->paths[0]);
    zks_client *client = e->waiter.client;
    e->barrier = it_barrier(client, e->paths[1]);
    e->lifted = it_barrier(client, e->paths[2]);
    e->two = it_double_barrier(client, e->paths[3], 2, "us");
    it_ok(zks_observer_new(client, e->paths[4], false, &e->observer));
    it_op_init(&e->barrier_op);
    it_op_init(&e->lifted_op);
    it_op_init(&e->two_op);
    it_op_init(&e->observer_op);
    struct zks_view *view = NULL;
    it_ok(zks_observer_next(e->observer, IT_LIMIT_MS, &view));
    zks_view_free(view);
    it_ok(zks_barrier_set(e->barrier, IT_LIMIT_MS));
    it_ok(zks_barrier_set(e->lifted, IT_LIMIT_MS));
    party_write(&e->holder);
    party_queue(&e->waiter, ZKS_RWLOCK_WRITE, it, e->paths[0], 2);
    party_await_waiting(&e->waiter);
    it_ok(zks_barrier_wait_op(e->lifted, ZKS_FOREVER, &e->lifted_op.op));
    it_ok(zks_double_barrier_enter_op(e->two, ZKS_FOREVER, &e->two_op.op));
    it_ok(zks_observer_next_op(e->observer, ZKS_FOREVER, &e->observer_op.op));
    rawzk_await_children(it->raw, e->paths[3], 1, IT_LIMIT_MS);
}

static void end_everything(struct everything *e)
{
    zks_observer_free(e->observer);
    zks_double_barrier_free(e->two);
    zks_barrier_free(e->lifted);
    zks_barrier_free(e->barrier);
    party_close(&e->holder);
    party_close(&e->waiter);
    for (size_t i = 0; i < 5; i++) {
        free(e->paths[i]);
    }
}

static void servers_lose_their_data(void **state)
{
    struct it *it = *state;
    struct everything e;
    it_need_kill();
    begin_everything(&e, it);
    int64_t session = zks_client_session_id(e.holder.client);
    wipe_servers(it);
    await_new_session(&e.holder, session);
    size_t at = it_states_await(&e.holder.states, 0, ZKS_CLIENT_LOST);
    (void)it_states_await(&e.holder.states, at, ZKS_CLIENT_RECONNECTED);
    it_await(atomic_load(&e.holder.lost) == 1);
    party_granted(&e.waiter, ZKS_RWLOCK_WRITE);
    it_equal(zks_rwlock_unlock(e.holder.lock, IT_LIMIT_MS), ZKS_ELOST);
    party_start(&e.holder, ZKS_RWLOCK_WRITE);
    party_unlock(&e.waiter);
    party_granted(&e.holder, ZKS_RWLOCK_WRITE);
    party_unlock(&e.holder);
    /* The barrier has gone with the data. */
    it_ok(it_op_wait(&e.lifted_op));
    it_ok(zks_barrier_set(e.barrier, IT_LIMIT_MS));
    it_ok(zks_barrier_unset(e.barrier, IT_LIMIT_MS));
    zks_double_barrier *other = it_double_barrier(e.holder.client, e.paths[3], 2, "them");
    it_ok(zks_double_barrier_enter(other, IT_LIMIT_MS));
    it_ok(it_op_wait(&e.two_op));
    it_ok(zks_double_barrier_leave(other, 0));
    it_ok(zks_double_barrier_leave(e.two, IT_LIMIT_MS));
    zks_double_barrier_free(other);
    rawzk_create_path(it->raw, e.paths[4]);
    it_ok(it_op_wait(&e.observer_op));
    zks_view_free(zks_observer_take(e.observer));
    assert_int_equal(atomic_load(&e.waiter.lost), 0);
    end_everything(&e);
}

/* Unlocks, and the servers never get the delete of the znode, while the session goes on.  Gives the
 * session and the znode.  How long killing the servers takes then is no matter: the lock is let go already. */
static int64_t unlock_unheard(struct party *p, struct frameproxy *proxy, struct it_op *op,
                              char *node, size_t size)
{
    for (;;) {
        it_ok(zks_rwlock_wrlock(p->lock, IT_LIMIT_MS));
        size_t length = zks_rwlock_node(p->lock, node, size);
        assert_true(length < size);
        unsigned before = frameproxy_hits(proxy);
        for (int i = 1; length > 0 && i <= CUTS; i++) {
            frameproxy_swallow_request(proxy, FRAME_DELETE, node, i);
        }
        int64_t session = zks_client_session_id(p->client);
        it_ok(zks_rwlock_unlock_op(p->lock, ZKS_FOREVER, &op->op));
        it_await(frameproxy_hits(proxy) != before || it_op_done(op));
        if (!it_op_done(op)) {
            return session;
        }
        it_equal(it_op_wait(op), ZKS_ELOST); /* Servers are slow: it was lost first. */
        frameproxy_disarm(proxy);
    }
}

/* The servers still have what a session that was given up has left: it is removed before an unlock succeeds,
 * and the lock can be had at once. */
static void servers_keep_their_data(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    struct it_op op;
    char node[2 * IT_PATH_MAX];
    it_need_kill();
    it_op_init(&op);
    char *other = it_child(it, "other");
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    party_open(&a, frameproxy_address(proxy), IT_SESSION_MS, it->path);
    zks_rwlock *lock = it_rwlock(a.client, other);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    int64_t session = unlock_unheard(&a, proxy, &op, node, sizeof node);
    kill_servers();
    frameproxy_disarm(proxy);
    if (zks_client_session_id(a.client) == session) {
        it_await(zks_client_session_id(a.client) == 0);
        assert_false(it_op_done(&op));
    } else {
        (void)puts("#: the servers were slow: they have ended the session before they were killed");
    }
    start_servers();
    it_ok(it_op_wait(&op));
    assert_false(rawzk_exists(it->raw, node, NULL));
    party_open(&b, ens_direct(), 0, other);
    party_write(&b);
    it_equal(zks_rwlock_unlock(lock, IT_LIMIT_MS), ZKS_ELOST);
    zks_rwlock_free(lock);
    two_close(&a, &b);
    frameproxy_stop(proxy);
    free(other);
}

/* Keeps until when at most the lock was safe.  When its loss was told is not judged: that is a time of another
 * thread than the next grant's. */
static bool is_lost(struct party *p, uint64_t *until)
{
    uint64_t safe_until = zks_rwlock_safe_until(p->lock);
    *until = safe_until > *until ? safe_until : *until;
    return atomic_load(&p->lost) == 1;
}

/* A server that closes the connection over the watches that come first on it, each time. */
static void cut_before_any_answer(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    party_open(&a, frameproxy_address(proxy), IT_SESSION_MS, it->path);
    party_open(&b, ens_direct(), 0, it->path);
    party_write(&a);
    char *node = party_node(&a);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    it_await(frameproxy_count(proxy, FRAME_GET_DATA) > 0); /* It watches its own znode ... */
    struct zks_ping ping;
    it_ok(zks_client_ping(a.client, IT_LIMIT_MS, &ping)); /* ... now that this has been answered. */
    int64_t session = zks_client_session_id(a.client);
    for (int i = 1; i <= CUTS; i++) {
        frameproxy_swallow_request(proxy, FRAME_SET_WATCHES, NULL, i);
    }
    frameproxy_hold(proxy);
    frameproxy_release(proxy);
    uint64_t until = 0;
    it_await(is_lost(&a, &until));
    party_granted(&b, ZKS_RWLOCK_WRITE);
    assert_true(until <= b.op.at);
    await_new_session(&a, session);
    it_equal(zks_rwlock_unlock(a.lock, IT_LIMIT_MS), ZKS_ELOST);
    party_unlock(&b);
    party_write(&a);
    party_unlock(&a);
    assert_false(rawzk_exists(it->raw, node, NULL));
    free(node);
    two_close(&a, &b);
    frameproxy_stop(proxy);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(servers_lose_their_data),
        it_test(servers_keep_their_data),
        it_test(cut_before_any_answer),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
