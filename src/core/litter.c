/* SPDX-License-Identifier: Apache-2.0 */
#include "litter.h"

#include <string.h>

enum {
    SWEEP_MAX = 4, /* Deletes for one listing; another listing follows anyway. */
    DOUBLED_MAX = 16,
    LATE_MAX = 4, /* Each late create needs a stalled server of its own. */
    LOOKS = 4 /* After 1, 2, 4 and 8 session timeouts more: no server stands still for so long. */
};

void zks__litter_reset(struct zks__litter *l)
{
    memset(l, 0, sizeof *l);
}

static void allow(struct zks__litter *l)
{
    l->refused = 0;
    l->refusals = 0;
}

void zks__litter_session_over(struct zks__litter *l, const struct zks__in *in, bool made)
{
    bool left = in->given_up && (made || !zks__litter_over(l));
    zks__litter_reset(l);
    l->dirty = left;
}

void zks__litter_doubt(struct zks__litter *l, const struct zks__in *in)
{
    l->late = l->looks == 0 ? 1 : l->late < LATE_MAX ? l->late + 1 : LATE_MAX;
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
    req->ticket = zks__next_ticket(own->ticket);
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

/* A lost create or delete may have been carried out on servers that are ahead of ours: the write brings
 * ours up to that before the listing, which a deposed leader's sync would not (see step.h). */
static void list(struct zks__litter *l, const struct zks__owner *own, struct zks__out *out)
{
    struct zks__req *req = zks__out_add(out, ZKS__CHILDREN, own->dir);
    req->quorum = true;
    req->ticket = l->t_list = zks__next_ticket(own->ticket);
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
        allow(l);
    } else if (in->now_ms >= l->retry_at && l->refused == 0) {
        l->retry_at = zks__after(in->now_ms, ZKS__RETRY_MS);
        list(l, own, out);
    }
}

void zks__litter_hurry(struct zks__litter *l)
{
    l->refused = 0;
    l->refusals = 0;
    l->retry_at = 0;
}

/* Without the root there is no folder either. */
static bool is_gone(int rc)
{
    return rc == ZKS_ENOENT || rc == ZKS_ENOCHROOT;
}

static void put_off(struct zks__litter *l, const struct zks__in *in)
{
    uint64_t most = in->timeout_ms > ZKS__RETRY_MS ? in->timeout_ms : ZKS__RETRY_MS;
    uint64_t wait = (uint64_t)ZKS__RETRY_MS << l->refusals;
    l->refusals += l->refusals < DOUBLED_MAX;
    l->retry_at = zks__after(in->now_ms, zks__min(wait, most));
}

static void refuse(struct zks__litter *l, const struct zks__in *in, int rc)
{
    l->refused = rc;
    put_off(l, in);
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
        *rc = is_gone(reply->rc) ? ZKS_ENOENT : reply->rc;
        l->dirty |= *rc != 0 && *rc != ZKS_ENOENT;
        if (*rc != ZKS_ENOENT && zks__is_final(*rc)) {
            refuse(l, in, *rc);
        } else {
            allow(l);
            /* ENOTEMPTY is of the parent, which was to go as well. */
            l->retry_at = *rc == ZKS_ENOTEMPTY ? zks__after(in->now_ms, ZKS__RETRY_MS) : 0;
        }
        return true;
    }
    if (reply->ticket == l->t_sweep) {
        l->t_sweep = 0;
        /* No znode of ours has children: it is a stranger's that only bears our mark. */
        int refused = reply->rc == ZKS_ENOTEMPTY ? ZKS_ELAYOUT : reply->rc;
        if (l->dirty && !is_gone(refused) && zks__is_final(refused)) {
            refuse(l, in, refused);
        } else if (refused != ZKS__UNKNOWN) {
            allow(l);
        } else {
            put_off(l, in);
        }
        return true;
    }
    if (reply->ticket == l->t_list) {
        l->t_list = 0;
        if (reply->rc == 0) {
            sweep(l, own, in, out);
        } else if (is_gone(reply->rc)) {
            l->dirty = false; /* The whole directory is gone. */
            allow(l);
        } else if (zks__is_final(reply->rc)) {
            refuse(l, in, reply->rc);
        } else {
            put_off(l, in);
            l->refused = 0;
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
    bool waits = l->t_list || l->t_create || l->t_delete || (l->t_sweep && l->refused != 0);
    if (!l->dirty || waits || !in->connected || in->now_ms < l->retry_at) {
        return;
    }

    list(l, own, out);
}
