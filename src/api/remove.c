/* SPDX-License-Identifier: Apache-2.0 */
/* The removal of somebody else's znode. */
#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "core/path.h"
#include "core/round.h"
#include "driver/deliveries.h"
#include "zksync/observer.h"

struct remover {
    struct zks__machine machine;
    bool pending;
    bool try_only;
    bool connected;
    bool maybe_done; /* An earlier delete may have been carried out. */
    bool waits;      /* For an answer. */
    uint64_t deadline;
    uint64_t retry_at;
    uint64_t epoch;
    uint32_t ticket;
    const char *name; /* Behind the end of `dir`. */
    char dir[];
};

static void finish(struct remover *r, struct zks__out *out, int result)
{
    if (r->pending) {
        r->pending = r->waits = false;
        r->retry_at = ZKS__NEVER;
        out->done = true;
        out->result = result;
    }
}

static void start(struct remover *r, const struct zks__in *in, struct zks__out *out)
{
    r->retry_at = ZKS__NEVER;
    if (in->connected) {
        struct zks__req *req = zks__out_add(out, ZKS__DELETE, r->dir);
        req->name = r->name;
        req->version = -1;
        req->ticket = ++r->ticket;
        r->waits = true;
    }
}

static void replied(struct remover *r, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (!r->waits || in->reply.ticket != r->ticket) {
        return;
    }
    r->waits = false;
    if (rc == ZKS__UNKNOWN) {
        r->maybe_done = true;
        r->retry_at = zks__after(in->now_ms, ZKS__RETRY_MS);
    } else {
        finish(r, out, rc == ZKS_ENOENT && r->maybe_done ? 0 : rc);
    }
}

static void requested(struct remover *r, const struct zks__in *in, struct zks__out *out)
{
    r->try_only = in->request.deadline_ms <= in->now_ms;
    if (r->try_only && !in->connected) {
        zks__refuse(out, ZKS_EDISCONNECTED);
        return;
    }
    r->pending = true;
    r->deadline = in->request.deadline_ms;
    start(r, in, out);
}

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct remover *r = (struct remover *)m;
    memset(out, 0, sizeof *out);
    r->connected = in->connected;
    switch (in->kind) {
    case ZKS__IN_REQUEST:
        requested(r, in, out);
        break;
    case ZKS__IN_REPLY:
        replied(r, in, out);
        break;
    case ZKS__IN_CANCEL:
    case ZKS__IN_ABANDON:
        finish(r, out, ZKS_ECANCELED);
        break;
    case ZKS__IN_SUSPENDED:
    case ZKS__IN_EXPIRED:
        r->maybe_done |= r->waits;
        r->waits = false;
        if (r->try_only) {
            finish(r, out, ZKS_EDISCONNECTED);
        }
        break;
    case ZKS__IN_CONNECTED:
        if (r->pending && !r->waits) {
            start(r, in, out);
        }
        break;
    case ZKS__IN_TICK:
        if (!r->try_only && in->now_ms >= r->deadline) {
            finish(r, out, ZKS_ETIMEDOUT);
        } else if (r->pending && in->connected && in->now_ms >= r->retry_at) {
            start(r, in, out);
        }
        break;
    case ZKS__IN_WATCH:
        break;
    }
}

static uint64_t deadline(const struct zks__machine *m)
{
    const struct remover *r = (const struct remover *)m;
    uint64_t at = r->connected ? r->retry_at : ZKS__NEVER;
    return r->pending && !r->try_only ? zks__min(at, r->deadline) : at;
}

static bool clean(const struct zks__machine *m)
{
    return !((const struct remover *)m)->pending;
}

static void nothing(struct zks__machine *m)
{
    (void)m;
}

static void destroy(struct zks__machine *m)
{
    free(m);
}

static const struct zks__machine_type type = {step,    deadline, clean,  NULL,
                                              nothing, nothing,  destroy};

static int run(zks_client *client, const char *path, int64_t timeout_ms)
{
    size_t len = strlen(path);
    size_t dir_len = (size_t)(strrchr(path, '/') - path);
    struct remover *r = calloc(1, sizeof *r + len + 2);
    if (r == NULL) {
        return ZKS_ENOMEM;
    }
    /* Of "/name" the folder is "/". */
    memcpy(r->dir, path, dir_len > 0 ? dir_len : 1);
    r->name = strcpy(r->dir + (dir_len > 0 ? dir_len : 1) + 1, path + dir_len + 1);
    r->retry_at = ZKS__NEVER;
    int rc = zks__machine_attach(&r->machine, &type, client, r->dir);
    if (rc != 0) {
        free(r);
        return rc;
    }
    rc = zks__machine_run(&r->machine, 0, timeout_ms);
    zks__machine_free(&r->machine);
    return rc;
}

static bool removable(const char *path)
{
    struct zks__contender contender;
    struct zks__member member;
    const char *slash = path != NULL && zks__path_valid(path) ? strrchr(path, '/') : NULL;
    return slash != NULL && slash - path <= ZKS__PATH_MAX && strlen(slash + 1) <= ZKS__NAME_MAX &&
           (zks__contender_parse(slash + 1, &contender) || zks__member_parse(slash + 1, &member));
}

int zks_remove(zks_client *client, const char *path, int64_t timeout_ms)
{
    if (client == NULL || timeout_ms < ZKS_FOREVER || !removable(path)) {
        return ZKS_EINVAL;
    }
    if (zks__in_callback()) {
        return ZKS_EDEADLK;
    }
    int rc = zks__client_enter(client);
    if (rc == 0) {
        rc = run(client, path, timeout_ms);
        zks__client_leave(client);
    }
    return rc;
}
