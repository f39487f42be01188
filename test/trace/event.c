/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "trace.h"

#define STEM "000102030405060708090a0b"

/* What the words of a line point into; a machine uses it only while it steps. */
struct line {
    char text[TRACE_TEXT];
    char roster[TRACE_TEXT];
    const char *children[TRACE_CHILDREN];
};

static const struct {
    const char *word;
    int rc;
} outcomes[] = {
#define OUTCOME(name, number, text) {#name, name},
    ZKS_ERRORS(OUTCOME)
#undef OUTCOME
        {"0", 0},
    {"UNKNOWN", ZKS__UNKNOWN},
    {"VERSION", ZKS__VERSION},
};

static const char *const kinds[] = {
    [ZKS__SYNC] = "sync",
    [ZKS__BEAT] = "beat",
    [ZKS__CHILDREN] = "children",
    [ZKS__GET] = "get",
    [ZKS__EXISTS] = "exists",
    [ZKS__CREATE] = "create",
    [ZKS__CREATE_QUEUED] = "create-queued",
    [ZKS__DELETE] = "delete",
    [ZKS__MKPATH] = "mkpath",
    [ZKS__SWAP] = "swap",
    [ZKS__DELETE_BOTH] = "delete-both",
    [ZKS__LOOK] = "look",
    [ZKS__OPEN] = "open",
    [ZKS__CLOSE] = "close",
};

static const char *rc_name(int rc)
{
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        if (outcomes[i].rc == rc) {
            return outcomes[i].word;
        }
    }
    return "?";
}

static bool rc_number(const char *word, int *rc)
{
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        const char *name = outcomes[i].word;
        if (strcmp(name, word) == 0 ||
            (strncmp(name, "ZKS_", 4) == 0 && strcmp(name + 4, word) == 0)) {
            *rc = outcomes[i].rc;
            return true;
        }
    }
    return false;
}

/* Puts uuids for {1} and {a}. */
static bool expand(const char *from, char *to, size_t size)
{
    size_t at = 0;
    for (; *from != '\0'; from++) {
        char uuid[64] = {*from};
        if (from[0] == '{' && from[1] != '\0' && from[2] == '}') {
            if (from[1] >= '0' && from[1] <= '9') {
                (void)snprintf(uuid, sizeof uuid, STEM "0000000%c", from[1]);
            } else {
                memset(uuid, from[1], 32);
            }
            from += 2;
        }
        if (at + strlen(uuid) + 1 > size) {
            return false;
        }
        memcpy(to + at, uuid, strlen(uuid));
        at += strlen(uuid);
    }
    to[at] = '\0';
    return true;
}

/* The other way round, for a text of which the end may not be marked. */
static void print_short(FILE *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len && text[i] != '\0';) {
        size_t run = strspn(text + i, (char[]){text[i], '\0'});
        if (len - i >= 32 && strncmp(text + i, STEM "0000000", strlen(STEM) + 7) == 0) {
            fprintf(to, "{%c}", text[i + 31]);
            i += 32;
        } else if (len - i >= 32 && run == 32 && text[i] >= 'a' && text[i] <= 'f') {
            fprintf(to, "{%c}", text[i]);
            i += 32;
        } else {
            fputc(text[i++], to);
        }
    }
}

static void print_req(const struct zks__req *req, FILE *to)
{
    fputs("    ", to);
    if (req->ticket != 0) {
        fprintf(to, "#%u ", req->ticket);
    }
    fputs(kinds[req->kind], to);
    const char *names[] = {req->name, req->name2};
    for (size_t i = 0; i < 2; i++) {
        if (names[i] != NULL) {
            fputc(' ', to);
            print_short(to, names[i], strlen(names[i]));
        }
    }
    for (size_t i = 0; i < req->n_names; i++) {
        fputs(i == 0 ? " of " : ",", to);
        print_short(to, req->names[i], strlen(req->names[i]));
    }
    if (req->version != -1) {
        fprintf(to, " version=%d", req->version);
    }
    fputs(req->sync ? " sync" : "", to);
    fputs(req->quorum ? " quorum" : "", to);
    fputs(req->watch ? " watch" : req->no_watch ? " no-watch" : "", to);
    fputs(req->leaf ? " leaf" : "", to);
    if (req->data != NULL) {
        fputs(" data=", to);
        print_short(to, req->data, req->data_len);
    }
    fputc('\n', to);
}

static bool broken(const char *why)
{
    fprintf(stderr, "the contract is broken: %s\n", why);
    return false;
}

/* Steps the machine, holds it to step.h, and prints. */
static bool step(struct trace_machine *t, struct trace_world *w, const struct zks__in *in, FILE *to)
{
    struct zks__out out;
    bool request = in->kind == ZKS__IN_REQUEST;
    memset(&out, 0x5a, sizeof out);
    trace_machine_step(t, in, &out);
    for (unsigned i = 0; i < out.n; i++) {
        print_req(&out.req[i], to);
        if (out.req[i].ticket != 0) {
            w->last[out.req[i].kind] = out.req[i].ticket;
        }
        if (out.req[i].dir == NULL || strcmp(out.req[i].dir, "/x") != 0) {
            return broken("an operation is on another path");
        }
        if (!in->connected) {
            return broken("an operation without a connection");
        }
    }
    if (out.lost) {
        fputs("    LOST\n", to);
    }
    if (out.refuse) {
        fprintf(to, "    refused %s\n", rc_name(out.result));
    }
    if (out.done) {
        fprintf(to, "    done %s\n", rc_name(out.result));
    }
    fputs("    = ", to);
    trace_machine_print(t, to);
    fputc('\n', to);
    if (out.refuse && (!request || out.result == 0)) {
        return broken("a refusal of nothing");
    }
    if (out.done && !w->pending && !(request && !out.refuse)) {
        return broken("a completion of nothing");
    }
    if (request && !out.refuse && w->pending) {
        return broken("two requests in hand");
    }
    if (request && !out.refuse) {
        w->pending = true;
    }
    if (out.done) {
        w->pending = false;
    }
    if (in->epoch == w->in.epoch && trace_machine_spins(t, in)) {
        return broken("it wants to be woken at a time that has passed");
    }
    return true;
}

static bool add_child(struct zks__reply *reply, struct line *line, char *name)
{
    if (reply->n_children == TRACE_CHILDREN) {
        return false;
    }
    line->children[reply->n_children++] = name;
    return true;
}

static bool parse_children(struct zks__reply *reply, struct line *line, char *value)
{
    char *next;
    reply->children = line->children;
    for (char *name = strtok_r(value, ",", &next); name; name = strtok_r(NULL, ",", &next)) {
        if (!add_child(reply, line, name)) {
            return false;
        }
    }
    return true;
}

/* "ROUND:name,name": written out here by hand, so as not to trust the code under test. */
static void parse_roster(struct zks__reply *reply, struct line *line, const char *value)
{
    char *text = line->roster;
    (void)snprintf(text, sizeof line->roster, "zksync-round 1\n%s", value);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == ',' || *c == ':') {
            *c = '\n';
        }
    }
    strcat(text, "\n");
    reply->data = text;
    reply->data_len = strlen(text);
}

static bool parse_field(struct zks__in *in, struct line *line, char *key, char *value)
{
    struct zks__reply *reply = &in->reply;
    if (strcmp(key, "name") == 0) {
        reply->created = value;
    } else if (strcmp(key, "czxid") == 0) {
        reply->stat.czxid = atoll(value);
    } else if (strcmp(key, "owner") == 0) {
        reply->stat.owner = strcmp(value, "us") == 0 ? in->session : atoll(value);
    } else if (strcmp(key, "version") == 0) {
        reply->stat.version = atoi(value);
    } else if (strcmp(key, "len") == 0) {
        reply->stat.data_len = atoi(value);
    } else if (strcmp(key, "cversion") == 0) {
        reply->stat.cversion = atoi(value);
    } else if (strcmp(key, "n_children") == 0) {
        reply->stat.n_children = atoi(value);
    } else if (strcmp(key, "data") == 0) {
        reply->data = value;
        reply->data_len = strlen(value);
    } else if (strcmp(key, "roster") == 0) {
        parse_roster(reply, line, value);
    } else if (strcmp(key, "children") == 0) {
        return parse_children(reply, line, value);
    } else if (strcmp(key, "unwatched") == 0) {
        reply->unwatched = strcmp(value, "1") == 0;
    } else if (strcmp(key, "epoch") == 0) {
        in->epoch = strtoull(value, NULL, 10);
    } else {
        return false;
    }
    return true;
}

static bool find_ticket(const struct trace_world *w, const char *word, uint32_t *ticket)
{
    *ticket = (uint32_t)strtoul(word, NULL, 10);
    for (size_t i = 0; *ticket == 0 && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(word, kinds[i]) == 0) {
            *ticket = w->last[i];
        }
    }
    return *ticket != 0;
}

static bool parse_reply(const struct trace_world *w, struct zks__in *in, struct line *line,
                        char **next)
{
    char *ticket = strtok_r(NULL, " ", next);
    char *rc = strtok_r(NULL, " ", next);
    in->kind = ZKS__IN_REPLY;
    memset(&in->reply, 0, sizeof in->reply);
    in->reply.created = "";
    if (ticket == NULL || rc == NULL || !rc_number(rc, &in->reply.rc) ||
        !find_ticket(w, ticket, &in->reply.ticket)) {
        return false;
    }
    for (char *key = strtok_r(NULL, " ", next); key; key = strtok_r(NULL, " ", next)) {
        char *value = strchr(key, '=');
        if (value == NULL) {
            return false;
        }
        *value++ = '\0';
        if (!parse_field(in, line, key, value)) {
            return false;
        }
    }
    return true;
}

static bool parse_watch(struct zks__in *in, char **next)
{
    static const char *const words[] = {"created", "deleted", "changed"};
    char *what = strtok_r(NULL, " ", next);
    char *name = strtok_r(NULL, " ", next);
    in->kind = ZKS__IN_WATCH;
    for (size_t i = 0; what != NULL && name != NULL && i < 3; i++) {
        if (strcmp(what, words[i]) == 0) {
            in->watch.kind = (enum zks__watch_kind)i;
            in->watch.name = strcmp(name, ".") == 0 ? NULL : name;
            return true;
        }
    }
    return false;
}

static bool parse_request(struct zks__in *in, const struct trace_machine *t, const char *word,
                          char **next)
{
    const char *limit = strtok_r(NULL, " ", next);
    in->kind = ZKS__IN_REQUEST;
    in->request.what = trace_machine_what(t, word);
    if (limit == NULL || strcmp(limit, "forever") == 0) {
        in->request.deadline_ms = ZKS__NEVER;
    } else if (strcmp(limit, "try") == 0) {
        in->request.deadline_ms = in->now_ms;
    } else {
        in->request.deadline_ms = in->now_ms + strtoull(limit, NULL, 10);
    }
    return in->request.what >= 0;
}

/* Words that change the world; `*event` says whether the machine hears of it. */
static bool parse_world(const struct trace_machine *t, struct trace_world *w, const char *word,
                        const char *value, bool *event)
{
    *event = true;
    if (strcmp(word, "cancel") == 0) {
        w->in.kind = ZKS__IN_CANCEL;
    } else if (strcmp(word, "abandon") == 0) {
        w->in.kind = ZKS__IN_ABANDON;
    } else if (strcmp(word, "connected") == 0) {
        w->in.kind = ZKS__IN_CONNECTED;
        w->in.connected = true;
    } else if (strcmp(word, "suspended") == 0) {
        w->in.kind = ZKS__IN_SUSPENDED;
        w->in.connected = false;
    } else if (strcmp(word, "expired") == 0 || strcmp(word, "given-up") == 0) {
        w->in.kind = ZKS__IN_EXPIRED;
        w->in.given_up = strcmp(word, "given-up") == 0;
        w->in.connected = false;
        w->in.epoch++;
        w->in.session++;
    } else if (strcmp(word, "tick") == 0) {
        w->in.kind = ZKS__IN_TICK;
        w->in.now_ms = value ? strtoull(value, NULL, 10) : trace_machine_deadline(t);
        return w->in.now_ms != ZKS__NEVER;
    } else if (strcmp(word, "at") == 0 && value != NULL) {
        w->in.now_ms = strtoull(value, NULL, 10);
        *event = false;
    } else if (strcmp(word, "safe") == 0 && value != NULL) {
        w->in.safe_until_ms = strtoull(value, NULL, 10);
        *event = false;
    } else {
        return false;
    }
    return true;
}

bool trace_event(struct trace_machine *t, struct trace_world *w, const char *text, FILE *to)
{
    static struct line line;
    char *next = NULL;
    bool event = true;
    struct zks__in in;
    memset(&line, 0, sizeof line);
    if (!expand(text, line.text, sizeof line.text)) {
        return false;
    }
    char *word = strtok_r(line.text, " ", &next);
    in = w->in;
    if (word == NULL) {
        return false;
    }
    if (strcmp(word, "reply") == 0) {
        if (!parse_reply(w, &in, &line, &next)) {
            return false;
        }
    } else if (strcmp(word, "watch") == 0) {
        if (!parse_watch(&in, &next)) {
            return false;
        }
    } else if (trace_machine_what(t, word) >= 0) {
        if (!parse_request(&in, t, word, &next)) {
            return false;
        }
    } else {
        if (!parse_world(t, w, word, strtok_r(NULL, " ", &next), &event)) {
            return false;
        }
        in = w->in;
    }
    return event ? step(t, w, &in, to) : true;
}

void trace_world_init(struct trace_world *w)
{
    memset(w, 0, sizeof *w);
    w->in.connected = true;
    w->in.now_ms = 1000;
    w->in.epoch = 1;
    w->in.safe_until_ms = 1000000;
    w->in.session = 500;
    w->in.timeout_ms = 6000;
}
