/* SPDX-License-Identifier: Apache-2.0 */
/* The option only_user: which users' processes a server lets in. Each of them knows the secret, and the
 * server and its clients are processes of their own, so that each can have a user of its own. */
#include <sys/wait.h>
#include <unistd.h>

#include "serving.h"

enum { ROOT = 0, OWNER = 65534, STRANGER = 65533, REFUSED_MS = 1000, ADDRESS_SIZE = 80 };

static const char secret[] = "known to all";

/* ---- Processes of other users ---- */

struct server {
    pid_t pid;
    int end; /* Whose close ends the server. */
    char address[ADDRESS_SIZE];
};

static _Noreturn void serve(uid_t uid, bool only_user, int tell, int end)
{
    struct serving s;
    char byte;
    zks_server_options options = serving_options(&s, false);
    options.secret = secret;
    options.only_user = only_user;
    if (setuid(uid) != 0 || zks_server_open(&options, &s.server) != 0 ||
        write(tell, serving_address(&s), ADDRESS_SIZE) != ADDRESS_SIZE) {
        _exit(1);
    }
    (void)!read(end, &byte, 1);
    serving_close(&s);
    _exit(0);
}

static void server_begin(struct server *s, uid_t uid, bool only_user)
{
    int tell[2];
    int end[2];
    assert_int_equal(pipe(tell), 0);
    assert_int_equal(pipe(end), 0);
    s->pid = fork();
    if (s->pid == 0) {
        (void)close(end[1]);
        serve(uid, only_user, tell[1], end[0]);
    }
    assert_true(s->pid > 0);
    (void)close(tell[1]);
    (void)close(end[0]);
    s->end = end[1];
    assert_int_equal(read(tell[0], s->address, ADDRESS_SIZE), ADDRESS_SIZE);
    (void)close(tell[0]);
}

static int exit_code(pid_t pid)
{
    int status = 0;
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void server_end(const struct server *s)
{
    (void)close(s->end);
    assert_int_equal(exit_code(s->pid), 0);
}

/* What a process of the user gets from zks_client_open(). */
static int open_as(const struct server *s, uid_t uid, int64_t timeout_ms)
{
    pid_t pid = fork();
    if (pid == 0) {
        zks_client *client = NULL;
        zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
        options.servers = s->address;
        options.auth_scheme = "zksync";
        options.auth = secret;
        options.connect_timeout_ms = timeout_ms;
        int rc = setuid(uid) == 0 ? zks_client_open(&options, &client) : ZKS_ESYSTEM;
        (void)zks_client_close(client);
        _exit(-rc);
    }
    return -exit_code(pid);
}

static void need_root(void)
{
    if (geteuid() != 0 || getenv("ZKSYNC_TEST_VALGRIND") != NULL) {
        (void)puts("# SKIP only root can be other users, and not under valgrind");
        skip();
    }
}

/* ---- Who may connect ---- */

static void the_server_of_a_user(void **state)
{
    struct server s;
    (void)state;
    need_root();
    server_begin(&s, OWNER, true);
    it_ok(open_as(&s, OWNER, IT_LIMIT_MS));
    it_ok(open_as(&s, ROOT, IT_LIMIT_MS));
    it_equal(open_as(&s, STRANGER, REFUSED_MS), ZKS_EDISCONNECTED);
    server_end(&s);
}

static void the_server_of_root(void **state)
{
    struct server s;
    (void)state;
    need_root();
    server_begin(&s, ROOT, true);
    it_ok(open_as(&s, ROOT, IT_LIMIT_MS));
    it_equal(open_as(&s, STRANGER, REFUSED_MS), ZKS_EDISCONNECTED);
    server_end(&s);
}

static void a_server_for_all(void **state)
{
    struct server s;
    (void)state;
    need_root();
    server_begin(&s, OWNER, false);
    it_ok(open_as(&s, STRANGER, IT_LIMIT_MS));
    server_end(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        serving_test(the_server_of_a_user),
        serving_test(the_server_of_root),
        serving_test(a_server_for_all),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
