/* SPDX-License-Identifier: Apache-2.0 */
/* What a call answers, and what the handle says, while the client's own thread has not seen it yet: above all an
 * unlock that does not wait. */
#include <semaphore.h>

#include "locks.h"

enum { ROUNDS = 200 };

/* A callback that keeps the client's own thread busy, from when `begun` is posted until `end` is. */
struct pause {
    zks_rwlock *lock;
    zks_op op;
    sem_t begun;
    sem_t end;
};

static void in_callback(zks_op *op, int result, void *arg)
{
    struct pause *p = arg;
    (void)op;
    (void)result;
    (void)sem_post(&p->begun);
    (void)sem_wait(&p->end);
}

static void pause_begin(struct pause *p, struct party *party, const struct it *it)
{
    char *path = it_child(it, "pause");
    p->lock = it_rwlock(party->client, path);
    free(path);
    (void)sem_init(&p->begun, 0, 0);
    (void)sem_init(&p->end, 0, 0);
    zks_op_init(&p->op, in_callback, p);
    it_ok(zks_rwlock_wrlock_op(p->lock, ZKS_FOREVER, &p->op));
    (void)sem_wait(&p->begun);
}

static void pause_end(struct pause *p)
{
    (void)sem_post(&p->end);
    zks_rwlock_free(p->lock);
    (void)sem_destroy(&p->begun);
    (void)sem_destroy(&p->end);
}

static void holds_nothing(struct party *p)
{
    char node[IT_PATH_MAX] = "";
    assert_int_equal(zks_rwlock_held(p->lock), 0);
    assert_true(zks_rwlock_token(p->lock) == 0);
    assert_int_equal(zks_rwlock_node(p->lock, node, sizeof node), 0);
    assert_string_equal(node, "");
}

static void it_counts_at_once(void **state)
{
    struct it *it = *state;
    struct party a;
    struct pause pause;
    char *path = it_child(it, "lock");
    party_open(&a, NULL, 0, path);
    party_write(&a);
    pause_begin(&pause, &a, it);
    assert_int_equal(zks_rwlock_held(a.lock), ZKS_RWLOCK_WRITE);
    it_ok(zks_rwlock_unlock(a.lock, 0));
    holds_nothing(&a);
    assert_true(zks_rwlock_safe_until(a.lock) == 0);
    it_equal(zks_rwlock_unlock(a.lock, 0), ZKS_EPERM);
    pause_end(&pause);
    rawzk_await_children(it->raw, path, 0, IT_LIMIT_MS);
    assert_int_equal(atomic_load(&a.lost), 0);
    party_write(&a);
    party_close(&a);
    free(path);
}

/* By the clock it is lost, though nobody has said so yet. */
static void past_the_end_of_the_lease(void **state)
{
    struct it *it = *state;
    struct party a;
    struct pause pause;
    char *path = it_child(it, "lock");
    party_open(&a, NULL, IT_SESSION_MS, path);
    party_write(&a);
    pause_begin(&pause, &a, it);
    it_await(zks_clock_ms() >= zks_client_safe_until(a.client));
    holds_nothing(&a);
    it_equal(zks_rwlock_unlock(a.lock, 0), ZKS_ELOST);
    it_equal(zks_rwlock_unlock(a.lock, 0), ZKS_EPERM);
    pause_end(&pause);
    rawzk_await_children(it->raw, path, 0, IT_LIMIT_MS);
    party_write(&a);
    party_unlock(&a);
    party_close(&a);
    free(path);
}

struct side {
    zks_rwlock *lock;
    pthread_barrier_t *start;
    int result;
};

static void *unlock(void *arg)
{
    struct side *side = arg;
    (void)pthread_barrier_wait(side->start);
    side->result = zks_rwlock_unlock(side->lock, 0);
    return NULL;
}

static void of_two_at_once_one_succeeds(void **state)
{
    struct it *it = *state;
    struct party a;
    pthread_barrier_t start;
    (void)pthread_barrier_init(&start, NULL, 2);
    party_open(&a, NULL, 0, it->path);
    struct side sides[2] = {{a.lock, &start, 0}, {a.lock, &start, 0}};
    for (int i = 0; i < ROUNDS; i++) {
        party_write(&a);
        pthread_t thread = it_thread_start(unlock, &sides[0]);
        (void)unlock(&sides[1]);
        (void)it_thread_join(thread);
        int winner = sides[0].result == 0 ? 0 : 1;
        it_ok(sides[winner].result);
        it_equal(sides[1 - winner].result, ZKS_EPERM);
    }
    party_close(&a);
    (void)pthread_barrier_destroy(&start);
}

/* Only 0 ms is a try: a time that is over when the client gets to it was waited for. */
static void a_lock_whose_time_is_over_at_once(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    struct pause pause;
    char *path = it_child(it, "lock");
    party_open(&a, NULL, 0, path);
    party_open(&b, NULL, 0, path);
    party_write(&a);
    pause_begin(&pause, &b, it);
    it_ok(zks_rwlock_wrlock_op(b.lock, 1, &b.op.op));
    uint64_t after = zks_clock_ms() + 2;
    it_await(zks_clock_ms() > after);
    pause_end(&pause);
    it_equal(it_op_wait(&b.op), ZKS_ETIMEDOUT);
    party_unlock(&a);
    two_close(&a, &b);
    free(path);
}

static void beside_an_operation(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    two_queued(&a, &b, ZKS_RWLOCK_WRITE, it);
    it_equal(zks_rwlock_unlock(b.lock, 0), ZKS_EDEADLK);
    party_unlock(&a);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    party_unlock(&b);
    two_close(&a, &b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(it_counts_at_once),
        it_test(past_the_end_of_the_lease),
        it_test(of_two_at_once_one_succeeds),
        it_test(beside_an_operation),
        it_test(a_lock_whose_time_is_over_at_once),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("rwlock_unlock", tests, NULL, NULL);
}
