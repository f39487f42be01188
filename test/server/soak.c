/* SPDX-License-Identifier: Apache-2.0 */
/* Many sessions take many locks for long, on a server that keeps all on disk: its memory stays flat, and
 * nothing is left in the end.  Part of `make soak`.
 *
 *   soak_server SECONDS SESSIONS LOCKS */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serving.h"

enum { WORKERS = 5, SAMPLES = 30, SETTLE_S = 90 };

struct asked {
    unsigned seconds;
    unsigned sessions;
    unsigned locks;
};

/* ---- Workers: each has a fifth of the sessions ---- */

struct session {
    const char *address;
    unsigned locks;
    unsigned seed;
    uint64_t until_ms;
    uint64_t taken;
};

static void *take_locks(void *arg)
{
    struct session *s = arg;
    zks_client *client = it_open(s->address, 60000);
    while (zks_clock_ms() < s->until_ms) {
        char path[64];
        (void)snprintf(path, sizeof path, "/soak/%u", (unsigned)rand_r(&s->seed) % s->locks);
        zks_rwlock *lock = it_rwlock(client, path);
        it_ok(rand_r(&s->seed) % 2 == 0 ? zks_rwlock_wrlock(lock, ZKS_FOREVER)
                                        : zks_rwlock_rdlock(lock, ZKS_FOREVER));
        it_ok(zks_rwlock_unlock(lock, ZKS_FOREVER));
        zks_rwlock_free(lock);
        s->taken++;
    }
    it_ok(zks_client_close(client));
    return NULL;
}

static int work(const char *address, const struct asked *a, unsigned number)
{
    unsigned n = a->sessions / WORKERS;
    struct session *sessions = calloc(n, sizeof *sessions);
    pthread_t *threads = calloc(n, sizeof *threads);
    uint64_t taken = 0;
    if (sessions == NULL || threads == NULL) {
        return 1;
    }
    for (unsigned i = 0; i < n; i++) {
        sessions[i] = (struct session){.address = address,
                                       .locks = a->locks,
                                       .seed = number * n + i,
                                       .until_ms = zks_clock_ms() + 1000u * a->seconds};
        threads[i] = it_thread_start(take_locks, &sessions[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        (void)pthread_join(threads[i], NULL); /* However long it takes. */
        taken += sessions[i].taken;
    }
    (void)printf("%" PRIu64 "\n", taken);
    free(sessions);
    free(threads);
    return 0;
}

/* ---- The server ---- */

static int serve(const char *folder)
{
    zks_server_options options = ZKS_SERVER_OPTIONS_INIT;
    zks_server *server = NULL;
    options.folder = folder;
    if (zks_server_open(&options, &server) != 0) {
        return 1;
    }
    (void)printf("%s\n", zks_server_address(server));
    (void)fflush(stdout);
    return zks_server_wait(server, ZKS_FOREVER);
}

static FILE *start(pid_t *pid, const char *const *words)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe(ends) != 0 || (*pid = fork()) < 0) {
        abort();
    }
    if (*pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && dup2(ends[1], STDOUT_FILENO) >= 0) {
            (void)execv(program_invocation_name, (char *const *)(uintptr_t)words);
        }
        _exit(127);
    }
    (void)close(ends[1]);
    return fdopen(ends[0], "r");
}

static unsigned long resident_kb(pid_t pid)
{
    char path[64];
    char line[256];
    unsigned long kb = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        (void)sscanf(line, "VmRSS: %lu", &kb);
    }
    if (status != NULL) {
        (void)fclose(status);
    }
    return kb;
}

static size_t descriptors(pid_t pid)
{
    char path[64];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    while (folder != NULL && readdir(folder) != NULL) {
        n++;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return n;
}

/* ---- All of it ---- */

static unsigned long most(const unsigned long *kb, size_t n)
{
    unsigned long max = 0;
    for (size_t i = 0; i < n; i++) {
        max = kb[i] > max ? kb[i] : max;
    }
    return max;
}

static uint64_t run_workers(const char *address, char **argv, pid_t server, unsigned seconds,
                            unsigned long kb[SAMPLES])
{
    FILE *said[WORKERS];
    pid_t pids[WORKERS];
    uint64_t taken = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", i);
        const char *words[] = {argv[0], "--work", address, number, argv[1], argv[2], argv[3], NULL};
        said[i] = start(&pids[i], words);
    }
    for (unsigned i = 0; i < SAMPLES; i++) {
        const struct timespec between = {.tv_sec = seconds / SAMPLES,
                                         .tv_nsec = 1000000000L / SAMPLES * (seconds % SAMPLES)};
        (void)nanosleep(&between, NULL); /* Between two samples, which await nothing. */
        kb[i] = resident_kb(server);
        (void)printf("%s%lu", i == 0 ? "# resident kB: " : " ", kb[i]);
        (void)fflush(stdout);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        uint64_t n = 0;
        if (fscanf(said[i], "%" SCNu64, &n) != 1) {
            (void)printf("\nnot ok - a worker has failed\n");
            exit(1);
        }
        (void)fclose(said[i]);
        (void)waitpid(pids[i], NULL, 0);
        taken += n;
    }
    (void)puts("");
    return taken;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/zksync-soak-XXXXXX";
    char address[80] = "";
    unsigned long kb[SAMPLES];
    pid_t server;
    if (argc == 3 && strcmp(argv[1], "--serve") == 0) {
        return serve(argv[2]);
    }
    if (argc == 7 && strcmp(argv[1], "--work") == 0) {
        const struct asked a = {(unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]),
                                (unsigned)atoi(argv[6])};
        return work(argv[2], &a, (unsigned)atoi(argv[3]));
    }
    if (argc != 4 || mkdtemp(folder) == NULL) {
        (void)fprintf(stderr, "usage: soak_server SECONDS SESSIONS LOCKS\n");
        return 2;
    }
    const char *words[] = {argv[0], "--serve", folder, NULL};
    FILE *said = start(&server, words);
    if (fgets(address, sizeof address, said) == NULL) {
        return 1;
    }
    address[strcspn(address, "\n")] = '\0';
    size_t before = descriptors(server);
    uint64_t taken = run_workers(address, argv, server, (unsigned)atoi(argv[1]), kb);
    uint64_t until = zks_clock_ms() + 1000u * SETTLE_S;
    while (descriptors(server) != before && zks_clock_ms() < until) {
        it_pause();
    }
    size_t after = descriptors(server);
    (void)kill(server, SIGTERM);
    (void)waitpid(server, NULL, 0);
    (void)fclose(said);
    serving_remove(folder);
    /* A snapshot is made of a second tree, now and then, so it is the peaks that are compared. */
    unsigned long middle = most(kb + SAMPLES / 3, SAMPLES / 3);
    unsigned long last = most(kb + SAMPLES - SAMPLES / 3, SAMPLES / 3);
    bool flat = last <= middle + middle / 5;
    (void)printf("# %" PRIu64 " locks taken by %s sessions; descriptors %zu before, %zu after\n",
                 taken, argv[2], before, after);
    (void)printf("%sok - the memory is flat and no descriptor is left\n",
                 flat && after == before ? "" : "not ");
    return flat && after == before ? 0 : 1;
}
