/* SPDX-License-Identifier: Apache-2.0 */
/* zks_rwlock_list(): who holds a lock and who waits for it. */
#include <cjson/cJSON.h>
#include <unistd.h>

#include "locks.h"

struct listing {
    struct zks_contender *list;
    size_t count;
};

static struct listing list(const struct it *it, struct party *p)
{
    struct listing l = {NULL, 99};
    it_ok(zks_rwlock_list(p->client, it->path, IT_LIMIT_MS, &l.list, &l.count));
    return l;
}

static void empty_for_an_absent_lock(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, 0, it->path);
    struct listing l = list(it, &a);
    assert_int_equal(l.count, 0);
    assert_null(l.list);
    zks_contenders_free(l.list, l.count);
    /* It was only looked at. */
    assert_false(rawzk_exists(it->raw, it->path, NULL));
    party_write(&a);
    party_unlock(&a);
    l = list(it, &a);
    assert_int_equal(l.count, 0);
    assert_null(l.list);
    party_close(&a);
}

static void holders_and_waiters_in_order(void **state)
{
    static const enum zks_rwlock_mode modes[] = {ZKS_RWLOCK_READ, ZKS_RWLOCK_READ, ZKS_RWLOCK_WRITE,
                                                 ZKS_RWLOCK_READ, ZKS_RWLOCK_WRITE};
    enum { N = 5, HOLDERS = 2 };
    struct it *it = *state;
    struct party p[N];
    for (size_t i = 0; i < N; i++) {
        party_open(&p[i], NULL, 0, it->path);
        party_queue(&p[i], modes[i], it, it->path, i + 1);
        if (i < HOLDERS) {
            party_granted(&p[i], ZKS_RWLOCK_READ);
        }
    }
    struct listing l = list(it, &p[3]);
    assert_int_equal(l.count, N);
    for (size_t i = 0; i < N; i++) {
        const struct zks_contender *c = &l.list[i];
        struct Stat stat;
        assert_true(rawzk_exists(it->raw, c->path, &stat));
        assert_int_equal(c->mode, modes[i]);
        assert_int_equal(c->holds, i < HOLDERS);
        assert_int_equal(c->session, zks_client_session_id(p[i].client));
        assert_int_equal(c->token, (uint64_t)stat.czxid);
        assert_int_equal(c->since_ms, stat.ctime);
        assert_true(c->age_ms >= 0);
        assert_int_equal(c->sequence, atoi(c->path + strlen(c->path) - 10));
        assert_true(i == 0 || c->sequence - l.list[i - 1].sequence > 0);
        assert_int_equal(c->data_len, strlen(c->data));
        cJSON *json = cJSON_Parse(c->data);
        assert_non_null(json);
        assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItem(json, "pid")), getpid());
        cJSON_Delete(json);
        if (i < HOLDERS) {
            char *node = party_node(&p[i]);
            assert_string_equal(c->path, node);
            assert_int_equal(c->token, zks_rwlock_token(p[i].lock));
            free(node);
        }
    }
    zks_contenders_free(l.list, l.count);
    party_unlock(&p[0]);
    party_unlock(&p[1]);
    party_granted(&p[2], ZKS_RWLOCK_WRITE);
    l = list(it, &p[0]);
    assert_int_equal(l.count, 3);
    assert_true(l.list[0].holds && l.list[0].mode == ZKS_RWLOCK_WRITE);
    assert_false(l.list[1].holds || l.list[2].holds);
    zks_contenders_free(l.list, l.count);
    for (size_t i = 0; i < N; i++) {
        party_close(&p[i]);
    }
}

static void a_downgraded_holder_keeps_its_token(void **state)
{
    struct it *it = *state;
    struct party p[3];
    for (size_t i = 0; i < 3; i++) {
        party_open(&p[i], NULL, 0, it->path);
    }
    party_write(&p[0]);
    uint64_t token = zks_rwlock_token(p[0].lock);
    party_queue(&p[1], ZKS_RWLOCK_READ, it, it->path, 2);
    party_queue(&p[2], ZKS_RWLOCK_WRITE, it, it->path, 3);
    it_ok(zks_rwlock_downgrade(p[0].lock, IT_LIMIT_MS));
    party_granted(&p[1], ZKS_RWLOCK_READ);
    struct listing l = list(it, &p[1]);
    assert_int_equal(l.count, 3);
    assert_int_equal(l.list[0].session, zks_client_session_id(p[0].client));
    assert_int_equal(l.list[0].mode, ZKS_RWLOCK_READ);
    assert_int_equal(l.list[0].token, token);
    assert_true(l.list[0].holds && l.list[1].holds);
    assert_false(l.list[2].holds);
    zks_contenders_free(l.list, l.count);
    for (size_t i = 0; i < 3; i++) {
        party_close(&p[i]);
    }
}

static void arguments_are_checked(void **state)
{
    struct it *it = *state;
    struct party a;
    party_open(&a, NULL, 0, it->path);
    struct zks_contender *contenders = NULL;
    size_t count = 99;
    it_equal(zks_rwlock_list(a.client, "no/slash", IT_LIMIT_MS, &contenders, &count), ZKS_EINVAL);
    it_equal(zks_rwlock_list(a.client, it->path, -2, &contenders, &count), ZKS_EINVAL);
    it_equal(zks_rwlock_list(a.client, NULL, IT_LIMIT_MS, &contenders, &count), ZKS_EINVAL);
    it_equal(zks_rwlock_list(a.client, it->path, IT_LIMIT_MS, NULL, &count), ZKS_EINVAL);
    it_equal(zks_rwlock_list(a.client, it->path, IT_LIMIT_MS, &contenders, NULL), ZKS_EINVAL);
    assert_null(contenders);
    assert_int_equal(count, 99);
    party_close(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(empty_for_an_absent_lock),
        it_test(holders_and_waiters_in_order),
        it_test(a_downgraded_holder_keeps_its_token),
        it_test(arguments_are_checked),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
