/* SPDX-License-Identifier: Apache-2.0 */
/* Threads.  It is in both libraries. */
#ifndef ZKS_BASE_THREAD_H
#define ZKS_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* zks__thread_start: starts a thread that blocks all signals but those of a fault of its own (SIGSEGV,
 * SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT), as do the threads that it starts; these too, if the
 * caller blocks them.  Signals are for the application's threads.  The caller's mask is what it was.  0 or an errno value: EAGAIN. */
int zks__thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

/* zks__threads_spare: whether the system would start a few more threads: the two that libzookeeper cannot
 * do without, and two more, in case another thread or process starts at the same time.  It starts and ends
 * that many.  Where it returns false, errno says why. */
bool zks__threads_spare(void);

#endif
