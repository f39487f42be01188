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

/* What at least an identity, an entry of a list and an operation need. */
enum { ID_MIN = 2 * 4, ACE_MIN = 4 + ID_MIN, OP_MIN = 1 + 4 };

/* How long the parts of a snapshot are: a znode's without its path, data and list. */
enum {
    SESSION_SIZE = 1 + 8 + 4 + ZKS__PASSWORD_LEN,
    ZNODE_SIZE = 1 + 3 * 4 + 4 + 7 * 8 + 3 * 4,
    END_SIZE = 1 + 2 * 8
};

/* ---- To write ---- */

static void put_count(struct zks__writer *b, size_t count)
{
    b->failed = b->failed || count > INT32_MAX;
    zks__put_int(b, (int32_t)count);
}

static void put_aces(struct zks__writer *b, const struct zks__ace *aces, size_t n)
{
    put_count(b, n);
    for (size_t i = 0; i < n; i++) {
        zks__put_int(b, (int32_t)aces[i].perms);
        zks__put_text(b, aces[i].id.scheme);
        zks__put_text(b, aces[i].id.id);
    }
}

static void put_op(struct zks__writer *b, const struct zks__op *op)
{
    static const unsigned kinds[] = {
        [ZKS__OP_CREATE] = OP_CREATE, [ZKS__OP_DELETE] = OP_DELETE,   [ZKS__OP_SET] = OP_SET,
        [ZKS__OP_CHECK] = OP_CHECK,   [ZKS__OP_SET_ACL] = OP_SET_ACL, [ZKS__OP_REAP] = OP_REAP};
    zks__put_byte(b, (uint8_t)kinds[op->kind]);
    zks__put_text(b, op->path);
    switch (op->kind) {
    case ZKS__OP_CREATE:
        zks__put_data(b, op->data, op->data_len);
        put_aces(b, op->aces, op->n_aces);
        zks__put_int(b, (int32_t)op->mode);
        zks__put_long(b, op->ttl_ms);
        break;
    case ZKS__OP_SET:
        zks__put_data(b, op->data, op->data_len);
        zks__put_int(b, (int32_t)op->version);
        break;
    case ZKS__OP_SET_ACL:
        put_aces(b, op->aces, op->n_aces);
        zks__put_int(b, (int32_t)op->version);
        break;
    case ZKS__OP_DELETE:
    case ZKS__OP_CHECK:
        zks__put_int(b, (int32_t)op->version);
        break;
    case ZKS__OP_REAP:
        break;
    }
}

static void put_head(struct zks__writer *b, enum kind kind, const struct zks__txn *txn)
{
    zks__put_byte(b, (uint8_t)kind);
    zks__put_long(b, txn->zxid);
    zks__put_long(b, txn->time_ms);
}

static void put_session(struct zks__writer *b, const struct zks__session *session)
{
    zks__put_long(b, session->id);
    zks__put_int(b, (int32_t)session->timeout_ms);
    zks__put_bytes(b, session->password, ZKS__PASSWORD_LEN);
}

/* How many entries all lists have together is said first, for who has to find room for them. */
void zks__entry_write(struct zks__writer *b, const struct zks__txn *txn, const struct zks__who *who,
                      const struct zks__op *ops, size_t n)
{
    size_t aces = 0;
    for (size_t i = 0; i < n; i++) {
        bool has = ops[i].kind == ZKS__OP_CREATE || ops[i].kind == ZKS__OP_SET_ACL;
        aces += has ? ops[i].n_aces : 0;
    }
    put_head(b, KIND_WRITE, txn);
    zks__put_long(b, who->session);
    put_count(b, who->ids.n);
    put_count(b, n);
    put_count(b, aces);
    for (size_t i = 0; i < who->ids.n; i++) {
        zks__put_text(b, who->ids.id[i].scheme);
        zks__put_text(b, who->ids.id[i].id);
    }
    for (size_t i = 0; i < n; i++) {
        put_op(b, &ops[i]);
    }
}

void zks__entry_idle(struct zks__writer *b, const struct zks__txn *txn)
{
    put_head(b, KIND_IDLE, txn);
}

void zks__entry_open_session(struct zks__writer *b, const struct zks__txn *txn,
                             const struct zks__session *session)
{
    put_head(b, KIND_OPEN_SESSION, txn);
    put_session(b, session);
}

void zks__entry_close_session(struct zks__writer *b, const struct zks__txn *txn, int64_t id)
{
    put_head(b, KIND_CLOSE_SESSION, txn);
    zks__put_long(b, id);
}

void zks__entry_session(struct zks__writer *b, const struct zks__session *session)
{
    zks__put_byte(b, (uint8_t)KIND_SESSION);
    put_session(b, session);
}

void zks__entry_znode(struct zks__writer *b, const struct zks__znode_parts *parts)
{
    zks__put_byte(b, (uint8_t)KIND_ZNODE);
    zks__put_text(b, parts->path);
    zks__put_data(b, parts->data, parts->data_len);
    put_aces(b, parts->aces, parts->n_aces);
    zks__put_int(b, (int32_t)parts->mode);
    zks__put_long(b, parts->session);
    zks__put_long(b, parts->czxid);
    zks__put_long(b, parts->mzxid);
    zks__put_long(b, parts->pzxid);
    zks__put_long(b, parts->ctime);
    zks__put_long(b, parts->mtime);
    zks__put_long(b, parts->ttl_ms);
    zks__put_int(b, (int32_t)parts->version);
    zks__put_int(b, (int32_t)parts->creates);
    zks__put_int(b, (int32_t)parts->aversion);
}

void zks__entry_end(struct zks__writer *b, const struct zks__entry_counts *counts)
{
    zks__put_byte(b, (uint8_t)KIND_END);
    zks__put_long(b, (int64_t)counts->sessions);
    zks__put_long(b, (int64_t)counts->nodes);
}

uint64_t zks__entry_total(const struct zks__tree_counts *counts)
{
    return (uint64_t)counts->sessions * SESSION_SIZE + (uint64_t)counts->nodes * ZNODE_SIZE +
           counts->bytes + counts->acl_bytes + END_SIZE;
}

/* ---- To read ---- */

static struct zks__id get_id(struct zks__reader *c)
{
    const char *scheme = zks__read_text(c);
    return (struct zks__id){scheme, zks__read_text(c)};
}

static void get_session(struct zks__reader *c, struct zks__session *session)
{
    session->id = zks__read_long(c);
    session->timeout_ms = (uint32_t)zks__read_int(c);
    const unsigned char *password = zks__read_bytes(c, ZKS__PASSWORD_LEN);
    if (password != NULL) {
        memcpy(session->password, password, ZKS__PASSWORD_LEN);
    }
}

/* Room for a number of entries, which shrinks as they are taken. */
struct aces {
    struct zks__ace *at;
    size_t left;
};

static void get_aces(struct zks__reader *c, struct aces *room, const struct zks__ace **aces,
                     size_t *n)
{
    *n = zks__read_count(c, ACE_MIN);
    if (*n > room->left) {
        c->bad = true;
        *n = 0;
    }
    *aces = *n > 0 ? room->at : NULL;
    for (size_t i = 0; i < *n; i++) {
        int32_t perms = zks__read_int(c);
        room->at[i] = (struct zks__ace){perms, get_id(c)};
    }
    if (*n > 0) {
        room->at += *n;
        room->left -= *n;
    }
}

static void get_op(struct zks__reader *c, struct aces *room, struct zks__op *op)
{
    unsigned kind = zks__read_byte(c);
    *op = (struct zks__op){.path = zks__read_text(c)};
    switch (kind) {
    case OP_CREATE:
        op->kind = ZKS__OP_CREATE;
        op->data = zks__read_data(c, &op->data_len);
        get_aces(c, room, &op->aces, &op->n_aces);
        op->mode = (int)zks__read_int(c);
        op->ttl_ms = zks__read_long(c);
        break;
    case OP_SET:
        op->kind = ZKS__OP_SET;
        op->data = zks__read_data(c, &op->data_len);
        op->version = zks__read_int(c);
        break;
    case OP_SET_ACL:
        op->kind = ZKS__OP_SET_ACL;
        get_aces(c, room, &op->aces, &op->n_aces);
        op->version = zks__read_int(c);
        break;
    case OP_DELETE:
    case OP_CHECK:
        op->kind = kind == OP_DELETE ? ZKS__OP_DELETE : ZKS__OP_CHECK;
        op->version = zks__read_int(c);
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

static enum zks__entry_result replay_write(struct zks__reader *c, struct zks__tree *tree,
                                           const struct zks__txn *txn, const struct zks__mem *mem,
                                           const char **what)
{
    struct write w = {.who = {.session = zks__read_long(c)}};
    void *block = NULL;
    w.who.ids.n = zks__read_count(c, ID_MIN);
    w.n = zks__read_count(c, OP_MIN);
    w.aces.left = zks__read_count(c, ACE_MIN);
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

enum zks__entry_result zks__entry_replay(struct zks__reader *r, struct zks__tree *tree,
                                         const struct zks__mem *mem, const char **what)
{
    struct zks__reader c = *r;
    struct zks__session session = {0};
    enum zks__entry_result result = ZKS__ENTRY_DONE;
    unsigned kind = zks__read_byte(&c);
    struct zks__txn txn = {.zxid = zks__read_long(&c)};
    txn.time_ms = zks__read_long(&c);
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
        session.id = zks__read_long(&c);
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
    r->at = c.at;
    return result;
}

/* ---- Restore ---- */

static enum zks__entry_result restore_znode(struct zks__reader *c, struct zks__tree *tree,
                                            const struct zks__mem *mem, const char **what)
{
    struct zks__znode_parts p = {.path = zks__read_text(c)};
    struct aces room = {0};
    struct zks__ace *block = NULL;
    p.data = zks__read_data(c, &p.data_len);
    struct zks__reader before = *c;
    room.left = zks__read_count(&before, ACE_MIN);
    if (room.left > 0) {
        block = room.at = zks__mem_alloc(mem, room.left * sizeof *room.at);
        if (block == NULL) {
            return ZKS__ENTRY_NOMEM;
        }
    }
    get_aces(c, &room, &p.aces, &p.n_aces);
    p.mode = (int)zks__read_int(c);
    p.session = zks__read_long(c);
    p.czxid = zks__read_long(c);
    p.mzxid = zks__read_long(c);
    p.pzxid = zks__read_long(c);
    p.ctime = zks__read_long(c);
    p.mtime = zks__read_long(c);
    p.ttl_ms = zks__read_long(c);
    p.version = (uint32_t)zks__read_int(c);
    p.creates = (uint32_t)zks__read_int(c);
    p.aversion = (uint32_t)zks__read_int(c);
    enum zks__entry_result result = c->bad ? wrong(what, not_like_this)
                                           : done(zks__tree_restore(tree, &p), what,
                                                  "a znode cannot be where it is said to be");
    zks__mem_free(mem, block);
    return result;
}

static enum zks__entry_result restore_end(struct zks__reader *c, const struct zks__tree *tree,
                                          const struct zks__entry_counts *counts, const char **what)
{
    struct zks__tree_counts there;
    uint64_t sessions = (uint64_t)zks__read_long(c);
    uint64_t nodes = (uint64_t)zks__read_long(c);
    zks__tree_count(tree, &there);
    if (c->bad || sessions != counts->sessions || nodes != counts->nodes || nodes != there.nodes) {
        return wrong(what, "it does not hold as much as it says");
    }
    return ZKS__ENTRY_END;
}

enum zks__entry_result zks__entry_restore(struct zks__reader *r, struct zks__tree *tree,
                                          const struct zks__mem *mem,
                                          struct zks__entry_counts *counts, const char **what)
{
    static const struct zks__txn none = {0, 0};
    struct zks__reader c = *r;
    struct zks__session session = {0};
    enum zks__entry_result result;
    switch (zks__read_byte(&c)) {
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
    r->at = c.at;
    return result;
}
