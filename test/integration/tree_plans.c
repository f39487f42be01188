/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_plans.h"

#include <string.h>

struct plan {
    struct plan *next;
    const char *path;
};

void plans_begin(struct plans *p, struct arena *arena)
{
    *p = (struct plans){.arena = arena};
}

static void add(struct plans *p, struct plan **list, const char *path)
{
    struct plan *plan = arena_get(p->arena, sizeof *plan);
    *plan = (struct plan){*list, path};
    *list = plan;
}

static bool is_parent(const char *parent, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) : 0;
    return strlen(parent) == len && strncmp(parent, path, len) == 0;
}

bool plans_mislead(const struct plans *p, const struct ask *ask)
{
    if (!ask_is_write(ask->kind)) {
        return false;
    }
    for (size_t i = 0; ask->kind == ASK_MULTI && i < ask->n_parts; i++) {
        if (plans_mislead(p, &ask->parts[i])) {
            return true;
        }
    }
    for (const struct plan *plan = p->with_acl; plan != NULL && ask->path != NULL;
         plan = plan->next) {
        if (strcmp(plan->path, ask->path) == 0 || is_parent(plan->path, ask->path)) {
            return true;
        }
    }
    return p->lost;
}

/* Whether the path is what a sequential create of the other one could make. */
static bool is_numbered(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(path, prefix, len) == 0 && strlen(path + len) == 10 &&
           strspn(path + len, "0123456789") == 10;
}

static bool is_sequential(const struct ask *ask)
{
    return ask_is_create(ask->kind) && flags_are_sequential(ask->flags);
}

/* A multi that fails takes back its plans and puts in what was there before, but for names that it has
 * made by adding numbers. */
static bool loses_plan(const struct plans *p, const struct ask *ask)
{
    for (size_t i = 0; i < ask->n_parts; i++) {
        for (const struct plan *plan = p->changed; plan != NULL && is_sequential(&ask->parts[i]);
             plan = plan->next) {
            if (is_numbered(plan->path, ask->parts[i].path)) {
                return true;
            }
        }
    }
    return false;
}

void plans_add(struct plans *p, const struct ask *ask, const struct answer *answer)
{
    if (!ask_is_write(ask->kind) || answer->code != 0) {
        return;
    }
    bool failed = false;
    for (size_t i = 0; ask->kind == ASK_MULTI && i < ask->n_parts; i++) {
        failed = failed || answer->parts[i].code != 0;
    }
    if (failed) {
        p->lost = p->lost || loses_plan(p, ask);
        return;
    }
    for (size_t i = 0; ask->kind == ASK_MULTI && i < ask->n_parts; i++) {
        plans_add(p, &ask->parts[i], &answer->parts[i]);
    }
    if (ask->kind == ASK_SET_ACL) {
        add(p, &p->with_acl, ask->path);
    }
    if (ask->path != NULL) {
        add(p, &p->changed, answer->has & HAS_PATH ? answer->path : ask->path);
    }
}
