/* SPDX-License-Identifier: Apache-2.0 */
/* No driver runs hot: turns in which nothing happens are few. */
#include <string.h>

#include "check.h"
#include "units.h"

enum { TURNS = 100, WITHIN_MS = 300 };

static struct {
    unsigned turns; /* In a row, in which nothing has happened. */
    uint64_t since;
} idle[PROCESSES_MAX];

static void begin(const struct plan *p)
{
    (void)p;
    memset(idle, 0, sizeof idle);
}

static void see(const struct seen *s)
{
    if (s->kind == SEEN_HEALED || s->kind == SEEN_OVER || s->kind == SEEN_LEFT ||
        s->kind == SEEN_WATCHED) {
        return;
    }
    if (s->kind != SEEN_TURN || idle[s->process].turns == 0) {
        idle[s->process].turns = s->kind == SEEN_TURN;
        idle[s->process].since = s->at;
        return;
    }
    if (++idle[s->process].turns < TURNS) {
        return;
    }
    if (s->at - idle[s->process].since < (uint64_t)WITHIN_MS * MS) {
        check_fail(&check_idling, "process %d has had %d turns for nothing within %d ms",
                   s->process, TURNS, WITHIN_MS);
    }
    idle[s->process].turns = 0;
}

static void end(void)
{
}

const struct checker check_idling = {"idling", begin, see, end};
