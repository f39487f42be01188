/* SPDX-License-Identifier: Apache-2.0 */
/* The times at which a command is ended whose lock is about to be lost.
 *
 *   now ... enough ...        TERM <---- grace ----> KILL <- margin -> safe_until
 *
 * While the servers answer, about half of the session timeout is left at any time (a quarter or less right after a long
 * wait), so what TERM comes
 * ahead of safe_until must stay well below that: a quarter. */
#ifndef ZKS_CLI_LEASE_H
#define ZKS_CLI_LEASE_H

#include "settings.h"

struct cli_lease {
    uint32_t session_ms; /* 0: not known yet. */
    int64_t grace_ms;
    int64_t margin_ms; /* For waking up, and for what dies slowly. */
    int64_t enough_ms; /* How much must be left for a command to be started. */
    int64_t look_ms;   /* How often the keeper says that it is at its post. */
};

/* cli_lease_fit: `grace_ms` may be -1 for a default.  Where it does not fit, false, and `why` says what
 * would; as much of it as does is taken. */
bool cli_lease_fit(struct cli_lease *l, uint32_t session_ms, int64_t grace_ms,
                   char why[CLI_MESSAGE_SIZE]);

/* cli_lease_term_at: when to send TERM, for a lease that ends at `safe_until`. */
uint64_t cli_lease_term_at(const struct cli_lease *l, uint64_t safe_until);

/* cli_lease_kill_at: when to send KILL, for a TERM that is sent at `now`: a grace later, but never less than
 * the margin ahead of `safe_until`, however late the TERM is. */
uint64_t cli_lease_kill_at(const struct cli_lease *l, uint64_t now, uint64_t safe_until);

#endif
