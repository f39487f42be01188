/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of src/tree share: memory that is counted and can run out, a tree with watchers that
 * write down what they are told, and a dump of all that can be seen of a tree. */
#ifndef ZKS_TEST_TREE_DUMP_H
#define ZKS_TEST_TREE_DUMP_H

#include <stdbool.h>

#include "tree/node.h"
#include "tree/tree.h"
#include "unit.h"

/* ---- Memory ---- */

struct heap {
    struct zks__mem mem;
    size_t blocks;  /* Allocated and not freed yet. */
    size_t bytes;   /* ... and how large they are together. */
    size_t asked;   /* How often it was asked for one. */
    size_t fail_at; /* The number of the request that is refused; 0 for none. */
    size_t refused;
    bool for_good; /* ... and all those behind it are refused too. */
    bool dry;      /* All requests are refused. */
    bool plain;
};

void heap_init(struct heap *heap);

/* ---- Text ---- */

struct text {
    char *at; /* NULL while it is empty; else it ends with a zero. */
    size_t len;
    size_t size;
};

void text_clear(struct text *text);
void text_free(struct text *text);
const char *text_get(const struct text *text);
void text_add(struct text *text, const char *what);
void text_number(struct text *text, int64_t number);

/* The texts are the same, or else their first difference is shown and the test fails. */
void assert_text_equal(const struct text *is, const struct text *want, const char *what);

/* ---- A tree ---- */

enum { WATCHERS = 4 };

struct garden {
    struct heap heap;
    struct zks__tree *tree;
    struct zks__txn txn; /* Of the last write. */
    struct zks__watcher watchers[WATCHERS];
    const char *const *paths; /* Where the dump looks for watches, a list that ends with NULL. */
    struct text events;
    struct text scratch;
};

/* garden_open: `limits` may be NULL. */
void garden_open(struct garden *g, const struct zks__tree_limits *limits, const char *const *paths);

/* garden_try_open: false where there was no memory, of which nothing may be left then. */
bool garden_try_open(struct garden *g, const struct zks__tree_limits *limits,
                     const char *const *paths);

/* garden_close: and not a byte is left. */
void garden_close(struct garden *g);

/* garden_next: the next write's zxid and time. */
const struct zks__txn *garden_next(struct garden *g);

/* garden_write: a write with the next zxid; returns its code. */
int garden_write(struct garden *g, const struct zks__who *who, const struct zks__op *op,
                 struct zks__op_result *result);

/* garden_open_session, garden_close_session: with the next zxid. */
int garden_open_session(struct garden *g, int64_t id);
void garden_close_session(struct garden *g, int64_t id);

/* garden_events: what the watchers have been told since the last call, such as "0 CREATED /a\n". */
const char *garden_events(struct garden *g);

/* garden_node: the znode itself; it has to be there. */
struct zks__znode *garden_node(const struct garden *g, const char *path);
struct zks__znode_stat garden_stat(const struct garden *g, const char *path);

/* garden_dump: all but the zxid. */
void garden_dump(struct garden *g, struct text *text);

/* garden_check: what holds of every tree: that the parts agree with each other. */
void garden_check(const struct garden *g);

void dump_stat(struct text *text, const struct zks__znode_stat *stat);
bool stat_equal(const struct zks__znode_stat *a, const struct zks__znode_stat *b);

/* ---- Requests ---- */

/* The server itself, which nothing is denied. */
extern const struct zks__who super;

/* Somebody without any identity. */
extern const struct zks__who nobody;

/* {ALL, world:anyone} */
extern const struct zks__ace open_acl[1];
enum { PERM_ALL = 31 };

struct zks__who session_of(int64_t session);
struct zks__op op_create(const char *path, int mode);
struct zks__op op_delete(const char *path, int32_t version);
struct zks__op op_set(const char *path, const char *data, int32_t version);
struct zks__op op_set_acl(const char *path, const struct zks__ace *aces, size_t n, int32_t version);
struct zks__op op_check(const char *path, int32_t version);
struct zks__op op_reap(const char *path);

/* garden_create: as the server itself, and it has to succeed. */
void garden_create(struct garden *g, const char *path, int mode);

/* garden_do: as the server itself; returns the code. */
int garden_do(struct garden *g, struct zks__op op);

#endif
