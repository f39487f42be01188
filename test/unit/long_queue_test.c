/* SPDX-License-Identifier: Apache-2.0 */
/* One who waits in a long queue for a lock: when it looks, and when it begins to keep up its lease. */
#include <stdio.h>
#include <string.h>

#include "core/rwlock.h"
#include "unit.h"

enum { SEQ = 9500, TIMEOUT_MS = 20000, MOST = 8192 };

static const struct zks__stem us = {"000102030405060708090a0b"};
static struct zks__rwlock m;
static struct zks__in in;
static struct zks__out out;
static char names[2 * SEQ][ZKS__NAME_MAX + 1];
static const char *children[2 * SEQ];

static uint32_t asked(enum zks__req_kind kind)
{
    for (size_t i = 0; i < out.n; i++) {
        if (out.req[i].kind == kind) {
            return out.req[i].ticket;
        }
    }
    fail_msg("request %d was not made", (int)kind);
    return 0;
}

static void step(enum zks__in_kind kind)
{
    in.kind = kind;
    zks__rwlock_step(&m, &in, &out);
}

static void answer(uint32_t ticket)
{
    in.reply.ticket = ticket;
    step(ZKS__IN_REPLY);
}

/* Answers the listing that `ticket` has asked for, and the get of whoever is ahead. */
static void see(uint32_t ticket, int ahead, int behind)
{
    size_t n = 0;
    memset(&in.reply, 0, sizeof in.reply);
    for (int seq = SEQ - ahead; seq <= SEQ + behind; seq++) {
        if (seq == SEQ) {
            (void)snprintf(names[n], sizeof names[n], "%s", m.own);
        } else {
            (void)snprintf(names[n], sizeof names[n], "other-write-%010d", seq);
        }
        children[n] = names[n];
        n++;
    }
    in.reply.children = children;
    in.reply.n_children = n;
    answer(ticket);
    uint32_t get = asked(ZKS__GET);
    memset(&in.reply, 0, sizeof in.reply);
    in.reply.stat.czxid = 1;
    answer(get);
    assert_int_equal(m.state, ZKS__RWLOCK_WAITING);
}

static void queue_behind(int ahead, int behind)
{
    char created[ZKS__NAME_MAX + 20];
    zks__rwlock_init(&m, "/x", &us, "us", 2);
    memset(&in, 0, sizeof in);
    in.connected = true;
    in.now_ms = in.safe_until_ms = 1000;
    in.epoch = 1;
    in.timeout_ms = TIMEOUT_MS;
    in.request.what = ZKS__RWLOCK_WRLOCK;
    in.request.deadline_ms = ZKS__NEVER;
    step(ZKS__IN_REQUEST);
    uint32_t create = asked(ZKS__CREATE_QUEUED);
    uint32_t listing = asked(ZKS__CHILDREN);
    (void)snprintf(created, sizeof created, "%s%010d", m.prefix, SEQ);
    in.reply.created = created;
    in.reply.stat.czxid = 2;
    answer(create);
    see(listing, ahead, behind);
}

static void look_again(int ahead, int behind)
{
    in.now_ms = zks__rwlock_deadline(&m);
    assert_true(in.now_ms != ZKS__NEVER);
    step(ZKS__IN_TICK);
    see(asked(ZKS__CHILDREN), ahead, behind);
}

/* Nobody would look whether its turn still comes soon. */
static void test_nobody_looks_at_the_longest(void **state)
{
    (void)state;
    queue_behind(MOST + 100, 0);
    assert_true(zks__rwlock_deadline(&m) == ZKS__NEVER);
    assert_int_equal(zks__rwlock_needs(&m), ZKS__NEEDS_NO_LEASE);
    in.now_ms += 3600000;
    in.watch.kind = ZKS__WATCH_DELETED;
    in.watch.name = m.ahead;
    step(ZKS__IN_WATCH);
    see(asked(ZKS__CHILDREN), 10, MOST);
    assert_true(zks__rwlock_deadline(&m) == ZKS__NEVER);
    assert_int_equal(zks__rwlock_needs(&m), ZKS__NEEDS_NO_LEASE);
}

/* A queue that moves fast is known to before its end has come. */
static void test_it_moves_fast(void **state)
{
    (void)state;
    queue_behind(300, 0);
    assert_int_equal(zks__rwlock_needs(&m), ZKS__NEEDS_NO_LEASE);
    look_again(150, 0);
    assert_true(in.now_ms <= 1000 + TIMEOUT_MS / 3);
    assert_int_equal(zks__rwlock_needs(&m), ZKS__NEEDS_LEASE_SOON);
}

/* The looks come twice as often as what is left of the way, and who waits for long sends few. */
static void test_it_moves_slowly(void **state)
{
    (void)state;
    unsigned looks = 0;
    queue_behind(2000, 0);
    while (zks__rwlock_needs(&m) == ZKS__NEEDS_NO_LEASE) {
        int passed = (int)((zks__rwlock_deadline(&m) - 1000) / 100); /* Ten a second. */
        assert_true(passed < 2000);
        look_again(2000 - passed, 0);
        looks++;
    }
    assert_in_range(looks, 2, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_looks_at_the_longest),
        cmocka_unit_test(test_it_moves_fast),
        cmocka_unit_test(test_it_moves_slowly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
