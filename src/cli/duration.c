/* SPDX-License-Identifier: Apache-2.0 */
#include "duration.h"

#include <stdio.h>
#include <time.h>

const char *cli_age(int64_t ms, char buf[CLI_AGE_SIZE])
{
    long long s = (long long)ms / 1000;
    if (ms < 10000) {
        snprintf(buf, CLI_AGE_SIZE, "%lld.%lld s", s, (long long)ms / 100 % 10);
    } else if (s < 120) {
        snprintf(buf, CLI_AGE_SIZE, "%lld s", s);
    } else if (s < 7200) {
        snprintf(buf, CLI_AGE_SIZE, "%lld min", s / 60);
    } else if (s < 172800) {
        snprintf(buf, CLI_AGE_SIZE, "%lld h %lld min", s / 3600, s / 60 % 60);
    } else {
        snprintf(buf, CLI_AGE_SIZE, "%lld d %lld h", s / 86400, s / 3600 % 24);
    }
    return buf;
}

const char *cli_time(int64_t ms, char buf[CLI_AGE_SIZE])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char whole[24];
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        whole[0] = '\0';
    }
    snprintf(buf, CLI_AGE_SIZE, "%s.%03dZ", whole, (int)(ms % 1000));
    return buf;
}

int64_t cli_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
