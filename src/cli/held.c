/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "exit.h"
#include "look.h"
#include "marker.h"
#include "who.h"

/* Whether this process runs under the lock, as the servers see it. */
static int answer(const struct cli_settings *s, const char *path, bool shared,
                  const struct zks_contender *holder)
{
    char who[CLI_WHO_SIZE];
    bool counts = holder != NULL && (shared || holder->mode == ZKS_RWLOCK_WRITE);
    if (s->verbose > 0 && holder == NULL) {
        cli_say("%s: ZKSYNC_HELD names a lock that was released", path);
    } else if (s->verbose > 0) {
        cli_say("%s: held by %s, token %" PRIu64 "%s", path, cli_who(holder->data, who),
                holder->token, holder->mode == ZKS_RWLOCK_READ ? ", shared" : "");
    }
    return counts ? CLI_OK : CLI_NO;
}

/* Without a marker there is nothing to ask, and no server needs to be named. */
static int ask(struct cli_settings *s, const char *path, bool shared)
{
    char full[CLI_PATH_SIZE];
    zks_client *client = NULL;
    struct zks_view *view = NULL;
    (void)cli_full_path(s, path, full);
    if (!cli_marker_exists(s, full)) {
        if (s->verbose > 0) {
            cli_say("%s: ZKSYNC_HELD does not name this lock", path);
        }
        return CLI_NO;
    }
    int code = cli_open(s, ZKS_FOREVER, &client);
    code = code != 0 ? code : cli_look_holders(s, client, path, &view);
    code = code != 0 ? code : answer(s, path, shared, cli_marker_holder(s, full, view));
    zks_view_free(view);
    zks_client_close(client);
    return code;
}

int cli_held(struct cli_settings *s, int argc, char **argv)
{
    static const struct cli_option own[] = {
        {'s', "shared", false}, {'x', "exclusive", false}, {0, NULL, false}};
    struct cli_parser parser;
    const char *path = NULL;
    bool shared = false;
    int letter;
    cli_parse_begin(&parser, s, argv[0], argc, argv, own, false);
    while ((letter = cli_parse_next(&parser)) != CLI_PARSE_END) {
        if (letter == CLI_PARSE_STOP) {
            return parser.exit;
        }
        shared = letter == 's';
    }
    int code = cli_parse_path(&parser, false, &path);
    return code != 0 ? code : ask(s, path, shared);
}
