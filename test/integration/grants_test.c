/* SPDX-License-Identifier: Apache-2.0 */
/* Servers of one ensemble that grant different session timeouts, as they do while their bounds are being changed
 * one after the other.  The leader ends a session by the latest grant that it has heard of, so a holder must
 * count with the shortest that it has met: lease.h says more.
 *
 * Servers of our own are given different bounds.  On others a proxy grants less than its server would. */
#include <fcntl.h>
#include <unistd.h>

#include "command.h"
#include "frameproxy.h"
#include "locks.h"

IT_TAKES_LONG

enum {
    LONG_MS = 20000,
    SHORTER_MS = 12000,
    SHORT_MS = 4000,
    LOG_MAX = 1000,
    CUTS = 200,
    TAKEN_UP = 3
};

/* The ways to two servers, and a client that knows both and goes where the proxies let it. */
struct scene {
    struct frameproxy *longer;
    struct frameproxy *shorter;
    struct party holder;
    struct party other; /* Always on the server that grants more. */
    pthread_mutex_t mutex;
    char log[LOG_MAX];
};

/* libzookeeper's own lines, of which there are many, are not kept. */
static void keep_line(enum zks_log_level level, const char *line, void *arg)
{
    struct scene *s = arg;
    (void)pthread_mutex_lock(&s->mutex);
    size_t len = strlen(s->log);
    if (strstr(line, "grant session timeouts") != NULL) {
        (void)snprintf(s->log + len, sizeof s->log - len, "%d %s\n", (int)level, line);
    }
    (void)pthread_mutex_unlock(&s->mutex);
}

/* What has been logged of the grants, with the level in front. */
static void check_log(struct scene *s, const char *lines)
{
    (void)pthread_mutex_lock(&s->mutex);
    assert_string_equal(s->log, lines);
    (void)pthread_mutex_unlock(&s->mutex);
}

static void check_warning(struct scene *s, unsigned known_ms, unsigned granted_ms)
{
    char warning[160];
    (void)snprintf(warning, sizeof warning,
                   "%d zksync: the servers grant session timeouts of %u and %u ms: while they "
                   "differ, a lock can be held twice\n",
                   ZKS_LOG_WARN, known_ms, granted_ms);
    check_log(s, warning);
}

/* The holder is let to only one of the servers.  On the heap, for the client of a test that fails goes on. */
static struct scene *scene_open(const struct it *it, size_t longer, size_t shorter,
                                bool begins_short)
{
    char servers[80];
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    (void)pthread_mutex_init(&s->mutex, NULL);
    s->longer = frameproxy_start(ens_direct_server(longer));
    s->shorter = frameproxy_start(ens_direct_server(shorter));
    if (longer == shorter) {
        frameproxy_grant(s->shorter, SHORT_MS);
    }
    frameproxy_hold(begins_short ? s->longer : s->shorter);
    (void)snprintf(servers, sizeof servers, "%s,%s", frameproxy_address(s->longer),
                   frameproxy_address(s->shorter));
    zks_client_options options = it_options(servers, LONG_MS);
    options.log = keep_line;
    options.log_arg = s;
    party_open_with(&s->holder, &options, it->path);
    party_open(&s->other, ens_direct_server(longer), LONG_MS, it->path);
    assert_int_equal(zks_client_session_timeout_ms(s->other.client), LONG_MS);
    return s;
}

static void scene_close(struct scene *s)
{
    frameproxy_release(s->longer);
    frameproxy_release(s->shorter);
    two_close(&s->holder, &s->other);
    frameproxy_stop(s->longer);
    frameproxy_stop(s->shorter);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* Locks, and waits until its lease is longer than any that the shorter timeout could give. */
static void hold_for_long(struct scene *s)
{
    assert_int_equal(zks_client_session_timeout_ms(s->holder.client), LONG_MS);
    party_write(&s->holder);
    it_await(zks_rwlock_safe_until(s->holder.lock) > zks_clock_ms() + 2 * SHORT_MS);
    assert_true(zks_client_safe_until(s->holder.client) > zks_clock_ms() + SHORT_MS);
}

/* Read first, so that a test which is kept from running judges nothing wrongly. */
static bool counts_with_the_shorter(struct scene *s)
{
    uint64_t lock_until = zks_rwlock_safe_until(s->holder.lock);
    uint64_t until = zks_client_safe_until(s->holder.client);
    uint64_t latest = zks_clock_ms() + SHORT_MS - SHORT_MS / 50;
    return until <= latest && lock_until <= latest;
}

/* Until it is connected again, so that nothing of it is left on the servers. */
static void is_lost(struct scene *s)
{
    it_await(atomic_load(&s->holder.lost) == 1);
    frameproxy_release(s->longer);
    it_equal(zks_rwlock_unlock(s->holder.lock, IT_LIMIT_MS), ZKS_ELOST);
}

/* The holder, which can reach no server any more, has lost the lock before the other one gets it.  When it was
 * told is not judged: that is a time of another thread. */
static void is_lost_before_it_is_granted(struct scene *s)
{
    uint64_t until = zks_rwlock_safe_until(s->holder.lock);
    party_granted(&s->other, ZKS_RWLOCK_WRITE);
    assert_int_equal(zks_rwlock_held(s->holder.lock), 0);
    is_lost(s);
    assert_true(until <= s->other.op.at);
    party_unlock(&s->other);
}

/* A holder is taken up by a server that grants less, and that it has not met before. */
static void is_taken_up(struct scene *s)
{
    check_log(s, "");
    frameproxy_release(s->shorter);
    frameproxy_hold(s->longer);
    (void)it_states_await(&s->holder.states, 0, ZKS_CLIENT_RECONNECTED);
    assert_int_equal(zks_client_session_timeout_ms(s->holder.client), SHORT_MS);
    assert_true(counts_with_the_shorter(s));
    check_warning(s, LONG_MS, SHORT_MS);
    struct zks_ping ping;
    it_ok(zks_client_ping(s->holder.client, IT_LIMIT_MS, &ping));
    assert_int_equal(ping.session_timeout_ms, SHORT_MS);
}

/* Ends the session that a server has granted less; the next one is granted more. */
static void begin_anew(struct scene *s, const struct it *it)
{
    assert_int_equal(zks_client_session_timeout_ms(s->holder.client), SHORT_MS);
    check_log(s, "");
    party_write(&s->holder);
    char *node = party_node(&s->holder);
    size_t from = it_states_count(&s->holder.states);
    frameproxy_hold(s->shorter);
    it_await(!rawzk_exists(it->raw, node, NULL));
    free(node);
    frameproxy_release(s->longer);
    (void)it_states_await(&s->holder.states, from, ZKS_CLIENT_RECONNECTED);
    check_warning(s, SHORT_MS, LONG_MS);
    it_equal(zks_rwlock_unlock(s->holder.lock, IT_LIMIT_MS), ZKS_ELOST);
    assert_true(atomic_exchange(&s->holder.lost, 0) > 0);
}

/* ---- On any server: what the driver does with a grant ---- */

static void a_shorter_grant_is_told(void **state)
{
    struct scene *s = scene_open(*state, 0, 0, false);
    hold_for_long(s);
    is_taken_up(s);
    scene_close(s);
}

/* Of an earlier session: it counts once there is no connection, for a server may take the session up. */
static void a_shorter_grant_is_remembered(void **state)
{
    struct scene *s = scene_open(*state, 0, 0, true);
    begin_anew(s, *state);
    hold_for_long(s);
    size_t from = it_states_count(&s->holder.states);
    frameproxy_hold(s->longer);
    (void)it_states_await(&s->holder.states, from, ZKS_CLIENT_SUSPENDED);
    assert_true(counts_with_the_shorter(s));
    is_lost(s);
    scene_close(s);
}

/* An operation whose completion keeps the client's thread until it is let go. */
struct busy {
    zks_op op;
    atomic_bool entered;
    atomic_bool let_go;
};

static void keep_thread(zks_op *op, int result, void *arg)
{
    struct busy *busy = arg;
    (void)op;
    (void)result;
    atomic_store(&busy->entered, true);
    while (!atomic_load(&busy->let_go)) {
        it_pause();
    }
}

/* The client's thread, which is kept by a callback, does not know yet that the connection is lost. */
static void a_busy_client_remembers_it_too(void **state)
{
    struct it *it = *state;
    struct busy busy = {.entered = false, .let_go = false};
    struct scene *s = scene_open(it, 0, 0, true);
    char *path = it_child(it, "barrier");
    begin_anew(s, it);
    hold_for_long(s);
    zks_barrier *barrier = it_barrier(s->holder.client, path);
    zks_op_init(&busy.op, keep_thread, &busy);
    it_ok(zks_barrier_wait_op(barrier, ZKS_FOREVER, &busy.op));
    it_await(atomic_load(&busy.entered));
    uint64_t until = zks_client_safe_until(s->holder.client);
    for (int i = 1; i <= CUTS; i++) {
        frameproxy_swallow_reply(s->shorter, FRAME_CONNECT, NULL, i);
    }
    frameproxy_release(s->shorter);
    frameproxy_hold(s->longer);
    /* libzookeeper tells of the cut on another thread than that which connects anew. */
    it_await(frameproxy_hits(s->shorter) > 0 && (zks_client_safe_until(s->holder.client) < until ||
                                                 frameproxy_hits(s->shorter) > 10 * TAKEN_UP));
    bool counts = counts_with_the_shorter(s);
    atomic_store(&busy.let_go, true);
    assert_true(counts);
    frameproxy_hold(s->shorter);
    is_lost(s);
    zks_barrier_free(barrier);
    scene_close(s);
    free(path);
}

/* ---- On servers whose bounds differ ---- */

enum { LONG_SERVER = 0, SHORT_SERVER = 1, SHORT_SERVERS = 2 };

static void set_bounds(void)
{
    char bound[40];
    (void)snprintf(bound, sizeof bound, "maxSessionTimeout=%d", SHORT_MS);
    for (size_t i = SHORT_SERVER; i < SHORT_SERVER + SHORT_SERVERS; i++) {
        ens_kill(i);
        ens_start_set(i, bound);
    }
    ens_await();
}

static void a_holder_is_taken_up(void **state)
{
    struct it *it = *state;
    it_need_kill();
    it_need_servers(3);
    set_bounds();
    struct scene *s = scene_open(it, LONG_SERVER, SHORT_SERVER, false);
    hold_for_long(s);
    party_queue(&s->other, ZKS_RWLOCK_WRITE, it, it->path, 2);
    is_taken_up(s);
    frameproxy_hold(s->shorter);
    is_lost_before_it_is_granted(s);
    scene_close(s);
}

/* A server takes the session up, and with that shortens it, and its answer never comes.  It does so more than
 * once: what the server that was left tells the leader of the session comes late, and lengthens it again. */
static void the_answer_is_lost(const struct it *it, size_t shorter)
{
    struct scene *s = scene_open(it, LONG_SERVER, shorter, true);
    begin_anew(s, it);
    hold_for_long(s);
    party_queue(&s->other, ZKS_RWLOCK_WRITE, it, it->path, 2);
    uint64_t until = zks_rwlock_safe_until(s->holder.lock);
    for (int i = 1; i <= CUTS; i++) {
        frameproxy_swallow_reply(s->shorter, FRAME_CONNECT, NULL, i);
    }
    size_t from = it_states_count(&s->holder.states);
    frameproxy_release(s->shorter);
    frameproxy_hold(s->longer);
    it_await(frameproxy_hits(s->shorter) >= TAKEN_UP);
    frameproxy_hold(s->shorter);
    (void)it_states_await(&s->holder.states, from, ZKS_CLIENT_SUSPENDED);
    assert_true(counts_with_the_shorter(s));
    is_lost_before_it_is_granted(s);
    printf("#: server %zu, while %zu leads: granted %lld ms before the longer grant's lease ends\n",
           shorter, ens_leader(), (long long)until - (long long)s->other.op.at);
    scene_close(s);
}

static void the_answer_to_the_taking_up_is_lost(void **state)
{
    it_need_kill();
    it_need_servers(3);
    set_bounds();
    for (size_t i = 0; i < SHORT_SERVERS; i++) {
        the_answer_is_lost(*state, SHORT_SERVER + i);
    }
}

static FILE *start_lock(const struct frameproxy *proxy, const struct it *it, const char *options,
                        const char *script)
{
    char words[500];
    (void)snprintf(words, sizeof words, "lock -T 20 %s %s -c '%s'", options, it->path, script);
    return command_start(frameproxy_address(proxy), words);
}

/* The server takes the session up again, and grants less from now on. */
static void grant_less(struct frameproxy *proxy, unsigned granted_ms)
{
    frameproxy_hold(proxy);
    frameproxy_grant(proxy, granted_ms);
    unsigned before = frameproxy_count(proxy, FRAME_EXISTS);
    frameproxy_release(proxy);
    it_await(frameproxy_count(proxy, FRAME_EXISTS) > before);
}

static void check_command(FILE *out, int code, const char *says)
{
    char said[COMMAND_SAID_MAX];
    int got = command_end(out, said);
    if (got != code || strstr(said, says) == NULL) {
        ens_fail("the command: code %d: %s", got, said);
    }
}

/* A lock that was granted must not be kept without its command being run, nor with a grace that does not fit. */
static void the_command_waits(void **state)
{
    static const struct {
        const char *options;
        int code;
        const char *says;
    } cases[] = {{"", 0, "ran"},
                 {"-k 4", 64, "a grace of 4 s does not fit a session timeout of 4 s"}};
    struct it *it = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct party holder;
        struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
        party_open(&holder, ens_direct_server(0), LONG_MS, it->path);
        party_write(&holder);
        FILE *out = start_lock(proxy, it, cases[i].options, "echo ran");
        rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
        grant_less(proxy, SHORT_MS);
        party_unlock(&holder);
        check_command(out, cases[i].code, cases[i].says);
        rawzk_await_children(it->raw, it->path, 0, IT_LIMIT_MS);
        party_close(&holder);
        frameproxy_stop(proxy);
    }
}

/* A command that runs keeps its lock, with a shorter grace and a message if the requested one does not fit.  The
 * grant is one with which a slow machine keeps a lock for so long. */
static void check_running(const struct it *it, const char *options, const char *says)
{
    char script[200];
    int ends[2]; /* The command ends when the test closes its end, or dies. */
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFD, 0), 0);
    struct frameproxy *proxy = frameproxy_start(ens_direct_server(0));
    (void)snprintf(script, sizeof script, "cat /proc/self/fd/%d; echo ran", ends[0]);
    FILE *out = start_lock(proxy, it, options, script);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    grant_less(proxy, SHORTER_MS);
    unsigned before = frameproxy_count(proxy, FRAME_SYNC);
    it_await(frameproxy_count(proxy, FRAME_SYNC) >= before + 15); /* More than a session timeout. */
    (void)close(ends[1]);
    check_command(out, 0, says);
    (void)close(ends[0]);
    frameproxy_stop(proxy);
}

static void the_command_runs(void **state)
{
    check_running(*state, "", "ran");
    check_running(*state, "-k 4", "a grace of 4 s does not fit a session timeout of 12 s");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(a_shorter_grant_is_told),
        it_test(a_shorter_grant_is_remembered),
        it_test(a_busy_client_remembers_it_too),
        it_test(a_holder_is_taken_up),
        it_test(the_answer_to_the_taking_up_is_lost),
        it_test(the_command_waits),
        it_test(the_command_runs),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
