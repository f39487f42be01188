/* SPDX-License-Identifier: Apache-2.0 */
/* A scope of the user's service manager, systemd(1): a cgroup of its own for a process that would else be in that
 * of the service or the login that happens to start it, and end with it. */
#ifndef ZKS_LOCAL_SCOPE_H
#define ZKS_LOCAL_SCOPE_H

enum { ZKS__SCOPE_WORDS = 7 };

/* zks__scope_command: puts the words that a command begins with to be run in a scope, and NULL behind them; returns
 * the program, or NULL where there is no service manager of the user's.  The environment is that of the
 * command. */
const char *zks__scope_command(char *const environment[], char *words[ZKS__SCOPE_WORDS + 1]);

#endif
