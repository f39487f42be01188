/* SPDX-License-Identifier: Apache-2.0 */
#include "zksync/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/home.h"
#include "config/file.h"
#include "config/server_list.h"
#include "core/path.h"

enum {
    FILES = 2,
    PATH_SIZE = 1100,
    ORIGIN_SIZE = PATH_SIZE + 16,
    ERROR_SIZE = 1600,
    AUTH_SIZE = 4096
};

#define WAYS                                                                                       \
    "use --servers, ZKSYNC_SERVERS or \"servers = host:port,...\" in /etc/zksync.conf or "         \
    "~/.config/zksync.conf; for this host alone use --local, ZKSYNC_SERVERS=local or \"servers "   \
    "= local\""

static const struct {
    const char *name;
    const char *variable;
    const char *standard; /* The default. */
} settings[ZKS_SETTINGS] = {
    [ZKS_SETTING_SERVERS] = {"servers", "ZKSYNC_SERVERS", ""},
    [ZKS_SETTING_ROOT] = {"root", "ZKSYNC_ROOT", "/"},
    [ZKS_SETTING_AUTH_FILE] = {"auth-file", "ZKSYNC_AUTH_FILE", ""},
    [ZKS_SETTING_SESSION_TIMEOUT] = {"session-timeout", "ZKSYNC_SESSION_TIMEOUT", "20s"},
    [ZKS_SETTING_CONNECT_TIMEOUT] = {"connect-timeout", "ZKSYNC_CONNECT_TIMEOUT", "15s"}};

/* In the order in which they decide. */
enum source { FROM_PROGRAM, FROM_ENVIRONMENT, FROM_FILES };

/* A setting: where it was found, and what is wrong with it there. */
struct slot {
    bool given;
    unsigned source; /* FROM_FILES and above: the number of the file is added. */
    char *value;
    char origin[ORIGIN_SIZE];
    char *error; /* NULL where the value is valid. */
};

struct file {
    char path[PATH_SIZE];
    bool exists;
};

struct zks_config {
    struct slot slots[ZKS_SETTINGS];
    struct file files[FILES];
    size_t n_files;
    char *file_error; /* NULL where all files are valid. */
    bool no_memory;

    /* What the values mean. */
    char *root; /* "" or "/a/b". */
    char *auth_scheme;
    char *auth;
    int64_t session_timeout_ms;
    int64_t connect_timeout_ms;

    char error[ERROR_SIZE];
};

static void wipe(char **text)
{
    if (*text != NULL) {
        explicit_bzero(*text, strlen(*text));
    }
    free(*text);
    *text = NULL;
}

static bool copy(zks_config *config, char **to, const char *from)
{
    char *made = strdup(from);
    config->no_memory |= made == NULL;
    wipe(to);
    *to = made;
    return made != NULL;
}

/* ---- Values ---- */

static bool take_servers(const char *value, char *why, size_t size)
{
    return strcmp(value, "local") == 0 || zks__server_list_valid(value, why, size);
}

static bool take_root(zks_config *config, const char *value, char *why, size_t size)
{
    char path[PATH_SIZE];
    size_t len = strlen(value);
    while (len > 0 && value[len - 1] == '/') {
        len--;
    }
    if (len >= sizeof path) {
        return zks__config_fail(why, size, "\"%.200s...\" is not a valid root: too long", value);
    }
    (void)snprintf(path, sizeof path, "%.*s", (int)len, value);
    const char *fault = strcmp(value, "/") == 0 ? NULL : zks__path_fault(path);
    if (fault != NULL) {
        return zks__config_fail(why, size, "\"%.200s\" is not a valid root: %s", value, fault);
    }
    return copy(config, &config->root, path);
}

static bool take_auth(zks_config *config, const char *path, char *why, size_t size)
{
    char line[AUTH_SIZE];
    if (!zks_read_private(path, line, sizeof line, why, size)) {
        return false;
    }
    char *colon = strchr(line, ':');
    bool valid = colon != NULL && colon != line && colon[1] != '\0';
    if (valid) {
        *colon = '\0';
        valid = copy(config, &config->auth_scheme, line) && copy(config, &config->auth, colon + 1);
    } else {
        (void)zks__config_fail(why, size, "%s: the first line is not like digest:user:password",
                               path);
    }
    explicit_bzero(line, sizeof line);
    return valid;
}

static bool take_session_timeout(zks_config *config, const char *value, char *why, size_t size)
{
    int64_t ms = 0;
    if (!zks_parse_duration(value, &ms) || ms < ZKS_SESSION_TIMEOUT_MIN_MS ||
        ms > ZKS_SESSION_TIMEOUT_MAX_MS) {
        return zks__config_fail(
            why, size, "a session timeout is from 1s to 24h, like 20 or 20s or 1m, not \"%.200s\"",
            value);
    }
    config->session_timeout_ms = ms;
    return true;
}

static bool take_connect_timeout(zks_config *config, const char *value, char *why, size_t size)
{
    int64_t ms = 0;
    if (!zks_parse_duration(value, &ms) || ms == 0) {
        return zks__config_fail(
            why, size, "a connect timeout is like 10 or 1.5s or forever, not \"%.200s\"", value);
    }
    config->connect_timeout_ms = ms;
    return true;
}

/* An empty value is never taken for one that is not there: it is what a template leaves of a variable that
 * was lost, and the next source may name other servers. */
static bool take_value(zks_config *config, enum zks_setting setting, const char *value, char *why,
                       size_t size)
{
    if (value[0] == '\0') {
        return setting == ZKS_SETTING_SERVERS
                   ? zks__config_fail(why, size, "the value is empty: " WAYS)
                   : zks__config_fail(why, size, "the value of %s is empty",
                                      settings[setting].name);
    }
    switch (setting) {
    case ZKS_SETTING_SERVERS:
        return take_servers(value, why, size);
    case ZKS_SETTING_ROOT:
        return take_root(config, value, why, size);
    case ZKS_SETTING_AUTH_FILE:
        return take_auth(config, value, why, size);
    case ZKS_SETTING_SESSION_TIMEOUT:
        return take_session_timeout(config, value, why, size);
    case ZKS_SETTING_CONNECT_TIMEOUT:
        return take_connect_timeout(config, value, why, size);
    default:
        return zks__config_fail(why, size, "no such setting");
    }
}

/* ---- Sources ---- */

/* What stands in the environment or a file, where nothing has decided the setting before. */
static void take_found(zks_config *config, enum zks_setting setting, const char *value,
                       unsigned source, const char *origin)
{
    struct slot *slot = &config->slots[setting];
    char why[ERROR_SIZE];
    char *error = NULL;
    if (slot->given) {
        return;
    }
    slot->given = true;
    slot->source = source;
    (void)snprintf(slot->origin, sizeof slot->origin, "%s", origin);
    (void)copy(config, &slot->value, value);
    if (!take_value(config, setting, value, why, sizeof why)) {
        config->no_memory |= asprintf(&error, "%s: %s", origin, why) < 0;
        slot->error = config->no_memory ? NULL : error;
    }
}

struct reading {
    zks_config *config;
    const char *path;
    unsigned lines[ZKS_SETTINGS]; /* Where a name was seen in this file; 0 for nowhere. */
};

static bool take_line(const char *name, const char *value, unsigned line, void *arg, char *why,
                      size_t size)
{
    struct reading *r = arg;
    char origin[ORIGIN_SIZE];
    int setting = 0;
    while (setting < ZKS_SETTINGS && strcmp(settings[setting].name, name) != 0) {
        setting++;
    }
    if (setting == ZKS_SETTINGS) {
        return zks__config_fail(
            why, size,
            "unknown setting \"%.80s\"; the settings are servers, root, auth-file, "
            "session-timeout and connect-timeout",
            name);
    }
    if (r->lines[setting] != 0) {
        return zks__config_fail(why, size, "%s is set in line %u already", name, r->lines[setting]);
    }
    r->lines[setting] = line;
    (void)snprintf(origin, sizeof origin, "%s:%u", r->path, line);
    take_found(r->config, (enum zks_setting)setting, value,
               FROM_FILES + (unsigned)r->config->n_files, origin);
    return true;
}

static void read_file(zks_config *config, const char *path, uid_t owner)
{
    struct file *file = &config->files[config->n_files++];
    struct reading reading = {.config = config, .path = file->path};
    char why[ERROR_SIZE];
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    if (!zks__config_read(file->path, owner, take_line, &reading, &file->exists, why, sizeof why) &&
        config->file_error == NULL) {
        (void)copy(config, &config->file_error, why);
    }
}

/* False where there is none; its path can be too long, and then `path` is "". */
static bool user_file(char path[PATH_SIZE])
{
    char home[PATH_SIZE];
    const char *folder = secure_getenv("XDG_CONFIG_HOME");
    bool named = folder != NULL && folder[0] == '/';
    if (!named && !zks__home(home, sizeof home)) {
        return false;
    }
    int len = snprintf(path, PATH_SIZE, "%s%s/zksync.conf", named ? folder : home,
                       named ? "" : "/.config");
    if (len >= PATH_SIZE) {
        path[0] = '\0';
    }
    return true;
}

static void read_named_file(zks_config *config, const char *path)
{
    char why[ERROR_SIZE];
    if (path[0] == '\0') {
        (void)copy(config, &config->file_error, "ZKSYNC_CONFIG: the value is empty");
        return;
    }
    read_file(config, path, geteuid());
    if (!config->files[0].exists && config->file_error == NULL) {
        (void)snprintf(why, sizeof why, "ZKSYNC_CONFIG: %s: %s", path, strerror(ENOENT));
        (void)copy(config, &config->file_error, why);
    }
}

static void read_files(zks_config *config)
{
    const char *named = secure_getenv("ZKSYNC_CONFIG");
    char path[PATH_SIZE] = "";
    if (named != NULL) {
        read_named_file(config, named);
        return;
    }
    if (user_file(path) && path[0] == '\0') {
        (void)copy(config, &config->file_error, "the path of the user's zksync.conf is too long");
    } else if (path[0] != '\0') {
        read_file(config, path, geteuid());
    }
    read_file(config, "/etc/zksync.conf", 0);
}

int zks_config_new(zks_config **config)
{
    zks_config *made = config != NULL ? calloc(1, sizeof *made) : NULL;
    if (made == NULL) {
        return config == NULL ? ZKS_EINVAL : ZKS_ENOMEM;
    }
    made->session_timeout_ms = ZKS_SESSION_TIMEOUT_MS;
    made->connect_timeout_ms = ZKS_CONNECT_TIMEOUT_MS;
    (void)copy(made, &made->root, "");
    for (int i = 0; i < ZKS_SETTINGS; i++) {
        const char *value = secure_getenv(settings[i].variable);
        if (value != NULL) {
            take_found(made, (enum zks_setting)i, value, FROM_ENVIRONMENT, settings[i].variable);
        }
    }
    read_files(made);
    if (made->no_memory) {
        zks_config_free(made);
        return ZKS_ENOMEM;
    }
    *config = made;
    return 0;
}

void zks_config_free(zks_config *config)
{
    if (config == NULL) {
        return;
    }
    for (int i = 0; i < ZKS_SETTINGS; i++) {
        free(config->slots[i].value);
        free(config->slots[i].error);
    }
    free(config->file_error);
    free(config->root);
    wipe(&config->auth_scheme);
    wipe(&config->auth);
    free(config);
}

/* ---- Use ---- */

static bool is_setting(enum zks_setting setting)
{
    return (int)setting >= 0 && (int)setting < ZKS_SETTINGS;
}

int zks_config_set(zks_config *config, enum zks_setting setting, const char *value,
                   const char *origin)
{
    if (config == NULL || !is_setting(setting) || value == NULL || origin == NULL) {
        return ZKS_EINVAL;
    }
    struct slot *slot = &config->slots[setting];
    char why[ERROR_SIZE];
    if (!take_value(config, setting, value, why, sizeof why)) {
        (void)snprintf(config->error, sizeof config->error, "%s", why);
        return config->no_memory ? ZKS_ENOMEM : ZKS_EINVAL;
    }
    slot->given = true;
    slot->source = FROM_PROGRAM;
    (void)snprintf(slot->origin, sizeof slot->origin, "%s", origin);
    free(slot->error);
    slot->error = NULL;
    return copy(config, &slot->value, value) ? 0 : ZKS_ENOMEM;
}

/* Credentials are for the servers that are named with them or after them: those of a file must not be presented to
 * servers that the environment or an option names instead. */
bool zks_config_is_used(const zks_config *config, enum zks_setting setting)
{
    const struct slot *auth = &config->slots[ZKS_SETTING_AUTH_FILE];
    const struct slot *servers = &config->slots[ZKS_SETTING_SERVERS];
    return setting != ZKS_SETTING_AUTH_FILE || !auth->given || !servers->given ||
           auth->source <= servers->source;
}

int zks_config_check(zks_config *config)
{
    const char *error = config->file_error;
    for (int i = 0; error == NULL && i < ZKS_SETTINGS; i++) {
        error = zks_config_is_used(config, (enum zks_setting)i) ? config->slots[i].error : NULL;
    }
    if (error == NULL && !config->slots[ZKS_SETTING_SERVERS].given) {
        error = "no servers are named: " WAYS;
    }
    (void)snprintf(config->error, sizeof config->error, "%s", error != NULL ? error : "");
    return error != NULL ? ZKS_ECONFIG : 0;
}

const char *zks_config_error(const zks_config *config)
{
    return config->error;
}

const char *zks_config_name(enum zks_setting setting)
{
    return is_setting(setting) ? settings[setting].name : NULL;
}

const char *zks_config_variable(enum zks_setting setting)
{
    return is_setting(setting) ? settings[setting].variable : NULL;
}

const char *zks_config_value(const zks_config *config, enum zks_setting setting)
{
    if (!is_setting(setting)) {
        return "";
    }
    const struct slot *slot = &config->slots[setting];
    return slot->given ? slot->value : settings[setting].standard;
}

const char *zks_config_origin(const zks_config *config, enum zks_setting setting)
{
    if (!is_setting(setting)) {
        return "";
    }
    return config->slots[setting].given            ? config->slots[setting].origin
           : settings[setting].standard[0] != '\0' ? "default"
                                                   : "not set";
}

const char *zks_config_file(const zks_config *config, size_t n, bool *exists)
{
    if (n >= config->n_files) {
        return NULL;
    }
    if (exists != NULL) {
        *exists = config->files[n].exists;
    }
    return config->files[n].path;
}

void zks_config_apply(const zks_config *config, zks_client_options *options)
{
    bool foreign =
        options->servers != NULL; /* The program's own, for which no setting has credentials. */
    if (!foreign && config->slots[ZKS_SETTING_SERVERS].given) {
        options->servers = config->slots[ZKS_SETTING_SERVERS].value;
    }
    if (options->root == NULL) {
        options->root = config->root;
    }
    if (!foreign && options->auth_scheme == NULL && options->auth == NULL &&
        zks_config_is_used(config, ZKS_SETTING_AUTH_FILE)) {
        options->auth_scheme = config->auth_scheme;
        options->auth = config->auth;
    }
    if (options->session_timeout_ms == 0) {
        options->session_timeout_ms = (uint32_t)config->session_timeout_ms;
    }
    if (options->connect_timeout_ms == ZKS_DEFAULT) {
        options->connect_timeout_ms = config->connect_timeout_ms;
    }
}
