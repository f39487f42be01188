/* SPDX-License-Identifier: Apache-2.0 */
/* The log: what the leader orders, the followers carry out. */
#include <string.h>

#include "fold.h"
#include "memory.h"
#include "observe.h"
#include "server.h"

/* From a follower to its leader. */
enum forward { FORWARD_REQUEST, FORWARD_HEARD };

struct to_leader {
    struct parcel parcel;
    enum forward forward;
    struct server *from;
    struct request *request;
    uint64_t heard[HEARD_WORDS];
};

/* From the leader to a follower. */
enum notice { NOTICE_COMMIT, NOTICE_ANSWER, NOTICE_PING };

struct from_leader {
    struct parcel parcel;
    enum notice notice;
    size_t committed;
    struct request *request; /* A sync or a connect that has an answer. */
    bool granted;
};

static bool leads(const struct server *s)
{
    return s->leader == s;
}

static void notify(struct server *follower, const struct from_leader *n)
{
    struct from_leader *copy = memory_get(sizeof *copy);
    *copy = *n;
    channel_send(&follower->from_leader, &copy->parcel);
}

/* ---- Carrying out ---- */

static void carry_out(struct server *s, const struct entry *e, struct answer *a)
{
    const struct zks__who who = {e->session, {NULL, 0}};
    struct request *r = e->request;
    if (r->multi) {
        struct zks__op_result *results = memory_get(r->n_ops * sizeof *results);
        if (!zks__tree_multi(s->tree, &e->txn, &who, r->ops, r->n_ops, results)) {
            size_t at_fault = 0;
            while (results[at_fault].code == 0) {
                at_fault++;
            }
            a->code = results[at_fault].code;
        }
        memory_put(results);
        return;
    }
    struct zks__op_result result;
    zks__tree_write(s->tree, &e->txn, &who, r->ops, &result);
    a->code = result.code;
    a->stat = result.stat;
    if (result.path != NULL && s == e->origin) {
        a->path = strcpy(memory_get(strlen(result.path) + 1), result.path);
    }
}

static void apply(struct server *s, const struct entry *e)
{
    struct answer result = {.code = e->code};
    switch (e->kind) {
    case ENTRY_WRITE:
        carry_out(s, e, &result);
        break;
    case ENTRY_OPEN:
        zks__tree_open_session(s->tree, &e->txn, &e->opening);
        break;
    case ENTRY_CLOSE:
        zks__tree_close_session(s->tree, &e->txn, e->session);
        break;
    case ENTRY_REFUSED:
        zks__tree_idle(s->tree, &e->txn);
        break;
    }
    if (e->request != NULL && s == e->origin) {
        struct answer *a = server_answer(s, e->request, result.code);
        a->stat = result.stat;
        a->path = result.path;
        if (e->kind == ENTRY_OPEN) {
            a->tell = TELL_CONNECTED;
            a->session = e->session;
            a->timeout_ms = e->opening.timeout_ms;
        }
        server_done(e->request, a);
    }
    if (e->kind == ENTRY_CLOSE) {
        server_close_session(s, e->session, NULL);
        if (leads(s)) {
            zks__sessions_remove(&s->sessions, e->session);
        }
    }
}

static void apply_to(struct server *s, size_t n)
{
    while (s->applied < n) {
        apply(s, s->log->entries[s->applied++]);
    }
}

/* ---- The leader ---- */

static bool is_strangers(int64_t session)
{
    return session >= STRANGERS;
}

static void log_add(struct log *log, struct entry *e)
{
    if (log->n == log->max) {
        size_t max = 2 * log->max + 64;
        struct entry **entries = memory_get(max * sizeof(struct entry *));
        if (log->n > 0) {
            memcpy(entries, log->entries, log->n * sizeof(struct entry *));
        }
        memory_put(log->entries);
        log->entries = entries;
        log->max = max;
    }
    log->entries[log->n++] = e;
}

/* When the majority has it: each follower's disk has it some time after the proposal has arrived, and
 * the leader hears of it some time after that. */
static uint64_t majority_at(struct server *leader, struct entry *e)
{
    uint64_t heard[SERVERS_MAX];
    unsigned n = 0;
    uint64_t now = sched_now();
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        uint64_t disk =
            channel_exploring() ? 0 : chance_span(&ensemble.chance, ensemble.style.disk);
        e->accepted_at[i] = NEVER;
        uint64_t at = NEVER;
        if (s == leader) {
            at = e->accepted_at[i] = now + disk;
        } else if (follows(s, leader)) {
            e->accepted_at[i] = channel_reserve(&s->from_leader, now) + disk;
            at = channel_reserve(&s->to_leader, e->accepted_at[i]);
        }
        unsigned j = n++;
        for (; j > 0 && heard[j - 1] > at; j--) {
            heard[j] = heard[j - 1];
        }
        heard[j] = at;
    }
    return heard[ensemble.n / 2];
}

static uint64_t hash_entry(const struct log *log, const struct entry *e)
{
    uint64_t hash = log->n > 0 ? log->entries[log->n - 1]->hash : 0;
    hash = fold(fold(hash, (uint64_t)e->kind), (uint64_t)e->session);
    return e->request != NULL ? fold_request(hash, e->request) : hash;
}

struct entry *replica_append(struct server *leader, enum entry_kind kind, int64_t session,
                             struct request *r, struct server *origin)
{
    struct entry *e = memory_get(sizeof *e);
    int64_t zxid = (int64_t)(leader->epoch << 32) + (int64_t)leader->log->n + 1;
    e->txn = (struct zks__txn){zxid, (int64_t)server_ms(leader)};
    e->kind = kind;
    e->session = session;
    e->request = r;
    e->origin = origin;
    uint64_t at = majority_at(leader, e);
    e->commit_at = at > leader->last_commit_at ? at : leader->last_commit_at;
    leader->last_commit_at = e->commit_at;
    if (channel_exploring()) {
        e->hash = hash_entry(leader->log, e);
    }
    log_add(leader->log, e);
    if (leader->committed + 1 == leader->log->n) {
        sched_at(&leader->commit, e->commit_at);
    }
    return e;
}

/* Whoever has turned to another leader since does not count any more. */
static bool has_majority(const struct server *leader, const struct entry *e)
{
    unsigned n = 1;
    for (unsigned i = 0; i < ensemble.n; i++) {
        n += follows(&ensemble.servers[i], leader) && e->accepted_at[i] <= sched_now();
    }
    return n > ensemble.n / 2;
}

static void commit(struct happening *h)
{
    struct server *s = (struct server *)(void *)((char *)h - offsetof(struct server, commit));
    if (server_wait(s, h)) {
        return;
    }
    while (leads(s) && s->committed < s->log->n &&
           s->log->entries[s->committed]->commit_at <= sched_now() &&
           has_majority(s, s->log->entries[s->committed])) {
        s->committed++;
        apply_to(s, s->committed);
        const struct from_leader n = {.notice = NOTICE_COMMIT, .committed = s->committed};
        for (unsigned i = 0; i < ensemble.n; i++) {
            if (follows(&ensemble.servers[i], s)) {
                notify(&ensemble.servers[i], &n);
            }
        }
    }
    if (leads(s) && s->committed < s->log->n) {
        uint64_t at = s->log->entries[s->committed]->commit_at;
        sched_at(h, at > sched_now() ? at : sched_now() + (uint64_t)ensemble.style.tick_ms * MS);
    }
}

void replica_heard(struct server *leader, int64_t session)
{
    if (zks__sessions_touch(&leader->sessions, session, server_ms(leader)) == 0) {
        leader->heard_at[session % SESSIONS_MAX] = sched_now();
    }
}

static void open_session(struct server *leader, struct request *r, struct server *origin)
{
    int64_t id = ++ensemble.sessions;
    uint32_t timeout = zks__sessions_grant(&leader->sessions, (int32_t)r->timeout_ms);
    zks__sessions_add(&leader->sessions, id, timeout, server_ms(leader));
    replica_heard(leader, id);
    zks__sessions_attach(&leader->sessions, id, origin, server_ms(leader));
    ensemble.latest[id % SESSIONS_MAX] = r->conn;
    replica_append(leader, ENTRY_OPEN, id, r, origin)->opening =
        (struct zks__session){.id = id, .timeout_ms = timeout};
}

/* A sync is answered behind what has been ordered, a connect at once. */
static void answer(struct server *origin, struct request *r, bool granted)
{
    struct answer *a = server_answer(origin, r, 0);
    if (r->ask == ASK_CONNECT) {
        a->tell = granted ? TELL_CONNECTED : TELL_EXPIRED;
        a->session = r->session;
        a->timeout_ms = r->timeout_ms;
        const struct zks__session *session = zks__tree_session(origin->tree, r->session);
        if (session != NULL) {
            a->timeout_ms = session->timeout_ms;
        }
    }
    server_done(r, a);
}

static void send_answer(struct server *leader, struct server *origin, struct request *r,
                        bool granted)
{
    if (origin == leader) {
        answer(origin, r, granted);
    } else {
        notify(origin,
               &(struct from_leader){.notice = NOTICE_ANSWER, .request = r, .granted = granted});
    }
}

struct sync_wait {
    struct happening happening;
    struct server *leader;
    struct server *origin;
    struct request *request;
    uint64_t epoch;
    size_t behind;
};

static void sync_due(struct happening *h)
{
    struct sync_wait *w = (struct sync_wait *)h;
    if (w->epoch != w->leader->epoch || !leads(w->leader) ||
        (w->origin != w->leader && !follows(w->origin, w->leader))) {
        return;
    }
    if (server_wait(w->leader, h)) {
        return;
    }
    if (w->leader->committed < w->behind) {
        /* No sooner than the next commit; never where that waits for followers that have gone. */
        if (sched_planned(&w->leader->commit)) {
            sched_at(h, w->leader->commit.timer.at_ms + 1);
        }
        return;
    }
    send_answer(w->leader, w->origin, w->request, true);
}

/* A leader answers its own clients at once, as real ones do. */
static void sync(struct server *leader, struct request *r, struct server *origin)
{
    if (origin == leader || leader->committed == leader->log->n) {
        send_answer(leader, origin, r, true);
        return;
    }
    struct sync_wait *w = memory_get(sizeof *w);
    w->happening.fire = sync_due;
    w->leader = leader;
    w->origin = origin;
    w->request = r;
    w->epoch = leader->epoch;
    w->behind = leader->log->n;
    sched_at(&w->happening, leader->log->entries[w->behind - 1]->commit_at + 1);
}

/* The leader takes a request that came to `origin`. */
static void take(struct server *leader, struct request *r, struct server *origin)
{
    int64_t session = r->conn->session;
    int code;
    switch (r->ask) {
    case ASK_CONNECT:
        if (r->session == 0) {
            open_session(leader, r, origin);
        } else {
            code = zks__sessions_attach(&leader->sessions, r->session, origin, server_ms(leader));
            if (code == 0) {
                replica_heard(leader, r->session);
                ensemble.latest[r->session % SESSIONS_MAX] = r->conn;
            }
            send_answer(leader, origin, r, code == 0);
        }
        break;
    case ASK_SYNC:
        sync(leader, r, origin);
        break;
    case ASK_CLOSE:
        zks__sessions_closing(&leader->sessions, session);
        replica_append(leader, ENTRY_CLOSE, session, r, origin);
        break;
    default:
        code = zks__sessions_check(&leader->sessions, session, origin);
        if (code == 0 && ensemble.latest[session % SESSIONS_MAX] != r->conn) {
            observe_late(r);
        }
        replica_append(leader, code == 0 ? ENTRY_WRITE : ENTRY_REFUSED, session, r, origin)->code =
            code;
        break;
    }
}

void replica_forward(struct server *s, struct request *r)
{
    if (leads(s)) {
        take(s, r, s);
        return;
    }
    struct to_leader *t = memory_get(sizeof *t);
    t->forward = FORWARD_REQUEST;
    t->from = s;
    t->request = r;
    channel_send(&s->to_leader, &t->parcel);
}

/* Puts a parcel back that came to a server that stands still. */
static bool put_back(const struct server *s, struct channel *ch, struct parcel *p)
{
    if (s->paused_until <= sched_now()) {
        return false;
    }
    channel_return(ch, p, s->paused_until);
    return true;
}

static void at_leader(struct channel *ch, struct parcel *p)
{
    struct to_leader *t = (struct to_leader *)p;
    struct server *leader = t->from->leader;
    if (leader == NULL || put_back(leader, ch, p) || !follows(t->from, leader)) {
        return;
    }
    if (t->forward == FORWARD_REQUEST) {
        take(leader, t->request, t->from);
        return;
    }
    for (int64_t id = 0; id < SESSIONS_MAX; id++) {
        if (t->heard[id / 64] == 0) {
            id |= 63;
        } else if (t->heard[id / 64] >> (id % 64) & 1) {
            replica_heard(leader, id);
        }
    }
}

static void ping(struct happening *h)
{
    struct server *s = (struct server *)(void *)((char *)h - offsetof(struct server, ping));
    if (server_wait(s, h)) {
        return;
    }
    for (unsigned i = 0; i < ensemble.n; i++) {
        if (follows(&ensemble.servers[i], s)) {
            notify(&ensemble.servers[i], &(struct from_leader){.notice = NOTICE_PING});
        }
    }
    sched_after(h, (uint64_t)ensemble.style.tick_ms * MS / 2);
}

/* Once a tick, by the leader's clock. */
static void look(struct happening *h)
{
    struct server *s = (struct server *)(void *)((char *)h - offsetof(struct server, look));
    if (server_wait(s, h)) {
        return;
    }
    uint64_t now_ms = server_ms(s);
    for (int64_t id = zks__sessions_expired(&s->sessions, now_ms); id != 0;
         id = zks__sessions_expired(&s->sessions, now_ms)) {
        replica_append(s, ENTRY_CLOSE, id, NULL, s);
    }
    sched_after(h, (s->sessions.next_ms - now_ms) * MS);
}

void replica_lead(struct server *s)
{
    struct log *log = memory_get(sizeof *log);
    size_t n = replica_accepted(s);
    for (size_t i = 0; i < n; i++) {
        log_add(log, s->log->entries[i]);
    }
    s->log = log;
    s->leader = s;
    s->epoch = ensemble.epoch;
    s->committed = n;
    s->last_commit_at = sched_now();
    s->commit.fire = commit;
    s->ping.fire = ping;
    s->look.fire = look;
    zks__sessions_init(&s->sessions, &memory_of_trees, ensemble.style.tick_ms, 0, 0, server_ms(s));
    apply_to(s, n);
    for (const struct zks__session *e = zks__tree_next_session(s->tree, NULL); e != NULL;
         e = zks__tree_next_session(s->tree, e)) {
        if (!is_strangers(e->id)) {
            zks__sessions_add(&s->sessions, e->id, e->timeout_ms, server_ms(s));
            replica_heard(s, e->id);
        }
    }
    if (!channel_exploring()) {
        uint64_t half_tick = (uint64_t)ensemble.style.tick_ms * MS / 2;
        sched_after(&s->ping, chance_below(&ensemble.chance, half_tick));
        sched_after(&s->look, (s->sessions.next_ms - server_ms(s)) * MS);
    }
}

/* ---- A follower ---- */

void replica_carries_out(struct channel *ch, struct parcel *p)
{
    struct from_leader *n = (struct from_leader *)p;
    struct server *s = ch->owner;
    if (put_back(s, ch, p)) {
        return;
    }
    if (n->notice == NOTICE_COMMIT) {
        apply_to(s, n->committed);
    } else {
        answer(s, n->request, n->granted);
    }
}

/* What is committed waits for its turn, and syncs behind it.  Who connects does not wait for that. */
static void carry_out_later(struct server *s, struct from_leader *n)
{
    if (ensemble.style.carry > 0) {
        channel_send(&s->behind, &n->parcel);
    } else {
        replica_carries_out(&s->behind, &n->parcel);
    }
}

static void at_follower(struct channel *ch, struct parcel *p)
{
    struct from_leader *n = (struct from_leader *)p;
    struct server *s = ch->owner;
    if (put_back(s, ch, p)) {
        return;
    }
    switch (n->notice) {
    case NOTICE_COMMIT:
        carry_out_later(s, n);
        break;
    case NOTICE_ANSWER:
        if (n->request->ask == ASK_CONNECT) {
            answer(s, n->request, n->granted);
        } else {
            carry_out_later(s, n);
        }
        break;
    case NOTICE_PING: {
        struct to_leader *t = memory_get(sizeof *t);
        t->forward = FORWARD_HEARD;
        t->from = s;
        memcpy(t->heard, s->heard, sizeof t->heard);
        memset(s->heard, 0, sizeof s->heard);
        channel_send(&s->to_leader, &t->parcel);
        break;
    }
    }
}

size_t replica_accepted(const struct server *s)
{
    size_t n = s->applied > s->accepted ? s->applied : s->accepted;
    while (s->log != NULL && s->leader != NULL && n < s->log->n &&
           s->log->entries[n]->accepted_at[s->number] <= sched_now()) {
        n++;
    }
    return n;
}

/* What it lacks of the log it gets at once; what is under way it accepts like the others. */
void replica_follow(struct server *s, struct server *leader)
{
    s->log = leader->log;
    s->leader = leader;
    s->epoch = leader->epoch;
    s->accepted = 0;
    memset(s->heard, 0, sizeof s->heard);
    channel_open(&s->to_leader, at_leader, s, ensemble.style.longest,
                 chance_of(chance_next(&ensemble.chance), 0));
    channel_open(&s->from_leader, at_follower, s, ensemble.style.longest,
                 chance_of(chance_next(&ensemble.chance), 0));
    apply_to(s, leader->committed);
    for (size_t i = leader->committed; i < leader->log->n; i++) {
        leader->log->entries[i]->accepted_at[s->number] = sched_now();
    }
}

void replica_stop(struct server *s)
{
    if (s->leader == NULL) {
        return;
    }
    s->accepted = replica_accepted(s);
    if (leads(s)) {
        sched_at(&s->commit, NEVER);
        sched_at(&s->ping, NEVER);
        sched_at(&s->look, NEVER);
        zks__sessions_close(&s->sessions);
    } else {
        channel_close(&s->to_leader);
        channel_close(&s->from_leader);
    }
    s->leader = NULL;
    channel_clear(&s->inside);
    channel_clear(&s->behind);
    server_close_conns(s);
}

uint64_t replica_hash(const struct server *s, uint64_t hash)
{
    hash = fold(hash, s->applied);
    hash =
        s->log != NULL && s->log->n > 0 ? fold(hash, s->log->entries[s->log->n - 1]->hash) : hash;
    if (s->leader == NULL || leads(s)) {
        return hash;
    }
    for (const struct parcel *p = s->to_leader.first; p != NULL; p = p->next) {
        const struct to_leader *t = (const struct to_leader *)p;
        hash = fold(hash, (uint64_t)t->forward);
        hash = t->request != NULL ? fold_request(hash, t->request) : hash;
    }
    for (const struct parcel *p = s->from_leader.first; p != NULL; p = p->next) {
        const struct from_leader *n = (const struct from_leader *)p;
        hash = fold(fold(hash, (uint64_t)n->notice), n->committed);
        hash = n->request != NULL ? fold_request(hash, n->request) : hash;
    }
    return hash;
}
