/* SPDX-License-Identifier: Apache-2.0 */
#include "sessions.h"

#include <string.h>

#include "code.h"

struct zks__tracked {
    struct zks__link link;
    int64_t id;
    uint32_t timeout_ms;
    bool closing;      /* In no bucket any more. */
    const void *owner; /* NULL for the first one that asks. */
    uint64_t until_ms; /* A whole tick. */
    struct zks__tracked *prev;
    struct zks__tracked *next;
};

static uint64_t round_up(const struct zks__sessions *s, uint64_t ms)
{
    return (ms / s->tick_ms + 1) * s->tick_ms;
}

bool zks__sessions_init(struct zks__sessions *s, const struct zks__mem *mem, uint32_t tick_ms,
                        uint32_t min_ms, uint32_t max_ms, uint64_t now_ms)
{
    memset(s, 0, sizeof *s);
    s->mem = mem;
    s->tick_ms = tick_ms;
    s->min_ms = min_ms != 0 ? min_ms : 2 * tick_ms;
    s->max_ms = max_ms != 0 ? max_ms : 20 * tick_ms;
    s->next_ms = round_up(s, now_ms);
    s->n_buckets = s->max_ms / tick_ms + 3;
    s->buckets = zks__mem_alloc(mem, s->n_buckets * sizeof(struct zks__tracked *));
    if (s->buckets == NULL || !zks__map_init(&s->map, mem)) {
        zks__sessions_close(s);
        return false;
    }
    memset(s->buckets, 0, s->n_buckets * sizeof(struct zks__tracked *));
    return true;
}

void zks__sessions_close(struct zks__sessions *s)
{
    size_t bucket = 0;
    for (struct zks__link *l = zks__map_take(&s->map, &bucket); l != NULL;
         l = zks__map_take(&s->map, &bucket)) {
        zks__mem_free(s->mem, l);
    }
    zks__map_close(&s->map);
    if (s->buckets != NULL) {
        zks__mem_free(s->mem, s->buckets);
    }
    memset(s, 0, sizeof *s);
}

uint32_t zks__sessions_grant(const struct zks__sessions *s, int32_t asked_ms)
{
    int64_t asked = asked_ms;
    return asked < s->min_ms ? s->min_ms : asked > s->max_ms ? s->max_ms : (uint32_t)asked;
}

static struct zks__tracked *find(const struct zks__sessions *s, int64_t id)
{
    struct zks__link *l = zks__map_first(&s->map, zks__hash_number((uint64_t)id));
    for (; l != NULL; l = zks__map_next(l)) {
        struct zks__tracked *t = (struct zks__tracked *)l;
        if (t->id == id) {
            return t;
        }
    }
    return NULL;
}

static struct zks__tracked **bucket_of(const struct zks__sessions *s, uint64_t until_ms)
{
    return &s->buckets[until_ms / s->tick_ms % s->n_buckets];
}

static void take_out(struct zks__sessions *s, struct zks__tracked *t)
{
    if (t->until_ms == 0) {
        return;
    }
    *(t->prev != NULL ? &t->prev->next : bucket_of(s, t->until_ms)) = t->next;
    if (t->next != NULL) {
        t->next->prev = t->prev;
    }
    t->until_ms = 0;
}

/* Its time is up at the next whole tick after its timeout: never in a bucket that has been looked at. */
static void put(struct zks__sessions *s, struct zks__tracked *t, uint64_t now_ms)
{
    uint64_t until_ms = round_up(s, now_ms + t->timeout_ms);
    until_ms = until_ms < s->next_ms ? s->next_ms : until_ms;
    if (t->until_ms == until_ms) {
        return;
    }
    take_out(s, t);
    struct zks__tracked **bucket = bucket_of(s, until_ms);
    t->until_ms = until_ms;
    t->prev = NULL;
    t->next = *bucket;
    if (t->next != NULL) {
        t->next->prev = t;
    }
    *bucket = t;
}

int zks__sessions_add(struct zks__sessions *s, int64_t id, uint32_t timeout_ms, uint64_t now_ms)
{
    struct zks__tracked *t = find(s, id);
    if (t == NULL) {
        t = zks__mem_alloc(s->mem, sizeof *t);
        if (t == NULL) {
            return ZKS__Z_SYSTEMERROR;
        }
        memset(t, 0, sizeof *t);
        t->id = id;
        zks__map_add(&s->map, &t->link, zks__hash_number((uint64_t)id));
    }
    if (!t->closing) {
        t->timeout_ms = timeout_ms;
        put(s, t, now_ms);
    }
    return 0;
}

int zks__sessions_touch(struct zks__sessions *s, int64_t id, uint64_t now_ms)
{
    struct zks__tracked *t = find(s, id);
    if (t == NULL || t->closing) {
        return ZKS__Z_SESSIONEXPIRED;
    }
    put(s, t, now_ms);
    return 0;
}

int zks__sessions_attach(struct zks__sessions *s, int64_t id, const void *owner, uint64_t now_ms)
{
    int code = zks__sessions_touch(s, id, now_ms);
    if (code == 0) {
        find(s, id)->owner = owner;
    }
    return code;
}

int zks__sessions_check(struct zks__sessions *s, int64_t id, const void *owner)
{
    struct zks__tracked *t = find(s, id);
    if (t == NULL || t->closing) {
        return ZKS__Z_SESSIONEXPIRED;
    }
    if (t->owner == NULL) {
        t->owner = owner;
    }
    return t->owner == owner ? 0 : ZKS__Z_SESSIONMOVED;
}

static void close_tracked(struct zks__sessions *s, struct zks__tracked *t)
{
    take_out(s, t);
    t->closing = true;
}

uint64_t zks__sessions_until(const struct zks__sessions *s, int64_t id)
{
    const struct zks__tracked *t = find(s, id);
    return t != NULL ? t->until_ms : 0;
}

void zks__sessions_closing(struct zks__sessions *s, int64_t id)
{
    struct zks__tracked *t = find(s, id);
    if (t != NULL) {
        close_tracked(s, t);
    }
}

void zks__sessions_remove(struct zks__sessions *s, int64_t id)
{
    struct zks__tracked *t = find(s, id);
    if (t != NULL) {
        take_out(s, t);
        zks__map_remove(&s->map, &t->link);
        zks__mem_free(s->mem, t);
    }
}

int64_t zks__sessions_expired(struct zks__sessions *s, uint64_t now_ms)
{
    /* However long nobody has looked, each bucket is looked at once. */
    uint64_t ring_ms = (uint64_t)s->n_buckets * s->tick_ms;
    if (now_ms >= s->next_ms && now_ms - s->next_ms >= ring_ms) {
        s->next_ms = round_up(s, now_ms) - ring_ms;
    }
    for (; now_ms >= s->next_ms; s->next_ms += s->tick_ms) {
        for (struct zks__tracked *t = *bucket_of(s, s->next_ms); t != NULL; t = t->next) {
            /* What is in the bucket for a later round stays. */
            if (t->until_ms <= s->next_ms) {
                close_tracked(s, t);
                return t->id;
            }
        }
    }
    return 0;
}
