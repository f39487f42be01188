/* SPDX-License-Identifier: Apache-2.0 */
/* What the system knows of a user: the home folder, and the name. */
#ifndef ZKS_BASE_HOME_H
#define ZKS_BASE_HOME_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { ZKS__USER_MAX = 64 };

/* zks__home: that of the effective user: $HOME, or what the user database says where that is not an
 * absolute path.  False where there is neither, or `size` is too small. */
bool zks__home(char *buf, size_t size);

/* zks__user_name: the name, or the number of a user that has none; returns `name`. */
const char *zks__user_name(uid_t uid, char name[ZKS__USER_MAX]);

#endif
