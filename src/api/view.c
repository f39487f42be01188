/* SPDX-License-Identifier: Apache-2.0 */
#include "api/view.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/barrier.h"

static const char ready[] = "ready";

char *zks__copy_data(const void *data, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy != NULL) {
        if (len > 0) {
            memcpy(copy, data, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

/* ---- Children ---- */

static int by_number(int32_t x, int32_t y)
{
    return x == y ? 0 : zks__seq_before(x, y) ? -1 : 1;
}

/* Contenders come first, then participants, each in the order in which they came; equal numbers exist
 * only where the server's counter has broken, and then what was read tells. */
static int by_place(const void *a, const void *b)
{
    const struct zks__entry *x = a;
    const struct zks__entry *y = b;
    int order = (int)x->kind - (int)y->kind;
    if (order == 0 && x->kind == ZKS__ENTRY_CONTENDER) {
        order = by_number(x->contender.seq, y->contender.seq);
    } else if (order == 0 && x->kind == ZKS__ENTRY_PARTICIPANT) {
        order = by_number(x->member.seq, y->member.seq);
    }
    if (order == 0) {
        order = (x->stat.czxid > y->stat.czxid) - (x->stat.czxid < y->stat.czxid);
    }
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* Whatever is gone does not count any more. */
static void mark_holders(struct zks__entries *e)
{
    bool writer_before = false;
    bool anyone_before = false;
    for (size_t i = 0; i < e->n && e->entry[i].kind == ZKS__ENTRY_CONTENDER; i++) {
        struct zks__entry *at = &e->entry[i];
        bool writes = at->contender.mode == ZKS__WRITE;
        at->holds = !at->gone && (writes ? !anyone_before : !writer_before);
        writer_before |= writes && !at->gone;
        anyone_before |= !at->gone;
    }
}

static void put_in_order(struct zks__entries *e)
{
    qsort(e->entry, e->n, sizeof *e->entry, by_place);
    mark_holders(e);
}

int zks__entries_fill(struct zks__entries *e, const char *const *children, size_t n, bool brief)
{
    e->entry = calloc(n > 0 ? n : 1, sizeof *e->entry);
    if (e->entry == NULL) {
        return ZKS_ENOMEM;
    }
    for (; e->n < n; e->n++) {
        struct zks__entry *at = &e->entry[e->n];
        at->name = strdup(children[e->n]);
        if (at->name == NULL) {
            return ZKS_ENOMEM;
        }
        at->kind = zks__contender_parse(at->name, &at->contender) ? ZKS__ENTRY_CONTENDER
                   : zks__member_parse(at->name, &at->member)     ? ZKS__ENTRY_PARTICIPANT
                                                                  : ZKS__ENTRY_OTHER;
    }
    put_in_order(e);
    for (size_t i = 0; i < n; i++) {
        struct zks__entry *at = &e->entry[i];
        at->wanted = at->kind == ZKS__ENTRY_CONTENDER
                         ? at->holds || !brief
                         : at->kind == ZKS__ENTRY_PARTICIPANT && !brief;
        e->n_wanted += at->wanted;
    }
    return 0;
}

void zks__entries_drop(struct zks__entries *e)
{
    for (size_t i = 0; e->entry != NULL && i < e->n; i++) {
        free(e->entry[i].name);
        free(e->entry[i].data);
    }
    free(e->entry);
    memset(e, 0, sizeof *e);
}

/* ---- The view ---- */

static int64_t wall_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t age_of(int64_t since_ms)
{
    int64_t now_ms = wall_clock_ms();
    return since_ms != 0 && now_ms > since_ms ? now_ms - since_ms : 0;
}

static char *join(const char *dir, const char *name)
{
    size_t dir_len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    size_t name_len = strlen(name);
    char *path = malloc(dir_len + name_len + 2);
    if (path != NULL) {
        memcpy(path, dir, dir_len);
        path[dir_len] = '/';
        memcpy(path + dir_len + 1, name, name_len + 1);
    }
    return path;
}

static char *take(char **data)
{
    char *taken = *data;
    *data = NULL;
    return taken;
}

static bool add_contender(struct zks_view *v, const char *dir, struct zks__entry *from)
{
    struct zks_contender *to = &v->contenders[v->n_contenders++];
    to->path = join(dir, from->name);
    to->mode = from->contender.mode == ZKS__WRITE ? ZKS_RWLOCK_WRITE : ZKS_RWLOCK_READ;
    to->holds = from->holds;
    to->sequence = from->contender.seq;
    to->token = from->contender.has_token ? from->contender.token : (uint64_t)from->stat.czxid;
    to->session = from->stat.owner;
    to->since_ms = from->stat.ctime_ms;
    to->age_ms = age_of(to->since_ms);
    to->data = take(&from->data);
    to->data_len = from->data_len;
    return to->path != NULL;
}

static bool is_inside(const struct zks__roster *roster, const char *name)
{
    size_t at = 0;
    size_t len;
    for (const char *next = zks__roster_next(roster, &at, &len); next != NULL;
         next = zks__roster_next(roster, &at, &len)) {
        if (strlen(name) == len && memcmp(name, next, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_participant(struct zks_view *v, const char *dir, struct zks__entry *from,
                            const struct zks__roster *roster)
{
    struct zks_participant *to = &v->participants[v->n_participants++];
    to->path = join(dir, from->name);
    to->id = strndup(from->member.id, from->member.id_len);
    to->n = from->member.n;
    to->inside = is_inside(roster, from->name);
    to->sequence = from->member.seq;
    to->session = from->stat.owner;
    to->since_ms = from->stat.ctime_ms;
    to->age_ms = age_of(to->since_ms);
    if (!to->inside) { /* The opening of the round has put the round's name in its place. */
        to->data = take(&from->data);
        to->data_len = from->data_len;
    }
    return to->path != NULL && to->id != NULL;
}

static bool add(struct zks_view *v, const char *dir, struct zks__entry *from,
                const struct zks__roster *roster)
{
    switch (from->kind) {
    case ZKS__ENTRY_CONTENDER:
        return add_contender(v, dir, from);
    case ZKS__ENTRY_PARTICIPANT:
        return add_participant(v, dir, from, roster);
    default:
        if (strcmp(from->name, ready) != 0 || !v->round_open) {
            v->others[v->n_others++] = take(&from->name);
        }
        return true;
    }
}

static enum zks_view_kind kind_of(const struct zks_view *v, const struct zks__scene *scene)
{
    if (!scene->there) {
        return ZKS_VIEW_ABSENT;
    }
    if (v->n_contenders > 0) {
        return ZKS_VIEW_LOCK;
    }
    if (v->n_participants > 0 || v->round_open) {
        return ZKS_VIEW_DOUBLE_BARRIER;
    }
    struct zks__stat now = scene->stat;
    now.n_children = (int32_t)v->n_others; /* The others may have gone since the listing. */
    return zks__is_barrier(&now) ? ZKS_VIEW_BARRIER : ZKS_VIEW_OTHER;
}

struct zks_view *zks__view_new(const char *dir, struct zks__scene *scene, struct zks__entries *e)
{
    struct zks__roster roster = {.len = 0};
    struct zks_view *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return NULL;
    }
    size_t room = e->n > 0 ? e->n : 1;
    v->contenders = calloc(room, sizeof *v->contenders);
    v->participants = calloc(room, sizeof *v->participants);
    v->others = calloc(room, sizeof *v->others);
    bool ok = v->contenders != NULL && v->participants != NULL && v->others != NULL;
    v->round_open =
        scene->roster != NULL && zks__roster_parse(scene->roster, scene->roster_len, &roster);
    put_in_order(e); /* Anew: some may be gone, and equal numbers can be told apart by now. */
    for (size_t i = 0; ok && i < e->n; i++) {
        if (!e->entry[i].gone) {
            ok = add(v, dir, &e->entry[i], &roster);
        }
    }
    if (!ok) {
        zks_view_free(v);
        return NULL;
    }
    v->since_ms = scene->there ? scene->stat.ctime_ms : 0;
    v->age_ms = age_of(v->since_ms);
    v->data = take(&scene->data);
    v->data_len = scene->data_len;
    v->kind = kind_of(v, scene);
    return v;
}

void zks_contenders_free(struct zks_contender *list, size_t count)
{
    for (size_t i = 0; list != NULL && i < count; i++) {
        free(list[i].path);
        free(list[i].data);
    }
    free(list);
}

void zks_view_free(struct zks_view *view)
{
    if (view == NULL) {
        return;
    }
    zks_contenders_free(view->contenders, view->n_contenders);
    for (size_t i = 0; view->participants != NULL && i < view->n_participants; i++) {
        free(view->participants[i].path);
        free(view->participants[i].id);
        free(view->participants[i].data);
    }
    for (size_t i = 0; view->others != NULL && i < view->n_others; i++) {
        free(view->others[i]);
    }
    free(view->participants);
    free(view->others);
    free(view->data);
    free(view);
}
