/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds a lock and who waits: a sync, a listing, then a get for each contender, a few at once.
 * It is driven like a primitive, so that it has a deadline and survives a reconnect. */
#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "core/name.h"
#include "driver/clock.h"
#include "driver/deliveries.h"
#include "zksync/rwlock.h"

enum { GETS_AT_ONCE = 8 };

struct entry {
    char *name;
    struct zks__contender parsed;
    uint32_t ticket; /* Of its get while that is on its way. */
    bool there;
    struct zks__stat stat;
    char *data;
    size_t data_len;
};

struct lister {
    struct zks__machine machine;
    bool pending;
    bool try_only;
    bool connected;
    uint64_t deadline;
    uint64_t retry_at;
    uint64_t epoch;
    uint32_t ticket;
    uint32_t t_list;
    struct entry *entries;
    size_t n;
    size_t asked;
    size_t answered;
    char dir[];
};

static void drop_entries(struct lister *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->entries[i].name);
        free(l->entries[i].data);
    }
    free(l->entries);
    l->entries = NULL;
    l->n = l->asked = l->answered = 0;
}

static void finish(struct lister *l, struct zks__out *out, int result)
{
    if (l->pending) {
        l->pending = false;
        l->retry_at = ZKS__NEVER;
        out->done = true;
        out->result = result;
    }
}

static void start(struct lister *l, const struct zks__in *in, struct zks__out *out)
{
    drop_entries(l);
    l->t_list = 0;
    l->retry_at = ZKS__NEVER;
    if (in->connected) {
        struct zks__req *req = zks__out_add(out, ZKS__CHILDREN, l->dir);
        req->sync = true;
        req->ticket = l->t_list = ++l->ticket;
    }
}

static void ask_some(struct lister *l, struct zks__out *out)
{
    while (l->asked < l->n && l->asked - l->answered < GETS_AT_ONCE) {
        struct entry *e = &l->entries[l->asked++];
        struct zks__req *req = zks__out_add(out, ZKS__GET, l->dir);
        req->name = e->name;
        req->ticket = e->ticket = ++l->ticket;
    }
    if (l->answered == l->n) {
        finish(l, out, 0);
    }
}

static int keep_children(struct lister *l, const struct zks__reply *reply)
{
    l->entries = calloc(reply->n_children > 0 ? reply->n_children : 1, sizeof *l->entries);
    if (l->entries == NULL) {
        return ZKS_ENOMEM;
    }
    for (size_t i = 0; i < reply->n_children; i++) {
        struct entry *e = &l->entries[l->n];
        if (!zks__contender_parse(reply->children[i], &e->parsed)) {
            continue;
        }
        e->name = strdup(reply->children[i]);
        if (e->name == NULL) {
            return ZKS_ENOMEM;
        }
        l->n++;
    }
    return 0;
}

static int keep_data(struct entry *e, const struct zks__reply *reply)
{
    e->there = true;
    e->stat = reply->stat;
    e->data_len = reply->data_len;
    e->data = malloc(reply->data_len + 1);
    if (e->data == NULL) {
        return ZKS_ENOMEM;
    }
    if (reply->data_len > 0) {
        memcpy(e->data, reply->data, reply->data_len);
    }
    e->data[reply->data_len] = '\0';
    return 0;
}

static struct entry *find_entry(struct lister *l, uint32_t ticket)
{
    for (size_t i = 0; ticket != 0 && i < l->asked; i++) {
        if (l->entries[i].ticket == ticket) {
            return &l->entries[i];
        }
    }
    return NULL;
}

static void replied(struct lister *l, const struct zks__in *in, struct zks__out *out)
{
    const struct zks__reply *reply = &in->reply;
    bool is_list = reply->ticket != 0 && reply->ticket == l->t_list;
    struct entry *e = is_list ? NULL : find_entry(l, reply->ticket);
    int rc = reply->rc == ZKS_ENOENT ? 0 : reply->rc;
    if (!l->pending || (!is_list && e == NULL)) {
        return;
    }
    if (rc == ZKS__UNKNOWN) {
        drop_entries(l);
        l->t_list = 0;
        l->retry_at = zks__after(in->now_ms, 100);
        return;
    }
    if (rc == 0 && is_list) {
        l->t_list = 0;
        rc = keep_children(l, reply);
    } else if (rc == 0) {
        e->ticket = 0;
        l->answered++;
        rc = reply->rc == 0 ? keep_data(e, reply) : 0;
    }
    if (rc != 0) {
        finish(l, out, rc);
    } else {
        ask_some(l, out);
    }
}

static void requested(struct lister *l, const struct zks__in *in, struct zks__out *out)
{
    l->try_only = in->request.deadline_ms <= in->now_ms;
    if (l->try_only && !in->connected) {
        out->refuse = true;
        out->result = ZKS_EDISCONNECTED;
        return;
    }
    l->pending = true;
    l->deadline = in->request.deadline_ms;
    l->epoch = in->epoch;
    start(l, in, out);
}

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct lister *l = (struct lister *)m;
    memset(out, 0, sizeof *out);
    l->connected = in->connected;
    switch (in->kind) {
    case ZKS__IN_REQUEST:
        requested(l, in, out);
        break;
    case ZKS__IN_REPLY:
        if (in->epoch == l->epoch) {
            replied(l, in, out);
        }
        break;
    case ZKS__IN_CANCEL:
    case ZKS__IN_ABANDON:
        finish(l, out, ZKS_ECANCELED);
        break;
    case ZKS__IN_SUSPENDED:
        if (l->try_only) {
            finish(l, out, ZKS_EDISCONNECTED);
        }
        break;
    case ZKS__IN_EXPIRED:
    case ZKS__IN_CONNECTED:
        l->epoch = in->epoch;
        if (in->kind == ZKS__IN_EXPIRED && l->try_only) {
            finish(l, out, ZKS_EDISCONNECTED);
        }
        if (l->pending) {
            start(l, in, out);
        }
        break;
    case ZKS__IN_TICK:
        if (!l->try_only && in->now_ms >= l->deadline) {
            finish(l, out, ZKS_ETIMEDOUT);
        } else if (l->pending && in->connected && in->now_ms >= l->retry_at) {
            start(l, in, out);
        }
        break;
    case ZKS__IN_WATCH:
        break;
    }
}

static uint64_t deadline(const struct zks__machine *m)
{
    const struct lister *l = (const struct lister *)m;
    uint64_t at = l->connected ? l->retry_at : ZKS__NEVER;
    return l->pending && !l->try_only ? zks__min(at, l->deadline) : at;
}

static bool clean(const struct zks__machine *m)
{
    return !((const struct lister *)m)->pending;
}

static void nothing(struct zks__machine *m)
{
    (void)m;
}

static void destroy(struct zks__machine *m)
{
    drop_entries((struct lister *)m);
    free(m);
}

static const struct zks__machine_type type = {step,    deadline, clean,  NULL,
                                              nothing, nothing,  destroy};

static int by_place(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->there != y->there) {
        return x->there ? -1 : 1;
    }
    if (x->parsed.seq != y->parsed.seq) {
        return zks__seq_before(x->parsed.seq, y->parsed.seq) ? -1 : 1;
    }
    return (x->stat.czxid > y->stat.czxid) - (x->stat.czxid < y->stat.czxid);
}

static int64_t wall_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int fill(struct zks_contender *to, struct entry *from, const char *dir, int64_t now_ms)
{
    size_t size = strlen(dir) + strlen(from->name) + 2;
    to->path = malloc(size);
    if (to->path == NULL) {
        return ZKS_ENOMEM;
    }
    strcpy(to->path, dir);
    strcat(to->path, "/");
    strcat(to->path, from->name);
    to->mode = from->parsed.mode == ZKS__WRITE ? ZKS_RWLOCK_WRITE : ZKS_RWLOCK_READ;
    to->sequence = from->parsed.seq;
    to->token = from->parsed.has_token ? from->parsed.token : (uint64_t)from->stat.czxid;
    to->session = from->stat.owner;
    to->since_ms = from->stat.ctime_ms;
    to->age_ms = now_ms > to->since_ms ? now_ms - to->since_ms : 0;
    to->data = from->data;
    to->data_len = from->data_len;
    from->data = NULL;
    return 0;
}

static int result(struct lister *l, struct zks_contender **list, size_t *count)
{
    struct zks_contender *made = calloc(l->n > 0 ? l->n : 1, sizeof *made);
    int64_t now_ms = wall_clock_ms();
    bool writer_before = false;
    size_t n = 0;
    if (made == NULL) {
        return ZKS_ENOMEM;
    }
    qsort(l->entries, l->n, sizeof *l->entries, by_place);
    for (; n < l->n && l->entries[n].there; n++) {
        if (fill(&made[n], &l->entries[n], l->dir, now_ms) != 0) {
            zks_contenders_free(made, n + 1);
            return ZKS_ENOMEM;
        }
        bool writes = made[n].mode == ZKS_RWLOCK_WRITE;
        made[n].holds = writes ? n == 0 : !writer_before;
        writer_before |= writes;
    }
    if (n == 0) {
        free(made);
        made = NULL;
    }
    *list = made;
    *count = n;
    return 0;
}

static int run(zks_client *client, const char *path, int64_t timeout_ms,
               struct zks_contender **list, size_t *count)
{
    struct lister *l = calloc(1, sizeof *l + strlen(path) + 1);
    if (l == NULL) {
        return ZKS_ENOMEM;
    }
    strcpy(l->dir, path);
    l->retry_at = ZKS__NEVER;
    int rc = zks__machine_attach(&l->machine, &type, client, l->dir);
    if (rc != 0) {
        destroy(&l->machine);
        return rc;
    }
    rc = zks__machine_run(&l->machine, 0, timeout_ms);
    if (rc == 0) {
        rc = result(l, list, count);
    }
    zks__machine_free(&l->machine);
    return rc;
}

int zks_rwlock_list(zks_client *client, const char *path, int64_t timeout_ms,
                    struct zks_contender **list, size_t *count)
{
    if (client == NULL || list == NULL || count == NULL || !zks__dir_valid(path) ||
        timeout_ms < ZKS_FOREVER) {
        return ZKS_EINVAL;
    }
    if (zks__in_callback()) {
        return ZKS_EDEADLK;
    }
    int rc = zks__client_enter(client);
    if (rc == 0) {
        rc = run(client, path, timeout_ms, list, count);
        zks__client_leave(client);
    }
    return rc;
}

void zks_contenders_free(struct zks_contender *list, size_t count)
{
    for (size_t i = 0; list != NULL && i < count; i++) {
        free(list[i].path);
        free(list[i].data);
    }
    free(list);
}
