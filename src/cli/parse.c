/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "duration.h"
#include "exit.h"
#include "help.h"
#include "suggest.h"

static const struct cli_option global[] = {{CLI_SERVERS, "servers", true},
                                           {CLI_LOCAL, "local", false},
                                           {CLI_ROOT, "root", true},
                                           {CLI_AUTH_FILE, "auth-file", true},
                                           {CLI_SESSION_TIMEOUT, "session-timeout", true},
                                           {CLI_CONNECT_TIMEOUT, "connect-timeout", true},
                                           {CLI_VERBOSE, "verbose", false},
                                           {'h', "help", false},
                                           {'V', "version", false},
                                           {0, NULL, false}};
static const char global_letters[] = "TvhV"; /* The others have a name only. */

int cli_parse_global(const char *name)
{
    for (const struct cli_option *at = global; at->letter != 0; at++) {
        bool is_long = strncmp(name, "--", 2) == 0 && strcmp(name + 2, at->name) == 0;
        bool is_short = name[0] == '-' && name[1] == at->letter && name[2] == '\0' &&
                        strchr(global_letters, at->letter) != NULL;
        if (at->takes && (is_long || is_short)) {
            return at->letter;
        }
    }
    return 0;
}

int cli_usage(const char *command, const char *format, ...)
{
    char line[CLI_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const char *blank = command[0] != '\0' ? " " : "";
    cli_say("%s%s%s", command, command[0] != '\0' ? ": " : "", line);
    fprintf(stderr, "Try 'zksync%s%s --help'.\n", blank, command);
    return CLI_USAGE;
}

static void add(struct cli_parser *p, const struct cli_option *from, const char *letters, size_t *n)
{
    for (; from->letter != 0; from++) {
        if (from->letter < 256 && (letters == NULL || strchr(letters, from->letter) != NULL)) {
            size_t len = strlen(p->letters);
            p->letters[len] = (char)from->letter;
            p->letters[len + 1] = from->takes ? ':' : '\0';
        }
        if (from->name != NULL) {
            p->options[(*n)++] = (struct option){
                from->name, from->takes ? required_argument : no_argument, NULL, from->letter};
        }
    }
}

void cli_parse_begin(struct cli_parser *p, struct cli_settings *settings, const char *command,
                     int argc, char **argv, const struct cli_option *own, bool stops)
{
    size_t n = 0;
    memset(p, 0, sizeof *p);
    p->settings = settings;
    p->command = command;
    p->argc = argc;
    p->argv = argv;
    strcpy(p->letters, stops ? "+:" : ":");
    add(p, global, global_letters, &n);
    if (own != NULL) {
        add(p, own, NULL, &n);
    }
    optind = 0; /* Begins anew. */
    opterr = 0;
}

static int stop(struct cli_parser *p, int code)
{
    p->exit = code;
    return CLI_PARSE_STOP;
}

/* The word in which the option stands that getopt_long() has just looked at. */
static const char *culprit(const struct cli_parser *p, char buf[3])
{
    if (optopt > 0 && optopt < 256 && strncmp(p->argv[optind - 1], "--", 2) != 0) {
        buf[0] = '-';
        buf[1] = (char)optopt;
        buf[2] = '\0';
        return buf;
    }
    return p->argv[optind - 1];
}

static int unknown(const struct cli_parser *p, const char *option)
{
    struct cli_suggestion suggestion;
    char text[CLI_SUGGEST_SIZE];
    char name[32] = ""; /* Of "--name=value". */
    if (strncmp(option, "--", 2) == 0) {
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(option + 2, "="), option + 2);
    }
    cli_suggest_begin(&suggestion, name);
    for (const struct option *at = p->options; at->name != NULL; at++) {
        if (strcmp(at->name, name) == 0) {
            return cli_usage(p->command, "option \"--%s\" takes no value: \"%s\"", name, option);
        }
        cli_suggest_consider(&suggestion, at->name);
    }
    return cli_usage(p->command, "unknown option \"%s\"%s", option,
                     cli_suggest_text(&suggestion, "--", text));
}

bool cli_parse_is_option(const struct cli_parser *p, const char *word)
{
    size_t len = strcspn(word, "=");
    if (word[0] != '-' || word[1] == '\0' || strcmp(word, "--") == 0) {
        return false;
    }
    if (word[1] != '-') {
        return word[1] != ':' && strchr(p->letters, word[1]) != NULL;
    }
    for (const struct option *at = p->options; at->name != NULL; at++) {
        if (strncmp(at->name, word + 2, len - 2) == 0) {
            return true;
        }
    }
    return false;
}

int cli_parse_next(struct cli_parser *p)
{
    char message[CLI_MESSAGE_SIZE];
    char buf[3];
    for (;;) {
        int letter = getopt_long(p->argc, p->argv, p->letters, p->options, NULL);
        switch (letter) {
        case '?':
            return stop(p, unknown(p, culprit(p, buf)));
        case ':':
            return stop(p, cli_usage(p->command, "option \"%s\" needs a value", culprit(p, buf)));
        case 'h':
            (void)(cli_help(p->command) || cli_help(""));
            return stop(p, CLI_OK);
        case 'V':
            printf("zksync %s\n", zks_version());
            return stop(p, CLI_OK);
        case CLI_SERVERS:
        case CLI_LOCAL:
        case CLI_ROOT:
        case CLI_AUTH_FILE:
        case CLI_SESSION_TIMEOUT:
        case CLI_CONNECT_TIMEOUT:
        case CLI_VERBOSE:
            if (!cli_setting(p->settings, letter, optarg, message)) {
                int code = cli_usage(p->command, "%s", message);
                return stop(p, optarg[0] == '\0' ? CLI_CONFIG : code);
            }
            break;
        default:
            return letter;
        }
    }
}

int cli_parse_full(const struct cli_parser *p, const char *path, bool top, char full[CLI_PATH_SIZE])
{
    bool allowed = top || strcmp(path, "/") != 0;
    if (path[0] == '\0') {
        return cli_usage(p->command, "the path is empty");
    }
    bool valid = allowed ? cli_full_path(p->settings, path, full) : zks_path_check(path) == 0;
    return valid ? 0 : cli_usage(p->command, "%s", zks_last_error());
}

int cli_parse_path(struct cli_parser *p, bool top, const char **path)
{
    char full[CLI_PATH_SIZE];
    if (optind >= p->argc) {
        return cli_usage(p->command, "missing PATH");
    }
    if (optind + 1 < p->argc) {
        return cli_usage(p->command, "unexpected argument after the path: \"%s\"",
                         p->argv[optind + 1]);
    }
    *path = p->argv[optind];
    return cli_parse_full(p, *path, top, full);
}

bool cli_parse_wait(struct cli_parser *p, int64_t *ms)
{
    if (!zks_parse_duration(optarg, ms)) {
        cli_usage(p->command, "\"%s\" is not a time such as 10, 1.5, 250ms or 2m", optarg);
        return false;
    }
    return true;
}

bool cli_parse_code(struct cli_parser *p, int *code)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(optarg, &end, 10);
    if (errno != 0 || end == optarg || *end != '\0' || value < 0 || value > 255) {
        cli_usage(p->command, "\"%s\" is not an exit code from 0 to 255", optarg);
        return false;
    }
    *code = (int)value;
    return true;
}
