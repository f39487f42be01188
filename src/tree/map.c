/* SPDX-License-Identifier: Apache-2.0 */
#include "map.h"

#include <string.h>

enum {
    FEW = 16,
    SPARSE = 8 /* With so many buckets for each entry half of them go. */
};

bool zks__map_init(struct zks__map *map, const struct zks__mem *mem)
{
    memset(map, 0, sizeof *map);
    map->mem = mem;
    map->buckets = zks__mem_alloc(mem, FEW * sizeof *map->buckets);
    if (map->buckets == NULL) {
        return false;
    }
    memset(map->buckets, 0, FEW * sizeof *map->buckets);
    map->n_buckets = FEW;
    return true;
}

void zks__map_close(struct zks__map *map)
{
    if (map->buckets != NULL) {
        zks__mem_free(map->mem, map->buckets);
    }
    memset(map, 0, sizeof *map);
}

static struct zks__link **bucket_of(const struct zks__map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->n_buckets - 1)];
}

static void resize(struct zks__map *map, size_t n)
{
    size_t old_n = map->n_buckets;
    struct zks__link **old = map->buckets;
    if (n > SIZE_MAX / sizeof *old) {
        return;
    }
    struct zks__link **buckets = zks__mem_alloc(map->mem, n * sizeof *buckets);
    if (buckets == NULL) {
        return;
    }
    memset(buckets, 0, n * sizeof *buckets);
    map->buckets = buckets;
    map->n_buckets = n;
    for (size_t i = 0; i < old_n; i++) {
        while (old[i] != NULL) {
            struct zks__link *link = old[i];
            struct zks__link **bucket = bucket_of(map, link->hash);
            old[i] = link->next;
            link->next = *bucket;
            *bucket = link;
        }
    }
    zks__mem_free(map->mem, old);
}

static struct zks__link *matching(struct zks__link *link, uint64_t hash)
{
    while (link != NULL && link->hash != hash) {
        link = link->next;
    }
    return link;
}

struct zks__link *zks__map_first(const struct zks__map *map, uint64_t hash)
{
    return matching(*bucket_of(map, hash), hash);
}

struct zks__link *zks__map_next(const struct zks__link *link)
{
    return matching(link->next, link->hash);
}

void zks__map_add(struct zks__map *map, struct zks__link *link, uint64_t hash)
{
    if (map->n >= map->n_buckets) {
        resize(map, 2 * map->n_buckets);
    }
    struct zks__link **bucket = bucket_of(map, hash);
    link->hash = hash;
    link->next = *bucket;
    *bucket = link;
    map->n++;
}

void zks__map_remove(struct zks__map *map, struct zks__link *link)
{
    struct zks__link **at = bucket_of(map, link->hash);
    while (*at != link) {
        at = &(*at)->next;
    }
    *at = link->next;
    map->n--;
    if (map->n_buckets > FEW && map->n < map->n_buckets / SPARSE) {
        resize(map, map->n_buckets / 2);
    }
}

struct zks__link *zks__map_each(const struct zks__map *map, size_t *bucket, struct zks__link *link)
{
    link = link != NULL ? link->next : NULL;
    while (link == NULL && *bucket < map->n_buckets) {
        link = map->buckets[(*bucket)++];
    }
    return link;
}

struct zks__link *zks__map_take(struct zks__map *map, size_t *bucket)
{
    while (*bucket < map->n_buckets) {
        struct zks__link *link = map->buckets[*bucket];
        if (link != NULL) {
            map->buckets[*bucket] = link->next;
            map->n--;
            return link;
        }
        (*bucket)++;
    }
    return NULL;
}

uint64_t zks__hash_number(uint64_t number)
{
    number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
    return number ^ (number >> 31);
}

uint64_t zks__hash_text(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    }
    return zks__hash_number(hash);
}
