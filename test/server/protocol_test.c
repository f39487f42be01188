/* SPDX-License-Identifier: Apache-2.0 */
/* What the comparison with real servers (integration_tree_server) does not see: how connections begin and
 * end, and what comes before what. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serving.h"
#include "wire.h"

enum { RECONFIG = 16, WHO_AM_I = 107, GREETING = 36, READ_ONLY = 1 };
enum { MARSHALLING_ERROR = -5, NO_AUTH = -102, INVALID_ACL = -114, NO_WATCHER = -121 };

/* ---- Connections by hand ---- */

static int dial(const struct serving *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons((uint16_t)atoi(strchr(serving_address(s), ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* Everything up to the end of the connection, or as much as there is room for. */
static size_t hear(int fd, void *to, size_t size)
{
    ssize_t n = recv(fd, to, size, MSG_WAITALL);
    return n > 0 ? (size_t)n : 0;
}

static void put_number(unsigned char **at, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        *(*at)++ = (unsigned char)(value >> (8 * (len - 1 - i)));
    }
}

/* The first frame of a client; an old one knows nothing of the byte at its end. */
static void put_greeting(unsigned char **at, int64_t seen, const struct wire_session *session,
                         bool old)
{
    put_number(at, 44 + !old, 4);
    put_number(at, 0, 4);
    put_number(at, (uint64_t)seen, 8);
    put_number(at, 10000, 4);
    put_number(at, (uint64_t)session->id, 8);
    put_number(at, sizeof session->password, 4);
    memcpy(*at, session->password, sizeof session->password);
    *at += sizeof session->password;
    if (!old) {
        put_number(at, 0, READ_ONLY);
    }
}

static void greet(int fd, int64_t seen, const struct wire_session *session, bool old)
{
    unsigned char frame[64];
    unsigned char *at = frame;
    put_greeting(&at, seen, session, old);
    assert_int_equal(send(fd, frame, (size_t)(at - frame), MSG_NOSIGNAL), at - frame);
}

static void put_text(unsigned char **at, const char *text)
{
    put_number(at, strlen(text), 4);
    memcpy(*at, text, strlen(text));
    *at += strlen(text);
}

/* Its length is put in front of what has been put since. */
static void finish(unsigned char *frame, const unsigned char *at)
{
    put_number(&frame, (uint64_t)(at - frame - 4), 4);
}

/* All that it takes to write something, in one piece.  Whether it is taken is not this one's affair. */
static void send_all_at_once(int fd, const char *secret)
{
    static const struct wire_session none;
    unsigned char bytes[256];
    unsigned char *at = bytes;
    put_greeting(&at, 0, &none, false);
    unsigned char *frame = at;
    at += 4;
    put_number(&at, (uint64_t)-4, 4);
    put_number(&at, 100, 4);
    put_number(&at, 0, 4);
    put_text(&at, "zksync");
    put_text(&at, secret);
    finish(frame, at);
    frame = at;
    at += 4;
    put_number(&at, 1, 4);
    put_number(&at, WIRE_CREATE, 4);
    put_text(&at, "/theirs");
    put_text(&at, "");
    put_number(&at, 1, 4);
    put_number(&at, 31, 4);
    put_text(&at, "world");
    put_text(&at, "anyone");
    put_number(&at, 0, 4);
    finish(frame, at);
    (void)send(fd, bytes, (size_t)(at - bytes), MSG_NOSIGNAL);
}

/* Writes, as a process of the user's, and does not stay to be asked who it is. */
static int write_and_go(const struct serving *s, uid_t uid)
{
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        int rc = setuid(uid);
        for (int i = 0; i < 50 && rc == 0; i++) {
            int fd = dial(s);
            send_all_at_once(fd, "known to all");
            (void)close(fd);
        }
        _exit(rc);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* That another user knows the secret is of no use to it, however quick it is. */
static void another_user_who_knows_the_secret(void **state)
{
    struct serving s;
    (void)state;
    if (geteuid() != 0 || getenv("ZKSYNC_TEST_VALGRIND") != NULL) {
        (void)puts("# SKIP only root can be another user, and not under valgrind");
        skip();
    }
    for (int i = 0; i < 2; i++) {
        zks_server_options options = serving_options(&s, false);
        options.secret = "known to all";
        options.only_user = i == 1;
        serving_open_with(&s, &options);
        /* The server waits with the log, so that it accepts connections only after they were closed. */
        (void)pthread_mutex_lock(&s.lock);
        int bad = dial(&s);
        assert_int_equal(send(bad, "\0\0\0\1\0", 5, MSG_NOSIGNAL), 5);
        int status = write_and_go(&s, 65534);
        (void)pthread_mutex_unlock(&s.lock);
        assert_int_equal(status, 0);
        (void)close(bad);
        if (i == 0) {
            it_await(serving_stats(&s).znodes == 5); /* So it is written rightly. */
        } else {
            /* Whoever comes later is taken later. */
            int fd = dial(&s);
            char answer[4];
            assert_int_equal(send(fd, "ruok", 4, MSG_NOSIGNAL), 4);
            assert_int_equal(hear(fd, answer, 4), 4);
            (void)close(fd);
            it_await(serving_stats(&s).connections == 0);
            assert_int_equal(serving_stats(&s).znodes, 4);
        }
        serving_close(&s);
    }
}

static void greeting_fits(bool old)
{
    static const struct wire_session none;
    struct serving s;
    unsigned char answer[4 + GREETING + READ_ONLY];
    size_t len = GREETING + (old ? 0 : READ_ONLY);
    serving_open(&s, false);
    int fd = dial(&s);
    greet(fd, 0, &none, old);
    assert_int_equal(hear(fd, answer, 4 + len), 4 + len);
    assert_int_equal(answer[3], len);
    assert_int_equal(answer[8] << 24 | answer[9] << 16 | answer[10] << 8 | answer[11], 10000);
    assert_int_equal(answer[23], 16);
    assert_int_equal(send(fd, "\0\0\0\x08\xff\xff\xff\xfe\0\0\0\x0b", 12, MSG_NOSIGNAL), 12);
    /* Nothing stands between the greeting and the answer to a ping. */
    assert_int_equal(hear(fd, answer, 20), 20);
    assert_memory_equal(answer, "\0\0\0\x10\xff\xff\xff\xfe", 8);
    (void)close(fd);
    serving_close(&s);
}

static void an_old_client(void **state)
{
    (void)state;
    greeting_fits(true);
}

static void a_client_of_today(void **state)
{
    (void)state;
    greeting_fits(false);
}

/* The answer to what is no session any more: a timeout and a number of 0, and the end. */
static void is_refused(const struct serving *s, const struct wire_session *session)
{
    static const unsigned char zeros[GREETING];
    unsigned char answer[4 + GREETING + READ_ONLY + 1];
    int fd = dial(s);
    greet(fd, 0, session, false);
    assert_int_equal(hear(fd, answer, sizeof answer), sizeof answer - 1);
    assert_memory_equal(answer + 4, zeros, 16);
    (void)close(fd);
}

static struct wire *open_wire(const struct serving *s, struct wire_session *session)
{
    *session = (struct wire_session){.timeout_ms = 60000};
    struct wire *w = wire_open(serving_address(s), session);
    assert_non_null(w);
    return w;
}

static void ask(struct wire *w, struct wire_frame *frame)
{
    wire_finish(w);
    wire_send(w);
    wire_next(w, frame);
}

static void sessions_are_taken_up_by_their_password(void **state)
{
    struct serving s;
    struct wire_session session;
    struct wire_session wrong;
    struct wire_frame frame;
    (void)state;
    serving_open(&s, false);
    struct wire *first = open_wire(&s, &session);
    wrong = session;
    wrong.password[7] ^= 1;
    is_refused(&s, &wrong);
    wrong = session;
    wrong.id++;
    is_refused(&s, &wrong);
    /* Nobody was disturbed by those. */
    wire_begin(first, 1, WIRE_EXISTS);
    wire_put_text(first, "/");
    wire_put_bool(first, false);
    ask(first, &frame);
    assert_int_equal(frame.err, 0);
    struct wire_session again = session;
    struct wire *second = wire_open(serving_address(&s), &again);
    assert_non_null(second);
    assert_true(again.id == session.id);
    assert_true(wire_ended(first));
    wire_begin(second, 1, WIRE_CLOSE_SESSION);
    ask(second, &frame);
    assert_true(wire_ended(second));
    is_refused(&s, &session);
    wire_drop(first);
    wire_drop(second);
    serving_close(&s);
}

/* ---- What may not be asked, or seen ---- */

static void put_create_for(struct wire *w, int32_t xid, const char *path, int32_t perms, bool admin)
{
    wire_begin(w, xid, WIRE_CREATE);
    wire_put_text(w, path);
    wire_put_buffer(w, "", 0);
    wire_put_int(w, 1 + admin);
    if (admin) {
        wire_put_int(w, 31);
        wire_put_text(w, "auth");
        wire_put_text(w, "");
    }
    wire_put_int(w, perms);
    wire_put_text(w, "world");
    wire_put_text(w, "anyone");
    wire_put_int(w, 0);
}

static void succeeds(struct wire *w)
{
    struct wire_frame frame;
    ask(w, &frame);
    assert_int_equal(frame.err, 0);
}

static void a_list_is_not_longer_than_its_request(void **state)
{
    static const int32_t counts[] = {2, 900, INT32_MAX, -2};
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        wire_begin(w, 1, WIRE_CREATE);
        wire_put_text(w, "/a");
        wire_put_buffer(w, "", 0);
        wire_put_int(w, counts[i]);
        ask(w, &frame);
        assert_int_equal(frame.err, MARSHALLING_ERROR);
    }
    put_create_for(w, 2, "/a", 31, false);
    succeeds(w);
    wire_drop(w);
    serving_close(&s);
}

/* As with ZooKeeper, so that no two answers to writes have the same one. */
static void a_refused_write_consumes_a_zxid(void **state)
{
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    int64_t before = serving_stats(&s).zxid;
    wire_begin(w, 1, WIRE_CREATE);
    ask(w, &frame);
    assert_int_equal(frame.err, MARSHALLING_ERROR);
    assert_true(frame.zxid == before + 1);
    wire_begin(w, 2, (enum wire_opcode)RECONFIG);
    ask(w, &frame);
    assert_int_not_equal(frame.err, 0);
    assert_true(frame.zxid == before + 2);
    wire_drop(w);
    serving_close(&s);
}

static void put_set(struct wire *w, int32_t xid, const char *path)
{
    wire_begin(w, xid, WIRE_SET_DATA);
    wire_put_text(w, path);
    wire_put_buffer(w, "new", 3);
    wire_put_int(w, -1);
}

/* Of two changes the watcher hears only of the one that it may see, though it was the second one. */
static void no_event_tells_of_what_may_not_be_read(void **state)
{
    static const char *const paths[] = {"/hidden", "/open"};
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    struct wire_event event;
    (void)state;
    serving_open(&s, false);
    struct wire *owner = open_wire(&s, &session);
    struct wire *watcher = open_wire(&s, &session);
    wire_auth(owner, "digest", "alice:secret");
    for (int32_t i = 0; i < 2; i++) {
        put_create_for(owner, 1, paths[i], i, true);
        succeeds(owner);
        wire_begin(watcher, 1, WIRE_EXISTS);
        wire_put_text(watcher, paths[i]);
        wire_put_bool(watcher, false);
        ask(watcher, &frame);
        assert_int_equal(frame.err, i == 0 ? NO_AUTH : 0);
        wire_begin(watcher, 1, WIRE_ADD_WATCH);
        wire_put_text(watcher, paths[i]);
        wire_put_int(watcher, 0);
        succeeds(watcher);
    }
    for (int32_t i = 0; i < 2; i++) {
        put_set(owner, 2, paths[i]);
        succeeds(owner);
    }
    wire_next(watcher, &frame);
    assert_int_equal(frame.xid, WIRE_XID_EVENT);
    wire_get_event(&frame.body, &event);
    assert_int_equal(event.path.len, strlen(paths[1]));
    assert_memory_equal(event.path.at, paths[1], event.path.len);
    wire_drop(owner);
    wire_drop(watcher);
    serving_close(&s);
}

static void is_event(struct wire *w, int32_t type, const char *path, int64_t zxid)
{
    struct wire_frame frame;
    struct wire_event event;
    wire_next(w, &frame);
    assert_int_equal(frame.xid, WIRE_XID_EVENT);
    assert_true(frame.zxid == zxid);
    wire_get_event(&frame.body, &event);
    assert_int_equal(event.type, type);
    assert_int_equal(event.state, 3);
    assert_int_equal(event.path.len, strlen(path));
    assert_memory_equal(event.path.at, path, event.path.len);
}

/* ---- Texts that are none ---- */

static void put_text_or_null(struct wire *w, const char *text)
{
    wire_put_buffer(w, text, text != NULL ? strlen(text) : 0);
}

static const struct {
    const char *scheme;
    const char *id;
    int code;
} null_rows[] = {
    {"world", NULL, MARSHALLING_ERROR},
    {"digest", NULL, MARSHALLING_ERROR},
    {"ip", NULL, MARSHALLING_ERROR},
    {"auth", NULL, 0},
    {"sasl", NULL, INVALID_ACL},
    {"x509", NULL, INVALID_ACL},
    {"nope", NULL, INVALID_ACL},
    {NULL, "anyone", INVALID_ACL},
    {NULL, NULL, INVALID_ACL},
    {"world", "", INVALID_ACL},
    {"", "", INVALID_ACL},
};

/* As a server of 3.9.5 answers, which fails over some of them. */
static void null_texts_in_an_acl(void **state)
{
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    wire_auth(w, "digest", "alice:secret");
    for (int32_t i = 0; i < (int32_t)(sizeof null_rows / sizeof null_rows[0]); i++) {
        wire_begin(w, i + 1, WIRE_CREATE);
        wire_put_text(w, "/a");
        wire_put_buffer(w, "", 0);
        wire_put_int(w, 1);
        wire_put_int(w, 31);
        put_text_or_null(w, null_rows[i].scheme);
        put_text_or_null(w, null_rows[i].id);
        wire_put_int(w, 0);
        ask(w, &frame);
        print_message("# %d\n", i);
        assert_int_equal(frame.err, null_rows[i].code);
    }
    wire_drop(w);
    serving_close(&s);
}

/* ---- Multis ---- */

static const struct {
    enum wire_opcode opcode;
    int32_t flags;
    int code;
    enum wire_opcode result; /* A create2 has a Stat. */
} multi_rows[] = {
    {WIRE_CREATE, 0, 0, WIRE_CREATE},
    {WIRE_CREATE, 3, 0, WIRE_CREATE},
    {WIRE_CREATE, 4, 0, WIRE_CREATE2},
    {WIRE_CREATE2, 0, 0, WIRE_CREATE2},
    {WIRE_CREATE2, 1, 0, WIRE_CREATE2},
    {WIRE_CREATE2, 2, 0, WIRE_CREATE2},
    {WIRE_CREATE_CONTAINER, 0, 0, WIRE_CREATE2},
    {WIRE_CREATE_CONTAINER, 4, 0, WIRE_CREATE2},
    {WIRE_CREATE_TTL, 0, 0, WIRE_CREATE},
    {WIRE_CREATE_TTL, 4, 0, WIRE_CREATE2},
    {WIRE_CREATE_TTL, 5, 0, WIRE_CREATE2},
    /* What is no kind of znode, or needs a time to live that is not there, spoils the whole request. */
    {WIRE_CREATE, 5, MARSHALLING_ERROR, WIRE_ERROR},
    {WIRE_CREATE2, 6, MARSHALLING_ERROR, WIRE_ERROR},
    {WIRE_CREATE, 7, MARSHALLING_ERROR, WIRE_ERROR},
    {WIRE_CREATE_CONTAINER, -1, MARSHALLING_ERROR, WIRE_ERROR},
};

static void creates_in_a_multi(void **state)
{
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    struct wire_multi_head head;
    struct wire_stat stat;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    for (int32_t i = 0; i < (int32_t)(sizeof multi_rows / sizeof multi_rows[0]); i++) {
        print_message("# %d %d\n", (int)multi_rows[i].opcode, multi_rows[i].flags);
        char path[16];
        (void)snprintf(path, sizeof path, "/m%d", i);
        wire_begin(w, i + 1, WIRE_MULTI);
        wire_put_multi_head(w, multi_rows[i].opcode, false);
        wire_put_text(w, path);
        wire_put_buffer(w, "", 0);
        wire_put_int(w, 1);
        wire_put_int(w, 31);
        wire_put_text(w, "world");
        wire_put_text(w, "anyone");
        wire_put_int(w, multi_rows[i].flags);
        if (multi_rows[i].opcode == WIRE_CREATE_TTL) {
            wire_put_long(w, 1000);
        }
        wire_put_multi_head(w, -1, true);
        ask(w, &frame);
        assert_int_equal(frame.err, multi_rows[i].code);
        if (frame.err != 0) {
            continue;
        }
        wire_get_multi_head(&frame.body, &head);
        assert_int_equal(head.type, multi_rows[i].result);
        assert_memory_equal(wire_get_bytes(&frame.body).at, path, strlen(path));
        if (head.type == WIRE_CREATE2) {
            wire_get_stat(&frame.body, &stat);
            assert_true(stat.czxid == frame.zxid);
        }
        wire_get_multi_head(&frame.body, &head);
        assert_true(head.done);
        wire_get_end(&frame.body);
    }
    wire_drop(w);
    serving_close(&s);
}

/* ---- Watches ---- */

/* Which types of watches there are, one letter for each number from 0 to 6: "e" for a wrong one. */
static void watches_are(struct wire *w, const char *wanted)
{
    char are[8] = "";
    struct wire_frame frame;
    for (int32_t type = 0; type < 7; type++) {
        wire_begin(w, 1, WIRE_CHECK_WATCHES);
        wire_put_text(w, "/a");
        wire_put_int(w, type);
        ask(w, &frame);
        are[type] = frame.err == 0 ? 'x' : frame.err == NO_WATCHER ? '-' : 'e';
    }
    assert_string_equal(are, wanted);
}

static void remove_watch(struct wire *w, int32_t type, int code)
{
    struct wire_frame frame;
    wire_begin(w, 1, WIRE_REMOVE_WATCHES);
    wire_put_text(w, "/a");
    wire_put_int(w, type);
    ask(w, &frame);
    assert_int_equal(frame.err, code);
}

/* As a server of 3.9.5 answers, step by step. */
static void watches_of_each_type(void **state)
{
    struct serving s;
    struct wire_session session;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    struct wire *other = open_wire(&s, &session);
    put_create_for(w, 1, "/a", 31, false);
    succeeds(w);
    watches_are(w, "e-----e");
    for (int32_t recursive = 0; recursive < 2; recursive++) {
        wire_begin(w, 1, WIRE_ADD_WATCH);
        wire_put_text(w, "/a");
        wire_put_int(w, recursive);
        succeeds(w);
        watches_are(w, recursive ? "e--xxxe" : "e--xx-e");
    }
    for (int32_t children = 0; children < 2; children++) {
        wire_begin(w, 1, children ? WIRE_GET_CHILDREN : WIRE_EXISTS);
        wire_put_text(w, "/a");
        wire_put_bool(w, true);
        succeeds(w);
    }
    watches_are(w, "exxxxxe");
    watches_are(other, "e-----e");
    remove_watch(other, 3, NO_WATCHER);
    remove_watch(w, 6, MARSHALLING_ERROR);
    remove_watch(w, 1, 0);
    watches_are(w, "e-xxxxe");
    remove_watch(w, 4, 0);
    watches_are(w, "e-xx-xe");
    remove_watch(w, 5, 0);
    watches_are(w, "e-xx--e");
    remove_watch(w, 3, 0);
    watches_are(w, "e-----e");
    remove_watch(w, 2, NO_WATCHER);
    wire_drop(w);
    wire_drop(other);
    serving_close(&s);
}

/* What has been missed is no write's: only what happens from now on has a zxid. */
static void an_event_of_setwatches_has_no_zxid(void **state)
{
    static const char *const lists[] = {"/a", "/none", "/none", "/a", "/a"};
    static const int32_t events[] = {3, 2};
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    put_create_for(w, 1, "/a", 31, false);
    succeeds(w);
    wire_begin(w, 2, WIRE_SET_WATCHES2);
    wire_put_long(w, 0);
    wire_put_int(w, 2);
    for (size_t i = 0; i < 5; i++) {
        if (i > 1) {
            wire_put_int(w, 1);
        }
        wire_put_text(w, lists[i]);
    }
    wire_put_int(w, 0);
    wire_finish(w);
    put_set(w, 3, "/a");
    wire_finish(w);
    wire_send(w);
    for (size_t i = 0; i < 2; i++) {
        is_event(w, events[i], lists[i], -1);
    }
    is_event(w, 4, "/a", -1);
    wire_next(w, &frame);
    assert_int_equal(frame.xid, 2);
    is_event(w, 3, "/a", frame.zxid + 1);
    wire_next(w, &frame);
    assert_int_equal(frame.xid, 3);
    wire_drop(w);
    serving_close(&s);
}

static void shows_digest(struct wire *w, const char *path, const char *wanted)
{
    struct wire_frame frame;
    struct wire_ace ace;
    wire_begin(w, 3, WIRE_GET_ACL);
    wire_put_text(w, path);
    ask(w, &frame);
    assert_int_equal(frame.err, 0);
    assert_int_equal(wire_get_count(&frame.body, 12), 2);
    wire_get_ace(&frame.body, &ace);
    assert_int_equal(ace.id.len, strlen(wanted));
    assert_memory_equal(ace.id.at, wanted, ace.id.len);
}

static void a_digest_is_shown_to_those_who_may_change_it(void **state)
{
    struct serving s;
    struct wire_session session;
    (void)state;
    serving_open(&s, false);
    struct wire *owner = open_wire(&s, &session);
    struct wire *other = open_wire(&s, &session);
    wire_auth(owner, "digest", "alice:secret");
    put_create_for(owner, 1, "/a", 1, true);
    succeeds(owner);
    shows_digest(owner, "/a", "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=");
    shows_digest(other, "/a", "alice:x");
    wire_drop(owner);
    wire_drop(other);
    serving_close(&s);
}

static void who_has_seen_more_is_turned_away(void **state)
{
    static const struct wire_session none;
    struct serving s;
    unsigned char answer[4];
    (void)state;
    serving_open(&s, false);
    int fd = dial(&s);
    greet(fd, INT64_C(1) << 40, &none, false);
    assert_int_equal(hear(fd, answer, sizeof answer), 0);
    (void)close(fd);
    assert_true(serving_said(&s, "it has seen what this server does not have"));
    serving_close(&s);
}

/* There is no other server that could have it, so the session is over. */
static void a_session_that_has_seen_more_has_expired(void **state)
{
    static const struct wire_session other = {.id = 77};
    struct serving s;
    unsigned char answer[41];
    (void)state;
    serving_open(&s, false);
    int fd = dial(&s);
    greet(fd, INT64_C(1) << 40, &other, false);
    assert_int_equal(hear(fd, answer, sizeof answer), sizeof answer);
    for (size_t i = 8; i < 20; i++) {
        assert_int_equal(answer[i], 0); /* Neither a timeout nor a session. */
    }
    assert_int_equal(hear(fd, answer, sizeof answer), 0);
    (void)close(fd);
    serving_close(&s);
}

/* ---- Order ---- */

static void put_create(struct wire *w, int32_t xid, const char *path, int32_t flags)
{
    wire_begin(w, xid, WIRE_CREATE);
    wire_put_text(w, path);
    wire_put_buffer(w, "", 0);
    wire_put_int(w, 1);
    wire_put_int(w, 31);
    wire_put_text(w, "world");
    wire_put_text(w, "anyone");
    wire_put_int(w, flags);
}

static void is_answer(struct wire *w, int32_t xid, int64_t *zxid, int more)
{
    struct wire_frame frame;
    wire_next(w, &frame);
    assert_int_equal(frame.xid, xid);
    assert_int_equal(frame.err, 0);
    if (*zxid != 0) {
        assert_true(frame.zxid == *zxid + more);
    }
    *zxid = frame.zxid;
}

/* A persistent recursive watch of the writer's own: each event comes before the answer to the write. */
static void events_come_before_answers(void **state)
{
    struct serving s;
    struct wire_session session;
    int64_t zxid = 0;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    wire_begin(w, 1, WIRE_ADD_WATCH);
    wire_put_text(w, "/");
    wire_put_int(w, 1);
    wire_finish(w);
    put_create(w, 2, "/a", 0);
    wire_finish(w);
    put_create(w, 3, "/a/b", 1);
    wire_finish(w);
    wire_begin(w, 4, WIRE_CLOSE_SESSION);
    wire_finish(w);
    wire_send(w);
    is_answer(w, 1, &zxid, 0);
    is_event(w, 1, "/a", zxid + 1);
    is_answer(w, 2, &zxid, 1);
    is_event(w, 1, "/a/b", zxid + 1);
    is_answer(w, 3, &zxid, 1);
    is_event(w, 2, "/a/b", zxid + 1);
    is_answer(w, 4, &zxid, 1);
    assert_true(wire_ended(w));
    wire_drop(w);
    serving_close(&s);
}

static void who_am_i(void **state)
{
    static const char *const all[] = {"ip", "127.0.0.1", "digest", "alice"};
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    (void)state;
    serving_open(&s, false);
    struct wire *w = open_wire(&s, &session);
    wire_auth(w, "digest", "alice:secret");
    wire_auth(w, "digest", "alice:secret");
    wire_begin(w, 1, (enum wire_opcode)WHO_AM_I);
    ask(w, &frame);
    assert_int_equal(wire_get_count(&frame.body, 8), 2);
    for (size_t i = 0; i < 4; i++) {
        struct wire_bytes b = wire_get_bytes(&frame.body);
        assert_int_equal(b.len, strlen(all[i]));
        assert_memory_equal(b.at, all[i], b.len);
    }
    wire_get_end(&frame.body);
    wire_drop(w);
    serving_close(&s);
}

/* A container goes when its last child has gone, a znode with a time to live when that is over; what has none
 * stays. */
static void what_may_go_goes(void **state)
{
    struct serving s;
    struct wire_session session;
    struct wire_frame frame;
    (void)state;
    zks_server_options options = serving_options(&s, true);
    options.reap_ms = 50;
    serving_open_with(&s, &options);
    struct wire *w = open_wire(&s, &session);
    put_create(w, 1, "/stays", 0);
    ask(w, &frame);
    for (int32_t i = 0; i < 2; i++) {
        wire_begin(w, 2, i == 0 ? WIRE_CREATE_CONTAINER : WIRE_CREATE_TTL);
        wire_put_text(w, i == 0 ? "/container" : "/fleeting");
        wire_put_buffer(w, "", 0);
        wire_put_int(w, 1);
        wire_put_int(w, 31);
        wire_put_text(w, "world");
        wire_put_text(w, "anyone");
        wire_put_int(w, i == 0 ? 4 : 5);
        if (i == 1) {
            wire_put_long(w, 1);
        }
        ask(w, &frame);
        assert_int_equal(frame.err, 0);
    }
    it_await(serving_stats(&s).znodes == 6); /* The container has never had a child. */
    put_create(w, 3, "/container/child", 1);
    ask(w, &frame);
    assert_int_equal(serving_stats(&s).znodes, 7);
    wire_begin(w, 4, WIRE_CLOSE_SESSION);
    ask(w, &frame);
    it_await(serving_stats(&s).znodes == 5);
    wire_drop(w);
    zks_server_stop(s.server);
    it_ok(zks_server_start(s.server));
    assert_int_equal(serving_stats(&s).znodes, 5);
    serving_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        serving_test(an_old_client),
        serving_test(another_user_who_knows_the_secret),
        serving_test(a_client_of_today),
        serving_test(sessions_are_taken_up_by_their_password),
        serving_test(who_has_seen_more_is_turned_away),
        serving_test(a_session_that_has_seen_more_has_expired),
        serving_test(events_come_before_answers),
        serving_test(who_am_i),
        serving_test(what_may_go_goes),
        serving_test(a_list_is_not_longer_than_its_request),
        serving_test(a_refused_write_consumes_a_zxid),
        serving_test(null_texts_in_an_acl),
        serving_test(creates_in_a_multi),
        serving_test(watches_of_each_type),
        serving_test(an_event_of_setwatches_has_no_zxid),
        serving_test(no_event_tells_of_what_may_not_be_read),
        serving_test(a_digest_is_shown_to_those_who_may_change_it),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}
