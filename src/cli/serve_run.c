/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attributes.h"
#include "duration.h"
#include "exit.h"
#include "fds.h"
#include "notify.h"
#include "process1.h"
#include "serve.h"
#include "tree.h"

enum {
    AGAIN_MS = 10,
    CHECK_MS = 500,
    MORE_MS = 30000,      /* For the start itself. */
    SAME_PORT_TRIES = 20, /* Until another port will do. */
    TRIES = 500,
    LOG_MAX = 1 << 20
};

struct run {
    struct cli_serve *serve;
    struct zks_local_claim *claim; /* NULL for a server of its own. */
    zks_server *server;
    int signals;
    int ended; /* Readable when the server has stopped; result says how. */
    int result;
    bool canceled; /* By a signal, before it served. */
    bool gone;     /* The folder is not the server's any more. */
    pthread_t waiter;

    pthread_mutex_t lock; /* Of what follows: the log comes from several threads. */
    int log_fd;           /* A file, in which each line has its date; -1 for standard error. */
    bool opening;         /* Errors are told at the end of it, those that were healed not at all. */
    char last_error[CLI_MESSAGE_SIZE];
};

/* ---- Log ---- */

static void write_line(struct run *r, const char *line)
{
    char text[CLI_MESSAGE_SIZE + 64];
    char when[CLI_AGE_SIZE];
    int len = r->log_fd >= 0 ? snprintf(text, sizeof text, "%s %ld %s\n",
                                        cli_time(cli_wall_ms(), when), (long)getpid(), line)
                             : snprintf(text, sizeof text, "%s\n", line);
    size_t size = len < (int)sizeof text ? (size_t)len : sizeof text - 1;
    (void)!write(r->log_fd >= 0 ? r->log_fd : STDERR_FILENO, text, size);
}

static void log_line(enum zks_log_level level, const char *line, void *arg)
{
    struct run *r = arg;
    pthread_mutex_lock(&r->lock);
    if (level == ZKS_LOG_ERROR) {
        snprintf(r->last_error, sizeof r->last_error, "%s",
                 strncmp(line, "zksync: ", 8) == 0 ? line + 8 : line);
    }
    if (level != ZKS_LOG_ERROR || !r->opening) {
        write_line(r, line);
    }
    pthread_mutex_unlock(&r->lock);
}

/* Of one that is not looked at for years no more than two files of some size are left. */
static int open_log(struct run *r)
{
    char old[CLI_PATH_SIZE];
    struct stat info;
    const char *path = r->claim->log;
    if (stat(path, &info) == 0 && info.st_size > LOG_MAX &&
        snprintf(old, sizeof old, "%s.old", path) < (int)sizeof old) {
        (void)rename(path, old);
    }
    r->log_fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    int error = r->log_fd < 0 ? errno : 0;
    bool regular = error == 0 && fstat(r->log_fd, &info) == 0 && S_ISREG(info.st_mode);
    if (!regular) {
        snprintf(r->last_error, sizeof r->last_error, "%s cannot be opened: %s", path,
                 error != 0 ? strerror(error) : "Not a regular file");
        close(r->log_fd);
        r->log_fd = -1;
        return ZKS_ESYSTEM;
    }
    return 0;
}

/* Each connection takes a descriptor.  One in the background serves others than who started it. */
static void shed_limits(const struct cli_serve *s)
{
    struct rlimit limit;
    if (s->background) {
        cli_attributes_reset();
    } else if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* ---- Signals ---- */

/* One that was ignored when we were started, as by nohup(1), stays without effect. */
static bool take_signals(struct run *r)
{
    static const int ending[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t wanted;
    sigemptyset(&wanted);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        struct sigaction action;
        if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            sigaddset(&wanted, ending[i]);
        }
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* A file that may not grow is a disk that fails. */
    (void)sigprocmask(SIG_BLOCK, &wanted, NULL);
    r->signals = signalfd(-1, &wanted, SFD_CLOEXEC);
    r->ended = eventfd(0, EFD_CLOEXEC);
    return r->signals >= 0 && r->ended >= 0;
}

/* ---- Leases of clients ---- */

static void log_wait(struct run *r, const char *what, int64_t ms, const char *why)
{
    char line[CLI_MESSAGE_SIZE];
    snprintf(line, sizeof line, "zksync: %s %.3g s%s", what, (double)ms / 1000, why);
    log_line(ZKS_LOG_WARN, line, r);
}

/* False if `fd`, -1 for none, became readable before the time was over. */
static bool pause_for(const struct run *r, int64_t ms, int fd)
{
    struct pollfd polls = {.fd = fd, .events = POLLIN};
    uint64_t until_ms = zks_clock_ms() + (uint64_t)ms;
    uint64_t now_ms;
    while (polls.revents == 0 && (now_ms = zks_clock_ms()) < until_ms) {
        (void)poll(&polls, 1, (int)(until_ms - now_ms < CHECK_MS ? until_ms - now_ms : CHECK_MS));
        (void)zks_local_claim_check(r->claim);
    }
    return polls.revents == 0;
}

/* ---- From the claim to the end ---- */

static int fail(struct run *r, int error)
{
    const char *why = r->last_error[0] != '\0' ? r->last_error : zks_strerror(error);
    char line[CLI_MESSAGE_SIZE + 16];
    bool told = !r->opening && r->last_error[0] != '\0'; /* By the log. */
    if (!told) {
        cli_say("%s", why);
    }
    if (!told && r->log_fd >= 0) {
        snprintf(line, sizeof line, "zksync: %s", why);
        write_line(r, line);
    }
    return error == ZKS_EEXIST ? CLI_BUSY : cli_exit_of(error, CLI_BUSY);
}

static int claim(struct run *r)
{
    int rc = zks_local_claim(log_line, r, &r->claim);
    if (rc == 0 && r->serve->background) {
        (void)prctl(PR_SET_NAME, CLI_LOCAL_NAME);
        rc = open_log(r);
    }
    return rc;
}

/* Waits if the data folder is not that of the last server, until the leases of that server's clients have expired. */
static int await_former_leases(const char *id, bool is_empty, void *arg)
{
    struct run *r = arg;
    char line[80];
    int64_t wait_ms = zks_local_wait_ms(r->claim, id, is_empty);
    if (wait_ms > 0) {
        log_wait(r, "waiting", wait_ms,
                 " before serving: the data folder is new, and clients of the last local server "
                 "may still hold locks");
        snprintf(line, sizeof line, "EXTEND_TIMEOUT_USEC=%lld\nSTATUS=waiting",
                 (long long)(wait_ms + MORE_MS) * 1000);
        cli_notify(line);
    }
    r->canceled = !pause_for(r, wait_ms, r->signals);
    return r->canceled ? ZKS_ECANCELED : 0;
}

static void note_lease(int64_t longest_ms, void *arg)
{
    zks_local_lease(((struct run *)arg)->claim, longest_ms);
}

/* A server that was killed a moment ago may still have its port and its folder: the system takes them away one
 * after the other.  A port that is somebody else's is given up. */
static int open_local(struct run *r, zks_server_options *o)
{
    const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
    int rc = ZKS_EEXIST;
    o->listen = r->claim->listen;
    o->folder = r->claim->folder;
    o->secret = r->serve->no_secret ? NULL : r->claim->secret;
    o->only_user = !r->serve->no_secret;
    o->lease = note_lease;
    o->opened = await_former_leases;
    o->lease_arg = r;
    for (int i = 0; i < TRIES && (rc = zks_server_open(o, &r->server)) == ZKS_EEXIST; i++) {
        if (i == SAME_PORT_TRIES) {
            o->listen = "127.0.0.1:0";
        }
        (void)nanosleep(&pause, NULL);
    }
    return rc == ZKS_EACCES ? ZKS_ESYSTEM : rc; /* As for all else in the user's own folder. */
}

static int open_server(struct run *r)
{
    zks_server_options o = r->serve->options;
    bool tells = r->serve->background || r->serve->settings->verbose > 0;
    o.log = log_line;
    o.log_arg = r;
    o.log_level = r->serve->settings->verbose > 1 ? ZKS_LOG_DEBUG
                  : tells                         ? ZKS_LOG_INFO
                                                  : ZKS_LOG_WARN;
    int rc = r->claim != NULL ? open_local(r, &o) : zks_server_open(&o, &r->server);
    if (rc == 0 && r->claim != NULL) {
        rc = zks_local_publish(r->claim, zks_server_address(r->server), r->serve->no_secret);
    }
    return rc;
}

static void *wait_for_server(void *arg)
{
    struct run *r = arg;
    const uint64_t one = 1;
    r->result = zks_server_wait(r->server, ZKS_FOREVER);
    (void)!write(r->ended, &one, sizeof one);
    return NULL;
}

/* A server in the background must not keep the terminal of its starter, or a pipe that is read to its end.  A file to
 * which standard error was redirected is kept. */
static void let_go_of_stderr(const struct run *r)
{
    struct stat info;
    if (r->log_fd >= 0) {
        (void)dup2(r->log_fd, STDERR_FILENO);
    } else if (fstat(STDERR_FILENO, &info) != 0 || !S_ISREG(info.st_mode)) {
        (void)cli_fds_null(STDERR_FILENO);
    }
}

/* Reports readiness to the starter, or on standard output, and to the service manager. */
static void tell_ready(struct run *r, int ready_fd)
{
    char line[160];
    const char *address = zks_server_address(r->server);
    if (ready_fd >= 0) {
        char pid[24] = ""; /* The local server is stopped by --stop. */
        if (r->claim == NULL) {
            snprintf(pid, sizeof pid, " %ld", (long)getpid());
        }
        int len = snprintf(line, sizeof line, "ready %s%s\n", address, pid);
        let_go_of_stderr(r);
        (void)!write(ready_fd, line, (size_t)len);
        close(ready_fd);
    } else {
        printf("zksync: serving on %s\n", address);
        (void)fflush(stdout);
    }
    snprintf(line, sizeof line, "READY=1\nSTATUS=serving on %s", address);
    cli_notify(line);
}

/* Until a signal comes, the server stops, or the folder is not the server's any more. */
static void await_end(struct run *r)
{
    struct pollfd polls[] = {{.fd = r->signals, .events = POLLIN},
                             {.fd = r->ended, .events = POLLIN}};
    do {
        (void)poll(polls, 2, r->claim != NULL ? CHECK_MS : -1);
        r->gone = r->claim != NULL && zks_local_claim_check(r->claim) != 0;
    } while (polls[0].revents == 0 && polls[1].revents == 0 && !r->gone);
    if (r->gone) {
        log_line(ZKS_LOG_ERROR,
                 "zksync: the server ends: its folder, or server.lock in it, has been removed, "
                 "renamed or replaced",
                 r);
    }
}

/* A server that begins with nothing must not grant a lock that a client of this one counts on, so this process stays
 * the user's local server until no client can, whatever signals come. */
static void await_leases(struct run *r)
{
    bool lost = false;
    int64_t lease_ms = zks_server_lease_ms(r->server, &lost);
    if (lost && lease_ms > 0) {
        log_wait(r, "no other local server serves for", lease_ms,
                 ", until the leases of this one's clients have expired");
        (void)pause_for(r, lease_ms, -1);
    }
    zks_local_stopped(r->claim, lost ? 0 : lease_ms);
}

static int serve(struct run *r, int ready_fd)
{
    int rc = pthread_create(&r->waiter, NULL, wait_for_server, r);
    if (rc != 0) {
        r->opening = true;
        snprintf(r->last_error, sizeof r->last_error, "no thread: %s", strerror(rc));
        return ZKS_ESYSTEM;
    }
    tell_ready(r, ready_fd);
    await_end(r);
    cli_notify("STOPPING=1");
    zks_server_stop(r->server);
    (void)pthread_join(r->waiter, NULL);
    if (r->claim != NULL) {
        await_leases(r);
    }
    return r->gone ? ZKS_ESYSTEM : r->result;
}

int cli_serve_run(struct cli_serve *s, int ready_fd)
{
    struct run r = {.serve = s, .log_fd = -1, .opening = true, .signals = -1, .ended = -1};
    pthread_mutex_init(&r.lock, NULL);
    int rc = ZKS_ESYSTEM;
    cli_process1_reap();
    shed_limits(s);
    if (!take_signals(&r)) {
        snprintf(r.last_error, sizeof r.last_error, "the system refuses a descriptor: %s",
                 strerror(errno));
    } else {
        rc = s->own ? 0 : claim(&r);
        rc = rc == 0 ? open_server(&r) : rc;
        r.opening = rc != 0;
        rc = rc == 0 ? serve(&r, ready_fd) : rc;
    }
    int code = rc != 0 && !r.canceled ? fail(&r, rc) : CLI_OK;
    zks_server_close(r.server);
    zks_local_release(r.claim); /* Last of all: the next one takes the folder at once. */
    return code;
}
