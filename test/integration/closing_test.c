/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that end while they are in use, and one that never came to be.  It looks into the client,
 * to know that calls are under way. */
#include <stdatomic.h>

#include "common.h"
#include "driver/client.h"
#include "frameproxy.h"

enum { LISTERS = 64 };

struct list_call {
    zks_client *client;
    const char *path;
    int result;
};

static void *list_forever(void *arg)
{
    struct list_call *call = arg;
    struct zks_contender *list = NULL;
    size_t count = 0;
    call->result = zks_rwlock_list(call->client, call->path, ZKS_FOREVER, &list, &count);
    zks_contenders_free(list, count);
    return NULL;
}

static unsigned guests(zks_client *client)
{
    pthread_mutex_lock(&client->lock);
    unsigned count = client->guests;
    pthread_mutex_unlock(&client->lock);
    return count;
}

static void while_others_list(void **state)
{
    struct it *it = *state;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    for (unsigned round = 0; round < 10; round++) {
        zks_client *client = it_open(frameproxy_address(proxy), 0);
        struct list_call calls[LISTERS];
        pthread_t threads[LISTERS];
        frameproxy_hold(proxy);
        for (size_t i = 0; i < LISTERS; i++) {
            calls[i] = (struct list_call){client, it->path, 0};
            threads[i] = it_thread_start(list_forever, &calls[i]);
        }
        /* Each call counts twice: with its handle, and while it waits. */
        it_await(guests(client) == 2 * LISTERS);
        it_ok(zks_client_close(client));
        for (size_t i = 0; i < LISTERS; i++) {
            (void)it_thread_join(threads[i]);
            it_equal(calls[i].result, ZKS_ECLOSED);
        }
        frameproxy_release(proxy);
    }
    frameproxy_stop(proxy);
}

struct pair {
    zks_rwlock *lock[2];
    unsigned lost;
    bool listener_frees;
};

static void free_both(struct pair *pair)
{
    for (size_t i = 0; i < 2; i++) {
        zks_rwlock_free(pair->lock[i]);
        pair->lock[i] = NULL;
    }
}

static void on_lost(zks_rwlock *lock, void *arg)
{
    struct pair *pair = arg;
    (void)lock;
    pair->lost++;
    free_both(pair);
}

static void on_state(zks_client *client, enum zks_client_state now, void *arg)
{
    struct pair *pair = arg;
    (void)client;
    if (now == ZKS_CLIENT_CLOSED && pair->listener_frees) {
        free_both(pair);
    }
}

/* Losses that nobody has dispatched are told at the end, unless their handles have been freed. */
static void with_losses_to_be_told(void **state)
{
    struct it *it = *state;
    const char *const names[] = {"first", "second"};
    for (unsigned listener_frees = 0; listener_frees < 2; listener_frees++) {
        struct pair pair = {.listener_frees = listener_frees};
        zks_client *client = NULL;
        zks_client_options options = it_options(NULL, IT_SESSION_MS);
        zks_rwlock_options how = ZKS_RWLOCK_OPTIONS_INIT;
        options.manual_dispatch = true;
        options.listener = on_state;
        options.listener_arg = &pair;
        how.lost = on_lost;
        how.lost_arg = &pair;
        it_ok(zks_client_open(&options, &client));
        for (size_t i = 0; i < 2; i++) {
            char node[IT_PATH_MAX + 100];
            char *path = it_child(it, names[i]);
            it_ok(zks_rwlock_new(client, path, &how, &pair.lock[i]));
            it_ok(zks_rwlock_wrlock(pair.lock[i], IT_LIMIT_MS));
            assert_true(zks_rwlock_node(pair.lock[i], node, sizeof node) < sizeof node);
            rawzk_delete(it->raw, node);
            it_await(zks_rwlock_held(pair.lock[i]) == 0);
            free(path);
        }
        it_ok(zks_client_close(client));
        assert_int_equal(pair.lost, listener_frees ? 0 : 1);
        assert_null(pair.lock[0]);
    }
}

static void *open_it(void *arg)
{
    zks_client *client = NULL;
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers = arg;
    options.session_timeout_ms = IT_SESSION_MS;
    options.connect_timeout_ms = 2 * IT_SESSION_MS; /* Longer than the session can live. */
    return (void *)(intptr_t)zks_client_open(&options, &client);
}

/* The server takes the connection, and breaks down before it has answered anything. */
static void before_anything_was_answered(void **state)
{
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    (void)state;
    frameproxy_swallow_request(proxy, FRAME_EXISTS, "/", 1);
    pthread_t thread = it_thread_start(open_it, (void *)(uintptr_t)frameproxy_address(proxy));
    assert_true(frameproxy_await_hit(proxy, IT_LIMIT_MS));
    frameproxy_hold(proxy);
    it_equal((int)(intptr_t)it_thread_join(thread), ZKS_EDISCONNECTED);
    frameproxy_stop(proxy);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(while_others_list),
        it_test(with_losses_to_be_told),
        it_test(before_anything_was_answered),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("closing", tests, NULL, NULL);
}
