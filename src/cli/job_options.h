/* SPDX-License-Identifier: Apache-2.0 */
/* The options that the subcommands with a job share. */
#ifndef ZKS_CLI_JOB_OPTIONS_H
#define ZKS_CLI_JOB_OPTIONS_H

#include "job.h"
#include "parse.h"

enum {
    CLI_OPTION_ON_LOSS = 256,
    CLI_OPTION_STATUS_FD,
    CLI_OPTION_WAIT_GROUP,
    CLI_OPTION_REASON,
    CLI_OPTION_OWN
};

/* For a subcommand's table of options: those that wait for something and run something meanwhile, and
 * those of a lock. */
#define CLI_JOB_OPTIONS                                                                            \
    {'w', "wait", true}, {'E', "busy-exit-code", true}, {'k', "kill-after", true},                 \
        {CLI_OPTION_ON_LOSS, "on-loss", true}, {CLI_OPTION_REASON, "reason", true},                \
    {                                                                                              \
        CLI_OPTION_STATUS_FD, "status-fd", true                                                    \
    }
#define CLI_COMMAND_OPTIONS                                                                        \
    {'c', "command", true},                                                                        \
    {                                                                                              \
        CLI_OPTION_WAIT_GROUP, "wait-group", false                                                 \
    }
#define CLI_LOCK_OPTIONS                                                                           \
    {'s', "shared", false}, {'x', "exclusive", false},                                             \
    {                                                                                              \
        'n', "nonblock", false                                                                     \
    }

void cli_job_init(struct cli_job *job, struct cli_settings *s, const char *name);

/* cli_job_options: takes all options; those that are none of the above, and -n, go to `own`, which
 * returns false where a value is wrong, with all said.  True, or p->exit is the exit code. */
bool cli_job_options(struct cli_parser *p, struct cli_job *job,
                     bool (*own)(struct cli_parser *p, int letter, struct cli_job *job));

/* cli_job_words: the path and the command behind the options.  0 or an exit code, with all said. */
int cli_job_words(struct cli_parser *p, struct cli_job *job);

/* cli_job_check: what can be known to be wrong before anything is done, and where the servers are: a local
 * server is started ahead of the job's processes, and is none of its descendants.  0 or an exit code. */
int cli_job_check(const struct cli_job *job);

#endif
