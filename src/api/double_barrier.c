/* SPDX-License-Identifier: Apache-2.0 */
#include "zksync/double_barrier.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "core/double_barrier.h"
#include "driver/request_size.h"

_Static_assert((int)ZKS_DOUBLE_BARRIER_N_MAX == (int)ZKS__N_MAX, "public and internal limit");
_Static_assert((int)ZKS_DOUBLE_BARRIER_ID_MAX == (int)ZKS__ID_MAX, "public and internal limit");

struct zks_double_barrier {
    struct zks__machine machine;
    char *data;
    struct zks__double_barrier core; /* The driver's thread only. */
};

static void step(struct zks__machine *m, const struct zks__in *in, struct zks__out *out)
{
    zks__double_barrier_step(&((struct zks_double_barrier *)m)->core, in, out);
}

static uint64_t deadline(const struct zks__machine *m)
{
    return zks__double_barrier_deadline(&((const struct zks_double_barrier *)m)->core);
}

static bool clean(const struct zks__machine *m)
{
    return zks__double_barrier_clean(&((const struct zks_double_barrier *)m)->core);
}

static bool watches(const struct zks__machine *m, const char *name)
{
    return zks__double_barrier_watches(&((const struct zks_double_barrier *)m)->core, name);
}

static void publish(struct zks__machine *m)
{
    (void)m;
}

static void destroy(struct zks__machine *m)
{
    struct zks_double_barrier *b = (struct zks_double_barrier *)m;
    free(b->data);
    free(b);
}

static bool own(const struct zks__machine *m, struct zks__owned *owned)
{
    return zks__double_barrier_own(&((const struct zks_double_barrier *)m)->core, owned);
}

static const struct zks__machine_type type = {step,    deadline, clean,   NULL, watches,
                                              publish, publish,  destroy, own,  false};

static bool id_valid(const char *id)
{
    char path[ZKS__ID_MAX + 3] = "/a";
    if (strlen(id) == 0 || strlen(id) > ZKS__ID_MAX || strchr(id, '/') != NULL) {
        return false;
    }
    strcpy(path + 2, id); /* Behind a letter, since "." alone may not be a name but "a." may. */
    return zks__dir_valid(path);
}

/* The opening of a round is one request: for each member its path and the round's name, and its name once
 * more in the roster.  The others' ids are counted as if they were as long as ours. */
static bool fits(const zks_client *client, const char *path, uint32_t n, const char *id)
{
    size_t root = strlen(client->servers) - strcspn(client->servers, "/"); /* Goes before paths. */
    size_t name = strlen(id) + ZKS__UUID_LEN + 24;
    size_t member = root + strlen(path) + 2 * name + ZKS__UUID_LEN + 32;
    size_t acl = zks__acl_bytes(client->acl, client->options.n_acl);
    return (size_t)n * member + 2 * acl + 4096 < ZKS__REQUEST_MAX;
}

static int init(struct zks_double_barrier *b, zks_client *client, const char *path, uint32_t n,
                const char *id, const unsigned char *random)
{
    struct zks__stem stem;
    zks__stem_init(&stem, random);
    b->data = strdup(client->description);
    if (b->data == NULL) {
        return ZKS_ENOMEM;
    }
    zks__double_barrier_init(&b->core, path, id, n, &stem, b->data, strlen(b->data));
    return zks__machine_attach(&b->machine, &type, client, b->core.dir);
}

static int check(const zks_client *client, const char *path, uint32_t n, const char *id,
                 zks_double_barrier *const *barrier, char full[ZKS__PATH_MAX + 1])
{
    if (client == NULL || barrier == NULL) {
        return zks__invalid(client == NULL ? "client" : "barrier", "NULL");
    }
    if (n < 1 || n > ZKS__N_MAX) {
        return zks__error_set(ZKS_EINVAL, "n: %lu is not between 1 and %d", (unsigned long)n,
                              (int)ZKS__N_MAX);
    }
    if (id != NULL && !id_valid(id)) {
        return zks__error_set(ZKS_EINVAL,
                              "id: not 1 to %d bytes without a slash and control characters",
                              (int)ZKS__ID_MAX);
    }
    return zks__full_path(client, path, false, full);
}

/* Host and pid are for people, and the same as in the znode's data; containers can share both.
 * False where there is no memory. */
static bool make_id(char id[ZKS__ID_MAX + 1], const zks_client *client, const unsigned char *random)
{
    enum { HOST_MAX = 64 };
    char host[HOST_MAX + 1] = "";
    uint64_t bits;
    cJSON *json = cJSON_Parse(client->description);
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "host"));
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(json, "pid");
    bool ok = name != NULL && cJSON_IsNumber(pid);
    if (ok) {
        snprintf(host, sizeof host, "%s", name);
        for (char *c = host; *c != '\0'; c++) {
            bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                         (*c >= '0' && *c <= '9') || *c == '.' || *c == '-';
            *c = plain ? *c : '_';
        }
        memcpy(&bits, random, sizeof bits);
        snprintf(id, ZKS__ID_MAX + 1, "%s-%.0f-%016" PRIx64, host, pid->valuedouble, bits);
    }
    cJSON_Delete(json);
    return ok;
}

int zks_double_barrier_new(zks_client *client, const char *path, uint32_t n, const char *id,
                           zks_double_barrier **barrier)
{
    unsigned char random[ZKS__STEM_LEN / 2];
    char made[ZKS__ID_MAX + 1];
    char full[ZKS__PATH_MAX + 1]; /* Set by check(). */
    int rc = check(client, path, n, id, barrier, full);
    if (rc != 0) {
        return rc;
    }
    rc = zks__fill_random(random, sizeof random);
    if (rc != 0) {
        return zks__error(rc);
    }
    if (id == NULL && !make_id(made, client, random)) {
        return zks__error(ZKS_ENOMEM);
    }
    id = id != NULL ? id : made;
    if (!fits(client, full, n, id)) {
        return zks__error_set(ZKS_ETOOMANY,
                              "%s: a round of %lu participants with so long a path and id does not "
                              "fit into one request",
                              path, (unsigned long)n);
    }
    struct zks_double_barrier *b = calloc(1, sizeof *b);
    rc = b != NULL ? init(b, client, full, n, id, random) : ZKS_ENOMEM;
    if (rc != 0) {
        if (b != NULL) {
            destroy(&b->machine);
        }
        return zks__error(rc);
    }
    *barrier = b;
    return 0;
}

const char *zks_double_barrier_id(const zks_double_barrier *barrier)
{
    return barrier != NULL ? barrier->core.id : NULL;
}

void zks_double_barrier_free(zks_double_barrier *barrier)
{
    if (barrier != NULL) {
        zks__machine_free(&barrier->machine);
    }
}

int zks_double_barrier_enter(zks_double_barrier *barrier, int64_t timeout_ms)
{
    char dir[ZKS__PATH_MAX + 1];
    char id[ZKS__ID_MAX + 1];
    if (barrier != NULL) { /* The handle may be freed meanwhile. */
        strcpy(dir, barrier->core.dir);
        strcpy(id, barrier->core.id);
    }
    int rc =
        zks__run(barrier != NULL ? &barrier->machine : NULL, ZKS__DOUBLE_BARRIER_ENTER, timeout_ms);
    return rc == ZKS_EEXIST
               ? zks__error_set(rc, "%s: the id \"%s\" is in use by another participant", dir, id)
               : rc;
}

int zks_double_barrier_leave(zks_double_barrier *barrier, int64_t timeout_ms)
{
    return zks__run(barrier != NULL ? &barrier->machine : NULL, ZKS__DOUBLE_BARRIER_LEAVE,
                    timeout_ms);
}

int zks_double_barrier_enter_op(zks_double_barrier *barrier, int64_t timeout_ms, zks_op *op)
{
    return zks__submit(barrier != NULL ? &barrier->machine : NULL, op, ZKS__DOUBLE_BARRIER_ENTER,
                       timeout_ms);
}

int zks_double_barrier_leave_op(zks_double_barrier *barrier, int64_t timeout_ms, zks_op *op)
{
    return zks__submit(barrier != NULL ? &barrier->machine : NULL, op, ZKS__DOUBLE_BARRIER_LEAVE,
                       timeout_ms);
}
