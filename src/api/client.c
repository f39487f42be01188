/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/common.h"
#include "api/local.h"
#include "api/probe.h"
#include "base/log.h"
#include "driver/clock.h"
#include "driver/deliveries.h"
#include "zksync/config.h"

enum {
    PROBE_MS = 5000 /* Of the time to connect, at most half: for finding out why it fails. */
};

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
    zks__servers_free(c->list);
    zks__local_free(c->local);
    free(c->description);
    free((char *)c->options.servers);
    free((char *)c->options.root);
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

/* Logs the sentence that is set for an error. */
static int failed(zks_client *c, int error)
{
    zks__client_log(c, ZKS_LOG_ERROR, "zksync: %s", zks_last_error());
    return error;
}

static int parse_servers(zks_client *c)
{
    struct zks__servers *list = NULL;
    int rc = zks__servers_parse(c->options.servers, &list);
    if (rc != 0) {
        return rc == ZKS_EINVAL ? failed(c, rc) : rc;
    }
    rc = c->local != NULL ? zks__servers_set_secret(list, zks__local_secret(c->local)) : 0;
    c->list = list;
    c->servers = list->connect;
    c->secret = list->secret;
    c->root_len = strlen(list->root);
    return rc;
}

static int copy(const char **to, const char *from)
{
    if (from != NULL) {
        *to = strdup(from);
        return *to != NULL ? 0 : ZKS_ENOMEM;
    }
    return 0;
}

static int check_length(zks_client *c, const char *name, size_t len, size_t most)
{
    return len <= most ? 0 : fail(c, ZKS_EINVAL, "%s: %zu bytes, more than %zu", name, len, most);
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
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (acl[i].scheme == NULL || acl[i].id == NULL || acl[i].perms <= 0 ||
            acl[i].perms > ZKS_PERM_ALL) {
            return fail(c, ZKS_EINVAL,
                        "acl[%zu]: without a scheme, an id or permissions of ZKS_PERM_ALL", i);
        }
        bytes += strlen(acl[i].scheme) + strlen(acl[i].id);
        c->acl[i].perms = acl[i].perms;
        if (copy(&c->acl[i].scheme, acl[i].scheme) != 0 || copy(&c->acl[i].id, acl[i].id) != 0) {
            return ZKS_ENOMEM;
        }
    }
    return check_length(c, "acl", bytes, ZKS_ACL_BYTES_MAX);
}

/* Called once all other options are valid, so that no server is started for those that are not. */
static int take_servers(zks_client *c, const char *servers)
{
    int rc =
        strcmp(servers, "local") == 0 ? zks__local_open(c) : copy(&c->options.servers, servers);
    return rc == 0 ? parse_servers(c) : rc;
}

static int take_root(zks_client *c, const char *root)
{
    if (root[0] != '\0' && zks__check_path(root) != 0) {
        return failed(c, ZKS_EINVAL);
    }
    return copy(&c->options.root, root);
}

/* Takes over the options, whose strings are replaced by copies.  All of them are given by now. */
static int copy_options(zks_client *c, const zks_client_options *o)
{
    if (copy(&c->options.auth_scheme, o->auth_scheme) != 0 ||
        copy(&c->options.auth, o->auth) != 0 || copy(&c->options.identity, o->identity) != 0 ||
        copy(&c->options.reason, o->reason) != 0) {
        return ZKS_ENOMEM;
    }
    int rc = copy_acl(c, o->acl, o->n_acl);
    rc = rc == 0 ? take_root(c, o->root) : rc;
    rc = rc == 0 ? take_servers(c, o->servers) : rc;
    if (rc == 0) {
        c->description = zks__describe(&c->options, NULL);
        rc = c->description != NULL ? 0 : ZKS_ENOMEM;
    }
    return rc;
}

static size_t length(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

/* Nothing may make a request so large that the servers close the connection: see driver/request_size.h. */
static int check_lengths(zks_client *c, const zks_client_options *o)
{
    int rc = check_length(c, "identity", length(o->identity), ZKS_IDENTITY_MAX);
    rc = rc == 0 ? check_length(c, "reason", length(o->reason), ZKS_REASON_MAX) : rc;
    return rc == 0 ? check_length(c, "auth", length(o->auth_scheme) + length(o->auth),
                                  ZKS_AUTH_BYTES_MAX)
                   : rc;
}

static int check_options(zks_client *c, const zks_client_options *o)
{
    if (o->session_timeout_ms != 0 && (o->session_timeout_ms < ZKS_SESSION_TIMEOUT_MIN_MS ||
                                       o->session_timeout_ms > ZKS_SESSION_TIMEOUT_MAX_MS)) {
        return fail(c, ZKS_EINVAL, "session_timeout_ms: %" PRIu32 ": not between %d and %d",
                    o->session_timeout_ms, ZKS_SESSION_TIMEOUT_MIN_MS, ZKS_SESSION_TIMEOUT_MAX_MS);
    }
    if (o->pid < 0) {
        return fail(c, ZKS_EINVAL, "pid: negative: %" PRId64, o->pid);
    }
    if (o->connect_timeout_ms < ZKS_DEFAULT) {
        return fail(c, ZKS_EINVAL, "connect_timeout_ms: negative: %" PRId64, o->connect_timeout_ms);
    }
    if (o->max_session_bytes != 0 && (o->max_session_bytes < ZKS_SESSION_BYTES_MIN ||
                                      o->max_session_bytes > ZKS_SESSION_BYTES_MAX)) {
        return fail(c, ZKS_EINVAL, "max_session_bytes: %" PRIu32 ", not from %d to %d",
                    o->max_session_bytes, ZKS_SESSION_BYTES_MIN, ZKS_SESSION_BYTES_MAX);
    }
    if ((o->auth_scheme == NULL) != (o->auth == NULL)) {
        return fail(c, ZKS_EINVAL, "%s: NULL, but %s is given",
                    o->auth == NULL ? "auth" : "auth_scheme",
                    o->auth == NULL ? "auth_scheme" : "auth");
    }
    return check_lengths(c, o);
}

static int check_renewal(zks_client *c, const zks_client_options *o)
{
    uint32_t least = o->session_timeout_ms / 100;
    uint32_t most = o->session_timeout_ms / 10;
    if (o->lease_renewal_ms != 0 && (o->lease_renewal_ms < least || o->lease_renewal_ms > most)) {
        return fail(c, ZKS_EINVAL,
                    "lease_renewal_ms: %" PRIu32 ", not from %" PRIu32 " to %" PRIu32
                    " (a hundredth to a tenth of the session timeout)",
                    o->lease_renewal_ms, least, most);
    }
    return 0;
}

/* What the program has not given comes from the settings, or where it has named servers itself, from the
 * defaults: the settings' root and credentials are for the settings' servers. */
static int take_settings(zks_client *c, const zks_client_options *given)
{
    zks_client_options o = *given;
    zks_config *config = NULL;
    int rc = 0;
    if (o.servers == NULL) {
        rc = zks_config_new(&config);
        rc = rc == 0 ? zks_config_check(config) : rc;
        if (rc == ZKS_ECONFIG) {
            rc = fail(c, rc, "%s", zks_config_error(config));
        } else if (rc == 0) {
            zks_config_apply(config, &o);
            zks__client_log(c, ZKS_LOG_INFO, "zksync: the servers are %s (from %s)", o.servers,
                            zks_config_origin(config, ZKS_SETTING_SERVERS));
        }
    }
    o.root = o.root != NULL ? o.root : "";
    o.session_timeout_ms =
        o.session_timeout_ms != 0 ? o.session_timeout_ms : ZKS_SESSION_TIMEOUT_MS;
    o.connect_timeout_ms =
        o.connect_timeout_ms != ZKS_DEFAULT ? o.connect_timeout_ms : ZKS_CONNECT_TIMEOUT_MS;
    c->options.session_timeout_ms = o.session_timeout_ms;
    c->options.connect_timeout_ms = o.connect_timeout_ms;
    c->options.max_session_bytes =
        o.max_session_bytes != 0 ? o.max_session_bytes : ZKS_SESSION_BYTES;
    rc = rc == 0 ? check_renewal(c, &o) : rc;
    rc = rc == 0 ? copy_options(c, &o) : rc;
    zks_config_free(config);
    return rc;
}

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
    zks__log_choose(&o.log, &o.log_level);
    c->options = o;
    c->options.servers = c->options.root = c->options.auth_scheme = c->options.auth = NULL;
    c->options.identity = c->options.reason = NULL;
    c->options.acl = NULL;
    c->options.n_acl = 0;
    if (given != NULL && given->size > sizeof o) {
        return fail(
            c, ZKS_EINVAL,
            "options.size: %zu, more than the %zu of this library, which is older than its header",
            given->size, sizeof o);
    }
    int rc = check_options(c, &o);
    return rc == 0 ? take_settings(c, &o) : rc;
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
    zks__local_end(c->local);
    zks__client_stop(c);
    zks__deliver(c);
    zks__machines_close(c);
    release(c);
}

static bool is_decided(void *arg)
{
    struct zks_client *c = arg;
    pthread_mutex_lock(&c->lock);
    bool decided = c->open_error != 0 || c->state != ZKS_CLIENT_CONNECTING;
    pthread_mutex_unlock(&c->lock);
    return decided;
}

static void await_decision(struct zks_client *c, uint64_t until_ms)
{
    pthread_mutex_lock(&c->lock);
    while (c->open_error == 0 && c->state == ZKS_CLIENT_CONNECTING && zks__now_ms() < until_ms) {
        zks__cond_wait(&c->changed, &c->lock, until_ms);
    }
    pthread_mutex_unlock(&c->lock);
}

/* In the last part of the time the servers are asked what is wrong with them, in case none answers. */
static int await_connection(zks_client *c)
{
    char why[ZKS__ERROR_MAX] = "";
    int64_t limit = c->options.connect_timeout_ms;
    uint64_t until = limit == ZKS_FOREVER ? ZKS__NEVER : zks__after(zks__now_ms(), (uint64_t)limit);
    uint64_t probe_ms = limit / 2 < PROBE_MS ? (uint64_t)limit / 2 : PROBE_MS;
    await_decision(c, limit == ZKS_FOREVER ? until : until - probe_ms);
    if (!is_decided(c)) {
        (void)zks__probe(c->list, until, limit, is_decided, c, why);
        await_decision(c, until);
    }
    pthread_mutex_lock(&c->lock);
    bool connecting = c->state == ZKS_CLIENT_CONNECTING;
    int error = c->open_error != 0 ? c->open_error : connecting ? ZKS_EDISCONNECTED : 0;
    int system = c->open_errno;
    pthread_mutex_unlock(&c->lock);
    switch (error) {
    case ZKS_EDISCONNECTED:
        return failed(c, zks__error_set(error, "%s", why));
    case ZKS_ENOCHROOT:
        return zks__no_root(c->list->root);
    case ZKS_ESYSTEM:
        return zks__error_set(error, "no session can be begun with %s: %s", c->options.servers,
                              strerror(system));
    case ZKS_EAUTH:
        return zks__error_set(error, "%s: the servers refuse the credentials", c->options.servers);
    default:
        return error;
    }
}

static int start(zks_client *c)
{
    int error = zks__local_keep(c);
    error = error == 0 ? zks__client_start(c) : error;
    if (error != 0) {
        zks__local_end(c->local);
        return fail(c, ZKS_ESYSTEM, "no thread can be started: %s", strerror(error));
    }
    return 0;
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
    rc = rc == 0 ? start(c) : rc;
    if (rc != 0) {
        release(c);
        return rc;
    }
    if (c->options.connect_timeout_ms != 0) {
        rc = await_connection(c);
    }
    if (rc != 0) {
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
    return zks__client_safe_until(client);
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

int zks_client_probe(zks_client *client, int64_t timeout_ms, char *buf, size_t size)
{
    char why[ZKS__ERROR_MAX];
    zks__error_begin();
    if (client == NULL || timeout_ms < 0) {
        return zks__invalid(client == NULL ? "client" : "timeout_ms",
                            client == NULL ? "NULL" : "negative");
    }
    int rc = zks__in_callback() ? ZKS_EDEADLK : zks__client_enter(client);
    if (rc != 0) {
        return zks__error_end(rc);
    }
    size_t serving = zks__probe(client->list, zks__after(zks__now_ms(), (uint64_t)timeout_ms),
                                timeout_ms, NULL, NULL, why);
    zks__client_leave(client);
    if (buf != NULL && size > 0) {
        (void)snprintf(buf, size, "%s", why);
    }
    return serving > 0 ? 0 : zks__error_set(ZKS_EDISCONNECTED, "%s", why);
}

int zks_client_fd(zks_client *client)
{
    return client != NULL && client->event_fd >= 0 ? client->event_fd : delivers_itself(client);
}

int zks_client_dispatch(zks_client *client)
{
    if (client == NULL || client->event_fd < 0) {
        return delivers_itself(client);
    }
    if (client->pid != getpid() || zks__in_callback()) {
        return zks__error(client->pid != getpid() ? ZKS_EFORKED : ZKS_EDEADLK);
    }
    return zks__deliver(client);
}
