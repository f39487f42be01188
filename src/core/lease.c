/* SPDX-License-Identifier: Apache-2.0 */
#include "lease.h"

#include <string.h>

static uint64_t gap_ms(const struct zks__lease *l)
{
    return l->timeout_ms / 10;
}

/* About how old an A is when it counts, with gaps as they should be. */
static uint64_t relay_ms(const struct zks__lease *l)
{
    return l->timeout_ms / 4 + gap_ms(l);
}

uint64_t zks__lease_beat_ms(const struct zks__lease *l)
{
    uint64_t beat = l->timeout_ms / 20;
    return beat > 0 ? beat : 1;
}

uint64_t zks__lease_write_ms(const struct zks__lease *l)
{
    return 3 * zks__lease_beat_ms(l);
}

static void break_chain(struct zks__lease *l)
{
    l->chained = false;
    l->relayed = false;
    l->n = 0;
}

void zks__lease_begin(struct zks__lease *l, uint64_t asked_ms, uint32_t timeout_ms,
                      bool new_session)
{
    bool fresh = new_session || !l->valid;
    if (fresh || asked_ms > l->heard_ms) {
        l->heard_ms = asked_ms;
    }
    if (fresh) {
        l->quorum_ms = asked_ms; /* A session is created by a write. */
    }
    l->timeout_ms = timeout_ms;
    l->valid = true;
    break_chain(l);
}

/* A chain's answer as B: the latest A that it follows by a relay interval. */
static void find_relayed(struct zks__lease *l, uint64_t sent_ms, uint64_t now_ms)
{
    unsigned followed = 0;
    while (followed < l->n) {
        const struct zks__lease_answer *a = &l->answers[followed];
        if (zks__after(a->answered_ms, l->timeout_ms / 4 + a->gap_ms) > sent_ms) {
            break;
        }
        followed++;
    }
    if (followed > 0) {
        l->relayed = true;
        l->relayed_sent_ms = l->answers[followed - 1].sent_ms;
        l->relayed_by_ms = now_ms;
        l->n -= followed;
        memmove(l->answers, l->answers + followed, l->n * sizeof l->answers[0]);
    }
}

void zks__lease_answered(struct zks__lease *l, enum zks__route route, uint64_t sent_ms,
                         uint64_t now_ms)
{
    if (!l->valid || route == ZKS__ROUTE_FOLLOWER) {
        return;
    }
    if (route == ZKS__ROUTE_QUORUM && sent_ms > l->quorum_ms) {
        l->quorum_ms = sent_ms;
    }
    uint64_t gap = l->chained && now_ms > l->last_sent_ms ? now_ms - l->last_sent_ms : 0;
    gap += l->timeout_ms / 200; /* The leader's pings go by its own clock. */
    for (unsigned i = 0; i < l->n; i++) {
        if (gap > l->answers[i].gap_ms) {
            l->answers[i].gap_ms = gap;
        }
    }
    l->chained = true;
    if (sent_ms > l->last_sent_ms) {
        l->last_sent_ms = sent_ms;
    }
    if (l->relayed && sent_ms > l->relayed_by_ms) {
        if (l->relayed_sent_ms > l->heard_ms) {
            l->heard_ms = l->relayed_sent_ms;
        }
        l->relayed = false;
    }
    if (!l->relayed) {
        find_relayed(l, sent_ms, now_ms);
    }
    /* Spaced so that the table spans more than a relay interval. */
    if (l->n == 0 ||
        sent_ms > zks__after(l->answers[l->n - 1].sent_ms, relay_ms(l) / (ZKS__LEASE_MAX / 4))) {
        if (l->n == ZKS__LEASE_MAX) {
            memmove(l->answers, l->answers + 1, --l->n * sizeof l->answers[0]);
        }
        l->answers[l->n++] = (struct zks__lease_answer){sent_ms, now_ms, gap_ms(l)};
    }
}

void zks__lease_end(struct zks__lease *l)
{
    memset(l, 0, sizeof *l);
}

static uint64_t until(const struct zks__lease *l, uint64_t from_ms)
{
    return l->valid ? zks__after(from_ms, l->timeout_ms - l->timeout_ms / 50) : 0;
}

uint64_t zks__lease_safe_until(const struct zks__lease *l)
{
    return until(l, zks__min(l->heard_ms, l->quorum_ms));
}

uint64_t zks__lease_heard_until(const struct zks__lease *l)
{
    return until(l, l->heard_ms);
}
