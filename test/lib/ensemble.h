/*
 * The ensemble that tools/ensemble started around the test program, and the proxies in front of
 * its servers. Servers are numbered from 0 here. Every function may be called from any thread. A
 * call that fails ends the test with a message.
 */
#ifndef ZKSYNC_TEST_ENSEMBLE_H
#define ZKSYNC_TEST_ENSEMBLE_H

#include <stdbool.h>
#include <stddef.h>

/* Comma-separated addresses: through the proxies where there are any, and of the servers. */
const char *ens_servers(void);
const char *ens_direct(void);

size_t ens_count(void);
const char *ens_server(size_t i);
const char *ens_direct_server(size_t i);

/* Whether the servers are ours to kill, pause and start. A program in which this is asked is one that
 * tools/run-tests gives servers of its own: it looks for the text. */
#define ens_can_kill() ens_are_ours("zksync-test: own servers")
/* Whether nobody else uses the servers. A program in which this is asked gets three that it is not to kill. */
#define ens_is_alone() ens_are_ours("zksync-test: alone")
bool ens_are_ours(const char *mark);
/* Whether there is one server, and it is zksync's own. */
bool ens_is_local(void);

/* Whether the proxy_ functions can be used: there are proxies, and their Toxiproxy answers. */
bool ens_has_proxy(void);

/* Ends the server's process at once; returns when it is dead. */
void ens_kill(size_t i);
/* Removes what a killed server has stored, all but its number in the ensemble. */
void ens_wipe(size_t i);
/* Returns when the server serves, which takes a majority of running servers. */
void ens_start(size_t i);
/* Returns when the process is started; ens_await() waits for it to serve. */
void ens_start_no_wait(size_t i);
/* The same with a line of its configuration set, "maxSessionTimeout=4000", until ens_restore(). */
void ens_start_set(size_t i, const char *setting);
void ens_pause(size_t i);
void ens_resume(size_t i);
/* The server that leads now; waits until one does. */
size_t ens_leader(void);
/* Waits until all running servers serve. */
void ens_await(void);
/* Brings back the servers that this program has killed, paused or set, and waits until all serve. */
void ens_restore(void);

/* Closes the connections through the proxy and refuses new ones, until it is healed. */
void proxy_cut(size_t i);
void proxy_heal(size_t i);
void proxy_cut_all(void);
void proxy_heal_all(void);
/* Drops all data in both directions without closing; the end of it closes the connections. */
void proxy_blackhole(size_t i);
void proxy_unblackhole(size_t i);
/* Delays all data by so much in each direction; 0: no more. */
void proxy_delay(size_t i, unsigned ms);
/* Brings all proxies back to plain forwarding. */
void proxy_reset_all(void);

/*
 * Fails the running cmocka test. In a thread other than the test's own, from which cmocka cannot
 * jump back to its runner, the message is printed and the program aborted.
 */
_Noreturn void ens_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
