/* SPDX-License-Identifier: Apache-2.0 */
#include "intake.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "duration.h"
#include "timer.h"
#include "tree.h"

const char *cli_keeper_path(const struct cli_keeper *k)
{
    return cli_short_path(k->job->settings, k->job->path);
}

bool cli_keeper_is_watched(const struct cli_keeper *k)
{
    return k->job->command == NULL && !k->job->background && isatty(STDERR_FILENO);
}

/* ---- What comes from the client ---- */

static void tell_suspended(struct cli_keeper *k)
{
    uint64_t until = cli_claim_safe_until(&k->claim);
    uint64_t now = zks_clock_ms();
    char age[CLI_AGE_SIZE];
    cJSON *event = cli_report_event(&k->report, "suspended");
    if (until != UINT64_MAX && until > now) {
        if (event != NULL) {
            cJSON_AddNumberToObject(event, "safe_ms", (double)(until - now));
        }
        cli_report_tell(&k->report, "%s: cut off from the servers; it is safe for %s",
                        cli_keeper_path(k), cli_age((int64_t)(until - now), age));
    } else {
        cli_report_tell(&k->report, "%s: cut off from the servers", cli_keeper_path(k));
    }
    cli_report_send(&k->report, event);
}

void cli_keeper_listener(zks_client *client, enum zks_client_state state, void *arg)
{
    struct cli_keeper *k = arg;
    (void)client;
    switch (state) {
    case ZKS_CLIENT_CONNECTED:
        k->connected = true;
        break;
    case ZKS_CLIENT_SUSPENDED:
        tell_suspended(k);
        break;
    case ZKS_CLIENT_RECONNECTED:
        cli_report_send(&k->report, cli_report_event(&k->report, "resumed"));
        cli_report_tell(&k->report, "%s: in contact with the servers again", cli_keeper_path(k));
        break;
    case ZKS_CLIENT_LOST:
    case ZKS_CLIENT_AUTH_FAILED:
        k->session_lost = true;
        break;
    default:
        break;
    }
}

void cli_keeper_on_done(zks_op *op, int result, void *arg)
{
    struct cli_keeper *k = arg;
    (void)op;
    k->op_done = true;
    k->op_result = result;
}

bool cli_keeper_fit(struct cli_keeper *k)
{
    char why[CLI_MESSAGE_SIZE];
    uint32_t granted_ms = zks_client_session_timeout_ms(k->client);
    if (granted_ms == k->lease.session_ms ||
        cli_lease_fit(&k->lease, granted_ms, k->job->grace_ms, why)) {
        return true;
    }
    cli_report_say(&k->report, "%s: %s", cli_keeper_path(k), why);
    return false;
}

/* ---- What comes from front and from the command, and goes to front ---- */

static bool group_lives(const struct cli_keeper *k)
{
    return !k->reaped || (!k->group_gone && (kill(-k->command, 0) == 0 || errno != ESRCH));
}

/* A command that runs, or what it has left in its group, has had the signal from front itself. */
static bool is_signalled(const struct cli_keeper *k)
{
    return k->running && k->command > 0 && group_lives(k);
}

static void listen_to_front(struct cli_keeper *k)
{
    struct cli_link message;
    int got;
    while (!k->front_gone && (got = cli_link_receive(k->link, &message)) != 0) {
        if (got < 0) {
            k->front_gone = k->quit = true;
        } else if (message.kind == CLI_LINK_GO) {
            k->go = true;
            k->terminal_now = message.value != 0;
        } else if (message.kind == CLI_LINK_QUIT && !is_signalled(k)) {
            k->quit = true;
            k->quit_signal = k->quit_signal != 0 ? k->quit_signal : message.value;
        }
    }
}

/* Front may have been stopped, and does not listen then: it is not waited for.  What counts is the last
 * stop, and the end. */
void cli_keeper_tell_front(struct cli_keeper *k)
{
    if (k->owed_stop != 0 && cli_link_send(k->link, CLI_LINK_STOPPED, k->owed_stop)) {
        k->owed_stop = 0;
    }
    if (k->owed_end && cli_link_send(k->link, CLI_LINK_ENDED, k->status)) {
        k->owed_end = false;
    }
}

/* Orphans of the command's are ours to reap as well. */
static void reap(struct cli_keeper *k)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    while (read(k->signals, &info, sizeof info) > 0) {
    }
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid == k->command && WIFSTOPPED(status)) {
            k->owed_stop = WSTOPSIG(status);
        } else if (pid == k->command) {
            k->reaped = true;
            k->status = status;
            k->owed_stop = 0;
        }
    }
    k->childless = pid < 0 && errno == ECHILD;
    if (pid == 0 && k->reaped && (k->ending != CLI_NOT_ENDING || k->front_gone)) {
        k->childless = cli_tree_spared_only();
    }
    k->group_gone |= k->command > 0 && !group_lives(k);
    atomic_store(&k->guard->group_gone, k->group_gone);
}

void cli_keeper_hear_of_exec(struct cli_keeper *k)
{
    k->exec_error = cli_command_exec_error(k->exec_fd);
    close(k->exec_fd);
    k->exec_fd = -1;
}

void cli_keeper_turn(struct cli_keeper *k, uint64_t until_ms)
{
    struct pollfd polls[6 + CLI_REPORT_POLLS];
    bool owes = k->owed_stop != 0 || k->owed_end;
    nfds_t n = 0;
    polls[n++] = (struct pollfd){.fd = zks_client_fd(k->client), .events = POLLIN};
    polls[n++] = (struct pollfd){.fd = k->signals, .events = POLLIN};
    polls[n++] = (struct pollfd){.fd = k->timer, .events = POLLIN};
    polls[n++] = (struct pollfd){.fd = k->front_gone ? -1 : k->link,
                                 .events = owes ? POLLIN | POLLOUT : POLLIN};
    polls[n++] = (struct pollfd){.fd = k->ward_gone ? -1 : k->job->ward, .events = POLLIN};
    polls[n++] = (struct pollfd){.fd = k->exec_fd, .events = POLLIN};
    n += cli_report_polls(&k->report, polls + n);
    cli_timer_set(k->timer, until_ms);
    (void)poll(polls, n, -1);
    zks_client_dispatch(k->client);
    reap(k);
    /* Also unasked: what ends the command may have ended front a moment before. */
    listen_to_front(k);
    if (polls[4].revents != 0) {
        k->ward_gone = k->quit = true;
    }
    if (k->exec_fd >= 0 && polls[5].revents != 0) {
        cli_keeper_hear_of_exec(k);
    }
    cli_keeper_tell_front(k);
    cli_report_flush(&k->report);
}
