/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: however a wait, a hold or an observer ends, none is left on the servers by a client that
 * goes on; and whoever still waits is woken, whatever others on the same path have given up. */
#include "frameproxy.h"
#include "kill_session.h"

/* With the longest session no watch is set on what is held before the test is over; with the other one it is, and
 * a slow machine keeps its locks. */
enum { SOON_MS = 50, GIVERS = 8, ROUNDS = 40, LONG_MS = 120000, HELD_MS = 3 * IT_SESSION_MS };

struct scene {
    struct it *it;
    zks_client *client; /* The one whose watches are counted. */
    zks_client *other;
    struct it_op op;
};

static void scene_open(struct scene *s, struct it *it, const char *servers, uint32_t session_ms)
{
    s->it = it;
    s->client = it_open(servers, session_ms);
    s->other = it_open(NULL, LONG_MS);
    it_op_init(&s->op);
}

static void scene_close(struct scene *s)
{
    it_ok(zks_client_close(s->client));
    it_ok(zks_client_close(s->other));
}

static size_t watches(const struct it *it)
{
    return leftovers_watches(&it->left);
}

static void await_watches(const struct it *it, size_t count)
{
    it_await(watches(it) == count);
}

/* ---- The barrier ---- */

static void begin_wait(struct scene *s, zks_barrier *b)
{
    struct zks_ping ping;
    it_ok(zks_barrier_wait_op(b, ZKS_FOREVER, &s->op.op));
    await_watches(s->it, 1);
    it_ok(zks_client_ping(s->client, IT_LIMIT_MS, &ping)); /* The client knows of it, too. */
}

static void test_barrier(void **state)
{
    struct scene s;
    scene_open(&s, *state, NULL, LONG_MS);
    zks_barrier *b = it_barrier(s.client, s.it->path);
    zks_barrier *keeper = it_barrier(s.other, s.it->path);
    it_ok(zks_barrier_set(keeper, IT_LIMIT_MS));

    it_equal(zks_barrier_wait(b, 0), ZKS_EBUSY);
    assert_int_equal(watches(s.it), 0); /* None was ever set. */
    it_equal(zks_barrier_wait(b, SOON_MS), ZKS_ETIMEDOUT);
    await_watches(s.it, 0);
    begin_wait(&s, b);
    zks_op_cancel(&s.op.op);
    it_equal(it_op_wait(&s.op), ZKS_ECANCELED);
    await_watches(s.it, 0);
    begin_wait(&s, b);
    zks_barrier_free(b);
    it_equal(it_op_wait(&s.op), ZKS_ECLOSED);
    await_watches(s.it, 0);
    b = it_barrier(s.client, s.it->path);
    begin_wait(&s, b);
    it_ok(zks_barrier_unset(keeper, IT_LIMIT_MS));
    it_ok(it_op_wait(&s.op));
    await_watches(s.it, 0);
    it_ok(zks_barrier_wait(b, IT_LIMIT_MS));
    it_ok(zks_barrier_set(b, IT_LIMIT_MS));
    it_ok(zks_barrier_unset(b, IT_LIMIT_MS));
    assert_int_equal(watches(s.it), 0);

    zks_barrier_free(b);
    zks_barrier_free(keeper);
    scene_close(&s);
}

/* ---- The lock ---- */

static void begin_lock(struct scene *s, zks_rwlock *l)
{
    it_ok(zks_rwlock_wrlock_op(l, ZKS_FOREVER, &s->op.op));
    await_watches(s->it, 1);
}

static void test_lock_waits(void **state)
{
    struct scene s;
    scene_open(&s, *state, NULL, LONG_MS);
    zks_rwlock *l = it_rwlock(s.client, s.it->path);
    zks_rwlock *holder = it_rwlock(s.other, s.it->path);
    it_ok(zks_rwlock_wrlock(holder, IT_LIMIT_MS));

    it_equal(zks_rwlock_wrlock(l, 0), ZKS_EBUSY);
    assert_int_equal(watches(s.it), 0);
    it_equal(zks_rwlock_rdlock(l, SOON_MS), ZKS_ETIMEDOUT);
    await_watches(s.it, 0);
    begin_lock(&s, l);
    zks_op_cancel(&s.op.op);
    it_equal(it_op_wait(&s.op), ZKS_ECANCELED);
    await_watches(s.it, 0);
    begin_lock(&s, l);
    zks_rwlock_free(l);
    it_equal(it_op_wait(&s.op), ZKS_ECLOSED);
    await_watches(s.it, 0);
    l = it_rwlock(s.client, s.it->path);
    begin_lock(&s, l);
    it_ok(zks_rwlock_unlock(holder, IT_LIMIT_MS));
    it_ok(it_op_wait(&s.op));
    it_ok(zks_rwlock_unlock(l, IT_LIMIT_MS));
    await_watches(s.it, 0);

    zks_rwlock_free(l);
    zks_rwlock_free(holder);
    scene_close(&s);
}

/* A lock that is held for a while has a watch on its own znode. */
static zks_rwlock *hold(struct scene *s)
{
    zks_rwlock *l = it_rwlock(s->client, s->it->path);
    it_ok(zks_rwlock_wrlock(l, IT_LIMIT_MS));
    await_watches(s->it, 1);
    return l;
}

static void test_held_locks(void **state)
{
    struct scene s;
    scene_open(&s, *state, NULL, HELD_MS);
    zks_rwlock *l = hold(&s);
    it_ok(zks_rwlock_unlock(l, IT_LIMIT_MS));
    await_watches(s.it, 0);
    zks_rwlock_free(l);
    l = hold(&s);
    it_ok(zks_rwlock_unlock(l, 0));
    await_watches(s.it, 0);
    zks_rwlock_free(l);
    l = hold(&s);
    zks_rwlock_free(l);
    await_watches(s.it, 0);
    l = hold(&s);
    it_ok(zks_rwlock_downgrade(l, IT_LIMIT_MS));
    await_watches(s.it, 1); /* On the reader's znode. */
    it_ok(zks_rwlock_unlock(l, IT_LIMIT_MS));
    await_watches(s.it, 0);
    zks_rwlock_free(l);
    scene_close(&s);
}

static void test_a_lost_lock(void **state)
{
    struct scene s;
    char node[IT_PATH_MAX + 100];
    scene_open(&s, *state, NULL, HELD_MS);
    zks_rwlock *l = hold(&s);
    assert_true(zks_rwlock_node(l, node, sizeof node) < sizeof node);
    rawzk_delete(s.it->raw, node);
    it_await(zks_rwlock_held(l) == 0);
    it_equal(zks_rwlock_unlock(l, IT_LIMIT_MS), ZKS_ELOST);
    await_watches(s.it, 0);
    zks_rwlock_free(l);
    scene_close(&s);
}

/* ---- The double barrier ---- */

static void begin_enter(struct scene *s, zks_double_barrier *b, struct it_op *op, size_t count)
{
    it_ok(zks_double_barrier_enter_op(b, ZKS_FOREVER, &op->op));
    await_watches(s->it, count);
}

static void test_double_barrier_enter(void **state)
{
    struct scene s;
    scene_open(&s, *state, NULL, LONG_MS);
    zks_double_barrier *a = it_double_barrier(s.client, s.it->path, 2, "a");
    it_equal(zks_double_barrier_enter(a, 0), ZKS_EBUSY);
    assert_int_equal(watches(s.it), 0);
    it_equal(zks_double_barrier_enter(a, SOON_MS), ZKS_ETIMEDOUT);
    await_watches(s.it, 0);
    begin_enter(&s, a, &s.op, 1);
    zks_op_cancel(&s.op.op);
    it_equal(it_op_wait(&s.op), ZKS_ECANCELED);
    await_watches(s.it, 0);
    begin_enter(&s, a, &s.op, 1);
    zks_double_barrier_free(a);
    it_equal(it_op_wait(&s.op), ZKS_ECLOSED);
    await_watches(s.it, 0);

    /* Another participant has the id: its znode is watched, and `ready`. */
    struct it_op waiting;
    it_op_init(&waiting);
    zks_double_barrier *other = it_double_barrier(s.other, s.it->path, 2, "a");
    begin_enter(&s, other, &waiting, 1);
    a = it_double_barrier(s.client, s.it->path, 2, "a");
    begin_enter(&s, a, &s.op, 3);
    zks_op_cancel(&s.op.op);
    it_equal(it_op_wait(&s.op), ZKS_ECANCELED);
    await_watches(s.it, 1);
    it_equal(it_enter_in_vain(a), ZKS_EEXIST);
    await_watches(s.it, 1);
    zks_double_barrier_free(a);
    /* Another n than the first one's. */
    a = it_double_barrier(s.client, s.it->path, 3, "c");
    it_equal(zks_double_barrier_enter(a, IT_LIMIT_MS), ZKS_EMISMATCH);
    await_watches(s.it, 1);
    zks_double_barrier_free(a);
    zks_op_cancel(&waiting.op);
    it_equal(it_op_wait(&waiting), ZKS_ECANCELED);
    await_watches(s.it, 0);
    zks_double_barrier_free(other);
    scene_close(&s);
}

static void both_enter(struct scene *s, zks_double_barrier *a, zks_double_barrier *b)
{
    begin_enter(s, a, &s->op, 1);
    it_ok(zks_double_barrier_enter(b, IT_LIMIT_MS));
    it_ok(it_op_wait(&s->op));
    await_watches(s->it, 0);
}

static void test_double_barrier_leave(void **state)
{
    struct scene s;
    scene_open(&s, *state, NULL, LONG_MS);
    zks_double_barrier *a = it_double_barrier(s.client, s.it->path, 2, "a");
    zks_double_barrier *b = it_double_barrier(s.other, s.it->path, 2, "b");
    both_enter(&s, a, b);
    it_equal(zks_double_barrier_leave(a, SOON_MS), ZKS_ETIMEDOUT);
    await_watches(s.it, 0);
    it_ok(zks_double_barrier_leave(b, IT_LIMIT_MS));
    await_watches(s.it, 0);
    both_enter(&s, a, b);
    it_ok(zks_double_barrier_leave(a, 0));
    it_await(rawzk_count_children(s.it->raw, s.it->path) == 2); /* `ready` and b. */
    assert_int_equal(watches(s.it), 0);
    it_ok(zks_double_barrier_leave(b, IT_LIMIT_MS));
    both_enter(&s, a, b);
    it_ok(zks_double_barrier_leave_op(a, ZKS_FOREVER, &s.op.op));
    await_watches(s.it, 1);
    it_ok(zks_double_barrier_leave(b, IT_LIMIT_MS));
    it_ok(it_op_wait(&s.op));
    await_watches(s.it, 0);
    both_enter(&s, a, b);
    it_ok(zks_double_barrier_leave_op(a, ZKS_FOREVER, &s.op.op));
    await_watches(s.it, 1);
    zks_double_barrier_free(a);
    it_equal(it_op_wait(&s.op), ZKS_ECLOSED);
    await_watches(s.it, 0);
    zks_double_barrier_free(b);
    scene_close(&s);
}

/* ---- Observers ---- */

static void next(zks_observer *o)
{
    struct zks_view *view = NULL;
    it_ok(zks_observer_next(o, IT_LIMIT_MS, &view));
    zks_view_free(view);
}

static void test_observers(void **state)
{
    struct scene s;
    struct zks_view *view = NULL;
    scene_open(&s, *state, NULL, LONG_MS);
    for (int there = 0; there < 2; there++) {
        const size_t set = there ? 2 : 1; /* Of the znode, and of its children. */
        zks_observer *o = NULL;
        zks_observer *p = NULL;
        if (there) {
            rawzk_create_path(s.it->raw, s.it->path);
        }
        it_ok(zks_look(s.client, s.it->path, IT_LIMIT_MS, &view));
        zks_view_free(view);
        assert_int_equal(watches(s.it), 0);
        it_ok(zks_observer_new(s.client, s.it->path, false, &o));
        next(o);
        assert_int_equal(watches(s.it), set);
        it_ok(zks_observer_new(s.client, s.it->path, true, &p));
        next(p);
        it_equal(zks_observer_next(o, SOON_MS, &view), ZKS_ETIMEDOUT);
        zks_observer_free(o);
        /* The other one still wants to know. */
        if (there) {
            rawzk_set(s.it->raw, s.it->path, "x", 1);
        } else {
            rawzk_create_path(s.it->raw, s.it->path);
        }
        next(p);
        assert_int_equal(watches(s.it), 2);
        it_ok(zks_observer_next_op(p, ZKS_FOREVER, &s.op.op));
        zks_observer_free(p);
        it_equal(it_op_wait(&s.op), ZKS_ECLOSED);
        await_watches(s.it, 0);
    }
    scene_close(&s);
}

/* ---- Connections and sessions that end ---- */

static void test_the_session_ends(void **state)
{
    struct scene s;
    it_need_kill_session();
    scene_open(&s, *state, NULL, LONG_MS);
    zks_barrier *b = it_barrier(s.client, s.it->path);
    zks_barrier *keeper = it_barrier(s.other, s.it->path);
    it_ok(zks_barrier_set(keeper, IT_LIMIT_MS));
    begin_wait(&s, b);
    int64_t session = zks_client_session_id(s.client);
    kill_session(s.client);
    it_await(zks_client_session_id(s.client) != session &&
             zks_client_get_state(s.client) == ZKS_CLIENT_RECONNECTED);
    await_watches(s.it, 1); /* The new session's. */
    zks_op_cancel(&s.op.op);
    it_equal(it_op_wait(&s.op), ZKS_ECANCELED);
    await_watches(s.it, 0);
    zks_barrier_free(b);
    zks_barrier_free(keeper);
    scene_close(&s);
}

/* libzookeeper sets on the next connection what it has not heard to be removed. */
static void lose_removal(struct scene *s, struct frameproxy *proxy, zks_barrier *b, bool request)
{
    if (request) {
        frameproxy_swallow_request(proxy, FRAME_REMOVE_WATCHES, NULL, 1);
    } else {
        frameproxy_swallow_reply(proxy, FRAME_REMOVE_WATCHES, NULL, 1);
    }
    unsigned sent = frameproxy_count(proxy, FRAME_REMOVE_WATCHES);
    begin_wait(s, b);
    zks_op_cancel(&s->op.op);
    it_equal(it_op_wait(&s->op), ZKS_ECANCELED);
    assert_true(frameproxy_await_hit(proxy, IT_LIMIT_MS));
    it_await(frameproxy_count(proxy, FRAME_REMOVE_WATCHES) == sent + 2);
    await_watches(s->it, 0);
}

static void test_lost_connections(void **state)
{
    struct it *it = *state;
    struct scene s;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    scene_open(&s, it, frameproxy_address(proxy), 0);
    zks_barrier *b = it_barrier(s.client, it->path);
    zks_barrier *keeper = it_barrier(s.other, it->path);
    it_ok(zks_barrier_set(keeper, IT_LIMIT_MS));
    lose_removal(&s, proxy, b, true);
    lose_removal(&s, proxy, b, false);
    /* The wait ends while there is no connection. */
    begin_wait(&s, b);
    frameproxy_hold(proxy);
    it_await(zks_client_get_state(s.client) == ZKS_CLIENT_SUSPENDED);
    zks_op_cancel(&s.op.op);
    it_equal(it_op_wait(&s.op), ZKS_ECANCELED);
    unsigned sent = frameproxy_count(proxy, FRAME_REMOVE_WATCHES);
    frameproxy_release(proxy);
    it_await(frameproxy_count(proxy, FRAME_REMOVE_WATCHES) == sent + 1);
    await_watches(it, 0);
    /* The removal is lost, and by then somebody waits there again. */
    frameproxy_swallow_reply(proxy, FRAME_REMOVE_WATCHES, NULL, 1);
    begin_wait(&s, b);
    zks_op_cancel(&s.op.op);
    it_equal(it_op_wait(&s.op), ZKS_ECANCELED);
    it_ok(zks_barrier_wait_op(b, ZKS_FOREVER, &s.op.op));
    assert_true(frameproxy_await_hit(proxy, IT_LIMIT_MS));
    await_watches(it, 1);
    it_ok(zks_barrier_unset(keeper, IT_LIMIT_MS));
    it_ok(it_op_wait(&s.op));
    await_watches(it, 0);
    zks_barrier_free(b);
    zks_barrier_free(keeper);
    scene_close(&s);
    frameproxy_stop(proxy);
}

/* A watch that has fired is gone, and a release fires the holder's own. */
static void test_what_succeeds_costs_no_removal(void **state)
{
    struct it *it = *state;
    struct scene s;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    char *gate = it_child(it, "gate");
    scene_open(&s, it, frameproxy_address(proxy), HELD_MS);
    zks_rwlock *l = it_rwlock(s.client, it->path);
    zks_rwlock *holder = it_rwlock(s.other, it->path);
    zks_barrier *b = it_barrier(s.client, gate);
    zks_barrier *keeper = it_barrier(s.other, gate);
    it_ok(zks_barrier_set(keeper, IT_LIMIT_MS));
    for (int i = 0; i < ROUNDS; i++) {
        it_ok(zks_rwlock_wrlock(l, IT_LIMIT_MS));
        it_ok(zks_rwlock_unlock(l, IT_LIMIT_MS));
    }
    it_ok(zks_rwlock_wrlock(l, IT_LIMIT_MS));
    await_watches(it, 1); /* It has been held for so long that it watches its own znode. */
    it_ok(zks_rwlock_unlock(l, IT_LIMIT_MS));
    it_ok(zks_rwlock_wrlock(holder, IT_LIMIT_MS));
    begin_lock(&s, l);
    it_ok(zks_rwlock_unlock(holder, IT_LIMIT_MS));
    it_ok(it_op_wait(&s.op));
    it_ok(zks_rwlock_unlock(l, IT_LIMIT_MS));
    it_equal(zks_barrier_wait(b, 0), ZKS_EBUSY);
    begin_wait(&s, b);
    it_ok(zks_barrier_unset(keeper, IT_LIMIT_MS));
    it_ok(it_op_wait(&s.op));
    assert_int_equal(watches(it), 0);
    zks_rwlock_free(l);
    zks_rwlock_free(holder);
    zks_barrier_free(b);
    zks_barrier_free(keeper);
    scene_close(&s);
    assert_int_equal(frameproxy_count(proxy, FRAME_REMOVE_WATCHES), 0);
    frameproxy_stop(proxy);
    free(gate);
}

/* ---- Some give up where others wait ---- */

struct giver {
    zks_rwlock *lock;
    unsigned number;
    unsigned acquired;
};

/* Of those on one path, which all watch the same znode, some give up just when others begin to wait; the last
 * wait of each is one that nobody ends. */
static void *give_up_often(void *arg)
{
    struct giver *g = arg;
    for (unsigned i = 0; i <= ROUNDS; i++) {
        bool last = i == ROUNDS;
        int rc = zks_rwlock_rdlock(g->lock, last ? IT_LIMIT_MS : (int)((i * 7 + g->number) % 23));
        if (rc == 0) {
            g->acquired++;
            it_ok(zks_rwlock_unlock(g->lock, IT_LIMIT_MS));
        } else if (last || (rc != ZKS_ETIMEDOUT && rc != ZKS_EBUSY)) {
            it_ok(rc);
        }
    }
    return NULL;
}

static void test_some_give_up(void **state)
{
    struct scene s;
    struct giver givers[GIVERS];
    pthread_t threads[GIVERS];
    scene_open(&s, *state, NULL, LONG_MS);
    zks_rwlock *writer = it_rwlock(s.other, s.it->path);
    for (unsigned i = 0; i < GIVERS; i++) {
        givers[i] = (struct giver){.lock = it_rwlock(s.client, s.it->path), .number = i};
        threads[i] = it_thread_start(give_up_often, &givers[i]);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        it_ok(zks_rwlock_wrlock(writer, IT_LIMIT_MS));
        it_pause();
        it_pause();
        it_ok(zks_rwlock_unlock(writer, IT_LIMIT_MS));
    }
    for (unsigned i = 0; i < GIVERS; i++) {
        (void)it_thread_join(threads[i]);
        assert_true(givers[i].acquired > 0);
    }
    await_watches(s.it, 0);
    for (unsigned i = 0; i < GIVERS; i++) {
        zks_rwlock_free(givers[i].lock);
    }
    zks_rwlock_free(writer);
    scene_close(&s);
}

/* ---- What the teardown of all tests looks for ---- */

static void test_what_is_left_is_found(void **state)
{
    struct it *it = *state;
    struct leftovers other;
    char *place = it_child(it, "watched");
    char *lock_place = it_child(it, "lock");
    zks_observer *o = NULL;
    zks_client *client = it_open(NULL, 0);
    char *left = leftovers_find(&it->left);
    assert_null(left);
    it_ok(zks_observer_new(client, place, false, &o));
    next(o);
    left = leftovers_await(&it->left, SOON_MS);
    assert_non_null(left);
    assert_non_null(strstr(left, "watch"));
    assert_true(ens_is_local() || strstr(left, place) != NULL);
    free(left);
    zks_observer_free(o);
    left = leftovers_await(&it->left, IT_LIMIT_MS);
    assert_null(left);
    zks_rwlock *lock = it_rwlock(client, lock_place);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    left = leftovers_find(&it->left);
    /* A server of zksync's cannot tell it from what a killed process has left. */
    assert_true(ens_is_local() || (left != NULL && strstr(left, lock_place) != NULL));
    free(left);
    /* What is elsewhere is not a test's. */
    leftovers_begin(&other, place, it->raw);
    left = leftovers_find(&other);
    assert_null(left);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    left = leftovers_await(&it->left, IT_LIMIT_MS);
    assert_null(left);
    free(place);
    free(lock_place);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(test_barrier),
        it_test(test_lock_waits),
        it_test(test_held_locks),
        it_test(test_a_lost_lock),
        it_test(test_double_barrier_enter),
        it_test(test_double_barrier_leave),
        it_test(test_observers),
        it_test(test_the_session_ends),
        it_test(test_lost_connections),
        it_test(test_what_succeeds_costs_no_removal),
        it_test(test_some_give_up),
        it_test(test_what_is_left_is_found),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("watches", tests, NULL, NULL);
}
