/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver asks of libzookeeper: each request goes to the simulated servers. */
#include <string.h>

#include "actor.h"
#include "memory.h"
#include "observe.h"
#include "refusal.h"
#include "zhandle.h"

const int ZOO_PERSISTENT = 0;
const int ZOO_EPHEMERAL = 1;
const int ZOO_EPHEMERAL_SEQUENTIAL = 3;
const int ZOO_CONTAINER = 4;
const int ZOO_CREATED_EVENT = 1;
const int ZOO_DELETED_EVENT = 2;
struct ACL_vector ZOO_OPEN_ACL_UNSAFE;
struct ACL_vector ZOO_CREATOR_ALL_ACL;

static const struct zks__ace open_to_all = {31, {"world", "anyone"}};

static const char *copy_text(const char *text)
{
    size_t len = strlen(text) + 1;
    return memcpy(memory_get(len), text, len);
}

static void *copy_bytes(const void *bytes, int len)
{
    return bytes == NULL || len < 0 ? NULL
                                    : memcpy(memory_get((size_t)len + 1), bytes, (size_t)len);
}

static struct call *call(enum ask ask, const char *path, enum answer_kind kind,
                         union completion completion, const void *data)
{
    struct call *c = memory_get(sizeof *c);
    c->request.ask = ask;
    c->request.path = copy_text(path);
    c->kind = kind;
    c->completion = completion;
    c->data = data;
    return c;
}

static void watch(struct call *c, watcher_fn fn, void *context, enum zks__watched what)
{
    if (fn != NULL) {
        c->watch = memory_get(sizeof *c->watch);
        *c->watch = (struct registration){
            .what = what, .existed = true, .fn = fn, .context = context, .path = c->request.path};
        c->request.watch = true;
    }
}

static int submit(zhandle_t *zh, struct call *c)
{
    must_be_open(zh);
    struct process *p = zh->process;
    if (is_unrecoverable(zh) != ZOK) {
        return ZINVALIDSTATE;
    }
    int refused = refusal_at_once((unsigned)p->number, &c->request);
    if (refused != 0) {
        return refused;
    }
    if (p->style.tricks != 0 && chance_one_in(&p->chance, p->style.tricks)) {
        return ZMARSHALLINGERROR;
    }
    /* Heartbeats play no part where interleavings are explored. */
    if (channel_exploring() && request_is_heartbeat(&c->request)) {
        call_complete(c, c->request.ask == ASK_WRITE ? ZNONODE : ZOK, NULL);
        return ZOK;
    }
    c->request.asked_at = sched_now();
    c->request.number = actors_asked();
    observe_request(p, &c->request);
    *zh->last = c;
    zh->last = &c->next;
    if (zh->state == ZOO_CONNECTED_STATE) {
        client_send(zh, c);
    }
    return ZOK;
}

static void set_ops(struct call *c, const struct zks__op *ops, size_t n)
{
    c->request.ops = memcpy(memory_get(n * sizeof *ops), ops, n * sizeof *ops);
    c->request.n_ops = n;
}

static struct zks__op create_op(const char *path, const char *value, int len, int mode)
{
    return (struct zks__op){.kind = ZKS__OP_CREATE,
                            .path = copy_text(path),
                            .data = copy_bytes(value, len),
                            .data_len = len > 0 ? (size_t)len : 0,
                            .aces = &open_to_all,
                            .n_aces = 1,
                            .mode = mode};
}

static struct zks__op set_op(const char *path, const char *value, int len, int version)
{
    return (struct zks__op){.kind = ZKS__OP_SET,
                            .path = copy_text(path),
                            .data = copy_bytes(value, len),
                            .data_len = len > 0 ? (size_t)len : 0,
                            .version = version};
}

static struct zks__op versioned_op(enum zks__op_kind kind, const char *path, int version)
{
    return (struct zks__op){.kind = kind, .path = copy_text(path), .version = version};
}

int zoo_async(zhandle_t *zh, const char *path, string_completion_t completion, const void *data)
{
    const union completion to = {.to_string = completion};
    return submit(zh, call(ASK_SYNC, path, TO_STRING, to, data));
}

int zoo_aset(zhandle_t *zh, const char *path, const char *buffer, int buflen, int version,
             stat_completion_t completion, const void *data)
{
    const union completion to = {.to_stat = completion};
    struct call *c = call(ASK_WRITE, path, TO_STAT, to, data);
    const struct zks__op op = set_op(path, buffer, buflen, version);
    set_ops(c, &op, 1);
    return submit(zh, c);
}

int zoo_awexists(zhandle_t *zh, const char *path, watcher_fn watcher, void *watcherCtx,
                 stat_completion_t completion, const void *data)
{
    const union completion to = {.to_stat = completion};
    struct call *c = call(ASK_EXISTS, path, TO_STAT, to, data);
    watch(c, watcher, watcherCtx, ZKS__WATCHED_NODE);
    return submit(zh, c);
}

int zoo_awget(zhandle_t *zh, const char *path, watcher_fn watcher, void *watcherCtx,
              data_completion_t completion, const void *data)
{
    const union completion to = {.to_data = completion};
    struct call *c = call(ASK_GET, path, TO_DATA, to, data);
    watch(c, watcher, watcherCtx, ZKS__WATCHED_NODE);
    return submit(zh, c);
}

int zoo_awget_children2(zhandle_t *zh, const char *path, watcher_fn watcher, void *watcherCtx,
                        strings_stat_completion_t completion, const void *data)
{
    const union completion to = {.to_children = completion};
    struct call *c = call(ASK_CHILDREN, path, TO_CHILDREN, to, data);
    watch(c, watcher, watcherCtx, ZKS__WATCHED_CHILDREN);
    return submit(zh, c);
}

/* As in libzookeeper all records of the path and the kind go with a successful answer, and only with one:
 * see client.c. */
int zoo_aremove_all_watches(zhandle_t *zh, const char *path, ZooWatcherType wtype, int local,
                            void_completion_t *completion, const void *data)
{
    union completion to;
    (void)local;
    memcpy(&to.to_void, &completion, sizeof to.to_void); /* The function's address: see handle.c. */
    struct call *c = call(ASK_UNWATCH, path, TO_VOID, to, data);
    c->request.watches = memory_get(sizeof *c->request.watches);
    c->request.watches[0].what =
        wtype == ZWATCHTYPE_CHILD ? ZKS__WATCHED_CHILDREN : ZKS__WATCHED_NODE;
    c->request.watches[0].path = c->request.path;
    c->request.n_watches = 1;
    return submit(zh, c);
}

int zoo_acreate(zhandle_t *zh, const char *path, const char *value, int valuelen,
                const struct ACL_vector *acl, int mode, string_completion_t completion,
                const void *data)
{
    const union completion to = {.to_string = completion};
    struct call *c = call(ASK_WRITE, path, TO_STRING, to, data);
    const struct zks__op op = create_op(path, value, valuelen, mode);
    (void)acl;
    set_ops(c, &op, 1);
    return submit(zh, c);
}

int zoo_acreate2(zhandle_t *zh, const char *path, const char *value, int valuelen,
                 const struct ACL_vector *acl, int mode, string_stat_completion_t completion,
                 const void *data)
{
    const union completion to = {.to_created = completion};
    struct call *c = call(ASK_WRITE, path, TO_CREATED, to, data);
    const struct zks__op op = create_op(path, value, valuelen, mode);
    (void)acl;
    set_ops(c, &op, 1);
    return submit(zh, c);
}

int zoo_adelete(zhandle_t *zh, const char *path, int version, void_completion_t completion,
                const void *data)
{
    const union completion to = {.to_void = completion};
    struct call *c = call(ASK_WRITE, path, TO_VOID, to, data);
    const struct zks__op op = versioned_op(ZKS__OP_DELETE, path, version);
    set_ops(c, &op, 1);
    return submit(zh, c);
}

enum { CREATE = 1, DELETE = 2, SET = 5, CHECK = 13 };

int zoo_amulti(zhandle_t *zh, int count, const zoo_op_t *ops, zoo_op_result_t *results,
               void_completion_t completion, const void *data)
{
    const union completion to = {.to_void = completion};
    struct call *c = call(ASK_WRITE, "", TO_VOID, to, data);
    (void)results;
    c->request.multi = true;
    c->request.n_ops = (size_t)count;
    c->request.ops = memory_get((size_t)count * sizeof *c->request.ops);
    for (int i = 0; i < count; i++) {
        struct zks__op *op = &c->request.ops[i];
        switch (ops[i].type) {
        case CREATE:
            *op = create_op(ops[i].create_op.path, ops[i].create_op.data, ops[i].create_op.datalen,
                            ops[i].create_op.flags);
            break;
        case DELETE:
            *op = versioned_op(ZKS__OP_DELETE, ops[i].delete_op.path, ops[i].delete_op.version);
            break;
        case SET:
            *op = set_op(ops[i].set_op.path, ops[i].set_op.data, ops[i].set_op.datalen,
                         ops[i].set_op.version);
            break;
        default:
            *op = versioned_op(ZKS__OP_CHECK, ops[i].check_op.path, ops[i].check_op.version);
            break;
        }
    }
    return submit(zh, c);
}

void zoo_create_op_init(zoo_op_t *op, const char *path, const char *value, int valuelen,
                        const struct ACL_vector *acl, int mode, char *path_buffer,
                        int path_buffer_len)
{
    (void)acl;
    (void)path_buffer;
    (void)path_buffer_len;
    op->type = CREATE;
    op->create_op.path = path;
    op->create_op.data = value;
    op->create_op.datalen = valuelen;
    op->create_op.flags = mode;
}

void zoo_delete_op_init(zoo_op_t *op, const char *path, int version)
{
    op->type = DELETE;
    op->delete_op.path = path;
    op->delete_op.version = version;
}

void zoo_set_op_init(zoo_op_t *op, const char *path, const char *buffer, int buflen, int version,
                     struct Stat *stat)
{
    (void)stat;
    op->type = SET;
    op->set_op.path = path;
    op->set_op.data = buffer;
    op->set_op.datalen = buflen;
    op->set_op.version = version;
}

void zoo_check_op_init(zoo_op_t *op, const char *path, int version)
{
    op->type = CHECK;
    op->check_op.path = path;
    op->check_op.version = version;
}
