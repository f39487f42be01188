/* SPDX-License-Identifier: Apache-2.0 */
/* What a job holds: a lock, or a place in a round of a double barrier. */
#ifndef ZKS_CLI_CLAIM_H
#define ZKS_CLI_CLAIM_H

#include "job.h"

struct cli_claim {
    const struct cli_job *job;
    zks_client *client;
    zks_rwlock *lock;
    zks_double_barrier *barrier;
    bool lost; /* We have been told so. */
};

/* cli_claim_new: 0 or an error of the library's. */
int cli_claim_new(struct cli_claim *c, const struct cli_job *job, zks_client *client);
void cli_claim_free(struct cli_claim *c);

/* cli_claim_acquire, cli_claim_release: start an operation. */
int cli_claim_acquire(struct cli_claim *c, int64_t timeout_ms, zks_op *op);
int cli_claim_release(struct cli_claim *c, int64_t timeout_ms, zks_op *op);

/* cli_claim_safe_until: until when it is sure to be held, by zks_clock_ms(); UINT64_MAX where nobody is
 * kept out by it, and 0 where it is not held. */
uint64_t cli_claim_safe_until(struct cli_claim *c);

/* cli_claim_node: the path of our znode while held; "" for a double barrier. */
void cli_claim_node(struct cli_claim *c, char node[CLI_PATH_SIZE]);

#endif
