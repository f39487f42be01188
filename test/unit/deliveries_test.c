/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor of manual dispatch, which is readable exactly while something is to be dispatched.  The test
 * makes the passes of the driver's thread itself, so that they come where they hurt. */
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "driver/deliveries.h"
#include "driver/machine.h"
#include "unit.h"

struct fixture {
    struct zks_client client;
    struct zks__machine machine;
    unsigned told;
    unsigned more;        /* Changes of state that come while the listener runs. */
    bool readable_inside; /* What the listener saw. */
    bool beside;          /* It has another thread dispatch, too. */
    int dispatched_beside;
};

static bool is_readable(const struct fixture *f)
{
    struct pollfd ready = {.fd = f->client.event_fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

/* A pass of the driver in which a state changes, or nothing. */
static void pass(struct fixture *f, bool changes)
{
    (void)pthread_mutex_lock(&f->client.lock);
    if (changes) {
        zks__tell_state(&f->client, ZKS_CLIENT_CONNECTED);
    }
    (void)pthread_mutex_unlock(&f->client.lock);
    zks__hand_out(&f->client);
}

static void *dispatch_beside(void *arg)
{
    struct fixture *f = arg;
    f->dispatched_beside = zks_client_dispatch(&f->client);
    return NULL;
}

static void listener(zks_client *client, enum zks_client_state state, void *arg)
{
    struct fixture *f = arg;
    (void)client;
    (void)state;
    f->told++;
    if (f->more > 0) {
        f->more--;
        pass(f, true);
    }
    f->readable_inside = f->readable_inside || is_readable(f);
    if (f->beside) {
        pthread_t other;
        assert_int_equal(pthread_create(&other, NULL, dispatch_beside, f), 0);
        assert_int_equal(pthread_join(other, NULL), 0);
    }
}

static void machine_lost(struct zks__machine *m)
{
    struct fixture *f = (struct fixture *)((char *)m - offsetof(struct fixture, machine));
    f->told++;
}

static const struct zks__machine_type type = {.lost = machine_lost};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    struct zks_client *c = &f->client;
    c->pid = getpid();
    c->options.listener = listener;
    c->options.listener_arg = f;
    c->last_done_op = &c->done_op;
    c->last_lost = &c->lost;
    c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(c->event_fd >= 0);
    assert_int_equal(pthread_mutex_init(&c->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&c->work, NULL), 0);
    assert_int_equal(pthread_cond_init(&c->changed, NULL), 0);
    f->machine.type = &type;
    f->machine.client = c;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)close(f->client.event_fd);
    (void)pthread_mutex_destroy(&f->client.lock);
    (void)pthread_cond_destroy(&f->client.work);
    (void)pthread_cond_destroy(&f->client.changed);
    free(f);
    return 0;
}

static void test_passes_before_a_dispatch(void **state)
{
    struct fixture *f = *state;
    pass(f, false);
    assert_false(is_readable(f));
    pass(f, true);
    assert_true(is_readable(f));
    pass(f, true);
    pass(f, false);
    assert_int_equal(zks_client_dispatch(&f->client), 2);
    assert_false(is_readable(f));
    assert_int_equal(zks_client_dispatch(&f->client), 0);
    pass(f, false);
    assert_false(is_readable(f));
    pass(f, true);
    assert_true(is_readable(f));
    assert_int_equal(zks_client_dispatch(&f->client), 1);
    assert_false(is_readable(f));
}

/* What comes while a callback runs is delivered by the same dispatch; no other thread is woken for it. */
static void test_passes_during_a_dispatch(void **state)
{
    struct fixture *f = *state;
    for (unsigned beside = 0; beside < 2; beside++) {
        f->beside = beside > 0;
        f->more = 3;
        pass(f, true);
        assert_int_equal(zks_client_dispatch(&f->client), 4);
        assert_false(f->readable_inside);
        assert_int_equal(f->dispatched_beside, 0);
        assert_false(is_readable(f));
        assert_int_equal(zks_client_dispatch(&f->client), 0);
    }
    pass(f, true);
    assert_true(is_readable(f));
}

/* A loss that is no news any more is nothing to dispatch. */
static void test_a_loss_that_is_taken_back(void **state)
{
    struct fixture *f = *state;
    for (unsigned others = 0; others < 2; others++) {
        (void)pthread_mutex_lock(&f->client.lock);
        zks__tell_lost(&f->machine);
        (void)pthread_mutex_unlock(&f->client.lock);
        pass(f, others > 0);
        assert_true(is_readable(f));
        (void)pthread_mutex_lock(&f->client.lock);
        zks__untell_lost(&f->machine);
        (void)pthread_mutex_unlock(&f->client.lock);
        assert_int_equal(is_readable(f), others > 0);
        assert_int_equal(zks_client_dispatch(&f->client), others);
        assert_false(is_readable(f));
    }
}

static void test_a_loss_that_is_told(void **state)
{
    struct fixture *f = *state;
    (void)pthread_mutex_lock(&f->client.lock);
    zks__tell_lost(&f->machine);
    (void)pthread_mutex_unlock(&f->client.lock);
    pass(f, false);
    assert_true(is_readable(f));
    assert_int_equal(zks_client_dispatch(&f->client), 1);
    assert_int_equal(f->told, 1);
    assert_false(is_readable(f));
}

#define case_of(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(test_passes_before_a_dispatch),
        case_of(test_passes_during_a_dispatch),
        case_of(test_a_loss_that_is_taken_back),
        case_of(test_a_loss_that_is_told),
    };
    return cmocka_run_group_tests_name("deliveries", tests, NULL, NULL);
}
