/* SPDX-License-Identifier: Apache-2.0 */
/* The client: how it comes up, goes down, and what it tells of the connection in between. */
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "locks.h"

#if defined(__SANITIZE_THREAD__)
#define ZKSYNC_TSAN 1
#elif defined(__has_feature)
#define ZKSYNC_TSAN __has_feature(thread_sanitizer)
#else
#define ZKSYNC_TSAN 0
#endif

/* A session that would outlive the test if closing the client did not end it. */
enum { LONG_SESSION_MS = 2 * IT_LIMIT_MS };

/* Nothing listens there. */
static const char nowhere[] = "127.0.0.1:1";

static zks_client_options options_for(const char *servers, struct it_states *states)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = servers;
    options.session_timeout_ms = 30000;
    options.connect_timeout_ms = IT_LIMIT_MS;
    if (states != NULL) {
        it_states_init(states);
        options.listener = it_states_listener;
        options.listener_arg = states;
    }
    return options;
}

static void expect_states(struct it_states *states, size_t n, const enum zks_client_state *want)
{
    assert_int_equal(it_states_count(states), n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(zks_client_state_name(states->state[i]),
                            zks_client_state_name(want[i]));
    }
}

static void states_around_a_short_cut(void **state)
{
    static const enum zks_client_state want[] = {ZKS_CLIENT_CONNECTED, ZKS_CLIENT_SUSPENDED,
                                                 ZKS_CLIENT_RECONNECTED, ZKS_CLIENT_SUSPENDED,
                                                 ZKS_CLIENT_RECONNECTED};
    struct it_states states;
    (void)state;
    it_need_proxy();
    zks_client_options options = options_for(ens_server(0), &states);
    zks_client *client = it_open_with(&options);
    assert_int_equal(zks_client_get_state(client), ZKS_CLIENT_CONNECTED);
    size_t at = it_states_await(&states, 0, ZKS_CLIENT_CONNECTED);
    int64_t session = zks_client_session_id(client);
    assert_int_not_equal(session, 0);
    assert_int_equal(zks_client_session_timeout_ms(client), 30000);
    assert_true(zks_client_safe_until(client) > zks_clock_ms());
    for (unsigned i = 0; i < 2; i++) {
        proxy_cut(0);
        at = it_states_await(&states, at, ZKS_CLIENT_SUSPENDED);
        assert_int_equal(zks_client_get_state(client), ZKS_CLIENT_SUSPENDED);
        proxy_heal(0);
        at = it_states_await(&states, at, ZKS_CLIENT_RECONNECTED);
        assert_int_equal(zks_client_get_state(client), ZKS_CLIENT_RECONNECTED);
        assert_int_equal(zks_client_session_id(client), session);
    }
    expect_states(&states, 5, want);
    it_ok(zks_client_close(client));
}

static void states_around_an_expiry(void **state)
{
    static const enum zks_client_state want[] = {ZKS_CLIENT_CONNECTED, ZKS_CLIENT_SUSPENDED,
                                                 ZKS_CLIENT_LOST, ZKS_CLIENT_RECONNECTED};
    struct it *it = *state;
    struct party a;
    it_need_proxy();
    party_open(&a, ens_server(0), IT_SESSION_MS / 2, it->path);
    party_write(&a);
    int64_t session = zks_client_session_id(a.client);
    proxy_cut(0);
    /* It has to take itself for lost before anybody has told it. */
    (void)it_states_await(&a.states, 0, ZKS_CLIENT_LOST);
    assert_int_equal(zks_client_get_state(a.client), ZKS_CLIENT_LOST);
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    proxy_heal(0);
    (void)it_states_await(&a.states, 0, ZKS_CLIENT_RECONNECTED);
    expect_states(&a.states, 4, want);
    assert_int_not_equal(a.states.session[3], session);
    assert_int_equal(zks_client_session_id(a.client), a.states.session[3]);
    assert_int_equal(a.states.session[0], session);
    assert_int_equal(a.states.session[2], session); /* It has not been given up yet. */
    it_equal(zks_rwlock_unlock(a.lock, IT_LIMIT_MS), ZKS_ELOST);
    party_write(&a);
    party_close(&a);
}

static void listener_waits_for_the_dispatch(void **state)
{
    struct it_states states;
    zks_client *client = NULL;
    (void)state;
    zks_client_options options = options_for(ens_servers(), &states);
    options.manual_dispatch = true;
    it_ok(zks_client_open(&options, &client));
    struct pollfd ready = {.fd = zks_client_fd(client), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, IT_LIMIT_MS), 1);
    assert_int_equal(it_states_count(&states), 0);
    it_await(zks_client_dispatch(client) >= 0 && it_states_count(&states) > 0);
    assert_int_equal(states.state[0], ZKS_CLIENT_CONNECTED);
    /* Nothing is due now. */
    assert_int_equal(poll(&ready, 1, 0), 0);
    assert_int_equal(zks_client_dispatch(client), 0);
    it_ok(zks_client_close(client));
}

static void close_of_nothing(void **state)
{
    (void)state;
    it_ok(zks_client_close(NULL));
    zks_rwlock_free(NULL);
}

static void close_while_connected(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, LONG_SESSION_MS, it->path);
    party_write(&a);
    it_ok(zks_client_close(a.client));
    /* The session ends, and its znodes with it. */
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    zks_rwlock_free(a.lock);
}

static void close_while_suspended(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    it_need_proxy();
    party_open(&a, ens_direct(), 0, it->path);
    party_open(&b, ens_server(0), IT_SESSION_MS, it->path);
    party_write(&a);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    proxy_cut(0);
    (void)it_states_await(&b.states, 0, ZKS_CLIENT_SUSPENDED);
    it_ok(zks_client_close(b.client));
    assert_true(it_op_done(&b.op));
    it_equal(it_op_wait(&b.op), ZKS_ECLOSED);
    zks_rwlock_free(b.lock);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    party_close(&a);
}

static void close_before_any_connection(void **state)
{
    struct it *it = *state;
    const char *const servers[] = {nowhere, ens_servers()};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned with_op = 0; with_op < 2; with_op++) {
            struct it_op op;
            zks_rwlock *lock = NULL;
            zks_client *client = NULL;
            it_op_init(&op);
            zks_client_options options = options_for(servers[i], NULL);
            options.connect_timeout_ms = 0;
            it_ok(zks_client_open(&options, &client));
            if (with_op) {
                lock = it_rwlock(client, it->path);
                it_ok(zks_rwlock_wrlock_op(lock, ZKS_FOREVER, &op.op));
            }
            if (i == 0) {
                assert_int_equal(zks_client_get_state(client), ZKS_CLIENT_CONNECTING);
                assert_int_equal(zks_client_session_id(client), 0);
                assert_int_equal(zks_client_session_timeout_ms(client), 0);
                assert_int_equal(zks_client_safe_until(client), 0);
            }
            it_ok(zks_client_close(client));
            if (with_op) {
                assert_true(it_op_done(&op));
                int rc = it_op_wait(&op);
                /* Against real servers it may have been granted just before. */
                assert_true(rc == ZKS_ECLOSED || (i == 1 && rc == 0));
            }
            zks_rwlock_free(lock);
        }
    }
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
}

static void connects_in_the_background(void **state)
{
    struct it *it = *state;
    zks_client *client = NULL;
    zks_client_options options = options_for(ens_servers(), NULL);
    options.connect_timeout_ms = 0;
    it_ok(zks_client_open(&options, &client));
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

/* Some of the operations wait in the queue when the client is closed, others are on their way; the
 * session ends nevertheless, at once. */
static void close_with_100_operations(void **state)
{
    enum { OPS = 100, ROUNDS = 8 };
    struct it *it = *state;
    struct party a;
    static zks_rwlock *locks[OPS];
    static struct it_op ops[OPS];
    party_open(&a, NULL, 0, it->path);
    party_write(&a);
    for (size_t round = 0; round < ROUNDS; round++) {
        zks_client *client = it_open(NULL, LONG_SESSION_MS);
        for (size_t i = 0; i < OPS; i++) {
            locks[i] = it_rwlock(client, it->path);
            it_op_init(&ops[i]);
            it_ok(zks_rwlock_wrlock_op(locks[i], ZKS_FOREVER, &ops[i].op));
            if (i == OPS / 2) {
                rawzk_await_children(it->raw, it->path, i + 2, IT_LIMIT_MS);
            }
        }
        it_ok(zks_client_close(client));
        for (size_t i = 0; i < OPS; i++) {
            assert_true(it_op_done(&ops[i]));
            it_equal(it_op_wait(&ops[i]), ZKS_ECLOSED);
            zks_rwlock_free(locks[i]);
        }
        rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    }
    party_close(&a);
}

static void unreachable_servers(void **state)
{
    zks_client *client = NULL;
    struct it *it = *state;
    struct it_states states;
    zks_client_options options = options_for(nowhere, &states);
    options.connect_timeout_ms = 300;
    size_t threads = it_threads();
    it_equal(zks_client_open(&options, &client), ZKS_EDISCONNECTED);
    assert_null(client);
    assert_int_equal(it_states_count(&states),
                     0); /* It would be told of a client that it never saw. */
    it_await(it_threads() == threads);
    options.connect_timeout_ms = 0;
    it_ok(zks_client_open(&options, &client));
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_equal(zks_rwlock_wrlock(lock, 0), ZKS_EDISCONNECTED);
    it_equal(zks_rwlock_wrlock(lock, 100), ZKS_ETIMEDOUT);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

static void options_are_checked(void **state)
{
    zks_client *client = NULL;
    (void)state;
    static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:0x", ",,", "127.0.0.1:2181//x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        zks_client_options options = options_for(bad[i], NULL);
        options.connect_timeout_ms = 0;
        int rc = zks_client_open(&options, &client);
        if (rc != ZKS_EINVAL) {
            ens_fail("\"%s\" gave %s", bad[i], zks_err_name(rc));
        }
    }
    zks_client_options options = options_for(ens_servers(), NULL);
    options.connect_timeout_ms = -3;
    it_equal(zks_client_open(&options, &client), ZKS_EINVAL);
    options = options_for(ens_servers(), NULL);
    options.size = 0;
    it_equal(zks_client_open(&options, &client), ZKS_EINVAL);
    options = options_for(ens_servers(), NULL);
    it_equal(zks_client_open(&options, NULL), ZKS_EINVAL);
    assert_null(client);
}

static char *rooted(const char *root)
{
    char *servers = NULL;
    if (asprintf(&servers, "%s%s", ens_servers(), root) < 0) {
        abort();
    }
    return servers;
}

static void root_that_is_not_there(void **state)
{
    struct it *it = *state;
    zks_client *client = NULL;
    char *servers = rooted(it->path);
    zks_client_options options = options_for(servers, NULL);
    it_equal(zks_client_open(&options, &client), ZKS_ENOCHROOT);
    assert_null(client);
    free(servers);
}

static void root_is_where_paths_begin(void **state)
{
    struct it *it = *state;
    rawzk_create_path(it->raw, it->path);
    char *servers = rooted(it->path);
    char *full = it_child(it, "locks/one");
    struct party a;
    struct party b;
    party_open(&a, servers, 0, "/locks/one");
    party_open(&b, NULL, 0, full);
    party_write(&a);
    char *node = party_node(&a);
    assert_int_equal(strncmp(node, "/locks/one/_c_", strlen("/locks/one/_c_")), 0);
    it_equal(zks_rwlock_rdlock(b.lock, 0), ZKS_EBUSY);
    rawzk_await_children(it->raw, full, 1, IT_LIMIT_MS);
    struct zks_contender *list = NULL;
    size_t count = 0;
    it_ok(zks_rwlock_list(a.client, "/locks/one", IT_LIMIT_MS, &list, &count));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].path, node);
    zks_contenders_free(list, count);
    party_start(&b, ZKS_RWLOCK_WRITE);
    party_await_waiting(&b);
    it_ok(zks_rwlock_downgrade(a.lock, IT_LIMIT_MS));
    party_unlock(&a);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    free(node);
    free(full);
    free(servers);
    two_close(&a, &b);
}

/* Of two servers, after both were gone, either may be the only one that comes back. */
static void one_of_two_comes_back(void **state)
{
    struct it *it = *state;
    struct party a;
    char servers[128];
    it_need_proxy();
    it_need_servers(2);
    (void)snprintf(servers, sizeof servers, "%s,%s", ens_server(0), ens_server(1));
    for (size_t i = 0; i < 2; i++) {
        party_open(&a, servers, 0, it->path);
        party_write(&a);
        proxy_cut(0);
        proxy_cut(1);
        size_t at = it_states_await(&a.states, 0, ZKS_CLIENT_SUSPENDED);
        proxy_heal(i);
        (void)it_states_await(&a.states, at, ZKS_CLIENT_RECONNECTED);
        assert_int_equal(zks_rwlock_held(a.lock), ZKS_RWLOCK_WRITE);
        party_unlock(&a);
        party_close(&a);
        proxy_reset_all();
    }
}

/* What the child does with its parent's client; the result is its exit status.  The handle is freed
 * before the client or after it. */
static int misuse_in_child(zks_client *client, zks_rwlock *lock, const char *path, bool before)
{
    zks_rwlock *another = NULL;
    struct zks_contender *list = NULL;
    size_t count = 0;
    struct it_op op;
    it_op_init(&op);
    if (zks_rwlock_unlock(lock, IT_LIMIT_MS) != ZKS_EFORKED ||
        zks_rwlock_wrlock(lock, ZKS_FOREVER) != ZKS_EFORKED ||
        zks_rwlock_rdlock(lock, 0) != ZKS_EFORKED || zks_rwlock_unlock(lock, 0) != ZKS_EFORKED ||
        zks_rwlock_downgrade(lock, 0) != ZKS_EFORKED ||
        zks_rwlock_wrlock_op(lock, 0, &op.op) != ZKS_EFORKED || zks_rwlock_held(lock) != 0) {
        return 2;
    }
    if (zks_rwlock_new(client, path, NULL, &another) != ZKS_EFORKED || another != NULL ||
        zks_rwlock_list(client, path, IT_LIMIT_MS, &list, &count) != ZKS_EFORKED) {
        return 3;
    }
    if (before) {
        zks_rwlock_free(lock);
    }
    if (zks_client_close(client) != 0) {
        return 4;
    }
    if (!before) {
        zks_rwlock_free(lock);
    }
#if ZKSYNC_TSAN
    return 0; /* ThreadSanitizer does not let a process that was forked start threads. */
#endif
    /* A client of its own works as ever, and sees that the parent holds the lock. */
    zks_client_options options = options_for(ens_servers(), NULL);
    if (zks_client_open(&options, &client) != 0 ||
        zks_rwlock_new(client, path, NULL, &another) != 0 ||
        zks_rwlock_wrlock(another, 0) != ZKS_EBUSY) {
        return 5;
    }
    zks_rwlock_free(another);
    return zks_client_close(client) == 0 ? 0 : 6;
}

/* Runs in a process of its own, in which no thread but the client's can be copied half-way. */
static int forking_process(const char *path, bool before)
{
    struct it_states states;
    zks_client_options options = options_for(ens_servers(), &states);
    zks_client *client = NULL;
    zks_rwlock *lock = NULL;
    int status = 0;
    if (zks_client_open(&options, &client) != 0 || zks_rwlock_new(client, path, NULL, &lock) != 0 ||
        zks_rwlock_wrlock(lock, IT_LIMIT_MS) != 0) {
        return 12;
    }
    int64_t session = zks_client_session_id(client);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(IT_LIMIT_MS / 1000);
        _exit(misuse_in_child(client, lock, path, before));
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        return 13;
    }
    if (WEXITSTATUS(status) != 0) {
        return WEXITSTATUS(status);
    }
    if (zks_rwlock_held(lock) != ZKS_RWLOCK_WRITE || zks_rwlock_unlock(lock, IT_LIMIT_MS) != 0 ||
        zks_rwlock_wrlock(lock, IT_LIMIT_MS) != 0) {
        return 14;
    }
    if (zks_client_session_id(client) != session || it_states_count(&states) != 1) {
        return 15;
    }
    zks_rwlock_free(lock);
    return zks_client_close(client) == 0 ? 0 : 16;
}

static void fork_and_free_the_handle(void **state)
{
    struct it *it = *state;
    const char *const words[] = {"--fork", it->path, "after", NULL};
    assert_int_equal(it_exit_status(it_spawn(words)), 0);
}

static void fork_and_free_the_handle_before_the_client(void **state)
{
    struct it *it = *state;
    const char *const words[] = {"--fork", it->path, "before", NULL};
    assert_int_equal(it_exit_status(it_spawn(words)), 0);
}

static void fifty_cycles_leave_nothing(void **state)
{
    struct it *it = *state;
    size_t threads = 0;
    size_t descriptors = 0;
    for (unsigned i = 0; i <= 50; i++) {
        struct party a;
        party_open(&a, NULL, 0, it->path);
        if (i % 2) {
            party_write(&a);
        }
        party_close(&a);
        if (i == 0) {
            threads = it_threads();
            descriptors = it_descriptors();
        }
    }
    it_await(it_threads() == threads);
    assert_int_equal(it_descriptors(), descriptors);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(states_around_a_short_cut),
        it_test(states_around_an_expiry),
        it_test(listener_waits_for_the_dispatch),
        it_test(close_of_nothing),
        it_test(close_while_connected),
        it_test(close_while_suspended),
        it_test(close_before_any_connection),
        it_test(connects_in_the_background),
        it_test(close_with_100_operations),
        it_test(unreachable_servers),
        it_test(options_are_checked),
        it_test(root_that_is_not_there),
        it_test(root_is_where_paths_begin),
        it_test(one_of_two_comes_back),
        it_test(fork_and_free_the_handle),
        it_test(fork_and_free_the_handle_before_the_client),
        it_test(fifty_cycles_leave_nothing),
    };
    if (argc == 4 && strcmp(argv[1], "--fork") == 0) {
        return forking_process(argv[2], strcmp(argv[3], "before") == 0);
    }
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
