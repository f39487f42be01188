/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that ask for too much, send what is no request, or do not read what they have asked for: each is
 * refused by itself, the log says so, and nobody else notices. */
#include <unistd.h>

#include "by_hand.h"
#include "serving.h"
#include "wire.h"

enum { BIG = 900000, MANY = 500 };

static const int quota_exceeded = -125;

static void put_get(struct wire *w, int32_t xid, const char *path, bool watch)
{
    wire_begin(w, xid, WIRE_GET_DATA);
    wire_put_text(w, path);
    wire_put_bool(w, watch);
    wire_finish(w);
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
    struct wire *w = by_hand_open(serving_address(&s));
    assert_int_equal(by_hand_create(w, "/short", data, 900), 0);
    by_hand_put_create(w, 2, "/long", data, 1000);
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
    struct wire *known = by_hand_open(serving_address(&s));
    struct wire *silent = by_hand_open(serving_address(&s));
    struct wire *loud = by_hand_open(serving_address(&s));
    wire_auth(known, "zksync", options.secret);
    by_hand_put_create(loud, 1, "/long", data, 5000);
    wire_send(loud);
    assert_true(wire_ended(loud));
    assert_true(serving_said(&s, "and 4096 are the most"));
    assert_true(wire_ended(silent)); /* After ten seconds. */
    assert_int_equal(by_hand_create(known, "/long", data, BIG), 0);
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
        w[i] = by_hand_open(serving_address(&s));
    }
    zks_client_options more = it_options(serving_address(&s), 0);
    more.connect_timeout_ms = 3000;
    it_equal(zks_client_open(&more, &client), ZKS_EDISCONNECTED);
    it_await(serving_said(&s, "connections are refused: there are as many as there may be"));
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
    struct wire *w = by_hand_open(serving_address(&s));
    zks_client_options more = it_options(serving_address(&s), 0);
    more.connect_timeout_ms = 3000;
    it_equal(zks_client_open(&more, &client), ZKS_EDISCONNECTED);
    it_await(serving_said(&s, "there is no room for its session"));
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
    struct wire *w = by_hand_open(serving_address(&s));
    assert_int_equal(by_hand_create(w, "/1", data, sizeof data), 0);
    assert_int_equal(by_hand_create(w, "/2", data, sizeof data), 0);
    assert_int_equal(by_hand_create(w, "/3", data, 1), quota_exceeded);
    assert_true(serving_said(&s, "a write was refused"));
    assert_int_equal(serving_stats(&s).znodes, 6);
    wire_drop(w);
    serving_close(&s);
}

/* `n` entries of a scheme, each with its own permissions and an id of that length where it is above 0. */
static void put_acl(struct wire *w, int32_t n, const char *scheme, size_t id_len)
{
    char *id = calloc(1, id_len + 32);
    wire_put_int(w, n);
    for (int32_t i = 0; i < n; i++) {
        memset(id, 'u', id_len);
        if (id_len > 0) {
            (void)snprintf(id + id_len, 32, "%d:hash", (int)i);
        }
        wire_put_int(w, id_len > 0 ? 31 : i);
        wire_put_text(w, scheme);
        wire_put_text(w, id);
    }
    free(id);
}

static int create_with(struct wire *w, const char *path, int32_t n, const char *scheme,
                       size_t id_len)
{
    wire_begin(w, 1, WIRE_CREATE);
    wire_put_text(w, path);
    wire_put_buffer(w, "", 0);
    put_acl(w, n, scheme, id_len);
    wire_put_int(w, 0);
    return by_hand_ask(w);
}

static int set_acl(struct wire *w, const char *path, int32_t n, size_t id_len)
{
    wire_begin(w, 1, WIRE_SET_ACL);
    wire_put_text(w, path);
    put_acl(w, n, "digest", id_len);
    wire_put_int(w, -1);
    return by_hand_ask(w);
}

static int create_in_a_multi(struct wire *w, const char *path, int32_t n, size_t id_len)
{
    struct wire_multi_head head;
    struct wire_frame frame;
    wire_begin(w, 1, WIRE_MULTI);
    wire_put_multi_head(w, WIRE_CREATE, false);
    wire_put_text(w, path);
    wire_put_buffer(w, "", 0);
    put_acl(w, n, "digest", id_len);
    wire_put_int(w, 0);
    wire_put_multi_head(w, -1, true);
    wire_finish(w);
    wire_send(w);
    wire_next(w, &frame);
    assert_int_equal(frame.err, 0);
    wire_get_multi_head(&frame.body, &head);
    return head.err;
}

static void too_long_an_acl(void **state)
{
    struct serving s;
    (void)state;
    serving_open(&s, false);
    struct wire *w = by_hand_open(serving_address(&s));
    assert_int_equal(create_with(w, "/open", 1, "digest", 4), 0);
    assert_int_equal(create_with(w, "/acl", 1000, "digest", 4), 0);
    assert_int_equal(create_with(w, "/more", 1001, "digest", 4), quota_exceeded);
    assert_true(serving_said(&s, "too many entries or bytes of one access control list"));
    assert_int_equal(create_with(w, "/long", 9, "digest", 7000), 0);
    assert_int_equal(create_with(w, "/longer", 10, "digest", 7000), quota_exceeded);
    assert_int_equal(create_with(w, "/longest", 1, "digest", BIG), quota_exceeded);
    assert_int_equal(create_in_a_multi(w, "/multi", 9, 7000), 0);
    assert_int_equal(create_in_a_multi(w, "/multis", 10, 7000), quota_exceeded);
    assert_int_equal(by_hand_create(w, "/set", NULL, 0), 0);
    assert_int_equal(set_acl(w, "/set", 10, 7000), quota_exceeded);
    assert_int_equal(set_acl(w, "/set", 1001, 4), quota_exceeded);
    assert_int_equal(set_acl(w, "/set", 9, 7000), 0);
    wire_drop(w);
    serving_close(&s);
}

/* Each "auth" becomes all identities of the connection. */
static void an_acl_that_becomes_too_long(void **state)
{
    struct serving s;
    char user[3900];
    (void)state;
    serving_open(&s, false);
    struct wire *w = by_hand_open(serving_address(&s));
    memset(user, 'u', sizeof user);
    user[sizeof user - 1] = '\0';
    wire_auth(w, "digest", user);
    assert_int_equal(create_with(w, "/few", 16, "auth", 0), 0);
    assert_int_equal(create_with(w, "/many", 17, "auth", 0), quota_exceeded);
    assert_int_equal(create_with(w, "/all", 1000, "auth", 0), quota_exceeded);
    wire_drop(w);
    serving_close(&s);
}

/* What there is of lists at all is limited as paths and data are. */
static void too_many_acls(void **state)
{
    struct serving s;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_bytes = 100000;
    serving_open_with(&s, &options);
    struct wire *w = by_hand_open(serving_address(&s));
    assert_int_equal(create_with(w, "/1", 6, "digest", 8000), 0);
    assert_int_equal(create_with(w, "/2", 6, "digest", 8000), 0);
    assert_int_equal(create_with(w, "/3", 6, "digest", 8000), quota_exceeded);
    assert_true(serving_said(&s, "too many bytes of access control lists"));
    assert_int_equal(create_with(w, "/3", 1, "digest", 10), 0);
    wire_drop(w);
    serving_close(&s);
}

/* Each write is kept with all of them. */
static void too_many_identities(void **state)
{
    struct serving s;
    char user[5000];
    (void)state;
    serving_open(&s, false);
    struct wire *w = by_hand_open(serving_address(&s));
    for (int i = 0; i < 31; i++) { /* And the address. */
        (void)snprintf(user, sizeof user, "user%d:password", i);
        wire_auth(w, "digest", user);
    }
    wire_auth(w, "digest", user); /* It is there. */
    assert_int_equal(wire_try_auth(w, "digest", "another:password"), -115);
    assert_true(wire_ended(w));
    wire_drop(w);
    assert_true(serving_said(&s, "were refused: a connection may have 32 identities"));
    others_go_on(&s);
    serving_close(&s);
}

static void too_long_identities(void **state)
{
    struct serving s;
    struct wire *w;
    (void)state;
    serving_open(&s, false);
    char *user = calloc(1, BIG);
    memset(user, 'u', BIG - 1);
    w = by_hand_open(serving_address(&s));
    assert_int_equal(wire_try_auth(w, "digest", user), -115);
    assert_true(wire_ended(w));
    wire_drop(w);
    w = by_hand_open(serving_address(&s));
    user[2000] = ':'; /* Of a password there is only a hash, however long it is. */
    for (int i = 0; i < 3; i++) {
        user[0] = (char)('a' + i);
        assert_int_equal(wire_try_auth(w, "digest", user), i < 2 ? 0 : -115);
    }
    assert_true(wire_ended(w));
    wire_drop(w);
    assert_true(serving_said(&s, "were refused: a connection's identities may have 4096 bytes"));
    free(user);
    others_go_on(&s);
    serving_close(&s);
}

/* The log says so, but a client cannot fill the disk with that. */
static void refused_without_end(void **state)
{
    struct serving s;
    struct wire_frame frame;
    size_t lines = 0;
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_znodes = 4;
    options.tick_ms = 60000;
    serving_open_with(&s, &options);
    struct wire *w = by_hand_open(serving_address(&s));
    for (int32_t i = 0; i < 200; i++) {
        by_hand_put_create(w, i, "/more", NULL, 0);
    }
    wire_send(w);
    for (int32_t i = 0; i < 200; i++) {
        wire_next(w, &frame);
        assert_int_equal(frame.err, quota_exceeded);
    }
    assert_true(serving_said(&s, "a write was refused: too many znodes"));
    assert_true(serving_said(&s, "more about clients is left out of the log"));
    zks_server_stop(s.server);
    for (const char *at = strstr(s.log, "refused"); at != NULL; at = strstr(at + 1, "refused")) {
        lines++;
    }
    assert_in_range(lines, 1, 19);
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
    struct wire *w = by_hand_open(serving_address(&s));
    assert_int_equal(by_hand_create(w, "/1", data, sizeof data), 0);
    assert_int_equal(by_hand_create(w, "/2", data, sizeof data), 0);
    assert_int_equal(by_hand_create(w, "/3", data, sizeof data), quota_exceeded);
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
    struct wire *w = by_hand_open(serving_address(&s));
    assert_int_equal(watch(w, "/1"), -101);
    assert_int_equal(watch(w, "/2"), -101);
    assert_int_equal(watch(w, "/2"), -101);
    assert_int_equal(watch(w, "/3"), quota_exceeded);
    assert_true(serving_said(&s, "a watch was refused"));
    wire_drop(w);
    serving_close(&s);
}

/* A watch needs no znode, so its path may be of any length. */
static void too_long_watches(void **state)
{
    struct serving s;
    char path[1000];
    (void)state;
    zks_server_options options = serving_options(&s, false);
    options.max_bytes = 2500;
    serving_open_with(&s, &options);
    struct wire *w = by_hand_open(serving_address(&s));
    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    for (int i = 0; i < 3; i++) {
        path[1] = (char)('a' + i);
        assert_int_equal(watch(w, path), i < 2 ? -101 : quota_exceeded);
    }
    assert_true(serving_said(&s, "a watch was refused"));
    path[1] = 'a';
    assert_int_equal(watch(w, path), -101);
    wire_drop(w);
    it_await(serving_stats(&s).watches == 0);
    w = by_hand_open(serving_address(&s));
    assert_int_equal(watch(w, path), -101);
    path[1] = 'b';
    assert_int_equal(watch(w, path), -101);
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
    struct wire *w = by_hand_open(serving_address(&s));
    assert_int_equal(by_hand_create(w, "/big", data, BIG), 0);
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
    struct wire *w = by_hand_open(serving_address(&s));
    struct wire *writer = by_hand_open(serving_address(&s));
    assert_int_equal(by_hand_create(writer, "/big", big, BIG), 0);
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
    struct wire *w = by_hand_open(serving_address(&s));
    assert_int_equal(by_hand_create(w, "/big", big, BIG), 0);
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
    struct wire *w = by_hand_open(serving_address(&s));
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
    struct wire *w = by_hand_open(serving_address(&s));
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
        serving_test(refused_without_end),   serving_test(too_many_bytes),
        serving_test(too_long_an_acl),       serving_test(an_acl_that_becomes_too_long),
        serving_test(too_many_acls),         serving_test(too_many_identities),
        serving_test(too_long_identities),   serving_test(too_long_watches),
        serving_test(too_many_watches),      serving_test(a_slow_reader),
        serving_test(a_dead_reader),         serving_test(too_long_an_answer),
        serving_test(many_requests_at_once), serving_test(a_session_that_owns_8_megabytes),
        serving_test(an_unknown_request),    serving_test(clients_without_the_secret),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
