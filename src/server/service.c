/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    REAP_AT_ONCE = 1000,
    CHECK_MS = 500,
    QUIET_TICKS = 2,   /* So long without a write, and the disk is free for a compaction, */
    COMPACT_TICKS = 60 /* or so long since the last one. */
};

int64_t zks__service_wall_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t zks__service_clock_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct zks__txn next_txn(const struct zks__service *s)
{
    return (struct zks__txn){zks__tree_zxid(s->tree) + 1, zks__service_wall_ms()};
}

/* ---- Open and close ---- */

static int no_memory(char why[ZKS__WHY_SIZE])
{
    (void)snprintf(why, ZKS__WHY_SIZE, "there is not enough memory");
    return ZKS__J_NOMEM;
}

static void note_granted(struct zks__service *s, uint32_t timeout_ms)
{
    if (timeout_ms > s->granted_ms) {
        s->granted_ms = timeout_ms;
        if (s->options.granted != NULL) {
            s->options.granted(s->options.arg, timeout_ms);
        }
    }
}

/* Nobody has been heard of while the server was not there, so all have their whole time again. */
static int track_sessions(struct zks__service *s, char why[ZKS__WHY_SIZE])
{
    const struct zks__service_options *o = &s->options;
    const struct zks__session *session = NULL;
    zks__sessions_close(&s->sessions);
    if (!zks__sessions_init(&s->sessions, &s->mem, o->tick_ms, o->min_session_timeout_ms,
                            o->max_session_timeout_ms, s->now_ms)) {
        return no_memory(why);
    }
    while ((session = zks__tree_next_session(s->tree, session)) != NULL) {
        /* What it was granted stays, whatever the bounds are now: its client counts on it. */
        if (zks__sessions_add(&s->sessions, session->id, session->timeout_ms, s->now_ms) != 0) {
            return no_memory(why);
        }
        note_granted(s, session->timeout_ms);
    }
    return 0;
}

static int load(struct zks__service *s, char why[ZKS__WHY_SIZE])
{
    const struct zks__journal_options options = {.folder = s->options.folder,
                                                 .compact_bytes = s->options.compact_bytes,
                                                 .mem = s->mem,
                                                 .log = s->options.log,
                                                 .arg = s->options.arg};
    s->tree = zks__tree_new(&s->mem, &s->options.limits, s->options.tell, s->options.arg);
    if (s->tree == NULL) {
        return no_memory(why);
    }
    return options.folder == NULL ? 0 : zks__journal_open(&options, s->tree, &s->journal, why);
}

int zks__service_open(struct zks__service *s, const struct zks__service_options *options,
                      uint64_t clock_ms, char why[ZKS__WHY_SIZE])
{
    *s = (struct zks__service){.options = *options};
    zks__heap_init(&s->heap, &s->mem);
    return zks__service_resume(s, clock_ms, why);
}

int zks__service_resume(struct zks__service *s, uint64_t clock_ms, char why[ZKS__WHY_SIZE])
{
    s->now_ms = s->seen_ms = clock_ms;
    s->granted_ms = 0;
    s->reap_ms = clock_ms + s->options.reap_ms;
    s->tidy_ms = s->written_ms = s->compacted_ms = clock_ms;
    bool loads = s->tree == NULL;
    int rc = loads ? load(s, why) : 0;
    if (rc == 0) {
        rc = track_sessions(s, why);
    }
    if (rc != 0 && loads) {
        zks__service_close(s); /* Else there is no other copy of the tree. */
    }
    return rc;
}

void zks__service_pause(struct zks__service *s)
{
    if (s->options.folder != NULL) {
        zks__service_close(s);
    }
}

void zks__service_close(struct zks__service *s)
{
    zks__journal_close(s->journal);
    if (s->sessions.mem != NULL) {
        zks__sessions_close(&s->sessions);
    }
    zks__tree_free(s->tree);
    s->journal = NULL;
    s->tree = NULL;
}

/* ---- Time ---- */

void zks__service_time(struct zks__service *s, uint64_t clock_ms)
{
    uint64_t passed = clock_ms - s->seen_ms;
    s->now_ms += passed < s->options.tick_ms ? passed : s->options.tick_ms;
    s->seen_ms = clock_ms;
}

uint64_t zks__service_wait_ms(const struct zks__service *s)
{
    uint64_t next = s->sessions.next_ms < s->reap_ms ? s->sessions.next_ms : s->reap_ms;
    next = s->journal != NULL && s->check_ms < next ? s->check_ms : next;
    return next > s->now_ms ? next - s->now_ms : 0;
}

int zks__service_check(struct zks__service *s, char why[ZKS__WHY_SIZE])
{
    if (s->journal == NULL || s->now_ms < s->check_ms) {
        return 0;
    }
    s->check_ms = s->now_ms + CHECK_MS;
    return zks__journal_check(s->journal, why);
}

bool zks__service_is_lost(const struct zks__service *s)
{
    char why[ZKS__WHY_SIZE];
    return s->journal != NULL && zks__journal_check(s->journal, why) != 0;
}

uint32_t zks__service_lease_ms(const struct zks__service *s)
{
    const struct zks__session *session = NULL;
    uint32_t longest_ms = 0;
    while ((session = zks__tree_next_session(s->tree, session)) != NULL) {
        if (session->timeout_ms > longest_ms &&
            zks__tree_ephemerals(s->tree, session->id, "", NULL) != NULL) {
            longest_ms = session->timeout_ms;
        }
    }
    return longest_ms;
}

/* ---- Writes ---- */

/* A batch is large when its connections have many identities, with all of which each write is kept. */
static void relieve(struct zks__service *s)
{
    char why[ZKS__WHY_SIZE];
    if (s->journal != NULL && zks__journal_full(s->journal)) {
        (void)zks__service_sync(s, why); /* The journal remembers a failure. */
    }
}

/* Also what was refused has used up a zxid, which a client has seen. */
static void keep(struct zks__service *s, const struct zks__txn *txn, const struct zks__who *who,
                 const struct zks__op *ops, size_t n, bool done)
{
    if (s->journal != NULL && done) {
        zks__journal_write(s->journal, txn, who, ops, n);
    } else if (s->journal != NULL) {
        zks__journal_idle(s->journal, txn);
    }
    relieve(s);
}

void zks__service_write(struct zks__service *s, const struct zks__who *who,
                        const struct zks__op *op, struct zks__op_result *result)
{
    const struct zks__txn txn = next_txn(s);
    zks__tree_write(s->tree, &txn, who, op, result);
    keep(s, &txn, who, op, 1, result->code == 0);
}

bool zks__service_multi(struct zks__service *s, const struct zks__who *who,
                        const struct zks__op *ops, size_t n, struct zks__op_result *results)
{
    const struct zks__txn txn = next_txn(s);
    bool done = zks__tree_multi(s->tree, &txn, who, ops, n, results);
    keep(s, &txn, who, ops, n, done && n > 0);
    return done;
}

void zks__service_refuse(struct zks__service *s)
{
    const struct zks__txn txn = next_txn(s);
    zks__tree_idle(s->tree, &txn);
    keep(s, &txn, NULL, NULL, 0, false);
}

/* ---- Sessions ---- */

/* A number nobody can guess, above 0 and none that ZooKeeper marks znodes of another kind with. */
static bool choose(struct zks__session *session)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number ||
        getrandom(session->password, sizeof session->password, 0) !=
            (ssize_t)sizeof session->password) {
        return false;
    }
    session->id = (int64_t)(number >> 2) + 1;
    return true;
}

bool zks__service_choose_session(const struct zks__service *s, int32_t asked_ms,
                                 struct zks__session *session)
{
    session->timeout_ms = zks__sessions_grant(&s->sessions, asked_ms);
    return choose(session);
}

int zks__service_open_session(struct zks__service *s, const struct zks__session *session)
{
    int code = zks__sessions_add(&s->sessions, session->id, session->timeout_ms, s->now_ms);
    if (code != 0) {
        return code;
    }
    note_granted(s, session->timeout_ms);
    const struct zks__txn txn = next_txn(s);
    code = zks__tree_open_session(s->tree, &txn, session);
    if (code != 0) {
        zks__sessions_remove(&s->sessions, session->id);
        keep(s, &txn, NULL, NULL, 0, false);
    } else if (s->journal != NULL) {
        zks__journal_open_session(s->journal, &txn, session);
    }
    return code;
}

void zks__service_close_session(struct zks__service *s, int64_t id)
{
    const struct zks__txn txn = next_txn(s);
    zks__sessions_remove(&s->sessions, id);
    zks__tree_close_session(s->tree, &txn, id);
    if (s->journal != NULL) {
        zks__journal_close_session(s->journal, &txn, id);
    }
}

int64_t zks__service_expired(struct zks__service *s)
{
    return zks__sessions_expired(&s->sessions, s->now_ms);
}

/* What is reaped may not be gone on from, so each is looked up before the one before it goes. */
void zks__service_reap(struct zks__service *s)
{
    static const struct zks__who nobody;
    if (s->now_ms < s->reap_ms) {
        return;
    }
    s->reap_ms = s->now_ms + s->options.reap_ms;
    int64_t now = zks__service_wall_ms();
    const char *path = zks__tree_reapable(s->tree, now, NULL);
    for (int i = 0; path != NULL && i < REAP_AT_ONCE; i++) {
        const char *next = zks__tree_reapable(s->tree, now, path);
        const struct zks__op op = {.kind = ZKS__OP_REAP, .path = path};
        struct zks__op_result result;
        zks__service_write(s, &nobody, &op, &result);
        path = next;
    }
    if (path != NULL) {
        s->reap_ms = s->now_ms;
    }
}

int zks__service_sync(struct zks__service *s, char why[ZKS__WHY_SIZE])
{
    if (s->journal == NULL || !zks__journal_dirty(s->journal)) {
        return 0;
    }
    s->syncs++;
    s->written_ms = s->now_ms;
    return zks__journal_sync(s->journal, why);
}

void zks__service_tidy(struct zks__service *s)
{
    const uint64_t tick_ms = s->options.tick_ms;
    if (s->now_ms < s->tidy_ms) {
        return;
    }
    s->tidy_ms = s->now_ms + tick_ms;
    bool eager = s->now_ms - s->written_ms >= QUIET_TICKS * tick_ms ||
                 s->now_ms - s->compacted_ms >= COMPACT_TICKS * tick_ms;
    if (s->journal != NULL && zks__journal_tend(s->journal, eager)) {
        s->compacted_ms = s->now_ms;
    }
    (void)zks__heap_trim(&s->heap);
}
