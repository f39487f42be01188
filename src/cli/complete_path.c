/* SPDX-License-Identifier: Apache-2.0 */
#include "complete_path.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "exit.h"
#include "output.h"

enum { PATIENCE_MS = 250, LOOKS_MAX = 64 };

/* A look at one candidate: whether there are paths below it. */
struct look {
    zks_observer *observer;
    zks_op op;
    bool folder;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered;
static size_t awaited; /* Looks without an answer. */

/* Short, unless somebody with slow servers would rather wait. */
static int64_t patience_ms(void)
{
    const char *given = getenv("ZKSYNC_COMPLETION_TIMEOUT");
    int64_t ms = 0;
    return given != NULL && zks_parse_duration(given, &ms) && ms > 0 ? ms : PATIENCE_MS;
}

/* To complete a word is no reason to start a server: where none runs there are no znodes. */
static bool find_servers(struct cli_settings *s)
{
    struct zks_local local;
    if (zks_config_check(s->config) != 0) {
        return false;
    }
    if (strcmp(s->servers, "local") == 0) {
        s->local = zks_local_find(patience_ms(), NULL, NULL, &local) == 0;
        explicit_bzero(local.secret, sizeof local.secret);
        return s->local;
    }
    return true;
}

static void looked(zks_op *op, int result, void *arg)
{
    struct look *look = arg;
    struct zks_view *view = result == 0 ? zks_observer_take(look->observer) : NULL;
    (void)op;
    pthread_mutex_lock(&lock);
    look->folder = view != NULL && view->n_others > 0;
    awaited--;
    pthread_cond_signal(&answered);
    pthread_mutex_unlock(&lock);
    zks_view_free(view);
}

static void begin_look(struct look *look, zks_client *client, const char *folder, const char *name)
{
    char path[CLI_PATH_SIZE];
    const char *between = strcmp(folder, "/") == 0 ? "" : "/";
    bool fits = snprintf(path, sizeof path, "%s%s%s", folder, between, name) < CLI_PATH_SIZE;
    zks_op_init(&look->op, looked, look);
    pthread_mutex_lock(&lock);
    awaited++;
    pthread_mutex_unlock(&lock);
    if (!fits || zks_observer_new(client, path, true, &look->observer) != 0 ||
        zks_observer_next_op(look->observer, ZKS_FOREVER, &look->op) != 0) {
        pthread_mutex_lock(&lock);
        awaited--;
        pthread_mutex_unlock(&lock);
    }
}

static void await_looks(uint64_t until_ms)
{
    uint64_t now = zks_clock_ms();
    uint64_t left = until_ms > now ? until_ms - now : 0;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(left % 1000) * 1000000;
    until.tv_sec += (time_t)(left / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (awaited > 0 && pthread_cond_timedwait(&answered, &lock, &until) == 0) {
    }
}

/* The candidates are all looked at at once; what has not been answered in time is printed all the same. */
static void print_all(zks_client *client, const char *folder, char **names, size_t n,
                      const char *typed, int typed_len, uint64_t until_ms)
{
    static struct look looks[LOOKS_MAX]; /* Answers may come until the process ends. */
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&answered, &monotonic);
    for (size_t i = 0; i < n && i < LOOKS_MAX; i++) {
        begin_look(&looks[i], client, folder, names[i]);
    }
    pthread_mutex_lock(&lock);
    await_looks(until_ms);
    for (size_t i = 0; i < n; i++) {
        printf("%.*s%s%s\n", typed_len, typed, names[i],
               i < LOOKS_MAX && looks[i].folder ? "/" : "");
    }
    pthread_mutex_unlock(&lock);
}

/* Moves the names that are candidates to the front; returns how many there are. */
static size_t choose(struct zks_view *view, const char *folder, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < view->n_others; i++) {
        bool own = strcmp(view->others[i], "zookeeper") == 0 && strcmp(folder, "/") == 0;
        if (!own && strncmp(view->others[i], name, strlen(name)) == 0) {
            char *chosen = view->others[i];
            view->others[i] = view->others[n];
            view->others[n++] = chosen;
        }
    }
    return n;
}

void cli_complete_path(struct cli_settings *s, const char *begin)
{
    char full[CLI_PATH_SIZE];
    char folder[CLI_PATH_SIZE];
    if (!find_servers(s)) {
        return;
    }
    zks_client *client = NULL;
    zks_observer *observer = NULL;
    struct zks_view *view = NULL;
    uint64_t until_ms = zks_clock_ms() + (uint64_t)patience_ms();
    zks_client_options options = cli_client_options(s);
    const char *slash = strrchr(begin, '/');
    const char *name = slash != NULL ? slash + 1 : begin;
    snprintf(folder, sizeof folder, "%.*s",
             slash != NULL && slash > begin ? (int)(slash - begin) : 1,
             slash != NULL ? begin : "/");
    options.connect_timeout_ms = 0; /* One limit for all of it. */
    if (!cli_full_path(s, folder, full) || zks_client_open(&options, &client) != 0 ||
        zks_observer_new(client, full, true, &observer) != 0) {
        return;
    }
    if (zks_observer_next(observer, patience_ms(), &view) == 0) {
        print_all(client, full, view->others, choose(view, full, name), begin, (int)(name - begin),
                  until_ms);
    }
    /* Closing could take longer than anyone wants to wait: the session ends by itself. */
    _exit(cli_flush(CLI_OK));
}
