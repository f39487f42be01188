/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opcode.h"
#include "zksync/client.h"

enum {
    LENGTH = 4,
    LINE_SIZE = 512,
    LINES = 20,            /* Of the log, for all peers in a tick. */
    PAUSE_BYTES = 1 << 20, /* So much unsent, and no more is carried out for now. */
    FRAME_FIRST = 4096,    /* The longest request before the secret was shown. */
    KEEP_SCRATCH = 1 << 20,
    TURN_MS = 20,       /* So long for one client, and the others have their turns. */
    STATE_CONNECTED = 3 /* What an event says of the session. */
};

/* ---- Peers ---- */

bool zks__peers_init(struct zks__peers *peers, struct zks__service *service)
{
    peers->service = service;
    peers->scratch.mem = &service->mem;
    peers->began_ms = zks__service_clock_ms();
    return zks__map_init(&peers->by_session, &service->mem);
}

void zks__peers_close(struct zks__peers *peers)
{
    zks__map_close(&peers->by_session);
    zks__writer_close(&peers->scratch);
}

static uint64_t hash_of(int64_t session)
{
    return zks__hash_number((uint64_t)session);
}

struct zks__peer *zks__peers_find(const struct zks__peers *peers, int64_t session)
{
    struct zks__link *l = zks__map_first(&peers->by_session, hash_of(session));
    for (; l != NULL; l = zks__map_next(l)) {
        struct zks__peer *p = (struct zks__peer *)l;
        if (p->session.id == session) {
            return p;
        }
    }
    return NULL;
}

void *zks__scratch(struct zks__peers *peers, size_t size)
{
    peers->scratch.len = 0;
    peers->scratch.failed = false;
    return zks__writer_room(&peers->scratch, size > 0 ? size : 1);
}

static bool may_say(struct zks__peers *peers)
{
    uint64_t now = peers->service->now_ms;
    if (now >= peers->lines_ms) {
        peers->lines_ms = now + peers->service->options.tick_ms;
        peers->lines = 0;
    }
    peers->lines += peers->lines <= LINES;
    if (peers->lines == LINES) {
        peers->log(peers->arg, ZKS_LOG_WARN,
                   "more about clients is left out of the log for a while");
    }
    return peers->lines < LINES;
}

void zks__peer_say(const struct zks__peer *p, int level, const char *format, ...)
{
    char line[LINE_SIZE];
    int len = snprintf(line, sizeof line, "client %s: ", p->address);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line + len, sizeof line - (size_t)len, format, arguments);
    va_end(arguments);
    /* What a client has sent is not to look like a line of ours, or to command a terminal. */
    for (char *c = line; *c != '\0'; c++) {
        *c = *c >= ' ' && *c <= '~' ? *c : '?';
    }
    if (!p->authorised) {
        zks__peers_say_seldom(p->peers, line);
    } else if (may_say(p->peers)) {
        p->peers->log(p->peers->arg, level, line);
    }
}

void zks__peers_say_seldom(struct zks__peers *peers, const char *line)
{
    uint64_t now = peers->service->now_ms;
    if (now >= peers->told_ms) {
        peers->told_ms = now + peers->service->options.tick_ms;
        peers->log(peers->arg, ZKS_LOG_WARN, line);
    }
}

bool zks__peer_open(struct zks__peer *p, struct zks__peers *peers, const char *ip,
                    const char *address)
{
    *p = (struct zks__peer){.peers = peers,
                            .in = {.mem = &peers->service->mem},
                            .out = {.open = {.mem = &peers->service->mem}},
                            .next = peers->first,
                            .since_ms = peers->service->now_ms,
                            .began_ms = zks__service_wall_ms(),
                            .last_xid = -1,
                            .authorised = peers->secret == NULL};
    (void)snprintf(p->address, sizeof p->address, "%s", address);
    if (zks__identity_add(&p->identity, "ip", ip) != NULL) {
        zks__identity_close(&p->identity);
        return false;
    }
    if (p->next != NULL) {
        p->next->prev = p;
    }
    peers->first = p;
    peers->n++;
    return true;
}

void zks__peer_mark(struct zks__peer *p)
{
    if (!p->due) {
        p->due = true;
        p->next_due = p->peers->due;
        p->peers->due = p;
    }
}

struct zks__peer *zks__peers_due(struct zks__peers *peers)
{
    struct zks__peer *p = peers->due;
    if (p != NULL) {
        peers->due = p->next_due;
        p->due = false;
    }
    return p;
}

static void unmark(struct zks__peer *p)
{
    struct zks__peer **at = &p->peers->due;
    while (p->due && *at != p) {
        at = &(*at)->next_due;
    }
    if (p->due) {
        *at = p->next_due;
        p->due = false;
    }
}

void zks__peer_cut(struct zks__peer *p)
{
    p->ended = true;
    zks__peer_mark(p);
}

void zks__peer_end(struct zks__peer *p)
{
    p->ending = true;
    p->since_ms = p->peers->service->now_ms;
    zks__peer_mark(p);
}

/* The session is another connection's now, or nobody's. */
static void detach(struct zks__peer *p)
{
    if (p->session.id != 0) {
        zks__watcher_close(zks__tree_watches(p->peers->service->tree), &p->watcher);
        zks__map_remove(&p->peers->by_session, &p->link);
        p->session.id = 0;
    }
    zks__peer_cut(p);
}

void zks__peer_close(struct zks__peer *p)
{
    struct zks__peers *peers = p->peers;
    detach(p);
    unmark(p);
    *(p->prev != NULL ? &p->prev->next : &peers->first) = p->next;
    if (p->next != NULL) {
        p->next->prev = p->prev;
    }
    peers->n--;
    zks__identity_close(&p->identity);
    zks__writer_close(&p->in);
    zks__outbox_close(&p->out);
}

void zks__peers_end_session(struct zks__peers *peers, int64_t session)
{
    struct zks__peer *p = zks__peers_find(peers, session);
    if (p != NULL) {
        detach(p);
    }
    zks__service_close_session(peers->service, session);
}

/* ---- What is sent ---- */

bool zks__peer_hears(const struct zks__peer *p)
{
    return p->ending || (zks__peer_wants(p) && !p->more);
}

bool zks__peer_wants(const struct zks__peer *p)
{
    return !p->ending && !p->ended && zks__outbox_unsent(&p->out) < PAUSE_BYTES &&
           p->out.replies < p->peers->max_outstanding;
}

void zks__peer_arrived(struct zks__peer *p, uint64_t clock_ms)
{
    p->arrived_ms = clock_ms;
}

void zks__peer_released(struct zks__peer *p, uint64_t clock_ms)
{
    if (p->fresh > 0) {
        uint64_t ms = clock_ms - p->arrived_ms;
        zks__figures_answered(&p->figures, p->fresh, ms);
        zks__figures_answered(&p->peers->figures, p->fresh, ms);
        p->answered_ms = clock_ms;
        p->fresh = 0;
    }
}

bool zks__peer_overfull(struct zks__peer *p)
{
    size_t unsent = zks__outbox_unsent(&p->out);
    if (unsent > p->peers->max_unread && !p->ended) {
        zks__peer_say(p, ZKS_LOG_WARN, "it has left %zu bytes unread: cut off", unsent);
        zks__peer_cut(p);
    }
    return p->ended;
}

static void check_out(struct zks__peer *p)
{
    zks__peer_mark(p);
    if (p->out.open.failed) {
        zks__peer_say(p, ZKS_LOG_ERROR, "no memory for what it is to be sent: cut off");
        zks__peer_cut(p);
    } else {
        (void)zks__peer_overfull(p);
    }
}

static void finish_frame(struct zks__peer *p, size_t at)
{
    size_t len = p->out.open.len - at - LENGTH;
    if (!p->out.open.failed && len > INT32_MAX) {
        zks__peer_say(p, ZKS_LOG_ERROR, "an answer of %zu bytes cannot be sent: cut off", len);
        zks__peer_cut(p);
        return;
    }
    zks__set_int(&p->out.open, at, (int32_t)len);
    p->figures.sent++;
    p->peers->figures.sent++;
    check_out(p);
}

size_t zks__begin_reply(struct zks__peer *p, int32_t xid, int64_t zxid, int32_t code)
{
    zks__outbox_begin(&p->out);
    size_t at = p->out.open.len;
    if (xid >= 0) {
        p->last_xid = xid;
        p->last_zxid = zxid;
    }
    zks__put_int(&p->out.open, 0);
    zks__put_int(&p->out.open, xid);
    zks__put_long(&p->out.open, zxid);
    zks__put_int(&p->out.open, code);
    return at;
}

static void finish_reply(struct zks__peer *p, size_t at)
{
    zks__outbox_reply(&p->out);
    p->fresh++;
    finish_frame(p, at);
}

void zks__end_reply(struct zks__peer *p, size_t at)
{
    finish_reply(p, at);
    if (p->drop_reply && !p->out.open.failed) {
        p->drop_reply = false;
        p->out.open.len = at;
        zks__peer_end(p);
    }
}

/* To a ping, or to credentials, which clients send by themselves: no reply to be dropped. */
static void acknowledge(struct zks__peer *p, int32_t xid, int64_t zxid, int32_t code)
{
    finish_reply(p, zks__begin_reply(p, xid, zxid, code));
}

void zks__peers_tell(struct zks__peers *peers, struct zks__watcher *watcher, enum zks__event event,
                     const char *path)
{
    struct zks__peer *p =
        (struct zks__peer *)(void *)((char *)watcher - offsetof(struct zks__peer, watcher));
    const struct zks__ids ids = {p->identity.ids, p->identity.n};
    const struct zks__acl *acl = zks__tree_event_acl(peers->service->tree);
    if (p->ended || !zks__acl_allows(acl, ZKS__PERM_READ, &ids)) {
        return;
    }
    size_t at = zks__begin_reply(p, ZKS__XID_EVENT, zks__tree_event_zxid(peers->service->tree), 0);
    zks__put_int(&p->out.open, (int32_t)event);
    zks__put_int(&p->out.open, STATE_CONNECTED);
    zks__put_text(&p->out.open, path);
    finish_frame(p, at);
}

/* ---- The beginning of a session ---- */

static void answer_connect(struct zks__peer *p)
{
    size_t at = p->out.open.len;
    zks__put_int(&p->out.open, 0);
    zks__put_int(&p->out.open, 0);
    zks__put_int(&p->out.open, (int32_t)p->session.timeout_ms);
    zks__put_long(&p->out.open, p->session.id);
    zks__put_data(&p->out.open, p->session.password, sizeof p->session.password);
    if (!p->old) {
        zks__put_bool(&p->out.open, false);
    }
    finish_frame(p, at);
}

static void attach(struct zks__peer *p, const struct zks__session *session)
{
    struct zks__peer *other = zks__peers_find(p->peers, session->id);
    if (other != NULL) {
        detach(other);
    }
    p->session = *session;
    zks__map_add(&p->peers->by_session, &p->link, hash_of(session->id));
    answer_connect(p);
}

/* It has ended, or the password is wrong: which of them is not told. */
static void refuse_session(struct zks__peer *p)
{
    answer_connect(p);
    zks__peer_end(p);
}

static void begin_session(struct zks__peer *p, const struct zks__session *session)
{
    if (zks__service_open_session(p->peers->service, session) != 0) {
        zks__peer_say(p, ZKS_LOG_ERROR, "there is no room for its session: cut off");
        zks__peer_cut(p);
    }
}

/* Who has not shown the secret yet has to be told a session, for it may not ask for anything else before;
 * nothing is kept of it. */
static void offer_session(struct zks__peer *p, int32_t timeout_ms)
{
    struct zks__session session;
    if (!zks__service_choose_session(p->peers->service, timeout_ms, &session)) {
        zks__peer_cut(p);
        return;
    }
    p->pending = !p->authorised;
    if (p->authorised) {
        begin_session(p, &session);
    }
    if (!p->ended) {
        attach(p, &session);
    }
}

static void take_connect(struct zks__peer *p, struct zks__reader *r)
{
    struct zks__service *s = p->peers->service;
    size_t password_len;
    (void)zks__read_int(r); /* The version of the protocol, of which there is one. */
    int64_t seen = zks__read_long(r);
    int32_t timeout_ms = zks__read_int(r);
    int64_t id = zks__read_long(r);
    const void *password = zks__read_data(r, &password_len);
    p->old = r->at == r->end;
    if (!p->old) {
        (void)zks__read_bool(r);
    }
    if (r->bad || (seen > zks__tree_zxid(s->tree) && id == 0)) {
        zks__peer_say(p, ZKS_LOG_WARN,
                      r->bad ? "it does not speak ZooKeeper's protocol: cut off"
                             : "it has seen what this server does not have: it is another's "
                               "client, or the data was replaced by older: cut off");
        zks__peer_cut(p);
        return;
    }
    /* ZooKeeper's servers cut such a client off, since another one of them may have what it has seen.  Here
     * there is no other, and only "expired" makes it begin a new session. */
    if (seen > zks__tree_zxid(s->tree)) {
        zks__peer_say(p, ZKS_LOG_WARN,
                      "it has seen what this server does not have: it is another's client, or the "
                      "data was lost or replaced by older: its session has expired");
        refuse_session(p);
        return;
    }
    if (id == 0) {
        offer_session(p, timeout_ms);
        return;
    }
    const struct zks__session *session = zks__tree_session(s->tree, id);
    if (session == NULL || password_len != sizeof session->password ||
        memcmp(password, session->password, password_len) != 0 ||
        zks__sessions_touch(&s->sessions, id, s->now_ms) != 0) {
        refuse_session(p);
        return;
    }
    attach(p, session);
}

/* ---- Requests ---- */

static void take_auth(struct zks__peer *p, int32_t xid, struct zks__reader *r)
{
    size_t len;
    const char *secret = p->peers->secret;
    (void)zks__read_int(r);
    const char *scheme = zks__read_text(r);
    const void *credentials = zks__read_data(r, &len);
    const char *fault = NULL;
    if (r->bad) {
        fault = "they are no credentials";
    } else if (strcmp(scheme, "zksync") == 0) {
        fault =
            secret == NULL || zks__same_secret(credentials, len, secret) ? NULL : "wrong secret";
        p->authorised = p->authorised || fault == NULL;
        if (fault == NULL && p->pending) {
            p->pending = false;
            begin_session(p, &p->session);
        }
    } else if (strcmp(scheme, "digest") == 0) {
        fault = zks__identity_add_digest(&p->identity, credentials, len);
    } else if (strcmp(scheme, "ip") != 0) {
        fault = "the scheme is unknown";
    }
    acknowledge(p, xid, 0, fault == NULL ? 0 : ZKS__Z_AUTHFAILED);
    if (fault != NULL) {
        zks__peer_say(p, ZKS_LOG_WARN, "its credentials of the scheme \"%.32s\" were refused: %s",
                      scheme, fault);
        zks__peer_end(p);
    }
}

static void take_close(struct zks__peer *p, int32_t xid)
{
    struct zks__service *s = p->peers->service;
    if (!p->pending) {
        zks__service_close_session(s, p->session.id);
    }
    detach(p);
    p->ended = false;
    zks__end_reply(p, zks__begin_reply(p, xid, zks__tree_zxid(s->tree), 0));
    zks__peer_end(p);
}

static void take_request(struct zks__peer *p, struct zks__reader *r)
{
    struct zks__service *s = p->peers->service;
    int32_t xid = zks__read_int(r);
    int32_t opcode = zks__read_int(r);
    p->requests++;
    p->peers->requests++;
    p->last_opcode = opcode;
    if (r->bad) {
        zks__peer_say(p, ZKS_LOG_WARN, "a request of less than 8 bytes: cut off");
        zks__peer_cut(p);
        return;
    }
    (void)zks__sessions_touch(&s->sessions, p->session.id, s->now_ms);
    switch (opcode) {
    case ZKS__PING:
        acknowledge(p, ZKS__XID_PING, zks__tree_zxid(s->tree), 0);
        break;
    case ZKS__AUTH:
        take_auth(p, xid, r);
        break;
    case ZKS__CLOSE_SESSION:
        take_close(p, xid);
        break;
    default:
        if (p->authorised) {
            zks__request(p, xid, opcode, r);
        } else {
            acknowledge(p, xid, zks__tree_zxid(s->tree), ZKS__Z_AUTHFAILED);
        }
        break;
    }
    if (p->peers->scratch.size > KEEP_SCRATCH) {
        zks__writer_close(&p->peers->scratch);
    }
}

/* ---- Bytes ---- */

static size_t frame_length(const unsigned char *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

/* Carries out the frame at the beginning of what has come; returns its length, 0 where it is not there as
 * a whole. */
static size_t take_frame(struct zks__peer *p, unsigned char *at, size_t len)
{
    if (len < LENGTH) {
        return 0;
    }
    bool first = p->session.id == 0;
    if (first && zks__words(p, at)) {
        zks__peer_end(p);
        return len;
    }
    size_t frame = frame_length(at);
    size_t most = p->peers->max_frame;
    most = !p->authorised && most > FRAME_FIRST ? FRAME_FIRST : most;
    if (frame > most) {
        zks__peer_say(p, ZKS_LOG_WARN, "a request of %zu bytes, and %zu are the most: cut off",
                      frame, most);
        zks__peer_cut(p);
        return 0;
    }
    if (len - LENGTH < frame) {
        return 0;
    }
    struct zks__reader r = {at + LENGTH, at + LENGTH + frame, false};
    p->figures.received++;
    p->peers->figures.received++;
    if (first) {
        take_connect(p, &r);
    } else {
        take_request(p, &r);
    }
    return LENGTH + frame;
}

void zks__peer_take(struct zks__peer *p)
{
    size_t taken = 0;
    size_t last = 1;
    uint64_t until_ms = zks__service_clock_ms() + TURN_MS;
    p->more = false;
    while (last > 0 && p->in.len > taken && zks__peer_wants(p) &&
           zks__service_clock_ms() < until_ms) {
        last = take_frame(p, p->in.bytes + taken, p->in.len - taken);
        taken += last;
    }
    if (taken > 0 && !p->ended) {
        memmove(p->in.bytes, p->in.bytes + taken, p->in.len - taken);
        p->in.len -= taken;
    }
    if (p->in.len == 0) {
        zks__writer_close(&p->in); /* A thousand idle clients need none. */
    }
    if (last > 0 && p->in.len >= LENGTH) {
        p->more = true;
        zks__peer_mark(p);
    }
}
