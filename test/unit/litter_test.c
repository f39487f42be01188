/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/litter.h"
#include "unit.h"

#define STEM "000102030405060708090a0b"
#define OURS(n) "_c_" STEM "0000000" #n "-write-000000000" #n

static const struct zks__stem stem = {STEM};

struct fixture {
    struct zks__litter litter;
    uint32_t ticket;
    struct zks__owner owner;
    struct zks__in in;
    struct zks__out out;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    zks__litter_reset(&f->litter);
    f->owner = (struct zks__owner){"/lock", &stem, false, 3, &f->ticket};
    f->in.connected = true;
    f->in.now_ms = 1000;
}

static void work(struct fixture *f)
{
    memset(&f->out, 0, sizeof f->out);
    zks__litter_work(&f->litter, &f->owner, &f->in, &f->out);
}

static bool reply(struct fixture *f, uint32_t ticket, int rc, int *ended)
{
    memset(&f->out, 0, sizeof f->out);
    f->in.kind = ZKS__IN_REPLY;
    f->in.reply.ticket = ticket;
    f->in.reply.rc = rc;
    return zks__litter_reply(&f->litter, &f->owner, &f->in, &f->out, ended);
}

static void children(struct fixture *f, const char **names, size_t n)
{
    f->in.reply.children = names;
    f->in.reply.n_children = n;
}

/* The listing at that place of the batch, the last one, is preceded by a sync. */
static void assert_lists(const struct zks__out *out, unsigned at)
{
    assert_int_equal(out->n, at + 1);
    assert_int_equal(out->req[at].kind, ZKS__CHILDREN);
    assert_true(out->req[at].quorum);
    assert_true(out->req[at].ticket != 0);
}

static void test_nothing(void **state)
{
    (void)state;
    struct fixture f;
    int rc = 77;
    begin(&f);
    work(&f);
    assert_int_equal(f.out.n, 0);
    assert_true(zks__litter_none(&f.litter));
    assert_false(zks__litter_blocks(&f.litter));
    assert_true(zks__litter_deadline(&f.litter) == ZKS__NEVER);
    /* A reply without a ticket is nobody's, though the litter's own are zero as well. */
    assert_false(reply(&f, 0, 0, &rc));
    assert_false(reply(&f, 9, 0, &rc));
    assert_int_equal(rc, 0);
}

static void test_delete(void **state)
{
    (void)state;
    static const int confirmed[] = {0, ZKS_ENOENT};
    for (size_t i = 0; i < COUNT(confirmed); i++) {
        struct fixture f;
        int rc;
        begin(&f);
        zks__litter_delete(&f.litter, &f.owner, "x", &f.in, &f.out);
        assert_int_equal(f.out.n, 1);
        assert_int_equal(f.out.req[0].kind, ZKS__DELETE);
        assert_string_equal(f.out.req[0].name, "x");
        assert_int_equal(f.out.req[0].version, -1);
        assert_false(zks__litter_none(&f.litter));
        assert_false(zks__litter_blocks(&f.litter));
        work(&f);
        assert_int_equal(f.out.n, 0);
        assert_true(reply(&f, 1, confirmed[i], &rc));
        assert_int_equal(rc, confirmed[i]);
        assert_true(zks__litter_none(&f.litter));
    }
}

static void test_delete_while_cut_off(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    f.in.connected = false;
    zks__litter_delete(&f.litter, &f.owner, "x", &f.in, &f.out);
    assert_int_equal(f.out.n, 0);
    assert_true(f.litter.dirty);
    work(&f);
    assert_int_equal(f.out.n, 0);
    f.in.connected = true;
    work(&f);
    assert_lists(&f.out, 0);
}

static void test_second_delete_is_swept(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    begin(&f);
    zks__litter_delete(&f.litter, &f.owner, "x", &f.in, &f.out);
    zks__litter_delete(&f.litter, &f.owner, "y", &f.in, &f.out);
    assert_int_equal(f.out.n, 1);
    work(&f);
    assert_int_equal(f.out.n, 0); /* The listing waits for the delete's end. */
    assert_true(reply(&f, 1, 0, &rc));
    work(&f);
    assert_lists(&f.out, 0);
}

static void test_lost_delete_is_swept_until_nothing_is_left(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    const char *left[] = {"a-read-0000000000", OURS(1), "foreign"};
    begin(&f);
    zks__litter_delete(&f.litter, &f.owner, OURS(1), &f.in, &f.out);
    assert_true(reply(&f, 1, ZKS__UNKNOWN, &rc));
    work(&f);
    assert_lists(&f.out, 0);
    assert_true(zks__litter_blocks(&f.litter));
    uint32_t listing = f.out.req[0].ticket;
    children(&f, left, COUNT(left));
    assert_true(reply(&f, listing, 0, &rc));
    /* The one that is ours is deleted, and a listing behind it tells whether that did it. */
    assert_lists(&f.out, 1);
    assert_int_equal(f.out.req[0].kind, ZKS__DELETE);
    assert_string_equal(f.out.req[0].name, OURS(1));
    listing = f.out.req[1].ticket;
    /* Still there: not at once again, but after a while. */
    assert_true(reply(&f, listing, 0, &rc));
    work(&f);
    assert_true(f.litter.dirty);
    uint64_t at = zks__litter_deadline(&f.litter);
    assert_true(at > f.in.now_ms && at != ZKS__NEVER);
    f.in.now_ms = at;
    work(&f);
    assert_lists(&f.out, 0);
    left[1] = "gone";
    assert_true(reply(&f, f.out.req[0].ticket, 0, &rc));
    assert_true(zks__litter_none(&f.litter));
}

static void test_spared(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    const char *left[] = {OURS(1), OURS(2), OURS(3), OURS(4)};
    begin(&f);
    f.owner.spare = true;
    f.litter.dirty = true;
    work(&f);
    children(&f, left, COUNT(left));
    assert_true(reply(&f, f.out.req[0].ticket, 0, &rc));
    assert_lists(&f.out, 3);
    assert_string_equal(f.out.req[0].name, OURS(1));
    assert_string_equal(f.out.req[1].name, OURS(2));
    assert_string_equal(f.out.req[2].name, OURS(4));
    /* Once only the spared one is left, that is nothing. */
    left[0] = left[1] = left[3] = "gone";
    assert_true(reply(&f, f.out.req[3].ticket, 0, &rc));
    assert_true(zks__litter_none(&f.litter));
}

/* More than a batch holds go in several. */
static void test_many(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    const char *left[] = {OURS(1), OURS(2), OURS(3), OURS(4), OURS(5), OURS(6), OURS(7)};
    begin(&f);
    f.litter.dirty = true;
    work(&f);
    children(&f, left, COUNT(left));
    assert_true(reply(&f, f.out.req[0].ticket, 0, &rc));
    assert_true(f.out.n >= 2 && f.out.n < ZKS__OUT_MAX);
    size_t deleted = f.out.n - 1U;
    children(&f, left + deleted, COUNT(left) - deleted);
    assert_true(reply(&f, f.out.req[deleted].ticket, 0, &rc));
    assert_true(f.litter.dirty);
}

static void test_listing_lost_or_refused(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    begin(&f);
    f.litter.dirty = true;
    work(&f);
    assert_true(reply(&f, f.out.req[0].ticket, ZKS__UNKNOWN, &rc));
    assert_true(f.litter.dirty);
    work(&f);
    assert_int_equal(f.out.n, 0);
    f.in.now_ms = zks__litter_deadline(&f.litter);
    work(&f);
    assert_lists(&f.out, 0);
    assert_int_equal(f.litter.refused, 0);
    assert_true(reply(&f, f.out.req[0].ticket, ZKS_EACCES, &rc));
    assert_int_equal(f.litter.refused, ZKS_EACCES);
    f.in.now_ms = zks__litter_deadline(&f.litter);
    work(&f);
    assert_lists(&f.out, 0);
    assert_true(reply(&f, f.out.req[0].ticket, ZKS_ENOENT, &rc)); /* All is gone. */
    assert_int_equal(f.litter.refused, 0);
    assert_true(zks__litter_none(&f.litter));
}

static void test_unwanted_create(void **state)
{
    (void)state;
    static const struct {
        int rc;
        bool none;
        bool deletes;
    } rows[] = {{0, false, true},
                {ZKS__UNKNOWN, false, false},
                {ZKS_EACCES, true, false},
                {ZKS_ENOENT, true, false}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture f;
        int rc;
        begin(&f);
        f.litter.t_create = f.ticket = 5;
        assert_true(zks__litter_blocks(&f.litter));
        f.litter.dirty = false;
        f.in.reply.created = OURS(1);
        assert_true(reply(&f, 5, rows[i].rc, &rc));
        assert_int_equal(rc, 0);
        assert_int_equal(zks__litter_none(&f.litter), rows[i].none);
        assert_int_equal(f.out.n, rows[i].deletes ? 1 : 0);
        if (rows[i].deletes) {
            assert_string_equal(f.out.req[0].name, OURS(1));
        }
        work(&f);
        assert_int_equal(f.out.n, rows[i].rc == ZKS__UNKNOWN ? 1 : 0);
    }
}

/* A create of which nothing was heard can still be carried out when a listing has shown nothing. */
static void test_looks_again_after_a_lost_create(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    uint64_t waited = 0;
    unsigned looks = 0;
    begin(&f);
    f.in.timeout_ms = 100;
    zks__litter_doubt(&f.litter, &f.in);
    assert_true(zks__litter_none(&f.litter));
    assert_false(zks__litter_blocks(&f.litter));
    while (!zks__litter_over(&f.litter)) {
        uint64_t at = zks__litter_deadline(&f.litter);
        assert_true(at != ZKS__NEVER && at >= f.in.now_ms + 2 * waited);
        waited = at - f.in.now_ms;
        f.in.now_ms = at - 1;
        work(&f);
        assert_int_equal(f.out.n, 0);
        f.in.now_ms = at;
        work(&f);
        assert_lists(&f.out, 0);
        assert_true(zks__litter_blocks(&f.litter));
        assert_true(zks__litter_deadline(&f.litter) == ZKS__NEVER);
        children(&f, NULL, 0);
        assert_true(reply(&f, f.out.req[0].ticket, 0, &rc));
        assert_true(zks__litter_none(&f.litter));
        looks++;
    }
    assert_true(looks > 1);
    assert_true(zks__litter_deadline(&f.litter) == ZKS__NEVER);
    /* It needs a connection, and is made up for. */
    zks__litter_doubt(&f.litter, &f.in);
    f.in.connected = false;
    f.in.now_ms = zks__litter_deadline(&f.litter) + 1000;
    work(&f);
    assert_int_equal(f.out.n, 0);
    f.in.connected = true;
    work(&f);
    assert_lists(&f.out, 0);
}

static void test_refused_delete_is_tried_again(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    const char *left[] = {OURS(1)};
    begin(&f);
    zks__litter_delete(&f.litter, &f.owner, OURS(1), &f.in, &f.out);
    assert_true(reply(&f, 1, ZKS_EACCES, &rc));
    assert_int_equal(rc, ZKS_EACCES);
    assert_int_equal(f.litter.refused, ZKS_EACCES);
    work(&f);
    assert_int_equal(f.out.n, 0);
    assert_true(zks__litter_deadline(&f.litter) > f.in.now_ms);
    f.in.now_ms = zks__litter_deadline(&f.litter);
    work(&f);
    assert_lists(&f.out, 0);
    /* As long as it is there it counts as refused. */
    children(&f, left, 1);
    assert_true(reply(&f, f.out.req[0].ticket, 0, &rc));
    assert_int_equal(f.out.n, 1); /* How it is answered is waited for. */
    assert_int_equal(f.litter.refused, ZKS_EACCES);
    assert_true(zks__litter_deadline(&f.litter) == ZKS__NEVER);
    assert_true(reply(&f, f.out.req[0].ticket, 0, &rc));
    assert_int_equal(rc, 0);
    assert_int_equal(f.litter.refused, 0);
    work(&f);
    assert_lists(&f.out, 0);
    children(&f, left, 0);
    assert_true(reply(&f, f.out.req[0].ticket, 0, &rc));
    assert_true(zks__litter_none(&f.litter));
    assert_int_equal(f.litter.refused, 0);
}

/* Refused again and again, it is tried less and less often, but at least once in a session timeout; and at once
 * where somebody waits for it. */
static void test_refusals_are_far_between(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    uint64_t waited = 0;
    begin(&f);
    f.in.timeout_ms = 10 * ZKS__RETRY_MS;
    f.litter.dirty = true;
    for (int i = 0; i < 100; i++) {
        work(&f);
        assert_lists(&f.out, 0);
        assert_true(reply(&f, f.out.req[0].ticket, ZKS_EACCES, &rc));
        uint64_t wait = zks__litter_deadline(&f.litter) - f.in.now_ms;
        assert_true(wait == f.in.timeout_ms || (wait > waited && wait < f.in.timeout_ms));
        waited = wait;
        f.in.now_ms += wait;
    }
    assert_true(waited == f.in.timeout_ms);
    f.in.now_ms--;
    work(&f);
    assert_int_equal(f.out.n, 0);
    zks__litter_hurry(&f.litter);
    assert_int_equal(f.litter.refused, 0);
    work(&f);
    assert_lists(&f.out, 0);
    assert_true(reply(&f, f.out.req[0].ticket, ZKS_EACCES, &rc));
    assert_int_equal(f.litter.refused, ZKS_EACCES);
    assert_true(zks__litter_deadline(&f.litter) < f.in.now_ms + f.in.timeout_ms);
}

/* What a listing has shown can be refused to be deleted, too. */
static void test_refused_sweep(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    const char *left[] = {OURS(1), OURS(2)};
    begin(&f);
    f.litter.dirty = true;
    work(&f);
    uint32_t listing = f.out.req[0].ticket;
    for (int i = 0; i < 3; i++) {
        children(&f, left, 2);
        assert_true(reply(&f, listing, 0, &rc));
        assert_int_equal(f.out.req[0].kind, ZKS__DELETE);
        assert_int_equal(f.out.req[1].kind, ZKS__DELETE);
        listing = f.out.n == 3 ? f.out.req[2].ticket : 0;
        uint32_t second = f.out.req[1].ticket;
        assert_true(reply(&f, f.out.req[0].ticket, ZKS_EACCES, &rc));
        assert_int_equal(rc, 0); /* It is not the delete that an unlock waits for. */
        assert_int_equal(f.litter.refused, ZKS_EACCES);
        assert_false(reply(&f, second, 0, &rc));
        if (listing == 0) {
            f.in.now_ms = zks__litter_deadline(&f.litter);
            work(&f);
            assert_lists(&f.out, 0);
            listing = f.out.req[0].ticket;
        }
    }
    assert_true(reply(&f, listing, ZKS_ENOENT, &rc));
    assert_int_equal(f.litter.refused, 0);
    assert_true(zks__litter_none(&f.litter));
}

/* Whose name only bears our mark cannot be ours where it has children, or is longer than any of ours. */
static void test_strangers_that_bear_our_mark(void **state)
{
    (void)state;
    struct fixture f;
    int rc;
    char longer[ZKS__NAME_MAX + 2] = OURS(1);
    const char *left[] = {longer, OURS(2)};
    memset(longer + strlen(longer), 'x', sizeof longer - 1 - strlen(longer));
    begin(&f);
    f.litter.dirty = true;
    work(&f);
    children(&f, left, 2);
    assert_true(reply(&f, f.out.req[0].ticket, 0, &rc));
    assert_int_equal(f.out.n, 2);
    assert_string_equal(f.out.req[0].name, OURS(2));
    uint32_t listing = f.out.req[1].ticket;
    assert_true(reply(&f, f.out.req[0].ticket, ZKS_ENOTEMPTY, &rc));
    assert_int_equal(f.litter.refused, ZKS_ELAYOUT);
    children(&f, left, 1);
    assert_true(reply(&f, listing, 0, &rc));
    assert_true(zks__litter_none(&f.litter));
    assert_int_equal(f.litter.refused, 0);
}

/* What the server says of a delete, and whether that is a refusal. */
static void test_what_is_a_refusal(void **state)
{
    (void)state;
    static const struct {
        int rc;
        int refused;
    } rows[] = {{0, 0},
                {ZKS_ENOENT, 0},
                {ZKS__UNKNOWN, 0},
                {ZKS_ENOTEMPTY, 0}, /* Of the parent. */
                {ZKS_EACCES, ZKS_EACCES},
                {ZKS_ESERVER, ZKS_ESERVER}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture f;
        int rc;
        begin(&f);
        zks__litter_delete(&f.litter, &f.owner, OURS(1), &f.in, &f.out);
        assert_true(reply(&f, 1, rows[i].rc, &rc));
        assert_int_equal(rc, rows[i].rc);
        assert_int_equal(f.litter.refused, rows[i].refused);
        zks__litter_reset(&f.litter);
        assert_int_equal(f.litter.refused, 0);
        assert_true(zks__litter_none(&f.litter));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_delete_while_cut_off),
        cmocka_unit_test(test_second_delete_is_swept),
        cmocka_unit_test(test_lost_delete_is_swept_until_nothing_is_left),
        cmocka_unit_test(test_spared),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_listing_lost_or_refused),
        cmocka_unit_test(test_unwanted_create),
        cmocka_unit_test(test_looks_again_after_a_lost_create),
        cmocka_unit_test(test_refused_delete_is_tried_again),
        cmocka_unit_test(test_refusals_are_far_between),
        cmocka_unit_test(test_refused_sweep),
        cmocka_unit_test(test_strangers_that_bear_our_mark),
        cmocka_unit_test(test_what_is_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
