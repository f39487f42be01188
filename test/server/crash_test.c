/* SPDX-License-Identifier: Apache-2.0 */
/* A server that is killed at random moments under load and started again on the same folder: no
 * acknowledged write is missing, each client's writes are there up to some point and none after it, no
 * ephemeral of a live session is missing, and none of one whose end was acknowledged is there.
 *
 *   ZKSYNC_CRASHES  how often (30)
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serving.h"
#include "wire.h"

enum {
    CRASHES = 30,
    CRASHES_SLOW = 5,
    WRITERS = 3,
    OPS_MAX = 20000,
    BATCH_MAX = 40,
    SESSION_MS = 60000,
    VISITORS = 40
};

/* A client that writes: its n-th request does what `n` says, so the znodes that are there tell how many
 * of them the server has carried out. */
struct writer {
    unsigned number;
    struct wire_session session;
    struct wire *wire;
    unsigned sent;
    unsigned acknowledged;
};

/* Those that make an ephemeral znode and go, one after the other. */
struct visitors {
    struct wire *wires[VISITORS];
    unsigned created; /* So many znodes are acknowledged, */
    unsigned closed;  /* and so many ends of sessions. */
};

struct crash {
    char folder[256];
    char address[80];
    pid_t server;
    uint64_t chance;
    struct timespec delay; /* Until it is killed. */
    unsigned round;
};

static uint64_t below(struct crash *c, uint64_t n)
{
    c->chance = c->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (c->chance >> 33) % n;
}

/* ---- The server ---- */

static int serve(const char *folder, const char *address)
{
    zks_server_options options = ZKS_SERVER_OPTIONS_INIT;
    zks_server *server = NULL;
    options.folder = folder;
    options.listen = address;
    options.max_session_timeout_ms = SESSION_MS;
    int rc = zks_server_open(&options, &server);
    (void)printf("%s\n", rc == 0 ? zks_server_address(server) : zks_strerror(rc));
    (void)fflush(stdout);
    return rc == 0 ? zks_server_wait(server, ZKS_FOREVER) : 1;
}

static void start_server(struct crash *c)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t parent = getpid();
    c->server = fork();
    if (c->server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && dup2(ends[1], STDOUT_FILENO) >= 0) {
            (void)execl(program_invocation_name, "crash", "--serve", c->folder, c->address,
                        (char *)NULL);
        }
        _exit(127);
    }
    assert_true(c->server > 0);
    (void)close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    char line[80] = "";
    assert_non_null(said);
    assert_non_null(fgets(line, sizeof line, said));
    (void)fclose(said);
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "127.0.0.1:", 10) != 0) {
        ens_fail("round %u: the server does not start: %s", c->round, line);
    }
    (void)snprintf(c->address, sizeof c->address, "%s", line);
}

/* Kills it after a while of no meaning: nothing is awaited here. */
static void *kill_some_time(void *arg)
{
    struct crash *c = arg;
    (void)nanosleep(&c->delay, NULL);
    (void)kill(c->server, SIGKILL);
    return NULL;
}

/* ---- Requests ---- */

static void put_create(struct wire *w, const char *path, int32_t flags)
{
    wire_put_text(w, path);
    wire_put_buffer(w, "data", 4);
    wire_put_int(w, 1);
    wire_put_int(w, 31);
    wire_put_text(w, "world");
    wire_put_text(w, "anyone");
    wire_put_int(w, flags);
}

static void name(char path[64], const struct crash *c, unsigned writer, unsigned n)
{
    (void)snprintf(path, 64, "/%u-%u/%u", c->round, writer, n);
}

/* The n-th request of a writer: of four one is persistent, one ephemeral, one a multi that creates one
 * and deletes the first of the four, and one deletes the second. */
static void put_request(const struct crash *c, struct writer *w)
{
    char path[64];
    char other[64];
    unsigned n = w->sent++;
    name(path, c, w->number, n);
    switch (n % 4) {
    case 0:
    case 1:
        wire_begin(w->wire, (int32_t)n, WIRE_CREATE);
        put_create(w->wire, path, n % 4 == 1);
        break;
    case 2:
        name(other, c, w->number, n - 2);
        wire_begin(w->wire, (int32_t)n, WIRE_MULTI);
        wire_put_multi_head(w->wire, WIRE_CREATE, false);
        put_create(w->wire, path, 1);
        wire_put_multi_head(w->wire, WIRE_DELETE, false);
        wire_put_text(w->wire, other);
        wire_put_int(w->wire, -1);
        wire_put_multi_head(w->wire, -1, true);
        break;
    default:
        name(other, c, w->number, n - 2);
        wire_begin(w->wire, (int32_t)n, WIRE_DELETE);
        wire_put_text(w->wire, other);
        wire_put_int(w->wire, -1);
        break;
    }
    wire_finish(w->wire);
}

/* Whether the n-th znode is there once `done` requests were carried out. */
static bool is_there(unsigned n, unsigned done)
{
    return n < done && n % 4 != 3 && (n % 4 == 2 || done <= n + 2);
}

/* Reads all that has been asked for; false where the server has gone. */
static bool take_answers(struct writer *w)
{
    struct wire_frame frame;
    while (w->acknowledged < w->sent) {
        if (!wire_try_next(w->wire, &frame)) {
            return false;
        }
        assert_int_equal(frame.xid, (int32_t)w->acknowledged);
        assert_int_equal(frame.err, 0);
        w->acknowledged++;
    }
    return true;
}

static bool write_some(struct crash *c, struct writer *w)
{
    for (uint64_t n = 1 + below(c, BATCH_MAX); n > 0 && w->sent < OPS_MAX; n--) {
        put_request(c, w);
    }
    return wire_try_send(w->wire);
}

static bool ask(struct wire *w, struct wire_frame *frame)
{
    wire_finish(w);
    return wire_try_send(w) && wire_try_next(w, frame);
}

/* A whole visit; false where the server has gone. */
static bool visit(const struct crash *c, struct visitors *v)
{
    struct wire_frame frame;
    char path[64];
    if (v->created == VISITORS) {
        return true;
    }
    struct wire *w = v->wires[v->created];
    (void)snprintf(path, sizeof path, "/%u-visits/%u", c->round, v->created);
    wire_begin(w, 1, WIRE_CREATE);
    put_create(w, path, 1);
    if (!ask(w, &frame)) {
        return false;
    }
    assert_int_equal(frame.err, 0);
    v->created++;
    wire_begin(w, 2, WIRE_CLOSE_SESSION);
    bool closed = ask(w, &frame);
    v->closed += closed;
    return closed;
}

/* ---- A round ---- */

static void open_all(const struct crash *c, struct writer *writers, struct visitors *v)
{
    char path[64];
    struct wire_frame frame;
    for (size_t i = 0; i < VISITORS; i++) {
        struct wire_session session = {.timeout_ms = SESSION_MS};
        v->wires[i] = wire_open(c->address, &session);
        assert_non_null(v->wires[i]);
    }
    for (unsigned i = 0; i <= WRITERS; i++) {
        struct writer *w = &writers[i < WRITERS ? i : 0];
        if (i < WRITERS) {
            *w = (struct writer){.number = i, .session = {.timeout_ms = SESSION_MS}};
            w->wire = wire_open(c->address, &w->session);
            assert_non_null(w->wire);
        }
        (void)snprintf(path, sizeof path, i < WRITERS ? "/%u-%u" : "/%u-visits", c->round, i);
        wire_begin(w->wire, -100, WIRE_CREATE);
        put_create(w->wire, path, 0);
        assert_true(ask(w->wire, &frame));
        assert_int_equal(frame.err, 0);
    }
}

static void load_until_killed(struct crash *c, struct writer *writers, struct visitors *v)
{
    bool there = true;
    c->delay = (struct timespec){.tv_nsec = (long)below(c, 60000) * 1000};
    pthread_t killer = it_thread_start(kill_some_time, c);
    while (there) {
        for (unsigned i = 0; i < WRITERS; i++) {
            there = write_some(c, &writers[i]) && there;
        }
        there = visit(c, v) && there;
        for (unsigned i = 0; i < WRITERS; i++) {
            there = take_answers(&writers[i]) && there;
        }
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)take_answers(&writers[i]);
        wire_drop(writers[i].wire);
    }
    for (size_t i = 0; i < VISITORS; i++) {
        wire_drop(v->wires[i]);
    }
    (void)it_thread_join(killer);
    assert_int_equal(waitpid(c->server, NULL, 0), c->server);
}

/* The children of a znode, as a table of which numbers there are; returns how many. */
static unsigned children(struct wire *w, const char *path, bool *there)
{
    struct wire_frame frame;
    memset(there, 0, OPS_MAX * sizeof *there);
    wire_begin(w, 5, WIRE_GET_CHILDREN);
    wire_put_text(w, path);
    wire_put_bool(w, false);
    assert_true(ask(w, &frame));
    assert_int_equal(frame.err, 0);
    size_t n = wire_get_count(&frame.body, 4);
    for (size_t i = 0; i < n; i++) {
        char text[16] = "";
        struct wire_bytes b = wire_get_bytes(&frame.body);
        assert_true(b.len < sizeof text);
        memcpy(text, b.at, b.len);
        there[atoi(text)] = true;
    }
    return (unsigned)n;
}

static bool fits(const bool *there, unsigned n, unsigned done)
{
    unsigned expected = 0;
    for (unsigned i = 0; i < done; i++) {
        if (is_there(i, done) != there[i]) {
            return false;
        }
        expected += there[i];
    }
    return expected == n;
}

static void check_writer(const struct crash *c, struct writer *w, bool *there)
{
    char path[64];
    struct wire_session session = w->session;
    struct wire *again = wire_open(c->address, &session);
    if (again == NULL || session.id != w->session.id) {
        ens_fail("round %u: a session of a writer has gone", c->round);
    }
    (void)snprintf(path, sizeof path, "/%u-%u", c->round, w->number);
    unsigned n = children(again, path, there);
    unsigned done = w->acknowledged;
    while (done <= w->sent && !fits(there, n, done)) {
        done++;
    }
    if (done > w->sent) {
        ens_fail(
            "round %u: %u of %u requests of writer %u were acknowledged, and what is there (%u "
            "znodes) fits no number from there on",
            c->round, w->acknowledged, w->sent, w->number, n);
    }
    struct wire_frame frame;
    wire_begin(again, 6, WIRE_CLOSE_SESSION);
    assert_true(ask(again, &frame));
    wire_drop(again);
}

static void check_visits(const struct crash *c, const struct visitors *v, bool *there)
{
    char path[64];
    struct wire_session session = {.timeout_ms = SESSION_MS};
    struct wire *w = wire_open(c->address, &session);
    assert_non_null(w);
    (void)snprintf(path, sizeof path, "/%u-visits", c->round);
    (void)children(w, path, there);
    for (unsigned i = 0; i < v->closed; i++) {
        if (there[i]) {
            ens_fail("round %u: the znode of visit %u is there after the end of its session",
                     c->round, i);
        }
    }
    /* Of the last one neither the znode nor the end need be acknowledged. */
    for (unsigned i = v->created + 1; i < OPS_MAX; i++) {
        assert_false(there[i]);
    }
    struct wire_frame frame;
    wire_begin(w, 6, WIRE_CLOSE_SESSION);
    assert_true(ask(w, &frame));
    wire_drop(w);
}

static void killed_at_random_moments(void **state)
{
    static bool there[OPS_MAX];
    struct crash c = {.address = "127.0.0.1:0", .chance = 7};
    const char *temporary = getenv("TMPDIR");
    unsigned crashes = getenv("ZKSYNC_TEST_SLOW") != NULL ? CRASHES_SLOW : CRASHES;
    const char *given = getenv("ZKSYNC_CRASHES");
    unsigned long acknowledged = 0;
    unsigned long pending = 0;
    (void)state;
    crashes = given != NULL ? (unsigned)atoi(given) : crashes;
    (void)snprintf(c.folder, sizeof c.folder, "%s/zksync-crash-XXXXXX",
                   temporary != NULL ? temporary : "/tmp");
    assert_non_null(mkdtemp(c.folder));
    start_server(&c);
    for (c.round = 0; c.round < crashes; c.round++) {
        struct writer writers[WRITERS];
        struct visitors v = {.created = 0};
        (void)alarm(170);
        open_all(&c, writers, &v);
        load_until_killed(&c, writers, &v);
        start_server(&c);
        for (unsigned i = 0; i < WRITERS; i++) {
            check_writer(&c, &writers[i], there);
            acknowledged += writers[i].acknowledged;
            pending += writers[i].sent - writers[i].acknowledged;
        }
        check_visits(&c, &v, there);
    }
    (void)kill(c.server, SIGKILL);
    (void)waitpid(c.server, NULL, 0);
    (void)printf("# killed %u times; %lu writes acknowledged, %lu under way\n", crashes,
                 acknowledged, pending);
    serving_remove(c.folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        serving_test(killed_at_random_moments),
    };
    if (argc == 4 && strcmp(argv[1], "--serve") == 0) {
        return serve(argv[2], argv[3]);
    }
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
