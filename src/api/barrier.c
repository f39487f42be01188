/* SPDX-License-Identifier: Apache-2.0 */
#include "zksync/barrier.h"

#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "core/barrier.h"

struct zks_barrier {
    struct zks__machine machine;
    struct zks__stem stem;
    uint32_t settings; /* The driver's thread only, as all below. */
    char *data;
    char *id; /* Where the id of the present setting stands in the data. */
    struct zks__barrier core;
};

/* Every set writes another id, by which it knows its own znode after a lost reply. */
static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct zks_barrier *b = (struct zks_barrier *)m;
    if (in->kind == ZKS__IN_REQUEST && b->core.state == ZKS__BARRIER_IDLE) {
        char uuid[ZKS__UUID_LEN + 1];
        zks__uuid(uuid, &b->stem, ++b->settings);
        memcpy(b->id, uuid, ZKS__UUID_LEN);
    }
    zks__barrier_step(&b->core, in, out);
}

static uint64_t deadline(const struct zks__machine *m)
{
    return zks__barrier_deadline(&((const struct zks_barrier *)m)->core);
}

static bool clean(const struct zks__machine *m)
{
    return ((const struct zks_barrier *)m)->core.state == ZKS__BARRIER_IDLE;
}

static bool watches(const struct zks__machine *m, const char *name)
{
    return zks__barrier_watches(&((const struct zks_barrier *)m)->core, name);
}

static void publish(struct zks__machine *m)
{
    (void)m;
}

static void destroy(struct zks__machine *m)
{
    struct zks_barrier *b = (struct zks_barrier *)m;
    free(b->data);
    free(b);
}

static const struct zks__machine_type type = {step,    deadline, clean,   NULL, watches,
                                              publish, publish,  destroy, NULL, true};

static int init(struct zks_barrier *b, zks_client *client, const char *path)
{
    unsigned char random[ZKS__STEM_LEN / 2];
    char uuid[ZKS__UUID_LEN + 1];
    int rc = zks__fill_random(random, sizeof random);
    if (rc != 0) {
        return rc;
    }
    zks__stem_init(&b->stem, random);
    zks__uuid(uuid, &b->stem, 0);
    b->data = zks__describe(&client->options, uuid);
    if (b->data == NULL) {
        return ZKS_ENOMEM;
    }
    b->id = strstr(b->data, uuid);
    zks__barrier_init(&b->core, path, b->data, strlen(b->data));
    return zks__machine_attach(&b->machine, &type, client, b->core.path);
}

int zks_barrier_new(zks_client *client, const char *path, zks_barrier **barrier)
{
    if (client == NULL || barrier == NULL) {
        return zks__invalid(client == NULL ? "client" : "barrier", "NULL");
    }
    char full[ZKS__PATH_MAX + 1];
    int rc = zks__full_path(client, path, false, full);
    if (rc != 0) {
        return rc;
    }
    struct zks_barrier *b = calloc(1, sizeof *b);
    rc = b != NULL ? init(b, client, full) : ZKS_ENOMEM;
    if (rc != 0) {
        if (b != NULL) {
            destroy(&b->machine);
        }
        return zks__error(rc);
    }
    *barrier = b;
    return 0;
}

void zks_barrier_free(zks_barrier *barrier)
{
    if (barrier != NULL) {
        zks__machine_free(&barrier->machine);
    }
}

static int run(zks_barrier *barrier, int what, int64_t timeout_ms)
{
    return zks__run(barrier != NULL ? &barrier->machine : NULL, what, timeout_ms);
}

int zks_barrier_set(zks_barrier *barrier, int64_t timeout_ms)
{
    return run(barrier, ZKS__BARRIER_SET, timeout_ms);
}

int zks_barrier_unset(zks_barrier *barrier, int64_t timeout_ms)
{
    return run(barrier, ZKS__BARRIER_UNSET, timeout_ms);
}

int zks_barrier_wait(zks_barrier *barrier, int64_t timeout_ms)
{
    return run(barrier, ZKS__BARRIER_WAIT, timeout_ms);
}

static int submit(zks_barrier *barrier, int what, int64_t timeout_ms, zks_op *op)
{
    return zks__submit(barrier != NULL ? &barrier->machine : NULL, op, what, timeout_ms);
}

int zks_barrier_set_op(zks_barrier *barrier, int64_t timeout_ms, zks_op *op)
{
    return submit(barrier, ZKS__BARRIER_SET, timeout_ms, op);
}

int zks_barrier_unset_op(zks_barrier *barrier, int64_t timeout_ms, zks_op *op)
{
    return submit(barrier, ZKS__BARRIER_UNSET, timeout_ms, op);
}

int zks_barrier_wait_op(zks_barrier *barrier, int64_t timeout_ms, zks_op *op)
{
    return submit(barrier, ZKS__BARRIER_WAIT, timeout_ms, op);
}
