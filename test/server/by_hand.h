/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the tests of the local server that are made by hand. */
#ifndef ZKSYNC_TEST_SERVER_BY_HAND_H
#define ZKSYNC_TEST_SERVER_BY_HAND_H

#include "wire.h"

/* by_hand_open: a connection with a session of its own. */
struct wire *by_hand_open(const char *address);

/* by_hand_put_create, by_hand_put_delete: a znode that is open to everybody, and any version of it.
 * by_hand_create: waits for the answer, and returns its code. */
void by_hand_put_create(struct wire *w, int32_t xid, const char *path, const void *data,
                        size_t len);
void by_hand_put_delete(struct wire *w, int32_t xid, const char *path);
int by_hand_create(struct wire *w, const char *path, const void *data, size_t len);

/* by_hand_ask: finishes a request, sends it, waits for the answer to it and returns its code. */
int by_hand_ask(struct wire *w);

/* by_hand_many: creates "/0" to "/n-1" with so much data each, or deletes them. */
enum { BY_HAND_DATA = 300 };
void by_hand_many(struct wire *w, unsigned n, bool delete);

/* A watcher that stays behind, and one who writes what it watches. */
struct lagging {
    struct wire *watcher;
    struct wire *writer;
    char path[3001];
    uint64_t events; /* Their length is that of the path, and some 36 bytes. */
};

/* lagging_open: the watcher is so many events behind then.  lagging_go_on: writes so many more, lets the
 * watcher read as many, and keeps its session alive. */
void lagging_open(struct lagging *l, const char *address, unsigned behind);
void lagging_go_on(struct lagging *l, unsigned events);
void lagging_close(struct lagging *l);

#endif
