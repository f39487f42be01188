/* SPDX-License-Identifier: Apache-2.0 */
#include "api/servers.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/common.h"
#include "config/server_list.h"

enum { WHY_SIZE = 300 };

static int resolve(struct zks__server *server)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const char *port = zks__server_port(server->name, strlen(server->name));
    bool bracketed = server->name[0] == '[';
    char *host = strndup(server->name + bracketed,
                         (size_t)(port - server->name) - 1 - 2 * (size_t)bracketed);
    if (host == NULL) {
        return ZKS_ENOMEM;
    }
    server->unknown = getaddrinfo(host, port, &hints, &server->addresses);
    free(host);
    if (server->unknown != 0) {
        server->addresses = NULL;
    }
    for (struct addrinfo *at = server->addresses; at != NULL; at = at->ai_next) {
        server->n_addresses++;
    }
    return 0;
}

static int take_root(struct zks__servers *s, const char *text)
{
    s->root = strdup(strcmp(text, "/") != 0 ? text : "");
    return s->root != NULL ? 0 : ZKS_ENOMEM;
}

/* libzookeeper splits at the last colon, and does not know brackets. */
static void put_entry(FILE *to, const struct zks__server *server)
{
    for (const char *at = server->name; *at != '\0'; at++) {
        if (*at != '[' && *at != ']') {
            fputc(*at, to);
        }
    }
}

/* With an even number of addresses libzookeeper can skip some of them for ever after an outage
 * (ZOOKEEPER-2466), so an entry that makes the number odd is named twice. */
static int make_connect(struct zks__servers *s)
{
    const struct zks__server *odd = NULL;
    size_t total = 0;
    size_t size = 0;
    FILE *to = open_memstream(&s->connect, &size);
    if (to == NULL) {
        return ZKS_ENOMEM;
    }
    for (size_t i = 0; i < s->n; i++) {
        size_t count = s->entries[i].n_addresses > 0 ? s->entries[i].n_addresses : 1;
        total += count;
        odd = count % 2 == 1 && odd == NULL ? &s->entries[i] : odd;
        fputs(i > 0 ? "," : "", to);
        put_entry(to, &s->entries[i]);
    }
    if (total % 2 == 0 && odd != NULL) {
        fputc(',', to);
        put_entry(to, odd);
    }
    fputs(s->root, to);
    return fclose(to) == 0 ? 0 : ZKS_ENOMEM;
}

static int fill(struct zks__servers *s, const char *text, size_t len)
{
    const char *at = text;
    int rc = take_root(s, text + len);
    for (size_t i = 0; rc == 0 && i < s->n; i++) {
        size_t entry_len = strcspn(at, ",/");
        s->entries[i].name = strndup(at, entry_len);
        rc = s->entries[i].name != NULL ? 0 : ZKS_ENOMEM;
        at += entry_len + 1;
    }
    for (size_t i = 0; rc == 0 && i < s->n; i++) {
        rc = resolve(&s->entries[i]);
    }
    return rc == 0 ? make_connect(s) : rc;
}

int zks__servers_parse(const char *text, struct zks__servers **servers)
{
    char why[WHY_SIZE];
    size_t len = strcspn(text, "/");
    size_t n = 1;
    if (!zks__server_list_valid(text, why, sizeof why)) {
        return zks__error_set(ZKS_EINVAL, "servers: %s", why);
    }
    for (size_t i = 0; i < len; i++) {
        n += text[i] == ',';
    }
    struct zks__servers *s = calloc(1, sizeof *s + n * sizeof s->entries[0]);
    if (s == NULL) {
        return ZKS_ENOMEM;
    }
    s->n = n;
    int rc = fill(s, text, len);
    if (rc != 0) {
        zks__servers_free(s);
        return rc;
    }
    *servers = s;
    return 0;
}

int zks__servers_set_secret(struct zks__servers *servers, const char *secret)
{
    servers->secret = secret[0] != '\0' ? strdup(secret) : NULL;
    return secret[0] == '\0' || servers->secret != NULL ? 0 : ZKS_ENOMEM;
}

static void free_one(struct zks__servers *servers)
{
    for (size_t i = 0; i < servers->n; i++) {
        free(servers->entries[i].name);
        if (servers->entries[i].addresses != NULL) {
            freeaddrinfo(servers->entries[i].addresses);
        }
    }
    free(servers->connect);
    free(servers->root);
    if (servers->secret != NULL) {
        explicit_bzero(servers->secret, strlen(servers->secret));
    }
    free(servers->secret);
    free(servers);
}

void zks__servers_free(struct zks__servers *servers)
{
    while (servers != NULL) {
        struct zks__servers *former = servers->former;
        free_one(servers);
        servers = former;
    }
}
