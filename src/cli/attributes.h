/* SPDX-License-Identifier: Apache-2.0 */
/* What a process inherits that a server must not have from who happened to start it: nice value, scheduling class,
 * I/O priority, CPU affinity, OOM score adjustment and resource limits.  The cgroup is left by who starts
 * it: see src/local/scope.h. */
#ifndef ZKS_CLI_ATTRIBUTES_H
#define ZKS_CLI_ATTRIBUTES_H

#include <stddef.h>
#include <sys/types.h>

enum { CLI_ATTRIBUTES_MAX = 16, CLI_ATTRIBUTE_SIZE = 256 };

struct cli_attribute {
    const char *name;
    char value[CLI_ATTRIBUTE_SIZE];
};

/* cli_attributes_reset: sets those of the calling process to the defaults as far as the system allows it, and
 * raises its limits of address space, CPU time, data, file size and open files to the hard ones. */
void cli_attributes_reset(void);

/* cli_attributes_find: those of a process of this user that are not the defaults, and its cgroup; returns how many.
 * What the system does not tell is left out. */
size_t cli_attributes_find(pid_t pid, struct cli_attribute list[CLI_ATTRIBUTES_MAX]);

#endif
