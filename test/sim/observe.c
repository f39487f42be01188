/* SPDX-License-Identifier: Apache-2.0 */
#include "observe.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "actor.h"
#include "broken.h"
#include "check.h"
#include "driver/client.h"
#include "ensemble.h"
#include "process.h"
#include "wire.h"

static const struct checker *const checkers[] = {
    &check_lease,     &check_loss,   &check_calm,  &check_ids,        &check_idling,
    &check_exclusion, &check_tokens, &check_order, &check_completion, &check_progress,
    &check_leftovers, &check_rounds, &check_gate,  &check_messages,   &check_results,
    &check_refusals,  &check_owned};

enum { CHECKERS = sizeof checkers / sizeof checkers[0] };

static const struct plan *plan;
static FILE *trace;
static const char *failed_by;
static char failure[512];

/* ---- Verdicts ---- */

void check_fail(const struct checker *by, const char *format, ...)
{
    va_list args;
    if (failed_by != NULL) {
        return;
    }
    failed_by = by->name;
    va_start(args, format);
    vsnprintf(failure, sizeof failure, format, args);
    va_end(args);
    observe_note("FAILED: %s: %s", by->name, failure);
}

const char *check_failure(const char **by)
{
    if (failed_by != NULL && by != NULL) {
        *by = failed_by;
    }
    return failed_by != NULL ? failure : NULL;
}

/* ---- The trace ---- */

static void stamp(void)
{
    uint64_t us = sched_now();
    fprintf(trace, "%6lu.%03lu  ", (unsigned long)(us / MS), (unsigned long)(us % MS));
}

void observe_note(const char *format, ...)
{
    va_list args;
    if (trace == NULL) {
        return;
    }
    stamp();
    va_start(args, format);
    vfprintf(trace, format, args);
    va_end(args);
    fputc('\n', trace);
}

static void trace_done(const struct seen *s)
{
    const char *what = what_name((enum what)s->what);
    if (s->result != 0) {
        observe_note("actor %d: %s #%u ends: %s [%s]", s->actor, what, s->number,
                     zks_err_name(s->result), actor_state((unsigned)s->actor));
    } else if (s->what == DO_ENTER) {
        observe_note("actor %d: enter #%u ends: inside round %.32s", s->actor, s->number, s->text);
    } else if (s->token != 0) {
        observe_note("actor %d: %s #%u ends: done, token %lx", s->actor, what, s->number,
                     (unsigned long)s->token);
    } else {
        observe_note("actor %d: %s #%u ends: done", s->actor, what, s->number);
    }
}

static void trace_seen(const struct seen *s)
{
    switch (s->kind) {
    case SEEN_ASK:
        observe_note("actor %d (process %d): %s #%u of thing %d, to wait %d ms", s->actor,
                     s->process, what_name((enum what)s->what), s->number, s->thing, s->wait_ms);
        break;
    case SEEN_CANCEL:
        observe_note("actor %d: cancels #%u", s->actor, s->number);
        break;
    case SEEN_DONE:
        trace_done(s);
        break;
    case SEEN_LOST:
        observe_note("actor %d: is told that it has lost what it held", s->actor);
        break;
    case SEEN_FREED:
        observe_note("actor %d: leaves", s->actor);
        break;
    case SEEN_LEASE:
        observe_note("process %d: sure of its session until %lu.%03lu", s->process,
                     (unsigned long)(s->until / MS), (unsigned long)(s->until % MS));
        break;
    case SEEN_STATE:
        observe_note("process %d: %s", s->process,
                     zks_client_state_name((enum zks_client_state)s->result));
        break;
    case SEEN_DEATH:
        observe_note("process %d: dies", s->process);
        break;
    case SEEN_QUEUED:
    case SEEN_SENT:
    case SEEN_EVENT:
    case SEEN_TURN:
    case SEEN_OWNED:
        break;
    case SEEN_BROKEN:
        observe_note("a stranger deletes the znode of actor %d", s->actor);
        break;
    case SEEN_SPOILT:
        observe_note("a stranger spoils thing %d", s->thing);
        break;
    case SEEN_REFUSED:
        observe_note("process %d: is refused %x", s->process, s->number);
        break;
    case SEEN_UNSET:
        observe_note("a stranger lifts barrier %d", s->thing);
        break;
    case SEEN_CONTENDER:
        observe_note("stranger %u: %s lock %d", s->number,
                     s->what == 1   ? "queues for"
                     : s->what == 2 ? "holds"
                                    : "lets go of",
                     s->thing);
        break;
    case SEEN_HEALED:
        observe_note("---- all heals ----");
        break;
    case SEEN_LATE:
        observe_note("a server passes on late that %s is to be created (actor %d)", s->text,
                     s->actor);
        break;
    case SEEN_LEFT:
        observe_note("left behind: %s (actor %d)", s->text, s->actor);
        break;
    case SEEN_WATCHED:
        observe_note("process %d still watches %s", s->process, s->text);
        break;
    case SEEN_OVER:
        observe_note("---- over ----");
        break;
    }
}

/* ---- What is seen ---- */

void observe_begin(const struct plan *p, FILE *to)
{
    plan = p;
    trace = to;
    failed_by = NULL;
    broken_begin(p);
    for (int i = 0; i < CHECKERS; i++) {
        checkers[i]->begin(p);
    }
}

void observe(struct seen *seen)
{
    seen->at = sched_now();
    if (trace != NULL) {
        trace_seen(seen);
    }
    broken_see(seen);
    for (int i = 0; i < CHECKERS; i++) {
        checkers[i]->see(seen);
    }
}

void observe_end(void)
{
    for (int i = 0; i < CHECKERS; i++) {
        checkers[i]->end();
    }
}

static const char *request_name(const struct request *r)
{
    static const char *const asks[] = {"connect",  "close", "sync",    "exists",  "get",
                                       "children", "write", "rewatch", "unwatch", "end"};
    static const char *const ops[] = {"create", "delete", "set", "set-acl", "check", "reap"};
    return r->ask != ASK_WRITE ? asks[r->ask] : r->multi ? "multi" : ops[r->ops[0].kind];
}

void observe_request(struct process *p, const struct request *r)
{
    struct seen s = {
        .kind = SEEN_SENT, .process = p->number, .actor = -1, .heartbeat = request_is_heartbeat(r)};
    if (trace != NULL && !s.heartbeat) {
        observe_note("process %d:   asks %s %s%s", p->number, request_name(r), request_path(r),
                     r->watch ? " with a watch" : "");
    }
    observe(&s);
}

static void show_queued(struct process *p, const struct request *r, const struct answer *a)
{
    const char *name = strrchr(a->path, '/') + 1;
    int actor = actor_of_node(name);
    if (actor >= 0) {
        observe(&(struct seen){.kind = SEEN_QUEUED,
                               .process = p->number,
                               .actor = actor,
                               .thing = (int)plan->actors[actor].thing,
                               .until = r->asked_at,
                               .number = r->number,
                               .text = name});
    }
}

void observe_answer(struct process *p, const struct request *r, const struct answer *a)
{
    if (r->ask == ASK_WRITE && a->code == 0 && a->path != NULL) {
        show_queued(p, r, a);
    }
    if (trace == NULL || request_is_heartbeat(r)) {
        return;
    }
    observe_note("process %d:   %s %s: %d%s%s, zxid %lx", p->number, request_name(r),
                 request_path(r), a->code, a->path != NULL ? " " : "",
                 a->path != NULL ? a->path : "", (unsigned long)a->zxid);
    for (size_t i = 0; i < a->n_children; i++) {
        observe_note("process %d:     %s", p->number, a->children[i]);
    }
}

void observe_late(const struct request *r)
{
    for (size_t i = 0; i < r->n_ops; i++) {
        const char *name = strrchr(r->ops[i].path, '/') + 1;
        int actor = r->ops[i].kind == ZKS__OP_CREATE ? actor_of_node(name) : -1;
        if (actor >= 0) {
            observe(&(struct seen){.kind = SEEN_LATE,
                                   .process = r->conn->number,
                                   .actor = actor,
                                   .thing = (int)plan->actors[actor].thing,
                                   .text = name});
        }
    }
}

void observe_event(struct process *p, const struct answer *a)
{
    static const char *const events[] = {"", "created", "deleted", "changed", "children of"};
    observe_note("process %d:   event: %s %s", p->number, events[a->event], a->path);
    observe(&(struct seen){.kind = SEEN_EVENT, .process = p->number, .actor = -1});
}

void observe_state(struct process *p, enum zks_client_state state)
{
    observe(&(struct seen){
        .kind = SEEN_STATE, .process = p->number, .actor = -1, .result = (int)state});
}

void observe_lease(struct process *p)
{
    uint64_t ms = p->alive ? atomic_load(&p->client->safe_until_ms) : 0;
    if (ms != p->safe_until_ms) {
        p->safe_until_ms = ms;
        int64_t session = p->alive ? atomic_load(&p->client->session) : 0;
        observe(&(struct seen){.kind = SEEN_LEASE,
                               .process = p->number,
                               .actor = -1,
                               .until = ms == 0 ? 0 : process_at(p, ms),
                               .truth = session != 0 ? ensemble_lives_until(session) : NEVER});
    }
}

/* Only where the process has come to count less can it be wrong for the first time. */
void observe_owned(struct process *p)
{
    size_t before = p->owned_bytes;
    int64_t session = p->alive ? atomic_load(&p->client->session) : 0;
    p->owned_bytes = p->alive ? p->client->owned_bytes : 0;
    if (session == 0 || p->owned_bytes >= before) {
        return;
    }
    uint64_t truth = 0;
    struct zks__tree *tree = ensemble_tree();
    for (const char *path = zks__tree_ephemerals(tree, session, "", NULL); path != NULL;
         path = zks__tree_ephemerals(tree, session, "", path)) {
        truth += strlen(path);
    }
    observe(&(struct seen){.kind = SEEN_OWNED,
                           .process = p->number,
                           .actor = -1,
                           .until = p->owned_bytes,
                           .truth = truth});
}

void observe_turn(struct process *p)
{
    observe(&(struct seen){.kind = SEEN_TURN, .process = p->number, .actor = -1});
}

void observe_death(struct process *p)
{
    p->safe_until_ms = 0;
    observe(&(struct seen){.kind = SEEN_DEATH, .process = p->number, .actor = -1});
}
