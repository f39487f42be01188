/* SPDX-License-Identifier: Apache-2.0 */
/* Whether src/tree is ZooKeeper's data model exactly: long random sequences of requests go to real servers
 * and to a tree, and every reply, every Stat, every error, every zxid and every watch event must be the
 * same.  docs/tree.md says how, and what is left out.
 *
 *   ZKSYNC_TREE_SEED  chooses the sequence
 *   ZKSYNC_TREE_OPS   how many requests
 */
#include <inttypes.h>
#include <unistd.h>

#include "common.h"
#include "tree_clients.h"
#include "tree_generate.h"
#include "tree_plans.h"
#include "word.h"

enum {
    OPS = 25000,
    OPS_SLOW = 15000,    /* With as many every kind of request should have succeeded, */
    OPS_FOR_ALL = 25000, /* and with as many have failed in all its ways. */
    BATCH_MAX = 100,
    SELDOM = 20, /* One batch of so many ends its session, and one takes it up anew. */
    BATCH_LIMIT_S = 120
};

struct side_by_side {
    void *it;
    struct comparison comparison;
    struct generator generator;
};

static int set_up(void **state)
{
    struct side_by_side *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    return it_setup(&s->it);
}

/* The clients' ephemerals go with their sessions; for the rest it takes who may delete all. */
static int tear_down(void **state)
{
    struct side_by_side *s = *state;
    const struct it *it = s->it;
    comparison_close(&s->comparison);
    if (ens_is_alone()) {
        clients_clean(it->path);
    }
    int rc = it_teardown(&s->it);
    free(s);
    return rc;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

/* Returns how many requests there were. */
static uint64_t run_batch(struct side_by_side *s, struct client *client)
{
    static const struct ask close = {.kind = ASK_CLOSE};
    struct comparison *c = &s->comparison;
    struct generator *g = &s->generator;
    uint64_t n = 1 + generator_below(g, BATCH_MAX);
    bool closes = generator_below(g, SELDOM) == 0;
    uint64_t done = 0;
    struct plans plans;
    plans_begin(&plans, &c->arena);
    while (done < n) {
        const struct ask *ask = generate(g);
        if (plans_mislead(&plans, ask)) {
            break;
        }
        const struct item *item = client_ask(c, client, ask);
        generator_learn(g, ask, &item->answer);
        plans_add(&plans, ask, &item->answer);
        done++;
    }
    closes = closes && !plans_mislead(&plans, &close);
    if (closes) {
        (void)client_ask(c, client, &close);
    }
    client_act(c, client);
    if (closes) {
        if (!wire_ended(client->wire)) {
            ens_fail("the server goes on after the end of a session");
        }
        wire_drop(client->wire);
        client->wire = NULL;
        model_leave(&c->model, &client->member);
    }
    clients_settle(c);
    return done + closes;
}

/* The keeper stays with the leader, so that it is known what the leader has carried out. */
static size_t choose_server(struct side_by_side *s, const struct client *client)
{
    bool stays = client->number == KEEPER;
    uint64_t i = stays ? 0 : generator_below(&s->generator, comparison_servers());
    return comparison_server(&s->comparison, (size_t)i);
}

static void side_by_side(void **state)
{
    struct side_by_side *s = *state;
    const struct it *it = s->it;
    struct comparison *c = &s->comparison;
    uint64_t seed = number_from("ZKSYNC_TREE_SEED", 1);
    uint64_t ops =
        number_from("ZKSYNC_TREE_OPS", getenv("ZKSYNC_TEST_SLOW") != NULL ? OPS_SLOW : OPS);
    it_need_ours(ens_is_alone());
    (void)printf("# seed %" PRIu64 ", %" PRIu64 " requests to ZooKeeper %d.%d\n", seed, ops,
                 word_release(ens_direct_server(0)) / 100,
                 word_release(ens_direct_server(0)) % 100);
    comparison_open(c, it->path, seed);
    s->generator = (struct generator){.state = seed,
                                      .top = it->path,
                                      .model = &c->model,
                                      .relation = &c->relation,
                                      .arena = &c->arena};
    uint64_t began = zks_clock_ms();
    for (uint64_t done = 0; done < ops;) {
        struct client *client = &c->clients[generator_below(&s->generator, CLIENTS)];
        (void)alarm(BATCH_LIMIT_S);
        done += run_batch(s, client);
        if (client->wire == NULL) {
            client_renew(c, client, choose_server(s, client));
            clients_settle(c);
        } else if (generator_below(&s->generator, SELDOM) == 0) {
            client_attach(c, client, choose_server(s, client));
            clients_settle(c);
        }
        generator_count(&s->generator);
    }
    tally_print(&c->tally);
    (void)printf("# %" PRIu64 " ms, %" PRIu64 " zxids used up by others\n", zks_clock_ms() - began,
                 c->relation.foreign);
    if (ops >= OPS_SLOW) {
        tally_check(&c->tally, ops >= OPS_FOR_ALL, c->model.before_39);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(side_by_side, set_up, tear_down),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("tree_server", tests, NULL, NULL);
}
