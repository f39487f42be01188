/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKS_CLI_DURATION_H
#define ZKS_CLI_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLI_AGE_SIZE = 32 };

/* cli_age: how long something lasts, for a person: "0.4 s", "12 s", "3 min", "2 h 5 min", "4 d 1 h". */
const char *cli_age(int64_t ms, char buf[CLI_AGE_SIZE]);

/* cli_time: a time of the day with its date, in ms since 1970, as "2026-11-26T15:43:33.120Z". */
const char *cli_time(int64_t ms, char buf[CLI_AGE_SIZE]);

/* cli_wall_ms: now, in ms since 1970. */
int64_t cli_wall_ms(void);

#endif
