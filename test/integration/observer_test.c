/* SPDX-License-Identifier: Apache-2.0 */
/* Views and observers: what there is at a path, and what becomes of it. */
#include <arpa/inet.h>
#include <unistd.h>

#include "frameproxy.h"
#include "kill_session.h"
#include "observing.h"
#include "word.h"

static void test_absent_and_other(void **state)
{
    struct it *it = *state;
    static const char *const names[] = {"b", "B", "a", "read-", "ready2", "a-b-2-0000000001x"};
    static const char *const sorted[] = {"B", "a", "a-b-2-0000000001x", "b", "read-", "ready2"};
    struct party a;
    struct Stat stat;
    party_open(&a, NULL, 0, it->path);
    expect_look(it->path, ZKS_VIEW_ABSENT, 0);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    /* A lock that nobody wants. */
    party_write(&a);
    party_unlock(&a);
    expect_look(it->path, ZKS_VIEW_OTHER, 0);
    for (size_t i = 0; i < 6; i++) {
        raw_add(it, names[i]);
    }
    rawzk_set(it->raw, it->path, "da\0ta", 5);
    struct zks_view *v = look(it->path);
    assert_true(shows(v, ZKS_VIEW_OTHER, 6));
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(v->others[i], sorted[i]);
    }
    assert_true(rawzk_exists(it->raw, it->path, &stat));
    assert_int_equal(v->since_ms, stat.ctime);
    assert_true(v->data_len == 5);
    assert_memory_equal(v->data, "da\0ta", 6);
    zks_view_free(v);
    /* What goes with its session is no barrier. */
    char *path = raw_child(it, "ephemeral", NULL, ZOO_EPHEMERAL);
    expect_look(path, ZKS_VIEW_OTHER, 0);
    free(path);
    party_close(&a);
}

static void test_the_root(void **state)
{
    struct it *it = *state;
    rawzk_create_path(it->raw, it->path);
    struct zks_view *v = look("/");
    assert_int_equal(v->kind, ZKS_VIEW_OTHER);
    bool found = false;
    for (size_t i = 0; i < v->n_others; i++) {
        found = found || strcmp(v->others[i], "zksync-test") == 0;
    }
    assert_true(found);
    zks_view_free(v);
}

/* Brief or not, the first one is `a`, who holds; then come a reader of the Go package's, who holds too,
 * a writer of ours and another reader of theirs. */
static void check_lock(const struct it *it, const struct zks_view *v, struct party *a, bool brief)
{
    static const enum zks_rwlock_mode modes[] = {ZKS_RWLOCK_READ, ZKS_RWLOCK_READ, ZKS_RWLOCK_WRITE,
                                                 ZKS_RWLOCK_READ};
    assert_int_equal(v->kind, ZKS_VIEW_LOCK);
    assert_int_equal(v->n_contenders, 4);
    assert_int_equal(v->n_others, 2);
    assert_string_equal(v->others[0], "a foreign one");
    assert_string_equal(v->others[1], "z");
    for (size_t i = 0; i < 4; i++) {
        const struct zks_contender *c = &v->contenders[i];
        struct Stat stat;
        bool known = i < 2 || !brief;
        assert_true(rawzk_exists(it->raw, c->path, &stat));
        assert_int_equal(c->mode, modes[i]);
        assert_int_equal(c->holds, i < 2);
        assert_int_equal(c->session, known ? stat.ephemeralOwner : 0);
        assert_int_equal(c->token, known ? (uint64_t)stat.czxid : 0);
        assert_int_equal(c->since_ms, known ? stat.ctime : 0);
        assert_true(known || c->age_ms == 0);
        assert_int_equal(c->data_len, known ? stat.dataLength : 0);
        assert_int_equal(c->data_len > 0, known && i % 2 == 0); /* Those of ours. */
        assert_true(c->data_len > 0 || c->data == NULL || known);
    }
    assert_int_equal(v->contenders[0].session, zks_client_session_id(a->client));
}

/* What is not there yet is followed, too. */
static void test_what_is_absent_is_followed(void **state)
{
    struct it *it = *state;
    struct zks_view *view = NULL;
    zks_observer *observer = NULL;
    zks_client *client = it_open(NULL, 0);
    it_ok(zks_observer_new(client, it->path, false, &observer));
    it_ok(zks_observer_next(observer, IT_LIMIT_MS, &view));
    assert_int_equal(view->kind, ZKS_VIEW_ABSENT);
    zks_view_free(view);
    it_equal(zks_observer_next(observer, 0, &view), ZKS_EBUSY);
    rawzk_create_path(it->raw, it->path);
    it_ok(zks_observer_next(observer, IT_LIMIT_MS, &view));
    assert_int_not_equal(view->kind, ZKS_VIEW_ABSENT);
    zks_view_free(view);
    zks_observer_free(observer);
    it_ok(zks_client_close(client));
}

static void test_a_lock(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_open(&a, &b, it);
    party_read(&a);
    raw_add(it, "z");
    raw_add(it, "a foreign one");
    free(go_queue(it, go_read));
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 5);
    free(go_queue(it, go_read));
    struct zks_view *v = look(it->path);
    check_lock(it, v, &a, false);
    zks_view_free(v);
    v = brief_look(it->path);
    check_lock(it, v, &a, true);
    zks_view_free(v);
    two_close(&a, &b);
}

static void test_a_barrier(void **state)
{
    struct it *it = *state;
    zks_barrier *barrier = it_barrier(outside, it->path);
    struct Stat stat;
    it_ok(zks_barrier_set(barrier, IT_LIMIT_MS));
    struct zks_view *v = look(it->path);
    assert_true(shows(v, ZKS_VIEW_BARRIER, 0));
    assert_true(rawzk_exists(it->raw, it->path, &stat));
    assert_int_equal(v->since_ms, stat.ctime);
    assert_int_equal(v->data_len, stat.dataLength);
    zks_view_free(v);
    it_ok(zks_barrier_unset(barrier, IT_LIMIT_MS));
    expect_look(it->path, ZKS_VIEW_ABSENT, 0);
    /* Somebody else's. */
    rawzk_create_path(it->raw, it->path);
    v = look(it->path);
    assert_true(shows(v, ZKS_VIEW_BARRIER, 0));
    assert_null(v->data);
    zks_view_free(v);
    zks_barrier_free(barrier);
}

static void check_party(const struct it *it, bool open, size_t n, const char *const *ids,
                        size_t inside)
{
    struct zks_view *v = look(it->path);
    struct zks_view *brief = brief_look(it->path);
    assert_true(shows(v, ZKS_VIEW_DOUBLE_BARRIER, n));
    assert_true(shows(brief, ZKS_VIEW_DOUBLE_BARRIER, n));
    assert_int_equal(v->n_participants, n);
    assert_int_equal(v->round_open, open);
    assert_int_equal(brief->round_open, open);
    for (size_t i = 0; i < n; i++) {
        const struct zks_participant *p = &v->participants[i];
        const struct zks_participant *b = &brief->participants[i];
        struct Stat stat;
        assert_true(rawzk_exists(it->raw, p->path, &stat));
        assert_true(p->session == stat.ephemeralOwner && p->since_ms == stat.ctime);
        /* Whoever is inside has the round's name in the place of what it said. */
        assert_int_equal(p->data_len, i < inside ? 0 : stat.dataLength);
        assert_int_equal(p->data == NULL, i < inside);
        assert_string_equal(b->path, p->path);
        assert_true(strcmp(p->id, ids[i]) == 0 && strcmp(b->id, ids[i]) == 0);
        assert_true(p->n == 2 && b->n == 2);
        assert_true(p->inside == (i < inside) && b->inside == (i < inside));
        if (i >= inside) {
            assert_true(b->session == 0 && b->since_ms == 0 && b->age_ms == 0 && b->data == NULL);
        }
    }
    zks_view_free(brief);
    zks_view_free(v);
}

static void test_a_double_barrier(void **state)
{
    static const char *const ids[] = {"x-1", "b", "c"};
    struct it *it = *state;
    zks_double_barrier *one[3];
    struct it_op op[3];
    for (size_t i = 0; i < 3; i++) {
        one[i] = it_double_barrier(outside, it->path, 2, ids[i]);
        it_op_init(&op[i]);
    }
    it_ok(zks_double_barrier_enter_op(one[0], ZKS_FOREVER, &op[0].op));
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    check_party(it, false, 1, ids, 0);
    it_ok(zks_double_barrier_enter(one[1], IT_LIMIT_MS));
    it_ok(it_op_wait(&op[0]));
    check_party(it, true, 2, ids, 2);
    it_ok(zks_double_barrier_leave_op(one[0], ZKS_FOREVER, &op[0].op));
    rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
    check_party(it, true, 1, ids + 1, 1);
    it_ok(zks_double_barrier_enter_op(one[2], ZKS_FOREVER, &op[2].op));
    rawzk_await_children(it->raw, it->path, 3, IT_LIMIT_MS);
    check_party(it, true, 2, ids + 1, 1);
    it_ok(zks_double_barrier_leave(one[1], IT_LIMIT_MS));
    it_ok(it_op_wait(&op[0]));
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    check_party(it, false, 1, ids + 2, 0);
    for (size_t i = 0; i < 3; i++) {
        zks_double_barrier_free(one[i]);
    }
    it_equal(it_op_wait(&op[2]), ZKS_ECLOSED);
}

/* The operation is under way when something changes: it ends of it. */
static void test_what_changes_is_followed(void **state)
{
    struct it *it = *state;
    struct zks_view *untouched = NULL;
    struct party a;
    struct it_op op;
    it_op_init(&op);
    party_open(&a, NULL, 0, it->path);
    zks_barrier *barrier = it_barrier(a.client, it->path);
    zks_observer *o = observe(outside, it->path, false);
    follow(o, ZKS_VIEW_ABSENT, 0);
    it_equal(zks_observer_next(o, 0, &untouched), ZKS_EBUSY);
    it_equal(zks_observer_next(o, 50, &untouched), ZKS_ETIMEDOUT);
    assert_null(untouched);
    begin(o, &op);
    it_ok(zks_barrier_set(barrier, IT_LIMIT_MS));
    follow_op(o, &op, ZKS_VIEW_BARRIER, 0);
    begin(o, &op);
    it_ok(zks_barrier_unset(barrier, IT_LIMIT_MS));
    follow_op(o, &op, ZKS_VIEW_ABSENT, 0);
    begin(o, &op);
    party_write(&a);
    follow_op(o, &op, ZKS_VIEW_LOCK, 1);
    begin(o, &op);
    raw_add(it, "child");
    follow_op(o, &op, ZKS_VIEW_LOCK, 2);
    begin(o, &op);
    party_unlock(&a);
    follow_op(o, &op, ZKS_VIEW_OTHER, 1);
    rawzk_set(it->raw, it->path, "new", 3);
    struct zks_view *v = next(o);
    assert_string_equal(v->data, "new");
    zks_view_free(v);
    /* What has changed while nobody asked is seen all the same. */
    rawzk_delete_tree(it->raw, it->path);
    follow(o, ZKS_VIEW_ABSENT, 0);
    zks_observer_free(o);
    zks_barrier_free(barrier);
    party_close(&a);
}

static void test_one_thing_at_a_time(void **state)
{
    struct it *it = *state;
    struct zks_view *view = NULL;
    struct it_op op;
    struct it_op second;
    it_op_init(&op);
    it_op_init(&second);
    zks_observer *o = observe(outside, it->path, false);
    assert_null(zks_observer_take(o));
    zks_view_free(next(o));
    assert_null(zks_observer_take(o));
    it_ok(zks_observer_next_op(o, ZKS_FOREVER, &op.op));
    it_equal(zks_observer_next(o, 0, &view), ZKS_EDEADLK);
    it_equal(zks_observer_next(o, ZKS_FOREVER, &view), ZKS_EDEADLK);
    it_equal(zks_observer_next_op(o, ZKS_FOREVER, &op.op), ZKS_EINVAL);
    it_ok(zks_observer_next_op(o, ZKS_FOREVER, &second.op));
    it_equal(it_op_wait(&second), ZKS_EDEADLK);
    assert_null(zks_observer_take(o));
    assert_false(it_op_done(&op));
    zks_op_cancel(&op.op);
    it_equal(it_op_wait(&op), ZKS_ECANCELED);
    assert_null(zks_observer_take(o));
    /* Whatever a cancel is quicker than is not lost. */
    size_t seen = 0;
    rawzk_create_path(it->raw, it->path);
    for (size_t i = 0; i < 20; i++) {
        char name[16];
        it_ok(zks_observer_next_op(o, ZKS_FOREVER, &op.op));
        (void)snprintf(name, sizeof name, "%zu", i);
        raw_add(it, name);
        zks_op_cancel(&op.op);
        int rc = it_op_wait(&op);
        view = zks_observer_take(o);
        assert_true(rc == 0 ? view != NULL : rc == ZKS_ECANCELED && view == NULL);
        seen = rc == 0 ? view->n_others : seen;
        zks_view_free(view);
    }
    if (seen < 20) {
        follow(o, ZKS_VIEW_OTHER, 20);
    }
    /* A view that nobody takes goes with the observer; so does an operation. */
    raw_add(it, "more");
    it_ok(zks_observer_next_op(o, ZKS_FOREVER, &op.op));
    it_ok(it_op_wait(&op));
    begin(o, &op);
    zks_observer_free(o);
    it_equal(it_op_wait(&op), ZKS_ECLOSED);
}

/* What changes while there is no session, or no connection, and what changes later. */
static void outlives(const struct it *it, bool cut, bool under_way)
{
    struct onlooker l;
    rawzk_delete_tree(it->raw, it->path);
    onlooker_open(&l, cut ? ens_server(0) : NULL, it->path);
    if (under_way) {
        begin(l.observer, &l.op);
    }
    if (cut) {
        proxy_cut(0);
        (void)it_states_await(&l.states, 0, ZKS_CLIENT_SUSPENDED);
        struct zks_view *none = NULL;
        it_equal(zks_observer_next(l.observer, 50, &none), under_way ? ZKS_EDEADLK : ZKS_ETIMEDOUT);
    } else {
        kill_session(l.client);
    }
    rawzk_create_path(it->raw, it->path);
    if (cut) {
        proxy_heal(0);
    }
    (void)it_states_await(&l.states, 0, ZKS_CLIENT_RECONNECTED);
    if (under_way) {
        follow_op(l.observer, &l.op, ZKS_VIEW_BARRIER, 0);
    } else {
        follow(l.observer, ZKS_VIEW_BARRIER, 0);
    }
    begin(l.observer, &l.op);
    raw_add(it, "later");
    follow_op(l.observer, &l.op, ZKS_VIEW_OTHER, 1);
    onlooker_close(&l);
}

static void test_an_expired_session(void **state)
{
    it_need_kill_session();
    outlives(*state, false, false);
    outlives(*state, false, true);
}

static void test_a_cut_connection(void **state)
{
    it_need_proxy();
    outlives(*state, true, false);
    outlives(*state, true, true);
}

/* How many watches a server has, by its own word. */
static size_t watches_of(const char *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[32768];
    size_t length = 0;
    ssize_t got = 0;
    address.sin_port = htons((uint16_t)atoi(strrchr(server, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fd, "mntr", 4), 4);
    while ((got = read(fd, answer + length, sizeof answer - 1 - length)) > 0) {
        length += (size_t)got;
    }
    (void)close(fd);
    answer[length] = '\0';
    const char *count = strstr(answer, "zk_watch_count\t");
    assert_non_null(count);
    return (size_t)atoi(count + strlen("zk_watch_count\t"));
}

static size_t watches(void)
{
    size_t count = 0;
    for (size_t i = 0; i < ens_count(); i++) {
        count += watches_of(ens_direct_server(i));
    }
    return count;
}

static void *lock_often(void *arg)
{
    struct party *p = arg;
    for (int i = 0; i < 100; i++) {
        party_write(p);
        party_unlock(p);
    }
    party_read(p);
    return NULL;
}

static void test_many_changes(void **state)
{
    struct it *it = *state;
    struct party a;
    it_need_kill(); /* Else there may be others' watches. */
    it_await(watches() == 0);
    /* With so long a session it sets no watch on what it holds before the test is over. */
    party_open(&a, NULL, 120000, it->path);
    zks_observer *o = observe(outside, it->path, false);
    zks_view_free(next(o));
    pthread_t thread = it_thread_start(lock_often, &a);
    bool there = false;
    for (int looks = 0; !there; looks++) {
        struct zks_view *v = next(o);
        there = v->kind == ZKS_VIEW_LOCK && v->contenders[0].mode == ZKS_RWLOCK_READ;
        zks_view_free(v);
        assert_true(watches() <= 2);
        assert_true(looks < LOOKS_MAX);
    }
    (void)it_thread_join(thread);
    /* However many are there to be looked at, and however often. */
    for (size_t i = 0; i < 4; i++) {
        free(go_queue(it, i % 2 == 0 ? go_read : go_write));
    }
    follow(o, ZKS_VIEW_LOCK, 5);
    for (size_t i = 0; i < 10; i++) {
        expect_look(it->path, ZKS_VIEW_LOCK, 5);
    }
    assert_true(watches() <= 2);
    zks_observer_free(o);
    party_close(&a);
}

static void test_what_may_not_be_read(void **state)
{
    struct it *it = *state;
    struct zks_view *v = NULL;
    struct party a;
    struct party b;
    two_queued(&a, &b, ZKS_RWLOCK_READ, it);
    it_await(watches() > 0); /* Else the one that waits is refused as well. */
    char *node = party_node(&a);
    set_perms(it, node, ZOO_PERM_ALL & ~ZOO_PERM_READ);
    v = look(it->path);
    set_perms(it, node, ZOO_PERM_ALL); /* At once, so that a failure leaves what can be removed. */
    assert_true(shows(v, ZKS_VIEW_LOCK, 2));
    const struct zks_contender *c = v->contenders;
    assert_string_equal(c->path, node);
    assert_true(c->holds && c->mode == ZKS_RWLOCK_WRITE && c->data == NULL && c->data_len == 0);
    /* From 3.9 on its Stat may not be read either. */
    bool stat = word_release(ens_direct_server(0)) < 309;
    assert_int_equal(c->session, stat ? zks_client_session_id(a.client) : 0);
    assert_int_equal(c->token, stat ? zks_rwlock_token(a.lock) : 0);
    zks_view_free(v);
    v = NULL;
    /* What holds may not be listed; and no change is to be waited for until it can be looked at. */
    zks_observer *o = observe(b.client, it->path, false);
    set_perms(it, it->path, ZOO_PERM_ALL & ~ZOO_PERM_READ);
    int once = zks_look(b.client, it->path, IT_LIMIT_MS, &v);
    int rc = zks_observer_next(o, IT_LIMIT_MS, &v);
    set_perms(it, it->path, ZOO_PERM_ALL);
    it_equal(once, ZKS_EACCES);
    it_equal(rc, ZKS_EACCES);
    assert_null(v);
    it_ok(zks_observer_next(o, 0, &v));
    zks_view_free(sane(v));
    zks_observer_free(o);
    free(node);
    two_close(&a, &b);
}

/* A look is as new as its sync: it does without no answer to that. */
static void test_the_sync_of_a_look(void **state)
{
    struct it *it = *state;
    struct zks_view *view = NULL;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    zks_client *client = it_open(frameproxy_address(proxy), 0);
    frameproxy_swallow_reply(proxy, FRAME_SYNC, it->path, 1);
    it_ok(zks_look(client, it->path, IT_LIMIT_MS, &view));
    assert_int_equal(frameproxy_hits(proxy), 1);
    assert_int_equal(view->kind, ZKS_VIEW_ABSENT);
    zks_view_free(view);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        observer_test(test_absent_and_other),
        observer_test(test_the_root),
        observer_test(test_a_lock),
        observer_test(test_a_barrier),
        observer_test(test_a_double_barrier),
        observer_test(test_what_changes_is_followed),
        observer_test(test_one_thing_at_a_time),
        observer_test(test_an_expired_session),
        observer_test(test_a_cut_connection),
        observer_test(test_many_changes),
        observer_test(test_what_may_not_be_read),
        observer_test(test_the_sync_of_a_look),
        observer_test(test_what_is_absent_is_followed),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("observer", tests, NULL, NULL);
}
