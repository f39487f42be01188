/* SPDX-License-Identifier: Apache-2.0 */
/* Writes that are refused and why, sessions and ephemerals, and what is reaped. */
#include <stdio.h>
#include <string.h>

#include "tree_dump.h"

enum { ALIVE = 7, DEAD = 8 };

static const struct zks__id id_me[] = {{"digest", "me:1"}};
static const struct zks__who me = {ALIVE, {id_me, 1}};
static const struct zks__who alive = {ALIVE, {NULL, 0}};
static const struct zks__who dead = {DEAD, {NULL, 0}};

static const struct zks__ace my_acl[] = {{PERM_ALL, {"digest", "me:1"}}};
static const struct zks__ace bad_acl[] = {{PERM_ALL, {"world", "everyone"}}};

/* ---- Which error comes first ---- */

#define CREATE(at, how, acl, ttl)                                                                  \
    {                                                                                              \
        .kind = ZKS__OP_CREATE, .path = (at), .mode = (how), .aces = (acl), .n_aces = COUNT(acl),  \
        .ttl_ms = (ttl)                                                                            \
    }
#define DELETE(at, v)                                                                              \
    {                                                                                              \
        .kind = ZKS__OP_DELETE, .path = (at), .version = (v)                                       \
    }
#define SET(at, v)                                                                                 \
    {                                                                                              \
        .kind = ZKS__OP_SET, .path = (at), .version = (v)                                          \
    }
#define SET_ACL(at, acl, v)                                                                        \
    {                                                                                              \
        .kind = ZKS__OP_SET_ACL, .path = (at), .aces = (acl), .n_aces = COUNT(acl), .version = (v) \
    }
#define CHECK(at, v)                                                                               \
    {                                                                                              \
        .kind = ZKS__OP_CHECK, .path = (at), .version = (v)                                        \
    }
#define REAP(at)                                                                                   \
    {                                                                                              \
        .kind = ZKS__OP_REAP, .path = (at)                                                         \
    }

struct refusal {
    const struct zks__who *who;
    int code;
    struct zks__op op;
};

/* The tree has /open with /open/kid and the ephemeral /open/eph, and /shut with /shut/kid, of which
 * nobody but {"digest", "me:1"} may do anything. */
static const struct refusal refusals[] = {
    {&dead, ZKS__Z_BADARGUMENTS, CREATE("x", 7, bad_acl, 0)},
    {&dead, ZKS__Z_BADARGUMENTS, CREATE("x", -1, bad_acl, 0)},
    {&dead, ZKS__Z_BADARGUMENTS, CREATE("x", INT32_MAX, bad_acl, 0)},
    {&dead, ZKS__Z_BADARGUMENTS, CREATE("/a", 5, open_acl, 0)},
    {&dead, ZKS__Z_BADARGUMENTS, CREATE("/a", 6, open_acl, -1)},
    {&dead, ZKS__Z_BADARGUMENTS, CREATE("/a", 5, open_acl, INT64_MIN)},
    {&dead, ZKS__Z_BADARGUMENTS, CREATE("/a", 5, open_acl, INT64_C(1) << 40)},
    {&dead, ZKS__Z_SESSIONEXPIRED, CREATE("/a", 5, open_acl, (INT64_C(1) << 40) - 1)},
    {&dead, ZKS__Z_SESSIONEXPIRED, CREATE("x", 0, bad_acl, 0)},
    {&dead, ZKS__Z_SESSIONEXPIRED, CREATE("/a", 1, open_acl, 0)},
    {&dead, ZKS__Z_SESSIONEXPIRED, CREATE("/a", 4, open_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("x", 0, bad_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("", 0, bad_acl, 0)},
    {&alive, ZKS__Z_INVALIDACL, CREATE("/none/./x", 0, bad_acl, 0)},
    {&alive, ZKS__Z_INVALIDACL, CREATE("/open/kid", 0, bad_acl, 0)},
    {&alive, ZKS__Z_INVALIDACL, {.kind = ZKS__OP_CREATE, .path = "/shut/x"}},
    {&alive, ZKS__Z_NONODE, CREATE("/none/.", 0, open_acl, 0)},
    {&alive, ZKS__Z_NONODE, CREATE("/none/x/", 0, open_acl, 0)},
    {&alive, ZKS__Z_NONODE, CREATE("/open//x", 0, open_acl, 0)},
    {&alive, ZKS__Z_NONODE, CREATE("x/y", 0, open_acl, 0)},
    {&alive, ZKS__Z_NOAUTH, CREATE("/shut/.", 0, open_acl, 0)},
    {&alive, ZKS__Z_NOAUTH, CREATE("/shut/kid", 0, open_acl, 0)},
    {&alive, ZKS__Z_NOAUTH, CREATE("/shut/", 0, open_acl, 0)},
    {&alive, ZKS__Z_NOAUTH, CREATE("/zookeeper/config/x", 0, open_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("/open/.", 0, open_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("/open/..", 0, open_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("/open/", 0, open_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("//x", 0, open_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("//", 0, open_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("/open/a\tb", 2, open_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("/open/\xee\x80\x80", 0, open_acl, 0)},
    /* Names are looked at before it matters that ephemerals have no children. */
    {&alive, ZKS__Z_BADARGUMENTS, CREATE("/open/eph/.", 0, open_acl, 0)},
    {&alive, ZKS__Z_NOCHILDRENFOREPHEMERALS, CREATE("/open/eph/x", 0, open_acl, 0)},
    {&alive, ZKS__Z_NOCHILDRENFOREPHEMERALS, CREATE("/open/eph/", 3, open_acl, 0)},
    {&alive, ZKS__Z_NODEEXISTS, CREATE("/open/kid", 0, open_acl, 0)},
    {&alive, ZKS__Z_NODEEXISTS, CREATE("/open/eph", 1, open_acl, 0)},
    {&alive, ZKS__Z_NODEEXISTS, CREATE("/", 0, open_acl, 0)},
    {&alive, ZKS__Z_NODEEXISTS, CREATE("/zookeeper", 4, open_acl, 0)},

    {&dead, ZKS__Z_SESSIONEXPIRED, DELETE("x", 0)},
    {&dead, ZKS__Z_SESSIONEXPIRED, DELETE("/", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, DELETE("x", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, DELETE("", -1)},
    {&super, ZKS__Z_BADARGUMENTS, DELETE("/", -1)},
    {&super, ZKS__Z_BADARGUMENTS, DELETE("/zookeeper", -1)},
    {&super, ZKS__Z_BADARGUMENTS, DELETE("/zookeeper/quota", -1)},
    {&super, ZKS__Z_BADARGUMENTS, DELETE("/zookeeper/config", -1)},
    {&alive, ZKS__Z_NONODE, DELETE("/none/x", 5)},
    {&alive, ZKS__Z_NONODE, DELETE("x/y", 5)},
    {&alive, ZKS__Z_NOAUTH, DELETE("/shut/none", 5)},
    {&alive, ZKS__Z_NOAUTH, DELETE("/shut/kid", 5)},
    {&alive, ZKS__Z_NOAUTH, DELETE("/zookeeper/config/x", 5)},
    {&alive, ZKS__Z_NONODE, DELETE("/open/none", 5)},
    {&alive, ZKS__Z_NONODE, DELETE("/open/", 5)},
    {&alive, ZKS__Z_NONODE, DELETE("/open/.", 5)},
    {&alive, ZKS__Z_NONODE, DELETE("//open", 5)},
    {&alive, ZKS__Z_NONODE, DELETE("//", 5)},
    {&alive, ZKS__Z_BADVERSION, DELETE("/open", 5)},
    {&alive, ZKS__Z_BADVERSION, DELETE("/open/kid", 5)},
    {&alive, ZKS__Z_NOTEMPTY, DELETE("/open", 0)},
    {&alive, ZKS__Z_NOTEMPTY, DELETE("/shut", -1)},

    {&dead, ZKS__Z_SESSIONEXPIRED, SET("x", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, SET("x", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, SET("", -1)},
    {&alive, ZKS__Z_BADARGUMENTS, SET("/open/", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, SET("//open", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, SET("/none/.", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, SET("/shut/../open", 0)},
    {&alive, ZKS__Z_NONODE, SET("/none", 5)},
    {&alive, ZKS__Z_NONODE, SET("/shut/none", 5)},
    {&alive, ZKS__Z_NOAUTH, SET("/shut", 5)},
    {&alive, ZKS__Z_NOAUTH, SET("/zookeeper/config", 0)},
    {&alive, ZKS__Z_BADVERSION, SET("/open", 5)},
    {&me, ZKS__Z_BADVERSION, SET("/shut", 5)},

    {&dead, ZKS__Z_SESSIONEXPIRED, SET_ACL("x", bad_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, SET_ACL("x", bad_acl, 0)},
    {&alive, ZKS__Z_BADARGUMENTS, SET_ACL("/open/", bad_acl, 0)},
    {&alive, ZKS__Z_INVALIDACL, SET_ACL("/none", bad_acl, 0)},
    {&alive, ZKS__Z_INVALIDACL, {.kind = ZKS__OP_SET_ACL, .path = "/shut"}},
    {&alive, ZKS__Z_NONODE, SET_ACL("/none", open_acl, 5)},
    {&alive, ZKS__Z_NOAUTH, SET_ACL("/shut", open_acl, 5)},
    {&alive, ZKS__Z_NOAUTH, SET_ACL("/zookeeper/config", open_acl, -1)},
    {&super, ZKS__Z_BADVERSION, SET_ACL("/zookeeper/config", open_acl, 0)},
    {&alive, ZKS__Z_BADVERSION, SET_ACL("/open", open_acl, 5)},

    {&dead, ZKS__Z_SESSIONEXPIRED, CHECK("x", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CHECK("x", 0)},
    {&alive, ZKS__Z_BADARGUMENTS, CHECK("/none/", 0)},
    {&alive, ZKS__Z_NONODE, CHECK("/none", 5)},
    {&alive, ZKS__Z_NOAUTH, CHECK("/shut", 5)},
    {&alive, ZKS__Z_BADVERSION, CHECK("/open", 5)},
    {&alive, ZKS__Z_BADVERSION, CHECK("/zookeeper/config", 5)},
};

static void plant(struct garden *g)
{
    struct zks__op_result result;
    struct zks__op shut = op_create("/shut", ZKS__PERSISTENT);
    struct zks__op ephemeral = op_create("/open/eph", ZKS__EPHEMERAL);
    garden_open(g, NULL, NULL);
    assert_int_equal(garden_open_session(g, ALIVE), ZKS__Z_OK);
    garden_create(g, "/open", ZKS__PERSISTENT);
    garden_create(g, "/open/kid", ZKS__PERSISTENT);
    assert_int_equal(garden_write(g, &alive, &ephemeral, &result), ZKS__Z_OK);
    shut.aces = my_acl;
    assert_int_equal(garden_do(g, shut), ZKS__Z_OK);
    garden_create(g, "/shut/kid", ZKS__PERSISTENT);
}

static void test_refusals(void **state)
{
    (void)state;
    struct garden g;
    struct text before = {0};
    struct text after = {0};
    plant(&g);
    garden_dump(&g, &before);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const struct refusal *r = &refusals[i];
        struct zks__op_result result;
        struct zks__op_result results[2];
        const struct zks__op twice[] = {r->op, r->op};
        print_message("# %d %s\n", (int)r->op.kind, r->op.path);
        assert_int_equal(garden_write(&g, r->who, &r->op, &result), r->code);
        assert_null(result.path);
        assert_false(zks__tree_multi(g.tree, garden_next(&g), r->who, twice, 2, results));
        assert_int_equal(results[0].code, r->code);
        assert_int_equal(results[1].code, ZKS__Z_RUNTIMEINCONSISTENCY);
        garden_dump(&g, &after);
        assert_text_equal(&after, &before, r->op.path);
    }
    garden_check(&g);
    text_free(&before);
    text_free(&after);
    garden_close(&g);
}

/* What each permission is for, by a list that gives all but one of them. */
static void test_permissions(void **state)
{
    (void)state;
    static const struct {
        int32_t perm;
        struct zks__op op;
    } rows[] = {
        {ZKS__PERM_CREATE, CREATE("/p/new", 0, open_acl, 0)},
        {ZKS__PERM_CREATE, CREATE("/p/new", 4, open_acl, 0)},
        {ZKS__PERM_DELETE, DELETE("/p/kid", -1)},
        {ZKS__PERM_WRITE, SET("/p", -1)},
        {ZKS__PERM_ADMIN, SET_ACL("/p", open_acl, -1)},
        {ZKS__PERM_READ, CHECK("/p", -1)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int32_t denied = 1; denied < PERM_ALL; denied *= 2) {
            const struct zks__ace asked[] = {{PERM_ALL & ~denied, {"world", "anyone"}}};
            struct zks__op_result result;
            struct garden g;
            garden_open(&g, NULL, NULL);
            garden_create(&g, "/p", ZKS__PERSISTENT);
            garden_create(&g, "/p/kid", ZKS__PERSISTENT);
            assert_int_equal(garden_do(&g, op_set_acl("/p", asked, 1, -1)), ZKS__Z_OK);
            assert_int_equal(garden_write(&g, &nobody, &rows[i].op, &result),
                             denied == rows[i].perm ? ZKS__Z_NOAUTH : ZKS__Z_OK);
            garden_close(&g);
        }
    }
}

/* The list that a znode gets is made of who asks. */
static void test_auth(void **state)
{
    (void)state;
    static const struct zks__ace auth[] = {{PERM_ALL, {"auth", ""}}};
    struct zks__op op = CREATE("/mine", 0, auth, 0);
    struct zks__op_result result;
    struct garden g;
    plant(&g);
    assert_int_equal(garden_write(&g, &alive, &op, &result), ZKS__Z_INVALIDACL);
    assert_int_equal(garden_write(&g, &me, &op, &result), ZKS__Z_OK);
    op = op_set("/mine", "x", -1);
    assert_int_equal(garden_write(&g, &alive, &op, &result), ZKS__Z_NOAUTH);
    assert_int_equal(garden_write(&g, &me, &op, &result), ZKS__Z_OK);
    assert_int_equal(garden_write(&g, &super, &op, &result), ZKS__Z_OK);
    /* The lists of /mine and /shut are the same one. */
    assert_ptr_equal(garden_node(&g, "/mine")->acl, garden_node(&g, "/shut")->acl);
    garden_close(&g);
}

/* A slash is all that a create looks for at first, and with a number behind it some are good. */
static void test_paths_that_become_good(void **state)
{
    (void)state;
    static const char *const paths[][2] = {{"/", "/0000000002"},
                                           {"/open/", "/open/0000000002"},
                                           {"/open/.", "/open/.0000000002"},
                                           {"/open/..", "/open/..0000000002"}};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct zks__op op = op_create(paths[i][0], ZKS__PERSISTENT_SEQUENTIAL);
        struct zks__op_result result;
        struct garden g;
        plant(&g);
        assert_int_equal(garden_write(&g, &alive, &op, &result), ZKS__Z_OK);
        assert_string_equal(result.path, paths[i][1]);
        assert_int_equal(garden_do(&g, op_delete(paths[i][1], 0)), ZKS__Z_OK);
        garden_close(&g);
    }
}

/* ---- Sessions ---- */

static void test_sessions(void **state)
{
    (void)state;
    static const int64_t ids[] = {1, -1, INT64_C(0x100000000000001), INT64_MAX};
    struct garden g;
    garden_open(&g, NULL, NULL);
    for (size_t i = 0; i < COUNT(ids); i++) {
        struct zks__session s = {.id = ids[i], .timeout_ms = (uint32_t)(1000 + i)};
        memset(s.password, (int)i + 1, sizeof s.password);
        assert_null(zks__tree_session(g.tree, ids[i]));
        assert_int_equal(zks__tree_open_session(g.tree, garden_next(&g), &s), ZKS__Z_OK);
        memset(&s.password, 0, sizeof s.password);
        assert_int_equal(zks__tree_open_session(g.tree, garden_next(&g), &s), ZKS__Z_NODEEXISTS);
    }
    size_t n = 0;
    const struct zks__session *s = NULL;
    while ((s = zks__tree_next_session(g.tree, s)) != NULL) {
        n++;
    }
    assert_int_equal(n, COUNT(ids));
    for (size_t i = 0; i < COUNT(ids); i++) {
        s = zks__tree_session(g.tree, ids[i]);
        assert_non_null(s);
        assert_true(s->id == ids[i]);
        assert_int_equal(s->timeout_ms, 1000 + i);
        assert_int_equal(s->password[ZKS__PASSWORD_LEN - 1], i + 1);
    }
    garden_close_session(&g, -1);
    garden_close_session(&g, -1);
    garden_close_session(&g, 0);
    assert_null(zks__tree_session(g.tree, -1));
    assert_non_null(zks__tree_session(g.tree, 1));
    assert_int_equal(garden_open_session(&g, -1), ZKS__Z_OK);
    garden_close(&g);
}

static size_t count_ephemerals(const struct garden *g, int64_t session, const char *prefix)
{
    const char *path = NULL;
    size_t n = 0;
    while ((path = zks__tree_ephemerals(g->tree, session, prefix, path)) != NULL) {
        assert_memory_equal(path, prefix, strlen(prefix));
        n++;
    }
    return n;
}

static void create_as(struct garden *g, int64_t session, const char *path, int mode)
{
    const struct zks__who who = session_of(session);
    const struct zks__op op = op_create(path, mode);
    struct zks__op_result result;
    assert_int_equal(garden_write(g, &who, &op, &result), ZKS__Z_OK);
}

/* They go with their session, and with no other one. */
static void test_ephemerals(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_int_equal(garden_open_session(&g, 1), ZKS__Z_OK);
    assert_int_equal(garden_open_session(&g, 2), ZKS__Z_OK);
    garden_create(&g, "/p", ZKS__PERSISTENT);
    garden_create(&g, "/pq", ZKS__PERSISTENT);
    create_as(&g, 1, "/p/a", ZKS__EPHEMERAL);
    create_as(&g, 1, "/p/", ZKS__EPHEMERAL_SEQUENTIAL);
    create_as(&g, 1, "/pq/a", ZKS__EPHEMERAL);
    create_as(&g, 1, "/e", ZKS__EPHEMERAL);
    create_as(&g, 2, "/p/b", ZKS__EPHEMERAL);
    create_as(&g, 2, "/stays", ZKS__PERSISTENT);
    static const struct {
        const char *prefix;
        size_t n;
    } rows[] = {{"", 4},    {"/", 4},    {"/p", 3},    {"/p/", 2}, {"/p/a", 1},
                {"/pq", 1}, {"/pq/", 1}, {"/none", 0}, {"p", 0},   {"/e", 1}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(count_ephemerals(&g, 1, rows[i].prefix), rows[i].n);
    }
    assert_int_equal(count_ephemerals(&g, 2, ""), 1);
    assert_int_equal(count_ephemerals(&g, 3, ""), 0);
    assert_int_equal(count_ephemerals(&g, 0, ""), 0);
    garden_check(&g);
    /* Anybody may delete one, and it is its session's no longer. */
    assert_int_equal(garden_do(&g, op_delete("/p/a", 0)), ZKS__Z_OK);
    create_as(&g, 2, "/p/a", ZKS__PERSISTENT);
    int64_t before = g.txn.zxid;
    garden_close_session(&g, 1);
    assert_true(garden_stat(&g, "/p").pzxid == before + 1);
    assert_true(garden_stat(&g, "/pq").pzxid == before + 1);
    assert_int_equal(garden_stat(&g, "/p").num_children, 2);
    assert_int_equal(garden_stat(&g, "/p").cversion, 2 * 4 - 2);
    assert_int_equal(garden_stat(&g, "/pq").num_children, 0);
    assert_int_equal(garden_stat(&g, "/p/b").ephemeral_owner, 2);
    garden_check(&g);
    garden_close_session(&g, 1);
    garden_close_session(&g, 2);
    assert_int_equal(garden_stat(&g, "/p").num_children, 1);
    assert_int_equal(garden_stat(&g, "/").num_children, 4);
    garden_check(&g);
    /* A session of the same number begins with none. */
    assert_int_equal(garden_open_session(&g, 1), ZKS__Z_OK);
    assert_int_equal(count_ephemerals(&g, 1, ""), 0);
    garden_close(&g);
}

/* ---- What is reaped ---- */

static bool reapable(const struct garden *g, int64_t time_ms, const char *path)
{
    const char *at = NULL;
    bool found = false;
    while ((at = zks__tree_reapable(g->tree, time_ms, at)) != NULL) {
        assert_false(found && strcmp(at, path) == 0);
        found |= strcmp(at, path) == 0;
    }
    return found;
}

static void test_containers(void **state)
{
    (void)state;
    struct garden g;
    garden_open(&g, NULL, NULL);
    garden_create(&g, "/new", ZKS__CONTAINER);
    garden_create(&g, "/c", ZKS__CONTAINER);
    garden_create(&g, "/d", ZKS__CONTAINER);
    garden_create(&g, "/d/x", ZKS__CONTAINER);
    garden_create(&g, "/c/x", ZKS__PERSISTENT);
    assert_null(zks__tree_reapable(g.tree, INT64_MAX, NULL));
    assert_int_equal(garden_do(&g, op_reap("/c")), ZKS__Z_NOTEMPTY);
    assert_int_equal(garden_do(&g, op_delete("/c/x", -1)), ZKS__Z_OK);
    assert_int_equal(garden_do(&g, op_delete("/d/x", -1)), ZKS__Z_OK);
    assert_true(reapable(&g, 0, "/c"));
    assert_true(reapable(&g, 0, "/d"));
    assert_false(reapable(&g, INT64_MAX, "/new"));
    /* One that has a child by now may stay. */
    garden_create(&g, "/d/y", ZKS__PERSISTENT);
    assert_false(reapable(&g, INT64_MAX, "/d"));
    assert_int_equal(garden_do(&g, op_reap("/d")), ZKS__Z_NOTEMPTY);
    assert_int_equal(garden_do(&g, op_reap("/c")), ZKS__Z_OK);
    assert_true(garden_stat(&g, "/").pzxid == g.txn.zxid);
    assert_int_equal(garden_do(&g, op_reap("/c")), ZKS__Z_NONODE);
    assert_null(zks__tree_reapable(g.tree, INT64_MAX, NULL));
    /* To write to it changes nothing, nor does the end of a session that had its last child. */
    assert_int_equal(garden_open_session(&g, 5), ZKS__Z_OK);
    create_as(&g, 5, "/new/e", ZKS__EPHEMERAL);
    assert_int_equal(garden_do(&g, op_set("/new", "x", -1)), ZKS__Z_OK);
    garden_close_session(&g, 5);
    assert_true(reapable(&g, 0, "/new"));
    assert_int_equal(garden_do(&g, op_delete("/new", -1)), ZKS__Z_OK);
    assert_null(zks__tree_reapable(g.tree, INT64_MAX, NULL));
    garden_check(&g);
    garden_close(&g);
}

static void test_time_to_live(void **state)
{
    (void)state;
    struct zks__op op = op_create("/t", ZKS__PERSISTENT_TTL);
    struct garden g;
    garden_open(&g, NULL, NULL);
    op.ttl_ms = 500;
    assert_int_equal(garden_do(&g, op), ZKS__Z_OK);
    int64_t since = g.txn.time_ms;
    assert_false(reapable(&g, since, "/t"));
    assert_false(reapable(&g, since + 500, "/t"));
    assert_true(reapable(&g, since + 501, "/t"));
    assert_false(reapable(&g, since - 100000, "/t")); /* A clock that was set back. */
    /* A set begins it anew, a child or a list does not. */
    assert_int_equal(garden_do(&g, op_set("/t", "x", -1)), ZKS__Z_OK);
    since = g.txn.time_ms;
    assert_int_equal(garden_do(&g, op_set_acl("/t", open_acl, 1, -1)), ZKS__Z_OK);
    garden_create(&g, "/t/x", ZKS__PERSISTENT);
    assert_false(reapable(&g, since + 501, "/t"));
    assert_int_equal(garden_do(&g, op_reap("/t")), ZKS__Z_NOTEMPTY);
    assert_int_equal(garden_do(&g, op_delete("/t/x", -1)), ZKS__Z_OK);
    assert_false(reapable(&g, since + 500, "/t"));
    assert_true(reapable(&g, since + 501, "/t"));
    op = op_create("/t/", ZKS__PERSISTENT_SEQUENTIAL_TTL);
    op.ttl_ms = (INT64_C(1) << 40) - 1;
    assert_int_equal(garden_do(&g, op), ZKS__Z_OK);
    since = g.txn.time_ms;
    assert_false(reapable(&g, since + op.ttl_ms, "/t/0000000001"));
    assert_true(reapable(&g, since + op.ttl_ms + 1, "/t/0000000001"));
    assert_int_equal(garden_do(&g, op_reap("/t/0000000001")), ZKS__Z_OK);
    g.txn.time_ms += 10000;
    assert_int_equal(garden_do(&g, op_reap("/t")), ZKS__Z_OK);
    assert_null(zks__tree_reapable(g.tree, INT64_MAX, NULL));
    garden_check(&g);
    garden_close(&g);
}

/* Between being named and being reaped a znode can have become one of another kind. */
static void test_what_may_not_be_reaped(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "x",  "/",    "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/none",
        "/p", "/p/x", "/e"};
    struct text before = {0};
    struct text after = {0};
    struct garden g;
    garden_open(&g, NULL, NULL);
    assert_int_equal(garden_open_session(&g, ALIVE), ZKS__Z_OK);
    create_as(&g, ALIVE, "/e", ZKS__EPHEMERAL);
    garden_create(&g, "/p", ZKS__PERSISTENT);
    garden_create(&g, "/p/x", ZKS__PERSISTENT);
    garden_dump(&g, &before);
    for (size_t i = 0; i < COUNT(paths); i++) {
        print_message("# %s\n", paths[i]);
        assert_int_not_equal(garden_do(&g, op_reap(paths[i])), ZKS__Z_OK);
        garden_dump(&g, &after);
        assert_text_equal(&after, &before, paths[i]);
    }
    text_free(&before);
    text_free(&after);
    garden_close(&g);
}

/* All of them, each once. */
static void test_many_to_reap(void **state)
{
    (void)state;
    enum { MANY = 30 };
    char path[32];
    unsigned found = 0;
    const char *at = NULL;
    struct garden g;
    garden_open(&g, NULL, NULL);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(path, sizeof path, "/%d", i);
        garden_create(&g, path, i % 2 ? ZKS__CONTAINER : ZKS__PERSISTENT_TTL);
        (void)snprintf(path, sizeof path, "/%d/x", i);
        garden_create(&g, path, ZKS__PERSISTENT);
        if (i % 3 > 0) {
            assert_int_equal(garden_do(&g, op_delete(path, -1)), ZKS__Z_OK);
        }
    }
    while ((at = zks__tree_reapable(g.tree, 2000000, at)) != NULL) {
        int i = 0;
        assert_int_equal(sscanf(at, "/%d", &i), 1);
        assert_true(i % 3 > 0);
        assert_false(found >> i & 1);
        found |= 1U << i;
    }
    assert_int_equal(__builtin_popcount(found), MANY / 3 * 2);
    garden_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_paths_that_become_good),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_ephemerals),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_time_to_live),
        cmocka_unit_test(test_what_may_not_be_reaped),
        cmocka_unit_test(test_many_to_reap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
