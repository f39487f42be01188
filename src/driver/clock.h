/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, and waiting by it. */
#ifndef ZKS_DRIVER_CLOCK_H
#define ZKS_DRIVER_CLOCK_H

#include <pthread.h>
#include <stdint.h>

/* zks__now_ms: leases are counted on a clock that goes on while the machine sleeps: the servers'
 * clocks do. */
uint64_t zks__now_ms(void);

/* zks__cond_init: a condition for zks__cond_wait(). */
void zks__cond_init(pthread_cond_t *cond);

/* zks__cond_wait: waits for the condition, at most until about that time; ZKS__NEVER is without
 * limit.  It may come back for no reason. */
void zks__cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ms);

#endif
