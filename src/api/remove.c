/* SPDX-License-Identifier: Apache-2.0 */
/* The removal of somebody else's znode. */
#include <stdlib.h>
#include <string.h>

#include "api/errand.h"
#include "core/name.h"
#include "core/path.h"
#include "core/round.h"
#include "zksync/observer.h"

struct remover {
    struct zks__errand errand;
    const char *name; /* Behind the end of `dir`. */
    char dir[];
};

static void start(struct zks__errand *e, struct zks__out *out)
{
    struct zks__req *req = zks__errand_ask(e, out, ZKS__DELETE);
    req->name = ((struct remover *)e)->name;
    req->version = -1;
}

static void answered(struct zks__errand *e, const struct zks__reply *reply, struct zks__out *out)
{
    zks__errand_end(e, out, reply->rc == ZKS_ENOENT && e->maybe_done ? 0 : reply->rc);
}

/* No two znodes ever have the same of these names, so none that came later is hit. */
static bool removable(const char *path)
{
    struct zks__contender contender;
    struct zks__member member;
    const char *slash = path != NULL && zks__path_valid(path) ? strrchr(path, '/') : NULL;
    return slash != NULL && slash - path <= ZKS__PATH_MAX && strlen(slash + 1) <= ZKS__NAME_MAX &&
           (zks__contender_parse(slash + 1, &contender) || zks__member_parse(slash + 1, &member));
}

int zks_remove(zks_client *client, const char *path, int64_t timeout_ms)
{
    if (client == NULL || timeout_ms < ZKS_FOREVER) {
        return zks__invalid(client == NULL ? "client" : "timeout_ms",
                            client == NULL ? "NULL" : "negative");
    }
    if (!removable(path)) {
        return zks__invalid("path", "not the znode of a lock's contender or of a double barrier's "
                                    "participant");
    }
    size_t dir_len = (size_t)(strrchr(path, '/') - path);
    struct remover *r = calloc(1, sizeof *r + strlen(path) + 2);
    if (r == NULL) {
        return zks__error(ZKS_ENOMEM);
    }
    /* Of "/name" the folder is "/". */
    memcpy(r->dir, path, dir_len > 0 ? dir_len : 1);
    r->name = strcpy(r->dir + (dir_len > 0 ? dir_len : 1) + 1, path + dir_len + 1);
    r->errand.start = start;
    r->errand.answered = answered;
    return zks__errand_run(&r->errand, client, r->dir, timeout_ms, NULL, NULL);
}
