/* SPDX-License-Identifier: Apache-2.0 */
/* A libzookeeper whose network is the simulated one: its handles, with the same order of events and
 * answers, the same doubts after a lost connection, and the same watches.  What the driver asks for is in
 * requests.c. */
#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "memory.h"
#include "observe.h"
#include "zhandle.h"

const int ZOO_EXPIRED_SESSION_STATE = -112;
const int ZOO_AUTH_FAILED_STATE = -113;
const int ZOO_CONNECTING_STATE = 1;
const int ZOO_ASSOCIATING_STATE = 2;
const int ZOO_CONNECTED_STATE = 3;
const int ZOO_SESSION_EVENT = -1;

static struct _zhandle *of_connect(struct happening *h)
{
    return (struct _zhandle *)(void *)((char *)h - offsetof(struct _zhandle, connect));
}

static struct _zhandle *of_silence(struct happening *h)
{
    return (struct _zhandle *)(void *)((char *)h - offsetof(struct _zhandle, silence));
}

/* ---- Answers to the driver ---- */

static void to_stat(struct Stat *out, const struct zks__znode_stat *in)
{
    *out = (struct Stat){.czxid = in->czxid,
                         .mzxid = in->mzxid,
                         .pzxid = in->pzxid,
                         .ctime = in->ctime,
                         .mtime = in->mtime,
                         .version = in->version,
                         .cversion = in->cversion,
                         .aversion = in->aversion,
                         .ephemeralOwner = in->ephemeral_owner,
                         .dataLength = in->data_length,
                         .numChildren = in->num_children};
}

void call_complete(struct call *c, int rc, const struct answer *a)
{
    struct Stat stat = {0};
    struct String_vector children = {0, NULL};
    if (a != NULL && rc == ZOK) {
        to_stat(&stat, &a->stat);
        children.count = (int32_t)a->n_children;
        memcpy(&children.data, &a->children, sizeof children.data);
    }
    switch (c->kind) {
    case TO_VOID:
        c->completion.to_void(rc, c->data);
        break;
    case TO_STAT:
        c->completion.to_stat(rc, rc == ZOK ? &stat : NULL, c->data);
        break;
    case TO_DATA:
        c->completion.to_data(rc, rc == ZOK ? a->data : NULL,
                              rc == ZOK && a->data != NULL ? a->stat.data_length : -1,
                              rc == ZOK ? &stat : NULL, c->data);
        break;
    case TO_CHILDREN:
        c->completion.to_children(rc, rc == ZOK ? &children : NULL, rc == ZOK ? &stat : NULL,
                                  c->data);
        break;
    case TO_STRING:
        c->completion.to_string(rc, c->request.path, c->data);
        break;
    case TO_CREATED:
        c->completion.to_created(rc, rc == ZOK ? a->path : NULL, rc == ZOK ? &stat : NULL, c->data);
        break;
    }
}

static struct call *pop(struct _zhandle *zh)
{
    struct call *c = zh->first;
    zh->first = c->next;
    if (zh->first == NULL) {
        zh->last = &zh->first;
    }
    return c;
}

/* All that was asked for ends with an error that says nothing of what was carried out. */
static void fail_all(struct _zhandle *zh, int rc)
{
    while (zh->first != NULL) {
        struct call *c = pop(zh);
        call_complete(c, rc, NULL);
    }
}

static void session_event(struct _zhandle *zh, int state)
{
    zh->watcher(zh, ZOO_SESSION_EVENT, state, NULL, zh->context);
}

static void connect_soon(struct _zhandle *zh)
{
    uint64_t after = chance_below(&zh->process->chance, 4) * MS;
    if (zh->tried % zh->process->style.n_servers == 0 && zh->tried > 0) {
        after += (uint64_t)zh->timeout_ms * MS / 60; /* All have been tried in vain. */
    }
    sched_after(&zh->connect, channel_exploring() ? 0 : after);
}

/* The connection is gone: first the event, then the errors. */
static void disconnected(struct _zhandle *zh, int rc)
{
    bool was_connected = zh->state == ZOO_CONNECTED_STATE;
    if (zh->conn != NULL) {
        conn_drop(zh->conn);
        zh->conn = NULL;
    }
    zh->state = ZOO_CONNECTING_STATE;
    sched_at(&zh->silence, NEVER);
    if (was_connected) {
        session_event(zh, ZOO_CONNECTING_STATE);
    }
    fail_all(zh, rc);
    connect_soon(zh);
}

/* ---- Watches ---- */

static bool same_watch(const struct registration *a, const struct registration *b)
{
    return a->what == b->what && a->existed == b->existed && a->fn == b->fn &&
           a->context == b->context && strcmp(a->path, b->path) == 0;
}

static void set_watch(struct _zhandle *zh, struct registration *w)
{
    for (struct registration *r = zh->watches; r != NULL; r = r->next) {
        if (same_watch(r, w)) {
            return;
        }
    }
    w->next = zh->watches;
    zh->watches = w;
}

static void remove_watches(struct _zhandle *zh, const struct had_watch *gone)
{
    struct registration **at = &zh->watches;
    while (*at != NULL) {
        struct registration *w = *at;
        if (w->what == gone->what && strcmp(w->path, gone->path) == 0) {
            *at = w->next;
        } else {
            at = &w->next;
        }
    }
}

static bool concerns(const struct registration *w, const struct answer *a)
{
    if (strcmp(w->path, a->path) != 0) {
        return false;
    }
    return a->event == ZKS__EVENT_DELETED ||
           (a->event == ZKS__EVENT_CHILDREN_CHANGED) == (w->what == ZKS__WATCHED_CHILDREN);
}

static void fire_watches(struct _zhandle *zh, const struct answer *a)
{
    struct registration *fired = NULL;
    struct registration **at = &zh->watches;
    while (*at != NULL) {
        struct registration *w = *at;
        if (concerns(w, a)) {
            *at = w->next;
            w->next = fired;
            fired = w;
        } else {
            at = &w->next;
        }
    }
    for (; fired != NULL; fired = fired->next) {
        fired->fn(zh, (int)a->event, ZOO_CONNECTED_STATE, a->path, fired->context);
    }
}

/* ---- The connection ---- */

void client_send(struct _zhandle *zh, struct call *c)
{
    c->request.conn = zh->conn;
    channel_send(&zh->conn->up, &c->request.parcel);
}

static void send_watches(struct _zhandle *zh)
{
    size_t n = 0;
    for (struct registration *w = zh->watches; w != NULL; w = w->next) {
        n++;
    }
    if (n == 0) {
        return;
    }
    struct request *r = memory_get(sizeof *r);
    r->ask = ASK_REWATCH;
    r->conn = zh->conn;
    r->zxid = zh->zxid;
    r->watches = memory_get(n * sizeof *r->watches);
    for (struct registration *w = zh->watches; w != NULL; w = w->next) {
        r->watches[r->n_watches++] = (struct had_watch){w->what, w->existed, w->path};
    }
    channel_send(&zh->conn->up, &r->parcel);
}

static void connected(struct _zhandle *zh, const struct answer *a)
{
    zh->state = ZOO_CONNECTED_STATE;
    zh->id.client_id = a->session;
    zh->timeout_ms = (int)a->timeout_ms;
    zh->tried = 0;
    session_event(zh, ZOO_CONNECTED_STATE);
    send_watches(zh);
    for (struct call *c = zh->first; c != NULL; c = c->next) {
        client_send(zh, c);
    }
}

static void expired(struct _zhandle *zh)
{
    zh->state = ZOO_EXPIRED_SESSION_STATE;
    conn_drop(zh->conn);
    zh->conn = NULL;
    sched_at(&zh->silence, NEVER);
    session_event(zh, ZOO_EXPIRED_SESSION_STATE);
    fail_all(zh, ZSESSIONEXPIRED);
}

static void replied(struct _zhandle *zh, const struct answer *a)
{
    if (a->request->ask == ASK_REWATCH) {
        return;
    }
    struct call *c = pop(zh);
    if (c->watch != NULL && (a->code == ZOK || (a->code == ZNONODE && c->kind == TO_STAT))) {
        c->watch->existed = a->code == ZOK;
        set_watch(zh, c->watch);
    }
    if (c->request.ask == ASK_UNWATCH && a->code == ZOK) {
        remove_watches(zh, &c->request.watches[0]);
    }
    if (channel_exploring() && zh->first != NULL && zh->first->data == c->data) {
        zh->first->heard = fold_answer(c->heard, a);
    }
    observe_answer(zh->process, &c->request, a);
    call_complete(c, a->code, a);
}

void client_arrived(struct conn *conn, struct answer *a)
{
    struct _zhandle *zh = conn->client;
    struct process *p = zh->process;
    if (!process_step(p) || zh->conn != conn) {
        return;
    }
    process_enter(p);
    zh->heard_at = sched_now();
    if (a->zxid > zh->zxid) {
        zh->zxid = a->zxid;
    }
    switch (a->tell) {
    case TELL_CONNECTED:
        connected(zh, a);
        break;
    case TELL_EXPIRED:
        expired(zh);
        break;
    case TELL_REPLY:
        replied(zh, a);
        break;
    case TELL_EVENT:
        observe_event(p, a);
        fire_watches(zh, a);
        break;
    case TELL_END:
        disconnected(zh, ZCONNECTIONLOSS);
        break;
    }
    process_leave(p);
    process_told(p);
}

/* It asks the next server to take the session up. */
static void try_connect(struct happening *h)
{
    struct _zhandle *zh = of_connect(h);
    struct process *p = zh->process;
    if (p->paused_until > sched_now()) {
        sched_at(h, p->paused_until);
        return;
    }
    unsigned server = zh->order[zh->tried++ % p->style.n_servers];
    struct chance chance = {chance_next(&p->chance)};
    zh->conn = ensemble_connect(server, zh, p->number, p->style.least, p->style.longest, chance);
    process_enter(p);
    if (zh->conn == NULL) {
        fail_all(zh, ZCONNECTIONLOSS);
        connect_soon(zh);
    } else {
        struct request *r = memory_get(sizeof *r);
        r->ask = ASK_CONNECT;
        r->conn = zh->conn;
        r->session = zh->id.client_id;
        r->timeout_ms = (uint32_t)zh->timeout_ms;
        r->zxid = zh->zxid;
        zh->state = ZOO_ASSOCIATING_STATE;
        zh->heard_at = sched_now();
        channel_send(&zh->conn->up, &r->parcel);
        if (!channel_exploring()) {
            sched_after(&zh->silence, (uint64_t)zh->timeout_ms * MS * 2 / 3);
        }
    }
    process_leave(p);
    process_told(p);
}

/* Nothing has been heard for two thirds of the timeout: the connection is taken for lost. */
static void silence(struct happening *h)
{
    struct _zhandle *zh = of_silence(h);
    struct process *p = zh->process;
    uint64_t limit = (uint64_t)zh->timeout_ms * MS * 2 / 3;
    if (p->paused_until > sched_now()) {
        /* When it goes on it may look at its clock first, or at what has come meanwhile. */
        sched_at(h, p->paused_until + chance_below(&p->chance, 2) * 100);
    } else if (sched_now() - zh->heard_at < limit) {
        sched_at(h, zh->heard_at + limit);
    } else if (process_step(p)) {
        process_enter(p);
        disconnected(zh, ZOPERATIONTIMEOUT);
        process_leave(p);
        process_told(p);
    }
}

/* ---- What befalls it ---- */

void client_cut(struct process *p, bool both)
{
    for (struct _zhandle *zh = p->handles; zh != NULL; zh = zh->next) {
        if (zh->conn != NULL) {
            conn_cut(zh->conn, both);
        }
    }
}

/* One that has no session has seen nothing. */
void client_ahead(struct process *p)
{
    for (struct _zhandle *zh = p->handles; zh != NULL; zh = zh->next) {
        if (zh->id.client_id != 0) {
            zh->zxid = INT64_MAX;
        }
    }
    client_cut(p, true);
}

void client_stall(struct process *p, uint64_t us)
{
    for (struct _zhandle *zh = p->handles; zh != NULL; zh = zh->next) {
        if (zh->conn != NULL) {
            channel_hold(&zh->conn->up, sched_now() + us);
            channel_hold(&zh->conn->down, sched_now() + us);
        }
    }
}

void client_hold(struct process *p)
{
    for (struct _zhandle *zh = p->handles; zh != NULL; zh = zh->next) {
        if (zh->conn != NULL) {
            channel_hold(&zh->conn->down, p->paused_until + chance_below(&p->chance, 2) * 50);
        }
    }
}

static void drop(struct _zhandle *zh)
{
    if (zh->conn != NULL) {
        conn_drop(zh->conn);
        zh->conn = NULL;
    }
    sched_at(&zh->connect, NEVER);
    sched_at(&zh->silence, NEVER);
}

void client_drop_all(struct process *p)
{
    for (; p->handles != NULL; p->handles = p->handles->next) {
        if (p->handles->conn != NULL) {
            channel_cut(&p->handles->conn->up);
        }
        drop(p->handles);
    }
}

int64_t client_session(const struct process *p)
{
    const struct _zhandle *zh = p->handles;
    return zh != NULL && zh->state != ZOO_EXPIRED_SESSION_STATE ? zh->id.client_id : 0;
}

const char *client_watched(const struct process *p)
{
    for (const struct _zhandle *zh = p->handles; zh != NULL; zh = zh->next) {
        if (zh->watches != NULL) {
            return zh->watches->path;
        }
        if (zh->conn != NULL && zh->conn->watcher.first != NULL) {
            return "of which only the server knows";
        }
    }
    return NULL;
}

uint64_t client_hash(const struct process *p, uint64_t hash)
{
    for (const struct _zhandle *zh = p->handles; zh != NULL; zh = zh->next) {
        hash = fold(fold(hash, (uint64_t)zh->state), (uint64_t)zh->id.client_id);
        hash = fold(fold(hash, (uint64_t)zh->zxid), zh->conn != NULL);
        for (struct parcel *a = zh->conn != NULL ? zh->conn->down.first : NULL; a != NULL;
             a = a->next) {
            hash = fold_answer(hash, (const struct answer *)a);
        }
        hash = fold(hash, (uint64_t)sched_planned(&zh->connect) << 8 | zh->tried);
        for (const struct call *c = zh->first; c != NULL; c = c->next) {
            hash = fold(fold_request(hash, &c->request), c->heard);
        }
        uint64_t watches = 0; /* In no order. */
        for (const struct registration *w = zh->watches; w != NULL; w = w->next) {
            watches += fold_text(fold((uint64_t)w->what, w->existed), w->path);
        }
        hash = fold(hash, watches);
    }
    return hash;
}

/* ---- libzookeeper's functions ---- */

zhandle_t *zookeeper_init2(const char *host, watcher_fn fn, int recv_timeout,
                           const clientid_t *clientid, void *context, int flags,
                           log_callback_fn log_callback)
{
    struct process *p = process_current();
    struct _zhandle *zh = memory_get(sizeof *zh);
    (void)host;
    (void)clientid;
    (void)flags;
    (void)log_callback;
    zh->process = p;
    zh->watcher = fn;
    zh->context = context;
    zh->timeout_ms = recv_timeout;
    zh->state = ZOO_CONNECTING_STATE;
    zh->last = &zh->first;
    zh->connect.fire = try_connect;
    zh->silence.fire = silence;
    for (unsigned i = 0; i < p->style.n_servers; i++) {
        unsigned j = (unsigned)chance_below(&p->chance, i + 1);
        zh->order[i] = zh->order[j];
        zh->order[j] = i;
    }
    zh->next = p->handles;
    p->handles = zh;
    connect_soon(zh);
    return zh;
}

int zookeeper_close(zhandle_t *zh)
{
    struct process *p = zh->process;
    if (zh->state == ZOO_CONNECTED_STATE) {
        struct request *r = memory_get(sizeof *r);
        r->ask = ASK_CLOSE;
        r->conn = zh->conn;
        channel_send(&zh->conn->up, &r->parcel);
    }
    /* Whatever has not been answered is dropped without a word. */
    drop(zh);
    zh->closed = true;
    for (struct _zhandle **at = &p->handles; *at != NULL; at = &(*at)->next) {
        if (*at == zh) {
            *at = zh->next;
            break;
        }
    }
    return ZOK;
}

int zoo_set_servers_resolution_delay(zhandle_t *zh, int delay_ms)
{
    (void)zh;
    (void)delay_ms;
    return ZOK;
}

int zoo_add_auth(zhandle_t *zh, const char *scheme, const char *cert, int cert_len,
                 void_completion_t completion, const void *data)
{
    (void)zh;
    (void)scheme;
    (void)cert;
    (void)cert_len;
    (void)completion;
    (void)data;
    return ZOK;
}

const clientid_t *zoo_client_id(zhandle_t *zh)
{
    must_be_open(zh);
    return &zh->id;
}

int zoo_recv_timeout(zhandle_t *zh)
{
    must_be_open(zh);
    return zh->timeout_ms;
}

const void *zoo_get_context(zhandle_t *zh)
{
    return zh->context;
}

int zoo_state(zhandle_t *zh)
{
    must_be_open(zh);
    return zh->state;
}

/* Only a person wants to know, and there is none. */
struct sockaddr *zookeeper_get_connected_host(zhandle_t *zh, struct sockaddr *address,
                                              socklen_t *length)
{
    (void)zh;
    (void)address;
    (void)length;
    return NULL;
}

int is_unrecoverable(zhandle_t *zh)
{
    must_be_open(zh);
    return zh->state < 0 ? ZINVALIDSTATE : ZOK;
}
