/* SPDX-License-Identifier: Apache-2.0 */
/* The server as a program's own tests have it: inside the process, stopped and started, and with what
 * can befall its clients brought about at will. */
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serving.h"

static const char path[] = "/jobs/nightly";

/* ---- What befalls clients ---- */

static void locks(void **state)
{
    struct serving s;
    struct party a;
    struct party b;
    (void)state;
    serving_open(&s, false);
    party_open(&a, serving_address(&s), 0, path);
    party_open(&b, serving_address(&s), 0, path);
    party_write(&a);
    it_equal(zks_rwlock_wrlock(b.lock, 0), ZKS_EBUSY);
    party_start(&b, ZKS_RWLOCK_WRITE);
    party_await_waiting(&b);
    party_unlock(&a);
    party_granted(&b, ZKS_RWLOCK_WRITE);
    party_unlock(&b);
    two_close(&a, &b);
    serving_close(&s);
}

static void an_expired_session_has_lost(void **state)
{
    struct serving s;
    struct party a;
    struct party b;
    (void)state;
    serving_open(&s, false);
    party_open(&a, serving_address(&s), 60000, path);
    party_open(&b, serving_address(&s), 60000, path);
    party_write(&a);
    party_start(&b, ZKS_RWLOCK_WRITE);
    party_await_waiting(&b);
    it_ok(zks_server_expire_session(s.server, zks_client_session_id(a.client)));
    party_granted(&b, ZKS_RWLOCK_WRITE);
    it_await(atomic_load(&a.lost) == 1);
    it_equal(zks_rwlock_unlock(a.lock, IT_LIMIT_MS), ZKS_ELOST);
    it_equal(zks_server_expire_session(s.server, 1), ZKS_ENOENT);
    two_close(&a, &b);
    serving_close(&s);
}

static void a_cut_connection_keeps_its_lock(void **state)
{
    struct serving s;
    struct party a;
    (void)state;
    serving_open(&s, false);
    party_open(&a, serving_address(&s), 60000, path);
    party_write(&a);
    int64_t session = zks_client_session_id(a.client);
    size_t from = it_states_count(&a.states);
    it_ok(zks_server_cut(s.server, session));
    (void)it_states_await(&a.states, from, ZKS_CLIENT_RECONNECTED);
    assert_true(zks_client_session_id(a.client) == session);
    assert_int_equal(atomic_load(&a.lost), 0);
    party_unlock(&a);
    party_close(&a);
    serving_close(&s);
}

/* The create is carried out, and its answer lost: the lock is granted once, with one znode. */
static void a_dropped_reply_leaves_one_znode(void **state)
{
    struct serving s;
    struct party a;
    (void)state;
    serving_open(&s, false);
    party_open(&a, serving_address(&s), 60000, path);
    party_write(&a);
    party_unlock(&a);
    for (int round = 0; round < 20; round++) {
        it_ok(zks_server_drop_reply(s.server, zks_client_session_id(a.client)));
        party_write(&a);
        it_await(serving_stats(&s).ephemerals == 1);
        party_unlock(&a);
        it_await(serving_stats(&s).ephemerals == 0);
    }
    party_close(&a);
    serving_close(&s);
}

/* The parents that a lock makes are containers, which the server removes. */
static void empty_parents_are_removed(void **state)
{
    struct serving s;
    struct party a;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.reap_ms = 50;
    serving_open_with(&s, &options);
    size_t before = serving_stats(&s).znodes;
    party_open(&a, serving_address(&s), 0, path);
    party_write(&a);
    assert_int_equal(serving_stats(&s).znodes, before + 3);
    party_unlock(&a);
    it_await(serving_stats(&s).znodes == before);
    party_close(&a);
    serving_close(&s);
}

/* Answers that nobody has read yet do not keep the end of the session from the server. */
static void close_with_answers_on_their_way(void **state)
{
    enum { ROUNDS = 20, LOCKS = 100 };
    struct serving s;
    zks_rwlock *locks[LOCKS];
    struct it_op ops[LOCKS];
    char name[32];
    (void)state;
    serving_open(&s, false);
    for (int round = 0; round < ROUNDS; round++) {
        zks_client *client = it_open(serving_address(&s), 120000);
        for (int i = 0; i < LOCKS; i++) {
            (void)snprintf(name, sizeof name, "/close/%d", i);
            locks[i] = it_rwlock(client, name);
            it_op_init(&ops[i]);
            it_ok(zks_rwlock_wrlock_op(locks[i], ZKS_FOREVER, &ops[i].op));
        }
        it_ok(zks_client_close(client));
        for (int i = 0; i < LOCKS; i++) {
            zks_rwlock_free(locks[i]);
        }
        it_await(serving_stats(&s).sessions == 0);
    }
    serving_close(&s);
}

/* Where the servers take less than ZooKeeper does by default, a request can be too large for them: they close
 * the connection over it.  That ends, and what is not as large goes on. */
static void a_request_that_is_too_large(void **state)
{
    struct serving s;
    char reason[ZKS_REASON_MAX + 1];
    char identity[ZKS_IDENTITY_MAX + 1];
    zks_client *client = NULL;
    (void)state;
    zks_server_options server_options = serving_options(&s, false);
    server_options.max_frame = 4096;
    serving_open_with(&s, &server_options);
    zks_client_options options = it_options(serving_address(&s), 30000);
    memset(reason, 1, sizeof reason); /* As JSON six bytes each. */
    memset(identity, 1, sizeof identity);
    reason[sizeof reason - 1] = identity[sizeof identity - 1] = '\0';
    options.reason = reason;
    options.identity = identity;
    it_ok(zks_client_open(&options, &client));
    zks_client *other = it_open(serving_address(&s), 30000);
    zks_rwlock *lock = it_rwlock(client, "/l");
    zks_barrier *barrier = it_barrier(client, "/b");
    zks_double_barrier *round = it_double_barrier(client, "/r", 1, "a");
    it_equal(zks_rwlock_wrlock(lock, ZKS_FOREVER), ZKS_ESERVER);
    it_equal(zks_rwlock_rdlock(lock, ZKS_FOREVER), ZKS_ESERVER);
    it_equal(zks_barrier_set(barrier, ZKS_FOREVER), ZKS_ESERVER);
    it_equal(zks_double_barrier_enter(round, ZKS_FOREVER), ZKS_ESERVER);
    it_ok(zks_barrier_wait(barrier, IT_LIMIT_MS));
    zks_rwlock *others = it_rwlock(other, "/l");
    it_ok(zks_rwlock_wrlock(others, IT_LIMIT_MS));
    zks_rwlock_free(others);
    zks_rwlock_free(lock);
    zks_barrier_free(barrier);
    zks_double_barrier_free(round);
    it_ok(zks_client_close(other));
    it_ok(zks_client_close(client));
    serving_close(&s);
}

/* The opening of a round is one request: n fit where the ids are as short as ours, but the others' are not. */
static void a_round_that_is_too_large(void **state)
{
    enum { N = 820, PATH = 1000 };
    struct serving s;
    char long_path[PATH + 1];
    char name[IT_PATH_MAX + PATH];
    (void)state;
    serving_open(&s, false);
    memset(long_path, 'p', PATH);
    long_path[0] = '/';
    long_path[PATH] = '\0';
    struct rawzk *raw = rawzk_open(serving_address(&s));
    rawzk_create_path(raw, long_path);
    for (int i = 0; i < N - 1; i++) {
        (void)snprintf(name, sizeof name, "%s/%0*d-%032x-%d-", long_path, ZKS_DOUBLE_BARRIER_ID_MAX,
                       i, i, N);
        rawzk_create(raw, name, NULL, ZOO_EPHEMERAL | ZOO_SEQUENCE, NULL, 0);
    }
    zks_client *client = it_open(serving_address(&s), 30000);
    zks_double_barrier *round = it_double_barrier(client, long_path, N, "a");
    it_equal(zks_double_barrier_enter(round, ZKS_FOREVER), ZKS_ETOOMANY);
    zks_double_barrier_free(round);
    it_ok(zks_client_close(client));
    rawzk_close(raw);
    serving_close(&s);
}

/* What zks_local_ask() takes, and what it does not take for an answer. */
static void questions(void **state)
{
    struct serving s;
    char answer[8] = "";
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_connections = 1;
    serving_open_with(&s, &options);
    const char *address = serving_address(&s);
    it_ok(zks_local_ask(address, "ruok", IT_LIMIT_MS, answer, sizeof answer));
    assert_string_equal(answer, "imok");
    it_equal(zks_local_ask(address, "ruokk", IT_LIMIT_MS, answer, sizeof answer), ZKS_EINVAL);
    it_equal(zks_local_ask(address, "ruok", -2, answer, sizeof answer), ZKS_EINVAL);
    it_equal(zks_local_ask("localhost", "ruok", IT_LIMIT_MS, answer, sizeof answer), ZKS_EINVAL);
    zks_client *client = it_open(address, 0);
    it_equal(zks_local_ask(address, "ruok", IT_LIMIT_MS, answer, sizeof answer), ZKS_EDISCONNECTED);
    it_ok(zks_client_close(client));
    serving_close(&s);
}

/* ---- Stop and start ---- */

static void start_again(bool on_disk)
{
    struct serving s;
    struct party a;
    struct party b;
    char address[80];
    serving_open(&s, on_disk);
    (void)snprintf(address, sizeof address, "%s", serving_address(&s));
    party_open(&a, address, 60000, path);
    party_open(&b, address, 60000, path);
    party_write(&a);
    uint64_t token = zks_rwlock_token(a.lock);
    for (int round = 0; round < 3; round++) {
        int64_t session = zks_client_session_id(a.client);
        size_t from = it_states_count(&a.states);
        struct zks_server_stats stats = serving_stats(&s);
        zks_server_stop(s.server);
        zks_server_stop(s.server);
        it_equal(zks_server_get_stats(s.server, &stats), ZKS_EDISCONNECTED);
        it_equal(zks_server_cut(s.server, session), ZKS_EDISCONNECTED);
        it_ok(zks_server_wait(s.server, 0));
        (void)it_states_await(&a.states, from, ZKS_CLIENT_SUSPENDED);
        it_ok(zks_server_start(s.server));
        it_ok(zks_server_start(s.server));
        assert_string_equal(serving_address(&s), address);
        (void)it_states_await(&a.states, from, ZKS_CLIENT_RECONNECTED);
        assert_true(zks_client_session_id(a.client) == session);
        assert_int_equal(serving_stats(&s).ephemerals, 1);
        assert_true(serving_stats(&s).zxid >= stats.zxid);
    }
    assert_int_equal(atomic_load(&a.lost), 0);
    party_unlock(&a);
    party_write(&b);
    assert_true(zks_rwlock_token(b.lock) > token);
    two_close(&a, &b);
    serving_close(&s);
}

static void started_again_in_memory(void **state)
{
    (void)state;
    start_again(false);
}

static void started_again_from_disk(void **state)
{
    (void)state;
    start_again(true);
}

static void opened_again_from_disk(void **state)
{
    struct serving s;
    struct serving other;
    struct party a;
    (void)state;
    const zks_server_options options = serving_options(&s, true);
    serving_open_with(&s, &options);
    zks_client *client = it_open(serving_address(&s), 60000);
    zks_barrier *barrier = it_barrier(client, "/maintenance");
    it_ok(zks_barrier_set(barrier, IT_LIMIT_MS));
    /* The folder is this server's. */
    zks_server_options theirs = serving_options(&other, false);
    theirs.folder = s.folder;
    it_equal(zks_server_open(&theirs, &other.server), ZKS_EEXIST);
    assert_true(serving_said(&other, s.folder));
    serving_close(&other);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
    zks_server_close(s.server);
    serving_open_with(&s, &options);
    client = it_open(serving_address(&s), 60000);
    barrier = it_barrier(client, "/maintenance");
    it_equal(zks_barrier_wait(barrier, 0), ZKS_EBUSY);
    it_ok(zks_barrier_unset(barrier, IT_LIMIT_MS));
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
    party_open(&a, serving_address(&s), 0, path);
    party_write(&a);
    party_close(&a);
    serving_close(&s);
}

/* A server that is needed for a moment only may have ended before a client comes: it is started again until
 * one has a session, which keeps it. */
static zks_client *open_at_an_idle_server(struct serving *s)
{
    zks_client_options options = it_options(serving_address(s), 120000);
    options.connect_timeout_ms = 0;
    zks_client *client = it_open_with(&options);
    it_await(zks_server_start(s->server) == 0 &&
             zks_client_get_state(client) == ZKS_CLIENT_CONNECTED);
    return client;
}

static void idle(void **state)
{
    struct serving s;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.idle_ms = 10; /* Less than it takes to connect. */
    serving_open_with(&s, &options);
    for (int i = 0; i < 2; i++) {
        zks_client *client = open_at_an_idle_server(&s);
        it_equal(zks_server_wait(s.server, 300), ZKS_ETIMEDOUT);
        assert_int_equal(serving_stats(&s).sessions, 1);
        it_ok(zks_client_close(client));
        it_ok(zks_server_wait(s.server, IT_LIMIT_MS));
        assert_true(serving_said(&s, "nobody has needed it"));
    }
    serving_close(&s);
}

/* What the disk did not take is told to nobody, and the server stops. */
static void a_full_disk(void **state)
{
    struct serving s;
    struct rlimit before;
    (void)state;
    serving_open(&s, true);
    zks_client *client = it_open(serving_address(&s), 2000);
    zks_barrier *barrier = it_barrier(client, "/full");
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit none = {0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    it_equal(zks_barrier_set(barrier, 3000), ZKS_ETIMEDOUT);
    it_equal(zks_server_wait(s.server, IT_LIMIT_MS), ZKS_ESYSTEM);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(serving_said(&s, "the server stops"));
    it_ok(zks_server_start(s.server));
    it_equal(zks_barrier_wait(barrier, IT_LIMIT_MS), 0);
    zks_barrier_free(barrier);
    it_ok(zks_client_close(client));
    serving_close(&s);
}

/* It may be over before anybody can look. */
static void idle_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct serving s;
        zks_server_options options = serving_options(&s, false);
        options.idle_ms = i % 3;
        serving_open_with(&s, &options);
        it_ok(zks_server_wait(s.server, IT_LIMIT_MS));
        it_ok(zks_server_start(s.server));
        it_ok(zks_server_wait(s.server, IT_LIMIT_MS));
        serving_close(&s);
    }
}

/* A process that was forked has all sockets that there are, and is in nobody's way. */
static void beside_a_forked_process(void **state)
{
    struct serving s;
    struct party a;
    char byte;
    int ends[2];
    (void)state;
    serving_open(&s, true);
    party_open(&a, serving_address(&s), 60000, path);
    party_write(&a);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    assert_true(pid > 0);
    for (int i = 0; i < 2; i++) {
        size_t from = it_states_count(&a.states);
        if (i == 0) {
            it_ok(zks_server_cut(s.server, zks_client_session_id(a.client)));
        } else {
            zks_server_stop(s.server);
            it_ok(zks_server_start(s.server));
        }
        (void)it_states_await(&a.states, from, ZKS_CLIENT_RECONNECTED);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    party_unlock(&a);
    party_close(&a);
    serving_close(&s);
}

/* ---- The secret ---- */

static int open_with(const struct serving *s, const char *scheme, const char *auth,
                     zks_client **client)
{
    zks_client_options options = it_options(serving_address(s), 0);
    options.auth_scheme = scheme;
    options.auth = auth;
    options.connect_timeout_ms = IT_LIMIT_MS;
    return zks_client_open(&options, client);
}

static void the_secret(void **state)
{
    struct serving s;
    zks_client *client = NULL;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.secret = "open sesame";
    serving_open_with(&s, &options);
    it_equal(open_with(&s, "zksync", "open says me", &client), ZKS_EAUTH);
    it_equal(open_with(&s, "zksync", "open sesame!", &client), ZKS_EAUTH);
    it_equal(open_with(&s, "zksync", "o", &client), ZKS_EAUTH);
    assert_true(serving_said(&s, "were refused"));
    it_ok(open_with(&s, "digest", "user:password", &client));
    zks_rwlock *lock = it_rwlock(client, path);
    it_equal(zks_rwlock_wrlock(lock, IT_LIMIT_MS), ZKS_EAUTH);
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    assert_int_equal(serving_stats(&s).znodes, 4);
    it_ok(open_with(&s, "zksync", "open sesame", &client));
    lock = it_rwlock(client, path);
    it_ok(zks_rwlock_wrlock(lock, IT_LIMIT_MS));
    zks_rwlock_free(lock);
    it_ok(zks_client_close(client));
    it_await(serving_stats(&s).sessions == 0);
    serving_close(&s);
}

/* Whoever has no secret leaves nothing: no session, no line that could be taken for another. */
static void strangers_leave_nothing(void **state)
{
    static const char scheme[] = "\n\033[2Jzksync: forged";
    struct serving s;
    zks_client *client = NULL;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.secret = "open sesame";
    serving_open_with(&s, &options);
    int64_t before = serving_stats(&s).zxid;
    it_ok(open_with(&s, "digest", "user:password", &client));
    assert_int_equal(serving_stats(&s).connections, 1);
    assert_int_equal(serving_stats(&s).sessions, 0);
    it_ok(zks_client_close(client));
    it_equal(open_with(&s, scheme, "x", &client), ZKS_EAUTH);
    assert_true(serving_said(&s, "??[2Jzksync: forged"));
    assert_false(serving_said(&s, scheme));
    assert_true(serving_stats(&s).zxid == before);
    serving_close(&s);
}

/* What a process of another user hears of the server: 0 nothing, 1 that it serves, 2 for no connection. */
static int ask_as_other(const struct serving *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[4];
    at.sin_port = htons((uint16_t)atoi(strchr(serving_address(s), ':') + 1));
    bool other = setuid(65534) == 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!other || connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        return 2;
    }
    (void)send(fd, "ruok", 4, MSG_NOSIGNAL);
    return recv(fd, answer, 4, MSG_WAITALL) == 4;
}

static int status_of_other(const struct serving *s)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(ask_as_other(s));
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void another_user(void **state)
{
    struct serving s;
    (void)state;
    if (geteuid() != 0 || getenv("ZKSYNC_TEST_VALGRIND") != NULL) {
        (void)puts("# SKIP only root can be another user, and not under valgrind");
        skip();
    }
    zks_server_options options = serving_options(&s, false);
    serving_open_with(&s, &options);
    assert_int_equal(status_of_other(&s), 1);
    serving_close(&s);
    options = serving_options(&s, false);
    options.only_user = true;
    serving_open_with(&s, &options);
    zks_client *client = it_open(serving_address(&s), 0);
    assert_int_equal(status_of_other(&s), 0);
    assert_true(serving_said(&s, "another user's process"));
    it_ok(zks_client_close(client));
    serving_close(&s);
}

/* ---- Options ---- */

static void refused_options(void **state)
{
    static const char *const addresses[] = {"nowhere",   "127.0.0.1:",  "127.0.0.1:65536",
                                            ":1",        "127.0.0.1:x", "300.0.0.1:1",
                                            "0.0.0.0:0", "[::]:0"};
    struct serving s;
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        zks_server_options options = serving_options(&s, false);
        options.listen = addresses[i];
        it_equal(zks_server_open(&options, &s.server), ZKS_EINVAL);
        assert_null(s.server);
        assert_true(serving_said(&s, addresses[i]));
        serving_close(&s);
    }
    zks_server_options options = serving_options(&s, false);
    options.folder = "/proc/none/such";
    assert_true(zks_server_open(&options, &s.server) != 0);
    assert_true(serving_said(&s, "/proc/none/such"));
    options.folder = NULL;
    options.secret = "";
    it_equal(zks_server_open(&options, &s.server), ZKS_EINVAL);
    assert_true(serving_said(&s, "secret: empty"));
    options.secret = NULL;
    options.min_session_timeout_ms = 2000;
    options.max_session_timeout_ms = 1000;
    it_equal(zks_server_open(&options, &s.server), ZKS_EINVAL);
    assert_true(serving_said(&s, "min_session_timeout_ms: more than max_session_timeout_ms"));
    serving_close(&s);
    zks_server_close(NULL);
    it_equal(zks_server_open(NULL, NULL), ZKS_EINVAL);
}

static void the_environment_turns_the_log_on(void **state)
{
    zks_server_options options = ZKS_SERVER_OPTIONS_INIT;
    zks_server *server = NULL;
    char text[200];
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    (void)state;
    assert_non_null(file);
    options.listen = "nowhere";
    assert_int_equal(setenv("ZKSYNC_LOG", "error", 1), 0);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    int rc = zks_server_open(&options, &server);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(saved), 0);
    assert_int_equal(unsetenv("ZKSYNC_LOG"), 0);
    it_equal(rc, ZKS_EINVAL);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_string_equal(text,
                        "zksync: listen: \"nowhere\" is not an address such as 127.0.0.1:2181\n");
    assert_int_equal(fclose(file), 0);
}

static void an_address_in_use(void **state)
{
    struct serving s;
    struct serving other;
    (void)state;
    serving_open(&s, false);
    zks_server_options options = serving_options(&other, false);
    options.listen = serving_address(&s);
    it_equal(zks_server_open(&options, &other.server), ZKS_EEXIST);
    assert_true(serving_said(&other, serving_address(&s)));
    serving_close(&other);
    serving_close(&s);
}

static void remote_when_allowed(void **state)
{
    struct serving s;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.listen = "0.0.0.0:0";
    options.allow_remote = true;
    options.secret = "between us";
    serving_open_with(&s, &options);
    serving_close(&s);
}

static void over_ipv6(void **state)
{
    struct serving s;
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    char answer[5] = "";
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.listen = "[::1]:0";
    if (zks_server_open(&options, &s.server) != 0) {
        (void)puts("# SKIP there is no IPv6 on this machine");
        serving_close(&s);
        skip();
    }
    assert_memory_equal(serving_address(&s), "[::1]:", 6);
    at.sin6_port = htons((uint16_t)atoi(serving_address(&s) + 6));
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(write(fd, "ruok", 4), 4);
    assert_int_equal(recv(fd, answer, 4, MSG_WAITALL), 4);
    assert_string_equal(answer, "imok");
    (void)close(fd);
    serving_close(&s);
}

static void nothing_is_left(void **state)
{
    struct serving s;
    (void)state;
    serving_open(&s, true);
    serving_close(&s);
    size_t descriptors = it_descriptors();
    size_t threads = it_threads();
    for (int i = 0; i < 20; i++) {
        serving_open(&s, i % 2 == 0);
        zks_client *client = it_open(serving_address(&s), 0);
        if (i % 4 < 2) {
            it_ok(zks_client_close(client));
            client = NULL;
        }
        serving_close(&s);
        (void)zks_client_close(client);
    }
    assert_int_equal(it_descriptors(), descriptors);
    assert_int_equal(it_threads(), threads);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        serving_test(locks),
        serving_test(an_expired_session_has_lost),
        serving_test(a_cut_connection_keeps_its_lock),
        serving_test(a_dropped_reply_leaves_one_znode),
        serving_test(empty_parents_are_removed),
        serving_test(a_request_that_is_too_large),
        serving_test(a_round_that_is_too_large),
        serving_test(questions),
        serving_test(close_with_answers_on_their_way),
        serving_test(started_again_in_memory),
        serving_test(started_again_from_disk),
        serving_test(opened_again_from_disk),
        serving_test(idle),
        serving_test(idle_at_once),
        serving_test(beside_a_forked_process),
        serving_test(a_full_disk),
        serving_test(the_secret),
        serving_test(strangers_leave_nothing),
        serving_test(another_user),
        serving_test(refused_options),
        serving_test(the_environment_turns_the_log_on),
        serving_test(an_address_in_use),
        serving_test(remote_when_allowed),
        serving_test(over_ipv6),
        serving_test(nothing_is_left),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
