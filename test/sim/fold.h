/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of states, for exploring. */
#ifndef ZKS_SIM_FOLD_H
#define ZKS_SIM_FOLD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t fold(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static inline uint64_t fold_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        hash = fold(hash, word);
    }
    for (; len > 0; len--) {
        hash = fold(hash, *at++);
    }
    return hash;
}

static inline uint64_t fold_text(uint64_t hash, const char *text)
{
    return text != NULL ? fold_bytes(hash, text, strlen(text)) : fold(hash, 1);
}

#endif
