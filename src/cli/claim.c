/* SPDX-License-Identifier: Apache-2.0 */
#include "claim.h"

#include <string.h>

static void on_lost(zks_rwlock *lock, void *arg)
{
    struct cli_claim *c = arg;
    (void)lock;
    c->lost = true;
}

int cli_claim_new(struct cli_claim *c, const struct cli_job *job, zks_client *client)
{
    memset(c, 0, sizeof *c);
    c->job = job;
    c->client = client;
    if (job->kind == CLI_CLAIM_ROUND) {
        return zks_double_barrier_new(client, job->path, job->n, job->id, &c->barrier);
    }
    zks_rwlock_options options = ZKS_RWLOCK_OPTIONS_INIT;
    options.lost = on_lost;
    options.lost_arg = c;
    return zks_rwlock_new(client, job->path, &options, &c->lock);
}

void cli_claim_free(struct cli_claim *c)
{
    zks_rwlock_free(c->lock);
    zks_double_barrier_free(c->barrier);
    c->lock = NULL; /* The client still tells of its connection until it is closed. */
    c->barrier = NULL;
}

int cli_claim_acquire(struct cli_claim *c, int64_t timeout_ms, zks_op *op)
{
    switch (c->job->kind) {
    case CLI_CLAIM_READ:
        return zks_rwlock_rdlock_op(c->lock, timeout_ms, op);
    case CLI_CLAIM_WRITE:
        return zks_rwlock_wrlock_op(c->lock, timeout_ms, op);
    default:
        return zks_double_barrier_enter_op(c->barrier, timeout_ms, op);
    }
}

int cli_claim_release(struct cli_claim *c, int64_t timeout_ms, zks_op *op)
{
    return c->lock != NULL ? zks_rwlock_unlock_op(c->lock, timeout_ms, op)
                           : zks_double_barrier_leave_op(c->barrier, timeout_ms, op);
}

uint64_t cli_claim_safe_until(struct cli_claim *c)
{
    return c->lost ? 0 : c->lock != NULL ? zks_rwlock_safe_until(c->lock) : UINT64_MAX;
}

void cli_claim_node(struct cli_claim *c, char node[CLI_PATH_SIZE])
{
    node[0] = '\0';
    if (c->lock != NULL) {
        zks_rwlock_node(c->lock, node, CLI_PATH_SIZE);
    }
}
