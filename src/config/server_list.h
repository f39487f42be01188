/* SPDX-License-Identifier: Apache-2.0 */
/* The text "host:port,[::1]:port/root": what is wrong with it, and the parts of an entry. */
#ifndef ZKS_CONFIG_SERVER_LIST_H
#define ZKS_CONFIG_SERVER_LIST_H

#include <stddef.h>

/* What is wrong, and with which part of the text. */
struct zks__server_list_fault {
    const char *what; /* NULL where nothing is. */
    const char *at;
    size_t len;
};

/* zks__server_list_check: looks at the text alone; no name is looked up. */
struct zks__server_list_fault zks__server_list_check(const char *text);

/* zks__server_port: where the port begins in an entry of `len` bytes; NULL if it has none. */
const char *zks__server_port(const char *entry, size_t len);

#endif
