/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that ask for too much, send what is no request, or do not read what they have asked for: each is
 * refused by itself, the log says so, and nobody else notices. */
#include <unistd.h>

#include "serving.h"
#include "wire.h"

enum { BIG = 900000, MANY = 500 };

static const int quota_exceeded = -125;

static struct wire *connect_to(const struct serving *s)
{
    struct wire_session session = {.timeout_ms = 60000};
    struct wire *w = wire_open(serving_address(s), &session);
    assert_non_null(w);
    return w;
}

static void put_create(struct wire *w, int32_t xid, const char *path, const void *data, size_t len)
{
    wire_begin(w, xid, WIRE_CREATE);
    wire_put_text(w, path);
    wire_put_buffer(w, data, len);
    wire_put_int(w, 1);
    wire_put_int(w, 31);
    wire_put_text(w, "world");
    wire_put_text(w, "anyone");
    wire_put_int(w, 0);
    wire_finish(w);
}

static void put_get(struct wire *w, int32_t xid, const char *path, bool watch)
{
    wire_begin(w, xid, WIRE_GET_DATA);
    wire_put_text(w, path);
    wire_put_bool(w, watch);
    wire_finish(w);
}

static int create(struct wire *w, const char *path, const void *data, size_t len)
{
    struct wire_frame frame;
    put_create(w, 1, path, data, len);
    wire_send(w);
    wire_next(w, &frame);
    assert_int_equal(frame.xid, 1);
    return frame.err;
}

static int watch(struct wire *w, const char *path)
{
    struct wire_frame frame;
    wire_begin(w, 2, WIRE_EXISTS);
    wire_put_text(w, path);
    wire_put_bool(w, true);
    wire_finish(w);
    wire_send(w);
    wire_next(w, &frame);
    assert_int_equal(frame.xid, 2);
    return frame.err;
}

/* Others go on, whatever one client does. */
static void others_go_on(const struct serving *s)
{
    struct party p;
    party_open(&p, serving_address(s), 0, "/others/lock");
    for (int i = 0; i < 20; i++) {
        party_write(&p);
        party_unlock(&p);
    }
    party_close(&p);
}

static void too_long_a_request(void **state)
{
    struct serving s;
    char *data = calloc(1, BIG);
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_frame = 1000;
    serving_open_with(&s, &options);
    struct wire *w = connect_to(&s);
    assert_int_equal(create(w, "/short", data, 900), 0);
    put_create(w, 2, "/long", data, 1000);
    wire_send(w);
    assert_true(wire_ended(w));
    wire_drop(w);
    assert_true(serving_said(&s, "and 1000 are the most"));
    others_go_on(&s);
    free(data);
    serving_close(&s);
}

/* Before the secret is known the server keeps little for a client, and not for long. */
static void clients_without_the_secret(void **state)
{
    struct serving s;
    char *data = calloc(1, BIG);
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.secret = "open sesame";
    serving_open_with(&s, &options);
    struct wire *known = connect_to(&s);
    struct wire *silent = connect_to(&s);
    struct wire *loud = connect_to(&s);
    wire_auth(known, "zksync", options.secret);
    put_create(loud, 1, "/long", data, 5000);
    wire_send(loud);
    assert_true(wire_ended(loud));
    assert_true(serving_said(&s, "and 4096 are the most"));
    assert_true(wire_ended(silent)); /* After ten seconds. */
    assert_int_equal(create(known, "/long", data, BIG), 0);
    wire_drop(known);
    wire_drop(silent);
    wire_drop(loud);
    free(data);
    serving_close(&s);
}

static void too_many_connections(void **state)
{
    struct serving s;
    struct wire *w[3];
    zks_client *client = NULL;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_connections = 3;
    serving_open_with(&s, &options);
    for (size_t i = 0; i < 3; i++) {
        w[i] = connect_to(&s);
    }
    zks_client_options more = it_options(serving_address(&s), 0);
    more.connect_timeout_ms = 500;
    it_equal(zks_client_open(&more, &client), ZKS_EDISCONNECTED);
    assert_true(serving_said(&s, "connections are refused: there are as many as there may be"));
    wire_end(w[0]);
    others_go_on(&s);
    wire_drop(w[1]);
    wire_drop(w[2]);
    serving_close(&s);
}

static void too_many_sessions(void **state)
{
    struct serving s;
    zks_client *client = NULL;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_sessions = 1;
    serving_open_with(&s, &options);
    struct wire *w = connect_to(&s);
    zks_client_options more = it_options(serving_address(&s), 0);
    more.connect_timeout_ms = 500;
    it_equal(zks_client_open(&more, &client), ZKS_EDISCONNECTED);
    assert_true(serving_said(&s, "there is no room for its session"));
    wire_begin(w, 9, WIRE_CLOSE_SESSION);
    wire_finish(w);
    wire_send(w);
    struct wire_frame frame;
    wire_next(w, &frame);
    assert_int_equal(frame.xid, 9);
    assert_true(wire_ended(w));
    wire_drop(w);
    others_go_on(&s);
    serving_close(&s);
}

static void too_many_znodes(void **state)
{
    struct serving s;
    char data[1000] = "";
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_znodes = 6;
    options.max_bytes = 3000;
    serving_open_with(&s, &options);
    struct wire *w = connect_to(&s);
    assert_int_equal(create(w, "/1", data, sizeof data), 0);
    assert_int_equal(create(w, "/2", data, sizeof data), 0);
    assert_int_equal(create(w, "/3", data, 1), quota_exceeded);
    assert_true(serving_said(&s, "a write was refused"));
    assert_int_equal(serving_stats(&s).znodes, 6);
    wire_drop(w);
    serving_close(&s);
}

static void too_long_an_acl(void **state)
{
    static const int32_t lengths[] = {1000, 1001};
    struct serving s;
    struct wire_frame frame;
    (void)state;
    serving_open(&s, false);
    struct wire *w = connect_to(&s);
    for (size_t i = 0; i < 2; i++) {
        wire_begin(w, 1, WIRE_CREATE);
        wire_put_text(w, "/acl");
        wire_put_buffer(w, "", 0);
        wire_put_int(w, lengths[i]);
        for (int32_t k = 0; k < lengths[i]; k++) {
            char id[32];
            (void)snprintf(id, sizeof id, "user%d:hash", (int)k);
            wire_put_int(w, 31);
            wire_put_text(w, "digest");
            wire_put_text(w, id);
        }
        wire_put_int(w, 0);
        wire_finish(w);
        wire_send(w);
        wire_next(w, &frame);
        assert_int_equal(frame.err, i == 0 ? 0 : -5);
    }
    wire_drop(w);
    serving_close(&s);
}

static void too_many_bytes(void **state)
{
    struct serving s;
    char data[1000] = "";
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_bytes = 2100;
    serving_open_with(&s, &options);
    struct wire *w = connect_to(&s);
    assert_int_equal(create(w, "/1", data, sizeof data), 0);
    assert_int_equal(create(w, "/2", data, sizeof data), 0);
    assert_int_equal(create(w, "/3", data, sizeof data), quota_exceeded);
    wire_drop(w);
    serving_close(&s);
}

static void too_many_watches(void **state)
{
    struct serving s;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_watches = 2;
    serving_open_with(&s, &options);
    struct wire *w = connect_to(&s);
    assert_int_equal(watch(w, "/1"), -101);
    assert_int_equal(watch(w, "/2"), -101);
    assert_int_equal(watch(w, "/2"), -101);
    assert_int_equal(watch(w, "/3"), quota_exceeded);
    assert_true(serving_said(&s, "a watch was refused"));
    wire_drop(w);
    serving_close(&s);
}

/* It asks for far more than it may leave unread, and reads it all in the end. */
static void a_slow_reader(void **state)
{
    struct serving s;
    char *data = calloc(1, BIG);
    (void)state;
    serving_open(&s, false);
    struct wire *w = connect_to(&s);
    assert_int_equal(create(w, "/big", data, BIG), 0);
    for (int32_t i = 0; i < MANY; i++) {
        put_get(w, 100 + i, "/big", false);
    }
    wire_send(w);
    others_go_on(&s);
    for (int32_t i = 0; i < MANY; i++) {
        struct wire_frame frame;
        wire_next(w, &frame);
        assert_int_equal(frame.xid, 100 + i);
        assert_int_equal(wire_get_bytes(&frame.body).len, BIG);
    }
    wire_drop(w);
    free(data);
    serving_close(&s);
}

/* Events come whether or not a client has asked for more: one that never reads is cut off. */
static void a_dead_reader(void **state)
{
    struct serving s;
    char *big = calloc(1, BIG);
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_unread = 100000;
    serving_open_with(&s, &options);
    struct wire *w = connect_to(&s);
    struct wire *writer = connect_to(&s);
    assert_int_equal(create(writer, "/big", big, BIG), 0);
    for (int32_t i = 0; i < 40; i++) {
        put_get(w, i, "/big", true);
    }
    wire_send(w);
    it_await(serving_said(&s, "bytes unread: cut off"));
    others_go_on(&s);
    wire_drop(w);
    wire_drop(writer);
    free(big);
    serving_close(&s);
}

/* Of one answer alone there may be no more than may be left unread. */
static void too_long_an_answer(void **state)
{
    struct serving s;
    char *big = calloc(1, BIG);
    (void)state;
    serving_open(&s, false);
    struct wire *w = connect_to(&s);
    assert_int_equal(create(w, "/big", big, BIG), 0);
    wire_begin(w, 2, WIRE_MULTI_READ);
    for (int i = 0; i < 10000; i++) {
        wire_put_multi_head(w, WIRE_GET_DATA, false);
        wire_put_text(w, "/big");
        wire_put_bool(w, false);
    }
    wire_put_multi_head(w, -1, true);
    wire_finish(w);
    wire_send(w);
    assert_true(wire_ended(w));
    wire_drop(w);
    others_go_on(&s);
    free(big);
    serving_close(&s);
}

static void many_requests_at_once(void **state)
{
    struct serving s;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_outstanding = 10;
    serving_open_with(&s, &options);
    struct wire *w = connect_to(&s);
    for (int32_t i = 0; i < 20000; i++) {
        put_get(w, i, "/zookeeper", false);
    }
    wire_send(w);
    for (int32_t i = 0; i < 20000; i++) {
        struct wire_frame frame;
        wire_next(w, &frame);
        assert_int_equal(frame.xid, i);
        assert_int_equal(frame.err, 0);
    }
    wire_drop(w);
    serving_close(&s);
}

enum { OWNED = 20000, BATCH = 500, PATH = 400 };

/* Valgrind is slow, and sees as much with an eighth of it. */
static unsigned owned(void)
{
    return getenv("ZKSYNC_TEST_SLOW") != NULL ? OWNED / 8 : OWNED;
}

static void owned_path(char path[PATH + 1], int number)
{
    (void)snprintf(path, PATH + 1, "/%0*d", PATH - 1, number);
    memset(path + 1, 'e', 200);
}

static void put_ephemeral(struct wire *w, int32_t xid, const char *path)
{
    wire_begin(w, xid, WIRE_CREATE);
    wire_put_text(w, path);
    wire_put_buffer(w, NULL, 0);
    wire_put_int(w, 1);
    wire_put_int(w, 31);
    wire_put_text(w, "world");
    wire_put_text(w, "anyone");
    wire_put_int(w, ZOO_EPHEMERAL);
    wire_finish(w);
}

static void make_ephemerals(struct wire *w)
{
    char path[PATH + 1];
    for (int first = 0; first < (int)owned(); first += BATCH) {
        for (int i = first; i < first + BATCH; i++) {
            owned_path(path, i);
            put_ephemeral(w, i, path);
        }
        wire_send(w);
        for (int i = 0; i < BATCH; i++) {
            struct wire_frame frame;
            wire_next(w, &frame);
            assert_int_equal(frame.err, 0);
        }
    }
}

static uint64_t znodes(struct serving *s)
{
    return serving_stats(s).znodes;
}

/* The end of such a session brings down servers of ZooKeeper for good (ZOOKEEPER-4306). */
static void a_session_that_owns_8_megabytes(void **state)
{
    struct serving s;
    struct wire_session session = {.timeout_ms = 60000};
    struct wire_frame frame;
    (void)state;
    zks_server_options options = serving_options(&s, true);
    serving_open_with(&s, &options);
    uint64_t before = znodes(&s);
    struct wire *w = wire_open(serving_address(&s), &session);
    assert_non_null(w);
    make_ephemerals(w);
    assert_true(znodes(&s) == before + owned());
    zks_server_close(s.server); /* What it owns is read from the disk ... */
    wire_drop(w);
    serving_open_with(&s, &options);
    assert_true(znodes(&s) == before + owned());
    w = wire_open(serving_address(&s), &session);
    assert_non_null(w);
    wire_begin(w, 1, WIRE_CLOSE_SESSION);
    wire_finish(w);
    wire_send(w);
    wire_next(w, &frame);
    assert_int_equal(frame.err, 0);
    wire_drop(w);
    assert_true(znodes(&s) == before);
    zks_server_close(s.server); /* ... and so is its end. */
    serving_open_with(&s, &options);
    assert_true(znodes(&s) == before);
    others_go_on(&s);
    serving_close(&s);
}

/* A type that is none: the answer says so, and the connection ends, as ZooKeeper has it. */
static void an_unknown_request(void **state)
{
    struct serving s;
    struct wire_frame frame;
    (void)state;
    serving_open(&s, false);
    struct wire *w = connect_to(&s);
    put_get(w, 1, "/", false);
    wire_begin(w, 2, (enum wire_opcode)4711);
    wire_put_text(w, "/");
    wire_finish(w);
    wire_send(w);
    wire_next(w, &frame);
    assert_int_equal(frame.xid, 1);
    wire_next(w, &frame);
    assert_int_equal(frame.xid, 2);
    assert_int_equal(frame.err, -6);
    assert_true(wire_ended(w));
    wire_drop(w);
    assert_true(serving_said(&s, "unknown type 4711"));
    serving_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        serving_test(too_long_a_request),    serving_test(too_many_connections),
        serving_test(too_many_sessions),     serving_test(too_many_znodes),
        serving_test(too_many_bytes),        serving_test(too_long_an_acl),
        serving_test(too_many_watches),      serving_test(a_slow_reader),
        serving_test(a_dead_reader),         serving_test(too_long_an_answer),
        serving_test(many_requests_at_once), serving_test(a_session_that_owns_8_megabytes),
        serving_test(an_unknown_request),    serving_test(clients_without_the_secret),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
