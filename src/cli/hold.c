/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "daemon.h"
#include "exit.h"
#include "fds.h"
#include "job_options.h"
#include "ward.h"

static bool take_ward(struct cli_parser *p, struct cli_job *job)
{
    char *end = NULL;
    errno = 0;
    long pid = strtol(optarg, &end, 10);
    if (errno != 0 || end == optarg || *end != '\0' || pid < 1 || pid > INT32_MAX) {
        cli_usage(p->command, "\"%s\" is not a process id", optarg);
        return false;
    }
    if (pid == 1) {
        cli_usage(p->command,
                  "process 1 cannot be ended by a process of its host or container: start "
                  "the script under an init, such as that of docker run --init");
        return false;
    }
    job->ward = cli_ward_open((pid_t)pid);
    if (job->ward < 0) {
        cli_usage(p->command, "process %ld: %s", pid, strerror(errno));
        return false;
    }
    return true;
}

/* In the new process: nothing of the starter's is kept but standard error, until the lock is held, and the
 * descriptor for events: a pipe would never end, and a file or a folder would stay in use. */
static int be_holder(struct cli_job *job)
{
    (void)setsid();
    if (!cli_fds_null(STDIN_FILENO) || !cli_fds_null(STDOUT_FILENO)) {
        cli_say("/dev/null: %s", strerror(errno));
        return CLI_SYSTEM;
    }
    cli_fds_close_given(job->status_fd);
    (void)!chdir("/");
    return cli_front(job);
}

/* The lock must not stay held by a process of which nobody has been told. */
static void give_up(pid_t holder)
{
    (void)kill(holder, SIGTERM);
    (void)waitpid(holder, NULL, 0);
}

static int hold_in_background(struct cli_job *job)
{
    int ready_fd;
    pid_t holder = cli_daemon_fork(&ready_fd);
    if (holder < 0) {
        cli_say("cannot start a process: %s", strerror(errno));
        return CLI_SYSTEM;
    }
    if (holder == 0) {
        job->ready_fd = ready_fd;
        return be_holder(job);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* A pipe without a reader is an error like any other. */
    int code = cli_daemon_await(holder, ready_fd);
    if (code != CLI_OK && waitpid(holder, NULL, WNOHANG) == 0) {
        give_up(holder);
    }
    return code;
}

static bool take(struct cli_parser *p, int letter, struct cli_job *job)
{
    switch (letter) {
    case 'n':
        job->wait_ms = 0;
        return true;
    case 'b':
        job->background = true;
        return true;
    default:
        return take_ward(p, job);
    }
}

static int hold(struct cli_settings *s, int argc, char **argv)
{
    static const struct cli_option own[] = {CLI_JOB_OPTIONS,
                                            CLI_LOCK_OPTIONS,
                                            {'b', "background", false},
                                            {CLI_OPTION_OWN, "for", true},
                                            {0, NULL, false}};
    struct cli_parser parser;
    struct cli_job job;
    const char *path = NULL;
    cli_job_init(&job, s, argv[0]);
    cli_parse_begin(&parser, s, argv[0], argc, argv, own, false);
    if (!cli_job_options(&parser, &job, take)) {
        return parser.exit;
    }
    int code = cli_parse_path(&parser, false, &path);
    (void)cli_full_path(s, path != NULL ? path : "/", job.path);
    if (code == 0 && job.background && job.busy_code == 0) {
        code = cli_usage(argv[0], "-E 0 with -b: a shell would go on without the lock");
    }
    code = code != 0 ? code : cli_job_check(&job);
    return code != 0 ? code : job.background ? hold_in_background(&job) : cli_front(&job);
}

/* Whether -b is among the options, whatever is wrong with them.  At worst a word is taken for it that is none. */
static bool asks_for_background(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        bool is_long = strncmp(argv[i], "--b", 3) == 0;
        if (is_long || (argv[i][0] == '-' && argv[i][1] != '-' && strchr(argv[i], 'b') != NULL)) {
            return true;
        }
    }
    return false;
}

int cli_hold_failed(int argc, char **argv, int code)
{
    if (code != CLI_OK && asks_for_background(argc, argv)) {
        printf("/bin/sh -c 'exit %d'\n", code);
    }
    return code;
}

int cli_hold(struct cli_settings *s, int argc, char **argv)
{
    pid_t self = getpid();
    int code = hold(s, argc, argv);
    return getpid() == self ? cli_hold_failed(argc, argv, code) : code;
}
