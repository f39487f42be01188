/* SPDX-License-Identifier: Apache-2.0 */
/* A view: what a look has found at a path, put together from the children and their data. */
#ifndef ZKS_API_VIEW_H
#define ZKS_API_VIEW_H

#include "core/name.h"
#include "core/round.h"
#include "zksync/observer.h"

enum zks__entry_kind { ZKS__ENTRY_CONTENDER, ZKS__ENTRY_PARTICIPANT, ZKS__ENTRY_OTHER };

/* A child. */
struct zks__entry {
    enum zks__entry_kind kind;
    char *name;
    union {
        struct zks__contender contender;
        struct zks__member member; /* Points into the name. */
    };
    bool holds;      /* A contender, as far as sequence numbers tell. */
    bool wanted;     /* Its data is to be read. */
    uint32_t ticket; /* Of its get while that is on its way. */
    bool gone;
    bool read; /* As far as that is allowed. */
    struct zks__stat stat;
    char *data;
    size_t data_len;
};

struct zks__entries {
    struct zks__entry *entry;
    size_t n;
    size_t n_wanted;
};

/* zks__entries_fill: takes the children apart and puts them in order; which of them are wanted depends
 * on `brief`.  0 or ZKS_ENOMEM. */
int zks__entries_fill(struct zks__entries *e, const char *const *children, size_t n, bool brief);
void zks__entries_drop(struct zks__entries *e);

/* zks__copy_data: a copy with a zero behind it; NULL where there is no memory. */
char *zks__copy_data(const void *data, size_t len);

/* What else a look has read. */
struct zks__scene {
    bool there;
    struct zks__stat stat; /* Of the path itself. */
    char *data;
    size_t data_len;
    char *roster; /* The data of a double barrier's `ready`, or NULL. */
    size_t roster_len;
};

/* zks__view_new: takes the data out of what it is given; NULL where there is no memory. */
struct zks_view *zks__view_new(const char *dir, struct zks__scene *scene, struct zks__entries *e);

#endif
