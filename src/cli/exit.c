/* SPDX-License-Identifier: Apache-2.0 */
#include "exit.h"

#include <sys/wait.h>

#include "zksync/err.h"

int cli_exit_of(int error, int busy)
{
    switch (error) {
    case 0:
        return CLI_OK;
    case ZKS_EBUSY:
    case ZKS_ETIMEDOUT:
    case ZKS_ETOOMANY:
        return busy;
    case ZKS_EINVAL:
        return CLI_USAGE;
    case ZKS_EDISCONNECTED:
    case ZKS_ESESSION:
    case ZKS_ENOCHROOT:
        return CLI_UNREACHABLE;
    case ZKS_EACCES:
    case ZKS_EAUTH:
        return CLI_DENIED;
    case ZKS_ECONFIG:
        return CLI_CONFIG;
    case ZKS_ELOST:
        return CLI_LOST;
    case ZKS_EEXIST:
    case ZKS_ENOENT:
        return CLI_NO;
    case ZKS_ELAYOUT:
    case ZKS_EEPHEMERAL:
    case ZKS_ENOTEMPTY:
    case ZKS_EMISMATCH:
        return CLI_LAYOUT;
    case ZKS_ENOMEM:
    case ZKS_ESYSTEM:
        return CLI_SYSTEM;
    default:
        return CLI_SERVER;
    }
}

int cli_exit_of_wait(int status)
{
    return WIFSIGNALED(status) ? CLI_SIGNALED + WTERMSIG(status) : WEXITSTATUS(status);
}
