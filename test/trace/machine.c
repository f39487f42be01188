/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "core/barrier.h"
#include "core/double_barrier.h"
#include "core/rwlock.h"
#include "trace.h"

enum kind { RWLOCK, BARRIER, DOUBLE_BARRIER };

struct trace_machine {
    enum kind kind;
    union {
        struct zks__rwlock rwlock;
        struct zks__barrier barrier;
        struct zks__double_barrier db;
    };
};

static const struct zks__stem stem = {"000102030405060708090a0b"};
static const char data[] = "us";

static const struct {
    enum kind kind;
    const char *word;
    int what;
} requests[] = {
    {RWLOCK, "rdlock", ZKS__RWLOCK_RDLOCK},
    {RWLOCK, "wrlock", ZKS__RWLOCK_WRLOCK},
    {RWLOCK, "unlock", ZKS__RWLOCK_UNLOCK},
    {RWLOCK, "downgrade", ZKS__RWLOCK_DOWNGRADE},
    {BARRIER, "set", ZKS__BARRIER_SET},
    {BARRIER, "unset", ZKS__BARRIER_UNSET},
    {BARRIER, "wait", ZKS__BARRIER_WAIT},
    {DOUBLE_BARRIER, "enter", ZKS__DOUBLE_BARRIER_ENTER},
    {DOUBLE_BARRIER, "leave", ZKS__DOUBLE_BARRIER_LEAVE},
};

/* One machine at a time: the programs that step them are small. */
static struct trace_machine machine;

struct trace_machine *trace_machine_new(const char *kind)
{
    if (strcmp(kind, "rwlock") == 0) {
        machine.kind = RWLOCK;
        zks__rwlock_init(&machine.rwlock, "/x", &stem, data, strlen(data));
    } else if (strcmp(kind, "barrier") == 0) {
        machine.kind = BARRIER;
        zks__barrier_init(&machine.barrier, "/x", data, strlen(data));
    } else if (strcmp(kind, "double_barrier") == 0) {
        machine.kind = DOUBLE_BARRIER;
        zks__double_barrier_init(&machine.db, "/x", "us", 2, &stem, data, strlen(data));
    } else {
        return NULL;
    }
    return &machine;
}

bool trace_machine_set(struct trace_machine *t, const char *key, const char *value)
{
    if (t->kind == RWLOCK && strcmp(key, "expiry_is_error") == 0) {
        t->rwlock.expiry_is_error = atoi(value) != 0;
        return true;
    }
    if (t->kind == RWLOCK && strcmp(key, "ticket") == 0) {
        t->rwlock.ticket = (uint32_t)strtoul(value, NULL, 10);
        return true;
    }
    if (t->kind == DOUBLE_BARRIER && strcmp(key, "n") == 0) {
        zks__double_barrier_init(&t->db, "/x", "us", (uint32_t)atoi(value), &stem, data,
                                 strlen(data));
        return true;
    }
    return false;
}

int trace_machine_what(const struct trace_machine *t, const char *word)
{
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        if (requests[i].kind == t->kind && strcmp(requests[i].word, word) == 0) {
            return requests[i].what;
        }
    }
    return -1;
}

void trace_machine_step(struct trace_machine *t, const struct zks__in *in, struct zks__out *out)
{
    switch (t->kind) {
    case RWLOCK:
        zks__rwlock_step(&t->rwlock, in, out);
        break;
    case BARRIER:
        zks__barrier_step(&t->barrier, in, out);
        break;
    case DOUBLE_BARRIER:
        zks__double_barrier_step(&t->db, in, out);
        break;
    }
}

uint64_t trace_machine_deadline(const struct trace_machine *t)
{
    switch (t->kind) {
    case RWLOCK:
        return zks__rwlock_deadline(&t->rwlock);
    case BARRIER:
        return zks__barrier_deadline(&t->barrier);
    case DOUBLE_BARRIER:
        return zks__double_barrier_deadline(&t->db);
    }
    return 0;
}

bool trace_machine_spins(const struct trace_machine *t, const struct zks__in *in)
{
    struct trace_machine copy = *t;
    struct zks__in tick = *in;
    tick.kind = ZKS__IN_TICK;
    for (int i = 0; i < 3 && trace_machine_deadline(&copy) <= in->now_ms; i++) {
        struct zks__out out;
        trace_machine_step(&copy, &tick, &out);
    }
    return trace_machine_deadline(&copy) <= in->now_ms;
}

static void print_rwlock(const struct zks__rwlock *m, FILE *to)
{
    fputs(zks__rwlock_state_name(m->state), to);
    if (zks__rwlock_holds(m)) {
        fprintf(to, " %s token=%llu", m->mode == ZKS__WRITE ? "write" : "read",
                (unsigned long long)m->token);
    }
    if (m->state == ZKS__RWLOCK_WAITING && zks__rwlock_needs(m) == ZKS__NEEDS_NO_LEASE) {
        fputs(" far", to);
    }
    if (m->state == ZKS__RWLOCK_WAITING && m->holder[0] != '\0') {
        fprintf(to, " holder=%s", m->holder);
    }
    fputs(zks__rwlock_clean(m) ? " clean" : "", to);
    fputs(m->litter.dirty ? " dirty" : "", to);
}

void trace_machine_print(const struct trace_machine *t, FILE *to)
{
    switch (t->kind) {
    case RWLOCK:
        print_rwlock(&t->rwlock, to);
        break;
    case BARRIER:
        fputs(zks__barrier_state_name(t->barrier.state), to);
        break;
    case DOUBLE_BARRIER:
        fputs(zks__double_barrier_state_name(t->db.state), to);
        fputs(t->db.lost ? " lost" : "", to);
        fputs(zks__double_barrier_clean(&t->db) ? " clean" : "", to);
        fputs(t->db.litter.dirty ? " dirty" : "", to);
        break;
    }
    uint64_t wake = trace_machine_deadline(t);
    if (wake != ZKS__NEVER) {
        fprintf(to, " wake=%llu", (unsigned long long)wake);
    }
}
