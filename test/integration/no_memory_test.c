/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation that the library makes fails once, one after the other, on its way through all
 * primitives.  The linker puts the functions below in the place of the C library's (--wrap); what
 * libzookeeper and other shared libraries allocate is not touched. */
#include <stdatomic.h>

#include "common.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__wrap_strdup(const char *text);

/* How many allocations from now the one is that fails; 0 when there is none, or it has failed. */
static atomic_int left;

static bool fails_now(void)
{
    int n = atomic_load(&left);
    while (n > 0 && !atomic_compare_exchange_weak(&left, &n, n - 1)) {
    }
    return n == 1;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = fails_now() ? NULL : __real_malloc(size);
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

/* Whether the allocation that was to fail has been reached; none fails from now on. */
static bool reached(void)
{
    return atomic_exchange(&left, 0) == 0;
}

/* Only what makes something new may say that there is no memory. */
static bool made(int rc)
{
    if (rc != 0) {
        it_equal(rc, ZKS_ENOMEM);
    }
    return rc == 0;
}

static void opening(void **state)
{
    struct it *it = *state;
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    const struct zks_acl acl = {ZKS_PERM_ALL, "world", "anyone"};
    options.servers = ens_servers();
    options.session_timeout_ms = 30000;
    options.connect_timeout_ms = IT_LIMIT_MS;
    options.identity = "somebody";
    options.reason = "a reason";
    options.acl = &acl;
    options.n_acl = 1;
    int n = 0;
    bool more = true;
    while (more) {
        zks_client *client = NULL;
        atomic_store(&left, ++n);
        int rc = zks_client_open(&options, &client);
        more = reached();
        if (made(rc)) {
            zks_rwlock *lock = it_rwlock(client, it->path);
            it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
            it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
            zks_rwlock_free(lock);
            it_ok(zks_client_close(client));
        }
    }
    printf("# %d allocations\n", n - 1);
    assert_true(n > 5);
}

static void lock_and_pass_on(zks_client *client, const char *path)
{
    zks_rwlock *a = NULL;
    zks_rwlock *b = NULL;
    struct it_op op;
    char who[8];
    it_op_init(&op);
    if (made(zks_rwlock_new(client, path, NULL, &a)) &&
        made(zks_rwlock_new(client, path, NULL, &b))) {
        struct zks_contender *list = NULL;
        size_t count = 0;
        it_ok(zks_rwlock_wrlock(a, IT_LIMIT_MS));
        assert_int_equal(zks_rwlock_held(a), ZKS_RWLOCK_WRITE);
        it_ok(zks_rwlock_wrlock_op(b, ZKS_FOREVER, &op.op));
        it_await(zks_rwlock_waits_for(b, who, sizeof who) > 0);
        if (made(zks_rwlock_list(client, path, IT_LIMIT_MS, &list, &count))) {
            assert_int_equal(count, 2);
            zks_contenders_free(list, count);
        }
        it_ok(zks_rwlock_downgrade(a, IT_LIMIT_MS));
        assert_false(it_op_done(&op));
        it_ok(zks_rwlock_unlock(a, IT_LIMIT_MS));
        it_ok(it_op_wait(&op));
        assert_int_equal(zks_rwlock_held(b), ZKS_RWLOCK_WRITE);
        it_ok(zks_rwlock_unlock(b, IT_LIMIT_MS));
    }
    zks_rwlock_free(a);
    zks_rwlock_free(b);
}

static void stand_at_a_barrier(zks_client *client, const char *path)
{
    zks_barrier *barrier = NULL;
    zks_barrier *other = NULL;
    struct it_op op;
    it_op_init(&op);
    if (made(zks_barrier_new(client, path, &barrier)) &&
        made(zks_barrier_new(client, path, &other))) {
        it_ok(zks_barrier_set(barrier, IT_LIMIT_MS));
        it_ok(zks_barrier_wait_op(other, ZKS_FOREVER, &op.op));
        it_ok(zks_barrier_unset(barrier, IT_LIMIT_MS));
        it_ok(it_op_wait(&op));
    }
    zks_barrier_free(barrier);
    zks_barrier_free(other);
}

static void meet(zks_client *client, const char *path)
{
    zks_double_barrier *a = NULL;
    zks_double_barrier *b = NULL;
    struct it_op op;
    it_op_init(&op);
    if (made(zks_double_barrier_new(client, path, 2, "a", &a)) &&
        made(zks_double_barrier_new(client, path, 2, "b", &b))) {
        it_ok(zks_double_barrier_enter_op(a, ZKS_FOREVER, &op.op));
        it_ok(zks_double_barrier_enter(b, IT_LIMIT_MS));
        it_ok(it_op_wait(&op));
        it_ok(zks_double_barrier_leave_op(a, ZKS_FOREVER, &op.op));
        it_ok(zks_double_barrier_leave(b, IT_LIMIT_MS));
        it_ok(it_op_wait(&op));
    }
    zks_double_barrier_free(a);
    zks_double_barrier_free(b);
}

/* Whatever fails on the way: everything is granted in the end, and nothing is left behind. */
static void each_fails_once(const struct it *it, void (*use)(zks_client *client, const char *path))
{
    zks_client *client = it_open(NULL, 0);
    char *path = it_child(it, "it");
    rawzk_create_path(it->raw, it->path);
    int n = 0;
    bool more = true;
    while (more) {
        atomic_store(&left, ++n);
        use(client, path);
        more = reached();
        it_await(rawzk_count_children(it->raw, path) == 0);
    }
    printf("# %d allocations\n", n - 1);
    assert_true(n > 5);
    free(path);
    it_ok(zks_client_close(client));
}

static void rwlock(void **state)
{
    each_fails_once(*state, lock_and_pass_on);
}

static void barrier(void **state)
{
    each_fails_once(*state, stand_at_a_barrier);
}

static void double_barrier(void **state)
{
    each_fails_once(*state, meet);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(opening),
        it_test(rwlock),
        it_test(barrier),
        it_test(double_barrier),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("no_memory", tests, NULL, NULL);
}
