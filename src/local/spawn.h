/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_LOCAL_SPAWN_H
#define ZKS_LOCAL_SPAWN_H

#include "local/place.h"

enum { ZKS__WHY_MAX = 1024 };

/* zks__spawn: starts the program that serves, and waits until it does or has failed: 0, or
 * ZKS_EDISCONNECTED and `why`, the program's own words where it has ended.  *exit_code is then what it ended
 * with, ZKS__NOT_EXITED where it has not, or ZKS__EXIT_LOST where the calling program ignores SIGCHLD or reaps
 * each child itself. */
enum { ZKS__NOT_EXITED = -1, ZKS__EXIT_LOST = -2 };

int zks__spawn(int64_t until_ms, char why[ZKS__WHY_MAX], int *exit_code);

#endif
