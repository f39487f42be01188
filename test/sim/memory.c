/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sanitized.h"

/* The library calls these in the place of the system's; the linker turns them here. */
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *block);

static bool in_history;
static bool in_library;
static unsigned fail_at;

/* Every block has a head.  Where a sanitizer watches, blocks are the system's, in a list. */
struct head {
    struct head *next;
    union {
        struct head *prev;
        size_t class;
    };
};

#if SANITIZED

static struct head all = {&all, {&all}};

static struct head *take(size_t size)
{
    struct head *h = __real_calloc(1, sizeof *h + size);
    if (h == NULL) {
        abort();
    }
    h->next = &all;
    h->prev = all.prev;
    h->prev->next = h;
    all.prev = h;
    return h;
}

static void give(struct head *h)
{
    h->prev->next = h->next;
    h->next->prev = h->prev;
    __real_free(h);
}

static void give_all(void)
{
    while (all.next != &all) {
        give(all.next);
    }
}

#else

enum { GRAIN = 64, CLASSES = 512 };
#define ARENA ((size_t)1 << 30)

static char *arena;
static size_t used;
static struct head *spare[CLASSES];

static struct head *take(size_t size)
{
    size_t class = (size + sizeof(struct head) + GRAIN - 1) / GRAIN;
    struct head *h;
    if (class < CLASSES && spare[class] != NULL) {
        h = spare[class];
        spare[class] = h->next;
    } else {
        if (arena == NULL) {
            arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        }
        if (arena == MAP_FAILED || class * GRAIN > ARENA - used) {
            fprintf(stderr, "sim: out of memory\n");
            abort();
        }
        h = (struct head *)(void *)(arena + used);
        used += class * GRAIN;
        h->class = class;
    }
    memset(h + 1, 0, size);
    return h;
}

static void give(struct head *h)
{
    if (h->class < CLASSES) {
        h->next = spare[h->class];
        spare[h->class] = h;
    }
}

static void give_all(void)
{
    used = 0;
    memset(spare, 0, sizeof spare);
}

#endif

void *memory_get(size_t size)
{
    return take(size) + 1;
}

void memory_put(void *block)
{
    if (block != NULL) {
        give((struct head *)block - 1);
    }
}

static void *get_for_tree(void *arg, size_t size)
{
    (void)arg;
    return memory_get(size);
}

static void put_for_tree(void *arg, void *block)
{
    (void)arg;
    memory_put(block);
}

const struct zks__mem memory_of_trees = {get_for_tree, put_for_tree, NULL};

void memory_begin(void)
{
    in_history = true;
    in_library = false;
    fail_at = 0;
}

void memory_end(void)
{
    in_history = false;
    give_all();
}

void memory_fail(unsigned nth)
{
    fail_at = nth;
}

void memory_library(bool runs)
{
    in_library = runs;
}

static bool fails(void)
{
    return in_library && fail_at > 0 && --fail_at == 0;
}

void *__wrap_malloc(size_t size)
{
    if (!in_history) {
        return __real_malloc(size);
    }
    return fails() ? NULL : memory_get(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    if (!in_history) {
        return __real_calloc(n, size);
    }
    if (size != 0 && n > SIZE_MAX / size) {
        return NULL;
    }
    return fails() ? NULL : memory_get(n * size);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

void __wrap_free(void *block)
{
    if (!in_history) {
        __real_free(block);
    } else {
        memory_put(block);
    }
}
