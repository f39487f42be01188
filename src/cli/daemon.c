/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit.h"
#include "fds.h"
#include "output.h"

enum { READY = 3 };

/* Only what the starter has forgotten to keep to itself is left by now, but that may be a pipe whose end
 * somebody waits for. */
static void let_go(int *ready_fd)
{
    sigset_t none;
    (void)setsid();
    if (*ready_fd != READY) {
        (void)dup2(*ready_fd, READY);
        *ready_fd = READY;
    }
    (void)fcntl(READY, F_SETFD, FD_CLOEXEC);
    (void)close_range(READY + 1, ~0U, 0);
    for (int sig = 1; sig < NSIG; sig++) {
        (void)signal(sig, SIG_DFL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)!chdir("/");
    (void)cli_fds_null(STDIN_FILENO);
    (void)cli_fds_null(STDOUT_FILENO);
    /* That it is ready is not what the service in which it was started has to say. */
    (void)unsetenv("NOTIFY_SOCKET");
}

pid_t cli_daemon_fork(int *ready_fd)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) {
        return -1;
    }
    (void)signal(SIGCHLD, SIG_DFL);
    pid_t pid = fork();
    int error = errno;
    *ready_fd = pid == 0 ? ready[1] : ready[0];
    close(pid == 0 ? ready[0] : ready[1]);
    if (pid < 0) {
        close(ready[0]);
    }
    errno = error;
    return pid;
}

pid_t cli_daemon(int *ready_fd)
{
    pid_t pid = cli_daemon_fork(ready_fd);
    if (pid == 0) {
        let_go(ready_fd);
    }
    return pid;
}

int cli_daemon_await(pid_t daemon, int ready_fd)
{
    char buf[256];
    ssize_t got;
    bool ready = false;
    int status;
    while ((got = read(ready_fd, buf, sizeof buf)) > 0 || (got < 0 && errno == EINTR)) {
        if (got > 0) {
            ready = true;
            fwrite(buf, 1, (size_t)got, stdout);
        }
    }
    close(ready_fd);
    if (ready) {
        return cli_flush(CLI_OK);
    }
    while (waitpid(daemon, &status, 0) < 0) {
        if (errno != EINTR) {
            return CLI_SYSTEM;
        }
    }
    int code = cli_exit_of_wait(status);
    return code != CLI_OK ? code : CLI_SYSTEM; /* It has ended without being ready. */
}
