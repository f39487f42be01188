/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "ensemble.h"

enum {
    SILENCE_MS = 500,
    WAKEFUL_SILENCE_MS = 5000,
    LIMIT_MS = 60000, /* For whatever the server must do. */
    ATTEMPTS = 20,
    FRAME_MAX = 64 << 20, /* More is no frame. */
    XID_PING = -2,
    XID_AUTH = -4,
    OPCODE_PING = 11,
    OPCODE_AUTH = 100,
    HEAD_LEN = 16 /* Of a reply: xid, zxid, err. */
};

/* After so long a silence the server is woken up. */
static int silence_ms = SILENCE_MS;

void wire_expect_wakeful_servers(void)
{
    silence_ms = WAKEFUL_SILENCE_MS;
}

/* Bytes that grow. */
struct heap {
    unsigned char *at;
    size_t size;
    size_t len;
};

struct wire {
    int fd;
    char address[64];
    struct heap out;
    size_t request_at; /* Where the request begins that is being put together. */
    struct heap in;    /* What has been received. */
    size_t read_to;    /* How much of it has been used. */
    bool established;  /* Pings may be sent. */
};

static void make_room(struct heap *h, size_t more)
{
    if (h->size - h->len >= more) {
        return;
    }
    h->size = 2 * (h->len + more) + 4096;
    h->at = realloc(h->at, h->size);
    if (h->at == NULL) {
        abort();
    }
}

/* ---- Requests ---- */

static void put(struct wire *w, const void *what, size_t len)
{
    make_room(&w->out, len);
    if (len > 0) {
        memcpy(w->out.at + w->out.len, what, len);
    }
    w->out.len += len;
}

static void encode(unsigned char *to, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        to[i] = (unsigned char)(value >> (8 * (len - 1 - i)));
    }
}

void wire_put_int(struct wire *w, int32_t value)
{
    unsigned char bytes[4];
    encode(bytes, (uint32_t)value, sizeof bytes);
    put(w, bytes, sizeof bytes);
}

void wire_put_long(struct wire *w, int64_t value)
{
    unsigned char bytes[8];
    encode(bytes, (uint64_t)value, sizeof bytes);
    put(w, bytes, sizeof bytes);
}

void wire_put_bool(struct wire *w, bool value)
{
    unsigned char byte = value;
    put(w, &byte, 1);
}

void wire_put_buffer(struct wire *w, const void *data, size_t len)
{
    wire_put_int(w, data != NULL ? (int32_t)len : -1);
    put(w, data, data != NULL ? len : 0);
}

void wire_put_text(struct wire *w, const char *text)
{
    wire_put_buffer(w, text, strlen(text));
}

void wire_put_multi_head(struct wire *w, int32_t type, bool done)
{
    wire_put_int(w, type);
    wire_put_bool(w, done);
    wire_put_int(w, -1);
}

static void begin(struct wire *w)
{
    w->request_at = w->out.len;
    wire_put_int(w, 0);
}

void wire_begin(struct wire *w, int32_t xid, enum wire_opcode opcode)
{
    begin(w);
    wire_put_int(w, xid);
    wire_put_int(w, opcode);
}

void wire_finish(struct wire *w)
{
    encode(w->out.at + w->request_at, w->out.len - w->request_at - 4, 4);
}

bool wire_try_send(struct wire *w)
{
    size_t done = 0;
    while (done < w->out.len) {
        ssize_t n = send(w->fd, w->out.at + done, w->out.len - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    bool all = done == w->out.len;
    w->out.len = 0;
    return all;
}

void wire_send(struct wire *w)
{
    if (!wire_try_send(w)) {
        ens_fail("%s: a request could not be sent: %s", w->address, strerror(errno));
    }
}

/* Where the connection has ended, who waits for something on it finds out. */
static void send_ping(const struct wire *w)
{
    unsigned char frame[12];
    encode(frame, 8, 4);
    encode(frame + 4, (uint32_t)XID_PING, 4);
    encode(frame + 8, OPCODE_PING, 4);
    (void)send(w->fd, frame, sizeof frame, MSG_NOSIGNAL);
}

/* ---- Frames ---- */

enum received { SOMETHING, NOTHING, THE_END };

static enum received receive_once(struct wire *w)
{
    if (w->read_to > 0 && w->read_to == w->in.len) {
        w->read_to = w->in.len = 0;
    }
    make_room(&w->in, 65536);
    for (;;) {
        ssize_t n = recv(w->fd, w->in.at + w->in.len, w->in.size - w->in.len, 0);
        if (n > 0) {
            w->in.len += (size_t)n;
            return SOMETHING;
        }
        if (n == 0 || errno == ECONNRESET) {
            return THE_END;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return NOTHING;
        }
        if (errno != EINTR) {
            ens_fail("%s: %s", w->address, strerror(errno));
        }
    }
}

/* False where the connection has ended.  A server can fall asleep over work that it has, and wakes up from
 * the next request: its clients keep it awake with pings, and so does this one. */
static bool receive(struct wire *w)
{
    for (int silences = 0; silences < LIMIT_MS / silence_ms; silences++) {
        enum received what = receive_once(w);
        if (what != NOTHING) {
            return what == SOMETHING;
        }
        if (w->established) {
            send_ping(w);
        }
    }
    ens_fail("%s: nothing came within %d ms", w->address, LIMIT_MS);
}

static uint64_t decode(const unsigned char *from, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

/* The contents of the next frame.  False where the connection ends instead; half a frame is none. */
static bool next_frame(struct wire *w, struct wire_in *in)
{
    while (w->in.len - w->read_to < 4) {
        if (!receive(w)) {
            return false;
        }
    }
    size_t len = (size_t)decode(w->in.at + w->read_to, 4);
    if (len > FRAME_MAX) {
        ens_fail("%s: a frame of %zu bytes", w->address, len);
    }
    while (w->in.len - w->read_to < 4 + len) {
        if (!receive(w)) {
            return false;
        }
    }
    in->at = w->in.at + w->read_to + 4;
    in->end = in->at + len;
    w->read_to += 4 + len;
    return true;
}

/* The next frame that is no answer to a ping. */
static bool next_of_note(struct wire *w, struct wire_in *in)
{
    do {
        if (!next_frame(w, in)) {
            return false;
        }
        if (in->end - in->at < HEAD_LEN) {
            ens_fail("%s: a frame of %zu bytes, which is too short", w->address,
                     (size_t)(in->end - in->at));
        }
    } while ((int32_t)(uint32_t)decode(in->at, 4) == XID_PING);
    return true;
}

bool wire_ended(struct wire *w)
{
    struct wire_in in;
    return !next_of_note(w, &in);
}

bool wire_try_next(struct wire *w, struct wire_frame *frame)
{
    struct wire_in in;
    if (!next_of_note(w, &in)) {
        return false;
    }
    frame->xid = wire_get_int(&in);
    frame->zxid = wire_get_long(&in);
    frame->err = wire_get_int(&in);
    frame->body = in;
    return true;
}

void wire_next(struct wire *w, struct wire_frame *frame)
{
    if (!wire_try_next(w, frame)) {
        ens_fail("%s: the server has closed the connection", w->address);
    }
}

static const unsigned char *take(struct wire_in *in, size_t len)
{
    if ((size_t)(in->end - in->at) < len) {
        ens_fail("a frame ends %zu bytes too early", len - (size_t)(in->end - in->at));
    }
    const unsigned char *at = in->at;
    in->at += len;
    return at;
}

int32_t wire_get_int(struct wire_in *in)
{
    return (int32_t)(uint32_t)decode(take(in, 4), 4);
}

int64_t wire_get_long(struct wire_in *in)
{
    return (int64_t)decode(take(in, 8), 8);
}

bool wire_get_bool(struct wire_in *in)
{
    unsigned char byte = *take(in, 1);
    if (byte > 1) {
        ens_fail("a truth value of %u in a frame", byte);
    }
    return byte == 1;
}

struct wire_bytes wire_get_bytes(struct wire_in *in)
{
    int32_t len = wire_get_int(in);
    if (len < -1) {
        ens_fail("a length of %d in a frame", len);
    }
    if (len == -1) {
        return (struct wire_bytes){NULL, 0};
    }
    return (struct wire_bytes){take(in, (size_t)len), (size_t)len};
}

size_t wire_get_count(struct wire_in *in, size_t least)
{
    int32_t n = wire_get_int(in);
    if (n < 0 || (size_t)n > (size_t)(in->end - in->at) / least) {
        ens_fail("a list of %d entries in a frame", n);
    }
    return (size_t)n;
}

void wire_get_stat(struct wire_in *in, struct wire_stat *stat)
{
    stat->czxid = wire_get_long(in);
    stat->mzxid = wire_get_long(in);
    stat->ctime = wire_get_long(in);
    stat->mtime = wire_get_long(in);
    stat->version = wire_get_int(in);
    stat->cversion = wire_get_int(in);
    stat->aversion = wire_get_int(in);
    stat->ephemeral_owner = wire_get_long(in);
    stat->data_length = wire_get_int(in);
    stat->num_children = wire_get_int(in);
    stat->pzxid = wire_get_long(in);
}

void wire_get_event(struct wire_in *in, struct wire_event *event)
{
    event->type = wire_get_int(in);
    event->state = wire_get_int(in);
    event->path = wire_get_bytes(in);
    wire_get_end(in);
}

void wire_get_ace(struct wire_in *in, struct wire_ace *ace)
{
    ace->perms = wire_get_int(in);
    ace->scheme = wire_get_bytes(in);
    ace->id = wire_get_bytes(in);
}

void wire_get_multi_head(struct wire_in *in, struct wire_multi_head *head)
{
    head->type = wire_get_int(in);
    head->done = wire_get_bool(in);
    head->err = wire_get_int(in);
}

void wire_get_end(const struct wire_in *in)
{
    if (in->at != in->end) {
        ens_fail("a frame has %zu bytes too many", (size_t)(in->end - in->at));
    }
}

/* ---- The connection ---- */

static int connect_to(const char *address)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (colon == NULL || (size_t)(colon - address) >= sizeof host) {
        ens_fail("\"%s\" is no address", address);
    }
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    int rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc != 0) {
        ens_fail("%s: %s", address, gai_strerror(rc));
    }
    int fd = -1;
    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    int error = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        ens_fail("%s: cannot connect: %s", address, strerror(error));
    }
    return fd;
}

static void set_options(int fd)
{
    const struct timeval limit = {.tv_sec = silence_ms / 1000, .tv_usec = silence_ms % 1000 * 1000};
    const struct timeval send_limit = {.tv_sec = LIMIT_MS / 1000};
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        ens_fail("setsockopt: %s", strerror(errno));
    }
}

/* The first request of a connection, and its answer, have no header. */
static void greet(struct wire *w, const struct wire_session *session)
{
    begin(w);
    wire_put_int(w, 0);
    wire_put_long(w, 0);
    wire_put_int(w, session->timeout_ms);
    wire_put_long(w, session->id);
    wire_put_buffer(w, session->password, sizeof session->password);
    wire_put_bool(w, false);
    wire_finish(w);
    wire_send(w);
}

static void take_greeting(struct wire *w, struct wire_session *session)
{
    struct wire_in in;
    if (!next_frame(w, &in)) {
        ens_fail("%s: the server does not serve", w->address);
    }
    (void)wire_get_int(&in);
    session->timeout_ms = wire_get_int(&in);
    session->id = wire_get_long(&in);
    struct wire_bytes password = wire_get_bytes(&in);
    (void)wire_get_bool(&in);
    wire_get_end(&in);
    if (password.len != sizeof session->password) {
        ens_fail("%s: a password of %zu bytes", w->address, password.len);
    }
    memcpy(session->password, password.at, password.len);
}

static struct wire *connect_wire(const char *address)
{
    struct wire *w = calloc(1, sizeof *w);
    if (w == NULL) {
        abort();
    }
    (void)snprintf(w->address, sizeof w->address, "%s", address);
    w->fd = connect_to(address);
    set_options(w->fd);
    return w;
}

static bool is_silent(struct wire *w, int patience)
{
    enum received what = NOTHING;
    for (int i = 0; i < patience && what == NOTHING; i++) {
        what = receive_once(w);
    }
    return what == NOTHING;
}

/* Before the server has greeted it takes no pings, but another attempt wakes it up as well.  What it then
 * makes of the first one is a session that nobody uses. */
struct wire *wire_open(const char *address, struct wire_session *session)
{
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
        struct wire *w = connect_wire(address);
        greet(w, session);
        if (!is_silent(w, attempt)) {
            take_greeting(w, session);
            w->established = session->id != 0;
            if (w->established) {
                return w;
            }
            wire_drop(w);
            return NULL;
        }
        wire_drop(w);
    }
    ens_fail("%s: the server does not answer", address);
}

int32_t wire_try_auth(struct wire *w, const char *scheme, const char *credentials)
{
    struct wire_frame frame;
    begin(w);
    wire_put_int(w, XID_AUTH);
    wire_put_int(w, OPCODE_AUTH);
    wire_put_int(w, 0);
    wire_put_text(w, scheme);
    wire_put_text(w, credentials);
    wire_finish(w);
    wire_send(w);
    wire_next(w, &frame);
    if (frame.xid != XID_AUTH) {
        ens_fail("%s: instead of an answer to credentials a frame with xid %d came", w->address,
                 frame.xid);
    }
    return frame.err;
}

void wire_auth(struct wire *w, const char *scheme, const char *credentials)
{
    int32_t err = wire_try_auth(w, scheme, credentials);
    if (err != 0) {
        ens_fail("%s: credentials were refused with error %d", w->address, err);
    }
}

void wire_end(struct wire *w)
{
    w->established = false;
    if (shutdown(w->fd, SHUT_WR) == 0) {
        do {
            w->read_to = w->in.len;
        } while (receive(w));
    }
    wire_drop(w);
}

void wire_drop(struct wire *w)
{
    if (w == NULL) {
        return;
    }
    (void)close(w->fd);
    free(w->out.at);
    free(w->in.at);
    free(w);
}
