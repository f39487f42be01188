/* SPDX-License-Identifier: Apache-2.0 */
#include "config/server_list.h"

#include <stdio.h>
#include <string.h>

#include "core/path.h"

enum { PORT_MAX = 65535, ROOT_MAX = 1023, SHOWN_MAX = 200 };

/* Behind a colon: "host:port" or "[::1]:port". */
const char *zks__server_port(const char *entry, size_t len)
{
    const char *colon = memrchr(entry, ':', len);
    const char *bracket = memchr(entry, ']', len);
    return colon != NULL && (bracket == NULL || colon == bracket + 1) ? colon + 1 : NULL;
}

static const char *port_fault(const char *port, const char *end)
{
    unsigned long number = 0;
    if (port == end) {
        return "the port is missing";
    }
    for (const char *at = port; at < end; at++) {
        if (*at < '0' || *at > '9') {
            return "the port is not a number";
        }
        number = number > PORT_MAX ? number : number * 10 + (unsigned long)(*at - '0');
    }
    return number >= 1 && number <= PORT_MAX ? NULL : "the port is not between 1 and 65535";
}

static const char *entry_fault(const char *entry, size_t len)
{
    const char *port = zks__server_port(entry, len);
    if (len == 0) {
        return "an entry is empty";
    }
    for (size_t i = 0; i < len; i++) {
        if (strchr(" \t\r\n", entry[i]) != NULL) {
            return "it contains a blank";
        }
    }
    if (entry[0] == '[' && memchr(entry, ']', len) == NULL) {
        return "the closing bracket is missing";
    }
    if (port == NULL) {
        return "the port is missing";
    }
    if (port == entry + 1 || (entry[0] == '[' && entry[1] == ']')) {
        return "the host is missing";
    }
    if (entry[0] != '[' && memchr(entry, ':', len) != port - 1) {
        return "an IPv6 address needs brackets, as in [::1]:2181";
    }
    return port_fault(port, entry + len);
}

/* The root "/" is the same as none. */
static const char *root_fault(const char *root)
{
    if (root[0] == '\0' || root[1] == '\0') {
        return NULL;
    }
    if (strchr(root, ',') != NULL) {
        return "the root comes once, after the last server";
    }
    return strlen(root) > ROOT_MAX ? "the root is too long" : zks__path_fault(root);
}

/* What is wrong, and with which part of the text. */
struct fault {
    const char *what; /* NULL where nothing is. */
    const char *at;
    size_t len;
};

static struct fault fault_of(const char *text)
{
    const char *end = text + strcspn(text, "/");
    if (strstr(text, "://") != NULL) {
        return (struct fault){"a URL, not host:port,host:port/root", text, strlen(text)};
    }
    for (const char *at = text; at <= end; at++) {
        size_t len = strcspn(at, ",/");
        const char *what = entry_fault(at, len);
        if (what != NULL) {
            /* An empty entry is found by the list that it is in. */
            return len > 0 ? (struct fault){what, at, len}
                           : (struct fault){what, text, strlen(text)};
        }
        at += len;
    }
    return (struct fault){root_fault(end), end, strlen(end)};
}

bool zks__server_list_valid(const char *text, char *why, size_t size)
{
    char shown[SHOWN_MAX + 1];
    const struct fault fault = fault_of(text);
    if (fault.what == NULL) {
        return true;
    }
    size_t len = fault.len < SHOWN_MAX ? fault.len : SHOWN_MAX;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)fault.at[i];
        shown[i] = c < 0x20 || c == 0x7f ? '?' : fault.at[i];
    }
    shown[len] = '\0';
    (void)snprintf(why, size, "\"%s%s\": %s", shown, len < fault.len ? "..." : "", fault.what);
    return false;
}
