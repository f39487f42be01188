/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"

#include <string.h>

_Noreturn void zks__assert_failed(void)
{
    /* The core may call nothing of the system, not even abort(). */
    __builtin_trap();
}

struct zks__req *zks__out_add(struct zks__out *out, enum zks__req_kind kind, const char *dir)
{
    ZKS_ASSERT(out->n < ZKS__OUT_MAX);
    struct zks__req *req = &out->req[out->n++];
    memset(req, 0, sizeof *req);
    req->kind = kind;
    req->dir = dir;
    req->version = -1;
    return req;
}

bool zks__is_final(int rc)
{
    switch (rc) {
    case 0:
    case ZKS__UNKNOWN:
    case ZKS__VERSION:
    case ZKS_ENOENT:
    case ZKS_EEXIST:
    case ZKS_ENOTEMPTY:
        return false;
    default:
        return true;
    }
}

void zks__refuse(struct zks__out *out, int result)
{
    out->refuse = true;
    out->result = result;
}
