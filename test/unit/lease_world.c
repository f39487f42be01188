/* SPDX-License-Identifier: Apache-2.0 */
#include "lease_world.h"

#include <string.h>

uint64_t world_below(struct world *w, uint64_t limit)
{
    return limit == 0 ? 0 : unit_below(&w->seed, (uint32_t)limit);
}

bool world_one_in(struct world *w, uint32_t n)
{
    return unit_below(&w->seed, n) == 0;
}

static bool earlier(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->number < b->number;
}

struct event *world_plan(struct world *w, enum place place, uint64_t at)
{
    assert_true(w->n_events < EVENTS);
    struct event e = {.at = at, .number = w->numbers++, .place = place};
    unsigned i = w->n_events++;
    for (; i > 0 && earlier(&e, &w->events[(i - 1) / 2]); i = (i - 1) / 2) {
        w->events[i] = w->events[(i - 1) / 2];
    }
    w->events[i] = e;
    return &w->events[i];
}

struct event world_next_event(struct world *w)
{
    struct event first = w->events[0];
    struct event last = w->events[--w->n_events];
    unsigned i = 0;
    for (unsigned child = 1; child < w->n_events; child = 2 * i + 1) {
        if (child + 1 < w->n_events && earlier(&w->events[child + 1], &w->events[child])) {
            child++;
        }
        if (!earlier(&w->events[child], &last)) {
            break;
        }
        w->events[i] = w->events[child];
        i = child;
    }
    w->events[i] = last;
    return first;
}

uint64_t world_client_ms(const struct world *w)
{
    return (w->now + w->offset) / MS;
}

/* What the test is about.  From now on all that is on its way to the leader can be lost, and its
 * sender with it: then the leader ends the session when its time is up by what it has heard. */
void world_judge(struct world *w)
{
    const struct leader *l = &w->leaders[w->leaders[1].lives];
    uint64_t end = w->ended ? w->now : l->touched + l->timeout;
    if ((end + w->offset) / MS < zks__lease_safe_until(&w->lease)) {
        w->broken = true;
    }
}

/* ---- Channels ---- */

uint64_t world_delay(struct world *w, uint32_t longest)
{
    switch (world_below(w, 3)) {
    case 0:
        return 0;
    case 1:
        return longest;
    default:
        return world_below(w, (uint64_t)longest + 1);
    }
}

void world_send(struct world *w, enum place place, const struct message *m, uint64_t *channel,
                uint64_t at)
{
    *channel = at > *channel ? at : *channel;
    world_plan(w, place, *channel)->message = *m;
}

static void send_between(struct world *w, enum place place, const struct message *m)
{
    struct server *s = &w->servers[m->server];
    uint64_t from = s->cut_until > w->now ? s->cut_until : w->now;
    struct message sent = *m;
    sent.link = s->link;
    world_send(w, place, &sent, place == TO_LEADER ? &s->up : &s->down,
               from + world_delay(w, w->style.delay));
}

static void send_to_client(struct world *w, const struct message *m)
{
    world_send(w, TO_CLIENT, m, &w->told, w->now + world_delay(w, w->style.distance));
}

/* ---- A leader ---- */

static void touch(struct world *w, unsigned number)
{
    struct leader *l = &w->leaders[number];
    if (!l->closing) {
        l->touched = w->now;
    }
}

static bool deposed(const struct world *w, unsigned number)
{
    return number == 0 && w->leaders[1].lives;
}

/* The leader looks whether the session's time is up. */
static void look(struct world *w, unsigned number)
{
    struct leader *l = &w->leaders[number];
    if (!l->closing && w->now >= l->touched + l->timeout) {
        l->closing = true;
        w->ended |= !deposed(w, number);
        world_judge(w);
    }
    if (!l->closing && l->look_due) {
        world_plan(w, EXPIRY_DUE, l->touched + l->timeout)->leader = number;
    }
    l->look_due = false;
}

static void answer(struct world *w, const struct message *m, bool direct)
{
    if (direct) {
        send_to_client(w, m);
    } else {
        send_between(w, TO_FOLLOWER, m);
    }
}

static void leader_reads(struct world *w, unsigned number, const struct message *m)
{
    struct leader *l = &w->leaders[number];
    bool direct = m->server >= FOLLOWERS;
    struct message reply = *m;
    switch (m->kind) {
    case PING:
        if (m->noted) {
            touch(w, number);
        }
        return;
    case CONNECT:
        reply.refused = l->closing;
        touch(w, number);
        answer(w, &reply, direct);
        return;
    case WRITE:
        if (deposed(w, number) || l->closing) {
            return;
        }
        break;
    case READ:
    case SYNC:
        if (l->closed || (direct && l->closing)) {
            return; /* The session's end goes first, and ends the connection. */
        }
        break;
    }
    if (direct) {
        touch(w, number);
    }
    answer(w, &reply, direct);
}

static void ping(struct world *w, unsigned number)
{
    struct leader *l = &w->leaders[number];
    l->ping_due = false;
    world_plan(w, PING_DUE, w->now + l->half_tick)->leader = number;
    if (world_one_in(w, 8)) { /* It stands still when the next one is due. */
        world_plan(w, STANDSTILL, w->now + l->half_tick - world_below(w, 4 * MS))->leader = number;
    }
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        if (w->servers[i].leader == number && !w->servers[i].dead) {
            const struct message m = {.kind = PING, .server = i};
            send_between(w, TO_FOLLOWER, &m);
        }
    }
}

/* The first message in the inbox from the server of a random one. */
static struct message take_any(struct world *w, struct leader *l)
{
    unsigned server = l->inbox[world_below(w, l->n)].server;
    unsigned i = 0;
    while (l->inbox[i].server != server) {
        i++;
    }
    struct message m = l->inbox[i];
    memmove(l->inbox + i, l->inbox + i + 1, (--l->n - i) * sizeof m);
    return m;
}

/* The thread that pings goes on, at once or a while after the others. */
static void go_on_pinging(struct world *w, unsigned number)
{
    struct leader *l = &w->leaders[number];
    if (world_one_in(w, 2)) {
        ping(w, number);
        return;
    }
    l->ping_due = false;
    l->ping_late = true;
    world_plan(w, PING_LATE, w->now + world_delay(w, LATE))->leader = number;
}

static void ping_after_all(struct world *w, unsigned number)
{
    struct leader *l = &w->leaders[number];
    if (l->ping_late) {
        l->ping_late = false;
        ping(w, number);
    }
}

/* After a standstill all that was held up happens at once, in any order but what threads and
 * connections keep. */
static void go_on(struct world *w, unsigned number)
{
    struct leader *l = &w->leaders[number];
    l->stands_still = false;
    bool looked = false; /* The thread that ends sessions has had its turn. */
    uint64_t bias = 1 + world_below(w, 4);
    while (l->n > 0 || l->ping_due || !looked || (l->closing && !l->closed)) {
        uint64_t turn = world_below(w, 3 + bias);
        if (turn == 0 && l->ping_due) {
            go_on_pinging(w, number);
        } else if (turn == 1 && !looked) {
            looked = true;
            look(w, number);
        } else if (turn == 2 && l->closing) {
            l->closed = true;
        } else if (turn > 2 && l->n > 0) {
            struct message m = take_any(w, l);
            leader_reads(w, number, &m);
        }
    }
}

void world_at_leader(struct world *w, unsigned number, const struct message *m)
{
    struct leader *l = &w->leaders[number];
    if (!l->stands_still) {
        leader_reads(w, number, m);
    } else {
        assert_true(l->n < INBOX);
        l->inbox[l->n++] = *m;
    }
}

static void stand_still(struct world *w, unsigned number)
{
    struct leader *l = &w->leaders[number];
    uint64_t length = world_one_in(w, 8)   ? world_below(w, 2 * T)
                      : world_one_in(w, 3) ? TENTH - world_below(w, 8 * MS)
                                           : world_below(w, w->style.standstill);
    if (!l->stands_still) {
        ping_after_all(w, number);
        l->stands_still = true;
        world_plan(w, GO_ON, w->now + length)->leader = number;
    }
}

void world_leader_event(struct world *w, const struct event *e)
{
    struct leader *l = &w->leaders[e->leader];
    if (!l->lives) {
        return;
    }
    switch (e->place) {
    case PING_DUE:
        l->ping_due = true;
        if (!l->stands_still) {
            ping(w, e->leader);
        }
        break;
    case PING_LATE:
        ping_after_all(w, e->leader);
        break;
    case EXPIRY_DUE:
        l->look_due = true;
        if (!l->stands_still) {
            look(w, e->leader);
            l->closed = l->closing;
        }
        break;
    case ANOTHER_STANDSTILL:
        world_plan(w, ANOTHER_STANDSTILL, w->now + world_below(w, 2 * T))->leader = e->leader;
        stand_still(w, e->leader);
        break;
    case STANDSTILL:
        stand_still(w, e->leader);
        break;
    default:
        go_on(w, e->leader);
        break;
    }
}

void world_begin_leader(struct world *w, unsigned number)
{
    struct leader *l = &w->leaders[number];
    uint64_t rate = 980 + world_below(w, 41); /* Within a fiftieth of the client's clock. */
    uint64_t tick = world_one_in(w, 2) ? T / 2 : T / 20 + world_below(w, T / 2 - T / 20);
    l->lives = true;
    l->timeout = (uint64_t)T * rate / 1000;
    l->half_tick = tick / 2 * rate / 1000;
    touch(w, number);
    world_plan(w, EXPIRY_DUE, w->now + l->timeout)->leader = number;
    world_plan(w, PING_DUE, w->now + world_below(w, l->half_tick + 1))->leader = number;
    world_plan(w, ANOTHER_STANDSTILL, w->now + world_below(w, 2 * T))->leader = number;
}

/* ---- Followers ---- */

void world_at_server(struct world *w, const struct message *m)
{
    struct server *s = &w->servers[m->server];
    if (s->dead || m->conn != w->conn) {
        return;
    }
    if (m->server >= FOLLOWERS) {
        world_at_leader(w, m->server - FOLLOWERS, m);
        return;
    }
    s->heard = true;
    if (m->kind == READ) {
        send_to_client(w, m);
    } else {
        send_between(w, TO_LEADER, m);
    }
}

void world_at_follower(struct world *w, const struct message *m)
{
    struct server *s = &w->servers[m->server];
    if (s->dead || m->link != s->link) {
        return;
    }
    if (m->kind == PING) {
        struct message reply = *m;
        reply.noted = s->heard;
        s->heard = false;
        send_between(w, TO_LEADER, &reply);
    } else {
        send_to_client(w, m);
    }
}

void world_suspend_client(struct world *w)
{
    w->connected = false;
    w->conn++;
    w->n = w->unanswered = 0;
    w->sent = w->told = 0;
}

/* A majority goes over to another leader, which keeps the session but not its clock. */
void world_elect(struct world *w)
{
    w->servers[FOLLOWERS + 1].dead = false;
    world_begin_leader(w, 1);
    w->leaders[1].closing = w->leaders[1].closed = w->leaders[0].closing;
    for (unsigned i = 1; i < FOLLOWERS; i++) {
        struct server *s = &w->servers[i];
        s->leader = 1;
        s->link++;
        s->heard = false;
        s->cut_until = s->up = s->down = 0;
        if (w->server == i) {
            world_suspend_client(w);
        }
    }
}
