/* SPDX-License-Identifier: Apache-2.0 */
#include "namesake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "duration.h"
#include "who.h"

static const struct zks_participant *find(const struct zks_view *view, const char *id)
{
    for (size_t i = 0; i < view->n_participants; i++) {
        if (strcmp(view->participants[i].id, id) == 0) {
            return &view->participants[i];
        }
    }
    return NULL;
}

/* One that is inside does not say who it is: its znode names the round. */
static const char *describe(const struct zks_participant *p, char buf[CLI_WHO_SIZE])
{
    if (!p->inside) {
        return cli_who(p->data, buf);
    }
    snprintf(buf, CLI_WHO_SIZE, "a participant inside (session 0x%" PRIx64 ")",
             (uint64_t)p->session);
    return buf;
}

void cli_namesake(zks_client *client, const char *path, const char *id, int64_t limit_ms,
                  char message[CLI_MESSAGE_SIZE])
{
    char clean[CLI_WHO_SIZE];
    char who[CLI_WHO_SIZE];
    char age[CLI_AGE_SIZE];
    struct zks_view *view = NULL;
    (void)zks_look(client, path, limit_ms, &view);
    const struct zks_participant *p = view != NULL ? find(view, id) : NULL;
    cli_clean(id, clean, sizeof clean);
    if (p != NULL) {
        snprintf(message, CLI_MESSAGE_SIZE,
                 "the id \"%s\" is in use by %s, for %s (if it was killed, until its session ends)",
                 clean, describe(p, who), cli_age(p->age_ms, age));
    } else {
        snprintf(message, CLI_MESSAGE_SIZE, "the id \"%s\" was in use until just now", clean);
    }
    zks_view_free(view);
}
