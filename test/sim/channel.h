/* SPDX-License-Identifier: Apache-2.0 */
/* Channels: what is sent arrives once, in order, after a while, as long as the channel is not cut. */
#ifndef ZKS_SIM_CHANNEL_H
#define ZKS_SIM_CHANNEL_H

#include <stddef.h>

#include "chance.h"
#include "schedule.h"

/* The first member of what is sent. */
struct parcel {
    struct parcel *next;
    uint64_t at;
};

struct channel {
    struct happening due;
    struct parcel *first;
    struct parcel **last;
    uint64_t last_at;    /* When the last one arrives. */
    uint64_t held_until; /* Nothing arrives before. */
    uint64_t least;      /* How long each takes, */
    uint64_t longest;    /* and how much longer one can take. */
    struct chance chance;
    void (*arrived)(struct channel *ch, struct parcel *p);
    void *owner;
    struct channel *next; /* Of all that are open, while they are explored. */
    struct channel **at;
};

/* channel_open: memory of the owner's, which stays until channel_close(). */
void channel_open(struct channel *ch, void (*arrived)(struct channel *ch, struct parcel *p),
                  void *owner, uint64_t longest, struct chance chance);
void channel_close(struct channel *ch);

void channel_send(struct channel *ch, struct parcel *p);

/* channel_reserve: when something that is sent at a time would arrive, behind all that is on its way;
 * nothing is sent. */
uint64_t channel_reserve(struct channel *ch, uint64_t from);

/* channel_hold: nothing arrives before a time. */
void channel_hold(struct channel *ch, uint64_t until);

/* channel_return: what has arrived cannot be taken before a time. */
void channel_return(struct channel *ch, struct parcel *p, uint64_t until);

/* channel_cut: what is on its way is lost from a random place on. */
void channel_cut(struct channel *ch);

/* channel_clear: all of it is lost. */
void channel_clear(struct channel *ch);

static inline bool channel_empty(const struct channel *ch)
{
    return ch->first == NULL;
}

/* ---- Exploring: time stands still, and what arrives next is chosen ---- */

void channel_explore(bool on);
bool channel_exploring(void);

/* channel_nth: the channels that have something to deliver, in an order that does not depend on
 * chance; NULL behind the last. */
struct channel *channel_nth(unsigned n);

/* channel_take: delivers one parcel. */
void channel_take(struct channel *ch);

/* channels_begin: a history begins. */
void channels_begin(void);

#endif
