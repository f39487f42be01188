/* SPDX-License-Identifier: Apache-2.0 */
#include "process1.h"

#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit.h"

static void end(int sig)
{
    _exit(CLI_SIGNALED + sig);
}

void cli_process1_take_signals(void)
{
    static const int ending[] = {SIGTERM, SIGINT, SIGHUP};
    const struct sigaction ends = {.sa_handler = end};
    for (size_t i = 0; getpid() == 1 && i < sizeof ending / sizeof ending[0]; i++) {
        struct sigaction before;
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(ending[i], &ends, NULL);
        }
    }
}

void cli_process1_reap(void)
{
    if (getpid() == 1) {
        (void)signal(SIGCHLD, SIG_IGN);
        while (waitpid(-1, NULL, WNOHANG) > 0) { /* Those that had ended before. */
        }
    }
}
