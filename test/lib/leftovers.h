/*
 * What the clients of a test have left on the servers, by the servers' own four-letter words: watches, and
 * ephemeral znodes of sessions that a client is still connected with. A session whose process was killed
 * has no client any more, and ends by itself.
 *
 * ZooKeeper's servers are used by several programs at a time, so there only what is below the test's own
 * path counts. zksync's own server tells numbers only, and is used by one program at a time.
 */
#ifndef ZKSYNC_TEST_LEFTOVERS_H
#define ZKSYNC_TEST_LEFTOVERS_H

#include <stddef.h>
#include <stdint.h>

struct rawzk;

struct leftovers {
    const char *path;
    struct rawzk *raw;
    /* At the beginning, of zksync's own server. */
    size_t watches;
    size_t ephemerals;
    size_t sessions;
};

/* Before the first client of the test has come. Both must outlive `l`; what is of the session of `raw` does
 * not count. */
void leftovers_begin(struct leftovers *l, const char *path, struct rawzk *raw);

/* How many watches there are of the path and of what is below it, or on zksync's own server more than at
 * the beginning. */
size_t leftovers_watches(const struct leftovers *l);

/* What is left, in words that are to be freed; NULL for nothing. Servers that do not answer are left out. */
char *leftovers_find(const struct leftovers *l);

/* The same, once nothing is left or the time is over: a server learns a little later that a client has gone. */
char *leftovers_await(const struct leftovers *l, int timeout_ms);

#endif
