/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and starting the user's local server again and again, for a client that has lost it. */
#ifndef ZKS_LOCAL_LOCAL_H
#define ZKS_LOCAL_LOCAL_H

#include "local/limit.h"
#include "local/place.h"
#include "local/spawn.h"

/* What the environment said at the beginning: the folder, and the program that serves. */
struct zks__local_way {
    struct zks__place place;
    struct zks__starter starter;
};

/* zks__local_way_init: reads the environment.  The caller closes it, also after an error.
 *  ZKS_ESYSTEM  as zks_local_folder; the log says why.
 *  ZKS_ENOMEM */
int zks__local_way_init(struct zks__local_way *w, zks_log_cb log, void *log_arg);
void zks__local_way_close(struct zks__local_way *w);

/* zks__local_start: zks_local_start() with a limit that can be canceled.  If any process failed to start the same
 * program less than `pause_ms` ago, it returns that error and starts nothing. */
int zks__local_start(const struct zks__local_way *w, int64_t pause_ms,
                     const struct zks__limit *limit, struct zks_local *local);

#endif
