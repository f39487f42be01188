/* SPDX-License-Identifier: Apache-2.0 */
#include "stranger.h"

#include <stdlib.h>
#include <string.h>

#include "actor.h"
#include "ensemble.h"
#include "memory.h"
#include "observe.h"

enum { STRANGERS_MAX = 12, AGAIN = 20 * MS, LEFT = 100 };

/* A visit: something is done, and undone when its time is over.  Whatever cannot be done at once, for
 * there is no leader, or of which nothing is heard, for the leader has gone, is tried again; what there
 * is the tree shows. */
struct visit {
    struct happening happening;
    const struct plan *plan;
    unsigned thing;
    enum mischief mischief;
    unsigned number;
    uint64_t until;
    unsigned stage;
    int64_t session;
    bool waits; /* For the outcome of a write, at most until `waits_until`. */
    uint64_t waits_until;
    uint64_t quiet_from; /* Since then what it did is undone; 0 for not. */
    char name[64];       /* Of what it creates, or the beginning of it. */
};

static struct visit visits[STRANGERS_MAX];
static unsigned n_visits;
static struct chance chance;
static struct happening lifting;
static const struct plan *lifted;

static const struct zks__ace open_to_all = {31, {"world", "anyone"}};
static const struct zks__ace read_only = {ZKS__PERM_READ | ZKS__PERM_ADMIN, {"world", "anyone"}};
static const struct zks__who anybody = {0, {NULL, 0}};

static char *join(const struct visit *v, const char *name)
{
    const char *dir = actor_path(v->thing);
    char *path = memory_get(strlen(dir) + strlen(name) + 2);
    return strcat(strcat(strcpy(path, dir), "/"), name);
}

static const struct zks__znode *children(const struct visit *v)
{
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    int code =
        zks__tree_children(ensemble_tree(), &anybody, actor_path(v->thing), NULL, &child, &stat);
    return code == 0 ? child : NULL;
}

/* What it has created, NULL for nothing. */
static const char *own_node(const struct visit *v)
{
    for (const struct zks__znode *c = children(v); c != NULL; c = zks__tree_next_child(c)) {
        if (strncmp(zks__tree_child_name(c), v->name, strlen(v->name)) == 0) {
            return zks__tree_child_name(c);
        }
    }
    return NULL;
}

static void written(void *arg, int code, const char *path)
{
    struct visit *v = arg;
    (void)code;
    (void)path;
    v->waits = false;
}

static bool write_op(struct visit *v, const struct zks__op *op)
{
    v->waits = ensemble_inject(v->session, op, 1, false, written, v);
    v->waits_until = sched_now() + (uint64_t)v->plan->timeout_ms * MS;
    return v->waits;
}

static bool create(struct visit *v, const char *name, int mode)
{
    const struct zks__op op = {.kind = ZKS__OP_CREATE,
                               .path = join(v, name),
                               .data = "a stranger",
                               .data_len = 10,
                               .aces = &open_to_all,
                               .n_aces = 1,
                               .mode = mode};
    strcpy(v->name, name);
    return write_op(v, &op);
}

static bool delete_it(struct visit *v, const char *name)
{
    const struct zks__op op = {.kind = ZKS__OP_DELETE, .path = join(v, name), .version = -1};
    return write_op(v, &op);
}

/* ---- One who contends for a lock by the recipe: the lowest number holds ---- */

static bool is_first(const struct visit *v, const char *mine)
{
    for (const struct zks__znode *c = children(v); c != NULL; c = zks__tree_next_child(c)) {
        const char *name = zks__tree_child_name(c);
        size_t len = strlen(name);
        bool contends = strstr(name, "read-") != NULL || strstr(name, "write-") != NULL;
        if (contends && len > 10 && strcmp(name, mine) != 0 &&
            strspn(name + len - 10, "0123456789") == 10 &&
            strcmp(name + len - 10, mine + strlen(mine) - 10) <= 0) {
            return false;
        }
    }
    return true;
}

static void show(const struct visit *v, int what)
{
    observe(&(struct seen){.kind = SEEN_CONTENDER,
                           .actor = -1,
                           .thing = (int)v->thing,
                           .what = what,
                           .number = v->number});
}

/* What seems undone can come back: it may still be in the log of a server that will lead. */
static bool is_quiet(struct visit *v, bool undone)
{
    undone &= ensemble_idle();
    if (!undone) {
        v->quiet_from = 0;
    } else if (v->quiet_from == 0) {
        v->quiet_from = sched_now();
    }
    return undone && sched_now() - v->quiet_from > (uint64_t)v->plan->timeout_ms * MS;
}

/* 0: opens a session; 1: queues; 2: waits for its turn; 3: holds; 4: leaves, as often as it takes. */
static void contend(struct visit *v)
{
    const char *mine = v->stage > 0 ? own_node(v) : NULL;
    switch (v->stage) {
    case 0:
        v->session = sched_now() > v->until ? 0 : ensemble_open_session();
        v->stage = v->session != 0 ? 1 : sched_now() > v->until ? LEFT : 0;
        break;
    case 1: {
        char name[] = "_c_a000000000000000000000000000000a-write-";
        name[4] = (char)('0' + v->number % 10);
        name[5] = (char)('0' + v->number / 10);
        v->stage += create(v, name, ZKS__EPHEMERAL_SEQUENTIAL);
        break;
    }
    case 2:
        if (mine == NULL || sched_now() >= v->until) {
            v->stage = 4; /* There was no lock yet, or its time is over. */
        } else if (is_first(v, mine)) {
            v->stage = 3;
            show(v, 2);
        }
        break;
    case 3:
        if (sched_now() >= v->until) {
            show(v, 3);
            v->stage = 4;
        }
        break;
    default:
        if (mine != NULL) {
            delete_it(v, mine);
        }
        v->stage = is_quiet(v, mine == NULL) ? LEFT : 4;
        break;
    }
}

/* ---- Those who do something and undo it ---- */

static bool junk(struct visit *v)
{
    static const char *const names[] = {
        "junk", "x-write-", "_c_-read-12x", "write-99999999999", "a-b-c", "-write-0000000000"};
    const char *name = names[chance_below(&chance, sizeof names / sizeof names[0])];
    return create(v, name, ZKS__PERSISTENT);
}

/* Some znode in there that is not a stranger's. */
static bool break_one(struct visit *v)
{
    uint64_t n = 0;
    for (const struct zks__znode *c = children(v); c != NULL; c = zks__tree_next_child(c)) {
        n++;
    }
    const struct zks__znode *child = children(v);
    for (uint64_t i = chance_below(&chance, n); i > 0; i--) {
        child = zks__tree_next_child(child);
    }
    const char *name = child != NULL ? zks__tree_child_name(child) : "";
    int actor = actor_of_node(name);
    if (actor < 0) {
        return true;
    }
    observe(&(struct seen){.kind = SEEN_BROKEN, .actor = actor, .thing = (int)v->thing});
    return delete_it(v, name);
}

static bool set_acl(struct visit *v, const struct zks__ace *ace)
{
    const struct zks__op op = {.kind = ZKS__OP_SET_ACL,
                               .path = actor_path(v->thing),
                               .aces = ace,
                               .n_aces = 1,
                               .version = -1};
    return write_op(v, &op);
}

static bool set_data(struct visit *v, const char *text)
{
    const struct zks__op op = {.kind = ZKS__OP_SET,
                               .path = actor_path(v->thing),
                               .data = text,
                               .data_len = strlen(text),
                               .version = -1};
    return write_op(v, &op);
}

static bool come(struct visit *v)
{
    switch (v->mischief) {
    case MISCHIEF_JUNK:
        return junk(v);
    case MISCHIEF_BREAK:
        return break_one(v);
    case MISCHIEF_ACL:
        return set_acl(v, &read_only);
    case MISCHIEF_DATA:
        return set_data(v, "somebody's");
    default:
        return create(v, "ready", ZKS__PERSISTENT);
    }
}

static bool is_open(const struct visit *v)
{
    struct zks__znode_stat stat;
    const struct zks__acl *acl;
    bool veiled;
    int code =
        zks__tree_get_acl(ensemble_tree(), &anybody, actor_path(v->thing), &acl, &veiled, &stat);
    return code != 0 || acl->aces[0].perms == open_to_all.perms;
}

static bool is_bare(const struct visit *v)
{
    struct zks__znode_stat stat;
    return zks__tree_exists(ensemble_tree(), &anybody, actor_path(v->thing), NULL, &stat) != 0 ||
           stat.data_length == 0;
}

/* Undoes it; true once that is done. */
static bool go(struct visit *v)
{
    const char *mine;
    switch (v->mischief) {
    case MISCHIEF_BREAK:
        return true;
    case MISCHIEF_ACL:
        return is_open(v) || (set_acl(v, &open_to_all), false);
    case MISCHIEF_DATA:
        return v->plan->things[v->thing].kind == THING_BARRIER || is_bare(v) ||
               (set_data(v, ""), false);
    default:
        mine = own_node(v);
        return mine == NULL || (delete_it(v, mine), false);
    }
}

/* Who has not come when its time is over stays away: after all has healed nobody comes. */
static void interfere(struct visit *v)
{
    if (v->stage == 0 && sched_now() > v->until) {
        v->stage = LEFT;
    } else if (v->stage == 0) {
        v->stage += come(v);
    } else if (sched_now() >= v->until && is_quiet(v, go(v))) {
        v->stage = LEFT;
    }
}

static void due(struct happening *h)
{
    struct visit *v = (struct visit *)h;
    v->waits &= sched_now() < v->waits_until;
    if (!v->waits && v->mischief == MISCHIEF_CONTENDER) {
        contend(v);
    } else if (!v->waits) {
        interfere(v);
    }
    if (v->stage != LEFT) {
        sched_after(h, AGAIN);
    }
}

/* A stranger can spoil what is promised: then nothing is, until it has gone. */
static bool spoils(const struct plan *plan, unsigned thing, enum mischief mischief)
{
    enum thing_kind kind = plan->things[thing].kind;
    return (mischief == MISCHIEF_READY && kind == THING_DOUBLE) ||
           (mischief == MISCHIEF_DATA && kind == THING_BARRIER);
}

void stranger_comes(const struct plan *plan, unsigned thing, enum mischief mischief, uint64_t us)
{
    enum thing_kind kind = plan->things[thing].kind;
    if (n_visits == STRANGERS_MAX || (kind == THING_BARRIER && mischief != MISCHIEF_DATA) ||
        (mischief == MISCHIEF_CONTENDER && kind != THING_RWLOCK)) {
        return;
    }
    struct visit *v = &visits[n_visits++];
    *v = (struct visit){.plan = plan,
                        .thing = thing,
                        .mischief = mischief,
                        .number = n_visits,
                        .until = sched_now() + us};
    v->happening.fire = due;
    if (spoils(plan, thing, mischief)) {
        observe(&(struct seen){.kind = SEEN_SPOILT, .actor = -1, .thing = (int)thing});
    }
    if (mischief == MISCHIEF_CONTENDER) {
        show(v, 1);
    }
    sched_after(&v->happening, 0);
}

/* Barriers are lifted again and again, so that those who wait there come through. */
static void lift(struct happening *h)
{
    for (unsigned i = 0; i < lifted->n_things; i++) {
        if (lifted->things[i].kind == THING_BARRIER) {
            const struct zks__op op = {
                .kind = ZKS__OP_DELETE, .path = actor_path(i), .version = -1};
            observe(&(struct seen){.kind = SEEN_UNSET, .actor = -1, .thing = (int)i});
            ensemble_inject(0, &op, 1, false, NULL, NULL);
        }
    }
    sched_after(h, (uint64_t)lifted->timeout_ms * MS / 2);
}

void strangers_go(void)
{
    for (unsigned i = 0; i < n_visits; i++) {
        visits[i].until = sched_now();
    }
}

void strangers_lift(const struct plan *plan)
{
    lifted = plan;
    lifting.fire = lift;
    sched_after(&lifting, 0);
}

bool strangers_gone(void)
{
    for (unsigned i = 0; i < n_visits; i++) {
        if (visits[i].stage != LEFT) {
            return false;
        }
    }
    return true;
}

void strangers_begin(uint64_t seed)
{
    memset(visits, 0, sizeof visits);
    memset(&lifting, 0, sizeof lifting);
    n_visits = 0;
    chance = chance_of(seed, 2);
}
