/* SPDX-License-Identifier: Apache-2.0 */
#include "ward.h"

#include <errno.h>
#include <stddef.h>
#include <sys/pidfd.h>

int cli_ward_open(pid_t pid)
{
    return pidfd_open(pid, 0);
}

bool cli_ward_signal(int ward, int sig)
{
    return pidfd_send_signal(ward, sig, NULL, 0) == 0 || errno != EPERM;
}
