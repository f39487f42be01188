/* SPDX-License-Identifier: Apache-2.0 */
/* Small histories in which something befalls one process at its first step, at its second, and so on; and
 * those in which something else befalls it, or another one, a few steps later. */
#ifndef ZKS_SIM_SWEEP_H
#define ZKS_SIM_SWEEP_H

#include "plan.h"

/* sweep_count: how many there are: all where the environment has ZKSYNC_SIM_SWEEP, else one in 7 of the one kind
 * and one in 251 of the other. */
uint64_t sweep_count(void);

/* sweep_make: the plan with a number below that. */
bool sweep_make(struct plan *plan, uint64_t number);

#endif
