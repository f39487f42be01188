/* SPDX-License-Identifier: Apache-2.0 */
#include "name.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

void zks__append(char *buf, const char *text)
{
    size_t have = strlen(buf);
    size_t more = strlen(text);
    ZKS_ASSERT(have + more <= ZKS__NAME_MAX);
    memcpy(buf + have, text, more + 1);
}

void zks__copy(char *buf, const char *text)
{
    buf[0] = '\0';
    zks__append(buf, text);
}

void zks__append_uint(char *buf, uint64_t value, unsigned base, unsigned width)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = hex_digits[value % base];
        value /= base;
    } while (value > 0);
    while (sizeof digits - 1 - at < width) {
        digits[--at] = '0';
    }
    zks__append(buf, digits + at);
}

static void append_seq(char *buf, int32_t seq)
{
    if (seq < 0) {
        zks__append(buf, "-");
        zks__append_uint(buf, (uint64_t) - (int64_t)seq, 10, 9);
    } else {
        zks__append_uint(buf, (uint64_t)seq, 10, 10);
    }
}

void zks__stem_init(struct zks__stem *stem, const unsigned char random[ZKS__STEM_LEN / 2])
{
    for (size_t i = 0; i < ZKS__STEM_LEN / 2; i++) {
        stem->hex[2 * i] = hex_digits[random[i] >> 4];
        stem->hex[2 * i + 1] = hex_digits[random[i] & 15];
    }
    stem->hex[ZKS__STEM_LEN] = '\0';
}

bool zks__stem_owns(const struct zks__stem *stem, const char *name)
{
    return strstr(name, stem->hex) != NULL;
}

bool zks__uuid_valid(const char *text)
{
    for (size_t i = 0; i < ZKS__UUID_LEN; i++) {
        if (text[i] == '\0' || strchr(hex_digits, text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

void zks__uuid(char out[ZKS__UUID_LEN + 1], const struct zks__stem *stem, uint32_t attempt)
{
    char buf[ZKS__NAME_MAX + 1] = "";
    zks__append(buf, stem->hex);
    zks__append_uint(buf, attempt, 16, ZKS__UUID_LEN - ZKS__STEM_LEN);
    memcpy(out, buf, ZKS__UUID_LEN + 1);
}

bool zks__stem_made(const struct zks__stem *stem, uint32_t attempt, const char *name)
{
    char uuid[ZKS__UUID_LEN + 1];
    zks__uuid(uuid, stem, attempt);
    return strstr(name, uuid) != NULL;
}

static void begin(char out[ZKS__NAME_MAX + 1], const struct zks__stem *stem, uint32_t attempt)
{
    char uuid[ZKS__UUID_LEN + 1];
    zks__uuid(uuid, stem, attempt);
    out[0] = '\0';
    zks__append(out, "_c_");
    zks__append(out, uuid);
}

void zks__contender_prefix(char out[ZKS__NAME_MAX + 1], const struct zks__stem *stem,
                           uint32_t attempt, enum zks__mode mode)
{
    begin(out, stem, attempt);
    zks__append(out, mode == ZKS__WRITE ? "-write-" : "-read-");
}

void zks__contender_downgraded(char out[ZKS__NAME_MAX + 1], const struct zks__stem *stem,
                               uint32_t attempt, uint64_t token, int32_t seq)
{
    begin(out, stem, attempt);
    zks__append(out, "-");
    zks__append_uint(out, token, 16, 16);
    zks__append(out, "-read-");
    append_seq(out, seq);
}

bool zks__sequence(const char *text, int32_t *seq)
{
    bool negative = *text == '-';
    int64_t value = 0;
    const char *digit = text + negative;
    if (*digit == '\0' || strlen(digit) > 10) {
        return false;
    }
    for (; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return false;
        }
        value = value * 10 + (*digit - '0');
    }
    value = negative ? -value : value;
    if (value < INT32_MIN || value > INT32_MAX) {
        return false;
    }
    *seq = (int32_t)value;
    return true;
}

/* The start of the last occurrence of `word`, or NULL. */
static const char *last(const char *text, const char *word)
{
    const char *found = NULL;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        found = at;
    }
    return found;
}

/* The token stands between the uuid and "-read-": "_c_<32 hex>-<16 hex>-read-". */
static bool parse_token(const char *name, const char *mark, uint64_t *token)
{
    const size_t start = 3 + ZKS__UUID_LEN + 1;
    if (strncmp(name, "_c_", 3) != 0 || (size_t)(mark - name) != start + 16 + 1) {
        return false;
    }
    *token = 0;
    for (size_t i = start; i < start + 16; i++) {
        const char *digit = name[i] == '\0' ? NULL : strchr(hex_digits, name[i]);
        if (digit == NULL) {
            return false;
        }
        *token = *token * 16 + (uint64_t)(digit - hex_digits);
    }
    return true;
}

bool zks__contender_parse(const char *name, struct zks__contender *out)
{
    const char *read = last(name, "read-");
    const char *write = last(name, "write-");
    memset(out, 0, sizeof *out);
    if (write != NULL && (read == NULL || write > read)) {
        out->mode = ZKS__WRITE;
        return zks__sequence(write + strlen("write-"), &out->seq);
    }
    if (read == NULL) {
        return false;
    }
    out->mode = ZKS__READ;
    out->has_token = parse_token(name, read, &out->token);
    return zks__sequence(read + strlen("read-"), &out->seq);
}
