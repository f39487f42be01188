/* SPDX-License-Identifier: Apache-2.0 */
/* A server's time: which sessions end, and which do not, whatever befalls the server.  The clock is the
 * test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/service.h"

enum { TICK_MS = 100, TIMEOUT_MS = 1000, LONG_MS = 3600000 };

static void tell(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path)
{
    (void)arg;
    (void)watcher;
    (void)event;
    (void)path;
}

static void open_one(struct zks__service *s, struct zks__session *session)
{
    const struct zks__service_options options = {
        .tick_ms = TICK_MS, .max_session_timeout_ms = LONG_MS, .reap_ms = LONG_MS, .tell = tell};
    char why[ZKS__WHY_SIZE];
    assert_int_equal(zks__service_open(s, &options, 5000, why), 0);
    assert_true(zks__service_choose_session(s, TIMEOUT_MS, session));
    assert_int_equal(session->timeout_ms, TIMEOUT_MS);
    assert_int_equal(zks__service_open_session(s, session), 0);
}

/* How long until the session's time is up, where the clock goes on by so much a turn. */
static uint64_t time_until_expired(struct zks__service *s, uint64_t *clock_ms, uint64_t step_ms,
                                   int64_t session)
{
    uint64_t began = *clock_ms;
    int64_t expired = 0;
    while (expired == 0 && *clock_ms - began < LONG_MS) {
        *clock_ms += step_ms;
        zks__service_time(s, *clock_ms);
        expired = zks__service_expired(s);
    }
    assert_true(expired == session);
    return *clock_ms - began;
}

static void nobody_heard_of_ends(void **state)
{
    struct zks__service s;
    struct zks__session session;
    uint64_t clock_ms = 5000;
    (void)state;
    open_one(&s, &session);
    uint64_t ms = time_until_expired(&s, &clock_ms, 10, session.id);
    assert_in_range(ms, TIMEOUT_MS, TIMEOUT_MS + 2 * TICK_MS);
    zks__service_close(&s);
}

/* A server that was stopped, or whose disk was slow, has heard nobody: no time has passed for that. */
static void a_server_that_stood_still_ends_nobody(void **state)
{
    struct zks__service s;
    struct zks__session session;
    uint64_t clock_ms = 5000;
    (void)state;
    open_one(&s, &session);
    for (int i = 0; i < 5; i++) {
        clock_ms += LONG_MS;
        zks__service_time(&s, clock_ms);
        assert_true(zks__service_expired(&s) == 0);
    }
    /* What is left is what it would have had, but for a tick for each time. */
    uint64_t ms = time_until_expired(&s, &clock_ms, 10, session.id);
    assert_in_range(ms, TIMEOUT_MS - 5 * TICK_MS, TIMEOUT_MS - 3 * TICK_MS);
    zks__service_close(&s);
}

static void one_that_was_started_again_gives_all_of_it(void **state)
{
    struct zks__service s;
    struct zks__session session;
    char why[ZKS__WHY_SIZE];
    uint64_t clock_ms = 5000;
    (void)state;
    open_one(&s, &session);
    for (int i = 0; i < 9; i++) {
        clock_ms += TICK_MS;
        zks__service_time(&s, clock_ms);
        assert_true(zks__service_expired(&s) == 0);
    }
    zks__service_pause(&s);
    /* It was granted so much, whatever may be granted now. */
    s.options.max_session_timeout_ms = TIMEOUT_MS / 2;
    clock_ms += LONG_MS;
    assert_int_equal(zks__service_resume(&s, clock_ms, why), 0);
    uint64_t ms = time_until_expired(&s, &clock_ms, 10, session.id);
    assert_in_range(ms, TIMEOUT_MS, TIMEOUT_MS + 2 * TICK_MS);
    zks__service_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_heard_of_ends),
        cmocka_unit_test(a_server_that_stood_still_ends_nobody),
        cmocka_unit_test(one_that_was_started_again_gives_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
