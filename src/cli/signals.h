/* SPDX-License-Identifier: Apache-2.0 */
/* Signals to the process that the user started: which are taken, and which of them end it. */
#ifndef ZKS_CLI_SIGNALS_H
#define ZKS_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

struct cli_signals {
    int fd;          /* A signalfd. */
    sigset_t wanted; /* Neither ignored nor blocked when the program was started. */
};

/* cli_signals_open: blocks all signals but those that report a fault of the program itself, and opens a signalfd for
 * them.  SIGCHLD gets its default action.  `mask` becomes the mask of before, *child_ignored whether SIGCHLD was
 * ignored.  False with errno set if there is no descriptor. */
bool cli_signals_open(struct cli_signals *s, sigset_t *mask, bool *child_ignored);

/* cli_signals_hear: whether the signalfd also takes real-time signals.  Those are queued, so they can be left with the
 * system while there is no command to take them. */
void cli_signals_hear(struct cli_signals *s, bool realtime);

/* cli_signals_next: the next one that has come; false if there is none. */
bool cli_signals_next(struct cli_signals *s, struct signalfd_siginfo *info);

/* cli_signals_ends: whether the signal ends the program unless there is a command to pass it on to.  Those whose
 * default action that is do, except USR1, USR2 and the real-time signals, whose meaning is the command's. */
bool cli_signals_ends(const struct cli_signals *s, int sig);

#endif
