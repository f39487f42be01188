/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { MAX_SESSION_MS = 120000, LINE_SIZE = 1024 };

void zks__options_log(const zks_server_options *o, int level, const char *text)
{
    char line[LINE_SIZE + 16];
    if (o->log != NULL && level <= (int)o->log_level) {
        (void)snprintf(line, sizeof line, "zksync: %s", text);
        o->log((enum zks_log_level)level, line, o->log_arg);
    }
}

void zks__options_say(const zks_server_options *o, int level, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    zks__options_log(o, level, text);
}

static bool is_loopback(const struct sockaddr_storage *at)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)at;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)at;
    return at->ss_family == AF_INET ? ntohl(four->sin_addr.s_addr) >> 24 == 127
                                    : IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static int parse_listen(const zks_server_options *o, struct sockaddr_storage *at, socklen_t *at_len)
{
    const char *text = o->listen;
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[64];
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof host || colon[1] == '\0' ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || atol(colon + 1) > UINT16_MAX) {
        zks__options_say(o, ZKS_LOG_ERROR,
                         "listen: \"%.200s\" is not an address such as 127.0.0.1:2181", o->listen);
        return ZKS_EINVAL;
    }
    (void)snprintf(host, sizeof host, "%.*s", (int)len, text);
    int rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc != 0) {
        zks__options_say(o, ZKS_LOG_ERROR, "listen: \"%.200s\": %s", o->listen, gai_strerror(rc));
        return ZKS_EINVAL;
    }
    memcpy(at, found->ai_addr, found->ai_addrlen);
    *at_len = found->ai_addrlen;
    freeaddrinfo(found);
    if (!is_loopback(at) && !o->allow_remote) {
        zks__options_say(
            o, ZKS_LOG_ERROR,
            "listen: \"%.200s\" can be reached from other hosts, against which only the secret "
            "protects it: allow_remote (--allow-remote) permits that",
            o->listen);
        return ZKS_EINVAL;
    }
    return 0;
}

static void set_default(size_t *option, size_t value)
{
    *option = *option != 0 ? *option : value;
}

static bool copy_text(const char **text)
{
    const char *from = *text;
    *text = from != NULL ? strdup(from) : NULL;
    return from == NULL || *text != NULL;
}

/* As an absolute path, which stays good when the program changes its working folder. */
static bool copy_folder(const char **folder)
{
    char *here = NULL;
    char *path = NULL;
    if (*folder == NULL || (*folder)[0] == '/' || (here = getcwd(NULL, 0)) == NULL) {
        return copy_text(folder);
    }
    if (asprintf(&path, "%s/%s", here, *folder) < 0) {
        path = NULL;
    }
    free(here);
    *folder = path;
    return path != NULL;
}

/* Which option is not valid, once defaults stand for those that are not given; NULL if all are. */
static const char *fault_of(const zks_server_options *o)
{
    return o->tick_ms > 3600000                    ? "tick_ms: more than an hour"
           : o->max_frame > INT32_MAX              ? "max_frame: more than 2147483647"
           : o->max_session_timeout_ms > INT32_MAX ? "max_session_timeout_ms: more than 2147483647"
           : o->min_session_timeout_ms > o->max_session_timeout_ms
               ? "min_session_timeout_ms: more than max_session_timeout_ms"
           : o->secret != NULL && o->secret[0] == '\0' ? "secret: empty"
                                                       : NULL;
}

int zks__options_take(zks_server_options *o, const zks_server_options *given,
                      struct sockaddr_storage *at, socklen_t *at_len)
{
    static const zks_server_options defaults = ZKS_SERVER_OPTIONS_INIT;
    *o = defaults;
    if (given != NULL) {
        memcpy(o, given, given->size < sizeof *o ? given->size : sizeof *o);
    }
    o->listen = o->listen != NULL ? o->listen : "127.0.0.1:0";
    o->tick_ms = o->tick_ms != 0 ? o->tick_ms : 1000;
    if (o->max_session_timeout_ms == 0) {
        uint32_t least =
            o->min_session_timeout_ms != 0 ? o->min_session_timeout_ms : 2 * o->tick_ms;
        o->max_session_timeout_ms = least > MAX_SESSION_MS ? least : MAX_SESSION_MS;
    }
    o->reap_ms = o->reap_ms != 0 ? o->reap_ms : 60000;
    set_default(&o->max_connections, 10000);
    set_default(&o->max_frame, (1 << 20) - 1);
    set_default(&o->max_outstanding, 10000);
    set_default(&o->max_unread, (size_t)64 << 20);
    set_default(&o->max_watches, 10000000);
    set_default(&o->max_sessions, 100000);
    set_default(&o->max_znodes, 10000000);
    set_default(&o->max_bytes, (size_t)2 << 30);
    zks__log_choose(&o->log, &o->log_level);
    bool copied = copy_text(&o->listen);
    copied &= copy_folder(&o->folder);
    copied &= copy_text(&o->secret);
    if (!copied) {
        return ZKS_ENOMEM;
    }
    const char *fault = fault_of(o);
    if (fault != NULL) {
        zks__options_say(o, ZKS_LOG_ERROR, "%s", fault);
        return ZKS_EINVAL;
    }
    return parse_listen(o, at, at_len);
}

void zks__options_free(zks_server_options *o)
{
    free((char *)(uintptr_t)o->listen);
    free((char *)(uintptr_t)o->folder);
    if (o->secret != NULL) {
        explicit_bzero((char *)(uintptr_t)o->secret, strlen(o->secret));
    }
    free((char *)(uintptr_t)o->secret);
}
