/* SPDX-License-Identifier: Apache-2.0 */
/* Random requests: most of them likely to be carried out, many nearly, some nonsense. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_GENERATE_H
#define ZKSYNC_TEST_INTEGRATION_TREE_GENERATE_H

#include "tree_compare.h"

enum { LATELY = 32, PATH_SIZE = 1024 };

/* Whose ACL entries there are; "keeper" is never locked out of what others may need. */
extern const char alice_id[];
extern const char bob_id[];
extern const char keeper_id[];

struct generator {
    uint64_t state;
    const char *top; /* All znodes are below it. */
    struct model *model;
    struct relation *relation;
    struct arena *arena;
    char lately[LATELY][PATH_SIZE]; /* What has been created, or deleted, lately. */
    unsigned next_lately;
    size_t crowd; /* How many znodes there are; the more, the more deletes. */
    bool careful; /* Nothing is to go wrong by intention. */
};

/* generator_next: a random number below `n`. */
uint64_t generator_below(struct generator *g, uint64_t n);

/* generator_count: looks how many znodes there are. */
void generator_count(struct generator *g);

/* generate: a request for the model as it is now. */
const struct ask *generate(struct generator *g);

/* generator_learn: what has become of a request. */
void generator_learn(struct generator *g, const struct ask *ask, const struct answer *answer);

#endif
