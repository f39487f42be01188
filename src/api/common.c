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

#include "core/path.h"

bool zks__dir_valid(const char *path)
{
    return path != NULL && strlen(path) <= ZKS__PATH_MAX && zks__path_valid(path);
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
    const char *identity =
        options->identity != NULL ? options->identity : program_invocation_short_name;
    if (json != NULL && cJSON_AddNumberToObject(json, "v", 1) != NULL &&
        (id == NULL || cJSON_AddStringToObject(json, "id", id) != NULL) &&
        cJSON_AddStringToObject(json, "host", host) != NULL &&
        cJSON_AddNumberToObject(json, "pid", pid) != NULL &&
        cJSON_AddStringToObject(json, "user", user_name(buf, sizeof buf)) != NULL &&
        cJSON_AddStringToObject(json, "identity", identity) != NULL &&
        cJSON_AddNumberToObject(json, "started_ms", ms) != NULL &&
        (options->reason == NULL ||
         cJSON_AddStringToObject(json, "reason", options->reason) != NULL)) {
        text = cJSON_PrintUnformatted(json);
    }
    cJSON_Delete(json);
    return text;
}
