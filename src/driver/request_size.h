/* SPDX-License-Identifier: Apache-2.0 */
/* How large requests are. */
#ifndef ZKS_DRIVER_REQUEST_SIZE_H
#define ZKS_DRIVER_REQUEST_SIZE_H

#include "driver/handle.h"

/* The most bytes of a request.  The servers close the connection over a larger one than their jute.maxbuffer,
 * which is 1,048,575 by default.  All requests but ZKS__OPEN are far below it by what the API takes. */
enum { ZKS__REQUEST_MAX = 1000 * 1000 };

/* zks__acl_bytes: of a request that creates something, those that the access control list takes. */
size_t zks__acl_bytes(const struct zks_acl *acl, size_t n);

/* zks__request_bytes: about how large a request is that creates something, ZKS__OPEN no smaller than it will
 * be; 0 for any other. */
size_t zks__request_bytes(const struct zks__handle_options *o, const struct zks__req *req);

#endif
