/* SPDX-License-Identifier: Apache-2.0 */
/* The paths that requests name. */
#ifndef ZKS_DRIVER_REQUEST_PATH_H
#define ZKS_DRIVER_REQUEST_PATH_H

#include "core/name.h"

typedef char zks__path_buffer[ZKS__PATH_MAX + ZKS__NAME_MAX + ZKS__UUID_LEN + 4];

/* zks__join: DIR/NAME/BELOW, in `buf`; without `below` where that is NULL, and `dir` itself where `name` is. */
const char *zks__join(zks__path_buffer buf, const char *dir, const char *name, const char *below);

#endif
