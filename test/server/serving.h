/* SPDX-License-Identifier: Apache-2.0 */
/* Servers of the local kind inside the test's own process, for tests of them. */
#ifndef ZKSYNC_TEST_SERVER_SERVING_H
#define ZKSYNC_TEST_SERVER_SERVING_H

#include "common.h"
#include "locks.h"
#include "zksync/server.h"

enum { LOG_SIZE = 16384 };

/* A server and what it has said.  It must not be moved. */
struct serving {
    zks_server *server;
    char folder[256]; /* "" for memory only. */
    pthread_mutex_t lock;
    char log[LOG_SIZE];
    size_t log_len;
};

/* serving_options: for servers with short ticks; the log goes to `s`.  serving_open: fails the test where
 * it cannot be opened.  serving_close: closes it, and deletes the folder. */
zks_server_options serving_options(struct serving *s, bool on_disk);
void serving_open(struct serving *s, bool on_disk);
void serving_open_with(struct serving *s, const zks_server_options *options);
void serving_close(struct serving *s);

/* serving_remove: deletes a folder of a server's.  serving_bytes: how large its files are together. */
void serving_remove(const char *path);
size_t serving_bytes(const char *path);

/* serving_said: whether a line of the log has the text. */
bool serving_said(struct serving *s, const char *text);

const char *serving_address(const struct serving *s);

/* serving_stats: as of just now. */
struct zks_server_stats serving_stats(struct serving *s);

/* watchdog: ends a test that hangs, for cmocka's setup. */
int watchdog(void **state);

#define serving_test(function) cmocka_unit_test_setup(function, watchdog)

#endif
