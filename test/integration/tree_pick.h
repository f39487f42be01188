/* SPDX-License-Identifier: Apache-2.0 */
/* What random requests are made of: paths, data, versions and ACLs. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_PICK_H
#define ZKSYNC_TEST_INTEGRATION_TREE_PICK_H

#include "tree_generate.h"

/* chance: true in so many of a hundred cases; PICK: some entry of an array. */
bool chance(struct generator *g, uint64_t percent);
#define PICK(g, array) ((array)[generator_below((g), COUNT(array))])

const char *path_join(struct generator *g, const char *a, const char *b);
const char *path_child(struct generator *g, const char *path);

/* path_is_inside: whether it is the top, or below it; path_is_ours: or the root's child. */
bool path_is_ours(const struct generator *g, const char *path);
bool path_is_inside(const struct generator *g, const char *path);

/* Paths: path_walk is of a znode that is there, path_leaf of one without children, path_named of the small
 * name space, path_odd seldom of any znode, path_any of all that, and path_plain one that a server reads,
 * and sends, just as it is. */
const char *path_walk(struct generator *g);
const char *path_leaf(struct generator *g);
const char *path_named(struct generator *g);
const char *path_odd(struct generator *g);
const char *path_any(struct generator *g);
const char *path_plain(struct generator *g);

/* pick_stat: the Stat of a znode; false where there is none. */
bool pick_stat(const struct generator *g, const char *path, struct zks__znode_stat *stat);

void pick_data(struct generator *g, struct ask *ask);

/* pick_acl: for a request that has its path and its flags. */
void pick_acl(struct generator *g, struct ask *ask);

/* pick_version: one that lets nobody change what is not ours, but for the root's data. */
int32_t pick_version(struct generator *g, enum ask_kind kind, const char *path);

/* pick_crowd: how many znodes there are below the top. */
size_t pick_crowd(const struct generator *g);

#endif
