/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exit.h"
#include "report.h"

enum { SHORT_SESSION_MS = 6000 };

/* From a thread that keeps the session up: what cannot be written at once is left out. */
static void log_now(const char *line)
{
    static _Atomic int again = -1;
    char text[CLI_MESSAGE_SIZE];
    int len = snprintf(text, sizeof text, "zksync: %.1100s\n", line);
    if (again < 0) {
        int none = -1;
        int fd = cli_open_again(STDERR_FILENO);
        if (!atomic_compare_exchange_strong(&again, &none, fd) && fd != STDERR_FILENO) {
            close(fd);
        }
    }
    struct pollfd poll_it = {.fd = again, .events = POLLOUT};
    if (poll(&poll_it, 1, 0) > 0) {
        (void)!write(again, text, (size_t)len);
    }
}

static void log_line(enum zks_log_level level, const char *line, void *arg)
{
    const struct cli_settings *s = arg;
    bool ours = strncmp(line, "zksync: ", 8) == 0;
    (void)level;
    if (s->verbose > 1) {
        log_now(ours ? line + 8 : line);
    }
}

zks_client_options cli_client_options(const struct cli_settings *s)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.servers =
        s->local ? "local" : s->servers; /* The library knows the secret of that one. */
    options.root = "";                   /* Paths are full ones: see cli_full_path(). */
    options.session_timeout_ms = s->session_timeout_ms;
    options.connect_timeout_ms = s->connect_timeout_ms;
    options.auth_scheme = s->auth_scheme;
    options.auth = s->auth;
    options.log = log_line;
    options.log_arg = (void *)(uintptr_t)s;
    options.log_level = s->verbose > 1 ? ZKS_LOG_INFO : ZKS_LOG_ERROR;
    return options;
}

void cli_explain(const char *what, int error, char message[CLI_MESSAGE_SIZE])
{
    switch (error) {
    case ZKS_EINVAL:
    case ZKS_EDISCONNECTED:
    case ZKS_ENOCHROOT:
    case ZKS_EAUTH:
    case ZKS_ESYSTEM:
    case ZKS_EVERSION:
        snprintf(message, CLI_MESSAGE_SIZE, "%s", zks_last_error());
        break;
    default: /* The path is the one that the user gave. */
        snprintf(message, CLI_MESSAGE_SIZE, "%.1000s: %s", what, zks_strerror(error));
        break;
    }
}

int cli_fail(const char *what, int error, int busy)
{
    char message[CLI_MESSAGE_SIZE];
    cli_explain(what, error, message);
    cli_say("%s", message);
    return cli_exit_of(error, busy);
}

/* The user's local server, found or started. */
static int reach_local(struct cli_settings *s, const char *origin)
{
    struct zks_local local;
    int rc = zks_local_start(s->connect_timeout_ms, log_line, s, &local);
    if (rc != 0) {
        cli_say("%s", zks_last_error());
        return cli_exit_of(rc, CLI_UNREACHABLE);
    }
    snprintf(s->address, sizeof s->address, "%s", local.address);
    explicit_bzero(local.secret, sizeof local.secret);
    s->servers = s->address;
    s->local = true;
    if (s->verbose > 0) {
        cli_say("using the local server at %s, process %lld, which %s (from %s)", local.address,
                (long long)local.pid, local.started ? "was started for this" : "runs already",
                origin);
    }
    return 0;
}

int cli_reach(struct cli_settings *s)
{
    const char *origin = zks_config_origin(s->config, ZKS_SETTING_SERVERS);
    if (s->local) {
        return 0;
    }
    if (zks_config_check(s->config) != 0) {
        cli_say("%s", zks_config_error(s->config));
        return CLI_CONFIG;
    }
    if (strcmp(s->servers, "local") == 0) {
        return reach_local(s, origin);
    }
    if (s->verbose > 0) {
        cli_say("using the servers %s (from %s)", s->servers, origin);
    }
    return 0;
}

int cli_open(struct cli_settings *s, int64_t limit_ms, zks_client **client)
{
    int code = cli_reach(s);
    if (code != 0) {
        return code;
    }
    zks_client_options options = cli_client_options(s);
    if (options.session_timeout_ms > SHORT_SESSION_MS) {
        options.session_timeout_ms = SHORT_SESSION_MS;
    }
    if (limit_ms != ZKS_FOREVER && limit_ms > 0 &&
        (options.connect_timeout_ms == ZKS_FOREVER || limit_ms < options.connect_timeout_ms)) {
        options.connect_timeout_ms = limit_ms;
    }
    int rc = zks_client_open(&options, client);
    return rc == 0 ? 0 : cli_fail(s->servers, rc, CLI_BUSY);
}
