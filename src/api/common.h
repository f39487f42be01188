/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_API_COMMON_H
#define ZKS_API_COMMON_H

#include "core/name.h"
#include "driver/machine.h"

/* zks__dir_valid: whether the path, which may be NULL, can be a primitive's: "/a/b", not "/". */
bool zks__dir_valid(const char *path);

/* zks__fill_random: 0 or ZKS_ESYSTEM. */
int zks__fill_random(void *buf, size_t size);

/* zks__describe: what the client's znodes say of it, as JSON; with an "id" unless it is NULL.  The
 * caller frees it; NULL where there is no memory. */
char *zks__describe(const zks_client_options *options, const char *id);

#endif
