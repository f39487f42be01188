/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads: elections, and what befalls servers. */
#include <string.h>

#include "memory.h"
#include "server.h"

struct ensemble ensemble;

static bool apart(const struct server *a, const struct server *b)
{
    return ((ensemble.apart >> a->number ^ ensemble.apart >> b->number) & 1) != 0;
}

static uint64_t any_time(uint64_t longest)
{
    return channel_exploring() ? 0 : chance_below(&ensemble.chance, longest + 1);
}

static uint64_t trust(void)
{
    return (uint64_t)ensemble.style.tick_ms * MS * ensemble.style.sync_ticks;
}

/* ---- Elections ---- */

/* The later epoch that a server has taken part in counts before its log, as in real elections: a leader of an
 * earlier one may have a later entry that nobody else has. */
static bool newer(const struct server *a, const struct server *b)
{
    size_t n = replica_accepted(a);
    size_t m = replica_accepted(b);
    int64_t last_a = n > 0 ? a->log->entries[n - 1]->txn.zxid : 0;
    int64_t last_b = m > 0 ? b->log->entries[m - 1]->txn.zxid : 0;
    return a->epoch != b->epoch ? a->epoch > b->epoch : last_a > last_b;
}

/* Whoever looks for a leader on the side that has a majority. */
static bool is_voter(const struct server *s)
{
    unsigned same = 0;
    for (unsigned i = 0; i < ensemble.n; i++) {
        same += !apart(s, &ensemble.servers[i]);
    }
    return s->up && s->leader == NULL && same > ensemble.n / 2;
}

static void join_soon(struct server *s)
{
    sched_after(&s->joining, any_time((uint64_t)ensemble.style.tick_ms * MS));
}

/* A majority of servers that look for a leader have one: the one whose log is the longest. */
static void elect(struct happening *h)
{
    struct server *best = NULL;
    unsigned voters = 0;
    unsigned first = (unsigned)chance_below(&ensemble.chance, ensemble.n);
    (void)h;
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[(first + i) % ensemble.n];
        if (is_voter(s) && s->paused_until <= sched_now()) {
            voters++;
            best = best == NULL || newer(s, best) ? s : best;
        }
    }
    if (voters <= ensemble.n / 2) {
        return; /* The next one who begins to look starts another. */
    }
    ensemble.epoch++;
    replica_lead(best);
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        if (s != best && is_voter(s) && s->paused_until <= sched_now()) {
            replica_follow(s, best);
        } else if (s->leader == NULL) {
            join_soon(s);
        }
    }
}

static void elect_soon(void)
{
    if (!sched_planned(&ensemble.election)) {
        sched_after(&ensemble.election, any_time((uint64_t)ensemble.style.tick_ms * MS) + 1);
    }
}

static struct server *present_leader(void)
{
    struct server *found = NULL;
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        unsigned same = 1;
        for (unsigned j = 0; j < ensemble.n; j++) {
            same += follows(&ensemble.servers[j], s);
        }
        if (s->up && s->leader == s && same > ensemble.n / 2) {
            found = s;
        }
    }
    return found;
}

/* A server without a leader finds the one there is, or calls for an election. */
static void joining(struct happening *h)
{
    struct server *s = (struct server *)(void *)((char *)h - offsetof(struct server, joining));
    struct server *leader = present_leader();
    if (!s->up || s->leader != NULL || server_wait(s, h)) {
        return;
    }
    if (leader == NULL) {
        elect_soon();
        join_soon(s);
        sched_after(h, (uint64_t)ensemble.style.tick_ms * MS);
    } else if (apart(s, leader) || leader->paused_until > sched_now()) {
        sched_after(h, (uint64_t)ensemble.style.tick_ms * MS);
    } else {
        replica_follow(s, leader);
    }
}

static void lose_trust_soon(struct server *s, bool told);

static void look_for_leader(struct server *s)
{
    struct server *leader = s->leader;
    replica_stop(s);
    if (leader != NULL && leader != s) {
        lose_trust_soon(leader, false); /* It may be one too few for it. */
    }
    sched_at(&s->end_of_trust, NEVER);
    if (s->up) {
        elect_soon();
        join_soon(s);
    }
}

/* How long it takes a server to notice that the others are gone: at once where their machine says so,
 * also if it was waiting for them until then, else as long as it trusts. */
static void lose_trust_soon(struct server *s, bool told)
{
    uint64_t tick = (uint64_t)ensemble.style.tick_ms * MS;
    uint64_t after = told ? any_time(tick / 8) : tick / 2 + any_time(trust());
    if (!sched_planned(&s->end_of_trust) ||
        (told && s->end_of_trust.timer.at_ms > sched_now() + after)) {
        sched_after(&s->end_of_trust, after);
    }
}

/* A leader has a majority of followers that it can reach, a follower a leader that follows nobody. */
static bool may_trust(struct server *s)
{
    unsigned reached = 1;
    if (s->leader != s) {
        return follows(s, s->leader) && s->leader->up && !apart(s, s->leader) &&
               s->leader->paused_until <= sched_now();
    }
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *other = &ensemble.servers[i];
        reached += follows(other, s) && !apart(s, other);
    }
    return reached > ensemble.n / 2;
}

/* A leader looks for its followers once a tick of its own clock.  One that stood still goes on until then: it
 * answers syncs and reads, and no write. */
static uint64_t next_look(const struct server *s)
{
    uint64_t tick = (uint64_t)ensemble.style.tick_ms * MS;
    return s->leader == s ? any_time(tick * 1000000 / (uint64_t)(1000000 + s->clock_ppm)) : 0;
}

static void end_of_trust(struct happening *h)
{
    struct server *s = (struct server *)(void *)((char *)h - offsetof(struct server, end_of_trust));
    if (s->leader == NULL) {
        return;
    }
    if (s->paused_until > sched_now()) {
        sched_at(h, s->paused_until + next_look(s));
        return;
    }
    if (may_trust(s)) {
        return; /* It has come back in time. */
    }
    look_for_leader(s);
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *other = &ensemble.servers[i];
        if (other->leader == s && !apart(s, other)) {
            lose_trust_soon(other, true);
        }
    }
}

/* ---- What befalls servers ---- */

static void going_up(struct happening *h)
{
    struct server *s = (struct server *)(void *)((char *)h - offsetof(struct server, going_up));
    s->up = true;
    s->paused_until = 0;
    join_soon(s);
}

void ensemble_crash(unsigned server, uint64_t us)
{
    struct server *s = &ensemble.servers[server];
    if (!s->up) {
        return;
    }
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *other = &ensemble.servers[i];
        if (other != s && (other->leader == s || s->leader == other)) {
            lose_trust_soon(other, true);
        }
    }
    look_for_leader(s);
    s->up = false;
    server_close_conns(s);
    sched_at(&s->joining, NEVER);
    sched_after(&s->going_up, us);
}

void ensemble_pause(unsigned server, uint64_t us)
{
    struct server *s = &ensemble.servers[server];
    uint64_t until = sched_now() + us;
    s->paused_until = until > s->paused_until ? until : s->paused_until;
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *other = &ensemble.servers[i];
        if (us > trust() && other != s && other->leader == s) {
            lose_trust_soon(other, false);
        }
    }
}

void ensemble_lag(uint64_t servers, uint64_t us)
{
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        if ((servers >> i & 1) != 0 && s->leader != NULL && s->leader != s) {
            channel_hold(&s->from_leader, sched_now() + us);
        }
    }
}

static void hold_links(uint64_t until)
{
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        if (s->leader != NULL && s->leader != s && apart(s, s->leader)) {
            channel_hold(&s->from_leader, until);
            channel_hold(&s->to_leader, until);
        }
    }
}

void ensemble_part(uint64_t mask, uint64_t us)
{
    ensemble.apart = mask;
    hold_links(sched_now() + us);
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        if (s->leader != NULL && !may_trust(s)) {
            lose_trust_soon(s, false);
        }
    }
    sched_after(&ensemble.together, us);
}

static void together(struct happening *h)
{
    (void)h;
    ensemble.apart = 0;
    for (unsigned i = 0; i < ensemble.n; i++) {
        if (ensemble.servers[i].up && ensemble.servers[i].leader == NULL) {
            join_soon(&ensemble.servers[i]);
        }
    }
}

void ensemble_heal(void)
{
    together(NULL);
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        s->paused_until = 0;
        if (!s->up) {
            sched_at(&s->going_up, sched_now());
        }
        if (s->leader != NULL && !may_trust(s)) {
            lose_trust_soon(s, true);
        }
    }
}

/* ---- The ensemble ---- */

void ensemble_begin(const struct ensemble_style *style, uint64_t seed)
{
    memset(&ensemble, 0, sizeof ensemble);
    ensemble.style = *style;
    ensemble.n = style->n_servers;
    ensemble.epoch = 1;
    ensemble.chance = chance_of(seed, 1);
    ensemble.election.fire = elect;
    ensemble.together.fire = together;
    for (unsigned i = 0; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        int64_t apart_ppm = (int64_t)style->clock_apart;
        server_begin(s, i);
        s->clock_ppm =
            (int64_t)chance_below(&ensemble.chance, 2 * style->clock_apart + 1) - apart_ppm;
        s->end_of_trust.fire = end_of_trust;
        s->joining.fire = joining;
        s->going_up.fire = going_up;
    }
    struct server *first = &ensemble.servers[chance_below(&ensemble.chance, ensemble.n)];
    replica_lead(first);
    for (unsigned i = 0; i < ensemble.n; i++) {
        if (&ensemble.servers[i] != first) {
            replica_follow(&ensemble.servers[i], first);
        }
    }
}

uint64_t ensemble_lives_until(int64_t session)
{
    const struct server *s = present_leader();
    const struct zks__session *known = s != NULL ? zks__tree_session(s->tree, session) : NULL;
    if (known == NULL) {
        return NEVER;
    }
    uint64_t timeout = (uint64_t)known->timeout_ms * MS;
    uint64_t on_clock = timeout * 1000000 / (uint64_t)(1000000 + s->clock_ppm);
    return s->heard_at[session % SESSIONS_MAX] + on_clock;
}

static struct request *injection(int64_t session, const struct zks__op *ops, size_t n, bool multi)
{
    struct request *r = memory_get(sizeof *r);
    r->ask = ASK_WRITE;
    r->session = session;
    r->ops = memory_get(n * sizeof *ops + 1);
    memcpy(r->ops, ops, n * sizeof *ops);
    r->n_ops = n;
    r->multi = multi;
    return r;
}

bool ensemble_inject(int64_t session, const struct zks__op *ops, size_t n, bool multi,
                     void (*done)(void *arg, int code, const char *path), void *arg)
{
    struct server *leader = present_leader();
    if (leader == NULL) {
        return false;
    }
    struct request *r = injection(session, ops, n, multi);
    r->injected = done;
    r->arg = arg;
    replica_append(leader, ENTRY_WRITE, session, r, leader);
    return true;
}

int64_t ensemble_open_session(void)
{
    struct server *leader = present_leader();
    if (leader == NULL) {
        return 0;
    }
    int64_t id = STRANGERS + ++ensemble.strangers;
    replica_append(leader, ENTRY_OPEN, id, NULL, leader)->opening.id = id;
    return id;
}

void ensemble_close_session(int64_t session)
{
    struct server *leader = present_leader();
    if (leader != NULL) {
        zks__sessions_closing(&leader->sessions, session);
        replica_append(leader, ENTRY_CLOSE, session, NULL, leader);
    }
}

struct zks__tree *ensemble_tree(void)
{
    struct server *best = &ensemble.servers[0];
    for (unsigned i = 1; i < ensemble.n; i++) {
        struct server *s = &ensemble.servers[i];
        best = zks__tree_zxid(s->tree) > zks__tree_zxid(best->tree) ? s : best;
    }
    return best->tree;
}

bool ensemble_idle(void)
{
    const struct server *leader = present_leader();
    return leader != NULL && leader->committed == leader->log->n;
}

bool ensemble_settled(void)
{
    const struct server *leader = present_leader();
    bool settled = ensemble_idle();
    for (unsigned i = 0; settled && i < ensemble.n; i++) {
        const struct server *s = &ensemble.servers[i];
        settled = s->leader == leader && s->applied == leader->committed;
    }
    return settled;
}

uint64_t ensemble_hash(uint64_t hash)
{
    for (unsigned i = 0; i < ensemble.n; i++) {
        hash = server_hash(&ensemble.servers[i], replica_hash(&ensemble.servers[i], hash));
    }
    return hash;
}
