/* SPDX-License-Identifier: Apache-2.0 */
/* Writes.  Each operation is carried out at once and leaves a record of what it has changed, from which
 * it is undone where a later one of the same multi fails.  Watches fire, and what is gone is freed,
 * only when all have succeeded. */
#include <string.h>

#include "core/path.h"
#include "node.h"

enum { SEQUENCE_MAX = 11 }; /* "-2147483648" */

/* What an operation has changed. */
struct change {
    enum zks__op_kind kind;
    const char *limit;       /* Which one it has met. */
    struct zks__znode *node; /* The one created, deleted or set. */
    void *data;              /* As all below: what was there before. */
    uint32_t data_len;
    struct zks__acl *acl;
    int64_t mzxid;
    int64_t mtime;
    uint32_t version;
    int64_t parent_pzxid;
    uint32_t parent_creates;
};

struct write {
    struct zks__tree *tree;
    const struct zks__txn *txn;
    const struct zks__who *who;
};

static const char paths_and_data[] = "bytes of paths and data";
static const char all_lists[] = "bytes of access control lists";

/* The list that an operation asks for. */
static int make_acl(const struct write *w, const struct zks__op *op, struct zks__acl **acl,
                    struct change *c)
{
    int code = zks__acl_make(&w->tree->acls, op->aces, op->n_aces, &w->who->ids, acl);
    if (code == ZKS__Z_QUOTAEXCEEDED) {
        c->limit = "entries or bytes of one access control list";
    }
    return code;
}

static bool allowed(const struct write *w, const struct zks__znode *node, int32_t perms)
{
    return zks__acl_allows(node->acl, perms, &w->who->ids);
}

static bool path_valid(const char *path)
{
    return strcmp(path, "/") == 0 || zks__path_valid(path);
}

/* A version that was named must be the znode's; -1 is any. */
static bool version_fits(int32_t named, uint32_t present)
{
    return named == -1 || named == (int32_t)present;
}

static int session_state(const struct write *w)
{
    bool there = w->who->session == 0 || zks__session_find(w->tree, w->who->session) != NULL;
    return there ? 0 : ZKS__Z_SESSIONEXPIRED;
}

/* The path of the parent, "" for the root; NULL where there is no memory. */
static struct zks__znode *find_parent(const struct write *w, const char *path, int *code)
{
    size_t len = (size_t)(strrchr(path, '/') - path);
    char *parent = zks__mem_alloc(&w->tree->mem, len + 1);
    if (parent == NULL) {
        *code = ZKS__Z_SYSTEMERROR;
        return NULL;
    }
    memcpy(parent, path, len);
    parent[len] = '\0';
    struct zks__znode *node = zks__node_find(w->tree, parent);
    zks__mem_free(&w->tree->mem, parent);
    *code = node != NULL ? 0 : ZKS__Z_NONODE;
    return node;
}

/* ---- Create ---- */

/* "%010d", at the end of a path; returns the length of what was written. */
static size_t write_sequence(char *to, int32_t number)
{
    char digits[SEQUENCE_MAX];
    size_t n = 0;
    uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
    while (rest > 0 || n < (number < 0 ? 9u : 10u)) {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (number < 0) {
        digits[n++] = '-';
    }
    for (size_t i = 0; i < n; i++) {
        to[i] = digits[n - 1 - i];
    }
    to[n] = '\0';
    return n;
}

static bool is_sequential(int mode)
{
    return mode == ZKS__PERSISTENT_SEQUENTIAL || mode == ZKS__EPHEMERAL_SEQUENTIAL ||
           mode == ZKS__PERSISTENT_SEQUENTIAL_TTL;
}

static enum zks__kin kin_of(int mode)
{
    switch (mode) {
    case ZKS__EPHEMERAL:
    case ZKS__EPHEMERAL_SEQUENTIAL:
        return ZKS__KIN_EPHEMERAL;
    case ZKS__CONTAINER:
        return ZKS__KIN_CONTAINER;
    case ZKS__PERSISTENT_TTL:
    case ZKS__PERSISTENT_SEQUENTIAL_TTL:
        return ZKS__KIN_TTL;
    default:
        return ZKS__KIN_NONE;
    }
}

static bool mode_valid(const struct zks__op *op)
{
    bool ttl_fits = op->ttl_ms > 0 && op->ttl_ms < INT64_C(1) << 40;
    return op->mode >= ZKS__PERSISTENT && op->mode <= ZKS__PERSISTENT_SEQUENTIAL_TTL &&
           (kin_of(op->mode) != ZKS__KIN_TTL || ttl_fits);
}

static struct zks__kindred *kindred_of(const struct write *w, enum zks__kin kin)
{
    switch (kin) {
    case ZKS__KIN_EPHEMERAL:
        return &zks__session_find(w->tree, w->who->session)->ephemerals;
    case ZKS__KIN_CONTAINER:
        return &w->tree->containers;
    case ZKS__KIN_TTL:
        return &w->tree->ttls;
    case ZKS__KIN_NONE:
        break;
    }
    return NULL;
}

static bool over(size_t limit, size_t present, size_t more)
{
    return limit != 0 && (present >= limit || more > limit - present);
}

/* Of what there would be too much with another znode; NULL for nothing. */
static const char *limit_of(const struct zks__tree *tree, size_t path_len, size_t data_len,
                            const struct zks__acl *acl)
{
    const struct zks__tree_limits *limits = &tree->limits;
    return over(limits->nodes, tree->nodes.n, 1) ? "znodes"
           : over(limits->bytes, tree->bytes, path_len + data_len) || data_len > INT32_MAX
               ? paths_and_data
           : over(limits->acl_bytes, tree->acl_bytes, zks__acl_size(acl)) ? all_lists
                                                                          : NULL;
}

/* A znode that could go into the tree; its parent and its list have been found. */
static struct zks__znode *make(const struct write *w, const struct zks__op *op,
                               struct zks__znode *parent, struct zks__acl *acl, struct change *c,
                               int *code)
{
    struct zks__tree *tree = w->tree;
    size_t len = strlen(op->path);
    char *path = zks__mem_alloc(&tree->mem, len + SEQUENCE_MAX + 1);
    struct zks__znode *node = NULL;
    *code = ZKS__Z_SYSTEMERROR;
    if (path == NULL) {
        return NULL;
    }
    memcpy(path, op->path, len + 1);
    if (is_sequential(op->mode)) {
        len += write_sequence(path + len, (int32_t)parent->creates);
    }
    if (!path_valid(path)) {
        *code = ZKS__Z_BADARGUMENTS;
    } else if (zks__node_find(tree, path) != NULL) {
        *code = ZKS__Z_NODEEXISTS;
    } else if (parent->kin == ZKS__KIN_EPHEMERAL) {
        *code = ZKS__Z_NOCHILDRENFOREPHEMERALS;
    } else {
        c->limit = limit_of(tree, len, op->data_len, acl);
        node = c->limit == NULL ? zks__node_make(tree, path, len, op->data, op->data_len) : NULL;
        *code = node != NULL ? 0 : c->limit != NULL ? ZKS__Z_QUOTAEXCEEDED : ZKS__Z_SYSTEMERROR;
    }
    if (node != NULL) {
        node->acl = acl;
    }
    zks__mem_free(&tree->mem, path);
    return node;
}

/* Puts a znode in front of its siblings, and of its kin. */
static void put(const struct write *w, const struct zks__op *op, struct zks__znode *parent,
                struct zks__znode *node)
{
    node->parent = parent;
    node->next = parent->first_child;
    node->kin = kin_of(op->mode);
    node->kindred = kindred_of(w, node->kin);
    node->next_kin = node->kindred != NULL ? node->kindred->first : NULL;
    node->ttl_ms = op->ttl_ms;
    node->czxid = node->mzxid = node->pzxid = w->txn->zxid;
    node->ctime = node->mtime = w->txn->time_ms;
    zks__node_link(w->tree, node);
    /* At the end of its range the counter stays where it is, and the parent keeps its pzxid. */
    if (parent->creates != INT32_MAX) {
        parent->creates++;
        parent->pzxid = w->txn->zxid;
    }
}

static int create(const struct write *w, const struct zks__op *op, struct change *c)
{
    struct zks__acl *acl = NULL;
    int code = session_state(w);
    if (!mode_valid(op)) {
        return ZKS__Z_BADARGUMENTS;
    }
    if (code != 0) {
        return code;
    }
    if (strrchr(op->path, '/') == NULL ||
        (kin_of(op->mode) == ZKS__KIN_EPHEMERAL && w->who->session == 0)) {
        return ZKS__Z_BADARGUMENTS;
    }
    code = make_acl(w, op, &acl, c);
    struct zks__znode *parent = code == 0 ? find_parent(w, op->path, &code) : NULL;
    if (parent != NULL && !allowed(w, parent, ZKS__PERM_CREATE)) {
        code = ZKS__Z_NOAUTH;
    }
    struct zks__znode *node = code == 0 ? make(w, op, parent, acl, c, &code) : NULL;
    if (node == NULL) {
        zks__acl_drop(&w->tree->acls, acl);
        return code;
    }
    c->node = node;
    c->parent_pzxid = parent->pzxid;
    c->parent_creates = parent->creates;
    put(w, op, parent, node);
    return 0;
}

/* ---- Delete ---- */

static bool is_special(const char *path)
{
    return strcmp(path, "/") == 0 || strcmp(path, "/zookeeper") == 0 ||
           strcmp(path, "/zookeeper/quota") == 0 || strcmp(path, "/zookeeper/config") == 0;
}

static void take_out(const struct write *w, struct zks__znode *node, struct change *c)
{
    c->node = node;
    c->parent_pzxid = node->parent->pzxid;
    zks__node_unlink(w->tree, node);
    node->parent->pzxid = w->txn->zxid;
}

static int delete (const struct write *w, const struct zks__op *op, struct change *c)
{
    int code = session_state(w);
    if (code != 0) {
        return code;
    }
    if (strrchr(op->path, '/') == NULL || is_special(op->path)) {
        return ZKS__Z_BADARGUMENTS;
    }
    struct zks__znode *parent = find_parent(w, op->path, &code);
    if (parent == NULL) {
        return code;
    }
    if (!allowed(w, parent, ZKS__PERM_DELETE)) {
        return ZKS__Z_NOAUTH;
    }
    struct zks__znode *node = zks__node_find(w->tree, op->path);
    if (node == NULL) {
        return ZKS__Z_NONODE;
    }
    if (!version_fits(op->version, node->version)) {
        return ZKS__Z_BADVERSION;
    }
    if (node->n_children > 0) {
        return ZKS__Z_NOTEMPTY;
    }
    take_out(w, node, c);
    return 0;
}

static int reap(const struct write *w, const struct zks__op *op, struct change *c)
{
    struct zks__znode *node = zks__node_find(w->tree, op->path);
    if (node == NULL) {
        return ZKS__Z_NONODE;
    }
    if (node->n_children > 0) {
        return ZKS__Z_NOTEMPTY;
    }
    if (node->kin != ZKS__KIN_CONTAINER && node->kin != ZKS__KIN_TTL) {
        return ZKS__Z_BADVERSION;
    }
    take_out(w, node, c);
    return 0;
}

/* ---- Set and check ---- */

/* The znode that an operation names, where the permission is given. */
static int find_allowed(const struct write *w, const char *path, int32_t perm,
                        struct zks__znode **node)
{
    *node = zks__node_find(w->tree, path);
    if (*node == NULL) {
        return ZKS__Z_NONODE;
    }
    return allowed(w, *node, perm) ? 0 : ZKS__Z_NOAUTH;
}

static int set(const struct write *w, const struct zks__op *op, struct change *c)
{
    struct zks__tree *tree = w->tree;
    struct zks__znode *node = NULL;
    void *data;
    int code = session_state(w);
    if (code == 0) {
        code = path_valid(op->path) ? find_allowed(w, op->path, ZKS__PERM_WRITE, &node)
                                    : ZKS__Z_BADARGUMENTS;
    }
    if (code != 0) {
        return code;
    }
    if (!version_fits(op->version, node->version)) {
        return ZKS__Z_BADVERSION;
    }
    size_t more = op->data_len > node->data_len ? op->data_len - node->data_len : 0;
    if (op->data_len > INT32_MAX || (more > 0 && over(tree->limits.bytes, tree->bytes, more))) {
        c->limit = paths_and_data;
        return ZKS__Z_QUOTAEXCEEDED;
    }
    if (!zks__node_copy_data(tree, op->data, op->data_len, &data)) {
        return ZKS__Z_SYSTEMERROR;
    }
    *c = (struct change){.node = node,
                         .data = node->data,
                         .data_len = node->data_len,
                         .mzxid = node->mzxid,
                         .mtime = node->mtime,
                         .version = node->version};
    tree->bytes -= node->data_len;
    node->data = data;
    node->data_len = data != NULL ? (uint32_t)op->data_len : 0;
    tree->bytes += node->data_len;
    node->mzxid = w->txn->zxid;
    node->mtime = w->txn->time_ms;
    node->version++;
    return 0;
}

static void change_acl(struct zks__tree *tree, struct zks__znode *node, struct zks__acl *acl)
{
    tree->acl_bytes -= zks__acl_size(node->acl);
    tree->acl_bytes += zks__acl_size(acl);
    node->acl = acl;
}

/* Whether another list instead of the one that is there is too much. */
static bool is_over_with(const struct zks__tree *tree, const struct zks__acl *there,
                         const struct zks__acl *acl)
{
    size_t old = zks__acl_size(there);
    size_t size = zks__acl_size(acl);
    return size > old && over(tree->limits.acl_bytes, tree->acl_bytes, size - old);
}

static int set_acl(const struct write *w, const struct zks__op *op, struct change *c)
{
    struct zks__acl *acl = NULL;
    struct zks__znode *node;
    int code = session_state(w);
    if (code == 0) {
        code = path_valid(op->path) ? make_acl(w, op, &acl, c) : ZKS__Z_BADARGUMENTS;
    }
    if (code == 0) {
        code = find_allowed(w, op->path, ZKS__PERM_ADMIN, &node);
    }
    if (code == 0 && !version_fits(op->version, node->aversion)) {
        code = ZKS__Z_BADVERSION;
    }
    if (code == 0 && is_over_with(w->tree, node->acl, acl)) {
        c->limit = all_lists;
        code = ZKS__Z_QUOTAEXCEEDED;
    }
    if (code != 0) {
        zks__acl_drop(&w->tree->acls, acl);
        return code;
    }
    *c = (struct change){.node = node, .acl = node->acl, .version = node->aversion};
    change_acl(w->tree, node, acl);
    node->aversion++;
    return 0;
}

static int check(const struct write *w, const struct zks__op *op)
{
    struct zks__znode *node;
    int code = session_state(w);
    if (code == 0) {
        code = path_valid(op->path) ? find_allowed(w, op->path, ZKS__PERM_READ, &node)
                                    : ZKS__Z_BADARGUMENTS;
    }
    if (code == 0 && !version_fits(op->version, node->version)) {
        code = ZKS__Z_BADVERSION;
    }
    return code;
}

/* ---- One or several ---- */

static void carry_out(const struct write *w, const struct zks__op *op, struct change *c,
                      struct zks__op_result *r)
{
    memset(c, 0, sizeof *c);
    memset(r, 0, sizeof *r);
    switch (op->kind) {
    case ZKS__OP_CREATE:
        r->code = create(w, op, c);
        break;
    case ZKS__OP_DELETE:
        r->code = delete (w, op, c);
        break;
    case ZKS__OP_SET:
        r->code = set(w, op, c);
        break;
    case ZKS__OP_SET_ACL:
        r->code = set_acl(w, op, c);
        break;
    case ZKS__OP_CHECK:
        r->code = check(w, op);
        break;
    case ZKS__OP_REAP:
        r->code = reap(w, op, c);
        break;
    }
    c->kind = op->kind;
    r->limit = c->limit;
    if (r->code == 0 && op->kind == ZKS__OP_CREATE) {
        r->path = c->node->path;
    }
    if (r->code == 0 &&
        (op->kind == ZKS__OP_CREATE || op->kind == ZKS__OP_SET || op->kind == ZKS__OP_SET_ACL)) {
        zks__node_stat(c->node, &r->stat);
    }
}

static void undo(struct zks__tree *tree, struct change *c)
{
    struct zks__znode *node = c->node;
    struct zks__acl *acl;
    switch (c->kind) {
    case ZKS__OP_CREATE:
        zks__node_unlink(tree, node);
        node->parent->pzxid = c->parent_pzxid;
        node->parent->creates = c->parent_creates;
        zks__node_free(tree, node);
        break;
    case ZKS__OP_DELETE:
    case ZKS__OP_REAP:
        zks__node_link(tree, node);
        node->parent->pzxid = c->parent_pzxid;
        break;
    case ZKS__OP_SET:
        zks__mem_free(&tree->mem, node->data);
        tree->bytes -= node->data_len;
        tree->bytes += c->data_len;
        node->data = c->data;
        node->data_len = c->data_len;
        node->mzxid = c->mzxid;
        node->mtime = c->mtime;
        node->version = c->version;
        break;
    case ZKS__OP_SET_ACL:
        acl = node->acl;
        change_acl(tree, node, c->acl);
        zks__acl_drop(&tree->acls, acl);
        node->aversion = c->version;
        break;
    case ZKS__OP_CHECK:
        break;
    }
}

static void tell(struct zks__tree *tree, const struct change *c)
{
    struct zks__znode *node = c->node;
    switch (c->kind) {
    case ZKS__OP_CREATE:
        zks__tree_tell(tree, ZKS__EVENT_CREATED, node);
        zks__tree_tell(tree, ZKS__EVENT_CHILDREN_CHANGED, node->parent);
        break;
    case ZKS__OP_DELETE:
    case ZKS__OP_REAP:
        zks__tree_tell_deleted(tree, node);
        break;
    case ZKS__OP_SET:
        zks__tree_tell(tree, ZKS__EVENT_DATA_CHANGED, node);
        break;
    case ZKS__OP_SET_ACL:
    case ZKS__OP_CHECK:
        break;
    }
}

/* Lets go of what the change has replaced.  A znode stays until the next write, for an earlier result of
 * the same multi may name it. */
static void forget(struct zks__tree *tree, const struct change *c)
{
    switch (c->kind) {
    case ZKS__OP_DELETE:
    case ZKS__OP_REAP:
        zks__node_bury(tree, c->node);
        break;
    case ZKS__OP_SET:
        zks__mem_free(&tree->mem, c->data);
        break;
    case ZKS__OP_SET_ACL:
        zks__acl_drop(&tree->acls, c->acl);
        break;
    case ZKS__OP_CREATE:
    case ZKS__OP_CHECK:
        break;
    }
}

void zks__tree_write(struct zks__tree *tree, const struct zks__txn *txn, const struct zks__who *who,
                     const struct zks__op *op, struct zks__op_result *result)
{
    const struct write w = {tree, txn, who};
    struct change c;
    zks__tree_begin(tree, txn);
    carry_out(&w, op, &c, result);
    if (result->code == 0) {
        tell(tree, &c);
        forget(tree, &c);
    }
}

bool zks__tree_multi(struct zks__tree *tree, const struct zks__txn *txn, const struct zks__who *who,
                     const struct zks__op *ops, size_t n, struct zks__op_result *results)
{
    const struct write w = {tree, txn, who};
    struct change *changes = NULL;
    size_t done = 0;
    int code = n > SIZE_MAX / sizeof *changes ? ZKS__Z_SYSTEMERROR : 0;
    zks__tree_begin(tree, txn);
    if (code == 0 && n > 0) {
        changes = zks__mem_alloc(&tree->mem, n * sizeof *changes);
        code = changes != NULL ? 0 : ZKS__Z_SYSTEMERROR;
    }
    while (code == 0 && done < n) {
        carry_out(&w, &ops[done], &changes[done], &results[done]);
        code = results[done].code;
        done += code == 0;
    }
    for (size_t i = 0; i < done && code == 0; i++) {
        tell(tree, &changes[i]);
    }
    for (size_t i = 0; i < done && code == 0; i++) {
        forget(tree, &changes[i]);
    }
    for (size_t i = done; i > 0 && code != 0; i--) {
        undo(tree, &changes[i - 1]);
    }
    for (size_t i = 0; i < n && code != 0; i++) {
        const char *limit = i == done && changes != NULL ? results[i].limit : NULL;
        memset(&results[i], 0, sizeof results[i]);
        results[i].code = i < done ? 0 : i == done ? code : ZKS__Z_RUNTIMEINCONSISTENCY;
        results[i].limit = limit;
    }
    zks__mem_free(&tree->mem, changes);
    return code == 0;
}
