/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <stdio.h>
#include <string.h>

#include "duration.h"
#include "who.h"

enum { LOOK_EVERY_MS = 500, SHOW_EVERY_MS = 1000 };

static void looked(zks_op *op, int result, void *arg)
{
    struct cli_progress *p = arg;
    (void)op;
    p->looking = false;
    p->look_at_ms = zks_clock_ms() + LOOK_EVERY_MS;
    if (result == 0 && p->observer != NULL) {
        zks_view_free(p->view);
        p->view = zks_observer_take(p->observer);
        p->view_ms = zks_clock_ms();
        p->fresh = true;
    }
}

void cli_progress_start(struct cli_progress *p, struct cli_claim *claim, struct cli_report *report)
{
    memset(p, 0, sizeof *p);
    p->claim = claim;
    p->report = report;
    p->told_ahead = SIZE_MAX;
    zks_op_init(&p->op, looked, p);
    if (report->verbose || report->events.fd >= 0) {
        (void)zks_observer_new(claim->client, claim->job->path, true, &p->observer);
    }
}

void cli_progress_stop(struct cli_progress *p)
{
    zks_observer *observer = p->observer;
    p->observer = NULL;
    zks_observer_free(observer);
    zks_view_free(p->view);
    p->view = NULL;
}

static const struct zks_contender *holder_of(const struct zks_view *view)
{
    return view->n_contenders > 0 && view->contenders[0].holds ? &view->contenders[0] : NULL;
}

/* Our place among the contenders; false where we are not among them yet. */
static bool find_ourselves(const struct cli_progress *p, size_t *ahead)
{
    char place[CLI_PATH_SIZE];
    zks_rwlock_place(p->claim->lock, place, sizeof place);
    for (size_t i = 0; place[0] != '\0' && i < p->view->n_contenders; i++) {
        if (strcmp(p->view->contenders[i].path, place) == 0) {
            *ahead = i;
            return true;
        }
    }
    return false;
}

static void tell_place(struct cli_progress *p, const struct zks_contender *holder)
{
    char who[CLI_WHO_SIZE];
    cJSON *event = cli_report_event(p->report, "waiting");
    if (event != NULL) {
        cJSON_AddNumberToObject(event, "position", (double)p->ahead);
        if (holder != NULL) {
            cJSON_AddItemToObject(event, "holder", cli_contender_json(holder));
        }
    }
    cli_report_send(p->report, event);
    if (!p->report->live) {
        cli_report_tell(p->report, "%s: %zu ahead%s%s",
                        cli_short_path(p->claim->job->settings, p->claim->job->path), p->ahead,
                        holder != NULL ? ", held by " : "",
                        holder != NULL ? cli_who(holder->data, who) : "");
    }
}

static void tell_lock(struct cli_progress *p)
{
    const struct zks_contender *holder = holder_of(p->view);
    const char *node = holder != NULL ? holder->path : "";
    if (!find_ourselves(p, &p->ahead) || p->ahead == 0) {
        return; /* It is still ours to tell once we know. */
    }
    p->fresh = false;
    if (p->ahead != p->told_ahead || strcmp(node, p->told_holder) != 0) {
        p->told_ahead = p->ahead;
        snprintf(p->told_holder, sizeof p->told_holder, "%s", node);
        tell_place(p, holder);
    }
}

/* Of those with our id only one counts. */
static void count_round(struct cli_progress *p)
{
    const char *id = zks_double_barrier_id(p->claim->barrier);
    size_t with_id = 0;
    for (size_t i = 0; i < p->view->n_participants; i++) {
        with_id += strcmp(p->view->participants[i].id, id) == 0;
    }
    p->same_id = with_id > 1 ? with_id - 1 : 0;
    p->ahead = p->view->n_participants - p->same_id;
}

static const char *round_text(const struct cli_progress *p, char *buf, size_t size)
{
    char id[CLI_WHO_SIZE] = "";
    if (p->same_id > 0) {
        cli_clean(zks_double_barrier_id(p->claim->barrier), id, sizeof id);
    }
    snprintf(buf, size, "%s: %zu of %u are here%s%s%s",
             cli_short_path(p->claim->job->settings, p->claim->job->path), p->ahead,
             (unsigned)p->claim->job->n, p->same_id > 0 ? ", and another with the id \"" : "", id,
             p->same_id > 0 ? "\"" : "");
    return buf;
}

static void tell_round(struct cli_progress *p)
{
    char text[CLI_PATH_SIZE + CLI_WHO_SIZE];
    p->fresh = false;
    count_round(p);
    if ((p->ahead == p->told_ahead && p->same_id == p->told_same_id) || p->ahead == 0) {
        return;
    }
    p->told_ahead = p->ahead;
    p->told_same_id = p->same_id;
    cJSON *event = cli_report_event(p->report, "waiting");
    if (event != NULL) {
        cJSON_AddNumberToObject(event, "present", (double)p->ahead);
        cJSON_AddNumberToObject(event, "n", p->claim->job->n);
        cJSON_AddNumberToObject(event, "same_id", (double)p->same_id);
    }
    cli_report_send(p->report, event);
    if (!p->report->live) {
        cli_report_tell(p->report, "%s", round_text(p, text, sizeof text));
    }
}

static void show(struct cli_progress *p)
{
    char line[CLI_PATH_SIZE + CLI_WHO_SIZE];
    char who[CLI_WHO_SIZE];
    char age[CLI_AGE_SIZE];
    const char *path = cli_short_path(p->claim->job->settings, p->claim->job->path);
    const struct zks_contender *holder = p->view != NULL ? holder_of(p->view) : NULL;
    if (p->told_ahead == SIZE_MAX) {
        return;
    }
    if (p->claim->lock == NULL) {
        round_text(p, line, sizeof line);
    } else if (holder != NULL) {
        int64_t held_ms = holder->age_ms + (int64_t)(zks_clock_ms() - p->view_ms);
        snprintf(line, sizeof line, "%s: %zu ahead, held by %s for %s", path, p->ahead,
                 cli_who(holder->data, who), cli_age(held_ms, age));
    } else {
        snprintf(line, sizeof line, "%s: %zu ahead", path, p->ahead);
    }
    cli_report_live(p->report, line);
}

uint64_t cli_progress_turn(struct cli_progress *p)
{
    uint64_t now = zks_clock_ms();
    if (p->observer == NULL) {
        return UINT64_MAX;
    }
    if (p->view != NULL && p->fresh) {
        if (p->claim->lock != NULL) {
            tell_lock(p);
        } else {
            tell_round(p);
        }
    }
    if (!p->looking && now >= p->look_at_ms) {
        p->looking = zks_observer_next_op(p->observer, ZKS_FOREVER, &p->op) == 0;
        p->look_at_ms = now + LOOK_EVERY_MS;
    }
    if (p->report->live) {
        show(p);
        return now + SHOW_EVERY_MS;
    }
    /* A view in which we are not yet is looked at again soon: our place comes to be known by itself. */
    return p->fresh ? now + 50 : p->looking ? UINT64_MAX : p->look_at_ms;
}
