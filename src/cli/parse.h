/* SPDX-License-Identifier: Apache-2.0 */
/* Options: the subcommand's own and the global ones, which may stand before or behind its name. */
#ifndef ZKS_CLI_PARSE_H
#define ZKS_CLI_PARSE_H

#include <getopt.h>

#include "settings.h"

enum { CLI_PARSE_OPTIONS = 40, CLI_PARSE_END = -1, CLI_PARSE_STOP = -2 };

struct cli_parser {
    struct cli_settings *settings;
    const char *command; /* "" before it is known. */
    int argc;
    char **argv; /* argv[0] is the command. */
    struct option options[CLI_PARSE_OPTIONS];
    char letters[2 * CLI_PARSE_OPTIONS + 2];
    int exit; /* Where CLI_PARSE_STOP was returned. */
};

/* An option of the subcommand's own; the last of a list has letter 0.  Letters above 255 have a name
 * only. */
struct cli_option {
    int letter;
    const char *name; /* Or NULL. */
    bool takes;       /* A value. */
};

/* cli_parse_begin: where `stops` is true, options end at the first word that is none. */
void cli_parse_begin(struct cli_parser *p, struct cli_settings *settings, const char *command,
                     int argc, char **argv, const struct cli_option *own, bool stops);

/* cli_parse_next: the letter of the next option of the subcommand's own, whose value is in optarg;
 * CLI_PARSE_END, and optind is where the other words begin; or CLI_PARSE_STOP: everything has been
 * said, and the program is to end with p->exit. */
int cli_parse_next(struct cli_parser *p);

/* cli_parse_global: the global option that takes a value and has this name, such as "--root" or "-T"; 0 for
 * none. */
int cli_parse_global(const char *name);

/* cli_parse_is_option: whether a word would be taken for an option, or several, before the other words. */
bool cli_parse_is_option(const struct cli_parser *p, const char *word);

/* cli_usage: prints the two lines of a usage error and returns CLI_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* cli_parse_path: after CLI_PARSE_END: for a subcommand that takes a path and nothing else; "/" only with
 * `top`.  0 or an exit code, with all said. */
int cli_parse_path(struct cli_parser *p, bool top, const char **path);

/* cli_parse_full: the znode's path for one that the user gave.  0 or an exit code, with all said. */
int cli_parse_full(const struct cli_parser *p, const char *path, bool top,
                   char full[CLI_PATH_SIZE]);

/* The values of options that several subcommands have; they print what is wrong. */
bool cli_parse_wait(struct cli_parser *p, int64_t *ms);
bool cli_parse_code(struct cli_parser *p, int *code);

#endif
