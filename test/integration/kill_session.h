/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_TEST_INTEGRATION_KILL_SESSION_H
#define ZKSYNC_TEST_INTEGRATION_KILL_SESSION_H

#include "common.h"

/* The server makes a session's password of its number with Java's generator of random numbers,
 * seeded with a constant; so any session can be taken over, which is how it is ended here. */
static inline void kill_session(zks_client *client)
{
    const uint64_t mask = (UINT64_C(1) << 48) - 1;
    const uint64_t factor = UINT64_C(0x5DEECE66D);
    int64_t session = zks_client_session_id(client);
    uint64_t seed = (((uint64_t)session ^ UINT64_C(0xB3415C00)) ^ factor) & mask;
    char password[16];
    for (size_t i = 0; i < sizeof password; i += 4) {
        seed = (seed * factor + 0xB) & mask;
        uint32_t word = (uint32_t)(seed >> 16);
        for (size_t k = 0; k < 4; k++) {
            password[i + k] = (char)(unsigned char)(word >> (8 * k));
        }
    }
    assert_true(rawzk_kill_session(ens_direct(), session, password));
}

#endif
