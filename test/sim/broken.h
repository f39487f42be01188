/* SPDX-License-Identifier: Apache-2.0 */
/* Whose znode a stranger has deleted, or whose session one has ended: what such an actor believes to hold
 * it may not have. */
#ifndef ZKS_SIM_BROKEN_H
#define ZKS_SIM_BROKEN_H

#include "observe.h"

void broken_begin(const struct plan *plan);

/* broken_see: before any checker does. */
void broken_see(const struct seen *seen);

/* broken: whether that is so for the lock that the actor has or asks for, until it has another znode. */
bool broken(int actor);

#endif
