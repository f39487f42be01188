/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A whole number as Java's Integer.parseInt() takes it, up to `max`; -1 for anything else. */
static int parse_number(const char *text, size_t len, int max)
{
    int value = 0;
    size_t at = len > 1 && (text[0] == '+' || text[0] == '-') ? 1 : 0;
    if (len == 0) {
        return -1;
    }
    for (; at < len; at++) {
        if (text[at] < '0' || text[at] > '9') {
            return -1;
        }
        value = value * 10 + (text[at] - '0');
        if (value > max) {
            return -1;
        }
    }
    return text[0] == '-' && value != 0 ? -1 : value;
}

/* "127.0.0.1". */
static bool parse_v4(const char *text, size_t len, struct zks__network *to)
{
    const char *end = text + len;
    to->len = 4;
    for (int i = 0; i < 4; i++) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        size_t part = (size_t)((dot != NULL ? dot : end) - text);
        int value = parse_number(text, part, 255);
        if (value < 0 || (i < 3) != (dot != NULL)) {
            return false;
        }
        to->bytes[i] = (unsigned char)value;
        text += part + (i < 3);
    }
    return true;
}

/* Up to four hexadecimal digits, or three behind a sign, as Java's Integer.parseInt() takes them. */
static bool parse_group(const char *text, size_t len, unsigned char to[2])
{
    size_t at = len > 1 && (text[0] == '+' || text[0] == '-') ? 1 : 0;
    uint32_t value = 0;
    if (len == 0 || len > 4) {
        return false;
    }
    for (size_t i = at; i < len; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit =
            strchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] | 32 : text[i]);
        if (digit == NULL) {
            return false;
        }
        value = value * 16 + (uint32_t)(digit - digits);
    }
    value = text[0] == '-' ? 0 - value : value;
    to[0] = (unsigned char)(value >> 8);
    to[1] = (unsigned char)value;
    return true;
}

/* The groups between colons, of which there are at most `max`; returns how many, -1 for what is none. */
static int parse_groups(const char *text, size_t len, int max, unsigned char *to)
{
    const char *end = text + len;
    int n = 0;
    while (len > 0) {
        const char *colon = memchr(text, ':', (size_t)(end - text));
        size_t part = (size_t)((colon != NULL ? colon : end) - text);
        if (n == max || !parse_group(text, part, to + (ptrdiff_t)2 * n)) {
            return -1;
        }
        n++;
        if (colon == NULL) {
            break;
        }
        text = colon + 1;
    }
    return n;
}

/* "fe80::1": eight groups, or fewer around one "::". */
static bool parse_v6(const char *text, size_t len, struct zks__network *to)
{
    enum { GROUPS = 8 };
    unsigned char behind[2 * GROUPS];
    size_t before = 0;
    to->len = 2 * GROUPS;
    while (before + 1 < len && (text[before] != ':' || text[before + 1] != ':')) {
        before++;
    }
    if (before + 1 >= len) {
        return parse_groups(text, len, GROUPS, to->bytes) == GROUPS;
    }
    int first = parse_groups(text, before, GROUPS - 1, to->bytes);
    int last = parse_groups(text + before + 2, len - before - 2, GROUPS - 1, behind);
    if (first < 0 || last < 0 || first + last >= GROUPS) {
        return false;
    }
    memset(to->bytes + (ptrdiff_t)2 * first, 0, (size_t)(2 * (GROUPS - first)));
    memcpy(to->bytes + (ptrdiff_t)2 * (GROUPS - last), behind, (size_t)(2 * last));
    return true;
}

/* "127.0.0.1", "127.0.0.0/8", "::1" or "fe80::/10". */
bool zks__network_parse(const char *text, struct zks__network *to)
{
    size_t len = strcspn(text, "/");
    bool six = memchr(text, ':', len) != NULL;
    if (!(six ? parse_v6(text, len, to) : parse_v4(text, len, to))) {
        return false;
    }
    to->bits = text[len] == '/' ? parse_number(text + len + 1, strlen(text + len + 1), 8 * to->len)
                                : 8 * to->len;
    return to->bits >= 0;
}

bool zks__network_has(const struct zks__network *network, const struct zks__network *address)
{
    size_t whole = (size_t)network->bits / 8;
    int rest = network->bits % 8;
    return network->len == address->len && memcmp(network->bytes, address->bytes, whole) == 0 &&
           (rest == 0 || (network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0);
}
