/* SPDX-License-Identifier: Apache-2.0 */
/* What all subcommands share: which servers, how to reach them, and where paths begin. */
#ifndef ZKS_CLI_SETTINGS_H
#define ZKS_CLI_SETTINGS_H

#include "zksync/zksync.h"

struct cli_settings {
    const char *servers; /* NULL before cli_reach() where nobody has named any. */
    bool local;          /* They are the user's local server, at this address. */
    char address[80];
    const char *root; /* "" or "/a/b". */
    uint32_t session_timeout_ms;
    int64_t connect_timeout_ms;
    int verbose; /* 1: what zksync does; 2: what the library says as well. */
    char *auth_scheme;
    char *auth;
};

enum { CLI_MESSAGE_SIZE = 1200, CLI_PATH_SIZE = 2300, CLI_PRIVATE_SIZE = 4096 };

/* cli_setting: takes one of the global options, by its letter or number below, or the environment
 * variable of that name.  What is wrong with the value is put into `message`, and false returned. */
enum cli_setting_id {
    CLI_SERVERS = 'S',
    CLI_ROOT = 'R',
    CLI_AUTH_FILE = 'A',
    CLI_SESSION_TIMEOUT = 'T',
    CLI_CONNECT_TIMEOUT = 'C',
    CLI_VERBOSE = 'v'
};
bool cli_setting(struct cli_settings *s, int id, const char *value, char message[CLI_MESSAGE_SIZE]);

/* cli_read_private: the first line of a file with something secret.  False, and `message`, where it cannot be
 * read or others can read it too. */
bool cli_read_private(const char *what, const char *path, char line[CLI_PRIVATE_SIZE],
                      char message[CLI_MESSAGE_SIZE]);

/* cli_settings_init: the defaults, and what the environment says. */
bool cli_settings_init(struct cli_settings *s, char message[CLI_MESSAGE_SIZE]);
void cli_settings_close(struct cli_settings *s);

/* cli_full_path: the znode's path for one that the user gave: with the root in front, a slash if the user
 * gave none, and without one at the end.  False if it is not valid; zks_last_error() says why. */
bool cli_full_path(const struct cli_settings *s, const char *given, char full[CLI_PATH_SIZE]);

/* cli_short_path: the part of a znode's path behind the root, which is what the user can give. */
const char *cli_short_path(const struct cli_settings *s, const char *full);

/* cli_say: prints "zksync: " and a line to standard error. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
