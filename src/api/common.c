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

/* The server refuses these code points in paths, so that every tool can show them: control
 * characters, surrogates, the private use area and the last block of the basic plane. */
static bool char_valid(unsigned long c)
{
    return !(c <= 0x1f || (c >= 0x7f && c <= 0x9f) || (c >= 0xd800 && c <= 0xf8ff) ||
             (c >= 0xfff0 && c <= 0xffff));
}

/* The next UTF-8 character, or 0 where the bytes are none.  Characters of four bytes count as none:
 * the server sees them as surrogates. */
static unsigned long next_char(const unsigned char **at)
{
    const unsigned char *s = *at;
    int more = s[0] < 0x80                   ? 0
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 1
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 2
                                             : -1;
    if (more < 0) {
        return 0;
    }
    unsigned long c = more == 0 ? s[0] : s[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    *at = s + more + 1;
    return more == 2 && c < 0x800 ? 0 : c;
}

static bool segment_valid(const char *from, size_t len)
{
    return len > 0 && !(len == 1 && from[0] == '.') &&
           !(len == 2 && from[0] == '.' && from[1] == '.');
}

bool zks__path_valid(const char *path)
{
    if (path == NULL || path[0] != '/' || strlen(path) > ZKS__PATH_MAX) {
        return false;
    }
    for (const unsigned char *at = (const unsigned char *)path; *at != '\0';) {
        if (!char_valid(next_char(&at))) {
            return false;
        }
    }
    for (const char *from = path + 1;; from = strchr(from, '/') + 1) {
        if (!segment_valid(from, strcspn(from, "/"))) {
            return false;
        }
        if (strchr(from, '/') == NULL) {
            return true;
        }
    }
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
    const char *identity =
        options->identity != NULL ? options->identity : program_invocation_short_name;
    if (json != NULL && cJSON_AddNumberToObject(json, "v", 1) != NULL &&
        (id == NULL || cJSON_AddStringToObject(json, "id", id) != NULL) &&
        cJSON_AddStringToObject(json, "host", host) != NULL &&
        cJSON_AddNumberToObject(json, "pid", getpid()) != NULL &&
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
