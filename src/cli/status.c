/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "duration.h"
#include "exit.h"
#include "look.h"
#include "who.h"

static void print_lock(const char *path, const struct zks_view *view)
{
    size_t holders = 0;
    while (holders < view->n_contenders && view->contenders[holders].holds) {
        holders++;
    }
    printf("%s: lock, held by %zu, %zu waiting\n", path, holders, view->n_contenders - holders);
}

static void print_view(const char *path, const struct zks_view *view)
{
    char who[CLI_WHO_SIZE];
    char age[CLI_AGE_SIZE];
    char since[CLI_AGE_SIZE];
    switch (view->kind) {
    case ZKS_VIEW_LOCK:
        print_lock(path, view);
        break;
    case ZKS_VIEW_BARRIER:
        printf("%s: barrier, set by %s since %s (%s)\n", path, cli_who(view->data, who),
               cli_time(view->since_ms, since), cli_age(view->age_ms, age));
        break;
    case ZKS_VIEW_DOUBLE_BARRIER:
        printf("%s: double barrier, %zu of %u, %s\n", path, cli_count_in(view),
               view->n_participants > 0 ? (unsigned)view->participants[0].n : 0,
               view->round_open ? "a round is on" : "waiting");
        break;
    default:
        printf("%s: %s\n", path, view->n_others > 0 ? "a folder, see zksync ls" : "free");
        break;
    }
    for (size_t i = 0; i < cli_count(view); i++) {
        struct cli_someone one = cli_someone(view, i);
        cli_print_someone(&one);
    }
}

int cli_status(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    const char *path = NULL;
    bool json = false;
    if (!cli_json_option(&parser, s, argc, argv, &json)) {
        return parser.exit;
    }
    zks_client *client = NULL;
    struct zks_view *view = NULL;
    int code = cli_parse_path(&parser, true, &path);
    code = code != 0 ? code : cli_open(s, ZKS_FOREVER, &client);
    code = code != 0 ? code : cli_look(s, client, path, &view);
    if (code == 0) {
        if (json) {
            code = cli_print_json(cli_view_json(path, view));
        } else {
            print_view(path, view);
        }
        code = code != 0 ? code : cli_is_held(view) ? CLI_OK : CLI_NO;
    }
    zks_view_free(view);
    zks_client_close(client);
    return code;
}
