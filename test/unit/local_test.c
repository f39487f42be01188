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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "zksync/zksync.h"

enum { CLAIMS = 5000, ONLOOKERS = 4 };

static char home[] = "/tmp/zksync-local-XXXXXX";

static int make_home(void **state)
{
    (void)state;
    return mkdtemp(home) != NULL && setenv("XDG_STATE_HOME", home, 1) == 0 ? 0 : -1;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_look_is_in_nobodys_way),
        cmocka_unit_test(test_a_server_that_ends),
        cmocka_unit_test(test_a_folder_that_goes),
        cmocka_unit_test(test_a_child_that_was_forked),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
