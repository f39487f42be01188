#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rawzk.h"

#include "ensemble.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SESSION_TIMEOUT_MS = 30000, CONNECT_LIMIT_MS = 60000, POLL_MS = 20, MAX_PATH = 1024 };

struct rawzk {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    zhandle_t *handle;
    int state;
};

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
    while (nanosleep(&wait, &wait) != 0 && errno == EINTR) {
    }
}

/* What the handles of the tests' own helper do is of no interest in the tests' output. */
static void drop_log(const char *message)
{
    (void)message;
}

static void watch(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)handle;
    (void)path;
    struct rawzk *zk = context;
    if (type == ZOO_SESSION_EVENT) {
        (void)pthread_mutex_lock(&zk->mutex);
        zk->state = state;
        (void)pthread_cond_broadcast(&zk->changed);
        (void)pthread_mutex_unlock(&zk->mutex);
    }
}

static struct rawzk *open_handle(const char *hosts, int timeout_ms, const clientid_t *client)
{
    struct rawzk *zk = calloc(1, sizeof *zk);
    if (zk == NULL) {
        ens_fail("out of memory");
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&zk->mutex, NULL);
    (void)pthread_cond_init(&zk->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    zk->handle = zookeeper_init2(hosts, watch, timeout_ms, client, zk, 0, drop_log);
    if (zk->handle == NULL) {
        ens_fail("zookeeper_init2(\"%s\"): %s", hosts, strerror(errno));
    }
    return zk;
}

/* Waits until the session is established or is known to have ended; gives the last state. */
static int await_session(struct rawzk *zk, int limit_ms)
{
    int64_t end = now_ms() + limit_ms;
    struct timespec limit = {.tv_sec = (time_t)(end / 1000),
                             .tv_nsec = (long)(end % 1000) * 1000000L};
    (void)pthread_mutex_lock(&zk->mutex);
    while (zk->state != ZOO_CONNECTED_STATE && zk->state != ZOO_EXPIRED_SESSION_STATE &&
           zk->state != ZOO_AUTH_FAILED_STATE) {
        if (pthread_cond_timedwait(&zk->changed, &zk->mutex, &limit) != 0) {
            break;
        }
    }
    int state = zk->state;
    (void)pthread_mutex_unlock(&zk->mutex);
    return state;
}

struct rawzk *rawzk_open_timeout(const char *hosts, int session_timeout_ms)
{
    struct rawzk *zk = open_handle(hosts, session_timeout_ms, NULL);
    int state = await_session(zk, CONNECT_LIMIT_MS);
    if (state != ZOO_CONNECTED_STATE) {
        rawzk_close(zk);
        ens_fail("no session with %s after %d ms (state %d)", hosts, CONNECT_LIMIT_MS, state);
    }
    return zk;
}

struct rawzk *rawzk_open(const char *hosts)
{
    return rawzk_open_timeout(hosts, SESSION_TIMEOUT_MS);
}

void rawzk_close(struct rawzk *zk)
{
    if (zk == NULL) {
        return;
    }
    (void)zookeeper_close(zk->handle);
    (void)pthread_cond_destroy(&zk->changed);
    (void)pthread_mutex_destroy(&zk->mutex);
    free(zk);
}

zhandle_t *rawzk_handle(struct rawzk *zk)
{
    return zk->handle;
}

int64_t rawzk_session_id(struct rawzk *zk)
{
    return zoo_client_id(zk->handle)->client_id;
}

void rawzk_session_password(struct rawzk *zk, char password[16])
{
    memcpy(password, zoo_client_id(zk->handle)->passwd, 16);
}

/*
 * A server that is asked for an ended session first closes the connection that it still has for it. There
 * is one where the session's client came back while the request to close was under way on the same server:
 * it would answer that client's pings for ever.
 */
static void close_connections(const char *hosts, const clientid_t *client)
{
    char list[MAX_PATH];
    if ((size_t)snprintf(list, sizeof list, "%s", hosts) >= sizeof list) {
        ens_fail("the list of servers is too long: %s", hosts);
    }
    char *rest = NULL;
    for (char *host = strtok_r(list, ",", &rest); host != NULL; host = strtok_r(NULL, ",", &rest)) {
        struct rawzk *zk = open_handle(host, SESSION_TIMEOUT_MS, client);
        int state = await_session(zk, CONNECT_LIMIT_MS);
        rawzk_close(zk);
        if (state != ZOO_EXPIRED_SESSION_STATE) {
            ens_fail("%s does not say that session 0x%llx has ended (state %d)", host,
                     (unsigned long long)client->client_id, state);
        }
    }
}

/*
 * The client whose session it is takes the session back as soon as it can, and the request to
 * close can be lost with the connection. So this goes on until the server has said "expired".
 */
bool rawzk_kill_session(const char *hosts, int64_t session_id, const char password[16])
{
    clientid_t client = {.client_id = session_id};
    memcpy(client.passwd, password, 16);
    int64_t end = now_ms() + CONNECT_LIMIT_MS;
    bool taken = false;
    for (;;) {
        struct rawzk *zk = open_handle(hosts, SESSION_TIMEOUT_MS, &client);
        int state = await_session(zk, CONNECT_LIMIT_MS);
        rawzk_close(zk);
        if (state == ZOO_EXPIRED_SESSION_STATE) {
            close_connections(hosts, &client);
            return taken;
        }
        taken = taken || state == ZOO_CONNECTED_STATE;
        if (now_ms() > end) {
            ens_fail("session 0x%llx does not end (state %d)", (unsigned long long)session_id,
                     state);
        }
    }
}

/*
 * Whether a read is to be made again: the connection was lost, which a test that cuts
 * connections brings about itself.
 */
static bool again(struct rawzk *zk, int code, int64_t end)
{
    if (code != ZCONNECTIONLOSS && code != ZOPERATIONTIMEOUT) {
        return false;
    }
    if (now_ms() > end) {
        return false;
    }
    pause_ms(POLL_MS);
    (void)await_session(zk, CONNECT_LIMIT_MS);
    return true;
}

static void need(int code, const char *what, const char *path)
{
    if (code != ZOK) {
        ens_fail("%s(\"%s\"): %s", what, path, zerror(code));
    }
}

int rawzk_try_create(struct rawzk *zk, const char *path, const char *data, int flags,
                     char *out_path, size_t out_size)
{
    char name[MAX_PATH];
    int length = data == NULL ? -1 : (int)strlen(data);
    int code = zoo_create(zk->handle, path, data, length, &ZOO_OPEN_ACL_UNSAFE, flags, name,
                          (int)sizeof name);
    if (code == ZOK && out_path != NULL) {
        (void)snprintf(out_path, out_size, "%s", name);
    }
    return code;
}

void rawzk_create(struct rawzk *zk, const char *path, const char *data, int flags, char *out_path,
                  size_t out_size)
{
    need(rawzk_try_create(zk, path, data, flags, out_path, out_size), "create", path);
}

void rawzk_create_path(struct rawzk *zk, const char *path)
{
    char part[MAX_PATH];
    size_t length = strlen(path);
    if (length >= sizeof part) {
        ens_fail("the path %s is too long", path);
    }
    for (size_t k = 1; k <= length; k++) {
        if (path[k] != '/' && path[k] != '\0') {
            continue;
        }
        memcpy(part, path, k);
        part[k] = '\0';
        int code = rawzk_try_create(zk, part, NULL, 0, NULL, 0);
        need(code == ZNODEEXISTS ? ZOK : code, "create", part);
    }
}

int rawzk_try_delete(struct rawzk *zk, const char *path)
{
    return zoo_delete(zk->handle, path, -1);
}

void rawzk_delete(struct rawzk *zk, const char *path)
{
    need(rawzk_try_delete(zk, path), "delete", path);
}

/*
 * Others can delete and create below the node at the same time (an expiring session, a container
 * that the server removes), so a node that is gone is fine and one that is not empty is gone
 * through again.
 */
void rawzk_delete_tree(struct rawzk *zk, const char *path)
{
    int64_t end = now_ms() + CONNECT_LIMIT_MS;
    int code = ZOK;
    do {
        struct rawzk_names names;
        rawzk_children(zk, path, &names);
        for (size_t k = 0; k < names.count; k++) {
            size_t size = strlen(path) + strlen(names.name[k]) + 2;
            char *child = malloc(size);
            if (child == NULL) {
                ens_fail("out of memory");
            }
            (void)snprintf(child, size, "%s/%s", path, names.name[k]);
            rawzk_delete_tree(zk, child);
            free(child);
        }
        rawzk_names_free(&names);
        code = rawzk_try_delete(zk, path);
    } while ((code == ZNOTEMPTY && now_ms() < end) || again(zk, code, end));
    need(code == ZNONODE ? ZOK : code, "delete", path);
}

void rawzk_set(struct rawzk *zk, const char *path, const char *data, size_t length)
{
    need(zoo_set(zk->handle, path, data, (int)length, -1), "set", path);
}

void rawzk_set_acl(struct rawzk *zk, const char *path, const struct ACL_vector *acl)
{
    need(zoo_set_acl(zk->handle, path, -1, acl), "set_acl", path);
}

struct completion {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
    int code;
};

static void complete(int code, const char *value, const void *context)
{
    (void)value;
    /* The library hands the pointer back as constant; the object behind it is not. */
    struct completion *completion = (struct completion *)(uintptr_t)context;
    (void)pthread_mutex_lock(&completion->mutex);
    completion->done = true;
    completion->code = code;
    (void)pthread_cond_signal(&completion->changed);
    (void)pthread_mutex_unlock(&completion->mutex);
}

static int sync_once(struct rawzk *zk, const char *path)
{
    struct completion completion = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                    .changed = PTHREAD_COND_INITIALIZER};
    int code = zoo_async(zk->handle, path, complete, &completion);
    if (code != ZOK) {
        return code;
    }
    (void)pthread_mutex_lock(&completion.mutex);
    while (!completion.done) {
        (void)pthread_cond_wait(&completion.changed, &completion.mutex);
    }
    (void)pthread_mutex_unlock(&completion.mutex);
    (void)pthread_cond_destroy(&completion.changed);
    (void)pthread_mutex_destroy(&completion.mutex);
    return completion.code;
}

void rawzk_sync(struct rawzk *zk, const char *path)
{
    int64_t end = now_ms() + CONNECT_LIMIT_MS;
    int code = ZOK;
    do {
        code = sync_once(zk, path);
    } while (again(zk, code, end));
    need(code, "sync", path);
}

bool rawzk_exists(struct rawzk *zk, const char *path, struct Stat *stat)
{
    int64_t end = now_ms() + CONNECT_LIMIT_MS;
    struct Stat unused;
    int code = ZOK;
    do {
        rawzk_sync(zk, path);
        code = zoo_exists(zk->handle, path, 0, stat != NULL ? stat : &unused);
    } while (again(zk, code, end));
    if (code == ZNONODE) {
        return false;
    }
    need(code, "exists", path);
    return true;
}

bool rawzk_get(struct rawzk *zk, const char *path, char *buffer, size_t *length, struct Stat *stat)
{
    int64_t end = now_ms() + CONNECT_LIMIT_MS;
    int code = ZOK;
    int got = 0;
    struct Stat found;
    do {
        rawzk_sync(zk, path);
        got = (int)*length;
        code = zoo_get(zk->handle, path, 0, buffer, &got, &found);
    } while (again(zk, code, end));
    if (code == ZNONODE) {
        return false;
    }
    need(code, "get", path);
    /* A node without data is -1 here. */
    size_t used = got > 0 ? (size_t)got : 0;
    if (used < *length) {
        buffer[used] = '\0';
    }
    *length = used;
    if (stat != NULL) {
        *stat = found;
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void rawzk_children(struct rawzk *zk, const char *path, struct rawzk_names *names)
{
    int64_t end = now_ms() + CONNECT_LIMIT_MS;
    struct String_vector found = {0, NULL};
    int code = ZOK;
    do {
        rawzk_sync(zk, path);
        code = zoo_get_children(zk->handle, path, 0, &found);
    } while (again(zk, code, end));
    *names = (struct rawzk_names){0, NULL};
    if (code == ZNONODE) {
        return;
    }
    need(code, "get_children", path);
    /* The names go over to the caller: the library allocates them with malloc as well. */
    names->count = (size_t)found.count;
    names->name = found.data;
    if (names->count > 1) {
        qsort(names->name, names->count, sizeof *names->name, compare_names);
    }
}

size_t rawzk_count_children(struct rawzk *zk, const char *path)
{
    struct rawzk_names names;
    rawzk_children(zk, path, &names);
    size_t count = names.count;
    rawzk_names_free(&names);
    return count;
}

void rawzk_names_free(struct rawzk_names *names)
{
    for (size_t k = 0; k < names->count; k++) {
        free(names->name[k]);
    }
    free(names->name);
    *names = (struct rawzk_names){0, NULL};
}

void rawzk_await_children(struct rawzk *zk, const char *path, size_t count, int timeout_ms)
{
    int64_t end = now_ms() + timeout_ms;
    for (;;) {
        struct rawzk_names names;
        rawzk_children(zk, path, &names);
        bool reached = names.count == count;
        char text[1024] = "";
        size_t used = 0;
        for (size_t k = 0; !reached && k < names.count && used < sizeof text; k++) {
            int more = snprintf(text + used, sizeof text - used, " %s", names.name[k]);
            used += more > 0 ? (size_t)more : 0;
        }
        size_t present = names.count;
        rawzk_names_free(&names);
        if (reached) {
            return;
        }
        if (now_ms() >= end) {
            ens_fail("%s has %zu children and not %zu after %d ms:%s", path, present, count,
                     timeout_ms, text);
        }
        pause_ms(POLL_MS);
    }
}

static void await_presence(struct rawzk *zk, const char *path, bool wanted, int timeout_ms)
{
    int64_t end = now_ms() + timeout_ms;
    while (rawzk_exists(zk, path, NULL) != wanted) {
        if (now_ms() >= end) {
            ens_fail("%s is %s after %d ms", path, wanted ? "not there" : "still there",
                     timeout_ms);
        }
        pause_ms(POLL_MS);
    }
}

void rawzk_await_exists(struct rawzk *zk, const char *path, int timeout_ms)
{
    await_presence(zk, path, true, timeout_ms);
}

void rawzk_await_gone(struct rawzk *zk, const char *path, int timeout_ms)
{
    await_presence(zk, path, false, timeout_ms);
}
