/* SPDX-License-Identifier: Apache-2.0 */
/* Files.  It is in both libraries. */
#ifndef ZKS_BASE_FILE_H
#define ZKS_BASE_FILE_H

#include <stdbool.h>

/* zks__file_is_at: whether an open file is still the one at a path.  What keeps the system from telling is no
 * reason to say no. */
bool zks__file_is_at(int fd, const char *path);

#endif
