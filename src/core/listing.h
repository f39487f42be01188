/* SPDX-License-Identifier: Apache-2.0 */
/* What of a handle's own a listing of children shows. */
#ifndef ZKS_CORE_LISTING_H
#define ZKS_CORE_LISTING_H

#include "name.h"

bool zks__listing_contains(const struct zks__reply *listing, const char *name);

/* zks__listing_made: the name of the znode that the attempt has made, or NULL where there is none. */
const char *zks__listing_made(const struct zks__reply *listing, const struct zks__stem *stem,
                              uint32_t attempt);

/* zks__listing_has_stray: whether another attempt of the handle's has left a znode. */
bool zks__listing_has_stray(const struct zks__reply *listing, const struct zks__stem *stem,
                            uint32_t attempt);

/* zks__listing_drop_ours: removes the znodes made by the handle from the children; returns how many are left. */
size_t zks__listing_drop_ours(const struct zks__reply *listing, const struct zks__stem *stem);

#endif
