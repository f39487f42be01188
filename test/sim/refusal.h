/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: the servers refuse some requests of a process for a while, as where an access control list has taken
 * a right away.  A refused write is not carried out.  Heartbeats and the look at the root are never refused. */
#ifndef ZKS_SIM_REFUSAL_H
#define ZKS_SIM_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

/* Kinds of requests, a bit each. */
enum {
    REFUSE_LIST = 1,
    REFUSE_GET = 2,
    REFUSE_EXISTS = 4,
    REFUSE_CREATE = 8,
    REFUSE_DELETE = 16,
    REFUSE_MULTI = 32,
    REFUSE_SYNC = 64,
    REFUSE_SHIFT = 7, /* Above these bits: which of the codes. */
    REFUSE_READS = REFUSE_LIST | REFUSE_GET | REFUSE_EXISTS,
    REFUSE_ALL = (1 << REFUSE_SHIFT) - 1
};

enum { REFUSE_CODES = 9 };

/* refusal_is_final: whether asking again is of no use with that code.  refusal_is_of_creates: whether servers say
 * it of creates only. */
bool refusal_is_final(unsigned code);
bool refusal_is_of_creates(unsigned code);

void refusals_begin(void);

/* refusals_start, refusals_end: of what, see above. */
void refusals_start(unsigned process, uint32_t what, uint64_t us);
void refusals_end(void);

/* refusal_of: how the servers refuse the process's request; 0 where they do not.  refusal_at_once: the same of
 * one that libzookeeper does not even send. */
int refusal_of(unsigned process, const struct request *r);
int refusal_at_once(unsigned process, const struct request *r);

#endif
