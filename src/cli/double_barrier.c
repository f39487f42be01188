/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "job_options.h"

static bool take_n(struct cli_parser *p, struct cli_job *job)
{
    char *end = NULL;
    errno = 0;
    long n = strtol(optarg, &end, 10);
    if (errno != 0 || end == optarg || *end != '\0' || n < 1 || n > ZKS_DOUBLE_BARRIER_N_MAX) {
        cli_usage(p->command, "-n: \"%s\" is not a number from 1 to %d", optarg,
                  (int)ZKS_DOUBLE_BARRIER_N_MAX);
        return false;
    }
    job->n = (uint32_t)n;
    return true;
}

static bool take(struct cli_parser *p, int letter, struct cli_job *job)
{
    if (letter == 'n') {
        return take_n(p, job);
    }
    bool plain = true;
    for (const char *at = optarg; *at != '\0'; at++) {
        plain &= (unsigned char)*at >= 0x20 && *at != 0x7f && *at != '/';
    }
    if (!plain || optarg[0] == '\0' || strlen(optarg) > ZKS_DOUBLE_BARRIER_ID_MAX) {
        cli_usage(p->command,
                  "--id: \"%s\" is not 1 to %d bytes without a slash and control characters",
                  optarg, (int)ZKS_DOUBLE_BARRIER_ID_MAX);
        return false;
    }
    job->id = optarg;
    return true;
}

int cli_double_barrier(struct cli_settings *s, int argc, char **argv)
{
    static const struct cli_option own[] = {CLI_JOB_OPTIONS,
                                            CLI_COMMAND_OPTIONS,
                                            {'n', "participants", true},
                                            {CLI_OPTION_OWN, "id", true},
                                            {0, NULL, false}};
    struct cli_parser parser;
    struct cli_job job;
    cli_job_init(&job, s, argv[0]);
    job.kind = CLI_CLAIM_ROUND;
    cli_parse_begin(&parser, s, argv[0], argc, argv, own, true);
    if (!cli_job_options(&parser, &job, take)) {
        return parser.exit;
    }
    if (job.n == 0) {
        return cli_usage(argv[0], "missing -n: the number of participants");
    }
    int code = cli_job_words(&parser, &job);
    code = code != 0 ? code : cli_job_check(&job);
    return code != 0 ? code : cli_front(&job);
}
