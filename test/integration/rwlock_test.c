/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets the lock, and when: the queue as seen by clients of a real ensemble. */
#include "locks.h"

static void one_reader(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, 0, it->path);
    assert_int_equal(zks_rwlock_held(a.lock), 0);
    assert_int_equal(zks_rwlock_token(a.lock), 0);
    assert_int_equal(zks_rwlock_node(a.lock, NULL, 0), 0);
    party_read(&a);
    assert_true(zks_rwlock_token(a.lock) > 0);
    assert_true(zks_rwlock_safe_until(a.lock) > zks_clock_ms());
    char *node = party_node(&a);
    struct Stat stat;
    assert_true(rawzk_exists(it->raw, node, &stat));
    assert_int_equal(stat.ephemeralOwner, zks_client_session_id(a.client));
    assert_int_equal((uint64_t)stat.czxid, zks_rwlock_token(a.lock));
    party_unlock(&a);
    assert_int_equal(zks_rwlock_token(a.lock), 0);
    assert_int_equal(zks_rwlock_safe_until(a.lock), 0);
    assert_false(rawzk_exists(it->raw, node, NULL));
    assert_int_equal(rawzk_count_children(it->raw, it->path), 0);
    free(node);
    party_close(&a);
}

static void one_writer(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, 0, it->path);
    party_write(&a);
    assert_true(zks_rwlock_token(a.lock) > 0);
    assert_int_equal(rawzk_count_children(it->raw, it->path), 1);
    party_unlock(&a);
    assert_int_equal(rawzk_count_children(it->raw, it->path), 0);
    assert_int_equal(atomic_load(&a.lost), 0);
    party_close(&a);
}

static void many_readers_share(void **state)
{
    enum { READERS = 12 };
    struct it *it = *state;
    static struct party readers[READERS];
    for (size_t i = 0; i < READERS; i++) {
        party_open(&readers[i], NULL, 0, it->path);
        party_read(&readers[i]);
    }
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(zks_rwlock_held(readers[i].lock), ZKS_RWLOCK_READ);
    }
    assert_int_equal(rawzk_count_children(it->raw, it->path), READERS);
    for (size_t i = 0; i < READERS; i++) {
        party_unlock(&readers[i]);
        party_close(&readers[i]);
    }
    assert_int_equal(rawzk_count_children(it->raw, it->path), 0);
}

static void writer_blocks_readers(void **state)
{
    struct it *it = *state;
    struct party writer;
    struct party reader;
    two_open(&writer, &reader, it);
    party_write(&writer);
    it_equal(zks_rwlock_rdlock(reader.lock, 0), ZKS_EBUSY);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    party_queue(&reader, ZKS_RWLOCK_READ, it, it->path, 2);
    party_await_waiting(&reader);
    assert_false(it_op_done(&reader.op));
    assert_int_equal(zks_rwlock_held(reader.lock), 0);
    party_unlock(&writer);
    party_granted(&reader, ZKS_RWLOCK_READ);
    two_close(&writer, &reader);
}

static void readers_block_writer(void **state)
{
    struct it *it = *state;
    struct party readers[2];
    struct party writer;
    party_open(&readers[0], NULL, 0, it->path);
    party_open(&readers[1], NULL, 0, it->path);
    party_open(&writer, NULL, 0, it->path);
    party_read(&readers[0]);
    party_read(&readers[1]);
    it_equal(zks_rwlock_wrlock(writer.lock, 0), ZKS_EBUSY);
    rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
    party_queue(&writer, ZKS_RWLOCK_WRITE, it, it->path, 3);
    party_await_waiting(&writer);
    /* The one that it watches goes first; the other one still keeps it out. */
    party_unlock(&readers[1]);
    party_await_waiting(&writer);
    assert_int_equal(zks_rwlock_held(readers[0].lock), ZKS_RWLOCK_READ);
    assert_false(it_op_done(&writer.op));
    party_unlock(&readers[0]);
    party_granted(&writer, ZKS_RWLOCK_WRITE);
    party_close(&readers[0]);
    party_close(&readers[1]);
    party_close(&writer);
}

static void release_wakes_readers(void **state)
{
    struct it *it = *state;
    struct party writer;
    struct party readers[3];
    party_open(&writer, NULL, 0, it->path);
    party_write(&writer);
    for (size_t i = 0; i < 3; i++) {
        party_open(&readers[i], NULL, 0, it->path);
        party_queue(&readers[i], ZKS_RWLOCK_READ, it, it->path, 2 + i);
    }
    party_unlock(&writer);
    for (size_t i = 0; i < 3; i++) {
        party_granted(&readers[i], ZKS_RWLOCK_READ);
    }
    party_close(&writer);
    for (size_t i = 0; i < 3; i++) {
        party_close(&readers[i]);
    }
}

static void release_wakes_next_writer(void **state)
{
    struct it *it = *state;
    struct party p[3];
    for (size_t i = 0; i < 3; i++) {
        party_open(&p[i], NULL, 0, it->path);
    }
    party_write(&p[0]);
    party_queue(&p[1], ZKS_RWLOCK_WRITE, it, it->path, 2);
    party_queue(&p[2], ZKS_RWLOCK_WRITE, it, it->path, 3);
    party_unlock(&p[0]);
    party_granted(&p[1], ZKS_RWLOCK_WRITE);
    assert_false(it_op_done(&p[2].op));
    party_unlock(&p[1]);
    party_granted(&p[2], ZKS_RWLOCK_WRITE);
    for (size_t i = 0; i < 3; i++) {
        party_close(&p[i]);
    }
}

static void ten_writers_served_in_queue_order(void **state)
{
    enum { WRITERS = 10 };
    struct it *it = *state;
    static struct party p[WRITERS + 1];
    party_open(&p[0], NULL, 0, it->path);
    party_write(&p[0]);
    for (size_t i = 1; i <= WRITERS; i++) {
        party_open(&p[i], NULL, 0, it->path);
        party_queue(&p[i], ZKS_RWLOCK_WRITE, it, it->path, i + 1);
    }
    for (size_t i = 1; i <= WRITERS; i++) {
        uint64_t token = zks_rwlock_token(p[i - 1].lock);
        party_unlock(&p[i - 1]);
        party_granted(&p[i], ZKS_RWLOCK_WRITE);
        assert_true(zks_rwlock_token(p[i].lock) > token);
        for (size_t k = i + 1; k <= WRITERS; k++) {
            assert_false(it_op_done(&p[k].op));
        }
    }
    for (size_t i = 0; i <= WRITERS; i++) {
        party_close(&p[i]);
    }
}

static void readers_behind_one_writer_all_wake(void **state)
{
    enum { READERS = 8 };
    struct it *it = *state;
    struct party first;
    struct party writer;
    static struct party readers[READERS];
    two_open(&first, &writer, it);
    party_read(&first);
    party_queue(&writer, ZKS_RWLOCK_WRITE, it, it->path, 2);
    for (size_t i = 0; i < READERS; i++) {
        party_open(&readers[i], NULL, 0, it->path);
        party_queue(&readers[i], ZKS_RWLOCK_READ, it, it->path, 3 + i);
    }
    /* The first reader does not let them in: a writer is before them. */
    for (size_t i = 0; i < READERS; i++) {
        party_await_waiting(&readers[i]);
        assert_false(it_op_done(&readers[i].op));
    }
    party_unlock(&first);
    party_granted(&writer, ZKS_RWLOCK_WRITE);
    for (size_t i = 0; i < READERS; i++) {
        assert_false(it_op_done(&readers[i].op));
    }
    party_unlock(&writer);
    for (size_t i = 0; i < READERS; i++) {
        party_granted(&readers[i], ZKS_RWLOCK_READ);
    }
    two_close(&first, &writer);
    for (size_t i = 0; i < READERS; i++) {
        party_close(&readers[i]);
    }
}

static void closing_the_client_releases(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_queued(&a, &b, ZKS_RWLOCK_WRITE, it);
    it_ok(zks_client_close(a.client));
    party_granted(&b, ZKS_RWLOCK_WRITE);
    zks_rwlock_free(a.lock);
    party_close(&b);
}

static void try_leaves_no_znode(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_open(&a, &b, it);
    it_ok(zks_rwlock_wrlock(a.lock, 0));
    it_equal(zks_rwlock_wrlock(b.lock, 0), ZKS_EBUSY);
    it_equal(zks_rwlock_rdlock(b.lock, 0), ZKS_EBUSY);
    assert_int_equal(zks_rwlock_held(b.lock), 0);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    party_unlock(&a);
    it_ok(zks_rwlock_rdlock(b.lock, 0));
    it_ok(zks_rwlock_rdlock(a.lock, 0));
    party_unlock(&a);
    party_unlock(&b);
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    two_close(&a, &b);
}

static void timeout_leaves_no_znode(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_open(&a, &b, it);
    party_write(&a);
    it_equal(zks_rwlock_wrlock(b.lock, 200), ZKS_ETIMEDOUT);
    it_equal(zks_rwlock_rdlock(b.lock, 1), ZKS_ETIMEDOUT);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    party_unlock(&a);
    party_write(&b);
    party_unlock(&b);
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    two_close(&a, &b);
}

static void cancel_leaves_no_znode(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_queued(&a, &b, ZKS_RWLOCK_READ, it);
    zks_op_cancel(&b.op.op);
    it_equal(it_op_wait(&b.op), ZKS_ECANCELED);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    /* Cancelled before its create can have been answered. */
    party_start(&b, ZKS_RWLOCK_WRITE);
    zks_op_cancel(&b.op.op);
    it_equal(it_op_wait(&b.op), ZKS_ECANCELED);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    zks_op_cancel(&b.op.op); /* Too late, and does nothing. */
    party_unlock(&a);
    party_write(&b);
    two_close(&a, &b);
}

static void *unlock_thread(void *arg)
{
    struct party *p = arg;
    int rc = zks_rwlock_unlock(p->lock, IT_LIMIT_MS);
    if (rc != 0) {
        ens_fail("unlock: %s", zks_err_name(rc));
    }
    return NULL;
}

/* The delay of the cancel goes up and down so that about every other one is in time: most are then
 * close to the grant. */
static void cancel_racing_the_grant(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    uint32_t random = 1;
    int64_t delay_us = 1000;
    unsigned granted = 0;
    unsigned cancelled = 0;
    two_open(&a, &b, it);
    for (unsigned i = 0; i < 300; i++) {
        party_write(&a);
        party_start(&b, i % 2 ? ZKS_RWLOCK_READ : ZKS_RWLOCK_WRITE);
        if (i % 4 < 2) {
            party_await_waiting(&b);
        }
        pthread_t thread = it_thread_start(unlock_thread, &a);
        random = random * 1664525 + 1013904223;
        int64_t us = delay_us + (random >> 8) % 200;
        const struct timespec wait = {0, (long)us * 1000};
        (void)nanosleep(&wait, NULL);
        zks_op_cancel(&b.op.op);
        int rc = it_op_wait(&b.op);
        (void)it_thread_join(thread);
        if (rc == 0) {
            assert_int_equal(zks_rwlock_held(b.lock), i % 2 ? ZKS_RWLOCK_READ : ZKS_RWLOCK_WRITE);
            assert_true(zks_rwlock_token(b.lock) > 0);
            party_unlock(&b);
            granted++;
            delay_us = delay_us > 100 ? delay_us - 100 : 0;
        } else {
            it_equal(rc, ZKS_ECANCELED);
            assert_int_equal(zks_rwlock_held(b.lock), 0);
            it_equal(zks_rwlock_unlock(b.lock, IT_LIMIT_MS), ZKS_EPERM);
            cancelled++;
            delay_us += 100;
        }
    }
    printf("# granted %u, cancelled %u\n", granted, cancelled);
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    party_write(&b);
    two_close(&a, &b);
}

static void downgrade_lets_readers_in_and_keeps_writers_out(void **state)
{
    struct it *it = *state;
    struct party p[4];
    for (size_t i = 0; i < 4; i++) {
        party_open(&p[i], NULL, 0, it->path);
    }
    party_write(&p[0]);
    uint64_t token = zks_rwlock_token(p[0].lock);
    party_queue(&p[1], ZKS_RWLOCK_READ, it, it->path, 2);
    party_queue(&p[2], ZKS_RWLOCK_WRITE, it, it->path, 3);
    party_queue(&p[3], ZKS_RWLOCK_READ, it, it->path, 4);
    it_ok(zks_rwlock_downgrade(p[0].lock, IT_LIMIT_MS));
    assert_int_equal(zks_rwlock_held(p[0].lock), ZKS_RWLOCK_READ);
    assert_int_equal(zks_rwlock_token(p[0].lock), token);
    it_equal(zks_rwlock_downgrade(p[0].lock, IT_LIMIT_MS), ZKS_EPERM);
    party_granted(&p[1], ZKS_RWLOCK_READ);
    assert_int_equal(rawzk_count_children(it->raw, it->path), 4);
    party_unlock(&p[1]);
    /* The writer now watches the downgraded one. */
    party_await_waiting(&p[2]);
    assert_false(it_op_done(&p[2].op));
    assert_false(it_op_done(&p[3].op));
    assert_int_equal(zks_rwlock_held(p[0].lock), ZKS_RWLOCK_READ);
    party_unlock(&p[0]);
    party_granted(&p[2], ZKS_RWLOCK_WRITE);
    assert_true(zks_rwlock_token(p[2].lock) > token);
    assert_false(it_op_done(&p[3].op));
    party_unlock(&p[2]);
    party_granted(&p[3], ZKS_RWLOCK_READ);
    for (size_t i = 0; i < 4; i++) {
        party_close(&p[i]);
    }
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
}

/* No writer gets in between, however often it is tried. */
static void downgrade_under_pressure(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_open(&a, &b, it);
    for (unsigned i = 0; i < 50; i++) {
        party_write(&a);
        party_start(&b, ZKS_RWLOCK_WRITE);
        it_ok(zks_rwlock_downgrade(a.lock, i % 2 ? IT_LIMIT_MS : 0));
        it_await(zks_rwlock_held(a.lock) == ZKS_RWLOCK_READ);
        assert_false(it_op_done(&b.op));
        party_unlock(&a);
        party_granted(&b, ZKS_RWLOCK_WRITE);
        party_unlock(&b);
    }
    rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
    two_close(&a, &b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(one_reader),
        it_test(one_writer),
        it_test(many_readers_share),
        it_test(writer_blocks_readers),
        it_test(readers_block_writer),
        it_test(release_wakes_readers),
        it_test(release_wakes_next_writer),
        it_test(ten_writers_served_in_queue_order),
        it_test(readers_behind_one_writer_all_wake),
        it_test(closing_the_client_releases),
        it_test(try_leaves_no_znode),
        it_test(timeout_leaves_no_znode),
        it_test(cancel_leaves_no_znode),
        it_test(cancel_racing_the_grant),
        it_test(downgrade_lets_readers_in_and_keeps_writers_out),
        it_test(downgrade_under_pressure),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("rwlock", tests, NULL, NULL);
}
