/* SPDX-License-Identifier: Apache-2.0 */
/* The user's folder: where it is, which user owns it, and how the files in it are opened and written. */
#ifndef ZKS_LOCAL_PLACE_H
#define ZKS_LOCAL_PLACE_H

#include "zksync/local.h"

enum { ZKS__PLACE_MAX = 1024 };

/* Results that are not errors.  They are above 0, so that none can be taken for a public error. */
enum {
    ZKS__NONE = 1, /* It does not exist. */
    ZKS__UNSETTLED /* It is being started or ended: look again. */
};

struct zks__place {
    zks_log_cb log; /* NULL for none. */
    void *log_arg;
    char folder[ZKS__PLACE_MAX];
    size_t base;  /* The length of the part of it that the environment names. */
    bool in_home; /* That part is the home folder, which is never created. */
};

typedef char zks__place_path[ZKS__PLACE_MAX + 32];

/* zks__place_init: only finds out where it is; 0 or ZKS_ESYSTEM. */
int zks__place_init(struct zks__place *p, zks_log_cb log, void *log_arg);

/* zks__place_beside: the path of the file beside the folder: it stays when that is removed or renamed. */
const char *zks__place_beside(const struct zks__place *p, zks__place_path path);

void zks__place_say(const struct zks__place *p, enum zks_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* zks__place_check: whether the folder may be trusted.  zks__place_make: creates it where it does not exist.
 *  ZKS__NONE    check alone: it does not exist, and could be created.
 *  ZKS_EACCES   the folder, or one that it is or would be in, is another user's, or others can write to it.
 *  ZKS_ESYSTEM  the system does not let it be reached or created. */
int zks__place_check(const struct zks__place *p);
int zks__place_make(const struct zks__place *p);

/* zks__place_file: the path of a file in it; returns `path`. */
const char *zks__place_file(const struct zks__place *p, const char *name, zks__place_path path);

/* zks__place_open: a descriptor, of 3 or above, that a program which is run does not get; or -1 with errno
 * set, to 0 where it is not a regular file.  The file is created, for the user alone, where it does not
 * exist and `flags` have O_CREAT. */
int zks__place_open(const struct zks__place *p, const char *name, int flags);
int zks__place_open_path(const char *path, int flags);

/* zks__place_fails: logs that a file cannot be used, and why by errno, as zks__place_open sets it; errno is
 * kept.  Returns ZKS_ESYSTEM. */
int zks__place_fails(const struct zks__place *p, const char *name, const char *what);

/* zks__place_write: replaces a file as a whole.  0 or ZKS_ESYSTEM. */
int zks__place_write(const struct zks__place *p, const char *name, const char *text);

#endif
