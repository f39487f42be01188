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

/* Whether the child is a contender that is not ours and comes before `place`. */
static bool precedes(const char *name, const struct zks__place *place, struct zks__contender *c)
{
    if (!zks__contender_parse(name, c) || zks__stem_owns(place->stem, name)) {
        return false;
    }
    bool tie = c->seq == place->seq && strcmp(name, place->passed) > 0;
    return tie || zks__seq_before(c->seq, place->seq);
}

const char *zks__queue_ahead(const struct zks__reply *listing, const struct zks__place *place)
{
    const char *best_name = NULL;
    struct zks__contender best = {0};
    for (size_t i = 0; i < listing->n_children; i++) {
        const char *name = listing->children[i];
        struct zks__contender c;
        if (!precedes(name, place, &c) || (place->mode == ZKS__READ && c.mode == ZKS__READ)) {
            continue;
        }
        if (best_name == NULL || nearer(&c, name, &best, best_name)) {
            best_name = name;
            best = c;
        }
    }
    return best_name;
}

enum { MATES_FEW = 16 };

/* Readers behind the last writer ahead of a reader come in with it; those ahead of a writer, where there is no
 * other one, are in already. */
unsigned zks__queue_turns(const struct zks__reply *listing, const struct zks__place *place)
{
    const char *ahead = zks__queue_ahead(listing, place);
    struct zks__contender last;
    unsigned writers = 0;
    unsigned all = 0;
    unsigned mates = 0;
    if (ahead == NULL || !zks__contender_parse(ahead, &last)) {
        return 0;
    }
    for (size_t i = 0; i < listing->n_children; i++) {
        struct zks__contender c;
        if (!precedes(listing->children[i], place, &c)) {
            continue;
        }
        if (zks__seq_before(last.seq, c.seq)) {
            mates++;
        } else {
            all++;
            writers += c.mode == ZKS__WRITE;
        }
    }
    return writers == 0 ? 1 : all + mates / MATES_FEW;
}
