/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   OUT --enter--> STARTING --> JOINING --created--> LOOKING --n are there, we came last--> OPENING
 *                     ^  ^       |  ^  |               ^  |                                   |
 *                     |  |   no parent |  lost reply   |  too few, or an earlier round        | done
 *                     |  |       v  |  v               |  v                                   v
 *                     |  |     MKPATH  SETTLING        |  WAITING --ready--> CHECKING ----> INSIDE
 *                     |  |               | found       |  |                     |             |
 *                     |  +---------------+-> CHECKING -+--+----- not yet -------+           leave
 *                     |                                                                       v
 *                     +--- our znode was taken away             OUT <-- CLOSING <--last-- LEAVING
 *
 *   LOOKING --a round whose members are all gone--> CLEARING --> LOOKING
 *   LOOKING --an earlier participant has our id--> BLOCKED --it has gone--> LOOKING
 *   any of STARTING..CLEARING --timeout, cancel, error--> EXITING --deleted--> OUT
 *                                                            |  ^
 *                                         the round has opened  |
 *                                                            v  |
 *                                                          JUDGING --in the roster--> INSIDE
 *
 * Why it is right: see double_barrier.h. */
#include "double_barrier.h"

#include "listing.h"

#define STATE(s) (1u << ZKS__DB_##s)
#define ENTRY                                                                                      \
    (STATE(STARTING) | STATE(MKPATH) | STATE(JOINING) | STATE(SETTLING) | STATE(CHECKING) |        \
     STATE(LOOKING) | STATE(WAITING) | STATE(BLOCKED) | STATE(OPENING) | STATE(CLEARING))
#define EXIT (STATE(EXITING) | STATE(JUDGING))

enum { CLEARS_MAX = 10 };

static const char ready[] = "ready";

static const struct {
    const char *name;
    unsigned next; /* Besides itself. */
} states[ZKS__DB_STATES] = {
    [ZKS__DB_OUT] = {"out", STATE(STARTING) | STATE(JOINING)},
    [ZKS__DB_STARTING] = {"starting", STATE(OUT) | STATE(JOINING)},
    [ZKS__DB_MKPATH] = {"mkpath", STATE(OUT) | STATE(STARTING) | STATE(JOINING)},
    [ZKS__DB_JOINING] = {"joining", STATE(OUT) | STATE(MKPATH) | STATE(SETTLING) | STATE(LOOKING) |
                                        STATE(JUDGING)},
    [ZKS__DB_SETTLING] = {"settling", STATE(OUT) | STATE(STARTING) | STATE(JOINING) |
                                          STATE(CHECKING) | STATE(INSIDE) | STATE(LEAVING) | EXIT},
    [ZKS__DB_CHECKING] = {"checking", STATE(OUT) | STATE(STARTING) | STATE(SETTLING) |
                                          STATE(LOOKING) | STATE(INSIDE) | EXIT},
    [ZKS__DB_LOOKING] = {"looking", STATE(OUT) | STATE(STARTING) | STATE(JOINING) |
                                        STATE(SETTLING) | STATE(WAITING) | STATE(BLOCKED) |
                                        STATE(OPENING) | STATE(CLEARING) | STATE(INSIDE) |
                                        STATE(LEAVING) | EXIT},
    [ZKS__DB_WAITING] = {"waiting", STATE(SETTLING) | STATE(LOOKING) | STATE(CHECKING) | EXIT},
    [ZKS__DB_BLOCKED] = {"blocked", STATE(SETTLING) | STATE(LOOKING) | EXIT},
    [ZKS__DB_OPENING] = {"opening", STATE(SETTLING) | STATE(LOOKING) | STATE(INSIDE) | EXIT},
    [ZKS__DB_CLEARING] = {"clearing", STATE(SETTLING) | STATE(LOOKING) | EXIT},
    [ZKS__DB_EXITING] = {"exiting", STATE(OUT) | STATE(JUDGING)},
    [ZKS__DB_JUDGING] = {"judging", STATE(OUT) | STATE(EXITING) | STATE(INSIDE) | STATE(LEAVING)},
    [ZKS__DB_INSIDE] = {"inside", STATE(LEAVING)},
    [ZKS__DB_LEAVING] = {"leaving", STATE(OUT) | STATE(STARTING) | STATE(JOINING) | STATE(CLOSING)},
    [ZKS__DB_CLOSING] = {"closing", STATE(OUT) | STATE(STARTING) | STATE(JOINING) | STATE(LEAVING)},
};

const char *zks__double_barrier_state_name(enum zks__double_barrier_state state)
{
    return states[state].name;
}

static bool in_states(const struct zks__double_barrier *m, unsigned set)
{
    return (set & (1u << m->state)) != 0;
}

static void enter(struct zks__double_barrier *m, enum zks__double_barrier_state state)
{
    ZKS_ASSERT(state == m->state || (states[m->state].next & (1u << state)));
    m->state = state;
    m->expect = 0;
    m->retry_at = ZKS__NEVER;
    m->stirred = false;
}

static struct zks__owner owner(struct zks__double_barrier *m)
{
    /* After a session that was given up our znode may still be there, and nobody else removes it. */
    bool left =
        m->own_epoch != m->epoch && in_states(m, STATE(INSIDE) | STATE(LEAVING) | STATE(CLOSING));
    bool spare = !left && !in_states(m, STATE(OUT) | STATE(STARTING) | STATE(MKPATH));
    return (struct zks__owner){m->dir, &m->stem, spare, m->attempt, &m->ticket};
}

static struct zks__req *ask(struct zks__double_barrier *m, struct zks__out *out,
                            enum zks__req_kind kind, const char *name)
{
    struct zks__req *req = zks__out_add(out, kind, m->dir);
    req->name = name;
    req->ticket = zks__next_ticket(&m->ticket);
    return req;
}

static void complete(struct zks__double_barrier *m, struct zks__out *out, int result)
{
    if (m->pending) {
        m->pending = false;
        m->deadline = ZKS__NEVER;
        out->done = true;
        out->result = result;
    }
}

static void finish(struct zks__double_barrier *m, struct zks__out *out, int result)
{
    enter(m, ZKS__DB_OUT);
    m->t_create = 0;
    m->own[0] = '\0';
    m->exit_by = ZKS__NEVER;
    m->lost = false;
    complete(m, out, result);
}

static void mess(struct zks__double_barrier *m)
{
    m->litter.dirty = true;
    m->litter.retry_at = m->litter.refused != 0 ? m->litter.retry_at : 0;
}

static void retry_later(struct zks__double_barrier *m, const struct zks__in *in)
{
    m->expect = 0;
    m->retry_at = in->connected ? zks__after(in->now_ms, ZKS__RETRY_MS) : ZKS__NEVER;
}

static void ask_look(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out,
                     bool quorum)
{
    m->expect = 0;
    m->retry_at = ZKS__NEVER;
    m->stirred = false;
    if (!in->connected) {
        return;
    }
    struct zks__req *req = ask(m, out, ZKS__LOOK, ready);
    req->quorum = quorum;
    req->no_watch = !zks__double_barrier_watches(m, ready);
    m->expect = req->ticket;
}

static void look(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    enter(m, ZKS__DB_LOOKING);
    ask_look(m, in, out, false);
}

static void settle(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    enter(m, ZKS__DB_SETTLING);
    ask_look(m, in, out, true);
}

static void join(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    m->own[0] = '\0';
    if (zks__litter_blocks(&m->litter) && m->litter.refused != 0) {
        finish(m, out, m->litter.refused); /* What it left before cannot be deleted. */
        return;
    }
    if (!in->connected || zks__litter_blocks(&m->litter)) {
        enter(m, ZKS__DB_STARTING);
        return;
    }
    enter(m, ZKS__DB_JOINING);
    m->attempt++;
    m->misses = 0;
    m->own_epoch = in->epoch;
    zks__member_prefix(m->prefix, m->id, &m->stem, m->attempt, m->n);
    struct zks__req *create = ask(m, out, ZKS__CREATE_QUEUED, m->prefix);
    create->data = m->data;
    create->data_len = m->data_len;
    m->t_create = create->ticket;
    ask_look(m, in, out, false);
}

/* Deletes our znode, unless that is known to be done, and looks who is left. */
static void leave_ask(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    enter(m, ZKS__DB_LEAVING);
    if (in->connected && m->own[0] != '\0' && m->own_epoch == m->epoch) {
        m->t_delete = ask(m, out, ZKS__DELETE, m->own)->ticket;
    }
    ask_look(m, in, out, m->own_epoch != m->epoch && !m->proven);
}

/* `round` has ZKS__UUID_LEN bytes and can be m->round itself. */
static void inside(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out,
                   const char *round)
{
    if (round != m->round) {
        memcpy(m->round, round, ZKS__UUID_LEN);
        m->round[ZKS__UUID_LEN] = '\0';
    }
    m->exit_by = ZKS__NEVER;
    m->id_taken = false;
    if (!m->pending) {
        leave_ask(m, in, out); /* Nobody takes part any more: the others are to see us go. */
    } else if (m->own_epoch != m->epoch) {
        /* The round began with us in it, but our session has ended since: to the others we died. */
        complete(m, out, ZKS_ELOST);
        leave_ask(m, in, out); /* If nobody is left the round is to be closed. */
    } else {
        enter(m, ZKS__DB_INSIDE);
        m->lost = false;
        complete(m, out, 0);
    }
}

/* The delete of our znode at version 0, or the look that tells whether that came too late. */
static void exit_ask(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    bool known = m->own[0] != '\0' && m->own_epoch == m->epoch && !m->opened;
    enter(m, known ? ZKS__DB_EXITING : ZKS__DB_JUDGING);
    if (!in->connected) {
        m->exit_by = zks__min(m->exit_by, zks__after(in->now_ms, in->timeout_ms));
    }
    if (m->t_create) {
        return; /* Its reply comes first. */
    }
    if (!known) {
        /* The delete that found the round open was a write of this session. */
        ask_look(m, in, out, !m->opened || m->own_epoch != m->epoch);
    } else if (in->connected) {
        struct zks__req *req = ask(m, out, ZKS__DELETE, m->own);
        req->version = 0;
        m->expect = req->ticket;
    }
}

static void back_out(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out,
                     int result)
{
    bool made =
        m->attempt > 0 && (m->own[0] != '\0' || m->t_create || m->state == ZKS__DB_SETTLING);
    if (in_states(m, EXIT)) {
        return;
    }
    if (!made) {
        finish(m, out, result);
        return;
    }
    m->exit_result = result;
    m->exit_by = m->exit_limit = zks__after(in->now_ms, 2 * (uint64_t)in->timeout_ms);
    m->opened = false;
    m->deadline = ZKS__NEVER;
    exit_ask(m, in, out);
}

static void created(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    struct zks__member parsed;
    uint32_t looking = m->expect;
    bool exiting = in_states(m, EXIT);
    m->t_create = 0;
    if (reply->rc == ZKS__UNKNOWN) {
        zks__litter_doubt(&m->litter, in);
    }
    if (reply->rc == 0 && strlen(reply->created) <= ZKS__NAME_MAX &&
        zks__member_parse(reply->created, &parsed)) {
        zks__copy(m->own, reply->created);
        if (exiting) {
            exit_ask(m, in, out);
        } else if (looking != 0) {
            bool stirred = m->stirred;
            enter(m, ZKS__DB_LOOKING);
            m->expect = looking;
            m->stirred = stirred;
        } else {
            look(m, in, out); /* The one that went out with the create could not be sent. */
        }
    } else if (reply->rc == 0) {
        mess(m);
        finish(m, out, ZKS_ESERVER);
    } else if (reply->rc == ZKS__UNKNOWN && !exiting) {
        enter(m, ZKS__DB_SETTLING);
        retry_later(m, in);
    } else if (reply->rc == ZKS__UNKNOWN) {
        retry_later(m, in);
    } else if (exiting) {
        finish(m, out, m->exit_result);
    } else if (reply->rc == ZKS_ENOENT) {
        enter(m, ZKS__DB_MKPATH);
        struct zks__req *req = ask(m, out, ZKS__MKPATH, NULL);
        req->leaf = true;
        m->expect = req->ticket;
    } else {
        finish(m, out, reply->rc == ZKS_EEXIST ? ZKS_ESERVER : reply->rc);
    }
}

static void made_path(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    if (in->reply.rc == 0) {
        join(m, in, out);
    } else {
        retry_later(m, in);
    }
}

/* Whether a round is open that we are in, and goes on accordingly.  By an earlier attempt's znode, which
 * was taken for lost and turned up after all, we are in it to the others only: they are to see us go. */
static bool taken_in(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    struct zks__roster roster;
    if (in->reply.rc != 0 || !zks__roster_parse(in->reply.data, in->reply.data_len, &roster)) {
        return false;
    }
    enum zks__part part = zks__roster_part(&roster, &m->stem, m->first_attempt, m->attempt);
    if (part == ZKS__PART_OURS) {
        inside(m, in, out, roster.round);
    } else if (part == ZKS__PART_EARLIER) {
        mess(m);
        finish(m, out, ZKS_ELOST);
    }
    return part != ZKS__PART_NONE;
}

static void settled(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    if (reply->rc == ZKS_ENOENT) {
        join(m, in, out);
        return;
    }
    if (reply->rc != 0) {
        retry_later(m, in); /* Not known; a refusal is for refused(). */
        return;
    }
    const char *made = zks__listing_made(reply, &m->stem, m->attempt);
    if (made != NULL) {
        zks__copy(m->own, made);
    }
    if (taken_in(m, in, out)) {
        return;
    }
    if (made == NULL) {
        join(m, in, out);
    } else {
        enter(m, ZKS__DB_CHECKING);
        m->expect = ask(m, out, ZKS__GET, m->own)->ticket;
    }
}

static void checked(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    if (reply->rc == ZKS__UNKNOWN) {
        enter(m, ZKS__DB_SETTLING);
        retry_later(m, in);
    } else if (reply->rc != 0) {
        look(m, in, out);
    } else if (reply->stat.owner != in->session) {
        mess(m); /* An earlier session's, not yet reaped. */
        join(m, in, out);
    } else if (reply->stat.version == 0) {
        look(m, in, out);
    } else if (reply->data_len == ZKS__UUID_LEN && zks__uuid_valid(reply->data)) {
        inside(m, in, out, reply->data);
    } else {
        back_out(m, in, out, ZKS_ELAYOUT); /* Somebody else has written to it. */
    }
}

static void watch_namesake(struct zks__double_barrier *m, struct zks__out *out,
                           enum zks__req_kind kind)
{
    struct zks__req *req = ask(m, out, kind, m->namesake);
    m->unread = kind == ZKS__EXISTS;
    req->watch = true;
    m->expect = req->ticket;
}

/* An earlier participant has our id, as of a process that was started again before its first session
 * has ended: we do not count before that one has gone. */
static void block(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out,
                  const char *namesake)
{
    if (m->try_only) {
        back_out(m, in, out, ZKS_EEXIST);
        return;
    }
    enter(m, ZKS__DB_BLOCKED);
    zks__copy(m->namesake, namesake);
    watch_namesake(m, out, ZKS__GET);
}

static void blocked(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (rc == ZKS__UNKNOWN) {
        enter(m, ZKS__DB_LOOKING);
        retry_later(m, in);
    } else if (rc == ZKS_ENOENT || (rc == 0 && m->stirred)) {
        look(m, in, out);
    }
}

/* A round stands that we are not in. */
static void meet_round(struct zks__double_barrier *m, const struct zks__in *in,
                       struct zks__out *out, const struct zks__roster *roster)
{
    const struct zks__reply *reply = &in->reply;
    struct zks__presence p = zks__roster_presence(roster, reply->children, reply->n_children);
    bool full = p.live == p.total;
    if (p.live == 0) {
        enter(m, ZKS__DB_CLEARING);
        memcpy(m->round, roster->round, sizeof m->round);
        m->expect = ask(m, out, ZKS__CLOSE, m->round)->ticket;
    } else if (full && !zks__listing_has_stray(reply, &m->stem, m->attempt)) {
        back_out(m, in, out, ZKS_ETOOMANY);
    } else if (m->try_only) {
        back_out(m, in, out, ZKS_EBUSY);
    } else if (full) {
        retry_later(m, in); /* One of them may be an earlier znode of ours, which is swept away. */
    } else {
        /* `ready` is watched, but if the rest of its members die nobody removes it. */
        enter(m, ZKS__DB_WAITING);
        m->retry_at = zks__after(in->now_ms, in->timeout_ms);
    }
}

static void count_in(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    m->clears = 0;
    struct zks__standing s =
        zks__round_standing(reply->children, reply->n_children, m->own, &m->stem);
    if (!s.present) {
        join(m, in, out); /* What bears our uuid there is no znode of ours: that has gone. */
    } else if (s.mismatch) {
        back_out(m, in, out, ZKS_EMISMATCH);
    } else if (s.rank >= m->n) {
        back_out(m, in, out, ZKS_ETOOMANY);
    } else if (s.rank + 1 == m->n) {
        enter(m, ZKS__DB_OPENING);
        zks__uuid(m->round, &m->stem, m->attempt);
        struct zks__req *req = ask(m, out, ZKS__OPEN, m->round);
        req->names = (const char *const *)reply->children;
        req->n_names = m->n;
        m->expect = req->ticket;
    } else if (m->try_only) {
        back_out(m, in, out, ZKS_EBUSY);
    } else {
        /* `ready` is watched, but nobody tells us if our own znode is taken away meanwhile. */
        m->misses = 0;
        enter(m, ZKS__DB_WAITING);
        m->retry_at = zks__after(in->now_ms, in->timeout_ms);
    }
}

static void looked(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    struct zks__roster roster;
    bool open = reply->rc == 0 && reply->data != NULL;
    if (reply->rc == ZKS__UNKNOWN) {
        retry_later(m, in);
    } else if (open && !zks__roster_parse(reply->data, reply->data_len, &roster)) {
        back_out(m, in, out, ZKS_ELAYOUT);
    } else if (taken_in(m, in, out)) {
        return;
    } else if (reply->rc == ZKS_ENOENT || zks__listing_made(reply, &m->stem, m->attempt) == NULL) {
        join(m, in, out);
    } else if (m->stirred) {
        look(m, in, out);
    } else {
        const char *namesake = zks__namesake(reply->children, reply->n_children, m->own, &m->stem);
        m->id_taken = namesake != NULL;
        if (namesake != NULL) {
            block(m, in, out, namesake);
        } else if (open) {
            meet_round(m, in, out, &roster);
        } else {
            count_in(m, in, out);
        }
    }
}

static void opened(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (rc == 0) {
        inside(m, in, out, m->round);
    } else if (rc == ZKS__UNKNOWN) {
        enter(m, ZKS__DB_SETTLING);
        retry_later(m, in);
    } else if (rc == ZKS_EEXIST || rc == ZKS_ENOENT || rc == ZKS__VERSION) {
        /* Somebody went, or somebody else opened it.  It can also be that a member's znode was
         * written to by a stranger, and then it never opens: no hurry after the first time. */
        enter(m, ZKS__DB_LOOKING);
        if (m->misses++ == 0) {
            ask_look(m, in, out, false);
        } else if (m->try_only) {
            back_out(m, in, out, ZKS_EBUSY);
        } else {
            retry_later(m, in);
        }
    } else {
        back_out(m, in, out, rc);
    }
}

static void cleared(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (rc == 0) {
        look(m, in, out);
    } else if (rc == ZKS_ENOENT && ++m->clears == 1) {
        look(m, in, out); /* Somebody else was faster. */
    } else if (rc == ZKS_ENOENT && m->clears < CLEARS_MAX) {
        enter(m, ZKS__DB_LOOKING);
        retry_later(m, in);
    } else if (rc == ZKS_ENOENT) {
        back_out(m, in, out, ZKS_ELAYOUT); /* A `ready` that no round of ours has left. */
    } else if (rc == ZKS__UNKNOWN) {
        enter(m, ZKS__DB_LOOKING);
        retry_later(m, in);
    } else {
        back_out(m, in, out, rc == ZKS_ENOTEMPTY ? ZKS_ELAYOUT : rc);
    }
}

static void exited(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (rc == 0 || rc == ZKS_ENOENT) {
        finish(m, out, m->exit_result);
    } else if (rc == ZKS__VERSION) {
        m->opened = true;
        m->exit_by = m->exit_limit; /* The servers answer. */
        exit_ask(m, in, out);
    } else {
        retry_later(m, in);
    }
}

static void judged(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    if (reply->rc == ZKS__UNKNOWN) {
        retry_later(m, in);
        return;
    }
    const char *made = reply->rc == 0 ? zks__listing_made(reply, &m->stem, m->attempt) : NULL;
    if (made != NULL) {
        zks__copy(m->own, made);
    }
    if (taken_in(m, in, out)) {
        return;
    }
    if (m->own_epoch != m->epoch) {
        /* Our session ended before we knew.  A round may have opened with us in it, and ended. */
        m->litter.dirty |= made != NULL;
        finish(m, out, ZKS_ELOST);
    } else if (reply->rc != 0 && reply->rc != ZKS_ENOENT) {
        mess(m);
        finish(m, out, reply->rc);
    } else if (made == NULL) {
        finish(m, out, m->exit_result);
    } else if (m->opened) {
        /* Somebody has removed our round's `ready`, or it was a stranger who wrote to our znode. */
        mess(m);
        finish(m, out, m->exit_result == ZKS_ELAYOUT ? ZKS_ELAYOUT : ZKS_ELOST);
    } else {
        exit_ask(m, in, out);
    }
}

static void close_round(struct zks__double_barrier *m, struct zks__out *out, bool bare)
{
    enter(m, ZKS__DB_CLOSING);
    struct zks__req *req = ask(m, out, ZKS__CLOSE, m->round);
    req->leaf = !bare;
    m->bare = bare;
    m->expect = req->ticket;
}

/* We are out of the round; a request to enter the next one may be waiting for that. */
static void left(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    if (m->pending && m->what == ZKS__DOUBLE_BARRIER_ENTER) {
        join(m, in, out);
    } else {
        finish(m, out, 0);
    }
}

/* The caller is told, but we go on trying to leave now and then, as long as our znode can be there.  Without it the
 * round is left to the others, or to the next to come. */
static void leave_refused(struct zks__double_barrier *m, const struct zks__in *in,
                          struct zks__out *out, int result)
{
    complete(m, out, result);
    if (m->own[0] == '\0' || m->own_epoch != m->epoch) {
        finish(m, out, result);
    } else {
        m->expect = 0;
        m->retry_at = in->connected ? zks__after(in->now_ms, in->timeout_ms) : ZKS__NEVER;
    }
}

static void looked_leaving(struct zks__double_barrier *m, const struct zks__in *in,
                           struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    struct zks__roster roster;
    struct zks__presence p = {0};
    if (reply->rc == ZKS__UNKNOWN) {
        retry_later(m, in);
        return;
    }
    if (reply->rc == 0 && m->own_epoch == m->epoch && zks__listing_contains(reply, m->own)) {
        if (m->leave_error != 0) {
            leave_refused(m, in, out, m->leave_error);
        } else {
            retry_later(m, in); /* The delete did not do it. */
        }
        return;
    }
    m->own[0] = '\0';
    m->proven = true;
    bool open = reply->rc == 0 && zks__roster_parse(reply->data, reply->data_len, &roster) &&
                strcmp(roster.round, m->round) == 0;
    if (open) {
        size_t others = zks__listing_drop_ours(reply, &m->stem); /* Of a session that has ended. */
        p = zks__roster_presence(&roster, reply->children, others);
    }
    if (open && p.live == 0) {
        bool coming_back = m->pending && m->what == ZKS__DOUBLE_BARRIER_ENTER;
        close_round(m, out, coming_back || reply->n_children > 1 || reply->stat.data_len > 0);
    } else if (!open || !m->pending || m->what == ZKS__DOUBLE_BARRIER_ENTER) {
        left(m, in, out);
    } else if (m->stirred) {
        leave_ask(m, in, out);
    } else {
        /* `ready` is watched, but if the rest of its members die nobody removes it. */
        m->retry_at = zks__after(in->now_ms, in->timeout_ms);
    }
}

static void closed(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (rc == 0 || rc == ZKS_ENOENT) {
        left(m, in, out);
    } else if (rc == ZKS__UNKNOWN) {
        enter(m, ZKS__DB_LEAVING);
        retry_later(m, in);
    } else if (!m->bare) {
        close_round(m, out, true); /* Somebody waits there, or the parent is not ours to delete. */
    } else {
        finish(m, out, rc == ZKS_ENOTEMPTY ? ZKS_ELAYOUT : rc);
    }
}

/* What the state waits for has had a final answer. */
static void refused(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (m->state == ZKS__DB_CHECKING) {
        look(m, in, out); /* Whether the round has opened with us in it `ready` says as well. */
    } else if (m->state == ZKS__DB_BLOCKED && rc == ZKS_EACCES && !m->unread) {
        watch_namesake(m, out, ZKS__EXISTS); /* With most servers this needs no right. */
    } else if (in_states(m, ENTRY)) {
        back_out(m, in, out, rc);
    } else if (m->state == ZKS__DB_EXITING) {
        mess(m);
        finish(m, out, rc);
    } else if (m->state == ZKS__DB_JUDGING) {
        judged(m, in, out);
    } else if (m->state == ZKS__DB_LEAVING) {
        leave_refused(m, in, out, rc);
    } else if (m->state == ZKS__DB_CLOSING) {
        closed(m, in, out);
    }
}

static void request_enter(struct zks__double_barrier *m, const struct zks__in *in,
                          struct zks__out *out)
{
    if (m->pending || m->state == ZKS__DB_INSIDE || in_states(m, EXIT)) {
        zks__refuse(out, ZKS_EDEADLK);
        return;
    }
    if (in->request.deadline_ms <= in->now_ms && !in->connected) {
        zks__refuse(out, ZKS_EDISCONNECTED);
        return;
    }
    m->pending = true;
    m->what = ZKS__DOUBLE_BARRIER_ENTER;
    m->first_attempt = m->attempt + 1;
    zks__litter_hurry(&m->litter);
    m->clears = 0;
    m->id_taken = false;
    m->deadline = in->request.deadline_ms;
    m->try_only = in->request.deadline_ms <= in->now_ms;
    if (m->state == ZKS__DB_LEAVING || m->state == ZKS__DB_CLOSING) {
        leave_ask(m, in, out); /* An earlier leave is still under way: it ends first. */
    } else {
        join(m, in, out);
    }
}

static void requested(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    if (in->request.what == ZKS__DOUBLE_BARRIER_ENTER) {
        request_enter(m, in, out);
        return;
    }
    if (m->state != ZKS__DB_INSIDE) {
        zks__refuse(out, m->pending ? ZKS_EDEADLK : ZKS_EPERM);
        return;
    }
    m->leave_error = 0;
    if (m->lost) {
        leave_ask(m, in, out); /* In the background: if nobody is left the round is closed. */
        zks__refuse(out, ZKS_ELOST);
        return;
    }
    m->pending = true;
    m->what = ZKS__DOUBLE_BARRIER_LEAVE;
    m->deadline = in->request.deadline_ms;
    m->try_only = false;
    if (m->deadline <= in->now_ms) {
        complete(m, out, 0); /* Not to be waited for. */
    }
    leave_ask(m, in, out);
}

static void give_up(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out,
                    int result)
{
    if (!m->pending) {
        return;
    }
    if (in_states(m, ENTRY)) {
        back_out(m, in, out, result);
    } else if (m->what == ZKS__DOUBLE_BARRIER_LEAVE || !in_states(m, EXIT)) {
        complete(m, out, result); /* The leave goes on in the background. */
    }
}

static void abandon(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    give_up(m, in, out, ZKS_ECLOSED);
    complete(m, out, ZKS_ECLOSED);
    if (m->state == ZKS__DB_INSIDE) {
        leave_ask(m, in, out);
    }
}

/* What each state does with an answer that is not final. */
static void (*const answers[ZKS__DB_STATES])(struct zks__double_barrier *m,
                                             const struct zks__in *in, struct zks__out *out) = {
    [ZKS__DB_MKPATH] = made_path,       [ZKS__DB_SETTLING] = settled, [ZKS__DB_CHECKING] = checked,
    [ZKS__DB_LOOKING] = looked,         [ZKS__DB_BLOCKED] = blocked,  [ZKS__DB_OPENING] = opened,
    [ZKS__DB_CLEARING] = cleared,       [ZKS__DB_EXITING] = exited,   [ZKS__DB_JUDGING] = judged,
    [ZKS__DB_LEAVING] = looked_leaving, [ZKS__DB_CLOSING] = closed};

static void replied(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    uint32_t ticket = in->reply.ticket;
    struct zks__owner own = owner(m);
    int litter_rc;
    if (zks__litter_reply(&m->litter, &own, in, out, &litter_rc) || ticket == 0) {
        return;
    }
    if (ticket == m->t_create) {
        created(m, in, out);
        return;
    }
    if (ticket == m->t_delete) {
        /* Whether it is gone the look behind it tells; only a refusal tells more. */
        int rc = in->reply.rc;
        m->leave_error = zks__is_final(rc) ? rc : 0;
        return;
    }
    if (ticket != m->expect) {
        return;
    }
    m->expect = 0;
    if (in->reply.rc == 0 && zks__listing_has_stray(&in->reply, &m->stem, m->attempt)) {
        mess(m);
    }
    if (m->state == ZKS__DB_JOINING) {
        return; /* The look has overtaken the create, which tells more. */
    }
    if (zks__is_final(in->reply.rc)) {
        refused(m, in, out);
        return;
    }
    if (answers[m->state] != NULL) {
        answers[m->state](m, in, out);
    }
}

/* The watch on `ready` or on a namesake fired.  While a look is on its way its answer may be older
 * than the event, and the watch is used up: it must be looked at again. */
static void watch_fired(struct zks__double_barrier *m, const struct zks__in *in,
                        struct zks__out *out)
{
    bool of_namesake = m->state == ZKS__DB_BLOCKED && in->watch.name != NULL &&
                       strcmp(in->watch.name, m->namesake) == 0;
    if (in->watch.name == NULL || (strcmp(in->watch.name, ready) != 0 && !of_namesake)) {
        return;
    }
    if (m->state == ZKS__DB_WAITING && in->watch.kind == ZKS__WATCH_CREATED) {
        enter(m, ZKS__DB_CHECKING);
        m->expect = ask(m, out, ZKS__GET, m->own)->ticket;
    } else if (m->state == ZKS__DB_WAITING || (m->state == ZKS__DB_BLOCKED && m->expect == 0)) {
        look(m, in, out);
    } else if (m->state == ZKS__DB_LEAVING && m->expect == 0) {
        leave_ask(m, in, out);
    } else {
        m->stirred = true;
    }
}

static void ask_again(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    m->retry_at = ZKS__NEVER;
    switch (m->state) {
    case ZKS__DB_MKPATH:
        join(m, in, out);
        break;
    case ZKS__DB_SETTLING:
        settle(m, in, out);
        break;
    case ZKS__DB_LOOKING:
    case ZKS__DB_WAITING:
    case ZKS__DB_BLOCKED:
        look(m, in, out);
        break;
    case ZKS__DB_EXITING:
    case ZKS__DB_JUDGING:
        exit_ask(m, in, out);
        break;
    case ZKS__DB_LEAVING:
        leave_ask(m, in, out);
        break;
    default:
        break;
    }
}

static void suspended(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    if (m->pending && m->try_only && in_states(m, ENTRY)) {
        back_out(m, in, out, ZKS_EDISCONNECTED);
    } else if (m->try_only && !in_states(m, EXIT)) {
        complete(m, out, ZKS_EDISCONNECTED);
    }
    if (in_states(m, EXIT)) {
        m->exit_by = zks__min(m->exit_by, zks__after(in->now_ms, in->timeout_ms));
    }
}

static void expired(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    bool made = m->own[0] != '\0' || m->t_create || m->state == ZKS__DB_SETTLING;
    m->epoch = in->epoch;
    m->proven = false;
    zks__litter_session_over(&m->litter, in, made);
    m->t_create = 0;
    if (in_states(m, ENTRY)) {
        if (m->state == ZKS__DB_STARTING || !made) {
            enter(m, ZKS__DB_STARTING);
        } else {
            /* The round may have opened with us in it before the session ended. */
            settle(m, in, out);
        }
        if (m->try_only) {
            back_out(m, in, out, ZKS_ESESSION);
        }
    } else if (in_states(m, EXIT)) {
        exit_ask(m, in, out);
    } else if (m->state == ZKS__DB_INSIDE) {
        m->lost = true;
    } else if (m->state == ZKS__DB_LEAVING || m->state == ZKS__DB_CLOSING) {
        if (m->pending && m->what == ZKS__DOUBLE_BARRIER_LEAVE && m->own[0] != '\0') {
            complete(m, out, ZKS_ELOST); /* It may have ended before we wanted to leave. */
        } else if (m->try_only) {
            complete(m, out, ZKS_ESESSION); /* A try to enter behind it. */
        }
        leave_ask(m, in, out);
    }
}

static void tick(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    if (in_states(m, EXIT) && in->now_ms >= m->exit_by) {
        /* Cut off for so long that to the others we have died, or each of the answers was late. */
        mess(m);
        m->litter.t_create = m->t_create;
        finish(m, out, ZKS_ELOST);
    } else if (m->pending && !m->try_only && in->now_ms >= m->deadline) {
        give_up(m, in, out, m->id_taken ? ZKS_EEXIST : ZKS_ETIMEDOUT);
    } else if (in->connected && in->now_ms >= m->retry_at) {
        ask_again(m, in, out);
    }
}

static void check(const struct zks__double_barrier *m)
{
    ZKS_ASSERT(!in_states(m, ENTRY) || m->pending);
    ZKS_ASSERT(m->state != ZKS__DB_INSIDE || !m->pending);
    ZKS_ASSERT(m->state != ZKS__DB_OUT || !m->pending);
    ZKS_ASSERT(!in_states(m, STATE(LOOKING) | STATE(WAITING) | STATE(BLOCKED) | STATE(OPENING)) ||
               m->own[0] != '\0');
    ZKS_ASSERT(m->t_create == 0 || in_states(m, STATE(JOINING) | EXIT));
}

void zks__double_barrier_init(struct zks__double_barrier *m, const char *dir, const char *id,
                              uint32_t n, const struct zks__stem *stem, const void *data,
                              size_t data_len)
{
    size_t dir_len = strlen(dir);
    size_t id_len = strlen(id);
    ZKS_ASSERT(dir_len <= ZKS__PATH_MAX && id_len <= ZKS__ID_MAX && n >= 1 && n <= ZKS__N_MAX);
    memset(m, 0, sizeof *m);
    memcpy(m->dir, dir, dir_len + 1);
    memcpy(m->id, id, id_len + 1);
    m->n = n;
    m->stem = *stem;
    m->data = data;
    m->data_len = data_len;
    m->deadline = m->retry_at = m->exit_by = ZKS__NEVER;
}

static void dispatch(struct zks__double_barrier *m, const struct zks__in *in, struct zks__out *out)
{
    switch (in->kind) {
    case ZKS__IN_REQUEST:
        m->epoch = in->epoch;
        requested(m, in, out);
        break;
    case ZKS__IN_CANCEL:
        give_up(m, in, out, ZKS_ECANCELED);
        break;
    case ZKS__IN_ABANDON:
        abandon(m, in, out);
        break;
    case ZKS__IN_REPLY:
        replied(m, in, out);
        break;
    case ZKS__IN_WATCH:
        watch_fired(m, in, out);
        break;
    case ZKS__IN_CONNECTED:
        m->epoch = in->epoch;
        if (m->expect == 0 && !m->t_create) {
            ask_again(m, in, out);
        }
        break;
    case ZKS__IN_SUSPENDED:
        suspended(m, in, out);
        break;
    case ZKS__IN_EXPIRED:
        expired(m, in, out);
        break;
    case ZKS__IN_TICK:
        tick(m, in, out);
        break;
    }
}

void zks__double_barrier_step(struct zks__double_barrier *m, const struct zks__in *in,
                              struct zks__out *out)
{
    memset(out, 0, sizeof *out);
    if (m->epoch != in->epoch && (in->kind == ZKS__IN_REPLY || in->kind == ZKS__IN_WATCH)) {
        return; /* An earlier session's. */
    }
    m->connected = in->connected;
    dispatch(m, in, out);
    struct zks__owner own = owner(m);
    zks__litter_work(&m->litter, &own, in, out);
    if (m->state == ZKS__DB_STARTING && in->connected &&
        (!zks__litter_blocks(&m->litter) || m->litter.refused != 0)) {
        join(m, in, out);
    }
    check(m);
}

uint64_t zks__double_barrier_deadline(const struct zks__double_barrier *m)
{
    uint64_t at = m->exit_by;
    if (m->connected) { /* What needs a connection waits for the event of one. */
        at = zks__min(at, zks__min(m->retry_at, zks__litter_deadline(&m->litter)));
    }
    return m->pending && !m->try_only ? zks__min(at, m->deadline) : at;
}
