/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "complete_path.h"
#include "exit.h"
#include "parse.h"

/* Each asks `zksync __complete`, which knows the commands and options from the one table below, and the
 * paths from the servers. */
static const struct {
    const char *shell;
    const char *script;
} scripts[] = {
    {"bash",
     "_zksync() {\n"
     "    local line last typed=${COMP_LINE:0:COMP_POINT} prefix= words\n"
     "    COMPREPLY=()\n"
     "    # COMP_WORDS is split at : and =, which are part of servers and options here.\n"
     "    read -a words <<< \"$typed\"\n"
     "    case $typed in *[[:space:]]) words+=('') ;; esac\n"
     "    last=${words[${#words[@]}-1]}\n"
     "    case $last in [\\\"\\']*) return ;; *[:=]*) prefix=${last%\"${last##*[:=]}\"} ;; esac\n"
     "    while IFS= read -r line; do\n"
     "        if [ \"$line\" = :command ]; then\n"
     "            compopt -o default +o nospace\n"
     "            return\n"
     "        fi\n"
     "        # Others choose the names of znodes: nothing of them may mean anything to a shell.\n"
     "        printf -v line %q \"${line#\"$prefix\"}\"\n"
     "        COMPREPLY+=(\"$line\")\n"
     "    done < <(zksync __complete -- \"${words[@]:1}\" 2>/dev/null)\n"
     "    # Behind a folder the word goes on.\n"
     "    case ${#COMPREPLY[@]}${COMPREPLY[0]-} in 1*/) compopt -o nospace 2>/dev/null ;; esac\n"
     "}\n"
     "complete -F _zksync zksync\n"},
    {"zsh", "#compdef zksync\n"
            "_zksync() {\n"
            "    local -a found\n"
            "    found=(${(f)\"$(zksync __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
            "    if [[ ${found[1]-} == :command ]]; then\n"
            "        _default\n"
            "        return\n"
            "    fi\n"
            "    compadd -S '' -- ${(M)found:#*/}\n"
            "    compadd -- ${found:#*/}\n"
            "}\n"
            "# The file is either loaded as the function itself, or sourced.\n"
            "if [[ ${funcstack[1]-} == _zksync ]]; then\n"
            "    _zksync \"$@\"\n"
            "elif (( $+functions[compdef] )); then\n"
            "    compdef _zksync zksync\n"
            "fi\n"},
    {"fish", "function __zksync_complete\n"
             "    set -l words (commandline -opc) (commandline -ct)\n"
             "    set -l found (zksync __complete -- $words[2..-1] 2>/dev/null)\n"
             "    if test \"$found[1]\" = :command\n"
             "        __fish_complete_path (commandline -ct)\n"
             "    else\n"
             "        string join \\n -- $found\n"
             "    end\n"
             "end\n"
             "complete -c zksync -f -a '(__zksync_complete)'\n"}};

enum { NO_PATH = -1 };

/* What follows a subcommand: options without and with a value, its first word, and a path. */
static const struct {
    const char *name;
    const char *flags;
    const char *valued;
    const char *words; /* One of these is the first word; "*" for the name of any subcommand. */
    int path;          /* Which word is a path; NO_PATH for none. */
    bool runs;         /* A command follows the path. */
} grammar[] = {
    {"lock", "-s -x -n --shared --exclusive --nonblock --wait-group",
     "-w -E -c -k --wait --busy-exit-code --command --kill-after --on-loss --reason "
     "--status-fd",
     "", 0, true},
    {"hold", "-s -x -n -b --shared --exclusive --nonblock --background",
     "-w -E -k --wait --busy-exit-code --kill-after --on-loss --reason --status-fd --for", "", 0,
     false},
    {"release", "", "", "", NO_PATH, false},
    {"held", "-s -x --shared --exclusive", "", "", 0, false},
    {"barrier", "-n --nonblock", "-w -E --wait --busy-exit-code", "set unset wait", 1, false},
    {"double-barrier", "--wait-group",
     "-n -w -E -c -k --participants --id --wait --busy-exit-code --command --kill-after --on-loss "
     "--reason --status-fd",
     "", 0, true},
    {"status", "--json", "", "", 0, false},
    {"ls", "-r --recursive --json", "", "", 0, false},
    {"watch", "--json", "", "", 0, false},
    {"break", "--all --yes", "--node", "", 0, false},
    {"ping", "--json", "", "", NO_PATH, false},
    {"config", "--json", "", "", NO_PATH, false},
    {"serve", "-b --background --allow-remote --memory --no-secret --status --stop --json",
     "--listen --data --tick --min-session-timeout --max-session-timeout --reap --idle "
     "--secret-file",
     "", NO_PATH, false},
    {"completion", "", "", "bash zsh fish", NO_PATH, false},
    {"help", "", "", "*", NO_PATH, false},
    {"version", "", "", "", NO_PATH, false}};

enum { COMMANDS = sizeof grammar / sizeof grammar[0] };

static const char global_flags[] = "-v -h --local --verbose --help --version";
static const char global_valued[] =
    "-T --servers --root --auth-file --session-timeout --connect-timeout";

/* Whether a word is in a list of words. */
static bool in_list(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; at != NULL && *at != '\0';
         at += strcspn(at, " "), at += *at == ' ') {
        if (strcspn(at, " ") == len && strncmp(at, word, len) == 0) {
            return true;
        }
    }
    return false;
}

static void offer(const char *list, const char *begin)
{
    size_t len = strlen(begin);
    for (const char *at = list; *at != '\0'; at += strcspn(at, " "), at += *at == ' ') {
        if (strncmp(at, begin, len) == 0) {
            printf("%.*s\n", (int)strcspn(at, " "), at);
        }
    }
}

/* What the word before is followed by, where it is an option with a value. */
static void offer_values(const char *option)
{
    if (strcmp(option, "--on-loss") == 0) {
        printf("kill\nwarn\nTERM\nINT\nUSR1\n");
    } else if (in_list("-c --command --auth-file --data --secret-file", option)) {
        printf(":command\n"); /* The shell's own completion is of more use. */
    }
}

/* Where to look is what the line says already, as "--root /a" or "--root=/a". */
static void take_setting(struct cli_settings *s, const char *option, const char *value)
{
    char name[32];
    char message[CLI_MESSAGE_SIZE];
    const char *equals = strchr(option, '=');
    snprintf(name, sizeof name, "%.*s", (int)strcspn(option, "="), option);
    int id = cli_parse_global(name);
    value = equals != NULL ? equals + 1 : value;
    if (id != 0 && value != NULL) {
        (void)cli_setting(s, id, value, message);
    }
}

static void offer_commands(const char *begin)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        offer(grammar[i].name, begin);
    }
}

static void offer_options(size_t command, const char *begin)
{
    offer(global_flags, begin);
    offer(global_valued, begin);
    if (command < COMMANDS) {
        offer(grammar[command].flags, begin);
        offer(grammar[command].valued, begin);
    }
}

static void complete(struct cli_settings *s, int argc, char **argv)
{
    const char *last = argc > 0 ? argv[argc - 1] : "";
    size_t command = COMMANDS;
    int words = 0; /* Of the subcommand's own that are typed already. */
    for (int i = 0; i + 1 < argc; i++) {
        bool known = command < COMMANDS;
        take_setting(s, argv[i], i + 2 < argc ? argv[i + 1] : NULL);
        if (in_list(global_valued, argv[i]) ||
            (known && in_list(grammar[command].valued, argv[i]))) {
            if (i + 2 == argc) {
                offer_values(argv[i]);
                return;
            }
            i++;
        } else if (known && argv[i][0] != '-') {
            words++;
        } else if (!known && argv[i][0] != '-') {
            for (command = 0; command < COMMANDS && strcmp(grammar[command].name, argv[i]) != 0;) {
                command++;
            }
            if (command == COMMANDS) {
                return;
            }
        }
    }
    if (command == COMMANDS && last[0] != '-') {
        offer_commands(last);
    } else if (command < COMMANDS && grammar[command].runs && words > 0) {
        printf(":command\n");
    } else if (last[0] == '-') {
        offer_options(command, last);
    } else if (words == 0 && strcmp(grammar[command].words, "*") == 0) {
        offer_commands(last);
    } else if (words == 0 && grammar[command].words[0] != '\0') {
        offer(grammar[command].words, last);
    } else if (words == grammar[command].path) {
        cli_complete_path(s, last);
    }
}

int cli_complete(struct cli_settings *s, int argc, char **argv)
{
    int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    complete(s, argc - first, argv + first);
    return CLI_OK;
}

int cli_completion(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    cli_parse_begin(&parser, s, argv[0], argc, argv, NULL, false);
    if (cli_parse_next(&parser) == CLI_PARSE_STOP) {
        return parser.exit;
    }
    for (size_t i = 0; optind + 1 == argc && i < sizeof scripts / sizeof scripts[0]; i++) {
        if (strcmp(argv[optind], scripts[i].shell) == 0) {
            fputs(scripts[i].script, stdout);
            return CLI_OK;
        }
    }
    return cli_usage(argv[0], "missing SHELL: bash, zsh or fish");
}
