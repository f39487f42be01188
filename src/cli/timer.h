/* SPDX-License-Identifier: Apache-2.0 */
/* A timer on the library's clock, which goes on while the machine sleeps: whoever wakes up finds it due. */
#ifndef ZKS_CLI_TIMER_H
#define ZKS_CLI_TIMER_H

#include <stdint.h>

/* cli_timer_open: a descriptor that polls readable once the time has come, or -1 with errno set. */
int cli_timer_open(void);

/* cli_timer_set: to a time of zks_clock_ms(); UINT64_MAX switches it off. */
void cli_timer_set(int timer, uint64_t at_ms);

#endif
