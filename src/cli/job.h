/* SPDX-License-Identifier: Apache-2.0 */
/* A job: something to be held, and what is to be done meanwhile.
 *
 * Two processes carry it out, and each guards the other:
 *
 *   front    is what the user started and sees.  It has the terminal, passes signals on, and ends with
 *            the job's exit code.  It may be stopped (Ctrl-Z) without harm.
 *   keeper   its child, in a process group of its own: has the session with the servers, starts the
 *            command, and ends it before the session can end.
 *
 * Where front dies, however it dies, the keeper kills the command, then releases what it holds.  Where
 * the keeper dies, or does not do its duty in time, front kills the command.  Both are subreapers, so
 * that whatever the command has started can be found by either. */
#ifndef ZKS_CLI_JOB_H
#define ZKS_CLI_JOB_H

#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "settings.h"

enum cli_claim_kind { CLI_CLAIM_READ, CLI_CLAIM_WRITE, CLI_CLAIM_ROUND };

enum cli_on_loss { CLI_LOSS_KILL, CLI_LOSS_WARN, CLI_LOSS_SIGNAL };

struct cli_job {
    struct cli_settings *settings;
    const char *name; /* The subcommand. */
    enum cli_claim_kind kind;
    char path[CLI_PATH_SIZE]; /* The znode's. */
    const char *reason;       /* NULL for none. */
    uint32_t n;               /* Of a double barrier. */
    const char *id;           /* The same. */
    int64_t wait_ms;          /* 0 tries, ZKS_FOREVER waits without limit. */
    int busy_code;
    int64_t grace_ms; /* Between TERM and KILL; -1 for the default. */
    enum cli_on_loss on_loss;
    int loss_signal;
    bool wait_group;
    int status_fd;  /* -1 for none. */
    char *string;   /* For a shell to run; NULL for none. */
    char **command; /* NULL: it is only held. */
    int ward; /* pidfd of the process that it is held for, and no longer than it lives; -1 for none. */
    bool background; /* A hold that goes on when its starter has ended. */
    int ready_fd;    /* Where to write, once it is held, what a shell is to eval; -1 for none. */

    /* Set by cli_front(). */
    uint64_t started_ms;
    sigset_t mask;      /* As it was when the program started. */
    bool child_ignored; /* SIGCHLD was, when the program started. */
    int terminal;       /* -1 for none. */
};

/* What both processes see, and of a hold's others too (hold_file.h).  `dead_by_ms`: by when (zks_clock_ms()) the command must be dead; 0 where there is
 * nothing to watch. */
struct cli_guard {
    _Atomic uint32_t hold; /* An enum cli_hold_state. */
    _Atomic uint64_t dead_by_ms;
    _Atomic bool
        ending; /* The keeper is ending the command, for the lock is lost or about to be. */
    _Atomic bool group_gone; /* The command's group is empty, and its number may be used again. */
};

/* What they say to each other. */
enum cli_link_kind {
    CLI_LINK_HELD,    /* Keeper: it is held. */
    CLI_LINK_STARTED, /* Keeper: the command runs, with this process id. */
    CLI_LINK_STOPPED, /* Keeper: it has been stopped, by this signal. */
    CLI_LINK_ENDED,   /* Keeper: it has ended, with this status of waitpid(). */
    CLI_LINK_GO,      /* Front: start the command; 1 to give it the terminal. */
    CLI_LINK_QUIT     /* Front: do not wait, or hold, any longer. */
};

struct cli_link {
    enum cli_link_kind kind;
    int value;
    uint64_t token;           /* Of CLI_LINK_HELD. */
    char node[CLI_PATH_SIZE]; /* The same. */
};

/* cli_link_send: never waits: false where the other one is gone, or does not listen.
 * cli_link_receive: 1, 0 where nothing has come, -1 where the other one is gone. */
bool cli_link_send(int fd, enum cli_link_kind kind, int value);
int cli_link_receive(int fd, struct cli_link *message);

/* cli_front: carries the job out; returns the exit code, or dies by the signal that ended it. */
int cli_front(struct cli_job *job);

/* cli_keeper: in the child; returns the exit code. */
int cli_keeper(const struct cli_job *job, int link, struct cli_guard *guard);

#endif
