/* SPDX-License-Identifier: Apache-2.0 */
/* A history before it happens: who does what, and what befalls whom.  All the rest is chance, drawn from
 * the plan's seed.  A plan is made from a seed, written down as text, read back, and made smaller. */
#ifndef ZKS_SIM_PLAN_H
#define ZKS_SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { THINGS_MAX = 4, PROCESSES_MAX = 32, ACTORS_MAX = 40, STEPS_MAX = 12, FAULTS_MAX = 24 };

enum thing_kind { THING_RWLOCK, THING_BARRIER, THING_DOUBLE };

/* A lock or barrier. */
struct plan_thing {
    enum thing_kind kind;
    uint32_t n;    /* Of a double barrier. */
    int32_t reset; /* Of a lock: past this number the counter starts anew; 0: as usual. */
    bool home;     /* Of a double barrier: once all heals everybody goes home. */
};

struct plan_process {
    int64_t ppm;     /* How much faster its clock goes. */
    uint64_t far;    /* Between it and a server at the least, in us. */
    uint64_t delay;  /* At the most so much more. */
    uint64_t lag;    /* How late its driver can be, likewise. */
    unsigned tricks; /* One in so many requests cannot be sent; 0 for none. */
};

enum what {
    DO_RDLOCK,
    DO_WRLOCK,
    DO_UNLOCK,
    DO_DOWNGRADE,
    DO_SET,
    DO_UNSET,
    DO_WAIT,
    DO_ENTER,
    DO_LEAVE,
    WHATS
};

struct plan_step {
    enum what what;
    int32_t wait_ms;   /* -1 for ever, 0 to try. */
    int32_t cancel_ms; /* After so long it is cancelled; -1 for never. */
    int32_t rest_ms;   /* Before the next step. */
};

/* One that uses a thing by a handle of its own. */
struct plan_actor {
    unsigned process;
    unsigned thing;
    unsigned id; /* At a double barrier. */
    uint32_t n;  /* ... and how many it believes to be. */
    bool strict; /* An expiry is an error to it. */
    unsigned n_steps;
    struct plan_step steps[STEPS_MAX];
};

enum fault {
    FAULT_CUT,     /* process; more: see client_cut() */
    FAULT_STALL,   /* process, ms */
    FAULT_PAUSE,   /* process, ms */
    FAULT_KILL,    /* process */
    FAULT_RESTART, /* process */
    FAULT_EXPIRE,  /* process: somebody ends its session */
    FAULT_CANCEL,  /* actor */
    FAULT_ABANDON, /* actor: it frees its handle, whatever that is about */
    FAULT_NOMEM,   /* which of the library's allocations from now on */
    FAULT_CRASH,   /* server, ms */
    FAULT_FREEZE,  /* server, ms: it stands still */
    FAULT_LAG,     /* a bit for each server, ms: what its leader sends is held up */
    FAULT_PART,    /* a bit for each server that is cut off from the others, ms */
    FAULT_FOREIGN, /* thing, kind of mischief, ms: see stranger.h */
    FAULT_AHEAD,   /* process: it has seen what the servers have lost, and they cut it off */
    FAULT_REFUSE, /* process, ms; more: what the servers refuse it, see refusal.h.  Never by chance */
    FAULTS
};

struct plan_fault {
    enum fault fault;
    unsigned target;
    uint32_t ms;
    uint32_t more;
    bool by_step; /* `when` counts steps of the process `of`. */
    unsigned of;
    uint32_t when; /* Or ms. */
};

struct plan {
    uint64_t seed;
    unsigned n_servers;
    uint32_t tick_ms;
    uint32_t sync_ticks;
    uint32_t link;   /* Between two servers at the most, in us. */
    uint32_t inside; /* Until a server passes on what it has read, likewise. */
    uint32_t disk;   /* Until a write is on disk, likewise. */
    uint32_t carry;  /* Until a follower carries out what it knows to be committed, likewise. */
    uint32_t apart_ppm;
    uint32_t timeout_ms; /* Of sessions, as it is asked for. */
    uint32_t heal_ms;    /* When the last fault is over. */
    unsigned n_things;
    unsigned n_processes;
    unsigned n_actors;
    unsigned n_faults;
    struct plan_thing things[THINGS_MAX];
    struct plan_process processes[PROCESSES_MAX];
    struct plan_actor actors[ACTORS_MAX];
    struct plan_fault faults[FAULTS_MAX];
};

/* Seeds with this bit are of storms: longer histories, in which several servers fail together. */
#define PLAN_STORM (UINT64_C(1) << 63)

/* plan_make: the plan of a seed. */
void plan_make(struct plan *p, uint64_t seed);

/* plan_write, plan_read: as text.  plan_read returns false, with a reason on stderr, for what is no
 * plan. */
void plan_write(const struct plan *p, FILE *to);
bool plan_read(struct plan *p, FILE *from);

/* plan_regular: whether the actor is one of the n that a round of its double barrier needs. */
bool plan_regular(const struct plan *p, unsigned actor);

/* plan_full: whether all n of a double barrier's are there, and are to meet again once all heals. */
bool plan_full(const struct plan *p, unsigned thing);

/* plan_quiet: whether nothing befalls any process. */
bool plan_quiet(const struct plan *p);

/* plan_calm: whether nothing befalls anybody and everybody waits as long as it takes. */
bool plan_calm(const struct plan *p);

/* plan_granted_ms: the session timeout that the servers grant, at most 20 ticks. */
uint32_t plan_granted_ms(const struct plan *p);

/* plan_is_far: whether a request of the process's may take so long that its lease is short, or cannot be proved. */
bool plan_is_far(const struct plan *p, unsigned process);

/* plan_longest_delay: how long a message can take, with all that it can wait for on its way, in us. */
uint64_t plan_longest_delay(const struct plan *p);

const char *what_name(enum what what);
bool what_is_lock(int what);
const char *fault_name(enum fault fault);

#endif
