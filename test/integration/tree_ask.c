/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_ask.h"

#include <stdlib.h>
#include <string.h>

#include "ensemble.h"

/* ---- Memory ---- */

enum { BLOCK = 65536, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
};

static size_t round_up(size_t size)
{
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

void *arena_get(struct arena *a, size_t size)
{
    const size_t head = round_up(sizeof(struct arena_block));
    size = round_up(size > 0 ? size : 1);
    if (a->blocks == NULL || a->blocks->size - a->blocks->used < size) {
        size_t whole = head + (size > BLOCK ? size : BLOCK);
        struct arena_block *b = malloc(whole);
        if (b == NULL) {
            abort();
        }
        *b = (struct arena_block){a->blocks, whole, head};
        a->blocks = b;
    }
    unsigned char *at = (unsigned char *)a->blocks + a->blocks->used;
    a->blocks->used += size;
    memset(at, 0, size);
    return at;
}

char *arena_copy(struct arena *a, const void *text, size_t len)
{
    char *copy = arena_get(a, len + 1);
    if (len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

void arena_clear(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
}

/* ---- Kinds ---- */

static const struct {
    const char *name;
    enum wire_opcode opcode;
    unsigned has; /* What an answer without an error has. */
} kinds[ASK_KINDS] = {
    [ASK_CREATE] = {"create", WIRE_CREATE, HAS_PATH},
    [ASK_CREATE2] = {"create2", WIRE_CREATE2, HAS_PATH | HAS_STAT},
    [ASK_CREATE_CONTAINER] = {"createContainer", WIRE_CREATE_CONTAINER, HAS_PATH | HAS_STAT},
    [ASK_CREATE_TTL] = {"createTTL", WIRE_CREATE_TTL, HAS_PATH | HAS_STAT},
    [ASK_DELETE] = {"delete", WIRE_DELETE, 0},
    [ASK_SET] = {"setData", WIRE_SET_DATA, HAS_STAT},
    [ASK_CHECK] = {"check", WIRE_CHECK, 0},
    [ASK_SET_ACL] = {"setACL", WIRE_SET_ACL, HAS_STAT},
    [ASK_MULTI] = {"multi", WIRE_MULTI, HAS_PARTS},
    [ASK_EXISTS] = {"exists", WIRE_EXISTS, HAS_STAT},
    [ASK_GET] = {"getData", WIRE_GET_DATA, HAS_DATA | HAS_STAT},
    [ASK_GET_ACL] = {"getACL", WIRE_GET_ACL, HAS_ACL | HAS_STAT},
    [ASK_CHILDREN] = {"getChildren", WIRE_GET_CHILDREN, HAS_NAMES},
    [ASK_CHILDREN2] = {"getChildren2", WIRE_GET_CHILDREN2, HAS_NAMES | HAS_STAT},
    [ASK_EPHEMERALS] = {"getEphemerals", WIRE_GET_EPHEMERALS, HAS_NAMES},
    [ASK_DESCENDANTS] = {"getAllChildrenNumber", WIRE_GET_ALL_CHILDREN_NUMBER, HAS_COUNT},
    [ASK_MULTI_READ] = {"multiRead", WIRE_MULTI_READ, HAS_PARTS},
    [ASK_SET_WATCHES] = {"setWatches", WIRE_SET_WATCHES, 0},
    [ASK_SET_WATCHES2] = {"setWatches2", WIRE_SET_WATCHES2, 0},
    [ASK_CHECK_WATCHES] = {"checkWatches", WIRE_CHECK_WATCHES, 0},
    [ASK_REMOVE_WATCHES] = {"removeWatches", WIRE_REMOVE_WATCHES, 0},
    [ASK_ADD_WATCH] = {"addWatch", WIRE_ADD_WATCH, HAS_RESULT},
    [ASK_SYNC] = {"sync", WIRE_SYNC, HAS_PATH},
    [ASK_CLOSE] = {"closeSession", WIRE_CLOSE_SESSION, 0},
};

bool ask_is_create(enum ask_kind kind)
{
    return kind <= ASK_CREATE_TTL;
}

bool ask_is_write(enum ask_kind kind)
{
    return kind <= ASK_MULTI || kind == ASK_CLOSE;
}

bool flags_are_ttl(int32_t flags)
{
    return flags == ZKS__PERSISTENT_TTL || flags == ZKS__PERSISTENT_SEQUENTIAL_TTL;
}

bool flags_are_sequential(int32_t flags)
{
    return flags == ZKS__PERSISTENT_SEQUENTIAL || flags == ZKS__EPHEMERAL_SEQUENTIAL ||
           flags == ZKS__PERSISTENT_SEQUENTIAL_TTL;
}

const char *ask_name(enum ask_kind kind)
{
    return kinds[kind].name;
}

/* ---- To the wire ---- */

static void put_aces(const struct ask *ask, struct wire *w)
{
    wire_put_int(w, ask->no_aces ? -1 : (int32_t)ask->n_aces);
    for (size_t i = 0; i < ask->n_aces; i++) {
        wire_put_int(w, ask->aces[i].perms);
        wire_put_text(w, ask->aces[i].id.scheme);
        wire_put_text(w, ask->aces[i].id.id);
    }
}

static void put_lists(const struct ask *ask, struct wire *w)
{
    wire_put_long(w, ask->wire_zxid);
    size_t n = ask->kind == ASK_SET_WATCHES2 ? LISTS : LIST_PERSISTENT;
    for (size_t i = 0; i < n; i++) {
        wire_put_int(w, (int32_t)ask->n_lists[i]);
        for (size_t k = 0; k < ask->n_lists[i]; k++) {
            wire_put_text(w, ask->lists[i][k]);
        }
    }
}

static void put_ask(const struct ask *ask, struct wire *w);

static void put_parts(const struct ask *ask, struct wire *w)
{
    for (size_t i = 0; i < ask->n_parts; i++) {
        wire_put_multi_head(w, kinds[ask->parts[i].kind].opcode, false);
        put_ask(&ask->parts[i], w);
    }
    wire_put_multi_head(w, -1, true);
}

static void put_ask(const struct ask *ask, struct wire *w)
{
    if (ask->path != NULL) {
        wire_put_text(w, ask->path);
    }
    switch (ask->kind) {
    case ASK_CREATE:
    case ASK_CREATE2:
    case ASK_CREATE_CONTAINER:
    case ASK_CREATE_TTL:
        wire_put_buffer(w, ask->data, ask->data_len);
        put_aces(ask, w);
        wire_put_int(w, ask->flags);
        if (ask->kind == ASK_CREATE_TTL) {
            wire_put_long(w, ask->ttl_ms);
        }
        break;
    case ASK_SET:
        wire_put_buffer(w, ask->data, ask->data_len);
        wire_put_int(w, ask->version);
        break;
    case ASK_SET_ACL:
        put_aces(ask, w);
        wire_put_int(w, ask->version);
        break;
    case ASK_DELETE:
    case ASK_CHECK:
        wire_put_int(w, ask->version);
        break;
    case ASK_EXISTS:
    case ASK_GET:
    case ASK_CHILDREN:
    case ASK_CHILDREN2:
        wire_put_bool(w, ask->watch);
        break;
    case ASK_CHECK_WATCHES:
    case ASK_REMOVE_WATCHES:
        wire_put_int(w, (int32_t)ask->watch_type);
        break;
    case ASK_ADD_WATCH:
        wire_put_int(w, ask->recursive);
        break;
    case ASK_MULTI:
    case ASK_MULTI_READ:
        put_parts(ask, w);
        break;
    case ASK_SET_WATCHES:
    case ASK_SET_WATCHES2:
        put_lists(ask, w);
        break;
    default:
        break;
    }
}

void ask_send(const struct ask *ask, struct wire *w, int32_t xid)
{
    wire_begin(w, xid, kinds[ask->kind].opcode);
    put_ask(ask, w);
    wire_finish(w);
}

/* ---- From the wire ---- */

static const char *read_text(struct wire_in *in, struct arena *arena)
{
    struct wire_bytes b = wire_get_bytes(in);
    if (b.at == NULL || memchr(b.at, '\0', b.len) != NULL) {
        ens_fail("a frame has a text that is none");
    }
    return arena_copy(arena, b.at, b.len);
}

static void read_stat(struct wire_in *in, struct zks__znode_stat *stat)
{
    struct wire_stat s;
    wire_get_stat(in, &s);
    *stat = (struct zks__znode_stat){.czxid = s.czxid,
                                     .mzxid = s.mzxid,
                                     .pzxid = s.pzxid,
                                     .ctime = s.ctime,
                                     .mtime = s.mtime,
                                     .ephemeral_owner = s.ephemeral_owner,
                                     .version = s.version,
                                     .cversion = s.cversion,
                                     .aversion = s.aversion,
                                     .data_length = s.data_length,
                                     .num_children = s.num_children};
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void answer_sort(struct answer *answer)
{
    if (answer->n_names > 0) {
        qsort(answer->names, answer->n_names, sizeof answer->names[0], by_text);
    }
}

static void read_names(struct wire_in *in, struct arena *arena, struct answer *answer)
{
    answer->n_names = wire_get_count(in, 4);
    answer->names = arena_get(arena, answer->n_names * sizeof answer->names[0]);
    for (size_t i = 0; i < answer->n_names; i++) {
        answer->names[i] = read_text(in, arena);
    }
    answer_sort(answer);
}

static void read_aces(struct wire_in *in, struct arena *arena, struct answer *answer)
{
    answer->n_aces = wire_get_count(in, 12);
    answer->aces = arena_get(arena, answer->n_aces * sizeof answer->aces[0]);
    for (size_t i = 0; i < answer->n_aces; i++) {
        struct wire_ace ace;
        wire_get_ace(in, &ace);
        answer->aces[i].perms = ace.perms;
        answer->aces[i].id.scheme = arena_copy(arena, ace.scheme.at, ace.scheme.len);
        answer->aces[i].id.id = arena_copy(arena, ace.id.at, ace.id.len);
    }
}

/* What there is, in the order in which it comes. */
static void read_parts(const struct ask *ask, struct wire_in *in, struct arena *arena,
                       struct answer *answer);

static void read_body(const struct ask *ask, struct wire_in *in, struct arena *arena,
                      struct answer *answer)
{
    if (answer->has & HAS_PATH) {
        answer->path = read_text(in, arena);
    }
    if (answer->has & HAS_DATA) {
        struct wire_bytes b = wire_get_bytes(in);
        answer->data = b.at != NULL ? arena_copy(arena, b.at, b.len) : NULL;
        answer->data_len = b.len;
    }
    if (answer->has & HAS_NAMES) {
        read_names(in, arena, answer);
    }
    if (answer->has & HAS_ACL) {
        read_aces(in, arena, answer);
    }
    if (answer->has & HAS_COUNT) {
        answer->count = wire_get_int(in);
    }
    if (answer->has & HAS_RESULT) {
        answer->result = wire_get_int(in);
    }
    if (answer->has & HAS_PARTS) {
        read_parts(ask, in, arena, answer);
    }
    if (answer->has & HAS_STAT) {
        read_stat(in, &answer->stat);
    }
}

/* What a result in the answer to a multi has, by its type. */
static unsigned part_has(int32_t type)
{
    switch (type) {
    case WIRE_CREATE:
        return HAS_PATH;
    case WIRE_CREATE2:
        return HAS_PATH | HAS_STAT;
    case WIRE_SET_DATA:
        return HAS_STAT;
    case WIRE_GET_DATA:
        return HAS_DATA | HAS_STAT;
    case WIRE_GET_CHILDREN:
        return HAS_NAMES;
    case WIRE_DELETE:
    case WIRE_CHECK:
    case WIRE_ERROR:
        return 0;
    default:
        ens_fail("a multi has a result of type %d", type);
    }
}

static void read_parts(const struct ask *ask, struct wire_in *in, struct arena *arena,
                       struct answer *answer)
{
    struct wire_multi_head head;
    answer->parts = arena_get(arena, ask->n_parts * sizeof answer->parts[0]);
    for (wire_get_multi_head(in, &head); !head.done; wire_get_multi_head(in, &head)) {
        if (answer->n_parts == ask->n_parts) {
            ens_fail("a multi of %zu operations has more results", ask->n_parts);
        }
        struct answer *part = &answer->parts[answer->n_parts++];
        part->type = head.type;
        part->code = head.err;
        part->has = part_has(head.type);
        if (head.type == WIRE_ERROR && wire_get_int(in) != head.err) {
            ens_fail("a multi has a result with two errors");
        }
        read_body(NULL, in, arena, part);
    }
    if (head.type != -1 || head.err != -1) {
        ens_fail("the answer to a multi ends with type %d and error %d", head.type, head.err);
    }
}

void answer_read(const struct ask *ask, const struct wire_frame *frame, struct arena *arena,
                 struct answer *answer)
{
    struct wire_in in = frame->body;
    *answer =
        (struct answer){.code = frame->err, .has = frame->err == 0 ? kinds[ask->kind].has : 0};
    read_body(ask, &in, arena, answer);
    wire_get_end(&in);
}
