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

enum { CLAIMS = 5000, ONLOOKERS = 4, LEASE_MS = 20000 };

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

static void run(const char *command)
{
    char line[128];
    (void)snprintf(line, sizeof line, command, home, home);
    assert_int_equal(system(line), 0);
}

/* While the first one has not released its claim there is no other one, though its folder has gone. */
static void test_a_folder_that_goes(void **state)
{
    struct zks_local_claim *none = NULL;
    (void)state;
    struct zks_local_claim *first = claim();
    assert_int_equal(zks_local_claim_check(first), 0);
    rename_folder("zksync", "away");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(zks_local_claim_check(first), ZKS_ENOENT);
        assert_int_equal(zks_local_claim(NULL, NULL, &none), ZKS_EEXIST);
        assert_int_equal(zks_local_pid(NULL, NULL), ZKS_EBUSY);
        run("rm -r %s/.zksync.lock %s/zksync 2> /dev/null || :");
    }
    zks_local_release(first);
    zks_local_release(claim());
}

/* Whoever begins to serve has to wait about so long, and is killed by `end` at the latest. */
enum end { WAITING, KILLED, STOPPED };

static void serve(const char *id, bool is_empty, int64_t wait_ms, int64_t lease_ms, enum end end)
{
    struct zks_local_claim *server = claim();
    zks_local_lease(server,
                    LEASE_MS /
                        2); /* That of a session which was there, before it is known whose it is. */
    int64_t told_ms = zks_local_wait_ms(server, id, is_empty);
    assert_in_range(told_ms, wait_ms > 0 ? wait_ms - LEASE_MS / 2 : 0, wait_ms);
    if (end != WAITING) {
        assert_int_equal(zks_local_publish(server, "127.0.0.1:9", false), 0);
        zks_local_lease(server, lease_ms);
    }
    if (end == STOPPED) {
        zks_local_stopped(server, lease_ms);
    }
    zks_local_release(server);
}

/* Clients count on what a server has granted when its folder is another one, or has lost what was in it. */
static void test_a_folder_that_has_gone(void **state)
{
    (void)state;
    serve("1.1", true, 0, LEASE_MS, KILLED);
    serve("1.1", false, 0, LEASE_MS, KILLED);
    serve("1.1", true, LEASE_MS, LEASE_MS, KILLED);
    run("rm %s/zksync/server.lock"); /* The data are there. */
    serve("1.1", false, 0, LEASE_MS, KILLED);
    run("rm -r %s/zksync");
    serve("2.1", true, LEASE_MS, 0, WAITING);
    serve("3.1", false, LEASE_MS, 0, WAITING);
    serve("1.1", false, 0, 0, WAITING);      /* The first one has come back. */
    serve("2.1", true, LEASE_MS, 0, KILLED); /* It has granted nothing. */
    serve("1.1", false, 0, LEASE_MS, STOPPED);
    serve("2.1", true, LEASE_MS, 0, STOPPED); /* What has ended can be taken up for so long. */
    serve("3.1", true, 0, 0, STOPPED);
}

/* Who waits is not to begin anew when the one that waited has gone. */
static void test_a_wait_that_is_taken_over(void **state)
{
    static const char over[] = "sed -i 's/^until .*/until 1/' %s/.zksync.lock";
    static const char later[] = "sed -i 's/^until .*/until 9000000000000000000/' %s/.zksync.lock";
    static const char boot[] = "sed -i 's/^boot .*/boot 1/' %s/.zksync.lock";
    static const char name[] = "sed -i 's/^host .*/host elsewhere/' %s/.zksync.lock";
    static const char none[] = "sed -i 's/^lease .*/lease -1/' %s/.zksync.lock";
    static const char most[] = "sed -i 's/^lease .*/lease 4294967296/' %s/.zksync.lock";
    (void)state;
    serve("1.1", true, 0, LEASE_MS, KILLED);
    serve("2.1", true, LEASE_MS, 0, WAITING);
    run(over);
    serve("2.1", true, 0, 0, WAITING);
    run(later); /* Of a clock that is not ours. */
    serve("2.1", true, LEASE_MS, 0, WAITING);
    run(over);
    run(name); /* It was another host that waited, by a clock of its own. */
    run(boot);
    serve("2.1", true, LEASE_MS, 0, WAITING);
    run(boot); /* The host has been started again, and with it each client. */
    serve("2.1", true, 0, LEASE_MS, KILLED);
    run(none);
    serve("1.1", true, 0, LEASE_MS, KILLED);
    run(most);
    serve("3.1", true, INT32_MAX, 0, WAITING);
    run(": > %s/.zksync.lock");
    serve("4.1", true, 0, 0, STOPPED);
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

/* A program that is no server. */
static void make_program(char path[64], const char *script)
{
    (void)snprintf(path, 64, "%s/program", home);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\ncd %s\n%s", home, script);
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
    struct zks_local local;
    struct zks__limit none = zks__limit_of(0, -1);
    (void)state;
    make_program(path, "exec sleep 2\n");
    assert_int_equal(setenv("ZKSYNC_COMMAND", path, 1), 0);
    assert_int_equal(zks__local_way_init(&way, NULL, NULL), 0);
    /* Too slow for one that is in a hurry is no failure to the others. */
    assert_int_equal(zks__local_start(&way, 0, &none, &local), ZKS_EDISCONNECTED);
    /* It counts how often it was run, says why it fails, and leaves one behind that keeps its output open. */
    make_program(path,
                 "echo >> runs\nsleep 60 &\necho $! >> left\necho zksync: no luck >&2\nexit 71\n");
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
        cmocka_unit_test(test_a_wait_that_is_taken_over),
        cmocka_unit_test(test_a_start_that_fails),
        cmocka_unit_test(test_a_child_that_was_forked),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
