/* SPDX-License-Identifier: Apache-2.0 */
/* Markers: ZKSYNC_HELD has a word for each lock that a process runs under:
 *
 *   zk1:2181,zk2:2181/jobs/x/_c_0123456789abcdef0123456789abcdef-write-0000000007@8589934601
 *
 * that is the servers, the path of the holder's znode on them, and the token.  A process can inherit it long
 * after the lock was released, so a marker proves nothing by itself: it counts if the servers still have that
 * znode with that token.  The random part of the znode's name and the token occur only once, so that a marker of
 * other servers can never match.
 *
 * Words are separated by one space and contain none, so a value survives shells that split it. */
#ifndef ZKS_CLI_MARKER_H
#define ZKS_CLI_MARKER_H

#include "settings.h"

/* cli_marker_exists: whether the environment has a marker, stale or not, for the lock at this znode's path. */
bool cli_marker_exists(const struct cli_settings *s, const char *path);

/* cli_marker_holder: the holder in a view of the lock that such a marker names; NULL if all markers for this
 * path are stale. */
const struct zks_contender *cli_marker_holder(const struct cli_settings *s, const char *path,
                                              const struct zks_view *view);

/* cli_marker_add: the value of ZKSYNC_HELD for a command that also runs under the lock whose holder has this
 * znode.  Stale markers for this lock are left out, so that a chain of processes that each take it anew does not
 * make the variable grow.  The caller frees it; NULL if there is no memory. */
char *cli_marker_add(const struct cli_settings *s, const char *node, uint64_t token);

#endif
