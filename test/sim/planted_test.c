/* SPDX-License-Identifier: Apache-2.0 */
/* Planted bugs, each of which must be caught: see CMakeLists.txt and planted/.  The first line of a patch
 * says what is wrong, and the second one can say by what it is caught: "seed N", or "refusal N" of finals.h.  If it is
 * not, which is reported, others are tried, then what sweep.h makes, and what finals.h makes.
 *
 * The program runs itself for each bug, with the bug's library loaded first.  Arguments name bugs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "finals.h"
#include "history.h"
#include "sweep.h"

enum { SPIN_S = 2, HANG_S = 120, CONTROLS = 1000, FEW = 100 };

/* By what a bug was caught when its patch was last looked at. */
struct hint {
    bool is_refusal;
    uint64_t number; /* 0 for none. */
};

static uint64_t seeds_max(void)
{
    const char *given = getenv("ZKSYNC_SIM_HISTORIES");
    return given != NULL ? strtoull(given, NULL, 10) : 100000;
}

/* What the hunter finds, kept where it is seen also if the hunter dies of it. */
struct catch
{
    struct plan plan;
    bool caught;
    bool by_hint;
    const char *from;
    uint64_t number; /* Of the seed, the plan's seed, or in the sweep. */
    char checker[32];
};

static struct catch *catch;

static void try(void)
{
    /* Of the processor, whatever else it does: a history takes some milliseconds. */
    const struct itimerval spin = {.it_value.tv_sec = SPIN_S};
    struct history_result r;
    setitimer(ITIMER_PROF, &spin, NULL);
    alarm(HANG_S);
    history_run(&catch->plan, NULL, &r);
    catch->caught = r.failed;
    memcpy(catch->checker, r.checker, sizeof r.checker);
}

static void try_seed(uint64_t seed)
{
    plan_make(&catch->plan, seed);
    catch->from = "seed";
    catch->number = seed;
    try();
}

/* Where a bug is hard to catch a plan stands beside its patch. */
static void try_plan(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/planted/%s.plan", SIM_FOLDER, name);
    FILE *file = fopen(path, "r");
    if (file != NULL && plan_read(&catch->plan, file)) {
        catch->from = "plan of seed";
        catch->number = catch->plan.seed;
        try();
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void try_refusal(uint64_t number)
{
    if (finals_make(&catch->plan, number)) {
        catch->from = "refusal";
        catch->number = number;
        try();
    }
}

static void try_refusals(void)
{
    for (uint64_t number = 0; !catch->caught && number < finals_count(); number++) {
        try_refusal(number);
    }
}

static void hunt(const char *name, const struct hint *hint)
{
    catch->by_hint = true; /* Also where the hunter dies of it. */
    try_plan(name);
    if (!catch->caught && hint->number != 0) {
        if (hint->is_refusal) {
            try_refusal(hint->number);
        } else {
            try_seed(hint->number);
        }
    }
    catch->by_hint = catch->caught;
    if (hint->is_refusal) {
        try_refusals();
    }
    for (uint64_t seed = 1; !catch->caught && seed <= seeds_max(); seed++) {
        try_seed(seed);
    }
    for (uint64_t number = 0; !catch->caught && number < sweep_count(); number++) {
        sweep_make(&catch->plan, number);
        catch->from = "sweep";
        catch->number = number;
        try();
    }
    if (!hint->is_refusal) {
        try_refusals();
    }
}

static bool hunt_in_child(const char *name, const struct hint *hint)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        hunt(name, hint);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGTERM && WTERMSIG(status) != SIGKILL) {
        int sig = WTERMSIG(status);
        strcpy(catch->checker, sig == SIGILL                      ? "an invariant"
                               : sig == SIGALRM || sig == SIGPROF ? "a hang"
                                                                  : "a crash");
        catch->caught = true;
    }
    return catch->caught;
}

static bool read_patch(const char *name, char *what, int size, struct hint *hint)
{
    char path[1024];
    char line[64];
    snprintf(path, sizeof path, "%s/planted/%s.patch", SIM_FOLDER, name);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(what, size, file) == NULL || fgets(line, sizeof line, file) == NULL) {
        printf("%s: no description\n", path);
        return false;
    }
    fclose(file);
    what[strcspn(what, "\n")] = '\0';
    *hint = (struct hint){.is_refusal = strncmp(line, "refusal ", 8) == 0};
    if (hint->is_refusal || strncmp(line, "seed ", 5) == 0) {
        hint->number = strtoull(strchr(line, ' '), NULL, 10);
    }
    return true;
}

/* One bug, whose library is loaded. */
static int hunt_one(const char *name)
{
    char what[256];
    struct hint hint;
    if (!read_patch(name, what, sizeof what, &hint)) {
        return 1;
    }
    bool caught = hunt_in_child(name, &hint);
    if (caught) {
        printf("%s: %s %" PRIu64 ", caught by %s: %s\n", name, catch->from, catch->number,
               catch->checker, what);
        if (!catch->by_hint && (strcmp(catch->from, "seed") != 0 || catch->number > FEW)) {
            printf("#: the patch of %s could say: %s %" PRIu64 "\n", name, catch->from,
                   catch->number);
        }
    } else {
        printf("%s: has survived %" PRIu64 " seeds and the sweep: %s\n", name, seeds_max(), what);
    }
    return caught ? 0 : 1;
}

struct bug {
    char name[128];
    pid_t pid;
    int from; /* What its hunt prints. */
    bool done, caught;
};

static void start(struct bug *bug)
{
    char library[1024];
    int ends[2];
    snprintf(library, sizeof library, "%s/%s.so", SIM_PLANTED, bug->name);
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) != 0 || (bug->pid = fork()) < 0) {
        perror(bug->name);
        exit(1);
    }
    if (bug->pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        setenv("LD_PRELOAD", library, 1);
        /* The loader only warns where a library is missing. */
        if (access(library, R_OK) == 0) {
            execl("/proc/self/exe", program_invocation_name, "--hunt", bug->name, (char *)NULL);
        }
        perror(library);
        _exit(1);
    }
    close(ends[1]);
    bug->from = ends[0];
}

/* Waits for the end of any hunt. */
static void finish(struct bug *bugs, size_t n)
{
    int status;
    pid_t pid = wait(&status);
    for (size_t i = 0; i < n; i++) {
        if (bugs[i].pid == pid) {
            bugs[i].done = true;
            bugs[i].caught = status == 0;
        }
    }
}

static void print(const struct bug *bug, size_t number)
{
    char line[1024];
    FILE *said = fdopen(bug->from, "r");
    if (said == NULL || fgets(line, sizeof line, said) == NULL) {
        snprintf(line, sizeof line, "%s: the hunt has failed\n", bug->name);
    }
    printf("%sok %zu - %s", bug->caught ? "" : "not ", number, line);
    while (said != NULL && fgets(line, sizeof line, said) != NULL) {
        fputs(line, stdout);
    }
    fflush(stdout);
    if (said != NULL) {
        fclose(said);
    }
}

/* Without any bug nothing may be caught; a program that just crashes would catch everything. */
static bool control(void)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        for (uint64_t seed = 1; !catch->caught && seed <= CONTROLS; seed++) {
            try_seed(seed);
        }
        _exit(catch->caught ? 1 : 0);
    }
    waitpid(pid, &status, 0);
    printf("%sok 1 - without a bug nothing is caught\n", status == 0 ? "" : "not ");
    return status == 0;
}

/* As many hunts at a time as there are processors; prints in the order of the bugs. */
static bool hunt_all(struct bug *bugs, size_t n)
{
    long width = sysconf(_SC_NPROCESSORS_ONLN);
    size_t started = 0;
    printf("1..%zu\n", n + 1);
    fflush(stdout);
    bool all = control() && n > 0;
    for (size_t ended = 0, printed = 0; printed < n;) {
        while (started < n && started - ended < (size_t)(width > 0 ? width : 1)) {
            start(&bugs[started++]);
        }
        finish(bugs, started);
        ended++;
        for (; printed < n && bugs[printed].done; printed++) {
            print(&bugs[printed], printed + 2);
            all = all && bugs[printed].caught;
        }
    }
    return all;
}

static int is_patch(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".patch") == 0;
}

int main(int argc, char **argv)
{
    static struct bug bugs[1000];
    size_t n = 0;
    catch = mmap(NULL, sizeof *catch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (catch == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    if (argc == 3 && strcmp(argv[1], "--hunt") == 0) {
        unsetenv("LD_PRELOAD");
        return hunt_one(argv[2]);
    }
    for (; argc > 1 && n + 1 < (size_t)argc; n++) {
        snprintf(bugs[n].name, sizeof bugs[n].name, "%s", argv[n + 1]);
    }
    struct dirent **found = NULL;
    int count = argc > 1 ? 0 : scandir(SIM_FOLDER "/planted", &found, is_patch, alphasort);
    for (int i = 0; i < count; i++) {
        size_t length = strlen(found[i]->d_name) - strlen(".patch");
        snprintf(bugs[n++].name, sizeof bugs[0].name, "%.*s", (int)length, found[i]->d_name);
        free(found[i]);
    }
    free(found);
    return hunt_all(bugs, n) ? 0 : 1;
}
