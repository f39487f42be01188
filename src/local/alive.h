/* SPDX-License-Identifier: Apache-2.0 */
/* A sign of life of the server that nobody can remove: a socket with a name in no folder, as long as it runs.
 *
 * It tells where .zksync.lock does not: if that has been removed with the folder, if the folders above have been moved
 * or mounted over, or if they are not the user's.  It says nothing in another network namespace.  Another user can take
 * the name, which then says nothing either: whose the socket is counts. */
#ifndef ZKS_LOCAL_ALIVE_H
#define ZKS_LOCAL_ALIVE_H

#include "local/place.h"

/* zks__alive_claim: 0 and the socket, -1 where it cannot be had, or ZKS_EBUSY: another server of the user's has it.
 * zks__alive_answer: now and then, for those who have asked.
 * zks__alive_release: -1 is fine. */
int zks__alive_claim(const struct zks__place *p, int *fd);
void zks__alive_answer(int fd);
void zks__alive_release(int fd);

/* zks__alive_is: whether a server of the user's has it. */
bool zks__alive_is(const struct zks__place *p);

#endif
