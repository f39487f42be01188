/* SPDX-License-Identifier: Apache-2.0 */
#include "job_options.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "duration.h"
#include "exit.h"
#include "lease.h"
#include "tree.h"

enum { REASON_MAX = 200 };

static char shell[] = "/bin/sh";
static char dash_c[] = "-c";
static char *shell_command[] = {shell, dash_c, NULL, NULL};

void cli_job_init(struct cli_job *job, struct cli_settings *s, const char *name)
{
    memset(job, 0, sizeof *job);
    job->settings = s;
    job->name = name;
    job->kind = CLI_CLAIM_WRITE;
    job->wait_ms = ZKS_FOREVER;
    job->busy_code = CLI_BUSY;
    job->grace_ms = -1;
    job->status_fd = job->ready_fd = job->terminal = job->ward = -1;
}

static bool take_grace(struct cli_parser *p, struct cli_job *job)
{
    if (!zks_parse_duration(optarg, &job->grace_ms) || job->grace_ms < 0) {
        cli_usage(p->command, "\"%s\" is not a grace such as 2, 0.5 or 500ms", optarg);
        return false;
    }
    return true;
}

/* "TERM", "SIGTERM" or "15". */
static int signal_of(const char *text)
{
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (int sig = 1; sig < NSIG; sig++) {
        const char *known = sigabbrev_np(sig);
        if (known != NULL && strcmp(known, name) == 0) {
            return sig;
        }
    }
    char *end = NULL;
    long number = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' && number > 0 && number < NSIG ? (int)number : 0;
}

static bool take_on_loss(struct cli_parser *p, struct cli_job *job)
{
    int sig = signal_of(optarg);
    if (strcmp(optarg, "kill") == 0) {
        job->on_loss = CLI_LOSS_KILL;
    } else if (strcmp(optarg, "warn") == 0) {
        job->on_loss = CLI_LOSS_WARN;
    } else if (sig != 0) {
        job->on_loss = CLI_LOSS_SIGNAL;
        job->loss_signal = sig;
    } else {
        cli_usage(p->command, "--on-loss: \"%s\" is not kill, warn or a signal", optarg);
        return false;
    }
    return true;
}

/* Everybody who waits reads it with the znode. */
static bool take_reason(struct cli_parser *p, struct cli_job *job)
{
    if (strlen(optarg) > REASON_MAX) {
        cli_usage(p->command, "a reason has at most %d bytes", REASON_MAX);
        return false;
    }
    job->reason = optarg;
    return true;
}

static bool take_status_fd(struct cli_parser *p, struct cli_job *job)
{
    char *end = NULL;
    long fd = strtol(optarg, &end, 10);
    int flags = fd >= 0 && fd <= INT_MAX ? fcntl((int)fd, F_GETFL) : -1;
    if (end == optarg || *end != '\0' || flags < 0 || (flags & O_ACCMODE) == O_RDONLY) {
        cli_usage(p->command, "\"%s\" is not a file descriptor that is open for writing", optarg);
        return false;
    }
    job->status_fd = (int)fd;
    return true;
}

static bool take(struct cli_parser *p, int letter, struct cli_job *job,
                 bool (*own)(struct cli_parser *p, int letter, struct cli_job *job))
{
    switch (letter) {
    case 'w':
        return cli_parse_wait(p, &job->wait_ms);
    case 'E':
        return cli_parse_code(p, &job->busy_code);
    case 'k':
        return take_grace(p, job);
    case 's':
        job->kind = CLI_CLAIM_READ;
        return true;
    case 'x':
        job->kind = CLI_CLAIM_WRITE;
        return true;
    case 'c':
        job->string = optarg;
        return true;
    case CLI_OPTION_ON_LOSS:
        return take_on_loss(p, job);
    case CLI_OPTION_REASON:
        return take_reason(p, job);
    case CLI_OPTION_STATUS_FD:
        return take_status_fd(p, job);
    case CLI_OPTION_WAIT_GROUP:
        job->wait_group = true;
        return true;
    default:
        return own(p, letter, job);
    }
}

bool cli_job_options(struct cli_parser *p, struct cli_job *job,
                     bool (*own)(struct cli_parser *p, int letter, struct cli_job *job))
{
    int letter;
    while ((letter = cli_parse_next(p)) != CLI_PARSE_END) {
        if (letter == CLI_PARSE_STOP) {
            return false;
        }
        if (!take(p, letter, job, own)) {
            p->exit = CLI_USAGE;
            return false;
        }
    }
    return true;
}

int cli_job_words(struct cli_parser *p, struct cli_job *job)
{
    char *string = job->string;
    char **at = p->argv + optind;
    if (*at == NULL) {
        return cli_usage(p->command, "missing PATH");
    }
    int code = cli_parse_full(p, *at++, false, job->path);
    if (code != 0) {
        return code;
    }
    /* As with flock(1), -c may follow the path. */
    if (string == NULL && *at != NULL &&
        (strcmp(*at, "-c") == 0 || strcmp(*at, "--command") == 0)) {
        string = at[1];
        if (string == NULL) {
            return cli_usage(p->command, "option \"%s\" needs a value", *at);
        }
        at += 2;
    } else if (*at != NULL && strcmp(*at, "--") == 0) {
        at++;
    }
    if (string == NULL && at == p->argv + optind + 1 && *at != NULL &&
        cli_parse_is_option(p, *at)) {
        return cli_usage(p->command,
                         "\"%s\" after the path would be the command: options go before the path, "
                         "and \"--\" goes before a command of that name",
                         *at);
    }
    if (string != NULL && *at != NULL) {
        return cli_usage(p->command, "both -c and a command are given: \"%s\"", *at);
    }
    if (string != NULL) {
        shell_command[2] = string;
        at = shell_command;
    }
    if (*at == NULL) {
        return cli_usage(p->command, "missing COMMAND (zksync hold takes none)");
    }
    job->command = at;
    return 0;
}

int cli_job_check(const struct cli_job *job)
{
    struct cli_lease lease;
    char why[CLI_MESSAGE_SIZE];
    if (!cli_lease_fit(&lease, job->settings->session_timeout_ms, job->grace_ms, why)) {
        return cli_usage(job->name, "%s", why);
    }
    if (job->command != NULL && job->on_loss == CLI_LOSS_KILL && !cli_tree_is_visible()) {
        cli_say(
            "%s: /proc does not show the processes of this PID namespace, so the descendants of "
            "a command cannot be found and ended: mount it, or give --on-loss=warn",
            job->name);
        return CLI_SYSTEM;
    }
    return cli_reach(job->settings);
}
