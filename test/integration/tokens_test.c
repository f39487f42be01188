/* SPDX-License-Identifier: Apache-2.0 */
/* The fencing token grows from one holder to the next, whatever happens in between. */
#include "locks.h"

enum { PARTIES = 3 };

static void open_all(struct party *p, const struct it *it)
{
    for (size_t i = 0; i < PARTIES; i++) {
        party_open(&p[i], NULL, 0, it->path);
    }
}

static void close_all(struct party *p)
{
    for (size_t i = 0; i < PARTIES; i++) {
        party_close(&p[i]);
    }
}

/* Takes and gives back the lock, and returns its token. */
static uint64_t turn(struct party *p, uint64_t before)
{
    party_write(p);
    uint64_t token = zks_rwlock_token(p->lock);
    assert_true(token > before);
    assert_int_equal(zks_rwlock_token(p->lock), token);
    party_unlock(p);
    assert_int_equal(zks_rwlock_token(p->lock), 0);
    return token;
}

static void tokens_grow(void **state)
{
    struct it *it = *state;
    struct party p[PARTIES];
    uint64_t token = 0;
    open_all(p, it);
    for (unsigned i = 0; i < 20; i++) {
        token = turn(&p[i % PARTIES], token);
    }
    close_all(p);
}

static void tokens_grow_where_many_wait(void **state)
{
    struct it *it = *state;
    struct party p[PARTIES];
    open_all(p, it);
    party_write(&p[0]);
    uint64_t token = zks_rwlock_token(p[0].lock);
    for (unsigned i = 0; i < 20; i++) {
        struct party *holder = &p[i % PARTIES];
        struct party *next = &p[(i + 1) % PARTIES];
        party_queue(next, ZKS_RWLOCK_WRITE, it, it->path, 2);
        party_unlock(holder);
        party_granted(next, ZKS_RWLOCK_WRITE);
        assert_true(zks_rwlock_token(next->lock) > token);
        token = zks_rwlock_token(next->lock);
    }
    close_all(p);
}

/* The sequence numbers begin again; the tokens do not. */
static void tokens_grow_over_the_deletion_of_the_lock(void **state)
{
    struct it *it = *state;
    struct party p[PARTIES];
    uint64_t token = 0;
    open_all(p, it);
    for (unsigned i = 0; i < 10; i++) {
        token = turn(&p[i % PARTIES], token);
        rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
        rawzk_delete(it->raw, it->path);
    }
    close_all(p);
}

static void tokens_grow_over_a_change_of_leader(void **state)
{
    struct it *it = *state;
    struct party p[PARTIES];
    uint64_t token = 0;
    it_need_kill();
    it_need_servers(3);
    open_all(p, it);
    for (unsigned i = 0; i < 2; i++) {
        for (size_t k = 0; k < PARTIES; k++) {
            token = turn(&p[k], token);
        }
        size_t leader = ens_leader();
        ens_kill(leader);
        for (size_t k = 0; k < PARTIES; k++) {
            token = turn(&p[k], token);
        }
        ens_start(leader);
        token = turn(&p[0], token);
    }
    close_all(p);
    ens_await();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(tokens_grow),
        it_test(tokens_grow_where_many_wait),
        it_test(tokens_grow_over_the_deletion_of_the_lock),
        it_test(tokens_grow_over_a_change_of_leader),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
}
