/* SPDX-License-Identifier: Apache-2.0 */
#include "actor.h"

#include <string.h>

#include "core/barrier.h"
#include "core/double_barrier.h"
#include "core/rwlock.h"
#include "driver/machine.h"
#include "ensemble.h"
#include "fold.h"
#include "memory.h"
#include "observe.h"
#include "stranger.h"

/* A handle, as the public ones are: what drives a core, and the core. */
struct handle {
    struct zks__machine machine;
    struct actor *actor; /* NULL once it has been freed. */
    struct process *process;
    char data[ZKS__UUID_LEN + 8];
    struct zks__stem stem;
    uint32_t settings;
    union {
        struct zks__rwlock rwlock;
        struct zks__barrier barrier;
        struct zks__double_barrier party;
    };
};

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
static unsigned unclean[PROCESSES_MAX]; /* Handles that are not done with. */
static unsigned asked;                  /* Operations so far. */
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

/* ---- Handles ---- */

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct handle *h = (struct handle *)m;
    zks__rwlock_step(&h->rwlock, in, out);
}

static uint64_t deadline(const struct zks__machine *m)
{
    return zks__rwlock_deadline(&((const struct handle *)m)->rwlock);
}

static bool clean(const struct zks__machine *m)
{
    return zks__rwlock_clean(&((const struct handle *)m)->rwlock);
}

static bool holds(const struct zks__machine *m)
{
    return zks__rwlock_holds(&((const struct handle *)m)->rwlock);
}

/* Every set writes another id, as the public handle does it. */
static void barrier_step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    struct handle *h = (struct handle *)m;
    if (in->kind == ZKS__IN_REQUEST && h->barrier.state == ZKS__BARRIER_IDLE) {
        zks__uuid(h->data, &h->stem, ++h->settings);
    }
    zks__barrier_step(&h->barrier, in, out);
}

static uint64_t barrier_deadline(const struct zks__machine *m)
{
    return zks__barrier_deadline(&((const struct handle *)m)->barrier);
}

static bool barrier_clean(const struct zks__machine *m)
{
    return ((const struct handle *)m)->barrier.state == ZKS__BARRIER_IDLE;
}

static void party_step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    zks__double_barrier_step(&((struct handle *)m)->party, in, out);
}

static uint64_t party_deadline(const struct zks__machine *m)
{
    return zks__double_barrier_deadline(&((const struct handle *)m)->party);
}

static bool party_clean(const struct zks__machine *m)
{
    return zks__double_barrier_clean(&((const struct handle *)m)->party);
}

static void publish(struct zks__machine *m)
{
    (void)m;
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

static void lost(struct zks__machine *m)
{
    struct handle *h = (struct handle *)m;
    if (h->actor != NULL) {
        show(h->actor, SEEN_LOST, 0);
    }
}

static void destroy(struct zks__machine *m)
{
    struct handle *h = (struct handle *)m;
    unclean[h->process->number]--;
}

static const struct zks__machine_type rwlock_type = {step,    deadline, clean,  holds,
                                                     publish, lost,     destroy};
static const struct zks__machine_type barrier_type = {
    barrier_step, barrier_deadline, barrier_clean, NULL, publish, publish, destroy};
static const struct zks__machine_type party_type = {party_step, party_deadline, party_clean, NULL,
                                                    publish,    publish,        destroy};

static void init_party(struct handle *h, const struct actor *a, const char *path)
{
    char id[16] = "id-";
    char digits[8];
    unsigned n = 0;
    for (unsigned rest = a->plan->id; n == 0 || rest > 0; rest /= 10) {
        digits[n++] = (char)('0' + rest % 10);
    }
    for (unsigned i = 0; i < n; i++) {
        id[3 + i] = digits[n - 1 - i];
    }
    zks__double_barrier_init(&h->party, path, id, a->plan->n, &h->stem, h->data, strlen(h->data));
}

static void new_handle(struct actor *a)
{
    struct handle *h = memory_get(sizeof *h);
    const char *path = paths[a->plan->thing];
    const struct zks__machine_type *type = &rwlock_type;
    unsigned char random[ZKS__STEM_LEN / 2];
    for (size_t i = 0; i < sizeof random; i++) {
        random[i] = (unsigned char)chance_next(&a->chance);
    }
    zks__stem_init(&h->stem, random);
    memcpy(a->stems[a->n_handles++ % 4], h->stem.hex, sizeof h->stem.hex);
    memcpy(h->data, "an actor", 9);
    h->actor = a;
    switch (a->thing->kind) {
    case THING_RWLOCK:
        zks__rwlock_init(&h->rwlock, path, &h->stem, h->data, strlen(h->data));
        h->rwlock.expiry_is_error = a->plan->strict;
        if (a->thing->reset > 0) {
            h->rwlock.reset_past = a->thing->reset;
        }
        break;
    case THING_BARRIER:
        type = &barrier_type;
        zks__uuid(h->data, &h->stem, 0);
        zks__barrier_init(&h->barrier, path, h->data, strlen(h->data));
        break;
    case THING_DOUBLE:
        type = &party_type;
        init_party(h, a, path);
        break;
    }
    unclean[a->process->number]++;
    h->process = a->process;
    a->handle = h;
    zks__machine_attach(&h->machine, type, a->process->client, path);
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
    sched_after(&a->next,
                (uint64_t)ms * MS + (channel_exploring() ? 0 : chance_below(&a->chance, 50)));
}

static void free_handle(struct actor *a)
{
    struct handle *h = a->handle;
    h->actor = NULL;
    a->freeing = true;
    show(a, SEEN_FREED, 0);
    zks__machine_free(&h->machine);
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
    memset(unclean, 0, sizeof unclean);
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
    unclean[p->number] = 0;
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

bool actor_busy(unsigned actor)
{
    return actors[actor].alive && actors[actor].busy;
}

static uint64_t hash_handle(const struct handle *h, enum thing_kind kind, uint64_t hash)
{
    switch (kind) {
    case THING_RWLOCK:
        return fold_bytes(hash, &h->rwlock, sizeof h->rwlock);
    case THING_BARRIER:
        return fold_bytes(hash, &h->barrier, sizeof h->barrier);
    default:
        return fold_bytes(hash, &h->party, sizeof h->party);
    }
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
            hash = hash_handle(a->handle, a->thing->kind, hash);
        }
    }
    for (unsigned i = 0; i < plan->n_processes; i++) {
        hash = fold(hash, unclean[i]);
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
        if (unclean[i] > 0) {
            return false;
        }
    }
    return true;
}

const char *actor_state(unsigned actor)
{
    const struct actor *a = &actors[actor];
    if (a->handle == NULL) {
        return "gone";
    }
    switch (a->thing->kind) {
    case THING_RWLOCK:
        return zks__rwlock_state_name(a->handle->rwlock.state);
    case THING_BARRIER:
        return zks__barrier_state_name(a->handle->barrier.state);
    default:
        return zks__double_barrier_state_name(a->handle->party.state);
    }
}
