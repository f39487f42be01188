/* SPDX-License-Identifier: Apache-2.0 */
/* What each request asks for, and the reply to it: reads and watches; writes are in writes.c. */
#include <string.h>

#include "opcode.h"
#include "peer.h"
#include "writes.h"
#include "zksync/client.h"

/* What is in the hands of the functions below. */
struct hand {
    struct zks__peer *peer;
    struct zks__tree *tree;
    struct zks__who who;
    struct zks__reader *r;
    struct zks__writer *out;
    int32_t xid;
};

static size_t begin(const struct hand *h, int32_t code)
{
    return zks__begin_reply(h->peer, h->xid, zks__tree_zxid(h->tree), code);
}

static void end(const struct hand *h, size_t at)
{
    zks__end_reply(h->peer, at);
}

static void refuse(const struct hand *h, int32_t code)
{
    if (code == ZKS__Z_QUOTAEXCEEDED || code == ZKS__Z_SYSTEMERROR) {
        zks__peer_say(h->peer, ZKS_LOG_WARN, "a watch was refused: %s",
                      code == ZKS__Z_SYSTEMERROR ? "no memory"
                                                 : "limit of watches, or of the length of their "
                                                   "paths, reached");
    }
    end(h, begin(h, code));
}

static struct zks__watcher *watcher_for(const struct hand *h, bool watch)
{
    return watch ? &h->peer->watcher : NULL;
}

/* ---- Znodes ---- */

static void exists(const struct hand *h)
{
    const char *path = zks__read_text(h->r);
    bool watch = zks__read_bool(h->r);
    struct zks__znode_stat stat;
    int code = h->r->bad ? ZKS__Z_MARSHALLINGERROR
                         : zks__tree_exists(h->tree, &h->who, path, watcher_for(h, watch), &stat);
    if (code != 0) {
        refuse(h, code);
        return;
    }
    size_t at = begin(h, 0);
    zks__put_stat(h->out, &stat);
    end(h, at);
}

static void get(const struct hand *h)
{
    const char *path = zks__read_text(h->r);
    bool watch = zks__read_bool(h->r);
    struct zks__znode_stat stat;
    const void *data = NULL;
    int code = h->r->bad
                   ? ZKS__Z_MARSHALLINGERROR
                   : zks__tree_get(h->tree, &h->who, path, watcher_for(h, watch), &data, &stat);
    if (code != 0) {
        refuse(h, code);
        return;
    }
    size_t at = begin(h, 0);
    zks__put_data(h->out, data, (size_t)stat.data_length);
    zks__put_stat(h->out, &stat);
    end(h, at);
}

static void put_names(const struct hand *h, const struct zks__znode *child, int32_t n)
{
    zks__put_int(h->out, n);
    for (; child != NULL && !zks__peer_overfull(h->peer); child = zks__tree_next_child(child)) {
        zks__put_text(h->out, zks__tree_child_name(child));
    }
}

static void children(const struct hand *h, bool with_stat)
{
    const char *path = zks__read_text(h->r);
    bool watch = zks__read_bool(h->r);
    struct zks__znode_stat stat;
    const struct zks__znode *child = NULL;
    int code = h->r->bad ? ZKS__Z_MARSHALLINGERROR
                         : zks__tree_children(h->tree, &h->who, path, watcher_for(h, watch), &child,
                                              &stat);
    if (code != 0) {
        refuse(h, code);
        return;
    }
    size_t at = begin(h, 0);
    put_names(h, child, stat.num_children);
    if (with_stat) {
        zks__put_stat(h->out, &stat);
    }
    end(h, at);
}

static void descendants(const struct hand *h)
{
    const char *path = zks__read_text(h->r);
    size_t count;
    int code =
        h->r->bad ? ZKS__Z_MARSHALLINGERROR : zks__tree_descendants(h->tree, &h->who, path, &count);
    if (code != 0) {
        refuse(h, code);
        return;
    }
    size_t at = begin(h, 0);
    zks__put_int(h->out, (int32_t)count);
    end(h, at);
}

/* Of a digest that is not to be seen, what is up to the first colon, and an x. */
static void put_veiled(struct zks__writer *out, const char *id)
{
    const char *colon = strchr(id, ':');
    size_t len = colon != NULL ? (size_t)(colon + 1 - id) : strlen(id);
    zks__put_int(out, (int32_t)(len + (colon != NULL)));
    zks__put_bytes(out, id, len);
    zks__put_bytes(out, "x", colon != NULL);
}

static void put_acl(struct zks__writer *out, const struct zks__acl *acl, bool veiled)
{
    static const struct zks__ace open = {ZKS_PERM_ALL, {"world", "anyone"}};
    size_t n = acl != NULL ? acl->n : 1;
    zks__put_int(out, (int32_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct zks__ace *ace = acl != NULL ? &acl->aces[i] : &open;
        zks__put_int(out, ace->perms);
        zks__put_text(out, ace->id.scheme);
        if (veiled && strcmp(ace->id.scheme, "digest") == 0) {
            put_veiled(out, ace->id.id);
        } else {
            zks__put_text(out, ace->id.id);
        }
    }
}

static void get_acl(const struct hand *h)
{
    const char *path = zks__read_text(h->r);
    const struct zks__acl *acl;
    struct zks__znode_stat stat;
    bool veiled;
    int code = h->r->bad ? ZKS__Z_MARSHALLINGERROR
                         : zks__tree_get_acl(h->tree, &h->who, path, &acl, &veiled, &stat);
    if (code != 0) {
        refuse(h, code);
        return;
    }
    size_t at = begin(h, 0);
    put_acl(h->out, acl, veiled);
    zks__put_stat(h->out, &stat);
    end(h, at);
}

static void synchronise(const struct hand *h)
{
    const char *path = zks__read_text(h->r);
    if (h->r->bad) {
        refuse(h, ZKS__Z_MARSHALLINGERROR);
        return;
    }
    size_t at = begin(h, 0);
    zks__put_text(h->out, path);
    end(h, at);
}

/* ---- Several reads at once ---- */

struct part {
    int32_t type;
    const char *path;
    bool watch;
};

/* Returns how many there are; SIZE_MAX for what is no request. */
static size_t read_parts(const struct hand *h, struct part *parts)
{
    size_t n = 0;
    for (;;) {
        int32_t type = zks__read_int(h->r);
        bool done = zks__read_bool(h->r);
        (void)zks__read_int(h->r);
        if (h->r->bad || done) {
            return h->r->bad ? SIZE_MAX : n;
        }
        if (type != ZKS__GET_DATA && type != ZKS__GET_CHILDREN) {
            return SIZE_MAX;
        }
        parts[n].type = type;
        parts[n].path = zks__read_text(h->r);
        parts[n].watch = zks__read_bool(h->r);
        n++;
    }
}

static void put_part(const struct hand *h, const struct part *part)
{
    struct zks__watcher *watcher = watcher_for(h, part->watch);
    struct zks__znode_stat stat;
    const void *data = NULL;
    const struct zks__znode *child = NULL;
    bool data_wanted = part->type == ZKS__GET_DATA;
    int code = data_wanted
                   ? zks__tree_get(h->tree, &h->who, part->path, watcher, &data, &stat)
                   : zks__tree_children(h->tree, &h->who, part->path, watcher, &child, &stat);
    zks__put_int(h->out, code == 0 ? part->type : ZKS__ERROR);
    zks__put_bool(h->out, false);
    zks__put_int(h->out, code);
    if (code != 0) {
        zks__put_int(h->out, code);
    } else if (data_wanted) {
        zks__put_data(h->out, data, (size_t)stat.data_length);
        zks__put_stat(h->out, &stat);
    } else {
        put_names(h, child, stat.num_children);
    }
}

static void read_several(const struct hand *h)
{
    size_t most = (size_t)(h->r->end - h->r->at) / 14 + 1;
    struct part *parts = zks__scratch(h->peer->peers, most * sizeof *parts);
    size_t n = parts != NULL ? read_parts(h, parts) : 0;
    if (parts == NULL || n == SIZE_MAX) {
        refuse(h, parts == NULL ? ZKS__Z_SYSTEMERROR : ZKS__Z_MARSHALLINGERROR);
        return;
    }
    size_t at = begin(h, 0);
    for (size_t i = 0; i < n && !zks__peer_overfull(h->peer); i++) {
        put_part(h, &parts[i]);
    }
    zks__put_int(h->out, ZKS__ERROR);
    zks__put_bool(h->out, true);
    zks__put_int(h->out, ZKS__ERROR);
    end(h, at);
}

/* ---- The session ---- */

/* "/" and blanks are another way to ask for all. */
static bool asks_for_all(const char *prefix)
{
    static const char blanks[] = " \t\r\n";
    prefix += strspn(prefix, blanks);
    prefix += prefix[0] == '/';
    return prefix[strspn(prefix, blanks)] == '\0';
}

static void ephemerals(const struct hand *h)
{
    const char *prefix = zks__read_text(h->r);
    const char *path = NULL;
    int32_t n = 0;
    if (h->r->bad) {
        refuse(h, ZKS__Z_MARSHALLINGERROR);
        return;
    }
    prefix = asks_for_all(prefix) ? "" : prefix;
    size_t at = begin(h, 0);
    size_t count_at = h->out->len;
    zks__put_int(h->out, 0);
    while (!zks__peer_overfull(h->peer) &&
           (path = zks__tree_ephemerals(h->tree, h->who.session, prefix, path)) != NULL) {
        zks__put_text(h->out, path);
        n++;
    }
    zks__set_int(h->out, count_at, n);
    end(h, at);
}

static void who_am_i(const struct hand *h)
{
    size_t at = begin(h, 0);
    zks__put_int(h->out, (int32_t)h->who.ids.n);
    for (size_t i = 0; i < h->who.ids.n; i++) {
        const struct zks__id *id = &h->who.ids.id[i];
        bool digest = strcmp(id->scheme, "digest") == 0;
        zks__put_text(h->out, id->scheme);
        zks__put_data(h->out, id->id, digest ? strcspn(id->id, ":") : strlen(id->id));
    }
    end(h, at);
}

/* ---- Watches ---- */

static void add_watch(const struct hand *h)
{
    const char *path = zks__read_text(h->r);
    int32_t mode = zks__read_int(h->r);
    int code = ZKS__Z_MARSHALLINGERROR;
    if (!h->r->bad && (mode == 0 || mode == 1)) {
        code = zks__tree_watch(h->tree, path, mode == 1, &h->peer->watcher);
    }
    if (code != 0) {
        refuse(h, code);
        return;
    }
    size_t at = begin(h, 0);
    zks__put_int(h->out, 0);
    end(h, at);
}

/* checkWatches, and removeWatches. */
static void find_watches(const struct hand *h, bool remove)
{
    const char *path = zks__read_text(h->r);
    int32_t type = zks__read_int(h->r);
    if (h->r->bad || type < ZKS__TYPE_CHILDREN || type > ZKS__TYPE_RECURSIVE) {
        refuse(h, ZKS__Z_MARSHALLINGERROR);
        return;
    }
    const struct zks__watcher *watcher = &h->peer->watcher;
    enum zks__watch_type which = (enum zks__watch_type)type;
    bool found = remove ? zks__tree_unwatch(h->tree, path, which, watcher)
                        : zks__tree_has_watch(h->tree, path, which, watcher);
    refuse(h, found ? 0 : ZKS__Z_NOWATCHER);
}

/* A watch of a list that a client that has come back had.  One that cannot be set would be missed by a
 * client that looks at no answer here, so it is cut off, and tries again. */
static void set_again(const struct hand *h, size_t list, const char *path, int64_t zxid)
{
    struct zks__watcher *watcher = &h->peer->watcher;
    int code =
        list < 3 ? zks__tree_rewatch(h->tree, list == 2 ? ZKS__WATCHED_CHILDREN : ZKS__WATCHED_NODE,
                                     list != 1, path, zxid, watcher)
                 : zks__tree_watch(h->tree, path, list == 4, watcher);
    if (code != 0 && !h->peer->ended) {
        zks__peer_say(h->peer, ZKS_LOG_WARN, "a watch that it had cannot be set again: cut off");
        zks__peer_cut(h->peer);
    }
}

/* Whether the lists are whole; nothing is changed by looking. */
static bool lists_fit(struct zks__reader r, size_t n_lists)
{
    (void)zks__read_long(&r);
    for (size_t list = 0; list < n_lists; list++) {
        size_t n = zks__read_count(&r, 4);
        for (size_t i = 0; i < n && !r.bad; i++) {
            size_t len;
            r.bad = zks__read_data(&r, &len) == NULL || r.bad;
        }
    }
    return !r.bad;
}

static void set_watches(const struct hand *h, size_t n_lists)
{
    if (!lists_fit(*h->r, n_lists)) {
        refuse(h, ZKS__Z_MARSHALLINGERROR);
        return;
    }
    int64_t zxid = zks__read_long(h->r);
    for (size_t list = 0; list < n_lists; list++) {
        size_t n = zks__read_count(h->r, 4);
        for (size_t i = 0; i < n; i++) {
            set_again(h, list, zks__read_text(h->r), zxid);
        }
    }
    refuse(h, 0);
}

/* ---- All of it ---- */

static void dispatch(const struct hand *h, int32_t opcode)
{
    switch (opcode) {
    case ZKS__EXISTS:
        exists(h);
        break;
    case ZKS__GET_DATA:
        get(h);
        break;
    case ZKS__GET_CHILDREN:
    case ZKS__GET_CHILDREN2:
        children(h, opcode == ZKS__GET_CHILDREN2);
        break;
    case ZKS__GET_ACL:
        get_acl(h);
        break;
    case ZKS__SYNC:
        synchronise(h);
        break;
    case ZKS__GET_ALL_CHILDREN_NUMBER:
        descendants(h);
        break;
    case ZKS__MULTI_READ:
        read_several(h);
        break;
    case ZKS__GET_EPHEMERALS:
        ephemerals(h);
        break;
    case ZKS__WHO_AM_I:
        who_am_i(h);
        break;
    case ZKS__ADD_WATCH:
        add_watch(h);
        break;
    case ZKS__CHECK_WATCHES:
    case ZKS__REMOVE_WATCHES:
        find_watches(h, opcode == ZKS__REMOVE_WATCHES);
        break;
    case ZKS__SET_WATCHES:
    case ZKS__SET_WATCHES2:
        set_watches(h, opcode == ZKS__SET_WATCHES ? 3 : 5);
        break;
    default:
        zks__peer_say(h->peer, ZKS_LOG_WARN, "a request of the unknown type %d", (int)opcode);
        refuse(h, ZKS__Z_UNIMPLEMENTED);
        zks__peer_end(h->peer);
        break;
    }
}

void zks__request(struct zks__peer *p, int32_t xid, int32_t opcode, struct zks__reader *r)
{
    const struct hand h = {.peer = p,
                           .tree = p->peers->service->tree,
                           .who = {p->session.id, {p->identity.ids, p->identity.n}},
                           .r = r,
                           .out = &p->out.open,
                           .xid = xid};
    if (zks__is_write(opcode)) {
        zks__write_request(p, &h.who, xid, opcode, r);
    } else {
        dispatch(&h, opcode);
    }
}
