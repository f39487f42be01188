/* SPDX-License-Identifier: Apache-2.0 */
/* From the files of a journal to a tree, and from a tree to a snapshot. */
#ifndef ZKS_SERVER_RECOVER_H
#define ZKS_SERVER_RECOVER_H

#include <stdatomic.h>

#include "frame.h"

struct zks__recovery {
    const struct zks__store *store;
    struct zks__tree *tree; /* A new one. */
    int64_t until;          /* Only what the logs before this one hold; INT64_MAX for everything. */
    const atomic_bool *stop; /* Where it becomes true, what is under way fails; or NULL. */

    /* What was found. */
    struct zks__file last; /* The log that goes on, to be written; its descriptor is -1 for none. */
    uint64_t next;         /* The number of the next frame. */
    int64_t snapshot;      /* The zxid of the snapshot; -1 for none. */
    uint64_t snapshot_bytes;
    uint64_t log_bytes; /* Of the logs, without the last one. */
    uint64_t torn; /* How much the last log has behind its last batch: what a crash has cut off. */
    int64_t spare; /* A log that was begun and is not used; -1 for none. */
};

/* zks__recover: the newest snapshot and the logs behind it.  Changes no file. */
int zks__recover(struct zks__recovery *r, char why[ZKS__WHY_SIZE]);

/* zks__dump: a snapshot of the tree, which goes with the log whose first frame has the number `first`.
 * Durable with the return. */
int zks__dump(const struct zks__store *s, const struct zks__tree *tree, uint64_t first,
              const atomic_bool *stop, uint64_t *bytes, char why[ZKS__WHY_SIZE]);

/* zks__tidy: removes what nobody needs who has a tree of that zxid or a later one in a snapshot (-1: who has
 * none), and where `fresh` is true what never became a file. */
int zks__tidy(const struct zks__store *s, int64_t snapshot, bool fresh, char why[ZKS__WHY_SIZE]);

#endif
