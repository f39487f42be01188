/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_CHAOS_ROLES_H
#define ZKSYNC_CHAOS_ROLES_H

#include "zksync/zksync.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What every thread of the process knows. */
struct setting {
    zks_client *client;
    const char *name; /* The process's, which it keeps when it is started again. */
    uint32_t members; /* Of a double barrier's round. */
    atomic_bool stopping;
};

/* One thread, which uses one primitive over and over. */
struct actor {
    struct setting *setting;
    const char *role;
    uint64_t random;
    atomic_uint number; /* Of the present attempt. */
    pthread_t thread;
};

/* The loop of a role: "lock", "rw", "gate" or "round"; NULL for another name. */
void *(*role_loop(const char *role))(void *);

#endif
