/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/handle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <zookeeper/zookeeper.h>

#include "base/thread.h"
#include "core/round.h"
#include "driver/clock.h"
#include "driver/handle_log.h"
#include "driver/request_path.h"
#include "driver/request_size.h"

enum {
    EVENTS = 64,
    LEVELS_MAX = 512,
    ANSWERS_MS = 2000,     /* How long a close waits for outstanding answers. */
    NO_VERSION = INT32_MAX /* A znode would have to be written two thousand million times. */
};

struct zks__handle {
    zhandle_t *zh;
    struct zks__handle_options options;
    size_t added; /* How many of the credentials libzookeeper has taken; its thread only. */
    struct ACL *acl;
    struct ACL_vector acl_vector;
    pthread_t closer;
    _Atomic bool no_containers; /* This server does not know them. */
    _Atomic bool no_removals;   /* ... nor how to remove a watch. */
    uint64_t removal_at; /* Before this time one is sent only if nothing else is outstanding. */
    struct zks__message closed;

    /* Session events cannot wait for memory. The driver takes them at once, so that these are enough. */
    struct zks__message events[EVENTS];
    pthread_mutex_t lock;
    bool used[EVENTS]; /* Under the lock. */
    pthread_cond_t event_freed;
    _Atomic unsigned outstanding; /* Calls that have not been answered.  Changed under the lock. */
    pthread_cond_t all_answered;

    struct zks__call *calls; /* Until they are freed; the driver's thread only. */

    struct zks__watches watches;

    struct zks__logger logger;
};

static void post(struct zks__handle *h, struct zks__message *message)
{
    h->options.post(h->options.arg, message);
}

static const char secret_scheme[] = "zksync";

/* Gives libzookeeper what is to be presented on each connection, in the same order.  Between two connections it
 * does not take anything, so this is done when there is one.  False where that has gone meanwhile. */
static bool add_credentials(struct zks__handle *h, zhandle_t *zh)
{
    const struct zks__handle_options *o = &h->options;
    const char *const schemes[] = {secret_scheme, o->auth_scheme};
    const char *const credentials[] = {o->secret, o->auth};
    for (; h->added < sizeof credentials / sizeof credentials[0]; h->added++) {
        const char *one = credentials[h->added];
        int rc = one != NULL
                     ? zoo_add_auth(zh, schemes[h->added], one, (int)strlen(one), NULL, NULL)
                     : ZOK;
        if (rc == ZINVALIDSTATE || rc == ZSYSTEMERROR) {
            return false; /* With any other error it has been taken. */
        }
    }
    return true;
}

/* On one of libzookeeper's threads, the same each time. */
static void post_event(struct zks__handle *h, enum zks__session_state state)
{
    /* Only where callbacks of the user's block the driver can so many be waiting. */
    pthread_mutex_lock(&h->lock);
    unsigned i = 0;
    while (h->used[i]) {
        if (++i == EVENTS) {
            pthread_cond_wait(&h->event_freed, &h->lock);
            i = 0;
        }
    }
    h->used[i] = true;
    pthread_mutex_unlock(&h->lock);
    h->events[i] = (struct zks__message){.kind = ZKS__MSG_SESSION, .state = state, .handle = h};
    post(h, &h->events[i]);
}

static void on_session(zhandle_t *zh, int type, int state, const char *path, void *context)
{
    struct zks__handle *h = context;
    (void)path;
    if (type != ZOO_SESSION_EVENT) {
        return;
    }
    if (state == ZOO_CONNECTED_STATE && add_credentials(h, zh)) {
        post_event(h, ZKS__SESSION_CONNECTED);
    } else if (state == ZOO_EXPIRED_SESSION_STATE) {
        post_event(h, ZKS__SESSION_EXPIRED);
    } else if (state == ZOO_AUTH_FAILED_STATE) {
        post_event(h, ZKS__SESSION_AUTH_FAILED);
    } else {
        post_event(h, ZKS__SESSION_SUSPENDED);
    }
}

/* Of the znode at the root, which is watched so that it is known to be gone before a request is answered
 * that there is nothing.  The context is libzookeeper's own. */
static void on_root(zhandle_t *zh, int type, int state, const char *path, void *context)
{
    struct zks__handle *h = (struct zks__handle *)(uintptr_t)zoo_get_context(zh);
    (void)state;
    (void)path;
    (void)context;
    if (type != ZOO_SESSION_EVENT) {
        post_event(h, type == ZOO_DELETED_EVENT ? ZKS__SESSION_ROOT_GONE : ZKS__SESSION_ROOT_THERE);
    }
}

void zks__event_free(struct zks__message *event)
{
    struct zks__handle *h = event->handle;
    pthread_mutex_lock(&h->lock);
    h->used[event - h->events] = false;
    pthread_cond_signal(&h->event_freed);
    pthread_mutex_unlock(&h->lock);
}

/* A server's secret lets a client in, but says nothing of who it is. */
static bool names_user(const struct zks__handle *h)
{
    return h->options.auth != NULL && strcmp(h->options.auth_scheme, secret_scheme) != 0;
}

static int copy_acl(struct zks__handle *h)
{
    size_t n = h->options.n_acl;
    if (n == 0) {
        h->acl_vector = names_user(h) ? ZOO_CREATOR_ALL_ACL : ZOO_OPEN_ACL_UNSAFE;
        return 0;
    }
    h->acl = calloc(n, sizeof *h->acl);
    if (h->acl == NULL) {
        return ZKS_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        h->acl[i].perms = h->options.acl[i].perms;
        /* The type has no const, but nothing is written to. */
        memcpy(&h->acl[i].id.scheme, &h->options.acl[i].scheme, sizeof(char *));
        memcpy(&h->acl[i].id.id, &h->options.acl[i].id, sizeof(char *));
    }
    h->acl_vector.count = (int32_t)n;
    h->acl_vector.data = h->acl;
    return 0;
}

static void release(struct zks__handle *h)
{
    zks__logger_leave(&h->logger);
    zks__watches_close(&h->watches);
    pthread_cond_destroy(&h->all_answered);
    pthread_cond_destroy(&h->event_freed);
    pthread_mutex_destroy(&h->lock);
    free(h->acl);
    free(h);
}

/* Frees a handle that has not been opened; errno is what it was. */
static int failed(struct zks__handle *h, int rc)
{
    int error = errno;
    release(h);
    errno = error;
    return rc;
}

int zks__handle_open(const struct zks__handle_options *options, struct zks__handle **handle)
{
    struct zks__handle *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return ZKS_ENOMEM;
    }
    h->options = *options;
    h->logger.options = &h->options;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->event_freed, NULL);
    zks__cond_init(&h->all_answered);
    zks__watches_init(&h->watches);
    int rc = copy_acl(h);
    if (rc != 0) {
        return failed(h, rc);
    }
    /* Where libzookeeper cannot start its threads, it aborts the process. */
    if (!zks__threads_spare()) {
        return failed(h, ZKS_ESYSTEM);
    }
    zks__logger_join(&h->logger);
    errno = 0;
    h->zh = zookeeper_init2(options->servers, on_session, (int)options->timeout_ms, NULL, h,
                            ZOO_NO_LOG_CLIENTENV, zks__log_line);
    if (h->zh == NULL) {
        return failed(h, errno == ENOMEM                      ? ZKS_ENOMEM
                         : errno == EMFILE || errno == ENFILE ? ZKS_ESYSTEM
                                                              : ZKS_EDISCONNECTED);
    }
    /* It would look the names up on every pass of its loop, and block on each. */
    zoo_set_servers_resolution_delay(h->zh, 60 * 1000);
    *handle = h;
    return 0;
}

/* Answers that have not been read when libzookeeper closes its socket make the system reset the connection,
 * and the server may then drop our request to end the session unread.  libzookeeper also leaks the
 * completions that its thread has not run when it closes.  So the answers are awaited, for at most two seconds. */
static void await_answers(struct zks__handle *h)
{
    uint64_t until = zks__after(zks__now_ms(), ANSWERS_MS);
    pthread_mutex_lock(&h->lock);
    while (h->outstanding > 0 && zks__now_ms() < until) {
        zks__cond_wait(&h->all_answered, &h->lock, until);
    }
    pthread_mutex_unlock(&h->lock);
}

static void *close_thread(void *arg)
{
    struct zks__handle *h = arg;
    await_answers(h);
    zookeeper_close(h->zh);
    h->closed = (struct zks__message){.kind = ZKS__MSG_CLOSED, .handle = h};
    post(h, &h->closed);
    return NULL;
}

static void log_closing(struct zks__handle *h, int error)
{
    char line[160];
    if (h->options.wants_log(h->options.arg, ZKS_LOG_WARN)) {
        (void)snprintf(line, sizeof line,
                       "zksync: no thread to close a session, so all else waits for it: %s",
                       strerror(error));
        h->options.log(h->options.arg, ZKS_LOG_WARN, line);
    }
}

void zks__handle_close(struct zks__handle *h)
{
    int error = zks__thread_start(&h->closer, close_thread, h);
    if (error != 0) {
        log_closing(h, error);
        h->closer = pthread_self();
        close_thread(h);
    }
}

void zks__handle_free(struct zks__handle *h, void (*lost_call)(struct zks__call *call, void *arg),
                      void *arg)
{
    if (!pthread_equal(h->closer, pthread_self())) {
        pthread_join(h->closer, NULL);
    }
    while (h->calls != NULL) {
        lost_call(h->calls, arg);
    }
    release(h);
}

int64_t zks__handle_session(struct zks__handle *h)
{
    const clientid_t *id = zoo_client_id(h->zh);
    return id != NULL ? id->client_id : 0;
}

uint32_t zks__handle_timeout(struct zks__handle *h)
{
    return (uint32_t)zoo_recv_timeout(h->zh);
}

void zks__handle_server(struct zks__handle *h, char *buf, size_t size)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    buf[0] = '\0';
    if (zookeeper_get_connected_host(h->zh, (struct sockaddr *)&address, &len) == NULL) {
        return;
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &address, sizeof in6);
        inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
        snprintf(buf, size, "[%s]:%u", host, ntohs(in6.sin6_port));
    } else if (address.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &address, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
        snprintf(buf, size, "%s:%u", host, ntohs(in.sin_port));
    }
}

bool zks__handle_idle(struct zks__handle *h)
{
    int state = zoo_state(h->zh);
    return state != ZOO_CONNECTED_STATE && state != ZOO_ASSOCIATING_STATE;
}

static void on_watch(zhandle_t *zh, int type, int state, const char *path, void *context)
{
    struct zks__handle *h = (struct zks__handle *)(uintptr_t)zoo_get_context(zh);
    enum zks__watch_kind what = type == ZOO_DELETED_EVENT   ? ZKS__WATCH_DELETED
                                : type == ZOO_CREATED_EVENT ? ZKS__WATCH_CREATED
                                                            : ZKS__WATCH_CHANGED;
    (void)state;
    if (type == ZOO_SESSION_EVENT || path == NULL) {
        return; /* Session events go to every watcher and use up none. */
    }
    struct zks__watch *watch =
        zks__watches_fire(&h->watches, (uint64_t)(uintptr_t)context, path, what);
    if (watch != NULL) {
        watch->message = (struct zks__message){.kind = ZKS__MSG_WATCH, .handle = h};
        post(h, &watch->message);
    }
}

/* ---- Replies ---- */

static int translate(int rc)
{
    switch (rc) {
    case ZOK:
        return 0;
    case ZNONODE:
        return ZKS_ENOENT;
    case ZNODEEXISTS:
        return ZKS_EEXIST;
    case ZNOTEMPTY:
        return ZKS_ENOTEMPTY;
    case ZBADVERSION:
        return ZKS__VERSION;
    case ZNOAUTH:
    case ZINVALIDACL:
        return ZKS_EACCES;
    case ZNOCHILDRENFOREPHEMERALS:
        return ZKS_EEPHEMERAL;
    case ZAUTHFAILED:
        return ZKS_EAUTH;
    case ZMARSHALLINGERROR:
    case ZUNIMPLEMENTED:
    case ZBADARGUMENTS:
        /* Of what was sent only a server says these. */
        return ZKS_ESERVER;
    case ZSESSIONEXPIRED:
    case ZSESSIONMOVED:
    case ZCLOSING:
    case ZTHROTTLEDOP:
    case ZNOTREADONLY:
        return ZKS__UNKNOWN;
    default:
        /* Below ZAPIERROR the server speaks, above it the client does, and then nothing is known:
         * ZCONNECTIONLOSS, ZOPERATIONTIMEOUT, ZRUNTIMEINCONSISTENCY and so on. */
        return rc <= ZAPIERROR ? ZKS_ESERVER : ZKS__UNKNOWN;
    }
}

static void answered(struct zks__handle *h)
{
    pthread_mutex_lock(&h->lock);
    if (--h->outstanding == 0) {
        pthread_cond_signal(&h->all_answered);
    }
    pthread_mutex_unlock(&h->lock);
}

static void post_reply(struct zks__call *call)
{
    struct zks__handle *h = call->message.handle; /* The call is the driver's from now on. */
    post(h, &call->message);
    answered(h);
}

static void finish(struct zks__call *call)
{
    if (atomic_fetch_sub(&call->parts, 1) == 1) {
        /* What goes ahead and is refused for good ends it; any other failure of it says nothing. */
        if (call->ahead != 0 && call->ahead != call->reply.rc) {
            call->reply.rc = zks__is_final(call->ahead) ? call->ahead : ZKS__UNKNOWN;
        }
        if (atomic_load(&call->unsent) != 0) {
            call->reply.rc = atomic_load(&call->unsent);
        }
        post_reply(call);
    }
}

static struct zks__call *begin(const void *data, int rc)
{
    struct zks__call *call;
    memcpy(&call, &data, sizeof call);
    /* A refusal for lack of rights may be any server's own, where enableEagerACLCheck is set. */
    int result = translate(rc);
    call->expired |= rc == ZSESSIONEXPIRED;
    call->heard |= rc == ZOK || (rc <= ZAPIERROR && result != ZKS__UNKNOWN && result != ZKS_EACCES);
    return call;
}

static void copy_stat(struct zks__call *call, const struct Stat *stat)
{
    if (stat != NULL) {
        call->reply.stat = (struct zks__stat){
            stat->czxid,    stat->ephemeralOwner, stat->ctime,      stat->version,
            stat->cversion, stat->dataLength,     stat->numChildren};
    }
}

/* A reply that cannot be stored is as good as lost. */
static void copy_data(struct zks__call *call, const char *data, int len)
{
    call->buffer = malloc(len > 0 ? (size_t)len : 1);
    if (call->buffer == NULL) {
        call->reply.rc = ZKS__UNKNOWN;
        return;
    }
    call->reply.data = call->buffer;
    call->reply.data_len = len > 0 ? (size_t)len : 0;
    if (call->reply.data_len > 0) {
        memcpy(call->buffer, data, call->reply.data_len);
    }
}

static void copy_children(struct zks__call *call, const struct String_vector *strings)
{
    size_t n = strings != NULL && strings->count > 0 ? (size_t)strings->count : 0;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += strlen(strings->data[i]) + 1;
    }
    const char **children = malloc(n * sizeof *children + bytes + 1);
    if (children == NULL) {
        call->reply.rc = ZKS__UNKNOWN;
        return;
    }
    char *at = (char *)(children + n);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(strings->data[i]) + 1;
        memcpy(at, strings->data[i], len);
        children[i] = at;
        at += len;
    }
    call->reply.children = children;
    call->reply.n_children = n;
}

static void on_void(int rc, const void *data)
{
    struct zks__call *call = begin(data, rc);
    call->reply.rc = translate(rc);
    finish(call);
}

/* Where there is no such watch, it has fired meanwhile. */
static void on_removed(int rc, const void *data)
{
    const struct zks__call *call = data;
    if (rc == ZUNIMPLEMENTED) {
        atomic_store(&call->message.handle->no_removals, true);
    }
    on_void(rc == ZNOWATCHER ? ZOK : rc, data);
}

static void on_string(int rc, const char *value, const void *data)
{
    (void)value;
    on_void(rc, data);
}

/* The sync that goes ahead of a read. */
static void on_synced(int rc, const char *value, const void *data)
{
    struct zks__call *call = begin(data, rc);
    (void)value;
    call->ahead = translate(rc);
    finish(call);
}

/* The write that goes ahead of a read.  Any other answer can be one server's own. */
static void on_proven(int rc, const void *data)
{
    struct zks__call *call = begin(data, rc);
    call->ahead = rc == ZNONODE ? 0 : translate(rc);
    finish(call);
}

static void on_created(int rc, const char *path, const struct Stat *stat, const void *data)
{
    struct zks__call *call = begin(data, rc);
    /* ZooKeeper 3.4 does not know create2.  It says so and closes the connection. */
    call->reply.rc = rc == ZUNIMPLEMENTED ? ZKS_EVERSION : translate(rc);
    if (rc == ZOK) {
        const char *name = strrchr(path, '/');
        call->created = strdup(name != NULL ? name + 1 : path);
        call->reply.created = call->created;
        call->reply.rc = call->created != NULL ? 0 : ZKS__UNKNOWN;
        copy_stat(call, stat);
    }
    finish(call);
}

static void on_stat(int rc, const struct Stat *stat, const void *data)
{
    struct zks__call *call = begin(data, rc);
    call->reply.rc = translate(rc);
    call->watch_set = rc == ZOK || rc == ZNONODE; /* exists() also watches what is not there. */
    copy_stat(call, rc == ZOK ? stat : NULL);
    finish(call);
}

static void on_data(int rc, const char *value, int len, const struct Stat *stat, const void *data)
{
    struct zks__call *call = begin(data, rc);
    call->reply.rc = translate(rc);
    call->watch_set = rc == ZOK;
    if (rc == ZOK) {
        copy_stat(call, stat);
        copy_data(call, value, len);
    }
    finish(call);
}

static void on_children(int rc, const struct String_vector *strings, const struct Stat *stat,
                        const void *data)
{
    struct zks__call *call = begin(data, rc);
    call->reply.rc = translate(rc);
    call->watch_set = rc == ZOK;
    if (rc == ZOK) {
        copy_stat(call, stat);
        copy_children(call, strings);
    }
    finish(call);
}

/* A look has three parts; any of them fails it, but that there is no `ready` is an answer. */
static void look_part(struct zks__call *call, int rc)
{
    if (call->reply.rc == 0 || rc == ZKS__UNKNOWN) {
        call->reply.rc = rc;
    }
    finish(call);
}

static void on_look_exists(int rc, const struct Stat *stat, const void *data)
{
    struct zks__call *call = begin(data, rc);
    (void)stat;
    call->watch_set = rc == ZOK || rc == ZNONODE;
    look_part(call, rc == ZNONODE ? 0 : translate(rc));
}

static void on_look_data(int rc, const char *value, int len, const struct Stat *stat,
                         const void *data)
{
    struct zks__call *call = begin(data, rc);
    (void)stat;
    if (rc == ZOK) {
        copy_data(call, value, len);
    }
    look_part(call, rc == ZNONODE ? 0 : translate(rc));
}

static void on_look_children(int rc, const struct String_vector *strings, const struct Stat *stat,
                             const void *data)
{
    struct zks__call *call = begin(data, rc);
    if (rc == ZOK) {
        copy_stat(call, stat);
        copy_children(call, strings);
    }
    look_part(call, translate(rc));
}

/* A path is there when its last part is.  What went wrong above matters only where it is not; a
 * parent that exists may well forbid us to create it again. */
static void made_part(const void *data, int rc, bool last)
{
    struct zks__call *call = begin(data, rc);
    int result = rc == ZNODEEXISTS ? 0 : translate(rc);
    if (rc == ZUNIMPLEMENTED && !atomic_load(&call->message.handle->no_containers)) {
        atomic_store(&call->message.handle->no_containers, true);
        result = ZKS__UNKNOWN;
    }
    if (last && (result == 0 || call->reply.rc == 0)) {
        call->reply.rc = result;
    } else if (result != 0 && (call->reply.rc == 0 || result == ZKS__UNKNOWN)) {
        call->reply.rc = result;
    }
    finish(call);
}

static void on_made(int rc, const char *path, const void *data)
{
    (void)path;
    made_part(data, rc, false);
}

static void on_made_last(int rc, const char *path, const void *data)
{
    (void)path;
    made_part(data, rc, true);
}

/* ---- Requests ---- */

static int send_multi_to(struct zks__handle *h, struct zks__call *call, const zoo_op_t *ops, int n,
                         void_completion_t completion)
{
    zoo_op_result_t *results = calloc((size_t)n, sizeof *results);
    if (results == NULL) {
        return ZSYSTEMERROR;
    }
    call->results = results;
    call->n_results = n;
    if (is_unrecoverable(h->zh) != ZOK) {
        return ZINVALIDSTATE; /* zoo_amulti() would free memory that it has not allocated. */
    }
    return zoo_amulti(h->zh, n, ops, results, completion, call);
}

static int send_multi(struct zks__handle *h, struct zks__call *call, const zoo_op_t *ops, int n)
{
    return send_multi_to(h, call, ops, n, on_void);
}

static int send_swap(struct zks__handle *h, struct zks__call *call, const struct zks__req *req)
{
    zks__path_buffer old;
    zks__path_buffer new;
    zoo_op_t ops[2];
    zoo_create_op_init(&ops[0], zks__join(new, req->dir, req->name2, NULL), req->data,
                       (int)req->data_len, &h->acl_vector, ZOO_EPHEMERAL, NULL, 0);
    zoo_delete_op_init(&ops[1], zks__join(old, req->dir, req->name, NULL), -1);
    return send_multi(h, call, ops, 2);
}

static int send_delete_both(struct zks__handle *h, struct zks__call *call,
                            const struct zks__req *req)
{
    zks__path_buffer child;
    zoo_op_t ops[2];
    zoo_delete_op_init(&ops[0], zks__join(child, req->dir, req->name, NULL), -1);
    zoo_delete_op_init(&ops[1], req->dir, -1);
    return send_multi(h, call, ops, 2);
}

static int send_open(struct zks__handle *h, struct zks__call *call, const struct zks__req *req)
{
    size_t n = req->n_names;
    zks__path_buffer ready;
    zks__path_buffer round;
    int rc = ZSYSTEMERROR;
    zoo_op_t *ops = calloc(n + 2, sizeof *ops);
    zks__path_buffer *members = calloc(n, sizeof *members);
    size_t len = zks__roster_write(NULL, req->name, req->names, n);
    if (call->bytes > ZKS__REQUEST_MAX) {
        free(members);
        free(ops);
        call->reply.rc = ZKS_ETOOMANY;
        post_reply(call); /* The others' ids are longer than ours. */
        return ZOK;
    }
    char *roster = malloc(len);
    if (ops != NULL && members != NULL && roster != NULL) {
        zks__roster_write(roster, req->name, req->names, n);
        for (size_t i = 0; i < n; i++) {
            zoo_set_op_init(&ops[i], zks__join(members[i], req->dir, req->names[i], NULL),
                            req->name, (int)strlen(req->name), 0, NULL);
        }
        zoo_create_op_init(&ops[n], zks__join(ready, req->dir, "ready", NULL), roster, (int)len,
                           &h->acl_vector, ZOO_PERSISTENT, NULL, 0);
        zoo_create_op_init(&ops[n + 1], zks__join(round, req->dir, "ready", req->name), NULL, -1,
                           &h->acl_vector, ZOO_PERSISTENT, NULL, 0);
        rc = send_multi(h, call, ops, (int)n + 2);
    }
    free(roster);
    free(members);
    free(ops);
    return rc;
}

static int send_close(struct zks__handle *h, struct zks__call *call, const struct zks__req *req)
{
    zks__path_buffer ready;
    zks__path_buffer round;
    zoo_op_t ops[3];
    zoo_delete_op_init(&ops[0], zks__join(round, req->dir, "ready", req->name), -1);
    zoo_delete_op_init(&ops[1], zks__join(ready, req->dir, "ready", NULL), -1);
    zoo_delete_op_init(&ops[2], req->dir, -1);
    return send_multi(h, call, ops, req->leaf ? 3 : 2);
}

/* What libzookeeper does not send: it never would where it does not like the arguments. */
static int not_sent(int rc)
{
    return rc == ZOK ? 0 : rc == ZBADARGUMENTS ? translate(rc) : ZKS__UNKNOWN;
}

/* The part that is counted is on its way even where it could not be sent. */
static void part_failed(struct zks__call *call, int rc)
{
    if (rc != ZOK) {
        atomic_store(&call->unsent,
                     not_sent(rc)); /* The reply is the completion thread's to write. */
        finish(call);
    }
}

static int send_look(struct zks__handle *h, struct zks__call *call, const struct zks__req *req,
                     void *watch)
{
    zks__path_buffer ready;
    zks__join(ready, req->dir, req->name, NULL);
    atomic_fetch_add(&call->parts, 2);
    int rc =
        zoo_awexists(h->zh, ready, req->no_watch ? NULL : on_watch, watch, on_look_exists, call);
    if (rc != ZOK) {
        atomic_fetch_sub(&call->parts, 2);
        return rc;
    }
    part_failed(call, zoo_awget(h->zh, ready, NULL, NULL, on_look_data, call));
    part_failed(call, zoo_awget_children2(h->zh, req->dir, NULL, NULL, on_look_children, call));
    return ZOK;
}

/* The parents go out one behind the other without waiting: their order is kept. */
static int send_mkpath(struct zks__handle *h, struct zks__call *call, const struct zks__req *req)
{
    zks__path_buffer path;
    size_t ends[LEVELS_MAX];
    size_t len = strlen(req->dir);
    int levels = 0;
    memcpy(path, req->dir, len + 1);
    for (size_t i = 1; i <= len && levels < LEVELS_MAX; i++) {
        if (path[i] == '/' || (path[i] == '\0' && req->leaf)) {
            ends[levels++] = i;
        }
    }
    if (levels == 0) {
        call->reply.rc = ZKS__UNKNOWN;
        post_reply(call); /* The root itself is missing: see the caller. */
        return ZOK;
    }
    int mode = atomic_load(&h->no_containers) ? ZOO_PERSISTENT : ZOO_CONTAINER;
    atomic_fetch_add(&call->parts, levels - 1);
    for (int i = 0; i < levels; i++) {
        char end = path[ends[i]];
        path[ends[i]] = '\0';
        int rc = zoo_acreate(h->zh, path, NULL, -1, &h->acl_vector, mode,
                             i + 1 == levels ? on_made_last : on_made, call);
        path[ends[i]] = end;
        if (rc != ZOK && i == 0) {
            atomic_fetch_sub(&call->parts, levels - 1);
            return rc;
        }
        part_failed(call, rc);
    }
    return ZOK;
}

static int send_request(struct zks__handle *h, struct zks__call *call, const struct zks__req *req,
                        const char *path, void *watch)
{
    watcher_fn watcher = !req->watch ? NULL : call->machine != NULL ? on_watch : on_root;
    switch (req->kind) {
    case ZKS__SYNC:
        return zoo_async(h->zh, req->dir, on_string, call);
    case ZKS__BEAT:
        return zoo_aset(h->zh, path, NULL, -1, NO_VERSION, on_stat, call);
    case ZKS__CHILDREN:
        return zoo_awget_children2(h->zh, req->dir, watcher, watch, on_children, call);
    case ZKS__GET:
        return zoo_awget(h->zh, path, watcher, watch, on_data, call);
    case ZKS__EXISTS:
        return zoo_awexists(h->zh, path, watcher, watch, on_stat, call);
    case ZKS__CREATE:
        return zoo_acreate(h->zh, req->dir, req->data, (int)req->data_len, &h->acl_vector,
                           ZOO_PERSISTENT, on_string, call);
    case ZKS__CREATE_QUEUED:
        return zoo_acreate2(h->zh, path, req->data, (int)req->data_len, &h->acl_vector,
                            ZOO_EPHEMERAL_SEQUENTIAL, on_created, call);
    case ZKS__DELETE:
        return zoo_adelete(h->zh, path, req->version, on_void, call);
    case ZKS__MKPATH:
        return send_mkpath(h, call, req);
    case ZKS__SWAP:
        return send_swap(h, call, req);
    case ZKS__DELETE_BOTH:
        return send_delete_both(h, call, req);
    case ZKS__LOOK:
        return send_look(h, call, req, watch);
    case ZKS__OPEN:
        return send_open(h, call, req);
    case ZKS__CLOSE:
        return send_close(h, call, req);
    }
    return ZBADARGUMENTS;
}

static void link_call(struct zks__handle *h, struct zks__call *call)
{
    call->next_call = h->calls;
    if (h->calls != NULL) {
        h->calls->prev_call = call;
    }
    h->calls = call;
    pthread_mutex_lock(&h->lock);
    h->outstanding++;
    pthread_mutex_unlock(&h->lock);
}

static void unlink_call(struct zks__call *call)
{
    if (call->prev_call != NULL) {
        call->prev_call->next_call = call->next_call;
    } else {
        call->message.handle->calls = call->next_call;
    }
    if (call->next_call != NULL) {
        call->next_call->prev_call = call->prev_call;
    }
}

/* What goes ahead of a read. */
static int send_ahead(struct zks__handle *h, struct zks__call *call, const struct zks__req *req)
{
    zoo_op_t op;
    if (!req->quorum) {
        return zoo_async(h->zh, req->dir, on_synced, call);
    }
    zoo_check_op_init(&op, req->dir, -1);
    return send_multi_to(h, call, &op, 1, on_proven);
}

/* Sends the request, and what goes ahead of it; not 0 where nothing is on its way. */
static int send_call(struct zks__handle *h, struct zks__call *call, const struct zks__req *req,
                     const char *path)
{
    void *context = call->watch != NULL ? (void *)(uintptr_t)call->watch->id : NULL;
    bool ahead = req->sync || req->quorum;
    atomic_store(&call->parts, 1);
    if (ahead) {
        atomic_fetch_add(&call->parts, 1);
        int rc = send_ahead(h, call, req);
        if (rc != ZOK) {
            return not_sent(rc);
        }
    }
    int rc = send_request(h, call, req, path, context);
    if (rc != ZOK && ahead) {
        part_failed(call, rc); /* The answer to what went ahead is still to come. */
        return 0;
    }
    return not_sent(rc);
}

static struct zks__call *new_call(struct zks__handle *h, enum zks__req_kind kind,
                                  void (*done)(struct zks__call *call, void *arg), void *arg)
{
    struct zks__call *call = calloc(1, sizeof *call);
    if (call != NULL) {
        call->message = (struct zks__message){.kind = ZKS__MSG_REPLY, .handle = h};
        call->done = done;
        call->arg = arg;
        call->kind = kind;
        call->sent_ms = zks__now_ms();
        link_call(h, call);
    }
    return call;
}

struct zks__watches *zks__handle_watches(struct zks__handle *h)
{
    return &h->watches;
}

int zks__handle_call(struct zks__handle *h, const struct zks__req *req,
                     struct zks__machine *machine, struct zks__subscription **subscriptions,
                     void (*done)(struct zks__call *call, void *arg), void *arg)
{
    zks__path_buffer buf;
    const char *path = zks__join(buf, req->dir, req->name, NULL);
    struct zks__call *call = new_call(h, req->kind, done, arg);
    if (call == NULL) {
        return ZKS__UNKNOWN;
    }
    call->machine = machine;
    call->reply.ticket = req->ticket;
    call->bytes = zks__request_bytes(&h->options, req);
    int rc = 0;
    h->watches.keeps_root |= machine == NULL && req->watch;
    if (machine != NULL && (req->watch || (req->kind == ZKS__LOOK && !req->no_watch))) {
        call->watch =
            zks__watch_ask(&h->watches, path, req->kind == ZKS__CHILDREN, machine, subscriptions);
        rc = call->watch != NULL ? 0 : ZKS__UNKNOWN;
    }
    rc = rc != 0 ? rc : send_call(h, call, req, path);
    if (rc != 0) {
        zks__call_free(call);
        answered(h);
    }
    return rc;
}

static void unwatched(struct zks__call *call, void *arg)
{
    struct zks__handle *h = call->message.handle; /* Which libzookeeper may have closed by now. */
    bool removed = call->reply.rc == 0;
    h->removal_at = removed ? 0 : zks__after(zks__now_ms(), h->options.timeout_ms);
    zks__watch_removed(arg, removed ? ZKS__REMOVED : ZKS__UNREMOVED);
}

/* zoo_aremove_watches() would not do: it asks whether there is such a watch, and leaves it on the
 * server (seen in 3.8.0).  This one forgets libzookeeper's own record of the watch with a successful
 * answer only, so where that is lost the watch is set anew on the next connection.  Servers of 3.4
 * implement neither: they answer so out of order and close the connection, and libzookeeper understands that
 * answer only if no other request is outstanding.  So a lost removal is resent when none is, or after a session
 * timeout; once such a server is recognized, watches stay until they fire. */
static bool send_unwatch(struct zks__handle *h, struct zks__watch *watch)
{
    if (atomic_load(&h->no_removals)) {
        zks__watch_removed(watch, ZKS__UNREMOVED); /* It still counts. */
        return true;
    }
    if (atomic_load(&h->outstanding) > 0 && zks__now_ms() < h->removal_at) {
        return false;
    }
    void_completion_t completion = on_removed;
    void_completion_t *to;
    /* Like a read, it is answered by the server itself. */
    struct zks__call *call = new_call(h, ZKS__EXISTS, unwatched, watch);
    if (call == NULL) {
        return false;
    }
    atomic_store(&call->parts, 1);
    /* The type has a star too many: it is the function's address that is wanted. */
    memcpy(&to, &completion, sizeof to);
    if (zoo_aremove_all_watches(h->zh, watch->path,
                                watch->children ? ZWATCHTYPE_CHILD : ZWATCHTYPE_DATA, 0, to,
                                call) != ZOK) {
        zks__call_free(call);
        answered(h);
        return false;
    }
    return true;
}

void zks__handle_connected(struct zks__handle *h)
{
    zks__watches_connected(&h->watches);
}

void zks__handle_unwatch(struct zks__handle *h)
{
    struct zks__watch *watch = zks__watches_unwanted(&h->watches);
    while (watch != NULL && send_unwatch(h, watch)) {
        watch = zks__watches_unwanted(&h->watches);
    }
    if (watch != NULL) {
        zks__watch_removed(watch, ZKS__NOT_REMOVED);
    }
}

void zks__call_free(struct zks__call *call)
{
    unlink_call(call);
    if (call->watch != NULL) {
        zks__watch_asked(call->watch, call->watch_set);
    }
    free(call->results);
    free(call->buffer);
    free(call->created);
    free((void *)call->reply.children);
    free(call);
}
