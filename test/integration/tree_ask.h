/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the server and of the tree, and what either answers, in one form for both; and how the
 * two are carried over the wire. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_ASK_H
#define ZKSYNC_TEST_INTEGRATION_TREE_ASK_H

#include <stdio.h>

#include "tree/tree.h"
#include "wire.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Memory for as long as a batch takes. */
struct arena {
    struct arena_block *blocks;
};

void *arena_get(struct arena *a, size_t size);
char *arena_copy(struct arena *a, const void *text, size_t len); /* With a zero byte behind it. */
void arena_clear(struct arena *a);

enum ask_kind {
    ASK_CREATE,
    ASK_CREATE2,
    ASK_CREATE_CONTAINER,
    ASK_CREATE_TTL,
    ASK_DELETE,
    ASK_SET,
    ASK_CHECK, /* In a multi only. */
    ASK_SET_ACL,
    ASK_MULTI,
    ASK_EXISTS,
    ASK_GET,
    ASK_GET_ACL,
    ASK_CHILDREN,
    ASK_CHILDREN2,
    ASK_EPHEMERALS,
    ASK_DESCENDANTS,
    ASK_MULTI_READ,
    ASK_SET_WATCHES,
    ASK_SET_WATCHES2,
    ASK_CHECK_WATCHES,
    ASK_REMOVE_WATCHES,
    ASK_ADD_WATCH,
    ASK_SYNC,
    ASK_CLOSE,
    ASK_KINDS
};

/* What a server says where its own code has failed; no tree does. */
enum { CODE_MARSHALLINGERROR = -5 };

/* setWatches has the first three. */
enum { LIST_DATA, LIST_EXISTS, LIST_CHILDREN, LIST_PERSISTENT, LIST_RECURSIVE, LISTS };

struct ask {
    enum ask_kind kind;
    const char *path;
    const void *data; /* NULL for none. */
    size_t data_len;
    const struct zks__ace *aces;
    size_t n_aces;
    bool no_aces; /* No list, rather than an empty one. */
    int32_t flags;
    int64_t ttl_ms;
    int32_t version;
    bool watch;
    enum zks__watch_type watch_type;
    bool recursive;
    int64_t model_zxid; /* What a client that sets its watches anew has seen, by the model, */
    int64_t wire_zxid;  /* and by the server. */
    const char **lists[LISTS];
    size_t n_lists[LISTS];
    struct ask *parts; /* Of a multi, or of a multi that reads. */
    size_t n_parts;
};

/* What an answer has besides its code. */
enum {
    HAS_PATH = 1,
    HAS_STAT = 2,
    HAS_DATA = 4,
    HAS_NAMES = 8,
    HAS_ACL = 16,
    HAS_COUNT = 32,
    HAS_PARTS = 64,
    HAS_RESULT = 128
};

struct answer {
    int code;
    unsigned has;
    int type; /* The opcode in the answer to a multi. */
    const char *path;
    const void *data;
    size_t data_len;
    struct zks__znode_stat stat;
    const char **names; /* Sorted. */
    size_t n_names;
    struct zks__ace *aces;
    size_t n_aces;
    int32_t count;
    int32_t result; /* Of addWatch: a code once more. */
    struct answer *parts;
    size_t n_parts;
};

/* ask_is_write: whether it is given a zxid. */
bool ask_is_write(enum ask_kind kind);
bool ask_is_create(enum ask_kind kind);
const char *ask_name(enum ask_kind kind);

bool flags_are_ttl(int32_t flags);
bool flags_are_sequential(int32_t flags);

/* ask_send: puts it behind the requests that are to be sent. */
void ask_send(const struct ask *ask, struct wire *w, int32_t xid);

/* answer_read: the answer in a frame. */
void answer_read(const struct ask *ask, const struct wire_frame *frame, struct arena *arena,
                 struct answer *answer);

void answer_sort(struct answer *answer);

/* ask_print, answer_print: on one line, for people. */
void ask_print(FILE *to, const struct ask *ask);
void answer_print(FILE *to, const struct answer *answer);

const char *code_name(int code);

#endif
