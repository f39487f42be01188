/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_tally.h"

#include <inttypes.h>

#include "ensemble.h"

static const int codes[TALLY_CODES] = {
    ZKS__Z_OK,           ZKS__Z_NONODE,
    ZKS__Z_NOAUTH,       ZKS__Z_BADVERSION,
    ZKS__Z_BADARGUMENTS, ZKS__Z_NOCHILDRENFOREPHEMERALS,
    ZKS__Z_NODEEXISTS,   ZKS__Z_NOTEMPTY,
    ZKS__Z_INVALIDACL,   ZKS__Z_RUNTIMEINCONSISTENCY,
    ZKS__Z_NOWATCHER,    CODE_MARSHALLINGERROR,
};

static const char *const events[TALLY_EVENTS] = {"", "created", "deleted", "changed", "children"};

static size_t place_of(int code)
{
    size_t i = 0;
    while (i < COUNT(codes) && codes[i] != code) {
        i++;
    }
    return i;
}

static bool count(struct tally *t, bool in_multi, enum ask_kind kind, int code)
{
    size_t place = place_of(code);
    if (place == COUNT(codes)) {
        return false;
    }
    t->answers[in_multi][kind][place]++;
    return true;
}

bool tally_answer(struct tally *t, const struct ask *ask, const struct answer *answer)
{
    bool known = count(t, false, ask->kind, answer->code);
    for (size_t i = 0; i < answer->n_parts; i++) {
        known = count(t, true, ask->parts[i].kind, answer->parts[i].code) && known;
    }
    return known;
}

void tally_event(struct tally *t, enum zks__event event, bool own)
{
    (own ? t->own_events : t->other_events)[event]++;
}

/* ---- For people ---- */

static uint64_t print_kind(const struct tally *t, bool in_multi, enum ask_kind kind)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < COUNT(codes); i++) {
        sum += t->answers[in_multi][kind][i];
    }
    if (sum == 0) {
        return 0;
    }
    (void)printf("# %s%-20s %9" PRIu64 ":", in_multi ? "- " : "", ask_name(kind), sum);
    for (size_t i = 0; i < COUNT(codes); i++) {
        uint64_t n = t->answers[in_multi][kind][i];
        if (n > 0) {
            (void)printf(" %s %" PRIu64, code_name(codes[i]), n);
        }
    }
    (void)putchar('\n');
    return sum;
}

static uint64_t print_events(const char *whose, const uint64_t *counts)
{
    uint64_t sum = 0;
    (void)printf("# events of %s:", whose);
    for (size_t i = ZKS__EVENT_CREATED; i < TALLY_EVENTS; i++) {
        (void)printf(" %s %" PRIu64, events[i], counts[i]);
        sum += counts[i];
    }
    (void)putchar('\n');
    return sum;
}

void tally_print(const struct tally *t)
{
    uint64_t sums[2] = {0, 0};
    for (int in_multi = 0; in_multi < 2; in_multi++) {
        for (int kind = 0; kind < ASK_KINDS; kind++) {
            sums[in_multi] += print_kind(t, in_multi != 0, (enum ask_kind)kind);
        }
    }
    uint64_t heard = print_events("who acts", t->own_events);
    heard += print_events("the others", t->other_events);
    (void)printf("#: %" PRIu64 " requests, %" PRIu64 " more in multis, %" PRIu64 " events, %" PRIu64
                 " batches, %" PRIu64 " sessions, %" PRIu64 " taken up again\n",
                 sums[0], sums[1], heard, t->batches, t->sessions, t->attached);
}

/* ---- What must happen ---- */

#define CODES_MAX 12

static const struct {
    enum ask_kind kind;
    bool in_multi;
    int codes[CODES_MAX]; /* Up to the first 0, besides success. */
} wanted[] = {
#define CREATE_CODES                                                                               \
    {                                                                                              \
        ZKS__Z_NONODE, ZKS__Z_NOAUTH, ZKS__Z_BADARGUMENTS, ZKS__Z_NOCHILDRENFOREPHEMERALS,         \
            ZKS__Z_NODEEXISTS, ZKS__Z_INVALIDACL                                                   \
    }
#define PART_CODES                                                                                 \
    {                                                                                              \
        ZKS__Z_NONODE, ZKS__Z_NOAUTH, ZKS__Z_BADARGUMENTS, ZKS__Z_NODEEXISTS, ZKS__Z_INVALIDACL,   \
            ZKS__Z_NOCHILDRENFOREPHEMERALS, ZKS__Z_RUNTIMEINCONSISTENCY                            \
    }
    {ASK_CREATE, false, CREATE_CODES},
    {ASK_CREATE2, false, CREATE_CODES},
    {ASK_CREATE_CONTAINER, false, CREATE_CODES},
    {ASK_CREATE_TTL, false, CREATE_CODES},
    {ASK_CREATE, true, PART_CODES},
    {ASK_CREATE2, true, PART_CODES},
    {ASK_CREATE_CONTAINER, true, PART_CODES},
    {ASK_CREATE_TTL, true, PART_CODES},
#undef CREATE_CODES
#undef PART_CODES
    {ASK_DELETE,
     false,
     {ZKS__Z_NONODE, ZKS__Z_NOAUTH, ZKS__Z_BADVERSION, ZKS__Z_NOTEMPTY, ZKS__Z_BADARGUMENTS}},
    {ASK_DELETE,
     true,
     {ZKS__Z_NONODE, ZKS__Z_NOAUTH, ZKS__Z_BADVERSION, ZKS__Z_NOTEMPTY, ZKS__Z_BADARGUMENTS,
      ZKS__Z_RUNTIMEINCONSISTENCY}},
    {ASK_SET, false, {ZKS__Z_NONODE, ZKS__Z_NOAUTH, ZKS__Z_BADVERSION, ZKS__Z_BADARGUMENTS}},
    {ASK_SET,
     true,
     {ZKS__Z_NONODE, ZKS__Z_NOAUTH, ZKS__Z_BADVERSION, ZKS__Z_BADARGUMENTS,
      ZKS__Z_RUNTIMEINCONSISTENCY}},
    {ASK_CHECK,
     true,
     {ZKS__Z_NONODE, ZKS__Z_NOAUTH, ZKS__Z_BADVERSION, ZKS__Z_BADARGUMENTS,
      ZKS__Z_RUNTIMEINCONSISTENCY}},
    {ASK_SET_ACL,
     false,
     {ZKS__Z_NONODE, ZKS__Z_NOAUTH, ZKS__Z_BADVERSION, ZKS__Z_BADARGUMENTS, ZKS__Z_INVALIDACL}},
    {ASK_MULTI, false, {0}},
    {ASK_EXISTS, false, {ZKS__Z_NONODE}},
    {ASK_GET, false, {ZKS__Z_NONODE, ZKS__Z_NOAUTH}},
    {ASK_GET, true, {ZKS__Z_NONODE, ZKS__Z_NOAUTH}},
    {ASK_GET_ACL, false, {ZKS__Z_NONODE, ZKS__Z_NOAUTH}},
    {ASK_CHILDREN, false, {ZKS__Z_NONODE, ZKS__Z_NOAUTH}},
    {ASK_CHILDREN, true, {ZKS__Z_NONODE, ZKS__Z_NOAUTH}},
    {ASK_CHILDREN2, false, {ZKS__Z_NONODE, ZKS__Z_NOAUTH}},
    {ASK_EPHEMERALS, false, {0}},
    {ASK_DESCENDANTS, false, {ZKS__Z_NONODE, ZKS__Z_NOAUTH}},
    {ASK_MULTI_READ, false, {0}},
    {ASK_SET_WATCHES, false, {0}},
    {ASK_SET_WATCHES2, false, {0}},
    {ASK_CHECK_WATCHES, false, {ZKS__Z_NOWATCHER}},
    {ASK_REMOVE_WATCHES, false, {ZKS__Z_NOWATCHER}},
    {ASK_SYNC, false, {0}},
    {ASK_CLOSE, false, {0}},
};

/* What only a server from 3.9 on does. */
static const struct {
    enum ask_kind kind;
    int code;
} wanted_of_39[] = {
    {ASK_ADD_WATCH, 0}, {ASK_EXISTS, ZKS__Z_NOAUTH}, {ASK_MULTI, CODE_MARSHALLINGERROR}};

static void check_code(const struct tally *t, bool in_multi, enum ask_kind kind, int code)
{
    if (t->answers[in_multi][kind][place_of(code)] == 0) {
        ens_fail("%s%s never had the result %s", ask_name(kind), in_multi ? " in a multi" : "",
                 code_name(code));
    }
}

void tally_check(const struct tally *t, bool codes_too, bool before_39)
{
    for (size_t i = 0; i < COUNT(wanted); i++) {
        check_code(t, wanted[i].in_multi, wanted[i].kind, 0);
        for (size_t k = 0; codes_too && k < CODES_MAX && wanted[i].codes[k] != 0; k++) {
            check_code(t, wanted[i].in_multi, wanted[i].kind, wanted[i].codes[k]);
        }
    }
    for (size_t i = 0; codes_too && !before_39 && i < COUNT(wanted_of_39); i++) {
        check_code(t, false, wanted_of_39[i].kind, wanted_of_39[i].code);
    }
    for (size_t i = ZKS__EVENT_CREATED; i < TALLY_EVENTS; i++) {
        if (t->own_events[i] == 0 || t->other_events[i] == 0) {
            ens_fail("an event \"%s\" never came to who acts, or to the others", events[i]);
        }
    }
    if (t->attached == 0) {
        ens_fail("no session was taken up again");
    }
}
