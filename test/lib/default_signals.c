#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/* Every test program begins with the default action for every signal and an empty mask, however it was
 * started: by nohup, in the background of a script, by a parent that ignores SIGCHLD. */
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((constructor)) static void default_signals(void)
{
    sigset_t none;
    for (int number = 1; number <= SIGRTMAX; number++) {
        (void)signal(number, SIG_DFL); /* Fails for KILL, STOP and those of the C library, */
    }
    for (int number = 32; number < SIGRTMIN; number++) {
        /* which what posix_spawn() starts has ignored. */
        static const char by_default[64];
        (void)syscall(SYS_rt_sigaction, number, by_default, NULL, (size_t)8);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}
