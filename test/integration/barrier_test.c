/* SPDX-License-Identifier: Apache-2.0 */
/* The barrier against real servers: set, unset and wait, lost replies, cuts, lag and expiry. */
#include "common.h"

#include <cjson/cJSON.h>
#include <unistd.h>

#include "frameproxy.h"
#include "kill_session.h"

/* A client with a barrier to wait at, and a second handle that tells when all that the first one
 * asked for has been answered. */
struct waiter {
    struct it_states states;
    zks_client *client;
    zks_barrier *barrier;
    zks_barrier *probe;
    struct it_op op;
};

static void waiter_open(struct waiter *w, const char *servers, uint32_t session_ms,
                        const char *path)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = servers;
    options.session_timeout_ms = session_ms;
    options.connect_timeout_ms = IT_LIMIT_MS;
    options.listener = it_states_listener;
    options.listener_arg = &w->states;
    it_states_init(&w->states);
    w->client = it_open_with(&options);
    w->barrier = it_barrier(w->client, path);
    w->probe = it_barrier(w->client, path);
    it_op_init(&w->op);
}

/* A session's requests are answered in their order, so once the probe has found the barrier set
 * the wait has been answered too, and stands or is wrong. */
static void still_waits(struct waiter *w)
{
    int rc = ZKS_EDISCONNECTED;
    while (rc == ZKS_EDISCONNECTED || rc == ZKS_ESESSION) {
        rc = zks_barrier_wait(w->probe, 0);
    }
    it_equal(rc, ZKS_EBUSY);
    assert_false(it_op_done(&w->op));
}

static void waiter_begin(struct waiter *w)
{
    it_ok(zks_barrier_wait_op(w->barrier, ZKS_FOREVER, &w->op.op));
    still_waits(w);
}

static void waiter_close(struct waiter *w)
{
    zks_barrier_free(w->barrier);
    zks_barrier_free(w->probe);
    it_ok(zks_client_close(w->client));
}

/* A client through a proxy of its own, and one that is never disturbed. */
struct pair {
    struct frameproxy *proxy;
    struct waiter cut;
    zks_client *client;
    zks_barrier *barrier;
};

static void pair_open(struct pair *p, uint32_t session_ms, const char *path)
{
    p->proxy = frameproxy_start(ens_direct_server(0));
    waiter_open(&p->cut, frameproxy_address(p->proxy), session_ms, path);
    p->client = it_open(ens_direct(), 0);
    p->barrier = it_barrier(p->client, path);
}

static void pair_close(struct pair *p)
{
    waiter_close(&p->cut);
    zks_barrier_free(p->barrier);
    it_ok(zks_client_close(p->client));
    frameproxy_stop(p->proxy);
}

static void test_set_and_unset(void **state)
{
    struct it *it = *state;
    struct Stat stat;
    char *path = it_child(it, "a/b/c");
    zks_client *client = it_open(NULL, 0);
    zks_barrier *barrier = it_barrier(client, path);
    it_ok(zks_barrier_set(barrier, ZKS_FOREVER));
    assert_true(rawzk_exists(it->raw, path, &stat));
    assert_int_equal(stat.ephemeralOwner, 0);
    it_ok(zks_barrier_unset(barrier, ZKS_FOREVER));
    assert_false(rawzk_exists(it->raw, path, NULL));
    it_ok(zks_barrier_set(barrier, 0));
    it_ok(zks_barrier_unset(barrier, 0));
    free(path);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
}

static void test_set_twice_is_eexist(void **state)
{
    struct it *it = *state;
    zks_client *one = it_open(NULL, 0);
    zks_client *two = it_open(NULL, 0);
    zks_barrier *first = it_barrier(one, it->path);
    zks_barrier *second = it_barrier(two, it->path);
    it_ok(zks_barrier_set(first, ZKS_FOREVER));
    it_equal(zks_barrier_set(second, ZKS_FOREVER), ZKS_EEXIST);
    it_equal(zks_barrier_set(first, ZKS_FOREVER), ZKS_EEXIST);
    it_equal(zks_barrier_set(first, 0), ZKS_EEXIST);
    it_ok(zks_barrier_unset(second, ZKS_FOREVER));
    zks_barrier_free(first);
    zks_barrier_free(second);
    it_ok(zks_client_close(one));
    it_ok(zks_client_close(two));
}

static void test_unset_of_none_is_enoent(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    zks_barrier *barrier = it_barrier(client, it->path);
    it_equal(zks_barrier_unset(barrier, ZKS_FOREVER), ZKS_ENOENT);
    it_ok(zks_barrier_set(barrier, ZKS_FOREVER));
    it_ok(zks_barrier_unset(barrier, ZKS_FOREVER));
    it_equal(zks_barrier_unset(barrier, ZKS_FOREVER), ZKS_ENOENT);
    it_equal(zks_barrier_unset(barrier, 0), ZKS_ENOENT);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
}

static void test_unset_leaves_a_znode_with_children(void **state)
{
    struct it *it = *state;
    char *child = it_child(it, "child");
    zks_client *client = it_open(NULL, 0);
    zks_barrier *barrier = it_barrier(client, it->path);
    rawzk_create_path(it->raw, child);
    it_equal(zks_barrier_unset(barrier, ZKS_FOREVER), ZKS_ENOTEMPTY);
    assert_true(rawzk_exists(it->raw, child, NULL));
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
    free(child);
}

static void test_wait_blocks_until_unset(void **state)
{
    struct it *it = *state;
    struct waiter w;
    waiter_open(&w, ens_servers(), 30000, it->path);
    for (int round = 0; round < 20; round++) {
        it_ok(zks_barrier_set(w.probe, ZKS_FOREVER));
        waiter_begin(&w);
        it_ok(zks_barrier_unset(w.probe, ZKS_FOREVER));
        it_ok(it_op_wait(&w.op));
    }
    waiter_close(&w);
}

static void test_unset_frees_all_waiters_on_several_connections(void **state)
{
    struct it *it = *state;
    enum { CLIENTS = 5, EACH = 6 };
    struct waiter waiters[CLIENTS];
    zks_barrier *more[CLIENTS][EACH];
    struct it_op ops[CLIENTS][EACH];
    zks_client *client = it_open(NULL, 0);
    zks_barrier *barrier = it_barrier(client, it->path);
    it_ok(zks_barrier_set(barrier, ZKS_FOREVER));
    for (size_t i = 0; i < CLIENTS; i++) {
        waiter_open(&waiters[i], ens_server(i % ens_count()), 30000, it->path);
        for (size_t k = 0; k < EACH; k++) {
            more[i][k] = it_barrier(waiters[i].client, it->path);
            it_op_init(&ops[i][k]);
            it_ok(zks_barrier_wait_op(more[i][k], ZKS_FOREVER, &ops[i][k].op));
        }
        waiter_begin(&waiters[i]);
    }
    for (size_t i = 0; i < CLIENTS * EACH; i++) {
        assert_false(it_op_done(&ops[i / EACH][i % EACH]));
    }
    it_ok(zks_barrier_unset(barrier, ZKS_FOREVER));
    for (size_t i = 0; i < CLIENTS; i++) {
        it_ok(it_op_wait(&waiters[i].op));
        for (size_t k = 0; k < EACH; k++) {
            it_ok(it_op_wait(&ops[i][k]));
            zks_barrier_free(more[i][k]);
        }
        waiter_close(&waiters[i]);
    }
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
}

static void test_wait_with_none_set_returns_at_once(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    zks_barrier *barrier = it_barrier(client, it->path);
    it_ok(zks_barrier_wait(barrier, ZKS_FOREVER));
    it_ok(zks_barrier_wait(barrier, 0));
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
}

static void test_wait_try_is_busy(void **state)
{
    struct it *it = *state;
    struct waiter w;
    waiter_open(&w, ens_servers(), 30000, it->path);
    it_ok(zks_barrier_set(w.barrier, ZKS_FOREVER));
    it_equal(zks_barrier_wait(w.barrier, 0), ZKS_EBUSY);
    it_ok(zks_barrier_unset(w.barrier, ZKS_FOREVER));
    it_ok(zks_barrier_wait(w.barrier, 0));
    waiter_close(&w);
}

static void test_wait_with_timeout_and_cancel(void **state)
{
    struct it *it = *state;
    struct waiter w;
    waiter_open(&w, ens_servers(), 30000, it->path);
    it_ok(zks_barrier_set(w.probe, ZKS_FOREVER));
    it_equal(zks_barrier_wait(w.barrier, 100), ZKS_ETIMEDOUT);
    for (int round = 0; round < 20; round++) {
        waiter_begin(&w);
        zks_op_cancel(&w.op.op);
        it_equal(it_op_wait(&w.op), ZKS_ECANCELED);
        zks_op_cancel(&w.op.op);
        /* Before anything was answered, too. */
        it_ok(zks_barrier_wait_op(w.barrier, ZKS_FOREVER, &w.op.op));
        zks_op_cancel(&w.op.op);
        it_equal(it_op_wait(&w.op), ZKS_ECANCELED);
    }
    waiter_begin(&w);
    it_ok(zks_barrier_unset(w.probe, ZKS_FOREVER));
    it_ok(it_op_wait(&w.op));
    waiter_close(&w);
}

static void test_a_handle_does_one_thing_at_a_time(void **state)
{
    struct it *it = *state;
    struct waiter w;
    waiter_open(&w, ens_servers(), 30000, it->path);
    it_ok(zks_barrier_set(w.probe, ZKS_FOREVER));
    waiter_begin(&w);
    it_equal(zks_barrier_set(w.barrier, ZKS_FOREVER), ZKS_EDEADLK);
    it_equal(zks_barrier_unset(w.barrier, ZKS_FOREVER), ZKS_EDEADLK);
    it_equal(zks_barrier_wait(w.barrier, 0), ZKS_EDEADLK);
    still_waits(&w);
    it_ok(zks_barrier_unset(w.probe, ZKS_FOREVER));
    it_ok(it_op_wait(&w.op));
    waiter_close(&w);
}

static void test_free_while_waiting_is_eclosed(void **state)
{
    struct it *it = *state;
    struct waiter w;
    waiter_open(&w, ens_servers(), 30000, it->path);
    it_ok(zks_barrier_set(w.probe, ZKS_FOREVER));
    waiter_begin(&w);
    zks_barrier_free(w.barrier);
    assert_true(it_op_done(&w.op));
    it_equal(it_op_wait(&w.op), ZKS_ECLOSED);
    w.barrier = it_barrier(w.client, it->path);
    waiter_begin(&w);
    it_ok(zks_client_close(w.client));
    assert_true(it_op_done(&w.op));
    it_equal(it_op_wait(&w.op), ZKS_ECLOSED);
    zks_barrier_free(w.barrier);
    zks_barrier_free(w.probe);
    assert_true(rawzk_exists(it->raw, it->path, NULL));
}

/* Settings follow one another so quickly that news of one is on its way to a client while it asks
 * about the next; every wait must end all the same, the last ones when it is unset for good. */
static void test_waits_among_quick_settings(void **state)
{
    struct it *it = *state;
    enum { HANDLES = 8, SETTINGS = 400 };
    zks_barrier *waiting[HANDLES];
    struct it_op ops[HANDLES];
    zks_client *clients[2] = {it_open(ens_server(0), 0), it_open(ens_server(ens_count() - 1), 0)};
    zks_barrier *setter = it_barrier(clients[1], it->path);
    it_ok(zks_barrier_set(setter, ZKS_FOREVER));
    for (size_t i = 0; i < HANDLES; i++) {
        waiting[i] = it_barrier(clients[0], it->path);
        it_op_init(&ops[i]);
        it_ok(zks_barrier_wait_op(waiting[i], ZKS_FOREVER, &ops[i].op));
    }
    for (size_t k = 0; k < SETTINGS; k++) {
        it_ok(zks_barrier_unset(setter, ZKS_FOREVER));
        it_ok(zks_barrier_set(setter, ZKS_FOREVER));
        for (size_t i = 0; i < HANDLES; i++) {
            if (it_op_done(&ops[i])) {
                it_ok(it_op_wait(&ops[i]));
                it_ok(zks_barrier_wait_op(waiting[i], ZKS_FOREVER, &ops[i].op));
            }
        }
    }
    it_ok(zks_barrier_unset(setter, ZKS_FOREVER));
    for (size_t i = 0; i < HANDLES; i++) {
        it_ok(it_op_wait(&ops[i]));
        zks_barrier_free(waiting[i]);
    }
    zks_barrier_free(setter);
    it_ok(zks_client_close(clients[0]));
    it_ok(zks_client_close(clients[1]));
}

static void test_setters_end_opens_nothing(void **state)
{
    struct it *it = *state;
    struct waiter w;
    zks_client *client = it_open(NULL, 0);
    zks_barrier *barrier = it_barrier(client, it->path);
    waiter_open(&w, ens_servers(), 30000, it->path);
    it_ok(zks_barrier_set(barrier, ZKS_FOREVER));
    waiter_begin(&w);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
    still_waits(&w);
    it_ok(zks_barrier_unset(w.probe, ZKS_FOREVER));
    it_ok(it_op_wait(&w.op));
    waiter_close(&w);
}

static void read_id(struct it *it, char id[64])
{
    char data[2048];
    size_t length = sizeof data - 1;
    assert_true(rawzk_get(it->raw, it->path, data, &length, NULL));
    cJSON *json = cJSON_ParseWithLength(data, length);
    const char *seen = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "id"));
    assert_non_null(seen);
    (void)snprintf(id, 64, "%s", seen);
    cJSON_Delete(json);
}

/* By its id a handle knows the znode of its own setting, so no two settings have the same one. */
static void test_each_setting_has_an_id(void **state)
{
    struct it *it = *state;
    char ids[2][64];
    zks_client *client = it_open(NULL, 0);
    zks_barrier *barrier = it_barrier(client, it->path);
    for (size_t i = 0; i < 2; i++) {
        it_ok(zks_barrier_set(barrier, IT_LIMIT_MS));
        read_id(it, ids[i]);
        it_ok(zks_barrier_unset(barrier, IT_LIMIT_MS));
    }
    assert_string_not_equal(ids[0], ids[1]);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
}

static void test_data_is_json(void **state)
{
    struct it *it = *state;
    char data[2048];
    size_t length = sizeof data - 1;
    char host[256] = "";
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = ens_servers();
    options.identity = "an \"identity\" with \\ and \n";
    options.reason = "a reason";
    zks_client *client = it_open_with(&options);
    zks_barrier *barrier = it_barrier(client, it->path);
    it_ok(zks_barrier_set(barrier, ZKS_FOREVER));
    assert_true(rawzk_get(it->raw, it->path, data, &length, NULL));
    cJSON *json = cJSON_ParseWithLength(data, length);
    assert_true(cJSON_IsObject(json));
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(json, "pid");
    assert_true(cJSON_IsNumber(pid));
    assert_int_equal(pid->valueint, getpid());
    const char *seen = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "host"));
    assert_non_null(seen);
    assert_string_equal(seen, host);
    seen = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "reason"));
    assert_non_null(seen);
    assert_string_equal(seen, options.reason);
    cJSON_Delete(json);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
}

static void test_wait_survives_a_reconnect(void **state)
{
    struct it *it = *state;
    struct pair p;
    pair_open(&p, 30000, it->path);
    it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
    waiter_begin(&p.cut);
    for (int round = 0; round < 3; round++) {
        size_t from = it_states_count(&p.cut.states);
        frameproxy_hold(p.proxy);
        (void)it_states_await(&p.cut.states, from, ZKS_CLIENT_SUSPENDED);
        frameproxy_release(p.proxy);
        (void)it_states_await(&p.cut.states, from, ZKS_CLIENT_RECONNECTED);
        still_waits(&p.cut);
    }
    it_ok(zks_barrier_unset(p.barrier, ZKS_FOREVER));
    it_ok(it_op_wait(&p.cut.op));
    pair_close(&p);
}

/* Cuts the waiter off, does something meanwhile, and lets it come back. */
static void while_cut_off(struct it *it, bool set_again)
{
    struct pair p;
    pair_open(&p, 30000, it->path);
    it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
    waiter_begin(&p.cut);
    frameproxy_hold(p.proxy);
    (void)it_states_await(&p.cut.states, 0, ZKS_CLIENT_SUSPENDED);
    it_ok(zks_barrier_unset(p.barrier, ZKS_FOREVER));
    if (set_again) {
        it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
    }
    assert_false(it_op_done(&p.cut.op));
    frameproxy_release(p.proxy);
    it_ok(it_op_wait(&p.cut.op));
    it_equal(zks_barrier_wait(p.cut.barrier, 0), set_again ? ZKS_EBUSY : 0);
    pair_close(&p);
}

static void test_unset_while_the_waiter_is_cut_off(void **state)
{
    while_cut_off(*state, false);
}

static void test_unset_and_set_again_while_the_waiter_is_cut_off(void **state)
{
    while_cut_off(*state, true);
}

static void test_wait_survives_an_expired_session(void **state)
{
    struct it *it = *state;
    struct pair p;
    it_need_kill_session();
    pair_open(&p, 30000, it->path);
    it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
    waiter_begin(&p.cut);
    int64_t session = zks_client_session_id(p.cut.client);
    kill_session(p.cut.client);
    size_t lost = it_states_await(&p.cut.states, 0, ZKS_CLIENT_LOST);
    (void)it_states_await(&p.cut.states, lost, ZKS_CLIENT_RECONNECTED);
    assert_true(zks_client_session_id(p.cut.client) != session);
    still_waits(&p.cut);
    it_ok(zks_barrier_unset(p.barrier, ZKS_FOREVER));
    it_ok(it_op_wait(&p.cut.op));
    pair_close(&p);
}

static void test_unset_and_set_again_while_the_session_expires(void **state)
{
    const struct it *it = *state;
    struct pair p;
    it_need_kill_session();
    pair_open(&p, 30000, it->path);
    it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
    waiter_begin(&p.cut);
    size_t from = it_states_count(&p.cut.states);
    frameproxy_hold(p.proxy);
    (void)it_states_await(&p.cut.states, from, ZKS_CLIENT_SUSPENDED);
    kill_session(p.cut.client);
    it_ok(zks_barrier_unset(p.barrier, ZKS_FOREVER));
    it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
    frameproxy_release(p.proxy);
    it_ok(it_op_wait(&p.cut.op));
    (void)it_states_await(&p.cut.states, from, ZKS_CLIENT_LOST);
    pair_close(&p);
}

/* The follower stands still while the barrier is set, and goes on with the wait and the news of
 * the setting before it in any order.  A wait without a sync would see no barrier now and then. */
static void test_a_lagging_follower_lets_nobody_through(void **state)
{
    struct it *it = *state;
    it_need_kill();
    it_need_servers(2);
    size_t leader = ens_leader();
    size_t follower = (leader + 1) % ens_count();
    struct waiter w;
    zks_client *client = it_open(ens_direct_server(leader), 0);
    zks_barrier *barrier = it_barrier(client, it->path);
    waiter_open(&w, ens_direct_server(follower), 30000, it->path);
    for (int round = 0; round < 12; round++) {
        it_ok(zks_barrier_wait(w.barrier, ZKS_FOREVER));
        ens_pause(follower);
        int rc = zks_barrier_set(barrier, ZKS_FOREVER);
        int started = zks_barrier_wait_op(w.barrier, ZKS_FOREVER, &w.op.op);
        ens_resume(follower);
        it_ok(rc);
        it_ok(started);
        still_waits(&w);
        it_ok(zks_barrier_unset(barrier, ZKS_FOREVER));
        it_ok(it_op_wait(&w.op));
    }
    waiter_close(&w);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
    ens_await();
}

/* Loses the request that makes the znode, or the reply to it, whichever kind of create it is. */
static void lose_the_set(struct it *it, bool request)
{
    struct pair p;
    char *path = it_child(it, "b");
    rawzk_create_path(it->raw, it->path);
    pair_open(&p, 30000, path);
    const int32_t opcodes[] = {FRAME_CREATE, FRAME_CREATE2};
    for (size_t i = 0; i < 2; i++) {
        (request ? frameproxy_swallow_request : frameproxy_swallow_reply)(p.proxy, opcodes[i], path,
                                                                          1);
    }
    it_ok(zks_barrier_set(p.cut.barrier, ZKS_FOREVER));
    assert_int_equal(frameproxy_hits(p.proxy), 1);
    assert_true(rawzk_exists(it->raw, path, NULL));
    it_equal(zks_barrier_set(p.barrier, ZKS_FOREVER), ZKS_EEXIST);
    pair_close(&p);
    free(path);
}

static void test_set_whose_reply_is_lost(void **state)
{
    lose_the_set(*state, false);
}

static void test_set_whose_request_is_lost(void **state)
{
    lose_the_set(*state, true);
}

static void test_unset_whose_reply_is_lost(void **state)
{
    struct it *it = *state;
    struct pair p;
    pair_open(&p, 30000, it->path);
    it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
    frameproxy_swallow_reply(p.proxy, FRAME_DELETE, it->path, 1);
    it_ok(zks_barrier_unset(p.cut.barrier, ZKS_FOREVER));
    assert_int_equal(frameproxy_hits(p.proxy), 1);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    pair_close(&p);
}

/* The unset comes back before the second setting now and then, and that is right as well; it is
 * tried until the other order has come about. */
static void test_unset_whose_reply_is_lost_spares_a_new_setting(void **state)
{
    struct it *it = *state;
    struct pair p;
    pair_open(&p, 30000, it->path);
    bool came_about = false;
    for (int round = 0; round < 20 && !came_about; round++) {
        it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
        frameproxy_swallow_reply(p.proxy, FRAME_DELETE, it->path, 1);
        it_ok(zks_barrier_unset_op(p.cut.barrier, ZKS_FOREVER, &p.cut.op.op));
        assert_true(frameproxy_await_hit(p.proxy, IT_LIMIT_MS));
        frameproxy_hold(p.proxy);
        it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
        came_about = !it_op_done(&p.cut.op);
        frameproxy_release(p.proxy);
        it_ok(it_op_wait(&p.cut.op));
        assert_true(rawzk_exists(it->raw, it->path, NULL));
        it_ok(zks_barrier_unset(p.barrier, ZKS_FOREVER));
    }
    assert_true(came_about);
    pair_close(&p);
}

static void test_wait_whose_reply_is_lost(void **state)
{
    struct it *it = *state;
    struct pair p;
    pair_open(&p, 30000, it->path);
    it_ok(zks_barrier_set(p.barrier, ZKS_FOREVER));
    frameproxy_swallow_reply(p.proxy, FRAME_GET_DATA, it->path, 1);
    waiter_begin(&p.cut);
    assert_int_equal(frameproxy_hits(p.proxy), 1);
    it_ok(zks_barrier_unset(p.barrier, ZKS_FOREVER));
    it_ok(it_op_wait(&p.cut.op));
    frameproxy_swallow_reply(p.proxy, FRAME_GET_DATA, it->path, 1);
    it_ok(zks_barrier_wait(p.cut.barrier, ZKS_FOREVER));
    assert_int_equal(frameproxy_hits(p.proxy), 2);
    pair_close(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(test_set_and_unset),
        it_test(test_set_twice_is_eexist),
        it_test(test_unset_of_none_is_enoent),
        it_test(test_unset_leaves_a_znode_with_children),
        it_test(test_wait_blocks_until_unset),
        it_test(test_unset_frees_all_waiters_on_several_connections),
        it_test(test_wait_with_none_set_returns_at_once),
        it_test(test_wait_try_is_busy),
        it_test(test_wait_with_timeout_and_cancel),
        it_test(test_a_handle_does_one_thing_at_a_time),
        it_test(test_free_while_waiting_is_eclosed),
        it_test(test_waits_among_quick_settings),
        it_test(test_setters_end_opens_nothing),
        it_test(test_data_is_json),
        it_test(test_each_setting_has_an_id),
        it_test(test_wait_survives_a_reconnect),
        it_test(test_unset_while_the_waiter_is_cut_off),
        it_test(test_unset_and_set_again_while_the_waiter_is_cut_off),
        it_test(test_wait_survives_an_expired_session),
        it_test(test_unset_and_set_again_while_the_session_expires),
        it_test(test_a_lagging_follower_lets_nobody_through),
        it_test(test_set_whose_reply_is_lost),
        it_test(test_set_whose_request_is_lost),
        it_test(test_unset_whose_reply_is_lost),
        it_test(test_unset_whose_reply_is_lost_spares_a_new_setting),
        it_test(test_wait_whose_reply_is_lost),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
