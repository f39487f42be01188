/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table whose links are part of what is in it.  Only growing and shrinking allocate, and where that
 * fails the table stays as it is. */
#ifndef ZKS_TREE_MAP_H
#define ZKS_TREE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"

/* The first member of what is in the table. */
struct zks__link {
    struct zks__link *next;
    uint64_t hash;
};

struct zks__map {
    const struct zks__mem *mem;
    struct zks__link **buckets;
    size_t n_buckets; /* A power of two. */
    size_t n;
};

/* zks__map_init: false where there is no memory. */
bool zks__map_init(struct zks__map *map, const struct zks__mem *mem);

/* zks__map_close: forgets what is left in it; a map that is all zeros is fine. */
void zks__map_close(struct zks__map *map);

/* zks__map_first: the first link with the hash; zks__map_next: the one after it. */
struct zks__link *zks__map_first(const struct zks__map *map, uint64_t hash);
struct zks__link *zks__map_next(const struct zks__link *link);

/* zks__map_add, zks__map_remove: nothing here looks whether it is in already. */
void zks__map_add(struct zks__map *map, struct zks__link *link, uint64_t hash);
void zks__map_remove(struct zks__map *map, struct zks__link *link);

/* zks__map_take: removes any link and returns it, to empty the map; `bucket` starts as 0. */
struct zks__link *zks__map_take(struct zks__map *map, size_t *bucket);

/* zks__map_each: goes through the map while nothing is added or removed; `bucket` starts as 0 and `link` as NULL.
 * NULL at the end. */
struct zks__link *zks__map_each(const struct zks__map *map, size_t *bucket, struct zks__link *link);

uint64_t zks__hash_text(const char *text);
uint64_t zks__hash_number(uint64_t number);

#endif
