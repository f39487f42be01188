/* SPDX-License-Identifier: Apache-2.0 */
/* The list of servers, "host:port,host:port/root": its entries, and the addresses of their hosts. */
#ifndef ZKS_API_SERVERS_H
#define ZKS_API_SERVERS_H

#include <stdbool.h>
#include <stddef.h>

struct addrinfo;

struct zks__server {
    char *name;                 /* "host:port", as it was given. */
    int unknown;                /* The error of getaddrinfo(); 0 if there are addresses. */
    struct addrinfo *addresses; /* NULL if there are none. */
    size_t n_addresses;
};

struct zks__servers {
    char *connect; /* What libzookeeper gets. */
    char *root;    /* "" or "/a/b". */
    char *secret;  /* What servers of our own want; NULL for nothing. */
    struct zks__servers
        *former; /* The list that this one replaces, whose texts may still be in use. */
    size_t n;
    struct zks__server entries[];
};

/* zks__servers_parse: looks the names up too, which takes as long as it takes.  On success the caller
 * owns *servers.
 *  ZKS_EINVAL  with a sentence that names the entry and what is wrong with it.
 *  ZKS_ENOMEM */
int zks__servers_parse(const char *text, struct zks__servers **servers);

/* zks__servers_set_secret: "" for none.  0 or ZKS_ENOMEM. */
int zks__servers_set_secret(struct zks__servers *servers, const char *secret);

/* zks__servers_free: with those that it has replaced.  NULL is fine. */
void zks__servers_free(struct zks__servers *servers);

#endif
