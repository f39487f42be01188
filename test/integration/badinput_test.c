/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong arguments and wrong use: the exact error of every public function, and that a failure
 * leaves what the caller gave it as it was. */
#include "calls.h"

static void test_null_arguments(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    struct zks_contender *found = NULL;
    size_t count = 0;
    char text[4] = "abc";
    struct it_op op;
    it_op_init(&op);
    for (size_t i = 0; i < CALLS; i++) {
        expect(calls[i].name, calls[i].run(NULL, 0), ZKS_EINVAL);
        expect(calls[i].name, calls[i].run(NULL, ZKS_FOREVER), ZKS_EINVAL);
        expect(calls[i].name, calls[i].start(NULL, 0, &op.op), ZKS_EINVAL);
    }
    assert_false(it_op_done(&op));
    for (int kind = 0; kind < KINDS; kind++) {
        it_equal(make((enum kind)kind, NULL, it->path), ZKS_EINVAL);
        it_equal(make((enum kind)kind, client, NULL), ZKS_EINVAL);
    }
    it_equal(zks_rwlock_new(client, it->path, NULL, NULL), ZKS_EINVAL);
    it_equal(zks_barrier_new(client, it->path, NULL), ZKS_EINVAL);
    it_equal(zks_double_barrier_new(client, it->path, 2, "a", NULL), ZKS_EINVAL);
    it_equal(zks_client_open(NULL, NULL), ZKS_EINVAL);
    it_equal(zks_client_fd(NULL), ZKS_EINVAL);
    it_equal(zks_client_dispatch(NULL), ZKS_EINVAL);
    it_equal(list(NULL, it->path, 0), ZKS_EINVAL);
    it_equal(list(client, NULL, 0), ZKS_EINVAL);
    it_equal(zks_rwlock_list(client, it->path, 0, NULL, &count), ZKS_EINVAL);
    it_equal(zks_rwlock_list(client, it->path, 0, &found, NULL), ZKS_EINVAL);
    assert_null(found);
    /* What may be NULL. */
    zks_rwlock_free(NULL);
    zks_barrier_free(NULL);
    zks_double_barrier_free(NULL);
    zks_contenders_free(NULL, 0);
    it_ok(zks_client_close(NULL));
    assert_int_equal(zks_rwlock_held(NULL), 0);
    assert_true(zks_rwlock_token(NULL) == 0);
    assert_true(zks_rwlock_safe_until(NULL) == 0);
    assert_int_equal(zks_rwlock_node(NULL, text, sizeof text), 0);
    it_ok(zks_client_close(client));
}

/* "/aaaa..." with so many bytes in all. */
static char *long_path(size_t length)
{
    char *path = calloc(1, length + 1);
    assert_non_null(path);
    memset(path, 'a', length);
    path[0] = '/';
    return path;
}

static void test_paths(void **state)
{
    static const char *const invalid[] = {"",
                                          "a",
                                          "a/b",
                                          "/",
                                          "//",
                                          "/a/",
                                          "/a//b",
                                          "//a",
                                          "/.",
                                          "/..",
                                          "/a/./b",
                                          "/a/../b",
                                          "/a/.",
                                          "/a/..",
                                          "/a\x01",
                                          "/\x1f/b",
                                          "/a\nb",
                                          "/a\x7f",
                                          "/a\xc2\x80",
                                          "/a\xff",
                                          "/a\xc0\x80",
                                          "/a\xc3",
                                          " /a",
                                          "/a/b/",
                                          "/\xed\xa0\x80",
                                          "/\xef\xbf\xbf",
                                          "/a\xe2\x82"};
    static const char *const valid[] = {
        "/a", "/a/.b", "/a/b..", "/...", "/a b", "/a-b_c:d,e=f%", "/\xc3\xa4\xe2\x82\xac"};
    (void)state;
    zks_client *client = it_open(NULL, 0);
    char *longest = long_path(1023);
    char *too_long = long_path(1024);
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
            expect(invalid[i], make((enum kind)kind, client, invalid[i]), ZKS_EINVAL);
        }
        for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
            expect(valid[i], make((enum kind)kind, client, valid[i]), 0);
        }
        it_ok(make((enum kind)kind, client, longest));
        it_equal(make((enum kind)kind, client, too_long), ZKS_EINVAL);
    }
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        expect(invalid[i], list(client, invalid[i], 0), ZKS_EINVAL);
    }
    it_equal(list(client, too_long, 0), ZKS_EINVAL);
    it_ok(list(client, longest, REFUSED_MS));
    free(longest);
    free(too_long);
    it_ok(zks_client_close(client));
}

/* With a root in front of it a path is longer, and is never cut. */
static void test_paths_below_a_root(void **state)
{
    struct it *it = *state;
    zks_client_options options = it_options(NULL, 0);
    options.root = it->path;
    zks_client *client = it_open_with(&options);
    char *longest = long_path(1023 - strlen(it->path));
    char *too_long = long_path(1023 - strlen(it->path) + 1);
    for (int kind = 0; kind < KINDS; kind++) {
        it_ok(make((enum kind)kind, client, longest));
        it_equal(make((enum kind)kind, client, too_long), ZKS_EINVAL);
    }
    free(longest);
    free(too_long);
    it_ok(zks_client_close(client));
}

static int make_double(zks_client *client, const char *path, uint32_t n, const char *id)
{
    zks_double_barrier *barrier = NULL;
    int rc = zks_double_barrier_new(client, path, n, id, &barrier);
    assert_true(rc == 0 ? barrier != NULL : barrier == NULL);
    zks_double_barrier_free(barrier);
    return rc;
}

static void test_ids_numbers_and_sizes(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    char *path = long_path(1023);
    char id[ZKS_DOUBLE_BARRIER_ID_MAX + 2];
    memset(id, 'i', sizeof id);
    id[ZKS_DOUBLE_BARRIER_ID_MAX + 1] = '\0';
    it_equal(make_double(client, it->path, 2, id), ZKS_EINVAL);
    id[ZKS_DOUBLE_BARRIER_ID_MAX] = '\0';
    it_ok(make_double(client, it->path, 2, id));
    it_equal(make_double(client, it->path, 2, ""), ZKS_EINVAL);
    it_equal(make_double(client, it->path, 2, "a/b"), ZKS_EINVAL);
    it_equal(make_double(client, it->path, 2, "/"), ZKS_EINVAL);
    it_equal(make_double(client, it->path, 2, "a\nb"), ZKS_EINVAL);
    it_ok(make_double(client, it->path, 2, "."));
    it_ok(make_double(client, it->path, 2, "a b-c"));
    it_ok(make_double(client, it->path, 1, NULL));
    it_equal(make_double(client, it->path, 0, "a"), ZKS_EINVAL);
    it_ok(make_double(client, it->path, ZKS_DOUBLE_BARRIER_N_MAX, "a"));
    it_equal(make_double(client, it->path, ZKS_DOUBLE_BARRIER_N_MAX + 1, "a"), ZKS_EINVAL);
    it_equal(make_double(client, it->path, UINT32_MAX, "a"), ZKS_EINVAL);
    it_equal(make_double(client, path, ZKS_DOUBLE_BARRIER_N_MAX, id), ZKS_ETOOMANY);
    /* The opening of such a round would be a request of some 1.1 MiB, and of 0.8 MiB. */
    it_equal(make_double(client, path, 700, id), ZKS_ETOOMANY);
    it_ok(make_double(client, path, 500, id));
    zks_rwlock *lock = NULL;
    zks_rwlock_options options = ZKS_RWLOCK_OPTIONS_INIT;
    options.size = 0;
    it_equal(zks_rwlock_new(client, it->path, &options, &lock), ZKS_EINVAL);
    options.size = sizeof options.size - 1;
    it_equal(zks_rwlock_new(client, it->path, &options, &lock), ZKS_EINVAL);
    assert_null(lock);
    free(path);
    it_ok(zks_client_close(client));
}

static void test_negative_times(void **state)
{
    struct it *it = *state;
    static const int64_t times[] = {-2, -1000, INT64_MIN};
    zks_client *client = it_open(NULL, 0);
    struct handles h;
    struct it_op op;
    it_op_init(&op);
    handles_open(&h, client, it->path);
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < CALLS; i++) {
            expect(calls[i].name, calls[i].run(&h, times[t]), ZKS_EINVAL);
            expect(calls[i].name, calls[i].start(&h, times[t], &op.op), ZKS_EINVAL);
        }
        it_equal(list(client, it->path, times[t]), ZKS_EINVAL);
    }
    assert_false(it_op_done(&op));
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    handles_free(&h);
    it_ok(zks_client_close(client));
}

static void test_operations(void **state)
{
    struct it *it = *state;
    zks_client_options options = sane();
    options.manual_dispatch = true;
    zks_client *client = it_open_with(&options);
    struct handles h;
    struct it_op op;
    zks_op bare;
    zks_op_init(&bare, NULL, NULL);
    it_op_init(&op);
    handles_open(&h, client, it->path);
    for (size_t i = 0; i < CALLS; i++) {
        expect(calls[i].name, calls[i].start(&h, 0, NULL), ZKS_EINVAL);
        expect(calls[i].name, calls[i].start(&h, 0, &bare), ZKS_EINVAL);
    }
    rawzk_create_path(it->raw, it->path);
    it_ok(zks_barrier_wait_op(h.barrier, ZKS_FOREVER, &op.op));
    for (size_t i = 0; i < CALLS; i++) {
        expect(calls[i].name, calls[i].start(&h, 0, &op.op), ZKS_EINVAL);
    }
    rawzk_delete(it->raw, it->path);
    /* The same handle refuses the other operations while the first one is in hand, so this tells
     * when that one has ended; its completion has not run, so its memory is not ours yet. */
    it_await(zks_barrier_wait(h.barrier, 0) != ZKS_EDEADLK);
    assert_false(it_op_done(&op));
    for (size_t i = 0; i < CALLS; i++) {
        expect(calls[i].name, calls[i].start(&h, 0, &op.op), ZKS_EINVAL);
    }
    it_await(zks_client_dispatch(client) > 0 && it_op_done(&op));
    it_ok(it_op_wait(&op));
    /* And it can be used again. */
    it_ok(zks_barrier_wait_op(h.barrier, ZKS_FOREVER, &op.op));
    it_await(zks_client_dispatch(client) > 0 && it_op_done(&op));
    it_ok(it_op_wait(&op));
    handles_free(&h);
    it_ok(zks_client_close(client));
}

static void test_client_options(void **state)
{
    static const char *const servers[] = {
        "",           ":2181",   "host",      "host:",    "host:0",        "host:99999", "host:x",
        "host:-1",    "host:1,", ",host:1",   "h:1,,h:2", "host:2181root", "h:1/a/",     "h:1//a",
        "h:1/a/../b", "/root",   "host/root", "host:+1",  "host:65536"};
    const struct zks_acl no_scheme = {ZKS_PERM_ALL, NULL, "anyone"};
    const struct zks_acl no_id = {ZKS_PERM_ALL, "world", NULL};
    const struct zks_acl no_perms = {0, "world", "anyone"};
    const struct zks_acl odd_perms = {64, "world", "anyone"};
    const struct zks_acl *const acls[] = {NULL, &no_scheme, &no_id, &no_perms, &odd_perms};
    zks_client_options options;
    (void)state;
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        options = sane();
        options.servers = servers[i];
        expect(servers[i], try_open(&options), ZKS_EINVAL);
    }
    for (size_t i = 0; i < sizeof acls / sizeof acls[0]; i++) {
        options = sane();
        options.acl = acls[i];
        options.n_acl = 1;
        expect("acl", try_open(&options), ZKS_EINVAL);
    }
    options = sane();
    options.size = 0;
    it_equal(try_open(&options), ZKS_EINVAL);
    options.size = sizeof options.size - 1;
    it_equal(try_open(&options), ZKS_EINVAL);
    options = sane();
    options.session_timeout_ms = UINT32_MAX;
    it_equal(try_open(&options), ZKS_EINVAL);
    /* One byte more than the longest texts. */
    char *const text = malloc(ZKS_AUTH_BYTES_MAX + 2);
    memset(text, 'x', ZKS_AUTH_BYTES_MAX + 1);
    text[ZKS_AUTH_BYTES_MAX + 1] = '\0';
    const struct zks_acl long_acl = {ZKS_PERM_ALL, "world", text};
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {
            "identity: 65537 bytes, more than 255", "reason: 65537 bytes, more than 1023",
            "acl: 65542 bytes, more than 65536", "auth: 65543 bytes, more than 65536"};
        options = sane();
        options.identity = i == 0 ? text : NULL;
        options.reason = i == 1 ? text : NULL;
        options.acl = &long_acl;
        options.n_acl = i == 2;
        options.auth_scheme = i == 3 ? "digest" : NULL;
        options.auth = i == 3 ? text : NULL;
        expect(names[i], try_open(&options), ZKS_EINVAL);
        assert_string_equal(zks_last_error(), names[i]);
    }
    free(text);
    options = sane();
    options.connect_timeout_ms = -3;
    it_equal(try_open(&options), ZKS_EINVAL);
    static const char *const roots[] = {"/", "a", "/a/", "/a//b", "/a/.."};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        options = sane();
        options.root = roots[i];
        expect(roots[i], try_open(&options), ZKS_EINVAL);
    }
    options = sane();
    it_ok(try_open(&options));
    options.session_timeout_ms = 0; /* The default. */
    options.connect_timeout_ms = ZKS_DEFAULT;
    it_ok(try_open(&options));
    options.servers = NULL; /* The environment names them. */
    it_ok(try_open(&options));
    it_ok(try_open(NULL));
}

struct in_callback {
    zks_client *client;
    struct handles handles;
    const char *path;
    int rc[CALLS];
    int close, dispatch, listed, unlock_now;
};

static void call_everything(zks_op *op, int result, void *arg)
{
    struct in_callback *c = arg;
    struct zks_contender *found = NULL;
    size_t count = 0;
    (void)op;
    (void)result;
    for (size_t i = 0; i < CALLS; i++) {
        c->rc[i] = calls[i].run(&c->handles, ZKS_FOREVER);
    }
    c->unlock_now = zks_rwlock_unlock(c->handles.rwlock, 0);
    c->close = zks_client_close(c->client);
    c->dispatch = zks_client_dispatch(c->client);
    c->listed = zks_rwlock_list(c->client, c->path, 0, &found, &count);
}

static void test_waiting_in_a_callback(void **state)
{
    struct it *it = *state;
    for (int manual = 0; manual < 2; manual++) {
        struct in_callback c;
        struct it_op after;
        zks_op op;
        zks_client_options options = sane();
        options.manual_dispatch = manual != 0;
        memset(&c, 0, sizeof c);
        c.client = it_open_with(&options);
        c.path = it->path;
        handles_open(&c.handles, c.client, it->path);
        zks_op_init(&op, call_everything, &c);
        it_op_init(&after);
        it_ok(zks_barrier_wait_op(c.handles.barrier, ZKS_FOREVER, &op));
        /* Completions come in the order of what they complete. */
        int rc = ZKS_EDEADLK;
        while (rc == ZKS_EDEADLK) {
            rc = zks_barrier_wait(c.handles.barrier, 0);
        }
        it_ok(rc);
        it_ok(zks_barrier_wait_op(c.handles.barrier, ZKS_FOREVER, &after.op));
        it_await((!manual || zks_client_dispatch(c.client) >= 0) && it_op_done(&after));
        for (size_t i = 0; i < CALLS; i++) {
            expect(calls[i].name, c.rc[i], ZKS_EDEADLK);
        }
        it_equal(c.unlock_now, ZKS_EPERM);
        it_equal(c.close, ZKS_EDEADLK);
        it_equal(c.dispatch, manual ? ZKS_EDEADLK : ZKS_EINVAL);
        it_equal(c.listed, ZKS_EDEADLK);
        if (manual) {
            assert_true(zks_client_fd(c.client) >= 0);
            assert_int_equal(zks_client_dispatch(c.client), 0);
        } else {
            it_equal(zks_client_fd(c.client), ZKS_EINVAL);
            it_equal(zks_client_dispatch(c.client), ZKS_EINVAL);
        }
        handles_free(&c.handles);
        it_ok(zks_client_close(c.client));
    }
}

static void test_every_error_has_a_name_and_a_sentence(void **state)
{
    static const struct {
        const char *name;
        int number;
        const char *text;
    } errors[] = {
#define ENTRY(name, number, text) {#name, number, text},
        ZKS_ERRORS(ENTRY)
#undef ENTRY
    };
    const int unknown[] = {1, -1000, INT32_MIN, INT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        assert_string_equal(zks_err_name(errors[i].number), errors[i].name);
        assert_string_equal(zks_strerror(errors[i].number), errors[i].text);
        assert_int_equal(errors[i].text[strlen(errors[i].text) - 1], '.');
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(errors[i].number, errors[k].number);
            assert_string_not_equal(errors[i].text, errors[k].text);
        }
    }
    assert_string_equal(zks_err_name(0), "0");
    assert_string_equal(zks_strerror(0), "Success.");
    assert_false(zks_err_is_retryable(0));
    assert_false(zks_err_is_ambiguous(0));
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_string_equal(zks_err_name(unknown[i]), "?");
        assert_string_not_equal(zks_strerror(unknown[i]), "Success.");
        assert_true(strlen(zks_strerror(unknown[i])) > 0);
        assert_false(zks_err_is_retryable(unknown[i]));
        assert_false(zks_err_is_ambiguous(unknown[i]));
    }
    for (int i = ZKS_CLIENT_CONNECTING; i <= ZKS_CLIENT_CLOSED; i++) {
        assert_string_not_equal(zks_client_state_name((enum zks_client_state)i), "?");
    }
    assert_string_equal(zks_client_state_name(ZKS_CLIENT_CONNECTED), "connected");
    assert_string_equal(zks_client_state_name((enum zks_client_state)(ZKS_CLIENT_CLOSED + 1)), "?");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(test_null_arguments),
        it_test(test_paths),
        it_test(test_paths_below_a_root),
        it_test(test_ids_numbers_and_sizes),
        it_test(test_negative_times),
        it_test(test_operations),
        it_test(test_client_options),
        it_test(test_waiting_in_a_callback),
        it_test(test_every_error_has_a_name_and_a_sentence),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
