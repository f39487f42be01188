/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that entries of the scheme "ip" name. */
#ifndef ZKS_TREE_NETWORK_H
#define ZKS_TREE_NETWORK_H

#include <stdbool.h>

/* An address, or a network of those whose first `bits` are the same. */
struct zks__network {
    unsigned char bytes[16];
    int len; /* 4 or 16. */
    int bits;
};

/* zks__network_parse: "127.0.0.1", "127.0.0.0/8", "::1" or "fe80::/10"; false for anything else.
 * zks__network_has: whether an address is in it. */
bool zks__network_parse(const char *text, struct zks__network *to);
bool zks__network_has(const struct zks__network *network, const struct zks__network *address);

#endif
