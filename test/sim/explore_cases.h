/* SPDX-License-Identifier: Apache-2.0 */
/* Small histories to be explored. */
#ifndef ZKS_SIM_EXPLORE_CASES_H
#define ZKS_SIM_EXPLORE_CASES_H

#include "explore.h"

/* explore_begin: n processes, one actor each, at one thing.  explore_add: an actor's next step. */
void explore_begin(struct exploration *e, enum thing_kind kind, unsigned n);
void explore_add(struct exploration *e, unsigned actor, enum what what);

/* explore_finish: explores, says how many states there were, and fails the test where that shows a
 * defect.  ZKSYNC_SIM_DEEPER adds to the depth. */
void explore_finish(struct exploration *e, const char *what);

#endif
