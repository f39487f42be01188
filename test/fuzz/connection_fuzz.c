/* SPDX-License-Identifier: Apache-2.0 */
/* Whole connections under libFuzzer: the input is a script of what several clients do, from connecting to
 * requests that are nearly right and bytes that are none, while time passes, sessions expire and readers
 * are slow.  Whatever comes, the server must not crash, must send nothing but whole frames, answers in the
 * order of the requests and zxids that do not go back, and must leave nothing behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/opcode.h"
#include "server/peer.h"

enum { CLIENTS = 4, XIDS = 256, SCRIPT_MAX = 4096, TICK_MS = 1000, RAW_MAX = 48 };

struct script {
    const uint8_t *at;
    const uint8_t *end;
};

/* A client, as far as it can tell what must come next. */
struct client {
    bool open;
    bool raw;       /* It has sent what is no request: now anything can come. */
    bool connected; /* The answer to its first frame has come. */
    int64_t zxid;
    int32_t xids[XIDS]; /* Of the requests that are not answered yet. */
    size_t first;
    size_t n;
    struct zks__peer peer;
    struct zks__writer staged; /* What is on its way to the server. */
    struct zks__writer heard;  /* What has come from it. */
    struct zks__session session;
};

struct world {
    struct zks__service service;
    struct zks__peers peers;
    struct client clients[CLIENTS];
    uint64_t clock_ms;
    int32_t xid;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what)
{
    (void)fprintf(stderr, "the server is wrong: %s\n", what);
    abort();
}

static uint8_t byte(struct script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static int32_t number(struct script *s)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        value = value << 8 | byte(s);
    }
    return (int32_t)value;
}

static void ignore(void *arg, int level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

static void tell(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path)
{
    zks__peers_tell(arg, watcher, event, path);
}

/* ---- What comes from the server ---- */

static int64_t long_at(const unsigned char *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | at[i];
    }
    return (int64_t)value;
}

static void hear_connected(struct client *c, const unsigned char *frame, size_t len)
{
    if (len != 36 && len != 37) {
        fail("the answer to a connection has another length");
    }
    c->connected = true;
    c->session.timeout_ms = (uint32_t)long_at(frame + 4, 4);
    c->session.id = long_at(frame + 8, 8);
    memcpy(c->session.password, frame + 20, sizeof c->session.password);
}

static void hear_frame(struct client *c, const unsigned char *frame, size_t len)
{
    if (!c->connected) {
        hear_connected(c, frame, len);
        return;
    }
    if (len < 16) {
        fail("a frame is too short");
    }
    int32_t xid = (int32_t)long_at(frame, 4);
    int64_t zxid = long_at(frame + 4, 8);
    if (xid == ZKS__XID_EVENT && zxid == -1) {
        return;
    }
    if (zxid != 0 && zxid < c->zxid) {
        fail("a zxid goes back");
    }
    c->zxid = zxid != 0 ? zxid : c->zxid;
    if (!c->raw && xid != ZKS__XID_EVENT) {
        if (c->n == 0 || c->xids[c->first] != xid) {
            fail("an answer is not that to the next request");
        }
        c->first = (c->first + 1) % XIDS;
        c->n--;
    }
}

static void hear(struct client *c, size_t len)
{
    struct zks__writer *h = &c->heard;
    size_t at = 0;
    if (len == 0) {
        return;
    }
    while (len > 0) {
        size_t piece;
        const unsigned char *bytes = zks__outbox_next(&c->peer.out, &piece);
        piece = piece < len ? piece : len;
        zks__put_bytes(h, bytes, piece);
        zks__outbox_sent(&c->peer.out, piece);
        len -= piece;
    }
    if (c->raw && !c->connected) {
        h->len = 0; /* It may have been one of the four-letter words. */
    }
    while (h->len - at >= 4) {
        size_t frame = (size_t)long_at(h->bytes + at, 4);
        if (frame > INT32_MAX) {
            fail("a frame has no length");
        }
        if (h->len - at - 4 < frame) {
            break;
        }
        hear_frame(c, h->bytes + at + 4, frame);
        at += 4 + frame;
    }
    if (at > 0) {
        memmove(h->bytes, h->bytes + at, h->len - at);
        h->len -= at;
    }
}

/* ---- What clients send ---- */

static void put_path(struct script *s, struct zks__writer *w)
{
    static const char *const paths[] = {
        "/",   "/a", "/a/b",    "/a/b/c", "/c",    "",  "/zookeeper", "/zookeeper/config",
        "/a/", "a",  "/a/../b", "/a\x01", "/c/n-", "/b"};
    uint8_t which = byte(s);
    if (which < 0xf0) {
        zks__put_text(w, paths[which % (sizeof paths / sizeof paths[0])]);
    } else if (which < 0xf8) {
        size_t len = byte(s) % RAW_MAX;
        len = len < (size_t)(s->end - s->at) ? len : (size_t)(s->end - s->at);
        zks__put_data(w, s->at, len);
        s->at += len;
    } else {
        zks__put_int(w, which < 0xfc ? -1 : number(s));
    }
}

static void put_content(struct script *s, struct zks__writer *w)
{
    static const char content[300] = "content";
    uint8_t len = byte(s);
    zks__put_data(w, len < 0xf0 ? content : NULL, len);
}

static void put_acl(struct script *s, struct zks__writer *w)
{
    static const char *const ids[][2] = {
        {"world", "anyone"},  {"auth", ""},     {"digest", "u:h"}, {"ip", "127.0.0.1"},
        {"ip", "10.0.0.0/8"}, {"what", "ever"}, {"digest", ""}};
    int32_t n = byte(s) % 4;
    zks__put_int(w, n);
    for (int32_t i = 0; i < n; i++) {
        const char *const *id = ids[byte(s) % (sizeof ids / sizeof ids[0])];
        zks__put_int(w, byte(s) % 32);
        zks__put_text(w, id[0]);
        zks__put_text(w, id[1]);
    }
}

static void put_version(struct script *s, struct zks__writer *w)
{
    zks__put_int(w, byte(s) % 4 - 1);
}

static void put_lists(struct script *s, struct zks__writer *w, size_t n_lists)
{
    zks__put_long(w, byte(s));
    for (size_t i = 0; i < n_lists; i++) {
        int32_t n = byte(s) % 4;
        zks__put_int(w, n);
        for (int32_t k = 0; k < n; k++) {
            put_path(s, w);
        }
    }
}

static void put_body(struct script *s, struct zks__writer *w, int32_t opcode);

static void put_parts(struct script *s, struct zks__writer *w, const int32_t *types, size_t n_types)
{
    size_t n = byte(s) % 6;
    for (size_t i = 0; i < n; i++) {
        int32_t type = types[byte(s) % n_types];
        zks__put_int(w, type);
        zks__put_bool(w, false);
        zks__put_int(w, -1);
        put_body(s, w, type);
    }
    zks__put_int(w, -1);
    zks__put_bool(w, true);
    zks__put_int(w, -1);
}

static void put_body(struct script *s, struct zks__writer *w, int32_t opcode)
{
    static const int32_t writes[] = {ZKS__CREATE,     ZKS__CREATE2, ZKS__DELETE,
                                     ZKS__SET_DATA,   ZKS__CHECK,   ZKS__CREATE_CONTAINER,
                                     ZKS__CREATE_TTL, ZKS__SET_ACL};
    static const int32_t reads[] = {ZKS__GET_DATA, ZKS__GET_CHILDREN, ZKS__EXISTS};
    switch (opcode) {
    case ZKS__CREATE:
    case ZKS__CREATE2:
    case ZKS__CREATE_CONTAINER:
    case ZKS__CREATE_TTL:
        put_path(s, w);
        put_content(s, w);
        put_acl(s, w);
        zks__put_int(w, byte(s) % 8);
        if (opcode == ZKS__CREATE_TTL) {
            zks__put_long(w, byte(s));
        }
        break;
    case ZKS__SET_DATA:
        put_path(s, w);
        put_content(s, w);
        put_version(s, w);
        break;
    case ZKS__SET_ACL:
        put_path(s, w);
        put_acl(s, w);
        put_version(s, w);
        break;
    case ZKS__DELETE:
    case ZKS__CHECK:
    case ZKS__REMOVE_WATCHES:
    case ZKS__CHECK_WATCHES:
    case ZKS__ADD_WATCH:
        put_path(s, w);
        put_version(s, w);
        break;
    case ZKS__MULTI:
        put_parts(s, w, writes, sizeof writes / sizeof writes[0]);
        break;
    case ZKS__MULTI_READ:
        put_parts(s, w, reads, sizeof reads / sizeof reads[0]);
        break;
    case ZKS__SET_WATCHES:
    case ZKS__SET_WATCHES2:
        put_lists(s, w, opcode == ZKS__SET_WATCHES ? 3 : 5);
        break;
    case ZKS__AUTH:
        zks__put_int(w, 0);
        zks__put_text(w, byte(s) % 2 == 0 ? "digest" : "zksync");
        put_path(s, w);
        break;
    default:
        put_path(s, w);
        zks__put_bool(w, byte(s) % 2 == 0);
        break;
    }
}

static void expect(struct client *c, int32_t xid)
{
    if (c->n == XIDS) {
        c->raw = true;
    } else {
        c->xids[(c->first + c->n++) % XIDS] = xid;
    }
}

/* A client whose session the server has never opened sends requests all the same. */
static void send_request(struct world *w, struct client *c, struct script *s)
{
    static const int32_t opcodes[] = {
        ZKS__CREATE,         ZKS__CREATE2,        ZKS__CREATE_CONTAINER,
        ZKS__CREATE_TTL,     ZKS__DELETE,         ZKS__SET_DATA,
        ZKS__SET_ACL,        ZKS__CHECK,          ZKS__MULTI,
        ZKS__EXISTS,         ZKS__GET_DATA,       ZKS__GET_ACL,
        ZKS__GET_CHILDREN,   ZKS__GET_CHILDREN2,  ZKS__SYNC,
        ZKS__MULTI_READ,     ZKS__GET_EPHEMERALS, ZKS__GET_ALL_CHILDREN_NUMBER,
        ZKS__SET_WATCHES,    ZKS__SET_WATCHES2,   ZKS__ADD_WATCH,
        ZKS__REMOVE_WATCHES, ZKS__CHECK_WATCHES,  ZKS__WHO_AM_I,
        ZKS__AUTH,           ZKS__PING,           ZKS__CLOSE_SESSION,
        ZKS__RECONFIG};
    uint8_t which = byte(s);
    size_t n = sizeof opcodes / sizeof opcodes[0];
    int32_t opcode = which < 0xfe ? opcodes[which % n] : number(s);
    size_t at = c->staged.len;
    int32_t xid = opcode == ZKS__PING ? ZKS__XID_PING : ++w->xid;
    zks__put_int(&c->staged, 0);
    zks__put_int(&c->staged, xid);
    zks__put_int(&c->staged, opcode);
    put_body(s, &c->staged, opcode);
    size_t len = c->staged.len - at - 4;
    uint8_t cut = byte(s);
    if (cut >= 0xf0 && len > 8) {
        len = 8 + (len - 8) * (cut - 0xf0) / 16; /* A request that ends too early. */
        c->staged.len = at + 4 + len;
    }
    zks__set_int(&c->staged, at, (int32_t)len);
    expect(c, xid);
}

static void send_connect(struct world *w, struct client *c, struct script *s)
{
    const struct client *other = &w->clients[byte(s) % CLIENTS];
    uint8_t how = byte(s);
    bool again = how % 4 == 1;
    size_t at = c->staged.len;
    zks__put_int(&c->staged, 0);
    zks__put_int(&c->staged, 0);
    zks__put_long(&c->staged, how % 16 == 15 ? INT64_MAX : 0);
    zks__put_int(&c->staged, byte(s) * 100);
    zks__put_long(&c->staged, again ? other->session.id : 0);
    zks__put_data(&c->staged, other->session.password, how % 32 == 1 ? 3 : 16);
    if (how < 0x80) {
        zks__put_bool(&c->staged, false);
    }
    zks__set_int(&c->staged, at, (int32_t)(c->staged.len - at - 4));
}

static void send_raw(struct client *c, struct script *s)
{
    size_t len = byte(s) % RAW_MAX;
    len = len < (size_t)(s->end - s->at) ? len : (size_t)(s->end - s->at);
    zks__put_bytes(&c->staged, s->at, len);
    s->at += len;
    c->raw = true;
}

/* ---- The network, and time ---- */

static void deliver(struct client *c, uint8_t part)
{
    size_t len = part == 0xff ? c->staged.len : c->staged.len * part / 255;
    if (c->peer.ending || c->peer.ended) {
        c->staged.len = 0;
        return;
    }
    zks__put_bytes(&c->peer.in, c->staged.bytes, len);
    if (len > 0) {
        memmove(c->staged.bytes, c->staged.bytes + len, c->staged.len - len);
        c->staged.len -= len;
    }
    zks__peer_take(&c->peer);
}

static void open_client(struct world *w, struct client *c)
{
    const struct zks__session session = c->session;
    *c = (struct client){.open = true, .session = session};
    if (!zks__peer_open(&c->peer, &w->peers, "127.0.0.1", "127.0.0.1:1")) {
        abort();
    }
}

static void close_client(struct client *c)
{
    if (c->open) {
        zks__peer_close(&c->peer);
        zks__writer_close(&c->staged);
        zks__writer_close(&c->heard);
        c->open = false;
    }
}

static void attend(struct world *w)
{
    for (struct zks__peer *p = zks__peers_due(&w->peers); p != NULL;
         p = zks__peers_due(&w->peers)) {
        if (p->ended) {
            close_client((struct client *)(void *)((char *)p - offsetof(struct client, peer)));
        }
    }
}

static void pass_time(struct world *w, uint8_t how)
{
    w->clock_ms += how * 10u;
    zks__service_time(&w->service, w->clock_ms);
    for (int64_t id = zks__service_expired(&w->service); id != 0;
         id = zks__service_expired(&w->service)) {
        zks__peers_end_session(&w->peers, id);
    }
    zks__service_reap(&w->service);
}

static void step(struct world *w, struct script *s)
{
    uint8_t what = byte(s);
    struct client *c = &w->clients[what % CLIENTS];
    switch (what / CLIENTS % 16) {
    case 0:
        pass_time(w, byte(s));
        break;
    case 1:
        close_client(c);
        break;
    case 2:
        c->peer.drop_reply = c->open && (c->raw = true);
        break;
    default:
        if (!c->open) {
            open_client(w, c);
            send_connect(w, c, s);
        } else if (what / CLIENTS % 16 == 3) {
            send_raw(c, s);
        } else if (what / CLIENTS % 16 == 4) {
            hear(c, zks__outbox_unsent(&c->peer.out));
        } else if (what / CLIENTS % 16 == 5) {
            hear(c, zks__outbox_unsent(&c->peer.out) * byte(s) / 255);
        } else if (what / CLIENTS % 16 < 9) {
            deliver(c, what >= 128 ? 0xff : byte(s));
        } else {
            send_request(w, c, s);
        }
        break;
    }
    attend(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof *w);
    struct script s = {data, data + (size < SCRIPT_MAX ? size : SCRIPT_MAX)};
    char why[ZKS__WHY_SIZE];
    uint8_t how = byte(&s);
    const struct zks__service_options options = {.tick_ms = TICK_MS,
                                                 .reap_ms = 60000,
                                                 .limits = {.nodes = 200,
                                                            .bytes = 20000,
                                                            .watches = how % 8 == 1 ? 3 : 100,
                                                            .sessions = 8,
                                                            .acl_entries = 3,
                                                            .acl_size = 50,
                                                            .acl_bytes = 2000,
                                                            .watch_bytes = 500},
                                                 .tell = tell,
                                                 .arg = w != NULL ? &w->peers : NULL};
    if (w == NULL || zks__service_open(&w->service, &options, 0, why) != 0) {
        abort();
    }
    w->peers = (struct zks__peers){.secret = how % 4 == 2 ? "/a" : NULL,
                                   .max_frame = 4096,
                                   .max_outstanding = how % 16 == 3 ? 2 : 1000,
                                   .max_unread = how % 16 == 4 ? 500 : 1 << 20,
                                   .log = ignore};
    if (!zks__peers_init(&w->peers, &w->service)) {
        abort();
    }
    while (s.at < s.end) {
        step(w, &s);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        close_client(&w->clients[i]);
    }
    if (w->peers.n != 0 || w->peers.by_session.n != 0) {
        fail("a connection that has ended is still there");
    }
    zks__peers_close(&w->peers);
    zks__service_close(&w->service);
    free(w);
    return 0;
}
