/* SPDX-License-Identifier: Apache-2.0 */
/* The lease against servers that do their worst (lease_world.h): 50,000 short histories, each from a
 * seed.  While the client's clock is below safe_until no leader may have ended the session. */
#include <stdlib.h>
#include <string.h>

#include "lease_world.h"

UNIT_TAKES_LONG

/* ---- The client ---- */

static void stall(struct world *w, uint64_t length)
{
    w->stalled_until = w->now + length;
    world_plan(w, CLIENT_WAKES, w->stalled_until);
}

/* The clock is read, and then it can take a while until the message is sent. */
static void client_sends(struct world *w, enum kind kind)
{
    const struct message m = {
        .kind = kind, .server = w->server, .conn = w->conn, .sent_ms = world_client_ms(w)};
    uint64_t pause = w->late ? world_below(w, T / 4) : 0;
    w->late = false;
    w->unanswered++;
    if (pause > 0) {
        stall(w, pause);
    }
    world_send(w, TO_SERVER, &m, &w->sent, w->now + pause + world_delay(w, w->style.distance));
}

static void reconnect(struct world *w)
{
    do {
        w->server = (unsigned)world_below(w, SERVERS);
    } while (w->servers[w->server].dead || w->servers[w->server].leader < w->seen_leader);
    world_suspend_client(w);
    client_sends(w, CONNECT);
}

static void client_reads(struct world *w, const struct message *m)
{
    static const enum zks__route routes[] = {
        [READ] = ZKS__ROUTE_FOLLOWER, [SYNC] = ZKS__ROUTE_LEADER, [WRITE] = ZKS__ROUTE_QUORUM};
    if (m->conn != w->conn || w->over) {
        return;
    }
    if (m->refused) {
        w->over = true;
        zks__lease_end(&w->lease);
        return;
    }
    w->unanswered--;
    uint64_t before = zks__lease_safe_until(&w->lease);
    if (m->kind == CONNECT) {
        w->connected = true;
        zks__lease_begin(&w->lease, m->sent_ms, TIMEOUT_MS, false);
    } else {
        w->seen_leader = w->servers[m->server].leader;
        zks__lease_answered(&w->lease, routes[m->kind], m->sent_ms, world_client_ms(w));
        if (world_one_in(w, 8)) {
            world_plan(w, CLIENT_SENDS, w->now + MS);
        }
    }
    w->leases += zks__lease_safe_until(&w->lease) > before;
    world_judge(w);
}

static void client_wakes(struct world *w)
{
    for (unsigned i = 0; w->now >= w->stalled_until && i < w->n; i++) {
        client_reads(w, &w->inbox[i]);
    }
    if (w->now >= w->stalled_until) {
        w->n = 0;
    }
}

static void at_client(struct world *w, const struct message *m)
{
    if (m->conn == w->conn) {
        assert_true(w->n < INBOX);
        w->inbox[w->n++] = *m;
        client_wakes(w);
    }
}

/* Now and then the client is silent or stopped, or loses its connection; how long until it goes on.
 */
static uint64_t mishap(struct world *w)
{
    w->mishap_at = w->now + world_below(w, 2 * T);
    uint64_t next = world_below(w, w->style.silence + 1);
    switch (world_below(w, 6)) {
    case 0:
        world_suspend_client(w);
        return next;
    case 1:
        w->late = true;
        return 0;
    case 2:
        stall(w, next);
        break;
    default:
        break;
    }
    /* A leader that stands still when the session's time is about to be up. */
    world_plan(w, STANDSTILL, w->now + T - world_below(w, T / 8))->leader =
        w->servers[w->server].leader;
    return next;
}

/* One that is idle reads now and then, and is in a hurry when it wants something. */
static uint64_t idle_client_acts(struct world *w)
{
    uint64_t next_ms = zks__lease_next_ms(&w->lease);
    w->hurried = w->hurried ? !world_one_in(w, 8) : world_one_in(w, 4);
    if (!w->hurried || next_ms == ZKS__NEVER) {
        client_sends(w, READ);
        return world_below(w, T / 3);
    }
    if (world_client_ms(w) < next_ms) {
        return (next_ms - world_client_ms(w)) * MS;
    }
    client_sends(w, world_one_in(w, 2) ? WRITE : SYNC);
    return 2 * w->style.distance + 2 * w->style.delay + world_below(w, 2 * MS);
}

static void client_acts(struct world *w)
{
    const struct style *s = &w->style;
    uint64_t next = s->steady ? s->spacing : world_below(w, s->spacing + 1);
    if (w->now < w->stalled_until) {
        next = w->stalled_until - w->now;
    } else if (!w->connected) {
        reconnect(w);
        next = 2 * s->distance + 2 * s->delay + 1 + world_below(w, T / 4);
    } else if (w->now >= w->mishap_at) {
        next = mishap(w);
    } else if (s->idle && w->unanswered < UNANSWERED) {
        next = idle_client_acts(w);
    } else if (w->unanswered < UNANSWERED) {
        enum kind kind = world_one_in(w, 8) ? READ : world_one_in(w, s->writes) ? WRITE : SYNC;
        client_sends(w, kind);
        if (world_one_in(w, 16)) {
            next = world_below(w, MS);
        }
    }
    if (!w->over) {
        world_plan(w, CLIENT_ACTS, w->now + next);
    }
}

/* ---- Histories ---- */

static void take_place(struct world *w, const struct event *e)
{
    const struct message *m = &e->message;
    switch (e->place) {
    case TO_SERVER:
        world_at_server(w, m);
        break;
    case TO_LEADER:
        /* What a server has sent is lost with it as long as it is on its way. */
        if (m->link == w->servers[m->server].link && !w->servers[m->server].dead) {
            world_at_leader(w, w->servers[m->server].leader, m);
        }
        break;
    case TO_FOLLOWER:
        world_at_follower(w, m);
        break;
    case TO_CLIENT:
        at_client(w, m);
        break;
    case CLIENT_ACTS:
        client_acts(w);
        break;
    case CLIENT_SENDS:
        if (w->connected && w->now >= w->stalled_until && w->unanswered < UNANSWERED) {
            client_sends(w, world_one_in(w, w->style.writes) ? WRITE : SYNC);
        }
        break;
    case CLIENT_WAKES:
        client_wakes(w);
        break;
    case DEATH:
        w->servers[m->server].dead = true;
        break;
    case CUT:
        w->servers[m->server].cut_until = w->now + world_below(w, 3 * T);
        break;
    case ELECTION:
        world_elect(w);
        break;
    default:
        world_leader_event(w, e);
        break;
    }
}

static struct style any_style(struct world *w)
{
    static const uint32_t delays[] = {0, 100, MS, T / 200, T / 100, T / 50, T / 40, T / 20};
    static const uint32_t distances[] = {0, 0, 0, 100, MS, T / 200, T / 50, T / 20};
    static const uint32_t spacings[] = {MS / 2, T / 100, T / 40, T / 20, T / 20,
                                        T / 20, T / 11,  T / 8,  T / 5};
    struct style s = {.delay = delays[world_below(w, COUNT(delays))],
                      .distance = distances[world_below(w, COUNT(distances))],
                      .spacing = spacings[world_below(w, COUNT(spacings))],
                      .steady = world_one_in(w, 2),
                      .silence = world_one_in(w, 2) ? T : T * 6 / 10,
                      .standstill = world_one_in(w, 2) ? TENTH : T / 2,
                      .writes = 1 + (uint32_t)world_below(w, 8),
                      .idle = world_one_in(w, 3)};
    return s;
}

static void begin_history(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->seed = seed * UINT64_C(0x9e3779b97f4a7c15);
    w->now = T;
    w->offset = world_below(w, MS);
    w->style = any_style(w);
    w->servers[FOLLOWERS + 1] = (struct server){.leader = 1, .dead = true};
    w->server = (unsigned)world_below(w, FOLLOWERS + 1);
    uint64_t asked_ms = world_client_ms(w);
    w->now += world_below(w, T / 20);
    world_begin_leader(w, 0); /* The session is made. */
    w->now += world_below(w, T / 20);
    zks__lease_begin(&w->lease, asked_ms, TIMEOUT_MS, true);
    w->connected = true;
    client_acts(w);
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        if (world_one_in(w, 4)) {
            world_plan(w, CUT, w->now + world_below(w, HORIZON))->message.server = i;
        }
        if (i > 0 && world_one_in(w, 2)) { /* The first one is left for the client. */
            world_plan(w, DEATH, w->now + world_below(w, HORIZON))->message.server = i;
        }
    }
    if (world_one_in(w, 2)) {
        world_plan(w, ELECTION, w->now + world_below(w, HORIZON));
    }
}

static void run_history(struct world *w, uint64_t seed)
{
    begin_history(w, seed);
    while (w->n_events > 0 && !w->broken && !w->over && w->events[0].at < (uint64_t)T + HORIZON) {
        const struct event e = world_next_event(w);
        w->now = e.at;
        take_place(w, &e);
    }
}

enum { HISTORIES = 50000, FEW = 500 };

static void test_histories(void **state)
{
    struct world *w = *state;
    uint64_t histories = HISTORIES / unit_step(HISTORIES / FEW);
    uint64_t leases = 0;
    uint64_t ends = 0;
    unsigned broken = 0;
    for (uint64_t seed = 1; seed <= histories; seed++) {
        run_history(w, seed);
        leases += w->leases;
        ends += w->ended;
        if (w->broken && ++broken <= 5) {
            print_message(
                "history %llu: at %llu ms safe_until is %llu, but the session has ended\n",
                (unsigned long long)seed, (unsigned long long)world_client_ms(w),
                (unsigned long long)zks__lease_safe_until(&w->lease));
        }
    }
    assert_int_equal(broken, 0);
    /* Or else the histories would prove nothing. */
    print_message("# the lease grew %llu times, the session ended in %llu histories\n",
                  (unsigned long long)leases, (unsigned long long)ends);
    assert_true(leases > 3 * histories);
    assert_true(ends > histories / 4);
}

static int set_up(void **state)
{
    *state = malloc(sizeof(struct world));
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_histories, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
