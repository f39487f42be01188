/* SPDX-License-Identifier: Apache-2.0 */
#include "workers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sanitized.h"

enum { WORKERS_MAX = 64, SHOWN_MAX = 5, SLOWER = 20 };

#ifdef ZKSYNC_COVERAGE
void __gcov_dump(void);
#endif

/* What tools/coverage asks for; _exit() would lose it. */
static void count_branches(void)
{
#ifdef ZKSYNC_COVERAGE
    __gcov_dump();
#endif
}

uint64_t workers_count(uint64_t usual)
{
    const char *given = getenv("ZKSYNC_SIM_HISTORIES");
    if (given != NULL) {
        return strtoull(given, NULL, 10);
    }
    uint64_t count =
        getenv("ZKSYNC_TEST_SLOW") != NULL ? usual / 1000 : usual / (SANITIZED ? SLOWER : 1);
    return count > 0 ? count : 1;
}

static void show(const struct plan *plan, const struct history_result *r)
{
    printf("# %s: %s\n# make sim SEED=%" PRIu64 " tells it if this is its plan:\n", r->checker,
           r->failure, plan->seed);
    plan_write(plan, stdout);
}

static void work(uint64_t first, uint64_t count, uint64_t each,
                 bool (*make)(struct plan *plan, uint64_t number), struct tally *t)
{
    static struct plan plan;
    memset(t, 0, sizeof *t);
    t->first_failed = UINT64_MAX;
    for (uint64_t number = first; number < count; number += each) {
        struct history_result r;
        if (!make(&plan, number)) {
            continue;
        }
        history_run(&plan, NULL, &r);
        t->histories++;
        t->steps += r.steps;
        for (int i = 0; i < FAULTS; i++) {
            t->faults[i] += r.faults[i];
        }
        if (r.failed && t->failed++ == 0) {
            t->first_failed = number;
        }
        if (r.failed && t->failed <= SHOWN_MAX) {
            show(&plan, &r);
        }
    }
    fflush(stdout);
}

void tally_add(struct tally *to, const struct tally *t)
{
    to->histories += t->histories;
    to->failed += t->failed;
    to->steps += t->steps;
    to->first_failed = t->first_failed < to->first_failed ? t->first_failed : to->first_failed;
    for (int i = 0; i < FAULTS; i++) {
        to->faults[i] += t->faults[i];
    }
}

/* A worker that dies counts as a history that failed. */
static void collect(pid_t pid, int from, struct tally *to)
{
    struct tally t;
    int status = 0;
    bool whole = read(from, &t, sizeof t) == (ssize_t)sizeof t;
    close(from);
    waitpid(pid, &status, 0);
    if (whole && status == 0) {
        tally_add(to, &t);
        return;
    }
    printf("# a worker ended with status %d\n", status);
    to->failed++;
}

void workers_run(uint64_t count, bool (*make)(struct plan *plan, uint64_t number),
                 struct tally *tally)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    n = n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : n;
    int from[WORKERS_MAX];
    pid_t pids[WORKERS_MAX];
    memset(tally, 0, sizeof *tally);
    tally->first_failed = UINT64_MAX;
    fflush(stdout);
    for (long i = 0; i < n; i++) {
        int ends[2];
        if (pipe(ends) != 0) {
            perror("pipe");
            exit(1);
        }
        pids[i] = fork();
        if (pids[i] == 0) {
            struct tally t;
            close(ends[0]);
            work((uint64_t)i, count, (uint64_t)n, make, &t);
            bool written = write(ends[1], &t, sizeof t) == (ssize_t)sizeof t;
            count_branches();
            _exit(written ? 0 : 1);
        }
        close(ends[1]);
        from[i] = ends[0];
    }
    for (long i = 0; i < n; i++) {
        collect(pids[i], from[i], tally);
    }
}
