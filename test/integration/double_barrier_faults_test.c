/* SPDX-License-Identifier: Apache-2.0 */
/* The double barrier against real servers that fail it: cuts and lost messages. */
#include "common.h"
#include "sides.h"

IT_TAKES_LONG

static void test_cut_for_good_before_the_round(void **state)
{
    struct it *it = *state;
    struct side s[4];
    open_all(s, it, 4, 3);
    begin_waiting(&s[0], it, 1);
    begin_waiting(&s[1], it, 2);
    (void)cut(&s[0]);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    /* Two others, with other ids, make the round complete. */
    begin_waiting(&s[2], it, 2);
    still_waits(&s[1]);
    begin_enter(&s[3]);
    wait_all(s, 1, 4);
    leave_all(s, 1, 4);
    assert_false(it_op_done(&s[0].op));
    zks_op_cancel(&s[0].op.op);
    int rc = it_op_wait(&s[0].op);
    assert_true(rc == ZKS_ELOST || rc == ZKS_ECANCELED);
    close_all(s, 4);
}

static void test_cut_for_good_while_inside(void **state)
{
    struct it *it = *state;
    struct side s[SIDES];
    open_all(s, it, SIDES, SIDES);
    for (unsigned kind = 0; kind < 2; kind++) {
        enter_all(s, 0, SIDES);
        size_t from = cut(&s[0]);
        leave_all(s, 1, SIDES);
        assert_false(rawzk_exists(it->raw, it->path, NULL));
        from = it_states_await(&s[0].states, from, ZKS_CLIENT_LOST);
        if (kind == 0) {
            /* The leave is called before the server has said so. */
            begin_leave(&s[0]);
        }
        frameproxy_release(s[0].proxy);
        (void)it_states_await(&s[0].states, from, ZKS_CLIENT_RECONNECTED);
        if (kind == 1) {
            begin_leave(&s[0]);
        }
        it_equal(it_op_wait(&s[0].op), ZKS_ELOST);
        it_equal(zks_double_barrier_leave(s[0].barrier, ZKS_FOREVER), ZKS_EPERM);
    }
    /* And the handle is as good as new. */
    enter_all(s, 0, SIDES);
    leave_all(s, 0, SIDES);
    close_all(s, SIDES);
}

static void test_cut_for_good_while_leaving(void **state)
{
    struct it *it = *state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct side s[SIDES];
        open_all(s, it, SIDES, SIDES);
        enter_all(s, 0, SIDES);
        const size_t inside = 1 + SIDES; /* With `ready`. */
        rawzk_await_children(it->raw, it->path, inside, IT_LIMIT_MS);
        /* With the delete done, and without. */
        (kind == 0 ? frameproxy_swallow_reply
                   : frameproxy_swallow_request)(s[0].proxy, FRAME_DELETE, it->path, 1);
        begin_leave(&s[0]);
        assert_true(frameproxy_await_hit(s[0].proxy, IT_LIMIT_MS));
        (void)cut(&s[0]);
        rawzk_await_children(it->raw, it->path, inside - 1, IT_LIMIT_MS);
        leave_all(s, 1, SIDES);
        assert_false(rawzk_exists(it->raw, it->path, NULL));
        frameproxy_release(s[0].proxy);
        int rc = it_op_wait(&s[0].op);
        assert_true(rc == 0 || rc == ZKS_ELOST);
        close_all(s, SIDES);
    }
}

static void test_short_cut_in_each_phase(void **state)
{
    struct it *it = *state;
    struct side s[SIDES];
    open_all(s, it, SIDES, SIDES);
    for (unsigned phase = 0; phase < 6; phase++) {
        begin_waiting(&s[1], it, 1);
        begin_waiting(&s[2], it, 2);
        size_t from = it_states_count(&s[0].states);
        begin_enter(&s[0]);
        if (phase == 0) {
            cut_shortly(&s[0]);
        }
        wait_all(s, 0, SIDES);
        if (phase == 1) {
            cut_shortly(&s[0]);
        }
        begin_leave(&s[0]);
        if (phase == 2) {
            cut_shortly(&s[0]);
        } else if (phase == 3) {
            from = cut(&s[0]);
        }
        begin_leave(&s[1]);
        if (phase == 4) {
            from = cut(&s[0]);
        }
        begin_leave(&s[2]);
        if (phase == 3 || phase == 4) {
            frameproxy_release(s[0].proxy);
            (void)it_states_await(&s[0].states, from, ZKS_CLIENT_RECONNECTED);
        }
        wait_all(s, 0, SIDES);
        assert_false(rawzk_exists(it->raw, it->path, NULL));
    }
    close_all(s, SIDES);
}

static void test_opened_while_cut_off(void **state)
{
    struct it *it = *state;
    struct side s[SIDES];
    open_all(s, it, SIDES, SIDES);
    begin_waiting(&s[0], it, 1);
    size_t from = cut(&s[0]);
    begin_enter(&s[1]);
    begin_enter(&s[2]);
    wait_all(s, 1, SIDES);
    zks_op_cancel(&s[0].op.op);
    frameproxy_release(s[0].proxy);
    /* The cancel came too late. */
    it_ok(it_op_wait(&s[0].op));
    (void)it_states_await(&s[0].states, from, ZKS_CLIENT_RECONNECTED);
    leave_all(s, 0, SIDES);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    close_all(s, SIDES);
}

/* The round begins with a participant that is cut off, and is over when its session has ended.  It
 * gives up just before that comes out, so it cannot know that it did not enter: it did. */
static void test_cancelled_while_cut_off_from_a_round_that_is_over(void **state)
{
    struct it *it = *state;
    struct side s[2];
    open_all(s, it, 2, 2);
    begin_waiting(&s[0], it, 1);
    (void)cut(&s[0]);
    enter_all(s, 1, 2);
    begin_leave(&s[1]);
    it_ok(it_op_wait(&s[1].op));
    zks_op_cancel(&s[0].op.op);
    frameproxy_release(s[0].proxy);
    int rc = it_op_wait(&s[0].op);
    if (rc != 0) {
        it_equal(rc, ZKS_ELOST);
    } else {
        it_equal(zks_double_barrier_leave(s[0].barrier, ZKS_FOREVER), ZKS_ELOST);
    }
    close_all(s, 2);
}

/* A leave goes on in the background, cut off, until the round is over and all of it is gone.  The
 * enter that came behind it must not take that for the beginning of a round. */
static void test_enter_behind_a_leave_that_was_cut_off(void **state)
{
    struct it *it = *state;
    struct side s[2];
    open_all(s, it, 2, 2);
    enter_all(s, 0, 2);
    frameproxy_swallow_reply(s[0].proxy, FRAME_DELETE, it->path, 1);
    it_ok(zks_double_barrier_leave(s[0].barrier, 0));
    assert_true(frameproxy_await_hit(s[0].proxy, IT_LIMIT_MS));
    (void)cut(&s[0]);
    it_ok(zks_double_barrier_leave(s[1].barrier, ZKS_FOREVER));
    begin_enter(&s[0]);
    frameproxy_release(s[0].proxy);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    still_waits(&s[0]);
    enter_all(s, 1, 2);
    it_ok(it_op_wait(&s[0].op));
    leave_all(s, 0, 2);
    close_all(s, 2);
}

enum phase { ENTER_FIRST, ENTER_LAST, GIVE_UP, LEAVE_FIRST, LEAVE_LAST };

/* A message that is lost, once as a request and once as the reply to it. */
struct loss {
    const char *what;
    enum phase phase;
    int32_t opcode[3]; /* Whichever of them the library uses. */
};

static const struct loss losses[] = {
    {"the create", ENTER_FIRST, {FRAME_CREATE, FRAME_CREATE2}},
    {"the create of the last", ENTER_LAST, {FRAME_CREATE, FRAME_CREATE2}},
    {"the look for ready", ENTER_FIRST, {FRAME_EXISTS}},
    {"the reading of ready", ENTER_FIRST, {FRAME_GET_DATA}},
    {"the listing", ENTER_FIRST, {FRAME_GET_CHILDREN, FRAME_GET_CHILDREN2}},
    {"the last one's look for ready", ENTER_LAST, {FRAME_EXISTS}},
    {"the last one's listing", ENTER_LAST, {FRAME_GET_CHILDREN, FRAME_GET_CHILDREN2}},
    {"the opening", ENTER_LAST, {FRAME_MULTI}},
    {"the delete of who gives up", GIVE_UP, {FRAME_DELETE}},
    {"the first one's delete", LEAVE_FIRST, {FRAME_DELETE}},
    {"the first one's listing", LEAVE_FIRST, {FRAME_GET_CHILDREN, FRAME_GET_CHILDREN2}},
    {"the last one's delete", LEAVE_LAST, {FRAME_DELETE}},
    {"the leaving one's listing", LEAVE_LAST, {FRAME_GET_CHILDREN, FRAME_GET_CHILDREN2}},
    {"the closing", LEAVE_LAST, {FRAME_MULTI}},
};

static void arm(struct side *s, const struct it *it, const struct loss *loss, bool request)
{
    for (size_t i = 0; i < 3 && loss->opcode[i] != 0; i++) {
        (request ? frameproxy_swallow_request : frameproxy_swallow_reply)(s->proxy, loss->opcode[i],
                                                                          it->path, 1);
    }
}

/* Two participants go through a round while the first one loses the message. */
static void lose(struct it *it, const struct loss *loss, bool request)
{
    struct side s[2];
    open_all(s, it, 2, 2);
    rawzk_create_path(it->raw, it->path);
    if (loss->phase == ENTER_FIRST || loss->phase == GIVE_UP) {
        arm(&s[0], it, loss, request);
        begin_enter(&s[0]);
        if (loss->phase == ENTER_FIRST) {
            it_await(frameproxy_hits(s[0].proxy) > 0);
        }
        rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    }
    if (loss->phase == GIVE_UP) {
        zks_op_cancel(&s[0].op.op);
        it_equal(it_op_wait(&s[0].op), ZKS_ECANCELED);
        assert_int_equal(rawzk_count_children(it->raw, it->path), 0);
        begin_enter(&s[0]);
    }
    if (loss->phase == ENTER_LAST) {
        begin_waiting(&s[1], it, 1);
        arm(&s[0], it, loss, request);
        begin_enter(&s[0]);
    } else if (loss->phase == ENTER_FIRST || loss->phase == GIVE_UP) {
        begin_enter(&s[1]);
    } else {
        begin_enter(&s[0]);
        begin_enter(&s[1]);
    }
    wait_all(s, 0, 2);
    const size_t inside = 3; /* `ready` and the two. */
    rawzk_await_children(it->raw, it->path, inside, IT_LIMIT_MS);
    if (loss->phase == LEAVE_LAST) {
        begin_leave(&s[1]);
        rawzk_await_children(it->raw, it->path, inside - 1, IT_LIMIT_MS);
        arm(&s[0], it, loss, request);
        begin_leave(&s[0]);
    } else {
        if (loss->phase == LEAVE_FIRST) {
            arm(&s[0], it, loss, request);
        }
        begin_leave(&s[0]);
        rawzk_await_children(it->raw, it->path, inside - 1, IT_LIMIT_MS);
        if (loss->phase == LEAVE_FIRST) {
            it_await(frameproxy_hits(s[0].proxy) > 0);
        }
        still_waits(&s[0]);
        begin_leave(&s[1]);
    }
    wait_all(s, 0, 2);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    assert_true(frameproxy_hits(s[0].proxy) > 0);
    close_all(s, 2);
}

static void test_lost_replies(void **state)
{
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        (void)printf("# reply to %s\n", losses[i].what);
        lose(*state, &losses[i], false);
    }
}

static void test_lost_requests(void **state)
{
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        (void)printf("# %s\n", losses[i].what);
        lose(*state, &losses[i], true);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(test_cut_for_good_before_the_round),
        it_test(test_cut_for_good_while_inside),
        it_test(test_cut_for_good_while_leaving),
        it_test(test_short_cut_in_each_phase),
        it_test(test_opened_while_cut_off),
        it_test(test_cancelled_while_cut_off_from_a_round_that_is_over),
        it_test(test_enter_behind_a_leave_that_was_cut_off),
        it_test(test_lost_replies),
        it_test(test_lost_requests),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
