/* SPDX-License-Identifier: Apache-2.0 */
/* What `zksync serve` is to do. */
#ifndef ZKS_CLI_SERVE_H
#define ZKS_CLI_SERVE_H

#include "settings.h"
#include "zksync/server.h"

struct cli_serve {
    const struct cli_settings *settings;
    zks_server_options options;
    bool own; /* It is found by its address alone; otherwise it is the user's local server. */
    bool no_secret;
    bool background;
    char secret[CLI_PRIVATE_SIZE];
    char folder[CLI_PATH_SIZE];
};

/* cli_serve_run: serves until a signal, a failure, or that nobody needs it any more.  Whoever has started it
 * is told on ready_fd, or where that is -1 on standard output.  An exit code. */
int cli_serve_run(struct cli_serve *s, int ready_fd);

/* cli_serve_status, cli_serve_stop: about the user's local server; an exit code. */
int cli_serve_status(const struct cli_settings *s, bool json);
int cli_serve_stop(const struct cli_settings *s);

#endif
