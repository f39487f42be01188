/* SPDX-License-Identifier: Apache-2.0 */
/* A double barrier's round, read from a look at its znodes: who takes part, who is still there. */
#ifndef ZKS_CORE_ROUND_H
#define ZKS_CORE_ROUND_H

#include "name.h"

/* A participant's znode is named "<id>-<uuid>-<n>-<sequence>". */
struct zks__member {
    const char *id; /* Points into the name. */
    size_t id_len;
    uint32_t n;
    int32_t seq;
};

bool zks__member_parse(const char *name, struct zks__member *out);

void zks__member_prefix(char out[ZKS__NAME_MAX + 1], const char *id, const struct zks__stem *stem,
                        uint32_t attempt, uint32_t n);

/* What the znode "ready" says: the round's own name and the names of its participants. */
struct zks__roster {
    char round[ZKS__UUID_LEN + 1];
    const char *names; /* One to a line. */
    size_t len;
};

/* zks__roster_parse: false for data that is no roster. */
bool zks__roster_parse(const void *data, size_t len, struct zks__roster *out);

/* zks__roster_write: returns the length; writes where `buf` is not NULL. */
size_t zks__roster_write(char *buf, const char *round, const char *const *names, size_t n);

/* zks__roster_next: the next participant's name, or NULL; `*at` starts as 0. */
const char *zks__roster_next(const struct zks__roster *r, size_t *at, size_t *len);

enum zks__part { ZKS__PART_NONE, ZKS__PART_OURS, ZKS__PART_EARLIER };

/* zks__roster_part: whether a handle's attempt takes part, or an earlier one from `first` on. */
enum zks__part zks__roster_part(const struct zks__roster *r, const struct zks__stem *stem,
                                uint32_t first, uint32_t attempt);

struct zks__presence {
    size_t total;
    size_t live;
};

/* zks__roster_presence: who of the roster is still there.  Sorts the children. */
struct zks__presence zks__roster_presence(const struct zks__roster *r, const char **children,
                                          size_t n_children);

/* zks__namesake: the first child that arrived before `own` with the same id and was made by another
 * handle, or NULL; NULL also where `own` itself is missing.  While there is one `own` does not
 * count. */
const char *zks__namesake(const char *const *children, size_t n_children, const char *own,
                          const struct zks__stem *stem);

/* Where a participant stands among those who wait for the next round. */
struct zks__standing {
    bool present;  /* Our own znode is there. */
    bool mismatch; /* The first participant has another n. */
    size_t rank;   /* How many came before us. */
    size_t count;  /* How many there are, ourselves included. */
};

/* zks__round_standing: where `own` stands, which has no namesake before it.  The children are put in
 * order: the first `count` are those who count for the round, by arrival.  A later participant with
 * the same id does not count: it waits until the earlier one has gone.  Nor does one whose n differs
 * from the first one's: it is about to leave. */
struct zks__standing zks__round_standing(const char **children, size_t n_children, const char *own,
                                         const struct zks__stem *stem);

#endif
