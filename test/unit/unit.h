/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests share. */
#ifndef ZKS_TEST_UNIT_H
#define ZKS_TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* cmocka asks for the four above. */
#include <cmocka.h>

/* At the top of a program that takes long, for tools/run-tests, which starts it early. */
#define UNIT_TAKES_LONG                                                                            \
    __attribute__((used)) static const char takes_long[] = "zksync-test: takes long";

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The step of a loop that tries every case: under valgrind, which is slow, it tries one in `seldom`; with
 * ZKSYNC_TEST_SHARE=N, which tools/run-tests sets for sanitizers, one in N where that is less. */
static inline size_t unit_step(size_t seldom)
{
    const char *share = getenv("ZKSYNC_TEST_SHARE");
    size_t n = share != NULL ? strtoul(share, NULL, 10) : 1;
    n = n > 0 ? n : 1;
    return getenv("ZKSYNC_TEST_SLOW") != NULL || n > seldom ? seldom : n;
}

/* A small generator with a fixed seed, so that a failure comes again. */
static inline uint32_t unit_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t x = (*state ^ (*state >> 22)) >> (22 + (*state >> 61));
    return (uint32_t)x;
}

/* A number below `limit`. */
static inline uint32_t unit_below(uint64_t *state, uint32_t limit)
{
    return unit_random(state) % limit;
}

#endif
