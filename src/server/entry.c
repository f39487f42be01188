/* SPDX-License-Identifier: Apache-2.0 */
#include "entry.h"

#include <string.h>

/* The numbers are those of the files, so they never change. */
enum kind {
    KIND_WRITE = 1,
    KIND_IDLE = 2,
    KIND_OPEN_SESSION = 3,
    KIND_CLOSE_SESSION = 4,
    KIND_SESSION = 16,
    KIND_ZNODE = 17,
    KIND_END = 18
};

enum { OP_CREATE = 1, OP_DELETE = 2, OP_SET = 3, OP_SET_ACL = 4, OP_CHECK = 5, OP_REAP = 6 };

/* What stands for no data, and what at least an identity, an entry of a list and an operation need. */
enum { ID_MIN = 2 * 5, ACE_MIN = 4 + ID_MIN, OP_MIN = 1 + 5 };
#define NO_DATA UINT32_MAX

/* ---- To write ---- */

static void put_number(struct zks__bytes *b, uint64_t number, size_t len)
{
    unsigned char bytes[8];
    zks__put_number(bytes, number, len);
    zks__bytes_put(b, bytes, len);
}

static void put8(struct zks__bytes *b, unsigned number)
{
    put_number(b, number, 1);
}

static void put32(struct zks__bytes *b, uint32_t number)
{
    put_number(b, number, 4);
}

static void put64(struct zks__bytes *b, int64_t number)
{
    put_number(b, (uint64_t)number, 8);
}

/* What a length of 32 bits cannot tell was never in a tree: it holds no data above 2 GiB, and what is
 * sent to it is shorter by far. */
static void put_count(struct zks__bytes *b, size_t count)
{
    b->failed = b->failed || count >= NO_DATA;
    put32(b, (uint32_t)count);
}

static void put_text(struct zks__bytes *b, const char *text)
{
    size_t len = strlen(text);
    put_count(b, len);
    zks__bytes_put(b, text, len + 1);
}

static void put_data(struct zks__bytes *b, const void *data, size_t len)
{
    if (data == NULL) {
        put32(b, NO_DATA);
        return;
    }
    put_count(b, len);
    zks__bytes_put(b, data, len);
}

static void put_aces(struct zks__bytes *b, const struct zks__ace *aces, size_t n)
{
    put_count(b, n);
    for (size_t i = 0; i < n; i++) {
        put32(b, (uint32_t)aces[i].perms);
        put_text(b, aces[i].id.scheme);
        put_text(b, aces[i].id.id);
    }
}

static void put_op(struct zks__bytes *b, const struct zks__op *op)
{
    static const unsigned kinds[] = {
        [ZKS__OP_CREATE] = OP_CREATE, [ZKS__OP_DELETE] = OP_DELETE,   [ZKS__OP_SET] = OP_SET,
        [ZKS__OP_CHECK] = OP_CHECK,   [ZKS__OP_SET_ACL] = OP_SET_ACL, [ZKS__OP_REAP] = OP_REAP};
    put8(b, kinds[op->kind]);
    put_text(b, op->path);
    switch (op->kind) {
    case ZKS__OP_CREATE:
        put_data(b, op->data, op->data_len);
        put_aces(b, op->aces, op->n_aces);
        put32(b, (uint32_t)op->mode);
        put64(b, op->ttl_ms);
        break;
    case ZKS__OP_SET:
        put_data(b, op->data, op->data_len);
        put32(b, (uint32_t)op->version);
        break;
    case ZKS__OP_SET_ACL:
        put_aces(b, op->aces, op->n_aces);
        put32(b, (uint32_t)op->version);
        break;
    case ZKS__OP_DELETE:
    case ZKS__OP_CHECK:
        put32(b, (uint32_t)op->version);
        break;
    case ZKS__OP_REAP:
        break;
    }
}

static void put_head(struct zks__bytes *b, enum kind kind, const struct zks__txn *txn)
{
    put8(b, kind);
    put64(b, txn->zxid);
    put64(b, txn->time_ms);
}

static void put_session(struct zks__bytes *b, const struct zks__session *session)
{
    put64(b, session->id);
    put32(b, session->timeout_ms);
    zks__bytes_put(b, session->password, ZKS__PASSWORD_LEN);
}

/* How many entries all lists have together is said first, for who has to find room for them. */
void zks__entry_write(struct zks__bytes *b, const struct zks__txn *txn, const struct zks__who *who,
                      const struct zks__op *ops, size_t n)
{
    size_t aces = 0;
    for (size_t i = 0; i < n; i++) {
        bool has = ops[i].kind == ZKS__OP_CREATE || ops[i].kind == ZKS__OP_SET_ACL;
        aces += has ? ops[i].n_aces : 0;
    }
    put_head(b, KIND_WRITE, txn);
    put64(b, who->session);
    put_count(b, who->ids.n);
    put_count(b, n);
    put_count(b, aces);
    for (size_t i = 0; i < who->ids.n; i++) {
        put_text(b, who->ids.id[i].scheme);
        put_text(b, who->ids.id[i].id);
    }
    for (size_t i = 0; i < n; i++) {
        put_op(b, &ops[i]);
    }
}

void zks__entry_idle(struct zks__bytes *b, const struct zks__txn *txn)
{
    put_head(b, KIND_IDLE, txn);
}

void zks__entry_open_session(struct zks__bytes *b, const struct zks__txn *txn,
                             const struct zks__session *session)
{
    put_head(b, KIND_OPEN_SESSION, txn);
    put_session(b, session);
}

void zks__entry_close_session(struct zks__bytes *b, const struct zks__txn *txn, int64_t id)
{
    put_head(b, KIND_CLOSE_SESSION, txn);
    put64(b, id);
}

void zks__entry_session(struct zks__bytes *b, const struct zks__session *session)
{
    put8(b, KIND_SESSION);
    put_session(b, session);
}

void zks__entry_znode(struct zks__bytes *b, const struct zks__znode_parts *parts)
{
    put8(b, KIND_ZNODE);
    put_text(b, parts->path);
    put_data(b, parts->data, parts->data_len);
    put_aces(b, parts->aces, parts->n_aces);
    put32(b, (uint32_t)parts->mode);
    put64(b, parts->session);
    put64(b, parts->czxid);
    put64(b, parts->mzxid);
    put64(b, parts->pzxid);
    put64(b, parts->ctime);
    put64(b, parts->mtime);
    put64(b, parts->ttl_ms);
    put32(b, parts->version);
    put32(b, parts->creates);
    put32(b, parts->aversion);
}

void zks__entry_end(struct zks__bytes *b, const struct zks__entry_counts *counts)
{
    put8(b, KIND_END);
    put_number(b, counts->sessions, 8);
    put_number(b, counts->nodes, 8);
}

/* ---- To read ---- */

/* After the first thing that is not as it must be all is 0, empty or NULL. */
struct cursor {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
};

static size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static const unsigned char *get(struct cursor *c, size_t len)
{
    const unsigned char *at = c->at;
    if (c->bad || left(c) < len) {
        c->bad = true;
        return NULL;
    }
    c->at += len;
    return at;
}

static uint64_t get_number(struct cursor *c, size_t len)
{
    const unsigned char *at = get(c, len);
    return at != NULL ? zks__get_number(at, len) : 0;
}

static unsigned get8(struct cursor *c)
{
    return (unsigned)get_number(c, 1);
}

static uint32_t get32(struct cursor *c)
{
    return (uint32_t)get_number(c, 4);
}

static int64_t get64(struct cursor *c)
{
    return (int64_t)get_number(c, 8);
}

/* A number of things of which each needs so many bytes: none that could not be there. */
static size_t get_count(struct cursor *c, size_t least)
{
    uint32_t n = get32(c);
    if (n > left(c) / least) {
        c->bad = true;
    }
    return c->bad ? 0 : n;
}

static const char *get_text(struct cursor *c)
{
    size_t len = get32(c);
    const unsigned char *at = get(c, len + 1);
    if (at == NULL || memchr(at, '\0', len + 1) != at + len) {
        c->bad = true;
        return "";
    }
    return (const char *)at;
}

static const void *get_data(struct cursor *c, size_t *len)
{
    uint32_t n = get32(c);
    const unsigned char *at = n != NO_DATA ? get(c, n) : NULL;
    *len = at != NULL ? n : 0;
    return at;
}

static struct zks__id get_id(struct cursor *c)
{
    const char *scheme = get_text(c);
    return (struct zks__id){scheme, get_text(c)};
}

static void get_session(struct cursor *c, struct zks__session *session)
{
    session->id = get64(c);
    session->timeout_ms = get32(c);
    const unsigned char *password = get(c, ZKS__PASSWORD_LEN);
    if (password != NULL) {
        memcpy(session->password, password, ZKS__PASSWORD_LEN);
    }
}

/* Room for a number of entries, which shrinks as they are taken. */
struct aces {
    struct zks__ace *at;
    size_t left;
};

static void get_aces(struct cursor *c, struct aces *room, const struct zks__ace **aces, size_t *n)
{
    *n = get_count(c, ACE_MIN);
    if (*n > room->left) {
        c->bad = true;
        *n = 0;
    }
    *aces = *n > 0 ? room->at : NULL;
    for (size_t i = 0; i < *n; i++) {
        int32_t perms = (int32_t)get32(c);
        room->at[i] = (struct zks__ace){perms, get_id(c)};
    }
    if (*n > 0) {
        room->at += *n;
        room->left -= *n;
    }
}

static void get_op(struct cursor *c, struct aces *room, struct zks__op *op)
{
    unsigned kind = get8(c);
    *op = (struct zks__op){.path = get_text(c)};
    switch (kind) {
    case OP_CREATE:
        op->kind = ZKS__OP_CREATE;
        op->data = get_data(c, &op->data_len);
        get_aces(c, room, &op->aces, &op->n_aces);
        op->mode = (int)(int32_t)get32(c);
        op->ttl_ms = get64(c);
        break;
    case OP_SET:
        op->kind = ZKS__OP_SET;
        op->data = get_data(c, &op->data_len);
        op->version = (int32_t)get32(c);
        break;
    case OP_SET_ACL:
        op->kind = ZKS__OP_SET_ACL;
        get_aces(c, room, &op->aces, &op->n_aces);
        op->version = (int32_t)get32(c);
        break;
    case OP_DELETE:
    case OP_CHECK:
        op->kind = kind == OP_DELETE ? ZKS__OP_DELETE : ZKS__OP_CHECK;
        op->version = (int32_t)get32(c);
        break;
    case OP_REAP:
        op->kind = ZKS__OP_REAP;
        break;
    default:
        c->bad = true;
        break;
    }
}

/* ---- Replay ---- */

static const char *const not_like_this = "it holds something that is no entry";

static enum zks__entry_result wrong(const char **what, const char *why)
{
    *what = why;
    return ZKS__ENTRY_WRONG;
}

static enum zks__entry_result done(int code, const char **what, const char *why)
{
    if (code == ZKS__Z_SYSTEMERROR) {
        return ZKS__ENTRY_NOMEM;
    }
    return code == 0 ? ZKS__ENTRY_DONE : wrong(what, why);
}

/* The room that one write needs, in one piece. */
struct write {
    struct zks__who who;
    struct zks__id *ids;
    struct zks__op *ops;
    size_t n;
    struct zks__op_result *results;
    struct aces aces;
};

static bool write_room(struct write *w, const struct zks__mem *mem, void **block)
{
    size_t n = w->n > 0 ? w->n : 1;
    size_t ids = w->who.ids.n * sizeof *w->ids;
    size_t ops = n * sizeof *w->ops;
    size_t results = n * sizeof *w->results;
    /* Each count is of what is there in bytes, so none of these is too large. */
    unsigned char *at =
        zks__mem_alloc(mem, ops + results + ids + w->aces.left * sizeof *w->aces.at);
    *block = at;
    if (at == NULL) {
        return false;
    }
    w->ops = (struct zks__op *)at;
    w->results = (struct zks__op_result *)(at + ops);
    w->ids = (struct zks__id *)(at + ops + results);
    w->aces.at = (struct zks__ace *)(at + ops + results + ids);
    return true;
}

static enum zks__entry_result carry_out(const struct write *w, struct zks__tree *tree,
                                        const struct zks__txn *txn, const char **what)
{
    static const char *const refused = "a write that succeeded before is refused now";
    if (w->n == 1) {
        zks__tree_write(tree, txn, &w->who, w->ops, w->results);
        return done(w->results->code, what, refused);
    }
    if (zks__tree_multi(tree, txn, &w->who, w->ops, w->n, w->results)) {
        return ZKS__ENTRY_DONE;
    }
    for (size_t i = 0; i < w->n; i++) {
        if (w->results[i].code == ZKS__Z_SYSTEMERROR) {
            return ZKS__ENTRY_NOMEM;
        }
    }
    return w->n == 0 ? ZKS__ENTRY_NOMEM : wrong(what, refused);
}

static enum zks__entry_result replay_write(struct cursor *c, struct zks__tree *tree,
                                           const struct zks__txn *txn, const struct zks__mem *mem,
                                           const char **what)
{
    struct write w = {.who = {.session = get64(c)}};
    void *block = NULL;
    w.who.ids.n = get_count(c, ID_MIN);
    w.n = get_count(c, OP_MIN);
    w.aces.left = get_count(c, ACE_MIN);
    if (c->bad) {
        return wrong(what, not_like_this);
    }
    if (!write_room(&w, mem, &block)) {
        return ZKS__ENTRY_NOMEM;
    }
    for (size_t i = 0; i < w.who.ids.n; i++) {
        w.ids[i] = get_id(c);
    }
    w.who.ids.id = w.ids;
    for (size_t i = 0; i < w.n; i++) {
        get_op(c, &w.aces, &w.ops[i]);
    }
    enum zks__entry_result result =
        c->bad ? wrong(what, not_like_this) : carry_out(&w, tree, txn, what);
    zks__mem_free(mem, block);
    return result;
}

enum zks__entry_result zks__entry_replay(struct zks__entries *e, struct zks__tree *tree,
                                         const struct zks__mem *mem, const char **what)
{
    struct cursor c = {e->at, e->end, false};
    struct zks__session session = {0};
    enum zks__entry_result result = ZKS__ENTRY_DONE;
    unsigned kind = get8(&c);
    struct zks__txn txn = {.zxid = get64(&c)};
    txn.time_ms = get64(&c);
    if (!c.bad && txn.zxid <= zks__tree_zxid(tree)) {
        return wrong(what, "the numbers of its writes do not grow");
    }
    switch (kind) {
    case KIND_WRITE:
        result = replay_write(&c, tree, &txn, mem, what);
        break;
    case KIND_IDLE:
        break;
    case KIND_OPEN_SESSION:
        get_session(&c, &session);
        break;
    case KIND_CLOSE_SESSION:
        session.id = get64(&c);
        break;
    default:
        c.bad = true;
        break;
    }
    if (c.bad) {
        return wrong(what, not_like_this);
    }
    if (kind == KIND_IDLE) {
        zks__tree_idle(tree, &txn);
    } else if (kind == KIND_OPEN_SESSION) {
        result = done(zks__tree_open_session(tree, &txn, &session), what,
                      "a session begins that is there");
    } else if (kind == KIND_CLOSE_SESSION) {
        zks__tree_close_session(tree, &txn, session.id);
    }
    e->at = c.at;
    return result;
}

/* ---- Restore ---- */

static enum zks__entry_result restore_znode(struct cursor *c, struct zks__tree *tree,
                                            const struct zks__mem *mem, const char **what)
{
    struct zks__znode_parts p = {.path = get_text(c)};
    struct aces room = {0};
    struct zks__ace *block = NULL;
    p.data = get_data(c, &p.data_len);
    struct cursor before = *c;
    room.left = get_count(&before, ACE_MIN);
    if (room.left > 0) {
        block = room.at = zks__mem_alloc(mem, room.left * sizeof *room.at);
        if (block == NULL) {
            return ZKS__ENTRY_NOMEM;
        }
    }
    get_aces(c, &room, &p.aces, &p.n_aces);
    p.mode = (int)(int32_t)get32(c);
    p.session = get64(c);
    p.czxid = get64(c);
    p.mzxid = get64(c);
    p.pzxid = get64(c);
    p.ctime = get64(c);
    p.mtime = get64(c);
    p.ttl_ms = get64(c);
    p.version = get32(c);
    p.creates = get32(c);
    p.aversion = get32(c);
    enum zks__entry_result result = c->bad ? wrong(what, not_like_this)
                                           : done(zks__tree_restore(tree, &p), what,
                                                  "a znode cannot be where it is said to be");
    zks__mem_free(mem, block);
    return result;
}

static enum zks__entry_result restore_end(struct cursor *c, const struct zks__tree *tree,
                                          const struct zks__entry_counts *counts, const char **what)
{
    struct zks__tree_counts there;
    uint64_t sessions = get_number(c, 8);
    uint64_t nodes = get_number(c, 8);
    zks__tree_count(tree, &there);
    if (c->bad || sessions != counts->sessions || nodes != counts->nodes || nodes != there.nodes) {
        return wrong(what, "it does not hold as much as it says");
    }
    return ZKS__ENTRY_END;
}

enum zks__entry_result zks__entry_restore(struct zks__entries *e, struct zks__tree *tree,
                                          const struct zks__mem *mem,
                                          struct zks__entry_counts *counts, const char **what)
{
    static const struct zks__txn none = {0, 0};
    struct cursor c = {e->at, e->end, false};
    struct zks__session session = {0};
    enum zks__entry_result result;
    switch (get8(&c)) {
    case KIND_SESSION:
        get_session(&c, &session);
        result = c.bad ? wrong(what, not_like_this)
                       : done(zks__tree_open_session(tree, &none, &session), what,
                              "there is a session twice");
        counts->sessions++;
        break;
    case KIND_ZNODE:
        result = restore_znode(&c, tree, mem, what);
        counts->nodes++;
        break;
    case KIND_END:
        result = restore_end(&c, tree, counts, what);
        break;
    default:
        result = wrong(what, not_like_this);
        break;
    }
    e->at = c.at;
    return result;
}
