/* SPDX-License-Identifier: Apache-2.0 */
/* What a server holds in memory and on disk is what is kept and what is still to be sent, whatever there was
 * before.  `make soak-server` has the same for an hour. */
#include <unistd.h>

#include "by_hand.h"
#include "serving.h"
#include "word.h"

enum {
    BEHIND = 4600, /* 14 MB, of which the system's buffers take some. */
    EVENT = 3036,
    SLACK = 1 << 20,
    ZNODES = 14000,
    FEW_BYTES = 2 << 20 /* Of files: a log begins with a mebibyte of zeros. */
};

/* Valgrind is slow, and sees as much with an eighth of it. */
static unsigned share(unsigned of)
{
    return getenv("ZKSYNC_TEST_SLOW") != NULL ? of / 8 : of;
}

/* Bytes of the server's in use. */
static size_t held(const struct serving *s)
{
    char *answer = word_ask(serving_address(s), "mntr");
    size_t bytes = word_figure(answer, "zksync_heap_bytes\t");
    free(answer);
    assert_true(bytes > 0);
    return bytes;
}

/* One that never catches up costs what it lags behind, however many events it has read, and nothing once it
 * has gone. */
static void a_lagging_watcher(void **state)
{
    struct serving s;
    struct lagging l;
    unsigned behind = share(BEHIND);
    (void)state;
    serving_open(&s, false);
    size_t before = held(&s);
    lagging_open(&l, serving_address(&s), behind);
    for (int round = 0; round < 2; round++) {
        lagging_go_on(&l, behind / 2);
        assert_true(held(&s) < before + (size_t)behind * EVENT + SLACK);
    }
    lagging_close(&l);
    it_await(held(&s) < before + SLACK);
    serving_close(&s);
}

/* It needs no more writes for that, and a start finds little. */
static void what_is_deleted_is_given_back(void **state)
{
    struct serving s;
    (void)state;
    zks_server_options options = serving_options(&s, true);
    serving_open_with(&s, &options);
    struct wire *w = by_hand_open(serving_address(&s));
    size_t before = held(&s);
    by_hand_many(w, share(ZNODES), false);
    assert_true(held(&s) > before + (size_t)share(ZNODES) * BY_HAND_DATA);
    by_hand_many(w, share(ZNODES), true);
    it_await(serving_bytes(s.folder) < FEW_BYTES);
    it_await(held(&s) < before + SLACK);
    wire_drop(w);
    zks_server_close(s.server);
    serving_open_with(&s, &options);
    assert_true(serving_bytes(s.folder) < FEW_BYTES);
    assert_int_equal(serving_stats(&s).znodes, 4);
    serving_close(&s);
}

/* So does one that is stopped before it could compact anything. */
static void a_start_gives_back_too(void **state)
{
    struct serving s;
    (void)state;
    zks_server_options options = serving_options(&s, true);
    serving_open_with(&s, &options);
    struct wire *w = by_hand_open(serving_address(&s));
    by_hand_many(w, share(ZNODES), false);
    by_hand_many(w, share(ZNODES), true);
    zks_server_close(s.server);
    wire_drop(w);
    serving_open_with(&s, &options);
    it_await(serving_bytes(s.folder) < FEW_BYTES);
    serving_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        serving_test(a_lagging_watcher),
        serving_test(what_is_deleted_is_given_back),
        serving_test(a_start_gives_back_too),
    };
    it_begin(argc, argv);
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
