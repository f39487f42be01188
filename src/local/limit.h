/* SPDX-License-Identifier: Apache-2.0 */
/* How long something may take, and who can end it before. */
#ifndef ZKS_LOCAL_LIMIT_H
#define ZKS_LOCAL_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct zks__limit {
    int64_t until_ms;
    int cancel_fd; /* Readable once the caller cancels; -1 if it cannot be canceled. */
};

/* zks__limit_of: of a timeout that begins now, which may be ZKS_FOREVER. */
struct zks__limit zks__limit_of(int64_t timeout_ms, int cancel_fd);

/* zks__limit_left: what is left, as poll() takes it: never more than a minute, and 0 if canceled. */
int zks__limit_left(const struct zks__limit *limit);

/* zks__limit_poll: polls `fd`, or nothing if it is -1, for at most `most_ms` and no longer than the limit.
 * Whether there is something to read or write, or an error to learn of. */
bool zks__limit_poll(const struct zks__limit *limit, int fd, short events, int most_ms);

/* zks__limit_poll_two: the same, but also returns when `other`, -1 for none, becomes readable. */
bool zks__limit_poll_two(const struct zks__limit *limit, int fd, short events, int other,
                         int most_ms);

#endif
