/* SPDX-License-Identifier: Apache-2.0 */
#include "supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "duration.h"
#include "exit.h"
#include "fds.h"
#include "hold_file.h"
#include "tree.h"
#include "ward.h"
#include "who.h"

enum { LOOK_MS = 50, KILL_AGAIN_MS = 2, STUBBORN_MS = 1000 };

static bool is_lost(const struct cli_keeper *k, uint64_t safe_until)
{
    return k->claim.lost || (k->claim.lock == NULL && k->session_lost) ||
           zks_clock_ms() >= safe_until;
}

static void send_signal(struct cli_keeper *k, int sig)
{
    bool allowed = true;
    if (k->command > 0) {
        pid_t group = k->group_gone ? 0 : k->command;
        allowed = sig == SIGKILL ? cli_tree_kill(group, NULL) : cli_tree_signal(sig, group, NULL);
    } else if (k->job->ward >= 0 && !k->ward_gone) {
        allowed = cli_ward_signal(k->job->ward, sig);
    }
    k->denied = !allowed;
    if (!allowed && !k->denied_told) {
        cli_report_say(&k->report,
                       "%s: a process of the command belongs to another user and cannot be ended",
                       cli_keeper_path(k));
        k->denied_told = true;
    }
}

static void send_lost(struct cli_keeper *k)
{
    cJSON *event = cli_report_event(&k->report, "lost");
    if (event != NULL) {
        cJSON_AddStringToObject(event, "path", cli_keeper_path(k));
    }
    cli_report_send(&k->report, event);
}

void cli_supervise_tell_lost(struct cli_keeper *k, const char *what)
{
    send_lost(k);
    cli_report_say(&k->report, "%s: %s", cli_keeper_path(k), what);
}

/* The same while a command runs, or a process is held for. */
static void tell_ending(struct cli_keeper *k, const char *what)
{
    char left[CLI_AGE_SIZE];
    uint64_t now = zks_clock_ms();
    int64_t left_ms = k->kill_at_ms > now ? (int64_t)(k->kill_at_ms - now) : 0;
    bool anyone = k->command > 0 || k->job->ward >= 0;
    if (!anyone || k->job->on_loss != CLI_LOSS_KILL) {
        cli_supervise_tell_lost(k, what);
        return;
    }
    send_lost(k);
    if (k->ending == CLI_ASKED_TO_END) {
        cli_report_say(&k->report, "%s: %s; TERM was sent, KILL follows in %s", cli_keeper_path(k),
                       what, cli_age(left_ms, left));
    } else {
        cli_report_say(&k->report, "%s: %s; the command is killed", cli_keeper_path(k), what);
    }
}

/* Again and again, for what has been started since. */
static void kill_all(struct cli_keeper *k)
{
    atomic_store(&k->guard->ending, true);
    k->killed_ms = k->ending == CLI_KILLED ? k->killed_ms : zks_clock_ms();
    k->ending = CLI_KILLED;
    send_signal(k, SIGKILL);
}

/* When front is to do what we should have done. */
static void post_guard(struct cli_keeper *k, uint64_t safe_until)
{
    uint64_t half = (uint64_t)(k->lease.margin_ms / 2);
    uint64_t now = zks_clock_ms();
    bool ends = k->job->command == NULL && k->job->ward < 0; /* Front ends, and says so. */
    bool watched = k->claim.lock != NULL && (k->job->on_loss == CLI_LOSS_KILL || ends);
    uint64_t end = k->ending == CLI_NOT_ENDING ? safe_until : k->safe_until_ms;
    uint64_t dead_by = end > half ? end - half : 1;
    if (k->ending == CLI_ASKED_TO_END) {
        dead_by = cli_earlier(dead_by, k->kill_at_ms + half);
    } else if (k->ending == CLI_KILLED && dead_by < now + LOOK_MS + half) {
        dead_by = now + LOOK_MS + half; /* As long as we are at it. */
    }
    atomic_store(&k->guard->dead_by_ms,
                 watched && (ends || k->running || k->job->ward >= 0) ? dead_by : 0);
}

static void ask_to_end(struct cli_keeper *k, uint64_t now, uint64_t safe_until)
{
    atomic_store(&k->guard->ending, true);
    k->ending = CLI_ASKED_TO_END;
    k->kill_at_ms = cli_lease_kill_at(&k->lease, now, safe_until);
    send_signal(k, SIGTERM);
    send_signal(k, SIGCONT); /* One that has been stopped could not hear it. */
}

/* What is to be done about a lock that is about to be lost, or has been; returns when to look again. */
static uint64_t watch_lease(struct cli_keeper *k)
{
    (void)cli_keeper_fit(k);
    uint64_t safe_until = cli_claim_safe_until(&k->claim);
    uint64_t now = zks_clock_ms();
    uint64_t term_at = cli_lease_term_at(&k->lease, safe_until);
    bool gone = is_lost(k, safe_until);
    bool kills = k->job->on_loss == CLI_LOSS_KILL;
    if (k->ending == CLI_NOT_ENDING && !k->lost && (gone || now >= term_at)) {
        k->lost = true;
        k->safe_until_ms = safe_until;
        if (kills && gone && k->claim.lock != NULL) {
            kill_all(k); /* Somebody may hold it already. */
        } else if (kills) {
            ask_to_end(k, now, safe_until);
        } else if (k->job->on_loss == CLI_LOSS_SIGNAL) {
            send_signal(k, k->job->loss_signal);
        }
        tell_ending(k, gone ? "lost" : "cut off for too long, and given up");
    } else if (k->ending == CLI_ASKED_TO_END &&
               (now >= k->kill_at_ms || (k->claim.lock != NULL && gone))) {
        kill_all(k);
    }
    post_guard(k, safe_until);
    uint64_t next = now + (uint64_t)k->lease.look_ms;
    if (k->ending == CLI_ASKED_TO_END) {
        next = cli_earlier(next, k->kill_at_ms);
    } else if (k->ending == CLI_NOT_ENDING && !k->lost) {
        next = cli_earlier(next, term_at);
    }
    return next;
}

/* Whether something is left to wait for. */
static bool is_running(const struct cli_keeper *k)
{
    if (!k->reaped) {
        return true;
    }
    if (k->ending != CLI_NOT_ENDING || k->front_gone) {
        /* Whom we may not end keeps the lock, as long as it is ours to be kept. */
        bool in_vain = k->denied && k->lost && zks_clock_ms() >= k->killed_ms + STUBBORN_MS;
        return !k->childless && !(k->ending == CLI_KILLED && in_vain);
    }
    return k->job->wait_group && !k->group_gone;
}

static void tell_ended(struct cli_keeper *k)
{
    cJSON *event = cli_report_event(&k->report, "exited");
    if (event != NULL && WIFSIGNALED(k->status)) {
        cJSON_AddNumberToObject(event, "signal", WTERMSIG(k->status));
    } else if (event != NULL) {
        cJSON_AddNumberToObject(event, "code", WEXITSTATUS(k->status));
    }
    cli_report_send(&k->report, event);
}

static int exit_of_run(struct cli_keeper *k)
{
    if (k->exec_error != 0) {
        cli_report_say(&k->report, "%s: %s", k->job->command[0], strerror(k->exec_error));
        return k->exec_error == ENOENT ? CLI_NOT_FOUND : CLI_CANNOT_RUN;
    }
    return k->lost ? CLI_LOST : cli_exit_of_wait(k->status);
}

/* Runs the command to its end and, where that is asked for or the lock is lost, to that of all it has
 * started.  The guard is posted before there is anything to guard. */
static int run(struct cli_keeper *k, const struct cli_facts *facts)
{
    bool told = false;
    k->running = true;
    (void)watch_lease(k);
    pid_t command = k->lost ? 0 : cli_command_start(k->job, facts, k->terminal_now, &k->exec_fd);
    if (command <= 0) {
        if (command < 0) {
            cli_report_say(&k->report, "%s: %s", k->job->command[0], strerror(errno));
        }
        k->running = false;
        atomic_store(&k->guard->dead_by_ms, 0);
        return k->lost ? CLI_LOST : CLI_SYSTEM;
    }
    k->command = command;
    cli_link_send(k->link, CLI_LINK_STARTED, (int)command);
    while (is_running(k)) {
        uint64_t next = watch_lease(k);
        if (k->ending == CLI_KILLED || k->front_gone) {
            kill_all(k);
        }
        if (k->reaped && k->exec_fd >= 0) {
            cli_keeper_hear_of_exec(k); /* It has died on the way, and left its reason. */
        }
        if (k->reaped && k->exec_error == 0 && !told) {
            tell_ended(k);
            told = true;
        }
        bool fresh = k->ending == CLI_KILLED && zks_clock_ms() < k->killed_ms + STUBBORN_MS;
        uint64_t tick = zks_clock_ms() + (fresh ? KILL_AGAIN_MS : LOOK_MS);
        cli_keeper_turn(k, k->reaped || k->ending == CLI_KILLED ? cli_earlier(next, tick) : next);
    }
    /* What ended while it was sure to be held has been held to its end. */
    k->lost |= is_lost(k, cli_claim_safe_until(&k->claim));
    k->running = false;
    atomic_store(&k->guard->dead_by_ms, 0);
    if (k->exec_fd >= 0) {
        cli_keeper_hear_of_exec(k);
    }
    if (!told && k->exec_error == 0) {
        tell_ended(k);
    }
    k->owed_end = true;
    cli_keeper_tell_front(k);
    return exit_of_run(k);
}

/* Without a command: until front has had enough, the ward has ended, or it is lost. */
static int hold(struct cli_keeper *k)
{
    bool kills = k->job->ward >= 0 && k->job->on_loss == CLI_LOSS_KILL;
    atomic_store(&k->guard->hold, CLI_HOLD_HELD);
    while (!k->quit) {
        uint64_t next = watch_lease(k);
        if (k->lost && (!kills || k->ending == CLI_KILLED)) {
            break;
        }
        cli_keeper_turn(k, next);
    }
    if (k->front_gone && kills) {
        kill_all(k); /* It must not believe that it is still held. */
    }
    if (k->lost) {
        atomic_store(&k->guard->hold, CLI_HOLD_LOST);
    }
    atomic_store(&k->guard->dead_by_ms, 0);
    return k->lost ? CLI_LOST : CLI_OK;
}

/* A person who looks at a terminal does not see what a hold waits for. */
static const char *how_it_ends(const struct cli_keeper *k)
{
    return !cli_keeper_is_watched(k) ? ""
           : k->job->ward >= 0       ? "; released when the process ends, or by Ctrl-C"
           : isatty(STDIN_FILENO)    ? "; Ctrl-D or Ctrl-C releases it"
                                     : "; Ctrl-C releases it";
}

static void tell_held(struct cli_keeper *k, const struct cli_facts *facts)
{
    struct cli_link message;
    memset(&message, 0, sizeof message);
    message.kind = CLI_LINK_HELD;
    message.token = facts->token;
    snprintf(message.node, sizeof message.node, "%s", facts->node);
    (void)!send(k->link, &message, sizeof message, MSG_NOSIGNAL);
    cJSON *event = cli_report_event(&k->report, "acquired");
    if (event != NULL) {
        cJSON_AddStringToObject(event, "path", facts->path);
        if (k->claim.lock != NULL) {
            cJSON_AddStringToObject(event, "node", facts->node);
            cli_json_number(event, "token", facts->token);
        }
    }
    cli_report_send(&k->report, event);
    if (k->claim.lock != NULL) {
        cli_report_tell(&k->report, "%s: held, token %llu%s", facts->path,
                        (unsigned long long)facts->token, how_it_ends(k));
    } else {
        cli_report_tell(&k->report, "%s: all %u are here", facts->path, (unsigned)k->job->n);
    }
}

/* Held so shortly that the command would have to be ended at once is not enough: the lease of one who
 * has just got a lock grows by itself.  CLI_OK, or the exit code. */
static int wait_for_lease(struct cli_keeper *k)
{
    uint64_t safe_until;
    while (!k->quit && !is_lost(k, safe_until = cli_claim_safe_until(&k->claim))) {
        if (!cli_keeper_fit(k)) {
            return CLI_USAGE;
        }
        if (k->go && (safe_until == UINT64_MAX ||
                      safe_until >= zks_clock_ms() + (uint64_t)k->lease.enough_ms)) {
            return CLI_OK;
        }
        cli_keeper_turn(k, zks_clock_ms() + (uint64_t)k->lease.look_ms);
    }
    return CLI_LOST;
}

/* Whoever reads what the starter has written, such as cron, waits for the end of it. */
static void let_go_of_output(struct cli_keeper *k)
{
    cli_report_mute(&k->report);
    (void)cli_fds_null(STDERR_FILENO);
}

int cli_supervise(struct cli_keeper *k)
{
    char node[CLI_PATH_SIZE];
    cli_claim_node(&k->claim, node);
    struct cli_facts facts = {.path = cli_keeper_path(k), .node = node};
    facts.token = k->claim.lock != NULL ? zks_rwlock_token(k->claim.lock) : 0;
    facts.id = k->claim.barrier != NULL ? zks_double_barrier_id(k->claim.barrier) : NULL;
    tell_held(k, &facts);
    if (k->job->background) {
        let_go_of_output(k);
    }
    if (k->job->command == NULL) {
        return hold(k);
    }
    int code = wait_for_lease(k);
    if (code == CLI_OK) {
        return run(k, &facts);
    }
    if (code == CLI_LOST && !k->quit) {
        k->lost = true;
        cli_supervise_tell_lost(k, "lost before the command was started");
    }
    return code;
}
