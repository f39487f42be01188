/* SPDX-License-Identifier: Apache-2.0 */
#include "suggest.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 40 }; /* Nobody mistypes longer ones for a name of ours. */

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters have to be inserted, removed, replaced or swapped with the next one. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[WORD_MAX + 1][WORD_MAX + 1];
    size_t n = strlen(a);
    size_t m = strlen(b);
    for (size_t i = 0; i <= n; i++) {
        for (size_t k = 0; k <= m; k++) {
            if (i == 0 || k == 0) {
                rows[i][k] = i + k;
                continue;
            }
            size_t best = rows[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            best = min(best, min(rows[i - 1][k], rows[i][k - 1]) + 1);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) {
                best = min(best, rows[i - 2][k - 2] + 1);
            }
            rows[i][k] = best;
        }
    }
    return rows[n][m];
}

void cli_suggest_begin(struct cli_suggestion *s, const char *word)
{
    *s = (struct cli_suggestion){.word = word, .distance = 1 + strlen(word) / 3};
}

/* Only a name that is closer than one before it, or than what could be meant at all. */
void cli_suggest_consider(struct cli_suggestion *s, const char *name)
{
    size_t len = strlen(s->word);
    if (len < 2 || len > WORD_MAX || strlen(name) > WORD_MAX) {
        return;
    }
    size_t found = strncmp(name, s->word, len) == 0 ? 1 : distance(s->word, name);
    if (found < s->distance || (found == s->distance && s->name == NULL)) {
        s->distance = found;
        s->name = name;
    }
}

const char *cli_suggest_text(const struct cli_suggestion *s, const char *prefix,
                             char buf[CLI_SUGGEST_SIZE])
{
    buf[0] = '\0';
    if (s->name != NULL) {
        (void)snprintf(buf, CLI_SUGGEST_SIZE, " (did you mean \"%s%s\"?)", prefix, s->name);
    }
    return buf;
}
