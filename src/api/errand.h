/* SPDX-License-Identifier: Apache-2.0 */
/* An errand: something that is asked of the servers once, and again where the answer is lost, until it is
 * answered or the time is over.  It leaves nothing behind. */
#ifndef ZKS_API_ERRAND_H
#define ZKS_API_ERRAND_H

#include "api/common.h"

struct zks__errand {
    struct zks__machine machine;
    /* Asks the first thing.  It is called again where a connection was lost. */
    void (*start)(struct zks__errand *e, struct zks__out *out);
    /* Takes the answer to what was asked last: ends the errand, or asks the next thing. */
    void (*answered)(struct zks__errand *e, const struct zks__reply *reply, struct zks__out *out);
    bool pending;
    bool try_only;
    bool connected;
    bool waits;      /* For an answer. */
    bool maybe_done; /* An earlier request may have been carried out. */
    uint64_t deadline;
    uint64_t retry_at;
    uint32_t ticket; /* Of what was asked last. */
};

/* zks__errand_ask: a request of the errand's. */
struct zks__req *zks__errand_ask(struct zks__errand *e, struct zks__out *out,
                                 enum zks__req_kind kind);

/* zks__errand_end: the errand is over. */
void zks__errand_end(struct zks__errand *e, struct zks__out *out, int result);

/* zks__errand_run: runs a zeroed errand whose two functions are set, about `dir`.  It returns when it is
 * over; the errand's memory, which begins with it and was allocated, has gone then.  `copy`, unless NULL,
 * is called before that where the result is 0.
 * It sets the sentence of an error. */
int zks__errand_run(struct zks__errand *e, zks_client *client, const char *dir, int64_t timeout_ms,
                    void (*copy)(const struct zks__errand *e, void *to), void *to);

#endif
