/* SPDX-License-Identifier: Apache-2.0 */
/* Why no server can be reached: libzookeeper does not say, so each address is asked directly. */
#ifndef ZKS_API_PROBE_H
#define ZKS_API_PROBE_H

#include <stdint.h>

#include "api/servers.h"
#include "base/last_error.h"

/* zks__probe: connects to every address at once and asks the word srvr, until all have answered,
 * `until_ms` has come, or `stop`, called every few ms, returns true.  Puts a sentence into `text` that
 * names each server and what it answered, and returns how many of them serve.  `tried_ms` is how long the
 * servers have been tried in all, for those that are silent. */
size_t zks__probe(const struct zks__servers *servers, uint64_t until_ms, int64_t tried_ms,
                  bool (*stop)(void *arg), void *arg, char text[ZKS__ERROR_MAX]);

#endif
