/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that libzookeeper logs. */
#ifndef ZKS_DRIVER_HANDLE_LOG_H
#define ZKS_DRIVER_HANDLE_LOG_H

#include "driver/handle.h"

/* A receiver of these lines, embedded in a handle. */
struct zks__logger {
    const struct zks__handle_options *options;
    struct zks__logger *next;
};

void zks__logger_join(struct zks__logger *l);

/* zks__logger_leave: nothing is called any more once it has returned; one who has not joined can leave. */
void zks__logger_leave(struct zks__logger *l);

/* zks__log_line: libzookeeper's log callback. */
void zks__log_line(const char *message);

#endif
