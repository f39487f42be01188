/* SPDX-License-Identifier: Apache-2.0 */
/* Who a connection is: its address, and the credentials that it has given. */
#ifndef ZKS_SERVER_AUTH_H
#define ZKS_SERVER_AUTH_H

#include "tree/acl.h"

/* Each write is kept on disk with all identities of its connection, so they are limited. */
enum { ZKS__IDENTITIES_MAX = 32, ZKS__IDENTITY_BYTES_MAX = 4096 };

struct zks__identity {
    struct zks__id *ids;
    size_t n;
    size_t bytes; /* Of the texts. */
};

/* zks__identity_add: NULL, or a sentence that says why not.  What is there already is not added again.
 * zks__identity_close: what is all zeros is fine. */
const char *zks__identity_add(struct zks__identity *who, const char *scheme, const char *id);
void zks__identity_close(struct zks__identity *who);

/* zks__identity_add_digest: the same for what "user:password" becomes in an access control list: "user:" and
 * a hash of it all. */
const char *zks__identity_add_digest(struct zks__identity *who, const void *credentials,
                                     size_t len);

/* zks__same_secret: takes as long whether or not they are the same. */
bool zks__same_secret(const void *given, size_t len, const char *secret);

#endif
