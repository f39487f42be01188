/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the znodes that contend for a lock, and the identity that marks them as ours. */
#ifndef ZKS_CORE_NAME_H
#define ZKS_CORE_NAME_H

#include "step.h"

enum zks__mode { ZKS__READ, ZKS__WRITE };

enum { ZKS__STEM_LEN = 24, ZKS__UUID_LEN = 32 };

/* The identity of a handle: 96 random bits, written as hex.  With the number of the attempt behind
 * it, it makes the uuid in a znode's name, so that no two creates ever carry the same one and all
 * of a handle's znodes can be told by the stem. */
struct zks__stem {
    char hex[ZKS__STEM_LEN + 1];
};

struct zks__contender {
    enum zks__mode mode;
    int32_t seq;
    bool has_token;
    uint64_t token; /* The token of a writer that became a reader; else it is the czxid. */
};

void zks__stem_init(struct zks__stem *stem, const unsigned char random[ZKS__STEM_LEN / 2]);

/* zks__stem_owns: whether the znode was made by the handle with this stem. */
bool zks__stem_owns(const struct zks__stem *stem, const char *name);

/* zks__stem_made: whether it was made by that attempt of the handle. */
bool zks__stem_made(const struct zks__stem *stem, uint32_t attempt, const char *name);

/* zks__uuid: the 32 hex digits of an attempt. */
void zks__uuid(char out[ZKS__UUID_LEN + 1], const struct zks__stem *stem, uint32_t attempt);

/* zks__uuid_valid: whether text of ZKS__UUID_LEN bytes, with or without an end mark, is such digits. */
bool zks__uuid_valid(const char *text);

/* zks__contender_prefix: "_c_<uuid>-read-", to which the server adds the sequence number. */
void zks__contender_prefix(char out[ZKS__NAME_MAX + 1], const struct zks__stem *stem,
                           uint32_t attempt, enum zks__mode mode);

/* zks__contender_downgraded: the name of the reader that takes the place of a writer: the writer's
 * uuid and sequence number, and its token, which must not grow while the lock is not passed on. */
void zks__contender_downgraded(char out[ZKS__NAME_MAX + 1], const struct zks__stem *stem,
                               uint32_t attempt, uint64_t token, int32_t seq);

/* zks__contender_parse: false for a name that is no contender's.  As in the Go package of the same
 * name, what counts is the text after the last "read-" or "write-". */
bool zks__contender_parse(const char *name, struct zks__contender *out);

/* zks__sequence: the number at the end of a name, from `text` to its end; false if it is none.
 * The server writes it with "%010d" and it can be negative once its counter has run over. */
bool zks__sequence(const char *text, int32_t *seq);

/* zks__seq_before: serial-number order, which survives the counter's running over. */
static inline bool zks__seq_before(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a - (uint32_t)b) < 0;
}

/* zks__copy: puts text into a buffer of ZKS__NAME_MAX + 1 bytes. */
void zks__copy(char *buf, const char *text);

/* zks__append: adds text to a string in a buffer of ZKS__NAME_MAX + 1 bytes. */
void zks__append(char *buf, const char *text);

/* zks__append_uint: adds a number, with leading zeros up to `width`, in base 10 or 16. */
void zks__append_uint(char *buf, uint64_t value, unsigned base, unsigned width);

#endif
