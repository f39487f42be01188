/* SPDX-License-Identifier: Apache-2.0 */
#include "marker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENCODED_SIZE = 6 * CLI_PATH_SIZE, TOKEN_SIZE = 24, HELD_MAX = 32768 };

struct marker {
    const char *text; /* servers/dir/node@token */
    size_t len;
    size_t servers_len;
    const char *dir;
    size_t dir_len;
    const char *node; /* With "@token" behind it. */
    size_t node_len;
};

/* Takes the next word at *at; false at the end.  One that is no marker gets an empty `dir`. */
static bool next_marker(const char **at, struct marker *m)
{
    memset(m, 0, sizeof *m);
    if (*at == NULL || **at == '\0') {
        return false;
    }
    m->text = *at;
    m->len = strcspn(*at, " ");
    *at += m->len + ((*at)[m->len] == ' ');
    const char *first = memchr(m->text, '/', m->len);
    const char *last = memrchr(m->text, '/', m->len);
    m->dir = m->node = m->text + m->len;
    if (first != NULL) {
        m->servers_len = (size_t)(first - m->text);
        m->dir = first;
        m->dir_len = (size_t)(last - first);
        m->node = last + 1;
        m->node_len = (size_t)(m->text + m->len - m->node);
    }
    return true;
}

/* "/root" of "a:1,b:2/root", which the servers see in front of each path. */
static const char *root_of(const char *servers)
{
    const char *slash = servers != NULL ? strchr(servers, '/') : NULL;
    return slash != NULL && strcmp(slash, "/") != 0 ? slash : "";
}

/* Appends text, with %XX for what shells split words at or terminals obey; returns the new end.  It takes up to
 * three bytes for each byte of text. */
static char *put_encoded(char *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == '%' || c == 127) {
            to += sprintf(to, "%%%02X", c);
        } else {
            *to++ = (char)c;
        }
    }
    *to = '\0';
    return to;
}

/* A path as markers have it. */
static void encode_dir(const struct cli_settings *s, const char *path, char dir[ENCODED_SIZE])
{
    const char *root = root_of(s->servers);
    size_t len = strnlen(root, CLI_PATH_SIZE);
    put_encoded(put_encoded(dir, root, len), path, strnlen(path, CLI_PATH_SIZE));
}

static bool is_at(const struct marker *m, const char *dir)
{
    return m->dir_len == strlen(dir) && memcmp(m->dir, dir, m->dir_len) == 0;
}

bool cli_marker_exists(const struct cli_settings *s, const char *path)
{
    char dir[ENCODED_SIZE];
    const char *at = getenv("ZKSYNC_HELD");
    struct marker m;
    bool found = false;
    encode_dir(s, path, dir);
    while (!found && next_marker(&at, &m)) {
        found = is_at(&m, dir);
    }
    return found;
}

static bool names(const struct marker *m, const struct zks_contender *c)
{
    char node[CLI_PATH_SIZE];
    int len = snprintf(node, sizeof node, "%s@%" PRIu64, strrchr(c->path, '/') + 1, c->token);
    return c->holds && len < CLI_PATH_SIZE && m->node_len == (size_t)len &&
           memcmp(m->node, node, m->node_len) == 0;
}

const struct zks_contender *cli_marker_holder(const struct cli_settings *s, const char *path,
                                              const struct zks_view *view)
{
    char dir[ENCODED_SIZE];
    const char *at = getenv("ZKSYNC_HELD");
    struct marker m;
    encode_dir(s, path, dir);
    while (next_marker(&at, &m)) {
        for (size_t i = 0; is_at(&m, dir) && i < view->n_contenders; i++) {
            if (names(&m, &view->contenders[i])) {
                return &view->contenders[i];
            }
        }
    }
    return NULL;
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

/* The markers but for the oldest, where all of them are too many: a program cannot be run with a longer variable.
 * A lock whose marker is left out is not recognized as held already, and is waited for like any other. */
static const char *within_limit(const char *markers)
{
    while (markers != NULL && strlen(markers) > HELD_MAX) {
        const char *blank = strchr(markers, ' ');
        markers = blank != NULL ? blank + 1 : NULL;
    }
    return markers;
}

char *cli_marker_add(const struct cli_settings *s, const char *node, uint64_t token)
{
    const char *before = getenv("ZKSYNC_HELD");
    size_t servers_len = strcspn(s->servers, "/");
    size_t room = before != NULL ? strlen(before) + 1 : 0;
    char *made = malloc(room + 3 * (strlen(s->servers) + strlen(node)) + TOKEN_SIZE);
    char *to = made;
    char dir[ENCODED_SIZE];
    struct marker m;
    if (made == NULL) {
        return NULL;
    }
    encode_dir(s, node, dir);
    *strrchr(dir, '/') = '\0';
    before = within_limit(before);
    while (next_marker(&before, &m)) {
        if (m.len > 0 &&
            !(is_at(&m, dir) && share_server(m.text, m.servers_len, s->servers, servers_len))) {
            memcpy(to, m.text, m.len);
            to += m.len;
            *to++ = ' ';
        }
    }
    to = put_encoded(to, s->servers, servers_len);
    to = put_encoded(to, root_of(s->servers), strlen(root_of(s->servers)));
    to = put_encoded(to, node, strlen(node));
    snprintf(to, TOKEN_SIZE, "@%" PRIu64, token);
    return made;
}
