/* SPDX-License-Identifier: Apache-2.0 */
/* Whose process is at the other end of a connection, where that is on this machine. */
#ifndef ZKS_SERVER_OWNER_H
#define ZKS_SERVER_OWNER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/* zks__owner_open: a descriptor to ask the system with; below 0 where it does not tell. */
int zks__owner_open(void);

/* zks__owner_find: the user who has made the socket that is at `from`, and connected to `to`.  False where
 * the system does not know. */
bool zks__owner_find(int fd, const struct sockaddr_storage *from, const struct sockaddr_storage *to,
                     uid_t *uid);

#endif
