/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "exit.h"
#include "look.h"

static int print(const struct zks_ping *ping, bool json)
{
    char session[24];
    snprintf(session, sizeof session, "0x%" PRIx64, (uint64_t)ping->session);
    if (!json) {
        printf("%s answers: read %.2f ms, write %.2f ms, session %s, session timeout %.3g s\n",
               ping->server, (double)ping->read_us / 1000, (double)ping->write_us / 1000, session,
               (double)ping->session_timeout_ms / 1000);
        return CLI_OK;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "server", ping->server);
    cJSON_AddNumberToObject(object, "read_us", (double)ping->read_us);
    cJSON_AddNumberToObject(object, "write_us", (double)ping->write_us);
    cJSON_AddStringToObject(object, "session", session);
    cJSON_AddNumberToObject(object, "session_timeout_ms", ping->session_timeout_ms);
    return cli_print_json(object);
}

int cli_ping(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    bool json = false;
    if (!cli_json_option(&parser, s, argc, argv, &json)) {
        return parser.exit;
    }
    if (optind < argc) {
        return cli_usage(argv[0], "unexpected argument: \"%s\"", argv[optind]);
    }
    int code = cli_reach(s);
    if (code != 0) {
        return code;
    }
    zks_client *client = NULL;
    struct zks_ping ping;
    zks_client_options options =
        cli_client_options(s); /* With the session that a lock would have. */
    int rc = zks_client_open(&options, &client);
    if (rc != 0) {
        code = cli_fail(s->servers, rc, CLI_UNREACHABLE);
    } else {
        rc = zks_client_ping(client, cli_limit_ms(s), &ping);
        code = rc == 0 ? print(&ping, json) : cli_fail(s->servers, rc, CLI_UNREACHABLE);
    }
    zks_client_close(client);
    return code;
}
