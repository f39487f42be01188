/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    if (errno != 0 || end == optarg || *end != '\0' || pid < 2 || pid > INT32_MAX) {
        cli_usage(p->command, "\"%s\" is not a process id", optarg);
        return false;
    }
    job->ward = cli_ward_open((pid_t)pid);
    if (job->ward < 0) {
        cli_usage(p->command, "process %ld: %s", pid, strerror(errno));
        return false;
    }
    return true;
}

/* In the new process: a session of its own, and nothing of the starter's but standard error, until it is
 * held. */
static int be_holder(struct cli_job *job)
{
    (void)setsid();
    if (!cli_fds_null(STDIN_FILENO) || !cli_fds_null(STDOUT_FILENO)) {
        cli_say("/dev/null: %s", strerror(errno));
        return CLI_SYSTEM;
    }
    return cli_front(job);
}

static int hold_in_background(struct cli_job *job)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) {
        cli_say("the system refuses a descriptor: %s", strerror(errno));
        return CLI_SYSTEM;
    }
    pid_t holder = fork();
    if (holder < 0) {
        cli_say("the system refuses a process: %s", strerror(errno));
        return CLI_SYSTEM;
    }
    if (holder == 0) {
        close(ready[0]);
        job->ready_fd = ready[1];
        return be_holder(job);
    }
    close(ready[1]);
    return cli_daemon_await(holder, ready[0]);
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
    int code = cli_parse_path(&parser, &path);
    if (code == 0 && !cli_full_path(s, path, job.path)) {
        code = cli_usage(argv[0], "the path is too long");
    }
    code = code != 0 ? code : cli_job_check(&job);
    return code != 0 ? code : job.background ? hold_in_background(&job) : cli_front(&job);
}

/* A shell that evals nothing is content, and would go on without the lock. */
int cli_hold(struct cli_settings *s, int argc, char **argv)
{
    bool background = false;
    for (int i = 1; i < argc; i++) {
        background |= strcmp(argv[i], "-b") == 0 || strcmp(argv[i], "--background") == 0;
    }
    pid_t self = getpid();
    int code = hold(s, argc, argv);
    if (background && code != CLI_OK && getpid() == self) {
        printf("(exit %d)\n", code);
    }
    return code;
}
