/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot be had: servers that are not there or refuse, clients that are closed or another
 * process's; the exact error of every function. */
#include "calls.h"

#include <sys/wait.h>
#include <unistd.h>

IT_TAKES_LONG

/* The calls that begin something, and the listing, with an error that is not theirs. */
static void all_refused(zks_client *client, const char *path, int64_t timeout_ms, int error)
{
    struct handles h;
    handles_open(&h, client, path);
    for (size_t i = 0; i < CALLS; i++) {
        expect(calls[i].name, calls[i].run(&h, timeout_ms),
               calls[i].needs_hold ? ZKS_EPERM : error);
    }
    expect("list", list(client, path, timeout_ms), error);
    handles_free(&h);
}

static void test_servers_that_are_not_there(void **state)
{
    struct it *it = *state;
    zks_client_options options = sane();
    options.servers = "127.0.0.1:1";
    options.connect_timeout_ms = 100;
    it_equal(try_open(&options), ZKS_EDISCONNECTED);
    options.connect_timeout_ms = 0;
    zks_client *client = it_open_with(&options);
    assert_int_equal(zks_client_get_state(client), ZKS_CLIENT_CONNECTING);
    assert_true(zks_client_session_id(client) == 0);
    assert_int_equal(zks_client_session_timeout_ms(client), 0);
    assert_true(zks_client_safe_until(client) == 0);
    all_refused(client, it->path, 0, ZKS_EDISCONNECTED);
    all_refused(client, it->path, 50, ZKS_ETIMEDOUT);
    it_ok(zks_client_close(client));
}

static void test_a_root_that_is_not_there(void **state)
{
    struct it *it = *state;
    zks_client_options options = sane();
    char *servers = NULL;
    assert_true(asprintf(&servers, "%s%s/nowhere", ens_direct(), it->path) > 0);
    options.servers = servers;
    it_equal(try_open(&options), ZKS_ENOCHROOT);
    options.connect_timeout_ms = 0;
    zks_client *client = it_open_with(&options);
    all_refused(client, "/a", REFUSED_MS, ZKS_ENOCHROOT);
    all_refused(client, "/a/b/c", REFUSED_MS, ZKS_ENOCHROOT);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    /* It need not be opened anew when somebody has made the root. */
    char *root = it_child(it, "nowhere");
    rawzk_create_path(it->raw, root);
    zks_barrier *barrier = it_barrier(client, "/a");
    it_await(zks_barrier_set(barrier, REFUSED_MS) != ZKS_ENOCHROOT);
    it_equal(zks_barrier_set(barrier, REFUSED_MS), ZKS_EEXIST);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
    free(root);
    free(servers);
}

/* Sees the root go while it is connected: nothing that is absent then may be taken for an answer. */
static void test_a_root_that_is_removed(void **state)
{
    static const char node[] = "/a/_c_0123456789abcdef0123456789abcdef-write-0000000000";
    struct it *it = *state;
    zks_client_options options = sane();
    char *root = it_child(it, "root");
    char *round_at = it_child(it, "root/round");
    char *servers = NULL;
    assert_true(asprintf(&servers, "%s%s", ens_direct(), root) > 0);
    options.servers = servers;
    rawzk_create_path(it->raw, root);
    zks_client *client = it_open_with(&options);
    zks_client *waiting = it_open_with(&options);
    zks_rwlock *held = it_rwlock(client, "/lock");
    zks_rwlock *waits = it_rwlock(waiting, "/lock");
    zks_double_barrier *enters = it_double_barrier(waiting, "/round", 2, "a");
    zks_double_barrier *entered = it_double_barrier(client, "/alone", 1, "a");
    zks_observer *observer = NULL;
    struct it_op op;
    struct it_op enter;
    struct it_op next;
    it_ok(zks_observer_new(waiting, "/seen", false, &observer));
    for (int round = 0; round < 2; round++) {
        char who[64];
        struct zks_ping ping;
        struct zks_view *view = NULL;
        it_op_init(&op);
        it_op_init(&enter);
        it_op_init(&next);
        while (zks_observer_next(observer, REFUSED_MS, &view) == ZKS_ENOCHROOT) {
            it_pause();
        }
        zks_view_free(view);
        it_ok(zks_observer_next_op(observer, ZKS_FOREVER, &next.op));
        it_ok(zks_double_barrier_enter_op(enters, ZKS_FOREVER, &enter.op));
        rawzk_await_children(it->raw, round_at, 1, IT_LIMIT_MS);
        it_ok(zks_rwlock_wrlock(held, IT_LIMIT_MS));
        it_ok(zks_double_barrier_enter(entered, IT_LIMIT_MS));
        it_ok(zks_rwlock_wrlock_op(waits, ZKS_FOREVER, &op.op));
        it_await(zks_rwlock_waits_for(waits, who, sizeof who) > 0);
        rawzk_delete_tree(it->raw, root);
        /* The one that waits gets the lock if it looks before its own znode goes. */
        int rc = it_op_wait(&op);
        it_equal(rc, rc == 0 ? 0 : ZKS_ENOCHROOT);
        it_equal(it_op_wait(&enter), ZKS_ENOCHROOT);
        it_equal(it_op_wait(&next), ZKS_ENOCHROOT);
        it_await(zks_rwlock_held(held) == 0 && zks_rwlock_held(waits) == 0);
        all_refused(client, "/a", REFUSED_MS, ZKS_ENOCHROOT);
        all_refused(client, "/a/b/c", REFUSED_MS, ZKS_ENOCHROOT);
        it_equal(zks_remove(client, node, REFUSED_MS), ZKS_ENOCHROOT);
        it_equal(zks_client_ping(client, REFUSED_MS, &ping), ZKS_ENOCHROOT);
        /* What has gone with the root has ended all the same. */
        it_ok(zks_double_barrier_leave(entered, REFUSED_MS));
        assert_false(rawzk_exists(it->raw, root, NULL));
        /* It comes back, with data that is written to. */
        rawzk_create_path(it->raw, root);
        rawzk_set(it->raw, root, "x", 1);
        zks_barrier *barrier = it_barrier(client, "/a");
        it_await(zks_barrier_wait(barrier, REFUSED_MS) != ZKS_ENOCHROOT);
        it_ok(zks_barrier_wait(barrier, REFUSED_MS));
        zks_barrier_free(barrier);
        rawzk_set(it->raw, root, "y", 1);
        (void)zks_rwlock_unlock(held, REFUSED_MS); /* Takes note of the loss. */
        (void)zks_rwlock_unlock(waits, REFUSED_MS);
    }
    zks_double_barrier_free(entered);
    zks_rwlock_free(held);
    zks_rwlock_free(waits);
    zks_double_barrier_free(enters);
    zks_observer_free(observer);
    it_ok(zks_client_close(client));
    it_ok(zks_client_close(waiting));
    free(round_at);
    free(root);
    free(servers);
}

static void test_below_an_ephemeral_znode(void **state)
{
    struct it *it = *state;
    static const char *const names[] = {"e", "e/x", "e/x/y"};
    zks_client *client = it_open(NULL, 0);
    char *ephemeral = it_child(it, "e");
    rawzk_create_path(it->raw, it->path);
    rawzk_create(it->raw, ephemeral, NULL, ZOO_EPHEMERAL, NULL, 0);
    for (size_t i = 0; i < 3; i++) {
        struct handles h;
        char *path = it_child(it, names[i]);
        handles_open(&h, client, path);
        it_equal(zks_rwlock_rdlock(h.rwlock, REFUSED_MS), ZKS_EEPHEMERAL);
        it_equal(zks_rwlock_wrlock(h.rwlock, 0), ZKS_EEPHEMERAL);
        it_equal(zks_double_barrier_enter(h.double_barrier, REFUSED_MS), ZKS_EEPHEMERAL);
        if (i > 0) {
            it_equal(zks_barrier_set(h.barrier, REFUSED_MS), ZKS_EEPHEMERAL);
            it_equal(zks_barrier_unset(h.barrier, REFUSED_MS), ZKS_ENOENT);
            it_ok(zks_barrier_wait(h.barrier, REFUSED_MS));
        }
        it_ok(list(client, path, REFUSED_MS));
        handles_free(&h);
        free(path);
    }
    assert_true(rawzk_exists(it->raw, ephemeral, NULL));
    it_ok(zks_client_close(client));
    free(ephemeral);
}

static void set_perms(const struct it *it, const char *path, int perms)
{
    char scheme[] = "world";
    char id[] = "anyone";
    struct ACL entry = {perms | ZOO_PERM_ADMIN, {scheme, id}};
    const struct ACL_vector acl = {1, &entry};
    rawzk_set_acl(it->raw, path, &acl);
}

static void test_what_an_acl_forbids(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    struct handles at;
    struct handles below;
    char *child = it_child(it, "b");
    char *other = it_child(it, "x");
    rawzk_create_path(it->raw, child);
    zks_barrier *standing = it_barrier(client, child);
    handles_open(&at, client, it->path);
    handles_open(&below, client, other);
    set_perms(it, it->path, ZOO_PERM_READ);
    for (int round = 0; round < 2; round++) {
        int64_t timeout = round == 0 ? REFUSED_MS : 0;
        it_equal(zks_rwlock_rdlock(at.rwlock, timeout), ZKS_EACCES);
        it_equal(zks_rwlock_wrlock(at.rwlock, timeout), ZKS_EACCES);
        it_equal(zks_rwlock_wrlock(below.rwlock, timeout), ZKS_EACCES);
        it_equal(zks_barrier_set(below.barrier, timeout), ZKS_EACCES);
        it_equal(zks_barrier_unset(standing, timeout), ZKS_EACCES);
        it_equal(zks_double_barrier_enter(at.double_barrier, timeout), ZKS_EACCES);
        it_equal(zks_double_barrier_enter(below.double_barrier, timeout), ZKS_EACCES);
    }
    /* Reading may be forbidden, too. */
    set_perms(it, child, ZOO_PERM_WRITE);
    it_equal(zks_barrier_wait(standing, REFUSED_MS), ZKS_EACCES);
    it_equal(zks_barrier_wait(standing, 0), ZKS_EACCES);
    it_equal(list(client, child, REFUSED_MS), ZKS_EACCES);
    set_perms(it, child, ZOO_PERM_ALL);
    set_perms(it, it->path, ZOO_PERM_ALL);
    handles_free(&at);
    handles_free(&below);
    zks_barrier_free(standing);
    assert_false(rawzk_exists(it->raw, other, NULL));
    it_ok(zks_client_close(client));
    free(child);
    free(other);
}

/* The way out is barred to those who are inside. */
static void test_what_an_acl_forbids_afterwards(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    zks_double_barrier *one = it_double_barrier(client, it->path, 1, "a");
    char *path = it_child(it, "lock");
    zks_rwlock *lock = it_rwlock(client, path);
    it_ok(zks_double_barrier_enter(one, ZKS_FOREVER));
    set_perms(it, it->path, ZOO_PERM_READ);
    int rc = zks_double_barrier_leave(one, REFUSED_MS);
    set_perms(it, it->path, ZOO_PERM_ALL);
    it_equal(rc, ZKS_EACCES);
    /* It has left, or is about to now that it may. */
    it_equal(zks_double_barrier_leave(one, ZKS_FOREVER), ZKS_EPERM);
    rawzk_await_gone(it->raw, it->path, IT_LIMIT_MS);
    it_ok(zks_rwlock_wrlock(lock, ZKS_FOREVER));
    set_perms(it, path, ZOO_PERM_READ | ZOO_PERM_DELETE);
    rc = zks_rwlock_downgrade(lock, REFUSED_MS);
    set_perms(it, path, ZOO_PERM_ALL);
    it_equal(rc, ZKS_EACCES);
    assert_int_equal(zks_rwlock_held(lock), ZKS_RWLOCK_WRITE);
    it_ok(zks_rwlock_unlock(lock, ZKS_FOREVER));
    zks_rwlock_free(lock);
    zks_double_barrier_free(one);
    it_ok(zks_client_close(client));
    free(path);
}

static void test_handles_of_a_closed_client(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    struct handles h;
    struct it_op op;
    it_op_init(&op);
    handles_open(&h, client, it->path);
    it_ok(zks_client_close(client));
    for (size_t i = 0; i < CALLS; i++) {
        expect(calls[i].name, calls[i].run(&h, 0), ZKS_ECLOSED);
        expect(calls[i].name, calls[i].run(&h, ZKS_FOREVER), ZKS_ECLOSED);
        /* An error at once means that no completion comes; else the completion has the error. */
        int rc = calls[i].start(&h, 0, &op.op);
        expect(calls[i].name, rc != 0 ? rc : it_op_wait(&op), ZKS_ECLOSED);
    }
    assert_int_equal(zks_rwlock_held(h.rwlock), 0);
    handles_free(&h);
}

static void never(zks_op *op, int result, void *arg)
{
    (void)op;
    (void)result;
    (void)arg;
    abort();
}

/* Returns what is wrong in the child, 0 for nothing. */
static int in_the_child(struct it *it, zks_client *client, struct handles *h)
{
    zks_op op;
    zks_op_init(&op, never, NULL);
    for (int i = 0; i < CALLS; i++) {
        if (calls[i].run(h, 0) != ZKS_EFORKED || calls[i].run(h, ZKS_FOREVER) != ZKS_EFORKED ||
            calls[i].start(h, 0, &op) != ZKS_EFORKED) {
            return 1 + i;
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        if (make((enum kind)kind, client, it->path) != ZKS_EFORKED) {
            return 20 + kind;
        }
    }
    if (list(client, it->path, ZKS_FOREVER) != ZKS_EFORKED) {
        return 30;
    }
    handles_free(h);
    return zks_client_close(client) == 0 ? 0 : 31;
}

static void test_a_forked_child(void **state)
{
    struct it *it = *state;
    zks_client *client = it_open(NULL, 0);
    struct handles h;
    int status = 0;
    handles_open(&h, client, it->path);
    it_ok(zks_rwlock_wrlock(h.rwlock, ZKS_FOREVER));
    pid_t child = fork();
    if (child == 0) {
        _exit(in_the_child(it, client, &h));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The child's end has not ended the session. */
    assert_int_equal(zks_rwlock_held(h.rwlock), ZKS_RWLOCK_WRITE);
    it_ok(zks_rwlock_unlock(h.rwlock, ZKS_FOREVER));
    handles_free(&h);
    it_ok(zks_client_close(client));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(test_servers_that_are_not_there), it_test(test_a_root_that_is_not_there),
        it_test(test_a_root_that_is_removed),     it_test(test_below_an_ephemeral_znode),
        it_test(test_what_an_acl_forbids),        it_test(test_what_an_acl_forbids_afterwards),
        it_test(test_handles_of_a_closed_client), it_test(test_a_forked_child),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
