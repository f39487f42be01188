/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include <string.h>

#include "actor.h"
#include "check.h"
#include "ensemble.h"
#include "memory.h"
#include "observe.h"
#include "process.h"
#include "refusal.h"
#include "stranger.h"

enum { TIMEOUTS_TO_END = 40, STEPS_TO_END = 3000000 };

static const struct plan *plan;
static struct history_result *result;
static struct process processes[PROCESSES_MAX];
static unsigned lives[PROCESSES_MAX];
static struct fate {
    struct happening happening;
    const struct plan_fault *fault;
    bool done;
} fates[FAULTS_MAX];
static struct happening healing; /* From then on nothing befalls anybody. */
static bool healed;

static uint64_t begun_at;

static uint64_t heal_at(void)
{
    return begun_at + (uint64_t)plan->heal_ms * MS;
}

/* ---- Faults ---- */

static void stepped(struct process *p);

static void start_process(unsigned i)
{
    const struct plan_process *q = &plan->processes[i];
    const struct process_style style = {.n_servers = plan->n_servers,
                                        .timeout_ms = plan->timeout_ms,
                                        .clock_ppm = q->ppm,
                                        .clock_from = (uint64_t)(i + 1) * 1000003,
                                        .least = q->far,
                                        .longest = q->delay,
                                        .laggard = q->lag,
                                        .tricks = q->tricks};
    uint64_t steps = processes[i].steps;
    process_begin(&processes[i], (int)i, &style, chance_of(plan->seed, 100 + i + 64 * lives[i]++));
    processes[i].stepped = stepped;
    processes[i].steps = steps;
    actors_start(&processes[i]);
}

static void kill_process(struct process *p)
{
    if (p->alive) {
        process_kill(p);
        actors_die(p);
    }
}

/* No client can know that somebody else ends its session, before it is told. */
static void end_session(const struct process *p)
{
    if (client_session(p) == 0) {
        return;
    }
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if (plan->actors[i].process == (unsigned)p->number) {
            observe(&(struct seen){.kind = SEEN_BROKEN,
                                   .process = p->number,
                                   .actor = (int)i,
                                   .thing = (int)plan->actors[i].thing});
        }
    }
    ensemble_close_session(client_session(p));
}

static void befall_process(const struct plan_fault *f, struct process *p, uint64_t us)
{
    switch (f->fault) {
    case FAULT_CUT:
        client_cut(p, f->more != 0);
        break;
    case FAULT_AHEAD:
        client_ahead(p);
        break;
    case FAULT_STALL:
        client_stall(p, us);
        break;
    case FAULT_PAUSE:
        process_pause(p, us);
        break;
    case FAULT_KILL:
        kill_process(p);
        break;
    case FAULT_RESTART:
        if (!p->alive) {
            start_process(f->target);
        }
        break;
    default:
        end_session(p);
        break;
    }
}

void history_befall(const struct plan_fault *f)
{
    uint64_t us = (uint64_t)f->ms * MS;
    if (healed || sched_now() >= heal_at()) {
        return;
    }
    us = us < heal_at() - sched_now() ? us : heal_at() - sched_now();
    observe_note("fault: %s %u for %lu ms", fault_name(f->fault), f->target,
                 (unsigned long)(us / MS));
    result->faults[f->fault]++;
    switch (f->fault) {
    case FAULT_CANCEL:
        actor_cancel(f->target);
        break;
    case FAULT_ABANDON:
        actor_abandon(f->target);
        break;
    case FAULT_NOMEM:
        memory_fail(f->target);
        break;
    case FAULT_CRASH:
        ensemble_crash(f->target % plan->n_servers, us);
        break;
    case FAULT_FREEZE:
        ensemble_pause(f->target % plan->n_servers, us);
        break;
    case FAULT_LAG:
        ensemble_lag(f->target, us);
        break;
    case FAULT_PART:
        ensemble_part(f->target, us);
        break;
    case FAULT_REFUSE:
        refusals_start(f->target % plan->n_processes, f->more, us);
        break;
    case FAULT_FOREIGN:
        stranger_comes(plan, f->target % plan->n_things, (enum mischief)(f->more % MISCHIEFS), us);
        break;
    default:
        if (f->target < plan->n_processes) {
            befall_process(f, &processes[f->target], us);
        }
        break;
    }
}

static void befall(struct fate *fate)
{
    fate->done = true;
    sched_at(&fate->happening, NEVER);
    history_befall(fate->fault);
}

static void fate_due(struct happening *h)
{
    befall((struct fate *)h);
}

/* Those faults that come at a certain step of a process. */
static void stepped(struct process *p)
{
    for (unsigned i = 0; i < plan->n_faults; i++) {
        const struct plan_fault *f = &plan->faults[i];
        if (f->by_step && f->of == (unsigned)p->number && !fates[i].done && f->when <= p->steps) {
            befall(&fates[i]);
        }
    }
}

static void plan_faults(void)
{
    for (unsigned i = 0; i < plan->n_faults; i++) {
        fates[i] = (struct fate){.fault = &plan->faults[i]};
        fates[i].happening.fire = fate_due;
        if (!plan->faults[i].by_step) {
            sched_at(&fates[i].happening, begun_at + (uint64_t)plan->faults[i].when * MS);
        }
    }
}

static bool is_needed(unsigned process)
{
    for (unsigned i = 0; i < plan->n_actors; i++) {
        if (plan->actors[i].process == process && plan_regular(plan, i)) {
            return true;
        }
    }
    return false;
}

void history_heal(void)
{
    sched_at(&healing, NEVER);
    healed = true;
    memory_fail(0);
    observe(&(struct seen){.kind = SEEN_HEALED, .actor = -1});
    refusals_end();
    ensemble_heal();
    strangers_go();
    strangers_lift(plan);
    for (unsigned i = 0; i < plan->n_processes; i++) {
        if (!processes[i].alive && is_needed(i)) {
            start_process(i);
        }
    }
    actors_heal();
}

static void heal(struct happening *h)
{
    (void)h;
    history_heal();
}

struct process *history_process(unsigned i)
{
    return &processes[i];
}

/* ---- The history ---- */

/* A session that lives, and nobody will end: what is of another one goes by itself. */
static bool is_alive(int64_t session)
{
    for (unsigned i = 0; i < plan->n_processes; i++) {
        if (processes[i].alive && client_session(&processes[i]) == session) {
            return true;
        }
    }
    return false;
}

static void show_left(struct zks__tree *tree, unsigned thing)
{
    static const struct zks__who anybody = {0, {NULL, 0}};
    struct zks__znode_stat stat;
    const struct zks__znode *child;
    if (zks__tree_children(tree, &anybody, actor_path(thing), NULL, &child, &stat) != 0) {
        return;
    }
    for (; child != NULL; child = zks__tree_next_child(child)) {
        const char *name = zks__tree_child_name(child);
        if (zks__tree_exists(tree, &anybody, zks__tree_child_path(child), NULL, &stat) == 0 &&
            (stat.ephemeral_owner == 0 || is_alive(stat.ephemeral_owner))) {
            observe(&(struct seen){.kind = SEEN_LEFT,
                                   .actor = actor_of_node(name),
                                   .thing = (int)thing,
                                   .text = name});
        }
    }
}

static const char *watched(unsigned process)
{
    const struct process *p = &processes[process];
    return p->alive ? client_watched(p) : NULL;
}

static void show_watched(unsigned process)
{
    if (watched(process) != NULL) {
        observe(&(struct seen){
            .kind = SEEN_WATCHED, .process = (int)process, .actor = -1, .text = watched(process)});
    }
}

static bool nothing_watched(void)
{
    unsigned i = 0;
    while (i < plan->n_processes && watched(i) == NULL) {
        i++;
    }
    return i == plan->n_processes;
}

/* Whether it is over: all have left, and the servers have carried out all that was asked for. */
bool history_over(void)
{
    int who;
    return healed && actors_left(&who) && strangers_gone() && ensemble_settled() &&
           nothing_watched();
}

void history_begin(const struct plan *p, FILE *trace, struct history_result *r)
{
    plan = p;
    result = r;
    memset(r, 0, sizeof *r);
    memory_begin();
    sched_begin();
    channels_begin();
    begun_at = sched_now();
    healed = false;
    memset(processes, 0, sizeof processes);
    memset(lives, 0, sizeof lives);
    observe_begin(p, trace);
    strangers_begin(p->seed);
    refusals_begin();
    const struct ensemble_style style = {.n_servers = p->n_servers,
                                         .tick_ms = p->tick_ms,
                                         .sync_ticks = p->sync_ticks,
                                         .longest = p->link,
                                         .inside = p->inside,
                                         .disk = p->disk,
                                         .carry = p->carry,
                                         .clock_apart = p->apart_ppm};
    ensemble_begin(&style, p->seed);
    actors_begin(p, processes);
    for (unsigned i = 0; i < p->n_processes; i++) {
        start_process(i);
    }
    plan_faults();
    healing = (struct happening){.fire = heal};
    sched_at(&healing, heal_at());
}

void history_end(void)
{
    int who = -1;
    bool left = actors_left(&who);
    for (unsigned i = 0; left && i < plan->n_things; i++) {
        show_left(ensemble_tree(), i);
    }
    for (unsigned i = 0; left && i < plan->n_processes; i++) {
        show_watched(i);
    }
    observe(&(struct seen){.kind = SEEN_OVER,
                           .actor = left ? -1 : who,
                           .result = left,
                           .text = who >= 0 ? actor_state((unsigned)who) : ""});
    observe_end();
    const char *by = "";
    const char *failure = check_failure(&by);
    if (failure != NULL) {
        result->failed = true;
        snprintf(result->checker, sizeof result->checker, "%s", by);
        snprintf(result->failure, sizeof result->failure, "%s", failure);
    }
    for (unsigned i = 0; i < plan->n_processes; i++) {
        result->steps += processes[i].steps;
    }
    result->ended_ms = (sched_now() - begun_at) / MS;
    memory_end();
}

void history_abort(void)
{
    memory_end();
}

void history_run(const struct plan *p, FILE *trace, struct history_result *r)
{
    history_begin(p, trace, r);
    uint64_t limit = heal_at() + (uint64_t)TIMEOUTS_TO_END * p->timeout_ms * MS;
    uint64_t steps = 0;
    while (sched_now() < limit && !history_over() && check_failure(NULL) == NULL &&
           ++steps < STEPS_TO_END) {
        sched_step();
    }
    history_end();
}
