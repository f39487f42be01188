/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "job_options.h"

static bool take(struct cli_parser *p, int letter, struct cli_job *job)
{
    (void)p;
    job->wait_ms = letter == 'n' ? 0 : job->wait_ms;
    return true;
}

int cli_lock(struct cli_settings *s, int argc, char **argv)
{
    static const struct cli_option own[] = {
        CLI_JOB_OPTIONS, CLI_COMMAND_OPTIONS, CLI_LOCK_OPTIONS, {0, NULL, false}};
    struct cli_parser parser;
    struct cli_job job;
    cli_job_init(&job, s, argv[0]);
    cli_parse_begin(&parser, s, argv[0], argc, argv, own, true);
    if (!cli_job_options(&parser, &job, take)) {
        return parser.exit;
    }
    int code = cli_job_words(&parser, &job);
    code = code != 0 ? code : cli_job_check(&job);
    return code != 0 ? code : cli_front(&job);
}
