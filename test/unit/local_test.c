/* SPDX-License-Identifier: Apache-2.0 */
/* The record of the local server, as seen by one who looks for it and by the server itself. */
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "local/local.h"
#include "zksync/zksync.h"

enum { CLAIMS = 5000, ONLOOKERS = 4 };

static char home[] = "/tmp/zksync-local-XXXXXX";

static int make_home(void **state)
{
    (void)state;
    /* Without a service manager, which would have its own try at a start. */
    return mkdtemp(home) != NULL && setenv("XDG_STATE_HOME", home, 1) == 0 &&
                   setenv("XDG_RUNTIME_DIR", home, 1) == 0
               ? 0
               : -1;
}

static int remove_home(void **state)
{
    char command[64];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", home);
    return system(command);
}

static struct zks_local_claim *claim(void)
{
    struct zks_local_claim *made = NULL;
    assert_int_equal(zks_local_claim(NULL, NULL, &made), 0);
    return made;
}

static void *look_on(void *arg)
{
    atomic_bool *ends = arg;
    struct zks_local local;
    while (!atomic_load(ends)) {
        (void)zks_local_find(0, NULL, NULL, &local);
    }
    return NULL;
}

/* A look does not make a server believe that there is another one. */
static void test_a_look_is_in_nobodys_way(void **state)
{
    atomic_bool ends = false;
    pthread_t threads[ONLOOKERS];
    (void)state;
    zks_local_release(claim()); /* Now there is a file to look at. */
    for (int i = 0; i < ONLOOKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look_on, &ends), 0);
    }
    int claims = getenv("ZKSYNC_TEST_SLOW") != NULL ? CLAIMS / 50 : CLAIMS;
    for (int i = 0; i < claims; i++) {
        zks_local_release(claim());
    }
    atomic_store(&ends, true);
    for (int i = 0; i < ONLOOKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void *find(void *arg)
{
    struct zks_local local;
    *(int *)arg = zks_local_find(ZKS_FOREVER, NULL, NULL, &local);
    return NULL;
}

/* One that accepts no requests any more is about to end: it is waited for. */
static void test_a_server_that_ends(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char address[32];
    int found = 0;
    pthread_t thread;
    (void)state;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(door, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(door, 8), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    struct zks_local_claim *server = claim();
    assert_int_equal(zks_local_publish(server, address, true), 0);
    assert_int_equal(pthread_create(&thread, NULL, find, &found), 0);
    assert_int_equal(close(accept(door, NULL, NULL)), 0);
    assert_int_equal(close(door), 0);
    zks_local_release(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(found, ZKS_ENOENT);
}

static void rename_folder(const char *from, const char *to)
{
    char old[64];
    char new[64];
    (void)snprintf(old, sizeof old, "%s/%s", home, from);
    (void)snprintf(new, sizeof new, "%s/%s", home, to);
    assert_int_equal(rename(old, new), 0);
}

/* While the first one has not released its claim there is no other one, though its folder has gone. */
static void test_a_folder_that_goes(void **state)
{
    struct zks_local_claim *none = NULL;
    (void)state;
    struct zks_local_claim *first = claim();
    assert_int_equal(zks_local_claim_check(first), 0);
    rename_folder("zksync", "away");
    assert_int_equal(zks_local_claim_check(first), ZKS_ENOENT);
    assert_int_equal(zks_local_claim(NULL, NULL, &none), ZKS_EEXIST);
    assert_int_equal(zks_local_pid(NULL, NULL), ZKS_EBUSY);
    zks_local_release(first);
    zks_local_release(claim());
}

static void run(const char *command)
{
    char line[128];
    (void)snprintf(line, sizeof line, command, home);
    assert_int_equal(system(line), 0);
}

static void serve_once(int64_t lease_ms)
{
    struct zks_local_claim *server = claim();
    assert_int_equal(server->wait_ms, 0);
    run("mkdir -p %s/zksync/data && touch $XDG_STATE_HOME/zksync/data/lock");
    zks_local_lease(server, 20000);
    assert_int_equal(zks_local_publish(server, "127.0.0.1:9", false), 0);
    zks_local_lease(server, lease_ms);
    zks_local_release(server);
}

static void expect_wait(uint32_t wait_ms)
{
    struct zks_local_claim *next = claim();
    assert_int_equal(next->wait_ms, wait_ms);
    zks_local_release(next);
}

/* What the clients of a server that has ended may count on is not in a folder that is new. */
static void test_a_folder_that_has_gone(void **state)
{
    static const char boot[] = "sed -i 's/^boot .*/boot 1/' %s/.zksync.lock";
    static const char name[] = "sed -i 's/^host .*/host elsewhere/' %s/.zksync.lock";
    (void)state;
    serve_once(5000);
    serve_once(5000); /* The folder is the same. */
    run("rm -r %s/zksync");
    expect_wait(5000);
    expect_wait(5000); /* Nobody has served meanwhile. */
    run("rm %s/.zksync.lock");
    serve_once(5000);
    run("rm -r %s/zksync/data");
    expect_wait(5000);
    run("mkdir %s/zksync/data");
    expect_wait(5000);
    run("rm %s/.zksync.lock");
    serve_once(5000);
    run("rm %s/zksync/server.lock"); /* Who knows whose data these are? */
    expect_wait(5000);
    run(boot); /* The host has been started again, and with it each client. */
    expect_wait(0);
    run(name); /* No, it is another one's. */
    expect_wait(5000);
    run(": > %s/.zksync.lock"); /* As after a write that failed. */
    expect_wait(0);
    serve_once(0);
    run("rm -r %s/zksync");
    expect_wait(0);
}

/* A child has copies of all descriptors, which must not hold a claim that its parent has given up. */
static void test_a_child_that_was_forked(void **state)
{
    int ends[2];
    char end;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    struct zks_local_claim *first = claim();
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[1]);
        (void)!read(ends[0], &end, 1);
        _exit(0);
    }
    assert_true(child > 0);
    zks_local_release(first);
    zks_local_release(claim());
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* ---- Starting one ---- */

/* A program that is no server: it counts how often it was run, says why it fails, and leaves one behind that keeps
 * its output open. */
static void make_program(char path[64])
{
    (void)snprintf(path, 64, "%s/program", home);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "#!/bin/sh\necho >> %s/runs\nsleep 60 &\necho $! >> %s/left\n"
                  "echo zksync: no luck >&2\nexit 71\n",
                  home, home);
    assert_int_equal(fchmod(fileno(file), 0700), 0);
    assert_int_equal(fclose(file), 0);
}

static long runs(void)
{
    struct stat info;
    char path[64];
    (void)snprintf(path, sizeof path, "%s/runs", home);
    return stat(path, &info) == 0 ? (long)info.st_size : 0;
}

static void start(struct zks__local_way *way, int64_t pause_ms)
{
    struct zks_local local;
    struct zks__limit limit = zks__limit_of(ZKS_FOREVER, -1);
    assert_int_equal(zks__local_start(way, pause_ms, &limit, &local), ZKS_EDISCONNECTED);
    assert_non_null(strstr(zks_last_error(), "cannot be started: no luck"));
}

/* Of many clients that have lost one server each would try it. */
static void test_a_start_that_fails(void **state)
{
    char path[64];
    struct zks__local_way way;
    (void)state;
    make_program(path);
    assert_int_equal(setenv("ZKSYNC_COMMAND", path, 1), 0);
    assert_int_equal(zks__local_way_init(&way, NULL, NULL), 0);
    start(&way, INT64_MAX);
    assert_int_equal(runs(), 1);
    start(&way, INT64_MAX);
    assert_int_equal(runs(), 1);
    start(&way, 0);
    assert_int_equal(runs(), 2);
    zks__local_way_close(&way);
    /* Another program may have more luck. */
    char link[80];
    (void)snprintf(link, sizeof link, "%s.link", path);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(setenv("ZKSYNC_COMMAND", link, 1), 0);
    assert_int_equal(zks__local_way_init(&way, NULL, NULL), 0);
    start(&way, INT64_MAX);
    assert_int_equal(runs(), 3);
    zks__local_way_close(&way);
    assert_int_equal(unsetenv("ZKSYNC_COMMAND"), 0);
    run("kill $(cat %s/left)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_look_is_in_nobodys_way),
        cmocka_unit_test(test_a_server_that_ends),
        cmocka_unit_test(test_a_folder_that_goes),
        cmocka_unit_test(test_a_folder_that_has_gone),
        cmocka_unit_test(test_a_start_that_fails),
        cmocka_unit_test(test_a_child_that_was_forked),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
