/* SPDX-License-Identifier: Apache-2.0 */
#include "actor.h"

#include <string.h>

#include "ensemble.h"
#include "fold.h"
#include "handle.h"
#include "observe.h"
#include "stranger.h"

struct actor {
    unsigned number;
    const struct plan_actor *plan;
    const struct plan_thing *thing;
    struct process *process;
    struct handle *handle;
    struct chance chance;
    unsigned step; /* The next one. */
    bool busy;     /* Something is under way. */
    bool ready;    /* While exploring: it could go on. */
    bool alive;
    bool ending; /* The plan's steps are done, or all has healed. */
    bool left;
    bool freeing;
    bool inside; /* Of a double barrier. */
    enum what what;
    unsigned asked;
    char round[ZKS__UUID_LEN + 1]; /* The one that it is in. */
    struct zks_op op;
    struct happening next;
    struct happening cancel;
    struct happening abandon;
    uint64_t told;                    /* A hash of what it has been told. */
    char stems[4][ZKS__STEM_LEN + 1]; /* Of the handles it has had. */
    unsigned n_handles;
};

static const struct plan *plan;
static struct actor actors[ACTORS_MAX];
static unsigned asked; /* Operations so far. */
static bool healed;

/* Rounds that have been entered since all healed, and by how many: once all n have been in one, nobody
 * has to come back. */
static struct {
    char round[ZKS__UUID_LEN + 1];
    uint32_t n;
    bool over;
} last_rounds[THINGS_MAX];

static const char *const paths[THINGS_MAX] = {"/z/one", "/z/two", "/three", "/z/y/four"};

const char *actor_path(unsigned thing)
{
    return paths[thing];
}

static void show(const struct actor *a, enum seen_kind kind, int result)
{
    struct seen s = {.kind = kind,
                     .process = a->process->number,
                     .actor = (int)a->number,
                     .thing = (int)a->plan->thing,
                     .what = (int)a->what,
                     .number = a->asked,
                     .result = result,
                     .text = a->round};
    if (kind == SEEN_DONE && result == 0 && a->thing->kind == THING_RWLOCK) {
        s.token = a->handle->rwlock.token;
    }
    observe(&s);
}

static void lost(void *actor)
{
    show(actor, SEEN_LOST, 0);
}

unsigned actors_asked(void)
{
    return asked;
}

int actor_of_node(const char *name)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        for (unsigned j = 0; j < 4; j++) {
            if (actors[i].stems[j][0] != '\0' && strstr(name, actors[i].stems[j]) != NULL) {
                return (int)i;
            }
        }
    }
    return -1;
}

/* ---- Going through the steps ---- */

static void go_on_soon(struct actor *a, int32_t ms)
{
    if (channel_exploring()) {
        a->ready = true; /* When it does is chosen. */
        return;
    }
    sched_after(&a->next, (uint64_t)ms * MS + chance_below(&a->chance, 50));
}

static void new_handle(struct actor *a)
{
    a->handle =
        handle_new(a->process, a->thing, a->plan, actor_path(a->plan->thing), &a->chance, lost, a);
    memcpy(a->stems[a->n_handles++ % 4], a->handle->stem.hex, sizeof a->handle->stem.hex);
}

static void free_handle(struct actor *a)
{
    a->freeing = true;
    show(a, SEEN_FREED, 0);
    handle_free(a->handle);
    show(a, SEEN_FREED, 0); /* What was under way may have ended well meanwhile. */
    a->freeing = a->inside = false;
    a->handle = NULL;
}

static void leave(struct actor *a)
{
    a->left = true;
    free_handle(a);
}

static int core_request(enum what what)
{
    static const int requests[WHATS] = {
        [DO_RDLOCK] = ZKS__RWLOCK_RDLOCK,      [DO_WRLOCK] = ZKS__RWLOCK_WRLOCK,
        [DO_UNLOCK] = ZKS__RWLOCK_UNLOCK,      [DO_DOWNGRADE] = ZKS__RWLOCK_DOWNGRADE,
        [DO_SET] = ZKS__BARRIER_SET,           [DO_UNSET] = ZKS__BARRIER_UNSET,
        [DO_WAIT] = ZKS__BARRIER_WAIT,         [DO_ENTER] = ZKS__DOUBLE_BARRIER_ENTER,
        [DO_LEAVE] = ZKS__DOUBLE_BARRIER_LEAVE};
    return requests[what];
}

static void begin(struct actor *a, const struct plan_step *s)
{
    a->what = s->what;
    a->asked = ++asked;
    a->busy = true;
    struct seen seen = {.kind = SEEN_ASK,
                        .process = a->process->number,
                        .actor = (int)a->number,
                        .thing = (int)a->plan->thing,
                        .what = (int)s->what,
                        .number = a->asked,
                        .wait_ms = s->wait_ms};
    observe(&seen);
    int rc = zks__machine_submit(&a->handle->machine, &a->op, core_request(s->what), s->wait_ms);
    if (rc != 0) {
        a->busy = false;
        show(a, SEEN_DONE, rc);
        go_on_soon(a, 1);
        return;
    }
    if (s->cancel_ms >= 0) {
        sched_after(&a->cancel, (uint64_t)s->cancel_ms * MS);
    }
    process_wake(a->process);
}

/* One who has come to the end of his steps leaves; the n of a double barrier stay until all of them
 * have been in a round that nothing could disturb. */
static bool stays(const struct actor *a)
{
    return a->thing->kind == THING_DOUBLE && plan_regular(plan, a->number) &&
           plan_full(plan, a->plan->thing) && !last_rounds[a->plan->thing].over;
}

static void end_steps(struct actor *a)
{
    static const struct plan_step enter = {.what = DO_ENTER, .wait_ms = -1, .cancel_ms = -1};
    static const struct plan_step out = {.what = DO_LEAVE, .wait_ms = -1, .cancel_ms = -1};
    a->ending = true;
    if (a->inside) {
        begin(a, &out);
    } else if (!stays(a)) {
        leave(a);
    } else if (healed) {
        begin(a, &enter);
    }
}

static void next(struct happening *h)
{
    struct actor *a = (struct actor *)(void *)((char *)h - offsetof(struct actor, next));
    if (!a->alive || a->left || a->busy || a->freeing) {
        return;
    }
    if (a->process->paused_until > sched_now()) {
        sched_at(h, a->process->paused_until);
        return;
    }
    process_enter(a->process);
    if (a->step < a->plan->n_steps && !(healed && a->thing->kind == THING_DOUBLE)) {
        begin(a, &a->plan->steps[a->step++]);
    } else {
        end_steps(a);
    }
    process_leave(a->process);
}

/* Whoever has entered a round after all had healed counts for it. */
static void count_round(const struct actor *a)
{
    unsigned t = a->plan->thing;
    if (!healed || !plan_regular(plan, a->number)) {
        return;
    }
    if (strcmp(last_rounds[t].round, a->round) != 0) {
        memcpy(last_rounds[t].round, a->round, sizeof a->round);
        last_rounds[t].n = 0;
    }
    last_rounds[t].over |= ++last_rounds[t].n == a->thing->n;
    /* Whoever has lost it meanwhile may be waiting for another one already, to which nobody comes. */
    for (unsigned i = 0; last_rounds[t].over && i < plan->n_actors; i++) {
        struct actor *b = &actors[i];
        if (b->plan->thing == t && b->ending && b->busy && b->what == DO_ENTER && b != a) {
            sched_at(&b->cancel, sched_now());
        }
    }
}

static void track(struct actor *a, int result)
{
    if (a->what == DO_ENTER && result == 0) {
        a->inside = true;
        memcpy(a->round, a->handle->party.round, sizeof a->round);
        count_round(a);
    } else if (a->what == DO_LEAVE && result != ZKS_EPERM && result != ZKS_EDEADLK) {
        a->inside = false;
    }
}

static void done(struct zks_op *op, int result, void *arg)
{
    struct actor *a = arg;
    (void)op;
    a->told = fold(fold(a->told, (uint64_t)a->what), (uint64_t)result);
    a->busy = false;
    sched_at(&a->cancel, NEVER);
    track(a, result);
    show(a, SEEN_DONE, result);
    if (a->freeing || a->left) {
        return;
    }
    if (a->step >= a->plan->n_steps && !a->inside && !stays(a) && !channel_exploring() &&
        chance_one_in(&a->chance, 4)) {
        leave(a); /* In the completion itself. */
        return;
    }
    bool at_once = a->step < a->plan->n_steps && !healed && chance_one_in(&a->chance, 8);
    if (a->ending || a->step >= a->plan->n_steps || !at_once || channel_exploring()) {
        int32_t rest = a->step > 0 && !a->ending ? a->plan->steps[a->step - 1].rest_ms : 0;
        go_on_soon(a, a->ending && result != 0 ? 20 : rest);
        return;
    }
    /* In the completion itself. */
    begin(a, &a->plan->steps[a->step++]);
}

static void cancel(struct actor *a)
{
    if (a->alive && a->busy) {
        show(a, SEEN_CANCEL, 0);
        zks_op_cancel(&a->op);
        process_wake(a->process);
    }
}

static void cancel_due(struct happening *h)
{
    cancel((struct actor *)(void *)((char *)h - offsetof(struct actor, cancel)));
}

void actor_cancel(unsigned actor)
{
    if (actor < plan->n_actors) {
        cancel(&actors[actor]);
    }
}

/* Behind what was given up, at something that can be begun. */
static void skip_to_beginning(struct actor *a)
{
    while (a->step < a->plan->n_steps && (a->plan->steps[a->step].what == DO_UNLOCK ||
                                          a->plan->steps[a->step].what == DO_DOWNGRADE ||
                                          a->plan->steps[a->step].what == DO_LEAVE)) {
        a->step++;
    }
}

static void abandon(struct happening *h)
{
    struct actor *a = (struct actor *)(void *)((char *)h - offsetof(struct actor, abandon));
    if (!a->alive || a->left || a->freeing) {
        return;
    }
    if (a->process->paused_until > sched_now()) {
        sched_at(h, a->process->paused_until);
        return;
    }
    process_enter(a->process);
    free_handle(a);
    skip_to_beginning(a);
    new_handle(a);
    process_leave(a->process);
    go_on_soon(a, 1);
}

void actor_abandon(unsigned actor)
{
    if (actor < plan->n_actors) {
        sched_after(&actors[actor].abandon, 0); /* Not in the midst of its driver's turn. */
    }
}

/* ---- All of them ---- */

void actors_begin(const struct plan *p, struct process *all)
{
    plan = p;
    memset(actors, 0, sizeof actors);
    memset(last_rounds, 0, sizeof last_rounds);
    handles_begin();
    asked = 0;
    healed = false;
    for (unsigned i = 0; i < p->n_actors; i++) {
        struct actor *a = &actors[i];
        a->number = i;
        a->plan = &p->actors[i];
        a->thing = &p->things[a->plan->thing];
        a->process = &all[a->plan->process];
        a->chance = chance_of(p->seed, 1000 + i);
        a->next.fire = next;
        a->cancel.fire = cancel_due;
        a->abandon.fire = abandon;
    }
}

void actors_start(struct process *p)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        struct actor *a = &actors[i];
        if (a->process == p && !a->alive && !a->left) {
            a->alive = true;
            a->busy = a->inside = false;
            skip_to_beginning(a);
            zks_op_init(&a->op, done, a);
            new_handle(a);
            go_on_soon(a, channel_exploring() ? 0 : (int32_t)chance_below(&a->chance, 30));
        }
    }
}

void actors_die(struct process *p)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        struct actor *a = &actors[i];
        if (a->process == p && a->alive) {
            a->alive = false;
            sched_at(&a->next, NEVER);
            sched_at(&a->cancel, NEVER);
        }
    }
    handles_die(p);
}

/* Those whom a round still needs come back; whoever waits for what cannot come any more gives up. */
void actors_heal(void)
{
    healed = true;
    for (unsigned i = 0; i < plan->n_actors; i++) {
        struct actor *a = &actors[i];
        bool hopeless = a->thing->kind == THING_DOUBLE &&
                        !(plan_full(plan, a->plan->thing) && plan_regular(plan, i));
        if (a->alive && !a->left && !a->busy) {
            go_on_soon(a, 1);
        } else if (a->alive && a->busy && hopeless && a->what == DO_ENTER) {
            cancel(a);
        }
    }
}

bool actor_ready(unsigned actor)
{
    const struct actor *a = &actors[actor];
    return a->ready && a->alive && !a->left && !a->busy;
}

void actor_go_on(unsigned actor)
{
    actors[actor].ready = false;
    next(&actors[actor].next);
}

uint64_t actors_hash(uint64_t hash)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        const struct actor *a = &actors[i];
        hash = fold(hash, a->step);
        hash = fold(hash, (uint64_t)a->busy | (uint64_t)a->ready << 1 | (uint64_t)a->alive << 2 |
                              (uint64_t)a->left << 3 | (uint64_t)a->inside << 4 |
                              (uint64_t)a->ending << 5);
        hash = fold(hash, a->told);
        if (a->handle != NULL) {
            hash = handle_hash(a->handle, hash);
        }
    }
    for (unsigned i = 0; i < plan->n_processes; i++) {
        hash = fold(hash, handles_unclean(i));
    }
    return hash;
}

bool actors_left(int *who)
{
    *who = -1;
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if (actors[i].alive && !actors[i].left) {
            *who = (int)i;
            return false;
        }
    }
    for (unsigned i = 0; i < plan->n_processes; i++) {
        if (handles_unclean(i) > 0) {
            return false;
        }
    }
    return true;
}

const char *actor_state(unsigned actor)
{
    const struct handle *h = actors[actor].handle;
    return h != NULL ? handle_state(h) : "gone";
}
