/* SPDX-License-Identifier: Apache-2.0 */
/* Many sessions take many locks for long, on a server that keeps all on disk, while one client stays behind
 * with its watch events and another creates and deletes many znodes again and again: its memory and its
 * folder stay flat, and little is left in the end.  Part of `make soak`.
 *
 *   soak_server SECONDS SESSIONS LOCKS */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "by_hand.h"
#include "serving.h"

enum {
    WORKERS = 5, /* And one more that churns. */
    SAMPLES = 30,
    SETTLE_S = 90,
    BEHIND = 4600, /* Events, 14 MB of them. */
    ZNODES = 50000,
    LEFT_KB = 8 << 10,  /* Of files, where locks alone are left. */
    SLACK_KB = 32 << 10 /* Of memory. */
};

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

/* ---- What comes and goes ---- */

static int churn(const char *address, unsigned seconds)
{
    uint64_t until_ms = zks_clock_ms() + 1000u * seconds;
    struct lagging l;
    uint64_t rounds = 0;
    struct wire *w = by_hand_open(address);
    lagging_open(&l, address, BEHIND);
    for (; zks_clock_ms() < until_ms; rounds++) {
        by_hand_many(w, ZNODES, false);
        lagging_go_on(&l, BEHIND / 2);
        by_hand_many(w, ZNODES, true);
        lagging_go_on(&l, BEHIND / 2);
    }
    lagging_close(&l);
    wire_drop(w);
    (void)printf("%" PRIu64 "\n", rounds);
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

/* What a server holds, in kB: the most of it in each part of the time, for a snapshot is made of a second tree
 * now and then. */
struct samples {
    unsigned long memory[SAMPLES];
    unsigned long files[SAMPLES];
};

static void sample(struct samples *s, pid_t server, const char *folder, unsigned seconds)
{
    const uint64_t begin = zks_clock_ms();
    for (unsigned i = 0; i < SAMPLES; i++) {
        s->memory[i] = s->files[i] = 0;
        do {
            const struct timespec between = {.tv_nsec = 200000000};
            (void)nanosleep(&between, NULL); /* Between two samples, which await nothing. */
            unsigned long memory = resident_kb(server);
            unsigned long files = serving_bytes(folder) / 1024;
            s->memory[i] = memory > s->memory[i] ? memory : s->memory[i];
            s->files[i] = files > s->files[i] ? files : s->files[i];
        } while (zks_clock_ms() < begin + 1000u * seconds * (i + 1) / SAMPLES);
        (void)printf("%s%lu+%lu", i == 0 ? "# resident and files, kB: " : " ", s->memory[i],
                     s->files[i]);
        (void)fflush(stdout);
    }
    (void)puts("");
}

static uint64_t number_said(FILE *said, pid_t pid)
{
    uint64_t n = 0;
    if (fscanf(said, "%" SCNu64, &n) != 1) {
        (void)printf("\nnot ok - a worker has failed\n");
        exit(1);
    }
    (void)fclose(said);
    (void)waitpid(pid, NULL, 0);
    return n;
}

static uint64_t run_workers(const char *address, char **argv, pid_t server, const char *folder,
                            struct samples *s)
{
    FILE *said[WORKERS + 1];
    pid_t pids[WORKERS + 1];
    uint64_t taken = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", i);
        const char *words[] = {argv[0], "--work", address, number, argv[1], argv[2], argv[3], NULL};
        said[i] = start(&pids[i], words);
    }
    const char *words[] = {argv[0], "--churn", address, argv[1], NULL};
    said[WORKERS] = start(&pids[WORKERS], words);
    sample(s, server, folder, (unsigned)atoi(argv[1]));
    for (unsigned i = 0; i < WORKERS; i++) {
        taken += number_said(said[i], pids[i]);
    }
    (void)printf("# %" PRIu64 " times %d znodes have come and gone\n",
                 number_said(said[WORKERS], pids[WORKERS]), ZNODES);
    return taken;
}

/* Whether the last third is as the one before. */
static bool is_flat(const unsigned long *kb)
{
    unsigned long middle = most(kb + SAMPLES / 3, SAMPLES / 3);
    unsigned long last = most(kb + SAMPLES - SAMPLES / 3, SAMPLES / 3);
    return last <= middle + middle / 5;
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/zksync-soak-XXXXXX";
    char address[80] = "";
    struct samples samples;
    pid_t server;
    if (argc == 3 && strcmp(argv[1], "--serve") == 0) {
        return serve(argv[2]);
    }
    if (argc == 4 && strcmp(argv[1], "--churn") == 0) {
        return churn(argv[2], (unsigned)atoi(argv[3]));
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
    unsigned long at_first = resident_kb(server);
    uint64_t taken = run_workers(address, argv, server, folder, &samples);
    uint64_t until = zks_clock_ms() + 1000u * SETTLE_S;
    while ((descriptors(server) != before || serving_bytes(folder) / 1024 > LEFT_KB ||
            resident_kb(server) > at_first + SLACK_KB) &&
           zks_clock_ms() < until) {
        it_pause();
    }
    size_t after = descriptors(server);
    unsigned long left = serving_bytes(folder) / 1024;
    unsigned long resident = resident_kb(server);
    (void)kill(server, SIGTERM);
    (void)waitpid(server, NULL, 0);
    (void)fclose(said);
    serving_remove(folder);
    bool flat = is_flat(samples.memory) && is_flat(samples.files);
    bool little = after == before && left <= LEFT_KB && resident <= at_first + SLACK_KB;
    (void)printf("# %" PRIu64
                 " locks taken by %s sessions; before and after: descriptors %zu, %zu, "
                 "resident kB %lu, %lu; kB of files after: %lu\n",
                 taken, argv[2], before, after, at_first, resident, left);
    (void)printf("%sok - memory and files are flat, and little is left\n",
                 flat && little ? "" : "not ");
    return flat && little ? 0 : 1;
}
