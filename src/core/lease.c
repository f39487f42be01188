/* SPDX-License-Identifier: Apache-2.0 */
#include "lease.h"

#include <string.h>

/* Rounded up, so that no margin is too small. */
static uint64_t share_ms(uint32_t timeout_ms, uint32_t parts)
{
    return timeout_ms / parts + (timeout_ms % parts > 0);
}

uint64_t zks__lease_beat_ms(const struct zks__lease *l)
{
    uint64_t beat = l->timeout_ms / 20;
    return beat > 0 ? beat : 1;
}

uint64_t zks__lease_note_ms(const struct zks__lease *l)
{
    uint64_t note = (uint64_t)l->timeout_ms * 3 / 10; /* libzookeeper's pings come after a third. */
    return note > 0 ? note : 1;
}

/* How long after an answer at `answered_ms` the leader's next ping has been sent, or has fallen due; the last
 * share is for a leader's clock that is slower than ours. */
static uint64_t due_ms(const struct zks__lease *l, uint64_t answered_ms)
{
    return zks__after(answered_ms, 1 + share_ms(l->timeout_ms, 4) + share_ms(l->timeout_ms, 200));
}

/* ... and how long after an answer of the leader's a ping that was due has been sent. */
static uint64_t sent_by_ms(const struct zks__lease *l, uint64_t answered_ms)
{
    return zks__after(answered_ms, 1 + share_ms(l->timeout_ms, 50));
}

static uint64_t with(uint64_t from_ms, uint32_t timeout_ms)
{
    return zks__after(from_ms, timeout_ms - share_ms(timeout_ms, 50));
}

/* What the last server had noted may never get to the leader. */
static void forget_answers(struct zks__lease *l)
{
    l->due.under_way = l->relayed.under_way = false;
    l->n = 0;
}

static uint32_t least_of(uint32_t known, uint32_t granted)
{
    return known == 0 || granted < known ? granted : known;
}

void zks__lease_begin(struct zks__lease *l, uint64_t asked_ms, uint32_t timeout_ms,
                      bool new_session)
{
    bool fresh = new_session || !l->valid;
    if (!fresh && asked_ms < l->answered_ms) {
        asked_ms = l->answered_ms; /* A connection that answers is not given up for another one. */
    }
    l->least_ms = least_of(l->least_ms, timeout_ms);
    if (fresh || asked_ms > l->heard_ms) {
        l->heard_ms = asked_ms;
    }
    if (fresh) {
        l->quorum_ms = asked_ms; /* A session is created by a write. */
    }
    /* What an earlier attempt has asked of another server may still come to the leader. */
    l->timeout_ms = fresh ? timeout_ms : l->least_ms;
    l->answered_ms = fresh || asked_ms > l->answered_ms ? asked_ms : l->answered_ms;
    l->valid = true;
    l->cut = false;
    forget_answers(l);
}

/* What began long ago, and was interrupted, proves little of use: rather from a later A. */
static bool is_old(const struct zks__lease *l, uint64_t a_ms, uint64_t now_ms)
{
    return zks__after(a_ms, l->timeout_ms - l->timeout_ms / 4) < now_ms;
}

static void forget_old(const struct zks__lease *l, struct zks__lease_proof *proof, uint64_t now_ms)
{
    if (is_old(l, proof->sent_ms, now_ms)) {
        proof->under_way = false;
    }
}

/* A request as W: of the latest A that it follows by long enough. */
static void find_due(struct zks__lease *l, uint64_t sent_ms, uint64_t now_ms)
{
    unsigned followed = 0;
    while (followed < l->n && due_ms(l, l->answers[followed].answered_ms) < sent_ms) {
        followed++;
    }
    if (followed > 0) {
        uint64_t a_ms = l->answers[followed - 1].sent_ms;
        l->due = (struct zks__lease_proof){!is_old(l, a_ms, now_ms), a_ms, now_ms};
        l->n -= followed;
        memmove(l->answers, l->answers + followed, l->n * sizeof l->answers[0]);
    }
}

/* As C, as B and as W, each of another A: of what came before this answer. */
static void leader_answered(struct zks__lease *l, bool quorum, uint64_t sent_ms, uint64_t now_ms)
{
    bool not_closing = quorum || now_ms < with(l->heard_ms, l->timeout_ms);
    forget_old(l, &l->relayed, sent_ms);
    forget_old(l, &l->due, sent_ms);
    if (l->relayed.under_way && sent_ms > l->relayed.by_ms && not_closing) {
        l->heard_ms = l->relayed.sent_ms > l->heard_ms ? l->relayed.sent_ms : l->heard_ms;
        l->relayed.under_way = false;
    }
    if (l->due.under_way && !l->relayed.under_way && sent_ms > sent_by_ms(l, l->due.by_ms)) {
        l->relayed = (struct zks__lease_proof){true, l->due.sent_ms, now_ms};
        l->due.under_way = false;
    }
    if (!l->due.under_way) {
        find_due(l, sent_ms, now_ms);
    }
}

/* As A.  Spaced so that the table spans a session timeout. */
static void note(struct zks__lease *l, uint64_t sent_ms, uint64_t now_ms)
{
    uint64_t spacing = l->timeout_ms / (ZKS__LEASE_MAX - 2);
    if (l->n == 0 || sent_ms > zks__after(l->answers[l->n - 1].sent_ms, spacing)) {
        if (l->n == ZKS__LEASE_MAX) {
            memmove(l->answers, l->answers + 1, --l->n * sizeof l->answers[0]);
        }
        l->answers[l->n++] = (struct zks__lease_answer){sent_ms, now_ms};
    }
}

void zks__lease_answered(struct zks__lease *l, enum zks__route route, uint64_t sent_ms,
                         uint64_t now_ms)
{
    if (!l->valid || l->cut) {
        return;
    }
    l->answered_ms = sent_ms > l->answered_ms ? sent_ms : l->answered_ms;
    if (route == ZKS__ROUTE_QUORUM && sent_ms > l->quorum_ms) {
        l->quorum_ms = sent_ms;
    }
    if (route != ZKS__ROUTE_FOLLOWER) {
        leader_answered(l, route == ZKS__ROUTE_QUORUM, sent_ms, now_ms);
    }
    note(l, sent_ms, now_ms);
}

bool zks__lease_wants_write(const struct zks__lease *l, uint64_t now_ms)
{
    return l->relayed.under_way && now_ms >= with(l->heard_ms, l->timeout_ms);
}

uint64_t zks__lease_next_ms(const struct zks__lease *l)
{
    if (l->quorum_ms < l->heard_ms) {
        return 0;
    }
    if (l->relayed.under_way) {
        return zks__after(l->relayed.by_ms, 1);
    }
    if (l->due.under_way) {
        return zks__after(sent_by_ms(l, l->due.by_ms), 1);
    }
    return l->n > 0 ? zks__after(due_ms(l, l->answers[0].answered_ms), 1) : ZKS__NEVER;
}

void zks__lease_cut(struct zks__lease *l)
{
    l->cut = true;
}

void zks__lease_end(struct zks__lease *l)
{
    uint32_t least_ms = l->least_ms;
    memset(l, 0, sizeof *l);
    l->least_ms = least_ms;
}

uint64_t zks__lease_safe_until(const struct zks__lease *l)
{
    uint64_t at = with(zks__min(l->heard_ms, l->quorum_ms), l->timeout_ms);
    if (!l->valid) {
        return 0;
    }
    return l->cut ? zks__min(at, with(l->answered_ms, l->least_ms)) : at;
}

uint64_t zks__lease_over_ms(const struct zks__lease *l)
{
    return with(l->answered_ms, l->least_ms);
}
