/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client.h"
#include "commands.h"
#include "duration.h"
#include "exit.h"
#include "parse.h"
#include "who.h"

static const struct {
    const char *word;
    int (*run)(zks_barrier *barrier, int64_t timeout_ms);
} actions[] = {{"set", zks_barrier_set}, {"unset", zks_barrier_unset}, {"wait", zks_barrier_wait}};

enum { ACTIONS = sizeof actions / sizeof actions[0], LOOK_MS = 1000 };

static int fail(const char *path, int error, int busy)
{
    switch (error) {
    case 0:
        return CLI_OK;
    case ZKS_EEXIST:
        cli_say("%s: already set", path);
        return CLI_NO;
    case ZKS_ENOENT:
        cli_say("%s: not set", path);
        return CLI_NO;
    case ZKS_ENOTEMPTY:
        cli_say("%s: not a barrier: the znode has children", path);
        return CLI_LAYOUT;
    case ZKS_ELAYOUT:
        cli_say("%s: not a barrier: a lock or a folder has left the znode, or it is ephemeral",
                path);
        return CLI_LAYOUT;
    case ZKS_EBUSY:
    case ZKS_ETIMEDOUT:
        return busy; /* As for a lock: -v says more. */
    default:
        return cli_fail(path, error, busy);
    }
}

/* Who has set what was waited for. */
static void tell_set(zks_client *client, const char *full, const char *path)
{
    char who[CLI_WHO_SIZE];
    char since[CLI_AGE_SIZE];
    char age[CLI_AGE_SIZE];
    struct zks_view *view = NULL;
    if (zks_look(client, full, LOOK_MS, &view) == 0 && view->kind == ZKS_VIEW_BARRIER) {
        cli_say("%s: set by %s since %s (%s)", path, cli_who(view->data, who),
                cli_time(view->since_ms, since), cli_age(view->age_ms, age));
    } else {
        cli_say("%s: timed out", path);
    }
    zks_view_free(view);
}

static int run(struct cli_settings *s, size_t action, const char *path, int64_t wait_ms, int busy)
{
    char full[CLI_PATH_SIZE];
    zks_client *client = NULL;
    zks_barrier *barrier = NULL;
    uint64_t started = zks_clock_ms();
    if (!cli_full_path(s, path, full)) {
        return fail(path, ZKS_EINVAL, busy);
    }
    int code = cli_open(s, wait_ms, &client);
    if (code != 0) {
        return code;
    }
    int rc = zks_barrier_new(client, full, &barrier);
    if (rc == 0) {
        int64_t spent = (int64_t)(zks_clock_ms() - started);
        int64_t left = wait_ms <= 0 ? wait_ms : spent < wait_ms ? wait_ms - spent : 1;
        rc = actions[action].run(barrier, left);
    }
    if (s->verbose > 0 && (rc == ZKS_EBUSY || rc == ZKS_ETIMEDOUT)) {
        tell_set(client, full, path);
    }
    code = fail(path, rc, busy);
    zks_barrier_free(barrier);
    zks_client_close(client);
    return code;
}

int cli_barrier(struct cli_settings *s, int argc, char **argv)
{
    static const struct cli_option own[] = {{'w', "wait", true},
                                            {'n', "nonblock", false},
                                            {'E', "busy-exit-code", true},
                                            {0, NULL, false}};
    struct cli_parser parser;
    int64_t wait_ms = ZKS_FOREVER;
    int busy = CLI_BUSY;
    int letter;
    cli_parse_begin(&parser, s, argv[0], argc, argv, own, false);
    while ((letter = cli_parse_next(&parser)) != CLI_PARSE_END) {
        if (letter == CLI_PARSE_STOP) {
            return parser.exit;
        }
        if (letter == 'n') {
            wait_ms = 0;
        } else if (letter == 'w' ? !cli_parse_wait(&parser, &wait_ms)
                                 : !cli_parse_code(&parser, &busy)) {
            return CLI_USAGE;
        }
    }
    const char *word = argv[optind];
    size_t action = 0;
    while (action < ACTIONS && (word == NULL || strcmp(word, actions[action].word) != 0)) {
        action++;
    }
    if (action == ACTIONS) {
        return word == NULL ? cli_usage(argv[0], "missing action: set, unset or wait")
                            : cli_usage(argv[0], "\"%s\" is not set, unset or wait", word);
    }
    const char *path = NULL;
    optind++;
    int code = cli_parse_path(&parser, false, &path);
    return code != 0 ? code : run(s, action, path, wait_ms, busy);
}
