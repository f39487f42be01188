/* SPDX-License-Identifier: Apache-2.0 */
#include "who.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[] = {"host", "user", "identity", "reason"};
static const char *const numbers[] = {"pid", "started_ms"};

const char *cli_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* How many bytes the character at the beginning has; 0 where it is no UTF-8. */
static size_t length_of(const unsigned char *at)
{
    size_t len = at[0] < 0x80                    ? 1
                 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                 : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                                 : 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool outside = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return len > 2 && (overlong || outside) ? 0 : len;
}

/* Those of two bytes as well, from U+0080 on. */
static bool is_control(const unsigned char *at)
{
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

const char *cli_clean(const char *text, char *buf, size_t size)
{
    size_t n = 0;
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        size_t len = length_of(at);
        bool bad = len == 0 || is_control(at);
        size_t room = bad ? 1 : len;
        if (n + room >= size) {
            break;
        }
        memcpy(buf + n, bad ? "?" : (const char *)at, room);
        n += room;
        at += len > 0 ? len : 1;
    }
    buf[n] = '\0';
    return buf;
}

/* Whoever reads JSON wants UTF-8; cJSON takes and gives any bytes. */
static void make_utf8(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0';) {
        size_t len = length_of(at);
        *at = len > 0 ? *at : '?';
        at += len > 0 ? len : 1;
    }
}

static const char *text_of(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text != NULL ? text : "";
}

const char *cli_who(const char *data, char buf[CLI_WHO_SIZE])
{
    char raw[CLI_WHO_SIZE];
    cJSON *json = data != NULL ? cJSON_Parse(data) : NULL;
    const char *host = text_of(json, "host");
    const char *user = text_of(json, "user");
    const char *identity = text_of(json, "identity");
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(json, "pid");
    if (host[0] != '\0' && cJSON_IsNumber(pid)) {
        snprintf(raw, sizeof raw, "%s:%.0f%s%s%s%s%s", host, pid->valuedouble,
                 user[0] != '\0' ? " " : "", user, identity[0] != '\0' ? " (" : "", identity,
                 identity[0] != '\0' ? ")" : "");
    } else {
        snprintf(raw, sizeof raw, "%.60s", data != NULL && data[0] != '\0' ? data : "unknown");
    }
    cJSON_Delete(json);
    return cli_clean(raw, buf, CLI_WHO_SIZE);
}

const char *cli_reason(const char *data, char buf[CLI_WHO_SIZE])
{
    cJSON *json = data != NULL ? cJSON_Parse(data) : NULL;
    cli_clean(text_of(json, "reason"), buf, CLI_WHO_SIZE);
    cJSON_Delete(json);
    return buf;
}

void cli_who_json(cJSON *to, const char *data)
{
    cJSON *json = data != NULL ? cJSON_Parse(data) : NULL;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, texts[i]);
        if (cJSON_IsString(item)) {
            make_utf8(item->valuestring);
            cJSON_AddStringToObject(to, texts[i], item->valuestring);
        }
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, numbers[i]);
        if (cJSON_IsNumber(item)) {
            cJSON_AddNumberToObject(to, numbers[i], item->valuedouble);
        }
    }
    cJSON_Delete(json);
}

/* cJSON keeps numbers as doubles, which do not hold all of 64 bits. */
void cli_json_number(cJSON *to, const char *name, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    cJSON_AddRawToObject(to, name, digits);
}

/* What is known of anybody. */
static void add_whereabouts(cJSON *to, int64_t session, int64_t since_ms, int64_t age_ms,
                            const char *data)
{
    char text[24];
    snprintf(text, sizeof text, "0x%" PRIx64, (uint64_t)session);
    cJSON_AddStringToObject(to, "session", text);
    cJSON_AddNumberToObject(to, "since_ms", (double)since_ms);
    cJSON_AddNumberToObject(to, "age_ms", (double)age_ms);
    cli_who_json(to, data);
}

cJSON *cli_contender_json(const struct zks_contender *c)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "node", cli_basename(c->path));
    cJSON_AddStringToObject(json, "mode", c->mode == ZKS_RWLOCK_WRITE ? "write" : "read");
    cJSON_AddBoolToObject(json, "holds", c->holds);
    cli_json_number(json, "token", c->token);
    add_whereabouts(json, c->session, c->since_ms, c->age_ms, c->data);
    return json;
}

cJSON *cli_participant_json(const struct zks_participant *p)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "node", cli_basename(p->path));
    cJSON_AddStringToObject(json, "id", p->id);
    cJSON_AddNumberToObject(json, "n", p->n);
    cJSON_AddBoolToObject(json, "inside", p->inside);
    add_whereabouts(json, p->session, p->since_ms, p->age_ms, p->data);
    return json;
}
