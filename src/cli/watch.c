/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "duration.h"
#include "exit.h"
#include "look.h"
#include "output.h"
#include "who.h"

enum { LOOK_AT_READER_MS = 1000, SETTLED_MS = 500 };

struct watch {
    const char *path;
    bool json;
};

static bool find(const struct zks_view *view, const char *node, struct cli_someone *found)
{
    for (size_t i = 0; i < cli_count(view); i++) {
        *found = cli_someone(view, i);
        if (strcmp(found->node, node) == 0) {
            return true;
        }
    }
    return false;
}

static void tell(const struct watch *w, const char *what, const struct cli_someone *who,
                 const char *data)
{
    char time[CLI_AGE_SIZE];
    char text[CLI_WHO_SIZE];
    char node[CLI_PATH_SIZE];
    cli_time(cli_wall_ms(), time);
    if (!w->json) {
        printf("%s  %-8s", time, what);
        if (who != NULL) {
            const char *kind = who->participant != NULL                   ? "round"
                               : who->contender->mode == ZKS_RWLOCK_WRITE ? "write"
                                                                          : "read";
            printf("  %-5s  %s  %s", kind, cli_who(data, text),
                   cli_clean(who->node, node, sizeof node));
        } else if (data != NULL) {
            printf("  %s", cli_who(data, text));
        }
        printf("\n");
        return;
    }
    cJSON *event = who == NULL              ? cJSON_CreateObject()
                   : who->contender != NULL ? cli_contender_json(who->contender)
                                            : cli_participant_json(who->participant);
    cJSON_AddStringToObject(event, "event", what);
    cJSON_AddStringToObject(event, "time", time);
    cJSON_AddStringToObject(event, "path", w->path);
    if (who == NULL) {
        cli_who_json(event, data);
    }
    (void)cli_print_json(event);
}

/* Who has gone comes first, since that is why others come in. */
static void tell_people(const struct watch *w, const struct zks_view *old,
                        const struct zks_view *new)
{
    struct cli_someone other;
    for (size_t i = 0; i < cli_count(old); i++) {
        struct cli_someone was = cli_someone(old, i);
        if (!find(new, was.node, &other)) {
            tell(w, was.in ? "released" : "left", &was, was.data);
        }
    }
    for (size_t i = 0; i < cli_count(new); i++) {
        struct cli_someone is = cli_someone(new, i);
        bool was_there = find(old, is.node, &other);
        if (is.in && !(was_there && other.in)) {
            tell(w, is.participant != NULL ? "entered" : "acquired", &is, is.data);
        } else if (!was_there) {
            tell(w, "waits", &is, is.data);
        }
    }
}

static void tell_changes(const struct watch *w, const struct zks_view *old,
                         const struct zks_view *new)
{
    bool was_set = old != NULL && old->kind == ZKS_VIEW_BARRIER;
    bool is_set = new->kind == ZKS_VIEW_BARRIER;
    if (was_set && (!is_set || new->since_ms != old->since_ms)) {
        tell(w, "unset", NULL, NULL);
    }
    tell_people(w, old, new);
    if (is_set && (!was_set || new->since_ms != old->since_ms)) {
        tell(w, "set", NULL, new->data);
    } else if (old == NULL && !cli_is_held(new)) {
        tell(w, "free", NULL, NULL);
    } else if (old != NULL && cli_is_held(old) && !cli_is_held(new)) {
        tell(w, "free", NULL, NULL);
    }
}

/* Whoever read what we write has gone, and we would find out only by writing. */
static bool is_unread(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) > 0 && (out.revents & POLLERR) != 0;
}

static int next(zks_observer *observer, struct zks_view **view)
{
    int rc;
    do {
        rc = zks_observer_next(observer, LOOK_AT_READER_MS, view);
        if (rc == ZKS_ETIMEDOUT && is_unread()) {
            (void)raise(SIGPIPE);
            return ZKS_ECANCELED;
        }
    } while (rc == ZKS_ETIMEDOUT);
    return rc;
}

/* A path that has just been made, for a lock or the like, looks like a barrier that somebody else has set
 * without data, until its first child is there. */
static int look_again(zks_observer *observer, const struct zks_view *old, struct zks_view **view)
{
    int rc = 0;
    bool was_set = old != NULL && old->kind == ZKS_VIEW_BARRIER;
    while (rc == 0 && !was_set && (*view)->kind == ZKS_VIEW_BARRIER && (*view)->data == NULL) {
        struct zks_view *later = NULL;
        rc = zks_observer_next(observer, SETTLED_MS, &later);
        if (rc == 0) {
            zks_view_free(*view);
            *view = later;
        }
    }
    return rc == ZKS_ETIMEDOUT ? 0 : rc;
}

/* Without an end: whoever has seen enough ends it by a signal. */
static int follow(const struct watch *w, zks_observer *observer)
{
    struct zks_view *old = NULL;
    int rc = 0;
    int code = 0;
    while (rc == 0 && code == 0) {
        struct zks_view *new = NULL;
        rc = next(observer, &new);
        rc = rc == 0 ? look_again(observer, old, &new) : rc;
        if (rc == 0) {
            tell_changes(w, old, new);
            code = cli_flush(CLI_OK);
            zks_view_free(old);
            old = new;
        } else {
            zks_view_free(new);
        }
    }
    zks_view_free(old);
    return code != 0 ? code : cli_fail(w->path, rc, CLI_UNREACHABLE);
}

int cli_watch(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    struct watch w = {.json = false};
    char full[CLI_PATH_SIZE];
    zks_client *client = NULL;
    zks_observer *observer = NULL;
    if (!cli_json_option(&parser, s, argc, argv, &w.json)) {
        return parser.exit;
    }
    int code = cli_parse_path(&parser, true, &w.path);
    code = code != 0 ? code : cli_open(s, ZKS_FOREVER, &client);
    if (code == 0) {
        int rc = cli_full_path(s, w.path, full) ? zks_observer_new(client, full, false, &observer)
                                                : ZKS_EINVAL;
        code = rc == 0 ? follow(&w, observer) : cli_fail(w.path, rc, CLI_UNREACHABLE);
    }
    zks_observer_free(observer);
    zks_client_close(client);
    return code;
}
