/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "fds.h"
#include "parse.h"

static const struct {
    const char *name;
    int (*run)(struct cli_settings *s, int argc, char **argv);
} commands[] = {{"lock", cli_lock},
                {"barrier", cli_barrier},
                {"double-barrier", cli_double_barrier},
                {"hold", cli_hold},
                {"held", cli_held},
                {"status", cli_status},
                {"ls", cli_ls},
                {"watch", cli_watch},
                {"break", cli_break},
                {"ping", cli_ping},
                {"serve", cli_serve},
                {"config", cli_config},
                {"completion", cli_completion},
                {"__complete", cli_complete}};

static int run(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    cli_parse_begin(&parser, s, "", argc, argv, NULL, true);
    if (cli_parse_next(&parser) == CLI_PARSE_STOP) {
        return parser.exit;
    }
    if (optind >= argc) {
        return cli_usage("", "what is to be done?");
    }
    int first = optind;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[first], commands[i].name) == 0) {
            return commands[i].run(s, argc - first, argv + first);
        }
    }
    return cli_usage("", "there is no command \"%s\"", argv[first]);
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
    return code;
}
