/* SPDX-License-Identifier: Apache-2.0 */
#include "refusal.h"

#include <string.h>

#include "observe.h"
#include "schedule.h"
#include "wire.h"

static const struct {
    int code;
    bool final;
    bool at_once; /* It is not even sent. */
} codes[REFUSE_CODES] = {
    {-102, true, false},  /* NOAUTH */
    {-114, true, false},  /* INVALIDACL */
    {-108, true, false},  /* NOCHILDRENFOREPHEMERALS */
    {-6, true, false},    /* UNIMPLEMENTED */
    {-5, true, false},    /* MARSHALLINGERROR */
    {-8, true, false},    /* BADARGUMENTS */
    {-125, true, false},  /* QUOTAEXCEEDED */
    {-8, true, true},     /* BADARGUMENTS, of libzookeeper's own */
    {-127, false, false}, /* THROTTLEDOP */
};

static struct {
    uint32_t what; /* 0 for nothing. */
    uint64_t until;
} refusals[PROCESSES_MAX];

bool refusal_is_final(unsigned code)
{
    return codes[code % REFUSE_CODES].final;
}

bool refusal_is_of_creates(unsigned code)
{
    int is = codes[code % REFUSE_CODES].code;
    return is == -114 || is == -108;
}

void refusals_begin(void)
{
    memset(refusals, 0, sizeof refusals);
}

void refusals_start(unsigned process, uint32_t what, uint64_t us)
{
    refusals[process].what = what;
    refusals[process].until = sched_now() + us;
    observe(&(struct seen){.kind = SEEN_REFUSED,
                           .process = (int)process,
                           .actor = -1,
                           .number = what,
                           .until = refusals[process].until});
}

void refusals_end(void)
{
    refusals_begin();
}

static uint32_t kind_of(const struct request *r)
{
    switch (r->ask) {
    case ASK_SYNC:
        return strcmp(r->path, "/") != 0 ? REFUSE_SYNC : 0;
    case ASK_EXISTS:
        return strcmp(r->path, "/") != 0 ? REFUSE_EXISTS : 0;
    case ASK_GET:
        return REFUSE_GET;
    case ASK_CHILDREN:
        return REFUSE_LIST;
    case ASK_WRITE:
        return r->multi                           ? REFUSE_MULTI
               : r->ops[0].kind == ZKS__OP_CREATE ? REFUSE_CREATE
               : r->ops[0].kind == ZKS__OP_DELETE ? REFUSE_DELETE
                                                  : 0;
    default:
        return 0;
    }
}

static int code_of(unsigned process, const struct request *r, bool at_once)
{
    uint32_t what = process < PROCESSES_MAX ? refusals[process].what : 0;
    unsigned code = (what >> REFUSE_SHIFT) % REFUSE_CODES;
    bool applies = (what & kind_of(r)) != 0 && sched_now() < refusals[process].until;
    return applies && codes[code].at_once == at_once ? codes[code].code : 0;
}

int refusal_of(unsigned process, const struct request *r)
{
    return code_of(process, r, false);
}

int refusal_at_once(unsigned process, const struct request *r)
{
    return code_of(process, r, true);
}
