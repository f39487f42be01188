/* SPDX-License-Identifier: Apache-2.0 */
/* Small histories in which the servers refuse a process some kind of request from some step on, with every error
 * that they have; a connection may be cut just before. */
#ifndef ZKS_SIM_FINALS_H
#define ZKS_SIM_FINALS_H

#include "plan.h"

/* finals_count: how many there are: all where the environment has ZKSYNC_SIM_SWEEP, else one in 29; finals_all: how
 * many that is. */
uint64_t finals_count(void);
uint64_t finals_all(void);

/* finals_make: the plan with a number below that; false for a number that is no plan. */
bool finals_make(struct plan *plan, uint64_t number);

#endif
