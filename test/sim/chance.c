/* SPDX-License-Identifier: Apache-2.0 */
#include "chance.h"

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

struct chance chance_of(uint64_t seed, uint64_t part)
{
    return (struct chance){mix(seed * UINT64_C(0x9e3779b97f4a7c15) + mix(part + 1))};
}

uint64_t chance_next(struct chance *c)
{
    c->state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(c->state);
}

uint64_t chance_below(struct chance *c, uint64_t limit)
{
    return limit == 0 ? 0 : (uint64_t)(((unsigned __int128)chance_next(c) * limit) >> 64);
}

bool chance_one_in(struct chance *c, uint64_t n)
{
    return chance_below(c, n) == 0;
}

uint64_t chance_span(struct chance *c, uint64_t longest)
{
    switch (chance_below(c, 8)) {
    case 0:
        return longest;
    case 1:
    case 2:
        return chance_below(c, longest + 1);
    default:
        return chance_below(c, longest / 16 + 1);
    }
}
