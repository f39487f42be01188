/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what a server has sent is what the model has it send, where the two count zxids and time in
 * their own ways. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_COMPARE_H
#define ZKSYNC_TEST_INTEGRATION_TREE_COMPARE_H

#include "tree_model.h"

enum { OUTER_MAX = 40, OUTER_KINDS = 6 };

/* What the test makes and deletes directly below the root. */
extern const char root_child[];

/* A znode that was there before the test, which leaves it as it is, but for the root.  Servers differ in
 * what they say of their configuration. */
struct outer {
    size_t server;
    const char *path;
    struct answer by_model[OUTER_KINDS];
    struct answer by_server[OUTER_KINDS];
};

/* How the model's zxids and times are the server's. */
struct relation {
    int64_t *zxids; /* The server's for each of the model's; 0 where it is not known yet. */
    int64_t *times;
    size_t size;
    int64_t model_zxid; /* The latest that is known, and the server's. */
    int64_t server_zxid;
    uint64_t foreign; /* How many zxids went to writes of others. */
    struct outer outers[OUTER_MAX];
    size_t n_outers;
    struct arena arena; /* What is known of these. */
};

void relation_close(struct relation *r);

/* relation_begin: the model and the server are known to stand here. */
void relation_begin(struct relation *r, int64_t model_zxid, int64_t server_zxid);

/* relation_zxid: the server's zxid for one of the model's, which must be known. */
int64_t relation_zxid(const struct relation *r, int64_t model_zxid);

/* relation_advance: a server's answer after the model's latest write had this zxid in its header.  False
 * where that cannot be.  The server may be ahead: somebody else has written something. */
bool relation_advance(struct relation *r, int64_t model_zxid, int64_t server_zxid);

/* relation_event: the same of an event, which may be of an earlier write, or of none (-1). */
bool relation_event(struct relation *r, int64_t model_zxid, int64_t server_zxid);

/* relation_add_outer: what the model and a server have answered to each ask of outer_asks(). */
void relation_add_outer(struct relation *r, size_t server, const char *path,
                        const struct answer *by_model, const struct answer *by_server);

/* path_is_root: "" is another name of "/". */
bool path_is_root(const char *path);

/* outer_asks: what is asked of each such znode. */
void outer_asks(const char *path, struct ask asks[OUTER_KINDS]);

/* relation_same: whether the two answers are the same. */
bool relation_same(struct relation *r, size_t server, const struct ask *ask,
                   const struct answer *by_model, const struct answer *by_server);

#endif
