/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths ZooKeeper takes. */
#ifndef ZKS_CORE_PATH_H
#define ZKS_CORE_PATH_H

#include <stdbool.h>

/* zks__path_valid: whether ZooKeeper takes the path for a znode other than the root: "/a/b".  No
 * length is too long here. */
bool zks__path_valid(const char *path);

/* zks__path_fault: what is wrong with a path that is not valid; NULL for one that is. */
const char *zks__path_fault(const char *path);

#endif
