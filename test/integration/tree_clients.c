/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_clients.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ensemble.h"
#include "tree_generate.h"
#include "tree_hearing.h"
#include "word.h"

enum {
    SESSION_MS = 40000,
    CONNECTED = 3,   /* The state in an event. */
    FOREIGN_MAX = 4, /* More zxids than that are no accident. */
    CREDENTIALS_MAX = 2
};

/* Who the clients are; the server has their identities in the order of a hash set. */
static const struct {
    const char *credentials[CREDENTIALS_MAX];
    struct zks__id ids[1 + CREDENTIALS_MAX];
    size_t n_ids;
} people[CLIENTS] = {
    {{"keeper:opensesame"}, {{"ip", "127.0.0.1"}, {"digest", keeper_id}}, 2},
    {{"alice:secret"}, {{"ip", "127.0.0.1"}, {"digest", alice_id}}, 2},
    {{"bob:hunter2"}, {{"ip", "127.0.0.1"}, {"digest", bob_id}}, 2},
    {{"alice:secret", "bob:hunter2"},
     {{"ip", "127.0.0.1"}, {"digest", alice_id}, {"digest", bob_id}},
     3},
    {{NULL}, {{"ip", "127.0.0.1"}}, 1},
};

/* ---- What is wrong ---- */

static void print_event(FILE *to, enum zks__event event, const char *path)
{
    (void)fprintf(to, "event %d of \"%s\"", (int)event, path);
}

static void print_item(FILE *to, const struct item *item)
{
    if (item->ask == NULL) {
        print_event(to, item->event, item->path);
    } else {
        ask_print(to, item->ask);
        (void)fputs("\n#      -> ", to);
        answer_print(to, &item->answer);
    }
    (void)fputc('\n', to);
}

/* Says what the client has heard so far in this batch, and what was to come, and fails the test. */
static void differ(const struct comparison *c, const struct client *client, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

static void differ(const struct comparison *c, const struct client *client, const char *format, ...)
{
    const struct client *acting = c->acting != NULL ? c->acting : client;
    va_list arguments;
    (void)printf("# seed %" PRIu64 ", batch %" PRIu64 ", client %zu acts, with server %zu:\n",
                 c->seed, c->tally.batches, acting->number, acting->member.server);
    for (size_t i = 0; i < acting->member.n_items; i++) {
        const struct item *item = &acting->member.items[i];
        (void)printf("# %3zu: ", i);
        print_item(stdout, item);
        if (acting == client && i == client->member.next_item) {
            break;
        }
    }
    va_start(arguments, format);
    (void)fputs("# ", stdout);
    (void)vprintf(format, arguments);
    (void)putchar('\n');
    va_end(arguments);
    if (client != acting && client->member.next_item < client->member.n_items) {
        (void)fputs("# it was to hear next: ", stdout);
        print_item(stdout, &client->member.items[client->member.next_item]);
    }
    ens_fail("client %zu, with server %zu, hears something else than the tree says; seed %" PRIu64
             ", batch %" PRIu64,
             client->number, client->member.server, c->seed, c->tally.batches);
}

static void advance(struct comparison *c, struct client *client, int64_t model_zxid,
                    int64_t server_zxid)
{
    if (!relation_advance(&c->relation, model_zxid, server_zxid)) {
        differ(c, client,
               "the zxid in the header is %#" PRIx64 "; the model's %" PRId64 " was %#" PRIx64
               " and is %" PRId64 " now",
               server_zxid, c->relation.model_zxid, c->relation.server_zxid, model_zxid);
    }
    if (c->relation.foreign > FOREIGN_MAX) {
        differ(c, client, "%" PRIu64 " zxids were used up by others", c->relation.foreign);
    }
}

/* ---- What is heard ---- */

static bool is_event(const struct item *item, const struct wire_event *event)
{
    return item->ask == NULL && (int32_t)item->event == event->type &&
           strlen(item->path) == event->path.len &&
           memcmp(item->path, event->path.at, event->path.len) == 0;
}

/* Where the event is among those that may come now; at the end where it is not. */
static size_t find_event(const struct member *m, const struct wire_event *event)
{
    size_t i = m->next_item;
    while (i < m->n_items && !is_event(&m->items[i], event)) {
        bool goes_on = m->items[i].group != 0 && i + 1 < m->n_items &&
                       m->items[i + 1].group == m->items[i].group;
        i = goes_on ? i + 1 : m->n_items;
    }
    return i;
}

static void hear_event(struct comparison *c, struct client *client, struct wire_frame *frame)
{
    struct member *m = &client->member;
    struct wire_event event;
    wire_get_event(&frame->body, &event);
    size_t at = find_event(m, &event);
    if (at == m->n_items || !hearing_fits(m, m->next_item, at) || event.state != CONNECTED ||
        !relation_event(&c->relation, m->items[at].event_zxid, frame->zxid) || frame->err != 0) {
        differ(c, client,
               "client %zu hears of event %d of \"%.*s\" (state %d, zxid %" PRId64 ", error %d)",
               client->number, event.type, (int)event.path.len, (const char *)event.path.at,
               event.state, frame->zxid, frame->err);
    }
    tally_event(&c->tally, m->items[at].event, client == c->acting);
    struct item heard = m->items[at];
    m->items[at] = m->items[m->next_item];
    m->items[m->next_item++] = heard;
}

static void hear_answer(struct comparison *c, struct client *client, const struct wire_frame *frame)
{
    struct member *m = &client->member;
    const struct item *item = m->next_item < m->n_items ? &m->items[m->next_item] : NULL;
    struct answer answer;
    if (item == NULL || item->ask == NULL || item->xid != frame->xid) {
        differ(c, client, "client %zu hears the answer to its request %d (error %d)",
               client->number, frame->xid, frame->err);
    }
    advance(c, client, item->zxid, frame->zxid);
    answer_read(item->ask, frame, &c->arena, &answer);
    if (!relation_same(&c->relation, m->server, item->ask, &item->answer, &answer)) {
        (void)fputs("# the server answers: ", stdout);
        answer_print(stdout, &answer);
        (void)putchar('\n');
        differ(c, client, "which is something else");
    }
    if (!tally_answer(&c->tally, item->ask, &answer)) {
        differ(c, client, "a code that no server has here");
    }
    m->next_item++;
}

const struct item *client_ask(struct comparison *c, struct client *client, const struct ask *ask)
{
    const struct item *item = model_ask(&c->model, &client->member, ask, ++client->xid);
    ask_send(ask, client->wire, client->xid);
    return item;
}

void client_act(struct comparison *c, struct client *client)
{
    c->acting = client;
    wire_send(client->wire);
    while (client->member.next_item < client->member.n_items) {
        struct wire_frame frame;
        wire_next(client->wire, &frame);
        if (frame.xid == WIRE_XID_EVENT) {
            hear_event(c, client, &frame);
        } else {
            hear_answer(c, client, &frame);
        }
    }
}

/* ---- Until all have heard all ---- */

static void send_sync(struct client *client)
{
    const struct ask sync = {.kind = ASK_SYNC, .path = "/"};
    ask_send(&sync, client->wire, ++client->xid);
    wire_send(client->wire);
}

/* A leader answers a sync without waiting for what it has only just committed, so it is asked again. */
static void settle(struct comparison *c, struct client *client)
{
    struct member *m = &client->member;
    for (;;) {
        struct wire_frame frame;
        wire_next(client->wire, &frame);
        if (frame.xid == WIRE_XID_EVENT) {
            hear_event(c, client, &frame);
            continue;
        }
        if (frame.xid != client->xid || frame.err != 0) {
            differ(c, client, "client %zu hears an answer to %d (error %d) instead of its sync",
                   client->number, frame.xid, frame.err);
        }
        if (frame.zxid >= c->relation.server_zxid + c->model.zxid - c->relation.model_zxid) {
            advance(c, client, c->model.zxid, frame.zxid);
            break;
        }
        send_sync(client);
    }
    if (m->next_item < m->n_items) {
        differ(c, client, "client %zu has not heard of something", client->number);
    }
}

void clients_settle(struct comparison *c)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (c->clients[i].wire != NULL && &c->clients[i] != c->acting) {
            send_sync(&c->clients[i]);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        if (c->clients[i].wire != NULL && &c->clients[i] != c->acting) {
            settle(c, &c->clients[i]);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        model_forget(&c->clients[i].member);
    }
    c->acting = NULL;
    arena_clear(&c->arena);
    c->tally.batches++;
}

/* ---- Sessions ---- */

static void connect_client(struct comparison *c, struct client *client, size_t server)
{
    int64_t before = client->session.id;
    client->member.server = server;
    client->wire = wire_open(ens_direct_server(server), &client->session);
    if (client->wire == NULL) {
        differ(c, client, "client %zu has lost its session", client->number);
    }
    if (before != 0 && before != client->session.id) {
        differ(c, client, "client %zu has got another session", client->number);
    }
    for (size_t i = 0; i < CREDENTIALS_MAX && people[client->number].credentials[i] != NULL; i++) {
        wire_auth(client->wire, "digest", people[client->number].credentials[i]);
    }
}

void client_renew(struct comparison *c, struct client *client, size_t server)
{
    client->session = (struct wire_session){.timeout_ms = SESSION_MS};
    connect_client(c, client, server);
    client->member.session =
        (struct zks__session){.id = client->session.id, .timeout_ms = SESSION_MS};
    model_open_session(&c->model, &client->member);
    c->tally.sessions++;
}

void client_attach(struct comparison *c, struct client *client, size_t server)
{
    struct ask *watches = arena_get(&c->arena, sizeof *watches);
    model_watches(&c->model, &client->member, watches);
    wire_end(client->wire);
    client->wire = NULL;
    model_leave(&c->model, &client->member);
    connect_client(c, client, server);
    /* The other server may not have all that the client has seen. */
    send_sync(client);
    settle(c, client);
    watches->model_zxid = c->relation.model_zxid;
    watches->wire_zxid = c->relation.server_zxid;
    (void)client_ask(c, client, watches);
    client_act(c, client);
    c->tally.attached++;
}

/* ---- One request without a comparison ---- */

static void call(struct wire *w, const struct ask *ask, struct arena *arena, struct answer *answer,
                 int64_t *zxid)
{
    struct wire_frame frame;
    ask_send(ask, w, 1);
    wire_send(w);
    wire_next(w, &frame);
    if (frame.xid != 1) {
        ens_fail("%s: a frame with xid %d", ask_name(ask->kind), frame.xid);
    }
    *zxid = frame.zxid;
    answer_read(ask, &frame, arena, answer);
}

static void delete_tree(struct wire *w, const char *path)
{
    const struct ask list = {.kind = ASK_CHILDREN, .path = path};
    const struct ask delete = {.kind = ASK_DELETE, .path = path, .version = -1};
    struct arena arena = {NULL};
    struct answer answer;
    int64_t zxid;
    call(w, &list, &arena, &answer, &zxid);
    for (size_t i = 0; i < answer.n_names; i++) {
        size_t size = strlen(path) + strlen(answer.names[i]) + 2;
        char *child = arena_get(&arena, size);
        (void)snprintf(child, size, "%s/%s", path, answer.names[i]);
        delete_tree(w, child);
    }
    call(w, &delete, &arena, &answer, &zxid);
    arena_clear(&arena);
}

/* With a connection of its own, for after a failure an older one may be in any state. */
static void end_session(struct wire_session *session)
{
    const struct ask close = {.kind = ASK_CLOSE};
    struct wire *w = wire_open(ens_direct_server(0), session);
    if (w != NULL) {
        ask_send(&close, w, 1);
        wire_send(w);
        wire_end(w);
    }
}

void clients_clean(const char *top)
{
    struct wire_session session = {.timeout_ms = SESSION_MS};
    struct wire *w = wire_open(ens_direct_server(0), &session);
    if (w == NULL) {
        ens_fail("there is no session to clean up with");
    }
    wire_auth(w, "digest", people[KEEPER].credentials[0]);
    delete_tree(w, top);
    delete_tree(w, root_child);
    wire_end(w);
    end_session(&session);
}

/* ---- The beginning and the end ---- */

static const char home[] = "/zksync-test";
static const struct zks__ace open = {31, {"world", "anyone"}};

size_t comparison_servers(void)
{
    return ens_count() < CLIENTS ? ens_count() : CLIENTS;
}

size_t comparison_server(const struct comparison *c, size_t i)
{
    return (c->leader + i % comparison_servers()) % ens_count();
}

static void learn_outer(struct comparison *c, struct client *client, const char *path)
{
    struct ask asks[OUTER_KINDS];
    struct answer by_model[OUTER_KINDS];
    struct answer by_server[OUTER_KINDS];
    int64_t zxid;
    outer_asks(path, asks);
    c->model.arena = &c->relation.arena;
    for (size_t i = 0; i < OUTER_KINDS; i++) {
        by_model[i] = model_ask(&c->model, &client->member, &asks[i], 0)->answer;
        call(client->wire, &asks[i], &c->relation.arena, &by_server[i], &zxid);
    }
    c->model.arena = &c->arena;
    model_forget(&client->member);
    relation_add_outer(&c->relation, client->member.server, path, by_model, by_server);
}

static void learn_outers(struct comparison *c)
{
    static const char *const outers[] = {
        "/", "", home, "/zookeeper", "/zookeeper/config", "/zookeeper/quota"};
    for (size_t i = 0; i < comparison_servers(); i++) {
        for (size_t k = 0; k < COUNT(outers); k++) {
            learn_outer(c, &c->clients[i], outers[k]);
        }
    }
}

/* A write that the model and the server may still answer in different ways. */
static void prepare(struct comparison *c, const struct ask *ask)
{
    struct client *keeper = &c->clients[KEEPER];
    struct answer answer;
    int64_t zxid;
    (void)model_ask(&c->model, &keeper->member, ask, 0);
    model_forget(&keeper->member);
    call(keeper->wire, ask, &c->arena, &answer, &zxid);
    relation_begin(&c->relation, c->model.zxid, zxid);
}

/* With the data that it had. */
static struct ask set_root(const struct comparison *c)
{
    const struct answer *before = &c->root_before;
    return (struct ask){.kind = ASK_SET,
                        .path = "/",
                        .data = before->data,
                        .data_len = before->data_len,
                        .version = -1};
}

/* So that the zxids and times of the root are of writes of the test. */
static void touch_root(struct comparison *c)
{
    const struct ask get = {.kind = ASK_GET, .path = "/"};
    const struct ask make = {.kind = ASK_CREATE, .path = root_child, .aces = &open, .n_aces = 1};
    const struct ask delete = {.kind = ASK_DELETE, .path = root_child, .version = -1};
    int64_t zxid;
    call(c->clients[KEEPER].wire, &get, &c->relation.arena, &c->root_before, &zxid);
    const struct ask set = set_root(c);
    prepare(c, &set);
    prepare(c, &make);
    prepare(c, &delete);
}

static void give_back_root(const struct comparison *c)
{
    const struct ask set = set_root(c);
    struct wire_session session = {.timeout_ms = SESSION_MS};
    struct wire *w = wire_open(ens_direct_server(0), &session);
    struct arena arena = {NULL};
    struct answer answer;
    int64_t zxid;
    if (w == NULL) {
        ens_fail("there is no session to give the root its data back with");
    }
    call(w, &set, &arena, &answer, &zxid);
    arena_clear(&arena);
    wire_end(w);
    end_session(&session);
}

static void create_top(struct comparison *c)
{
    struct client *keeper = &c->clients[KEEPER];
    const struct ask make_home = {.kind = ASK_CREATE, .path = home, .aces = &open, .n_aces = 1};
    const struct ask make_top = {.kind = ASK_CREATE, .path = c->top, .aces = &open, .n_aces = 1};
    prepare(c, &make_home); /* It may be there already. */
    touch_root(c);
    (void)client_ask(c, keeper, &make_top);
    client_act(c, keeper);
    clients_settle(c);
}

void comparison_open(struct comparison *c, const char *top, uint64_t seed)
{
    memset(c, 0, sizeof *c);
    c->seed = seed;
    c->top = top;
    c->leader = ens_leader();
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &c->clients[i];
        client->number = i;
        client->xid = 1;
        client->member.who.ids = (struct zks__ids){people[i].ids, people[i].n_ids};
        c->members[i] = &client->member;
    }
    model_open(&c->model, &c->arena, c->members, CLIENTS);
    c->model.before_39 = word_release(ens_direct_server(0)) < 309;
    for (size_t i = 0; i < CLIENTS; i++) {
        client_renew(c, &c->clients[i], comparison_server(c, i));
    }
    create_top(c);
    learn_outers(c);
}

void comparison_close(struct comparison *c)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &c->clients[i];
        if (client->wire != NULL) {
            wire_drop(client->wire);
            client->wire = NULL;
            end_session(&client->session);
        }
        free(client->member.items);
        arena_clear(&client->member.watched_arena);
    }
    model_close(&c->model);
    if (c->root_before.has & HAS_DATA) {
        give_back_root(c);
    }
    relation_close(&c->relation);
    arena_clear(&c->arena);
}
