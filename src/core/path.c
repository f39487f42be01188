/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <stddef.h>
#include <string.h>

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

static const char *component_fault(const char *from, size_t len)
{
    return len == 0                                       ? "an empty component (\"//\")"
           : len == 1 && from[0] == '.'                   ? "the component \".\""
           : len == 2 && from[0] == '.' && from[1] == '.' ? "the component \"..\""
                                                          : NULL;
}

static const char *char_fault(const char *path)
{
    for (const unsigned char *at = (const unsigned char *)path; *at != '\0';) {
        unsigned long c = next_char(&at);
        if (c == 0) {
            return "not UTF-8, or a character above U+FFFF";
        }
        if (!char_valid(c)) {
            return c < 0xa0 ? "a control character" : "a character that ZooKeeper does not allow";
        }
    }
    return NULL;
}

const char *zks__path_fault(const char *path)
{
    if (path[0] != '/') {
        return path[0] == '\0' ? "empty" : "no slash at the beginning";
    }
    if (path[1] == '\0') {
        return "the root itself";
    }
    const char *fault = char_fault(path);
    for (const char *from = path + 1; fault == NULL; from = strchr(from, '/') + 1) {
        if (*from == '\0') {
            return "a slash at the end";
        }
        fault = component_fault(from, strcspn(from, "/"));
        if (strchr(from, '/') == NULL) {
            break;
        }
    }
    return fault;
}

bool zks__path_valid(const char *path)
{
    return zks__path_fault(path) == NULL;
}
