/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that write: what is asked for is put into the tree's terms, and the results back into
 * ZooKeeper's. */
#include "writes.h"

#include <string.h>

#include "opcode.h"
#include "zksync/client.h"

enum {
    ACE_MIN = 12,     /* Permissions and two texts. */
    PART_MIN = 9 + 8, /* The head of a part of a multi, a path and a version. */
};

bool zks__is_write(int32_t opcode)
{
    switch (opcode) {
    case ZKS__CREATE:
    case ZKS__CREATE2:
    case ZKS__CREATE_CONTAINER:
    case ZKS__CREATE_TTL:
    case ZKS__DELETE:
    case ZKS__SET_DATA:
    case ZKS__SET_ACL:
    case ZKS__CHECK:
    case ZKS__MULTI:
    case ZKS__RECONFIG:
        return true;
    default:
        return false;
    }
}

static bool is_ttl(int32_t flags)
{
    return flags == ZKS__PERSISTENT_TTL || flags == ZKS__PERSISTENT_SEQUENTIAL_TTL;
}

/* Outside of a multi the request's type says what kind of znode it is, and the flags the rest; inside it
 * flags alone make containers too, and what has a time to live. */
static int mode_of(int32_t opcode, int32_t flags, bool in_multi)
{
    switch (opcode) {
    case ZKS__CREATE_TTL:
        return in_multi || is_ttl(flags) ? flags : -1;
    case ZKS__CREATE_CONTAINER:
        return flags == ZKS__PERSISTENT ? ZKS__CONTAINER : flags;
    default:
        return flags == ZKS__CONTAINER && !in_multi ? ZKS__PERSISTENT : flags;
    }
}

/* ZooKeeper 3.9 cannot parse a multi with a create whose flags do not exist, or whose flags need a time to live
 * where the request is not createTTL. */
static bool is_readable_in_multi(int32_t opcode, int32_t flags)
{
    return opcode == ZKS__CREATE_TTL || (flags >= ZKS__PERSISTENT && flags <= ZKS__CONTAINER);
}

/* ---- What is asked for ---- */

/* A null text counts as an empty one.  No scheme has that name, and only for "auth", which stands for the
 * client itself, is it a valid id: kazoo sends a null id with it. */
static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

/* Whether ZooKeeper's own code fails on a null id of this scheme. */
static bool needs_id(const char *scheme)
{
    static const char *const schemes[] = {"world", "digest", "ip"};
    bool needs = false;
    for (size_t i = 0; scheme != NULL && i < sizeof schemes / sizeof schemes[0]; i++) {
        needs = needs || strcmp(scheme, schemes[i]) == 0;
    }
    return needs;
}

/* `*aces` is where entries can be put, and then what is behind those that were. */
static void read_acl(struct zks__reader *r, struct zks__op *op, struct zks__ace **aces)
{
    op->n_aces = zks__read_count(r, ACE_MIN);
    op->aces = *aces;
    for (size_t i = 0; i < op->n_aces; i++) {
        int32_t perms = zks__read_int(r);
        const char *scheme = zks__read_text_or_null(r);
        const char *id = zks__read_text_or_null(r);
        r->bad = r->bad || (id == NULL && needs_id(scheme));
        *(*aces)++ = (struct zks__ace){perms, {text_of(scheme), text_of(id)}};
    }
}

/* False for a request of a type that writes nothing. */
static bool read_op(struct zks__reader *r, int32_t opcode, bool in_multi, struct zks__op *op,
                    struct zks__ace **aces)
{
    *op = (struct zks__op){.ttl_ms = -1};
    op->path = zks__read_text(r);
    switch (opcode) {
    case ZKS__CREATE:
    case ZKS__CREATE2:
    case ZKS__CREATE_CONTAINER:
    case ZKS__CREATE_TTL:
        op->kind = ZKS__OP_CREATE;
        op->data = zks__read_data(r, &op->data_len);
        read_acl(r, op, aces);
        op->mode = zks__read_int(r);
        r->bad = r->bad || (in_multi && !is_readable_in_multi(opcode, op->mode));
        op->mode = mode_of(opcode, op->mode, in_multi);
        op->ttl_ms = opcode == ZKS__CREATE_TTL ? zks__read_long(r) : -1;
        return true;
    case ZKS__DELETE:
        op->kind = ZKS__OP_DELETE;
        op->version = zks__read_int(r);
        return true;
    case ZKS__SET_DATA:
        op->kind = ZKS__OP_SET;
        op->data = zks__read_data(r, &op->data_len);
        op->version = zks__read_int(r);
        return true;
    case ZKS__SET_ACL:
        op->kind = ZKS__OP_SET_ACL;
        read_acl(r, op, aces);
        op->version = zks__read_int(r);
        return !in_multi;
    case ZKS__CHECK:
        op->kind = ZKS__OP_CHECK;
        op->version = zks__read_int(r);
        return true;
    default:
        return false;
    }
}

/* ---- Replies ---- */

static void say_limit(const struct zks__peer *p, int code, const char *limit)
{
    if (code == ZKS__Z_SYSTEMERROR) {
        zks__peer_say(p, ZKS_LOG_WARN, "a write was refused: no memory");
    } else if (limit != NULL) {
        zks__peer_say(p, ZKS_LOG_WARN, "a write was refused: too many %s", limit);
    }
}

static size_t begin(struct zks__peer *p, int32_t xid, int32_t code)
{
    return zks__begin_reply(p, xid, zks__tree_zxid(p->peers->service->tree), code);
}

static void refuse(struct zks__peer *p, int32_t xid, int32_t code)
{
    zks__service_refuse(p->peers->service);
    say_limit(p, code, NULL);
    zks__end_reply(p, begin(p, xid, code));
}

static void write_one(struct zks__peer *p, const struct zks__who *who, int32_t xid, int32_t opcode,
                      const struct zks__op *op)
{
    struct zks__op_result result;
    zks__service_write(p->peers->service, who, op, &result);
    say_limit(p, result.code, result.limit);
    size_t at = begin(p, xid, result.code);
    if (result.code == 0 && op->kind == ZKS__OP_CREATE) {
        zks__put_text(&p->out.open, result.path);
    }
    if (result.code == 0 && opcode != ZKS__CREATE && opcode != ZKS__DELETE &&
        opcode != ZKS__CHECK) {
        zks__put_stat(&p->out.open, &result.stat);
    }
    zks__end_reply(p, at);
}

/* ---- Several at once ---- */

static void put_head(struct zks__writer *out, int32_t type, bool done, int32_t code)
{
    zks__put_int(out, type);
    zks__put_bool(out, done);
    zks__put_int(out, code);
}

/* For containers and for znodes with a time to live the answer has a Stat whatever the request was. */
static void put_result(struct zks__writer *out, int32_t opcode, const struct zks__op *op,
                       const struct zks__op_result *result, bool done)
{
    bool stat = opcode == ZKS__CREATE2 || opcode == ZKS__CREATE_CONTAINER ||
                op->mode == ZKS__CONTAINER || is_ttl(op->mode);
    if (!done) {
        put_head(out, ZKS__ERROR, false, result->code);
        zks__put_int(out, result->code);
        return;
    }
    switch (op->kind) {
    case ZKS__OP_CREATE:
        put_head(out, stat ? ZKS__CREATE2 : ZKS__CREATE, false, 0);
        zks__put_text(out, result->path);
        if (stat) {
            zks__put_stat(out, &result->stat);
        }
        break;
    case ZKS__OP_SET:
        put_head(out, ZKS__SET_DATA, false, 0);
        zks__put_stat(out, &result->stat);
        break;
    default:
        put_head(out, op->kind == ZKS__OP_DELETE ? ZKS__DELETE : ZKS__CHECK, false, 0);
        break;
    }
}

/* Returns how many parts there are; SIZE_MAX for what is no request. */
static size_t read_parts(struct zks__reader *r, struct zks__op *ops, struct zks__ace *aces,
                         int32_t *types)
{
    size_t n = 0;
    for (;;) {
        int32_t type = zks__read_int(r);
        bool done = zks__read_bool(r);
        (void)zks__read_int(r);
        if (r->bad || done) {
            return r->bad ? SIZE_MAX : n;
        }
        if (!read_op(r, type, true, &ops[n], &aces) || r->bad) {
            return SIZE_MAX;
        }
        types[n++] = type;
    }
}

static void write_several(struct zks__peer *p, const struct zks__who *who, int32_t xid,
                          struct zks__reader *r)
{
    size_t left = (size_t)(r->end - r->at);
    size_t most = left / PART_MIN + 1;
    size_t most_aces = left / ACE_MIN + 1;
    struct zks__op *ops;
    struct zks__op_result *results;
    ops = zks__scratch(p->peers, most * (sizeof *ops + sizeof *results + sizeof(int32_t)) +
                                     most_aces * sizeof(struct zks__ace));
    if (ops == NULL) {
        refuse(p, xid, ZKS__Z_SYSTEMERROR);
        return;
    }
    results = (struct zks__op_result *)(ops + most);
    struct zks__ace *aces = (struct zks__ace *)(results + most);
    int32_t *types = (int32_t *)(aces + most_aces);
    size_t n = read_parts(r, ops, aces, types);
    if (n == SIZE_MAX) {
        refuse(p, xid, ZKS__Z_MARSHALLINGERROR);
        return;
    }
    bool done = zks__service_multi(p->peers->service, who, ops, n, results);
    size_t at = begin(p, xid, 0);
    for (size_t i = 0; i < n; i++) {
        say_limit(p, results[i].code, results[i].limit);
        put_result(&p->out.open, types[i], &ops[i], &results[i], done);
    }
    put_head(&p->out.open, ZKS__ERROR, true, ZKS__ERROR);
    zks__end_reply(p, at);
}

void zks__write_request(struct zks__peer *p, const struct zks__who *who, int32_t xid,
                        int32_t opcode, struct zks__reader *r)
{
    if (opcode == ZKS__RECONFIG) {
        refuse(p, xid, ZKS__Z_RECONFIGDISABLED);
        return;
    }
    if (opcode == ZKS__MULTI) {
        write_several(p, who, xid, r);
        return;
    }
    size_t most_aces = (size_t)(r->end - r->at) / ACE_MIN + 1;
    struct zks__ace *aces = zks__scratch(p->peers, most_aces * sizeof *aces);
    struct zks__op op;
    if (aces == NULL || !read_op(r, opcode, false, &op, &aces) || r->bad) {
        refuse(p, xid, aces == NULL ? ZKS__Z_SYSTEMERROR : ZKS__Z_MARSHALLINGERROR);
        return;
    }
    write_one(p, who, xid, opcode, &op);
}
