/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the servers answer: a read, which one of them answers by itself, then a write that changes
 * nothing, which takes a quorum. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/common.h"
#include "driver/deliveries.h"
#include "zksync/client.h"

struct pinger {
    struct zks__machine machine;
    bool pending;
    bool try_only;
    bool connected;
    bool writing; /* The read has been answered. */
    uint64_t deadline;
    uint64_t retry_at;
    uint32_t ticket; /* Of the request under way. */
    uint64_t sent_us;
    struct zks_ping ping;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void finish(struct pinger *p, struct zks__out *out, int result)
{
    if (p->pending) {
        p->pending = false;
        p->retry_at = ZKS__NEVER;
        out->done = true;
        out->result = result;
    }
    p->ticket++;
}

static void send(struct pinger *p, struct zks__out *out, bool write)
{
    struct zks__req *req = zks__out_add(out, write ? ZKS__BEAT : ZKS__EXISTS, "/");
    req->name = write ? p->machine.client->beat_name : NULL;
    req->ticket = ++p->ticket;
    p->writing = write;
    p->sent_us = now_us();
}

static void start(struct pinger *p, const struct zks__in *in, struct zks__out *out)
{
    p->retry_at = ZKS__NEVER;
    p->ticket++; /* What may still come is of no use any more. */
    if (in->connected) {
        send(p, out, false);
    }
}

static void done(struct pinger *p, struct zks__out *out)
{
    struct zks_client *c = p->machine.client;
    p->ping.write_us = now_us() - p->sent_us;
    p->ping.session = atomic_load(&c->session);
    p->ping.session_timeout_ms = atomic_load(&c->timeout_ms);
    if (c->handle != NULL) {
        zks__handle_server(c->handle, p->ping.server, sizeof p->ping.server);
    }
    finish(p, out, 0);
}

static void replied(struct pinger *p, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (!p->pending || in->reply.ticket != p->ticket) {
        return;
    }
    if (rc == ZKS__UNKNOWN) {
        p->retry_at = zks__after(in->now_ms, ZKS__RETRY_MS);
    } else if (rc == ZKS_ENOCHROOT || rc == ZKS_EAUTH) {
        finish(p, out, rc);
    } else if (p->writing) {
        done(p, out); /* That there is no such znode, or whatever else: it is an answer. */
    } else {
        p->ping.read_us = now_us() - p->sent_us;
        send(p, out, true);
    }
}

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct pinger *p = (struct pinger *)m;
    memset(out, 0, sizeof *out);
    p->connected = in->connected;
    switch (in->kind) {
    case ZKS__IN_REQUEST:
        p->try_only = in->request.deadline_ms <= in->now_ms;
        if (p->try_only && !in->connected) {
            zks__refuse(out, ZKS_EDISCONNECTED);
            break;
        }
        p->pending = true;
        p->deadline = in->request.deadline_ms;
        start(p, in, out);
        break;
    case ZKS__IN_REPLY:
        replied(p, in, out);
        break;
    case ZKS__IN_CANCEL:
    case ZKS__IN_ABANDON:
        finish(p, out, ZKS_ECANCELED);
        break;
    case ZKS__IN_SUSPENDED:
    case ZKS__IN_EXPIRED:
        if (p->try_only) {
            finish(p, out, ZKS_EDISCONNECTED);
        }
        break;
    case ZKS__IN_CONNECTED:
        if (p->pending) {
            start(p, in, out);
        }
        break;
    case ZKS__IN_TICK:
        if (!p->try_only && in->now_ms >= p->deadline) {
            finish(p, out, ZKS_ETIMEDOUT);
        } else if (p->pending && in->connected && in->now_ms >= p->retry_at) {
            start(p, in, out);
        }
        break;
    case ZKS__IN_WATCH:
        break;
    }
}

static uint64_t deadline(const struct zks__machine *m)
{
    const struct pinger *p = (const struct pinger *)m;
    uint64_t at = p->connected ? p->retry_at : ZKS__NEVER;
    return p->pending && !p->try_only ? zks__min(at, p->deadline) : at;
}

static bool clean(const struct zks__machine *m)
{
    return !((const struct pinger *)m)->pending;
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

static int run(zks_client *client, int64_t timeout_ms, struct zks_ping *ping)
{
    struct pinger *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return ZKS_ENOMEM;
    }
    p->retry_at = ZKS__NEVER;
    int rc = zks__machine_attach(&p->machine, &type, client, "/");
    if (rc != 0) {
        free(p);
        return rc;
    }
    rc = zks__machine_run(&p->machine, 0, timeout_ms);
    if (rc == 0) {
        *ping = p->ping;
    }
    zks__machine_free(&p->machine);
    return rc;
}

int zks_client_ping(zks_client *client, int64_t timeout_ms, struct zks_ping *ping)
{
    if (client == NULL || ping == NULL || timeout_ms < ZKS_FOREVER) {
        return ZKS_EINVAL;
    }
    if (zks__in_callback()) {
        return ZKS_EDEADLK;
    }
    int rc = zks__client_enter(client);
    if (rc == 0) {
        rc = run(client, timeout_ms, ping);
        zks__client_leave(client);
    }
    return rc;
}
