/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_hearing.h"

#include <string.h>

#include "ensemble.h"

/* Who may read a znode, a bit for each member. */
struct readers {
    struct readers *next;
    const char *path;
    uint32_t who;
};

static uint32_t readers_of(const struct model *m, const struct zks__acl *acl)
{
    uint32_t who = 0;
    for (size_t i = 0; i < m->n_members; i++) {
        bool may = zks__acl_allows(acl, ZKS__PERM_READ, &m->members[i]->who.ids);
        who |= (uint32_t)may << i;
    }
    return who;
}

/* Who could read what is created with a list; it does not matter who where the list is refused. */
static uint32_t readers_of_new(struct model *m, const struct member *member, const struct ask *ask)
{
    struct zks__acls acls;
    struct zks__acl *acl = NULL;
    uint32_t who = 0;
    if (!zks__acls_init(&acls, &m->mem)) {
        ens_fail("no memory");
    }
    if (zks__acl_make(&acls, ask->aces, ask->n_aces, &member->who.ids, &acl) == 0) {
        who = readers_of(m, acl);
    }
    zks__acls_close(&acls);
    return who;
}

static const char *parent_of(struct model *m, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL   ? ""
           : slash == path ? "/"
                           : arena_copy(m->arena, path, (size_t)(slash - path));
}

static void look_at(struct hearing *h, struct model *m, const char *path)
{
    const struct zks__acl *acl = NULL;
    struct zks__znode_stat stat;
    bool veiled;
    if (zks__tree_get_acl(m->tree, &model_super, path, &acl, &veiled, &stat) == 0) {
        struct readers *r = arena_get(m->arena, sizeof *r);
        *r = (struct readers){h->before, path, readers_of(m, acl)};
        h->before = r;
    }
}

static void add_deed(struct hearing *h, struct model *m, enum ask_kind kind, const char *path)
{
    struct deed *d = &h->deeds[h->n_deeds++];
    d->kind = kind;
    d->path = path;
    d->parent = parent_of(m, path);
    look_at(h, m, d->path);
    look_at(h, m, d->parent);
}

/* The end of a session deletes its ephemerals. */
static void add_ephemerals(struct hearing *h, struct model *m, const struct member *member)
{
    int64_t id = member->session.id;
    const char *path = NULL;
    size_t n = 0;
    while ((path = zks__tree_ephemerals(m->tree, id, "", path)) != NULL) {
        n++;
    }
    h->deeds = arena_get(m->arena, n * sizeof h->deeds[0]);
    while ((path = zks__tree_ephemerals(m->tree, id, "", path)) != NULL) {
        add_deed(h, m, ASK_DELETE, arena_copy(m->arena, path, strlen(path)));
    }
}

void hearing_begin(struct hearing *h, struct model *m, const struct member *member,
                   const struct ask *ask)
{
    memset(h, 0, sizeof *h);
    for (size_t i = 0; i < m->n_members; i++) {
        h->n_items[i] = m->members[i]->n_items;
    }
    if (ask->kind == ASK_CLOSE) {
        add_ephemerals(h, m, member);
        return;
    }
    const struct ask *parts = ask->kind == ASK_MULTI ? ask->parts : ask;
    size_t n = ask->kind == ASK_MULTI ? ask->n_parts : 1;
    h->deeds = arena_get(m->arena, n * sizeof h->deeds[0]);
    for (size_t i = 0; i < n; i++) {
        add_deed(h, m, parts[i].kind, parts[i].path);
        if (ask_is_create(parts[i].kind)) {
            h->deeds[i].readers = readers_of_new(m, member, &parts[i]);
        }
    }
}

static bool fires(const struct deed *d, const struct item *item)
{
    bool create = ask_is_create(d->kind);
    if (!d->done) {
        return false;
    }
    switch (item->event) {
    case ZKS__EVENT_CREATED:
        return create && strcmp(d->path, item->path) == 0;
    case ZKS__EVENT_DELETED:
        return d->kind == ASK_DELETE && strcmp(d->path, item->path) == 0;
    case ZKS__EVENT_DATA_CHANGED:
        return d->kind == ASK_SET && strcmp(d->path, item->path) == 0;
    default:
        return (create || d->kind == ASK_DELETE) && strcmp(d->parent, item->path) == 0;
    }
}

/* A watch that fires once does so at the first deed that it could be about, and one that stays at each of
 * them; and then it depends on the list that the znode had at that moment. */
static uint32_t who_hears(const struct hearing *h, const struct item *item)
{
    const struct readers *r = h->before;
    while (r != NULL && strcmp(r->path, item->path) != 0) {
        r = r->next;
    }
    bool known = r != NULL;
    uint32_t who = known ? r->who : 0;
    size_t before = item->nth;
    for (size_t i = 0; i < h->n_deeds; i++) {
        const struct deed *d = &h->deeds[i];
        if (d->done && ask_is_create(d->kind) && strcmp(d->path, item->path) == 0) {
            known = true;
            who = d->readers;
        }
        if (known && fires(d, item) && before-- == 0) {
            return who;
        }
    }
    ens_fail("the tree tells of %s, to which nothing was done", item->path);
}

static bool is_parent(const char *parent, const char *path)
{
    size_t len = (size_t)(strrchr(path, '/') - path);
    return strcmp(parent, "/") == 0 ? len == 0
                                    : strlen(parent) == len && strncmp(parent, path, len) == 0;
}

/* Whether a child's deletion, which has just been heard in the same group, is what the event follows. */
static bool follows_child(const struct member *m, size_t next, const struct item *item)
{
    const struct item *last = next > 0 ? &m->items[next - 1] : NULL;
    return last != NULL && last->ask == NULL && last->group == item->group &&
           last->event == ZKS__EVENT_DELETED && item->event == ZKS__EVENT_CHILDREN_CHANGED &&
           is_parent(item->path, last->path);
}

bool hearing_fits(const struct member *m, size_t next, size_t at)
{
    const struct item *item = &m->items[at];
    if (item->group == 0 || follows_child(m, next, item)) {
        return true;
    }
    for (size_t i = next; i < m->n_items && m->items[i].group == item->group; i++) {
        if (follows_child(m, next, &m->items[i])) {
            return false;
        }
    }
    return !item->after_child;
}

static bool hears_deletion(const struct member *member, size_t from, const char *path)
{
    for (size_t k = from; k < member->n_items; k++) {
        const struct item *item = &member->items[k];
        if (item->event == ZKS__EVENT_DELETED && strcmp(item->path, path) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the member hears of each of the znodes that have been deleted below a path. */
static bool hears_children(const struct hearing *h, const struct member *member, size_t from,
                           const char *path)
{
    for (size_t i = 0; i < h->n_deeds; i++) {
        const struct deed *d = &h->deeds[i];
        if (strcmp(d->parent, path) == 0 && !hears_deletion(member, from, d->path)) {
            return false;
        }
    }
    return true;
}

/* The order of the tree's events, for what a server sends is held against them in any order. */
static void check_order(const struct hearing *h, struct member *member, size_t from)
{
    for (size_t k = from; k < member->n_items; k++) {
        struct item *item = &member->items[k];
        item->after_child = item->event == ZKS__EVENT_CHILDREN_CHANGED &&
                            hears_children(h, member, from, item->path);
    }
    for (size_t k = from; k < member->n_items; k++) {
        if (!hearing_fits(member, k, k)) {
            ens_fail("the tree tells of %s too early or too late", member->items[k].path);
        }
    }
}

static void count_same(struct member *member, size_t from)
{
    for (size_t k = from; k < member->n_items; k++) {
        struct item *item = &member->items[k];
        for (size_t i = from; i < k; i++) {
            const struct item *other = &member->items[i];
            item->nth += other->event == item->event && strcmp(other->path, item->path) == 0;
        }
    }
}

void hearing_end(struct hearing *h, struct model *m, const struct ask *ask,
                 const struct answer *answer)
{
    bool failed = false; /* A multi fails as a whole. */
    for (size_t i = 0; i < answer->n_parts; i++) {
        failed = failed || answer->parts[i].code != 0;
    }
    for (size_t i = 0; i < h->n_deeds; i++) {
        h->deeds[i].done = answer->code == 0 && !failed;
    }
    for (size_t i = 0; i < h->n_deeds && ask->kind != ASK_CLOSE && answer->code == 0; i++) {
        const struct answer *part = ask->kind == ASK_MULTI ? &answer->parts[i] : answer;
        h->deeds[i].path = part->has & HAS_PATH ? part->path : h->deeds[i].path;
    }
    for (size_t i = 0; i < m->n_members; i++) {
        struct member *member = m->members[i];
        size_t kept = h->n_items[i];
        count_same(member, kept);
        for (size_t k = kept; k < member->n_items; k++) {
            struct item item = member->items[k];
            if (who_hears(h, &item) >> i & 1) {
                member->items[kept++] = item;
            }
        }
        member->n_items = kept;
        if (ask->kind == ASK_CLOSE) {
            check_order(h, member, h->n_items[i]);
        }
    }
}
