/* SPDX-License-Identifier: Apache-2.0 */
#include "local/limit.h"

#include <poll.h>

#include "zksync/client.h"

enum { LONGEST_MS = 60000 };

struct zks__limit zks__limit_of(int64_t timeout_ms, int cancel_fd)
{
    int64_t now_ms = (int64_t)zks_clock_ms();
    bool never = timeout_ms == ZKS_FOREVER || timeout_ms > INT64_MAX - now_ms;
    return (struct zks__limit){never ? INT64_MAX : now_ms + timeout_ms, cancel_fd};
}

int zks__limit_left(const struct zks__limit *limit)
{
    struct pollfd cancel = {.fd = limit->cancel_fd, .events = POLLIN};
    int64_t left_ms = limit->until_ms - (int64_t)zks_clock_ms();
    if (left_ms <= 0 || (limit->cancel_fd >= 0 && poll(&cancel, 1, 0) > 0)) {
        return 0;
    }
    return left_ms > LONGEST_MS ? LONGEST_MS : (int)left_ms;
}

bool zks__limit_poll(const struct zks__limit *limit, int fd, short events, int most_ms)
{
    return zks__limit_poll_two(limit, fd, events, -1, most_ms);
}

bool zks__limit_poll_two(const struct zks__limit *limit, int fd, short events, int other,
                         int most_ms)
{
    struct pollfd polls[] = {{.fd = fd, .events = events},
                             {.fd = limit->cancel_fd, .events = POLLIN},
                             {.fd = other, .events = POLLIN}};
    int left_ms = zks__limit_left(limit);
    return poll(polls, 3, left_ms < most_ms ? left_ms : most_ms) > 0 && polls[0].revents != 0;
}
