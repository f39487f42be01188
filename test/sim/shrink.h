/* SPDX-License-Identifier: Apache-2.0 */
/* A plan that fails, made smaller as long as the same checker says so. */
#ifndef ZKS_SIM_SHRINK_H
#define ZKS_SIM_SHRINK_H

#include "plan.h"

/* shrink: returns how many plans were tried. */
unsigned shrink(struct plan *plan);

#endif
