/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers, for people. */
#include "tree_ask.h"

const char *code_name(int code)
{
    switch (code) {
    case ZKS__Z_OK:
        return "ok";
    case ZKS__Z_SYSTEMERROR:
        return "SYSTEMERROR";
    case ZKS__Z_RUNTIMEINCONSISTENCY:
        return "RUNTIMEINCONSISTENCY";
    case CODE_MARSHALLINGERROR:
        return "MARSHALLINGERROR";
    case ZKS__Z_BADARGUMENTS:
        return "BADARGUMENTS";
    case ZKS__Z_NONODE:
        return "NONODE";
    case ZKS__Z_NOAUTH:
        return "NOAUTH";
    case ZKS__Z_BADVERSION:
        return "BADVERSION";
    case ZKS__Z_NOCHILDRENFOREPHEMERALS:
        return "NOCHILDRENFOREPHEMERALS";
    case ZKS__Z_NODEEXISTS:
        return "NODEEXISTS";
    case ZKS__Z_NOTEMPTY:
        return "NOTEMPTY";
    case ZKS__Z_SESSIONEXPIRED:
        return "SESSIONEXPIRED";
    case ZKS__Z_INVALIDACL:
        return "INVALIDACL";
    case ZKS__Z_SESSIONMOVED:
        return "SESSIONMOVED";
    case ZKS__Z_NOWATCHER:
        return "NOWATCHER";
    default:
        return "an error of its own";
    }
}

static void print_text(FILE *to, const char *text)
{
    (void)fputc('"', to);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        (void)fprintf(to, c < 0x20 || c > 0x7e ? "\\x%02x" : "%c", c);
    }
    (void)fputc('"', to);
}

static void print_data(FILE *to, const void *data, size_t len)
{
    if (data == NULL) {
        (void)fputs(" no data", to);
        return;
    }
    (void)fprintf(to, " %zu bytes", len);
    for (size_t i = 0; i < len && i < 8; i++) {
        (void)fprintf(to, "%s%02x", i == 0 ? " " : "", ((const unsigned char *)data)[i]);
    }
}

static void print_aces(FILE *to, const struct zks__ace *aces, size_t n)
{
    (void)fputs(" [", to);
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(to, "%s%d ", i == 0 ? "" : ", ", aces[i].perms);
        print_text(to, aces[i].id.scheme);
        (void)fputc(':', to);
        print_text(to, aces[i].id.id);
    }
    (void)fputc(']', to);
}

static void print_names(FILE *to, const char *const *names, size_t n)
{
    (void)fputs(" {", to);
    for (size_t i = 0; i < n; i++) {
        (void)fputs(i == 0 ? "" : " ", to);
        print_text(to, names[i]);
    }
    (void)fputc('}', to);
}

void ask_print(FILE *to, const struct ask *ask)
{
    static const char *const lists[] = {" data", " exists", " children", " persistent",
                                        " recursive"};
    bool sets_watches = ask->kind == ASK_SET_WATCHES || ask->kind == ASK_SET_WATCHES2;
    (void)fprintf(to, "%s ", ask_name(ask->kind));
    if (ask->path != NULL) {
        print_text(to, ask->path);
    }
    if (ask_is_create(ask->kind) || ask->kind == ASK_SET) {
        print_data(to, ask->data, ask->data_len);
    }
    if (ask_is_create(ask->kind) || ask->kind == ASK_SET_ACL) {
        print_aces(to, ask->aces, ask->n_aces);
    }
    if (ask_is_create(ask->kind)) {
        (void)fprintf(to, " flags %d ttl %lld", ask->flags, (long long)ask->ttl_ms);
    } else if (ask->kind == ASK_DELETE || ask->kind == ASK_SET || ask->kind == ASK_SET_ACL ||
               ask->kind == ASK_CHECK) {
        (void)fprintf(to, " version %d", ask->version);
    }
    (void)fputs(ask->watch ? " watch" : "", to);
    (void)fputs(ask->recursive ? " recursive" : "", to);
    if (ask->watch_type != 0) {
        (void)fprintf(to, " type %d", (int)ask->watch_type);
    }
    if (sets_watches) {
        (void)fprintf(to, " zxid %lld (%#llx)", (long long)ask->model_zxid,
                      (unsigned long long)ask->wire_zxid);
    }
    for (size_t i = 0; i < LISTS && sets_watches; i++) {
        (void)fputs(lists[i], to);
        print_names(to, ask->lists[i], ask->n_lists[i]);
    }
    for (size_t i = 0; i < ask->n_parts; i++) {
        (void)fputs("\n#       - ", to);
        ask_print(to, &ask->parts[i]);
    }
}

void answer_print(FILE *to, const struct answer *answer)
{
    const struct zks__znode_stat *s = &answer->stat;
    (void)fprintf(to, "%s (%d)", code_name(answer->code), answer->code);
    if (answer->type != 0) {
        (void)fprintf(to, " type %d", answer->type);
    }
    if (answer->has & HAS_PATH) {
        (void)fputc(' ', to);
        print_text(to, answer->path);
    }
    if (answer->has & HAS_DATA) {
        print_data(to, answer->data, answer->data_len);
    }
    if (answer->has & HAS_NAMES) {
        print_names(to, answer->names, answer->n_names);
    }
    if (answer->has & HAS_ACL) {
        print_aces(to, answer->aces, answer->n_aces);
    }
    if (answer->has & HAS_COUNT) {
        (void)fprintf(to, " count %d", answer->count);
    }
    if (answer->has & HAS_STAT) {
        (void)fprintf(to,
                      " zxids c %#llx m %#llx p %#llx times %lld %lld owner %#llx versions %d %d %d"
                      " length %d children %d",
                      (unsigned long long)s->czxid, (unsigned long long)s->mzxid,
                      (unsigned long long)s->pzxid, (long long)s->ctime, (long long)s->mtime,
                      (unsigned long long)s->ephemeral_owner, s->version, s->cversion, s->aversion,
                      s->data_length, s->num_children);
    }
    for (size_t i = 0; i < answer->n_parts; i++) {
        (void)fputs("\n#       - ", to);
        answer_print(to, &answer->parts[i]);
    }
}
