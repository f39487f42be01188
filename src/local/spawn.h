/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_LOCAL_SPAWN_H
#define ZKS_LOCAL_SPAWN_H

#include "local/place.h"

enum { ZKS__WHY_MAX = 1024 };

/* zks__spawn: starts the program that serves, and waits until it does or has failed: 0, or
 * ZKS_EDISCONNECTED and `why`. */
int zks__spawn(int64_t until_ms, char why[ZKS__WHY_MAX]);

#endif
