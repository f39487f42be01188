/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "fds.h"
#include "output.h"
#include "parse.h"
#include "process1.h"
#include "suggest.h"

static const struct {
    const char *name;
    int (*run)(struct cli_settings *s, int argc, char **argv);
    bool has_children; /* It waits for children, and takes signals itself. */
} commands[] = {{"lock", cli_lock, true},
                {"barrier", cli_barrier, false},
                {"double-barrier", cli_double_barrier, true},
                {"hold", cli_hold, true},
                {"release", cli_release, false},
                {"held", cli_held, false},
                {"status", cli_status, false},
                {"ls", cli_ls, false},
                {"watch", cli_watch, false},
                {"break", cli_break, false},
                {"ping", cli_ping, false},
                {"serve", cli_serve, true},
                {"config", cli_config, false},
                {"completion", cli_completion, false},
                {"help", cli_show_help, false},
                {"version", cli_show_version, false},
                {"__complete", cli_complete, false}};

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
            if (!commands[i].has_children) {
                cli_process1_take_signals();
                cli_process1_reap();
            }
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
