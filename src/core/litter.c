/* SPDX-License-Identifier: Apache-2.0 */
#include "litter.h"

#include <string.h>

enum {
    SWEEP_MAX = 4, /* Deletes for one listing; another listing follows anyway. */
    LOOKS = 4 /* After 1, 2, 4 and 8 session timeouts more: no server stands still for so long. */
};

void zks__litter_reset(struct zks__litter *l)
{
    memset(l, 0, sizeof *l);
}

void zks__litter_doubt(struct zks__litter *l, const struct zks__in *in)
{
    l->looks = LOOKS;
    l->look_at = zks__after(in->now_ms, in->timeout_ms);
}

static void look_again(struct zks__litter *l, const struct zks__in *in)
{
    uint64_t next = (uint64_t)in->timeout_ms << (LOOKS - --l->looks);
    l->look_at = zks__after(in->now_ms, next);
    l->dirty = true;
}

static uint32_t request_delete(const struct zks__owner *own, const char *name, struct zks__out *out)
{
    struct zks__req *req = zks__out_add(out, ZKS__DELETE, own->dir);
    req->name = name;
    req->ticket = ++*own->ticket;
    return req->ticket;
}

void zks__litter_delete(struct zks__litter *l, const struct zks__owner *own, const char *name,
                        const struct zks__in *in, struct zks__out *out)
{
    if (!in->connected || l->t_delete) {
        l->dirty = true;
        return;
    }
    l->t_delete = request_delete(own, name, out);
}

/* A lost create may have been carried out on a server that is ahead of ours: the sync brings ours
 * up to it before the listing. */
static void list(struct zks__litter *l, const struct zks__owner *own, struct zks__out *out)
{
    struct zks__req *req = zks__out_add(out, ZKS__CHILDREN, own->dir);
    req->sync = true;
    req->ticket = l->t_list = ++*own->ticket;
}

/* The deletes are not followed one by one: the listing that goes out behind them tells.  Of a refusal
 * only an answer tells, and the first one's is enough. */
static void sweep(struct zks__litter *l, const struct zks__owner *own, const struct zks__in *in,
                  struct zks__out *out)
{
    unsigned found = 0;
    for (size_t i = 0; i < in->reply.n_children && found < SWEEP_MAX; i++) {
        const char *name = in->reply.children[i];
        if (strlen(name) > ZKS__NAME_MAX || !zks__stem_owns(own->stem, name) ||
            (own->spare && zks__stem_made(own->stem, own->attempt, name))) {
            continue;
        }
        uint32_t ticket = request_delete(own, name, out);
        l->t_sweep = found++ == 0 ? ticket : l->t_sweep;
    }
    if (found == 0) {
        l->dirty = false;
        l->refused = 0;
    } else if (in->now_ms >= l->retry_at) {
        l->retry_at = zks__after(in->now_ms, ZKS__RETRY_MS);
        list(l, own, out);
    }
}

static int refusal(int rc)
{
    return rc == ZKS_ENOENT || rc == ZKS__UNKNOWN ? 0 : rc;
}

bool zks__litter_reply(struct zks__litter *l, const struct zks__owner *own,
                       const struct zks__in *in, struct zks__out *out, int *rc)
{
    const struct zks__reply *reply = &in->reply;
    *rc = 0;
    if (reply->ticket == 0) {
        return false;
    }
    if (reply->ticket == l->t_create) {
        l->t_create = 0;
        if (reply->rc == 0) {
            zks__litter_delete(l, own, reply->created, in, out);
        } else if (reply->rc == ZKS__UNKNOWN) {
            l->dirty = true;
            zks__litter_doubt(l, in);
        }
        return true;
    }
    if (reply->ticket == l->t_delete) {
        l->t_delete = 0;
        *rc = reply->rc;
        if (reply->rc != 0 && reply->rc != ZKS_ENOENT) {
            l->dirty = true;
            l->retry_at = zks__after(in->now_ms, reply->rc == ZKS__UNKNOWN ? 0 : ZKS__RETRY_MS);
        }
        /* ENOTEMPTY is of the parent, which was to go as well. */
        l->refused = reply->rc == ZKS_ENOTEMPTY ? 0 : refusal(reply->rc);
        return true;
    }
    if (reply->ticket == l->t_sweep) {
        l->t_sweep = 0;
        /* No znode of ours has children: it is a stranger's that only bears our mark. */
        int refused = reply->rc == ZKS_ENOTEMPTY ? ZKS_ELAYOUT : refusal(reply->rc);
        l->refused = l->dirty ? refused : 0;
        return true;
    }
    if (reply->ticket == l->t_list) {
        l->t_list = 0;
        if (reply->rc == 0) {
            sweep(l, own, in, out);
        } else if (reply->rc == ZKS_ENOENT) {
            l->dirty = false; /* The whole directory is gone. */
            l->refused = 0;
        } else {
            l->retry_at = zks__after(in->now_ms, ZKS__RETRY_MS);
            l->refused = refusal(reply->rc);
        }
        return true;
    }
    return false;
}

void zks__litter_work(struct zks__litter *l, const struct zks__owner *own, const struct zks__in *in,
                      struct zks__out *out)
{
    if (l->looks > 0 && in->connected && in->now_ms >= l->look_at) {
        look_again(l, in);
    }
    if (!l->dirty || l->t_list || l->t_create || l->t_delete || !in->connected ||
        in->now_ms < l->retry_at) {
        return;
    }

    list(l, own, out);
}
