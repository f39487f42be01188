/* SPDX-License-Identifier: Apache-2.0 */
/* What is believed of a leader that stood still while the others chose another one.  When it goes on it
 * answers syncs and reads by itself for up to a tick, and knows nothing of what was written meanwhile. */
#include "common.h"

#include <stdio.h>

IT_TAKES_LONG

enum { ROUNDS = 3, SESSION_MS = 60000 };

/* A client on the leader alone, and one on the other servers. */
struct sides {
    size_t leader;
    zks_client *on_leader;
    zks_client *on_others;
    zks_barrier *there;
    zks_barrier *other_there;
    zks_barrier *elsewhere;
};

static void sides_open(struct sides *s, const char *path)
{
    char others[512] = "";
    s->leader = ens_leader();
    for (size_t i = 0; i < ens_count(); i++) {
        size_t len = strlen(others);
        if (i != s->leader) {
            snprintf(others + len, sizeof others - len, "%s%s", len > 0 ? "," : "",
                     ens_direct_server(i));
        }
    }
    s->on_leader = it_open(ens_direct_server(s->leader), SESSION_MS);
    s->on_others = it_open(others, SESSION_MS);
    s->there = it_barrier(s->on_leader, path);
    s->other_there = it_barrier(s->on_leader, path);
    s->elsewhere = it_barrier(s->on_others, path);
}

static void sides_close(struct sides *s)
{
    zks_barrier_free(s->there);
    zks_barrier_free(s->other_there);
    zks_barrier_free(s->elsewhere);
    it_ok(zks_client_close(s->on_leader));
    it_ok(zks_client_close(s->on_others));
}

/* The leader stands still until the others have another one, under which the barrier is set. */
static void depose(struct sides *s)
{
    ens_pause(s->leader);
    it_ok(zks_barrier_set(s->elsewhere, ZKS_FOREVER));
}

static int wait_on_leader(struct sides *s)
{
    int rc = ZKS_EDISCONNECTED;
    while (rc == ZKS_EDISCONNECTED || rc == ZKS_ESESSION) {
        rc = zks_barrier_wait(s->other_there, 0);
    }
    return rc;
}

static void test_set_barrier_is_not_passed(void **state)
{
    struct it *it = *state;
    it_need_kill();
    it_need_servers(3);
    for (int round = 0; round < ROUNDS; round++) {
        struct sides s;
        struct it_op waiting;
        struct it_op trying;
        sides_open(&s, it->path);
        it_op_init(&waiting);
        it_op_init(&trying);
        depose(&s);
        it_ok(zks_barrier_wait_op(s.there, ZKS_FOREVER, &waiting.op));
        it_ok(zks_barrier_wait_op(s.other_there, 0, &trying.op));
        ens_resume(s.leader);
        int rc = it_op_wait(&trying);
        assert_true(rc == ZKS_EBUSY || rc == ZKS_EDISCONNECTED);
        it_equal(wait_on_leader(&s), ZKS_EBUSY);
        assert_false(it_op_done(&waiting));
        it_ok(zks_barrier_unset(s.elsewhere, ZKS_FOREVER));
        it_ok(it_op_wait(&waiting));
        ens_await();
        sides_close(&s);
    }
}

static void test_unset_finds_what_is_set(void **state)
{
    struct it *it = *state;
    it_need_kill();
    it_need_servers(3);
    for (int round = 0; round < ROUNDS; round++) {
        struct sides s;
        struct it_op unset;
        sides_open(&s, it->path);
        it_op_init(&unset);
        depose(&s);
        it_ok(zks_barrier_unset_op(s.there, ZKS_FOREVER, &unset.op));
        ens_resume(s.leader);
        it_ok(it_op_wait(&unset));
        it_ok(zks_barrier_wait(s.elsewhere, 0));
        ens_await();
        sides_close(&s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {it_test(test_set_barrier_is_not_passed),
                                       it_test(test_unset_finds_what_is_set)};
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
