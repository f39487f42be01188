/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "exit.h"
#include "look.h"
#include "output.h"
#include "who.h"

struct breaking {
    const struct cli_settings *settings;
    zks_client *client;
    const char *path;
    const char *node; /* NULL for the holders. */
    bool all;
    bool yes;
};

static bool is_chosen(const struct breaking *b, const struct cli_someone *who)
{
    return b->all || (b->node != NULL ? strcmp(who->node, cli_basename(b->node)) == 0 : who->in);
}

static int remove_one(const struct breaking *b, const struct cli_someone *who)
{
    int rc = zks_remove(b->client, who->path, cli_limit_ms(b->settings));
    if (rc == ZKS_ENOENT) {
        cli_say("%s: already gone", who->node);
    } else if (rc != 0) {
        return cli_fail(who->node, rc, CLI_UNREACHABLE);
    } else {
        printf("removed %s\n", who->node);
    }
    return CLI_OK;
}

/* Shows whom it would hit, or with `act` does it; returns how many. */
static size_t go_through(const struct breaking *b, const struct zks_view *view, bool act, int *code)
{
    size_t chosen = 0;
    for (size_t i = 0; i < cli_count(view); i++) {
        struct cli_someone who = cli_someone(view, i);
        int rc = CLI_OK;
        if (!is_chosen(b, &who)) {
            continue;
        }
        chosen++;
        if (act) {
            rc = remove_one(b, &who);
        } else {
            cli_print_someone(&who);
        }
        *code = rc != CLI_OK ? rc : *code;
    }
    return chosen;
}

/* A terminal is asked; anything else cannot know what it is doing. */
static int confirm(const struct breaking *b)
{
    char answer[16] = "";
    if (b->yes) {
        return 0;
    }
    if (!isatty(STDIN_FILENO)) {
        cli_say("break: standard input is not a terminal: --yes confirms the removal");
        return CLI_USAGE;
    }
    printf("The holder may still be at work when the next one acquires it. Remove? [y/N] ");
    fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y')) {
        cli_say("break: not done");
        return CLI_NO;
    }
    return 0;
}

static int run(struct breaking *b, const struct zks_view *view)
{
    int code = 0;
    if (go_through(b, view, false, &code) == 0) {
        if (b->node != NULL) {
            cli_say("%s: no holder or waiter has the znode \"%s\"", b->path, b->node);
        } else {
            cli_say("%s: not held%s", b->path,
                    cli_count(view) > 0 ? " (--all removes those that wait)" : "");
        }
        return CLI_NO;
    }
    code = cli_flush(CLI_OK);
    code = code != 0 ? code : confirm(b);
    if (code == 0) {
        go_through(b, view, true, &code);
        code = cli_flush(code);
    }
    return code;
}

int cli_break(struct cli_settings *s, int argc, char **argv)
{
    enum { OPTION_NODE = 256, OPTION_ALL, OPTION_YES };
    static const struct cli_option own[] = {{OPTION_NODE, "node", true},
                                            {OPTION_ALL, "all", false},
                                            {OPTION_YES, "yes", false},
                                            {'y', NULL, false},
                                            {0, NULL, false}};
    struct cli_parser parser;
    struct breaking b = {.settings = s};
    struct zks_view *view = NULL;
    int letter;
    cli_parse_begin(&parser, s, argv[0], argc, argv, own, false);
    while ((letter = cli_parse_next(&parser)) != CLI_PARSE_END) {
        if (letter == CLI_PARSE_STOP) {
            return parser.exit;
        }
        b.node = letter == OPTION_NODE ? optarg : b.node;
        b.all |= letter == OPTION_ALL;
        b.yes |= letter == OPTION_YES || letter == 'y';
    }
    int code = cli_parse_path(&parser, false, &b.path);
    if (code == 0 && b.all && b.node != NULL) {
        code = cli_usage(argv[0], "--node or --all, not both");
    }
    code = code != 0 ? code : cli_open(s, ZKS_FOREVER, &b.client);
    code = code != 0 ? code : cli_look(s, b.client, b.path, &view);
    if (code == 0) {
        code = run(&b, view);
    }
    zks_view_free(view);
    zks_client_close(b.client);
    return code;
}
