/* SPDX-License-Identifier: Apache-2.0 */
/* ZooKeeper's wire protocol by hand, over a plain connection, for tests that must see every frame: many
 * requests can be sent at once, and replies and watch events are read in the order in which the server
 * has sent them.  Whatever the server may not send, and a wait that is too long, fails the test. */
#ifndef ZKSYNC_TEST_WIRE_H
#define ZKSYNC_TEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_opcode {
    WIRE_ERROR = -1, /* In the results of a multi. */
    WIRE_CREATE = 1,
    WIRE_DELETE = 2,
    WIRE_EXISTS = 3,
    WIRE_GET_DATA = 4,
    WIRE_SET_DATA = 5,
    WIRE_GET_ACL = 6,
    WIRE_SET_ACL = 7,
    WIRE_GET_CHILDREN = 8,
    WIRE_SYNC = 9,
    WIRE_GET_CHILDREN2 = 12,
    WIRE_CHECK = 13,
    WIRE_MULTI = 14,
    WIRE_CREATE2 = 15,
    WIRE_CHECK_WATCHES = 17,
    WIRE_REMOVE_WATCHES = 18,
    WIRE_CREATE_CONTAINER = 19,
    WIRE_CREATE_TTL = 21,
    WIRE_MULTI_READ = 22,
    WIRE_SET_WATCHES = 101,
    WIRE_GET_EPHEMERALS = 103,
    WIRE_GET_ALL_CHILDREN_NUMBER = 104,
    WIRE_SET_WATCHES2 = 105,
    WIRE_ADD_WATCH = 106,
    WIRE_CLOSE_SESSION = -11
};

enum { WIRE_XID_EVENT = -1, WIRE_PASSWORD_LEN = 16 };

/* A piece of a frame, or NULL where the length on the wire was -1. */
struct wire_bytes {
    const void *at;
    size_t len;
};

struct wire_ace {
    int32_t perms;
    struct wire_bytes scheme;
    struct wire_bytes id;
};

struct wire_stat {
    int64_t czxid;
    int64_t mzxid;
    int64_t ctime;
    int64_t mtime;
    int32_t version;
    int32_t cversion;
    int32_t aversion;
    int64_t ephemeral_owner;
    int32_t data_length;
    int32_t num_children;
    int64_t pzxid;
};

/* What is left to read of a frame. */
struct wire_in {
    const unsigned char *at;
    const unsigned char *end;
};

struct wire_frame {
    int32_t xid; /* WIRE_XID_EVENT for a watch event. */
    int64_t zxid;
    int32_t err;
    struct wire_in body; /* Good until the next wire_next(). */
};

struct wire_event {
    int32_t type;
    int32_t state;
    struct wire_bytes path;
};

/* The head of a result in the answer to a multi; after the last one `done` is true. */
struct wire_multi_head {
    int32_t type;
    bool done;
    int32_t err;
};

struct wire_session {
    int64_t id; /* 0: a new one. */
    int32_t timeout_ms;
    unsigned char password[WIRE_PASSWORD_LEN];
};

struct wire;

/* wire_expect_wakeful_servers: for servers that do not fall asleep over work, as ZooKeeper's can.  They
 * get a ping only after a long silence, so that also on a slow machine they count nothing else than what
 * the test sends.  Called before any thread is started. */
void wire_expect_wakeful_servers(void);

/* wire_open: connects to "host:port" and opens the session, or takes it up again; what the server grants
 * is put into `session`.  NULL where the server says that the session is over. */
struct wire *wire_open(const char *address, struct wire_session *session);

/* wire_auth: gives credentials and waits for the server's consent.  No request may be under way.
 * wire_try_auth: returns the answer's error. */
int32_t wire_try_auth(struct wire *w, const char *scheme, const char *credentials);
void wire_auth(struct wire *w, const char *scheme, const char *credentials);

/* wire_end: tells the server that nothing more is coming, waits until it has let go of the connection,
 * and frees it.  Frames that still come are dropped.  wire_drop: does not wait; NULL is fine. */
void wire_end(struct wire *w);
void wire_drop(struct wire *w);

/* ---- Requests ---- */

/* wire_begin, wire_finish: around what is put into a request.  wire_send sends all that are finished;
 * wire_try_send the same, and is false where the connection has ended. */
void wire_begin(struct wire *w, int32_t xid, enum wire_opcode opcode);
void wire_finish(struct wire *w);
void wire_send(struct wire *w);
bool wire_try_send(struct wire *w);

void wire_put_int(struct wire *w, int32_t value);
void wire_put_long(struct wire *w, int64_t value);
void wire_put_bool(struct wire *w, bool value);
/* wire_put_buffer: NULL is put as the length -1. */
void wire_put_buffer(struct wire *w, const void *data, size_t len);
void wire_put_text(struct wire *w, const char *text);
void wire_put_multi_head(struct wire *w, int32_t type, bool done);

/* ---- Frames ---- */

/* wire_next: waits for the next frame; wire_try_next the same, and is false where the connection has ended.
 * wire_ended: waits, and returns whether the server has closed the connection rather than sent something. */
void wire_next(struct wire *w, struct wire_frame *frame);
bool wire_try_next(struct wire *w, struct wire_frame *frame);
bool wire_ended(struct wire *w);

int32_t wire_get_int(struct wire_in *in);
int64_t wire_get_long(struct wire_in *in);
bool wire_get_bool(struct wire_in *in);
struct wire_bytes wire_get_bytes(struct wire_in *in);
void wire_get_stat(struct wire_in *in, struct wire_stat *stat);
void wire_get_event(struct wire_in *in, struct wire_event *event);
void wire_get_ace(struct wire_in *in, struct wire_ace *ace);
void wire_get_multi_head(struct wire_in *in, struct wire_multi_head *head);

/* wire_get_count: how many entries of a list follow: at most as many as there is room for in what is left,
 * with at least `least` bytes each. */
size_t wire_get_count(struct wire_in *in, size_t least);

/* wire_get_end: there must be nothing left. */
void wire_get_end(const struct wire_in *in);

#endif
