/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in the place of the servers: it is asked what they are asked, and what each client is to hear
 * is written down in the order in which a server must send it. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_MODEL_H
#define ZKSYNC_TEST_INTEGRATION_TREE_MODEL_H

#include "tree_ask.h"

/* Who may do everything. */
extern const struct zks__who model_super;

/* What a client is to hear next: a watch event, or the answer to what it has asked. */
struct item {
    const struct ask *ask; /* NULL for an event. */
    int32_t xid;
    int64_t zxid; /* Of the last write, by the model. */
    struct answer answer;
    enum zks__event event;
    int64_t event_zxid; /* Of the write that has caused it; -1 for none. */
    const char *path;
    size_t nth;       /* Of those events of the same write that are the same. */
    unsigned group;   /* Events of the same one come in any order; 0 stands for none. */
    bool after_child; /* In a group: the deletion of each child is to be heard too. */
};

/* A connection of a session. */
struct member {
    struct zks__session session;
    struct zks__who who;
    struct zks__watcher watcher;
    struct watched *watched; /* What it has ever watched here. */
    struct arena watched_arena;
    size_t server; /* Which one it is connected to. */
    struct item *items;
    size_t n_items;
    size_t max_items;
    size_t next_item; /* The first one that it has not heard yet. */
};

struct model {
    struct zks__mem mem;
    struct zks__tree *tree;
    int64_t zxid; /* The model's zxids count from 1. */
    struct arena *arena;
    bool before_39; /* The servers are of a release before 3.9. */
    unsigned group;
    unsigned last_group;
    struct member *const *members; /* Those without a session count for nothing. */
    size_t n_members;
};

void model_open(struct model *m, struct arena *arena, struct member *const *members,
                size_t n_members);
void model_close(struct model *m);

/* model_open_session: the server has opened it, and has chosen its number. */
void model_open_session(struct model *m, struct member *member);

/* model_watches: asks for just the watches that the member has. */
void model_watches(struct model *m, const struct member *member, struct ask *ask);

/* model_leave: the connection has ended, and its watches with it. */
void model_leave(struct model *m, struct member *member);

/* model_ask: answers, and adds to what the clients are to hear.  The item with the answer is good until
 * the next one. */
const struct item *model_ask(struct model *m, struct member *member, const struct ask *ask,
                             int32_t xid);

/* model_forget: what the member was to hear; it has heard it. */
void model_forget(struct member *member);

#endif
