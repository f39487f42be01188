/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a history: all of it goes at once at the end.  The library's malloc() and its like are
 * served from here too while a history runs, so that they can be made to fail. */
#ifndef ZKS_SIM_MEMORY_H
#define ZKS_SIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "tree/mem.h"

/* memory_begin, memory_end: around a history. */
void memory_begin(void);
void memory_end(void);

/* memory_get: zeroed, and never NULL: a world that needs more than there is ends the program. */
void *memory_get(size_t size);
void memory_put(void *block);

extern const struct zks__mem memory_of_trees;

/* memory_fail: the library's allocation number `nth` from now on, counted from 1, fails; 0 for none. */
void memory_fail(unsigned nth);

/* memory_library: whether what runs now is the library, whose allocations can fail. */
void memory_library(bool runs);

#endif
