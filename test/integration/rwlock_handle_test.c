/* SPDX-License-Identifier: Apache-2.0 */
/* The lock's handle: its life, its callbacks, and what it leaves on the servers. */
#include <cjson/cJSON.h>
#include <poll.h>
#include <unistd.h>

#include "locks.h"

static void unlock_not_awaited(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_queued(&a, &b, ZKS_RWLOCK_WRITE, it);
    it_ok(zks_rwlock_unlock(a.lock, 0));
    assert_int_equal(zks_rwlock_held(a.lock), 0);
    it_equal(zks_rwlock_unlock(a.lock, 0), ZKS_EPERM);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    party_unlock(&b);
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    two_close(&a, &b);
}

static void handle_is_used_200_times(void **state)
{
    struct it *it = *state;
    struct party a;
    uint64_t token = 0;
    party_open(&a, NULL, 0, it->path);
    for (unsigned i = 0; i < 200; i++) {
        if (i % 3 == 0) {
            party_read(&a);
        } else {
            party_write(&a);
        }
        assert_true(zks_rwlock_token(a.lock) > token);
        token = zks_rwlock_token(a.lock);
        it_ok(zks_rwlock_unlock(a.lock, i % 2 ? IT_LIMIT_MS : 0));
    }
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    party_close(&a);
}

static void misuse_is_refused(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_open(&a, &b, it);
    it_equal(zks_rwlock_unlock(a.lock, IT_LIMIT_MS), ZKS_EPERM);
    it_equal(zks_rwlock_downgrade(a.lock, IT_LIMIT_MS), ZKS_EPERM);
    party_read(&a);
    it_equal(zks_rwlock_downgrade(a.lock, IT_LIMIT_MS), ZKS_EPERM);
    it_equal(zks_rwlock_rdlock(a.lock, IT_LIMIT_MS), ZKS_EDEADLK);
    it_equal(zks_rwlock_wrlock(a.lock, 0), ZKS_EDEADLK);
    assert_int_equal(zks_rwlock_held(a.lock), ZKS_RWLOCK_READ);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    it_equal(zks_rwlock_wrlock(b.lock, IT_LIMIT_MS), ZKS_EDEADLK);
    it_equal(zks_rwlock_rdlock(b.lock, 0), ZKS_EDEADLK);
    it_equal(zks_rwlock_unlock(b.lock, IT_LIMIT_MS), ZKS_EPERM);
    it_equal(zks_rwlock_rdlock(b.lock, -2), ZKS_EINVAL);
    it_equal(zks_rwlock_unlock(a.lock, -2), ZKS_EINVAL);
    assert_false(it_op_done(&b.op));
    party_unlock(&a);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    two_close(&a, &b);
}

static void freeing_a_held_handle_releases(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_queued(&a, &b, ZKS_RWLOCK_WRITE, it);
    zks_rwlock_free(a.lock);
    a.lock = NULL;
    party_granted(&b, ZKS_RWLOCK_WRITE);
    assert_int_equal(atomic_load(&a.lost), 0);
    two_close(&a, &b);
}

static void freeing_a_waiting_handle_completes_it(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_queued(&a, &b, ZKS_RWLOCK_READ, it);
    zks_rwlock_free(b.lock);
    b.lock = NULL;
    assert_true(it_op_done(&b.op));
    it_equal(it_op_wait(&b.op), ZKS_ECLOSED);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    two_close(&a, &b);
}

/* Freed at every stage of its way to the lock. */
static void freeing_at_any_moment_leaves_nothing(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, 0, it->path);
    for (unsigned i = 0; i < 60; i++) {
        zks_rwlock *lock = it_rwlock(a.client, it->path);
        it_ok(zks_rwlock_wrlock_op(lock, ZKS_FOREVER, &a.op.op));
        const struct timespec wait = {0, (long)i * 100000};
        (void)nanosleep(&wait, NULL);
        zks_rwlock_free(lock);
        int rc = it_op_wait(&a.op);
        if (rc != 0) {
            it_equal(rc, ZKS_ECLOSED);
        }
    }
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    party_write(&a);
    party_close(&a);
}

/* Dispatches until the operation is done; it must not complete anywhere else. */
static int await_dispatched(zks_client *client, struct it_op *op)
{
    while (!it_op_done(op)) {
        struct pollfd ready = {.fd = zks_client_fd(client), .events = POLLIN};
        assert_int_equal(poll(&ready, 1, IT_LIMIT_MS), 1);
        assert_false(it_op_done(op));
        assert_true(zks_client_dispatch(client) >= 0);
    }
    return it_op_wait(op);
}

static void manual_dispatch_in_both_modes(void **state)
{
    struct it *it = *state;
    struct party other;
    struct it_op op;
    zks_client *client = NULL;
    zks_client_options options = it_options(NULL, 0);
    options.manual_dispatch = true;
    it_ok(zks_client_open(&options, &client));
    assert_true(zks_client_fd(client) >= 0);
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_op_init(&op);
    party_open(&other, NULL, 0, it->path);
    for (unsigned i = 0; i < 10; i++) {
        party_write(&other);
        if (i % 2) {
            it_ok(zks_rwlock_rdlock_op(lock, ZKS_FOREVER, &op.op));
        } else {
            it_ok(zks_rwlock_wrlock_op(lock, ZKS_FOREVER, &op.op));
        }
        rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
        party_unlock(&other);
        it_ok(await_dispatched(client, &op));
        assert_int_equal(zks_rwlock_held(lock), i % 2 ? ZKS_RWLOCK_READ : ZKS_RWLOCK_WRITE);
        it_ok(zks_rwlock_unlock_op(lock, ZKS_FOREVER, &op.op));
        it_ok(await_dispatched(client, &op));
        assert_int_equal(zks_rwlock_held(lock), 0);
    }
    it_equal(zks_client_fd(other.client), ZKS_EINVAL);
    it_equal(zks_client_dispatch(other.client), ZKS_EINVAL);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    party_close(&other);
}

static void count_lost(zks_rwlock *lock, void *arg)
{
    (void)lock;
    ++*(unsigned *)arg;
}

/* Where nobody has dispatched a loss before an unlock said so, it is not told of the next holding. */
static void a_loss_is_not_told_of_the_next_holding(void **state)
{
    struct it *it = *state;
    unsigned lost = 0;
    zks_client *client = NULL;
    zks_rwlock *lock = NULL;
    zks_client_options options = it_options(NULL, IT_SESSION_MS);
    zks_rwlock_options how = ZKS_RWLOCK_OPTIONS_INIT;
    options.manual_dispatch = true;
    how.lost = count_lost;
    how.lost_arg = &lost;
    it_ok(zks_client_open(&options, &client));
    it_ok(zks_rwlock_new(client, it->path, &how, &lock));
    for (unsigned dispatched = 0; dispatched < 2; dispatched++) {
        char node[IT_PATH_MAX + 100];
        it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
        assert_true(zks_rwlock_node(lock, node, sizeof node) < sizeof node);
        rawzk_delete(it->raw, node);
        it_await(zks_rwlock_held(lock) == 0);
        if (dispatched) {
            (void)zks_client_dispatch(client);
        }
        it_equal(zks_rwlock_unlock(lock, IT_LIMIT_MS), ZKS_ELOST);
        it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
        (void)zks_client_dispatch(client);
        assert_int_equal(lost, dispatched);
        it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
    }
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
}

struct chain {
    zks_op op;
    zks_rwlock *lock;
    unsigned steps;
    struct it_op end;
};

enum { CHAIN_STEPS = 40 };

/* Locks and unlocks in turn, each from the completion of the one before, with the same memory. */
static void next_step(zks_op *op, int result, void *arg)
{
    struct chain *chain = arg;
    if (result != 0 || ++chain->steps == CHAIN_STEPS) {
        /* The end is itself an operation: an unlock that is refused, since nothing is held. */
        result = result ? result : zks_rwlock_unlock_op(chain->lock, ZKS_FOREVER, &chain->end.op);
        if (result != 0) {
            ens_fail("the chain: %s", zks_err_name(result));
        }
        return;
    }
    int rc = chain->steps % 2 ? zks_rwlock_unlock_op(chain->lock, ZKS_FOREVER, op)
                              : zks_rwlock_wrlock_op(chain->lock, ZKS_FOREVER, op);
    if (rc != 0) {
        ens_fail("a start in a completion: %s", zks_err_name(rc));
    }
}

static void completion_starts_the_next(void **state)
{
    struct it *it = *state;
    struct chain chain = {.steps = 0};
    zks_client *client = it_open(NULL, 0);
    chain.lock = it_rwlock(client, it->path);
    it_op_init(&chain.end);
    zks_op_init(&chain.op, next_step, &chain);
    it_ok(zks_rwlock_wrlock_op(chain.lock, ZKS_FOREVER, &chain.op));
    it_equal(it_op_wait(&chain.end), ZKS_EPERM);
    assert_int_equal(chain.steps, CHAIN_STEPS);
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    zks_rwlock_free(chain.lock);
    it_ok(zks_client_close(client));
}

struct blocking {
    zks_op op;
    zks_client *client;
    zks_rwlock *lock;
    zks_rwlock *other;
    atomic_bool done;
    int rdlock, wrlock, unlock, downgrade, list, close, unlock_at_once, held;
};

static void block(zks_op *op, int result, void *arg)
{
    struct blocking *b = arg;
    struct zks_contender *list = NULL;
    size_t count = 0;
    (void)op;
    b->held = result;
    b->rdlock = zks_rwlock_rdlock(b->other, IT_LIMIT_MS);
    b->wrlock = zks_rwlock_wrlock(b->other, ZKS_FOREVER);
    b->unlock = zks_rwlock_unlock(b->lock, IT_LIMIT_MS);
    b->downgrade = zks_rwlock_downgrade(b->lock, IT_LIMIT_MS);
    b->list = zks_rwlock_list(b->client, "/zksync-test", IT_LIMIT_MS, &list, &count);
    b->close = zks_client_close(b->client);
    b->held = b->held ? b->held : zks_rwlock_held(b->lock);
    b->unlock_at_once = zks_rwlock_unlock(b->lock, 0);
    atomic_store(&b->done, true);
}

static void blocking_in_a_callback_is_refused(void **state)
{
    struct it *it = *state;
    struct blocking b = {.done = false};
    b.client = it_open(NULL, 0);
    b.lock = it_rwlock(b.client, it->path);
    b.other = it_rwlock(b.client, it->path);
    zks_op_init(&b.op, block, &b);
    it_ok(zks_rwlock_wrlock_op(b.lock, ZKS_FOREVER, &b.op));
    it_await(atomic_load(&b.done));
    it_equal(b.rdlock, ZKS_EDEADLK);
    it_equal(b.wrlock, ZKS_EDEADLK);
    it_equal(b.unlock, ZKS_EDEADLK);
    it_equal(b.downgrade, ZKS_EDEADLK);
    it_equal(b.list, ZKS_EDEADLK);
    it_equal(b.close, ZKS_EDEADLK);
    assert_int_equal(b.held, ZKS_RWLOCK_WRITE);
    it_ok(b.unlock_at_once);
    it_ok(zks_rwlock_wrlock(b.other, IT_LIMIT_MS));
    zks_rwlock_free(b.lock);
    zks_rwlock_free(b.other);
    it_ok(zks_client_close(b.client));
}

static void a_znode_with_data_works_as_a_lock(void **state)
{
    struct it *it = *state;
    struct party a;
    struct Stat stat;
    char data[32];
    size_t length = sizeof data;
    rawzk_create_path(it->raw, it->path);
    rawzk_set(it->raw, it->path, "a file", 6);
    party_open(&a, NULL, 0, it->path);
    party_write(&a);
    party_unlock(&a);
    party_close(&a);
    assert_true(rawzk_get(it->raw, it->path, data, &length, &stat));
    assert_int_equal(length, 6);
    assert_memory_equal(data, "a file", 6);
    assert_int_equal(stat.version, 1);
}

static void below_an_ephemeral_is_an_error(void **state)
{
    struct it *it = *state;
    rawzk_create_path(it->raw, it->path);
    char *ephemeral = it_child(it, "ephemeral");
    char *child = it_child(it, "ephemeral/lock");
    char *grandchild = it_child(it, "ephemeral/locks/one");
    const char *const paths[] = {ephemeral, child, grandchild};
    rawzk_create(it->raw, ephemeral, NULL, ZOO_EPHEMERAL, NULL, 0);
    zks_client *client = it_open(NULL, 0);
    for (size_t i = 0; i < 3; i++) {
        zks_rwlock *lock = it_rwlock(client, paths[i]);
        it_equal(zks_rwlock_wrlock(lock, IT_LIMIT_MS), ZKS_EEPHEMERAL);
        it_equal(zks_rwlock_rdlock(lock, 0), ZKS_EEPHEMERAL);
        assert_int_equal(zks_rwlock_held(lock), 0);
        zks_rwlock_free(lock);
    }
    it_ok(zks_client_close(client));
    free(ephemeral);
    free(child);
    free(grandchild);
}

static void foreign_children_are_ignored(void **state)
{
    static const char *const names[] = {"foo",         "write",           "-write-",
                                        "x-write-abc", "_c_0-read-",      "x-0000000000",
                                        "read",        "lock-0000000000", "x-write-99999999999"};
    struct it *it = *state;
    struct party a;
    struct zks_contender *list = NULL;
    size_t count = 0;
    rawzk_create_path(it->raw, it->path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = it_child(it, names[i]);
        rawzk_create(it->raw, path, "foreign", 0, NULL, 0);
        free(path);
    }
    party_open(&a, NULL, 0, it->path);
    party_write(&a);
    it_ok(zks_rwlock_list(a.client, it->path, IT_LIMIT_MS, &list, &count));
    assert_int_equal(count, 1);
    zks_contenders_free(list, count);
    it_ok(zks_rwlock_downgrade(a.lock, IT_LIMIT_MS));
    party_unlock(&a);
    party_close(&a);
    assert_int_equal(rawzk_count_children(it->raw, it->path), sizeof names / sizeof names[0]);
}

static void held_znode_taken_away_is_lost(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    party_open(&a, NULL, IT_SESSION_MS, it->path);
    party_open(&b, NULL, 0, it->path);
    for (unsigned i = 0; i < 2; i++) {
        party_write(&a);
        char *node = party_node(&a);
        if (i == 1) {
            it_ok(zks_rwlock_downgrade(a.lock, IT_LIMIT_MS));
            free(node);
            node = party_node(&a);
        }
        rawzk_delete(it->raw, node);
        it_await(atomic_load(&a.lost) == i + 1);
        assert_int_equal(zks_rwlock_held(a.lock), 0);
        assert_int_equal(zks_rwlock_token(a.lock), 0);
        it_equal(zks_rwlock_wrlock(a.lock, 0), ZKS_ELOST);
        party_write(&b);
        it_equal(zks_rwlock_unlock(a.lock, IT_LIMIT_MS), ZKS_ELOST);
        it_equal(zks_rwlock_unlock(a.lock, IT_LIMIT_MS), ZKS_EPERM);
        party_unlock(&b);
        free(node);
    }
    two_close(&a, &b);
}

static void waiting_znode_taken_away_is_queued_again(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    struct rawzk_names names;
    two_open(&a, &b, it);
    party_write(&a);
    char *holder = party_node(&a);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    party_await_waiting(&b);
    rawzk_children(it->raw, it->path, &names);
    assert_int_equal(names.count, 2);
    size_t other = strcmp(strrchr(holder, '/') + 1, names.name[0]) == 0 ? 1 : 0;
    char *waiter = it_child(it, names.name[other]);
    rawzk_names_free(&names);
    rawzk_delete(it->raw, waiter);
    party_unlock(&a);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    char *node = party_node(&b);
    assert_string_not_equal(node, waiter);
    assert_true(rawzk_exists(it->raw, node, NULL));
    assert_int_equal(rawzk_count_children(it->raw, it->path), 1);
    free(holder);
    free(waiter);
    free(node);
    two_close(&a, &b);
}

static void data_and_waits_for_name_the_holder(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    char data[1024];
    char seen[256];
    char host[256];
    size_t length = sizeof data;
    two_open(&a, &b, it);
    party_write(&a);
    assert_int_equal(zks_rwlock_waits_for(a.lock, seen, sizeof seen), 0);
    char *node = party_node(&a);
    assert_true(rawzk_get(it->raw, node, data, &length, NULL));
    free(node);
    cJSON *json = cJSON_Parse(data);
    assert_non_null(json);
    assert_int_equal(gethostname(host, sizeof host), 0);
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(json, "host"));
    assert_non_null(name);
    assert_string_equal(name, host);
    assert_int_equal((int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(json, "pid")), getpid());
    cJSON_Delete(json);
    party_queue(&b, ZKS_RWLOCK_READ, it, it->path, 2);
    it_await(zks_rwlock_waits_for(b.lock, seen, sizeof seen) > 0);
    assert_int_equal(strncmp(seen, data, strlen(seen)), 0);
    assert_int_equal(strlen(seen), strlen(data) < 255 ? strlen(data) : 255);
    char cut[8];
    assert_int_equal(zks_rwlock_waits_for(b.lock, cut, sizeof cut), strlen(seen));
    assert_int_equal(strlen(cut), sizeof cut - 1);
    party_unlock(&a);
    party_granted(&b, ZKS_RWLOCK_READ);
    assert_int_equal(zks_rwlock_waits_for(b.lock, seen, sizeof seen), 0);
    assert_string_equal(seen, "");
    two_close(&a, &b);
}

/* A write that goes through only while the lock is held. */
static int guarded_create(struct it *it, const char *guard, const char *path)
{
    zoo_op_t ops[2];
    zoo_op_result_t results[2];
    memset(results, 0, sizeof results);
    zoo_check_op_init(&ops[0], guard, -1);
    zoo_create_op_init(&ops[1], path, NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    int rc = ZCONNECTIONLOSS;
    it_await((rc = zoo_multi(rawzk_handle(it->raw), 2, ops, results)) != ZCONNECTIONLOSS);
    return rc;
}

static void node_guards_a_multi(void **state)
{
    struct it *it = *state;
    struct party a;
    char *first = it_child(it, "first");
    char *second = it_child(it, "second");
    party_open(&a, NULL, 0, it->path);
    party_write(&a);
    char *node = party_node(&a);
    char cut[10];
    assert_int_equal(zks_rwlock_node(a.lock, cut, sizeof cut), strlen(node));
    assert_int_equal(strlen(cut), sizeof cut - 1);
    assert_int_equal(strncmp(node, cut, strlen(cut)), 0);
    assert_int_equal(guarded_create(it, node, first), ZOK);
    party_unlock(&a);
    assert_int_equal(guarded_create(it, node, second), ZNONODE);
    assert_true(rawzk_exists(it->raw, first, NULL));
    assert_false(rawzk_exists(it->raw, second, NULL));
    free(node);
    free(first);
    free(second);
    party_close(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(unlock_not_awaited),
        it_test(handle_is_used_200_times),
        it_test(misuse_is_refused),
        it_test(freeing_a_held_handle_releases),
        it_test(freeing_a_waiting_handle_completes_it),
        it_test(freeing_at_any_moment_leaves_nothing),
        it_test(manual_dispatch_in_both_modes),
        it_test(a_loss_is_not_told_of_the_next_holding),
        it_test(completion_starts_the_next),
        it_test(blocking_in_a_callback_is_refused),
        it_test(a_znode_with_data_works_as_a_lock),
        it_test(below_an_ephemeral_is_an_error),
        it_test(foreign_children_are_ignored),
        it_test(held_znode_taken_away_is_lost),
        it_test(waiting_znode_taken_away_is_queued_again),
        it_test(data_and_waits_for_name_the_holder),
        it_test(node_guards_a_multi),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("rwlock_handle", tests, NULL, NULL);
}
