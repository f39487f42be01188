/* SPDX-License-Identifier: Apache-2.0 */
/* The abstract socket of the local server: it exists as long as the server runs, and cannot be removed.
 *
 * It keeps a second server from starting where .zksync.lock cannot: if that file was removed with the folder, if a folder
 * above was moved or mounted over, or if the folder above belongs to another user.  Abstract names are per network
 * namespace, and any user can bind one, so a socket counts only if the same user listens on it. */
#ifndef ZKS_LOCAL_ALIVE_H
#define ZKS_LOCAL_ALIVE_H

#include "local/place.h"

/* zks__alive_claim: binds it.  *fd is -1 if that is not possible for another reason than ZKS_EBUSY: another server of the
 * same user listens on it.
 * zks__alive_answer: accepts and closes pending connections; to be called regularly.
 * zks__alive_release: closes it; -1 is fine. */
int zks__alive_claim(const struct zks__place *p, int *fd);
void zks__alive_answer(int fd);
void zks__alive_release(int fd);

/* zks__alive_is: whether a server of the same user listens on it. */
bool zks__alive_is(const struct zks__place *p);

#endif
