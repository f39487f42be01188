/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "fds.h"
#include "output.h"
#include "parse.h"
#include "suggest.h"

static const struct {
    const char *name;
    int (*run)(struct cli_settings *s, int argc, char **argv);
} commands[] = {{"lock", cli_lock},
                {"barrier", cli_barrier},
                {"double-barrier", cli_double_barrier},
                {"hold", cli_hold},
                {"release", cli_release},
                {"held", cli_held},
                {"status", cli_status},
                {"ls", cli_ls},
                {"watch", cli_watch},
                {"break", cli_break},
                {"ping", cli_ping},
                {"serve", cli_serve},
                {"config", cli_config},
                {"completion", cli_completion},
                {"help", cli_show_help},
                {"version", cli_show_version},
                {"__complete", cli_complete}};

static int unknown(const char *word)
{
    struct cli_suggestion suggestion;
    char text[CLI_SUGGEST_SIZE];
    cli_suggest_begin(&suggestion, word);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (commands[i].name[0] != '_') {
            cli_suggest_consider(&suggestion, commands[i].name);
        }
    }
    return cli_usage("", "unknown command \"%s\"%s", word, cli_suggest_text(&suggestion, "", text));
}

static int run(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    cli_parse_begin(&parser, s, "", argc, argv, NULL, true);
    if (cli_parse_next(&parser) == CLI_PARSE_STOP) {
        return cli_hold_failed(argc, argv, parser.exit);
    }
    if (optind >= argc) {
        return cli_usage("", "missing command");
    }
    int first = optind;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[first], commands[i].name) == 0) {
            return commands[i].run(s, argc - first, argv + first);
        }
    }
    return cli_hold_failed(argc, argv, unknown(argv[first]));
}

int main(int argc, char **argv)
{
    struct cli_settings settings;
    cli_fds_note();
    if (!cli_settings_init(&settings)) {
        cli_say("%s", zks_strerror(ZKS_ENOMEM));
        return CLI_SYSTEM;
    }
    int code = run(&settings, argc, argv);
    cli_settings_close(&settings);
    return cli_flush(code);
}
