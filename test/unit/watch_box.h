/* SPDX-License-Identifier: Apache-2.0 */
/* A table of watches by itself, and who is told. */
#ifndef ZKSYNC_TEST_UNIT_WATCH_BOX_H
#define ZKSYNC_TEST_UNIT_WATCH_BOX_H

#include <string.h>

#include "tree_dump.h"

#define NODE ZKS__WATCHED_NODE
#define KIDS ZKS__WATCHED_CHILDREN

enum { CROWD = 300 };

struct fixture {
    struct heap heap;
    struct zks__watch_table table;
    struct zks__watcher w[CROWD];
    unsigned told[CROWD];
    enum zks__event event;
    const char *path;
};

static inline void begin(struct fixture *f, size_t max)
{
    memset(f, 0, sizeof *f);
    heap_init(&f->heap);
    assert_true(zks__watch_table_init(&f->table, &f->heap.mem, max));
}

/* With the watches that are left. */
static inline void end(struct fixture *f)
{
    zks__watch_table_close(&f->table);
    assert_int_equal(f->heap.blocks, 0);
}

static inline void tell(void *arg, struct zks__watcher *watcher, enum zks__event event,
                        const char *path)
{
    struct fixture *f = arg;
    assert_int_equal(event, f->event);
    assert_string_equal(path, f->path);
    f->told[watcher - f->w]++;
}

/* Which of the first watchers are told, as bits; nobody twice. */
static inline unsigned fire(struct fixture *f, enum zks__event event, const char *path)
{
    unsigned bits = 0;
    memset(f->told, 0, sizeof f->told);
    f->event = event;
    f->path = path;
    zks__watch_fire(&f->table, event, path, tell, f);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_true(f->told[i] <= 1);
        bits |= i < WATCHERS ? f->told[i] << i : 0;
    }
    return bits;
}

#endif
