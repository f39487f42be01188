/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <stddef.h>
#include <string.h>

static bool exploring;
static struct channel *open_channels;
static struct channel **last_channel;

void channels_begin(void)
{
    open_channels = NULL;
    last_channel = &open_channels;
}

void channel_explore(bool on)
{
    exploring = on;
}

bool channel_exploring(void)
{
    return exploring;
}

static void plan(struct channel *ch)
{
    if (exploring) {
        return;
    }
    uint64_t at = ch->first != NULL ? ch->first->at : NEVER;
    sched_at(&ch->due, at < ch->held_until && at != NEVER ? ch->held_until : at);
}

static struct parcel *pop(struct channel *ch)
{
    struct parcel *p = ch->first;
    ch->first = p->next;
    if (ch->first == NULL) {
        ch->last = &ch->first;
    }
    return p;
}

/* All that is there is delivered at once, unless something closes or holds the channel meanwhile. */
static void due(struct happening *h)
{
    struct channel *ch = (struct channel *)h;
    while (ch->first != NULL && ch->first->at <= sched_now() && ch->held_until <= sched_now()) {
        struct parcel *p = pop(ch);
        ch->arrived(ch, p);
    }
    plan(ch);
}

void channel_open(struct channel *ch, void (*arrived)(struct channel *ch, struct parcel *p),
                  void *owner, uint64_t longest, struct chance chance)
{
    memset(ch, 0, sizeof *ch);
    ch->due.fire = due;
    ch->last = &ch->first;
    ch->arrived = arrived;
    ch->owner = owner;
    ch->longest = longest;
    ch->chance = chance;
    ch->at = last_channel;
    *last_channel = ch;
    last_channel = &ch->next;
}

void channel_close(struct channel *ch)
{
    channel_clear(ch);
    *ch->at = ch->next;
    if (ch->next != NULL) {
        ch->next->at = ch->at;
    } else {
        last_channel = ch->at;
    }
}

uint64_t channel_reserve(struct channel *ch, uint64_t from)
{
    if (exploring) {
        return from;
    }
    /* What is sent in one breath mostly arrives in one. */
    bool together = ch->last_at >= from && !chance_one_in(&ch->chance, 4);
    uint64_t start = from > ch->held_until ? from : ch->held_until;
    uint64_t at = start + ch->least + (together ? 0 : chance_span(&ch->chance, ch->longest));
    ch->last_at = at > ch->last_at ? at : ch->last_at;
    return ch->last_at;
}

void channel_send(struct channel *ch, struct parcel *p)
{
    p->at = channel_reserve(ch, sched_now());
    p->next = NULL;
    *ch->last = p;
    ch->last = &p->next;
    if (ch->first == p) {
        plan(ch);
    }
}

void channel_hold(struct channel *ch, uint64_t until)
{
    if (until > ch->held_until) {
        ch->held_until = until;
    }
    ch->last_at = until > ch->last_at ? until : ch->last_at;
    plan(ch);
}

void channel_return(struct channel *ch, struct parcel *p, uint64_t until)
{
    p->next = ch->first;
    ch->first = p;
    if (p->next == NULL) {
        ch->last = &p->next;
    }
    channel_hold(ch, until);
}

static void drop_from(struct channel *ch, struct parcel **from)
{
    *from = NULL;
    ch->last = from;
    plan(ch);
}

void channel_cut(struct channel *ch)
{
    uint64_t n = 0;
    for (struct parcel *p = ch->first; p != NULL; p = p->next) {
        n++;
    }
    struct parcel **from = &ch->first;
    for (uint64_t kept = chance_below(&ch->chance, n + 1); kept > 0; kept--) {
        from = &(*from)->next;
    }
    drop_from(ch, from);
}

void channel_clear(struct channel *ch)
{
    drop_from(ch, &ch->first);
    if (!exploring) {
        sched_at(&ch->due, NEVER);
    }
}

struct channel *channel_nth(unsigned n)
{
    struct channel *ch = open_channels;
    for (; ch != NULL; ch = ch->next) {
        if (ch->first != NULL && n-- == 0) {
            return ch;
        }
    }
    return NULL;
}

void channel_take(struct channel *ch)
{
    ch->arrived(ch, pop(ch));
}
