/* SPDX-License-Identifier: Apache-2.0 */
#include "local/spawn.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "local/scope.h"

extern char **environ;

enum { SCOPE_MS = 3000, AGAIN_MS = 100 };

/* ---- Which program ---- */

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static bool ourselves(char path[ZKS__PROGRAM_SIZE])
{
    ssize_t len = readlink("/proc/self/exe", path, ZKS__PROGRAM_SIZE - 1);
    path[len > 0 ? len : 0] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && strcmp(name, "/zksync") == 0 && is_program(path);
}

/* The one that was installed with this library, or built with it.  Of a static library the program that
 * has it is looked at instead. */
static bool beside(char path[ZKS__PROGRAM_SIZE])
{
    static const char *const places[] = {ZKS__BIN_FROM_LIB "/zksync", "src/cli/zksync"};
    static const char anything = 0;
    Dl_info info;
    char *file = dladdr(&anything, &info) != 0 && info.dli_fname != NULL
                     ? realpath(info.dli_fname, NULL)
                     : NULL;
    char *name = file != NULL ? strrchr(file, '/') : NULL;
    bool found = false;
    for (size_t i = 0; name != NULL && !found && i < sizeof places / sizeof places[0]; i++) {
        int len = snprintf(path, ZKS__PROGRAM_SIZE, "%.*s/%s", (int)(name - file), file, places[i]);
        found = len < ZKS__PROGRAM_SIZE && is_program(path);
    }
    free(file);
    return found;
}

static bool in_path(char path[ZKS__PROGRAM_SIZE])
{
    const char *at = secure_getenv("PATH");
    while (at != NULL && *at != '\0') {
        int len = (int)strcspn(at, ":");
        if (at[0] == '/' &&
            snprintf(path, ZKS__PROGRAM_SIZE, "%.*s/zksync", len, at) < ZKS__PROGRAM_SIZE &&
            is_program(path)) {
            return true;
        }
        at += len;
        at += *at == ':';
    }
    return false;
}

static bool find_program(char path[ZKS__PROGRAM_SIZE], char why[ZKS__WHY_MAX])
{
    const char *given = secure_getenv("ZKSYNC_COMMAND");
    if (given != NULL && given[0] != '\0') {
        bool fits = snprintf(path, ZKS__PROGRAM_SIZE, "%s", given) < ZKS__PROGRAM_SIZE;
        if (!fits || !is_program(path)) {
            (void)snprintf(why, ZKS__WHY_MAX, "%.500s, which ZKSYNC_COMMAND names, is no program",
                           given);
            return false;
        }
        return true;
    }
    if (ourselves(path) || beside(path) || in_path(path)) {
        return true;
    }
    (void)snprintf(why, ZKS__WHY_MAX,
                   "the program zksync is not there: install it, or name it in ZKSYNC_COMMAND");
    return false;
}

/* ---- With which environment ---- */

static void free_environment(char **environment)
{
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        free(environment[i]);
    }
    free(environment);
}

/* A program that runs with rights that its caller does not have passes nothing of the caller's environment
 * on: the new process may not know that it has them, and would look for the folder elsewhere. */
static char **copy_environment(void)
{
    size_t n = 0;
    bool secure = getauxval(AT_SECURE) != 0;
    while (!secure && environ != NULL && environ[n] != NULL) {
        n++;
    }
    char **copy = calloc(n + 2, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < n; i++) {
        copy[i] = strdup(environ[i]);
        if (copy[i] == NULL) {
            free_environment(copy);
            return NULL;
        }
    }
    /* Jobs of cron(8) have none; without memory for it there is no scope. */
    if (copy != NULL && !secure && secure_getenv("XDG_RUNTIME_DIR") == NULL &&
        asprintf(&copy[n], "XDG_RUNTIME_DIR=/run/user/%lu", (unsigned long)geteuid()) < 0) {
        copy[n] = NULL;
    }
    return copy;
}

int zks__starter_init(struct zks__starter *s)
{
    s->environment = copy_environment();
    if (s->environment == NULL) {
        return ZKS_ENOMEM;
    }
    if (!find_program(s->program, s->why)) {
        s->program[0] = '\0';
    }
    return 0;
}

void zks__starter_close(struct zks__starter *s)
{
    free_environment(s->environment);
    s->environment = NULL;
}

/* ---- Starting it ---- */

/* Both ends are 3 or above, so that they are in nobody's way when the program gets its 0, 1 and 2. */
static bool make_pipe(int ends[2])
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) != 0) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        (void)close(low[i]);
    }
    if (ends[0] >= 0 && ends[1] >= 0) {
        return true;
    }
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            (void)close(ends[i]);
        }
    }
    return false;
}

/* With all signals as they are by default, and what it says into the pipe: its own errors, and those of
 * the system if it cannot even be loaded.  It lets go of all else itself. */
static int run(const struct zks__starter *s, bool scoped, int output, pid_t *pid)
{
    char name[] = "zksync";
    char serve[] = "serve";
    char background[] = "--background";
    char idle[32];
    char path[ZKS__PROGRAM_SIZE];
    char *argv[ZKS__SCOPE_WORDS + 5];
    const char *program = scoped ? zks__scope_command(s->environment, argv) : s->program;
    char **rest = scoped ? argv + ZKS__SCOPE_WORDS : argv;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    if (program == NULL) {
        return ENOENT;
    }
    memcpy(path, s->program, sizeof path);
    (void)snprintf(idle, sizeof idle, "--idle=%dms", ZKS_LOCAL_IDLE_MS);
    memcpy(rest, (char *[]){scoped ? path : name, serve, background, idle, NULL}, 5 * sizeof *rest);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attributes);
    int rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    rc = rc != 0 ? rc : posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = rc != 0 ? rc : posix_spawn(pid, program, &files, &attributes, argv, s->environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

static bool is_ready(const char *said)
{
    return strncmp(said, "ready ", 6) == 0 || strstr(said, "\nready ") != NULL;
}

/* Also if it has been reaped already. */
static bool has_ended(pid_t pid, int pidfd)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    siginfo_t info = {.si_pid = 0};
    return pidfd >= 0 ? poll(&end, 1, 0) > 0
                      : waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
                            info.si_pid != 0;
}

/* Reads until the server reports that it is ready, has ended, or the time is over.  The end of file may never come: a
 * process that the program forks meanwhile inherits the pipe, and keeps it open. */
static bool listen_to(int fd, pid_t pid, int pidfd, const struct zks__limit *limit,
                      char said[ZKS__WHY_MAX])
{
    int most_ms = pidfd >= 0 ? INT_MAX : AGAIN_MS;
    size_t len = 0;
    said[0] = '\0';
    for (;;) {
        bool over = zks__limit_left(limit) == 0;
        bool ended = has_ended(pid, pidfd);
        bool readable = zks__limit_poll_two(limit, fd, POLLIN, pidfd, ended ? 0 : most_ms);
        if (!readable && ended) {
            return false;
        }
        if (!readable && over) {
            (void)snprintf(said, ZKS__WHY_MAX, "it takes too long to start");
            return false;
        }
        ssize_t got = readable ? read(fd, said + len, ZKS__WHY_MAX - 1 - len) : -1;
        len += got > 0 ? (size_t)got : 0;
        said[len] = '\0';
        if (is_ready(said)) {
            return true;
        }
        if (got == 0 || (readable && got < 0 && errno != EINTR)) {
            return false;
        }
        if (len == ZKS__WHY_MAX - 1) { /* The end of it is what counts. */
            memmove(said, said + len / 2, len - len / 2);
            len -= len / 2;
        }
    }
}

/* As part of a sentence: one line, without the name that it begins with. */
static void tidy(char why[ZKS__WHY_MAX], const char *program)
{
    size_t len = strlen(why);
    while (len > 0 && why[len - 1] == '\n') {
        why[--len] = '\0';
    }
    if (strncmp(why, "zksync: ", 8) == 0) {
        memmove(why, why + 8, len - 7);
    }
    for (char *at = why; *at != '\0'; at++) {
        *at = (unsigned char)*at < 0x20 ? ' ' : *at;
    }
    if (why[0] == '\0') {
        (void)snprintf(why, ZKS__WHY_MAX, "%.500s ended and did not say why", program);
    }
}

/* Whether the server has started is known by now, from what it wrote: the exit code may be lost, where the
 * program ignores SIGCHLD or reaps each child itself.  For the same reason the process is named by a
 * descriptor: its number may be another one's by now.  Returns the exit code, as zks__spawn() has it. */
static int end_child(pid_t pid, int pidfd, bool ready)
{
    siginfo_t info = {.si_pid = 0};
    int rc;
    if (!ready && pidfd >= 0) {
        (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0); /* It has ended, or takes too long. */
    }
    int flags = WEXITED | (ready || pidfd >= 0 ? 0 : WNOHANG);
    idtype_t kind = pidfd >= 0 ? P_PIDFD : P_PID;
    do {
        rc = waitid(kind, pidfd >= 0 ? (id_t)pidfd : (id_t)pid, &info, flags);
    } while (rc < 0 && errno == EINTR);
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    return rc < 0 ? ZKS__EXIT_LOST : info.si_code == CLD_EXITED ? info.si_status : ZKS__NOT_EXITED;
}

static int spawn(const struct zks__starter *s, bool scoped, const struct zks__limit *limit,
                 char why[ZKS__WHY_MAX], int *exit_code)
{
    int ends[2];
    pid_t pid = -1;
    *exit_code = ZKS__NOT_EXITED;
    if (!make_pipe(ends)) {
        (void)snprintf(why, ZKS__WHY_MAX, "%s", strerror(errno));
        return ZKS_EDISCONNECTED;
    }
    int error = run(s, scoped, ends[1], &pid);
    (void)close(ends[1]);
    if (error != 0) {
        (void)close(ends[0]);
        (void)snprintf(why, ZKS__WHY_MAX, "%.500s: %s", s->program, strerror(error));
        return ZKS_EDISCONNECTED;
    }
    int pidfd = pidfd_open(pid, 0);
    bool reaped = pidfd < 0 && errno == ESRCH;
    bool ready = listen_to(ends[0], pid, pidfd, limit, why);
    (void)close(ends[0]);
    *exit_code = reaped ? ZKS__EXIT_LOST : end_child(pid, pidfd, ready);
    if (!ready) {
        tidy(why, s->program);
    }
    return ready ? 0 : ZKS_EDISCONNECTED;
}

/* In a cgroup of its own if the user has a service manager that makes one, since that of its starter may end.  A
 * manager that does not answer must not keep the server from starting. */
int zks__spawn(const struct zks__starter *s, const struct zks__limit *limit, char why[ZKS__WHY_MAX],
               int *exit_code)
{
    int left_ms = zks__limit_left(limit);
    int half_ms = left_ms / 2 < SCOPE_MS ? left_ms / 2 : SCOPE_MS;
    struct zks__limit soon = zks__limit_of(half_ms, limit->cancel_fd);
    *exit_code = ZKS__NOT_EXITED;
    if (s->program[0] == '\0') {
        (void)snprintf(why, ZKS__WHY_MAX, "%s", s->why);
        return ZKS_EDISCONNECTED;
    }
    int rc = spawn(s, true, &soon, why, exit_code);
    return rc == 0 || zks__limit_left(limit) == 0 ? rc : spawn(s, false, limit, why, exit_code);
}
