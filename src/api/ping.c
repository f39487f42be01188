/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the servers answer: a read, which one of them answers by itself, then a write that changes
 * nothing, which takes a quorum. */
#include <stdlib.h>
#include <time.h>

#include "api/errand.h"
#include "zksync/client.h"

struct pinger {
    struct zks__errand errand;
    bool writing; /* The read has been answered. */
    uint64_t sent_us;
    struct zks_ping ping;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void ask(struct pinger *p, struct zks__out *out, bool write)
{
    struct zks__req *req = zks__errand_ask(&p->errand, out, write ? ZKS__BEAT : ZKS__EXISTS);
    req->name = write ? p->errand.machine.client->beat_name : NULL;
    p->writing = write;
    p->sent_us = now_us();
}

static void start(struct zks__errand *e, struct zks__out *out)
{
    ask((struct pinger *)e, out, false);
}

static void done(struct pinger *p, struct zks__out *out)
{
    struct zks_client *c = p->errand.machine.client;
    p->ping.write_us = now_us() - p->sent_us;
    p->ping.session = atomic_load(&c->session);
    p->ping.session_timeout_ms = atomic_load(&c->timeout_ms);
    if (c->handle != NULL) {
        zks__handle_server(c->handle, p->ping.server, sizeof p->ping.server);
    }
    zks__errand_end(&p->errand, out, 0);
}

/* That there is no such znode, or that it may not be read, is an answer too. */
static void answered(struct zks__errand *e, const struct zks__reply *reply, struct zks__out *out)
{
    struct pinger *p = (struct pinger *)e;
    if (reply->rc == ZKS_ENOCHROOT || reply->rc == ZKS_EAUTH) {
        zks__errand_end(e, out, reply->rc);
    } else if (p->writing) {
        done(p, out);
    } else {
        p->ping.read_us = now_us() - p->sent_us;
        ask(p, out, true);
    }
}

static void copy(const struct zks__errand *e, void *to)
{
    *(struct zks_ping *)to = ((const struct pinger *)e)->ping;
}

int zks_client_ping(zks_client *client, int64_t timeout_ms, struct zks_ping *ping)
{
    if (client == NULL || ping == NULL) {
        return zks__invalid(client == NULL ? "client" : "ping", "NULL");
    }
    if (timeout_ms < ZKS_FOREVER) {
        return zks__invalid("timeout_ms", "negative");
    }
    struct pinger *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return zks__error(ZKS_ENOMEM);
    }
    p->errand.start = start;
    p->errand.answered = answered;
    return zks__errand_run(&p->errand, client, "/", timeout_ms, copy, ping);
}
