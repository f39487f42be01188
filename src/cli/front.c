/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "exit.h"
#include "fds.h"
#include "hold_file.h"
#include "job.h"
#include "notify.h"
#include "signals.h"
#include "terminal.h"
#include "timer.h"
#include "tree.h"
#include "ward.h"

enum { STUBBORN_MS = 5000, KILL_AGAIN_MS = 2 };

enum phase {
    WAITING, /* For the lock. */
    HOLDING, /* It is held, and no command is to run. */
    STARTING,
    RUNNING,
    LEAVING /* The command has ended. */
};

struct front {
    struct cli_job *job;
    struct cli_guard *guard;
    pid_t keeper;
    bool keeper_ended;
    int keeper_status; /* Of waitpid(). */
    int hold_file;     /* -1 where there is a command. */
    bool told_stopping;
    int link;
    struct cli_signals signals;
    int timer;
    bool watches_input; /* A hold ends with its input. */
    bool keeper_silent; /* It has closed its end. */
    enum phase phase;
    sigset_t early; /* That came while the command was being started. */
    int dying_by;   /* The signal by which we are to die; 0 for none. */
    bool hung_up;   /* The command has been told that it will not get the terminal. */
    struct cli_tree_others others;
    pid_t command;
    int status;
    bool at_terminal; /* The command has been given the terminal, or has wanted it. */
};

/* ---- The command, as seen from the terminal ---- */

/* A real-time signal with a value is for one process.  False where there is nobody left to get it. */
static bool to_command(const struct front *f, const struct signalfd_siginfo *info)
{
    int sig = (int)info->ssi_signo;
    if (atomic_load(&f->guard->group_gone)) {
        return false;
    }
    if (sig >= SIGRTMIN && info->ssi_code == SI_QUEUE) {
        union sigval value = {.sival_ptr = (void *)(uintptr_t)info->ssi_ptr};
        return sigqueue(f->command, sig, value) == 0 || errno != ESRCH;
    }
    bool sent = kill(-f->command, sig) == 0 || errno != ESRCH;
    pid_t group = getpgid(f->command);
    if (group > 0 && group != f->command) { /* It has gone to another group. */
        sent |= kill(f->command, sig) == 0;
    }
    return sent;
}

static void send_to_command(const struct front *f, int sig)
{
    (void)to_command(f, &(struct signalfd_siginfo){.ssi_signo = (uint32_t)sig});
}

/* It goes on, and where it has had the terminal, in the foreground if we are there. */
static void resume_command(const struct front *f)
{
    if (f->at_terminal && cli_terminal_ours(f->job->terminal)) {
        cli_terminal_give(f->job->terminal, f->command);
    }
    send_to_command(f, SIGCONT);
}

/* ---- Signals ---- */

static void kill_keeper(const struct front *f)
{
    if (!f->keeper_ended) {
        (void)kill(f->keeper, SIGKILL);
    }
}

/* A hold is a service without a command that could tell systemd(1) itself. */
static bool notifies(const struct front *f)
{
    return f->job->command == NULL && !f->job->background;
}

static void tell_waiting(const struct front *f)
{
    char line[CLI_PATH_SIZE + 40];
    if (notifies(f)) {
        snprintf(line, sizeof line, "STATUS=waiting for %s",
                 cli_short_path(f->job->settings, f->job->path));
        cli_notify(line);
    }
}

static void tell_stopping(struct front *f)
{
    if (notifies(f) && !f->told_stopping) {
        f->told_stopping = true;
        cli_notify("STOPPING=1");
    }
}

/* The first one asks for an orderly end, the second one does not wait for it: what we hold then goes
 * with the session. */
static void end_by(struct front *f, int sig)
{
    if (f->dying_by != 0) {
        kill_keeper(f);
    }
    tell_stopping(f);
    f->dying_by = f->dying_by != 0 ? f->dying_by : sig;
    cli_link_send(f->link, CLI_LINK_QUIT, sig);
}

/* The one that ends us of those that came while the command was being started; 0 for none. */
static int first_early(const struct front *f)
{
    for (int sig = 1; sig < NSIG; sig++) {
        if (cli_signals_ends(&f->signals, sig) && sigismember(&f->early, sig) == 1) {
            return sig;
        }
    }
    return 0;
}

/* It is the command's as soon as there is one; until then it ends us. */
static void take_early(struct front *f, int sig)
{
    if (cli_signals_ends(&f->signals, sig) && first_early(f) != 0) {
        kill_keeper(f); /* The second one. */
    }
    sigaddset(&f->early, sig);
    if (cli_signals_ends(&f->signals, sig)) {
        cli_link_send(f->link, CLI_LINK_QUIT, sig);
    }
}

/* From `zksync release`, which waits: it is in no hurry, however often it is sent. */
static bool is_release(const struct front *f, const struct signalfd_siginfo *info)
{
    return f->job->command == NULL && info->ssi_signo == SIGTERM && info->ssi_code == SI_QUEUE &&
           info->ssi_int == CLI_HOLD_RELEASE;
}

static void take_signal(struct front *f, const struct signalfd_siginfo *info)
{
    int sig = (int)info->ssi_signo;
    if (is_release(f, info)) {
        if (f->dying_by == 0) {
            end_by(f, sig);
        }
    } else if (f->phase == RUNNING && sig == SIGCONT) {
        resume_command(f);
    } else if (f->phase == RUNNING && to_command(f, info)) {
        return;
    } else if (f->phase == STARTING) {
        take_early(f, sig);
    } else if (cli_signals_ends(&f->signals, sig)) {
        end_by(f, sig);
    } else if (sig == SIGTSTP && sigismember(&f->signals.wanted, sig) == 1) {
        cli_stop_self(SIGTSTP, false);
    }
}

/* Whether there was one that ends whoever does not handle it. */
static bool take_all_signals(struct front *f)
{
    struct signalfd_siginfo info;
    bool ending = false;
    while (cli_signals_next(&f->signals, &info)) {
        take_signal(f, &info);
        ending |= cli_signals_ends(&f->signals, (int)info.ssi_signo);
    }
    return ending;
}

static void pass_early_signals(struct front *f)
{
    for (int sig = 1; sig < NSIG; sig++) {
        if (sigismember(&f->early, sig) == 1) {
            take_signal(f, &(struct signalfd_siginfo){.ssi_signo = (uint32_t)sig});
        }
    }
    cli_signals_hear(&f->signals, true);
}

/* ---- Stops ---- */

/* Whether a SIGCONT has come, which is why we go on.  It is used up: one that is heeded later could undo the
 * next stop. */
static bool was_continued(void)
{
    const struct timespec now = {0, 0};
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGCONT);
    return sigtimedwait(&one, NULL, &now) == SIGCONT;
}

/* One that has been stopped because it wants the terminal gets it where it is ours to give.  Otherwise
 * the whole job stops, so that the shell sees it, until the shell lets it go on.  A stop that did not come
 * from the terminal is the command's alone. */
static void command_stopped(struct front *f, int sig)
{
    int terminal = f->job->terminal;
    bool wants_it = sig == SIGTTIN || sig == SIGTTOU;
    f->at_terminal |= wants_it;
    if (wants_it && cli_terminal_ours(terminal)) {
        resume_command(f);
        return;
    }
    if (sig == SIGSTOP || terminal < 0) {
        return;
    }
    if (take_all_signals(f)) {
        resume_command(f); /* What was sent to a stopped job is to reach it first. */
        return;
    }
    bool had_it = tcgetpgrp(terminal) == f->command;
    cli_terminal_take(terminal, f->command);
    cli_stop_self(sig, had_it || wants_it);
    bool orphaned = !was_continued(); /* Nobody is there to let us go on, so we were not stopped. */
    (void)take_all_signals(f); /* Before it goes on: `kill` of a stopped job sends one first. */
    if (!orphaned || !wants_it || cli_terminal_ours(terminal)) {
        resume_command(f);
    } else if (!f->hung_up) {
        f->hung_up = true; /* As the system does with those that nobody can bring back. */
        send_to_command(f, SIGHUP);
        send_to_command(f, SIGCONT);
    }
}

/* ---- The keeper ---- */

/* If nobody can be told, nobody knows that it is held. */
static void tell_shell(struct front *f, const struct cli_link *message)
{
    struct cli_facts facts = {.path = cli_short_path(f->job->settings, f->job->path),
                              .node = message->node,
                              .token = message->token};
    char *text = cli_command_exports(f->job, &facts, getpid());
    if (text == NULL || write(f->job->ready_fd, text, strlen(text)) < 0) {
        end_by(f, SIGTERM);
    }
    free(text);
    close(f->job->ready_fd);
    f->job->ready_fd = -1;
    (void)cli_fds_null(STDERR_FILENO);
}

static void tell_service(const struct front *f, const struct cli_link *message)
{
    char lines[CLI_PATH_SIZE + 80];
    if (notifies(f)) {
        snprintf(lines, sizeof lines, "READY=1\nSTATUS=holding %s, token %" PRIu64,
                 cli_short_path(f->job->settings, f->job->path), message->token);
        cli_notify(lines);
    }
}

static void held(struct front *f, const struct cli_link *message)
{
    if (f->job->command == NULL && f->dying_by == 0) {
        f->phase = HOLDING;
        if (f->job->ready_fd >= 0) {
            tell_shell(f, message);
        }
        tell_service(f, message);
    } else if (f->job->command != NULL && f->dying_by == 0) {
        f->phase = STARTING;
        cli_signals_hear(&f->signals, false);
        f->at_terminal = cli_terminal_at_once(f->job->terminal);
        cli_link_send(f->link, CLI_LINK_GO, f->at_terminal);
    }
}

static void listen_to_keeper(struct front *f)
{
    struct cli_link message;
    int got;
    while (!f->keeper_silent && (got = cli_link_receive(f->link, &message)) != 0) {
        if (got < 0) {
            f->keeper_silent = true;
            return;
        }
        switch (message.kind) {
        case CLI_LINK_HELD:
            held(f, &message);
            break;
        case CLI_LINK_STARTED:
            f->command = message.value;
            f->phase = RUNNING;
            pass_early_signals(f);
            break;
        case CLI_LINK_STOPPED:
            command_stopped(f, message.value);
            break;
        case CLI_LINK_ENDED:
            cli_terminal_take(f->job->terminal, f->command);
            f->status = message.value;
            f->phase = LEAVING;
            break;
        default:
            break;
        }
    }
}

/* As process 1, or by children from before, we get the orphans of others.  The command's go to the
 * keeper as long as there is one.  So those that are here now are others', which is noted before their parent is reaped.
 * What comes between the last look and the keeper's end is taken for the command's. */
static void reap(struct front *f)
{
    siginfo_t ended = {.si_pid = 0};
    int status;
    pid_t pid;
    size_t others = 0;
    if (f->keeper_ended || waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        ended.si_pid == 0) {
        return;
    }
    if (ended.si_pid != f->keeper) {
        cli_tree_note_again(&f->others, f->keeper);
    }
    while (!f->keeper_ended && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == f->keeper) {
            f->keeper_ended = true;
            f->keeper_status = status;
        } else {
            cli_tree_drop(&f->others, pid);
            others++;
        }
    }
    if (others > 1 && !f->keeper_ended) {
        cli_tree_note_again(&f->others, f->keeper); /* Some may have ended after the look. */
    }
}

/* The keeper has been killed, or has been so for all we can see: the command must not outlive the lock.
 * Its orphans are our children by now.  False where somebody is left. */
static bool take_over(struct front *f)
{
    uint64_t until = zks_clock_ms() + STUBBORN_MS;
    if (!f->keeper_ended) {
        cli_tree_note_again(&f->others, f->keeper);
    }
    kill_keeper(f);
    if (f->phase == HOLDING && f->job->ward >= 0 && f->job->on_loss == CLI_LOSS_KILL) {
        (void)cli_ward_signal(f->job->ward, SIGKILL);
    }
    for (;;) {
        bool group = f->phase == RUNNING && !atomic_load(&f->guard->group_gone);
        bool allowed = cli_tree_kill(group ? f->command : 0, &f->others);
        if (cli_tree_reap(&f->others)) {
            break;
        }
        if (zks_clock_ms() >= until && !allowed) {
            return false;
        }
        (void)poll(NULL, 0, KILL_AGAIN_MS);
    }
    cli_terminal_take(f->job->terminal, f->command);
    return true;
}

/* The signal by which we are to die: one that came before there was a command to pass it on to. */
static int deadly_signal(const struct front *f)
{
    if (f->phase == STARTING && first_early(f) != 0) {
        return first_early(f);
    }
    /* A hold ends by it well; and what a command under a lock has come to counts for more. */
    bool done = f->phase == HOLDING || (f->phase == LEAVING && f->job->kind != CLI_CLAIM_ROUND);
    return done ? 0 : f->dying_by;
}

static int keeper_failed(struct front *f, const char *how)
{
    bool ran = f->phase == RUNNING;
    bool dead = take_over(f);
    if (deadly_signal(f) != 0) {
        cli_die_by(deadly_signal(f));
    }
    if (f->phase == LEAVING && f->job->kind != CLI_CLAIM_ROUND) {
        return cli_exit_of_wait(f->status); /* The lock goes with the session. */
    }
    cli_say("%s: the process that kept it %s%s", cli_short_path(f->job->settings, f->job->path),
            how,
            !ran   ? ""
            : dead ? "; the command has been killed"
                   : "; a process of the command belongs to another user and could not be killed");
    return f->phase == WAITING ? CLI_SYSTEM : CLI_LOST;
}

static int ended(struct front *f, int code)
{
    tell_stopping(f);
    cli_terminal_take(f->job->terminal, f->command);
    if (deadly_signal(f) != 0) {
        cli_die_by(deadly_signal(f));
    }
    /* A shell's loop around us ends by Ctrl-C only if we do. */
    if (f->job->terminal >= 0 && f->phase == LEAVING && code == CLI_SIGNALED + SIGINT &&
        WIFSIGNALED(f->status)) {
        cli_die_by(SIGINT);
    }
    return code;
}

/* ---- Input ---- */

/* /dev/null has no end to wait for: it is what a service or a job in the background has. */
static bool has_input(void)
{
    struct stat input;
    struct stat null;
    return fstat(STDIN_FILENO, &input) == 0 &&
           !(S_ISCHR(input.st_mode) && stat("/dev/null", &null) == 0 &&
             input.st_rdev == null.st_rdev);
}

static void drain_input(struct front *f)
{
    char buf[4096];
    ssize_t got = read(STDIN_FILENO, buf, sizeof buf);
    if (got == 0) {
        f->watches_input = false;
        tell_stopping(f);
        cli_link_send(f->link, CLI_LINK_QUIT, 0);
    } else if (got < 0 && errno != EINTR && errno != EAGAIN) {
        f->watches_input = false; /* A terminal that is not ours to read. */
    }
}

/* ---- All of it ---- */

/* A signal can answer what the keeper has just reported, so each one finds the phase of what was reported before
 * it was sent. */
static void attend_signals(struct front *f)
{
    struct signalfd_siginfo info;
    while (cli_signals_next(&f->signals, &info)) {
        listen_to_keeper(f);
        take_signal(f, &info);
    }
}

/* Whether the keeper has let the time pass by which the command must be dead, or else when that is; 0 for never.
 * The clock is read first: if we are stopped between the two we find what the keeper has put there meanwhile. */
static bool is_overdue(const struct front *f, uint64_t *dead_by)
{
    uint64_t now = zks_clock_ms();
    *dead_by = atomic_load(&f->guard->dead_by_ms);
    return *dead_by != 0 && now >= *dead_by;
}

static int serve(struct front *f)
{
    uint64_t dead_by;
    tell_waiting(f);
    for (;;) {
        if (is_overdue(f, &dead_by)) {
            bool ending = atomic_load(&f->guard->ending); /* And the keeper has said why. */
            atomic_store(&f->guard->hold, CLI_HOLD_LOST);
            return keeper_failed(f, ending ? "did not end the command in time"
                                           : "stood still for too long");
        }
        cli_timer_set(f->timer, dead_by != 0 ? dead_by : UINT64_MAX);
        struct pollfd polls[] = {{.fd = f->signals.fd, .events = POLLIN},
                                 {.fd = f->keeper_silent ? -1 : f->link, .events = POLLIN},
                                 {.fd = f->timer, .events = POLLIN},
                                 {.fd = f->watches_input ? STDIN_FILENO : -1, .events = POLLIN},
                                 {.fd = f->job->ready_fd, .events = 0}};
        (void)poll(polls, sizeof polls / sizeof polls[0], -1);
        attend_signals(f);
        listen_to_keeper(f);
        if (polls[3].revents != 0) {
            drain_input(f);
        }
        if (polls[4].revents != 0 && f->job->ready_fd >= 0) {
            close(f->job->ready_fd); /* Nobody waits for it to be held any more. */
            f->job->ready_fd = -1;
            end_by(f, SIGTERM);
        }
        reap(f);
        if (f->keeper_ended) {
            listen_to_keeper(f); /* What it has said last. */
            return WIFEXITED(f->keeper_status) ? ended(f, WEXITSTATUS(f->keeper_status))
                                               : keeper_failed(f, "was killed");
        }
    }
}

static _Noreturn void be_keeper(struct front *f, int link)
{
    close(f->link);
    close(f->signals.fd);
    close(f->timer);
    if (f->hold_file >= 0) {
        close(f->hold_file); /* A hold that cannot answer must not be found. */
    }
    if (f->job->ready_fd >= 0) {
        close(f->job->ready_fd);
    }
    exit(cli_keeper(f->job, link, f->guard));
}

/* What both processes see.  NULL with errno set if there is no memory or no descriptor. */
static struct cli_guard *map_guard(struct front *f)
{
    bool hold = f->job->command == NULL;
    f->hold_file = hold ? cli_hold_file_new(sizeof *f->guard) : -1;
    if (hold && f->hold_file < 0) {
        return NULL;
    }
    int flags = hold ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
    void *guard = mmap(NULL, sizeof *f->guard, PROT_READ | PROT_WRITE, flags, f->hold_file, 0);
    return guard != MAP_FAILED ? guard : NULL;
}

int cli_front(struct cli_job *job)
{
    struct front f;
    int links[2];
    memset(&f, 0, sizeof f);
    job->started_ms = zks_clock_ms();
    job->terminal = cli_terminal_open();
    f.job = job;
    f.guard = map_guard(&f);
    f.timer = cli_timer_open();
    f.watches_input = job->command == NULL && !job->background && has_input();
    cli_tree_note(&f.others);
    if (!cli_signals_open(&f.signals, &job->mask, &job->child_ignored) || f.guard == NULL ||
        f.timer < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, links) != 0) {
        cli_say("cannot create a socket pair or a timer: %s", strerror(errno));
        return CLI_SYSTEM;
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    f.link = links[0];
    f.keeper = fork();
    if (f.keeper == 0) {
        be_keeper(&f, links[1]);
    }
    close(links[1]);
    if (f.keeper < 0) {
        cli_say("cannot start a process: %s", strerror(errno));
        return CLI_SYSTEM;
    }
    int code = serve(&f);
    cli_tree_forget(&f.others);
    return code;
}
