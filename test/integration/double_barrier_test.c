/* SPDX-License-Identifier: Apache-2.0 */
/* The double barrier against real servers that work: rounds, cancels, surplus and wrong use. */
#include "common.h"

#include <stdatomic.h>
#include <time.h>

#include "frameproxy.h"

IT_TAKES_LONG

enum { ROUNDS_MAX = 50, MEMBERS_MAX = 8 };

/* The order of all events of a test. */
static atomic_ulong last_event;

static unsigned long event(void)
{
    return atomic_fetch_add(&last_event, 1) + 1;
}

/* One that takes part in rounds, on a thread of its own. */
struct member {
    zks_double_barrier *barrier;
    size_t rounds;
    atomic_size_t *work; /* Everybody adds one between enter and leave. */
    size_t n;
    unsigned long entering[ROUNDS_MAX], entered[ROUNDS_MAX];
    unsigned long leaving[ROUNDS_MAX], left[ROUNDS_MAX];
};

static void *take_part(void *arg)
{
    struct member *m = arg;
    for (size_t r = 0; r < m->rounds; r++) {
        m->entering[r] = event();
        it_ok(zks_double_barrier_enter(m->barrier, ZKS_FOREVER));
        m->entered[r] = event();
        size_t before = atomic_fetch_add(m->work, 1);
        if (before < r * m->n || before >= (r + 1) * m->n) {
            ens_fail("in round %zu there was work of another round", r);
        }
        m->leaving[r] = event();
        it_ok(zks_double_barrier_leave(m->barrier, ZKS_FOREVER));
        m->left[r] = event();
        if (atomic_load(m->work) < (r + 1) * m->n) {
            ens_fail("round %zu was left before all had worked", r);
        }
    }
    return NULL;
}

/* Nobody may have entered before the last one came, nor have left before the last one wanted to. */
static void check_order(const struct member *members, size_t n, size_t rounds)
{
    for (size_t k = 0; k < rounds * n * n; k++) {
        size_t r = k / (n * n);
        const struct member *one = &members[k / n % n];
        const struct member *other = &members[k % n];
        assert_true(one->entered[r] > other->entering[r]);
        assert_true(one->left[r] > other->leaving[r]);
    }
}

/* Lets n members on so many clients go through so many rounds. */
static void go_through(struct it *it, size_t n, size_t n_clients, size_t rounds)
{
    static struct member members[MEMBERS_MAX];
    pthread_t threads[MEMBERS_MAX];
    zks_client *clients[MEMBERS_MAX];
    atomic_size_t work = 0;
    memset(members, 0, sizeof members);
    for (size_t i = 0; i < n_clients; i++) {
        clients[i] = it_open(ens_server(i % ens_count()), 0);
    }
    for (size_t i = 0; i < n; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "m%zu", i);
        members[i].barrier = it_double_barrier(clients[i % n_clients], it->path, (uint32_t)n, id);
        members[i].rounds = rounds;
        members[i].work = &work;
        members[i].n = n;
    }
    for (size_t i = 0; i < n; i++) {
        threads[i] = it_thread_start(take_part, &members[i]);
    }
    for (size_t i = 0; i < n; i++) {
        (void)it_thread_join(threads[i]);
    }
    check_order(members, n, rounds);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    for (size_t i = 0; i < n; i++) {
        zks_double_barrier_free(members[i].barrier);
    }
    for (size_t i = 0; i < n_clients; i++) {
        it_ok(zks_client_close(clients[i]));
    }
}

static void test_n_enter_together_and_none_early(void **state)
{
    go_through(*state, 6, 6, 1);
}

static void test_several_handles_on_one_client(void **state)
{
    go_through(*state, 6, 1, 50);
    go_through(*state, 6, 3, 50);
}

static void test_fifty_rounds_without_a_pause(void **state)
{
    go_through(*state, 4, 4, 50);
}

static void test_n_is_one(void **state)
{
    go_through(*state, 1, 1, 10);
}

/* Some handles that are led by one thread, with operations. */
struct crowd {
    size_t n;
    zks_client *client[MEMBERS_MAX];
    zks_barrier *none[MEMBERS_MAX]; /* A barrier that nobody sets. */
    zks_double_barrier *barrier[MEMBERS_MAX];
    struct it_op op[MEMBERS_MAX];
};

static void crowd_open(struct crowd *c, const struct it *it, size_t n, uint32_t round_n)
{
    char *none = it_child(it, "none");
    c->n = n;
    for (size_t i = 0; i < n; i++) {
        char id[24];
        (void)snprintf(id, sizeof id, "c%zu", i);
        c->client[i] = it_open(ens_server(i % ens_count()), 0);
        c->none[i] = it_barrier(c->client[i], none);
        c->barrier[i] = it_double_barrier(c->client[i], it->path, round_n, id);
        it_op_init(&c->op[i]);
    }
    free(none);
}

static void crowd_close(struct crowd *c)
{
    for (size_t i = 0; i < c->n; i++) {
        zks_double_barrier_free(c->barrier[i]);
        zks_barrier_free(c->none[i]);
        it_ok(zks_client_close(c->client[i]));
    }
}

static void begin_enter(struct crowd *c, size_t i, int64_t timeout_ms)
{
    it_ok(zks_double_barrier_enter_op(c->barrier[i], timeout_ms, &c->op[i].op));
}

/* begin_enter() of one that will have to wait; returns when its znode is there. */
static void begin_waiting(struct crowd *c, const struct it *it, size_t i, size_t children)
{
    begin_enter(c, i, ZKS_FOREVER);
    rawzk_await_children(it->raw, it->path, children, IT_LIMIT_MS);
}

/* Whatever has happened on the servers before, the client has heard of when this wait, which has
 * its own sync, has been answered; and then this one still waits. */
static void still_waits(struct crowd *c, size_t i)
{
    it_ok(zks_barrier_wait(c->none[i], ZKS_FOREVER));
    assert_false(it_op_done(&c->op[i]));
}

static void enter_all(struct crowd *c, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        begin_enter(c, i, ZKS_FOREVER);
    }
    for (size_t i = from; i < to; i++) {
        it_ok(it_op_wait(&c->op[i]));
    }
}

static void leave_all(struct crowd *c, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        it_ok(zks_double_barrier_leave_op(c->barrier[i], ZKS_FOREVER, &c->op[i].op));
    }
    for (size_t i = from; i < to; i++) {
        it_ok(it_op_wait(&c->op[i]));
    }
}

static void test_cancel_of_all_but_one(void **state)
{
    struct it *it = *state;
    struct crowd c;
    crowd_open(&c, it, 4, 4);
    for (size_t i = 0; i < 3; i++) {
        begin_waiting(&c, it, i, i + 1);
    }
    for (size_t i = 0; i < 2; i++) {
        zks_op_cancel(&c.op[i].op);
        it_equal(it_op_wait(&c.op[i]), ZKS_ECANCELED);
    }
    assert_int_equal(rawzk_count_children(it->raw, it->path), 1);
    still_waits(&c, 2);
    /* The fourth one makes two of four. */
    begin_waiting(&c, it, 3, 2);
    still_waits(&c, 2);
    still_waits(&c, 3);
    for (size_t i = 2; i < 4; i++) {
        zks_op_cancel(&c.op[i].op);
        it_equal(it_op_wait(&c.op[i]), ZKS_ECANCELED);
    }
    assert_int_equal(rawzk_count_children(it->raw, it->path), 0);
    crowd_close(&c);
}

static void pause_us(int us)
{
    const struct timespec pause = {0, us > 0 ? us * 1000L : 0};
    (void)nanosleep(&pause, NULL);
}

static void test_cancel_many_times_over(void **state)
{
    struct it *it = *state;
    struct crowd c;
    crowd_open(&c, it, 3, 3);
    begin_waiting(&c, it, 0, 1);
    for (int round = 0; round < 60; round++) {
        begin_enter(&c, 1, ZKS_FOREVER);
        pause_us(round * 50);
        zks_op_cancel(&c.op[1].op);
        zks_op_cancel(&c.op[1].op);
        it_equal(it_op_wait(&c.op[1]), ZKS_ECANCELED);
    }
    still_waits(&c, 0);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    enter_all(&c, 1, 3);
    it_ok(it_op_wait(&c.op[0]));
    leave_all(&c, 0, 3);
    crowd_close(&c);
}

/* The first one has not entered: the other two have not either, and wait.  With `again` it comes
 * back and completes the round, else the others are cancelled in their turn. */
static void after_a_cancel(struct crowd *c, bool again)
{
    still_waits(c, 1);
    still_waits(c, 2);
    for (size_t i = 1; i < 3 && !again; i++) {
        zks_op_cancel(&c->op[i].op);
        it_equal(it_op_wait(&c->op[i]), ZKS_ECANCELED);
    }
    if (again) {
        it_ok(zks_double_barrier_enter(c->barrier[0], ZKS_FOREVER));
        it_ok(it_op_wait(&c->op[1]));
        it_ok(it_op_wait(&c->op[2]));
        leave_all(c, 0, 3);
    }
}

/* Two wait and the third one comes, while the first one gives up: by a timeout, if one is given,
 * else by a cancel.  The third one's start is moved towards the moment at which both ends are
 * possible; both must come about. */
static void race(struct it *it, unsigned rounds, int64_t timeout_ms, int expected)
{
    struct crowd c;
    unsigned entered = 0, step = 800;
    int offset = timeout_ms > 0 ? (int)timeout_ms * 1000 : 0;
    crowd_open(&c, it, 3, 3);
    for (unsigned round = 0; round < rounds; round++) {
        begin_enter(&c, 1, ZKS_FOREVER);
        rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
        begin_enter(&c, 0, timeout_ms > 0 ? timeout_ms : ZKS_FOREVER);
        if (timeout_ms > 0) {
            pause_us(offset);
            begin_enter(&c, 2, ZKS_FOREVER);
        } else {
            rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
            begin_enter(&c, 2, ZKS_FOREVER);
            pause_us(-offset);
            zks_op_cancel(&c.op[0].op);
        }
        int rc = it_op_wait(&c.op[0]);
        if (rc == 0) {
            entered++;
            it_ok(it_op_wait(&c.op[1]));
            it_ok(it_op_wait(&c.op[2]));
            leave_all(&c, 0, 3);
            offset += (int)step;
        } else {
            it_equal(rc, expected);
            after_a_cancel(&c, round % 2 == 0);
            offset -= (int)step;
        }
        step = step > 200 ? step - 10 : 100 + (round * 37) % 200;
    }
    (void)printf("# %u of %u entered\n", entered, rounds);
    assert_true(entered > 0 && entered < rounds);
    crowd_close(&c);
}

static void test_cancel_racing_the_last_to_come(void **state)
{
    race(*state, 150, 0, ZKS_ECANCELED);
}

static void test_timeout_racing_the_last_to_come(void **state)
{
    race(*state, 100, 25, ZKS_ETIMEDOUT);
}

static void test_try(void **state)
{
    struct it *it = *state;
    struct crowd c;
    crowd_open(&c, it, 3, 3);
    it_equal(zks_double_barrier_enter(c.barrier[0], 0), ZKS_EBUSY);
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    begin_waiting(&c, it, 0, 1);
    it_equal(zks_double_barrier_enter(c.barrier[2], 0), ZKS_EBUSY);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    begin_waiting(&c, it, 1, 2);
    it_ok(zks_double_barrier_enter(c.barrier[2], 0));
    it_ok(it_op_wait(&c.op[0]));
    it_ok(it_op_wait(&c.op[1]));
    leave_all(&c, 0, 3);
    crowd_close(&c);
}

static void test_a_surplus_participant_is_etoomany(void **state)
{
    struct it *it = *state;
    struct crowd c;
    struct it_op op;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    zks_client *client = it_open(frameproxy_address(proxy), 0);
    zks_double_barrier *opener = it_double_barrier(client, it->path, 2, "opener");
    crowd_open(&c, it, 2, 2);
    it_op_init(&op);
    begin_waiting(&c, it, 0, 1);
    /* The one that is to open the round is cut off: all are there, and it has not begun. */
    frameproxy_swallow_request(proxy, FRAME_MULTI, it->path, 1);
    frameproxy_swallow_request(proxy, FRAME_MULTI, it->path, 1);
    it_ok(zks_double_barrier_enter_op(opener, ZKS_FOREVER, &op.op));
    it_await(frameproxy_hits(proxy) > 0);
    frameproxy_hold(proxy);
    bool early = it_op_done(&op);
    it_equal(zks_double_barrier_enter(c.barrier[1], ZKS_FOREVER), ZKS_ETOOMANY);
    assert_int_equal(it_op_done(&op), early);
    frameproxy_release(proxy);
    it_ok(it_op_wait(&op));
    it_ok(it_op_wait(&c.op[0]));
    /* After the opening. */
    it_equal(zks_double_barrier_enter(c.barrier[1], ZKS_FOREVER), ZKS_ETOOMANY);
    it_ok(zks_double_barrier_leave_op(opener, ZKS_FOREVER, &op.op));
    it_ok(zks_double_barrier_leave(c.barrier[0], ZKS_FOREVER));
    it_ok(it_op_wait(&op));
    crowd_close(&c);
    zks_double_barrier_free(opener);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
}

/* One that does not fit is refused while the round gathers and when it has begun, and the round
 * goes on. */
static void refused(struct it *it, uint32_t n, const char *id, int before, int inside)
{
    struct crowd c;
    crowd_open(&c, it, 3, 3);
    zks_double_barrier *odd = it_double_barrier(c.client[2], it->path, n, id);
    begin_waiting(&c, it, 0, 1);
    it_equal(zks_double_barrier_enter(odd, ZKS_FOREVER), before);
    still_waits(&c, 0);
    enter_all(&c, 1, 3);
    it_ok(it_op_wait(&c.op[0]));
    it_equal(zks_double_barrier_enter(odd, ZKS_FOREVER), inside);
    leave_all(&c, 0, 3);
    zks_double_barrier_free(odd);
    crowd_close(&c);
}

/* While another participant has the id, as it waits and as it is inside. */
static void fails_with_eexist(zks_double_barrier *b)
{
    it_equal(zks_double_barrier_enter(b, 0), ZKS_EEXIST);
    it_equal(it_enter_in_vain(b), ZKS_EEXIST);
    assert_non_null(strstr(zks_last_error(), "the id \"c0\" is in use"));
}

static void test_a_taken_id_is_eexist_in_the_end(void **state)
{
    struct it *it = *state;
    struct crowd c;
    crowd_open(&c, it, 3, 3);
    zks_double_barrier *later = it_double_barrier(c.client[2], it->path, 3, "c0");
    begin_waiting(&c, it, 0, 1);
    fails_with_eexist(later);
    still_waits(&c, 0);
    enter_all(&c, 1, 3);
    it_ok(it_op_wait(&c.op[0]));
    fails_with_eexist(later);
    leave_all(&c, 0, 3);
    zks_double_barrier_free(later);
    crowd_close(&c);
}

static void test_a_taken_id_is_waited_for(void **state)
{
    struct it *it = *state;
    struct crowd c;
    struct it_op op;
    crowd_open(&c, it, 2, 2);
    zks_double_barrier *later = it_double_barrier(c.client[1], it->path, 2, "c0");
    it_op_init(&op);
    /* The earlier one gives up, and the later one takes its place. */
    begin_waiting(&c, it, 0, 1);
    it_ok(zks_double_barrier_enter_op(later, ZKS_FOREVER, &op.op));
    rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
    zks_op_cancel(&c.op[0].op);
    it_equal(it_op_wait(&c.op[0]), ZKS_ECANCELED);
    assert_false(it_op_done(&op));
    enter_all(&c, 1, 2);
    it_ok(it_op_wait(&op));
    it_ok(zks_double_barrier_leave_op(later, ZKS_FOREVER, &op.op));
    leave_all(&c, 1, 2);
    it_ok(it_op_wait(&op));
    /* The round begins with the earlier one, and the later one waits for the next round. */
    begin_waiting(&c, it, 0, 1);
    it_ok(zks_double_barrier_enter_op(later, ZKS_FOREVER, &op.op));
    rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
    enter_all(&c, 1, 2);
    it_ok(it_op_wait(&c.op[0]));
    assert_false(it_op_done(&op));
    leave_all(&c, 0, 2);
    assert_false(it_op_done(&op));
    enter_all(&c, 1, 2);
    it_ok(it_op_wait(&op));
    it_ok(zks_double_barrier_leave_op(later, ZKS_FOREVER, &op.op));
    leave_all(&c, 1, 2);
    it_ok(it_op_wait(&op));
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    zks_double_barrier_free(later);
    crowd_close(&c);
}

static void test_a_differing_n_is_emismatch(void **state)
{
    refused(*state, 2, "two", ZKS_EMISMATCH, ZKS_ETOOMANY);
    refused(*state, 4, "four", ZKS_EMISMATCH, ZKS_ETOOMANY);
}

static void test_without_an_id(void **state)
{
    struct crowd c;
    crowd_open(&c, *state, 3, 3);
    for (size_t i = 0; i < 3; i++) {
        zks_double_barrier_free(c.barrier[i]);
        const struct it *it = *state;
        c.barrier[i] = it_double_barrier(c.client[i / 2], it->path, 3, NULL);
        assert_true(strlen(zks_double_barrier_id(c.barrier[i])) <= ZKS_DOUBLE_BARRIER_ID_MAX);
        for (size_t k = 0; k < i; k++) { /* Host and pid are the same. */
            assert_string_not_equal(zks_double_barrier_id(c.barrier[i]),
                                    zks_double_barrier_id(c.barrier[k]));
        }
    }
    enter_all(&c, 0, 3);
    leave_all(&c, 0, 3);
    crowd_close(&c);
}

static void test_a_hundred_participants(void **state)
{
    struct it *it = *state;
    enum { N = 100, CLIENTS = 4, ROUNDS = 2 };
    static struct it_op ops[N];
    zks_double_barrier *barriers[N];
    zks_client *clients[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = it_open(ens_server(i % ens_count()), 0);
    }
    for (size_t i = 0; i < N; i++) {
        it_op_init(&ops[i]);
        barriers[i] = it_double_barrier(clients[i % CLIENTS], it->path, N, NULL);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i + 1 < N; i++) {
            it_ok(zks_double_barrier_enter_op(barriers[i], ZKS_FOREVER, &ops[i].op));
        }
        rawzk_await_children(it->raw, it->path, N - 1, IT_LIMIT_MS);
        for (size_t i = 0; i + 1 < N; i++) {
            assert_false(it_op_done(&ops[i]));
        }
        it_ok(zks_double_barrier_enter(barriers[N - 1], ZKS_FOREVER));
        for (size_t i = 0; i + 1 < N; i++) {
            it_ok(it_op_wait(&ops[i]));
            it_ok(zks_double_barrier_leave_op(barriers[i], ZKS_FOREVER, &ops[i].op));
        }
        for (size_t i = 0; i + 1 < N; i++) {
            assert_false(it_op_done(&ops[i]));
        }
        it_ok(zks_double_barrier_leave(barriers[N - 1], ZKS_FOREVER));
        for (size_t i = 0; i + 1 < N; i++) {
            it_ok(it_op_wait(&ops[i]));
        }
        assert_false(rawzk_exists(it->raw, it->path, NULL));
    }
    for (size_t i = 0; i < N; i++) {
        zks_double_barrier_free(barriers[i]);
        if (i + CLIENTS >= N) {
            it_ok(zks_client_close(clients[i % CLIENTS]));
        }
    }
}

static void test_wrong_use_of_a_handle(void **state)
{
    struct it *it = *state;
    struct crowd c;
    crowd_open(&c, it, 2, 2);
    it_equal(zks_double_barrier_leave(c.barrier[0], ZKS_FOREVER), ZKS_EPERM);
    begin_waiting(&c, it, 0, 1);
    it_equal(zks_double_barrier_enter(c.barrier[0], ZKS_FOREVER), ZKS_EDEADLK);
    it_equal(zks_double_barrier_enter(c.barrier[0], 0), ZKS_EDEADLK);
    it_equal(zks_double_barrier_leave(c.barrier[0], 0), ZKS_EDEADLK);
    still_waits(&c, 0);
    it_ok(zks_double_barrier_enter(c.barrier[1], ZKS_FOREVER));
    it_ok(it_op_wait(&c.op[0]));
    it_equal(zks_double_barrier_enter(c.barrier[0], ZKS_FOREVER), ZKS_EDEADLK);
    it_ok(zks_double_barrier_leave_op(c.barrier[0], ZKS_FOREVER, &c.op[0].op));
    it_equal(zks_double_barrier_leave(c.barrier[0], ZKS_FOREVER), ZKS_EDEADLK);
    it_equal(zks_double_barrier_enter(c.barrier[0], ZKS_FOREVER), ZKS_EDEADLK);
    it_ok(zks_double_barrier_leave(c.barrier[1], ZKS_FOREVER));
    it_ok(it_op_wait(&c.op[0]));
    it_equal(zks_double_barrier_leave(c.barrier[0], ZKS_FOREVER), ZKS_EPERM);
    crowd_close(&c);
}

static void test_leave_that_does_not_wait_to_the_end(void **state)
{
    struct crowd c;
    crowd_open(&c, *state, 2, 2);
    for (unsigned round = 0; round < 3; round++) {
        enter_all(&c, 0, 2);
        if (round == 0) {
            it_equal(zks_double_barrier_leave(c.barrier[0], 50), ZKS_ETIMEDOUT);
        } else if (round == 1) {
            it_ok(zks_double_barrier_leave_op(c.barrier[0], ZKS_FOREVER, &c.op[0].op));
            zks_op_cancel(&c.op[0].op);
            it_equal(it_op_wait(&c.op[0]), ZKS_ECANCELED);
        } else {
            it_ok(zks_double_barrier_leave(c.barrier[0], 0));
        }
        it_equal(zks_double_barrier_leave(c.barrier[0], ZKS_FOREVER), ZKS_EPERM);
        it_ok(zks_double_barrier_leave(c.barrier[1], ZKS_FOREVER));
    }
    crowd_close(&c);
}

static void test_leave_without_waiting_and_enter_at_once(void **state)
{
    struct it *it = *state;
    struct crowd c;
    crowd_open(&c, it, 2, 2);
    for (unsigned round = 0; round < 40; round++) {
        enter_all(&c, 0, 2);
        it_ok(zks_double_barrier_leave(c.barrier[0], 0));
        begin_enter(&c, 0, ZKS_FOREVER);
        if (round % 2 == 0) {
            /* The other one is inside still, so this is not its round. */
            still_waits(&c, 0);
        }
        it_ok(zks_double_barrier_leave(c.barrier[1], round % 4 < 2 ? ZKS_FOREVER : 0));
        still_waits(&c, 0);
        it_ok(zks_double_barrier_enter(c.barrier[1], ZKS_FOREVER));
        it_ok(it_op_wait(&c.op[0]));
        leave_all(&c, 0, 2);
    }
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    crowd_close(&c);
}

static void test_whoever_comes_while_a_round_ends_waits_for_the_next(void **state)
{
    struct it *it = *state;
    struct crowd c;
    crowd_open(&c, it, 4, 2);
    enter_all(&c, 0, 2);
    const size_t inside = 1 + 2; /* With `ready`. */
    rawzk_await_children(it->raw, it->path, inside, IT_LIMIT_MS);
    it_ok(zks_double_barrier_leave_op(c.barrier[0], ZKS_FOREVER, &c.op[0].op));
    rawzk_await_children(it->raw, it->path, inside - 1, IT_LIMIT_MS);
    begin_waiting(&c, it, 2, inside);
    begin_waiting(&c, it, 3, inside + 1);
    still_waits(&c, 2);
    still_waits(&c, 3);
    still_waits(&c, 0);
    it_ok(zks_double_barrier_leave(c.barrier[1], ZKS_FOREVER));
    it_ok(it_op_wait(&c.op[0]));
    it_ok(it_op_wait(&c.op[2]));
    it_ok(it_op_wait(&c.op[3]));
    leave_all(&c, 2, 4);
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    crowd_close(&c);
}

/* Freeing the handle, or closing its client, while it waits and while it is inside. */
static void test_free_and_close(void **state)
{
    struct it *it = *state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct crowd c;
        crowd_open(&c, it, 3, 3);
        zks_double_barrier *gone = it_double_barrier(c.client[2], it->path, 3, "gone");
        it_ok(zks_double_barrier_enter_op(gone, ZKS_FOREVER, &c.op[2].op));
        rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
        zks_double_barrier_free(gone);
        it_equal(it_op_wait(&c.op[2]), ZKS_ECLOSED);
        rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
        enter_all(&c, 0, 3);
        it_ok(zks_double_barrier_leave_op(c.barrier[0], ZKS_FOREVER, &c.op[0].op));
        it_ok(zks_double_barrier_leave_op(c.barrier[1], ZKS_FOREVER, &c.op[1].op));
        still_waits(&c, 0);
        still_waits(&c, 1);
        if (kind == 0) {
            zks_double_barrier_free(c.barrier[2]);
            c.barrier[2] = NULL;
        } else {
            it_ok(zks_client_close(c.client[2]));
            c.client[2] = NULL;
        }
        it_ok(it_op_wait(&c.op[0]));
        it_ok(it_op_wait(&c.op[1]));
        assert_false(rawzk_exists(it->raw, it->path, NULL));
        crowd_close(&c);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(test_n_enter_together_and_none_early),
        it_test(test_several_handles_on_one_client),
        it_test(test_fifty_rounds_without_a_pause),
        it_test(test_n_is_one),
        it_test(test_cancel_of_all_but_one),
        it_test(test_cancel_many_times_over),
        it_test(test_cancel_racing_the_last_to_come),
        it_test(test_timeout_racing_the_last_to_come),
        it_test(test_try),
        it_test(test_a_surplus_participant_is_etoomany),
        it_test(test_a_taken_id_is_eexist_in_the_end),
        it_test(test_a_taken_id_is_waited_for),
        it_test(test_a_differing_n_is_emismatch),
        it_test(test_without_an_id),
        it_test(test_a_hundred_participants),
        it_test(test_wrong_use_of_a_handle),
        it_test(test_leave_that_does_not_wait_to_the_end),
        it_test(test_leave_without_waiting_and_enter_at_once),
        it_test(test_whoever_comes_while_a_round_ends_waits_for_the_next),
        it_test(test_free_and_close),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
