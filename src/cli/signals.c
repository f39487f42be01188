/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <stddef.h>
#include <unistd.h>

/* The first two cannot be taken; the others report a fault of the program. */
static const int left_alone[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,
                                 SIGFPE,  SIGILL,  SIGTRAP, SIGSYS};
/* Blocked, but not taken: the system sends them as long as a background process uses the terminal. */
static const int unheard[] = {SIGTTIN, SIGTTOU};

static void remove_all(sigset_t *set, const int *signals, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sigdelset(set, signals[i]);
    }
}

static void fill(sigset_t *set)
{
    sigfillset(set);
    remove_all(set, left_alone, sizeof left_alone / sizeof left_alone[0]);
}

void cli_signals_hear(struct cli_signals *s, bool realtime)
{
    sigset_t heard;
    fill(&heard);
    remove_all(&heard, unheard, sizeof unheard / sizeof unheard[0]);
    for (int sig = SIGRTMIN; !realtime && sig <= SIGRTMAX; sig++) {
        sigdelset(&heard, sig);
    }
    s->fd = signalfd(s->fd, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool cli_signals_open(struct cli_signals *s, sigset_t *mask, bool *child_ignored)
{
    sigset_t blocked;
    fill(&blocked);
    sigprocmask(SIG_BLOCK, &blocked, mask);
    sigemptyset(&s->wanted);
    for (int sig = 1; sig < NSIG; sig++) {
        struct sigaction action;
        if (sigaction(sig, NULL, &action) == 0 && action.sa_handler != SIG_IGN &&
            sigismember(mask, sig) == 0) {
            sigaddset(&s->wanted, sig);
        }
    }
    *child_ignored = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
    s->fd = -1;
    cli_signals_hear(s, true);
    return s->fd >= 0;
}

/* A pipe without a reader and a file that may not grow are reported by the write that failed. */
static bool is_of_own_write(const struct signalfd_siginfo *info)
{
    return (info->ssi_signo == SIGPIPE || info->ssi_signo == SIGXFSZ) &&
           info->ssi_pid == (uint32_t)getpid();
}

bool cli_signals_next(struct cli_signals *s, struct signalfd_siginfo *info)
{
    while (read(s->fd, info, sizeof *info) == sizeof *info) {
        if (info->ssi_signo != SIGCHLD && !is_of_own_write(info)) {
            return true;
        }
    }
    return false;
}

bool cli_signals_ends(const struct cli_signals *s, int sig)
{
    switch (sig) {
    case SIGHUP:
    case SIGINT:
    case SIGQUIT:
    case SIGTERM:
    case SIGABRT:
    case SIGALRM:
    case SIGVTALRM:
    case SIGPROF:
    case SIGIO:
    case SIGPWR:
    case SIGXCPU:
    case SIGXFSZ:
    case SIGPIPE:
#ifdef SIGSTKFLT
    case SIGSTKFLT:
#endif
        return sigismember(&s->wanted, sig) == 1;
    default:
        return false;
    }
}
