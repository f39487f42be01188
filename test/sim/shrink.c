/* SPDX-License-Identifier: Apache-2.0 */
#include "shrink.h"

#include <string.h>

#include "history.h"

static char checker[32];
static unsigned tries;

static bool still_fails(const struct plan *p)
{
    struct history_result r;
    tries++;
    history_run(p, NULL, &r);
    return r.failed && strcmp(r.checker, checker) == 0;
}

/* Takes the smaller plan if it fails too. */
static bool accept(struct plan *p, const struct plan *smaller)
{
    if (memcmp(p, smaller, sizeof *p) == 0 || !still_fails(smaller)) {
        return false;
    }
    *p = *smaller;
    return true;
}

static bool drop_faults(struct plan *p)
{
    bool any = false;
    for (unsigned i = p->n_faults; i-- > 0;) {
        struct plan q = *p;
        memmove(&q.faults[i], &q.faults[i + 1], (q.n_faults - i - 1) * sizeof q.faults[0]);
        memset(&q.faults[--q.n_faults], 0, sizeof q.faults[0]);
        any |= accept(p, &q);
    }
    return any;
}

/* Faults that name an actor behind it name another one then. */
static bool drop_actors(struct plan *p)
{
    bool any = false;
    for (unsigned i = p->n_actors; i-- > 0;) {
        struct plan q = *p;
        memmove(&q.actors[i], &q.actors[i + 1], (q.n_actors - i - 1) * sizeof q.actors[0]);
        memset(&q.actors[--q.n_actors], 0, sizeof q.actors[0]);
        for (unsigned j = 0; j < q.n_faults; j++) {
            struct plan_fault *f = &q.faults[j];
            bool of_actor = f->fault == FAULT_CANCEL || f->fault == FAULT_ABANDON;
            f->target -= of_actor && f->target > i;
        }
        any |= accept(p, &q);
    }
    return any;
}

static bool drop_steps(struct plan *p)
{
    bool any = false;
    for (unsigned i = 0; i < p->n_actors; i++) {
        for (unsigned j = p->actors[i].n_steps; j-- > 0;) {
            struct plan q = *p;
            struct plan_actor *a = &q.actors[i];
            memmove(&a->steps[j], &a->steps[j + 1], (a->n_steps - j - 1) * sizeof a->steps[0]);
            memset(&a->steps[--a->n_steps], 0, sizeof a->steps[0]);
            any |= accept(p, &q);
        }
    }
    return any;
}

static bool is_used(const struct plan *p, unsigned process)
{
    bool used = false;
    for (unsigned i = 0; i < p->n_actors; i++) {
        used |= p->actors[i].process == process;
    }
    for (unsigned i = 0; i < p->n_faults; i++) {
        used |=
            p->faults[i].target == process || (p->faults[i].by_step && p->faults[i].of == process);
    }
    return used;
}

static bool drop_processes(struct plan *p)
{
    bool any = false;
    while (p->n_processes > 1 && !is_used(p, p->n_processes - 1)) {
        struct plan q = *p;
        memset(&q.processes[--q.n_processes], 0, sizeof q.processes[0]);
        if (!accept(p, &q)) {
            break;
        }
        any = true;
    }
    return any;
}

static bool try_u32(struct plan *p, uint32_t *at, uint32_t value)
{
    struct plan q = *p;
    *(uint32_t *)(void *)((char *)&q + ((char *)at - (char *)p)) = value;
    return accept(p, &q);
}

static bool try_i32(struct plan *p, int32_t *at, int32_t value)
{
    struct plan q = *p;
    *(int32_t *)(void *)((char *)&q + ((char *)at - (char *)p)) = value;
    return accept(p, &q);
}

static bool simplify_steps(struct plan *p)
{
    bool any = false;
    for (unsigned i = 0; i < p->n_actors; i++) {
        for (unsigned j = 0; j < p->actors[i].n_steps; j++) {
            struct plan_step *s = &p->actors[i].steps[j];
            any |= s->cancel_ms >= 0 && try_i32(p, &s->cancel_ms, -1);
            any |= s->wait_ms >= 0 && try_i32(p, &s->wait_ms, -1);
            any |= s->rest_ms > 0 && try_i32(p, &s->rest_ms, 0);
        }
    }
    return any;
}

static bool simplify_world(struct plan *p)
{
    bool any = false;
    for (unsigned i = 0; i < p->n_processes; i++) {
        struct plan q = *p;
        q.processes[i] =
            (struct plan_process){.delay = q.processes[i].delay, .far = q.processes[i].far};
        any |= accept(p, &q);
        q = *p;
        q.processes[i].delay = 0;
        any |= accept(p, &q);
        q = *p;
        q.processes[i].far = 0;
        any |= accept(p, &q);
    }
    any |= p->link > 0 && try_u32(p, &p->link, 0);
    any |= p->inside > 0 && try_u32(p, &p->inside, 0);
    any |= p->disk > 0 && try_u32(p, &p->disk, 0);
    any |= p->carry > 0 && try_u32(p, &p->carry, 0);
    any |= p->apart_ppm > 0 && try_u32(p, &p->apart_ppm, 0);
    any |= p->n_servers > 3 && try_u32(p, &p->n_servers, 3);
    return any;
}

unsigned shrink(struct plan *p)
{
    struct history_result r;
    tries = 0;
    history_run(p, NULL, &r);
    if (!r.failed) {
        return 0;
    }
    memcpy(checker, r.checker, sizeof checker);
    bool any = true;
    while (any && tries < 20000) {
        any = drop_faults(p);
        any |= drop_actors(p);
        any |= drop_steps(p);
        any |= drop_processes(p);
        any |= simplify_steps(p);
        any |= simplify_world(p);
    }
    return tries;
}
