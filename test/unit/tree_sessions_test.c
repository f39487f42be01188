/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tree/code.h"
#include "tree/sessions.h"
#include "tree_dump.h"

struct fixture {
    struct heap heap;
    struct zks__sessions s;
};

static void begin(struct fixture *f, uint32_t tick_ms, uint64_t now_ms)
{
    memset(f, 0, sizeof *f);
    heap_init(&f->heap);
    assert_true(zks__sessions_init(&f->s, &f->heap.mem, tick_ms, 0, 0, now_ms));
}

static void end(struct fixture *f)
{
    zks__sessions_close(&f->s);
    assert_int_equal(f->heap.blocks, 0);
}

static void add(struct fixture *f, int64_t id, uint32_t timeout_ms, uint64_t now_ms)
{
    assert_int_equal(zks__sessions_add(&f->s, id, timeout_ms, now_ms), ZKS__Z_OK);
}

/* ---- Which timeout one gets ---- */

static const struct {
    uint32_t tick;
    uint32_t min;
    uint32_t max;
    int32_t asked;
    uint32_t granted;
} grants[] = {
    {2000, 0, 0, INT32_MIN, 4000},
    {2000, 0, 0, -1, 4000},
    {2000, 0, 0, 0, 4000},
    {2000, 0, 0, 3999, 4000},
    {2000, 0, 0, 4000, 4000},
    {2000, 0, 0, 4001, 4001},
    {2000, 0, 0, 40000, 40000},
    {2000, 0, 0, 40001, 40000},
    {2000, 0, 0, INT32_MAX, 40000},
    {2000, 100, 0, 50, 100},
    {2000, 100, 0, 99999, 40000},
    {2000, 0, 90000, 99999, 90000},
    {2000, 0, 90000, 1, 4000},
    {1000, 3000, 3000, 1, 3000},
    {1000, 3000, 3000, 9999, 3000},
    {1, 0, 0, 0, 2},
    {1, 0, 0, 100, 20},
};

static void test_grants(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(grants); i++) {
        struct fixture f;
        memset(&f, 0, sizeof f);
        heap_init(&f.heap);
        assert_true(
            zks__sessions_init(&f.s, &f.heap.mem, grants[i].tick, grants[i].min, grants[i].max, 0));
        print_message("# %d\n", (int)grants[i].asked);
        assert_int_equal(zks__sessions_grant(&f.s, grants[i].asked), grants[i].granted);
        end(&f);
    }
}

/* ---- When it ends ---- */

static const struct {
    uint32_t tick;
    uint64_t heard;
    uint32_t timeout;
    uint64_t ends; /* The first whole tick behind the timeout. */
} ends[] = {
    {1000, 0, 2000, 3000},
    {1000, 1, 2000, 3000},
    {1000, 999, 2000, 3000},
    {1000, 1000, 2000, 4000},
    {1000, 500, 2500, 4000},
    {1000, 500, 2499, 3000},
    {1000, 123456, 7000, 131000},
    {1, 10, 5, 16},
    {7, 100, 20, 126},
    {2000, UINT64_C(1) << 50, 40000, ((UINT64_C(1) << 50) + 40000) / 2000 * 2000 + 2000},
};

static void test_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct fixture f;
        print_message("# %zu\n", i);
        begin(&f, ends[i].tick, ends[i].heard);
        assert_true(f.s.next_ms == ends[i].heard / ends[i].tick * ends[i].tick + ends[i].tick);
        add(&f, 5, ends[i].timeout, ends[i].heard);
        assert_true(ends[i].ends > ends[i].heard + ends[i].timeout);
        assert_int_equal(zks__sessions_expired(&f.s, ends[i].heard), 0);
        assert_int_equal(zks__sessions_expired(&f.s, ends[i].ends - 1), 0);
        assert_int_equal(zks__sessions_touch(&f.s, 5, ends[i].heard), ZKS__Z_OK);
        assert_int_equal(zks__sessions_expired(&f.s, ends[i].ends), 5);
        /* Once, and from then on it is closing. */
        assert_int_equal(zks__sessions_expired(&f.s, ends[i].ends), 0);
        assert_int_equal(zks__sessions_touch(&f.s, 5, ends[i].ends), ZKS__Z_SESSIONEXPIRED);
        assert_int_equal(zks__sessions_expired(&f.s, ends[i].ends + 100000), 0);
        zks__sessions_remove(&f.s, 5);
        end(&f);
    }
}

/* It is looked for once a tick; between two of them nothing ends. */
static void test_when_to_look(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1000, 2500);
    assert_int_equal(f.s.next_ms, 3000);
    assert_int_equal(zks__sessions_expired(&f.s, 2999), 0);
    assert_int_equal(f.s.next_ms, 3000);
    assert_int_equal(zks__sessions_expired(&f.s, 3000), 0);
    assert_int_equal(f.s.next_ms, 4000);
    assert_int_equal(zks__sessions_expired(&f.s, 7777), 0);
    assert_int_equal(f.s.next_ms, 8000);
    end(&f);
}

/* Whoever is heard of before it has been looked lives on, though its time was up. */
static void test_touched_at_the_last_moment(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1000, 0);
    add(&f, 1, 2000, 0);
    add(&f, 2, 2000, 0);
    add(&f, 3, 2000, 0);
    int64_t first = zks__sessions_expired(&f.s, 3000);
    assert_true(first >= 1 && first <= 3);
    int64_t other = first == 2 ? 3 : 2;
    assert_int_equal(zks__sessions_touch(&f.s, other, 3500), ZKS__Z_OK);
    assert_int_equal(zks__sessions_touch(&f.s, first, 3500), ZKS__Z_SESSIONEXPIRED);
    assert_int_equal(zks__sessions_expired(&f.s, 3500), 6 - first - other);
    assert_int_equal(zks__sessions_expired(&f.s, 5999), 0);
    assert_int_equal(zks__sessions_expired(&f.s, 6000), other);
    assert_int_equal(zks__sessions_expired(&f.s, 60000), 0);
    end(&f);
}

/* Negative numbers are numbers: a server's id is in the upper byte. */
static void test_numbers(void **state)
{
    (void)state;
    static const int64_t ids[] = {1, -1, INT64_MAX, INT64_MIN, INT64_MIN + 1, INT64_C(1) << 32};
    struct fixture f;
    begin(&f, 10, 0);
    for (size_t i = 0; i < COUNT(ids); i++) {
        add(&f, ids[i], (uint32_t)(20 + 10 * i), 0);
    }
    for (size_t i = 0; i < COUNT(ids); i++) {
        uint64_t now = 30 + 10 * i;
        assert_true(zks__sessions_expired(&f.s, now - 1) == 0);
        assert_true(zks__sessions_expired(&f.s, now) == ids[i]);
        zks__sessions_remove(&f.s, ids[i]);
    }
    end(&f);
}

/* Time that stands still, and a machine that slept for a few thousand years. */
static void test_jumps(void **state)
{
    (void)state;
    static const uint64_t jumps[] = {100, 1000, 3000, 1000000, UINT64_C(1) << 47};
    for (size_t i = 0; i < COUNT(jumps); i++) {
        struct fixture f;
        uint64_t now = 12345;
        begin(&f, 1, now);
        for (int64_t id = 1; id <= 100; id++) {
            add(&f, id, (uint32_t)(2 + id % 19), now);
        }
        now += jumps[i];
        /* One is heard of before anybody looks. */
        assert_int_equal(zks__sessions_touch(&f.s, 40, now), ZKS__Z_OK);
        for (int64_t n = 1; n < 100; n++) {
            int64_t id = zks__sessions_expired(&f.s, now);
            assert_true(id != 0 && id != 40);
            zks__sessions_remove(&f.s, id);
        }
        assert_int_equal(zks__sessions_expired(&f.s, now), 0);
        assert_true(f.s.next_ms == now + 1);
        assert_int_equal(zks__sessions_expired(&f.s, now + 4), 0);
        assert_int_equal(zks__sessions_expired(&f.s, now + 5), 40);
        end(&f);
    }
}

/* One that is known from before may have a timeout that nobody would get today. */
static void test_timeouts_out_of_bounds(void **state)
{
    (void)state;
    static const uint32_t timeouts[] = {0, 1, 19999, 20000, 21000, 60000, 1000000, UINT32_MAX};
    for (size_t i = 0; i < COUNT(timeouts); i++) {
        struct fixture f;
        uint64_t now = 500;
        uint64_t at = (now + timeouts[i]) / 1000 * 1000 + 1000;
        print_message("# %u\n", (unsigned)timeouts[i]);
        begin(&f, 1000, now);
        add(&f, 9, timeouts[i], now);
        for (uint64_t t = 1000; t < at && t < 200000; t += 1000) {
            assert_int_equal(zks__sessions_expired(&f.s, t), 0);
        }
        assert_int_equal(zks__sessions_expired(&f.s, at - 1), 0);
        assert_int_equal(zks__sessions_expired(&f.s, at), 9);
        end(&f);
    }
}

/* ---- Whose it is ---- */

static void test_owners(void **state)
{
    (void)state;
    static const char a = 'a';
    static const char b = 'b';
    struct fixture f;
    begin(&f, 1000, 0);
    assert_int_equal(zks__sessions_check(&f.s, 1, &a), ZKS__Z_SESSIONEXPIRED);
    assert_int_equal(zks__sessions_attach(&f.s, 1, &a, 0), ZKS__Z_SESSIONEXPIRED);
    assert_int_equal(zks__sessions_touch(&f.s, 1, 0), ZKS__Z_SESSIONEXPIRED);
    add(&f, 1, 4000, 0);
    /* The first one to ask has it. */
    assert_int_equal(zks__sessions_check(&f.s, 1, &a), ZKS__Z_OK);
    assert_int_equal(zks__sessions_check(&f.s, 1, &b), ZKS__Z_SESSIONMOVED);
    assert_int_equal(zks__sessions_check(&f.s, 1, &a), ZKS__Z_OK);
    assert_int_equal(zks__sessions_attach(&f.s, 1, &b, 100), ZKS__Z_OK);
    assert_int_equal(zks__sessions_check(&f.s, 1, &a), ZKS__Z_SESSIONMOVED);
    assert_int_equal(zks__sessions_check(&f.s, 1, &b), ZKS__Z_OK);
    /* A touch comes from anywhere, and moves nothing. */
    assert_int_equal(zks__sessions_touch(&f.s, 1, 200), ZKS__Z_OK);
    assert_int_equal(zks__sessions_check(&f.s, 1, &b), ZKS__Z_OK);
    add(&f, 2, 4000, 0);
    assert_int_equal(zks__sessions_attach(&f.s, 2, &a, 200), ZKS__Z_OK);
    assert_int_equal(zks__sessions_check(&f.s, 2, &b), ZKS__Z_SESSIONMOVED);
    zks__sessions_closing(&f.s, 1);
    /* Expired is said first. */
    assert_int_equal(zks__sessions_check(&f.s, 1, &a), ZKS__Z_SESSIONEXPIRED);
    assert_int_equal(zks__sessions_check(&f.s, 1, &b), ZKS__Z_SESSIONEXPIRED);
    assert_int_equal(zks__sessions_attach(&f.s, 1, &a, 200), ZKS__Z_SESSIONEXPIRED);
    zks__sessions_remove(&f.s, 1);
    assert_int_equal(zks__sessions_check(&f.s, 1, &b), ZKS__Z_SESSIONEXPIRED);
    assert_int_equal(zks__sessions_check(&f.s, 2, &a), ZKS__Z_OK);
    /* One that begins anew belongs to nobody. */
    add(&f, 1, 4000, 300);
    assert_int_equal(zks__sessions_check(&f.s, 1, &a), ZKS__Z_OK);
    end(&f);
}

/* To be attached is to be heard of; to be asked about is not. */
static void test_attach_and_check(void **state)
{
    (void)state;
    static const char a = 'a';
    struct fixture f;
    begin(&f, 1000, 0);
    add(&f, 1, 2000, 0);
    add(&f, 2, 2000, 0);
    assert_int_equal(zks__sessions_attach(&f.s, 1, &a, 1500), ZKS__Z_OK);
    assert_int_equal(zks__sessions_check(&f.s, 2, &a), ZKS__Z_OK);
    assert_int_equal(zks__sessions_expired(&f.s, 3000), 2);
    assert_int_equal(zks__sessions_expired(&f.s, 3999), 0);
    assert_int_equal(zks__sessions_expired(&f.s, 4000), 1);
    end(&f);
}

/* Nothing can save it, it does not end twice, and it is there until it is removed. */
static void test_closing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1000, 0);
    zks__sessions_closing(&f.s, 1);
    zks__sessions_remove(&f.s, 1);
    add(&f, 1, 2000, 0);
    add(&f, 2, 2000, 0);
    zks__sessions_closing(&f.s, 1);
    zks__sessions_closing(&f.s, 1);
    assert_int_equal(zks__sessions_touch(&f.s, 1, 10), ZKS__Z_SESSIONEXPIRED);
    assert_int_equal(zks__sessions_expired(&f.s, 3000), 2);
    assert_int_equal(zks__sessions_expired(&f.s, 30000), 0);
    add(&f, 1, 2000, 30000);
    assert_int_equal(zks__sessions_touch(&f.s, 1, 30000), ZKS__Z_SESSIONEXPIRED);
    assert_int_equal(zks__sessions_expired(&f.s, 60000), 0);
    zks__sessions_remove(&f.s, 1);
    zks__sessions_remove(&f.s, 1);
    add(&f, 1, 2000, 60000);
    assert_int_equal(zks__sessions_touch(&f.s, 1, 60001), ZKS__Z_OK);
    assert_int_equal(zks__sessions_expired(&f.s, 63000), 1);
    end(&f);
}

/* A session that is added again is the same one, heard of again. */
static void test_added_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1000, 0);
    add(&f, 1, 2000, 0);
    size_t blocks = f.heap.blocks;
    add(&f, 1, 2000, 1500);
    assert_int_equal(f.heap.blocks, blocks);
    assert_int_equal(zks__sessions_expired(&f.s, 3999), 0);
    add(&f, 1, 5000, 3999);
    assert_int_equal(zks__sessions_expired(&f.s, 8999), 0);
    assert_int_equal(zks__sessions_touch(&f.s, 1, 8999), ZKS__Z_OK);
    assert_int_equal(zks__sessions_expired(&f.s, 13999), 0);
    assert_int_equal(zks__sessions_expired(&f.s, 14000), 1);
    assert_int_equal(zks__sessions_expired(&f.s, 40000), 0);
    zks__sessions_remove(&f.s, 1);
    assert_int_equal(f.s.map.n, 0);
    end(&f);
}

/* ---- Memory ---- */

static void test_without_memory(void **state)
{
    (void)state;
    struct fixture f;
    memset(&f, 0, sizeof f);
    heap_init(&f.heap);
    for (size_t k = 1;; k++) {
        f.heap.asked = f.heap.refused = 0;
        f.heap.fail_at = k;
        bool made = zks__sessions_init(&f.s, &f.heap.mem, 1000, 0, 0, 0);
        assert_int_equal(made, f.heap.refused == 0);
        if (made) {
            break;
        }
        assert_int_equal(f.heap.blocks, 0);
    }
    f.heap.fail_at = 0;
    add(&f, 1, 4000, 0);
    size_t blocks = f.heap.blocks;
    f.heap.dry = true;
    assert_int_equal(zks__sessions_add(&f.s, 2, 4000, 0), ZKS__Z_SYSTEMERROR);
    assert_int_equal(f.heap.blocks, blocks);
    assert_int_equal(zks__sessions_touch(&f.s, 2, 0), ZKS__Z_SESSIONEXPIRED);
    /* What is there needs none. */
    assert_int_equal(zks__sessions_add(&f.s, 1, 4000, 1000), ZKS__Z_OK);
    assert_int_equal(zks__sessions_touch(&f.s, 1, 2000), ZKS__Z_OK);
    assert_int_equal(zks__sessions_attach(&f.s, 1, &f, 3000), ZKS__Z_OK);
    assert_int_equal(zks__sessions_expired(&f.s, 7999), 0);
    assert_int_equal(zks__sessions_expired(&f.s, 8000), 1);
    zks__sessions_remove(&f.s, 1);
    f.heap.dry = false;
    add(&f, 2, 4000, 8000);
    end(&f);
}

/* ---- Against a model: a list, and the time of each ---- */

enum { SESSIONS = 40 };

struct session {
    bool there;
    bool closing;
    uint32_t timeout;
    uint64_t ends;
    const void *owner;
};

struct model {
    struct fixture f;
    struct session list[SESSIONS];
    uint32_t tick;
    uint64_t now;
    uint64_t seed;
    unsigned expired;
    unsigned saved; /* Touched when their time was up already. */
};

static void model_heard(struct model *m, struct session *s)
{
    m->saved += s->there && s->ends <= m->now;
    s->ends = (m->now + s->timeout) / m->tick * m->tick + m->tick;
}

static void model_add(struct model *m, int64_t id)
{
    struct session *s = &m->list[id - 1];
    uint32_t timeout = s->there ? s->timeout : unit_below(&m->seed, 60 * m->tick);
    if (unit_below(&m->seed, 3) > 0 && !s->there) {
        timeout = zks__sessions_grant(&m->f.s, (int32_t)timeout);
    }
    add(&m->f, id, timeout, m->now);
    if (!s->there) {
        *s = (struct session){.timeout = timeout};
    }
    model_heard(m, s);
    s->there = true;
}

static void model_ask(struct model *m, int64_t id)
{
    static const char owners[3];
    struct session *s = &m->list[id - 1];
    const void *owner = &owners[unit_below(&m->seed, COUNT(owners))];
    bool lives = s->there && !s->closing;
    int want = lives ? ZKS__Z_OK : ZKS__Z_SESSIONEXPIRED;
    switch (unit_below(&m->seed, 6)) {
    case 0:
        assert_int_equal(zks__sessions_attach(&m->f.s, id, owner, m->now), want);
        if (lives) {
            s->owner = owner;
            model_heard(m, s);
        }
        break;
    case 1:
        if (lives && s->owner != NULL && s->owner != owner) {
            want = ZKS__Z_SESSIONMOVED;
        } else if (lives) {
            s->owner = owner;
        }
        assert_int_equal(zks__sessions_check(&m->f.s, id, owner), want);
        break;
    default:
        assert_int_equal(zks__sessions_touch(&m->f.s, id, m->now), want);
        if (lives) {
            model_heard(m, s);
        }
    }
}

/* Those whose time was up first come first, unless nobody has looked for long; `most` at most. */
static void model_look(struct model *m, unsigned most)
{
    for (unsigned n = 0; n < most; n++) {
        uint64_t first = UINT64_MAX;
        for (unsigned i = 0; i < SESSIONS; i++) {
            const struct session *s = &m->list[i];
            if (s->there && !s->closing && s->ends <= m->now && s->ends < first) {
                first = s->ends;
            }
        }
        int64_t id = zks__sessions_expired(&m->f.s, m->now);
        if (first == UINT64_MAX) {
            assert_int_equal(id, 0);
            assert_true(m->f.s.next_ms == m->now / m->tick * m->tick + m->tick);
            return;
        }
        assert_true(id >= 1 && id <= SESSIONS);
        struct session *s = &m->list[id - 1];
        assert_true(s->there && !s->closing);
        assert_true(s->ends == first || (s->ends <= m->now && m->now - first > 10 * m->tick));
        s->closing = true;
        m->expired++;
    }
}

static void model_pass(struct model *m)
{
    switch (unit_below(&m->seed, 12)) {
    case 0:
        m->now += unit_below(&m->seed, 200 * m->tick);
        break;
    case 1:
        m->now += unit_below(&m->seed, 10 * m->tick);
        break;
    case 2:
        m->now = (m->now / m->tick + 1) * m->tick;
        break;
    default:
        m->now += unit_below(&m->seed, m->tick);
    }
}

static void model_step(struct model *m)
{
    int64_t id = 1 + (int64_t)unit_below(&m->seed, SESSIONS);
    switch (unit_below(&m->seed, 20)) {
    case 0:
        zks__sessions_closing(&m->f.s, id);
        m->list[id - 1].closing = true;
        break;
    case 1:
        zks__sessions_remove(&m->f.s, id);
        memset(&m->list[id - 1], 0, sizeof m->list[id - 1]);
        break;
    case 2:
    case 3:
        model_add(m, id);
        break;
    case 4:
    case 5:
        model_look(m, 1 + unit_below(&m->seed, 2 * SESSIONS));
        break;
    case 6:
    case 7:
        model_pass(m);
        break;
    default:
        model_ask(m, id);
    }
}

static void test_random(void **state)
{
    (void)state;
    static const uint32_t ticks[] = {1, 7, 1000, 2000};
    unsigned steps = 5000 / (unsigned)unit_step(10);
    struct model m;
    unsigned expired = 0;
    unsigned saved = 0;
    for (uint64_t history = 1; history <= 40; history++) {
        memset(&m, 0, sizeof m);
        m.seed = history;
        m.tick = ticks[history % COUNT(ticks)];
        m.now = history % 3 == 0 ? 0 : unit_random(&m.seed);
        begin(&m.f, m.tick, m.now);
        for (unsigned i = 0; i < steps; i++) {
            model_step(&m);
        }
        model_look(&m, SESSIONS + 1);
        end(&m.f);
        expired += m.expired;
        saved += m.saved;
    }
    /* Or else the histories would prove nothing. */
    assert_true(expired > steps && saved > steps / 50);
}

/* A whole lot, each with its own time. */
static void test_many(void **state)
{
    (void)state;
    enum { MANY = 20000, TICK = 100 };
    static uint64_t at[MANY + 1];
    static uint32_t timeout[MANY + 1];
    uint64_t seed = 17;
    uint64_t now = 0;
    size_t left = MANY;
    struct fixture f;
    begin(&f, TICK, 0);
    for (int64_t id = 1; id <= MANY; id++) {
        timeout[id] = zks__sessions_grant(&f.s, (int32_t)unit_below(&seed, 20 * TICK));
        now += unit_below(&seed, 1000) == 0;
        add(&f, id, timeout[id], now);
        at[id] = (now + timeout[id]) / TICK * TICK + TICK;
    }
    for (int64_t id = 1; id <= MANY; id += 2) {
        now += unit_below(&seed, 100) == 0;
        assert_int_equal(zks__sessions_touch(&f.s, id, now), ZKS__Z_OK);
        at[id] = (now + timeout[id]) / TICK * TICK + TICK;
    }
    for (; left > 0; now++) {
        int64_t id;
        while ((id = zks__sessions_expired(&f.s, now)) != 0) {
            assert_true(at[id] == now);
            zks__sessions_remove(&f.s, id);
            left--;
        }
        assert_true(now < 10000);
    }
    assert_int_equal(f.s.map.n, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_when_to_look),
        cmocka_unit_test(test_touched_at_the_last_moment),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_timeouts_out_of_bounds),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_attach_and_check),
        cmocka_unit_test(test_closing),
        cmocka_unit_test(test_added_again),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
