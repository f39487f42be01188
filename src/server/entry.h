/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a journal say of a tree, as bytes: its writes in a log, what it is made of in a
 * snapshot.  Whatever the bytes are, to read them is safe. */
#ifndef ZKS_SERVER_ENTRY_H
#define ZKS_SERVER_ENTRY_H

#include "codec.h"

/* ---- Writes ---- */

void zks__entry_write(struct zks__writer *w, const struct zks__txn *txn, const struct zks__who *who,
                      const struct zks__op *ops, size_t n);
void zks__entry_idle(struct zks__writer *w, const struct zks__txn *txn);
void zks__entry_open_session(struct zks__writer *w, const struct zks__txn *txn,
                             const struct zks__session *session);
void zks__entry_close_session(struct zks__writer *w, const struct zks__txn *txn, int64_t id);

/* ---- Parts of a tree ---- */

/* How many there are, which is the last thing that a snapshot says. */
struct zks__entry_counts {
    uint64_t sessions;
    uint64_t nodes;
};

void zks__entry_session(struct zks__writer *w, const struct zks__session *session);
void zks__entry_znode(struct zks__writer *w, const struct zks__znode_parts *parts);
void zks__entry_end(struct zks__writer *w, const struct zks__entry_counts *counts);

/* zks__entry_total: how many bytes all entries of a snapshot have. */
uint64_t zks__entry_total(const struct zks__tree_counts *counts);

/* ---- Both ---- */

enum zks__entry_result {
    ZKS__ENTRY_DONE,
    ZKS__ENTRY_END,   /* That of a snapshot. */
    ZKS__ENTRY_WRONG, /* It is none, or the tree cannot be told so; `what` says why. */
    ZKS__ENTRY_NOMEM
};

/* zks__entry_replay: carries out the next write; that may not be called where nothing is left.
 * zks__entry_restore: puts the next part into a tree; counts[0] is what there was so far. */
enum zks__entry_result zks__entry_replay(struct zks__reader *r, struct zks__tree *tree,
                                         const struct zks__mem *mem, const char **what);
enum zks__entry_result zks__entry_restore(struct zks__reader *r, struct zks__tree *tree,
                                          const struct zks__mem *mem,
                                          struct zks__entry_counts *counts, const char **what);

#endif
