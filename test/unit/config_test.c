/* SPDX-License-Identifier: Apache-2.0 */
/* Settings, as a C program sees them; test/cli/config_test.py has the files and the command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zksync/zksync.h>

static char folder[] = "/tmp/zksync-config-XXXXXX";
static char settings_file[64];
static char auth_file[64];

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < ZKS_SETTINGS; i++) {
        unsetenv(zks_config_variable((enum zks_setting)i));
    }
    write_file(settings_file, "", 0644);
    return setenv("ZKSYNC_CONFIG", settings_file, 1);
}

static zks_config *read_settings(void)
{
    zks_config *config = NULL;
    assert_int_equal(zks_config_new(&config), 0);
    return config;
}

static void test_arguments(void **state)
{
    zks_config *config = read_settings();
    (void)state;
    assert_int_equal(zks_config_new(NULL), ZKS_EINVAL);
    assert_int_equal(zks_config_set(NULL, ZKS_SETTING_ROOT, "/a", "x"), ZKS_EINVAL);
    assert_int_equal(zks_config_set(config, (enum zks_setting)ZKS_SETTINGS, "/a", "x"), ZKS_EINVAL);
    assert_int_equal(zks_config_set(config, ZKS_SETTING_ROOT, NULL, "x"), ZKS_EINVAL);
    assert_int_equal(zks_config_set(config, ZKS_SETTING_ROOT, "/a", NULL), ZKS_EINVAL);
    assert_null(zks_config_name((enum zks_setting)ZKS_SETTINGS));
    assert_null(zks_config_variable((enum zks_setting) - 1));
    assert_string_equal(zks_config_value(config, (enum zks_setting) - 1), "");
    assert_null(zks_config_file(config, 1, NULL));
    zks_config_free(config);
    zks_config_free(NULL);
}

static void test_no_servers(void **state)
{
    static const char *const ways[] = {"--local", "ZKSYNC_SERVERS=local", "servers = local"};
    zks_config *config = read_settings();
    zks_client *client = NULL;
    (void)state;
    assert_int_equal(zks_config_check(config), ZKS_ECONFIG);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_non_null(strstr(zks_config_error(config), ways[i]));
    }
    assert_string_equal(zks_config_origin(config, ZKS_SETTING_SERVERS), "not set");
    assert_int_equal(zks_client_open(NULL, &client), ZKS_ECONFIG);
    assert_string_equal(zks_last_error(), zks_config_error(config));
    assert_null(client);
    zks_config_free(config);
}

/* What is shown as a default is what a client uses. */
static void test_defaults(void **state)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    int64_t shown[2] = {0, 0};
    (void)state;
    zks_config *config = read_settings();
    assert_true(
        zks_parse_duration(zks_config_value(config, ZKS_SETTING_SESSION_TIMEOUT), &shown[0]));
    assert_true(
        zks_parse_duration(zks_config_value(config, ZKS_SETTING_CONNECT_TIMEOUT), &shown[1]));
    zks_config_apply(config, &options);
    assert_int_equal(shown[0], ZKS_SESSION_TIMEOUT_MS);
    assert_int_equal(options.session_timeout_ms, ZKS_SESSION_TIMEOUT_MS);
    assert_int_equal(shown[1], ZKS_CONNECT_TIMEOUT_MS);
    assert_int_equal(options.connect_timeout_ms, ZKS_CONNECT_TIMEOUT_MS);
    zks_config_free(config);
}

static void test_a_value_that_is_set_decides(void **state)
{
    (void)state;
    setenv("ZKSYNC_SERVERS", "", 1);
    setenv("ZKSYNC_SESSION_TIMEOUT", "soon", 1);
    zks_config *config = read_settings();
    assert_int_equal(zks_config_check(config), ZKS_ECONFIG);
    assert_non_null(strstr(zks_config_error(config), "ZKSYNC_SERVERS: the value is empty"));
    assert_int_equal(zks_config_set(config, ZKS_SETTING_SERVERS, "a:1", "mine"), 0);
    assert_int_equal(zks_config_check(config), ZKS_ECONFIG);
    assert_non_null(strstr(zks_config_error(config), "\"soon\""));
    assert_int_equal(zks_config_set(config, ZKS_SETTING_SESSION_TIMEOUT, "0", "mine"), ZKS_EINVAL);
    assert_string_equal(zks_config_value(config, ZKS_SETTING_SESSION_TIMEOUT), "soon");
    assert_int_equal(zks_config_set(config, ZKS_SETTING_SESSION_TIMEOUT, "3", "mine"), 0);
    assert_int_equal(zks_config_check(config), 0);
    assert_string_equal(zks_config_error(config), "");
    assert_string_equal(zks_config_origin(config, ZKS_SETTING_SERVERS), "mine");
    zks_config_free(config);
}

/* The same text is refused in the settings and in a program's options, for the same reason. */
static void refused(const char *list, const char *why)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    zks_client *client = NULL;
    char expected[400];
    setenv("ZKSYNC_SERVERS", list, 1);
    zks_config *config = read_settings();
    assert_int_equal(zks_config_check(config), ZKS_ECONFIG);
    (void)snprintf(expected, sizeof expected, "ZKSYNC_SERVERS: %s", why);
    assert_string_equal(zks_config_error(config), expected);
    assert_int_equal(zks_config_set(config, ZKS_SETTING_SERVERS, list, "mine"), ZKS_EINVAL);
    assert_string_equal(zks_config_error(config), why);
    zks_config_free(config);
    options.servers = list;
    assert_int_equal(zks_client_open(&options, &client), ZKS_EINVAL);
    (void)snprintf(expected, sizeof expected, "servers: %s", why);
    assert_string_equal(zks_last_error(), expected);
}

static void test_lists_of_servers(void **state)
{
    char text[1100];
    char why[300];
    static const char *const invalid[][2] = {
        {"zk1", "\"zk1\": the port is missing"},
        {"zk1:", "\"zk1:\": the port is missing"},
        {"zk1:21x1", "\"zk1:21x1\": the port is not a number"},
        {"zk1:0", "\"zk1:0\": the port is not between 1 and 65535"},
        {"zk1:65536", "\"zk1:65536\": the port is not between 1 and 65535"},
        {"a:18446744073709551617",
         "\"a:18446744073709551617\": the port is not between 1 and 65535"},
        {":2181", "\":2181\": the host is missing"},
        {"a:1,:2", "\":2\": the host is missing"},
        {"[]:1", "\"[]:1\": the host is missing"},
        {"a:1,b", "\"b\": the port is missing"},
        {"a:1,,b:1", "\"a:1,,b:1\": an entry is empty"},
        {"a:1,", "\"a:1,\": an entry is empty"},
        {",a:1", "\",a:1\": an entry is empty"},
        {"/x", "\"/x\": an entry is empty"},
        {"a:1, b:2", "\" b:2\": it contains a blank"},
        {"a:1,b:2 ", "\"b:2 \": it contains a blank"},
        {"::1:2181", "\"::1:2181\": an IPv6 address needs brackets, as in [::1]:2181"},
        {"[::1:2181", "\"[::1:2181\": the closing bracket is missing"},
        {"[::1]", "\"[::1]\": the port is missing"},
        {"[::1]2181", "\"[::1]2181\": the port is missing"},
        {"a:1/x,b:2", "\"/x,b:2\": the root comes once, after the last server"},
        {"a:1//x", "\"//x\": an empty component (\"//\")"},
        {"http://a:1/x", "\"http://a:1/x\": a URL, not host:port,host:port/root"},
    };
    static const char *const valid[] = {"a:1",       "a:1,b:65535", "[::1]:2181", "a:1/",
                                        "a:1,b:2/c", "10.0.0.1:1",  "local"};
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        refused(invalid[i][0], invalid[i][1]);
    }
    refused("a\x1b:1,\x1b[2J", "\"?[2J\": the port is missing");
    memset(text, 'x', sizeof text);
    memcpy(text, "a:1/", 4);
    text[4 + 1023] = '\0'; /* With the slash one too many. */
    (void)snprintf(why, sizeof why, "\"/%.199s...\": the root is too long", text + 4);
    refused(text, why);
    text[3 + 1023] = '\0';
    setenv("ZKSYNC_SERVERS", text, 1);
    zks_config *longest = read_settings();
    assert_int_equal(zks_config_check(longest), 0);
    zks_config_free(longest);
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
        setenv("ZKSYNC_SERVERS", valid[i], 1);
        zks_config *config = read_settings();
        assert_int_equal(zks_config_check(config), 0);
        assert_string_equal(zks_config_value(config, ZKS_SETTING_SERVERS), valid[i]);
        zks_config_free(config);
    }
}

static void test_apply(void **state)
{
    zks_client_options empty = ZKS_CLIENT_OPTIONS_INIT;
    zks_client_options given = {.size = sizeof given,
                                .servers = "own:1",
                                .root = "",
                                .auth_scheme = "digest",
                                .auth = "u:p",
                                .session_timeout_ms = 1,
                                .connect_timeout_ms = 0};
    char text[200];
    (void)state;
    write_file(auth_file, "digest:user:password\n", 0600);
    (void)snprintf(text, sizeof text,
                   "servers = a:1\nroot = /team/\nauth-file = %s\nsession-timeout = 3s\n"
                   "connect-timeout = forever\n",
                   auth_file);
    write_file(settings_file, text, 0644);
    zks_config *config = read_settings();
    assert_int_equal(zks_config_check(config), 0);
    zks_config_apply(config, &empty);
    assert_string_equal(empty.servers, "a:1");
    assert_string_equal(empty.root, "/team");
    assert_string_equal(empty.auth_scheme, "digest");
    assert_string_equal(empty.auth, "user:password");
    assert_int_equal(empty.session_timeout_ms, 3000);
    assert_int_equal(empty.connect_timeout_ms, ZKS_FOREVER);
    zks_config_apply(config, &given);
    assert_string_equal(given.servers, "own:1");
    assert_string_equal(given.root, "");
    assert_string_equal(given.auth, "u:p");
    given.auth_scheme = given.auth = NULL;
    zks_config_apply(config, &given); /* Its own servers are not shown the settings' credentials. */
    assert_null(given.auth_scheme);
    assert_null(given.auth);
    assert_int_equal(given.session_timeout_ms, 1);
    assert_int_equal(given.connect_timeout_ms, 0);
    zks_config_free(config);
}

/* Only where they are used does it matter what is wrong with them. */
static void test_credentials_that_cannot_be_read(void **state)
{
    static const char *const given[] = {"/no/such/file", ""};
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    char text[100];
    (void)state;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        (void)snprintf(text, sizeof text, "servers = a:1\nauth-file = %s\n", given[i]);
        write_file(settings_file, text, 0644);
        unsetenv("ZKSYNC_SERVERS");
        zks_config *config = read_settings();
        assert_true(zks_config_is_used(config, ZKS_SETTING_AUTH_FILE));
        assert_int_equal(zks_config_check(config), ZKS_ECONFIG);
        (void)snprintf(text, sizeof text, "%s:2: ", settings_file);
        assert_ptr_equal(strstr(zks_config_error(config), text), zks_config_error(config));
        assert_int_equal(zks_config_set(config, ZKS_SETTING_SERVERS, "b:2", "mine"), 0);
        assert_false(zks_config_is_used(config, ZKS_SETTING_AUTH_FILE));
        assert_true(zks_config_is_used(config, ZKS_SETTING_SERVERS));
        assert_int_equal(zks_config_check(config), 0);
        zks_config_free(config);
        setenv("ZKSYNC_SERVERS", "b:2", 1);
        config = read_settings();
        assert_int_equal(zks_config_check(config), 0);
        assert_string_equal(zks_config_value(config, ZKS_SETTING_AUTH_FILE), given[i]);
        zks_config_apply(config, &options);
        assert_null(options.auth);
        zks_config_free(config);
        setenv("ZKSYNC_AUTH_FILE", given[i], 1);
        config = read_settings();
        assert_int_equal(zks_config_check(config), ZKS_ECONFIG);
        assert_non_null(strstr(zks_config_error(config), "ZKSYNC_AUTH_FILE: "));
        unsetenv("ZKSYNC_AUTH_FILE");
        zks_config_free(config);
    }
}

/* The settings are not even read, so what is wrong with them does not matter either. */
static void test_a_program_with_servers_of_its_own(void **state)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    zks_client *client = NULL;
    (void)state;
    write_file(settings_file, "no line\n", 0644);
    options.servers = "127.0.0.1:9";
    options.connect_timeout_ms = 0;
    assert_int_equal(zks_client_open(&options, &client), 0);
    assert_int_equal(zks_client_close(client), 0);
    options.servers = NULL;
    assert_int_equal(zks_client_open(&options, &client), ZKS_ECONFIG);
    assert_non_null(strstr(zks_last_error(), settings_file));
}

static void test_private_files(void **state)
{
    char line[32];
    char why[200];
    (void)state;
    write_file(auth_file, "a secret\r\nmore\n", 0600);
    assert_true(zks_read_private(auth_file, line, sizeof line, why, sizeof why));
    assert_string_equal(line, "a secret");
    assert_int_equal(chmod(auth_file, 0640), 0);
    assert_false(zks_read_private(auth_file, line, sizeof line, why, sizeof why));
    assert_string_equal(line, "");
    assert_non_null(strstr(why, "chmod 600"));
    assert_false(zks_read_private(folder, line, sizeof line, why, sizeof why));
    assert_non_null(strstr(why, folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_arguments, begin),
        cmocka_unit_test_setup(test_no_servers, begin),
        cmocka_unit_test_setup(test_defaults, begin),
        cmocka_unit_test_setup(test_a_value_that_is_set_decides, begin),
        cmocka_unit_test_setup(test_lists_of_servers, begin),
        cmocka_unit_test_setup(test_apply, begin),
        cmocka_unit_test_setup(test_credentials_that_cannot_be_read, begin),
        cmocka_unit_test_setup(test_a_program_with_servers_of_its_own, begin),
        cmocka_unit_test_setup(test_private_files, begin),
    };
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)snprintf(settings_file, sizeof settings_file, "%s/zksync.conf", folder);
    (void)snprintf(auth_file, sizeof auth_file, "%s/auth", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(settings_file);
    (void)unlink(auth_file);
    (void)rmdir(folder);
    return failed;
}
