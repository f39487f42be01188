/* SPDX-License-Identifier: Apache-2.0 */
#include "look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "duration.h"
#include "exit.h"
#include "who.h"

bool cli_json_option(struct cli_parser *p, struct cli_settings *s, int argc, char **argv,
                     bool *json)
{
    static const struct cli_option own[] = {{256, "json", false}, {0, NULL, false}};
    int letter;
    cli_parse_begin(p, s, argv[0], argc, argv, own, false);
    while ((letter = cli_parse_next(p)) != CLI_PARSE_END) {
        if (letter == CLI_PARSE_STOP) {
            return false;
        }
        *json = true;
    }
    return true;
}

int64_t cli_limit_ms(const struct cli_settings *s)
{
    return s->connect_timeout_ms;
}

int cli_look(const struct cli_settings *s, zks_client *client, const char *path,
             struct zks_view **view)
{
    char full[CLI_PATH_SIZE];
    int rc =
        cli_full_path(s, path, full) ? zks_look(client, full, cli_limit_ms(s), view) : ZKS_EINVAL;
    /* A question that is not answered in time is no lock that is busy. */
    return rc == 0 ? 0 : cli_fail(path, rc, CLI_UNREACHABLE);
}

int cli_look_holders(const struct cli_settings *s, zks_client *client, const char *path,
                     struct zks_view **view)
{
    char full[CLI_PATH_SIZE];
    zks_observer *observer = NULL;
    int rc =
        cli_full_path(s, path, full) ? zks_observer_new(client, full, true, &observer) : ZKS_EINVAL;
    rc = rc != 0 ? rc : zks_observer_next(observer, cli_limit_ms(s), view);
    zks_observer_free(observer);
    return rc == 0 ? 0 : cli_fail(path, rc, CLI_UNREACHABLE);
}

const char *cli_kind_name(const struct zks_view *view)
{
    switch (view->kind) {
    case ZKS_VIEW_LOCK:
        return "lock";
    case ZKS_VIEW_BARRIER:
        return "barrier";
    case ZKS_VIEW_DOUBLE_BARRIER:
        return "double-barrier";
    case ZKS_VIEW_OTHER:
        return view->n_others > 0 ? "folder" : "free";
    default:
        return "free";
    }
}

bool cli_is_held(const struct zks_view *view)
{
    return view->kind == ZKS_VIEW_LOCK || view->kind == ZKS_VIEW_BARRIER ||
           view->kind == ZKS_VIEW_DOUBLE_BARRIER;
}

cJSON *cli_view_json(const char *path, const struct zks_view *view)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "path", path);
    cJSON_AddStringToObject(json, "kind", cli_kind_name(view));
    cJSON_AddBoolToObject(json, "held", cli_is_held(view));
    if (view->kind == ZKS_VIEW_LOCK) {
        cJSON *list = cJSON_AddArrayToObject(json, "contenders");
        for (size_t i = 0; i < view->n_contenders; i++) {
            cJSON_AddItemToArray(list, cli_contender_json(&view->contenders[i]));
        }
    } else if (view->kind == ZKS_VIEW_BARRIER) {
        cJSON_AddNumberToObject(json, "since_ms", (double)view->since_ms);
        cJSON_AddNumberToObject(json, "age_ms", (double)view->age_ms);
        cli_who_json(json, view->data);
    } else if (view->kind == ZKS_VIEW_DOUBLE_BARRIER) {
        cJSON_AddBoolToObject(json, "open", view->round_open);
        cJSON *list = cJSON_AddArrayToObject(json, "participants");
        for (size_t i = 0; i < view->n_participants; i++) {
            cJSON_AddItemToArray(list, cli_participant_json(&view->participants[i]));
        }
    }
    return json;
}

int cli_print_json(cJSON *json)
{
    char *text = json != NULL ? cJSON_PrintUnformatted(json) : NULL;
    cJSON_Delete(json);
    if (text == NULL) {
        cli_say("%s", zks_strerror(ZKS_ENOMEM));
        return CLI_SYSTEM;
    }
    puts(text);
    cJSON_free(text);
    return CLI_OK;
}

/* Last on the line: it is free text. */
static void end_line(const char *data)
{
    char reason[CLI_WHO_SIZE];
    cli_reason(data, reason);
    printf("%s%s\n", reason[0] != '\0' ? "  reason " : "", reason);
}

static void print_contender(const struct zks_contender *c)
{
    char who[CLI_WHO_SIZE];
    char age[CLI_AGE_SIZE];
    char since[CLI_AGE_SIZE];
    char node[CLI_PATH_SIZE];
    printf("  %s  %-5s  %s  since %s (%s)  token %" PRIu64 "  node %s",
           c->holds ? "holds" : "waits", c->mode == ZKS_RWLOCK_WRITE ? "write" : "read",
           cli_who(c->data, who), cli_time(c->since_ms, since), cli_age(c->age_ms, age), c->token,
           cli_clean(cli_basename(c->path), node, sizeof node));
    end_line(c->data);
}

static void print_participant(const struct zks_participant *p)
{
    char who[CLI_WHO_SIZE];
    char id[CLI_WHO_SIZE];
    char age[CLI_AGE_SIZE];
    char since[CLI_AGE_SIZE];
    char node[CLI_PATH_SIZE];
    printf("  %s  %s  %s  since %s (%s)  node %s", p->inside ? "inside" : "waits ",
           cli_clean(p->id, id, sizeof id), p->data != NULL ? cli_who(p->data, who) : "-",
           cli_time(p->since_ms, since), cli_age(p->age_ms, age),
           cli_clean(cli_basename(p->path), node, sizeof node));
    end_line(p->data);
}

size_t cli_count(const struct zks_view *view)
{
    return view != NULL ? view->n_contenders + view->n_participants : 0;
}

static bool has_earlier_namesake(const struct zks_view *view, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(view->participants[k].id, view->participants[i].id) == 0) {
            return true;
        }
    }
    return false;
}

size_t cli_count_in(const struct zks_view *view)
{
    size_t n = 0;
    for (size_t i = 0; i < view->n_participants; i++) {
        n += view->round_open ? view->participants[i].inside : !has_earlier_namesake(view, i);
    }
    return n;
}

struct cli_someone cli_someone(const struct zks_view *view, size_t i)
{
    if (i < view->n_contenders) {
        const struct zks_contender *c = &view->contenders[i];
        return (struct cli_someone){c->path, cli_basename(c->path), c->data, c->holds, c, NULL};
    }
    const struct zks_participant *p = &view->participants[i - view->n_contenders];
    return (struct cli_someone){p->path, cli_basename(p->path), p->data, p->inside, NULL, p};
}

void cli_print_someone(const struct cli_someone *who)
{
    if (who->contender != NULL) {
        print_contender(who->contender);
    } else {
        print_participant(who->participant);
    }
}
