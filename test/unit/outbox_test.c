/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is to be sent comes out as it was put in, and costs only what has not gone. */
#include <string.h>

#include "server/outbox.h"
#include "tree_dump.h"

enum { FRAME = 3000, ROOM = 256 << 10 };

struct fixture {
    struct heap heap;
    struct zks__outbox out;
    size_t put;
    size_t taken;
};

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    heap_init(&f->heap);
    f->out.open.mem = &f->heap.mem;
}

static void end(struct fixture *f)
{
    zks__outbox_close(&f->out);
    assert_int_equal(f->out.replies, 0);
    assert_int_equal(zks__outbox_unsent(&f->out), 0);
    assert_int_equal(f->heap.blocks, 0);
}

/* All that is put, from the beginning. */
static unsigned char stream[8 << 20];

static int fill_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stream; i++) {
        stream[i] = (unsigned char)(i * 31 + i / 253);
    }
    return 0;
}

static void put(struct fixture *f, size_t len, bool reply)
{
    zks__outbox_begin(&f->out);
    assert_true(len <= sizeof stream - f->put);
    zks__put_bytes(&f->out.open, stream + f->put, len);
    f->put += len;
    if (reply) {
        zks__outbox_reply(&f->out);
    }
    assert_int_equal(zks__outbox_unsent(&f->out), f->put - f->taken);
}

/* Takes so much, at most `step` bytes at a time. */
static void take(struct fixture *f, size_t len, size_t step)
{
    while (len > 0) {
        size_t n;
        const unsigned char *bytes = zks__outbox_next(&f->out, &n);
        assert_non_null(bytes);
        n = n < len ? n : len;
        n = n < step ? n : step;
        assert_memory_equal(bytes, stream + f->taken, n);
        zks__outbox_sent(&f->out, n);
        f->taken += n;
        len -= n;
    }
    assert_int_equal(zks__outbox_unsent(&f->out), f->put - f->taken);
}

/* Whatever has gone before: it never catches up, and never costs more than it lags behind. */
static void test_lagging_reader(void **state)
{
    static const size_t lags[] = {1, 7 * FRAME, 100 * FRAME, 300 * FRAME};
    (void)state;
    for (size_t i = 0; i < sizeof lags / sizeof lags[0]; i++) {
        struct fixture f;
        size_t n;
        begin(&f);
        while (f.put < lags[i] + FRAME) {
            put(&f, FRAME, false);
        }
        for (int k = 0; k < 500; k++) {
            put(&f, FRAME, false);
            take(&f, FRAME, 1777);
            assert_true(f.heap.bytes < f.put - f.taken + ROOM);
        }
        take(&f, f.put - f.taken, SIZE_MAX);
        assert_null(zks__outbox_next(&f.out, &n));
        assert_int_equal(f.heap.blocks, 0);
        end(&f);
    }
}

/* A reply counts until it has gone, and not until the client has caught up. */
static void test_replies(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    for (int i = 0; i < 100; i++) {
        put(&f, FRAME, true);
    }
    assert_int_equal(f.out.replies, 100);
    for (int i = 0; i < 400; i++) {
        put(&f, FRAME, i % 2 == 0);
        take(&f, FRAME, SIZE_MAX);
    }
    assert_in_range(f.out.replies, 50, 100);
    take(&f, f.put - f.taken, SIZE_MAX);
    assert_int_equal(f.out.replies, 0);
    end(&f);
}

static void test_long_frames(void **state)
{
    static const size_t lengths[] = {1, 900000, 20, 65536, 65535, 300000, 2, 131072, 7};
    struct fixture f;
    (void)state;
    begin(&f);
    for (size_t i = 0; i < 45; i++) {
        put(&f, lengths[i % 9], true);
        if (i % 3 == 0) {
            take(&f, (f.put - f.taken) / 2, SIZE_MAX);
        }
    }
    take(&f, f.put - f.taken - 1, 50000);
    put(&f, 5, false);
    take(&f, 6, 4);
    end(&f);
}

/* It goes on in the piece that is there. */
static void test_no_memory(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    while (f.out.open.len < 65536) {
        put(&f, FRAME, false);
    }
    f.heap.dry = true;
    put(&f, FRAME, false);
    assert_false(f.out.open.failed);
    assert_null(f.out.first);
    f.heap.dry = false;
    put(&f, FRAME, false);
    assert_non_null(f.out.first);
    take(&f, f.put - f.taken, SIZE_MAX);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lagging_reader),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_long_frames),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("outbox", tests, fill_stream, NULL);
}
