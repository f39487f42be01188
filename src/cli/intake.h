/* SPDX-License-Identifier: Apache-2.0 */
/* What the keeper knows, and how it comes to know it: from the client, from front, from the command.
 * cli_keeper_turn() is the only place where it waits. */
#ifndef ZKS_CLI_INTAKE_H
#define ZKS_CLI_INTAKE_H

#include "claim.h"
#include "lease.h"
#include "progress.h"
#include "report.h"

enum cli_ending { CLI_NOT_ENDING, CLI_ASKED_TO_END, CLI_KILLED };

struct cli_keeper {
    const struct cli_job *job;
    struct cli_guard *guard;
    int link;
    int signals; /* signalfd for SIGCHLD. */
    int timer;
    struct cli_report report;
    zks_client *client;
    struct cli_claim claim;
    struct cli_progress progress;
    struct cli_lease lease;

    zks_observer *markers; /* While the servers are asked for the znodes that ZKSYNC_HELD names. */
    zks_op op;
    bool op_done;
    int op_result;

    bool connected;    /* At least once. */
    bool session_lost; /* As the client says; for a double barrier. */
    bool front_gone;
    bool quit;       /* Front wants no more. */
    int quit_signal; /* The signal by which it ends; 0 for the end of input. */
    bool go;
    bool terminal_now;
    bool ward_gone;

    bool running;  /* From right before the start of the command until its end. */
    pid_t command; /* 0 where none has been started. */
    int exec_fd;   /* Tells when the command itself runs; -1 where that is known. */
    int exec_error;
    bool reaped;
    int status;
    bool group_gone; /* Its process group is empty, and the number may be used again. */
    bool childless;  /* Nothing that it has started is left. */
    int owed_stop;   /* Front is still to be told of this. */
    bool owed_end;
    enum cli_ending ending;
    bool lost;
    uint64_t safe_until_ms; /* As it was when the ending began. */
    uint64_t kill_at_ms;
    uint64_t killed_ms;
    bool denied; /* There is somebody whom we may not signal. */
    bool denied_told;
};

static inline uint64_t cli_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* cli_keeper_is_watched: whether it is a hold in the foreground of a terminal, which tells a person what it
 * does without -v. */
bool cli_keeper_is_watched(const struct cli_keeper *k);

/* cli_keeper_path: the path as the user can give it. */
const char *cli_keeper_path(const struct cli_keeper *k);

/* cli_keeper_fit: adapts the lease to the session timeout that is granted now.  Reports and returns
 * false if the requested grace does not fit the new timeout, once per change; the grace is then shortened. */
bool cli_keeper_fit(struct cli_keeper *k);

/* cli_keeper_turn: waits until something happens, or the time has come, and takes notice of it. */
void cli_keeper_turn(struct cli_keeper *k, uint64_t until_ms);

/* cli_keeper_hear_of_exec: takes what the pipe of a command that is being started has brought. */
void cli_keeper_hear_of_exec(struct cli_keeper *k);

/* cli_keeper_tell_front: what front is still to be told, where it listens. */
void cli_keeper_tell_front(struct cli_keeper *k);

/* cli_keeper_listener, cli_keeper_on_done: the client's listener, and the completion of k->op. */
void cli_keeper_listener(zks_client *client, enum zks_client_state state, void *arg);
void cli_keeper_on_done(zks_op *op, int result, void *arg);

#endif
