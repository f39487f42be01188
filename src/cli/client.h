/* SPDX-License-Identifier: Apache-2.0 */
/* The library's client as all subcommands open it, and what its errors mean to a person. */
#ifndef ZKS_CLI_CLIENT_H
#define ZKS_CLI_CLIENT_H

#include "settings.h"

/* cli_client_options: with the log that -vv asks for. */
zks_client_options cli_client_options(const struct cli_settings *s);

/* cli_reach: called before anything else that uses the servers.  Checks the settings; where they choose the
 * user's local server it is found or started, and s->servers becomes its address.  With -v it says which
 * servers are used and why.  Prints what is wrong and returns an exit code, or 0. */
int cli_reach(struct cli_settings *s);

/* cli_open: connects, to what cli_reach() finds, within `limit_ms` or the setting, whichever is shorter.  The session is one that
 * holds nothing and may be short: the longer it is, the longer libzookeeper waits for a server that is
 * silent before it tries the next one.  Prints what is wrong and returns an exit code, 0 where the client
 * is there. */
int cli_open(struct cli_settings *s, int64_t limit_ms, zks_client **client);

/* cli_explain: what to tell a person of an error that the last call of the library on this thread has
 * returned, about `what`: a path, or the servers. */
void cli_explain(const char *what, int error, char message[CLI_MESSAGE_SIZE]);

/* cli_fail: prints that, and returns the exit code for it. */
int cli_fail(const char *what, int error, int busy);

#endif
