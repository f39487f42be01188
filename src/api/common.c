/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "api/probe.h"
#include "api/servers.h"
#include "core/path.h"
#include "driver/clock.h"
#include "driver/deliveries.h"

enum { VERSIONS_MS = 1000 }; /* For asking servers that are too old for their versions. */

bool zks__dir_valid(const char *path)
{
    return path != NULL && strlen(path) <= ZKS__PATH_MAX && zks__path_valid(path);
}

int zks__invalid(const char *name, const char *wrong)
{
    return zks__error_set(ZKS_EINVAL, "%s: %s", name, wrong);
}

/* A copy that can be printed, of the beginning where it is long. */
static const char *printable(const char *text, char buf[256])
{
    size_t n = 0;
    for (; text[n] != '\0' && n < 200; n++) {
        unsigned char c = (unsigned char)text[n];
        buf[n] = c < 0x20 || c == 0x7f ? '?' : text[n];
    }
    strcpy(buf + n, text[n] != '\0' ? "..." : "");
    return buf;
}

int zks__check_path(const char *path)
{
    char buf[256];
    const char *fault = path != NULL ? zks__path_fault(path) : NULL;
    if (path == NULL) {
        return zks__invalid("path", "NULL");
    }
    if (fault == NULL && strlen(path) > ZKS__PATH_MAX) {
        return zks__error_set(ZKS_EINVAL, "\"%s\": not a valid path: %zu bytes, more than %d",
                              printable(path, buf), strlen(path), ZKS__PATH_MAX);
    }
    return fault == NULL ? 0
                         : zks__error_set(ZKS_EINVAL, "\"%s\": not a valid path: %s",
                                          printable(path, buf), fault);
}

int zks_path_check(const char *path)
{
    return zks__check_path(path);
}

int zks__full_path(const zks_client *client, const char *path, bool top,
                   char full[ZKS__PATH_MAX + 1])
{
    const char *root = client->options.root;
    bool is_top = top && path != NULL && strcmp(path, "/") == 0;
    int rc = is_top ? 0 : zks__check_path(path);
    if (rc != 0) {
        return rc;
    }
    int len =
        snprintf(full, ZKS__PATH_MAX + 1, "%s%s", root, is_top && root[0] != '\0' ? "" : path);
    return len <= ZKS__PATH_MAX
               ? 0
               : zks__error_set(ZKS_EINVAL,
                                "%s: with the root %s the path has %d bytes, more than %d", path,
                                root, len, ZKS__PATH_MAX);
}

static int check_call(const struct zks__machine *m, int64_t timeout_ms)
{
    if (m == NULL) {
        return zks__invalid("handle", "NULL");
    }
    if (timeout_ms < ZKS_FOREVER) {
        return zks__error_set(ZKS_EINVAL, "timeout_ms: negative: %lld", (long long)timeout_ms);
    }
    return 0;
}

int zks__no_root(const char *root)
{
    return zks__error_set(ZKS_ENOCHROOT, "%s: the root does not exist on the servers", root);
}

/* Names the servers that are too old, and their versions. */
static int too_old(struct zks_client *c)
{
    char why[ZKS__ERROR_MAX];
    (void)zks__probe(c->list, zks__after(zks__now_ms(), VERSIONS_MS), VERSIONS_MS, NULL, NULL, why);
    return zks__error_set(ZKS_EVERSION, "%s", why[0] != '\0' ? why : zks_strerror(ZKS_EVERSION));
}

int zks__run(struct zks__machine *m, int what, int64_t timeout_ms)
{
    char dir[ZKS__PATH_MAX + 1];
    char root[ZKS__PATH_MAX + 1];
    zks__error_begin();
    int rc = check_call(m, timeout_ms);
    if (rc != 0) {
        return rc;
    }
    /* The handle may be freed meanwhile. */
    (void)snprintf(dir, sizeof dir, "%s", m->dir);
    (void)snprintf(root, sizeof root, "%s", m->client != NULL ? m->client->list->root : "");
    struct zks_client *c = m->client;
    unsigned most = c != NULL ? c->options.max_session_bytes : 0;
    bool guest = c != NULL && !zks__in_callback() && zks__client_enter(c) == 0;
    rc = zks__machine_run(m, what, timeout_ms);
    if (rc == ZKS_EVERSION && guest) {
        rc = too_old(c);
    }
    if (guest) {
        zks__client_leave(c);
    }
    if (rc == ZKS_EVERSION) {
        return zks__error_end(rc);
    }
    if (rc == ZKS_ENOCHROOT) {
        return zks__no_root(root);
    }
    if (rc == ZKS_ELIMIT) {
        return zks__error_set(rc, "%s: %s (max_session_bytes is %u)", dir, zks_strerror(rc), most);
    }
    bool named = rc != 0 && strcmp(dir, "/") != 0;
    return named ? zks__error_set(rc, "%s: %s", dir, zks_strerror(rc)) : zks__error_end(rc);
}

int zks__submit(struct zks__machine *m, struct zks_op *op, int what, int64_t timeout_ms)
{
    zks__error_begin();
    int rc = check_call(m, timeout_ms);
    if (rc != 0) {
        return rc;
    }
    if (op == NULL || op->zks__cb == NULL) {
        return zks__invalid("op", op == NULL ? "NULL" : "zks_op_init() was not given a callback");
    }
    rc = zks__machine_submit(m, op, what, timeout_ms);
    return rc == ZKS_EINVAL ? zks__invalid("op", "in use by another operation")
                            : zks__error_end(rc);
}

int zks__fill_random(void *buf, size_t size)
{
    unsigned char *at = buf;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR) {
            return ZKS_ESYSTEM;
        }
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
    return 0;
}

/* The beginning of a text that others have chosen, such as the name that the program was called by. */
static const char *beginning(const char *text, char buf[ZKS_IDENTITY_MAX + 1])
{
    size_t len = strlen(text);
    if (len <= ZKS_IDENTITY_MAX) {
        return text;
    }
    len = ZKS_IDENTITY_MAX;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
        len--; /* No character is cut in two. */
    }
    memcpy(buf, text, len);
    buf[len] = '\0';
    return buf;
}

static const char *user_name(char *buf, size_t size)
{
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(geteuid(), &entry, buf, size, &found) == 0 && found != NULL) {
        return found->pw_name;
    }
    snprintf(buf, size, "%lu", (unsigned long)geteuid());
    return buf;
}

char *zks__describe(const zks_client_options *options, const char *id)
{
    char host[256] = "";
    char buf[4096];
    char *text = NULL;
    struct timespec now;
    cJSON *json = cJSON_CreateObject();
    (void)gethostname(host, sizeof host - 1);
    clock_gettime(CLOCK_REALTIME, &now);
    double ms = (double)now.tv_sec * 1000 + (double)(now.tv_nsec / 1000000);
    double pid = options->pid != 0 ? (double)options->pid : (double)getpid();
    char user[ZKS_IDENTITY_MAX + 1];
    char program[ZKS_IDENTITY_MAX + 1];
    const char *identity = options->identity != NULL
                               ? options->identity
                               : beginning(program_invocation_short_name, program);
    if (json != NULL && cJSON_AddNumberToObject(json, "v", 1) != NULL &&
        (id == NULL || cJSON_AddStringToObject(json, "id", id) != NULL) &&
        cJSON_AddStringToObject(json, "host", host) != NULL &&
        cJSON_AddNumberToObject(json, "pid", pid) != NULL &&
        cJSON_AddStringToObject(json, "user", beginning(user_name(buf, sizeof buf), user)) !=
            NULL &&
        cJSON_AddStringToObject(json, "identity", identity) != NULL &&
        cJSON_AddNumberToObject(json, "started_ms", ms) != NULL &&
        (options->reason == NULL ||
         cJSON_AddStringToObject(json, "reason", options->reason) != NULL)) {
        text = cJSON_PrintUnformatted(json);
    }
    cJSON_Delete(json);
    return text;
}
