/* SPDX-License-Identifier: Apache-2.0 */
/* What a client asks of the leader to know that its session lives: nothing while it is idle or far from its
 * turn.  Requests are counted by a proxy; whatever is said not to be sent has had time to be, for there are
 * others that come after it. */
#include "frameproxy.h"
#include "locks.h"

IT_TAKES_LONG

/* For those that hold a lock, or prove their session, for long: a slow machine must not end it. */
enum { SLOW_SESSION_MS = 2 * IT_SESSION_MS };

/* A client that is counted. */
struct counted {
    uint32_t session_ms;
    struct frameproxy *proxy;
    struct party party;
};

static unsigned syncs(const struct counted *c)
{
    return frameproxy_count(c->proxy, FRAME_SYNC);
}

static unsigned writes(const struct counted *c)
{
    return frameproxy_count(c->proxy, FRAME_SET_DATA);
}

static unsigned looks(const struct counted *c)
{
    return frameproxy_count(c->proxy, FRAME_GET_CHILDREN2);
}

static unsigned reads(const struct counted *c)
{
    return looks(c) + frameproxy_count(c->proxy, FRAME_GET_DATA) +
           frameproxy_count(c->proxy, FRAME_EXISTS);
}

/* What has been sent since `bill_begin`, for the report. */
struct bill {
    uint64_t from_ms;
    unsigned reads;
    unsigned syncs;
    unsigned writes;
};

static struct bill bill_begin(const struct counted *c)
{
    return (struct bill){zks_clock_ms(), reads(c), syncs(c), writes(c)};
}

static void bill_report(const struct bill *bill, const struct counted *c, const char *who)
{
    double minutes = (double)(zks_clock_ms() - bill->from_ms) / c->session_ms / 3;
    printf("#: %s: with a session timeout of 20 s %.0f reads, %.0f syncs, %.0f writes a minute\n",
           who, (reads(c) - bill->reads) / minutes, (syncs(c) - bill->syncs) / minutes,
           (writes(c) - bill->writes) / minutes);
}

static void counted_open(struct counted *c, const struct it *it, uint32_t session_ms)
{
    memset(c, 0, sizeof *c);
    c->session_ms = session_ms;
    c->proxy = frameproxy_start(ens_direct_server(0));
    party_open(&c->party, frameproxy_address(c->proxy), session_ms, it->path);
}

static void counted_close(struct counted *c)
{
    party_close(&c->party);
    frameproxy_stop(c->proxy);
}

/* So many heartbeats of a client that is idle, more than a session timeout's. */
static void idle_for_long(const struct counted *c)
{
    unsigned before = frameproxy_count(c->proxy, FRAME_EXISTS);
    it_await(frameproxy_count(c->proxy, FRAME_EXISTS) >= before + 6);
}

static void who_is_idle_asks_nothing(void **state)
{
    struct counted c;
    counted_open(&c, *state, IT_SESSION_MS);
    idle_for_long(&c);
    assert_int_equal(syncs(&c), 0);
    assert_int_equal(writes(&c), 0);
    counted_close(&c);
}

static void who_holds_asks_and_writes(void **state)
{
    struct counted c;
    counted_open(&c, *state, SLOW_SESSION_MS);
    party_write(&c.party);
    uint64_t until = zks_rwlock_safe_until(c.party.lock);
    unsigned before = syncs(&c);
    unsigned written = writes(&c);
    it_await(syncs(&c) >= before + 20 && writes(&c) >= written + 5);
    assert_true(zks_rwlock_safe_until(c.party.lock) > until);
    party_unlock(&c.party);
    counted_close(&c);
}

enum { IDLE, HOLDER, NEXT, FAR, ALL };

/* Who is next is sure of its session when its turn comes; who is behind it asks nothing until it is next. */
static void who_waits_asks_when_it_is_next(void **state)
{
    struct it *it = *state;
    struct counted c[ALL];
    struct bill bill[ALL];
    static const char *const who[ALL] = {"idle", "holding", "next", "far from its turn"};
    for (int i = 0; i < ALL; i++) {
        counted_open(&c[i], it, SLOW_SESSION_MS);
    }
    party_write(&c[HOLDER].party);
    party_queue(&c[NEXT].party, ZKS_RWLOCK_WRITE, it, it->path, 2);
    party_queue(&c[FAR].party, ZKS_RWLOCK_WRITE, it, it->path, 3);
    party_await_waiting(&c[FAR].party);
    for (int i = 0; i < ALL; i++) {
        bill[i] = bill_begin(&c[i]);
    }
    unsigned far_looks = looks(&c[FAR]);
    it_await(looks(&c[FAR]) >= far_looks + 10 && syncs(&c[NEXT]) >= bill[NEXT].syncs + 10 &&
             writes(&c[NEXT]) >= bill[NEXT].writes + 3);
    for (int i = 0; i < ALL; i++) {
        bill_report(&bill[i], &c[i], who[i]);
    }
    assert_int_equal(syncs(&c[FAR]), bill[FAR].syncs);
    assert_int_equal(writes(&c[FAR]), bill[FAR].writes);

    party_unlock(&c[HOLDER].party);
    party_granted(&c[NEXT].party, ZKS_RWLOCK_WRITE);
    it_await(syncs(&c[FAR]) >= bill[FAR].syncs + 10);
    party_unlock(&c[NEXT].party);
    party_granted(&c[FAR].party, ZKS_RWLOCK_WRITE);
    party_unlock(&c[FAR].party);
    for (int i = 0; i < ALL; i++) {
        counted_close(&c[i]);
    }
}

static void counted_open_lingering(struct counted *c, const struct it *it, uint32_t session_ms,
                                   uint32_t linger_ms)
{
    memset(c, 0, sizeof *c);
    c->session_ms = session_ms;
    c->proxy = frameproxy_start(ens_direct_server(0));
    zks_client_options options = it_options(frameproxy_address(c->proxy), session_ms);
    options.lease_linger_ms = linger_ms;
    c->party.client = it_open_with(&options);
    c->party.lock = it_rwlock(c->party.client, it->path);
}

static void counted_close_lingering(struct counted *c)
{
    zks_rwlock_free(c->party.lock);
    it_ok(zks_client_close(c->party.client));
    frameproxy_stop(c->proxy);
}

/* Nothing is known of the session any more, and the lock is granted once it is: also a try. */
static void a_lock_after_a_long_idle_time(void **state)
{
    struct counted c;
    counted_open_lingering(&c, *state, IT_SESSION_MS, 1);
    zks_rwlock *lock = c.party.lock;
    for (int64_t wait_ms = ZKS_FOREVER; wait_ms <= 0; wait_ms++) {
        it_ok(zks_rwlock_wrlock(lock, wait_ms));
        it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
        unsigned before = syncs(&c);
        idle_for_long(&c);
        assert_in_range(syncs(&c), before, before + 1); /* One can have been under way. */
        assert_true(zks_client_safe_until(c.party.client) < zks_clock_ms());
    }
    unsigned before = syncs(&c);
    unsigned written = writes(&c);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    assert_true(zks_client_safe_until(c.party.client) > zks_clock_ms());
    assert_true(writes(&c) > written);
    /* Who is not told of the proof goes on asking until half of the session timeout is over: 18 times. */
    assert_in_range(syncs(&c), before + 1, before + 10);
    it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
    counted_close_lingering(&c);
}

/* They end before the proof, which goes on all the same, so that the next one finds it. */
static void waits_that_are_shorter_than_the_proof(void **state)
{
    struct counted c;
    counted_open_lingering(&c, *state, SLOW_SESSION_MS, SLOW_SESSION_MS / 2);
    it_ok(zks_rwlock_wrlock(c.party.lock, IT_LIMIT_MS));
    it_ok(zks_rwlock_unlock(c.party.lock, IT_LIMIT_MS));
    it_await(zks_client_safe_until(c.party.client) < zks_clock_ms());
    idle_for_long(&c);
    it_equal(zks_rwlock_wrlock(c.party.lock, SLOW_SESSION_MS / 100), ZKS_ETIMEDOUT);
    it_await(zks_client_safe_until(c.party.client) > zks_clock_ms());
    counted_close_lingering(&c);
}

static void an_idle_client_that_is_to_be_quick(void **state)
{
    struct counted c;
    counted_open_lingering(&c, *state, IT_SESSION_MS, UINT32_MAX);
    it_ok(zks_rwlock_wrlock(c.party.lock, IT_LIMIT_MS));
    it_ok(zks_rwlock_unlock(c.party.lock, IT_LIMIT_MS));
    unsigned before = syncs(&c);
    it_await(syncs(&c) >= before + 40);
    counted_close_lingering(&c);
}

static void count_far(enum zks_log_level level, const char *line, void *arg)
{
    unsigned took_ms;
    bool far =
        sscanf(line, "zksync: cannot acquire a lock: a request through the leader takes %u ms",
               &took_ms) == 1;
    if (far && level == ZKS_LOG_WARN && took_ms >= IT_SESSION_MS / 4) {
        atomic_fetch_add((atomic_uint *)arg, 1);
    }
}

/* It queues again behind the other one, and says why, and is granted the lock when it has come nearer. */
static void who_is_far_away_gives_way(void **state)
{
    struct it *it = *state;
    struct party far;
    struct party near;
    atomic_uint told = 0;
    it_need_proxy();
    zks_client_options options = it_options(ens_server(0), IT_SESSION_MS);
    options.log = count_far;
    options.log_arg = &told;
    party_open_with(&far, &options, it->path);
    it_await(zks_client_safe_until(far.client) < zks_clock_ms());
    proxy_delay(0, IT_SESSION_MS / 8);
    party_queue(&far, ZKS_RWLOCK_WRITE, it, it->path, 1);
    party_open(&near, ens_direct_server(0), IT_SESSION_MS, it->path);
    party_start(&near, ZKS_RWLOCK_WRITE);
    party_granted(&near, ZKS_RWLOCK_WRITE);
    party_unlock(&near);
    assert_true(atomic_load(&told) > 0); /* Once in each session. */
    proxy_delay(0, 0);
    party_granted(&far, ZKS_RWLOCK_WRITE);
    party_unlock(&far);
    party_close(&near);
    party_close(&far);
}

static void renewals_that_cannot_work(void **state)
{
    (void)state;
    zks_client *client = NULL;
    static const uint32_t bad[] = {1, 39, 401, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        zks_client_options options = it_options(NULL, IT_SESSION_MS);
        options.lease_renewal_ms = bad[i];
        it_equal(zks_client_open(&options, &client), ZKS_EINVAL);
        assert_non_null(strstr(zks_last_error(), "lease_renewal_ms"));
        assert_non_null(strstr(zks_last_error(), "from 40 to 400"));
        assert_null(client);
    }
}

/* With the longest interval a holder is still sure of its session, and asks. */
static void a_renewal_that_is_chosen(void **state)
{
    struct it *it = *state;
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    zks_client_options options = it_options(frameproxy_address(proxy), SLOW_SESSION_MS);
    options.lease_renewal_ms = SLOW_SESSION_MS / 10;
    zks_client *client = it_open_with(&options);
    zks_rwlock *lock = it_rwlock(client, it->path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    uint64_t until = zks_rwlock_safe_until(lock);
    it_await(zks_rwlock_safe_until(lock) > until + SLOW_SESSION_MS);
    assert_int_equal(zks_rwlock_held(lock), ZKS_RWLOCK_WRITE);
    it_ok(zks_rwlock_unlock(lock, IT_LIMIT_MS));
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    frameproxy_stop(proxy);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(who_is_idle_asks_nothing),
        it_test(who_holds_asks_and_writes),
        it_test(who_waits_asks_when_it_is_next),
        it_test(a_lock_after_a_long_idle_time),
        it_test(waits_that_are_shorter_than_the_proof),
        it_test(an_idle_client_that_is_to_be_quick),
        it_test(who_is_far_away_gives_way),
        it_test(renewals_that_cannot_work),
        it_test(a_renewal_that_is_chosen),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
