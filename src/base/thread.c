/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPARE = 4, GONE_TRIES = 100 * 1000, GONE_PAUSE_NS = 100 * 1000 };

int zks__thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t blocked;
    sigset_t before;
    (void)sigfillset(&blocked);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    /* What the caller has blocked stays blocked: it may be meant for sigwait(). */
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (sigismember(&before, faults[i]) == 0) {
            (void)sigdelset(&blocked, faults[i]);
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    int error = pthread_create(thread, NULL, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct spare {
    pthread_t thread;
    pthread_mutex_t *hold;
    pid_t tid;
};

static void *stay(void *arg)
{
    struct spare *spare = arg;
    spare->tid = gettid();
    pthread_mutex_lock(spare->hold);
    pthread_mutex_unlock(spare->hold);
    return NULL;
}

/* A thread counts against the limits for a moment after it has been joined. */
static void await_gone(pid_t tid)
{
    const struct timespec pause = {.tv_nsec = GONE_PAUSE_NS};
    for (int i = 0; i < GONE_TRIES && syscall(SYS_tgkill, getpid(), tid, 0) == 0; i++) {
        (void)nanosleep(&pause, NULL);
    }
}

bool zks__threads_spare(void)
{
    pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
    struct spare spares[SPARE];
    int n = 0;
    int error = 0;
    pthread_mutex_lock(&hold);
    while (n < SPARE && error == 0) {
        spares[n].hold = &hold;
        error = zks__thread_start(&spares[n].thread, stay, &spares[n]);
        n += error == 0;
    }
    pthread_mutex_unlock(&hold);
    for (int i = 0; i < n; i++) {
        (void)pthread_join(spares[i].thread, NULL);
    }
    for (int i = 0; i < n; i++) {
        await_gone(spares[i].tid);
    }
    pthread_mutex_destroy(&hold);
    errno = error;
    return error == 0;
}
