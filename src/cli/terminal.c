/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int cli_terminal_open(void)
{
    return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

bool cli_terminal_ours(int terminal)
{
    return terminal >= 0 && tcgetpgrp(terminal) == getpgrp();
}

static bool is_pipe(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode);
}

bool cli_terminal_at_once(int terminal)
{
    return cli_terminal_ours(terminal) && getpgrp() == getpid() && !is_pipe(STDIN_FILENO) &&
           !is_pipe(STDOUT_FILENO);
}

void cli_terminal_give(int terminal, pid_t group)
{
    if (terminal >= 0) {
        (void)tcsetpgrp(terminal, group);
    }
}

void cli_terminal_take(int terminal, pid_t group)
{
    if (terminal >= 0 && group > 0 && tcgetpgrp(terminal) == group) {
        (void)tcsetpgrp(terminal, getpgrp());
    }
}

void cli_stop_self(int sig, bool all)
{
    sigset_t one;
    sigset_t before;
    sigemptyset(&one);
    sigaddset(&one, sig);
    (void)kill(all ? 0 : getpid(), sig);
    sigprocmask(SIG_UNBLOCK, &one, &before); /* Here it stops. */
    sigprocmask(SIG_SETMASK, &before, NULL);
}

_Noreturn void cli_die_by(int sig)
{
    sigset_t one;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* It is not we who are broken. */
    signal(sig, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, sig);
    (void)raise(sig);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    _exit(128 + sig);
}
