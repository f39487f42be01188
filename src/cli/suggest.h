/* SPDX-License-Identifier: Apache-2.0 */
/* "did you mean": the name closest to a mistyped word. */
#ifndef ZKS_CLI_SUGGEST_H
#define ZKS_CLI_SUGGEST_H

#include <stddef.h>

struct cli_suggestion {
    const char *word;
    const char *name; /* The closest so far; NULL if none is close. */
    size_t distance;
};

/* cli_suggest_begin: no name has been considered yet.  cli_suggest_consider: one that is possible. */
void cli_suggest_begin(struct cli_suggestion *s, const char *word);
void cli_suggest_consider(struct cli_suggestion *s, const char *name);

enum { CLI_SUGGEST_SIZE = 64 };

/* cli_suggest_text: " (did you mean "PREFIXname"?)", or "" if no name is close.  Returns `buf`. */
const char *cli_suggest_text(const struct cli_suggestion *s, const char *prefix,
                             char buf[CLI_SUGGEST_SIZE]);

#endif
