/* SPDX-License-Identifier: Apache-2.0 */
/* zksync help and zksync version. */
#include <stdio.h>

#include "commands.h"
#include "exit.h"
#include "help.h"
#include "parse.h"
#include "suggest.h"

/* 0 where all options have been taken, or an exit code with all said in `parser`. */
static bool parse(struct cli_parser *parser, struct cli_settings *s, int argc, char **argv,
                  int words)
{
    cli_parse_begin(parser, s, argv[0], argc, argv, NULL, false);
    if (cli_parse_next(parser) == CLI_PARSE_STOP) {
        return false;
    }
    if (argc - optind > words) {
        parser->exit = cli_usage(argv[0], "unexpected argument: \"%s\"", argv[optind + words]);
        return false;
    }
    return true;
}

static int unknown(const char *word)
{
    struct cli_suggestion suggestion;
    char text[CLI_SUGGEST_SIZE];
    const char *name;
    cli_suggest_begin(&suggestion, word);
    for (size_t i = 0; (name = cli_help_command(i)) != NULL; i++) {
        cli_suggest_consider(&suggestion, name);
    }
    return cli_usage("", "unknown command \"%s\"%s", word, cli_suggest_text(&suggestion, "", text));
}

int cli_show_help(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    if (!parse(&parser, s, argc, argv, 1)) {
        return parser.exit;
    }
    const char *command = optind < argc ? argv[optind] : "";
    return cli_help(command) ? CLI_OK : unknown(command);
}

int cli_show_version(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    if (!parse(&parser, s, argc, argv, 0)) {
        return parser.exit;
    }
    printf("zksync %s\n", zks_version());
    return CLI_OK;
}
