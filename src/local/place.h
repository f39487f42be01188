/* SPDX-License-Identifier: Apache-2.0 */
/* The user's folder: where it is, whose it is, and the small files in it. */
#ifndef ZKS_LOCAL_PLACE_H
#define ZKS_LOCAL_PLACE_H

#include "zksync/local.h"

enum { ZKS__PLACE_MAX = 1024, ZKS__SECRET_BYTES = 32, ZKS__SECRET_SIZE = 2 * 32 + 1 };

struct zks__place {
    zks_log_cb log; /* NULL for none. */
    void *log_arg;
    char folder[ZKS__PLACE_MAX];
};

typedef char zks__place_path[ZKS__PLACE_MAX + 32];

/* zks__place_init: only finds out where it is; 0 or ZKS_ESYSTEM. */
int zks__place_init(struct zks__place *p, zks_log_cb log, void *log_arg);

/* zks__place_say: logs a line; at ZKS_LOG_ERROR it is also the sentence of the error. */
void zks__place_say(const struct zks__place *p, enum zks_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* zks__place_check: whether the folder may be trusted.  zks__place_make: creates it where it is not there.
 *  ZKS_ENOENT (check alone; nothing is said), ZKS_EACCES, ZKS_ESYSTEM */
int zks__place_check(const struct zks__place *p);
int zks__place_make(const struct zks__place *p);

/* zks__place_file: the path of a file in it; returns `path`. */
const char *zks__place_file(const struct zks__place *p, const char *name, zks__place_path path);

/* zks__place_open: a descriptor, of 3 or above, that a program which is run does not get; or -1 with errno
 * set.  The file is created, for the user alone, where it is not there and `flags` have O_CREAT. */
int zks__place_open(const struct zks__place *p, const char *name, int flags);

/* zks__place_write: replaces a file as a whole.  0 or ZKS_ESYSTEM. */
int zks__place_write(const struct zks__place *p, const char *name, const char *text);

/* zks__place_secret: reads it, or where `make` is true and there is none, makes it.
 *  ZKS_ENOENT (nothing is said), ZKS_EACCES, ZKS_ESYSTEM */
int zks__place_secret(const struct zks__place *p, bool make, char secret[ZKS__SECRET_SIZE]);

#endif
