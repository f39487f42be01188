/* SPDX-License-Identifier: Apache-2.0 */
/* Who a connection is: its address, and the credentials that it has given. */
#ifndef ZKS_SERVER_AUTH_H
#define ZKS_SERVER_AUTH_H

#include "tree/acl.h"

struct zks__identity {
    struct zks__id *ids;
    size_t n;
};

/* zks__identity_add: false where there is no memory; what is there already is not added again.
 * zks__identity_close: what is all zeros is fine. */
bool zks__identity_add(struct zks__identity *who, const char *scheme, const char *id);
void zks__identity_close(struct zks__identity *who);

/* zks__digest_id: what "user:password" becomes in an access control list: "user:" and a hash of it all, in
 * allocated memory; NULL where there is none. */
char *zks__digest_id(const void *credentials, size_t len);

/* zks__same_secret: takes as long whether or not they are the same. */
bool zks__same_secret(const void *given, size_t len, const char *secret);

#endif
