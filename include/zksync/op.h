/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_OP_H
#define ZKSYNC_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "zksync/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Wait without a limit. */
#define ZKS_FOREVER INT64_C(-1)

/* Where an option is a time: the default. */
#define ZKS_DEFAULT INT64_C(-2)

struct zks_client;
struct zks_op;

/* A completion.  Called once for each operation that was started, with its result (0 or an error of
 * err.h).  It runs on the client's own thread, or inside zks_client_dispatch() where the client was
 * opened with manual dispatch.  The operation's memory is the caller's again from its first
 * instruction on: it may be started anew or freed there.  No blocking function of the library may
 * be called in it (they return ZKS_EDEADLK); starting, cancelling and freeing are fine. */
typedef void (*zks_op_cb)(struct zks_op *op, int result, void *arg);

/* An operation: memory of the caller's, which must stay where it is from the start until the
 * completion.  Set it up with zks_op_init(); the fields are the library's. */
typedef struct zks_op {
    zks_op_cb zks__cb;
    void *zks__arg;
    struct zks_op *zks__next;
    struct zks_client *zks__client;
    void *zks__machine;
    uint64_t zks__deadline_ms;
    int zks__what;
    int zks__result;
    int zks__state;
    bool zks__cancel;
} zks_op;

/* zks_op_init: sets up an operation that is not under way.  `cb` may not be NULL; `arg` is handed
 * to it.  Since 0.1. */
ZKS_EXPORT void zks_op_init(zks_op *op, zks_op_cb cb, void *arg);

/* zks_op_cancel: asks for the operation to end.  The completion still comes, once: with
 * ZKS_ECANCELED, or with its ordinary result where that was faster.  Any thread may call it, also
 * before the start has returned and after the completion has run (it then does nothing), as long as
 * the operation's memory exists.  Since 0.1. */
ZKS_EXPORT void zks_op_cancel(zks_op *op);

#ifdef __cplusplus
}
#endif
#endif
