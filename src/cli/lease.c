/* SPDX-License-Identifier: Apache-2.0 */
#include "lease.h"

#include <stdio.h>

static int64_t between(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

bool cli_lease_fit(struct cli_lease *l, uint32_t session_ms, int64_t grace_ms,
                   char why[CLI_MESSAGE_SIZE])
{
    int64_t session = session_ms;
    int64_t margin = between(session / 20, 50, 500);
    int64_t most = session / 4 - margin;
    most = most > 0 ? most : 0;
    l->session_ms = session_ms;
    l->margin_ms = margin;
    l->grace_ms = between(grace_ms >= 0 ? grace_ms : session / 10, 0, most);
    l->enough_ms = l->grace_ms + margin + session / 16;
    l->look_ms = between(session / 20, 10, 1000);
    if (grace_ms > most) {
        snprintf(why, CLI_MESSAGE_SIZE,
                 "a grace of %.6g s does not fit a session timeout of %.6g s: at most %.6g s, or a "
                 "session timeout (-T) of at least %.6g s",
                 (double)grace_ms / 1000, (double)session / 1000, (double)most / 1000,
                 (double)((grace_ms + 500) * 4) / 1000);
        return false;
    }
    return true;
}

uint64_t cli_lease_term_at(const struct cli_lease *l, uint64_t safe_until)
{
    uint64_t ahead = (uint64_t)(l->grace_ms + l->margin_ms);
    return safe_until == UINT64_MAX ? UINT64_MAX : safe_until > ahead ? safe_until - ahead : 0;
}

uint64_t cli_lease_kill_at(const struct cli_lease *l, uint64_t now, uint64_t safe_until)
{
    uint64_t margin = (uint64_t)l->margin_ms;
    uint64_t latest = safe_until > now + margin ? safe_until - margin : now;
    uint64_t after_grace = now + (uint64_t)l->grace_ms;
    return after_grace < latest ? after_grace : latest;
}
