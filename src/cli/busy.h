/* SPDX-License-Identifier: Apache-2.0 */
/* Why it was not acquired: who holds the lock, how many were at the double barrier. */
#ifndef ZKS_CLI_BUSY_H
#define ZKS_CLI_BUSY_H

#include "claim.h"
#include "report.h"

/* cli_busy_report: after an acquisition that ended in ZKS_EBUSY or ZKS_ETIMEDOUT: a line, with -v only, and
 * the event "busy".  If somebody wants either, the servers are asked, for a second at most. */
void cli_busy_report(struct cli_report *r, const struct cli_claim *claim, int error);

#endif
