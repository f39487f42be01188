/* SPDX-License-Identifier: Apache-2.0 */
/* Exit codes: those of sysexits.h where there is one, and those that shells use. */
#ifndef ZKS_CLI_EXIT_H
#define ZKS_CLI_EXIT_H

enum cli_exit {
    CLI_OK = 0,
    CLI_NO = 1,           /* The answer is no: free, set already, not set. */
    CLI_USAGE = 64,       /* What was asked for makes no sense. */
    CLI_LAYOUT = 65,      /* What is at the path does not fit. */
    CLI_UNREACHABLE = 69, /* No server answers. */
    CLI_SERVER = 70,      /* The servers refuse for a reason of their own. */
    CLI_SYSTEM = 71,      /* The operating system refuses. */
    CLI_BUSY = 75,        /* Others hold it, or the time is over. */
    CLI_LOST = 76,        /* What was held has been lost. */
    CLI_DENIED = 77,      /* Credentials or an access control list forbid it. */
    CLI_CONFIG = 78,      /* No servers are named, or a setting is not valid. */
    CLI_CANNOT_RUN = 126,
    CLI_NOT_FOUND = 127,
    CLI_SIGNALED = 128 /* And the signal's number. */
};

/* cli_exit_of: the exit code for an error of the library's; `busy` for what -E sets. */
int cli_exit_of(int error, int busy);

/* cli_exit_of_wait: the exit code for a status of waitpid(). */
int cli_exit_of_wait(int status);

#endif
