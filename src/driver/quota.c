/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/quota.h"

#include <string.h>

#include "driver/machine.h"
#include "driver/request_path.h"
#include "driver/request_size.h"

enum {
    PREFIX = 4,   /* Of each text, its length. */
    SEQUENCE = 10 /* Digits that the server adds. */
};

static size_t path_bytes(const struct zks__machine *m, const char *name)
{
    return PREFIX + m->client->root_len + strlen(m->dir) + 1 + strlen(name);
}

static size_t limit(const struct zks_client *c)
{
    return c->options.max_session_bytes;
}

static void set_owned(struct zks__machine *m, size_t bytes)
{
    struct zks_client *c = m->client;
    c->owned_bytes -= m->owned_epoch == c->epoch ? m->owned_bytes : 0;
    c->owned_bytes += bytes;
    m->owned_bytes = bytes;
    m->owned_epoch = c->epoch;
}

static size_t owned(const struct zks__machine *m)
{
    return m->owned_epoch == m->client->epoch ? m->owned_bytes : 0;
}

static void log_refusal(struct zks_client *c, const char *what, size_t bytes)
{
    zks__client_log(
        c, ZKS_LOG_WARN,
        "zksync: refused: the %s of this client's session have %zu bytes of paths, and may "
        "have %zu (max_session_bytes): use a further client",
        what, bytes, limit(c));
}

/* The swap of a downgrade deletes as much as it creates. */
static int admit_znode(struct zks__machine *m, const struct zks__req *req)
{
    struct zks_client *c = m->client;
    bool swap = req->kind == ZKS__SWAP;
    size_t bytes = path_bytes(m, swap ? req->name2 : req->name) + (swap ? 0 : SEQUENCE);
    if (!swap && c->owned_bytes + bytes > limit(c)) {
        log_refusal(c, "znodes", c->owned_bytes);
        return ZKS_ELIMIT;
    }
    set_owned(m, owned(m) + bytes);
    m->create_bytes = bytes > m->create_bytes ? bytes : m->create_bytes;
    return 0;
}

static int admit_watch(struct zks__machine *m, struct zks__req *req)
{
    struct zks_client *c = m->client;
    size_t more = limit(c) / 2;
    size_t most = m->type->own != NULL && !req->may_poll ? limit(c) + more : limit(c);
    most = most < ZKS__REQUEST_MAX ? most : ZKS__REQUEST_MAX;
    zks__path_buffer buf;
    const char *path = zks__join(buf, req->dir, req->name, NULL);
    if (c->handle == NULL || zks__watches_has_room(zks__handle_watches(c->handle), path,
                                                   req->kind == ZKS__CHILDREN, most)) {
        return 0;
    }
    if (req->may_poll) {
        req->watch = false;
        return 0;
    }
    log_refusal(c, "watches", zks__watches_bytes(zks__handle_watches(c->handle)));
    return ZKS_ELIMIT;
}

int zks__quota_admit(struct zks__machine *m, struct zks__req *req)
{
    if (req->kind == ZKS__CREATE_QUEUED || req->kind == ZKS__SWAP) {
        return admit_znode(m, req);
    }
    bool watches = req->watch || (req->kind == ZKS__LOOK && !req->no_watch);
    return watches ? admit_watch(m, req) : 0;
}

void zks__quota_recount(struct zks__machine *m)
{
    struct zks__owned what;
    if (m->type->own != NULL && m->type->own(m, &what)) {
        set_owned(m,
                  what.late * m->create_bytes + (what.name != NULL ? path_bytes(m, what.name) : 0));
    }
}

void zks__quota_release(struct zks__machine *m)
{
    set_owned(m, 0);
}
