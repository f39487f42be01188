/* SPDX-License-Identifier: Apache-2.0 */
/* Where one who waits stands, and who holds: looked at only where somebody wants to know, and not more
 * often than a person can read. */
#ifndef ZKS_CLI_PROGRESS_H
#define ZKS_CLI_PROGRESS_H

#include "claim.h"
#include "report.h"

struct cli_progress {
    struct cli_claim *claim;
    struct cli_report *report;
    zks_observer *observer; /* NULL where nobody wants to know. */
    zks_op op;
    bool looking;
    uint64_t look_at_ms;
    struct zks_view *view; /* The last look. */
    uint64_t view_ms;
    bool fresh; /* It has not been told yet. */
    size_t ahead;
    size_t told_ahead;
    size_t same_id; /* Other participants with our id. */
    size_t told_same_id;
    char told_holder[CLI_PATH_SIZE]; /* The node that was told to hold. */
};

void cli_progress_start(struct cli_progress *p, struct cli_claim *claim, struct cli_report *report);

/* cli_progress_turn: returns when the next turn is due. */
uint64_t cli_progress_turn(struct cli_progress *p);

/* cli_progress_stop: the last callback may still come, in the next dispatch. */
void cli_progress_stop(struct cli_progress *p);

#endif
