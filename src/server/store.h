/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a journal.
 *
 * "log.Z" holds the writes after the zxid Z, "snapshot.Z" the tree as it was at Z, which is 16 hexadecimal
 * digits.  "NAME.new" is one that is being written, and of no use after a crash.  "lock" is locked by who
 * has the folder. */
#ifndef ZKS_SERVER_STORE_H
#define ZKS_SERVER_STORE_H

#include "journal.h"

struct zks__store {
    const struct zks__mem *mem;
    char *path;
    int folder;
    int lock;
};

/* Those that can fail return an enum zks__journal_error and set `why`. */

/* zks__store_open: makes the folder where there is none, and takes it.  zks__store_close: what is all
 * zeros but for -1 as descriptors is fine. */
int zks__store_open(struct zks__store *s, const char *path, const struct zks__mem *mem,
                    char why[ZKS__WHY_SIZE]);
void zks__store_close(struct zks__store *s);

/* zks__store_id: identifies the folder: a copy of it has another ID. */
void zks__store_id(const struct zks__store *s, char id[ZKS__FOLDER_ID]);

/* zks__store_check: whether the folder is still where it was, with the lock in it.  ZKS__J_GONE: it has been removed,
 * renamed or replaced, so that another server can take what is there now, and a start would not find what
 * this one writes.  Whatever else keeps the system from telling is no error. */
int zks__store_check(const struct zks__store *s, char why[ZKS__WHY_SIZE]);

/* zks__store_sync: makes durable what files there are.  zks__store_remove: of no file is no error. */
int zks__store_sync(const struct zks__store *s, char why[ZKS__WHY_SIZE]);
int zks__store_remove(const struct zks__store *s, const char *name, char why[ZKS__WHY_SIZE]);

enum zks__file_kind { ZKS__FILE_LOG = 1, ZKS__FILE_SNAPSHOT = 2 };
enum { ZKS__NAME_SIZE = 40 };

void zks__file_name(enum zks__file_kind kind, int64_t zxid, char name[ZKS__NAME_SIZE]);
void zks__file_fresh_name(enum zks__file_kind kind, int64_t zxid, char name[ZKS__NAME_SIZE]);

/* zks__store_each: tells of each file of a journal there is, in no order; `fresh` where it is one that was
 * being written.  Ends early where `see` returns false. */
int zks__store_each(const struct zks__store *s,
                    bool (*see)(void *arg, enum zks__file_kind kind, int64_t zxid, bool fresh),
                    void *arg, char why[ZKS__WHY_SIZE]);

/* Sentences about a file, or the folder where `name` is NULL: that it cannot be `done` to ("written"), for
 * the reason in errno; that it is damaged; that there is no memory.  Each returns its error. */
int zks__store_fails(const struct zks__store *s, const char *name, const char *done,
                     char why[ZKS__WHY_SIZE]);
int zks__store_damaged(const struct zks__store *s, const char *name, uint64_t at, const char *what,
                       char why[ZKS__WHY_SIZE]);
int zks__store_no_memory(char why[ZKS__WHY_SIZE]);

/* zks__is_full: whether an errno says that there is no room. */
bool zks__is_full(int number);

/* zks__sync_file, zks__sync_data: as fsync() and fdatasync(). */
bool zks__sync_file(int fd);
bool zks__sync_data(int fd);

#endif
