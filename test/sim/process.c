/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"
#include "channel.h"
#include "driver/client.h"
#include "driver/clock.h"
#include "memory.h"
#include "observe.h"

static struct process *current;

/* ---- The clock of the process that runs: in the place of the driver's clock.c ---- */

static uint64_t skip_to_ms; /* While a wait is cut short: what the clock is to show at least. */

/* What has passed on the process's clock since the beginning, when so much has passed in truth. */
static int64_t shown(const struct process *p, int64_t us)
{
    return us + us * p->style.clock_ppm / 1000000;
}

static uint64_t process_ms(const struct process *p)
{
    return (p->style.clock_from + (uint64_t)shown(p, (int64_t)sched_now())) / MS;
}

uint64_t process_at(const struct process *p, uint64_t ms)
{
    if (ms >= UINT64_MAX / MS) {
        return NEVER;
    }
    int64_t wanted = (int64_t)(ms * MS) - (int64_t)p->style.clock_from;
    if (wanted <= 0) {
        return 0;
    }
    int64_t at = wanted - wanted * p->style.clock_ppm / (1000000 + p->style.clock_ppm);
    while (at > 0 && shown(p, at - 1) >= wanted) {
        at--;
    }
    while (shown(p, at) < wanted) {
        at++;
    }
    return (uint64_t)at;
}

uint64_t zks__now_ms(void)
{
    uint64_t ms = process_ms(current);
    return ms > skip_to_ms ? ms : skip_to_ms;
}

void zks__cond_init(pthread_cond_t *cond)
{
    pthread_cond_init(cond, NULL);
}

/* ---- Threads that the driver starts: each runs when the world lets it ---- */

struct thread {
    struct happening happening;
    struct process *process;
    void *(*run)(void *arg);
    void *arg;
    uint64_t wait_until_ms; /* Of the wait that it could not end, 0 for none. */
    jmp_buf again;
};

static struct thread *running;
static bool starts_driver;

int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);

/* What waits for a condition comes back later and begins anew; past its limit the wait is over. */
void zks__cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ms)
{
    (void)cond;
    if (running == NULL) {
        abort(); /* Only the thread that closes a handle waits here. */
    }
    if (running->wait_until_ms == 0) {
        running->wait_until_ms = until_ms;
    }
    if (zks__now_ms() >= running->wait_until_ms) {
        skip_to_ms = until_ms;
        return;
    }
    pthread_mutex_unlock(lock);
    longjmp(running->again, 1);
}

static void run_thread(struct happening *h)
{
    struct thread *t = (struct thread *)h;
    struct process *p = t->process;
    if (!p->alive) {
        return;
    }
    if (p->paused_until > sched_now()) {
        sched_at(h, p->paused_until);
        return;
    }
    process_enter(p);
    running = t;
    if (setjmp(t->again) == 0) {
        t->run(t->arg);
    } else {
        sched_after(h, 5 * MS);
    }
    running = NULL;
    skip_to_ms = 0;
    process_leave(p);
    process_wake(p);
}

bool zks__threads_spare(void)
{
    return true;
}

int zks__thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
    memset(thread, 0, sizeof *thread);
    if (starts_driver) {
        return 0; /* Its turns are taken by process_turn(). */
    }
    struct thread *t = memory_get(sizeof *t);
    t->happening.fire = run_thread;
    t->process = current;
    t->run = run;
    t->arg = arg;
    sched_after(&t->happening, channel_exploring() ? 0 : chance_below(&current->chance, 3 * MS));
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    (void)thread;
    (void)result;
    return 0;
}

/* ---- The process ---- */

struct process *process_current(void)
{
    return current;
}

void process_enter(struct process *p)
{
    current = p;
    memory_library(true);
}

void process_leave(struct process *p)
{
    memory_library(false);
    observe_lease(p);
    observe_owned(p);
    current = NULL;
}

bool process_step(struct process *p)
{
    p->steps++;
    if (p->stepped != NULL) {
        p->stepped(p);
    }
    return p->alive;
}

/* What has come up during a turn waits for no clock. */
static bool has_work(const struct zks_client *c)
{
    return c->first_message != NULL || c->first_op != NULL || c->freed != NULL || c->canceling ||
           c->roused;
}

static void take_turn(struct process *p)
{
    process_enter(p);
    zks__client_turn(p->client, false);
    uint64_t next_ms = zks__client_next_time(p->client);
    process_leave(p);
    observe_turn(p);
    uint64_t at = process_at(p, next_ms);
    if (has_work(p->client)) {
        at = sched_now();
    } else if (at <= sched_now()) {
        at = process_at(p, process_ms(p) + 1);
    }
    sched_at(&p->turn, at);
}

static void turn(struct happening *h)
{
    struct process *p = (struct process *)(void *)((char *)h - offsetof(struct process, turn));
    if (p->paused_until > sched_now()) {
        sched_at(h, p->paused_until);
    } else if (process_step(p)) {
        take_turn(p);
    }
}

/* A blocking call of the library's: the driver's thread goes on meanwhile. */
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
    struct process *p = current;
    (void)cond;
    pthread_mutex_unlock(lock);
    take_turn(p);
    process_enter(p);
    pthread_mutex_lock(lock);
    return 0;
}

void process_wake(struct process *p)
{
    if (!p->alive) {
        return;
    }
    uint64_t at = sched_now();
    if (p->style.laggard > 0 && chance_one_in(&p->chance, 16)) {
        at += chance_below(&p->chance, p->style.laggard + 1);
    }
    if (!sched_planned(&p->turn) || p->turn.timer.at_ms > at) {
        sched_at(&p->turn, at);
    }
}

void process_told(struct process *p)
{
    if (p->alive && p->client->first_message != NULL) {
        process_wake(p);
    }
}

static void on_state(zks_client *client, enum zks_client_state state, void *arg)
{
    (void)client;
    observe_state(arg, state);
}

void process_begin(struct process *p, int number, const struct process_style *style,
                   struct chance chance)
{
    static const zks_client_options defaults = ZKS_CLIENT_OPTIONS_INIT;
    memset(p, 0, sizeof *p);
    p->number = number;
    p->style = *style;
    p->chance = chance;
    p->alive = true;
    p->turn.fire = turn;
    struct zks_client *c = memory_get(sizeof *c);
    p->client = c;
    c->pid = getpid();
    c->event_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    zks__cond_init(&c->work);
    zks__cond_init(&c->changed);
    c->options = defaults;
    c->options.servers = c->servers = memory_get(1);
    c->options.session_timeout_ms = style->timeout_ms;
    c->options.max_session_bytes = ZKS_SESSION_BYTES;
    c->options.listener = on_state;
    c->options.listener_arg = p;
    c->description = memory_get(1);
    memcpy(c->beat_name, "beat", 5);
    starts_driver = true;
    zks__client_start(c);
    starts_driver = false;
    process_wake(p);
}

void process_kill(struct process *p)
{
    if (p->alive) {
        p->alive = false;
        observe_death(p);
        sched_at(&p->turn, NEVER);
        client_drop_all(p);
    }
}

void process_pause(struct process *p, uint64_t us)
{
    uint64_t until = sched_now() + us;
    if (p->alive && until > p->paused_until) {
        p->paused_until = until;
        client_hold(p);
    }
}
