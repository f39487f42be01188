/* SPDX-License-Identifier: Apache-2.0 */
/* A server serves its clients: a session's requests are answered in their order. */
#include "server.h"

#include <string.h>

#include "fold.h"
#include "memory.h"
#include "refusal.h"

static const struct zks__who everybody = {0, {NULL, 0}};

struct answer *server_answer(struct server *s, struct request *r, int code)
{
    struct answer *a = memory_get(sizeof *a);
    a->tell = TELL_REPLY;
    a->request = r;
    a->code = code;
    a->zxid = zks__tree_zxid(s->tree);
    return a;
}

static void send(struct conn *c, struct answer *a)
{
    if (c->client != NULL) {
        channel_send(&c->down, &a->parcel);
    }
}

static void on_event(void *arg, struct zks__watcher *watcher, enum zks__event event,
                     const char *path)
{
    struct conn *c = (struct conn *)(void *)((char *)watcher - offsetof(struct conn, watcher));
    struct server *s = arg;
    struct answer *a = server_answer(s, NULL, 0);
    a->tell = TELL_EVENT;
    a->event = event;
    a->path = strcpy(memory_get(strlen(path) + 1), path);
    send(c, a);
}

static void passed_on(struct channel *ch, struct parcel *p)
{
    struct server *s = ch->owner;
    if (s->paused_until > sched_now()) {
        channel_return(ch, p, s->paused_until);
    } else if (s->leader != NULL) {
        replica_forward(s, (struct request *)p);
    }
}

void server_begin(struct server *s, unsigned number)
{
    static const struct zks__tree_limits none = {0};
    memset(s, 0, sizeof *s);
    s->number = number;
    s->up = true;
    s->tree = zks__tree_new(&memory_of_trees, &none, on_event, s);
    uint64_t seed = chance_next(&ensemble.chance);
    channel_open(&s->inside, passed_on, s, ensemble.style.inside, chance_of(seed, 0));
    channel_open(&s->behind, replica_carries_out, s, ensemble.style.carry, chance_of(seed, 1));
}

bool server_wait(const struct server *s, struct happening *h)
{
    if (s->paused_until > sched_now()) {
        sched_at(h, s->paused_until);
        return true;
    }
    return false;
}

/* ---- Connections ---- */

static void forget_conn(struct conn *c)
{
    struct server *s = c->server;
    for (struct conn **at = &s->conns; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    zks__watcher_close(zks__tree_watches(s->tree), &c->watcher);
    channel_clear(&c->up);
    c->first_pending = NULL;
    c->last_pending = &c->first_pending;
    c->server = NULL;
}

/* The server closes a connection: what it has sent still arrives. */
static void close_conn(struct conn *c)
{
    struct answer *a = server_answer(c->server, NULL, 0);
    a->tell = TELL_END;
    send(c, a);
    forget_conn(c);
}

void server_close_conns(struct server *s)
{
    while (s->conns != NULL) {
        close_conn(s->conns);
    }
}

void server_close_session(struct server *s, int64_t session, const struct conn *but)
{
    struct conn *next;
    for (struct conn *c = s->conns; c != NULL; c = next) {
        next = c->next;
        if (c->session == session && c != but) {
            close_conn(c);
        }
    }
}

/* ---- Reads ---- */

static void read_children(struct server *s, struct request *r, struct answer *a)
{
    const struct zks__znode *first;
    a->code = zks__tree_children(s->tree, &everybody, r->path, r->watch ? &r->conn->watcher : NULL,
                                 &first, &a->stat);
    if (a->code != 0) {
        return;
    }
    size_t bytes = 0;
    for (const struct zks__znode *z = first; z != NULL; z = zks__tree_next_child(z)) {
        a->n_children++;
        bytes += strlen(zks__tree_child_name(z)) + 1;
    }
    a->children = memory_get(a->n_children * sizeof(char *) + bytes + 1);
    char *text = (char *)(a->children + a->n_children);
    size_t i = 0;
    for (const struct zks__znode *z = first; z != NULL; z = zks__tree_next_child(z)) {
        a->children[i++] = text;
        text = strcpy(text, zks__tree_child_name(z)) + strlen(text) + 1;
    }
}

static void read_data(struct server *s, struct request *r, struct answer *a)
{
    const void *data;
    a->code = zks__tree_get(s->tree, &everybody, r->path, r->watch ? &r->conn->watcher : NULL,
                            &data, &a->stat);
    if (a->code == 0 && data != NULL) {
        size_t len = (size_t)a->stat.data_length;
        a->data = memory_get(len + 1);
        memcpy(a->data, data, len);
    }
}

static int unwatch(struct server *s, struct request *r)
{
    bool children = r->watches[0].what == ZKS__WATCHED_CHILDREN;
    bool removed = zks__tree_unwatch(
        s->tree, r->path, children ? ZKS__TYPE_CHILDREN : ZKS__TYPE_DATA, &r->conn->watcher);
    return removed ? 0 : ZKS__Z_NOWATCHER;
}

static struct answer *read(struct server *s, struct request *r)
{
    struct answer *a = server_answer(s, r, 0);
    switch (r->ask) {
    case ASK_EXISTS:
        a->code = zks__tree_exists(s->tree, &everybody, r->path,
                                   r->watch ? &r->conn->watcher : NULL, &a->stat);
        break;
    case ASK_GET:
        read_data(s, r, a);
        break;
    case ASK_CHILDREN:
        read_children(s, r, a);
        break;
    case ASK_REWATCH:
        for (size_t i = 0; i < r->n_watches; i++) {
            const struct had_watch *w = &r->watches[i];
            zks__tree_rewatch(s->tree, w->what, w->existed, w->path, r->zxid, &r->conn->watcher);
        }
        break;
    case ASK_UNWATCH:
        a->code = unwatch(s, r);
        break;
    default:
        break;
    }
    return a;
}

/* ---- Requests ---- */

static bool is_read(const struct request *r)
{
    return r->ask == ASK_EXISTS || r->ask == ASK_GET || r->ask == ASK_CHILDREN ||
           r->ask == ASK_REWATCH || r->ask == ASK_UNWATCH;
}

/* Answers what can be answered: a read waits for the writes before it. */
static void drain(struct conn *c)
{
    struct server *s = c->server;
    while (c->first_pending != NULL) {
        struct request *r = c->first_pending;
        if (!is_read(r) && !r->done) {
            return;
        }
        c->first_pending = r->next_pending;
        if (c->first_pending == NULL) {
            c->last_pending = &c->first_pending;
        }
        send(c, r->done ? r->answer : read(s, r));
    }
}

void server_done(struct request *r, struct answer *a)
{
    struct conn *c = r->conn;
    if (c == NULL) {
        if (r->injected != NULL) {
            r->injected(r->arg, a->code, a->path);
        }
        return;
    }
    if (c->server == NULL) {
        return; /* The connection has gone meanwhile. */
    }
    if (a->code == ZKS__Z_SESSIONMOVED) {
        close_conn(c);
        return;
    }
    r->done = true;
    r->answer = a;
    if (r->ask != ASK_CONNECT) {
        drain(c);
        return;
    }
    send(c, a);
    if (a->tell == TELL_EXPIRED) {
        close_conn(c);
        return;
    }
    c->session = a->session;
    c->connected = true;
}

static void hear(struct server *s, int64_t session)
{
    if (session == 0) {
        return;
    }
    if (s->leader == s) {
        replica_heard(s, session);
    } else {
        uint64_t n = (uint64_t)session % SESSIONS_MAX;
        s->heard[n / 64] |= UINT64_C(1) << (n % 64);
    }
}

static void connect_arrived(struct server *s, struct request *r)
{
    if (s->leader == NULL || r->zxid > zks__tree_zxid(s->tree)) {
        close_conn(r->conn); /* It does not serve, or is behind what the client has seen. */
        return;
    }
    /* Whatever the session has asked for on another connection and is not read yet is lost.  This goes
     * to the leader past what has been read before. */
    if (r->session != 0) {
        server_close_session(s, r->session, r->conn);
    }
    replica_forward(s, r);
}

/* The leader's own clients are known to it at once; a follower answers reads without asking. */
static bool is_over(struct server *s, const struct conn *c)
{
    return s->leader == s && zks__sessions_check(&s->sessions, c->session, s) != 0;
}

static void arrived(struct channel *ch, struct parcel *p)
{
    struct request *r = (struct request *)p;
    struct conn *c = ch->owner;
    struct server *s = c->server;
    if (s == NULL) {
        return;
    }
    if (s->paused_until > sched_now()) {
        channel_return(ch, p, s->paused_until);
        return;
    }
    if (r->ask == ASK_CONNECT) {
        connect_arrived(s, r);
        return;
    }
    if (r->ask == ASK_END) {
        forget_conn(c);
        return;
    }
    if (!c->connected) {
        return;
    }
    hear(s, c->session);
    if (is_read(r) && is_over(s, c)) {
        r->done = true;
        r->answer = server_answer(s, r, ZKS__Z_SESSIONEXPIRED);
    }
    int refused = refusal_of((unsigned)c->number, r);
    if (refused != 0 && !r->done) {
        r->done = true;
        r->answer = server_answer(s, r, refused);
    }
    *c->last_pending = r;
    c->last_pending = &r->next_pending;
    if (!is_read(r) && !r->done && ensemble.style.inside > 0) {
        channel_send(&s->inside, &r->parcel);
    } else if (!is_read(r) && !r->done) {
        replica_forward(s, r);
    }
    drain(c);
}

/* The client's side is the client's: see client.c. */
static void at_client(struct channel *ch, struct parcel *p)
{
    struct conn *c = ch->owner;
    if (c->client != NULL) {
        client_arrived(c, (struct answer *)p);
    }
}

struct conn *ensemble_connect(unsigned server, void *client, int number, uint64_t least,
                              uint64_t longest, struct chance chance)
{
    struct server *s = &ensemble.servers[server];
    if (!s->up) {
        return NULL;
    }
    struct conn *c = memory_get(sizeof *c);
    struct chance back = {chance_next(&chance)};
    c->client = client;
    c->number = number;
    c->server = s;
    c->last_pending = &c->first_pending;
    channel_open(&c->up, arrived, c, longest, chance);
    channel_open(&c->down, at_client, c, longest, back);
    c->up.least = c->down.least = least;
    c->next = s->conns;
    s->conns = c;
    return c;
}

static void send_end(struct conn *c)
{
    struct request *end = memory_get(sizeof *end);
    end->ask = ASK_END;
    end->conn = c;
    channel_send(&c->up, &end->parcel);
}

void conn_drop(struct conn *c)
{
    channel_clear(&c->down);
    c->client = NULL;
    if (c->server != NULL) {
        send_end(c);
    }
}

void conn_cut(struct conn *c, bool both)
{
    struct answer *end = memory_get(sizeof *end);
    if (!channel_exploring()) {
        channel_cut(&c->up);
        channel_cut(&c->down);
    } else {
        channel_clear(&c->down);
        if (both) {
            channel_clear(&c->up);
        }
    }
    if (c->server != NULL) {
        send_end(c);
    }
    if (c->client != NULL) {
        end->tell = TELL_END;
        channel_send(&c->down, &end->parcel);
    }
}

uint64_t server_hash(const struct server *s, uint64_t hash)
{
    for (const struct conn *c = s->conns; c != NULL; c = c->next) {
        hash = fold(fold(hash, (uint64_t)c->number), (uint64_t)c->session);
        hash = fold(hash, c->connected);
        for (const struct parcel *p = c->up.first; p != NULL; p = p->next) {
            hash = fold_request(hash, (const struct request *)p);
        }
        for (const struct request *r = c->first_pending; r != NULL; r = r->next_pending) {
            hash = fold_request(fold(hash, 2), r);
        }
    }
    return hash;
}
