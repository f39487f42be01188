/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_generate.h"

#include <string.h>

#include "ensemble.h"
#include "tree_pick.h"

enum { CROWD = 150 };

/* ---- Writes ---- */

static const int32_t wrong_flags[] = {-1, 7, 8, 100, INT32_MAX, INT32_MIN};

/* Which flags a request may have, besides wrong ones, see docs/tree.md: as a part of a multi one with a
 * time to live must be a createTTL before 3.9, and a createContainer must not be of an ephemeral. */
static void choose_mode(struct generator *g, struct ask *ask, bool in_multi)
{
    static const int32_t usual[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 4};
    static const int32_t containers[] = {4, 4, 4, 4, 0, 2};
    static const int32_t ttls[] = {5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 0, 1, 2, 3, 4};
    static const int64_t ttl_good[] = {1, 1000, 3600000, (INT64_C(1) << 40) - 1};
    static const int64_t ttl_bad[] = {0, -1, INT64_C(1) << 40, INT64_MIN, INT64_MAX};
    bool unreadable = in_multi && ask->kind != ASK_CREATE_TTL && !g->model->before_39;
    if (!g->careful && chance(g, 3)) {
        ask->flags = unreadable && chance(g, 30) ? ZKS__PERSISTENT_TTL : PICK(g, wrong_flags);
    } else if (ask->kind == ASK_CREATE_TTL) {
        ask->flags = PICK(g, ttls);
    } else if (!in_multi && chance(g, 3)) {
        ask->flags = chance(g, 50) ? ZKS__PERSISTENT_TTL : ZKS__PERSISTENT_SEQUENTIAL_TTL;
    } else {
        ask->flags = ask->kind == ASK_CREATE_CONTAINER ? PICK(g, containers) : PICK(g, usual);
    }
    ask->ttl_ms = g->careful || chance(g, 92) ? PICK(g, ttl_good) : PICK(g, ttl_bad);
}

/* A sequential znode could come to be where none of ours may.  Without a flag that goes with it a server
 * takes no time to live of 0 and more, and dies of one below. */
static void keep_safe(const struct generator *g, struct ask *ask, bool in_multi)
{
    bool below = path_is_inside(g, ask->path) && strcmp(ask->path, g->top) != 0;
    if (flags_are_sequential(ask->flags) && !below) {
        ask->flags = ZKS__PERSISTENT;
    }
    if (!in_multi && !flags_are_ttl(ask->flags) && ask->ttl_ms < 0) {
        ask->ttl_ms = 0;
    }
}

static void make_create(struct generator *g, struct ask *ask, bool in_multi)
{
    static const enum ask_kind kinds[] = {ASK_CREATE, ASK_CREATE2, ASK_CREATE_CONTAINER,
                                          ASK_CREATE_TTL};
    static const char *const prefixes[] = {"/", "/a", "/n-"};
    ask->kind = PICK(g, kinds);
    choose_mode(g, ask, in_multi);
    if (!g->careful && chance(g, 20)) {
        ask->path = chance(g, 50) ? path_odd(g) : path_child(g, path_child(g, path_named(g)));
    } else if (flags_are_sequential(ask->flags) && chance(g, 75)) {
        ask->path = path_join(g, path_walk(g), PICK(g, prefixes));
    } else if (g->careful || chance(g, 70)) {
        ask->path = path_child(g, chance(g, 50) ? path_walk(g) : g->top);
    } else {
        ask->path = path_any(g);
    }
    keep_safe(g, ask, in_multi);
    pick_data(g, ask);
    pick_acl(g, ask);
    /* Without a list even a leader of 3.9 fails over it, and gives two writes the same zxid. */
    ask->no_aces =
        ask->no_aces && (!in_multi || ask->kind == ASK_CREATE_TTL || g->model->before_39);
}

/* The top stays: it is in the way of its own deletion while it has children. */
static void make_delete(struct generator *g, struct ask *ask, bool in_multi)
{
    struct zks__znode_stat stat;
    ask->kind = ASK_DELETE;
    if (!g->careful && chance(g, 10)) {
        ask->path = path_odd(g);
    } else {
        ask->path = !g->careful && chance(g, 35) ? path_any(g)
                    : chance(g, 60)              ? path_leaf(g)
                                                 : path_walk(g);
    }
    if (strcmp(ask->path, g->top) == 0 &&
        (in_multi || !pick_stat(g, ask->path, &stat) || stat.num_children == 0)) {
        ask->path = path_named(g);
    }
    ask->version = pick_version(g, ask->kind, ask->path);
}

static void make_set(struct generator *g, struct ask *ask)
{
    ask->kind = ASK_SET;
    ask->path = chance(g, 60) ? path_walk(g) : path_any(g);
    pick_data(g, ask);
    ask->version = pick_version(g, ask->kind, ask->path);
}

static void make_check(struct generator *g, struct ask *ask)
{
    ask->kind = ASK_CHECK;
    ask->path = chance(g, 50) ? path_walk(g) : path_any(g);
    ask->version = pick_version(g, ask->kind, ask->path);
}

static void make_set_acl(struct generator *g, struct ask *ask)
{
    ask->kind = ASK_SET_ACL;
    ask->path = chance(g, 60) ? path_walk(g) : path_any(g);
    pick_acl(g, ask);
    ask->version = pick_version(g, ask->kind, ask->path);
}

static void make_multi(struct generator *g, struct ask *ask)
{
    ask->kind = ASK_MULTI;
    ask->n_parts = (size_t)generator_below(g, chance(g, 60) ? 4 : 9);
    g->careful = chance(g, 50);
    ask->parts = arena_get(g->arena, ask->n_parts * sizeof ask->parts[0]);
    for (size_t i = 0; i < ask->n_parts; i++) {
        uint64_t n = generator_below(g, 100);
        if (n < 45) {
            make_create(g, &ask->parts[i], true);
        } else if (n < 60) {
            make_delete(g, &ask->parts[i], true);
        } else if (n < 80) {
            make_set(g, &ask->parts[i]);
        } else {
            make_check(g, &ask->parts[i]);
        }
    }
    g->careful = false;
}

static void make_write(struct generator *g, struct ask *ask)
{
    uint64_t n = generator_below(g, 100);
    if (g->crowd > CROWD && n < 40) {
        make_delete(g, ask, false);
    } else if (n < 40) {
        make_create(g, ask, false);
    } else if (n < 55) {
        make_delete(g, ask, false);
    } else if (n < 72) {
        make_set(g, ask);
    } else if (n < 78) {
        make_set_acl(g, ask);
    } else {
        make_multi(g, ask);
    }
}

/* ---- Reads and watches ---- */

static void make_read(struct generator *g, struct ask *ask)
{
    static const enum ask_kind kinds[] = {
        ASK_EXISTS,   ASK_EXISTS,   ASK_GET,       ASK_GET,       ASK_GET_ACL,
        ASK_CHILDREN, ASK_CHILDREN, ASK_CHILDREN2, ASK_CHILDREN2, ASK_DESCENDANTS};
    ask->kind = PICK(g, kinds);
    ask->path = path_any(g);
    ask->watch = ask->kind != ASK_GET_ACL && ask->kind != ASK_DESCENDANTS && chance(g, 60);
}

static void make_multi_read(struct generator *g, struct ask *ask)
{
    ask->kind = ASK_MULTI_READ;
    ask->n_parts = (size_t)generator_below(g, 7);
    ask->parts = arena_get(g->arena, ask->n_parts * sizeof ask->parts[0]);
    for (size_t i = 0; i < ask->n_parts; i++) {
        ask->parts[i].kind = chance(g, 50) ? ASK_GET : ASK_CHILDREN;
        ask->parts[i].path = path_any(g);
    }
}

/* What a client has seen last: nothing, about what a znode says, or the latest of all. */
static void choose_seen(struct generator *g, struct ask *ask)
{
    struct zks__znode_stat stat = {0};
    int64_t latest = g->relation->model_zxid;
    ask->model_zxid = latest;
    if (chance(g, 10)) {
        ask->model_zxid = ask->wire_zxid = chance(g, 50) ? 0 : INT64_MAX;
        return;
    }
    if (chance(g, 80) && pick_stat(g, path_walk(g), &stat)) {
        ask->model_zxid = chance(g, 50) ? stat.mzxid : stat.pzxid;
    }
    /* What has been written in this batch has no number yet by which the server is sure to know it. */
    ask->model_zxid = ask->model_zxid < latest ? ask->model_zxid : latest;
    ask->wire_zxid = relation_zxid(g->relation, ask->model_zxid);
    int64_t less = (int64_t)generator_below(g, 2);
    ask->model_zxid -= less;
    ask->wire_zxid -= less;
}

static void make_set_watches(struct generator *g, struct ask *ask)
{
    ask->kind = chance(g, 50) ? ASK_SET_WATCHES : ASK_SET_WATCHES2;
    bool all = ask->kind == ASK_SET_WATCHES2 && !g->model->before_39;
    for (size_t i = 0; i < (all ? LISTS : LIST_PERSISTENT); i++) {
        ask->n_lists[i] = (size_t)generator_below(g, 4);
        ask->lists[i] = arena_get(g->arena, ask->n_lists[i] * sizeof ask->lists[i][0]);
        for (size_t k = 0; k < ask->n_lists[i]; k++) {
            ask->lists[i][k] = path_plain(g);
        }
    }
    choose_seen(g, ask);
}

/* Watches that somebody has are found where there is something. */
static void make_watch_question(struct generator *g, struct ask *ask)
{
    uint64_t types = g->model->before_39 ? ZKS__TYPE_ANY : ZKS__TYPE_RECURSIVE;
    ask->kind = chance(g, 60) ? ASK_CHECK_WATCHES : ASK_REMOVE_WATCHES;
    ask->path = chance(g, 70) ? path_plain(g) : path_any(g);
    ask->watch_type = (enum zks__watch_type)(1 + generator_below(g, types));
}

/* Before 3.9 watches of several modes on a path do away with each other. */
static void make_add_watch(struct generator *g, struct ask *ask)
{
    ask->kind = ASK_ADD_WATCH;
    ask->path = chance(g, 70) ? path_plain(g) : path_any(g);
    ask->recursive = chance(g, 40);
}

static void make_ephemerals(struct generator *g, struct ask *ask)
{
    static const char *const rests[] = {"", "/", "/a", "/a/", "/b", "/...", "x"};
    ask->kind = ASK_EPHEMERALS;
    ask->path = chance(g, 20) ? "" : chance(g, 15) ? "/" : path_join(g, g->top, PICK(g, rests));
}

const struct ask *generate(struct generator *g)
{
    struct ask *ask = arena_get(g->arena, sizeof *ask);
    uint64_t n = generator_below(g, 100);
    if (n < 55) {
        make_write(g, ask);
    } else if (n < 85) {
        make_read(g, ask);
    } else if (n < 88) {
        make_multi_read(g, ask);
    } else if (n < 92) {
        make_set_watches(g, ask);
    } else if (n < 97) {
        if (!g->model->before_39 && chance(g, 30)) {
            make_add_watch(g, ask);
        } else {
            make_watch_question(g, ask);
        }
    } else if (n < 99) {
        make_ephemerals(g, ask);
    } else {
        ask->kind = ASK_SYNC;
        ask->path = path_plain(g);
    }
    return ask;
}

static void remember(struct generator *g, const char *path)
{
    if (strlen(path) < PATH_SIZE) {
        (void)snprintf(g->lately[g->next_lately++ % LATELY], PATH_SIZE, "%s", path);
    }
}

void generator_learn(struct generator *g, const struct ask *ask, const struct answer *answer)
{
    if (answer->has & HAS_PATH && ask_is_create(ask->kind)) {
        remember(g, answer->path);
    } else if (ask->kind == ASK_DELETE && answer->code == 0) {
        remember(g, ask->path);
    }
    for (size_t i = 0; i < answer->n_parts; i++) {
        generator_learn(g, &ask->parts[i], &answer->parts[i]);
    }
}

void generator_count(struct generator *g)
{
    g->crowd = pick_crowd(g);
}
