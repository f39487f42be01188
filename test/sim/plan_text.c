/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as text: one item a line, a word and numbers. */
#include <inttypes.h>
#include <string.h>

#include "plan.h"

static const char *const whats[WHATS] = {"rdlock", "wrlock", "unlock", "downgrade", "set",
                                         "unset",  "wait",   "enter",  "leave"};
static const char *const faults[FAULTS] = {
    "cut",   "stall", "pause",  "kill", "restart", "expire",  "cancel", "abandon",
    "nomem", "crash", "freeze", "lag",  "part",    "foreign", "ahead",  "refuse"};
static const char *const things[] = {"rwlock", "barrier", "double"};

const char *what_name(enum what what)
{
    return whats[what];
}

bool what_is_lock(int what)
{
    return what == DO_RDLOCK || what == DO_WRLOCK;
}

const char *fault_name(enum fault fault)
{
    return faults[fault];
}

static int find(const char *const *words, int n, const char *word)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

void plan_write(const struct plan *p, FILE *to)
{
    fprintf(to, "seed %" PRIu64 "\n", p->seed);
    fprintf(to, "servers %u tick %u sync %u link %u inside %u disk %u carry %u apart %u\n",
            p->n_servers, p->tick_ms, p->sync_ticks, p->link, p->inside, p->disk, p->carry,
            p->apart_ppm);
    fprintf(to, "timeout %u heal %u\n", p->timeout_ms, p->heal_ms);
    for (unsigned i = 0; i < p->n_things; i++) {
        const struct plan_thing *t = &p->things[i];
        fprintf(to, "thing %s n %u reset %d home %d\n", things[t->kind], t->n, t->reset, t->home);
    }
    for (unsigned i = 0; i < p->n_processes; i++) {
        const struct plan_process *q = &p->processes[i];
        fprintf(to,
                "process ppm %" PRId64 " delay %" PRIu64 " lag %" PRIu64 " tricks %u far %" PRIu64
                "\n",
                q->ppm, q->delay, q->lag, q->tricks, q->far);
    }
    for (unsigned i = 0; i < p->n_actors; i++) {
        const struct plan_actor *a = &p->actors[i];
        fprintf(to, "actor %u thing %u id %u n %u strict %d\n", a->process, a->thing, a->id, a->n,
                a->strict);
        for (unsigned j = 0; j < a->n_steps; j++) {
            const struct plan_step *s = &a->steps[j];
            fprintf(to, "  step %s wait %d cancel %d rest %d\n", whats[s->what], s->wait_ms,
                    s->cancel_ms, s->rest_ms);
        }
    }
    for (unsigned i = 0; i < p->n_faults; i++) {
        const struct plan_fault *f = &p->faults[i];
        fprintf(to, "fault %s %u ms %u more %u %s %u of %u\n", faults[f->fault], f->target, f->ms,
                f->more, f->by_step ? "step" : "at", f->when, f->of);
    }
}

static bool read_thing(struct plan *p, const char *line)
{
    struct plan_thing *t = &p->things[p->n_things];
    char word[16];
    int home;
    if (p->n_things == THINGS_MAX ||
        sscanf(line, "thing %15s n %u reset %d home %d", word, &t->n, &t->reset, &home) != 4) {
        return false;
    }
    t->home = home != 0;
    int kind = find(things, 3, word);
    t->kind = (enum thing_kind)kind;
    p->n_things++;
    return kind >= 0;
}

static bool read_process(struct plan *p, const char *line)
{
    struct plan_process *q = &p->processes[p->n_processes];
    return p->n_processes < PROCESSES_MAX &&
           sscanf(line,
                  "process ppm %" SCNd64 " delay %" SCNu64 " lag %" SCNu64
                  " tricks %u far %" SCNu64,
                  &q->ppm, &q->delay, &q->lag, &q->tricks, &q->far) == 5 &&
           ++p->n_processes;
}

static bool read_actor(struct plan *p, const char *line)
{
    struct plan_actor *a = &p->actors[p->n_actors];
    int strict;
    if (p->n_actors == ACTORS_MAX || sscanf(line, "actor %u thing %u id %u n %u strict %d",
                                            &a->process, &a->thing, &a->id, &a->n, &strict) != 5) {
        return false;
    }
    a->strict = strict != 0;
    p->n_actors++;
    return a->process < p->n_processes && a->thing < p->n_things;
}

static bool read_step(struct plan *p, const char *line)
{
    struct plan_actor *a = p->n_actors > 0 ? &p->actors[p->n_actors - 1] : NULL;
    char word[16];
    if (a == NULL || a->n_steps == STEPS_MAX) {
        return false;
    }
    struct plan_step *s = &a->steps[a->n_steps];
    if (sscanf(line, " step %15s wait %d cancel %d rest %d", word, &s->wait_ms, &s->cancel_ms,
               &s->rest_ms) != 4) {
        return false;
    }
    int what = find(whats, WHATS, word);
    s->what = (enum what)what;
    a->n_steps++;
    return what >= 0;
}

static bool read_fault(struct plan *p, const char *line)
{
    struct plan_fault *f = &p->faults[p->n_faults];
    char word[16];
    char when[8];
    if (p->n_faults == FAULTS_MAX ||
        sscanf(line, "fault %15s %u ms %u more %u %7s %u of %u", word, &f->target, &f->ms, &f->more,
               when, &f->when, &f->of) != 7) {
        return false;
    }
    int fault = find(faults, FAULTS, word);
    f->fault = (enum fault)fault;
    f->by_step = strcmp(when, "step") == 0;
    p->n_faults++;
    return fault >= 0;
}

static bool read_line(struct plan *p, const char *line)
{
    char word[16];
    if (sscanf(line, "%15s", word) != 1 || word[0] == '#') {
        return true;
    }
    if (strcmp(word, "seed") == 0) {
        return sscanf(line, "seed %" SCNu64, &p->seed) == 1;
    }
    if (strcmp(word, "servers") == 0) {
        return sscanf(line,
                      "servers %u tick %u sync %u link %u inside %u disk %u carry %u apart %u",
                      &p->n_servers, &p->tick_ms, &p->sync_ticks, &p->link, &p->inside, &p->disk,
                      &p->carry, &p->apart_ppm) == 8;
    }
    if (strcmp(word, "timeout") == 0) {
        return sscanf(line, "timeout %u heal %u", &p->timeout_ms, &p->heal_ms) == 2;
    }
    return strcmp(word, "thing") == 0     ? read_thing(p, line)
           : strcmp(word, "process") == 0 ? read_process(p, line)
           : strcmp(word, "actor") == 0   ? read_actor(p, line)
           : strcmp(word, "step") == 0    ? read_step(p, line)
           : strcmp(word, "fault") == 0   ? read_fault(p, line)
                                          : false;
}

bool plan_read(struct plan *p, FILE *from)
{
    char line[256];
    memset(p, 0, sizeof *p);
    while (fgets(line, sizeof line, from) != NULL) {
        if (!read_line(p, line)) {
            fprintf(stderr, "sim: this is no line of a plan: %s", line);
            return false;
        }
    }
    if (p->n_servers == 0 || p->n_things == 0 || p->n_processes == 0 || p->timeout_ms == 0) {
        fprintf(stderr, "sim: the plan lacks servers, a timeout, things or processes\n");
        return false;
    }
    return true;
}
