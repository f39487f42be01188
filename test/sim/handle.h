/* SPDX-License-Identifier: Apache-2.0 */
/* Handles, as the public ones are: what drives a core, and the core. */
#ifndef ZKS_SIM_HANDLE_H
#define ZKS_SIM_HANDLE_H

#include "core/barrier.h"
#include "core/double_barrier.h"
#include "core/rwlock.h"
#include "driver/machine.h"
#include "plan.h"
#include "process.h"

struct handle {
    struct zks__machine machine;
    enum thing_kind kind;
    struct process *process;
    void (*lost)(void *arg); /* NULL once it has been freed. */
    void *arg;
    char data[ZKS__UUID_LEN + 8];
    struct zks__stem stem;
    uint32_t settings;
    union {
        struct zks__rwlock rwlock;
        struct zks__barrier barrier;
        struct zks__double_barrier party;
    };
};

/* handles_begin: a history begins; handles_die: a process is gone with all that it had. */
void handles_begin(void);
void handles_die(const struct process *p);

/* handle_new: makes one for an actor.  `lost` is called when it has lost what it held. */
struct handle *handle_new(struct process *p, const struct plan_thing *thing,
                          const struct plan_actor *actor, const char *path, struct chance *chance,
                          void (*lost)(void *arg), void *arg);

/* handle_free: nothing is told of it any more, but for what is under way. */
void handle_free(struct handle *h);

/* handles_unclean: how many of a process's have been made and are not done with. */
unsigned handles_unclean(unsigned process);

/* handle_state: its machine's, for people; handle_hash: all of it, for exploring. */
const char *handle_state(const struct handle *h);
uint64_t handle_hash(const struct handle *h, uint64_t hash);

#endif
