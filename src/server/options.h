/* SPDX-License-Identifier: Apache-2.0 */
/* What a server was told: the public options, made whole; and its log, which is one of them. */
#ifndef ZKS_SERVER_OPTIONS_H
#define ZKS_SERVER_OPTIONS_H

#include <sys/socket.h>

#include "zksync/server.h"

/* zks__options_take: copies what was given, with defaults for the rest, and finds out where to listen.  0 or an
 * error of zks_server_open()'s, which has been logged.  zks__options_free: what was taken, also in part. */
int zks__options_take(zks_server_options *o, const zks_server_options *given,
                      struct sockaddr_storage *at, socklen_t *at_len);
void zks__options_free(zks_server_options *o);

/* zks__options_log: a line of the log, if it wants any of that level. */
void zks__options_log(const zks_server_options *o, int level, const char *text);
void zks__options_say(const zks_server_options *o, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
