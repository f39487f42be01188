/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator by hand: see usage(). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "shrink.h"

static int usage(void)
{
    fputs("usage: sim seeds FIRST COUNT   runs the histories of these seeds; from 2^63 on they are "
          "storms\n"
          "       sim seed N              tells the history of a seed\n"
          "       sim plan FILE           tells the history of a plan\n"
          "       sim shrink N|FILE       makes a plan that fails smaller, and prints it\n",
          stderr);
    return 2;
}

static bool load(struct plan *p, const char *name)
{
    char *rest;
    uint64_t seed = strtoull(name, &rest, 10);
    if (*name != '\0' && *rest == '\0') {
        plan_make(p, seed);
        return true;
    }
    FILE *file = fopen(name, "r");
    if (file == NULL) {
        perror(name);
        return false;
    }
    bool read = plan_read(p, file);
    fclose(file);
    return read;
}

static int tell(const char *name)
{
    struct plan plan;
    struct history_result r;
    if (!load(&plan, name)) {
        return 2;
    }
    plan_write(&plan, stdout);
    history_run(&plan, stdout, &r);
    printf("%s%s%s\n", r.failed ? r.checker : "passed", r.failed ? ": " : "", r.failure);
    return r.failed;
}

static int make_smaller(const char *name)
{
    struct plan plan;
    if (!load(&plan, name)) {
        return 2;
    }
    unsigned tries = shrink(&plan);
    printf("# after %u tries\n", tries);
    plan_write(&plan, stdout);
    return tries == 0;
}

/* Tells on the way how far it has come. */
static int run_seeds(uint64_t first, uint64_t count)
{
    uint64_t failed = 0;
    uint64_t steps = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct plan plan;
        struct history_result r;
        plan_make(&plan, seed);
        history_run(&plan, NULL, &r);
        steps += r.steps;
        if (r.failed) {
            failed++;
            printf("seed %" PRIu64 ": %s: %s\n", seed, r.checker, r.failure);
        }
        if ((seed - first + 1) % 100000 == 0) {
            fprintf(stderr, "%" PRIu64 " histories, %" PRIu64 " failed\n", seed - first + 1,
                    failed);
        }
    }
    printf("%" PRIu64 " histories, %" PRIu64 " failed, %" PRIu64 " steps\n", count, failed, steps);
    return failed > 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 4 && strcmp(argv[1], "seeds") == 0) {
        return run_seeds(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    }
    if (argc == 3 && (strcmp(argv[1], "seed") == 0 || strcmp(argv[1], "plan") == 0)) {
        return tell(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "shrink") == 0) {
        return make_smaller(argv[2]);
    }
    return usage();
}
