/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials, access control lists and the log. */
#include "locks.h"

static zks_client_options options_with(const char *scheme, const char *auth)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = ens_servers();
    options.session_timeout_ms = 30000;
    options.connect_timeout_ms = IT_LIMIT_MS;
    options.auth_scheme = scheme;
    options.auth = auth;
    return options;
}

static void authenticated(int rc, const void *data)
{
    atomic_store((atomic_int *)(uintptr_t)data, rc == ZOK ? 1 : -1);
}

/* Gives the look from outside the credentials too, without which it could not clean up. */
static void authenticate(const struct it *it, const char *auth)
{
    static atomic_int done;
    atomic_store(&done, 0);
    assert_int_equal(zoo_add_auth(rawzk_handle(it->raw), "digest", auth, (int)strlen(auth),
                                  authenticated, &done),
                     ZOK);
    it_await(atomic_load(&done) != 0);
    assert_int_equal(atomic_load(&done), 1);
}

static struct ACL_vector get_acl(const struct it *it, const char *path)
{
    struct ACL_vector acl;
    int rc = 0;
    rawzk_sync(it->raw, path);
    it_await((rc = zoo_get_acl(rawzk_handle(it->raw), path, &acl, NULL)) != ZCONNECTIONLOSS);
    assert_int_equal(rc, ZOK);
    return acl;
}

/* Without a list of its own, the client's znodes are for those who have its credentials. */
static void expect_creator_only(const struct it *it, const char *path)
{
    struct ACL_vector acl = get_acl(it, path);
    assert_int_equal(acl.count, 1);
    assert_int_equal(acl.data[0].perms, ZOO_PERM_ALL);
    assert_string_equal(acl.data[0].id.scheme, "digest");
    assert_int_equal(strncmp(acl.data[0].id.id, "user:", 5), 0);
    (void)deallocate_ACL_vector(&acl);
}

static void credentials_guard_the_znodes(void **state)
{
    struct it *it = *state;
    authenticate(it, "user:password");
    zks_client_options options = options_with("digest", "user:password");
    zks_client *client = it_open_with(&options);
    zks_rwlock *lock = it_rwlock(client, it->path);
    struct party stranger;
    party_open(&stranger, NULL, 0, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    char node[512];
    assert_true(zks_rwlock_node(lock, node, sizeof node) < sizeof node);
    expect_creator_only(it, node);
    expect_creator_only(it, it->path);
    it_equal(zks_rwlock_wrlock(stranger.lock, IT_LIMIT_MS), ZKS_EACCES);
    it_equal(zks_rwlock_rdlock(stranger.lock, 0), ZKS_EACCES);
    assert_int_equal(zks_rwlock_held(stranger.lock), 0);
    struct zks_contender *list = NULL;
    size_t count = 0;
    it_equal(zks_rwlock_list(stranger.client, it->path, IT_LIMIT_MS, &list, &count), ZKS_EACCES);
    it_ok(zks_rwlock_downgrade(lock, IT_LIMIT_MS));
    assert_true(zks_rwlock_node(lock, node, sizeof node) < sizeof node);
    expect_creator_only(it, node);
    it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
    /* Others with the same credentials get in. */
    zks_client *friend = it_open_with(&options);
    zks_rwlock *same = it_rwlock(friend, it->path);
    it_ok(zks_rwlock_wrlock(same, IT_LIMIT_MS));
    party_close(&stranger);
    zks_rwlock_free(lock);
    zks_rwlock_free(same);
    it_ok(zks_client_close(client));
    it_ok(zks_client_close(friend));
}

/* The credentials are given again on each connection. */
static void credentials_outlive_the_connection(void **state)
{
    struct it *it = *state;
    struct it_states states;
    it_need_proxy();
    authenticate(it, "user:password");
    it_states_init(&states);
    zks_client_options options = options_with("digest", "user:password");
    options.servers = ens_server(0);
    options.session_timeout_ms =
        10000; /* The lock outlives the first cut on a slow machine, too. */
    options.listener = it_states_listener;
    options.listener_arg = &states;
    zks_client *client = it_open_with(&options);
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    size_t at = 0;
    for (unsigned expire = 0; expire < 2; expire++) {
        proxy_cut(0);
        at = it_states_await(&states, at, ZKS_CLIENT_SUSPENDED);
        if (expire) {
            rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
        }
        proxy_heal(0);
        at = it_states_await(&states, at, ZKS_CLIENT_RECONNECTED);
        int rc = zks_rwlock_unlock(lock, IT_LIMIT_MS);
        if (!expire || rc != ZKS_ELOST) {
            it_ok(rc);
        }
        it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    }
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

static void list_of_its_own(void **state)
{
    struct it *it = *state;
    const struct zks_acl acl[] = {{ZKS_PERM_ALL, "auth", ""}, {ZKS_PERM_READ, "world", "anyone"}};
    authenticate(it, "user:password");
    zks_client_options options = options_with("digest", "user:password");
    options.acl = acl;
    options.n_acl = 2;
    zks_client *client = it_open_with(&options);
    zks_rwlock *lock = it_rwlock(client, it->path);
    struct party stranger;
    char node[512];
    party_open(&stranger, NULL, 0, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    assert_true(zks_rwlock_node(lock, node, sizeof node) < sizeof node);
    struct ACL_vector got = get_acl(it, node);
    assert_int_equal(got.count, 2);
    int world = strcmp(got.data[0].id.scheme, "world") == 0 ? 0 : 1;
    assert_string_equal(got.data[world].id.scheme, "world");
    assert_int_equal(got.data[world].perms, ZOO_PERM_READ);
    assert_string_equal(got.data[1 - world].id.scheme, "digest");
    assert_int_equal(got.data[1 - world].perms, ZOO_PERM_ALL);
    (void)deallocate_ACL_vector(&got);
    /* Anyone may look, and that is all. */
    struct zks_contender *list = NULL;
    size_t count = 0;
    it_ok(zks_rwlock_list(stranger.client, it->path, IT_LIMIT_MS, &list, &count));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].path, node);
    zks_contenders_free(list, count);
    it_equal(zks_rwlock_wrlock(stranger.lock, IT_LIMIT_MS), ZKS_EACCES);
    party_close(&stranger);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

static void refused_credentials(void **state)
{
    zks_client *client = NULL;
    (void)state;
    zks_client_options options = options_with("no-such-scheme", "user:password");
    it_equal(zks_client_open(&options, &client), ZKS_EAUTH);
    assert_null(client);
}

static void refused_credentials_in_the_background(void **state)
{
    struct it *it = *state;
    struct it_states states;
    zks_client *client = NULL;
    it_states_init(&states);
    zks_client_options options = options_with("no-such-scheme", "user:password");
    options.connect_timeout_ms = 0;
    options.listener = it_states_listener;
    options.listener_arg = &states;
    it_ok(zks_client_open(&options, &client));
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_equal(zks_rwlock_wrlock(lock, IT_LIMIT_MS), ZKS_EAUTH);
    (void)it_states_await(&states, 0, ZKS_CLIENT_AUTH_FAILED);
    it_equal(zks_rwlock_wrlock(lock, IT_LIMIT_MS), ZKS_EAUTH);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

struct lines {
    atomic_uint count;
    atomic_uint bad;
};

static void count_line(enum zks_log_level level, const char *line, void *arg)
{
    struct lines *lines = arg;
    atomic_fetch_add(&lines->count, 1);
    if (level < ZKS_LOG_ERROR || level > ZKS_LOG_DEBUG || line[0] == '\0' ||
        strchr(line, '\n') != NULL) {
        printf("# not a line: \"%s\"\n", line);
        atomic_fetch_add(&lines->bad, 1);
    }
}

static void log_lines(void **state)
{
    struct it *it = *state;
    struct lines lines = {0, 0};
    zks_client *client = NULL;
    zks_client_options options = options_with(NULL, NULL);
    options.log = count_line;
    options.log_arg = &lines;
    options.log_level = ZKS_LOG_DEBUG;
    client = it_open_with(&options);
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    assert_true(atomic_load(&lines.count) > 0);
    assert_int_equal(atomic_load(&lines.bad), 0);
    /* An option that is not valid is named. */
    atomic_store(&lines.count, 0);
    options.log_level = ZKS_LOG_ERROR;
    options.servers = "";
    it_equal(zks_client_open(&options, &client), ZKS_EINVAL);
    assert_int_not_equal(atomic_load(&lines.count), 0);
}

/* When the server refuses credentials libzookeeper can lose the records of the requests that were on
 * their way: memory of its own.  Only this program brings that about, so only here is it let pass. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libzookeeper_mt";
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(credentials_guard_the_znodes),
        it_test(credentials_outlive_the_connection),
        it_test(list_of_its_own),
        it_test(refused_credentials),
        it_test(refused_credentials_in_the_background),
        it_test(log_lines),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("client_auth", tests, NULL, NULL);
}
