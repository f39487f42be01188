/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "commands.h"
#include "exit.h"
#include "hold_file.h"
#include "parse.h"
#include "tree.h"
#include "ward.h"

/* One hold.  By the descriptors it stays the same process, whatever becomes of the number. */
struct target {
    pid_t pid;
    uint64_t start; /* 0 if it is not known. */
    int process;    /* A pidfd. */
    int file;
};

static bool number_of(const char *text, long most, long *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *number > 0 && *number <= most;
}

/* The process of the argument, or that of the variables; these also say when it was started. */
static int choose(struct cli_parser *p, struct target *t)
{
    const char *known = getenv("ZKSYNC_HOLD_PID");
    const char *start = getenv("ZKSYNC_HOLD_START");
    const char *given = optind < p->argc ? p->argv[optind] : known;
    long pid;
    if (optind + 1 < p->argc) {
        return cli_usage(p->command, "unexpected argument after the process id: \"%s\"",
                         p->argv[optind + 1]);
    }
    if (given == NULL || given[0] == '\0') {
        return cli_usage(p->command, "missing process id: ZKSYNC_HOLD_PID is not set");
    }
    if (!number_of(given, INT32_MAX, &pid)) {
        return cli_usage(p->command, "\"%s\" is not a process id", given);
    }
    t->pid = (pid_t)pid;
    if (known != NULL && start != NULL && strcmp(given, known) == 0) {
        t->start = strtoull(start, NULL, 10);
    }
    return 0;
}

static int no_hold(const struct target *t)
{
    cli_say("process %ld: not a hold any more: it was released or lost before", (long)t->pid);
    return CLI_NO;
}

static int fail(const struct target *t)
{
    cli_say("process %ld: %s", (long)t->pid, strerror(errno));
    return errno == EACCES || errno == EPERM ? CLI_DENIED : CLI_SYSTEM;
}

/* As a zombie it is still there, but nothing of it can be asked. */
static bool has_ended(const struct target *t)
{
    struct pollfd end = {.fd = t->process, .events = POLLIN};
    return poll(&end, 1, 0) > 0;
}

/* What /proc said was of this process if it has not ended afterwards. */
static int find(struct target *t)
{
    t->process = cli_ward_open(t->pid);
    if (t->process < 0) {
        return errno == ESRCH || errno == EINVAL ? no_hold(t) : fail(t);
    }
    if (!cli_tree_is_visible()) {
        cli_say("/proc: it does not show the processes of this PID namespace");
        return CLI_SYSTEM;
    }
    uint64_t start = cli_start_time(t->pid);
    t->file = cli_hold_file_open(t->pid);
    int error = t->file < 0 ? errno : 0;
    if (has_ended(t) || error == ENOENT || (t->start != 0 && start != t->start)) {
        return no_hold(t);
    }
    errno = error;
    return error != 0 ? fail(t) : 0;
}

/* CONT, since one that was stopped could not end. */
static bool ask(const struct target *t)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGTERM;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = CLI_HOLD_RELEASE;
    bool sent = pidfd_send_signal(t->process, SIGTERM, &info, 0) == 0 || errno == ESRCH;
    return sent && cli_ward_signal(t->process, SIGCONT);
}

static int await_end(const struct target *t, int verbose)
{
    struct pollfd end = {.fd = t->process, .events = POLLIN};
    while (poll(&end, 1, -1) < 0 && errno == EINTR) {
    }
    switch (cli_hold_file_state(t->file)) {
    case CLI_HOLD_RELEASED:
        if (verbose > 0) {
            cli_say("process %ld: released", (long)t->pid);
        }
        return CLI_OK;
    case CLI_HOLD_LOST:
        cli_say("process %ld: the lock was lost before it was released", (long)t->pid);
        return CLI_LOST;
    case CLI_HOLD_WAITS:
        cli_say("process %ld: ended before it held the lock", (long)t->pid);
        return CLI_NO;
    default:
        cli_say("process %ld: not confirmed by the servers: the lock is released when the session "
                "ends",
                (long)t->pid);
        return CLI_UNREACHABLE;
    }
}

int cli_release(struct cli_settings *s, int argc, char **argv)
{
    struct cli_parser parser;
    struct target target = {.process = -1, .file = -1};
    cli_parse_begin(&parser, s, argv[0], argc, argv, NULL, false);
    if (cli_parse_next(&parser) == CLI_PARSE_STOP) {
        return parser.exit;
    }
    int code = choose(&parser, &target);
    code = code != 0 ? code : find(&target);
    if (code == 0) {
        code = ask(&target) ? await_end(&target, s->verbose) : fail(&target);
    }
    if (target.process >= 0) {
        close(target.process);
    }
    if (target.file >= 0) {
        close(target.file);
    }
    return code;
}
