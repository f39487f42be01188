/* SPDX-License-Identifier: Apache-2.0 */
/* What has been compared: how often each kind of request had which result. */
#ifndef ZKSYNC_TEST_INTEGRATION_TREE_TALLY_H
#define ZKSYNC_TEST_INTEGRATION_TREE_TALLY_H

#include "tree_ask.h"

enum { TALLY_CODES = 13, TALLY_EVENTS = 5 };

struct tally {
    uint64_t answers[2][ASK_KINDS][TALLY_CODES]; /* By themselves, and in a multi. */
    uint64_t own_events[TALLY_EVENTS];           /* Of who had just written, or set watches. */
    uint64_t other_events[TALLY_EVENTS];
    uint64_t batches;
    uint64_t sessions;
    uint64_t attached; /* Sessions that were taken up again. */
};

/* tally_answer: false for a code that no server gives here. */
bool tally_answer(struct tally *t, const struct ask *ask, const struct answer *answer);
void tally_event(struct tally *t, enum zks__event event, bool own);

/* tally_print: all of it; tally_check: fails the test where some kind of request never succeeded or some
 * event never came, or where some kind never had one of the errors that it can have, from servers of such
 * a release. */
void tally_print(const struct tally *t);
void tally_check(const struct tally *t, bool codes_too, bool before_39);

#endif
