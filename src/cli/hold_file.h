/* SPDX-License-Identifier: Apache-2.0 */
/* How a hold is found and asked by another process of the user.  Its first process has a file in memory open that no
 * other has, where /proc shows it by its name; what it maps of it is the state, which outlives it for a process that has
 * opened the file in time.  There is no name that could go stale or be taken by another user. */
#ifndef ZKS_CLI_HOLD_FILE_H
#define ZKS_CLI_HOLD_FILE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* In the file's first 4 bytes. */
enum cli_hold_state {
    CLI_HOLD_WAITS, /* For the lock. */
    CLI_HOLD_HELD,
    CLI_HOLD_RELEASED,    /* The servers have confirmed it. */
    CLI_HOLD_UNCONFIRMED, /* Given back, but for all that is known only with the end of the session. */
    CLI_HOLD_LOST
};

/* SIGTERM with this value asks a hold to end, however often, and also one that was started with TERM ignored. */
enum { CLI_HOLD_RELEASE = 0x7a6b73 };

/* cli_hold_file_new: the descriptor, or -1 with errno set. */
int cli_hold_file_new(size_t size);

/* cli_hold_file_open: the file of the hold that is process `pid`; -1 with errno set, ENOENT if it is no hold. */
int cli_hold_file_open(pid_t pid);

/* cli_hold_file_state: CLI_HOLD_WAITS if it cannot be read. */
enum cli_hold_state cli_hold_file_state(int fd);

/* cli_start_time: the start time of a process in clock ticks since boot, which together with its id is unique.  0 if there is no such process. */
uint64_t cli_start_time(pid_t pid);

#endif
