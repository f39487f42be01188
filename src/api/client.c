/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/common.h"
#include "api/log.h"
#include "driver/clock.h"
#include "driver/deliveries.h"
#include "zksync/local.h"

enum { LOCAL_MS = 30000 }; /* For a local server to be started, where no shorter limit is given. */

static void release(zks_client *c)
{
    if (c->event_fd >= 0) {
        close(c->event_fd);
    }
    for (size_t i = 0; c->acl != NULL && i < c->options.n_acl; i++) {
        free((char *)c->acl[i].scheme);
        free((char *)c->acl[i].id);
    }
    free(c->acl);
    free(c->servers);
    if (c->secret != NULL) {
        explicit_bzero(c->secret, strlen(c->secret));
    }
    free(c->secret);
    free(c->description);
    free((char *)c->options.servers);
    free((char *)c->options.auth_scheme);
    free((char *)c->options.auth);
    free((char *)c->options.identity);
    free((char *)c->options.reason);
    pthread_cond_destroy(&c->changed);
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Sets the sentence of the error, and logs it. */
static int fail(zks_client *c, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(zks_client *c, int error, const char *format, ...)
{
    char text[ZKS__ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    zks__client_log(c, ZKS_LOG_ERROR, "zksync: %s", text);
    return zks__error_set(error, "%s", text);
}

static bool port_valid(const char *text, size_t len)
{
    unsigned long port = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || len > 5) {
            return false;
        }
        port = port * 10 + (unsigned long)(text[i] - '0');
    }
    return len > 0 && port >= 1 && port <= 65535;
}

/* How many addresses a host name has now; 1 where that cannot be found out. */
static size_t count_addresses(const char *host, size_t len)
{
    char name[256];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    size_t count = 0;
    if (len >= sizeof name) {
        return 1;
    }
    memcpy(name, host, len);
    name[len] = '\0';
    if (getaddrinfo(name, NULL, &hints, &found) == 0) {
        for (struct addrinfo *at = found; at != NULL; at = at->ai_next) {
            count++;
        }
        freeaddrinfo(found);
    }
    return count > 0 ? count : 1;
}

/* With an even number of addresses libzookeeper can skip some of them for ever after an outage
 * (ZOOKEEPER-2466), so one that makes the number odd is named twice. */
static int parse_servers(zks_client *c)
{
    const char *text = c->options.servers;
    size_t hosts_len = strcspn(text, "/");
    const char *root = text + hosts_len;
    const char *odd = NULL;
    size_t odd_len = 0;
    size_t total = 0;
    for (const char *at = text; at <= text + hosts_len; at += strcspn(at, ",/") + 1) {
        size_t len = strcspn(at, ",/");
        const char *colon = len > 0 ? memrchr(at, ':', len) : NULL;
        if (colon == NULL || colon == at ||
            !port_valid(colon + 1, len - (size_t)(colon + 1 - at))) {
            return fail(c, ZKS_EINVAL, "servers: \"%s\" is not like host:port,host:port/root",
                        text);
        }
        size_t count = count_addresses(at, (size_t)(colon - at));
        total += count;
        if (count % 2 == 1 && odd == NULL) {
            odd = at;
            odd_len = len;
        }
    }
    c->has_chroot = strcmp(root, "") != 0 && strcmp(root, "/") != 0;
    if (c->has_chroot && (!zks__dir_valid(root) || strchr(root, ',') != NULL)) {
        return fail(c, ZKS_EINVAL, "servers: \"%s\" is not a valid root", root);
    }
    bool pad = total % 2 == 0 && odd != NULL;
    if (asprintf(&c->servers, "%.*s%s%.*s%s", (int)hosts_len, text, pad ? "," : "",
                 pad ? (int)odd_len : 0, pad ? odd : "", c->has_chroot ? root : "") < 0) {
        c->servers = NULL;
        return ZKS_ENOMEM;
    }
    return 0;
}

static int copy(const char **to, const char *from)
{
    if (from != NULL) {
        *to = strdup(from);
        return *to != NULL ? 0 : ZKS_ENOMEM;
    }
    return 0;
}

static int copy_acl(zks_client *c, const struct zks_acl *acl, size_t n)
{
    if (n == 0) {
        return 0;
    }
    if (acl == NULL || n > 1000) {
        return fail(c, ZKS_EINVAL, "n_acl: %zu entries, %s", n,
                    acl == NULL ? "but acl is NULL" : "more than 1000");
    }
    c->acl = calloc(n, sizeof *c->acl);
    if (c->acl == NULL) {
        return ZKS_ENOMEM;
    }
    c->options.n_acl = n;
    for (size_t i = 0; i < n; i++) {
        if (acl[i].scheme == NULL || acl[i].id == NULL || acl[i].perms <= 0 ||
            acl[i].perms > ZKS_PERM_ALL) {
            return fail(c, ZKS_EINVAL,
                        "acl[%zu]: without a scheme, an id or permissions of ZKS_PERM_ALL", i);
        }
        c->acl[i].perms = acl[i].perms;
        if (copy(&c->acl[i].scheme, acl[i].scheme) != 0 || copy(&c->acl[i].id, acl[i].id) != 0) {
            return ZKS_ENOMEM;
        }
    }
    return 0;
}

static void log_local(enum zks_log_level level, const char *line, void *arg)
{
    struct zks_client *c = arg;
    if (c->options.log != NULL && level <= c->options.log_level) {
        c->options.log(level, line, c->options.log_arg);
    }
}

/* Nobody has named servers, so it is the user's own. */
static int use_local(zks_client *c)
{
    struct zks_local local;
    int64_t limit = c->options.connect_timeout_ms;
    limit = limit > 0 && limit < LOCAL_MS ? limit : LOCAL_MS;
    int rc = zks_local_start(limit, log_local, c, &local);
    if (rc != 0) {
        return rc;
    }
    zks__client_log(c, ZKS_LOG_INFO, "zksync: the local server at %s, process %lld, %s",
                    local.address, (long long)local.pid,
                    local.started ? "was started" : "runs already");
    rc = copy(&c->options.servers, local.address);
    if (rc == 0 && local.secret[0] != '\0') {
        c->secret = strdup(local.secret);
        rc = c->secret != NULL ? 0 : ZKS_ENOMEM;
    }
    explicit_bzero(local.secret, sizeof local.secret);
    return rc;
}

/* After all else has been looked at, so that nothing is started for options that are not valid. */
static int take_servers(zks_client *c, const char *servers)
{
    const char *named = servers != NULL ? servers : getenv("ZKSYNC_SERVERS");
    bool local = servers == NULL && (named == NULL || named[0] == '\0');
    int rc = local ? use_local(c) : copy(&c->options.servers, named);
    return rc == 0 ? parse_servers(c) : rc;
}

/* Takes over the options, whose strings are replaced by copies. */
static int take_options(zks_client *c, const zks_client_options *given)
{
    static const zks_client_options defaults = ZKS_CLIENT_OPTIONS_INIT;
    zks_client_options o = defaults;
    if (given != NULL && given->size < sizeof given->size) {
        return zks__invalid("options.size", "not set by ZKS_CLIENT_OPTIONS_INIT");
    }
    if (given != NULL) {
        memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    }
    zks__log_choose(&o);
    c->options = o;
    c->options.servers = c->options.auth_scheme = c->options.auth = NULL;
    c->options.identity = c->options.reason = NULL;
    c->options.acl = NULL;
    c->options.n_acl = 0;
    if (given != NULL && given->size > sizeof o) {
        return fail(
            c, ZKS_EINVAL,
            "options.size: %zu, more than the %zu of this library, which is older than its header",
            given->size, sizeof o);
    }
    if (o.session_timeout_ms == 0 || o.session_timeout_ms > INT32_MAX) {
        return fail(c, ZKS_EINVAL, "session_timeout_ms: %" PRIu32 " is not between 1 and %" PRId32,
                    o.session_timeout_ms, INT32_MAX);
    }
    if (o.pid < 0) {
        return fail(c, ZKS_EINVAL, "pid: negative: %" PRId64, o.pid);
    }
    if (o.connect_timeout_ms < ZKS_FOREVER) {
        return fail(c, ZKS_EINVAL, "connect_timeout_ms: negative: %" PRId64, o.connect_timeout_ms);
    }
    if ((o.auth_scheme == NULL) != (o.auth == NULL)) {
        return fail(c, ZKS_EINVAL, "%s: NULL, but %s is given",
                    o.auth == NULL ? "auth" : "auth_scheme",
                    o.auth == NULL ? "auth_scheme" : "auth");
    }
    if (copy(&c->options.auth_scheme, o.auth_scheme) != 0 || copy(&c->options.auth, o.auth) != 0 ||
        copy(&c->options.identity, o.identity) != 0 || copy(&c->options.reason, o.reason) != 0) {
        return ZKS_ENOMEM;
    }
    int rc = copy_acl(c, o.acl, o.n_acl);
    if (rc == 0) {
        rc = take_servers(c, o.servers);
    }
    if (rc == 0) {
        c->description = zks__describe(&c->options, NULL);
        rc = c->description != NULL ? 0 : ZKS_ENOMEM;
    }
    return rc;
}

static zks_client *create(void)
{
    zks_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->pid = getpid();
    c->event_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    zks__cond_init(&c->work);
    zks__cond_init(&c->changed);
    return c;
}

static int name_beat(zks_client *c)
{
    uint64_t random;
    int rc = zks__fill_random(&random, sizeof random);
    snprintf(c->beat_name, sizeof c->beat_name, "zksync-heartbeat-%016llx",
             (unsigned long long)random);
    return rc;
}

/* What is left to be told is told, while the handles that it is about still know their client. */
static void end(zks_client *c)
{
    zks__client_stop(c);
    zks__deliver(c);
    zks__machines_close(c);
    release(c);
}

static int await_connection(zks_client *c)
{
    int64_t limit = c->options.connect_timeout_ms;
    uint64_t until = limit == ZKS_FOREVER ? ZKS__NEVER : zks__after(zks__now_ms(), (uint64_t)limit);
    pthread_mutex_lock(&c->lock);
    while (c->open_error == 0 && c->state == ZKS_CLIENT_CONNECTING && zks__now_ms() < until) {
        zks__cond_wait(&c->changed, &c->lock, until);
    }
    bool connecting = c->state == ZKS_CLIENT_CONNECTING;
    int error = c->open_error != 0 ? c->open_error : connecting ? ZKS_EDISCONNECTED : 0;
    pthread_mutex_unlock(&c->lock);
    return error;
}

static int open_client(const zks_client_options *options, zks_client **client)
{
    zks_client *c = create();
    if (c == NULL) {
        return ZKS_ENOMEM;
    }
    int rc = take_options(c, options);
    if (rc == 0 && c->options.manual_dispatch) {
        c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        rc = c->event_fd >= 0 ? 0 : ZKS_ESYSTEM;
    }
    if (rc == 0) {
        rc = name_beat(c);
    }
    if (rc == 0) {
        rc = zks__client_start(c);
    }
    if (rc != 0) {
        release(c);
        return rc;
    }
    if (c->options.connect_timeout_ms != 0) {
        rc = await_connection(c);
    }
    if (rc != 0) {
        if (rc == ZKS_EDISCONNECTED) {
            rc = fail(c, rc, "none of %s answered in time", c->options.servers);
        } else if (rc == ZKS_ENOCHROOT) {
            (void)zks__error_set(rc, "%s: the root does not exist on the servers",
                                 strchr(c->options.servers, '/'));
        } else if (rc == ZKS_EAUTH) {
            (void)zks__error_set(rc, "%s: the servers refuse the credentials", c->options.servers);
        }
        pthread_mutex_lock(&c->lock);
        c->options.listener = NULL; /* The caller never got to know this client. */
        pthread_mutex_unlock(&c->lock);
        end(c);
        return rc;
    }
    *client = c;
    return 0;
}

int zks_client_open(const zks_client_options *options, zks_client **client)
{
    zks__error_begin();
    if (client == NULL) {
        return zks__invalid("client", "NULL");
    }
    if (zks__in_callback() && (options == NULL || options->connect_timeout_ms != 0)) {
        return zks__error_end(ZKS_EDEADLK);
    }
    return zks__error_end(open_client(options, client));
}

int zks_client_close(zks_client *client)
{
    if (client == NULL) {
        return 0;
    }
    if (client->pid != getpid()) {
        for (struct zks__machine *m = client->machines; m != NULL; m = m->next) {
            m->client = NULL;
        }
        client->event_fd = -1; /* A copy of the parent's; let it be. */
        free(client);
        return 0;
    }
    if (zks__in_callback()) {
        return zks__error(ZKS_EDEADLK);
    }
    end(client);
    return 0;
}

enum zks_client_state zks_client_get_state(zks_client *client)
{
    pthread_mutex_lock(&client->lock);
    enum zks_client_state state = client->state;
    pthread_mutex_unlock(&client->lock);
    return state;
}

int64_t zks_client_session_id(zks_client *client)
{
    return atomic_load(&client->session);
}

uint32_t zks_client_session_timeout_ms(zks_client *client)
{
    return atomic_load(&client->timeout_ms);
}

uint64_t zks_client_safe_until(zks_client *client)
{
    return atomic_load(&client->safe_until_ms);
}

uint64_t zks_clock_ms(void)
{
    return zks__now_ms();
}

static int delivers_itself(const zks_client *client)
{
    return client == NULL ? zks__invalid("client", "NULL")
                          : zks__invalid("client", "opened without manual_dispatch");
}

int zks_client_fd(zks_client *client)
{
    return client != NULL && client->event_fd >= 0 ? client->event_fd : delivers_itself(client);
}

int zks_client_dispatch(zks_client *client)
{
    uint64_t count;
    if (client == NULL || client->event_fd < 0) {
        return delivers_itself(client);
    }
    if (client->pid != getpid() || zks__in_callback()) {
        return zks__error(client->pid != getpid() ? ZKS_EFORKED : ZKS_EDEADLK);
    }
    (void)!read(client->event_fd, &count, sizeof count); /* Before the look, so none is missed. */
    return zks__deliver(client);
}
