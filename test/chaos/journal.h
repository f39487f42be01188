/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ZKSYNC_CHAOS_JOURNAL_H
#define ZKSYNC_CHAOS_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

/* The history of one participant: a line for each thing that it did or saw, each written by one write(2), so that a
 * process that is killed leaves whole lines.
 *
 *   TIME ROLE NUMBER EVENT [NAME=VALUE]...
 *
 * TIME is CLOCK_BOOTTIME in ns, asked of the kernel directly: libfaketime does not reach it. */

/* Opens the file; ends the process where it cannot. */
void journal_open(const char *path);

uint64_t journal_now(void);

void journal(uint64_t at, const char *role, unsigned number, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
