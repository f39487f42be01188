/* SPDX-License-Identifier: Apache-2.0 */
/* A server's time: which sessions end, and which do not, whatever befalls the server.  The clock is the
 * test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- What is held ---- */

static void do_with(struct zks__service *s, const struct zks__who *who, enum zks__op_kind kind,
                    size_t len)
{
    static char data[1 << 20];
    static const struct zks__ace aces[] = {{ZKS__PERM_READ | ZKS__PERM_WRITE, {"world", "anyone"}}};
    const struct zks__op op = {.kind = kind,
                               .path = "/a",
                               .data = data,
                               .data_len = len,
                               .aces = aces,
                               .n_aces = 1,
                               .version = -1};
    struct zks__op_result result;
    zks__service_write(s, who, &op, &result);
    assert_int_equal(result.code, 0);
}

/* What was freed is given back once it is more than what is held, at the next tick. */
static void memory_is_given_back(void **state)
{
    static const struct zks__who nobody;
    struct zks__service s;
    struct zks__session session;
    uint64_t clock_ms = 5000;
    void *blocks[12];
    (void)state;
    open_one(&s, &session);
    size_t before = zks__heap_held(&s.heap);
    for (int most = 4; most <= 12; most += 8) {
        for (int i = 0; i < most; i++) {
            blocks[i] = zks__mem_alloc(&s.mem, 1 << 20);
            assert_non_null(blocks[i]);
        }
        assert_true(zks__heap_held(&s.heap) >= before + ((size_t)most << 20));
        assert_false(zks__heap_trim(&s.heap));
        for (int i = 0; i < most; i++) {
            zks__mem_free(&s.mem, blocks[i]);
        }
        assert_true(zks__heap_held(&s.heap) == before);
        zks__service_tidy(&s);
        assert_true(atomic_load(&s.heap.most) > before + (3 << 20)); /* It is not time yet. */
        clock_ms += TICK_MS;
        zks__service_time(&s, clock_ms);
        zks__service_tidy(&s);
        assert_int_equal(atomic_load(&s.heap.most) == before, most == 12);
    }
    do_with(&s, &nobody, ZKS__OP_CREATE, 1 << 20);
    zks__service_close(&s);
    assert_int_equal(zks__heap_held(&s.heap), 0);
}

static void open_on_disk(struct zks__service *s, char *folder)
{
    char why[ZKS__WHY_SIZE];
    assert_non_null(mkdtemp(folder));
    const struct zks__service_options options = {.folder = folder,
                                                 .compact_bytes = 1 << 30,
                                                 .tick_ms = TICK_MS,
                                                 .max_session_timeout_ms = LONG_MS,
                                                 .reap_ms = LONG_MS,
                                                 .tell = tell};
    assert_int_equal(zks__service_open(s, &options, 5000, why), 0);
}

static void close_on_disk(struct zks__service *s, const char *folder)
{
    char command[64];
    zks__service_close(s);
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

/* With identities that an earlier version took a turn can be large: it goes to disk in parts. */
static void a_large_turn(void **state)
{
    static char id[100001];
    char folder[] = "/tmp/zksync-service-XXXXXX";
    char why[ZKS__WHY_SIZE];
    struct zks__service s;
    const struct zks__id ids[] = {{"digest", id}};
    const struct zks__who who = {0, {ids, 1}};
    (void)state;
    memset(id, 'u', sizeof id - 1);
    open_on_disk(&s, folder);
    do_with(&s, &who, ZKS__OP_CREATE, 1);
    for (int i = 0; i < 100; i++) {
        do_with(&s, &who, ZKS__OP_SET, 1);
        assert_true(zks__heap_held(&s.heap) < 16 << 20);
    }
    assert_int_equal(s.syncs, 2);
    assert_int_equal(zks__service_sync(&s, why), 0);
    assert_int_equal(s.syncs, 3);
    int64_t zxid = zks__tree_zxid(s.tree);
    zks__service_pause(&s);
    assert_int_equal(zks__service_resume(&s, 6000, why), 0);
    assert_true(zks__tree_zxid(s.tree) == zxid);
    close_on_disk(&s, folder);
}

/* A client has seen the zxid of a write that was refused, so no other write gets it after a restart. */
static void a_refusal_is_kept(void **state)
{
    char folder[] = "/tmp/zksync-service-XXXXXX";
    char why[ZKS__WHY_SIZE];
    struct zks__service s;
    const struct zks__who who = {0, {NULL, 0}};
    const struct zks__op op = {.kind = ZKS__OP_DELETE, .path = "/nothing", .version = -1};
    struct zks__op_result results[2];
    (void)state;
    open_on_disk(&s, folder);
    for (int64_t zxid = 1; zxid <= 3; zxid++) {
        if (zxid == 1) {
            zks__service_write(&s, &who, &op, results);
            assert_int_equal(results[0].code, ZKS__Z_NONODE);
        } else if (zxid == 2) {
            assert_false(zks__service_multi(&s, &who, &op, 1, results));
        } else {
            zks__service_refuse(&s);
        }
        assert_true(zks__tree_zxid(s.tree) == zxid);
        assert_int_equal(zks__service_sync(&s, why), 0);
        zks__service_pause(&s);
        assert_int_equal(zks__service_resume(&s, 6000, why), 0);
        assert_true(zks__tree_zxid(s.tree) == zxid);
    }
    close_on_disk(&s, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_heard_of_ends),
        cmocka_unit_test(a_server_that_stood_still_ends_nobody),
        cmocka_unit_test(one_that_was_started_again_gives_all_of_it),
        cmocka_unit_test(memory_is_given_back),
        cmocka_unit_test(a_large_turn),
        cmocka_unit_test(a_refusal_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
