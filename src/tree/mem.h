/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tree's memory comes from: its owner says, for it calls nothing of the system. */
#ifndef ZKS_TREE_MEM_H
#define ZKS_TREE_MEM_H

#include <stddef.h>

struct zks__mem {
    void *(*alloc)(void *arg, size_t size); /* As malloc(); NULL where there is none. */
    void (*free)(void *arg, void *block);   /* Never called with NULL. */
    void *arg;
};

static inline void *zks__mem_alloc(const struct zks__mem *mem, size_t size)
{
    return mem->alloc(mem->arg, size);
}

static inline void zks__mem_free(const struct zks__mem *mem, void *block)
{
    if (block != NULL) {
        mem->free(mem->arg, block);
    }
}

#endif
