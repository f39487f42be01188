/* SPDX-License-Identifier: Apache-2.0 */
/* What the integration tests share.  Everything that waits has a generous limit and fails the test
 * when it is over; time itself is never judged.  Functions that fail the test may be called on the
 * test's own thread only, except where it is said otherwise. */
#ifndef ZKSYNC_TEST_INTEGRATION_COMMON_H
#define ZKSYNC_TEST_INTEGRATION_COMMON_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "ensemble.h"
#include "leftovers.h"
#include "rawzk.h"
#include "zksync/zksync.h"

enum {
    IT_LIMIT_MS = 60000,  /* For whatever must happen. */
    IT_SESSION_MS = 4000, /* A session timeout for tests in which sessions end. */
    IT_PATH_MAX = 200,
    IT_STATES_MAX = 64
};

/* At the top of a program that takes half a minute, for tools/run-tests, which starts it early. */
#define IT_TAKES_LONG                                                                              \
    __attribute__((used)) static const char takes_long[] = "zksync-test: takes long";

/* A test's own place on the servers, and a view of them from outside that goes past the proxies. */
struct it {
    char path[IT_PATH_MAX]; /* Below /zksync-test; not created. */
    struct rawzk *raw;
    struct leftovers left;
};

/* cmocka's setup and teardown; the state is a struct it.  The teardown deletes what is at the path,
 * and brings the proxies back to forwarding, and the servers back to serving.  It fails where the
 * test's clients have left a watch or an ephemeral znode. */
int it_setup(void **state);
int it_teardown(void **state);

/* it_begin: called first in main(): TAP output, and the first argument, if any, chooses tests by a
 * pattern with * and ?. */
void it_begin(int argc, char **argv);

#define it_test(function) cmocka_unit_test_setup_teardown(function, it_setup, it_teardown)

/* it_child: the path of a child of the test's path, to be freed. */
char *it_child(const struct it *it, const char *name);

/* Skip the test, with a reason, where there are no proxies, the servers are not ours to kill or too few, or
 * a session cannot be ended from outside. */
void it_need_proxy(void);
#define it_need_kill() it_need_ours(ens_can_kill())
void it_need_ours(bool ours);
void it_need_servers(size_t least);
void it_need_kill_session(void);

/* it_options: NULL means ens_servers(), 0 a session timeout that no test outlives by accident (30 s).
 * it_open: opens a client with them, or fails the test. */
zks_client_options it_options(const char *servers, uint32_t session_timeout_ms);
zks_client *it_open(const char *servers, uint32_t session_timeout_ms);
zks_client *it_open_with(const zks_client_options *options);

/* Handles, made or the test fails. */
zks_rwlock *it_rwlock(zks_client *client, const char *path);
zks_barrier *it_barrier(zks_client *client, const char *path);
zks_double_barrier *it_double_barrier(zks_client *client, const char *path, uint32_t n,
                                      const char *id);

/* it_enter_in_vain: the result of an enter whose time is over before it is inside.  It gets more time until that
 * was enough to find out why. */
int it_enter_in_vain(zks_double_barrier *barrier);

/* it_equal: fails the test, naming both, unless the results of the library are the same. */
#define it_equal(got, want) it_equal_at((got), (want), #got, __FILE__, __LINE__)
void it_equal_at(int got, int want, const char *what, const char *file, int line);
#define it_ok(got) it_equal_at((got), 0, #got, __FILE__, __LINE__)

/* it_await: waits until the condition, an expression, is true. */
#define it_await(condition)                                                                        \
    do {                                                                                           \
        uint64_t it_until = zks_clock_ms() + IT_LIMIT_MS;                                          \
        while (!(condition)) {                                                                     \
            if (zks_clock_ms() > it_until) {                                                       \
                ens_fail("%s:%d: never came true: %s", __FILE__, __LINE__, #condition);            \
            }                                                                                      \
            it_pause();                                                                            \
        }                                                                                          \
    } while (0)

/* it_pause: lets a few ms pass, between two looks. */
void it_pause(void);

/* An operation and what became of it.  A second completion aborts the program. */
struct it_op {
    zks_op op;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool done;
    int result;
    uint64_t at; /* When it completed, by zks_clock_ms(). */
};

void it_op_init(struct it_op *op);
bool it_op_done(struct it_op *op);
/* it_op_wait: the result; the operation may be started again then.  Any thread may call it. */
int it_op_wait(struct it_op *op);

/* What a client's listener was told.  It must outlive the client. */
struct it_states {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    size_t count;
    enum zks_client_state state[IT_STATES_MAX];
    int64_t session[IT_STATES_MAX]; /* The session's id when it was told. */
    uint64_t at[IT_STATES_MAX];
};

void it_states_init(struct it_states *states);
/* The listener; its argument is the struct it_states. */
void it_states_listener(zks_client *client, enum zks_client_state state, void *arg);
/* it_states_await: waits until the state has been told, looking from entry `from` on, and returns
 * the number of its entry. */
size_t it_states_await(struct it_states *states, size_t from, enum zks_client_state state);
size_t it_states_count(struct it_states *states);

/* it_thread_start: in the thread, a failure of the test aborts the program. */
pthread_t it_thread_start(void *(*run)(void *), void *arg);
/* it_thread_join: waits for the thread's end and returns its result. */
void *it_thread_join(pthread_t thread);

/* it_spawn: runs this program anew with these arguments, the last one NULL, in a process that does
 * not outlive this one.  A test whose other process opens a client needs that rather than fork():
 * libzookeeper's threads may be inside the C library just when the process is copied. */
pid_t it_spawn(const char *const *arguments);
/* it_exit_status: waits until the process has ended; -1 for one that a signal ended. */
int it_exit_status(pid_t pid);

/* it_threads, it_descriptors: how many this process has. */
size_t it_threads(void);
size_t it_descriptors(void);

#endif
