/* SPDX-License-Identifier: Apache-2.0 */
/* The lease by tables of answers; unit_lease_model holds it against servers that do their worst. */
#include <string.h>

#include "core/lease.h"
#include "unit.h"

enum { TIMEOUT = 10000, MARGIN = TIMEOUT / 50 };

/* What happens to a lease, and what it is then good for. */
enum what { BEGIN, AGAIN, READ, SYNC, WRITE };

struct row {
    enum what what;
    uint64_t sent_ms; /* For BEGIN and AGAIN when the connection was asked for. */
    uint64_t now_ms;
    uint64_t heard_ms; /* What is then known: the lease is counted from the earlier of the two. */
    uint64_t quorum_ms;
};

static uint64_t until(uint64_t from_ms)
{
    return from_ms + TIMEOUT - MARGIN;
}

static void run_rows(const struct row *rows, size_t n)
{
    static const enum zks__route routes[] = {
        [READ] = ZKS__ROUTE_FOLLOWER, [SYNC] = ZKS__ROUTE_LEADER, [WRITE] = ZKS__ROUTE_QUORUM};
    struct zks__lease l;
    memset(&l, 0, sizeof l);
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        if (r->what == BEGIN || r->what == AGAIN) {
            zks__lease_begin(&l, r->sent_ms, TIMEOUT, r->what == BEGIN);
        } else {
            zks__lease_answered(&l, routes[r->what], r->sent_ms, r->now_ms);
        }
        uint64_t from_ms = r->heard_ms < r->quorum_ms ? r->heard_ms : r->quorum_ms;
        if (l.heard_ms != r->heard_ms || zks__lease_safe_until(&l) != until(from_ms)) {
            fail_msg("row %zu: heard at %llu, safe until %llu", i, (unsigned long long)l.heard_ms,
                     (unsigned long long)zks__lease_safe_until(&l));
        }
    }
}

#define ROWS(...)                                                                                  \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        run_rows(rows, COUNT(rows));                                                               \
    } while (0)

static void test_nothing_known(void **state)
{
    (void)state;
    struct zks__lease l;
    memset(&l, 0, sizeof l);
    assert_int_equal(zks__lease_safe_until(&l), 0);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 5000, 5000);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 50000, 50000);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 60000, 60000);
    assert_int_equal(zks__lease_safe_until(&l), 0);
    assert_true(zks__lease_beat_ms(&l) > 0);
    assert_true(zks__lease_note_ms(&l) > 0);
    assert_true(zks__lease_next_ms(&l) == ZKS__NEVER);
}

/* A is answered at 1,510.  W follows by 2,552 ms or more: a millisecond, a quarter of the timeout, and a
 * two-hundredth; B follows W's answer by 202; C follows B's. */
static void test_a_chain(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 2400, 2410, 1000, 1500}, {SYNC, 4062, 4070, 1000, 1500},
         {WRITE, 4272, 4280, 1000, 4272}, {SYNC, 4281, 4290, 1500, 4272});
}

static void test_w_too_early(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 4061, 4061, 1000, 1500}, {SYNC, 4300, 4300, 1000, 1500},
         {SYNC, 4502, 4502, 1000, 1500}, {SYNC, 4503, 4503, 1500, 1500});
}

static void test_b_too_early(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 4062, 4070, 1000, 1500}, {SYNC, 4271, 4271, 1000, 1500},
         {SYNC, 4300, 4310, 1000, 1500}, {SYNC, 4311, 4320, 1500, 1500});
}

/* C must have been sent after B was answered; within the same millisecond that is not known. */
static void test_c_too_early(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 4062, 4070, 1000, 1500}, {SYNC, 4272, 4300, 1000, 1500},
         {SYNC, 4290, 4301, 1000, 1500}, {SYNC, 4300, 4302, 1000, 1500},
         {SYNC, 4301, 4303, 1500, 1500});
}

/* Requests that were stuck on their way together are neither W nor B nor C to each other. */
static void test_answers_in_a_burst(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 4062, 8000, 1000, 1500}, {SYNC, 5500, 8000, 1000, 1500},
         {SYNC, 7999, 8000, 1000, 1500}, {SYNC, 8201, 8201, 1000, 1500},
         {SYNC, 8202, 8203, 1000, 1500}, {SYNC, 8203, 8203, 1000, 1500},
         {SYNC, 8204, 8205, 1500, 1500});
}

/* Reads are answered by servers that are cut off from the leader: they do for A, not for W, B or C. */
static void test_reads(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {READ, 1500, 1510, 1000, 1000},
         {READ, 4100, 4110, 1000, 1000}, {SYNC, 4400, 4410, 1000, 1000},
         {READ, 4700, 4710, 1000, 1000}, {SYNC, 4750, 4760, 1000, 1000},
         {READ, 4800, 4810, 1000, 1000}, {SYNC, 4900, 4910, 1500, 1000});
}

/* An idle client reads four times in a session timeout; its lock's create is W. */
static void test_after_a_long_idle_time(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {READ, 3500, 3510, 1000, 1000},
         {READ, 6000, 6010, 1000, 1000}, {READ, 8500, 8510, 1000, 1000},
         {READ, 11000, 11010, 1000, 1000}, {READ, 13500, 13510, 1000, 1000},
         {WRITE, 16000, 16010, 1000, 16000}, {SYNC, 16212, 16220, 1000, 16000},
         /* Not C: a leader that is about to end the session answers it. */
         {SYNC, 16221, 16230, 1000, 16000}, {WRITE, 16231, 16240, 11000, 16231});
}

/* Syncs keep up what the leader has heard, and say nothing of whether it still leads. */
static void test_without_writes(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {SYNC, 1500, 1510, 1000, 1000},
         {SYNC, 2400, 2410, 1000, 1000}, {SYNC, 4100, 4110, 1000, 1000},
         {SYNC, 5000, 5010, 1000, 1000}, {SYNC, 5100, 5110, 1500, 1000},
         {WRITE, 6000, 6010, 1500, 6000}, {SYNC, 6100, 6110, 2400, 6000});
}

/* Whoever hurries is told when: for W, for B, for C, and for the next W. */
static void test_next(void **state)
{
    (void)state;
    struct zks__lease l;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, 1000, TIMEOUT, true);
    zks__lease_answered(&l, ZKS__ROUTE_FOLLOWER, 1500, 1510);
    assert_int_equal(zks__lease_next_ms(&l), 4062);
    zks__lease_answered(&l, ZKS__ROUTE_LEADER, 4062, 4070);
    assert_int_equal(zks__lease_next_ms(&l), 4272);
    zks__lease_answered(&l, ZKS__ROUTE_LEADER, 4272, 4280);
    assert_int_equal(zks__lease_next_ms(&l), 4281);
    zks__lease_answered(&l, ZKS__ROUTE_LEADER, 4281, 4290);
    assert_int_equal(l.heard_ms, 1500);
    assert_int_equal(zks__lease_next_ms(&l), 0);
    assert_false(zks__lease_wants_write(&l, 4300));
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 4300, 4310);
    assert_int_equal(zks__lease_next_ms(&l), 4070 + 2552);
    /* A proof that a long pause has interrupted is not gone on with. */
    zks__lease_answered(&l, ZKS__ROUTE_LEADER, 6700, 6710);
    zks__lease_answered(&l, ZKS__ROUTE_FOLLOWER, 15000, 15010);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 18000, 18010);
    assert_int_equal(zks__lease_next_ms(&l), 18212);
    assert_false(zks__lease_wants_write(&l, 18212));
    zks__lease_answered(&l, ZKS__ROUTE_LEADER, 18212, 18220);
    assert_true(zks__lease_wants_write(&l, 18221)); /* The last lease is over. */
}

/* The connection was given up after what it has answered, whether or not that was seen. */
static void test_reconnect(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 4062, 4070, 1000, 1500}, {AGAIN, 4200, 0, 4200, 1500},
         {SYNC, 4300, 4310, 4200, 1500}, {SYNC, 6900, 6910, 4200, 1500},
         {SYNC, 7200, 7210, 4200, 1500}, {SYNC, 7300, 7310, 4300, 1500}, {AGAIN, 0, 0, 7300, 1500},
         {AGAIN, 7100, 0, 7300, 1500});
}

static void test_new_session(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 8000, 8010, 1000, 8000},
         /* It begins anew, even where it was asked for before. */
         {BEGIN, 7000, 0, 7000, 7000}, {BEGIN, 500, 0, 500, 500});
}

static void test_end(void **state)
{
    (void)state;
    struct zks__lease l;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, 1000, TIMEOUT, true);
    zks__lease_end(&l);
    assert_int_equal(zks__lease_safe_until(&l), 0);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 3000, 3000);
    assert_int_equal(zks__lease_safe_until(&l), 0);
    /* The next session's number is not asked for: nothing is left of the last one. */
    zks__lease_begin(&l, 500, TIMEOUT, false);
    assert_int_equal(zks__lease_safe_until(&l), until(500));
}

/* Whatever comes in whatever order, what has been said is not taken back. */
static void test_never_goes_back(void **state)
{
    (void)state;
    struct zks__lease l;
    uint64_t seed = 3;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, 1000, TIMEOUT, true);
    uint64_t before = zks__lease_safe_until(&l);
    for (uint64_t at = 1000; at < 400000; at += unit_below(&seed, 700)) {
        enum zks__route route = (enum zks__route)unit_below(&seed, 3);
        if (unit_below(&seed, 100) == 0) {
            zks__lease_begin(&l, at - unit_below(&seed, 900), TIMEOUT, false);
        } else {
            zks__lease_answered(&l, route, at - unit_below(&seed, 900), at);
        }
        assert_true(zks__lease_safe_until(&l) >= before);
        assert_true(zks__lease_safe_until(&l) < at + TIMEOUT);
        before = zks__lease_safe_until(&l);
    }
    assert_true(before > 390000);
}

/* Beats as the driver sends them, every third of them a write, to servers that are well.  Right before each
 * answer so many percent of the timeout must be left. */
static void steady(uint32_t timeout_ms, uint64_t every_ms, uint64_t takes_ms, unsigned percent)
{
    struct zks__lease l;
    uint64_t now = 5000;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, now, timeout_ms, true);
    for (unsigned i = 0; i < 400; i++) {
        assert_true(zks__lease_safe_until(&l) >=
                    now + takes_ms + (uint64_t)timeout_ms * percent / 100);
        zks__lease_answered(&l, i % 3 == 0 ? ZKS__ROUTE_QUORUM : ZKS__ROUTE_LEADER, now,
                            now + takes_ms);
        now += every_ms;
    }
}

static void test_a_steady_beat_keeps_it(void **state)
{
    (void)state;
    static const uint32_t timeouts[] = {1000, 4000, 6000, 10000, 30000, 40000, 1000000};
    for (size_t i = 0; i < COUNT(timeouts); i++) {
        struct zks__lease l = {.timeout_ms = timeouts[i]};
        uint64_t beat = zks__lease_beat_ms(&l);
        steady(timeouts[i], beat, 0, 50);
        steady(timeouts[i], beat + 1, 1, 45);
        steady(timeouts[i], beat, timeouts[i] / 200, 45);
        steady(timeouts[i], beat + timeouts[i] / 200, timeouts[i] / 200, 42);
        steady(timeouts[i], 2 * beat, timeouts[i] / 200, 28);
    }
}

/* A busy client: far more answers than the table has places for. */
static void test_many_answers(void **state)
{
    (void)state;
    static const uint32_t timeouts[] = {1, 2, 19, 100, 1000, 10000, 40000};
    for (size_t i = 0; i < COUNT(timeouts); i++) {
        struct zks__lease l;
        uint64_t now = 5000;
        memset(&l, 0, sizeof l);
        zks__lease_begin(&l, now, timeouts[i], true);
        for (; now < 105000; now++) {
            zks__lease_answered(&l, ZKS__ROUTE_QUORUM, now, now);
            if (timeouts[i] >= 100) {
                assert_true(zks__lease_safe_until(&l) >= now + timeouts[i] / 2);
            }
        }
    }
}

/* Requests one after the other, by true times in microseconds; the lease sees whole milliseconds. */
enum { REQUESTS = 6, US = 1000 };

struct exchange {
    uint64_t sent;
    uint64_t answered;
};

/* Whether W comes when the leader's next ping is due: half a tick later, by a clock that is 2 % slower than
 * ours; and B when the leader has sent it. */
static bool proves(const struct exchange *a, const struct exchange *w, const struct exchange *b,
                   uint64_t timeout_ms)
{
    return w->sent * 200 >= a->answered * 200 + timeout_ms * US * 51 &&
           b->sent * 50 >= w->answered * 50 + timeout_ms * US;
}

/* When the leader had heard of the session, at the time that the last request was answered. */
static uint64_t truly_heard(const struct exchange *x, uint64_t timeout_ms)
{
    uint64_t heard = 0;
    for (unsigned b = 2; b + 1 < REQUESTS; b++) {
        for (unsigned w = 1; w < b; w++) {
            for (unsigned a = 0; a < w; a++) {
                if (x[a].sent > heard && proves(&x[a], &x[w], &x[b], timeout_ms)) {
                    heard = x[a].sent;
                }
            }
        }
    }
    return heard;
}

/* However times are cut to milliseconds, and whatever a fiftieth or a fourth of the timeout is. */
static void test_roundings(void **state)
{
    (void)state;
    uint64_t seed = 5;
    unsigned chains = 0;
    for (unsigned i = 0; i < 200000; i++) {
        struct zks__lease l;
        struct exchange x[REQUESTS];
        uint32_t timeout = 4 + unit_below(&seed, 60);
        uint64_t asked = 1000 * US + unit_below(&seed, 3 * US);
        uint64_t at = asked;
        memset(&l, 0, sizeof l);
        zks__lease_begin(&l, asked / US, timeout, true);
        for (unsigned j = 0; j < REQUESTS; j++) {
            x[j].sent = at + unit_below(&seed, timeout * US / 3);
            x[j].answered = at = x[j].sent + unit_below(&seed, 2 * US);
            zks__lease_answered(&l, ZKS__ROUTE_LEADER, x[j].sent / US, x[j].answered / US);
        }
        uint64_t heard = truly_heard(x, timeout);
        /* A fiftieth is taken off for the clocks. */
        assert_true(zks__lease_safe_until(&l) * US * 50 <= (asked * 50 + timeout * 49ULL * US));
        assert_true(l.heard_ms * US <= (heard > asked ? heard : asked));
        chains += l.heard_ms > asked / US;
    }
    assert_true(chains > 10000);
}

static void test_far_future(void **state)
{
    (void)state;
    struct zks__lease l;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, UINT64_MAX - 5, TIMEOUT, true);
    assert_true(zks__lease_safe_until(&l) == UINT64_MAX);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, UINT64_MAX - 4, UINT64_MAX - 4);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, UINT64_MAX - 1, UINT64_MAX - 1);
    assert_true(zks__lease_safe_until(&l) == UINT64_MAX);
}

/* A server that grants less has shortened the session for good: another's note can still do so. */
static void test_a_shorter_grant(void **state)
{
    (void)state;
    struct zks__lease l;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, 1000, TIMEOUT, true);
    zks__lease_cut(&l);
    assert_int_equal(zks__lease_safe_until(&l), until(1000));
    zks__lease_begin(&l, 2000, 6000, false);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 4000, 4000);
    assert_int_equal(zks__lease_safe_until(&l), 2000 + 6000 - 120);
    zks__lease_begin(&l, 3000, TIMEOUT, false);
    assert_int_equal(zks__lease_safe_until(&l), 4000 + 6000 - 120);
}

/* A leader of later date counts with what was granted when the session was created. */
static void test_a_longer_grant(void **state)
{
    (void)state;
    struct zks__lease l;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, 1000, 6000, true);
    zks__lease_begin(&l, 2000, TIMEOUT, false);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 3000, 3000);
    assert_int_equal(zks__lease_safe_until(&l), 2000 + 6000 - 120);
}

/* A server that has granted less before may have taken the session up, once the connection is lost. */
static void test_an_unknown_grant(void **state)
{
    (void)state;
    struct zks__lease l;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, 1000, 6000, true);
    zks__lease_end(&l);
    zks__lease_begin(&l, 2000, TIMEOUT, true);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 2000, 2000);
    assert_int_equal(zks__lease_safe_until(&l), until(2000));
    zks__lease_answered(&l, ZKS__ROUTE_FOLLOWER, 4000, 4010);
    zks__lease_cut(&l);
    assert_int_equal(zks__lease_safe_until(&l), 4000 + 6000 - 120);
    assert_int_equal(zks__lease_over_ms(&l), 4000 + 6000 - 120);
    zks__lease_answered(&l, ZKS__ROUTE_FOLLOWER, 4500, 4510); /* Of a connection that is no more. */
    assert_int_equal(zks__lease_safe_until(&l), 4000 + 6000 - 120);
    zks__lease_begin(&l, 5000, TIMEOUT, false);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 6000, 6000);
    assert_int_equal(zks__lease_safe_until(&l), 5000 + 6000 - 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_a_chain),
        cmocka_unit_test(test_w_too_early),
        cmocka_unit_test(test_b_too_early),
        cmocka_unit_test(test_c_too_early),
        cmocka_unit_test(test_answers_in_a_burst),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_after_a_long_idle_time),
        cmocka_unit_test(test_without_writes),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_new_session),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_never_goes_back),
        cmocka_unit_test(test_a_steady_beat_keeps_it),
        cmocka_unit_test(test_many_answers),
        cmocka_unit_test(test_a_shorter_grant),
        cmocka_unit_test(test_a_longer_grant),
        cmocka_unit_test(test_an_unknown_grant),
        cmocka_unit_test(test_roundings),
        cmocka_unit_test(test_far_future),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
