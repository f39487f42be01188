/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   set:    IDLE -> STARTING -> CREATING -> IDLE      no parent: -> MKPATH -> CREATING
 *                      lost reply: -> STARTING -> GETTING -> CREATING or IDLE
 *                      something is there: -> GETTING -> CREATING or IDLE
 *   unset:  IDLE -> STARTING -> GETTING -> DELETING -> IDLE
 *                      lost reply: -> STARTING -> GETTING -> ...
 *   wait:   IDLE -> STARTING -> GETTING -> WAITING -> IDLE
 *                      ^______________________|  on any event but the deletion
 *
 * The first read of a request goes behind a write that a quorum answers (see step.h), so that no
 * server can show an absence, or a setting, that was over before the request began; so does the first
 * one in a new session, and the one that tells what became of a create or delete.  The others, and
 * the watch's events, come behind it in the same session.  czxid tells one setting of the barrier
 * from the next: a request whose delete may have been carried out must not delete what somebody has
 * set since.  It only grows, and a smaller one would only be older.
 *
 * What has been found to be a barrier is one until it is deleted: `seen` names it.  Anything else that
 * is found is refused, so that no wait passes, and no set is taken for done, by what a lock leaves. */
#include "barrier.h"

#include <string.h>

#define STATE(s) (1u << ZKS__BARRIER_##s)

static const struct {
    const char *name;
    unsigned next; /* Besides itself. */
} states[ZKS__BARRIER_STATES] = {
    [ZKS__BARRIER_IDLE] = {"idle", STATE(STARTING)},
    [ZKS__BARRIER_STARTING] = {"starting", STATE(IDLE) | STATE(CREATING) | STATE(GETTING)},
    [ZKS__BARRIER_CREATING] = {"creating",
                               STATE(IDLE) | STATE(STARTING) | STATE(MKPATH) | STATE(GETTING)},
    [ZKS__BARRIER_MKPATH] = {"mkpath", STATE(IDLE) | STATE(STARTING) | STATE(CREATING)},
    [ZKS__BARRIER_GETTING] = {"getting", STATE(IDLE) | STATE(STARTING) | STATE(CREATING) |
                                             STATE(DELETING) | STATE(WAITING)},
    [ZKS__BARRIER_DELETING] = {"deleting", STATE(IDLE) | STATE(STARTING)},
    [ZKS__BARRIER_WAITING] = {"waiting", STATE(IDLE) | STATE(STARTING) | STATE(GETTING)},
};

const char *zks__barrier_state_name(enum zks__barrier_state state)
{
    return states[state].name;
}

static void enter(struct zks__barrier *m, enum zks__barrier_state state)
{
    ZKS_ASSERT(state == m->state || (states[m->state].next & (1u << state)));
    m->state = state;
    m->expect = 0;
    m->retry_at = ZKS__NEVER;
    m->stirred = false;
}

static struct zks__req *ask(struct zks__barrier *m, struct zks__out *out, enum zks__req_kind kind)
{
    struct zks__req *req = zks__out_add(out, kind, m->path);
    req->ticket = m->expect = zks__next_ticket(&m->ticket);
    return req;
}

static void finish(struct zks__barrier *m, struct zks__out *out, int result)
{
    enter(m, ZKS__BARRIER_IDLE);
    if (m->pending) {
        m->pending = false;
        m->deadline = ZKS__NEVER;
        out->done = true;
        out->result = result;
    }
}

static void create(struct zks__barrier *m, struct zks__out *out)
{
    enter(m, ZKS__BARRIER_CREATING);
    struct zks__req *req = ask(m, out, ZKS__CREATE);
    req->data = m->data;
    req->data_len = m->data_len;
}

static void get(struct zks__barrier *m, struct zks__out *out)
{
    enter(m, ZKS__BARRIER_GETTING);
    struct zks__req *req = ask(m, out, ZKS__GET);
    req->quorum = !m->proven;
    req->watch = m->what == ZKS__BARRIER_WAIT && !m->try_only;
}

/* From the top, in whatever session there is: nothing of what was read before is trusted but
 * `seen` and `maybe_done`. */
static void start(struct zks__barrier *m, const struct zks__in *in, struct zks__out *out)
{
    enter(m, ZKS__BARRIER_STARTING);
    if (!in->connected) {
        return;
    }
    if (m->what == ZKS__BARRIER_SET && !m->maybe_done) {
        create(m, out);
    } else {
        get(m, out);
    }
}

static void retry_later(struct zks__barrier *m, const struct zks__in *in)
{
    enter(m, ZKS__BARRIER_STARTING);
    if (in->connected) {
        m->retry_at = zks__after(in->now_ms, ZKS__RETRY_MS);
    }
}

/* A write may still be carried out, until another one of this session has been answered. */
static void doubt(struct zks__barrier *m)
{
    m->maybe_done = true;
    m->proven = false;
}

bool zks__is_barrier(const struct zks__stat *stat)
{
    return stat->owner == 0 && stat->n_children == 0 && (stat->data_len > 0 || stat->cversion == 0);
}

/* The result for what is something else; 0 for a barrier. */
static int judge(const struct zks__barrier *m, const struct zks__stat *stat)
{
    bool known = m->seen != 0 && stat->czxid <= m->seen;
    return known || zks__is_barrier(stat) ? 0 : stat->n_children > 0 ? ZKS_ENOTEMPTY : ZKS_ELAYOUT;
}

static void got_for_set(struct zks__barrier *m, const struct zks__reply *reply,
                        struct zks__out *out)
{
    if (reply->rc == ZKS_ENOENT) {
        create(m, out);
        return;
    }
    bool ours = reply->data != NULL && reply->data_len == m->data_len &&
                memcmp(reply->data, m->data, m->data_len) == 0;
    int other = judge(m, &reply->stat);
    finish(m, out, ours ? 0 : other != 0 ? other : ZKS_EEXIST);
}

static void got_for_unset(struct zks__barrier *m, const struct zks__reply *reply,
                          struct zks__out *out)
{
    int other = judge(m, &reply->stat);
    if (reply->rc == ZKS_ENOENT) {
        finish(m, out, m->maybe_done ? 0 : ZKS_ENOENT);
    } else if (m->maybe_done && reply->stat.czxid > m->seen) {
        finish(m, out, 0); /* Ours went, and somebody has set it again. */
    } else if (other != 0) {
        finish(m, out, other);
    } else {
        m->seen = reply->stat.czxid;
        enter(m, ZKS__BARRIER_DELETING);
        ask(m, out, ZKS__DELETE)->version = reply->stat.version;
    }
}

static void got_for_wait(struct zks__barrier *m, const struct zks__reply *reply,
                         struct zks__out *out)
{
    int other = judge(m, &reply->stat);
    if (reply->rc == ZKS_ENOENT || (m->seen != 0 && reply->stat.czxid > m->seen)) {
        finish(m, out, 0); /* Absent now, or absent for a while since we looked. */
    } else if (other != 0) {
        finish(m, out, other);
    } else if (m->try_only) {
        finish(m, out, ZKS_EBUSY);
    } else if (m->stirred) {
        m->seen = reply->stat.czxid;
        get(m, out); /* The watch was used up before this answer was given. */
    } else {
        m->seen = reply->stat.czxid;
        enter(m, ZKS__BARRIER_WAITING);
    }
}

static void got(struct zks__barrier *m, const struct zks__reply *reply, struct zks__out *out)
{
    m->proven = true;
    if (reply->rc != 0 && reply->rc != ZKS_ENOENT) {
        finish(m, out, reply->rc);
    } else if (m->what == ZKS__BARRIER_SET) {
        got_for_set(m, reply, out);
    } else if (m->what == ZKS__BARRIER_UNSET) {
        got_for_unset(m, reply, out);
    } else {
        got_for_wait(m, reply, out);
    }
}

static void created(struct zks__barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (rc == ZKS_ENOENT) {
        enter(m, ZKS__BARRIER_MKPATH);
        ask(m, out, ZKS__MKPATH);
    } else if (rc == ZKS_EEXIST) {
        m->proven = true; /* By this create. */
        get(m, out);      /* It may be ours after all, or no barrier. */
    } else {
        finish(m, out, rc);
    }
}

static void deleted(struct zks__barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int rc = in->reply.rc;
    if (rc == ZKS__VERSION) {
        start(m, in, out);
    } else if (rc == ZKS_ENOENT && m->maybe_done) {
        finish(m, out, 0);
    } else {
        finish(m, out, rc);
    }
}

static void replied(struct zks__barrier *m, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    if (reply->ticket == 0 || reply->ticket != m->expect) {
        return;
    }
    m->expect = 0;
    if (zks__is_final(reply->rc)) {
        finish(m, out, reply->rc);
        return;
    }
    if (reply->rc == ZKS__UNKNOWN) {
        if (m->state == ZKS__BARRIER_CREATING || m->state == ZKS__BARRIER_DELETING) {
            doubt(m);
        }
        retry_later(m, in);
        return;
    }
    switch (m->state) {
    case ZKS__BARRIER_CREATING:
        created(m, in, out);
        break;
    case ZKS__BARRIER_MKPATH:
        if (reply->rc == 0) {
            create(m, out);
        } else if (reply->rc == ZKS_ENOENT) {
            retry_later(m, in); /* A container was reaped while its children were created. */
        } else {
            finish(m, out, reply->rc);
        }
        break;
    case ZKS__BARRIER_GETTING:
        got(m, reply, out);
        break;
    case ZKS__BARRIER_DELETING:
        deleted(m, in, out);
        break;
    default:
        break;
    }
}

static void requested(struct zks__barrier *m, const struct zks__in *in, struct zks__out *out)
{
    int refused = m->pending ? ZKS_EDEADLK : 0;
    bool try_only = in->request.deadline_ms <= in->now_ms;
    if (!refused && try_only && !in->connected) {
        refused = ZKS_EDISCONNECTED;
    }
    if (refused) {
        zks__refuse(out, refused);
        return;
    }
    m->what = (enum zks__barrier_what)in->request.what;
    m->pending = true;
    m->deadline = in->request.deadline_ms;
    m->try_only = try_only;
    m->maybe_done = m->proven = false;
    m->seen = 0;
    m->epoch = in->epoch;
    start(m, in, out);
}

/* A session's end leaves the outcome of what was on its way open. */
static void expired(struct zks__barrier *m, const struct zks__in *in, struct zks__out *out)
{
    m->epoch = in->epoch;
    m->proven = false;
    if (m->state == ZKS__BARRIER_CREATING || m->state == ZKS__BARRIER_DELETING) {
        doubt(m);
    }
    if (m->pending && m->try_only) {
        finish(m, out, ZKS_ESESSION);
    } else if (m->pending) {
        start(m, in, out);
    }
}

void zks__barrier_init(struct zks__barrier *m, const char *path, const void *data, size_t data_len)
{
    size_t len = strlen(path);
    ZKS_ASSERT(len <= ZKS__PATH_MAX);
    memset(m, 0, sizeof *m);
    memcpy(m->path, path, len + 1);
    m->data = data;
    m->data_len = data_len;
    m->deadline = m->retry_at = ZKS__NEVER;
}

void zks__barrier_step(struct zks__barrier *m, const struct zks__in *in, struct zks__out *out)
{
    memset(out, 0, sizeof *out);
    m->connected = in->connected;
    if (m->epoch != in->epoch && (in->kind == ZKS__IN_REPLY || in->kind == ZKS__IN_WATCH)) {
        return; /* An earlier session's. */
    }
    switch (in->kind) {
    case ZKS__IN_REQUEST:
        requested(m, in, out);
        break;
    case ZKS__IN_CANCEL:
        finish(m, out, ZKS_ECANCELED);
        break;
    case ZKS__IN_ABANDON:
        finish(m, out, ZKS_ECLOSED);
        break;
    case ZKS__IN_REPLY:
        replied(m, in, out);
        break;
    case ZKS__IN_WATCH:
        if (m->state == ZKS__BARRIER_GETTING) {
            m->stirred = true;
        } else if (m->state == ZKS__BARRIER_WAITING && in->watch.name == NULL) {
            if (in->watch.kind == ZKS__WATCH_DELETED) {
                finish(m, out, 0);
            } else {
                get(m, out);
            }
        }
        break;
    case ZKS__IN_CONNECTED:
        if (m->state == ZKS__BARRIER_STARTING || m->state == ZKS__BARRIER_WAITING) {
            start(m, in, out);
        }
        break;
    case ZKS__IN_SUSPENDED:
        if (m->pending && m->try_only) {
            finish(m, out, ZKS_EDISCONNECTED);
        }
        break;
    case ZKS__IN_EXPIRED:
        expired(m, in, out);
        break;
    case ZKS__IN_TICK:
        if (m->pending && !m->try_only && in->now_ms >= m->deadline) {
            finish(m, out, ZKS_ETIMEDOUT);
        } else if (in->now_ms >= m->retry_at && in->connected) {
            start(m, in, out);
        }
        break;
    }
    ZKS_ASSERT((m->state == ZKS__BARRIER_IDLE) == !m->pending);
}

uint64_t zks__barrier_deadline(const struct zks__barrier *m)
{
    uint64_t at = m->connected ? m->retry_at : ZKS__NEVER;
    return m->pending && !m->try_only ? zks__min(at, m->deadline) : at;
}

bool zks__barrier_watches(const struct zks__barrier *m, const char *name)
{
    return name == NULL && m->pending && m->what == ZKS__BARRIER_WAIT;
}
