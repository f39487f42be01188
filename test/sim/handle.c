/* SPDX-License-Identifier: Apache-2.0 */
#include "handle.h"

#include <stdio.h>
#include <string.h>

#include "fold.h"
#include "memory.h"

static unsigned unclean[PROCESSES_MAX];

/* ---- What drives them ---- */

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    zks__rwlock_step(&((struct handle *)m)->rwlock, in, out);
}

static uint64_t deadline(const struct zks__machine *m)
{
    return zks__rwlock_deadline(&((const struct handle *)m)->rwlock);
}

static bool clean(const struct zks__machine *m)
{
    return zks__rwlock_clean(&((const struct handle *)m)->rwlock);
}

static enum zks__needs needs(const struct zks__machine *m)
{
    return zks__rwlock_needs(&((const struct handle *)m)->rwlock);
}

static bool watches(const struct zks__machine *m, const char *name)
{
    return zks__rwlock_watches(&((const struct handle *)m)->rwlock, name);
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

static bool barrier_watches(const struct zks__machine *m, const char *name)
{
    return zks__barrier_watches(&((const struct handle *)m)->barrier, name);
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

static bool party_watches(const struct zks__machine *m, const char *name)
{
    return zks__double_barrier_watches(&((const struct handle *)m)->party, name);
}

static void publish(struct zks__machine *m)
{
    (void)m;
}

static void lost(struct zks__machine *m)
{
    struct handle *h = (struct handle *)m;
    if (h->lost != NULL) {
        h->lost(h->arg);
    }
}

static void destroy(struct zks__machine *m)
{
    struct handle *h = (struct handle *)m;
    unclean[h->process->number]--;
}

static bool own(const struct zks__machine *m, struct zks__owned *owned)
{
    return zks__rwlock_own(&((const struct handle *)m)->rwlock, owned);
}

static bool party_own(const struct zks__machine *m, struct zks__owned *owned)
{
    return zks__double_barrier_own(&((const struct handle *)m)->party, owned);
}

static const struct zks__machine_type rwlock_type = {step,    deadline, clean,   needs, watches,
                                                     publish, lost,     destroy, own,   false};
static const struct zks__machine_type barrier_type = {
    barrier_step, barrier_deadline, barrier_clean, NULL, barrier_watches,
    publish,      publish,          destroy,       NULL, true};
static const struct zks__machine_type party_type = {
    party_step, party_deadline, party_clean, NULL,      party_watches,
    publish,    publish,        destroy,     party_own, false};

/* ---- Handles ---- */

void handles_begin(void)
{
    memset(unclean, 0, sizeof unclean);
}

void handles_die(const struct process *p)
{
    unclean[p->number] = 0;
}

unsigned handles_unclean(unsigned process)
{
    return unclean[process];
}

static const struct zks__machine_type *init(struct handle *h, const struct plan_thing *thing,
                                            const struct plan_actor *actor, const char *path)
{
    char id[16];
    switch (thing->kind) {
    case THING_RWLOCK:
        zks__rwlock_init(&h->rwlock, path, &h->stem, h->data, strlen(h->data));
        h->rwlock.expiry_is_error = actor->strict;
        if (thing->reset > 0) {
            h->rwlock.reset_past = thing->reset;
        }
        return &rwlock_type;
    case THING_BARRIER:
        zks__uuid(h->data, &h->stem, 0);
        zks__barrier_init(&h->barrier, path, h->data, strlen(h->data));
        return &barrier_type;
    default:
        snprintf(id, sizeof id, "id-%u", actor->id);
        zks__double_barrier_init(&h->party, path, id, actor->n, &h->stem, h->data, strlen(h->data));
        return &party_type;
    }
}

struct handle *handle_new(struct process *p, const struct plan_thing *thing,
                          const struct plan_actor *actor, const char *path, struct chance *chance,
                          void (*on_loss)(void *arg), void *arg)
{
    struct handle *h = memory_get(sizeof *h);
    unsigned char random[ZKS__STEM_LEN / 2];
    for (size_t i = 0; i < sizeof random; i++) {
        random[i] = (unsigned char)chance_next(chance);
    }
    zks__stem_init(&h->stem, random);
    memcpy(h->data, "an actor", 9);
    h->kind = thing->kind;
    h->process = p;
    h->lost = on_loss;
    h->arg = arg;
    unclean[p->number]++;
    zks__machine_attach(&h->machine, init(h, thing, actor, path), p->client, path);
    return h;
}

void handle_free(struct handle *h)
{
    h->lost = NULL;
    zks__machine_free(&h->machine);
}

const char *handle_state(const struct handle *h)
{
    switch (h->kind) {
    case THING_RWLOCK:
        return zks__rwlock_state_name(h->rwlock.state);
    case THING_BARRIER:
        return zks__barrier_state_name(h->barrier.state);
    default:
        return zks__double_barrier_state_name(h->party.state);
    }
}

uint64_t handle_hash(const struct handle *h, uint64_t hash)
{
    switch (h->kind) {
    case THING_RWLOCK:
        return fold_bytes(hash, &h->rwlock, sizeof h->rwlock);
    case THING_BARRIER:
        return fold_bytes(hash, &h->barrier, sizeof h->barrier);
    default:
        return fold_bytes(hash, &h->party, sizeof h->party);
    }
}
