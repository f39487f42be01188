/* SPDX-License-Identifier: Apache-2.0 */
#include "marker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands in front of a path on the servers, and the servers, from "a:1,b:2/root". */
static const char *root_of(const char *servers)
{
    const char *slash = strchr(servers, '/');
    return slash != NULL && strcmp(slash, "/") != 0 ? slash : "";
}

/* Whether two lists of servers have one in common: then they are the same ensemble. */
static bool share_server(const char *a, size_t a_len, const char *b, size_t b_len)
{
    for (size_t i = 0; i < a_len; i += strcspn(a + i, ",") + 1) {
        size_t n = strcspn(a + i, ",");
        n = i + n > a_len ? a_len - i : n;
        for (size_t k = 0; k < b_len; k += strcspn(b + k, ",") + 1) {
            size_t m = strcspn(b + k, ",");
            m = k + m > b_len ? b_len - k : m;
            if (n == m && memcmp(a + i, b + k, n) == 0) {
                return true;
            }
        }
    }
    return false;
}

bool cli_marker_find(const struct cli_job *job)
{
    char ours[2 * CLI_PATH_SIZE];
    const char *servers = job->settings->servers;
    const char *at = getenv("ZKSYNC_HELD");
    snprintf(ours, sizeof ours, "%s%s", root_of(servers), job->path);
    for (; at != NULL && *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
        size_t len = strcspn(at, "\n");
        const char *tab = memchr(at, '\t', len);
        if (tab != NULL && strlen(ours) == (size_t)(at + len - tab - 1) &&
            memcmp(tab + 1, ours, strlen(ours)) == 0 &&
            share_server(at, (size_t)(tab - at), servers, strcspn(servers, "/"))) {
            return true;
        }
    }
    return false;
}

char *cli_marker_add(const struct cli_job *job)
{
    const char *before = getenv("ZKSYNC_HELD");
    const char *servers = job->settings->servers;
    bool any = before != NULL && before[0] != '\0';
    char *held = NULL;
    int len = asprintf(&held, "%s%s%.*s\t%s%s", any ? before : "", any ? "\n" : "",
                       (int)strcspn(servers, "/"), servers, root_of(servers), job->path);
    return len >= 0 ? held : NULL;
}
