/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   IDLE --lock--> STARTING --connected--> QUEUING --created--> LISTING --nobody ahead--> HELD
 *                     ^  ^                 |  ^  |               ^   |                    |  ^
 *                     |  |         no parent  |  lost reply      |   somebody ahead       |  |
 *                     |  |                 v  |  v               |   v             downgrade  |
 *                     |  |              MKPATH  SETTLING         |  WATCHING              v  |
 *                     |  |                       |  found        |   |               DOWNGRADING
 *                     |  +--- not found ---------+->ADOPTING-----+   v
 *                     |                                          +--WAITING
 *                     +--- the session expired, or our znode was taken away
 *
 *   LISTING --nobody ahead, but the lease is short--> CONFIRMING --longer--> LISTING
 *   LISTING, CONFIRMING --short for two session timeouts--> STARTING, then the end of the queue
 *   HELD, DOWNGRADING --unlock--> IDLE
 *   HELD, DOWNGRADING --lease over, session expired, znode gone--> LOST --unlock--> IDLE
 *
 * Every state can go to IDLE: by timeout, cancel or error.  What may then be left on the servers is
 * litter, which is followed in the background.
 *
 * Why a holder is alone.  Sequence numbers are given out by the leader in the order of the creates.
 * Our listing is read by the session that created our znode, so it shows every contender with a
 * smaller number that still exists; later creates cannot come before us.  A znode goes only when it
 * is deleted or its session ends, and a holder believes in its session only until `safe_until`,
 * which comes before the leader can end it.  A listing may be stale the other way and show a
 * contender that has gone: then we watch it, and the watch's get answers that there is none. */
#include "rwlock.h"

#include <string.h>

#include "listing.h"
#include "queue.h"

/* Fewer turns than before, and contenders than in all, for those who look at the queue as often as they may; with more
 * than the last in all nobody does, for a listing can be too long for the servers to read our next request. */
enum { TURNS_FEW = 32, LISTED_FEW = 256, LISTED_MOST = 8192 };

#define STATE(s) (1u << ZKS__RWLOCK_##s)

static const struct {
    const char *name;
    unsigned next; /* Besides itself. */
} states[ZKS__RWLOCK_STATES] = {
    [ZKS__RWLOCK_IDLE] = {"idle", STATE(STARTING) | STATE(QUEUING)},
    [ZKS__RWLOCK_STARTING] = {"starting", STATE(IDLE) | STATE(QUEUING)},
    [ZKS__RWLOCK_MKPATH] = {"mkpath", STATE(IDLE) | STATE(STARTING) | STATE(QUEUING)},
    [ZKS__RWLOCK_QUEUING] = {"queuing", STATE(IDLE) | STATE(STARTING) | STATE(MKPATH) |
                                            STATE(SETTLING) | STATE(LISTING)},
    [ZKS__RWLOCK_SETTLING] = {"settling",
                              STATE(IDLE) | STATE(STARTING) | STATE(QUEUING) | STATE(ADOPTING)},
    [ZKS__RWLOCK_ADOPTING] = {"adopting", STATE(IDLE) | STATE(STARTING) | STATE(QUEUING) |
                                              STATE(SETTLING) | STATE(LISTING)},
    [ZKS__RWLOCK_LISTING] = {"listing", STATE(IDLE) | STATE(STARTING) | STATE(QUEUING) |
                                            STATE(WATCHING) | STATE(CONFIRMING) | STATE(HELD)},
    [ZKS__RWLOCK_WATCHING] = {"watching",
                              STATE(IDLE) | STATE(STARTING) | STATE(LISTING) | STATE(WAITING)},
    [ZKS__RWLOCK_WAITING] = {"waiting", STATE(IDLE) | STATE(STARTING) | STATE(LISTING)},
    [ZKS__RWLOCK_CONFIRMING] = {"confirming", STATE(IDLE) | STATE(STARTING) | STATE(LISTING)},
    [ZKS__RWLOCK_HELD] = {"held", STATE(IDLE) | STATE(DOWNGRADING) | STATE(LOST)},
    [ZKS__RWLOCK_DOWNGRADING] = {"downgrading", STATE(IDLE) | STATE(HELD) | STATE(LOST)},
    [ZKS__RWLOCK_LOST] = {"lost", STATE(IDLE)},
};

const char *zks__rwlock_state_name(enum zks__rwlock_state state)
{
    return states[state].name;
}

static void enter(struct zks__rwlock *m, enum zks__rwlock_state state)
{
    ZKS_ASSERT(state == m->state || (states[m->state].next & (1u << state)));
    m->state = state;
    m->expect = 0;
    m->t_create = 0;
    m->retry_at = ZKS__NEVER;
    m->stirred = false;
}

static bool queued(const struct zks__rwlock *m)
{
    return m->state >= ZKS__RWLOCK_LISTING && m->state <= ZKS__RWLOCK_DOWNGRADING;
}

static struct zks__owner owner(struct zks__rwlock *m)
{
    bool ours =
        m->t_reset != 0 || (m->state >= ZKS__RWLOCK_QUEUING && m->state <= ZKS__RWLOCK_DOWNGRADING);
    return (struct zks__owner){m->dir, &m->stem, ours, m->attempt, &m->ticket};
}

static struct zks__req *ask(struct zks__rwlock *m, struct zks__out *out, enum zks__req_kind kind,
                            const char *name)
{
    struct zks__req *req = zks__out_add(out, kind, m->dir);
    req->name = name;
    req->ticket = zks__next_ticket(&m->ticket);
    return req;
}

static void complete(struct zks__rwlock *m, struct zks__out *out, int result)
{
    if (m->pending) {
        m->pending = false;
        m->deadline = ZKS__NEVER;
        out->done = true;
        out->result = result;
    }
}

/* The create and the listing go out together: a session's operations are carried out in order, so
 * the listing shows our znode and all before it, and an uncontended lock costs one write. */
static void start(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    m->own[0] = m->ahead[0] = m->passed[0] = m->holder[0] = '\0';
    if (zks__litter_blocks(&m->litter) && m->litter.refused != 0) {
        enter(m, ZKS__RWLOCK_IDLE);
        complete(m, out, m->litter.refused); /* What it left before cannot be deleted. */
        return;
    }
    m->looked_at = 0;
    m->soon = true;
    m->modest = false;
    m->confirmed_by = 0;
    if (!in->connected || zks__litter_blocks(&m->litter)) {
        enter(m, ZKS__RWLOCK_STARTING);
        return;
    }
    m->attempt++;
    enter(m, ZKS__RWLOCK_QUEUING);
    zks__contender_prefix(m->prefix, &m->stem, m->attempt, m->mode);
    struct zks__req *create = ask(m, out, ZKS__CREATE_QUEUED, m->prefix);
    create->data = m->data;
    create->data_len = m->data_len;
    m->t_create = create->ticket;
    m->expect = ask(m, out, ZKS__CHILDREN, NULL)->ticket;
}

/* Leaves the queue, or what is held, for whatever reason. */
static void leave(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    struct zks__owner own = owner(m);
    own.spare = false;
    if (m->state == ZKS__RWLOCK_QUEUING && m->t_create) {
        m->litter.t_create = m->t_create;
    } else if (m->state == ZKS__RWLOCK_SETTLING || m->state == ZKS__RWLOCK_ADOPTING ||
               m->state == ZKS__RWLOCK_DOWNGRADING) {
        m->litter.dirty = true;
        m->litter.retry_at = 0;
    } else if (queued(m)) {
        zks__litter_delete(&m->litter, &own, m->own, in, out);
    }
    m->t_own = m->t_reset = 0;
    m->look_at = ZKS__NEVER;
}

static void fail(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out, int result)
{
    leave(m, in, out);
    enter(m, ZKS__RWLOCK_IDLE);
    complete(m, out, result);
}

static void lose(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out, bool gone)
{
    if (gone) {
        m->t_own = m->t_reset = 0;
        m->look_at = ZKS__NEVER;
    } else {
        leave(m, in, out);
    }
    enter(m, ZKS__RWLOCK_LOST);
    out->lost = true;
    complete(m, out, ZKS_ELOST);
}

static void list(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    enter(m, ZKS__RWLOCK_LISTING);
    if (in->connected) {
        m->expect = ask(m, out, ZKS__CHILDREN, NULL)->ticket;
    }
}

/* A reply was lost or refused for now: the connection's return asks again, or else the clock. */
static void retry_later(struct zks__rwlock *m, const struct zks__in *in)
{
    m->expect = 0;
    m->retry_at = in->connected ? zks__after(in->now_ms, ZKS__RETRY_MS) : ZKS__NEVER;
}

/* Brings our server up to date and lists, to find out what became of a create or a swap.  Were a create
 * overlooked, the listing behind the next one would show it and it would be swept; but if that one is
 * cancelled, the first would stand in everybody's way until then.  No grant depends on this. */
static void settle(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    m->expect = 0;
    m->retry_at = ZKS__NEVER;
    m->in_doubt = true;
    if (in->connected) {
        struct zks__req *req = ask(m, out, ZKS__CHILDREN, NULL);
        req->quorum = true;
        m->expect = req->ticket;
    }
}

static void look_at_own(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    m->look_at = ZKS__NEVER;
    if (m->state == ZKS__RWLOCK_HELD && in->connected) {
        struct zks__req *req = ask(m, out, ZKS__GET, m->own);
        req->watch = req->may_poll = true;
        m->t_own = req->ticket;
    }
}

static void hold(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    enter(m, ZKS__RWLOCK_HELD);
    m->look_at = zks__after(in->now_ms, in->timeout_ms / 6);
    complete(m, out, 0);
}

/* Nobody is ahead.  Taking it is allowed only while the session is sure to live, for long enough to be of
 * use.  Where that is not known, after a long time in which nothing was locked or a pause of the process, the
 * driver proves it first; with a leader that is far away it may never become much. */
static bool is_sure(const struct zks__in *in, uint32_t parts)
{
    return zks__after(in->now_ms, in->timeout_ms / parts) < in->safe_until_ms;
}

/* When a contender that is first, but cannot prove its lease, makes room for those behind it. */
static uint64_t gives_way_at(const struct zks__rwlock *m, const struct zks__in *in)
{
    return zks__after(m->confirmed_by, (uint64_t)in->timeout_ms + in->timeout_ms / 2);
}

/* Queues again at the end.  The new create waits for the delete, whose request names m->own. */
static void give_way(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    leave(m, in, out);
    enter(m, ZKS__RWLOCK_STARTING);
}

static void grant(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    /* The listing that comes after the proof takes some of what has been proved. */
    if (is_sure(in, m->confirmed_by == 0 ? 4 : m->modest ? 20 : 10)) {
        hold(m, in, out);
        return;
    }
    if (m->confirmed_by == 0) {
        m->confirmed_by = zks__after(in->now_ms, in->timeout_ms / 2 + 1);
    } else if (in->now_ms >= gives_way_at(m, in)) {
        give_way(m, in, out);
        return;
    }
    enter(m, ZKS__RWLOCK_CONFIRMING);
    m->retry_at = m->modest ? gives_way_at(m, in) : m->confirmed_by;
}

/* Somebody can have deleted our znode meanwhile, so the queue is looked at once more. */
static void confirm(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    if (in->now_ms >= m->confirmed_by) {
        m->modest = true;
        m->retry_at = gives_way_at(m, in);
    }
    if (is_sure(in, m->modest ? 10 : 4)) {
        list(m, in, out);
    } else if (in->now_ms >= m->retry_at) {
        give_way(m, in, out);
    }
}

/* Whether our turn comes soon: only the holders are ahead, or at the rate at which the queue has moved since the last
 * look it comes within half of the session timeout.  Listings in quick succession do not update the rate. */
static void reckon(struct zks__rwlock *m, const struct zks__in *in, unsigned turns)
{
    uint64_t passed_ms = in->now_ms - m->looked_at;
    if (m->looked_at == 0) {
        m->turn_at = 0;
        m->turns = turns;
        m->looked_at = in->now_ms;
    } else if (passed_ms > in->timeout_ms / 16) {
        unsigned moved = m->turns > turns ? m->turns - turns : 0;
        m->turn_at = moved > 0 ? zks__after(in->now_ms, passed_ms * turns / moved) : ZKS__NEVER;
        m->turns = turns;
        m->looked_at = in->now_ms;
    }
    bool known =
        m->turn_at != 0 && m->listed <= LISTED_MOST; /* Else nobody looks whether it still is so. */
    m->soon = turns <= 1 || (known && m->turn_at <= zks__after(in->now_ms, in->timeout_ms / 2));
}

/* The first look comes early, to measure how fast the queue moves; later ones halve the remaining wait.  The interval
 * grows with the distance and with the length of the queue, whose listings are large. */
static uint64_t next_look_ms(const struct zks__rwlock *m, const struct zks__in *in)
{
    uint64_t early_ms = (in->timeout_ms / 8 + 1) * (1 + m->listed / LISTED_FEW);
    uint64_t late_ms = 2 * early_ms + (in->timeout_ms / 4 + 1) * (m->turns / TURNS_FEW);
    uint64_t halfway_ms = m->turn_at > in->now_ms ? (m->turn_at - in->now_ms) / 2 : 0;
    uint64_t next_ms = halfway_ms < early_ms ? early_ms : zks__min(halfway_ms, late_ms);
    return m->listed > LISTED_MOST ? ZKS__NEVER : zks__after(in->now_ms, next_ms);
}

static void watch_ahead(struct zks__rwlock *m, struct zks__out *out, enum zks__req_kind kind)
{
    enter(m, ZKS__RWLOCK_WATCHING);
    m->unread = kind == ZKS__EXISTS;
    struct zks__req *req = ask(m, out, kind, m->ahead);
    req->watch = true;
    m->expect = req->ticket;
}

static void listed(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    if (reply->rc == ZKS__UNKNOWN) {
        retry_later(m, in);
        return;
    }
    if (reply->rc == ZKS_ENOENT || !zks__listing_contains(reply, m->own)) {
        /* Somebody took our znode away.  Our session reads its own writes, so this is no lag. */
        start(m, in, out);
        return;
    }
    if (zks__listing_has_stray(reply, &m->stem, m->attempt)) {
        m->litter.dirty = true;
    }
    const struct zks__place place = {&m->stem, m->mode, m->seq, m->passed};
    const char *ahead = zks__queue_ahead(reply, &place);
    m->listed = reply->n_children;
    reckon(m, in, zks__queue_turns(reply, &place));
    if (ahead == NULL) {
        grant(m, in, out);
    } else if (m->try_only) {
        fail(m, in, out, ZKS_EBUSY);
    } else if (strlen(ahead) > ZKS__NAME_MAX) {
        fail(m, in, out, ZKS_ELAYOUT);
    } else {
        zks__copy(m->ahead, ahead);
        watch_ahead(m, out, ZKS__GET);
    }
}

static void created(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    uint32_t listing = m->expect;
    m->t_create = 0;
    if (reply->rc == 0) {
        struct zks__contender c;
        if (strlen(reply->created) > ZKS__NAME_MAX || !zks__contender_parse(reply->created, &c)) {
            m->litter.dirty = true;
            enter(m, ZKS__RWLOCK_IDLE);
            complete(m, out, ZKS_ESERVER);
            return;
        }
        zks__copy(m->own, reply->created);
        m->seq = c.seq;
        m->token = (uint64_t)reply->stat.czxid;
        if (listing != 0) {
            enter(m, ZKS__RWLOCK_LISTING);
            m->expect = listing;
        } else {
            list(m, in, out); /* The one that went out with the create could not be sent. */
        }
    } else if (reply->rc == ZKS_ENOENT) {
        enter(m, ZKS__RWLOCK_MKPATH);
        struct zks__req *req = ask(m, out, ZKS__MKPATH, NULL);
        req->leaf = true;
        m->expect = req->ticket;
    } else if (reply->rc == ZKS__UNKNOWN) {
        zks__litter_doubt(&m->litter, in);
        enter(m, ZKS__RWLOCK_SETTLING);
        retry_later(m, in);
    } else if (reply->rc == ZKS_EEXIST) {
        start(m, in, out);
    } else {
        fail(m, in, out, reply->rc);
    }
}

static void made_path(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    if (in->reply.rc == 0) {
        start(m, in, out);
    } else {
        retry_later(m, in);
    }
}

static void settled(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    if (reply->rc == ZKS_ENOENT) {
        start(m, in, out);
        return;
    }
    if (reply->rc != 0) {
        retry_later(m, in); /* Not known; a refusal is for refused(). */
        return;
    }
    struct zks__contender c;
    const char *made = zks__listing_made(reply, &m->stem, m->attempt);
    if (made != NULL && zks__contender_parse(made, &c)) {
        zks__copy(m->own, made);
        m->seq = c.seq;
        enter(m, ZKS__RWLOCK_ADOPTING);
        m->expect = ask(m, out, ZKS__GET, m->own)->ticket;
        return;
    }
    start(m, in, out);
}

/* A znode that only looks like ours may be an earlier session's that has not been reaped yet: it
 * would vanish under us. */
static void adopted(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    if (reply->rc == ZKS__UNKNOWN) {
        enter(m, ZKS__RWLOCK_SETTLING);
        retry_later(m, in);
    } else if (reply->rc == 0 && reply->stat.owner == in->session) {
        m->token = (uint64_t)reply->stat.czxid;
        list(m, in, out);
    } else {
        m->litter.dirty = reply->rc == 0 ? true : m->litter.dirty;
        start(m, in, out);
    }
}

static void watched(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    struct zks__contender c;
    if (reply->rc == ZKS__UNKNOWN) {
        enter(m, ZKS__RWLOCK_LISTING);
        retry_later(m, in);
    } else if (reply->rc == ZKS_ENOENT) {
        list(m, in, out);
    } else if (zks__contender_parse(m->ahead, &c) && c.seq == m->seq &&
               (c.has_token ? c.token : (uint64_t)reply->stat.czxid) > m->token) {
        memcpy(m->passed, m->ahead, sizeof m->passed);
        list(m, in, out);
    } else if (m->stirred) {
        list(m, in, out); /* The watch was used up before this answer was given. */
    } else {
        size_t len = reply->data_len < ZKS__HOLDER_MAX ? reply->data_len : ZKS__HOLDER_MAX;
        if (reply->data != NULL) {
            memcpy(m->holder, reply->data, len);
        }
        m->holder[reply->data != NULL ? len : 0] = '\0';
        enter(m, ZKS__RWLOCK_WAITING);
        m->retry_at = next_look_ms(m, in);
    }
}

static void swap(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    enter(m, ZKS__RWLOCK_DOWNGRADING);
    m->in_doubt = false;
    if (!in->connected) {
        return;
    }
    zks__contender_downgraded(m->prefix, &m->stem, m->attempt, m->token, m->seq);
    struct zks__req *req = ask(m, out, ZKS__SWAP, m->own);
    req->name2 = m->prefix;
    req->data = m->data;
    req->data_len = m->data_len;
    m->expect = req->ticket;
}

static void downgraded(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    memcpy(m->own, m->prefix, sizeof m->own);
    m->mode = ZKS__READ;
    enter(m, ZKS__RWLOCK_HELD);
    m->look_at = in->now_ms;
    complete(m, out, 0);
}

/* `expect` is either the swap itself or, after its reply was lost, the listing that tells. */
static void downgrade_reply(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    bool is_listing = m->in_doubt;
    if (reply->rc == ZKS__UNKNOWN || (reply->rc == ZKS_EEXIST && !is_listing)) {
        retry_later(m, in);
    } else if (reply->rc == ZKS_ENOENT || reply->rc == ZKS_ENOCHROOT) {
        lose(m, in, out, true);
    } else if (reply->rc != 0 && is_listing) {
        /* This says nothing of the swap, which is still in doubt. */
        complete(m, out, reply->rc);
        m->retry_at = in->connected ? zks__after(in->now_ms, in->timeout_ms) : ZKS__NEVER;
    } else if (reply->rc != 0) {
        enter(m, ZKS__RWLOCK_HELD); /* Refused: nothing has changed. */
        m->look_at = in->now_ms;
        complete(m, out, reply->rc);
    } else if (!is_listing || zks__listing_contains(reply, m->prefix)) {
        downgraded(m, in, out);
    } else if (zks__listing_contains(reply, m->own)) {
        swap(m, in, out);
    } else {
        lose(m, in, out, true);
    }
}

/* What the state waits for has had a final answer. */
static void refused(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (m->state == ZKS__RWLOCK_DOWNGRADING) {
        downgrade_reply(m, in, out); /* It is held all the same. */
    } else if (m->state == ZKS__RWLOCK_WATCHING && rc == ZKS_EACCES && !m->unread) {
        watch_ahead(m, out, ZKS__EXISTS); /* With most servers this needs no right. */
    } else if (m->state > ZKS__RWLOCK_STARTING && m->state < ZKS__RWLOCK_HELD) {
        fail(m, in, out, rc);
    }
}

/* Past half of the counter's range a release that finds itself alone deletes the parent as well,
 * which starts the counter anew.  A parent that carries somebody's data is left alone. */
static void reset_listed(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    m->t_reset = 0;
    if (m->state != ZKS__RWLOCK_IDLE || m->own[0] == '\0') {
        m->litter.dirty = true;
        return;
    }
    if (reply->rc == 0 && reply->n_children == 1 && reply->stat.data_len == 0 && in->connected &&
        !m->litter.t_delete) {
        m->litter.t_delete = ask(m, out, ZKS__DELETE_BOTH, m->own)->ticket;
    } else {
        struct zks__owner own = owner(m);
        zks__litter_delete(&m->litter, &own, m->own, in, out);
    }
}

static void unlock(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    bool reset = m->state == ZKS__RWLOCK_HELD && in->connected && !m->litter.t_delete &&
                 (m->seq < 0 || m->seq > m->reset_past);
    if (reset) {
        m->t_own = 0;
        m->look_at = ZKS__NEVER;
        m->t_reset = ask(m, out, ZKS__CHILDREN, NULL)->ticket;
    } else {
        leave(m, in, out);
    }
    zks__litter_hurry(&m->litter);
    enter(m, ZKS__RWLOCK_IDLE);
    if (m->deadline <= in->now_ms) {
        complete(m, out, 0); /* Not to be waited for. */
    }
}

static void take(struct zks__rwlock *m, const struct zks__in *in)
{
    m->pending = true;
    m->deadline = in->request.deadline_ms;
    m->try_only = in->request.deadline_ms <= in->now_ms;
}

static void request_lock(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    if (m->state == ZKS__RWLOCK_LOST) {
        zks__refuse(out, ZKS_ELOST);
    } else if (m->pending || m->state != ZKS__RWLOCK_IDLE) {
        zks__refuse(out, ZKS_EDEADLK);
    } else if (in->request.deadline_ms <= in->now_ms && !in->connected) {
        zks__refuse(out, ZKS_EDISCONNECTED);
    } else {
        take(m, in);
        m->mode = in->request.what == ZKS__RWLOCK_WRLOCK ? ZKS__WRITE : ZKS__READ;
        if (m->try_only) { /* It does not wait for others, but the servers can be slow. */
            m->deadline = zks__after(in->now_ms, in->timeout_ms);
        }
        if (m->t_reset) {
            m->t_reset = 0; /* The reset gives way to whoever wants the lock now. */
            m->litter.dirty = true;
        }
        zks__litter_hurry(&m->litter);
        start(m, in, out);
    }
}

static void requested(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{

    switch ((enum zks__rwlock_what)in->request.what) {
    case ZKS__RWLOCK_RDLOCK:
    case ZKS__RWLOCK_WRLOCK:
        request_lock(m, in, out);
        return;
    case ZKS__RWLOCK_UNLOCK:
        if (m->state == ZKS__RWLOCK_LOST) {
            enter(m, ZKS__RWLOCK_IDLE);
            zks__refuse(out, ZKS_ELOST);
        } else if (!zks__rwlock_holds(m)) {
            zks__refuse(out, ZKS_EPERM);
        } else if (m->pending) {
            zks__refuse(out, ZKS_EDEADLK);
        } else {
            take(m, in);
            unlock(m, in, out);
        }
        return;
    case ZKS__RWLOCK_DOWNGRADE:
        if (m->state == ZKS__RWLOCK_LOST) {
            zks__refuse(out, ZKS_ELOST);
        } else if (m->state != ZKS__RWLOCK_HELD || m->mode != ZKS__WRITE) {
            zks__refuse(out, m->pending ? ZKS_EDEADLK : ZKS_EPERM);
        } else {
            take(m, in);
            m->t_own = 0;
            m->look_at = ZKS__NEVER;
            swap(m, in, out);
            if (m->try_only) {
                complete(m, out, 0); /* Not to be waited for. */
            }
        }
        return;
    }
    zks__refuse(out, ZKS_EINVAL);
}

/* The request in hand is given up: because of a cancel, the deadline or the handle's end. */
static void give_up(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out,
                    int result)
{
    if (!m->pending) {
        return;
    }
    if (m->state == ZKS__RWLOCK_IDLE || m->state == ZKS__RWLOCK_DOWNGRADING) {
        complete(m, out, result); /* An unlock or a downgrade goes on in the background. */
    } else {
        fail(m, in, out, result);
    }
}

static void own_reply(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    m->t_own = 0;
    if (m->state != ZKS__RWLOCK_HELD) {
        return;
    }
    bool gone = in->reply.rc == ZKS_ENOENT || in->reply.rc == ZKS_ENOCHROOT;
    if (gone || (in->reply.rc == 0 && in->reply.stat.owner != in->session)) {
        lose(m, in, out, true);
    } else if (in->reply.rc == ZKS__UNKNOWN) {
        m->look_at = zks__after(in->now_ms, ZKS__RETRY_MS);
    } else if (in->reply.unwatched || in->reply.rc != 0) {
        m->look_at = zks__after(in->now_ms, in->timeout_ms); /* No watch tells of its removal. */
    }
}

static void replied(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    uint32_t ticket = in->reply.ticket;
    struct zks__owner own = owner(m);
    int rc;
    if (zks__litter_reply(&m->litter, &own, in, out, &rc)) {
        if (rc == ZKS_ENOENT && m->state == ZKS__RWLOCK_IDLE && m->pending) {
            complete(m, out, ZKS_ELOST); /* Somebody had taken the znode from under the holder. */
        }
    } else if (ticket == 0) {
        return;
    } else if (ticket == m->t_create) {
        created(m, in, out);
    } else if (ticket == m->t_own) {
        own_reply(m, in, out);
    } else if (ticket == m->t_reset) {
        reset_listed(m, in, out);
    } else if (ticket == m->expect && m->state == ZKS__RWLOCK_QUEUING) {
        m->expect = 0; /* The listing has overtaken the create, which tells more. */
    } else if (ticket == m->expect && zks__is_final(in->reply.rc)) {
        m->expect = 0;
        refused(m, in, out);
    } else if (ticket == m->expect) {
        m->expect = 0;
        switch (m->state) {
        case ZKS__RWLOCK_MKPATH:
            made_path(m, in, out);
            break;
        case ZKS__RWLOCK_SETTLING:
            settled(m, in, out);
            break;
        case ZKS__RWLOCK_ADOPTING:
            adopted(m, in, out);
            break;
        case ZKS__RWLOCK_LISTING:
            listed(m, in, out);
            break;
        case ZKS__RWLOCK_WATCHING:
            watched(m, in, out);
            break;
        case ZKS__RWLOCK_DOWNGRADING:
            downgrade_reply(m, in, out);
            break;
        default:
            break;
        }
    }
}

static void watch_fired(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    const char *name = in->watch.name;
    if (name == NULL) {
        return;
    }
    if (m->state == ZKS__RWLOCK_WAITING && strcmp(name, m->ahead) == 0) {
        list(m, in, out);
    } else if (m->state == ZKS__RWLOCK_WATCHING) {
        m->stirred = true;
    } else if (m->state == ZKS__RWLOCK_HELD && strcmp(name, m->own) == 0) {
        if (in->watch.kind == ZKS__WATCH_DELETED) {
            lose(m, in, out, true);
        } else {
            look_at_own(m, in, out);
        }
    }
}

/* Asks again what the state waits for: after the connection came back, or when a retry is due. */
static void ask_again(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    m->retry_at = ZKS__NEVER;
    switch (m->state) {
    case ZKS__RWLOCK_MKPATH:
        start(m, in, out);
        break;
    case ZKS__RWLOCK_SETTLING:
    case ZKS__RWLOCK_DOWNGRADING:
        settle(m, in, out);
        break;
    case ZKS__RWLOCK_LISTING:
    case ZKS__RWLOCK_WAITING:
    case ZKS__RWLOCK_CONFIRMING:
        list(m, in, out);
        break;
    case ZKS__RWLOCK_HELD:
        m->look_at = in->now_ms;
        break;
    default:
        break;
    }
}

static void connected(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    if (m->confirmed_by != 0) { /* Without a connection nothing could be proved: start over. */
        m->confirmed_by = zks__after(in->now_ms, in->timeout_ms / 2 + 1);
    }
    if (m->state == ZKS__RWLOCK_WAITING || m->state == ZKS__RWLOCK_HELD || m->expect == 0) {
        ask_again(m, in, out);
    }
}

static void expired(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    bool made = m->t_reset || (m->state >= ZKS__RWLOCK_QUEUING && m->state < ZKS__RWLOCK_LOST);
    m->epoch = in->epoch;
    zks__litter_session_over(&m->litter, in, made);
    m->t_reset = 0;
    if (zks__rwlock_holds(m)) {
        lose(m, in, out, true);
    } else if (m->state == ZKS__RWLOCK_IDLE) {
        /* An unlock: the session's end has done it, or what is left is removed first. */
        if (zks__litter_none(&m->litter)) {
            complete(m, out, 0);
        }
    } else if (m->state != ZKS__RWLOCK_LOST) {
        if (m->try_only || m->expiry_is_error) {
            enter(m, ZKS__RWLOCK_IDLE);
            complete(m, out, ZKS_ESESSION);
        } else {
            enter(m, ZKS__RWLOCK_STARTING);
        }
    }
}

static void tick(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    if (m->pending && in->now_ms >= m->deadline) {
        give_up(m, in, out, ZKS_ETIMEDOUT);
    }
    if (in->connected && m->state == ZKS__RWLOCK_CONFIRMING) {
        confirm(m, in, out);
    } else if (in->connected && in->now_ms >= m->retry_at) {
        ask_again(m, in, out);
    }
}

/* What follows from the state and the clock alone, whatever the event was. */
static void settle_step(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    struct zks__owner own = owner(m);
    m->safe_until = in->safe_until_ms;
    m->connected = in->connected;
    if (zks__rwlock_holds(m) && in->now_ms >= m->safe_until && !out->refuse) {
        lose(m, in, out, false);
        own = owner(m);
    }
    if (m->state == ZKS__RWLOCK_HELD && in->now_ms >= m->look_at) {
        look_at_own(m, in, out);
    }
    if (m->state == ZKS__RWLOCK_IDLE && m->pending && m->litter.refused != 0 &&
        !m->litter.t_delete) {
        complete(m, out, m->litter.refused);
    }
    /* Before the litter's work, which can find that it is time to look for something again. */
    if (m->state == ZKS__RWLOCK_IDLE && m->pending && !m->t_reset && zks__litter_none(&m->litter)) {
        complete(m, out, 0); /* An unlock: the server has confirmed that our znode is gone. */
    }
    zks__litter_work(&m->litter, &own, in, out);
    if (m->state == ZKS__RWLOCK_STARTING && in->connected && !m->litter.t_delete &&
        (!zks__litter_blocks(&m->litter) || m->litter.refused != 0)) {
        start(m, in, out);
    }
}

static void check(const struct zks__rwlock *m)
{
    bool waits = m->state > ZKS__RWLOCK_IDLE && m->state < ZKS__RWLOCK_HELD;
    ZKS_ASSERT(!waits || m->pending);
    ZKS_ASSERT(!queued(m) || m->own[0] != '\0');
    ZKS_ASSERT(m->state != ZKS__RWLOCK_QUEUING || m->t_create != 0);
    ZKS_ASSERT(!zks__rwlock_holds(m) || m->token != 0);
    ZKS_ASSERT(m->state != ZKS__RWLOCK_LOST || !m->pending);
}

void zks__rwlock_init(struct zks__rwlock *m, const char *dir, const struct zks__stem *stem,
                      const void *data, size_t data_len)
{
    size_t len = strlen(dir);
    ZKS_ASSERT(len <= ZKS__PATH_MAX);
    memset(m, 0, sizeof *m);
    memcpy(m->dir, dir, len + 1);
    m->stem = *stem;
    m->data = data;
    m->data_len = data_len;
    m->reset_past = 1 << 30;
    m->deadline = m->retry_at = m->look_at = ZKS__NEVER;
}

void zks__rwlock_step(struct zks__rwlock *m, const struct zks__in *in, struct zks__out *out)
{
    memset(out, 0, sizeof *out);
    if (m->epoch != in->epoch && (in->kind == ZKS__IN_REPLY || in->kind == ZKS__IN_WATCH)) {
        return; /* An earlier session's. */
    }
    /* First of all, so that nothing is said of a lock that is held no more.  A request is answered
     * while another one is in hand, which then learns of the loss with the next event. */
    bool over = zks__rwlock_holds(m) && in->now_ms >= in->safe_until_ms;
    if (over && in->kind != ZKS__IN_EXPIRED && !(in->kind == ZKS__IN_REQUEST && m->pending)) {
        lose(m, in, out, false);
    }
    switch (in->kind) {
    case ZKS__IN_REQUEST:
        m->epoch = in->epoch;
        requested(m, in, out);
        break;
    case ZKS__IN_CANCEL:
        give_up(m, in, out, ZKS_ECANCELED);
        break;
    case ZKS__IN_ABANDON:
        give_up(m, in, out, ZKS_ECLOSED);
        if (zks__rwlock_holds(m)) {
            leave(m, in, out);
            enter(m, ZKS__RWLOCK_IDLE);
        } else if (m->state == ZKS__RWLOCK_LOST) {
            enter(m, ZKS__RWLOCK_IDLE);
        }
        break;
    case ZKS__IN_REPLY:
        replied(m, in, out);
        break;
    case ZKS__IN_WATCH:
        watch_fired(m, in, out);
        break;
    case ZKS__IN_CONNECTED:
        m->epoch = in->epoch;
        connected(m, in, out);
        break;
    case ZKS__IN_SUSPENDED:
        if (m->pending && m->try_only && m->state != ZKS__RWLOCK_IDLE &&
            m->state != ZKS__RWLOCK_DOWNGRADING) {
            fail(m, in, out, ZKS_EDISCONNECTED);
        }
        break;
    case ZKS__IN_EXPIRED:
        expired(m, in, out);
        break;
    case ZKS__IN_TICK:
        tick(m, in, out);
        break;
    }
    settle_step(m, in, out);
    check(m);
}

uint64_t zks__rwlock_deadline(const struct zks__rwlock *m)
{
    uint64_t at = ZKS__NEVER;
    if (m->connected) { /* What needs a connection waits for the event of one. */
        at = zks__min(m->retry_at, zks__litter_deadline(&m->litter));
    }
    if (m->pending) {
        at = zks__min(at, m->deadline);
    }
    if (zks__rwlock_holds(m)) {
        at = zks__min(at, zks__min(m->safe_until, m->look_at));
    }
    return at;
}

bool zks__rwlock_own(const struct zks__rwlock *m, struct zks__owned *owned)
{
    bool under_way = m->state == ZKS__RWLOCK_QUEUING || m->state == ZKS__RWLOCK_SETTLING ||
                     m->state == ZKS__RWLOCK_ADOPTING || m->state == ZKS__RWLOCK_DOWNGRADING;
    owned->name = queued(m) ? m->own : NULL;
    owned->late = zks__litter_late(&m->litter);
    return !under_way && !m->t_reset && zks__litter_none(&m->litter);
}

enum zks__needs zks__rwlock_needs(const struct zks__rwlock *m)
{
    if (zks__rwlock_holds(m)) {
        return ZKS__RESTS_ON_LEASE;
    }
    if (m->state == ZKS__RWLOCK_CONFIRMING ||
        (m->state == ZKS__RWLOCK_LISTING && m->confirmed_by != 0)) {
        return ZKS__WAITS_FOR_LEASE;
    }
    bool wants = m->state > ZKS__RWLOCK_IDLE && m->state < ZKS__RWLOCK_HELD;
    return wants && m->soon ? ZKS__NEEDS_LEASE_SOON : ZKS__NEEDS_NO_LEASE;
}

bool zks__rwlock_clean(const struct zks__rwlock *m)
{
    return m->state == ZKS__RWLOCK_IDLE && !m->pending && !m->t_reset &&
           zks__litter_over(&m->litter);
}

bool zks__rwlock_watches(const struct zks__rwlock *m, const char *name)
{
    bool waits = m->state >= ZKS__RWLOCK_LISTING && m->state <= ZKS__RWLOCK_CONFIRMING;
    bool goes = m->t_reset != 0 || m->litter.t_delete != 0;
    return name != NULL && ((waits && strcmp(name, m->ahead) == 0) ||
                            ((zks__rwlock_holds(m) || goes) && strcmp(name, m->own) == 0));
}
