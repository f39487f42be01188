/* SPDX-License-Identifier: Apache-2.0 */
/* Trace scripts: one event a line, and indented under it what the machine is to answer.
 *
 *   case NAME                      a fresh machine
 *   given KEY=VALUE                sets it up in another way than usual
 *   at MS | safe MS                the time and the lease from here on; no event
 *   REQUEST [MS|try|forever]       rdlock wrlock unlock downgrade, set unset wait, enter leave
 *   cancel | abandon | connected | suspended | expired
 *   tick [MS]                      the time moves on, to the machine's own deadline where no time
 *                                  is given
 *   watch created|deleted|changed NAME      "." stands for the directory itself
 *   reply TICKET|KIND RC [name= czxid= owner= version= len= data= roster= children= epoch=]
 *
 * A reply's KIND stands for the last operation of that kind.  {1} stands for the uuid of this
 * handle's first attempt, {a} for 32 times that letter. */
#ifndef ZKS_TEST_TRACE_H
#define ZKS_TEST_TRACE_H

#include <stdio.h>

#include "core/step.h"

enum { TRACE_CHILDREN = 64, TRACE_TEXT = 8192 };

/* What all machines of a test have in common. */
struct trace_world {
    struct zks__in in;
    bool pending;                  /* What the machine's user believes. */
    uint32_t last[ZKS__CLOSE + 1]; /* The ticket of the last operation of a kind. */
};

struct trace_machine;

/* trace_machine_new: for "rwlock", "barrier" or "double_barrier"; NULL for another word. */
struct trace_machine *trace_machine_new(const char *kind);

/* trace_machine_set: a set-up of `case`; false where the machine knows no such key. */
bool trace_machine_set(struct trace_machine *t, const char *key, const char *value);

/* trace_machine_what: the number of a request; -1 for one that the machine does not know. */
int trace_machine_what(const struct trace_machine *t, const char *word);

void trace_machine_step(struct trace_machine *t, const struct zks__in *in, struct zks__out *out);

uint64_t trace_machine_deadline(const struct trace_machine *t);

/* trace_machine_spins: whether it asks for a wake-up at a time that has passed, and again when
 * woken: its driver would run hot. */
bool trace_machine_spins(const struct trace_machine *t, const struct zks__in *in);

/* trace_machine_print: the state in a line. */
void trace_machine_print(const struct trace_machine *t, FILE *to);

/* trace_event: carries out a line of a script and prints what came of it; false, with a reason on
 * stderr, for a line that makes no sense or a machine that breaks its contract. */
bool trace_event(struct trace_machine *t, struct trace_world *w, const char *line, FILE *to);

void trace_world_init(struct trace_world *w);

#endif
