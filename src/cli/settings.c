/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_say(const char *format, ...)
{
    char line[CLI_MESSAGE_SIZE + CLI_PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "zksync: %s\n", line);
}

static const struct {
    int id;
    enum zks_setting setting;
    const char *origin;
} options[] = {{CLI_SERVERS, ZKS_SETTING_SERVERS, "--servers"},
               {CLI_ROOT, ZKS_SETTING_ROOT, "--root"},
               {CLI_AUTH_FILE, ZKS_SETTING_AUTH_FILE, "--auth-file"},
               {CLI_SESSION_TIMEOUT, ZKS_SETTING_SESSION_TIMEOUT, "--session-timeout"},
               {CLI_CONNECT_TIMEOUT, ZKS_SETTING_CONNECT_TIMEOUT, "--connect-timeout"}};

/* What the settings come to so far. */
static void refresh(struct cli_settings *s)
{
    zks_client_options o = ZKS_CLIENT_OPTIONS_INIT;
    zks_config_apply(s->config, &o);
    s->servers = o.servers;
    s->root = o.root;
    s->session_timeout_ms = o.session_timeout_ms;
    s->connect_timeout_ms = o.connect_timeout_ms;
    s->auth_scheme = o.auth_scheme;
    s->auth = o.auth;
}

bool cli_setting(struct cli_settings *s, int id, const char *value, char message[CLI_MESSAGE_SIZE])
{
    enum zks_setting setting = ZKS_SETTING_SERVERS;
    const char *origin = "--local";
    if (id == CLI_VERBOSE) {
        s->verbose++;
        return true;
    }
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (options[i].id == id) {
            setting = options[i].setting;
            origin = options[i].origin;
        }
    }
    if (zks_config_set(s->config, setting, id == CLI_LOCAL ? "local" : value, origin) != 0) {
        snprintf(message, CLI_MESSAGE_SIZE, "%s: %s", origin, zks_config_error(s->config));
        return false;
    }
    refresh(s);
    return true;
}

bool cli_settings_init(struct cli_settings *s)
{
    const char *verbose = getenv("ZKSYNC_VERBOSE");
    *s = (struct cli_settings){.root = ""};
    if (zks_config_new(&s->config) != 0) {
        return false;
    }
    s->verbose = verbose != NULL ? atoi(verbose) : 0;
    refresh(s);
    return true;
}

void cli_settings_close(struct cli_settings *s)
{
    zks_config_free(s->config);
}

bool cli_full_path(const struct cli_settings *s, const char *given, char full[CLI_PATH_SIZE])
{
    const char *slash = given[0] == '/' ? "" : "/";
    int len = snprintf(full, CLI_PATH_SIZE, "%s%s%s", s->root, slash, given);
    bool mended = len > 1 && len < CLI_PATH_SIZE && full[len - 1] == '/' && full[len - 2] != '/';
    if (mended) {
        full[len - 1] = '\0';
    }
    return strcmp(full, "/") == 0 || zks_path_check(full) == 0;
}

const char *cli_short_path(const struct cli_settings *s, const char *full)
{
    size_t len = strlen(s->root);
    return strncmp(full, s->root, len) == 0 && full[len] == '/' ? full + len
           : strcmp(full, s->root) == 0                         ? "/"
                                                                : full;
}
