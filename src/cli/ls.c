/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "exit.h"
#include "look.h"
#include "who.h"

struct walk {
    const struct cli_settings *settings;
    zks_client *client;
    bool recursive;
    cJSON *json; /* An array, or NULL for lines. */
};

static void print_line(const char *path, const struct zks_view *view)
{
    char who[CLI_WHO_SIZE];
    char clean[CLI_PATH_SIZE];
    printf("%-14s  %s", cli_kind_name(view), cli_clean(path, clean, sizeof clean));
    if (view->kind == ZKS_VIEW_LOCK) {
        printf("  %s%s, %zu in all", view->contenders[0].holds ? "held by " : "wanted by ",
               cli_who(view->contenders[0].data, who), view->n_contenders);
    } else if (view->kind == ZKS_VIEW_BARRIER) {
        printf("  set by %s", cli_who(view->data, who));
    } else if (view->kind == ZKS_VIEW_DOUBLE_BARRIER) {
        printf("  %zu present%s", cli_count_in(view), view->round_open ? ", a round is on" : "");
    }
    printf("\n");
}

static char *child_of(const char *path, const char *name)
{
    char *child = NULL;
    const char *between = path[strlen(path) - 1] == '/' ? "" : "/";
    return asprintf(&child, "%s%s%s", path, between, name) >= 0 ? child : NULL;
}

static int walk(struct walk *w, const char *path, unsigned depth);

static int walk_children(struct walk *w, const char *path, const struct zks_view *view,
                         unsigned depth)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < view->n_others; i++) {
        /* ZooKeeper's own are nobody's locks. */
        if (strcmp(path, "/") == 0 && strcmp(view->others[i], "zookeeper") == 0) {
            continue;
        }
        char *child = child_of(path, view->others[i]);
        code = child != NULL ? walk(w, child, depth + 1) : CLI_SYSTEM;
        free(child);
    }
    return code;
}

/* What is below a path is not looked at any more where it has gone meanwhile, or may not be seen. */
static int walk(struct walk *w, const char *path, unsigned depth)
{
    char full[CLI_PATH_SIZE];
    struct zks_view *view = NULL;
    int rc = cli_full_path(w->settings, path, full)
                 ? zks_look(w->client, full, cli_limit_ms(w->settings), &view)
                 : ZKS_EINVAL;
    if (rc == ZKS_EACCES && depth > 0) {
        cli_say("%s: %s", path, zks_strerror(rc));
        return 0;
    }
    if (rc != 0) {
        return rc == ZKS_EINVAL && depth > 0 ? 0 : cli_fail(path, rc, CLI_UNREACHABLE);
    }
    bool folder = view->kind == ZKS_VIEW_OTHER && view->n_others > 0;
    bool shown = cli_is_held(view) || (folder && depth > 0 && !w->recursive);
    if (shown && w->json != NULL) {
        cJSON_AddItemToArray(w->json, cli_view_json(path, view));
    } else if (shown) {
        print_line(path, view);
    }
    int code = depth == 0 || w->recursive ? walk_children(w, path, view, depth) : 0;
    zks_view_free(view);
    return code;
}

int cli_ls(struct cli_settings *s, int argc, char **argv)
{
    enum { OPTION_JSON = 256 };
    static const struct cli_option own[] = {
        {'r', "recursive", false}, {OPTION_JSON, "json", false}, {0, NULL, false}};
    struct cli_parser parser;
    struct walk w = {.settings = s};
    const char *path = NULL;
    bool json = false;
    int letter;
    cli_parse_begin(&parser, s, argv[0], argc, argv, own, false);
    while ((letter = cli_parse_next(&parser)) != CLI_PARSE_END) {
        if (letter == CLI_PARSE_STOP) {
            return parser.exit;
        }
        w.recursive |= letter == 'r';
        json |= letter == OPTION_JSON;
    }
    int code = cli_parse_path(&parser, true, &path);
    code = code != 0 ? code : cli_open(s, ZKS_FOREVER, &w.client);
    w.json = code == 0 && json ? cJSON_CreateArray() : NULL;
    code = code != 0 ? code : walk(&w, path, 0);
    if (code == 0 && w.json != NULL) {
        code = cli_print_json(w.json);
        w.json = NULL;
    }
    cJSON_Delete(w.json);
    zks_client_close(w.client);
    return code;
}
