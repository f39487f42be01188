/* SPDX-License-Identifier: Apache-2.0 */
/* The lock while connections break, sessions end and servers die.  Whoever is to be cut off
 * connects through one proxy of its own; all others go past the proxies.  Two events are compared
 * on the one clock of zks_clock_ms(). */
#include <netdb.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "locks.h"

/* Until when a handle has said that it holds the lock. */
struct belief {
    uint64_t last_held;
    uint64_t safe_until;
};

/* The time is taken before the question, so that the answer was "held" at that time or later. */
static void ask(struct belief *belief, zks_rwlock *lock)
{
    uint64_t now = zks_clock_ms();
    if (zks_rwlock_held(lock) != 0) {
        belief->last_held = now;
    }
    uint64_t safe_until = zks_rwlock_safe_until(lock);
    belief->safe_until = safe_until > belief->safe_until ? safe_until : belief->safe_until;
}

enum { PAIRS_MAX = 9 };

/* Some holders, each with a waiter and a lock of its own. */
struct pairs {
    size_t n;
    struct party holder[PAIRS_MAX];
    struct party waiter[PAIRS_MAX];
    struct belief belief[PAIRS_MAX];
};

/* Whether all waiters have got their locks, and all holders have been told; asks the holders. */
static bool passed_on(struct pairs *pairs)
{
    size_t count = 0;
    for (size_t i = 0; i < pairs->n; i++) {
        ask(&pairs->belief[i], pairs->holder[i].lock);
        count += it_op_done(&pairs->waiter[i].op) && atomic_load(&pairs->holder[i].lost) > 0;
    }
    return count == pairs->n;
}

static void open_pair(struct it *it, struct pairs *pairs, size_t i)
{
    char name[24];
    (void)snprintf(name, sizeof name, "%zu", i);
    char *path = it_child(it, name);
    party_open(&pairs->holder[i], ens_server(i), IT_SESSION_MS, path);
    party_open(&pairs->waiter[i], ens_direct(), 0, path);
    party_write(&pairs->holder[i]);
    ask(&pairs->belief[i], pairs->holder[i].lock);
    party_queue(&pairs->waiter[i], ZKS_RWLOCK_WRITE, it, path, 2);
    party_await_waiting(&pairs->waiter[i]);
    free(path);
}

/* The holder was promised no more when the next one got the lock.  The times of the
 * two callbacks are not compared, for they are of two threads, of which either can be late. */
static void judge(struct party *holder, struct party *waiter, const struct belief *belief)
{
    uint64_t grant = waiter->op.at;
    uint64_t lost_at = atomic_load(&holder->lost_at);
    party_granted(waiter, ZKS_RWLOCK_WRITE);
    printf("# lost %lld ms, safe until %lld ms before the next grant\n",
           (long long)(grant - lost_at), (long long)(grant - belief->safe_until));
    assert_true(belief->last_held > 0 && belief->safe_until > 0);
    assert_true(belief->last_held <= grant);
    assert_true(belief->safe_until <= grant);
    assert_int_equal(zks_rwlock_held(holder->lock), 0);
    it_equal(zks_rwlock_unlock(holder->lock, IT_LIMIT_MS), ZKS_ELOST);
}

/* Each server's proxy carries one of the holders. */
static void holders_cut_lose_in_time(struct it *it, void (*cut)(size_t), void (*heal)(size_t))
{
    static struct pairs pairs;
    memset(&pairs, 0, sizeof pairs);
    pairs.n = ens_count() < PAIRS_MAX ? ens_count() : PAIRS_MAX;
    for (size_t i = 0; i < pairs.n; i++) {
        open_pair(it, &pairs, i);
    }
    for (size_t i = 0; i < pairs.n; i++) {
        cut(i);
    }
    it_await(passed_on(&pairs));
    for (size_t i = 0; i < pairs.n; i++) {
        judge(&pairs.holder[i], &pairs.waiter[i], &pairs.belief[i]);
    }
    for (size_t i = 0; i < pairs.n; i++) {
        heal(i);
    }
    for (size_t i = 0; i < pairs.n; i++) {
        assert_int_equal(atomic_load(&pairs.holder[i].lost), 1);
        party_unlock(&pairs.waiter[i]);
        party_write(&pairs.holder[i]);
        party_close(&pairs.waiter[i]);
        party_close(&pairs.holder[i]);
    }
}

static void holder_cut_loses_in_time(void **state)
{
    it_need_proxy();
    holders_cut_lose_in_time(*state, proxy_cut, proxy_heal);
}

static void holder_in_a_black_hole_loses_in_time(void **state)
{
    it_need_proxy();
    holders_cut_lose_in_time(*state, proxy_blackhole, proxy_unblackhole);
}

static void waiter_cut_and_back_keeps_place(void **state)
{
    struct it *it = *state;
    struct party p[3];
    it_need_proxy();
    for (unsigned released_meanwhile = 0; released_meanwhile < 2; released_meanwhile++) {
        party_open(&p[0], ens_direct(), 0, it->path);
        party_open(&p[1], ens_server(0), 0, it->path);
        party_open(&p[2], ens_direct(), 0, it->path);
        party_write(&p[0]);
        party_queue(&p[1], ZKS_RWLOCK_WRITE, it, it->path, 2);
        party_queue(&p[2], ZKS_RWLOCK_READ, it, it->path, 3);
        int64_t session = zks_client_session_id(p[1].client);
        proxy_cut(0);
        size_t at = it_states_await(&p[1].states, 0, ZKS_CLIENT_SUSPENDED);
        if (released_meanwhile) {
            party_unlock(&p[0]);
        }
        proxy_heal(0);
        (void)it_states_await(&p[1].states, at, ZKS_CLIENT_RECONNECTED);
        if (!released_meanwhile) {
            assert_int_equal(zks_rwlock_held(p[0].lock), ZKS_RWLOCK_WRITE);
            assert_false(it_op_done(&p[1].op));
            party_unlock(&p[0]);
        }
        party_granted(&p[1], ZKS_RWLOCK_WRITE);
        assert_false(it_op_done(&p[2].op));
        assert_int_equal(zks_client_session_id(p[1].client), session);
        party_unlock(&p[1]);
        party_granted(&p[2], ZKS_RWLOCK_READ);
        for (size_t i = 0; i < 3; i++) {
            party_close(&p[i]);
        }
    }
}

static void waiter_session_expires_queues_again(void **state)
{
    struct it *it = *state;
    struct party p[3];
    it_need_proxy();
    party_open(&p[0], ens_direct(), 0, it->path);
    party_open(&p[1], ens_server(0), IT_SESSION_MS / 2, it->path);
    party_open(&p[2], ens_direct(), 0, it->path);
    party_write(&p[0]);
    party_queue(&p[1], ZKS_RWLOCK_WRITE, it, it->path, 2);
    party_queue(&p[2], ZKS_RWLOCK_WRITE, it, it->path, 3);
    int64_t session = zks_client_session_id(p[1].client);
    proxy_cut(0);
    rawzk_await_children(it->raw, it->path, 2, IT_LIMIT_MS);
    assert_false(it_op_done(&p[1].op));
    proxy_heal(0);
    rawzk_await_children(it->raw, it->path, 3, IT_LIMIT_MS);
    party_unlock(&p[0]);
    party_granted(&p[2], ZKS_RWLOCK_WRITE);
    assert_false(it_op_done(&p[1].op));
    party_unlock(&p[2]);
    party_granted(&p[1], ZKS_RWLOCK_WRITE);
    assert_int_not_equal(zks_client_session_id(p[1].client), session);
    assert_int_equal(atomic_load(&p[1].lost), 0);
    for (size_t i = 0; i < 3; i++) {
        party_close(&p[i]);
    }
}

static void expiry_is_an_error_where_asked_for(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    it_need_proxy();
    party_open(&a, ens_direct(), 0, it->path);
    party_open_expiry_is_error(&b, ens_server(0), IT_SESSION_MS / 2, it->path);
    party_write(&a);
    party_queue(&b, ZKS_RWLOCK_READ, it, it->path, 2);
    proxy_cut(0);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    proxy_heal(0);
    it_equal(it_op_wait(&b.op), ZKS_ESESSION);
    party_unlock(&a);
    party_write(&b);
    two_close(&a, &b);
}

static void holder_keeps_it_over_a_short_cut(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    it_need_proxy();
    party_open(&a, ens_server(0), 0, it->path);
    party_open(&b, ens_direct(), 0, it->path);
    party_write(&a);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    uint64_t token = zks_rwlock_token(a.lock);
    size_t at = 0;
    for (unsigned i = 0; i < 3; i++) {
        proxy_cut(0);
        at = it_states_await(&a.states, at, ZKS_CLIENT_SUSPENDED);
        assert_int_equal(zks_rwlock_held(a.lock), ZKS_RWLOCK_WRITE);
        uint64_t safe_until = zks_rwlock_safe_until(a.lock);
        proxy_heal(0);
        at = it_states_await(&a.states, at, ZKS_CLIENT_RECONNECTED);
        it_await(zks_rwlock_safe_until(a.lock) > safe_until);
    }
    assert_int_equal(zks_rwlock_held(a.lock), ZKS_RWLOCK_WRITE);
    assert_int_equal(zks_rwlock_token(a.lock), token);
    assert_int_equal(atomic_load(&a.lost), 0);
    assert_false(it_op_done(&b.op));
    party_unlock(&a);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    two_close(&a, &b);
}

/* An unlock while cut off does not come back before the servers have heard of it. */
static void unlock_while_cut_off(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    it_need_proxy();
    party_open(&a, ens_server(0), 0, it->path);
    party_open(&b, ens_direct(), 0, it->path);
    party_write(&a);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    proxy_cut(0);
    (void)it_states_await(&a.states, 0, ZKS_CLIENT_SUSPENDED);
    it_equal(zks_rwlock_unlock(a.lock, 50), ZKS_ETIMEDOUT);
    assert_int_equal(zks_rwlock_held(a.lock), 0);
    it_equal(zks_rwlock_wrlock(a.lock, 0), ZKS_EDISCONNECTED);
    it_equal(zks_rwlock_wrlock(a.lock, 50), ZKS_ETIMEDOUT);
    assert_false(it_op_done(&b.op));
    proxy_heal(0);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    party_unlock(&b);
    party_write(&a);
    two_close(&a, &b);
}

/* A writer that is on its way to be a reader says so: other readers may be in already. */
static void downgrade_while_cut_off(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    it_need_proxy();
    party_open(&a, ens_server(0), 0, it->path);
    party_open(&b, ens_direct(), 0, it->path);
    party_write(&a);
    party_queue(&b, ZKS_RWLOCK_READ, it, it->path, 2);
    proxy_cut(0);
    (void)it_states_await(&a.states, 0, ZKS_CLIENT_SUSPENDED);
    it_equal(zks_rwlock_downgrade(a.lock, 50), ZKS_ETIMEDOUT);
    assert_int_equal(zks_rwlock_held(a.lock), ZKS_RWLOCK_READ);
    proxy_heal(0);
    party_granted(&b, ZKS_RWLOCK_READ);
    assert_int_equal(zks_rwlock_held(a.lock), ZKS_RWLOCK_READ);
    party_unlock(&a);
    party_unlock(&b);
    two_close(&a, &b);
}

/* Whether the server at the address has a connection of the session, by what it says itself. */
static bool server_has(const char *address, int64_t session)
{
    char host[64];
    char sid[32];
    static char answer[65536];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    assert_non_null(colon);
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    (void)snprintf(sid, sizeof sid, "sid=0x%llx,", (unsigned long long)session);
    assert_int_equal(getaddrinfo(host, colon + 1, &hints, &found), 0);
    int fd = socket(found->ai_family, found->ai_socktype, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, found->ai_addr, found->ai_addrlen), 0);
    freeaddrinfo(found);
    assert_int_equal(write(fd, "cons", 4), 4);
    size_t length = 0;
    for (ssize_t got = 1; got > 0 && length < sizeof answer - 1; length += (size_t)got) {
        got = read(fd, answer + length, sizeof answer - 1 - length);
        assert_true(got >= 0);
    }
    answer[length] = '\0';
    (void)close(fd);
    return strstr(answer, sid) != NULL;
}

static void holder_keeps_it_when_its_server_is_killed(void **state)
{
    struct it *it = *state;
    struct party a;
    struct party b;
    it_need_kill();
    it_need_servers(3);
    party_open(&a, ens_direct(), 0, it->path);
    party_open(&b, ens_direct(), 0, it->path);
    party_write(&a);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    int64_t session = zks_client_session_id(a.client);
    size_t on = 0;
    while (!server_has(ens_direct_server(on), session)) {
        on++;
        assert_true(on < ens_count());
    }
    ens_kill(on);
    size_t at = it_states_await(&a.states, 0, ZKS_CLIENT_SUSPENDED);
    at = it_states_await(&a.states, at, ZKS_CLIENT_RECONNECTED);
    ens_start(on);
    assert_int_equal(zks_client_session_id(a.client), session);
    assert_int_equal(zks_rwlock_held(a.lock), ZKS_RWLOCK_WRITE);
    assert_int_equal(atomic_load(&a.lost), 0);
    assert_false(it_op_done(&b.op));
    party_unlock(&a);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    two_close(&a, &b);
    ens_await();
}

/* What the stopped process tells its parent, in memory that both share. */
struct told {
    atomic_int held;
    atomic_int lost;
    _Atomic uint64_t last_held;
};

static struct told *map_told(int fd)
{
    struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return told != MAP_FAILED ? told : NULL;
}

static void tell_lost(zks_rwlock *lock, void *arg)
{
    struct told *told = arg;
    (void)lock;
    atomic_store(&told->lost, 1);
}

/* Holds the lock until it is lost; the result is the exit status. */
static int hold_until_lost(const char *path, struct told *told)
{
    zks_client *client = NULL;
    zks_rwlock *lock = NULL;
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    zks_rwlock_options how = ZKS_RWLOCK_OPTIONS_INIT;
    options.servers = ens_direct();
    options.session_timeout_ms = IT_SESSION_MS;
    options.connect_timeout_ms = IT_LIMIT_MS;
    how.lost = tell_lost;
    how.lost_arg = told;
    if (told == NULL || zks_client_open(&options, &client) ||
        zks_rwlock_new(client, path, &how, &lock) || zks_rwlock_wrlock(lock, IT_LIMIT_MS)) {
        return 2;
    }
    for (;;) {
        uint64_t now = zks_clock_ms();
        if (zks_rwlock_held(lock) == 0) {
            break;
        }
        atomic_store(&told->last_held, now);
        atomic_store(&told->held, 1);
        it_pause();
    }
    while (!atomic_load(&told->lost)) {
        it_pause();
    }
    int rc = zks_rwlock_unlock(lock, IT_LIMIT_MS);
    zks_rwlock_free(lock);
    return zks_client_close(client) || rc != ZKS_ELOST ? 3 : 0;
}

static void stopped_process_finds_it_lost(void **state)
{
    struct it *it = *state;
    struct party b;
    int status = 0;
    char number[16];
    int fd = memfd_create("told", 0); /* The other process inherits it. */
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof(struct told)), 0);
    struct told *told = map_told(fd);
    assert_non_null(told);
    (void)snprintf(number, sizeof number, "%d", fd);
    const char *const words[] = {"--hold", it->path, number, NULL};
    pid_t child = it_spawn(words);
    it_await(atomic_load(&told->held));
    party_open(&b, ens_direct(), 0, it->path);
    party_queue(&b, ZKS_RWLOCK_WRITE, it, it->path, 2);
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(atomic_load(&told->lost), 0);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    uint64_t grant = b.op.at;
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(it_exit_status(child), 0);
    assert_true(atomic_load(&told->last_held) <= grant);
    assert_int_equal(zks_rwlock_held(b.lock), ZKS_RWLOCK_WRITE);
    rawzk_await_children(it->raw, it->path, 1, IT_LIMIT_MS);
    party_close(&b);
    (void)munmap(told, sizeof *told);
    (void)close(fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        it_test(holder_cut_loses_in_time),
        it_test(holder_in_a_black_hole_loses_in_time),
        it_test(waiter_cut_and_back_keeps_place),
        it_test(waiter_session_expires_queues_again),
        it_test(expiry_is_an_error_where_asked_for),
        it_test(holder_keeps_it_over_a_short_cut),
        it_test(unlock_while_cut_off),
        it_test(downgrade_while_cut_off),
        it_test(holder_keeps_it_when_its_server_is_killed),
        it_test(stopped_process_finds_it_lost),
    };
    if (argc == 4 && strcmp(argv[1], "--hold") == 0) {
        return hold_until_lost(argv[2], map_told(atoi(argv[3])));
    }
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("rwlock_faults", tests, NULL, NULL);
}
