/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of a comparison: each has a session with a server, and a place in the model that hears what
 * the server should send it. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_CLIENTS_H
#define ZKSYNC_TEST_INTEGRATION_TREE_CLIENTS_H

#include "tree_compare.h"
#include "tree_tally.h"

enum { CLIENTS = 5, KEEPER = 0 };

struct client {
    struct member member;
    size_t number;
    struct wire *wire;
    struct wire_session session;
    int32_t xid;
};

struct comparison {
    struct arena arena; /* Of a batch. */
    struct model model;
    struct relation relation;
    struct tally tally;
    struct client clients[CLIENTS];
    struct member *members[CLIENTS];
    struct answer root_before; /* The root's data, to be given back. */
    struct client *acting;     /* Whose batch it is. */
    size_t leader;
    uint64_t seed;
    const char *top;
};

/* comparison_open: opens a session for each client and creates the top.  The keeper's is with the leader,
 * the others' are with other servers where there are any.  comparison_close: frees what there is, and
 * gives the root its data back, also after a failure. */
void comparison_open(struct comparison *c, const char *top, uint64_t seed);
void comparison_close(struct comparison *c);

/* comparison_servers: how many servers take part; comparison_server: one of them, the leader for 0. */
size_t comparison_servers(void);
size_t comparison_server(const struct comparison *c, size_t i);

/* client_ask: asks the model, and gets the request ready to be sent; client_act: sends all that are ready
 * and compares what comes. */
const struct item *client_ask(struct comparison *c, struct client *client, const struct ask *ask);
void client_act(struct comparison *c, struct client *client);

/* clients_settle: waits until each client's server has all that was written, and compares what events
 * have come there; it ends the batch. */
void clients_settle(struct comparison *c);

/* client_renew: opens another session, after the last one was closed; client_attach: takes the session up
 * again.  Both at a server that may be another one. */
void client_renew(struct comparison *c, struct client *client, size_t server);
void client_attach(struct comparison *c, struct client *client, size_t server);

/* clients_clean: deletes what is left below a path, and the root's child. */
void clients_clean(const char *top);

#endif
