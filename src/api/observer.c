/* SPDX-License-Identifier: Apache-2.0 */
/* Looking on: a sync and a listing, then a get for each child of which more is to be known, a few at
 * once.  It is driven like a primitive, so that it has a deadline and survives a reconnect. */
#include "zksync/observer.h"

#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "api/view.h"
#include "driver/clock.h"
#include "driver/deliveries.h"

enum what { LOOK_ONCE, LOOK_NEXT };

enum { GETS_AT_ONCE = 8 };

struct zks_observer {
    struct zks__machine machine;
    bool brief;
    struct zks_view *view; /* Of the last look that has ended.  Under the client's lock. */

    /* The driver's thread only, as all below. */
    struct zks_view *seen; /* The same before it is published. */
    bool watching;         /* This request is to wait, and its look sets watches. */
    bool current;          /* The last look set watches, and none has fired since. */
    bool looking;          /* A look is under way. */
    bool pending;
    bool try_only;
    bool connected;
    uint64_t deadline;
    uint64_t retry_at;
    uint64_t epoch;
    uint32_t ticket;
    uint32_t t_first; /* Replies with an older ticket are of a look that was given up. */
    uint32_t t_list;  /* These are 0 where nothing is awaited. */
    uint32_t t_data;
    uint32_t t_roster;
    unsigned awaited; /* Replies on their way. */
    struct zks__scene scene;
    struct zks__entries entries;
    size_t asked; /* How far the entries have been gone through. */
    unsigned getting;
    char dir[];
};

static void drop_look(struct zks_observer *o)
{
    zks__entries_drop(&o->entries);
    free(o->scene.data);
    free(o->scene.roster);
    memset(&o->scene, 0, sizeof o->scene);
    o->t_list = o->t_data = o->t_roster = 0;
    o->awaited = o->getting = 0;
    o->looking = false;
    o->asked = 0;
    o->t_first = o->ticket + 1;
}

static void finish(struct zks_observer *o, struct zks__out *out, int result)
{
    if (o->pending) {
        o->pending = false;
        o->retry_at = ZKS__NEVER;
        out->done = true;
        out->result = result;
    }
    if (o->looking && result != 0) {
        o->current = false; /* It has to be made again. */
    }
    drop_look(o);
}

static struct zks__req *ask(struct zks_observer *o, struct zks__out *out, enum zks__req_kind kind,
                            const char *name)
{
    struct zks__req *req = zks__out_add(out, kind, o->dir);
    req->name = name;
    req->ticket = zks__next_ticket(&o->ticket);
    o->awaited++;
    return req;
}

static void start(struct zks_observer *o, const struct zks__in *in, struct zks__out *out)
{
    drop_look(o);
    o->current = false;
    o->retry_at = ZKS__NEVER;
    if (!in->connected) {
        return;
    }
    o->looking = true;
    if (o->watching) {
        ask(o, out, ZKS__EXISTS, NULL)->watch = true; /* For one that is not there yet. */
        o->current = true; /* Until a watch fires, which can be before the look has ended. */
    }
    struct zks__req *list = ask(o, out, ZKS__CHILDREN, NULL);
    list->sync = true;
    list->watch = o->watching;
    o->t_list = list->ticket;
    o->t_data = ask(o, out, ZKS__GET, NULL)->ticket;
}

static void ask_some(struct zks_observer *o, struct zks__out *out)
{
    while (o->asked < o->entries.n && o->getting < GETS_AT_ONCE) {
        struct zks__entry *e = &o->entries.entry[o->asked++];
        if (e->wanted) {
            e->ticket = ask(o, out, ZKS__GET, e->name)->ticket;
            o->getting++;
        } else if (e->kind == ZKS__ENTRY_OTHER && strcmp(e->name, "ready") == 0) {
            o->t_roster = ask(o, out, ZKS__GET, e->name)->ticket;
            o->getting++;
        }
    }
}

static struct zks__entry *find_entry(struct zks_observer *o, uint32_t ticket)
{
    for (size_t i = 0; i < o->asked; i++) {
        if (o->entries.entry[i].ticket == ticket) {
            return &o->entries.entry[i];
        }
    }
    return NULL;
}

static int listed(struct zks_observer *o, const struct zks__reply *reply)
{
    o->t_list = 0;
    o->scene.there = reply->rc == 0;
    o->scene.stat = reply->stat;
    return zks__entries_fill(&o->entries, reply->children, reply->n_children, o->brief);
}

/* What may not be read is left out: it is no part of who stands where. */
static int keep(const struct zks__reply *reply, char **data, size_t *len)
{
    if (reply->rc == 0 && reply->data != NULL) {
        *data = zks__copy_data(reply->data, reply->data_len);
        *len = reply->data_len;
        return *data != NULL ? 0 : ZKS_ENOMEM;
    }
    return 0;
}

static int got_entry(struct zks_observer *o, struct zks__entry *e, const struct zks__reply *reply,
                     struct zks__out *out)
{
    if (reply->rc == ZKS_EACCES && !e->read) {
        e->read = true;
        e->ticket =
            ask(o, out, ZKS__EXISTS, e->name)->ticket; /* With most servers it needs no right. */
        return 0;
    }
    o->getting--;
    e->ticket = 0;
    e->gone = reply->rc == ZKS_ENOENT;
    e->stat = reply->stat;
    return keep(reply, &e->data, &e->data_len);
}

static void replied(struct zks_observer *o, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    int rc = reply->rc;
    if (!o->pending || reply->ticket < o->t_first) {
        return;
    }
    o->awaited--;
    if (rc == ZKS__UNKNOWN) {
        drop_look(o);
        o->current = false;
        o->retry_at = zks__after(in->now_ms, ZKS__RETRY_MS);
        return;
    }
    if (rc != 0 && rc != ZKS_ENOENT && rc != ZKS_EACCES) {
        finish(o, out, rc);
        return;
    }
    struct zks__entry *e = find_entry(o, reply->ticket);
    if (reply->ticket == o->t_list) {
        rc = rc == ZKS_EACCES ? rc : listed(o, reply);
    } else if (reply->ticket == o->t_data) {
        o->t_data = 0;
        rc = reply->data_len > 0 ? keep(reply, &o->scene.data, &o->scene.data_len) : 0;
    } else if (reply->ticket == o->t_roster) {
        o->t_roster = 0;
        o->getting--;
        rc = keep(reply, &o->scene.roster, &o->scene.roster_len);
    } else {
        rc = e != NULL ? got_entry(o, e, reply, out) : 0;
    }
    if (rc != 0) {
        finish(o, out, rc);
        return;
    }
    ask_some(o, out);
    if (o->awaited == 0) {
        zks_view_free(o->seen);
        o->seen = zks__view_new(o->dir, &o->scene, &o->entries);
        finish(o, out, o->seen != NULL ? 0 : ZKS_ENOMEM);
    }
}

static void requested(struct zks_observer *o, const struct zks__in *in, struct zks__out *out)
{
    bool try_only = in->request.deadline_ms <= in->now_ms;
    bool waits = in->request.what == LOOK_NEXT && o->current;
    int refusal = o->pending                   ? ZKS_EDEADLK
                  : try_only && !in->connected ? ZKS_EDISCONNECTED
                  : try_only && waits          ? ZKS_EBUSY
                                               : 0;
    if (refusal != 0) {
        zks__refuse(out, refusal);
        return;
    }
    o->try_only = try_only;
    o->pending = true;
    o->watching = in->request.what == LOOK_NEXT;
    o->deadline = in->request.deadline_ms;
    o->epoch = in->epoch;
    if (!waits) {
        start(o, in, out);
    }
}

/* Watches end with their session. */
static void resume(struct zks_observer *o, const struct zks__in *in, struct zks__out *out)
{
    bool expired = in->kind == ZKS__IN_EXPIRED;
    bool looking = o->awaited > 0 || o->retry_at != ZKS__NEVER || !o->current;
    o->epoch = in->epoch;
    if (expired) {
        o->current = false;
    }
    if (expired && o->try_only) {
        finish(o, out, ZKS_EDISCONNECTED);
    } else if (o->pending && (expired || looking)) {
        start(o, in, out);
    }
}

static void ticked(struct zks_observer *o, const struct zks__in *in, struct zks__out *out)
{
    if (!o->try_only && in->now_ms >= o->deadline) {
        finish(o, out, ZKS_ETIMEDOUT);
    } else if (o->pending && in->connected && in->now_ms >= o->retry_at) {
        start(o, in, out);
    }
}

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct zks_observer *o = (struct zks_observer *)m;
    memset(out, 0, sizeof *out);
    o->connected = in->connected;
    switch (in->kind) {
    case ZKS__IN_REQUEST:
        requested(o, in, out);
        break;
    case ZKS__IN_REPLY:
        if (in->epoch == o->epoch) {
            replied(o, in, out);
        }
        break;
    case ZKS__IN_CANCEL:
    case ZKS__IN_ABANDON:
        finish(o, out, ZKS_ECANCELED);
        break;
    case ZKS__IN_SUSPENDED:
        if (o->try_only) {
            finish(o, out, ZKS_EDISCONNECTED);
        }
        break;
    case ZKS__IN_EXPIRED:
    case ZKS__IN_CONNECTED:
        resume(o, in, out);
        break;
    case ZKS__IN_TICK:
        ticked(o, in, out);
        break;
    case ZKS__IN_WATCH:
        o->current = false;
        if (o->pending && o->awaited == 0 && o->retry_at == ZKS__NEVER) {
            start(o, in, out);
        }
        break;
    }
}

static uint64_t deadline(const struct zks__machine *m)
{
    const struct zks_observer *o = (const struct zks_observer *)m;
    uint64_t at = o->connected ? o->retry_at : ZKS__NEVER;
    return o->pending && !o->try_only ? zks__min(at, o->deadline) : at;
}

static bool clean(const struct zks__machine *m)
{
    return !((const struct zks_observer *)m)->pending;
}

static void publish(struct zks__machine *m)
{
    struct zks_observer *o = (struct zks_observer *)m;
    if (o->seen != NULL) {
        zks_view_free(o->view);
        o->view = o->seen;
        o->seen = NULL;
    }
}

static void nothing(struct zks__machine *m)
{
    (void)m;
}

static void destroy(struct zks__machine *m)
{
    struct zks_observer *o = (struct zks_observer *)m;
    drop_look(o);
    zks_view_free(o->seen);
    zks_view_free(o->view);
    free(o);
}

static const struct zks__machine_type type = {step,    deadline, clean,   NULL, NULL,
                                              publish, nothing,  destroy, NULL, true};

int zks_observer_new(zks_client *client, const char *path, bool brief, zks_observer **observer)
{
    if (client == NULL || observer == NULL) {
        return zks__invalid(client == NULL ? "client" : "observer", "NULL");
    }
    char full[ZKS__PATH_MAX + 1];
    int rc = zks__full_path(client, path, true, full);
    if (rc != 0) {
        return rc;
    }
    struct zks_observer *o = calloc(1, sizeof *o + strlen(full) + 1);
    if (o == NULL) {
        return zks__error(ZKS_ENOMEM);
    }
    strcpy(o->dir, full);
    o->brief = brief;
    o->retry_at = ZKS__NEVER;
    rc = zks__machine_attach(&o->machine, &type, client, o->dir);
    if (rc != 0) {
        destroy(&o->machine);
        return zks__error(rc);
    }
    *observer = o;
    return 0;
}

void zks_observer_free(zks_observer *observer)
{
    if (observer != NULL) {
        zks__machine_free(&observer->machine);
    }
}

struct zks_view *zks_observer_take(zks_observer *observer)
{
    struct zks_client *c = observer != NULL ? observer->machine.client : NULL;
    if (c != NULL) {
        pthread_mutex_lock(&c->lock);
    }
    struct zks_view *view = observer != NULL ? observer->view : NULL;
    if (view != NULL) {
        observer->view = NULL;
    }
    if (c != NULL) {
        pthread_mutex_unlock(&c->lock);
    }
    return view;
}

int zks_observer_next_op(zks_observer *observer, int64_t timeout_ms, zks_op *op)
{
    return zks__submit(observer != NULL ? &observer->machine : NULL, op, LOOK_NEXT, timeout_ms);
}

/* A request of this call's that ends with 0 has left a view, which nobody else takes meanwhile. */
static int run(zks_observer *observer, int what, int64_t timeout_ms, struct zks_view **view)
{
    int rc = zks__run(&observer->machine, what, timeout_ms);
    if (rc == 0) {
        *view = zks_observer_take(observer);
    }
    return rc;
}

int zks_observer_next(zks_observer *observer, int64_t timeout_ms, struct zks_view **view)
{
    if (observer == NULL || view == NULL) {
        return zks__invalid(observer == NULL ? "handle" : "view", "NULL");
    }
    if (timeout_ms < ZKS_FOREVER) {
        return zks__invalid("timeout_ms", "negative");
    }
    struct zks_client *c = observer->machine.client;
    int rc = c == NULL ? ZKS_ECLOSED : zks__in_callback() ? ZKS_EDEADLK : zks__client_enter(c);
    if (rc != 0) {
        return zks__error(rc);
    }
    rc = run(observer, LOOK_NEXT, timeout_ms, view);
    zks__client_leave(c);
    return rc;
}

/* The client's end waits for all of it: the observer is of no other use. */
int zks_look(zks_client *client, const char *path, int64_t timeout_ms, struct zks_view **view)
{
    zks_observer *observer = NULL;
    if (client == NULL || view == NULL) {
        return zks__invalid(client == NULL ? "client" : "view", "NULL");
    }
    if (timeout_ms < ZKS_FOREVER) {
        return zks__invalid("timeout_ms", "negative");
    }
    int rc = zks__in_callback() ? ZKS_EDEADLK : zks__client_enter(client);
    if (rc != 0) {
        return zks__error(rc);
    }
    rc = zks_observer_new(client, path, false, &observer);
    if (rc == 0) {
        rc = run(observer, LOOK_ONCE, timeout_ms, view);
    }
    zks_observer_free(observer);
    zks__client_leave(client);
    return rc;
}

int zks_rwlock_list(zks_client *client, const char *path, int64_t timeout_ms,
                    struct zks_contender **list, size_t *count)
{
    struct zks_view *view = NULL;
    char full[ZKS__PATH_MAX + 1];
    if (client == NULL || list == NULL || count == NULL) {
        return zks__invalid(client == NULL ? "client" : list == NULL ? "list" : "count", "NULL");
    }
    int rc = zks__full_path(client, path, false, full);
    if (rc != 0) {
        return rc;
    }
    rc = zks_look(client, path, timeout_ms, &view);
    if (rc == 0) {
        *count = view->n_contenders;
        *list = view->n_contenders > 0 ? view->contenders : NULL;
        if (view->n_contenders > 0) {
            view->contenders = NULL;
            view->n_contenders = 0;
        }
        zks_view_free(view);
    }
    return rc;
}
