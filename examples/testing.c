/* SPDX-License-Identifier: Apache-2.0 */
/* A test of a program that uses zksync, on a server inside the test: no other has to run, and what can
 * befall a client happens when the test says so.
 *
 *     ./testing
 *
 * Exit code: 0 if all went as it must, 1 if not. */
#include <stdio.h>
#include <zksync/server.h>
#include <zksync/zksync.h>

static int failed;

static void expect(int got, int wanted, const char *what)
{
    printf("%s: %s\n", what, got == wanted ? "as it must" : zks_err_name(got));
    failed |= got != wanted;
}

static zks_client *connect_to(const zks_server *server)
{
    zks_client *client = NULL;
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = zks_server_address(server);
    expect(zks_client_open(&options, &client), 0, "a client connects");
    return client;
}

int main(void)
{
    zks_server *server = NULL;
    zks_rwlock *first = NULL;
    zks_rwlock *second = NULL;
    int error = zks_server_open(NULL, &server); /* In memory, on a free port. */
    if (error) {
        fprintf(stderr, "testing: %s\n", zks_strerror(error));
        return 1;
    }
    zks_client *a = connect_to(server);
    zks_client *b = connect_to(server);
    expect(zks_rwlock_new(a, "/jobs/nightly", NULL, &first), 0, "the first makes a lock");
    expect(zks_rwlock_new(b, "/jobs/nightly", NULL, &second), 0, "the second makes a lock");

    /* The server creates the znode and its answer gets lost: the lock is granted all the same. */
    zks_server_drop_reply(server, zks_client_session_id(a));
    expect(zks_rwlock_wrlock(first, 10000), 0, "the first locks");
    expect(zks_rwlock_wrlock(second, 0), ZKS_EBUSY, "the second finds it taken");

    /* The server goes away and comes back: the lock is still held. */
    zks_server_stop(server);
    expect(zks_server_start(server), 0, "the server starts again");
    expect(zks_rwlock_wrlock(second, 100), ZKS_ETIMEDOUT, "the second finds it still taken");

    /* The first one's session ends: the lock is lost, and the next one gets it. */
    zks_server_expire_session(server, zks_client_session_id(a));
    expect(zks_rwlock_wrlock(second, 10000), 0, "the second locks");
    expect(zks_rwlock_unlock(second, 10000), 0, "the second unlocks");

    zks_rwlock_free(first);
    zks_rwlock_free(second);
    zks_client_close(a);
    zks_client_close(b);
    zks_server_close(server);
    return failed;
}
