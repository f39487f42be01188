/* SPDX-License-Identifier: Apache-2.0 */
#include "busy.h"

#include <stdio.h>
#include <string.h>

#include "duration.h"
#include "who.h"

enum { LOOK_MS = 1000 };

/* How many hold it; they come first in the view. */
static size_t count_holders(const struct zks_view *view)
{
    size_t n = 0;
    while (n < view->n_contenders && view->contenders[n].holds) {
        n++;
    }
    return n;
}

/* Those of the round that did not come about.  We have left by now, or are about to. */
static size_t count_present(const struct zks_view *view, const char *our_id)
{
    size_t n = 1;
    for (size_t i = 0; i < view->n_participants; i++) {
        n += strcmp(view->participants[i].id, our_id) != 0;
    }
    return n;
}

static void add_holder(char *line, size_t size, const struct zks_view *view)
{
    char who[CLI_WHO_SIZE];
    char since[CLI_AGE_SIZE];
    char age[CLI_AGE_SIZE];
    size_t n = count_holders(view);
    size_t len = strlen(line);
    if (n > 0) {
        const struct zks_contender *c = &view->contenders[0];
        len += (size_t)snprintf(line + len, size - len, ", held by %s since %s (%s)",
                                cli_who(c->data, who), cli_time(c->since_ms, since),
                                cli_age(c->age_ms, age));
    }
    if (n > 1 && len < size) {
        (void)snprintf(line + len, size - len, " and %zu more", n - 1);
    }
}

static void report_lock(struct cli_report *r, const char *what, const char *path,
                        const struct zks_view *view, cJSON *event)
{
    char line[CLI_PATH_SIZE + CLI_WHO_SIZE];
    (void)snprintf(line, sizeof line, "%s: %s", path, what);
    if (view != NULL) {
        add_holder(line, sizeof line, view);
    }
    if (event != NULL && view != NULL && count_holders(view) > 0) {
        cJSON_AddItemToObject(event, "holder", cli_contender_json(&view->contenders[0]));
    }
    cli_report_tell(r, "%s", line);
}

static void report_round(struct cli_report *r, const char *what, const char *path,
                         const struct cli_claim *claim, const struct zks_view *view, cJSON *event)
{
    const char *id = zks_double_barrier_id(claim->barrier);
    size_t present = view != NULL ? count_present(view, id) : 0;
    if (present == 0) {
        cli_report_say(r, "%s: %s", path, what);
        return;
    }
    if (event != NULL) {
        cJSON_AddNumberToObject(event, "present", (double)present);
        cJSON_AddNumberToObject(event, "n", claim->job->n);
    }
    cli_report_say(r, "%s: %s, %zu of %u participants were there", path, what, present,
                   (unsigned)claim->job->n);
}

void cli_busy_report(struct cli_report *r, const struct cli_claim *claim, int error)
{
    const struct cli_job *job = claim->job;
    const char *path = cli_short_path(job->settings, job->path);
    const char *what = error == ZKS_EBUSY ? "busy" : "timed out";
    struct zks_view *view = NULL;
    cJSON *event = cli_report_event(r, "busy");
    if (event == NULL && !r->verbose && claim->lock != NULL) {
        return;
    }
    (void)zks_look(claim->client, job->path, LOOK_MS, &view);
    if (event != NULL) {
        cJSON_AddStringToObject(event, "path", path);
    }
    if (claim->lock != NULL) {
        report_lock(r, what, path, view, event);
    } else {
        report_round(r, what, path, claim, view, event);
    }
    cli_report_send(r, event);
    zks_view_free(view);
}
