/* SPDX-License-Identifier: Apache-2.0 */
/* A program with an event loop of its own and no thread of its own: everything, the lock's
 * completions included, happens inside one epoll loop.
 *
 *     ZKSYNC_SERVERS=host:port ./epoll /app/lock 5
 *
 * It asks for the lock, counts the seconds while it holds it, and releases it.  Ctrl-C gives up
 * waiting, or releases early.  Exit code: 0 if the lock was held and released, or waiting was given
 * up on demand; 1 on an error or when the lock was lost; 2 for wrong arguments. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zksync/zksync.h>

struct app {
    int epoll, timer, signals;
    zks_client *client;
    zks_rwlock *lock;
    zks_op op; /* One at a time: first to lock, then to unlock. */
    enum { WAITING, HOLDING, RELEASING, DONE } state;
    long seconds;
    int error;
};

static void finish(struct app *app, int error)
{
    app->state = DONE;
    app->error = error;
}

/* Completions run inside zks_client_dispatch(), so nothing here needs a mutex. */
static void unlocked(zks_op *op, int result, void *arg)
{
    (void)op;
    if (!result) {
        printf("released\n");
    }
    finish(arg, result);
}

static void release(struct app *app)
{
    app->state = RELEASING;
    zks_op_init(&app->op, unlocked, app);
    int error = zks_rwlock_unlock_op(app->lock, 5000, &app->op);
    if (error) {
        finish(app, error);
    }
}

static void locked(zks_op *op, int result, void *arg)
{
    (void)op;
    struct app *app = arg;
    if (result == ZKS_ECANCELED) {
        printf("gave up\n");
        finish(app, 0);
    } else if (result) {
        finish(app, result);
    } else {
        printf("holding, token %" PRIu64 "\n", zks_rwlock_token(app->lock));
        app->state = HOLDING;
        struct itimerspec second = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};
        timerfd_settime(app->timer, 0, &second, NULL);
    }
}

/* Once this has been called another process may hold the lock: stop touching what it guards. */
static void lost(zks_rwlock *lock, void *arg)
{
    (void)lock;
    struct app *app = arg;
    /* While we release, the completion is still to come, and says the same. */
    if (app->state == HOLDING) {
        finish(app, ZKS_ELOST);
    }
}

static void on_timer(struct app *app)
{
    uint64_t ticks = 0;
    if (read(app->timer, &ticks, sizeof ticks) == sizeof ticks && app->state == HOLDING) {
        printf("%ld s left\n", --app->seconds);
        if (app->seconds <= 0) {
            release(app);
        }
    }
}

static void on_signal(struct app *app)
{
    struct signalfd_siginfo info;
    if (read(app->signals, &info, sizeof info) != sizeof info) {
        return;
    }
    if (app->state == WAITING) {
        zks_op_cancel(&app->op);
    } else if (app->state == HOLDING) {
        release(app);
    }
}

static bool watch(struct app *app, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return fd >= 0 && epoll_ctl(app->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool set_up_loop(struct app *app)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    app->epoll = epoll_create1(EPOLL_CLOEXEC);
    app->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    /* Blocked before the library starts its threads, which then inherit it: the signals come to
     * the descriptor only. */
    sigprocmask(SIG_BLOCK, &stop, NULL);
    app->signals = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    return app->epoll >= 0 && watch(app, app->timer) && watch(app, app->signals);
}

static int set_up_lock(struct app *app, const char *path)
{
    zks_client_options options = ZKS_CLIENT_OPTIONS_INIT;
    options.manual_dispatch = true;
    options.connect_timeout_ms = 0; /* Connect in the background; the lock waits for it. */
    int error = zks_client_open(&options, &app->client);
    if (error) {
        return error;
    }
    if (!watch(app, zks_client_fd(app->client))) {
        return ZKS_ESYSTEM;
    }
    zks_rwlock_options lock_options = ZKS_RWLOCK_OPTIONS_INIT;
    lock_options.lost = lost;
    lock_options.lost_arg = app;
    error = zks_rwlock_new(app->client, path, &lock_options, &app->lock);
    if (error) {
        return error;
    }
    printf("waiting\n");
    zks_op_init(&app->op, locked, app);
    return zks_rwlock_wrlock_op(app->lock, ZKS_FOREVER, &app->op);
}

static void loop(struct app *app)
{
    while (app->state != DONE) {
        struct epoll_event event;
        if (epoll_wait(app->epoll, &event, 1, -1) < 1) {
            continue; /* Interrupted. */
        }
        if (event.data.fd == app->timer) {
            on_timer(app);
        } else if (event.data.fd == app->signals) {
            on_signal(app);
        } else {
            zks_client_dispatch(app->client);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: epoll PATH SECONDS\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    struct app app = {.epoll = -1, .timer = -1, .signals = -1};
    app.seconds = strtol(argv[2], NULL, 10);
    int error = set_up_loop(&app) ? set_up_lock(&app, argv[1]) : ZKS_ESYSTEM;
    if (!error) {
        loop(&app);
        error = app.error;
    }
    if (error) {
        fprintf(stderr, "epoll: %s\n", zks_strerror(error));
    }
    zks_rwlock_free(app.lock);
    zks_client_close(app.client);
    /* A close() of -1 fails and does nothing else. */
    close(app.signals);
    close(app.timer);
    close(app.epoll);
    return error ? 1 : 0;
}
