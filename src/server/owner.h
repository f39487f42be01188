/* SPDX-License-Identifier: Apache-2.0 */
/* Whose process is at the other end of a connection, where that is on this machine. */
#ifndef ZKS_SERVER_OWNER_H
#define ZKS_SERVER_OWNER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/* zks__owner_open: a descriptor to ask the system with, which is tried on a connection of our own to a socket
 * that listens at `at`; below 0 where the system does not tell. */
int zks__owner_open(const struct sockaddr_storage *at, socklen_t len);

/* zks__owner_find: the user who has made the socket that is at `from`, and connected to `to`.  False where it
 * is nobody's any more. */
bool zks__owner_find(int fd, const struct sockaddr_storage *from, const struct sockaddr_storage *to,
                     uid_t *uid);

#endif
