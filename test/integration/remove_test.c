/* SPDX-License-Identifier: Apache-2.0 */
/* The removal of stuck znodes, the ping, and what else a client and a handle have for those who look on. */
#include <cjson/cJSON.h>
#include <unistd.h>

#include "frameproxy.h"
#include "observing.h"

static void test_remove_of_a_holder_and_of_a_waiter(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    party_open(&a, NULL, 10000, it->path); /* It looks after what it holds soon. */
    party_open(&b, NULL, 0, it->path);
    party_write(&a);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    struct zks_view *v = look(it->path);
    it_ok(zks_remove(outside, v->contenders[0].path, IT_LIMIT_MS));
    it_equal(zks_remove(outside, v->contenders[0].path, IT_LIMIT_MS), ZKS_ENOENT);
    zks_view_free(v);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    it_await(atomic_load(&a.lost) == 1);
    assert_int_equal(zks_rwlock_held(a.lock), 0);
    it_equal(zks_rwlock_unlock(a.lock, IT_LIMIT_MS), ZKS_ELOST);
    /* A waiter still gets it in its turn. */
    party_queue(&a, ZKS_RWLOCK_READ, it, it->path, 2);
    v = look(it->path);
    it_ok(zks_remove(outside, v->contenders[1].path, 0));
    assert_int_equal(zks_rwlock_held(b.lock), ZKS_RWLOCK_WRITE);
    party_unlock(&b);
    party_granted(&a, ZKS_RWLOCK_READ);
    assert_int_equal(atomic_load(&b.lost), 0);
    zks_view_free(v);
    two_close(&a, &b);
}

static void test_remove_of_a_participant(void **state)
{
    struct it *it = *state;
    struct it_op op;
    it_op_init(&op);
    zks_double_barrier *a = it_double_barrier(outside, it->path, 2, "a");
    zks_double_barrier *b = it_double_barrier(outside, it->path, 2, "b");
    it_ok(zks_double_barrier_enter_op(a, ZKS_FOREVER, &op.op));
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    it_ok(zks_double_barrier_enter(b, IT_LIMIT_MS));
    it_ok(it_op_wait(&op));
    /* Who is removed has died to the others, so they need not wait for it any more. */
    struct zks_view *v = look(it->path);
    assert_int_equal(v->n_participants, 2);
    it_ok(zks_remove(outside, v->participants[0].path, IT_LIMIT_MS));
    it_ok(zks_double_barrier_leave(b, IT_LIMIT_MS));
    zks_view_free(v);
    zks_double_barrier_free(a);
    zks_double_barrier_free(b);
}

static void test_remove_that_is_refused(void **state)
{
    static const char *const never[] = {NULL, "",     "/",     "a",
                                        "/a", "/a/b", "/a/b/", "_c_0-read-0000000000"};
    static const char *const others[] = {"thing", "read-", "ready", "a-read-00000000x0"};
    struct it *it = *state;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        it_equal(zks_remove(outside, never[i], IT_LIMIT_MS), ZKS_EINVAL);
    }
    rawzk_create_path(it->raw, it->path);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char *path = raw_child(it, others[i], NULL, 0);
        it_equal(zks_remove(outside, path, IT_LIMIT_MS), ZKS_EINVAL);
        assert_true(rawzk_exists(it->raw, path, NULL));
        free(path);
    }
    char *path = raw_child(it, go_read, NULL, ZOO_SEQUENCE);
    char *below = NULL;
    assert_true(asprintf(&below, "%s/", path) > 0);
    it_equal(zks_remove(outside, below, IT_LIMIT_MS), ZKS_EINVAL);
    it_equal(zks_remove(outside, path, -2), ZKS_EINVAL);
    free(below);
    assert_true(asprintf(&below, "%s/x", path) > 0);
    rawzk_create(it->raw, below, NULL, 0, NULL, 0);
    it_equal(zks_remove(outside, path, IT_LIMIT_MS), ZKS_ENOTEMPTY);
    rawzk_delete(it->raw, below);
    set_perms(it, it->path, ZOO_PERM_ALL & ~ZOO_PERM_DELETE);
    it_equal(zks_remove(outside, path, IT_LIMIT_MS), ZKS_EACCES);
    set_perms(it, it->path, ZOO_PERM_ALL);
    assert_true(rawzk_exists(it->raw, path, NULL));
    it_ok(zks_remove(outside, path, IT_LIMIT_MS));
    assert_false(rawzk_exists(it->raw, path, NULL));
    it_equal(zks_remove(outside, path, IT_LIMIT_MS), ZKS_ENOENT);
    free(below);
    free(path);
}

static void all_fail(zks_client *client, int64_t timeout_ms, int error)
{
    struct zks_view *view = NULL;
    struct zks_ping ping;
    zks_observer *o = observe(client, "/a", true);
    it_equal(zks_observer_next(o, timeout_ms, &view), error);
    it_equal(zks_look(client, "/", timeout_ms, &view), error);
    it_equal(zks_remove(client, "/a/x-read-0000000001", timeout_ms), error);
    it_equal(zks_client_ping(client, timeout_ms, &ping), error);
    assert_null(view);
    zks_observer_free(o);
}

static void test_remove_without_an_answer(void **state)
{
    struct it *it = *state;
    struct onlooker l;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    rawzk_create_path(it->raw, it->path);
    onlooker_open(&l, frameproxy_address(proxy), it->path);
    for (unsigned request = 0; request < 2; request++) {
        char *path = go_queue(it, go_write);
        if (request) {
            frameproxy_swallow_request(proxy, FRAME_DELETE, path, 1);
        } else {
            frameproxy_swallow_reply(proxy, FRAME_DELETE, path, 1);
        }
        it_ok(zks_remove(l.client, path, IT_LIMIT_MS));
        assert_int_equal(frameproxy_hits(proxy), request + 1);
        assert_false(rawzk_exists(it->raw, path, NULL));
        free(path);
    }
    char *path = go_queue(it, go_write);
    size_t at = it_states_await(&l.states, 0, ZKS_CLIENT_RECONNECTED);
    at = it_states_await(&l.states, at + 1, ZKS_CLIENT_RECONNECTED);
    frameproxy_hold(proxy);
    (void)it_states_await(&l.states, at, ZKS_CLIENT_SUSPENDED);
    all_fail(l.client, 0, ZKS_EDISCONNECTED);
    all_fail(l.client, 50, ZKS_ETIMEDOUT);
    it_equal(zks_remove(l.client, path, 50), ZKS_ETIMEDOUT);
    frameproxy_release(proxy);
    int rc = zks_remove(l.client, path, IT_LIMIT_MS);
    assert_true(rc == 0 || rc == ZKS_ENOENT);
    assert_false(rawzk_exists(it->raw, path, NULL));
    onlooker_close(&l);
    frameproxy_stop(proxy);
    free(path);
}

static void check_ping(zks_client *client, const char *servers, int64_t timeout_ms)
{
    struct zks_ping ping;
    bool found = false;
    memset(&ping, 'x', sizeof ping);
    it_ok(zks_client_ping(client, timeout_ms, &ping));
    for (const char *at = servers; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        size_t length = strcspn(at, ",");
        found = found || (length == strlen(ping.server) && memcmp(at, ping.server, length) == 0);
    }
    assert_true(found || !isdigit((unsigned char)servers[0])); /* A name has some address. */
    assert_int_equal(ping.session, zks_client_session_id(client));
    assert_int_equal(ping.session_timeout_ms, zks_client_session_timeout_ms(client));
}

static void test_ping(void **state)
{
    struct zks_ping ping;
    struct zks_ping untouched;
    size_t last = ens_count() - 1;
    (void)state;
    check_ping(outside, ens_servers(), ZKS_FOREVER);
    check_ping(outside, ens_servers(), 0);
    it_need_proxy();
    zks_client *client = it_open(ens_server(last), 0);
    check_ping(client, ens_server(last), IT_LIMIT_MS);
    proxy_blackhole(last);
    memset(&ping, 'x', sizeof ping);
    untouched = ping;
    it_equal(zks_client_ping(client, 100, &ping), ZKS_ETIMEDOUT);
    assert_memory_equal(&ping, &untouched, sizeof ping);
    proxy_unblackhole(last);
    check_ping(client, ens_server(last), IT_LIMIT_MS);
    it_ok(zks_client_close(client));
}

/* A ping is a read and a write. */
static void test_a_ping_asks_for_both(void **state)
{
    struct zks_ping ping;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    zks_client *client = it_open(frameproxy_address(proxy), 0);
    (void)state;
    unsigned reads = frameproxy_count(proxy, FRAME_EXISTS);
    assert_int_equal(frameproxy_count(proxy, FRAME_SET_DATA), 0);
    it_ok(zks_client_ping(client, IT_LIMIT_MS, &ping));
    assert_int_equal(frameproxy_count(proxy, FRAME_EXISTS), reads + 1);
    assert_int_equal(frameproxy_count(proxy, FRAME_SET_DATA), 1);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
}

static void test_servers_and_roots_that_are_not_there(void **state)
{
    struct it *it = *state;
    char *servers = NULL;
    zks_client_options options = it_options("127.0.0.1:1", 0);
    options.connect_timeout_ms = 0;
    zks_client *client = it_open_with(&options);
    all_fail(client, 0, ZKS_EDISCONNECTED);
    all_fail(client, 50, ZKS_ETIMEDOUT);
    it_ok(zks_client_close(client));
    assert_true(asprintf(&servers, "%s%s/nowhere", ens_direct(), it->path) > 0);
    options.servers = servers;
    client = it_open_with(&options);
    all_fail(client, IT_LIMIT_MS, ZKS_ENOCHROOT);
    it_ok(zks_client_close(client));
    free(servers);
}

static void expect_pid(const struct it *it, const zks_client_options *options, long pid)
{
    zks_client *client = it_open_with(options);
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    struct zks_view *v = look(it->path);
    assert_true(shows(v, ZKS_VIEW_LOCK, 1));
    cJSON *json = cJSON_Parse(v->contenders[0].data);
    assert_non_null(json);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(json, "pid")) == (double)pid);
    cJSON_Delete(json);
    it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
    zks_view_free(v);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

static void test_the_option_pid(void **state)
{
    zks_client *client = NULL;
    zks_client_options options = it_options(NULL, 0);
    expect_pid(*state, &options, getpid());
    options.pid = 4194303;
    expect_pid(*state, &options, 4194303);
    /* A program that knows nothing of the option yet. */
    options.size = offsetof(zks_client_options, pid);
    expect_pid(*state, &options, getpid());
    options.size = sizeof options;
    options.pid = -1;
    it_equal(zks_client_open(&options, &client), ZKS_EINVAL);
    assert_null(client);
}

static void expect_no_place(struct party *p)
{
    char text[4] = "abc";
    assert_int_equal(zks_rwlock_place(p->lock, text, sizeof text), 0);
    assert_string_equal(text, "");
}

static void test_the_place(void **state)
{
    struct it *it = *state;
    char place[512];
    char cut[6];
    struct party a;
    struct party b;
    two_open(&a, &b, it);
    expect_no_place(&a);
    party_write(&a);
    expect_no_place(&a);
    for (int granted = 0; granted < 2; granted++) {
        party_queue(&b, ZKS_RWLOCK_READ, it, it->path, 2);
        it_await(zks_rwlock_place(b.lock, place, sizeof place) > 0);
        assert_true(rawzk_exists(it->raw, place, NULL));
        assert_int_equal(zks_rwlock_place(b.lock, NULL, 0), strlen(place));
        assert_int_equal(zks_rwlock_place(b.lock, cut, sizeof cut), strlen(place));
        assert_true(strlen(cut) == 5 && memcmp(cut, place, 5) == 0);
        struct zks_view *v = brief_look(it->path);
        assert_true(shows(v, ZKS_VIEW_LOCK, 2));
        assert_string_equal(v->contenders[1].path, place);
        zks_view_free(v);
        if (granted) {
            party_unlock(&a);
            party_granted(&b, ZKS_RWLOCK_READ);
        } else {
            zks_op_cancel(&b.op.op);
            it_equal(it_op_wait(&b.op), ZKS_ECANCELED);
        }
        expect_no_place(&b);
    }
    assert_int_equal(zks_rwlock_place(NULL, NULL, 0), 0);
    two_close(&a, &b);
}

static void test_arguments(void **state)
{
    static const char *const invalid[] = {NULL, "", "a", "//", "/a/", "/a//b", "/..", "/a\n"};
    struct it *it = *state;
    char mark = 0;
    void *untouched = &mark;
    zks_observer *none = untouched;
    struct zks_view *view = untouched;
    struct zks_ping ping;
    struct it_op op;
    it_op_init(&op);
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        it_equal(zks_observer_new(outside, invalid[i], false, &none), ZKS_EINVAL);
        it_equal(zks_look(outside, invalid[i], IT_LIMIT_MS, &view), ZKS_EINVAL);
    }
    it_equal(zks_observer_new(NULL, it->path, false, &none), ZKS_EINVAL);
    it_equal(zks_observer_new(outside, it->path, false, NULL), ZKS_EINVAL);
    it_equal(zks_look(NULL, it->path, 0, &view), ZKS_EINVAL);
    it_equal(zks_look(outside, it->path, -2, &view), ZKS_EINVAL);
    it_equal(zks_look(outside, it->path, 0, NULL), ZKS_EINVAL);
    zks_observer *o = observe(outside, it->path, false);
    it_equal(zks_observer_next(NULL, 0, &view), ZKS_EINVAL);
    it_equal(zks_observer_next(o, 0, NULL), ZKS_EINVAL);
    it_equal(zks_observer_next(o, INT64_MIN, &view), ZKS_EINVAL);
    it_equal(zks_observer_next_op(NULL, 0, &op.op), ZKS_EINVAL);
    it_equal(zks_observer_next_op(o, 0, NULL), ZKS_EINVAL);
    it_equal(zks_observer_next_op(o, -2, &op.op), ZKS_EINVAL);
    assert_null(zks_observer_take(NULL));
    it_equal(zks_remove(NULL, "/a/x-read-0000000001", 0), ZKS_EINVAL);
    it_equal(zks_client_ping(NULL, 0, &ping), ZKS_EINVAL);
    it_equal(zks_client_ping(outside, -2, &ping), ZKS_EINVAL);
    it_equal(zks_client_ping(outside, 0, NULL), ZKS_EINVAL);
    assert_ptr_equal(none, untouched);
    assert_ptr_equal(view, untouched);
    assert_false(it_op_done(&op));
    /* None of this was a look: the first one is still to come. */
    it_ok(zks_observer_next(o, 0, &view));
    zks_view_free(view);
    zks_observer_free(o);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        observer_test(test_remove_of_a_holder_and_of_a_waiter),
        observer_test(test_remove_of_a_participant),
        observer_test(test_remove_that_is_refused),
        observer_test(test_remove_without_an_answer),
        observer_test(test_ping),
        observer_test(test_a_ping_asks_for_both),
        observer_test(test_servers_and_roots_that_are_not_there),
        observer_test(test_the_option_pid),
        observer_test(test_the_place),
        observer_test(test_arguments),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("remove", tests, NULL, NULL);
}
