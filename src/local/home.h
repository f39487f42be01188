/* SPDX-License-Identifier: Apache-2.0 */
/* The home folder of the effective user. */
#ifndef ZKS_LOCAL_HOME_H
#define ZKS_LOCAL_HOME_H

#include <stdbool.h>
#include <stddef.h>

/* zks__home: $HOME, or what the user database says where that is not an absolute path.  False where there is
 * neither, or `size` is too small. */
bool zks__home(char *buf, size_t size);

#endif
