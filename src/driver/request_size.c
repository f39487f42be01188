/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/request_size.h"

#include <string.h>

#include "core/round.h"

size_t zks__acl_bytes(const struct zks_acl *acl, size_t n)
{
    size_t bytes = 64; /* Of the list that stands for none. */
    for (size_t i = 0; i < n; i++) {
        bytes += 12 + strlen(acl[i].scheme) + strlen(acl[i].id);
    }
    return bytes;
}

static size_t path_bytes(const struct zks__handle_options *o, const struct zks__req *req)
{
    const char *root = strchr(o->servers, '/');
    return strlen(req->dir) + (root != NULL ? strlen(root) : 0) + 32;
}

/* No less than the request will have: the roots are counted with the path, numbers with 32 bytes a part. */
static size_t open_bytes(const struct zks__handle_options *o, const struct zks__req *req,
                         size_t roster)
{
    size_t path = path_bytes(o, req);
    size_t round = strlen(req->name);
    size_t bytes = 64 + roster;
    for (size_t i = 0; i < req->n_names; i++) {
        bytes += path + strlen(req->names[i]) + round;
    }
    return bytes + 2 * (path + round + zks__acl_bytes(o->acl, o->n_acl));
}

size_t zks__request_bytes(const struct zks__handle_options *o, const struct zks__req *req)
{
    switch (req->kind) {
    case ZKS__CREATE:
    case ZKS__CREATE_QUEUED:
    case ZKS__SWAP:
        return path_bytes(o, req) + req->data_len + zks__acl_bytes(o->acl, o->n_acl);
    case ZKS__OPEN:
        return open_bytes(o, req, zks__roster_write(NULL, req->name, req->names, req->n_names));
    default:
        return 0;
    }
}
