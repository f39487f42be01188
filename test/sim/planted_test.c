/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug, which must be caught: see CMakeLists.txt and planted/.  The first line of its patch says
 * what is wrong, and the second one can say by which seed it is caught; if it is not others are tried, and
 * then what sweep.h makes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history.h"
#include "sweep.h"

enum { HANG_S = 20 };

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
    const char *from;
    uint64_t number; /* Of the seed, the plan's seed, or in the sweep. */
    char checker[32];
};

static struct catch *catch;

static void try(void)
{
    struct history_result r;
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

static void hunt(const char *name, uint64_t hint)
{
    try_plan(name);
    if (!catch->caught && hint != 0) {
        try_seed(hint);
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
}

static bool hunt_in_child(const char *name, uint64_t hint)
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
        strcpy(catch->checker, WTERMSIG(status) == SIGILL    ? "an invariant"
                               : WTERMSIG(status) == SIGALRM ? "a hang"
                                                             : "a crash");
        catch->caught = true;
    }
    return catch->caught;
}

static bool read_patch(const char *name, char *what, int size, uint64_t *hint)
{
    char path[1024];
    char line[64];
    snprintf(path, sizeof path, "%s/planted/%s.patch", SIM_FOLDER, name);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(what, size, file) == NULL || fgets(line, sizeof line, file) == NULL) {
        printf("not ok 1 - %s has no description\n", path);
        return false;
    }
    fclose(file);
    what[strcspn(what, "\n")] = '\0';
    *hint = strncmp(line, "seed ", 5) == 0 ? strtoull(line + 5, NULL, 10) : 0;
    return true;
}

int main(void)
{
    static const char prefix[] = "sim_planted_";
    const char *name = program_invocation_short_name + sizeof prefix - 1;
    char what[256];
    uint64_t hint;
    puts("1..1");
    if (!read_patch(name, what, sizeof what, &hint)) {
        return 1;
    }
    catch = mmap(NULL, sizeof *catch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (catch == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    bool caught = hunt_in_child(name, hint);
    if (caught) {
        printf("ok 1 - %s %" PRIu64 ", caught by %s: %s\n", catch->from, catch->number,
               catch->checker, what);
    } else {
        printf("not ok 1 - has survived %" PRIu64 " seeds and the sweep: %s\n", seeds_max(), what);
    }
    return caught ? 0 : 1;
}
