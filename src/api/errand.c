/* SPDX-License-Identifier: Apache-2.0 */
#include "api/errand.h"

#include <stdlib.h>
#include <string.h>

#include "driver/deliveries.h"

void zks__errand_end(struct zks__errand *e, struct zks__out *out, int result)
{
    if (e->pending) {
        e->pending = e->waits = false;
        e->retry_at = ZKS__NEVER;
        out->done = true;
        out->result = result;
    }
}

struct zks__req *zks__errand_ask(struct zks__errand *e, struct zks__out *out,
                                 enum zks__req_kind kind)
{
    struct zks__req *req = zks__out_add(out, kind, e->machine.dir);
    req->ticket = zks__next_ticket(&e->ticket);
    e->waits = true;
    return req;
}

static void start(struct zks__errand *e, const struct zks__in *in, struct zks__out *out)
{
    e->retry_at = ZKS__NEVER;
    if (in->connected) {
        e->start(e, out);
    }
}

static void requested(struct zks__errand *e, const struct zks__in *in, struct zks__out *out)
{
    e->try_only = in->request.deadline_ms <= in->now_ms;
    if (e->try_only && !in->connected) {
        zks__refuse(out, ZKS_EDISCONNECTED);
        return;
    }
    e->pending = true;
    e->deadline = in->request.deadline_ms;
    start(e, in, out);
}

static void replied(struct zks__errand *e, const struct zks__in *in, struct zks__out *out)
{
    if (!e->waits || in->reply.ticket != e->ticket) {
        return;
    }
    e->waits = false;
    if (in->reply.rc == ZKS__UNKNOWN) {
        e->maybe_done = true;
        e->retry_at = zks__after(in->now_ms, ZKS__RETRY_MS);
    } else {
        e->answered(e, &in->reply, out);
    }
}

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct zks__errand *e = (struct zks__errand *)m;
    memset(out, 0, sizeof *out);
    e->connected = in->connected;
    switch (in->kind) {
    case ZKS__IN_REQUEST:
        requested(e, in, out);
        break;
    case ZKS__IN_REPLY:
        replied(e, in, out);
        break;
    case ZKS__IN_CANCEL:
    case ZKS__IN_ABANDON:
        zks__errand_end(e, out, ZKS_ECANCELED);
        break;
    case ZKS__IN_SUSPENDED:
    case ZKS__IN_EXPIRED:
        e->maybe_done |= e->waits;
        e->waits = false;
        if (e->try_only) {
            zks__errand_end(e, out, ZKS_EDISCONNECTED);
        }
        break;
    case ZKS__IN_CONNECTED:
        if (e->pending && !e->waits) {
            start(e, in, out);
        }
        break;
    case ZKS__IN_TICK:
        if (!e->try_only && in->now_ms >= e->deadline) {
            zks__errand_end(e, out, ZKS_ETIMEDOUT);
        } else if (e->pending && in->connected && in->now_ms >= e->retry_at) {
            start(e, in, out);
        }
        break;
    case ZKS__IN_WATCH:
        break;
    }
}

static uint64_t deadline(const struct zks__machine *m)
{
    const struct zks__errand *e = (const struct zks__errand *)m;
    uint64_t at = e->connected ? e->retry_at : ZKS__NEVER;
    return e->pending && !e->try_only ? zks__min(at, e->deadline) : at;
}

static bool clean(const struct zks__machine *m)
{
    return !((const struct zks__errand *)m)->pending;
}

static void nothing(struct zks__machine *m)
{
    (void)m;
}

static void destroy(struct zks__machine *m)
{
    free(m);
}

static const struct zks__machine_type type = {step,    deadline, clean,   NULL, NULL,
                                              nothing, nothing,  destroy, NULL, true};

static int run(struct zks__errand *e, zks_client *client, const char *dir, int64_t timeout_ms,
               void (*copy)(const struct zks__errand *e, void *to), void *to)
{
    e->retry_at = ZKS__NEVER;
    int rc = zks__machine_attach(&e->machine, &type, client, dir);
    if (rc != 0) {
        free(e);
        return zks__error(rc);
    }
    rc = zks__run(&e->machine, 0, timeout_ms);
    if (rc == 0 && copy != NULL) {
        copy(e, to);
    }
    zks__machine_free(&e->machine);
    return rc;
}

int zks__errand_run(struct zks__errand *e, zks_client *client, const char *dir, int64_t timeout_ms,
                    void (*copy)(const struct zks__errand *e, void *to), void *to)
{
    int rc = zks__in_callback() ? ZKS_EDEADLK : zks__client_enter(client);
    if (rc != 0) {
        free(e);
        return zks__error(rc);
    }
    rc = run(e, client, dir, timeout_ms, copy, to);
    zks__client_leave(client);
    return rc;
}
