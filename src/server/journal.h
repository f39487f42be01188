/* SPDX-License-Identifier: Apache-2.0 */
/* What a server has promised to keep: each write to its tree, in order, in a log on disk, and from time to
 * time a snapshot of the tree, from which a start is quicker.
 *
 * A write is appended when the tree has carried it out, and durable once zks__journal_sync() has returned
 * 0; nobody may see it before.  What was appended between two syncs goes to disk as one batch, and is
 * there after a crash as a whole or not at all.  Used by one thread at a time. */
#ifndef ZKS_SERVER_JOURNAL_H
#define ZKS_SERVER_JOURNAL_H

#include "tree/tree.h"

struct zks__journal;

enum { ZKS__WHY_SIZE = 512, ZKS__FOLDER_ID = 48 };

struct zks__journal_options {
    const char *folder; /* Created with mode 0700 where it is not there, but not those above it. */
    /* A log of this size or more, that is larger than the snapshot too, is compacted; and so is what has
     * so much in it, and as much as the tree, that the tree does not need: see zks__journal_tend(). */
    size_t compact_bytes;
    struct zks__mem mem; /* Is called from another thread too, at the same time. */
    void (*log)(void *arg, const char *line); /* What is worth telling; from any thread. */
    void *arg;
};

/* zks__journal_open: takes the folder, for which nobody else may have a journal, and carries out on the
 * tree, which must be new and stay until the journal is closed, what is there, even where that is more than the tree's limits allow by now.  On
 * failure what was written is as it was, the tree is only good to be freed, and `why` is a sentence for
 * people: what is wrong with which file, and what to do.
 *  ZKS__J_INUSE, ZKS__J_ACCESS, ZKS__J_SYSTEM, ZKS__J_DAMAGED, ZKS__J_NEWER, ZKS__J_NOMEM */
enum zks__journal_error {
    ZKS__J_INUSE = 1, /* Another server has the folder. */
    ZKS__J_ACCESS,    /* The system does not let us. */
    ZKS__J_SYSTEM,    /* It fails otherwise. */
    ZKS__J_DAMAGED,   /* What is there is not what was written. */
    ZKS__J_NEWER,     /* It was written by a later version. */
    ZKS__J_NOMEM,
    ZKS__J_GONE /* The folder is not there any more. */
};
int zks__journal_open(const struct zks__journal_options *options, struct zks__tree *tree,
                      struct zks__journal **journal, char why[ZKS__WHY_SIZE]);

/* zks__journal_close: drops what was not synced, lets go of the folder; NULL is fine. */
void zks__journal_close(struct zks__journal *j);

/* What the tree has carried out.  Each remembers a lack of memory, which the next sync reports. */
void zks__journal_write(struct zks__journal *j, const struct zks__txn *txn,
                        const struct zks__who *who, const struct zks__op *ops, size_t n);
void zks__journal_idle(struct zks__journal *j, const struct zks__txn *txn);
void zks__journal_open_session(struct zks__journal *j, const struct zks__txn *txn,
                               const struct zks__session *session);
void zks__journal_close_session(struct zks__journal *j, const struct zks__txn *txn, int64_t id);

/* zks__journal_dirty: whether a sync has anything to do or to report.  zks__journal_full: whether so much was
 * appended since the last one that it should come before more is. */
bool zks__journal_dirty(const struct zks__journal *j);
bool zks__journal_full(const struct zks__journal *j);

/* zks__journal_id: as zks__store_id(). */
void zks__journal_id(const struct zks__journal *j, char id[ZKS__FOLDER_ID]);

/* zks__journal_check: whether the folder is still there: 0, or ZKS__J_GONE and `why`. */
int zks__journal_check(const struct zks__journal *j, char why[ZKS__WHY_SIZE]);

/* zks__journal_sync: makes it durable.  0, or an enum zks__journal_error and `why`: then nobody may be
 * told of any of it, and all later syncs fail too.  Where files may not grow over a size (RLIMIT_FSIZE) the
 * process has to ignore or block SIGXFSZ, or the system ends it there. */
int zks__journal_sync(struct zks__journal *j, char why[ZKS__WHY_SIZE]);

/* zks__journal_tend: from time to time, also where nothing is written; does nothing before what was appended
 * is synced.  Compacts as a sync does, and where `eager` is true also for a few MiB that the tree does not
 * need, if that is as much as it needs.  Returns whether a compaction is under way. */
bool zks__journal_tend(struct zks__journal *j, bool eager);

#endif
