/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_pick.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ensemble.h"

enum { ALL = 31, DATA_MAX = 3000, DEPTH = 3, LONG_PATH = 150 };

/* With the passwords "secret", "hunter2" and "opensesame". */
const char alice_id[] = "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=";
const char bob_id[] = "bob:1Yu1ryCXOIF7lyFzbmQ5J+MJOZc=";
const char keeper_id[] = "keeper:Wpx1HKzp71MScwHCj+o063mZcNM=";

static const char *const names[] = {"a", "b", "...", "\xc3\xbc\xe2\x82\xac"};

/* ---- Chance ---- */

static uint64_t draw(struct generator *g)
{
    uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t generator_below(struct generator *g, uint64_t n)
{
    return draw(g) % n;
}

bool chance(struct generator *g, uint64_t percent)
{
    return generator_below(g, 100) < percent;
}

/* ---- Paths ---- */

const char *path_join(struct generator *g, const char *a, const char *b)
{
    char *path = arena_get(g->arena, strlen(a) + strlen(b) + 1);
    (void)sprintf(path, "%s%s", a, b);
    return path;
}

/* The top, or below it. */
bool path_is_inside(const struct generator *g, const char *path)
{
    size_t len = strlen(g->top);
    return strncmp(path, g->top, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

bool path_is_ours(const struct generator *g, const char *path)
{
    return path_is_inside(g, path) || strcmp(path, root_child) == 0;
}

const char *path_child(struct generator *g, const char *path)
{
    path = strlen(path) < LONG_PATH ? path : g->top;
    return path_join(g, path, path_join(g, "/", PICK(g, names)));
}

bool pick_stat(const struct generator *g, const char *path, struct zks__znode_stat *stat)
{
    return zks__tree_exists(g->model->tree, &model_super, path, NULL, stat) == 0;
}

/* Some znode that is there: down from the top by chance, and as far as it goes for a leaf. */
static const char *path_walk_down(struct generator *g, bool to_leaf)
{
    const char *path = g->top;
    for (;;) {
        const struct zks__znode *child = NULL;
        struct zks__znode_stat stat;
        int code = zks__tree_children(g->model->tree, &model_super, path, NULL, &child, &stat);
        if (code != 0 || stat.num_children == 0 || (!to_leaf && chance(g, 15))) {
            return path;
        }
        uint64_t n = generator_below(g, (uint64_t)stat.num_children);
        for (; child != NULL && n > 0; n--) {
            child = zks__tree_next_child(child);
        }
        if (child == NULL) {
            ens_fail("%s has fewer children than %d in the tree", path, stat.num_children);
        }
        path = path_join(g, path, path_join(g, "/", zks__tree_child_name(child)));
    }
}

const char *path_walk(struct generator *g)
{
    return path_walk_down(g, false);
}

const char *path_leaf(struct generator *g)
{
    return path_walk_down(g, true);
}

/* Some path of the small name space, whether or not there is such a znode. */
const char *path_named(struct generator *g)
{
    const char *path = g->top;
    for (uint64_t n = 1 + generator_below(g, DEPTH); n > 0; n--) {
        path = path_child(g, path);
    }
    return path;
}

/* No server takes these for znodes, or not for new ones. */
static const char *const outer_odd[] = {
    "",
    "/",
    "//",
    "a/b",
    "/a/",
    "a",
    "/a/.",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "/zookeeper/config/x",
    "/zksync-test",
    "/zookeeper/",
};

/* Some of these are fine.  What is no UTF-8 is not twice the same after Java has read it. */
static const char *const inner_odd[] = {
    "/",
    "//a",
    "/a/",
    "/./b",
    "/../a",
    "/a/..",
    "/.",
    "/.a",
    "/a.",
    "/..a",
    "/\x01",
    "/a\x1f",
    "/a b",
    "/a\x7f",
    "/\xc2\x80",
    "/\xc2\x9f",
    "/\xc2\xa0",
    "/\xed\x9f\xbf",
    "/\xee\x80\x80",
    "/\xef\xa3\xbf",
    "/\xef\xa4\x80",
    "/\xef\xbf\xaf",
    "/\xef\xbf\xb0",
    "/\xef\xbf\xbf",
    "/p\xff",
    "/q\xc0\xaf",
    "/r\xed\xa0\x80",
    "/s\xf0\x9f\x98\x80",
    "/t\xe2\x82",
};

const char *path_odd(struct generator *g)
{
    if (chance(g, 40)) {
        return PICK(g, outer_odd);
    }
    if (chance(g, 25)) {
        return chance(g, 60) ? root_child : "/";
    }
    if (chance(g, 4)) {
        char *path = arena_get(g->arena, PATH_SIZE);
        (void)sprintf(path, "%s/%0600d", g->top, 7);
        return path;
    }
    return path_join(g, chance(g, 50) ? g->top : path_walk(g), PICK(g, inner_odd));
}

/* Any path, if need be one that is wrong. */
const char *path_any(struct generator *g)
{
    uint64_t n = generator_below(g, 100);
    if (n < 40 || g->careful) {
        return path_walk(g);
    }
    if (n < 67) {
        return path_named(g);
    }
    if (n < 72) {
        return path_join(g, g->lately[generator_below(g, LATELY)], "");
    }
    if (n < 84) {
        return path_odd(g);
    }
    return n < 92 ? path_child(g, path_child(g, path_named(g))) : path_child(g, path_walk(g));
}

/* A path that a server reads, and sends, just as it is. */
const char *path_plain(struct generator *g)
{
    if (chance(g, 6)) {
        return chance(g, 50) ? root_child : "/";
    }
    return chance(g, 50) ? path_walk(g) : path_named(g);
}

/* ---- What goes into a znode ---- */

void pick_data(struct generator *g, struct ask *ask)
{
    uint64_t kind = generator_below(g, 100);
    if (kind < 12) {
        return;
    }
    size_t len = kind < 24 ? 0 : kind < 95 ? 1 + generator_below(g, 40) : generator_below(g, 300);
    len = kind == 99 ? generator_below(g, DATA_MAX) : len;
    unsigned char *data = arena_get(g->arena, len);
    for (size_t i = 0; i < len; i++) {
        data[i] = (unsigned char)draw(g);
    }
    ask->data = data;
    ask->data_len = len;
}

static int32_t near(struct generator *g, int32_t version)
{
    static const int32_t others[] = {INT32_MIN, INT32_MAX, -2, 0, 1, 77777};
    uint64_t n = generator_below(g, g->careful ? 80 : 100);
    if (n < 55) {
        return version;
    }
    if (n < 80) {
        return -1;
    }
    return n < 90 ? (int32_t)((uint32_t)version + (chance(g, 50) ? 1u : -1u)) : PICK(g, others);
}

/* Writes to what is not ours must be refused; where it is not known why, the version does it.  The root's
 * version is not known. */
int32_t pick_version(struct generator *g, enum ask_kind kind, const char *path)
{
    struct zks__znode_stat stat = {0};
    if (kind == ASK_SET && strcmp(path, "/") == 0) {
        return chance(g, 50) ? -1 : 77777;
    }
    if (!path_is_ours(g, path)) {
        return kind == ASK_DELETE || kind == ASK_CHECK ? PICK(g, ((int32_t[]){-1, 77777})) : 77777;
    }
    (void)pick_stat(g, path, &stat);
    return near(g, kind == ASK_SET_ACL ? stat.aversion : stat.version);
}

/* ---- ACLs ---- */

/* Some are near to who a client is, or to where it comes from, and are not that. */
static const struct zks__id good_ids[] = {
    {"digest", "alice:1Yu1ryCXOIF7lyFzbmQ5J+MJOZc="},
    {"digest", "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7F="},
    {"digest", "bob:aYXlLOpEooaV1cRAvUL1fp9Qt7E="},
    {"digest", "bob:1Yu1ryCXOIF7lyFzbmQ5J+MJOZc"},
    {"ip", "127.0.0.0/31"},
    {"ip", "127.0.0.126/25"},
    {"ip", "127.0.0.128/25"},
    {"ip", "127.1.0.0/15"},
    {"ip", "127.2.0.0/15"},
    {"world", "anyone"},
    {"world", "anyone"},
    {"digest", alice_id},
    {"digest", alice_id},
    {"digest", bob_id},
    {"digest", keeper_id},
    {"digest", "carol:x"},
    {"auth", ""},
    {"auth", "whatever"},
    {"ip", "127.0.0.1"},
    {"ip", "127.0.0.1/32"},
    {"ip", "127.0.0.255/24"},
    {"ip", "127.1.2.3/8"},
    {"ip", "10.0.0.1"},
    {"ip", "10.0.0.1/0"},
    {"ip", "126.0.0.0/7"},
    {"ip", "127.0.0.2/31"},
    {"ip", "+127.00.0.01"},
    {"digest", "a:b"},
    {"ip", "127.0.0.1/+8"},
    {"digest", ":x"},
    {"ip", "128.0.0.1/1"},
    {"digest", "a:b::"},
    {"ip", "127.0.0.1/032"},
};

static const struct zks__id bad_ids[] = {
    {"world", "anyone2"},
    {"world", ""},
    {"digest", "nobody"},
    {"digest", "a:b:c"},
    {"digest", "x:"},
    {"digest", ":"},
    {"digest", ""},
    {"ip", ""},
    {"ip", "127.0.0"},
    {"ip", "127.0.0.1/33"},
    {"ip", "127.0.0.1/"},
    {"ip", "256.0.0.1"},
    {"ip", "127.0.0.-1"},
    {"ip", "127.0.0.1/-1"},
    {"ip", "127.0.0.1/8/8"},
    {"ip", "127.0.0.1.2"},
    {"ip", "127.0..1"},
    {"ip", "127.0.0.x"},
    {"ip", " 127.0.0.1"},
    {"ip", "/8"},
    {"ip", "127.0.0.+"},
    {"ip", "127.0.0.1/+"},
    {"ip", "4294967296.0.0.1"},
    {"ip", "-0.0.0.-0"},
    {"ip", "127.0.0.1/4294967304"},
    {"sasl", "alice"},
    {"super", ""},
    {"", ""},
    {"x509", "CN=a"},
    {"World", "anyone"},
};

/* Only servers from 3.9 on know such addresses. */
static const struct zks__id ids_of_39[] = {
    {"ip", "::1"},
    {"ip", "::"},
    {"ip", "::/0"},
    {"ip", "FE80::1/10"},
    {"ip", "1:2:3:4:5:6:7:8"},
    {"ip", "0:0:0:0:0:ffff:7f00:1/128"},
    {"ip", "1:2:3:4:5:6:7::"},
    {"ip", "-1::+1"},
};

static const struct zks__id bad_ids_of_39[] = {
    {"ip", "::1/129"},
    {"ip", "::1/"},
    {"ip", "1::2::3"},
    {"ip", "1:2:3:4:5:6:7"},
    {"ip", "1:2:3:4:5:6:7::8"},
    {"ip", ":1::"},
    {"ip", ":::"},
    {"ip", "12345::"},
    {"ip", "::g"},
    {"ip", "::+"},
    {"ip", "::127.0.0.1"},
    {"ip", "::1%lo"},
    {"ip", "::1/64/1"},
};

static struct zks__id choose_id(struct generator *g, bool good)
{
    if (!g->model->before_39 && chance(g, 20)) {
        return good ? PICK(g, ids_of_39) : PICK(g, bad_ids_of_39);
    }
    return good ? PICK(g, good_ids) : PICK(g, bad_ids);
}

static int32_t choose_perms(struct generator *g)
{
    static const int32_t others[] = {0, 1, 2, 4, 8, 16, 27, 32, -1, INT32_MIN, 1 << 20 | 1};
    uint64_t n = generator_below(g, 100);
    if (n < 45) {
        return ALL;
    }
    return n < 70 ? (int32_t)generator_below(g, 32) : PICK(g, others);
}

/* Nobody may be locked out of a znode that has children or can get them: they could not be deleted. */
static bool is_safe(const struct zks__ace *aces, size_t n, bool childless)
{
    for (size_t i = 0; i < n; i++) {
        bool all = (aces[i].perms & ALL) == ALL;
        if (all && (strcmp(aces[i].id.id, "anyone") == 0 || aces[i].id.id == keeper_id)) {
            return true;
        }
        childless = childless && (aces[i].perms & ZKS__PERM_CREATE) == 0;
    }
    return childless;
}

static bool has_no_children(const struct generator *g, const struct ask *ask)
{
    struct zks__znode_stat stat;
    if (strcmp(ask->path, g->top) == 0) {
        return false;
    }
    return !pick_stat(g, ask->path, &stat) || stat.num_children == 0;
}

static bool is_ephemeral(const struct generator *g, const struct ask *ask)
{
    struct zks__znode_stat stat;
    if (ask_is_create(ask->kind)) {
        return ask->flags == ZKS__EPHEMERAL || ask->flags == ZKS__EPHEMERAL_SEQUENTIAL;
    }
    return pick_stat(g, ask->path, &stat) && stat.ephemeral_owner != 0;
}

void pick_acl(struct generator *g, struct ask *ask)
{
    static const struct zks__ace open = {ALL, {"world", "anyone"}};
    uint64_t kind = generator_below(g, 100);
    if (kind < (g->careful ? 80 : 55)) {
        ask->aces = &open;
        ask->n_aces = 1;
        return;
    }
    if (kind < 58) {
        ask->no_aces = kind == 55;
        return;
    }
    size_t n = 1 + (size_t)generator_below(g, 3);
    struct zks__ace *aces = arena_get(g->arena, (n + 1) * sizeof *aces);
    for (size_t i = 0; i < n; i++) {
        aces[i].perms = choose_perms(g);
        aces[i].id = choose_id(g, kind >= 65);
        aces[i] = i > 0 && chance(g, 15) ? aces[i - 1] : aces[i];
    }
    if (!is_ephemeral(g, ask) && !is_safe(aces, n, has_no_children(g, ask))) {
        size_t at = (size_t)generator_below(g, n + 1);
        aces[n++] = aces[at];
        aces[at] = (struct zks__ace){ALL, {"digest", keeper_id}};
    }
    ask->aces = aces;
    ask->n_aces = n;
}

size_t pick_crowd(const struct generator *g)
{
    size_t crowd = 0;
    (void)zks__tree_descendants(g->model->tree, &model_super, g->top, &crowd);
    return crowd;
}
