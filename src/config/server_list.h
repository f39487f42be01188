/* SPDX-License-Identifier: Apache-2.0 */
/* The text "host:port,[::1]:port/root": what is wrong with it, and the parts of an entry. */
#ifndef ZKS_CONFIG_SERVER_LIST_H
#define ZKS_CONFIG_SERVER_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* zks__server_list_valid: looks at the text alone; no name is looked up.  False puts into `why` which part is wrong
 * and why, without control characters. */
bool zks__server_list_valid(const char *text, char *why, size_t size);

/* zks__server_port: where the port begins in an entry of `len` bytes; NULL if it has none. */
const char *zks__server_port(const char *entry, size_t len);

#endif
