/* SPDX-License-Identifier: Apache-2.0 */
/* The lease by tables of answers; unit_lease_model holds it against servers that do their worst. */
#include <string.h>

#include "core/lease.h"
#include "unit.h"

enum { TIMEOUT = 10000, MARGIN = TIMEOUT / 50, RELAY = TIMEOUT / 4 + TIMEOUT / 10 };

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
        if (zks__lease_heard_until(&l) != until(r->heard_ms) ||
            zks__lease_safe_until(&l) !=
                until(r->heard_ms < r->quorum_ms ? r->heard_ms : r->quorum_ms)) {
            fail_msg("row %zu: heard until %llu, safe until %llu", i,
                     (unsigned long long)zks__lease_heard_until(&l),
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
    assert_int_equal(zks__lease_heard_until(&l), 0);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 5000, 5000);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 50000, 50000);
    zks__lease_answered(&l, ZKS__ROUTE_QUORUM, 60000, 60000);
    assert_int_equal(zks__lease_safe_until(&l), 0);
    assert_int_equal(zks__lease_heard_until(&l), 0);
    assert_true(zks__lease_beat_ms(&l) > 0);
    assert_true(zks__lease_write_ms(&l) > 0);
}

/* A at 1,500; B a relay interval after its answer; C after B's answer.  Gaps are short. */
static void test_a_chain(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 2400, 2410, 1000, 1500}, {SYNC, 3300, 3310, 1000, 1500},
         {SYNC, 4200, 4210, 1000, 1500}, {WRITE, 1510 + RELAY, 5020, 1000, 5010},
         {SYNC, 5900, 5910, 1500, 5010});
}

/* B is a millisecond too early for A, and serves none; the next one is B. */
static void test_b_too_early(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 2400, 2410, 1000, 1500}, {SYNC, 3300, 3310, 1000, 1500},
         {SYNC, 4200, 4210, 1000, 1500}, {SYNC, 1510 + RELAY - 1, 5020, 1000, 1500},
         {SYNC, 5100, 5110, 1000, 1500}, {SYNC, 5200, 5210, 1500, 1500});
}

/* C must have been sent after B was answered; within the same millisecond that is not known. */
static void test_c_too_early(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 2400, 2410, 1000, 1500}, {SYNC, 3300, 3310, 1000, 1500},
         {SYNC, 4200, 4210, 1000, 1500}, {SYNC, 5100, 5200, 1000, 1500},
         {SYNC, 5150, 5201, 1000, 1500}, {SYNC, 5200, 5202, 1000, 1500},
         {SYNC, 5201, 5203, 1500, 1500});
}

/* Requests that were stuck on their way together are neither B nor C to each other. */
static void test_answers_in_a_burst(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 9000, 1000, 1500},
         {SYNC, 5500, 9000, 1000, 1500}, {SYNC, 8999, 9000, 1000, 1500},
         {SYNC, 9000, 9001, 1000, 1500}, {WRITE, 9001, 9002, 1000, 9001});
}

/* Reads are answered by servers that are cut off from the leader. */
static void test_reads_prove_nothing(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {READ, 1500, 1510, 1000, 1000},
         {READ, 6000, 6010, 1000, 1000}, {READ, 9000, 9010, 1000, 1000},
         /* Nor do they stand in for A, for B or for C. */
         {SYNC, 9100, 9110, 1000, 1000}, {READ, 9900, 9910, 1000, 1000},
         {SYNC, 9950, 9960, 1000, 1000}, {SYNC, 10700, 10710, 1000, 1000},
         {SYNC, 11500, 11510, 1000, 1000}, {SYNC, 12300, 12310, 1000, 1000},
         {READ, 13500, 13510, 1000, 1000}, {SYNC, 13200, 13210, 1000, 1000},
         {READ, 13600, 13610, 1000, 1000}, {SYNC, 14000, 14010, 9100, 1000});
}

/* Syncs keep up what the leader has heard, and say nothing of whether it still leads. */
static void test_without_writes(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {SYNC, 1500, 1510, 1000, 1000},
         {SYNC, 2400, 2410, 1000, 1000}, {SYNC, 3300, 3310, 1000, 1000},
         {SYNC, 4200, 4210, 1000, 1000}, {SYNC, 5100, 5110, 1000, 1000},
         {SYNC, 6000, 6010, 1500, 1000}, {WRITE, 6100, 6110, 2400, 6100});
}

/* While the leader may have stood still it may not have pinged: B has to wait for that much longer.
 * The gap here is of 2,000 ms, from 2,400 to 4,400. */
static void test_a_standstill(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 2400, 2410, 1000, 1500}, {SYNC, 3300, 4400, 1000, 1500},
         {SYNC, 4300, 4410, 1000, 1500}, {SYNC, 5200, 5210, 1000, 1500},
         /* Not B: 1510 + 2500 + 2000 + 50 is 6060. */
         {SYNC, 6059, 6065, 1000, 1500}, {SYNC, 6070, 6075, 1000, 1500},
         {SYNC, 6080, 6085, 1500, 1500});
}

/* The gap can be the one right before B. */
static void test_a_standstill_before_b(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         /* 1510 + 2500 + 5510 - 1500 + 50 is 8070. */
         {SYNC, 5500, 5510, 1000, 1500}, {SYNC, 5600, 5610, 1000, 1500},
         {SYNC, 8069, 8069, 1000, 1500}, {SYNC, 8070, 8070, 1000, 1500},
         {SYNC, 8071, 8071, 1500, 1500});
}

static void test_reconnect(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 2400, 2410, 1000, 1500}, {SYNC, 3300, 3310, 1000, 1500},
         /* What the last server had noted may never have got further, so A is of no use. */
         {AGAIN, 3400, 0, 3400, 1500}, {SYNC, 4200, 4210, 3400, 1500},
         {SYNC, 5100, 5110, 3400, 1500}, {SYNC, 6000, 6010, 3400, 1500},
         {SYNC, 6900, 6910, 3400, 1500}, {SYNC, 7800, 7810, 3400, 1500},
         {SYNC, 8700, 8710, 4200, 1500},
         /* One that was asked for earlier takes nothing back. */
         {AGAIN, 4100, 0, 4200, 1500}, {AGAIN, 0, 0, 4200, 1500});
}

/* B has been answered when the connection is lost: C on the next one does not count. */
static void test_reconnect_before_c(void **state)
{
    (void)state;
    ROWS({BEGIN, 1000, 0, 1000, 1000}, {WRITE, 1500, 1510, 1000, 1500},
         {SYNC, 2400, 2410, 1000, 1500}, {SYNC, 3300, 3310, 1000, 1500},
         {SYNC, 4200, 4210, 1000, 1500}, {SYNC, 5100, 5110, 1000, 1500},
         {AGAIN, 1100, 0, 1100, 1500}, {SYNC, 5900, 5910, 1100, 1500});
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
    assert_int_equal(zks__lease_heard_until(&l), 0);
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

/* Beats as the driver sends them, every third of them a write, to servers that are well. */
static void steady(uint32_t timeout_ms, uint64_t answer_takes_ms, uint64_t late_ms)
{
    struct zks__lease l;
    uint64_t now = 5000;
    uint64_t end = now + 20 * (uint64_t)timeout_ms;
    uint64_t write_at = now;
    memset(&l, 0, sizeof l);
    zks__lease_begin(&l, now, timeout_ms, true);
    while (now < end) {
        bool write = now >= write_at;
        if (write) {
            write_at = now + zks__lease_write_ms(&l);
        }
        /* Right before the answer it must have lasted. */
        assert_true(zks__lease_safe_until(&l) >=
                    now + answer_takes_ms + (uint64_t)timeout_ms * 45 / 100);
        zks__lease_answered(&l, write ? ZKS__ROUTE_QUORUM : ZKS__ROUTE_LEADER, now,
                            now + answer_takes_ms);
        now += zks__lease_beat_ms(&l) + late_ms;
    }
}

static void test_a_steady_beat_keeps_it(void **state)
{
    (void)state;
    static const uint32_t timeouts[] = {1000, 4000, 6000, 10000, 30000, 40000, 1000000};
    for (size_t i = 0; i < COUNT(timeouts); i++) {
        steady(timeouts[i], 0, 0);
        steady(timeouts[i], 1, 1);
        steady(timeouts[i], timeouts[i] / 200, 0);
        steady(timeouts[i], timeouts[i] / 200, timeouts[i] / 200);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_a_chain),
        cmocka_unit_test(test_b_too_early),
        cmocka_unit_test(test_c_too_early),
        cmocka_unit_test(test_answers_in_a_burst),
        cmocka_unit_test(test_reads_prove_nothing),
        cmocka_unit_test(test_without_writes),
        cmocka_unit_test(test_a_standstill),
        cmocka_unit_test(test_a_standstill_before_b),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_reconnect_before_c),
        cmocka_unit_test(test_new_session),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_never_goes_back),
        cmocka_unit_test(test_a_steady_beat_keeps_it),
        cmocka_unit_test(test_many_answers),
        cmocka_unit_test(test_far_future),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
