/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include <malloc.h>
#include <stdlib.h>

/* Less than this is left to the allocator. */
enum { WORTHWHILE = 8 << 20 };

static void *heap_alloc(void *arg, size_t size)
{
    struct zks__heap *heap = arg;
    void *block = malloc(size);
    if (block != NULL) {
        size = malloc_usable_size(block);
        size_t held = atomic_fetch_add_explicit(&heap->held, size, memory_order_relaxed) + size;
        /* Where two threads come here at once the smaller one may stay: it is no more than a measure. */
        if (held > atomic_load_explicit(&heap->most, memory_order_relaxed)) {
            atomic_store_explicit(&heap->most, held, memory_order_relaxed);
        }
    }
    return block;
}

static void heap_free(void *arg, void *block)
{
    struct zks__heap *heap = arg;
    (void)atomic_fetch_sub_explicit(&heap->held, malloc_usable_size(block), memory_order_relaxed);
    free(block);
}

void zks__heap_init(struct zks__heap *heap, struct zks__mem *mem)
{
    atomic_init(&heap->held, 0);
    atomic_init(&heap->most, 0);
    *mem = (struct zks__mem){heap_alloc, heap_free, heap};
}

size_t zks__heap_held(struct zks__heap *heap)
{
    return atomic_load_explicit(&heap->held, memory_order_relaxed);
}

bool zks__heap_trim(struct zks__heap *heap)
{
    size_t held = zks__heap_held(heap);
    size_t most = atomic_load_explicit(&heap->most, memory_order_relaxed);
    if (most < held || most - held < WORTHWHILE || most - held < held) {
        return false;
    }
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
    atomic_store_explicit(&heap->most, held, memory_order_relaxed);
    return true;
}
