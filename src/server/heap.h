/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a server: the system's, counted, and given back to the system after much of it was freed. */
#ifndef ZKS_SERVER_HEAP_H
#define ZKS_SERVER_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "tree/mem.h"

/* It must not be moved while anything has its memory. */
struct zks__heap {
    atomic_size_t held; /* Bytes in use. */
    atomic_size_t most; /* ... at any time since memory was last given back. */
};

/* zks__heap_init: `mem` may be used by several threads at once. */
void zks__heap_init(struct zks__heap *heap, struct zks__mem *mem);

/* zks__heap_held: how many bytes are in use. */
size_t zks__heap_held(struct zks__heap *heap);

/* zks__heap_trim: where more has been freed than is held, gives it back to the system; says whether it did.
 * free() alone keeps it for the process, unless it happens to be at the end of the heap. */
bool zks__heap_trim(struct zks__heap *heap);

#endif
