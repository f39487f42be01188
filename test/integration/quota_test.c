/* SPDX-License-Identifier: Apache-2.0 */
/* What a session may take up on the servers: max_session_bytes. */
#include "frameproxy.h"
#include "locks.h"

enum { LOCKS_MAX = 1200, PATH_BYTES = 888, SMALL = ZKS_SESSION_BYTES_MIN, LENGTH = 4 };

/* Locks of one client, at paths of one length. */
struct locks {
    zks_client *client;
    zks_rwlock *lock[LOCKS_MAX];
    size_t n;
};

static zks_client *open_client(const char *servers, uint32_t timeout_ms, uint32_t bytes)
{
    zks_client_options options = it_options(servers, timeout_ms);
    options.max_session_bytes = bytes;
    return it_open_with(&options);
}

/* A path of that many bytes below the test's. */
static char *path_of(const struct it *it, size_t bytes, size_t number)
{
    char path[1024];
    size_t at = (size_t)snprintf(path, sizeof path, "%s/", it->path);
    while (at < bytes - 20) {
        size_t len = bytes - 20 - at < 200 ? bytes - 20 - at : 200;
        memset(path + at, 'p', len);
        at += len;
        path[at++] = '/';
    }
    (void)snprintf(path + at, sizeof path - at, "%0*zu", (int)(bytes - at), number);
    char *copy = strdup(path);
    assert_non_null(copy);
    return copy;
}

/* Takes locks until there are so many, or one is refused; returns how that was. */
static int take(const struct it *it, struct locks *l, size_t most, size_t bytes)
{
    int rc = 0;
    while (rc == 0 && l->n < most) {
        char *path = path_of(it, bytes, l->n);
        zks_rwlock *lock = it_rwlock(l->client, path);
        rc = zks_rwlock_wrlock(lock, IT_LIMIT_MS);
        if (rc == 0) {
            l->lock[l->n++] = lock;
        } else {
            zks_rwlock_free(lock);
        }
        free(path);
    }
    return rc;
}

static void close_locks(struct locks *l)
{
    for (size_t i = 0; i < l->n; i++) {
        zks_rwlock_free(l->lock[i]);
    }
    it_ok(zks_client_close(l->client));
}

static size_t held(const struct locks *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        n += zks_rwlock_held(l->lock[i]) != 0;
    }
    return n;
}

/* With all of their watches in one request a server would cut the client off again and again. */
static void locks_outlive_a_broken_connection(void **state)
{
    struct it *it = *state;
    static struct locks l;
    struct party other;
    struct it_states states;
    memset(&l, 0, sizeof l);
    it_states_init(&states);
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    zks_client_options options = it_options(frameproxy_address(proxy), 12000);
    options.max_session_bytes = ZKS_SESSION_BYTES_MAX;
    options.listener = it_states_listener;
    options.listener_arg = &states;
    l.client = it_open_with(&options);
    it_equal(take(it, &l, LOCKS_MAX, PATH_BYTES), ZKS_ELIMIT);
    printf("# %zu locks are held\n", l.n);
    struct zks_ping ping;
    it_await(frameproxy_count(proxy, FRAME_GET_DATA) >= l.n); /* Each watches its znode ... */
    it_ok(zks_client_ping(l.client, IT_LIMIT_MS, &ping));     /* ... now that this is answered. */
    int64_t session = zks_client_session_id(l.client);
    frameproxy_hold(proxy);
    uint64_t until = zks_rwlock_safe_until(l.lock[0]);
    frameproxy_release(proxy);
    (void)it_states_await(&states, 0, ZKS_CLIENT_RECONNECTED);
    it_await(zks_rwlock_safe_until(l.lock[0]) > until);
    assert_true(zks_client_session_id(l.client) == session);
    assert_true(held(&l) == l.n);
    assert_int_equal(frameproxy_count(proxy, FRAME_SET_WATCHES), 1);
    char *path = path_of(it, PATH_BYTES, 0);
    party_open(&other, ens_direct(), 0, path);
    party_queue(&other, ZKS_RWLOCK_WRITE, it, path, 2);
    it_ok(zks_rwlock_unlock(l.lock[0], IT_LIMIT_MS));
    party_granted(&other, ZKS_RWLOCK_WRITE);
    party_close(&other);
    close_locks(&l);
    frameproxy_stop(proxy);
    free(path);
}

static void znodes_are_bounded(void **state)
{
    struct it *it = *state;
    struct locks l = {.client = open_client(NULL, 0, SMALL)};
    it_equal(take(it, &l, LOCKS_MAX, 300), ZKS_ELIMIT);
    assert_non_null(strstr(zks_last_error(), "max_session_bytes is 4096"));
    size_t bytes = LENGTH + zks_rwlock_node(l.lock[0], NULL, 0);
    assert_true(l.n == SMALL / bytes);
    char *path = path_of(it, 300, 77);
    zks_rwlock *more = it_rwlock(l.client, path);
    zks_double_barrier *party = it_double_barrier(l.client, path, 1, "a");
    it_equal(zks_rwlock_wrlock(more, 0), ZKS_ELIMIT);
    it_equal(zks_rwlock_rdlock(more, ZKS_FOREVER), ZKS_ELIMIT);
    it_equal(zks_double_barrier_enter(party, ZKS_FOREVER), ZKS_ELIMIT);
    assert_int_equal(rawzk_count_children(it->raw, path), 0);
    zks_rwlock_free(more);
    zks_double_barrier_free(party);
    close_locks(&l);
    free(path);
}

static void znodes_that_go_leave_room(void **state)
{
    struct it *it = *state;
    struct party other;
    struct locks l = {.client = open_client(NULL, 0, SMALL)};
    it_equal(take(it, &l, LOCKS_MAX, 300), ZKS_ELIMIT);
    char *path = path_of(it, 300, 77);
    zks_rwlock *more = it_rwlock(l.client, path);
    zks_double_barrier *party = it_double_barrier(l.client, path, 1, "a");
    /* What is held can be made less of, and what is released leaves room at once. */
    it_ok(zks_rwlock_downgrade(l.lock[0], IT_LIMIT_MS));
    it_ok(zks_rwlock_unlock(l.lock[0], IT_LIMIT_MS));
    for (int i = 0; i < 30; i++) {
        it_ok(zks_rwlock_wrlock(more, IT_LIMIT_MS));
        it_ok(zks_rwlock_unlock(more, IT_LIMIT_MS));
        it_ok(zks_double_barrier_enter(party, IT_LIMIT_MS));
        it_ok(zks_double_barrier_leave(party, IT_LIMIT_MS));
    }
    it_ok(zks_rwlock_wrlock(l.lock[0], IT_LIMIT_MS));
    it_equal(zks_rwlock_wrlock(more, 0), ZKS_ELIMIT);
    /* One who gives up waiting leaves room as well. */
    it_ok(zks_rwlock_unlock(l.lock[0], IT_LIMIT_MS));
    party_open(&other, NULL, 0, path);
    party_write(&other);
    it_equal(zks_rwlock_wrlock(more, 100), ZKS_ETIMEDOUT);
    int rc = ZKS_ELIMIT; /* Until the client has heard that its znode is gone. */
    it_await((rc = zks_rwlock_wrlock(l.lock[0], IT_LIMIT_MS)) != ZKS_ELIMIT);
    it_ok(rc);
    party_close(&other);
    zks_rwlock_free(more);
    zks_double_barrier_free(party);
    close_locks(&l);
    free(path);
}

/* A session that has ended owns nothing any more. */
static void the_next_session_begins_anew(void **state)
{
    struct it *it = *state;
    it_need_proxy();
    struct locks l = {.client = open_client(ens_server(0), IT_SESSION_MS, SMALL)};
    it_equal(take(it, &l, LOCKS_MAX, 300), ZKS_ELIMIT);
    int64_t session = zks_client_session_id(l.client);
    char *path = path_of(it, 300, 0);
    proxy_cut(0);
    rawzk_await_children(it->raw, path, 0, IT_LIMIT_MS);
    proxy_heal(0);
    it_await(zks_client_session_id(l.client) != session && zks_client_session_id(l.client) != 0);
    for (size_t i = 0; i < l.n; i++) {
        it_equal(zks_rwlock_unlock(l.lock[i], IT_LIMIT_MS), ZKS_ELOST);
    }
    for (size_t i = 0; i < l.n; i++) {
        it_ok(zks_rwlock_wrlock(l.lock[i], IT_LIMIT_MS));
    }
    close_locks(&l);
    free(path);
}

enum { WAITS = SMALL / (LENGTH + 300) }; /* So many watches there may be. */

/* One client that waits for as many barriers as it may. */
struct waits {
    zks_client *client;
    zks_barrier *barrier[WAITS + 1]; /* One too many. */
    struct it_op op[WAITS];
};

static void open_waits(struct waits *w, const struct it *it)
{
    memset(w, 0, sizeof *w);
    w->client = open_client(NULL, IT_SESSION_MS, SMALL);
    for (size_t i = 0; i <= WAITS; i++) {
        char *path = path_of(it, 300, i);
        w->barrier[i] = it_barrier(w->client, path);
        it_ok(zks_barrier_set(w->barrier[i], IT_LIMIT_MS));
        free(path);
    }
    for (size_t i = 0; i < WAITS; i++) {
        it_op_init(&w->op[i]);
        it_ok(zks_barrier_wait_op(w->barrier[i], ZKS_FOREVER, &w->op[i].op));
    }
    it_equal(zks_barrier_wait(w->barrier[WAITS], IT_LIMIT_MS), ZKS_ELIMIT);
}

static void close_waits(struct waits *w)
{
    for (size_t i = 0; i <= WAITS; i++) {
        zks_barrier_free(w->barrier[i]);
    }
    it_ok(zks_client_close(w->client));
}

static void watches_are_bounded(void **state)
{
    struct it *it = *state;
    static struct waits w;
    open_waits(&w, it);
    assert_non_null(strstr(zks_last_error(), "max_session_bytes is 4096"));
    char *path = path_of(it, 300, 99);
    zks_observer *observer = NULL;
    struct zks_view *view = NULL;
    it_ok(zks_observer_new(w.client, path, false, &observer));
    it_equal(zks_observer_next(observer, IT_LIMIT_MS, &view), ZKS_ELIMIT);
    zks_observer_free(observer);
    /* The others wait on, and what has fired leaves room. */
    char *first = path_of(it, 300, 0);
    rawzk_delete(it->raw, first);
    it_ok(it_op_wait(&w.op[0]));
    it_equal(zks_barrier_wait(w.barrier[WAITS], 100), ZKS_ETIMEDOUT);
    for (size_t i = 1; i < WAITS; i++) {
        assert_false(it_op_done(&w.op[i]));
    }
    close_waits(&w);
    free(first);
    free(path);
}

/* Whoever waits for a lock is not refused for it, and who holds it looks after the znode without a watch. */
static void locks_do_without_watches(void **state)
{
    struct it *it = *state;
    static struct waits w;
    struct party other;
    struct it_op op;
    char node[1024];
    open_waits(&w, it);
    char *path = path_of(it, 300, 99);
    party_open(&other, NULL, 0, path);
    party_write(&other);
    zks_rwlock *lock = it_rwlock(w.client, path);
    it_op_init(&op);
    it_ok(zks_rwlock_wrlock_op(lock, ZKS_FOREVER, &op.op));
    rawzk_await_children(it->raw, path, 2, IT_LIMIT_MS);
    party_unlock(&other);
    it_ok(it_op_wait(&op));
    assert_true(zks_rwlock_node(lock, node, sizeof node) < sizeof node);
    rawzk_delete(it->raw, node);
    it_await(zks_rwlock_held(lock) == 0);
    it_equal(zks_rwlock_unlock(lock, IT_LIMIT_MS), ZKS_ELOST);
    zks_rwlock_free(lock);
    party_close(&other);
    close_waits(&w);
    free(path);
}

static void what_the_option_can_be(void **state)
{
    static const uint32_t wrong[] = {1, ZKS_SESSION_BYTES_MIN - 1, ZKS_SESSION_BYTES_MAX + 1,
                                     UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        zks_client_options options = it_options(NULL, 0);
        zks_client *client = NULL;
        options.max_session_bytes = wrong[i];
        it_equal(zks_client_open(&options, &client), ZKS_EINVAL);
        assert_non_null(strstr(zks_last_error(), "max_session_bytes"));
    }
}

/* What a lost create may still leave counts once, not with each lock that is taken meanwhile. */
static void after_a_lost_create(void **state)
{
    struct it *it = *state;
    char *path = it_child(it, "lost");
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    zks_client *client = open_client(frameproxy_address(proxy), 0, ZKS_SESSION_BYTES_MIN);
    zks_rwlock *lock = it_rwlock(client, path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
    frameproxy_swallow_reply(proxy, FRAME_CREATE2, path, 1);
    for (size_t i = 0; i < 100; i++) {
        it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
        it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
    }
    assert_true(frameproxy_await_hit(proxy, 0));
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
    free(path);
}

/* What may still turn up of each counts once, so there is room for all of them to be created again. */
static void after_many_lost_creates(void **state)
{
    enum { MANY = 12 };
    struct it *it = *state;
    zks_rwlock *lock[MANY];
    struct it_op op[MANY];
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    zks_client *client = open_client(frameproxy_address(proxy), 0, SMALL);
    for (size_t i = 0; i < MANY; i++) {
        char *path = path_of(it, 90, i);
        lock[i] = it_rwlock(client, path);
        it_op_init(&op[i]);
        it_ok(zks_rwlock_wrlock(lock[i], IT_LIMIT_MS));
        it_ok(zks_rwlock_unlock(lock[i], IT_LIMIT_MS));
        free(path);
    }
    frameproxy_swallow_request(proxy, FRAME_CREATE2, "", 1);
    for (size_t i = 0; i < MANY; i++) {
        it_ok(zks_rwlock_wrlock_op(lock[i], ZKS_FOREVER, &op[i].op));
    }
    for (size_t i = 0; i < MANY; i++) {
        it_ok(it_op_wait(&op[i]));
    }
    assert_true(frameproxy_await_hit(proxy, 0));
    for (size_t i = 0; i < MANY; i++) {
        it_ok(zks_rwlock_unlock(lock[i], IT_LIMIT_MS));
        it_ok(zks_rwlock_wrlock(lock[i], IT_LIMIT_MS));
    }
    for (size_t i = 0; i < MANY; i++) {
        zks_rwlock_free(lock[i]);
    }
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(locks_outlive_a_broken_connection),
        it_test(znodes_are_bounded),
        it_test(znodes_that_go_leave_room),
        it_test(the_next_session_begins_anew),
        it_test(watches_are_bounded),
        it_test(locks_do_without_watches),
        it_test(after_a_lost_create),
        it_test(after_many_lost_creates),
        it_test(what_the_option_can_be),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
