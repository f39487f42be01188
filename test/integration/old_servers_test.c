/* SPDX-License-Identifier: Apache-2.0 */
/* Servers of ZooKeeper 3.4, which do not know the requests that a lock begins with.  None is in Debian: a proxy
 * in front of a present server answers as one does. */
#include "calls.h"
#include "command.h"
#include "frameproxy.h"

static void check_sentence(const struct frameproxy *proxy)
{
    char why[100];
    (void)snprintf(why, sizeof why, "%s: ZooKeeper 3.4.14, older than 3.5",
                   frameproxy_address(proxy));
    assert_string_equal(zks_last_error(), why);
}

static void locks_and_double_barriers(void **state)
{
    struct it *it = *state;
    struct handles h;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    frameproxy_speak_3_4(proxy);
    zks_client *client = it_open(frameproxy_address(proxy), 0);
    handles_open(&h, client, it->path);
    it_equal(zks_rwlock_wrlock(h.rwlock, ZKS_FOREVER), ZKS_EVERSION);
    check_sentence(proxy);
    it_equal(zks_rwlock_rdlock(h.rwlock, IT_LIMIT_MS), ZKS_EVERSION);
    check_sentence(proxy);
    it_equal(zks_double_barrier_enter(h.double_barrier, ZKS_FOREVER), ZKS_EVERSION);
    check_sentence(proxy);
    handles_free(&h);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
}

/* A try that meets the connection's end instead of the answer says so: it is not busy. */
static void a_try(void **state)
{
    struct it *it = *state;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    frameproxy_speak_3_4(proxy);
    zks_client *client = it_open(frameproxy_address(proxy), 0);
    zks_rwlock *lock = it_rwlock(client, it->path);
    int rc = 0;
    it_await((rc = zks_rwlock_wrlock(lock, 0)) != ZKS_EDISCONNECTED);
    it_equal(rc, ZKS_EVERSION);
    check_sentence(proxy);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
}

static void the_command(void **state)
{
    static const char *const words[] = {"lock", "lock -n", "lock -w 20", "double-barrier -n 1"};
    struct it *it = *state;
    char said[COMMAND_SAID_MAX];
    char line[400];
    char why[100];
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    frameproxy_speak_3_4(proxy);
    (void)snprintf(why, sizeof why, "%s: ZooKeeper 3.4.14, older than 3.5",
                   frameproxy_address(proxy));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        int code = 0;
        (void)snprintf(line, sizeof line, "%s %s true", words[i], it->path);
        it_await((code = command_end(command_start(frameproxy_address(proxy), line), said)) != 69 ||
                 i != 1);
        if (code != 70 || strstr(said, why) == NULL) {
            ens_fail("zksync %s: code %d: %s", words[i], code, said);
        }
    }
    frameproxy_stop(proxy);
}

/* What such servers know goes on. */
static void barriers(void **state)
{
    struct it *it = *state;
    char *below = it_child(it, "a/b");
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    frameproxy_speak_3_4(proxy);
    zks_client *client = it_open(frameproxy_address(proxy), 0);
    zks_barrier *barrier = it_barrier(client, below);
    it_ok(zks_barrier_set(barrier, IT_LIMIT_MS));
    it_equal(zks_barrier_wait(barrier, 0), ZKS_EBUSY);
    /* They cannot take back a watch, and close the connection over each attempt. */
    for (int i = 0; i < 60; i++) {
        it_equal(zks_barrier_wait(barrier, 50), ZKS_ETIMEDOUT);
    }
    it_ok(zks_barrier_unset(barrier, IT_LIMIT_MS));
    it_ok(zks_barrier_wait(barrier, IT_LIMIT_MS));
    assert_in_range(frameproxy_count(proxy, FRAME_REMOVE_WATCHES), 1, 4);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
    free(below);
}

/* What cannot be taken back is set anew with each connection, in one request with all others: it counts. */
static void watches_stay_and_count(void **state)
{
    enum { MANY = 100 };
    struct it *it = *state;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    frameproxy_speak_3_4(proxy);
    zks_client_options options = it_options(frameproxy_address(proxy), 0);
    options.max_session_bytes = ZKS_SESSION_BYTES_MIN;
    zks_client *client = it_open_with(&options);
    int rc = ZKS_ETIMEDOUT;
    for (int i = 0; i < MANY && rc == ZKS_ETIMEDOUT; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "%090d", i);
        char *path = it_child(it, name);
        zks_barrier *barrier = it_barrier(client, path);
        it_ok(zks_barrier_set(barrier, IT_LIMIT_MS));
        rc = zks_barrier_wait(barrier, 50);
        zks_barrier_free(barrier);
        free(path);
    }
    it_equal(rc, ZKS_ELIMIT);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(locks_and_double_barriers), it_test(a_try),       it_test(barriers),
        it_test(watches_stay_and_count),    it_test(the_command),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("old servers", tests, NULL, NULL);
}
