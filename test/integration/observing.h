/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of those who look on share. */
#ifndef ZKSYNC_TEST_INTEGRATION_OBSERVING_H
#define ZKSYNC_TEST_INTEGRATION_OBSERVING_H

#include "locks.h"

enum { LOOKS_MAX = 1000 };

/* A client that only looks on. */
static zks_client *outside;

/* As the Go package of the same name makes them: no client of ours stands behind these. */
static const char go_read[] = "_c_fedcba9876543210fedcba9876543210-read-";
static const char go_write[] = "_c_0123456789abcdef0123456789abcdef-write-";

static inline char *raw_child(const struct it *it, const char *name, const char *data, int flags)
{
    char created[512];
    char *path = it_child(it, name);
    rawzk_create(it->raw, path, data, flags, created, sizeof created);
    free(path);
    char *copy = strdup(created);
    assert_non_null(copy);
    return copy;
}

static inline void raw_add(const struct it *it, const char *name)
{
    free(raw_child(it, name, NULL, 0));
}

static inline char *go_queue(const struct it *it, const char *prefix)
{
    return raw_child(it, prefix, NULL, ZOO_EPHEMERAL | ZOO_SEQUENCE);
}

static inline void set_perms(const struct it *it, const char *path, int32_t perms)
{
    static char scheme[] = "world";
    static char who[] = "anyone";
    struct ACL entry = {perms, {scheme, who}};
    const struct ACL_vector acl = {1, &entry};
    rawzk_set_acl(it->raw, path, &acl);
}

static inline void check_data(const char *data, size_t length)
{
    assert_true(data != NULL ? data[length] == '\0' : length == 0);
}

static inline void check_child(const char *path, int32_t sequence, int32_t before)
{
    assert_int_equal(sequence, atoi(path + strlen(path) - 10));
    assert_true(sequence - before > 0);
}

/* What is true of any view. */
static inline struct zks_view *sane(struct zks_view *v)
{
    assert_non_null(v);
    assert_int_equal(v->kind == ZKS_VIEW_LOCK, v->n_contenders > 0);
    assert_true(v->kind != ZKS_VIEW_DOUBLE_BARRIER || v->n_participants > 0 || v->round_open);
    assert_true(v->kind == ZKS_VIEW_DOUBLE_BARRIER || v->kind == ZKS_VIEW_OTHER || !v->round_open);
    if (v->kind == ZKS_VIEW_ABSENT || v->kind == ZKS_VIEW_BARRIER) {
        assert_int_equal(v->n_contenders + v->n_participants + v->n_others, 0);
    }
    if (v->kind == ZKS_VIEW_ABSENT) {
        assert_true(v->since_ms == 0 && v->age_ms == 0 && v->data == NULL);
    }
    assert_true(v->age_ms >= 0);
    check_data(v->data, v->data_len);
    for (size_t i = 0; i < v->n_contenders; i++) {
        const struct zks_contender *c = &v->contenders[i];
        check_child(c->path, c->sequence, i == 0 ? c->sequence - 1 : c[-1].sequence);
        assert_true(c->age_ms >= 0);
        check_data(c->data, c->data_len);
    }
    for (size_t i = 0; i < v->n_participants; i++) {
        const struct zks_participant *p = &v->participants[i];
        check_child(p->path, p->sequence, i == 0 ? p->sequence - 1 : p[-1].sequence);
        assert_true(p->age_ms >= 0);
        check_data(p->data, p->data_len);
    }
    for (size_t i = 1; i < v->n_others; i++) {
        assert_true(strcmp(v->others[i - 1], v->others[i]) < 0);
    }
    return v;
}

static inline struct zks_view *look(const char *path)
{
    struct zks_view *view = NULL;
    it_ok(zks_look(outside, path, IT_LIMIT_MS, &view));
    return sane(view);
}

static inline zks_observer *observe(zks_client *client, const char *path, bool brief)
{
    zks_observer *observer = NULL;
    it_ok(zks_observer_new(client, path, brief, &observer));
    assert_non_null(observer);
    return observer;
}

static inline struct zks_view *next(zks_observer *observer)
{
    struct zks_view *view = NULL;
    it_ok(zks_observer_next(observer, IT_LIMIT_MS, &view));
    return sane(view);
}

static inline struct zks_view *brief_look(const char *path)
{
    zks_observer *observer = observe(outside, path, true);
    struct zks_view *view = next(observer);
    zks_observer_free(observer);
    return view;
}

static inline bool shows(const struct zks_view *v, enum zks_view_kind kind, size_t children)
{
    return v->kind == kind && v->n_contenders + v->n_participants + v->n_others == children;
}

#define expect_look(path, kind, children) expect_view(look(path), kind, children, __LINE__)
static inline void expect_view(struct zks_view *v, enum zks_view_kind kind, size_t children,
                               int line)
{
    if (!shows(v, kind, children)) {
        ens_fail("line %d: a view of kind %d with %zu + %zu + %zu, not %d with %zu", line,
                 (int)v->kind, v->n_contenders, v->n_participants, v->n_others, (int)kind,
                 children);
    }
    zks_view_free(v);
}

/* Follows what changes until it has come to this; looks in between are to be expected, but not without
 * end. */
static inline void follow(zks_observer *observer, enum zks_view_kind kind, size_t children)
{
    bool there = false;
    for (int looks = 0; !there; looks++) {
        struct zks_view *view = next(observer);
        there = shows(view, kind, children);
        zks_view_free(view);
        assert_true(looks < LOOKS_MAX);
    }
}

/* Until there is nothing new to be seen. */
static inline void settle(zks_observer *observer)
{
    int rc = 0;
    for (int looks = 0; rc == 0; looks++) {
        struct zks_view *view = NULL;
        rc = zks_observer_next(observer, 0, &view);
        zks_view_free(view);
        assert_true(looks < LOOKS_MAX);
    }
    it_equal(rc, ZKS_EBUSY);
}

/* Starts to wait, with nothing new to be seen. */
static inline void begin(zks_observer *observer, struct it_op *op)
{
    settle(observer);
    it_ok(zks_observer_next_op(observer, ZKS_FOREVER, &op->op));
}

/* The same with an operation that is under way already. */
static inline void follow_op(zks_observer *observer, struct it_op *op, enum zks_view_kind kind,
                             size_t children)
{
    it_ok(it_op_wait(op));
    struct zks_view *view = sane(zks_observer_take(observer));
    assert_null(zks_observer_take(observer));
    bool there = shows(view, kind, children);
    zks_view_free(view);
    if (!there) {
        follow(observer, kind, children);
    }
}

/* A client that can be cut off and whose states are listened to. */
struct onlooker {
    struct it_states states;
    zks_client *client;
    zks_observer *observer;
    struct it_op op;
};

static inline void onlooker_open(struct onlooker *l, const char *servers, const char *path)
{
    zks_client_options options = it_options(servers, 0);
    it_states_init(&l->states);
    it_op_init(&l->op);
    options.listener = it_states_listener;
    options.listener_arg = &l->states;
    l->client = it_open_with(&options);
    l->observer = observe(l->client, path, false);
    zks_view_free(next(l->observer));
}

static inline void onlooker_close(struct onlooker *l)
{
    zks_observer_free(l->observer);
    it_ok(zks_client_close(l->client));
}

/* cmocka's setup and teardown, with the client that looks on. */
static inline int set_up(void **state)
{
    int rc = it_setup(state);
    outside = it_open(NULL, 0);
    return rc;
}

static inline int tear_down(void **state)
{
    it_ok(zks_client_close(outside));
    return it_teardown(state);
}

#define observer_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
