/* SPDX-License-Identifier: Apache-2.0 */
/* zks_last_error() and ZKSYNC_LOG, without a server. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "zksync/zksync.h"

/* A client that never connects: no server listens at port 9. */
static zks_client *open_client(void)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    zks_client *client = NULL;
    options.servers = "127.0.0.1:9";
    options.connect_timeout_ms = 0;
    assert_int_equal(zks_client_open(&options, &client), 0);
    return client;
}

static void assert_says(const char *piece)
{
    if (strstr(zks_last_error(), piece) == NULL) {
        fail_msg("\"%s\" does not contain \"%s\"", zks_last_error(), piece);
    }
}

static void *in_a_thread(void *arg)
{
    bool *empty = arg;
    *empty = zks_last_error()[0] == '\0';
    assert_int_equal(zks_client_close(NULL), 0);
    *empty = *empty && zks_last_error()[0] == '\0';
    assert_int_equal(zks_client_open(NULL, NULL), ZKS_EINVAL);
    return NULL;
}

static void test_each_thread_has_its_own_sentence(void **state)
{
    pthread_t thread;
    bool empty = false;
    zks_rwlock *lock = NULL;
    (void)state;
    assert_int_equal(zks_rwlock_new(NULL, "/a", NULL, &lock), ZKS_EINVAL);
    assert_string_equal(zks_last_error(), "client: NULL");
    assert_int_equal(pthread_create(&thread, NULL, in_a_thread, &empty), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(empty);
    assert_string_equal(zks_last_error(), "client: NULL");
}

static void test_a_failure_replaces_the_sentence_and_a_success_does_not(void **state)
{
    zks_client *client = open_client();
    zks_rwlock *lock = NULL;
    zks_barrier *barrier = NULL;
    (void)state;
    assert_int_equal(zks_rwlock_new(client, "/a//b", NULL, &lock), ZKS_EINVAL);
    assert_says("//");
    assert_int_equal(zks_rwlock_new(client, "/a", NULL, &lock), 0);
    assert_says("//");
    assert_int_equal(zks_rwlock_unlock(lock, 0), ZKS_EPERM);
    assert_string_equal(zks_last_error(), zks_strerror(ZKS_EPERM));
    assert_int_equal(zks_rwlock_wrlock(lock, 0), ZKS_EDISCONNECTED);
    assert_says("/a: ");
    assert_says(zks_strerror(ZKS_EDISCONNECTED));
    assert_int_equal(zks_barrier_new(client, NULL, &barrier), ZKS_EINVAL);
    assert_string_equal(zks_last_error(), "path: NULL");
    zks_rwlock_free(lock);
    assert_int_equal(zks_client_close(client), 0);
}

static void test_options_that_are_not_valid_are_named(void **state)
{
    static const struct zks_acl no_id = {ZKS_PERM_READ, "world", NULL};
    const struct {
        zks_client_options options;
        const char *piece;
    } cases[] = {
        {{.size = 0}, "options.size"},
        {{.size = sizeof(zks_client_options) + 8, .session_timeout_ms = 1000}, "options.size"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = UINT32_MAX},
         "session_timeout_ms: 4294967295: not between 1000 and 86400000"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = 13 * 86400000U},
         "session_timeout_ms"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = ZKS_SESSION_TIMEOUT_MAX_MS + 1},
         "session_timeout_ms"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = 1}, "session_timeout_ms"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = ZKS_SESSION_TIMEOUT_MIN_MS - 1},
         "session_timeout_ms"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = 1000, .pid = -1}, "pid"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = 1000, .connect_timeout_ms = -3},
         "connect_timeout_ms"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = 1000, .auth = "a:b"},
         "auth_scheme"},
        {{.size = sizeof(zks_client_options), .servers = "a:1", .n_acl = 1}, "acl is NULL"},
        {{.size = sizeof(zks_client_options), .servers = "a:1", .n_acl = 1, .acl = &no_id},
         "acl[0]"},
        {{.size = sizeof(zks_client_options), .session_timeout_ms = 1000, .servers = "zk1"},
         "\"zk1\""},
        {{.size = sizeof(zks_client_options),
          .session_timeout_ms = 1000,
          .servers = "127.0.0.1:9/a/"},
         "\"/a/\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zks_client *client = NULL;
        assert_int_equal(zks_client_open(&cases[i].options, &client), ZKS_EINVAL);
        assert_null(client);
        assert_says(cases[i].piece);
    }
}

static void test_paths_say_what_is_wrong(void **state)
{
    char longest[1100];
    const char *const cases[][2] = {
        {"", "empty"},
        {"a", "no slash at the beginning"},
        {"/", "the root itself"},
        {"/a/", "a slash at the end"},
        {"/a//b", "an empty component (\"//\")"},
        {"//", "an empty component (\"//\")"},
        {"/a/./b", "the component \".\""},
        {"/a/..", "the component \"..\""},
        {"/a\nb", "\"/a?b\": not a valid path: a control character"},
        {"/a\xc2\x80", "a control character"},
        {"/a\xff", "not UTF-8"},
        {"/a\xee\x80\x80", "ZooKeeper does not allow"},
        {longest, "1099 bytes, more than 1023"},
    };
    zks_client *client = open_client();
    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zks_double_barrier *barrier = NULL;
        zks_observer *observer = NULL;
        assert_int_equal(zks_path_check(cases[i][0]), ZKS_EINVAL);
        assert_says(cases[i][1]);
        assert_int_equal(zks_double_barrier_new(client, cases[i][0], 2, NULL, &barrier),
                         ZKS_EINVAL);
        assert_says(cases[i][1]);
        if (strcmp(cases[i][0], "/") != 0) {
            assert_int_equal(zks_observer_new(client, cases[i][0], true, &observer), ZKS_EINVAL);
            assert_says(cases[i][1]);
        }
    }
    assert_int_equal(zks_path_check("/a"), 0);
    assert_int_equal(zks_client_close(client), 0);
}

/* What clients that are opened with this ZKSYNC_LOG write to standard error. */
static void log_with(zks_client_options options, const char *value, const char *servers, char *text,
                     size_t size)
{
    zks_client *client = NULL;
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_int_equal(value != NULL ? setenv("ZKSYNC_LOG", value, 1) : unsetenv("ZKSYNC_LOG"), 0);
    options.servers = servers;
    options.connect_timeout_ms = 0;
    (void)fflush(stderr);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    if (zks_client_open(&options, &client) == 0) {
        (void)zks_client_close(client);
    }
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(saved), 0);
    assert_int_equal(unsetenv("ZKSYNC_LOG"), 0);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
}

static void log_of(const char *value, const char *servers, char *text, size_t size)
{
    const zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    log_with(options, value, servers, text, size);
}

static void count_line(enum zks_log_level level, const char *line, void *arg)
{
    (void)level;
    (void)line;
    ++*(int *)arg;
}

static void test_the_environment_turns_the_log_on(void **state)
{
    char text[8192];
    int lines = 0;
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    (void)state;
    options.log = count_line;
    options.log_arg = &lines;
    options.log_level = ZKS_LOG_ERROR;
    log_with(options, "debug", "zk1", text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(lines, 1);
    log_of(NULL, "zk1", text, sizeof text);
    assert_string_equal(text, "");
    log_of("", "zk1", text, sizeof text);
    assert_string_equal(text, "");
    log_of("error", "zk1", text, sizeof text);
    assert_non_null(strstr(text, "zksync: "));
    assert_non_null(strstr(text, "zk1"));
    log_of("error", "127.0.0.1:9", text, sizeof text);
    assert_null(strstr(text, "closed"));
    log_of("info", "127.0.0.1:9", text, sizeof text);
    assert_non_null(strstr(text, "zksync: closed"));
    log_of("loud", "zk1", text, sizeof text);
    assert_non_null(strstr(text, "ZKSYNC_LOG: \"loud\""));
}

/* Clients that log all they do, with this as standard error. */
static void log_to(int fd)
{
    zks_client *clients[2] = {NULL, NULL};
    const char *const values[2] = {"debug", "loud"}; /* The second one is complained of. */
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    int saved = dup(STDERR_FILENO);
    int rc[2];
    options.servers = "127.0.0.1:9";
    options.connect_timeout_ms = 0;
    (void)fflush(stderr);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    for (size_t i = 0; i < 2; i++) {
        (void)setenv("ZKSYNC_LOG", values[i], 1);
        rc[i] = zks_client_open(&options, &clients[i]);
        rc[i] = rc[i] == 0 ? zks_client_close(clients[i]) : rc[i];
    }
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(saved), 0);
    assert_int_equal(unsetenv("ZKSYNC_LOG"), 0);
    assert_int_equal(rc[0], 0);
    assert_int_equal(rc[1], 0);
}

static void fill(int fd)
{
    char block[1024] = "";
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, block, sizeof block) > 0) {
    }
    while (write(fd, block, 1) > 0) {
    }
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

/* The logging thread also keeps the lease. */
static void test_a_full_pipe_does_not_block(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fill(ends[1]);
    log_to(ends[1]);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_thread_has_its_own_sentence),
        cmocka_unit_test(test_a_failure_replaces_the_sentence_and_a_success_does_not),
        cmocka_unit_test(test_options_that_are_not_valid_are_named),
        cmocka_unit_test(test_paths_say_what_is_wrong),
        cmocka_unit_test(test_the_environment_turns_the_log_on),
        cmocka_unit_test(test_a_full_pipe_does_not_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
