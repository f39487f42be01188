/* SPDX-License-Identifier: Apache-2.0 */
/* A session's ephemerals never have more bytes than its process counts: what may yet come to be counts, and
 * what may still be there. */
#include "check.h"

static void begin(const struct plan *p)
{
    (void)p;
}

static void see(const struct seen *s)
{
    if (s->kind == SEEN_OWNED && s->truth > s->until) {
        check_fail(&check_owned, "process %d owns %lu bytes of paths, and counts %lu", s->process,
                   (unsigned long)s->truth, (unsigned long)s->until);
    }
}

static void end(void)
{
}

const struct checker check_owned = {"owned", begin, see, end};
