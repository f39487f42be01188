/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "duration.h"

static const struct {
    int id;
    const char *variable;
} variables[] = {{CLI_SERVERS, "ZKSYNC_SERVERS"},
                 {CLI_ROOT, "ZKSYNC_ROOT"},
                 {CLI_AUTH_FILE, "ZKSYNC_AUTH_FILE"},
                 {CLI_SESSION_TIMEOUT, "ZKSYNC_SESSION_TIMEOUT"},
                 {CLI_CONNECT_TIMEOUT, "ZKSYNC_CONNECT_TIMEOUT"},
                 {CLI_VERBOSE, "ZKSYNC_VERBOSE"}};

void cli_say(const char *format, ...)
{
    char line[CLI_MESSAGE_SIZE + CLI_PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "zksync: %s\n", line);
}

static bool say_no(char message[CLI_MESSAGE_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool say_no(char message[CLI_MESSAGE_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, CLI_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

static void replace(char **old, char *new)
{
    if (*old != NULL) {
        explicit_bzero(*old, strlen(*old));
    }
    free(*old);
    *old = new;
}

/* Whoever can read a secret has it, so a file that others can read is refused, as ssh does. */
bool cli_read_private(const char *what, const char *path, char line[CLI_PRIVATE_SIZE],
                      char message[CLI_MESSAGE_SIZE])
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (file == NULL || fstat(fd, &info) != 0) {
        say_no(message, "the file with %s cannot be read: %s: %s", what, path, strerror(errno));
        if (file != NULL) {
            fclose(file);
        }
        return false;
    }
    if (S_ISREG(info.st_mode) && (info.st_mode & 077) != 0) {
        fclose(file);
        return say_no(message, "the file with %s can be read by others: chmod 600 %s", what, path);
    }
    bool got = fgets(line, CLI_PRIVATE_SIZE, file) != NULL;
    fclose(file);
    line[got ? strcspn(line, "\r\n") : 0] = '\0';
    return true;
}

/* "scheme:credentials" in the first line. */
static bool read_auth(struct cli_settings *s, const char *path, char message[CLI_MESSAGE_SIZE])
{
    char line[CLI_PRIVATE_SIZE];
    if (!cli_read_private("credentials", path, line, message)) {
        return false;
    }
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line || colon[1] == '\0') {
        explicit_bzero(line, sizeof line);
        return say_no(message,
                      "the file with credentials has no line such as digest:user:password: %s",
                      path);
    }
    *colon = '\0';
    replace(&s->auth_scheme, strdup(line));
    replace(&s->auth, strdup(colon + 1));
    explicit_bzero(line, sizeof line);
    return s->auth_scheme != NULL && s->auth != NULL ? true : say_no(message, "no memory");
}

bool cli_setting(struct cli_settings *s, int id, const char *value, char message[CLI_MESSAGE_SIZE])
{
    int64_t ms = 0;
    switch (id) {
    case CLI_SERVERS:
        s->servers = value;
        return true;
    case CLI_ROOT:
        s->root = strcmp(value, "/") == 0 ? "" : value;
        if (s->root[0] != '\0' && (s->root[0] != '/' || s->root[strlen(s->root) - 1] == '/')) {
            return say_no(message, "a root is like /team/project, not \"%s\"", value);
        }
        return true;
    case CLI_AUTH_FILE:
        return read_auth(s, value, message);
    case CLI_SESSION_TIMEOUT:
        if (!cli_duration(value, &ms) || ms < 1 || ms > INT32_MAX) {
            return say_no(message, "a session timeout is like 20 or 20s or 1m, not \"%s\"", value);
        }
        s->session_timeout_ms = (uint32_t)ms;
        return true;
    case CLI_CONNECT_TIMEOUT:
        if (!cli_duration(value, &s->connect_timeout_ms) || s->connect_timeout_ms == 0) {
            return say_no(message, "a connect timeout is like 10 or 1.5s or forever, not \"%s\"",
                          value);
        }
        return true;
    case CLI_VERBOSE:
        s->verbose = value == NULL ? s->verbose + 1 : atoi(value);
        return true;
    default:
        return say_no(message, "no such setting");
    }
}

bool cli_settings_init(struct cli_settings *s, char message[CLI_MESSAGE_SIZE])
{
    *s =
        (struct cli_settings){.root = "", .session_timeout_ms = 20000, .connect_timeout_ms = 15000};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = getenv(variables[i].variable);
        if (value != NULL && value[0] != '\0' && !cli_setting(s, variables[i].id, value, message)) {
            size_t len = strlen(message);
            snprintf(message + len, CLI_MESSAGE_SIZE - len, " (in %s)", variables[i].variable);
            return false;
        }
    }
    return true;
}

void cli_settings_close(struct cli_settings *s)
{
    replace(&s->auth_scheme, NULL);
    replace(&s->auth, NULL);
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
