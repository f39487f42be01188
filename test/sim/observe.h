/* SPDX-License-Identifier: Apache-2.0 */
/* What is seen of a history: by the participants, on the true clock.  Checkers judge by this alone. */
#ifndef ZKS_SIM_OBSERVE_H
#define ZKS_SIM_OBSERVE_H

#include "plan.h"
#include "zksync/client.h"

enum seen_kind {
    SEEN_ASK,    /* An actor begins something: what, number, wait_ms. */
    SEEN_CANCEL, /* ... and wants it no more. */
    SEEN_DONE,   /* ... and it has ended: result; token and mode, or round. */
    SEEN_LOST,   /* An actor is told that it has lost what it held. */
    SEEN_FREED,  /* An actor has freed its handle. */
    SEEN_LEASE,  /* A process knows its session to live until `until`, on the true clock.  What only
                     * the servers know: it does until `truth`, whatever happens. */
    SEEN_OWNED, /* A process takes its session's ephemerals to have `until` bytes of paths at the most; what
                  * only the servers know: they have `truth`. */
    SEEN_TURN,    /* A process's driver has had its turn. */
    SEEN_STATE,   /* A process's connection: state. */
    SEEN_DEATH,   /* A process has died. */
    SEEN_QUEUED,  /* An actor's client has got the answer that its znode is there; until: it was
                     * asked for then; number: of the operation that any actor had begun last
                     * before that, for several can begin and end at one time. */
    SEEN_SENT,    /* A process has sent a request: `heartbeat` says whether it is one. */
    SEEN_EVENT,   /* A watch of a process's has fired. */
    SEEN_BROKEN,  /* A stranger has deleted an actor's znode, or ended its session. */
    SEEN_SPOILT,  /* A stranger has spoilt a thing, which promises nothing for a while. */
    SEEN_REFUSED, /* The servers refuse a process what `number` says until `until`: see refusal.h. */
    SEEN_UNSET,   /* A stranger lifts a barrier, from `at` on. */
    SEEN_CONTENDER, /* A stranger asks for a lock (1), holds it (2), lets it go (3): what. */
    SEEN_HEALED,    /* From now on nothing befalls anybody. */
    SEEN_LATE, /* What nobody sees: a server that had kept back the create of an actor's znode passes
                     * it on, after the client has come back by another connection. */
    SEEN_LEFT,    /* At the end, a znode is still there: text. */
    SEEN_WATCHED, /* At the end, a process still watches: text. */
    SEEN_OVER /* All have left (result 1); or the time is up, and an actor has not: actor, text. */
};

struct seen {
    uint64_t at;
    enum seen_kind kind;
    int process;
    int actor; /* -1 for none. */
    int thing;
    int what;
    int result;
    unsigned number; /* Of what was begun, over all actors. */
    int32_t wait_ms;
    uint64_t token;
    uint64_t until;
    uint64_t truth;
    bool heartbeat;
    const char *text; /* The round's name; the path. */
};

struct process;
struct request;
struct answer;

/* observe_begin: a history begins; with a trace where `trace` is not NULL. */
void observe_begin(const struct plan *plan, FILE *trace);

/* observe: shows something to all checkers, and writes it to the trace. */
void observe(struct seen *seen);

/* observe_end: all has been seen. */
void observe_end(void);

/* observe_note: a line for the trace alone. */
void observe_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What the parts of the world show by themselves. */
void observe_request(struct process *p, const struct request *r);
void observe_answer(struct process *p, const struct request *r, const struct answer *a);
void observe_late(const struct request *r);
void observe_event(struct process *p, const struct answer *a);
void observe_state(struct process *p, enum zks_client_state state);
void observe_lease(struct process *p);
void observe_owned(struct process *p);
void observe_turn(struct process *p);
void observe_death(struct process *p);

#endif
