/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_API_COMMON_H
#define ZKS_API_COMMON_H

#include "base/last_error.h"
#include "core/name.h"
#include "driver/machine.h"

/* zks__dir_valid: whether the path, which may be NULL, can be a primitive's: "/a/b", not "/". */
bool zks__dir_valid(const char *path);

/* zks__invalid: ZKS_EINVAL, with "NAME: WHAT IS WRONG" as the sentence. */
int zks__invalid(const char *name, const char *wrong);

/* zks__no_root: ZKS_ENOCHROOT, with the root that is missing in the sentence. */
int zks__no_root(const char *root);

/* zks__check_path: 0, or ZKS_EINVAL with what is wrong with the path, which may be NULL, as the sentence. */
int zks__check_path(const char *path);

/* zks__full_path: the znode's path for one that the caller gave, which may be NULL: with the client's root in
 * front.  `top` says whether "/" is valid.  0, or ZKS_EINVAL with what is wrong as the sentence. */
int zks__full_path(const zks_client *client, const char *path, bool top,
                   char full[ZKS__PATH_MAX + 1]);

/* zks__run, zks__submit: zks__machine_run and zks__machine_submit for a public function, with the
 * sentence of an error set.  The machine may be NULL: ZKS_EINVAL. */
int zks__run(struct zks__machine *m, int what, int64_t timeout_ms);
int zks__submit(struct zks__machine *m, struct zks_op *op, int what, int64_t timeout_ms);

/* zks__fill_random: 0 or ZKS_ESYSTEM. */
int zks__fill_random(void *buf, size_t size);

/* zks__describe: what the client's znodes say of it, as JSON; with an "id" unless it is NULL.  The
 * caller frees it; NULL where there is no memory. */
char *zks__describe(const zks_client_options *options, const char *id);

#endif
