/* SPDX-License-Identifier: Apache-2.0 */
/* That a folder has one local server, also while the folder is not where it was.
 *
 * server.lock is gone when somebody removes or renames the folder, though its server still serves.  This lock
 * is outside of all folders: a name of an abstract UNIX socket, made of the user's number and the folder's
 * path.  The system lets go of it when the process ends.  Another user can take the name, which is
 * noticed and ignored: then only server.lock keeps a second server out. */
#ifndef ZKS_LOCAL_MUTEX_H
#define ZKS_LOCAL_MUTEX_H

#include <stdbool.h>
#include <sys/types.h>

#include "local/place.h"

/* zks__mutex_lock: 0 and the descriptor that has it, which is -1 where it cannot be had for any other reason than
 *  ZKS_EBUSY  another process of this user has it. */
int zks__mutex_lock(const struct zks__place *p, int *fd);

/* zks__mutex_owner: the process of this user that has it; 0 for none. */
pid_t zks__mutex_owner(const struct zks__place *p);

/* zks__mutex_tend: lets go of those who have asked for the owner.  To be called when the descriptor is
 * readable. */
void zks__mutex_tend(int fd);

#endif
