/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "exit.h"
#include "fds.h"
#include "hold_file.h"
#include "marker.h"
#include "service.h"
#include "terminal.h"

extern char **environ;

enum { FACTS = 7 };

/* ---- What is told ---- */

static const char *mode_of(const struct cli_job *job)
{
    return job->kind == CLI_CLAIM_READ ? "read" : job->kind == CLI_CLAIM_WRITE ? "write" : "round";
}

/* "NAME=value" for each fact; false where there is no memory, and then some may be missing. */
static bool make_facts(const struct cli_job *job, const struct cli_facts *facts, char *all[FACTS])
{
    bool lock = job->kind != CLI_CLAIM_ROUND;
    char *held = lock ? cli_marker_add(job->settings, facts->node, facts->token) : NULL;
    size_t n = 0;
    memset(all, 0, FACTS * sizeof *all);
    bool ok = (!lock || held != NULL) && asprintf(&all[n++], "ZKSYNC_PATH=%s", facts->path) >= 0 &&
              asprintf(&all[n++], "ZKSYNC_MODE=%s", mode_of(job)) >= 0;
    if (lock) {
        ok = ok && asprintf(&all[n++], "ZKSYNC_NODE=%s", facts->node) >= 0 &&
             asprintf(&all[n++], "ZKSYNC_TOKEN=%" PRIu64, facts->token) >= 0 &&
             asprintf(&all[n++], "ZKSYNC_HELD=%s", held) >= 0;
    } else {
        ok = ok && asprintf(&all[n++], "ZKSYNC_N=%" PRIu32, job->n) >= 0 &&
             asprintf(&all[n++], "ZKSYNC_ID=%s", facts->id) >= 0;
    }
    free(held);
    return ok;
}

static void free_facts(char *all[FACTS])
{
    for (size_t i = 0; i < FACTS; i++) {
        free(all[i]);
    }
}

/* Also what an outer lock or barrier has told that this one does not tell, but for what is held. */
static bool is_replaced(const char *variable, char *all[FACTS])
{
    static const char *const ours[] = {
        "ZKSYNC_PATH=", "ZKSYNC_MODE=", "ZKSYNC_NODE=", "ZKSYNC_N=", "ZKSYNC_TOKEN=", "ZKSYNC_ID="};
    size_t name = strcspn(variable, "=") + 1;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strncmp(variable, ours[i], strlen(ours[i])) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < FACTS && all[i] != NULL; i++) {
        if (strncmp(variable, all[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The environment of a command, part of which is known only once it has been forked. */
struct environment {
    char **all;
    struct cli_service service;
};

static bool make_environment(struct environment *e, char *all[FACTS], pid_t service)
{
    size_t n = 0;
    size_t count = 0;
    while (environ[n] != NULL) {
        n++;
    }
    memset(e, 0, sizeof *e);
    e->all = calloc(n + FACTS + 1, sizeof *e->all);
    for (size_t i = 0; e->all != NULL && i < n; i++) {
        char *variable = cli_service_variable(&e->service, environ[i], service);
        if (variable != NULL && !is_replaced(variable, all)) {
            e->all[count++] = variable;
        }
    }
    for (size_t i = 0; e->all != NULL && i < FACTS && all[i] != NULL; i++) {
        e->all[count++] = all[i];
    }
    return e->all != NULL;
}

/* Quotes for sh and fish alike: in single quotes they differ only in what a single quote and a backslash mean,
 * and in double quotes both read these two the same. */
static void put_quoted(FILE *to, const char *text)
{
    fputc('\'', to);
    for (; *text != '\0'; text++) {
        fputs(*text == '\''   ? "'\"'\"'"
              : *text == '\\' ? "'\"\\\\\"'"
                              : (char[2]){*text, '\0'},
              to);
    }
    fputc('\'', to);
}

char *cli_command_exports(const struct cli_job *job, const struct cli_facts *facts, pid_t holder)
{
    char *all[FACTS];
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    bool ok = make_facts(job, facts, all) && to != NULL;
    for (size_t i = 0; ok && i < FACTS && all[i] != NULL; i++) {
        size_t name = strcspn(all[i], "=") + 1;
        fprintf(to, "export %.*s", (int)name, all[i]);
        put_quoted(to, all[i] + name);
        fputs(";\n", to);
    }
    free_facts(all);
    if (to != NULL) {
        fprintf(to, "export ZKSYNC_HOLD_PID='%ld';\n", (long)holder);
        fprintf(to, "export ZKSYNC_HOLD_START='%" PRIu64 "';\n", cli_start_time(holder));
        ok = fclose(to) == 0 && ok;
    }
    if (!ok) {
        free(text);
        text = NULL;
    }
    return text;
}

/* ---- Starting it ---- */

/* In the new process: only what is safe there, since other threads may have held any lock. */
static _Noreturn void become(const struct cli_job *job, struct environment *env, bool terminal_now,
                             pid_t parent, int failed_fd)
{
    (void)setpgid(0, 0);
    /* It must not live on when the keeper is killed, nor if that has happened already. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        (void)kill(getpid(), SIGKILL);
    }
    if (terminal_now) {
        cli_terminal_give(job->terminal, getpid());
    }
    cli_fds_close_ours(failed_fd, job->status_fd);
    if (job->child_ignored) {
        signal(SIGCHLD, SIG_IGN);
    }
    cli_service_fill(&env->service, getpid());
    sigprocmask(SIG_SETMASK, &job->mask, NULL);
    execvpe(job->command[0], job->command, env->all);
    int error = errno;
    (void)!write(failed_fd, &error, sizeof error);
    _exit(CLI_CANNOT_RUN);
}

int cli_command_exec_error(int exec_fd)
{
    int error = 0;
    ssize_t got;
    do {
        got = read(exec_fd, &error, sizeof error);
    } while (got < 0 && errno == EINTR);
    return got == sizeof error ? error : 0;
}

pid_t cli_command_start(const struct cli_job *job, const struct cli_facts *facts, bool terminal_now,
                        int *exec_fd)
{
    char *all[FACTS];
    int failed[2] = {-1, -1};
    pid_t parent = getpid();
    pid_t pid = -1;
    struct environment env = {.all = NULL};
    int error = ENOMEM;
    if (make_facts(job, facts, all) && make_environment(&env, all, getppid())) {
        pid = pipe2(failed, O_CLOEXEC) == 0 ? fork() : -1;
        error = errno;
    }
    if (pid == 0) {
        become(job, &env, terminal_now, parent, failed[1]);
    }
    if (pid > 0) {
        (void)setpgid(pid, pid); /* Whichever of the two is faster. */
    }
    if (failed[1] >= 0) {
        close(failed[1]);
    }
    if (pid < 0 && failed[0] >= 0) {
        close(failed[0]);
    }
    *exec_fd = pid > 0 ? failed[0] : -1;
    free(env.all);
    free_facts(all);
    errno = error;
    return pid;
}
