/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#include <string.h>

static bool nearer(const struct zks__contender *a, const char *a_name,
                   const struct zks__contender *b, const char *b_name)
{
    if (a->seq != b->seq) {
        return zks__seq_before(b->seq, a->seq);
    }
    return strcmp(a_name, b_name) < 0;
}

const char *zks__queue_ahead(const struct zks__reply *listing, const struct zks__place *place)
{
    const char *best_name = NULL;
    struct zks__contender best = {0};
    for (size_t i = 0; i < listing->n_children; i++) {
        const char *name = listing->children[i];
        struct zks__contender c;
        if (!zks__contender_parse(name, &c) || zks__stem_owns(place->stem, name)) {
            continue;
        }
        bool tie = c.seq == place->seq && strcmp(name, place->passed) > 0;
        if (!tie && !zks__seq_before(c.seq, place->seq)) {
            continue;
        }
        if (place->mode == ZKS__READ && c.mode == ZKS__READ) {
            continue;
        }
        if (best_name == NULL || nearer(&c, name, &best, best_name)) {
            best_name = name;
            best = c;
        }
    }
    return best_name;
}
