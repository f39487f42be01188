/* SPDX-License-Identifier: Apache-2.0 */
/* Actors: each goes through the steps of its plan with a handle of its own, and then leaves. */
#ifndef ZKS_SIM_ACTOR_H
#define ZKS_SIM_ACTOR_H

#include "plan.h"
#include "process.h"

/* actors_begin: a history begins. */
void actors_begin(const struct plan *plan, struct process *processes);

/* actors_start: the actors of a process that has come up begin, or go on behind the step at which the
 * process died. */
void actors_start(struct process *p);

/* actors_die: with their process. */
void actors_die(struct process *p);

/* actor_cancel: whatever the actor is about is to end. */
void actor_cancel(unsigned actor);

/* actor_abandon: it frees its handle, whatever that is about, and goes on with another one. */
void actor_abandon(unsigned actor);

/* actors_heal: nothing befalls anybody any more: all are to come to an end. */
void actors_heal(void);

/* actors_left: whether all have left and their handles are clean; `who` is one that has not. */
bool actors_left(int *who);

/* actors_asked: how many operations have begun, which is the number of the last one. */
unsigned actors_asked(void);

/* actor_of_node: whose znode has this name, -1 for nobody's. */
int actor_of_node(const char *name);

const char *actor_path(unsigned thing);

/* actor_state: its machine's, for people. */
const char *actor_state(unsigned actor);

/* actors_hash: of all machines, for exploring. */
uint64_t actors_hash(uint64_t hash);

/* Steps of an actor as choices, for exploring: whether it could go on, and that it does. */
bool actor_ready(unsigned actor);
void actor_go_on(unsigned actor);

#endif
