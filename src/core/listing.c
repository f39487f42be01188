/* SPDX-License-Identifier: Apache-2.0 */
#include "listing.h"

#include <string.h>

bool zks__listing_contains(const struct zks__reply *listing, const char *name)
{
    for (size_t i = 0; i < listing->n_children; i++) {
        if (strcmp(listing->children[i], name) == 0) {
            return true;
        }
    }
    return false;
}

const char *zks__listing_made(const struct zks__reply *listing, const struct zks__stem *stem,
                              uint32_t attempt)
{
    for (size_t i = 0; i < listing->n_children; i++) {
        const char *name = listing->children[i];
        if (strlen(name) <= ZKS__NAME_MAX && zks__stem_made(stem, attempt, name)) {
            return name;
        }
    }
    return NULL;
}

bool zks__listing_has_stray(const struct zks__reply *listing, const struct zks__stem *stem,
                            uint32_t attempt)
{
    for (size_t i = 0; i < listing->n_children; i++) {
        const char *name = listing->children[i];
        if (zks__stem_owns(stem, name) && !zks__stem_made(stem, attempt, name)) {
            return true;
        }
    }
    return false;
}

size_t zks__listing_drop_ours(const struct zks__reply *listing, const struct zks__stem *stem)
{
    size_t n = 0;
    for (size_t i = 0; i < listing->n_children; i++) {
        if (!zks__stem_owns(stem, listing->children[i])) {
            listing->children[n++] = listing->children[i];
        }
    }
    return n;
}
