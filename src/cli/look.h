/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands that look on share. */
#ifndef ZKS_CLI_LOOK_H
#define ZKS_CLI_LOOK_H

#include <cjson/cJSON.h>

#include "parse.h"

/* cli_look: the view of a path that the user gave.  Prints what is wrong and returns an exit code. */
int cli_look(const struct cli_settings *s, zks_client *client, const char *path,
             struct zks_view **view);

/* cli_look_holders: the same, but only holders have session, since, age, token and data: one request on a long
 * queue rather than one for each waiter. */
int cli_look_holders(const struct cli_settings *s, zks_client *client, const char *path,
                     struct zks_view **view);

/* cli_json_option: for a subcommand whose only option is --json: takes all options.  True, or p->exit is the
 * exit code. */
bool cli_json_option(struct cli_parser *p, struct cli_settings *s, int argc, char **argv,
                     bool *json);

/* cli_limit_ms: how long a question may take: as long as a connection may. */
int64_t cli_limit_ms(const struct cli_settings *s);

/* cli_kind_name: "lock", "barrier", "double-barrier", "folder" or "free". */
const char *cli_kind_name(const struct zks_view *view);

/* cli_is_held: whether somebody holds it, or it is set, or somebody takes part. */
bool cli_is_held(const struct zks_view *view);

/* cli_view_json: a new object with path, kind, held, and who. */
cJSON *cli_view_json(const char *path, const struct zks_view *view);

/* cli_print_json: prints an object as a line to standard output, and deletes it.  An exit code. */
int cli_print_json(cJSON *json);

/* Somebody in a view, whichever of the two kinds. */
struct cli_someone {
    const char *path; /* Of the znode. */
    const char *node; /* The last part of that. */
    const char *data;
    bool in; /* Holds, or is inside. */
    const struct zks_contender *contender;
    const struct zks_participant *participant;
};

/* cli_count: how many there are; a NULL view has none.  cli_someone: one of them. */
size_t cli_count(const struct zks_view *view);
struct cli_someone cli_someone(const struct zks_view *view, size_t i);

/* cli_count_in: how many participants count for the round of a double barrier: those inside, or while
 * none is open, those that wait, one of each id. */
size_t cli_count_in(const struct zks_view *view);

/* cli_print_someone: a line for a person. */
void cli_print_someone(const struct cli_someone *who);

#endif
