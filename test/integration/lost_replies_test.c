/* SPDX-License-Identifier: Apache-2.0 */
/* One chosen request, or its reply, is lost together with the connection, so that the client does
 * not know whether it was carried out; while another one contends for the lock.  Each case ends
 * well: both get the lock, never together, and no znode is left. */
#include "command.h"
#include "frameproxy.h"
#include "locks.h"

IT_TAKES_LONG

/* What is lost, and whether the session ends before the client is connected again. */
struct loss {
    bool request;
    bool expire;
};

static const struct loss losses[] = {{false, false}, {true, false}, {false, true}, {true, true}};

enum { LOSSES = 4 };

/* `a` is cut off, `b` is not.  The marker is another lock that a's client holds: when its znode has
 * gone, the session has ended on the servers. */
struct scene {
    const struct it *it;
    struct loss loss;
    struct frameproxy *proxy;
    struct party a;
    struct party b;
    zks_rwlock *marker;
    char *marker_node;
    char *path;
};

static void scene_open(struct scene *s, const struct it *it, size_t number, struct loss loss)
{
    char name[32];
    memset(s, 0, sizeof *s);
    s->it = it;
    s->loss = loss;
    printf("# the %s is lost%s\n", loss.request ? "request" : "reply",
           loss.expire ? ", and the session" : "");
    (void)snprintf(name, sizeof name, "lock-%zu", number);
    s->path = it_child(it, name);
    s->proxy = frameproxy_start(ens_direct_server(number % ens_count()));
    party_open(&s->a, frameproxy_address(s->proxy), loss.expire ? IT_SESSION_MS / 2 : 0, s->path);
    party_open(&s->b, ens_direct(), 0, s->path);
    (void)snprintf(name, sizeof name, "marker-%zu", number);
    char *marker_path = it_child(it, name);
    s->marker = it_rwlock(s->a.client, marker_path);
    it_ok(zks_rwlock_wrlock(s->marker, IT_LIMIT_MS));
    size_t length = zks_rwlock_node(s->marker, NULL, 0);
    s->marker_node = malloc(length + 1);
    assert_non_null(s->marker_node);
    assert_int_equal(zks_rwlock_node(s->marker, s->marker_node, length + 1), length);
    free(marker_path);
}

/* The lock's path is made, so that the next request is the one that is meant. */
static void scene_warm_up(struct scene *s)
{
    party_write(&s->b);
    party_unlock(&s->b);
}

static void scene_close(struct scene *s)
{
    rawzk_await_children(s->it->raw, s->path, 0, IT_LIMIT_MS);
    zks_rwlock_free(s->marker);
    party_close(&s->a);
    party_close(&s->b);
    frameproxy_stop(s->proxy);
    free(s->path);
    free(s->marker_node);
}

static void arm(struct scene *s, int32_t opcode)
{
    if (s->loss.request) {
        frameproxy_swallow_request(s->proxy, opcode, s->path, 1);
    } else {
        frameproxy_swallow_reply(s->proxy, opcode, s->path, 1);
    }
}

static void await_loss(struct scene *s)
{
    assert_true(frameproxy_await_hit(s->proxy, IT_LIMIT_MS));
    if (s->loss.expire) {
        frameproxy_hold(s->proxy);
        rawzk_await_gone(s->it->raw, s->marker_node, IT_LIMIT_MS);
    }
}

static void let_go_on(struct scene *s)
{
    if (s->loss.expire) {
        frameproxy_release(s->proxy);
    }
}

/* Fails where both hold it at one moment.  The first is asked again, for it may have lost it
 * between the questions. */
static void never_both(struct scene *s)
{
    if (zks_rwlock_held(s->a.lock) && zks_rwlock_held(s->b.lock) &&
        zks_rwlock_held(s->a.lock) == ZKS_RWLOCK_WRITE) {
        ens_fail("both hold the lock");
    }
}

/* Releases the lock.  `a` may have been granted it and lost it again where the session ended. */
static void give_back(struct scene *s, struct party *p)
{
    int rc = zks_rwlock_unlock(p->lock, IT_LIMIT_MS);
    if (p != &s->a || !s->loss.expire || rc != ZKS_ELOST) {
        it_ok(rc);
    }
}

static bool one_is_done(struct scene *s)
{
    never_both(s);
    return it_op_done(&s->a.op) || it_op_done(&s->b.op);
}

/* Both have started to lock for writing: whoever gets it first gives it to the other one. */
static void both_in_turn(struct scene *s)
{
    it_await(one_is_done(s));
    struct party *first = it_op_done(&s->b.op) ? &s->b : &s->a;
    struct party *second = first == &s->a ? &s->b : &s->a;
    if (it_op_done(&second->op)) {
        /* Both have had their turn: one of them must have lost it meanwhile. */
        assert_true(s->loss.expire);
        never_both(s);
    } else if (zks_rwlock_held(first->lock)) {
        /* Each of them has one znode in the end, whatever has become of the lost create. */
        rawzk_await_children(s->it->raw, s->path, 2, IT_LIMIT_MS);
    }
    never_both(s);
    it_ok(it_op_wait(&first->op));
    give_back(s, first);
    it_await(it_op_done(&second->op));
    never_both(s);
    it_ok(it_op_wait(&second->op));
    give_back(s, second);
}

static void lose_while_acquiring(const struct it *it, int32_t opcode, bool warm)
{
    struct scene s;
    for (size_t i = 0; i < LOSSES; i++) {
        scene_open(&s, it, i, losses[i]);
        if (warm) {
            scene_warm_up(&s);
        }
        arm(&s, opcode);
        party_start(&s.a, ZKS_RWLOCK_WRITE);
        assert_true(frameproxy_await_hit(s.proxy, IT_LIMIT_MS));
        if (s.loss.expire) {
            frameproxy_hold(s.proxy);
        }
        party_start(&s.b, ZKS_RWLOCK_WRITE);
        await_loss(&s);
        let_go_on(&s);
        both_in_turn(&s);
        scene_close(&s);
    }
}

static void create(void **state)
{
    lose_while_acquiring(*state, FRAME_CREATE2, true);
}

static void create_of_the_path(void **state)
{
    lose_while_acquiring(*state, FRAME_CREATE_CONTAINER, false);
}

static void listing(void **state)
{
    lose_while_acquiring(*state, FRAME_GET_CHILDREN2, true);
}

static void get_of_the_watch(void **state)
{
    struct scene s;
    for (size_t i = 0; i < LOSSES; i++) {
        scene_open(&s, *state, i, losses[i]);
        party_write(&s.b);
        arm(&s, FRAME_GET_DATA);
        party_start(&s.a, ZKS_RWLOCK_WRITE);
        await_loss(&s);
        let_go_on(&s);
        rawzk_await_children(s.it->raw, s.path, 2, IT_LIMIT_MS);
        never_both(&s);
        assert_false(it_op_done(&s.a.op));
        assert_int_equal(zks_rwlock_held(s.b.lock), ZKS_RWLOCK_WRITE);
        party_unlock(&s.b);
        party_granted(&s.a, ZKS_RWLOCK_WRITE);
        party_unlock(&s.a);
        scene_close(&s);
    }
}

static void delete (void **state)
{
    struct scene s;
    for (size_t i = 0; i < LOSSES; i++) {
        scene_open(&s, *state, i, losses[i]);
        party_write(&s.a);
        party_queue(&s.b, ZKS_RWLOCK_WRITE, s.it, s.path, 2);
        arm(&s, FRAME_DELETE);
        it_ok(zks_rwlock_unlock_op(s.a.lock, ZKS_FOREVER, &s.a.op.op));
        await_loss(&s);
        assert_int_equal(zks_rwlock_held(s.a.lock), 0);
        let_go_on(&s);
        it_ok(it_op_wait(&s.a.op));
        party_granted(&s.b, ZKS_RWLOCK_WRITE);
        rawzk_await_children(s.it->raw, s.path, 1, IT_LIMIT_MS);
        party_start(&s.a, ZKS_RWLOCK_WRITE);
        rawzk_await_children(s.it->raw, s.path, 2, IT_LIMIT_MS);
        party_unlock(&s.b);
        party_granted(&s.a, ZKS_RWLOCK_WRITE);
        assert_int_equal(atomic_load(&s.a.lost), 0);
        party_unlock(&s.a);
        scene_close(&s);
    }
}

static void swap_of_the_downgrade(void **state)
{
    struct scene s;
    for (size_t i = 0; i < LOSSES; i++) {
        scene_open(&s, *state, i, losses[i]);
        party_write(&s.a);
        uint64_t token = zks_rwlock_token(s.a.lock);
        party_queue(&s.b, ZKS_RWLOCK_WRITE, s.it, s.path, 2);
        arm(&s, FRAME_MULTI);
        it_ok(zks_rwlock_downgrade_op(s.a.lock, ZKS_FOREVER, &s.a.op.op));
        await_loss(&s);
        let_go_on(&s);
        int rc = it_op_wait(&s.a.op);
        if (s.loss.expire) {
            /* It may have been done in the moment before the connection was closed for good. */
            assert_true(rc == ZKS_ELOST || rc == 0);
            party_granted(&s.b, ZKS_RWLOCK_WRITE);
            assert_int_equal(atomic_load(&s.a.lost), 1);
            it_equal(zks_rwlock_unlock(s.a.lock, IT_LIMIT_MS), ZKS_ELOST);
        } else {
            it_ok(rc);
            rawzk_await_children(s.it->raw, s.path, 2, IT_LIMIT_MS);
            assert_int_equal(zks_rwlock_held(s.a.lock), ZKS_RWLOCK_READ);
            assert_int_equal(zks_rwlock_token(s.a.lock), token);
            char *node = party_node(&s.a);
            assert_true(rawzk_exists(s.it->raw, node, NULL));
            free(node);
            assert_false(it_op_done(&s.b.op));
            assert_int_equal(atomic_load(&s.a.lost), 0);
            party_unlock(&s.a);
            party_granted(&s.b, ZKS_RWLOCK_WRITE);
        }
        party_unlock(&s.b);
        scene_close(&s);
    }
}

/* The one that created the znode gives up before it can learn that it has: the znode goes all the
 * same, and before the client is closed. */
static void create_and_then_give_up(void **state)
{
    struct scene s;
    for (size_t i = 0; i < 3; i++) {
        scene_open(&s, *state, i, losses[0]);
        scene_warm_up(&s);
        arm(&s, FRAME_CREATE2);
        if (i == 2) {
            it_ok(zks_rwlock_wrlock_op(s.a.lock, 500, &s.a.op.op));
        } else {
            party_start(&s.a, ZKS_RWLOCK_WRITE);
        }
        assert_true(frameproxy_await_hit(s.proxy, IT_LIMIT_MS));
        frameproxy_hold(s.proxy);
        bool late = it_op_done(&s.a.op); /* It was quicker than the hold. */
        if (i == 0) {
            zks_op_cancel(&s.a.op.op);
        } else if (i == 1) {
            zks_rwlock_free(s.a.lock);
            s.a.lock = NULL;
        }
        int rc = it_op_wait(&s.a.op);
        if (!late) {
            it_equal(rc, i == 0 ? ZKS_ECANCELED : i == 1 ? ZKS_ECLOSED : ZKS_ETIMEDOUT);
            rawzk_await_children(s.it->raw, s.path, 1, IT_LIMIT_MS);
        } else if (i == 2 && rc == ZKS_ETIMEDOUT) {
            (void)puts("#: its time was over before the hold");
        } else if (i != 1) {
            it_ok(zks_rwlock_unlock(s.a.lock, 0));
        }
        party_start(&s.b, ZKS_RWLOCK_WRITE);
        frameproxy_release(s.proxy);
        party_granted(&s.b, ZKS_RWLOCK_WRITE);
        rawzk_await_children(s.it->raw, s.path, 1, IT_LIMIT_MS);
        party_unlock(&s.b);
        scene_close(&s);
    }
}

static void set_perms(const struct it *it, const char *path, int perms)
{
    char scheme[] = "world";
    char id[] = "anyone";
    struct ACL entry = {perms, {scheme, id}};
    const struct ACL_vector acl = {1, &entry};
    rawzk_set_acl(it->raw, path, &acl);
}

/* Whether the create was carried out cannot be found out: the lock is refused, although it is waited for without
 * an end.  What may be left goes once that can be seen, while the session lives. */
static void create_of_what_must_not_be_read(void **state)
{
    struct it *it = *state;
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        scene_open(&s, it, i, losses[i]);
        scene_warm_up(&s);
        set_perms(it, s.path, ZOO_PERM_CREATE | ZOO_PERM_DELETE | ZOO_PERM_ADMIN);
        arm(&s, FRAME_CREATE2);
        int rc = zks_rwlock_wrlock(s.a.lock, IT_LIMIT_MS);
        int again = zks_rwlock_wrlock(s.a.lock, IT_LIMIT_MS);
        set_perms(it, s.path, ZOO_PERM_ALL);
        it_equal(rc, ZKS_EACCES);
        it_equal(again, ZKS_EACCES);
        party_write(&s.b);
        party_unlock(&s.b);
        party_write(&s.a);
        party_unlock(&s.a);
        scene_close(&s);
    }
}

/* A try whose connection breaks is made again, since to connect is not to wait for others. */
static void create_of_a_command_that_tries(void **state)
{
    static const enum { FREE, BUSY } cases[] = {FREE, BUSY};
    struct it *it = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct party other;
        char words[300];
        char said[COMMAND_SAID_MAX];
        struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
        party_open(&other, ens_direct(), 0, it->path);
        if (cases[i] == BUSY) {
            party_write(&other);
        }
        frameproxy_swallow_reply(proxy, FRAME_CREATE2, it->path, 1);
        (void)snprintf(words, sizeof words, "lock -n %s echo ran", it->path);
        FILE *out = command_start(frameproxy_address(proxy), words);
        assert_true(frameproxy_await_hit(proxy, IT_LIMIT_MS));
        int code = command_end(out, said);
        print_message("# %d: %s\n", code, said);
        assert_int_equal(code, cases[i] == BUSY ? 75 : 0);
        assert_string_equal(said, cases[i] == BUSY ? "" : "ran\n");
        if (cases[i] == BUSY) {
            party_unlock(&other);
        }
        rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
        party_close(&other);
        frameproxy_stop(proxy);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(create),
        it_test(create_of_the_path),
        it_test(create_of_what_must_not_be_read),
        it_test(listing),
        it_test(get_of_the_watch),
        it_test(delete),
        it_test(swap_of_the_downgrade),
        it_test(create_and_then_give_up),
        it_test(create_of_a_command_that_tries),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("lost_replies", tests, NULL, NULL);
}
