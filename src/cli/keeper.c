/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper: gets what is wanted, has it supervised while it is held, and lets go of it. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "busy.h"
#include "client.h"
#include "exit.h"
#include "hold_file.h"
#include "marker.h"
#include "namesake.h"
#include "supervise.h"
#include "timer.h"
#include "who.h"

enum { RELEASE_MS = 5000, PROBE_MS = 1000 };

static uint64_t after(uint64_t from_ms, int64_t ms)
{
    return ms == ZKS_FOREVER ? UINT64_MAX : from_ms + (uint64_t)ms;
}

/* An error that a call has returned, not an operation. */
static int fail_at_once(struct cli_keeper *k, int error)
{
    char message[CLI_MESSAGE_SIZE];
    cli_explain(cli_keeper_path(k), error, message);
    cli_report_say(&k->report, "%s", message);
    return cli_exit_of(error, k->job->busy_code);
}

/* A busy lock and a time that is over are told by the exit code. */
static int fail(struct cli_keeper *k, int error)
{
    char why[CLI_MESSAGE_SIZE];
    const char *servers = k->job->settings->servers;
    int64_t wait_ms = k->job->wait_ms;
    int64_t probe_ms = wait_ms > 0 && wait_ms < PROBE_MS ? wait_ms : PROBE_MS;
    if (error == ZKS_EDISCONNECTED || error == ZKS_EVERSION) {
        (void)zks_client_probe(k->client, probe_ms, why, sizeof why);
        cli_report_say(&k->report, "%s", why);
    } else if (error == ZKS_EEXIST && k->claim.barrier != NULL) {
        cli_namesake(k->client, k->job->path, zks_double_barrier_id(k->claim.barrier), PROBE_MS,
                     why);
        cli_report_say(&k->report, "%s: %s", cli_keeper_path(k), why);
    } else if (error == ZKS_EBUSY || error == ZKS_ETIMEDOUT) {
        cli_busy_report(&k->report, &k->claim, error);
    } else if (error == ZKS_ENOCHROOT) {
        cli_report_say(&k->report, "%s: the root does not exist on the servers",
                       strchr(servers, '/'));
    } else {
        cli_report_say(&k->report, "%s: %s", error == ZKS_EAUTH ? servers : cli_keeper_path(k),
                       zks_strerror(error));
    }
    return cli_exit_of(error, k->job->busy_code);
}

static bool is_connected(const struct cli_keeper *k)
{
    enum zks_client_state state = zks_client_get_state(k->client);
    return state == ZKS_CLIENT_CONNECTED || state == ZKS_CLIENT_RECONNECTED;
}

static bool is_try(const struct cli_keeper *k)
{
    return k->job->wait_ms == 0;
}

/* A try needs a connection whenever it starts, a wait has needed one at first. */
static bool is_ready(const struct cli_keeper *k)
{
    return k->connected && (!is_try(k) || is_connected(k));
}

/* Starts an operation once it may start, and waits for its end.  False if the lease does not fit, which has been
 * said. */
static bool run_op(struct cli_keeper *k, int (*start)(struct cli_keeper *k, int64_t left_ms))
{
    int64_t patience = k->job->settings->connect_timeout_ms;
    uint64_t deadline = after(k->job->started_ms, k->job->wait_ms);
    uint64_t connect_by = after(k->job->started_ms, patience);
    bool started = false;
    bool fits = true;
    connect_by = k->job->wait_ms != 0 ? cli_earlier(connect_by, deadline) : connect_by;
    zks_op_init(&k->op, cli_keeper_on_done, k);
    k->op_done = false;
    while (!k->op_done) {
        uint64_t now = zks_clock_ms();
        bool late = !is_ready(k) && now >= connect_by;
        fits = fits && (!k->connected || cli_keeper_fit(k));
        if (started && (k->quit || late || !fits)) {
            zks_op_cancel(&k->op);
        } else if (!started && (k->quit || late || !fits || k->session_lost)) {
            k->op_done = true;
            k->op_result = late ? ZKS_EDISCONNECTED : ZKS_ECANCELED;
        } else if (!started && (!is_try(k) || is_ready(k))) {
            int64_t left = k->job->wait_ms <= 0 ? k->job->wait_ms
                           : deadline > now     ? (int64_t)(deadline - now)
                                                : 1;
            k->op_result = start(k, left);
            started = k->op_result == 0;
            k->op_done = !started;
        }
        if (!k->op_done) {
            cli_keeper_turn(k, cli_earlier(cli_progress_turn(&k->progress),
                                           is_ready(k) ? UINT64_MAX : connect_by));
        }
        /* Cut off in the middle of it: to connect again is not waiting for others either. */
        if (k->op_done && started && is_try(k) && k->op_result == ZKS_EDISCONNECTED &&
            now < connect_by) {
            started = k->op_done = false;
            zks_op_init(&k->op, cli_keeper_on_done, k);
        }
    }
    if (k->op_result == 0) {
        k->session_lost = false; /* It was of one in which we only waited. */
    }
    /* The first connection and the end of the operation can be told in one turn. */
    return fits && (k->op_result != 0 || cli_keeper_fit(k));
}

/* 0, or an error; ZKS_ECANCELED only if front wants no more. */
static int result_of(struct cli_keeper *k, int (*start)(struct cli_keeper *k, int64_t left_ms))
{
    if (!run_op(k, start)) {
        return ZKS_EPERM;
    }
    bool canceled = k->op_result == ZKS_ECANCELED;
    /* Whether the lock is free is not known then. */
    bool unreachable = k->op_result == ZKS_ETIMEDOUT && !is_connected(k);
    return canceled && k->session_lost && !k->connected ? ZKS_EAUTH
           : (canceled || unreachable) && !k->quit      ? ZKS_EDISCONNECTED
                                                        : k->op_result;
}

static int start_look(struct cli_keeper *k, int64_t left_ms)
{
    int64_t limit_ms = left_ms == 0 ? k->job->settings->connect_timeout_ms : left_ms;
    return zks_observer_next_op(k->markers, limit_ms, &k->op);
}

static int start_claim(struct cli_keeper *k, int64_t left_ms)
{
    return cli_claim_acquire(&k->claim, left_ms, &k->op);
}

static int say_nested(struct cli_keeper *k, const struct zks_contender *holder)
{
    char who[CLI_WHO_SIZE];
    cli_report_say(&k->report,
                   "%s: this process runs under this lock already, held by %s with token %" PRIu64
                   ", and would wait for itself",
                   cli_keeper_path(k), cli_who(holder->data, who), holder->token);
    cli_report_say(&k->report, "%s: to wait all the same, unset ZKSYNC_HELD", cli_keeper_path(k));
    return ZKS_EDEADLK;
}

/* A command that asks for a lock under which it runs waits for itself.  Markers can be stale, so the servers are
 * asked.  Nothing depends on how old the answer is: the lock itself keeps others out. */
static int check_markers(struct cli_keeper *k)
{
    int rc;
    if (k->claim.lock == NULL || !cli_marker_exists(k->job->settings, k->job->path)) {
        return 0;
    }
    rc = zks_observer_new(k->client, k->job->path, true, &k->markers);
    rc = rc != 0 ? rc : result_of(k, start_look);
    if (rc == 0) {
        struct zks_view *view = zks_observer_take(k->markers);
        const struct zks_contender *holder =
            view != NULL ? cli_marker_holder(k->job->settings, k->job->path, view) : NULL;
        if (holder != NULL) {
            rc = say_nested(k, holder);
        } else {
            cli_report_tell(&k->report, "%s: ignoring ZKSYNC_HELD, which names an earlier lock",
                            cli_keeper_path(k));
        }
        zks_view_free(view);
    }
    zks_observer_free(k->markers);
    /* A question that is not answered in time is not a busy lock. */
    return rc == ZKS_ETIMEDOUT ? ZKS_EDISCONNECTED : rc;
}

static int acquire(struct cli_keeper *k)
{
    int rc = check_markers(k);
    if (rc == 0) {
        cli_progress_start(&k->progress, &k->claim, &k->report);
        rc = result_of(k, start_claim);
        cli_progress_stop(&k->progress);
        cli_report_live(&k->report, "");
    }
    return rc;
}

/* ---- Letting go of it ---- */

/* A double barrier is left when all have left it.  A lock is released by the end of the session as well,
 * so servers that do not answer are not waited for without an end. */
static int release(struct cli_keeper *k, int code)
{
    bool lock = k->claim.lock != NULL;
    bool wanted = false;
    k->op_done = false;
    k->quit =
        k->job->command == NULL ? k->front_gone : k->quit; /* That was what a hold ended by. */
    if (k->lost && !lock) {
        return code; /* To the others we have died, and the servers may not answer. */
    }
    uint64_t safe_until = lock ? cli_claim_safe_until(&k->claim) : 0;
    int64_t patience = !lock ? ZKS_FOREVER : k->lost ? 0 : RELEASE_MS;
    if (cli_claim_release(&k->claim, patience, &k->op) != 0) {
        return code;
    }
    while (!k->op_done) {
        if ((k->quit || (!lock && k->session_lost)) && !wanted) {
            zks_op_cancel(&k->op);
            wanted = true;
        }
        cli_keeper_turn(k, UINT64_MAX);
    }
    if (!lock && (k->op_result == ZKS_ELOST || k->session_lost)) {
        k->lost = true;
        cli_supervise_tell_lost(k, "lost while the others were waited for");
        code = CLI_LOST;
    }
    /* While the lease lasts it can be lost only by the hand of somebody who has removed the znode. */
    if (lock && !k->lost && k->op_result == ZKS_ELOST && zks_clock_ms() < safe_until) {
        k->lost = true;
        atomic_store(&k->guard->hold, CLI_HOLD_LOST);
        cli_supervise_tell_lost(k, "lost before it was released");
        code = CLI_LOST;
    }
    if (!k->lost) {
        atomic_store(&k->guard->hold, k->op_result == 0 ? CLI_HOLD_RELEASED : CLI_HOLD_UNCONFIRMED);
        cJSON *event = cli_report_event(&k->report, "released");
        if (event != NULL) {
            cJSON_AddBoolToObject(event, "confirmed", k->op_result == 0);
        }
        cli_report_send(&k->report, event);
        if (k->op_result != 0 && k->op_result != ZKS_ECANCELED) {
            cli_report_tell(&k->report, "%s: released when the session ends: %s",
                            cli_keeper_path(k), zks_strerror(k->op_result));
        }
    }
    return code;
}

/* A hold that ended before it held the lock has not done its work.  If it was ended by a signal, front dies of that
 * signal, and nothing needs to be said. */
static int never_held(struct cli_keeper *k)
{
    if (k->job->command != NULL || k->front_gone || k->quit_signal != 0) {
        return CLI_OK;
    }
    cJSON *event = cli_report_event(&k->report, "busy");
    (void)cJSON_AddStringToObject(event, "path", cli_keeper_path(k));
    cli_report_send(&k->report, event);
    cli_report_say(&k->report, "%s: not held: %s", cli_keeper_path(k),
                   k->ward_gone ? "the process to hold it for has ended"
                                : "standard input has ended");
    return k->job->busy_code;
}

static int work(struct cli_keeper *k)
{
    zks_client_options options = cli_client_options(k->job->settings);
    char identity[ZKS_IDENTITY_MAX + 1]; /* Of a long name, the beginning. */
    options.connect_timeout_ms = 0;
    options.manual_dispatch = true;
    options.listener = cli_keeper_listener;
    options.listener_arg = k;
    options.pid = getppid();
    (void)snprintf(identity, sizeof identity, "%s",
                   k->job->command != NULL ? cli_basename(k->job->command[0]) : k->job->name);
    options.identity = identity;
    options.reason = k->job->reason;
    int rc = zks_client_open(&options, &k->client);
    if (rc != 0) {
        return fail_at_once(k, rc);
    }
    rc = cli_claim_new(&k->claim, k->job, k->client);
    if (rc == ZKS_ETOOMANY) {
        cli_report_say(&k->report, "%s", zks_last_error());
        return CLI_USAGE;
    }
    if (rc != 0) {
        return fail_at_once(k, rc);
    }
    rc = acquire(k);
    if (rc == ZKS_EPERM || rc == ZKS_EDEADLK) {
        return CLI_USAGE; /* It has been said why. */
    }
    if (rc != 0) {
        return rc == ZKS_ECANCELED ? never_held(k) : fail(k, rc);
    }
    return release(k, cli_supervise(k));
}

static bool begin(struct cli_keeper *k)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)prctl(PR_SET_NAME, "zksync-keeper");
    k->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    k->timer = cli_timer_open();
    return k->signals >= 0 && k->timer >= 0;
}

int cli_keeper(const struct cli_job *job, int link, struct cli_guard *guard)
{
    struct cli_keeper k;
    memset(&k, 0, sizeof k);
    k.job = job;
    k.link = link;
    k.guard = guard;
    k.exec_fd = -1;
    cli_report_init(&k.report, job->settings->verbose > 0 || cli_keeper_is_watched(&k),
                    job->status_fd);
    int code = begin(&k) ? work(&k) : CLI_SYSTEM;
    cli_claim_free(&k.claim);
    zks_client_close(k.client);
    cli_report_close(&k.report);
    return code;
}
