/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a server: the tree, which sessions are alive, and the journal that keeps both.  Everything
 * is carried out at once, in memory, and may be shown to nobody before zks__service_sync() has made it
 * durable. */
#ifndef ZKS_SERVER_SERVICE_H
#define ZKS_SERVER_SERVICE_H

#include "server/heap.h"
#include "server/journal.h"
#include "tree/sessions.h"

struct zks__service_options {
    const char *folder; /* NULL for memory only. */
    size_t compact_bytes;
    uint32_t tick_ms;
    uint32_t min_session_timeout_ms;
    uint32_t max_session_timeout_ms;
    uint32_t reap_ms;
    struct zks__tree_limits limits;
    void (*tell)(void *arg, struct zks__watcher *watcher, enum zks__event event, const char *path);
    void (*granted)(
        void *arg,
        uint32_t
            longest_ms); /* Called before a session gets a longer timeout than all before; may be NULL. */
    void (*log)(void *arg, const char *line);
    void *arg; /* Of the three. */
};

struct zks__service {
    struct zks__service_options options;
    struct zks__heap heap;
    struct zks__mem mem; /* Of the heap. */
    struct zks__tree *tree;
    struct zks__sessions sessions;
    struct zks__journal *journal; /* NULL for none. */
    uint64_t now_ms;              /* The server's own time: see zks__service_time(). */
    uint64_t seen_ms;
    uint64_t reap_ms;      /* When to look for what may be reaped. */
    uint64_t tidy_ms;      /* When to look whether the files and the heap hold too much. */
    uint64_t written_ms;   /* When something was last made durable; */
    uint64_t compacted_ms; /* and when the files were last compacted. */
    uint64_t check_ms;     /* When to look whether the folder is still there. */
    uint64_t syncs;
    uint32_t granted_ms; /* The longest timeout of a session so far. */
};

/* zks__service_open: it may not be moved then.  An enum zks__journal_error, with a sentence, where it fails; then nothing is open.
 * zks__service_close: drops what is not durable; what is all zeros is fine. */
int zks__service_open(struct zks__service *s, const struct zks__service_options *options,
                      uint64_t clock_ms, char why[ZKS__WHY_SIZE]);
void zks__service_close(struct zks__service *s);

/* zks__service_pause, zks__service_resume: around a time in which the server is stopped; where nothing is
 * on disk, the tree stays. */
void zks__service_pause(struct zks__service *s);
int zks__service_resume(struct zks__service *s, uint64_t clock_ms, char why[ZKS__WHY_SIZE]);

/* zks__service_clock_ms: the clock of a server; zks__service_wall_ms: the time since 1970. */
uint64_t zks__service_clock_ms(void);
int64_t zks__service_wall_ms(void);

/* zks__service_time: what the clock shows, at the beginning of each turn.  The time by which sessions live
 * goes on by at most a tick a turn: while a server stands still, because it was stopped or its disk was
 * slow, it hears nobody, and no session's time is up for that. */
void zks__service_time(struct zks__service *s, uint64_t clock_ms);

/* zks__service_wait_ms: how long until one of the functions below that look has something to do. */
uint64_t zks__service_wait_ms(const struct zks__service *s);

/* zks__service_write: one operation, or a multi.  zks__service_refuse: a write that was refused before it
 * got to the tree. */
void zks__service_write(struct zks__service *s, const struct zks__who *who,
                        const struct zks__op *op, struct zks__op_result *result);
bool zks__service_multi(struct zks__service *s, const struct zks__who *who,
                        const struct zks__op *ops, size_t n, struct zks__op_result *results);
void zks__service_refuse(struct zks__service *s);

/* zks__service_choose_session: a number, a password and a timeout for one that may be opened; false where the
 * system has no chance to give.  zks__service_open_session: an enum zks__code.
 * zks__service_close_session: what has ended already is no error. */
bool zks__service_choose_session(const struct zks__service *s, int32_t asked_ms,
                                 struct zks__session *session);
int zks__service_open_session(struct zks__service *s, const struct zks__session *session);
void zks__service_close_session(struct zks__service *s, int64_t id);

/* zks__service_expired: a session whose time is up, 0 for none; the caller closes it. */
int64_t zks__service_expired(struct zks__service *s);

/* zks__service_reap: containers that are empty again, and what has outlived its time to live. */
void zks__service_reap(struct zks__service *s);

/* zks__service_check: now and then, as zks__journal_check(); 0 where there is none.
 * zks__service_is_lost: whether the folder was removed, renamed or replaced, so that the next server starts without the
 * data of this one. */
int zks__service_check(struct zks__service *s, char why[ZKS__WHY_SIZE]);
bool zks__service_is_lost(const struct zks__service *s);

/* zks__service_lease_ms: the longest timeout of a session that has ephemerals, 0 for none. */
uint32_t zks__service_lease_ms(const struct zks__service *s);

/* zks__service_sync: as zks__journal_sync(); 0 where there is none.  Writes make a batch that has become
 * large durable by themselves; where that fails, it is the next call that says so. */
int zks__service_sync(struct zks__service *s, char why[ZKS__WHY_SIZE]);

/* zks__service_tidy: once a tick, behind a sync: sees to it that the files, and the memory that the system
 * counts, come back to what is kept after much of it was deleted. */
void zks__service_tidy(struct zks__service *s);

#endif
