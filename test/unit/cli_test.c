/* SPDX-License-Identifier: Apache-2.0 */
/* The command's own arithmetic and text: durations, the times of a loss, what may go to a terminal. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/duration.h"
#include "cli/exit.h"
#include "cli/lease.h"
#include "cli/timer.h"
#include "cli/who.h"

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},         {"10", 10000},     {"1.5", 1500},    {".5", 500},
                {"2.", 2000},     {"250ms", 250},    {"2s", 2000},     {"2m", 120000},
                {"2min", 120000}, {"1.5h", 5400000}, {"1d", 86400000}, {"0.0001", 1},
                {"0.0ms", 0},     {"forever", -1},   {"0.0004ms", 1}};
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      "x",
                                      "1x",
                                      "1 s",
                                      "1e3",
                                      "0x10",
                                      "ms",
                                      ".",
                                      "1..2",
                                      "nan",
                                      "inf",
                                      "1.5.",
                                      "1S",
                                      " 1",
                                      "1 ",
                                      "1ss",
                                      "99999999999999999999999d"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = -7;
        assert_true(zks_parse_duration(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = -7;
        assert_false(zks_parse_duration(bad[i], &ms));
        assert_int_equal(ms, -7);
    }
}

static void test_ages_and_times(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } ages[] = {{0, "0.0 s"},         {999, "0.9 s"},         {9999, "9.9 s"},
                {10000, "10 s"},      {119999, "119 s"},      {120000, "2 min"},
                {7199999, "119 min"}, {7200000, "2 h 0 min"}, {172800000, "2 d 0 h"}};
    char buf[CLI_AGE_SIZE];
    for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        assert_string_equal(cli_age(ages[i].ms, buf), ages[i].text);
    }
    assert_string_equal(cli_time(INT64_C(1795709824522), buf), "2026-11-26T16:17:04.522Z");
    assert_string_equal(cli_time(0, buf), "1970-01-01T00:00:00.000Z");
}

/* For each session timeout that servers grant: TERM, KILL and the end of the lease come in this order, and
 * a lock in the steady state, with half of the timeout left, is never disturbed. */
static void test_the_times_of_a_loss(void **state)
{
    (void)state;
    char why[CLI_MESSAGE_SIZE];
    for (uint32_t session = 200; session <= 120000; session += 100) {
        struct cli_lease l = {0};
        assert_true(cli_lease_fit(&l, session, -1, why));
        int64_t most = session / 4 - l.margin_ms;
        uint64_t safe_until = 1000000;
        for (int64_t grace = 0; grace <= most; grace += most > 10 ? most / 10 : 1) {
            assert_true(cli_lease_fit(&l, session, grace, why));
            assert_int_equal(l.grace_ms, grace);
            assert_true(l.margin_ms >= 50);
            uint64_t term_at = cli_lease_term_at(&l, safe_until);
            assert_true(term_at + (uint64_t)grace + (uint64_t)l.margin_ms == safe_until);
            assert_true(l.enough_ms > grace + l.margin_ms);
            assert_true(l.enough_ms < session * 2 / 5);
            assert_true(l.look_ms > 0 && l.look_ms <= session / 20);
        }
        assert_false(cli_lease_fit(&l, session, most + 1, why));
        assert_non_null(strstr(why, "does not fit"));
    }
    struct cli_lease l = {0};
    assert_true(cli_lease_fit(&l, 20000, -1, why));
    assert_int_equal(l.grace_ms, 2000);
    assert_int_equal(l.margin_ms, 500);
    assert_true(cli_lease_term_at(&l, UINT64_MAX) == UINT64_MAX);
    assert_true(cli_lease_term_at(&l, 0) == 0);
}

/* However late the keeper is woken, and however long the grace is. */
static void test_kill_leaves_the_margin(void **state)
{
    (void)state;
    char why[CLI_MESSAGE_SIZE];
    static const uint32_t sessions[] = {200, 2000, 10000, 20000, 120000};
    for (size_t i = 0; i < sizeof sessions / sizeof sessions[0]; i++) {
        struct cli_lease l = {0};
        assert_true(cli_lease_fit(&l, sessions[i], -1, why));
        uint64_t margin = (uint64_t)l.margin_ms;
        uint64_t safe_until = 1000000;
        uint64_t term_at = cli_lease_term_at(&l, safe_until);
        assert_true(cli_lease_kill_at(&l, term_at, safe_until) == safe_until - margin);
        for (uint64_t now = term_at - 5; now <= safe_until + 5; now++) {
            uint64_t kill_at = cli_lease_kill_at(&l, now, safe_until);
            assert_true(kill_at >= now && kill_at <= now + (uint64_t)l.grace_ms);
            assert_true(kill_at <= safe_until - margin || kill_at == now);
        }
        /* What is not held by a lease has the whole grace. */
        assert_true(cli_lease_kill_at(&l, 7, UINT64_MAX) == 7 + (uint64_t)l.grace_ms);
    }
}

/* A time that has passed is due at once, were it the first of all. */
static void test_timers(void **state)
{
    (void)state;
    const uint64_t passed[] = {0, 1, zks_clock_ms()};
    int timer = cli_timer_open();
    assert_true(timer >= 0);
    struct pollfd poll_it = {.fd = timer, .events = POLLIN};
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        cli_timer_set(timer, UINT64_MAX);
        assert_int_equal(poll(&poll_it, 1, 0), 0);
        cli_timer_set(timer, passed[i]);
        assert_int_equal(poll(&poll_it, 1, 60000), 1);
    }
    cli_timer_set(timer, zks_clock_ms() + 3600000);
    assert_int_equal(poll(&poll_it, 1, 0), 0);
    assert_int_equal(close(timer), 0);
}

static void test_what_goes_to_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *clean;
    } texts[] = {{"plain", "plain"},
                 {"\x1b[2J", "?[2J"},
                 {"a\nb\tc\x7f", "a?b?c?"},
                 {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
                 {"\xe2\x82\xac\xf0\x9f\x94\x92", "\xe2\x82\xac\xf0\x9f\x94\x92"},
                 {"\xc2\x9b"
                  "31m",
                  "?31m"},
                 {"\x9b"
                  "31m",
                  "?31m"},
                 {"\xc0\x80\xe0\x80\x80\xed\xa0\x80\xf4\x90\x80\x80", "????????????"},
                 {"\xc3", "?"},
                 {"\xe2\x82", "??"}};
    char buf[64];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_string_equal(cli_clean(texts[i].raw, buf, sizeof buf), texts[i].clean);
    }
    assert_string_equal(cli_clean("a\xe2\x82\xac", buf, 4), "a");
    assert_string_equal(cli_clean("abcdef", buf, 4), "abc");
}

static void test_who(void **state)
{
    (void)state;
    char buf[CLI_WHO_SIZE];
    char big[3000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_string_equal(
        cli_who("{\"host\":\"web1\",\"pid\":7,\"user\":\"u\",\"identity\":\"i\"}", buf),
        "web1:7 u (i)");
    assert_string_equal(cli_who("{\"host\":\"web1\",\"pid\":7}", buf), "web1:7");
    assert_string_equal(cli_who("{\"host\":\"\\u001b[31m\",\"pid\":7}", buf), "?[31m:7");
    assert_string_equal(cli_who("{\"host\":5,\"pid\":\"x\"}", buf), "{\"host\":5,\"pid\":\"x\"}");
    assert_string_equal(cli_who(NULL, buf), "unknown");
    assert_string_equal(cli_who("", buf), "unknown");
    assert_int_equal(strlen(cli_who(big, buf)), 60);
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(cli_exit_of(0, 9), 0);
    assert_int_equal(cli_exit_of(ZKS_EBUSY, 9), 9);
    assert_int_equal(cli_exit_of(ZKS_ETIMEDOUT, 75), 75);
    assert_int_equal(cli_exit_of(ZKS_EINVAL, 75), 64);
    assert_int_equal(cli_exit_of(ZKS_EDISCONNECTED, 75), 69);
    assert_int_equal(cli_exit_of(ZKS_ELOST, 75), 76);
    assert_int_equal(cli_exit_of(ZKS_EACCES, 75), 77);
    assert_int_equal(cli_exit_of(ZKS_EAUTH, 75), 77);
    assert_int_equal(cli_exit_of(-9999, 75), 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_ages_and_times),
        cmocka_unit_test(test_the_times_of_a_loss),
        cmocka_unit_test(test_kill_leaves_the_margin),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_what_goes_to_a_terminal),
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
