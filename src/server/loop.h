/* SPDX-License-Identifier: Apache-2.0 */
/* The server's turns.  In each it reads what has come, carries it out in memory, makes all of it durable
 * with one sync, and only then sends what is to be sent: so nobody sees what could still be lost, and what
 * comes while the disk is waited for is the next turn's batch.  One thread; nothing it waits for but the
 * disk can hold others up. */
#ifndef ZKS_SERVER_LOOP_H
#define ZKS_SERVER_LOOP_H

#include <sys/socket.h>

#include "peer.h"

struct connection;

struct zks__loop {
    struct zks__service *service;
    struct zks__peers peers;
    size_t max_connections;
    int64_t idle_ms; /* Below 0: never. */
    int owner_fd; /* Of zks__owner_open() where only the user's own processes may connect, or -1. */
    int epoll_fd;
    int listen_fd;
    int wake_fd; /* An eventfd: somebody has orders. */
    uint64_t idle_since_ms;
    uint64_t sweep_ms;
    bool accepting;
    struct connection *more;   /* Those with requests that had to wait. */
    bool (*orders)(void *arg); /* Carries out what others ask for; false to end. */
    void (*done)(void *arg);   /* What they asked for is durable, and sent. */
    void *arg;
};

enum zks__loop_end { ZKS__LOOP_TOLD, ZKS__LOOP_IDLE, ZKS__LOOP_FAILED };

/* zks__loop_listen: a socket that listens; `address` gets the port that the system has chosen.  Below 0: a
 * negative errno. */
int zks__loop_listen(struct sockaddr_storage *address, socklen_t *len);

/* zks__loop_run: turns until the server is told to end, has nobody to serve for too long, or cannot keep what
 * it promises; all connections are closed then, and the listener with them. */
enum zks__loop_end zks__loop_run(struct zks__loop *loop, char why[ZKS__WHY_SIZE]);

#endif
