/* SPDX-License-Identifier: Apache-2.0 */
/* A command that tells when it was started: the nanoseconds of CLOCK_MONOTONIC. */
#include <stdio.h>
#include <time.h>

int main(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return printf("%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec) < 0;
}
