/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the library's functions for the local server, as a program that embeds it would:
 *
 *   local_calls [setuid] [nocldwait | reap] (folder | find | start | pid | claim)...
 *
 * A line for each call: what it returned, and the sentence that belongs to an error. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "zksync/err.h"
#include "zksync/local.h"

enum { LIMIT_MS = 60000 };

static char sentence[2048];

static void note(enum zks_log_level level, const char *line, void *arg)
{
    (void)arg;
    if (level == ZKS_LOG_ERROR) {
        (void)snprintf(sentence, sizeof sentence, "%s", line);
    }
}

/* Reaps each child of the program, whoever has started it. */
static void *reap(void *arg)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)arg;
    for (;;) {
        if (waitpid(-1, NULL, 0) < 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static int prepare(const char *word)
{
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    pthread_t thread;
    return strcmp(word, "setuid") == 0      ? setresuid(geteuid(), geteuid(), geteuid())
           : strcmp(word, "nocldwait") == 0 ? sigaction(SIGCHLD, &action, NULL)
           : pthread_create(&thread, NULL, reap, NULL) == 0 ? pthread_detach(thread)
                                                            : -1;
}

static int call_claim(char *text, size_t size)
{
    struct zks_local_claim *claim = NULL;
    int rc = zks_local_claim(note, NULL, &claim);
    if (rc == 0) {
        (void)snprintf(text, size, "%s", claim->folder);
        zks_local_release(claim);
    }
    return rc;
}

static int call_pid(char *text, size_t size)
{
    int64_t pid = zks_local_pid(note, NULL);
    (void)snprintf(text, size, "%lld", (long long)pid);
    return pid < 0 ? (int)pid : 0;
}

static int call_server(const char *word, char *text, size_t size)
{
    struct zks_local local = {.pid = 0};
    int rc = strcmp(word, "find") == 0 ? zks_local_find(LIMIT_MS, note, NULL, &local)
                                       : zks_local_start(LIMIT_MS, note, NULL, &local);
    (void)snprintf(text, size, "%s %lld %s", local.address, (long long)local.pid,
                   local.started ? "started" : "found");
    return rc;
}

static void call(const char *word)
{
    char text[2048] = "";
    sentence[0] = '\0';
    int rc = strcmp(word, "folder") == 0  ? zks_local_folder(text, sizeof text)
             : strcmp(word, "claim") == 0 ? call_claim(text, sizeof text)
             : strcmp(word, "pid") == 0   ? call_pid(text, sizeof text)
                                          : call_server(word, text, sizeof text);
    (void)printf("%s: %s: %s\n", word, zks_err_name(rc), rc == 0 ? text : sentence);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool prepares = strcmp(argv[i], "setuid") == 0 || strcmp(argv[i], "nocldwait") == 0 ||
                        strcmp(argv[i], "reap") == 0;
        if (prepares && prepare(argv[i]) != 0) {
            return 1;
        }
        if (!prepares) {
            call(argv[i]);
        }
    }
    return 0;
}
