/* SPDX-License-Identifier: Apache-2.0 */
/* Chance that comes again: everything that is left to it in a history is drawn from streams that begin
 * with the history's seed.  Each part of the world has a stream of its own, so that what is taken out
 * of a history leaves the others' fortunes as they were. */
#ifndef ZKS_SIM_CHANCE_H
#define ZKS_SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

/* chance_of: the stream of one part of the world. */
struct chance chance_of(uint64_t seed, uint64_t part);

uint64_t chance_next(struct chance *c);

/* chance_below: a number below the limit; 0 for a limit of 0. */
uint64_t chance_below(struct chance *c, uint64_t limit);

bool chance_one_in(struct chance *c, uint64_t n);

/* chance_span: mostly short, now and then up to `longest`. */
uint64_t chance_span(struct chance *c, uint64_t longest);

#endif
