/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_LOCAL_SPAWN_H
#define ZKS_LOCAL_SPAWN_H

#include "local/limit.h"
#include "local/place.h"

enum { ZKS__WHY_MAX = 1024, ZKS__PROGRAM_SIZE = 4096 };

/* What is started, and with which environment: both as they were when this was made, since a program with
 * several threads may change its environment at any time. */
struct zks__starter {
    char program[ZKS__PROGRAM_SIZE]; /* "" where there is none, for the reason in `why`. */
    char why[ZKS__WHY_MAX];
    char **environment;
};

/* zks__starter_init: 0 or ZKS_ENOMEM.  zks__starter_close: all zeros is fine. */
int zks__starter_init(struct zks__starter *s);
void zks__starter_close(struct zks__starter *s);

/* zks__spawn: starts the program that serves, and waits until it does or has failed: 0, or
 * ZKS_EDISCONNECTED and `why`, the program's own words where it has ended.  *exit_code is then what it ended
 * with, ZKS__NOT_EXITED where it has not, or ZKS__EXIT_LOST where the calling program ignores SIGCHLD or reaps
 * each child itself. */
enum { ZKS__NOT_EXITED = -1, ZKS__EXIT_LOST = -2 };

int zks__spawn(const struct zks__starter *s, const struct zks__limit *limit, char why[ZKS__WHY_MAX],
               int *exit_code);

#endif
