/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_TEST_UNIT_LISTING_H
#define ZKS_TEST_UNIT_LISTING_H

#include "core/step.h"

/* The answer to a listing: the children up to a NULL, at most `max`. */
static inline struct zks__reply unit_listing(const char **children, size_t max)
{
    struct zks__reply reply = {.children = children};
    while (reply.n_children < max && children[reply.n_children] != NULL) {
        reply.n_children++;
    }
    return reply;
}

#endif
