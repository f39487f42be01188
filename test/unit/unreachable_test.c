/* SPDX-License-Identifier: Apache-2.0 */
/* What zks_client_open() says of servers that cannot be reached, and of lists that are not valid. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "zksync/zksync.h"

/* What answers on a thread of the test's gets more time, half of which is for the question. */
enum { CONNECT_MS = 1000, TALKER_MS = 4000, TALKERS_MAX = 5 };

/* Any thread may call it. */
static int open_within(const char *servers, int connect_ms, zks_client **client)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = servers;
    options.connect_timeout_ms = connect_ms;
    return zks_client_open(&options, client);
}

static int open_of(const char *servers)
{
    zks_client *client = NULL;
    int rc = open_within(servers, CONNECT_MS, &client);
    assert_null(client);
    return rc;
}

static void assert_says(const char *text)
{
    if (strstr(zks_last_error(), text) == NULL) {
        fail_msg("\"%s\" does not contain \"%s\"", zks_last_error(), text);
    }
}

/* A socket that listens; its address as text. */
static int listen_at(char address[32], int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(backlog < 0 ? 0 : listen(fd, backlog), 0);
    (void)snprintf(address, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

static void expect(const char *server, const char *why)
{
    char text[200];
    assert_int_equal(open_of(server), ZKS_EDISCONNECTED);
    (void)snprintf(text, sizeof text, "%s: %s", server, why);
    assert_string_equal(zks_last_error(), text);
}

static void test_refused(void **state)
{
    char address[32];
    int fd =
        listen_at(address, -1); /* Bound, so that nobody else listens there, but not listening. */
    (void)state;
    expect(address, "Connection refused");
    assert_int_equal(close(fd), 0);
}

/* libzookeeper takes credentials at some moments only, and those differ from one time to the next. */
static void test_refused_with_credentials(void **state)
{
    enum { TIMES = 20 };
    char address[32];
    int fd = listen_at(address, -1);
    (void)state;
    for (int i = 0; i < TIMES; i++) {
        zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
        zks_client *client = NULL;
        options.servers = address;
        options.connect_timeout_ms = 20;
        options.auth_scheme = "digest";
        options.auth = "user:password";
        assert_int_equal(zks_client_open(&options, &client), ZKS_EDISCONNECTED);
        assert_null(client);
    }
    assert_int_equal(close(fd), 0);
}

static void test_unknown_host(void **state)
{
    (void)state;
    assert_int_equal(open_of("nohost.invalid:2181"), ZKS_EDISCONNECTED);
    assert_says("nohost.invalid:2181: ");
    assert_true(strstr(zks_last_error(), "unknown host (") != NULL ||
                strstr(zks_last_error(), "the host name cannot be resolved (") != NULL);
}

static void test_a_silent_server(void **state)
{
    char address[32];
    int fd = listen_at(address, 100);
    (void)state;
    expect(address, "accepts the connection, but does not answer within 1 s");
    assert_int_equal(close(fd), 0);
}

/* The kernel drops what would connect while the queue is full, as a firewall does. */
static void test_a_server_that_drops_what_it_gets(void **state)
{
    enum { FILL = 4 };
    char address[32];
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    int fill[FILL];
    int fd = listen_at(address, 0);
    (void)state;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    for (int i = 0; i < FILL; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(fill[i] >= 0);
        (void)connect(fill[i], (struct sockaddr *)&at, sizeof at);
    }
    expect(address, "no answer within 1 s");
    for (int i = 0; i < FILL; i++) {
        assert_int_equal(close(fill[i]), 0);
    }
    assert_int_equal(close(fd), 0);
}

/* Something that answers, and what a client says of it. */
struct talker {
    bool waits; /* For a whole line, as a web server does. */
    const char *says;
    const char *why; /* What is expected. */
    int fd;
    char address[32];
    pthread_t thread;
    pthread_t opener;
    zks_client *client;
    int rc;
    char said[200];
};

/* Each connection is answered and closed; a shutdown of the socket ends the thread. */
static void *talk(void *arg)
{
    const struct talker *t = arg;
    int peer;
    while ((peer = accept(t->fd, NULL, NULL)) >= 0) {
        char got[512];
        size_t len = 0;
        ssize_t n = 1;
        while (t->waits && n > 0 && (len == 0 || memchr(got, '\n', len) == NULL)) {
            n = recv(peer, got + len, sizeof got - len, 0);
            len += n > 0 ? (size_t)n : 0;
            if (len >= 4 && memcmp(got, "srvr", 4) != 0) {
                break; /* A session's request: nothing that it understands. */
            }
        }
        (void)send(peer, t->says, strlen(t->says), MSG_NOSIGNAL);
        (void)shutdown(peer, SHUT_RDWR);
        (void)close(peer);
    }
    return NULL;
}

static void *open_it(void *arg)
{
    struct talker *t = arg;
    t->rc = open_within(t->address, TALKER_MS, &t->client);
    (void)snprintf(t->said, sizeof t->said, "%s", zks_last_error());
    return NULL;
}

/* All at the same time, for each takes all of the time to connect. */
static void expect_of(const struct talker *cases, size_t n)
{
    struct talker talkers[TALKERS_MAX];
    assert_true(n <= TALKERS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct talker *t = &talkers[i];
        *t = cases[i];
        t->fd = listen_at(t->address, 100);
        assert_int_equal(pthread_create(&t->thread, NULL, talk, t), 0);
        assert_int_equal(pthread_create(&t->opener, NULL, open_it, t), 0);
    }
    for (size_t i = 0; i < n; i++) {
        struct talker *t = &talkers[i];
        assert_int_equal(pthread_join(t->opener, NULL), 0);
        assert_int_equal(shutdown(t->fd, SHUT_RDWR), 0);
        assert_int_equal(pthread_join(t->thread, NULL), 0);
        assert_int_equal(close(t->fd), 0);
    }
    for (size_t i = 0; i < n; i++) {
        const struct talker *t = &talkers[i];
        char text[200];
        assert_int_equal(t->rc, ZKS_EDISCONNECTED);
        assert_null(t->client);
        (void)snprintf(text, sizeof text, "%s: %s", t->address, t->why);
        assert_string_equal(t->said, text);
    }
}

static void test_what_is_not_a_zookeeper(void **state)
{
    static const struct talker cases[] = {
        {.waits = true,
         .says = "HTTP/1.1 400 Bad Request\r\n\r\n",
         .why = "answers, but not as a ZooKeeper server"},
        {.waits = false,
         .says = "SSH-2.0-OpenSSH_9.2p1\r\n",
         .why = "answers, but not as a ZooKeeper server"},
        {.waits = true, .says = "", .why = "closes the connection without an answer"},
    };
    (void)state;
    expect_of(cases, sizeof cases / sizeof cases[0]);
}

static void test_a_zookeeper_that_begins_no_session(void **state)
{
    static const struct talker cases[] = {
        {.waits = true,
         .says = "This ZooKeeper instance is not currently serving requests\n",
         .why = "a ZooKeeper server without a quorum"},
        {.waits = true,
         .says = "Zookeeper version: 3.8.0\nMode: follower\n",
         .why = "serves, but began no session within 4 s"},
        {.waits = true,
         .says = "Zookeeper version: 3.4.14-4c25d480e66aadd371de8bd2fd8da255ac140bcf, built on x\n",
         .why = "ZooKeeper 3.4.14, older than 3.5"},
        {.waits = true,
         .says = "Zookeeper version: 3.5.0-alpha, built on x\n",
         .why = "serves, but began no session within 4 s"},
        {.waits = true,
         .says = "srvr is not executed because it is not in the whitelist.\n",
         .why = "serves, but began no session within 4 s"},
    };
    (void)state;
    expect_of(cases, sizeof cases / sizeof cases[0]);
}

static void test_several_servers(void **state)
{
    char refused[32];
    char silent[32];
    char list[200];
    char why[300];
    int fds[] = {listen_at(refused, -1), listen_at(silent, 100)};
    (void)state;
    (void)snprintf(list, sizeof list, "%s,%s,localhost:%s", refused, silent,
                   strchr(refused, ':') + 1);
    (void)snprintf(why, sizeof why,
                   "%s, localhost:%s: Connection refused; %s: accepts the connection, but does "
                   "not answer within 1 s",
                   refused, strchr(refused, ':') + 1, silent);
    assert_int_equal(open_of(list), ZKS_EDISCONNECTED);
    assert_string_equal(zks_last_error(), why);
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}

static void test_a_probe_of_ones_own(void **state)
{
    char address[32];
    char why[100];
    int fd = listen_at(address, -1);
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    zks_client *client = NULL;
    (void)state;
    options.servers = address;
    options.connect_timeout_ms = 0;
    assert_int_equal(zks_client_open(&options, &client), 0);
    assert_int_equal(zks_client_probe(client, 1000, why, sizeof why), ZKS_EDISCONNECTED);
    assert_says(address);
    assert_string_equal(zks_last_error(), why);
    assert_int_equal(zks_client_probe(client, 1000, NULL, 0), ZKS_EDISCONNECTED);
    assert_int_equal(zks_client_probe(client, -1, NULL, 0), ZKS_EINVAL);
    assert_int_equal(zks_client_probe(NULL, 0, NULL, 0), ZKS_EINVAL);
    assert_int_equal(zks_client_close(client), 0);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_with_credentials),
        cmocka_unit_test(test_unknown_host),
        cmocka_unit_test(test_a_silent_server),
        cmocka_unit_test(test_a_server_that_drops_what_it_gets),
        cmocka_unit_test(test_what_is_not_a_zookeeper),
        cmocka_unit_test(test_a_zookeeper_that_begins_no_session),
        cmocka_unit_test(test_several_servers),
        cmocka_unit_test(test_a_probe_of_ones_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
