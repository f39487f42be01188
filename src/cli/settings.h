/* SPDX-License-Identifier: Apache-2.0 */
/* What all subcommands share: which servers, how to reach them, and where paths begin. */
#ifndef ZKS_CLI_SETTINGS_H
#define ZKS_CLI_SETTINGS_H

#include "zksync/zksync.h"

struct cli_settings {
    zks_config *config;
    /* What it comes to. */
    const char *servers; /* NULL where none are named. */
    bool local;          /* Since cli_reach(): they are the user's local server, at this address. */
    char address[80];
    const char *root; /* "" or "/a/b". */
    uint32_t session_timeout_ms;
    int64_t connect_timeout_ms;
    int verbose; /* 1: what zksync does; 2: what the library says as well. */
    const char *auth_scheme;
    const char *auth;
};

enum { CLI_MESSAGE_SIZE = 1600, CLI_PATH_SIZE = 2300, CLI_PRIVATE_SIZE = 4096 };

/* cli_setting: takes one of the global options, by its letter or number below.  What is wrong with the value
 * is put into `message`, and false returned. */
enum cli_setting_id {
    CLI_SERVERS = 'S',
    CLI_LOCAL = 'L',
    CLI_ROOT = 'R',
    CLI_AUTH_FILE = 'A',
    CLI_SESSION_TIMEOUT = 'T',
    CLI_CONNECT_TIMEOUT = 'C',
    CLI_VERBOSE = 'v'
};
bool cli_setting(struct cli_settings *s, int id, const char *value, char message[CLI_MESSAGE_SIZE]);

/* cli_settings_init: the settings of the environment and the files.  What is wrong with them counts, and is
 * told by cli_reach(), only where servers are needed.  False where there is no memory. */
bool cli_settings_init(struct cli_settings *s);
void cli_settings_close(struct cli_settings *s);

/* cli_full_path: the znode's path for one that the user gave: with the root in front, a slash if the user
 * gave none, and without one at the end.  False if it is not valid; zks_last_error() says why. */
bool cli_full_path(const struct cli_settings *s, const char *given, char full[CLI_PATH_SIZE]);

/* cli_short_path: the part of a znode's path behind the root, which is what the user can give. */
const char *cli_short_path(const struct cli_settings *s, const char *full);

/* cli_say: prints "zksync: " and a line to standard error. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
