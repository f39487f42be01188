/* SPDX-License-Identifier: Apache-2.0 */
/* The command `zksync`, run by tests that need a proxy which understands the protocol. */
#ifndef ZKSYNC_TEST_INTEGRATION_COMMAND_H
#define ZKSYNC_TEST_INTEGRATION_COMMAND_H

#include <sys/wait.h>

#include "common.h"

enum { COMMAND_SAID_MAX = 4000 };

/* command_start: starts zksync with these words, which a shell splits, on the server at `address`. */
static inline FILE *command_start(const char *address, const char *words)
{
    char line[1000];
    (void)snprintf(line, sizeof line, "%s/../src/cli/zksync --servers %s %s 2>&1", EXAMPLES_DIR,
                   address, words);
    FILE *out = popen(line, "r");
    assert_non_null(out);
    return out;
}

/* command_end: waits for its end; returns its exit code, or -1, and what it has printed. */
static inline int command_end(FILE *out, char said[COMMAND_SAID_MAX])
{
    said[fread(said, 1, COMMAND_SAID_MAX - 1, out)] = '\0';
    int status = pclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
